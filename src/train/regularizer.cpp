#include "train/regularizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "train/arguments.h"
#include "train/keras_object.h"

namespace ew::train {
namespace {

class L1L2 : public Regularizer {
 public:
  L1L2(double l1, double l2) : l1_(static_cast<float>(l1)), l2_(static_cast<float>(l2)) {}
  double evaluate(const float* value, const Shape& shape, float* gradient) const override {
    const int64_t count = shape.num_elements();
    double absolute = 0;
    double square = 0;
    for (int64_t i = 0; i < count; ++i) {
      const float x = value[i];
      absolute += std::abs(static_cast<double>(x));
      square += static_cast<double>(x) * static_cast<double>(x);
      if (gradient) {
        gradient[i] += l1_ * static_cast<float>((x > 0) - (x < 0)) + 2.0f * l2_ * x;
      }
    }
    return static_cast<double>(l1_) * absolute + static_cast<double>(l2_) * square;
  }

 private:
  float l1_, l2_;
};

/// factor * mean |cosine| over all pairs of rows (or columns).
class Orthogonal : public Regularizer {
 public:
  Orthogonal(double factor, bool by_rows) : factor_(factor), by_rows_(by_rows) {}

  Status check(const Shape& shape) const override {
    if (shape.rank() == 2) return {};
    return invalid_argument("OrthogonalRegularizer: needs a matrix, found shape ", shape);
  }

  double evaluate(const float* value, const Shape& shape, float* gradient) const override {
    const int64_t vectors = by_rows_ ? shape[0] : shape[1];
    const int64_t length = by_rows_ ? shape[1] : shape[0];
    const auto at = [&](int64_t v, int64_t i) {
      return by_rows_ ? v * length + i : i * vectors + v;
    };
    const double pairs = static_cast<double>(vectors) * static_cast<double>(vectors - 1) / 2;
    if (pairs == 0) return 0;
    std::vector<double> inverse(static_cast<size_t>(vectors));
    for (int64_t v = 0; v < vectors; ++v) {
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) sum += square(value[at(v, i)]);
      inverse[static_cast<size_t>(v)] = 1 / std::max(std::sqrt(sum), 1e-7);
    }
    double total = 0;
    for (int64_t a = 0; a < vectors; ++a) {
      for (int64_t b = 0; b < a; ++b) {
        const double ia = inverse[static_cast<size_t>(a)];
        const double ib = inverse[static_cast<size_t>(b)];
        double cosine = 0;
        for (int64_t i = 0; i < length; ++i) {
          cosine += static_cast<double>(value[at(a, i)]) * static_cast<double>(value[at(b, i)]);
        }
        cosine *= ia * ib;
        total += std::abs(cosine);
        if (!gradient) continue;
        // d cos / d a = (b / |b| - cos * a / |a|) / |a|, and the same for b.
        const double slope = factor_ / pairs * ((cosine > 0) - (cosine < 0));
        for (int64_t i = 0; i < length; ++i) {
          const double xa = value[at(a, i)] * ia;
          const double xb = value[at(b, i)] * ib;
          gradient[at(a, i)] += static_cast<float>(slope * (xb - cosine * xa) * ia);
          gradient[at(b, i)] += static_cast<float>(slope * (xa - cosine * xb) * ib);
        }
      }
    }
    return factor_ * total / pairs;
  }

 private:
  static double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }
  double factor_;
  bool by_rows_;
};

using RegularizerPtr = std::unique_ptr<Regularizer>;

/// The arguments with Keras' defaults where they are missing or None.
Config with_defaults(const Config& config, const Config& defaults) {
  Config out = defaults;
  for (const auto& [key, value] : config.as_map()) {
    if (out.has(key) && !value.is_null()) out.set(key, value);
  }
  return out;
}

Result<RegularizerPtr> make_l1l2(const Config& config, double l1, double l2) {
  const Config arguments = with_defaults(config, Config::Map{{"l1", l1}, {"l2", l2}});
  ArgumentReader in(arguments);
  in.check_range("l1", 0, std::numeric_limits<double>::max());
  in.check_range("l2", 0, std::numeric_limits<double>::max());
  EW_TRY_VOID(in.status());
  return RegularizerPtr(std::make_unique<L1L2>(in.real("l1"), in.real("l2")));
}

Result<RegularizerPtr> make_orthogonal(const Config& config) {
  const Config arguments = with_defaults(config, Config::Map{{"factor", 0.01}, {"mode", "rows"}});
  ArgumentReader in(arguments);
  const double factor = in.real("factor");
  const std::string mode = in.word("mode");
  EW_TRY_VOID(in.status());
  if (mode != "rows" && mode != "columns") {
    return invalid_argument("mode must be 'rows' or 'columns', found '", mode, "'");
  }
  return RegularizerPtr(std::make_unique<Orthogonal>(factor, mode == "rows"));
}

Result<RegularizerPtr> make(const KerasObject& object) {
  const std::string key = fold_name(object.name);
  Config config = object.config;
  // L1(l1=...) has no l2, and the other way round; Keras 2 writes the unused one too.
  if (key == "l1") {
    config.erase("l2");
    return make_l1l2(config, 0.01, 0);
  }
  if (key == "l2") {
    config.erase("l1");
    return make_l1l2(config, 0, 0.01);
  }
  if (key == "l1l2") return make_l1l2(config, 0, 0);
  if (key == "orthogonalregularizer") return make_orthogonal(config);
  const std::string known[] = {"L1", "L2", "L1L2", "OrthogonalRegularizer"};
  return unknown_name("regularizer", object.name, known);
}

}  // namespace

Status Regularizer::check(const Shape&) const { return {}; }

Result<RegularizerPtr> make_regularizer(const Config& config) {
  if (config.is_null()) return RegularizerPtr();
  EW_TRY(const KerasObject object, read_keras_object(config, "regularizer"));
  return make(object);
}

}  // namespace ew::train
