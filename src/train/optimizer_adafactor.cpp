// Adafactor (Shazeer and Stern, 2018): second moments of matrices kept as row and column means.
#include <algorithm>
#include <cmath>

#include "train/optimizer_rule.h"

namespace ew::train {
namespace {

/// Root mean square, summed in double.
float rms(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return static_cast<float>(std::sqrt(sum / static_cast<double>(std::max<int64_t>(n, 1))));
}

class Adafactor : public UpdateRule {
 public:
  Adafactor(ArgumentReader& in, bool has_relative_step)
      : beta_2_decay_(in.number("beta_2_decay")),
        epsilon_1_(in.number("epsilon_1")),
        epsilon_2_(in.number("epsilon_2")),
        clip_threshold_(in.number("clip_threshold")),
        has_relative_step_(has_relative_step) {}

  std::vector<SlotDef> slots() const override { return {{"row"}, {"column"}, {"velocity"}}; }
  bool is_elementwise() const override { return false; }
  /// row [..., R] and column [..., C] of a parameter [..., R, C]; scalars for vectors, unused.
  Shape slot_shape(size_t slot, const Shape& parameter) const override {
    if (slot == 2) return parameter;
    if (parameter.rank() < 2) return Shape{};
    std::vector<int64_t> dims = parameter.dims();
    dims.erase(slot == 0 ? dims.end() - 1 : dims.end() - 2);
    return Shape(std::move(dims));
  }
  void begin(float rate, int64_t step) override {
    const float t = static_cast<float>(step);
    const float limit = 1.0f / std::sqrt(t);
    rate_ = has_relative_step_ ? std::min(rate, limit) : rate;
    relative_ = std::min(rate_, limit);
    beta_2_ = 1.0f - std::pow(t, beta_2_decay_);
  }
  void update(const Block& b) const override {
    float* velocity = b.slots[2];
    if (b.shape->rank() >= 2) {
      factored_velocity(b);
    } else {
      for (int64_t i = 0; i < b.size; ++i) {
        velocity[i] = blend(velocity[i], b.gradient[i] * b.gradient[i] + epsilon_1_);
      }
    }
    double sum = 0;
    for (int64_t i = 0; i < b.size; ++i) {
      const double step = b.gradient[i] / std::sqrt(velocity[i]);
      sum += step * step;
    }
    const float step_rms =
        static_cast<float>(std::sqrt(sum / static_cast<double>(std::max<int64_t>(b.size, 1))));
    const float alpha = std::max(epsilon_2_, rms(b.value, b.size)) * relative_;
    const float clip = std::max(1.0f, step_rms / clip_threshold_);
    for (int64_t i = 0; i < b.size; ++i) {
      b.value[i] -= alpha * (b.gradient[i] / std::sqrt(velocity[i]) / clip);
    }
  }

 private:
  float blend(float old, float now) const { return beta_2_ * old + (1.0f - beta_2_) * now; }

  void factored_velocity(const Block& b) const {
    const int64_t rows = (*b.shape)[-2];
    const int64_t columns = (*b.shape)[-1];
    const int64_t matrices = rows * columns == 0 ? 0 : b.size / (rows * columns);
    for (int64_t k = 0; k < matrices; ++k) {
      const float* g = b.gradient + k * rows * columns;
      float* row = b.slots[0] + k * rows;
      float* column = b.slots[1] + k * columns;
      float* velocity = b.slots[2] + k * rows * columns;
      double row_sum = 0;
      for (int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (int64_t c = 0; c < columns; ++c) sum += square(g[r * columns + c]);
        row[r] = blend(row[r], static_cast<float>(sum / static_cast<double>(columns)));
        row_sum += row[r];
      }
      for (int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (int64_t r = 0; r < rows; ++r) sum += square(g[r * columns + c]);
        column[c] = blend(column[c], static_cast<float>(sum / static_cast<double>(rows)));
      }
      const float row_mean = static_cast<float>(row_sum / static_cast<double>(rows));
      for (int64_t r = 0; r < rows; ++r) {
        const float share = row[r] / row_mean;
        for (int64_t c = 0; c < columns; ++c) velocity[r * columns + c] = share * column[c];
      }
    }
  }
  double square(float g) const { return static_cast<double>(g * g + epsilon_1_); }

  float beta_2_decay_, epsilon_1_, epsilon_2_, clip_threshold_;
  bool has_relative_step_;
  float rate_ = 0;
  float relative_ = 0;
  float beta_2_ = 0;
};

Config adafactor_defaults(ir::KerasGeneration) {
  return Config::Map{{"beta_2_decay", -0.8},
                     {"epsilon_1", 1e-30},
                     {"epsilon_2", 0.001},
                     {"clip_threshold", 1.0},
                     {"relative_step", true}};
}

Result<std::unique_ptr<UpdateRule>> make_adafactor(const Config& arguments, ir::KerasGeneration) {
  ArgumentReader reader(arguments);
  // A schedule replaces the relative step.
  const bool is_relative = reader.flag("relative_step") && arguments["learning_rate"].is_number();
  auto rule = std::make_unique<Adafactor>(reader, is_relative);
  EW_TRY_VOID(reader.status());
  return std::unique_ptr<UpdateRule>(std::move(rule));
}

}  // namespace

const OptimizerClass kAdafactor{"Adafactor", adafactor_defaults, make_adafactor};

}  // namespace ew::train
