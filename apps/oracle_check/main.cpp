// oracle_check DIR...: holds our results against folders of recorded Keras results
// (tests/oracle/README.md describes their layout). Every case.json and tables/*.json below a folder
// is a case. Prints a line for every failing (case, file) pair and the counts; exit status 0 only
// if something ran and nothing failed.
//
//   --kind K    only cases of this kind (may be repeated)
//   --filter S  only cases whose path contains S
//   --except S  no case whose path contains S
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/file.h"
#include "formats/json.h"
#include "oracle_case.h"

namespace ew::oracle {
namespace {

struct Arguments {
  std::vector<std::string> folders;
  std::vector<std::string> kinds;
  std::string filter;
  std::string except;
};

struct Counts {
  int passed = 0;
  int failed = 0;
};

void fail(Counts& counts, const std::string& name, const std::string& error) {
  ++counts.failed;
  std::printf("FAILED %s: %s\n", name.c_str(), error.c_str());
  std::fflush(stdout);
}

void run_case(const Arguments& arguments, OracleCase c, const std::string& file, Counts& counts) {
  if (c.name.find(arguments.filter) == std::string::npos) return;
  if (!arguments.except.empty() && c.name.find(arguments.except) != std::string::npos) return;
  const Result<std::vector<uint8_t>> bytes = read_file(file);
  if (!bytes.ok()) return fail(counts, c.name, bytes.error().message);
  Result<Config> config =
      formats::parse_json({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  if (!config.ok()) return fail(counts, c.name, config.error().message);
  c.config = std::move(*config);
  if (c.kind.empty()) c.kind = c.config["kind"].as_string();
  const std::vector<std::string>& kinds = arguments.kinds;
  if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), c.kind) == kinds.end()) return;
  const RunCase run = find_kind(c.kind);
  if (run == nullptr) return fail(counts, c.name, "unknown kind '" + c.kind + "'");
  const std::vector<Outcome> outcomes = run(c);
  if (outcomes.empty()) return fail(counts, c.name, "the case names no file to check");
  for (const Outcome& outcome : outcomes) {
    if (outcome.error.empty()) {
      ++counts.passed;
    } else {
      fail(counts, c.name + " [" + outcome.file + "]", outcome.error);
    }
  }
}

void walk(const Arguments& arguments, const std::string& root, const std::string& below,
          Counts& counts) {
  const std::string folder = below.empty() ? root : root + "/" + below;
  const Result<std::vector<std::string>> names = list_directory(folder);
  if (!names.ok()) return fail(counts, folder, names.error().message);
  const bool is_tables = folder.ends_with("/tables") || folder == "tables";
  for (const std::string& name : *names) {
    const std::string path = folder + "/" + name;
    const std::string inner = below.empty() ? name : below + "/" + name;
    if (is_directory(path)) {
      walk(arguments, root, inner, counts);
    } else if (name == "case.json") {
      run_case(arguments, {below.empty() ? folder : below, folder, "", {}}, path, counts);
    } else if (is_tables && name.ends_with(".json")) {
      run_case(arguments, {inner, folder, name.substr(0, name.size() - 5), {}}, path, counts);
    }
  }
}

int run(const Arguments& arguments) {
  Counts counts;
  for (const std::string& folder : arguments.folders) walk(arguments, folder, "", counts);
  std::printf("%d passed, %d failed\n", counts.passed, counts.failed);
  return counts.failed == 0 && counts.passed > 0 ? 0 : 1;
}

}  // namespace
}  // namespace ew::oracle

int main(int argc, char** argv) {
  ew::oracle::Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const bool has_value = i + 1 < argc;
    if (std::strcmp(argv[i], "--kind") == 0 && has_value) {
      arguments.kinds.emplace_back(argv[++i]);
    } else if (std::strcmp(argv[i], "--filter") == 0 && has_value) {
      arguments.filter = argv[++i];
    } else if (std::strcmp(argv[i], "--except") == 0 && has_value) {
      arguments.except = argv[++i];
    } else {
      arguments.folders.emplace_back(argv[i]);
    }
  }
  if (arguments.folders.empty()) {
    std::fprintf(stderr, "usage: oracle_check [--kind K] [--filter S] DIR...\n");
    return 2;
  }
  return ew::oracle::run(arguments);
}
