#include "train/optimizer.h"

#include <algorithm>
#include <vector>

#include "train/keras_object.h"
#include "train/optimizer_impl.h"

namespace ew::train {
namespace {

Result<Clipping> read_clipping(const Config& arguments, ir::KerasGeneration generation) {
  constexpr std::pair<const char*, Clipping::Kind> kKinds[] = {
      {"clipnorm", Clipping::kNorm},
      {"global_clipnorm", Clipping::kGlobalNorm},
      {"clipvalue", Clipping::kValue}};
  Clipping out;
  int count = 0;
  for (const auto& [key, kind] : kKinds) {
    if (arguments[key].is_null()) continue;
    EW_TRY(const double limit, arguments.get_double(key, 0));
    const bool counts = generation == ir::KerasGeneration::kKeras3 || kind != Clipping::kValue;
    if (counts && ++count > 1) {
      return invalid_argument("only one of clipnorm, clipvalue and global_clipnorm can be set");
    }
    // Keras takes the first that is positive and ignores the others.
    if (limit > 0 && out.kind == Clipping::kNone) out = {kind, static_cast<float>(limit)};
  }
  return out;
}

}  // namespace

SlotBuffer::SlotBuffer(SlotDef slot, std::vector<Shape> parameter_shapes)
    : def(slot), shapes(std::move(parameter_shapes)) {
  int64_t total = 0;
  for (const Shape& shape : shapes) {
    offsets.push_back(total);
    total += shape.num_elements();
  }
  data.assign(static_cast<size_t>(total), def.initial);
}

std::vector<SlotBuffer*> Optimizer::Impl::buffers() {
  std::vector<SlotBuffer*> out;
  for (SlotBuffer& slot : slots) out.push_back(&slot);
  if (average) out.push_back(average.get());
  if (gathered) out.push_back(gathered.get());
  return out;
}

Status Optimizer::Impl::read_shared_arguments() {
  EW_TRY(clipping, read_clipping(arguments, generation));
  ArgumentReader in(arguments);
  has_weight_decay = !arguments["weight_decay"].is_null();
  weight_decay = in.number("weight_decay");
  loss_scale = in.number("loss_scale_factor");
  decay = in.real("decay");
  use_ema = in.flag("use_ema");
  ema_momentum = in.real("ema_momentum");
  if (use_ema) in.check_range("ema_momentum", 0, 1);
  EW_TRY_VOID(in.status());
  EW_TRY(ema_overwrite_frequency, arguments.get_int("ema_overwrite_frequency", 0));
  if (ema_overwrite_frequency < 0) {
    return invalid_argument("ema_overwrite_frequency must be >= 1 or None");
  }
  EW_TRY(accumulation_steps, arguments.get_int("gradient_accumulation_steps", 0));
  if (accumulation_steps == 1 || accumulation_steps < 0) {
    return invalid_argument("gradient_accumulation_steps must be >= 2, found ", accumulation_steps);
  }
  return {};
}

Optimizer::Optimizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Optimizer::~Optimizer() = default;

Result<std::unique_ptr<Optimizer>> Optimizer::create(const Config& config,
                                                     ir::KerasGeneration generation) {
  EW_TRY(const KerasObject object, read_keras_object(config, "optimizer"));
  auto impl = std::make_unique<Impl>();
  impl->generation = generation;
  EW_TRY(impl->type, find_optimizer_class(object.name));
  impl->arguments = complete_arguments(*impl->type, object.config, generation);
  const auto build_parts = [&]() -> Status {
    EW_TRY(impl->schedule, make_schedule(impl->arguments["learning_rate"]));
    EW_TRY(impl->rule, impl->type->make(impl->arguments, generation));
    return impl->read_shared_arguments();
  };
  const Status status = build_parts();
  if (!status.ok()) return at(impl->type->name, status.error());
  return std::unique_ptr<Optimizer>(new Optimizer(std::move(impl)));
}

Status Optimizer::build(std::span<const ParameterSpec> parameters) {
  Impl& s = *impl_;
  std::vector<Shape> shapes;
  std::vector<int64_t> sizes;
  int64_t total = 0;
  for (const ParameterSpec& p : parameters) {
    if (!p.shape.is_static()) return invalid_argument(p.name, ": shape ", p.shape, " is not known");
    shapes.push_back(p.shape);
    sizes.push_back(p.shape.num_elements());
    total += sizes.back();
  }
  s.shapes = std::move(shapes);
  s.sizes = std::move(sizes);
  s.slots.clear();
  for (const SlotDef& def : s.rule->slots()) {
    std::vector<Shape> slot_shapes;
    for (const Shape& shape : s.shapes) {
      slot_shapes.push_back(s.rule->slot_shape(s.slots.size(), shape));
    }
    s.slots.emplace_back(def, std::move(slot_shapes));
  }
  s.average.reset();
  s.gathered.reset();
  if (s.use_ema) s.average = std::make_unique<SlotBuffer>(SlotDef{"average"}, s.shapes);
  if (s.accumulation_steps > 0) {
    s.gathered = std::make_unique<SlotBuffer>(SlotDef{"gradient_accumulator"}, s.shapes);
  }
  s.is_average_started = false;
  s.iterations = 0;
  if (s.rule->schedule_product()) *s.rule->schedule_product() = 1;
  s.scratch.assign(s.needs_scratch() ? static_cast<size_t>(total) : 0, 0.0f);
  return {};
}

void Optimizer::apply(std::span<const ParameterUpdate> parameters, ThreadPool* pool) {
  Impl& s = *impl_;
  EW_DCHECK(parameters.size() == s.sizes.size());
  s.updates.assign(parameters.begin(), parameters.end());
  if (s.average && s.is_keras2() && !s.is_average_started) {
    float* to = s.average->data.data();
    for (const ParameterUpdate& u : s.updates) to = std::copy_n(u.value, u.size, to);
  }
  s.is_average_started = true;
  if (s.needs_scratch()) s.copy_gradients();
  if (s.accumulate()) {
    const float rate = static_cast<float>(learning_rate_now());
    s.clip();
    s.decay_weights(rate);
    s.update(rate, pool);
  }
  if (s.average) {
    s.update_average();
    const int64_t every = s.ema_overwrite_frequency;
    if (every > 0 && (s.updates_done() + 1) % every == 0) s.overwrite_with_average();
  }
  ++s.iterations;
}

void Optimizer::finalize(std::span<const ParameterUpdate> parameters) {
  if (!impl_->average || !impl_->is_average_started) return;
  impl_->updates.assign(parameters.begin(), parameters.end());
  impl_->overwrite_with_average();
}

int64_t Optimizer::iterations() const { return impl_->iterations; }
void Optimizer::set_iterations(int64_t iterations) { impl_->iterations = iterations; }

double Optimizer::learning_rate_now() const {
  const double rate = impl_->schedule->rate(impl_->iterations);
  if (impl_->decay == 0) return rate;
  const float slowed =
      1.0f + static_cast<float>(impl_->decay) * static_cast<float>(impl_->iterations);
  return static_cast<float>(rate) / slowed;
}

Status Optimizer::set_learning_rate(double rate) {
  if (has_schedule()) {
    return invalid_argument("the learning rate is a schedule, so it cannot be set");
  }
  impl_->arguments.set("learning_rate", rate);
  EW_TRY(impl_->schedule, make_schedule(Config(rate)));
  return {};
}

bool Optimizer::has_schedule() const { return !impl_->schedule->is_constant(); }

std::map<std::string, ir::Tensor> Optimizer::slots() const {
  std::map<std::string, ir::Tensor> out;
  for (const SlotBuffer* slot : impl_->buffers()) {
    for (size_t i = 0; i < slot->shapes.size(); ++i) {
      const auto size = static_cast<size_t>(slot->shapes[i].num_elements());
      out[slot->key(i)] =
          ir::Tensor::from(std::span<const float>(slot->at(i), size), slot->shapes[i]);
    }
  }
  if (const float* product = impl_->rule->schedule_product()) {
    out["schedule_product"] = ir::Tensor::scalar(*product);
  }
  return out;
}

Status Optimizer::restore_slots(const std::map<std::string, ir::Tensor>& slots) {
  Impl& s = *impl_;
  Status status;
  // A product that is missing (Keras 2 does not store Nadam's) starts at 1; other slots must exist.
  const auto check = [&](const std::string& key, const Shape& shape) {
    const auto found = slots.find(key);
    if (found == slots.end()) {
      status = invalid_data("optimizer slot ", key, " is missing");
    } else if (found->second.shape() != shape || !is_floating(found->second.dtype())) {
      status = invalid_data("optimizer slot ", key, ": expected float", shape, ", found ",
                            found->second.type());
    }
  };
  for (const SlotBuffer* slot : s.buffers()) {
    for (size_t i = 0; i < slot->shapes.size() && status.ok(); ++i) {
      check(slot->key(i), slot->shapes[i]);
    }
  }
  const auto product = slots.find("schedule_product");
  const bool has_product = s.rule->schedule_product() && product != slots.end();
  if (has_product && status.ok()) check(product->first, Shape{});
  EW_TRY_VOID(status);
  for (SlotBuffer* slot : s.buffers()) {
    for (size_t i = 0; i < slot->shapes.size(); ++i) {
      const ir::Tensor value = slots.at(slot->key(i)).cast(DType::kF32);
      std::copy_n(value.values<float>().data(), value.size(), slot->at(i));
    }
  }
  if (has_product) {
    *s.rule->schedule_product() = product->second.cast(DType::kF32).values<float>()[0];
  }
  s.is_average_started = true;
  return {};
}

Config Optimizer::config() const {
  Config arguments = impl_->arguments;
  const Config& rate = arguments["learning_rate"];
  if (rate.is_number()) {
    // Keras writes what its float32 variable holds.
    arguments.set("learning_rate", static_cast<double>(static_cast<float>(rate.as_double())));
  }
  if (impl_->is_keras2()) {
    arguments.set("jit_compile", false);
    arguments.set("is_legacy_optimizer", false);
  }
  return keras_object(impl_->type->name, std::move(arguments));
}

}  // namespace ew::train
