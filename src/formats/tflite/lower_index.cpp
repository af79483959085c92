// Operators that pick elements: slices, gathers, splits.
#include "formats/tflite/op_context.h"

namespace ew::formats::tflite {

std::span<const Lowering> index_lowerings() { return {}; }

}  // namespace ew::formats::tflite
