// libFuzzer's entry for the target that the macro EW_FUZZ_TARGET names.
#include "targets.h"

// NOLINTNEXTLINE: libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ew::fuzz::EW_FUZZ_TARGET({data, size});
  return 0;
}
