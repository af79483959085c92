#include "train/loss.h"

#include <algorithm>
#include <limits>

#include "train/keras_object.h"
#include "train/row_function.h"

namespace ew::train {
namespace {

constexpr std::pair<const char*, Reduction> kReductions[] = {
    {"sum_over_batch_size", Reduction::kSumOverBatchSize},
    {"sum", Reduction::kSum},
    {"none", Reduction::kNone},
    {"mean_with_sample_weight", Reduction::kMeanWithSampleWeight},
    {"mean", Reduction::kSumOverBatchSize},
    {"auto", Reduction::kSumOverBatchSize},
};

Result<Reduction> read_reduction(const Config& config) {
  // None is a reduction of its own; only a missing entry means the default.
  const Config* value = config.find("reduction");
  if (!value) return Reduction::kSumOverBatchSize;
  if (value->is_null()) return Reduction::kNone;
  std::vector<std::string> known;
  for (const auto& [name, reduction] : kReductions) {
    if (fold_name(value->as_string()) == fold_name(name)) return reduction;
    known.emplace_back(name);
  }
  return unknown_name("reduction", value->as_string(), known);
}

const char* reduction_name(Reduction reduction) {
  for (const auto& [name, value] : kReductions) {
    if (value == reduction) return name;
  }
  return "sum_over_batch_size";
}

}  // namespace

struct Loss::Impl {
  Impl(const LossClass& loss, std::unique_ptr<RowFunction> row_function)
      : type(loss), function(std::move(row_function)), reader(*function) {}

  const LossClass& type;
  std::string name;
  Config arguments;
  Reduction reduction = Reduction::kSumOverBatchSize;
  std::unique_ptr<RowFunction> function;
  RowReader reader;
  std::vector<float> scale;  // of every row
  std::vector<float> mask;

  bool is_mean() const { return reduction == Reduction::kSumOverBatchSize; }
  Result<double> run(const LossInput& input, float* gradient, std::vector<float>* values);
  Status weigh(const LossInput& input);
  Status apply_mask(const LossInput& input);
  Status weigh_whole_batch(const LossInput& input);
};

/// Fills `scale` with sample weight times mask.
Status Loss::Impl::weigh(const LossInput& input) {
  scale.assign(static_cast<size_t>(reader.rows()), 1.0f);
  if (reader.values_shape().rank() == 0) return weigh_whole_batch(input);
  if (input.sample_weight) {
    EW_TRY_VOID(multiply_weights(input.sample_weight, reader.values_shape(), scale.data()));
  }
  return apply_mask(input);
}

/// A loss without rows (Dice) is repeated for every weight, and the repetitions are reduced.
Status Loss::Impl::weigh_whole_batch(const LossInput& input) {
  if (!input.sample_weight) return {};
  const int64_t count = input.sample_weight.size();
  std::vector<float> weights(static_cast<size_t>(count), 1.0f);
  EW_TRY_VOID(multiply_weights(input.sample_weight, input.sample_weight.shape(), weights.data()));
  double sum = 0;
  for (const float w : weights) sum += static_cast<double>(w);
  const bool is_sum = reduction == Reduction::kSum || reduction == Reduction::kNone;
  scale[0] =
      static_cast<float>(is_sum ? sum : sum / static_cast<double>(std::max<int64_t>(count, 1)));
  return {};
}

Status Loss::Impl::apply_mask(const LossInput& input) {
  mask.assign(scale.size(), 1.0f);
  if (input.mask) {
    EW_TRY_VOID(multiply_weights(input.mask, reader.values_shape(), mask.data()));
  }
  bool has_ignored = false;
  int64_t valid = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (reader.is_ignored(static_cast<int64_t>(i))) {
      mask[i] = 0;
      has_ignored = true;
    }
    mask[i] = mask[i] != 0 ? 1.0f : 0.0f;
    valid += mask[i] != 0;
  }
  if (!input.mask && !has_ignored) return {};
  // A mean over the batch becomes a mean over what the mask leaves.
  const float share =
      is_mean() && valid > 0 ? static_cast<float>(mask.size()) / static_cast<float>(valid) : 1.0f;
  for (size_t i = 0; i < mask.size(); ++i) scale[i] *= mask[i] * share;
  return {};
}

