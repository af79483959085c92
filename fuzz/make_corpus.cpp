// Makes the seeds that are derived from Keras' own files:
//   fuzz_make_corpus CORPUS FILE...
// Each `.h5` and `.keras` (of tests/oracle/fixtures) becomes one seed per target that reads its
// parts. The committed seeds are the few of them that libFuzzer's -set_cover_merge=1 keeps. Seeds
// of the other targets are small files made by hand.
#include "base/file.h"
#include "formats/h5_reader.h"
#include "formats/h5_wire.h"
#include "formats/zip.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

constexpr size_t kMaxSeed = 1 << 14;

using Buffer = std::vector<uint8_t>;

Status write_config(const std::string& corpus, const std::string& name, bool is_keras3,
                    std::string_view json) {
  const std::string seed = str(is_keras3 ? "3" : "2", json);
  if (seed.size() > kMaxSeed) return {};
  return write_file_atomic(corpus + "/keras_config/" + name + ".json", seed);
}

Status add_config(const std::string& corpus, const std::string& name,
                  const formats::H5Group& root) {
  const formats::H5Value* text = root.find_attribute("model_config");
  if (text == nullptr) return {};
  EW_TRY(const std::string json, text->as_string());
  const formats::H5Value* version = root.find_attribute("keras_version");
  const bool is_keras3 =
      version != nullptr && !version->strings.empty() && version->strings[0].starts_with("3");
  return write_config(corpus, name, is_keras3, json);
}

Status add_wire(const std::string& corpus, const std::string& name, const formats::H5Group& root) {
  Buffer out;
  EW_TRY_VOID(formats::write_h5_wire(root, [&](Bytes part) -> Status {
    out.insert(out.end(), part.begin(), part.end());
    return {};
  }));
  if (out.size() > kMaxSeed) return {};
  return write_file_atomic(corpus + "/h5_wire/" + name + ".wire", out);
}

Status add_zip(const std::string& corpus, const std::string& name, const Buffer& bytes) {
  EW_TRY(const formats::ZipView zip, formats::ZipView::open(bytes));
  EW_TRY(const Buffer config, zip.read("config.json"));
  EW_TRY_VOID(write_config(corpus, name, true, text_of(config)));
  if (bytes.size() > kMaxSeed) return {};
  return write_file_atomic(corpus + "/keras_zip/" + name + ".keras", bytes);
}

Status add_file(const std::string& path, const std::string& name, const std::string& corpus) {
  EW_TRY(const Buffer bytes, read_file(path));
  if (path.ends_with(".keras")) return add_zip(corpus, name, bytes);
  EW_TRY(const formats::H5Group root, formats::read_h5(bytes, path));
  EW_TRY_VOID(add_config(corpus, name, root));
  EW_TRY_VOID(add_wire(corpus, name, root));
  if (bytes.size() > kMaxSeed) return {};
  return write_file_atomic(corpus + "/h5_file/" + name + ".h5", bytes);
}

int run(std::span<char*> arguments) {
  if (arguments.size() < 3) {
    std::fprintf(stderr, "usage: fuzz_make_corpus CORPUS FILE...\n");
    return 2;
  }
  const std::string corpus = arguments[1];
  for (const char* argument : arguments.subspan(2)) {
    const std::string path = argument;
    const std::vector<std::string> parts = split(path, '/');
    const std::string name = parts.size() < 2 ? path : parts[parts.size() - 2] + "." + parts.back();
    const Status status = add_file(path, name.substr(0, name.rfind('.')), corpus);
    if (!status.ok()) {
      std::fprintf(stderr, "%s: %s\n", path.c_str(), status.error().message.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace ew::fuzz

int main(int argc, char** argv) { return ew::fuzz::run({argv, static_cast<size_t>(argc)}); }
