// Words for images before a net and for what stands behind one.
#include "ops/signal/words.h"

namespace ew::ops::signal {
namespace {

ValueId resize(FeatureStep& s) {
  return s.b.add(kResize, {s.x},
                 {{"size", std::vector<int64_t>{s.integer("height", 0), s.integer("width", 0)}},
                  {"method", s.text("method", "bilinear")},
                  {"coordinates", s.text("coordinates", "half_pixel")}});
}

ValueId flatten(FeatureStep& s) {
  int64_t size = 1;
  for (int d = 1; d < s.shape().rank(); ++d) {
    if (s.shape()[d] == kUnknown) {
      return s.b.fail(
          invalid_argument("expected a known shape behind the batch, found ", s.shape()));
    }
    size *= s.shape()[d];
  }
  return s.reshape(s.x, {-1, size});
}

// The dimensions behind the batch in another shape.
ValueId reshape(FeatureStep& s) {
  std::vector<int64_t> to{0};
  for (const double d : s.numbers("shape")) {
    if (!(d >= -1 && d <= 1e9)) return s.b.fail(invalid_argument("shape: a size of ", d));
    to.push_back(static_cast<int64_t>(d));
  }
  return s.reshape(s.x, to);
}

ValueId softmax(FeatureStep& s) {
  return s.b.add(kSoftmax, {s.x}, {{"axis", s.integer("axis", -1)}});
}
ValueId sigmoid(FeatureStep& s) { return s.b.add(kSigmoid, {s.x}); }

// int32, like TFLite's and Keras' argmax.
ValueId arg_max(FeatureStep& s) {
  const int64_t axis = s.integer("axis", -1);
  const ValueId kept = s.b.add(kArgMax, {s.x}, {{"axis", axis}});
  std::vector<int64_t> dims = s.b.shape(kept).dims();
  const auto checked = s.take(normalize_axis(axis, s.shape().rank()));
  if (!s.b.ok()) return kNoValue;
  dims.erase(dims.begin() + checked);
  return s.b.add(kCast, {s.reshape(kept, dims)}, {{"to", std::string("int32")}});
}

const FeatureWord kWords[] = {
    {"Resize", "height width method coordinates", resize},
    {"Flatten", "", flatten},
    {"Reshape", "shape", reshape},
    {"Softmax", "axis", softmax},
    {"Sigmoid", "", sigmoid},
    {"ArgMax", "axis", arg_max},
};

}  // namespace

std::span<const FeatureWord> output_words() { return kWords; }

}  // namespace ew::ops::signal
