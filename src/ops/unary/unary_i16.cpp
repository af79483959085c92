// Logistic, tanh and ReLU of int16. The first two share a table of the logistic function at i / 24,
// since tanh(x) = 2 sigmoid(2 x) - 1; both outputs have the scale 2^-15.
#include <cmath>

#include "ops/int16.h"
#include "ops/unary/unary_i8.h"

namespace ew::ops {
namespace {

// Every entry gives way by half of what the straight piece after it is off in its middle.
std::array<uint32_t, 256> sigmoid_table() {
  const auto sigmoid = [](double i) { return 65536 / (1 + std::exp(-i / 24)); };
  std::array<uint32_t, 256> table{};
  for (size_t k = 0; k < table.size(); ++k) {
    const auto i = static_cast<double>(k);
    const double error = (sigmoid(i) + sigmoid(i + 1)) / 2 - sigmoid(i + 0.5);
    table[k] = static_cast<uint32_t>(std::round(sigmoid(i) - error / 2));
  }
  table.back() = 65535;  // what saturated values read
  return table;
}

// Brings stored inputs to steps of 1 / (3 * 4096).
class InputScale {
 public:
  explicit InputScale(float scale) {
    int exponent = 0;
    const bool is_power_of_two = std::frexp(scale, &exponent) == 0.5F;
    const int left = exponent - 1 + 12;
    if (is_power_of_two && (left == 0 || left == 1)) {
      multiplier_ = 3 << left;
      return;
    }
    double multiplier = double{scale} * 4096 * 3;
    while (multiplier <= 32767.0 / 2 && shift_ <= 30) {
      ++shift_;
      multiplier *= 2;
    }
    multiplier_ = static_cast<int64_t>(std::min(multiplier, 2147483647.0));
  }
  int64_t operator()(int16_t x) const {
    return (x * multiplier_ + (shift_ > 0 ? int64_t{1} << (shift_ - 1) : 0)) >> shift_;
  }

 private:
  int64_t multiplier_ = 0;
  int shift_ = 0;
};

// The table at |x| with `bits` bits between entries, in Q0.(16 + bits).
int64_t interpolated(const std::array<uint32_t, 256>& table, int64_t x, int bits, int64_t last) {
  const int64_t size = x < 0 ? -x : x;
  const int64_t at = size >> bits;
  if (at >= 255) return last;
  const auto i = static_cast<size_t>(at);
  const int64_t rest = size & ((1 << bits) - 1);
  return (int64_t{table[i]} << bits) + rest * (int64_t{table[i + 1]} - int64_t{table[i]});
}

int16_t sigmoid(const std::array<uint32_t, 256>& table, int64_t x) {
  const int64_t y = interpolated(table, x, 9, 0x7FFF << 10);
  const int64_t signed_y = x >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1;
  return static_cast<int16_t>(signed_y >> 10);
}

int16_t tanh(const std::array<uint32_t, 256>& table, int64_t x) {
  const int64_t y = interpolated(table, x, 8, 0xFFFF << 8);
  const int64_t signed_y = x >= 0 ? y - (1 << 23) + (1 << 7) : -y + (1 << 23) + (1 << 7) - 1;
  return static_cast<int16_t>(signed_y >> 8);
}

template <typename F>
void by_table(ConstTensorView in, TensorView out, F f) {
  const std::array<uint32_t, 256> table = sigmoid_table();
  const InputScale scaled(int8::scale_of(*in.type));
  const auto* x = in.as<int16_t>();
  auto* y = out.as<int16_t>();
  const int64_t n = in.size();
  for (int64_t i = 0; i < n; ++i) y[i] = f(table, scaled(x[i]));
}

}  // namespace

void sigmoid_i16(ConstTensorView in, TensorView out) { by_table(in, out, sigmoid); }
void tanh_i16(ConstTensorView in, TensorView out) { by_table(in, out, tanh); }

// The ratio of scales is a float quotient.
void relu_i16(ConstTensorView in, TensorView out) {
  const int8::Multiplier m =
      int8::quantize_multiplier(double{int8::scale_of(*in.type) / int8::scale_of(*out.type)});
  const int16::Range range{.min = 0};
  const auto* x = in.as<int16_t>();
  auto* y = out.as<int16_t>();
  const int64_t n = in.size();
  for (int64_t i = 0; i < n; ++i) y[i] = range(int8::scale_twice_rounded(x[i], m));
}

}  // namespace ew::ops
