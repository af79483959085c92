// The training form is made of `noise`, whose gradient applies the same numbers again: no mask is
// stored between the passes.
#include "ops/gradient.h"

namespace ew::ops {
namespace {

std::vector<ValueId> grad(Builder&, const Node&, std::span<const ValueId> dy) { return {dy[0]}; }

// With alpha' the value of a dropped element: y = a (x keep + alpha' (1 - keep)) + b.
ValueId alpha_dropout(Builder& b, ValueId x, double rate, ValueId step, Attrs noise) {
  constexpr double kAlphaPrime = -1.6732632423543772 * 1.0507009873554805;
  const double a = 1 / std::sqrt((1 - rate) * (1 + rate * kAlphaPrime * kAlphaPrime));
  const auto scalar = [&](double value) { return b.scalar(value, b.type(x).dtype); };
  const ValueId shifted = b.add(kSub, {x, scalar(kAlphaPrime)});
  noise.set("scale", 1.0);
  const ValueId kept = b.add(kNoise, {shifted, step}, noise);
  // (x - alpha') keep + alpha' = x keep + alpha' (1 - keep)
  const ValueId scaled = b.add(kMul, {kept, scalar(a)});
  return b.add(kAdd, {scaled, scalar(a * kAlphaPrime - a * kAlphaPrime * rate)});
}

std::vector<ValueId> training(Builder& b, const Node& node, std::span<const ValueId> inputs,
                              TrainingScope& scope) {
  const ValueId x = inputs[0];
  const std::string& kind = node.attrs.text("kind");
  const double rate = node.attrs.number("rate");
  const bool is_inert = kind == "gaussian_noise" ? rate == 0 : (rate == 0 || rate == 1);
  if (is_inert && (rate == 0 || kind != "dropout")) return {x};
  Attrs noise{{"noise_shape", node.attrs.ints("noise_shape")},
              {"seed", scope.seed()},
              {"stream", scope.next_stream()}};
  if (kind == "gaussian_noise") {
    noise.set("kind", std::string("add_normal"));
    noise.set("scale", rate);
  } else if (kind == "gaussian_dropout") {
    noise.set("kind", std::string("multiply_normal"));
    noise.set("scale", std::sqrt(rate / (1 - rate)));
  } else {
    noise.set("kind", std::string("keep"));
    noise.set("drop", rate);
    noise.set("scale", rate < 1 ? 1 / (1 - rate) : 0.0);
  }
  if (kind == "alpha_dropout") return {alpha_dropout(b, x, rate, scope.step(), noise)};
  return {b.add(kNoise, {x, scope.step()}, noise)};
}

}  // namespace

extern const Gradient dropout_grad{.grad = grad, .training = training};

}  // namespace ew::ops
