// Changes a ZIP archive member by member: random bytes would only ever fail the checksums.
#include <algorithm>
#include <cstring>

#include "formats/zip.h"
#include "json_mutator.h"
#include "targets.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed);

namespace ew::fuzz {
namespace {

using formats::ZipInput;
using formats::ZipMember;
using formats::ZipView;

void mutate_bytes(std::vector<uint8_t>& bytes) {
  const size_t old_size = bytes.size();
  bytes.resize(old_size + 256);
  bytes.resize(LLVMFuzzerMutate(bytes.data(), old_size, bytes.size()));
}

void mutate(const std::string& name, std::vector<uint8_t>& bytes, size_t max_size,
            unsigned int seed) {
  if (name.ends_with(".json") && seed % 8 != 0) {
    const std::string changed = mutate_json(text_of(bytes), {}, max_size, seed / 8);
    if (!changed.empty()) {
      bytes.assign(changed.begin(), changed.end());
      return;
    }
  }
  mutate_bytes(bytes);
}

/// Members unpacked, one of them changed; empty if the archive cannot be opened.
std::vector<uint8_t> mutate_member(Bytes archive, size_t max_size, unsigned int seed) {
  const Result<ZipView> zip = ZipView::open(archive);
  if (!zip.ok() || zip->members().empty()) return {};
  std::vector<std::vector<uint8_t>> contents;
  for (const ZipMember& member : zip->members()) {
    if (member.size > max_size) return {};
    Result<std::vector<uint8_t>> bytes = zip->read(member);
    if (!bytes.ok()) return {};
    contents.push_back(std::move(*bytes));
  }
  const size_t chosen = seed % contents.size();
  mutate(zip->members()[chosen].name, contents[chosen], max_size,
         static_cast<unsigned int>(seed / contents.size()));
  std::vector<ZipInput> inputs;
  for (size_t i = 0; i < contents.size(); ++i) {
    inputs.push_back({zip->members()[i].name, contents[i]});
  }
  Result<std::vector<uint8_t>> written = formats::write_zip(inputs);
  return written.ok() ? std::move(*written) : std::vector<uint8_t>{};
}

}  // namespace
}  // namespace ew::fuzz

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  if (seed % 8 != 0) {
    const std::vector<uint8_t> changed = ew::fuzz::mutate_member({data, size}, max_size, seed / 8);
    if (!changed.empty() && changed.size() <= max_size) {
      std::memcpy(data, changed.data(), changed.size());
      return changed.size();
    }
  }
  return LLVMFuzzerMutate(data, size, max_size);
}
