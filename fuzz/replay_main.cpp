// Runs files through the fuzz targets without a fuzzer:
//   fuzz_replay CORPUS             every CORPUS/<target>/* through its target
//   fuzz_replay TARGET FILE...     files through one target
// Names every file before it runs, because a bug ends the process.
#include <sys/resource.h>

#include <cstring>

#include "base/file.h"
#include "base/sanitizer.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

struct Target {
  const char* name;
  void (*run)(Bytes bytes);
};
constexpr Target kTargets[] = {
#define EW_FUZZ(name) {#name, name},
#include "targets.def"
#undef EW_FUZZ
};

// The limit makes a huge allocation fail.
void limit_memory() {
  if (kHasShadowMemory) return;
  const rlimit value{rlim_t{4} << 30, rlim_t{4} << 30};
  ::setrlimit(RLIMIT_AS, &value);
}

bool replay(const Target& target, const std::string& path) {
  const Result<std::vector<uint8_t>> bytes = read_file(path);
  if (!bytes.ok()) {
    std::fprintf(stderr, "%s\n", bytes.error().message.c_str());
    return false;
  }
  std::fprintf(stderr, "%s %s\n", target.name, path.c_str());
  target.run(*bytes);
  return true;
}

int replay_all(const std::string& corpus) {
  int files = 0;
  for (const Target& target : kTargets) {
    const std::string folder = corpus + "/" + target.name;
    const Result<std::vector<std::string>> names = list_directory(folder);
    if (!names.ok() || names->empty()) {
      std::fprintf(stderr, "%s: no corpus\n", folder.c_str());
      return 1;
    }
    for (const std::string& name : *names) {
      if (!replay(target, folder + "/" + name)) return 1;
      ++files;
    }
  }
  std::printf("%d files through %zu targets\n", files, std::size(kTargets));
  return 0;
}

int run(std::span<char*> arguments) {
  if (arguments.size() == 2) return replay_all(arguments[1]);
  for (const Target& target : kTargets) {
    if (arguments.size() < 3 || std::strcmp(arguments[1], target.name) != 0) continue;
    for (char* path : arguments.subspan(2)) {
      if (!replay(target, path)) return 1;
    }
    return 0;
  }
  std::fprintf(stderr, "usage: fuzz_replay CORPUS | TARGET FILE...\n");
  return 2;
}

}  // namespace
}  // namespace ew::fuzz

int main(int argc, char** argv) {
  ew::fuzz::limit_memory();
  return ew::fuzz::run({argv, static_cast<size_t>(argc)});
}
