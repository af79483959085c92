// libFuzzer's hooks for the target keras_config: one byte for the generation, then JSON.
#include <cstring>

#include "json_mutator.h"
#include "targets.h"

// NOLINTBEGIN: libFuzzer's names
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed);
extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* first, size_t first_size,
                                            const uint8_t* second, size_t second_size, uint8_t* out,
                                            size_t max_size, unsigned int seed);
// NOLINTEND

namespace ew::fuzz {
namespace {

std::string_view json_of(const uint8_t* data, size_t size) {
  return size == 0 ? std::string_view() : text_of({data + 1, size - 1});
}

size_t put(uint8_t* out, uint8_t generation, const std::string& json) {
  out[0] = generation;
  std::memcpy(out + 1, json.data(), json.size());
  return json.size() + 1;
}

}  // namespace
}  // namespace ew::fuzz

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  if (seed % 16 != 0 && size > 0) {
    const std::string changed =
        ew::fuzz::mutate_json(ew::fuzz::json_of(data, size), {}, max_size - 1, seed / 16);
    if (!changed.empty()) return ew::fuzz::put(data, data[0], changed);
  }
  return LLVMFuzzerMutate(data, size, max_size);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t* first, size_t first_size, const uint8_t* second,
                                 size_t second_size, uint8_t* out, size_t max_size,
                                 unsigned int seed) {
  if (first_size == 0 || max_size == 0) return 0;
  const std::string changed =
      ew::fuzz::mutate_json(ew::fuzz::json_of(first, first_size),
                            ew::fuzz::json_of(second, second_size), max_size - 1, seed);
  return changed.empty() ? 0 : ew::fuzz::put(out, first[0], changed);
}