Result<double> Loss::Impl::run(const LossInput& input, float* gradient,
                               std::vector<float>* values) {
  EW_TRY_VOID(reader.bind(input.prediction, input.target));
  EW_TRY_VOID(weigh(input));
  const int64_t rows = reader.rows();
  double divisor = 1;
  if (is_mean()) divisor = static_cast<double>(rows);
  if (reduction == Reduction::kMeanWithSampleWeight) {
    divisor = 0;
    for (const float s : scale) divisor += static_cast<double>(s);
  }
  // Keras divides without NaN: nothing to count is a loss of 0.
  const double factor = divisor == 0 ? 0 : 1 / divisor;
  double sum = 0;
  if (values) values->resize(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r) {
    const float s = scale[static_cast<size_t>(r)];
    double value = 0;
    if (reader.is_ignored(r)) {
      reader.clear_gradient(r, gradient);
    } else {
      const float row_scale = static_cast<float>(static_cast<double>(s) * factor);
      value = static_cast<double>(reader.evaluate(r, row_scale, input.is_logits, gradient) * s);
    }
    if (values) (*values)[static_cast<size_t>(r)] = static_cast<float>(value);
    sum += value;
  }
  return sum * factor;
}

Loss::Loss(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Loss::~Loss() = default;

Result<std::unique_ptr<Loss>> Loss::create(const Config& config) {
  EW_TRY(const KerasObject object, read_keras_object(config, "loss"));
  // Keras 2 writes a wrapped function as {"class_name": "LossFunctionWrapper", "config": {"fn"}}.
  const Config* fn = object.config.find("fn");
  std::string name = object.name;
  if (fn && fold_name(object.name) == "lossfunctionwrapper") {
    EW_TRY(const KerasObject function, read_keras_object(*fn, "loss function"));
    name = function.name;
  }
  EW_TRY(const LossClass* type, find_loss_class(name));
  Config arguments = complete_loss_arguments(*type, object.config);
  auto function = type->make(arguments);
  if (!function.ok()) return at(type->class_name, function.error());
  auto impl = std::make_unique<Impl>(*type, std::move(*function));
  impl->arguments = std::move(arguments);
  EW_TRY(impl->name, object.config.get_string("name", type->name));
  EW_TRY(impl->reduction, read_reduction(object.config));
  return std::unique_ptr<Loss>(new Loss(std::move(impl)));
}

const std::string& Loss::name() const { return impl_->name; }
Reduction Loss::reduction() const { return impl_->reduction; }
void Loss::set_reduction(Reduction reduction) { impl_->reduction = reduction; }
bool Loss::is_sparse() const { return impl_->function->is_sparse(); }
FusedActivation Loss::fused_activation() const { return impl_->function->fused_activation(); }

Status Loss::check(const Shape& prediction, const Shape& target, DType target_dtype) const {
  (void)target_dtype;  // every dtype converts
  const Status status = check_row_shapes(*impl_->function, prediction, target);
  if (!status.ok()) return at(impl_->name, status.error());
  return {};
}

Status Loss::check_weights(const Shape& prediction, const Shape& weights) const {
  EW_TRY(const Shape values, row_values_shape(*impl_->function, prediction));
  std::vector<int64_t> dims = weights.dims();
  while (dims.size() > static_cast<size_t>(values.rank()) && dims.back() == 1) dims.pop_back();
  bool ok = dims.size() <= static_cast<size_t>(values.rank()) || values.rank() == 0;
  for (size_t i = 0; ok && i < dims.size() && values.rank() > 0; ++i) {
    const int64_t expected = values.dims()[i];
    ok = dims[i] == 1 || dims[i] == kUnknown || expected == kUnknown || dims[i] == expected;
  }
  if (ok) return {};
  return invalid_argument(impl_->name, ": weights of shape ", weights,
                          " do not fit losses of shape ", values);
}

Status Loss::check_labels(const ir::ConstTensorView& target, int64_t classes) const {
  if (!is_sparse()) return {};
  std::vector<int64_t> labels(static_cast<size_t>(target.size()));
  convert_elements(target.dtype(), target.data, DType::kI64, labels.data(), target.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    if (impl_->function->ignores(labels[i])) continue;
    if (labels[i] < 0 || labels[i] >= classes) {
      return invalid_argument(impl_->name, ": label ", labels[i], " (number ", i,
                              ") is not one of ", classes, " classes");
    }
  }
  return {};
}

double Loss::evaluate(const LossInput& input, float* gradient) {
  const auto value = impl_->run(input, gradient, nullptr);
  return value.ok() ? *value : std::numeric_limits<double>::quiet_NaN();
}

std::vector<float> Loss::values(const LossInput& input) {
  std::vector<float> out;
  const Reduction reduction = impl_->reduction;
  impl_->reduction = Reduction::kNone;
  const auto value = impl_->run(input, nullptr, &out);
  impl_->reduction = reduction;
  return value.ok() ? out : std::vector<float>();
}

Config Loss::config() const {
  Config arguments = Config::map();
  arguments.set("name", impl_->name);
  arguments.set("reduction", reduction_name(impl_->reduction));
  for (const auto& [key, value] : impl_->arguments.as_map()) arguments.set(key, value);
  return keras_object(impl_->type.class_name, std::move(arguments));
}

}  // namespace ew::train
