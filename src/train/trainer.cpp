#include "train/trainer.h"

#include <cmath>

#include "train/program.h"

namespace ew::train {

Result<std::unique_ptr<Trainer>> Trainer::create(const ir::Model& model, TrainerOptions options) {
  if (!model.compiled) {
    return invalid_argument("the model is not compiled; give an optimizer and a loss");
  }
  std::unique_ptr<Trainer> t(new Trainer());
  t->model_ = model;
  t->options_ = options;
  if (options.threads > 1) t->pool_ = std::make_unique<ThreadPool>(options.threads);
  EW_TRY(t->parameters_, ParameterStore::create(model.graph));
  EW_TRY(t->heads_, Heads::create(model.graph, *model.compiled));
  EW_TRY(t->optimizer_,
         Optimizer::create(model.compiled->optimizer, model.architecture.generation));

  std::vector<ParameterSpec> specs;
  t->regularizers_.resize(t->parameters_.size());
  t->constraints_.resize(t->parameters_.size());
  for (const size_t k : t->parameters_.trainable()) {
    const ir::Value& value = t->parameters_.description(k);
    specs.push_back({value.name, value.type.shape});
    t->updates_.push_back(
        {t->parameters_.value(k), t->parameters_.gradient(k), t->parameters_.elements(k)});
    EW_TRY(t->regularizers_[k], make_regularizer(value.info->regularizer));
    EW_TRY(t->constraints_[k], make_constraint(value.info->constraint));
    if (t->regularizers_[k]) EW_TRY_VOID(t->regularizers_[k]->check(value.type.shape));
    if (t->constraints_[k]) EW_TRY_VOID(t->constraints_[k]->check(value.type.shape));
    t->has_regularizers_ = t->has_regularizers_ || t->regularizers_[k];
  }
  EW_TRY_VOID(t->optimizer_->build(specs));
  t->optimizer_->set_iterations(model.compiled->iterations);
  if (!model.compiled->slots.empty()) {
    EW_TRY_VOID(t->optimizer_->restore_slots(model.compiled->slots));
  }
  return t;
}

Trainer::~Trainer() = default;

Result<Trainer::Program*> Trainer::program(const Split& batch) {
  for (const auto& p : programs_) {
    if (p->batch_size == batch.size()) return p.get();
  }
  std::vector<Shape> shapes;
  for (const Tensor& x : batch.x) shapes.push_back(x.shape());
  EW_TRY(ir::Graph graph, ir::specialize(model_.graph, shapes));
  auto p = std::make_unique<Program>();
  p->batch_size = batch.size();
  EW_TRY(p->training, make_training_graph(graph, heads_.sources(), options_.seed));
  EW_TRY_VOID(p->prepare(parameters_, pool_.get(), options_.profile));
  programs_.push_back(std::move(p));
  return programs_.back().get();
}

double Trainer::add_regularizers(bool with_gradient) {
  double sum = 0;
  if (!has_regularizers_) return sum;
  for (const size_t k : parameters_.trainable()) {
    if (!regularizers_[k]) continue;
    sum += regularizers_[k]->evaluate(parameters_.value(k), parameters_.description(k).type.shape,
                                      with_gradient ? parameters_.gradient(k) : nullptr);
  }
  return sum;
}

void Trainer::update_parameters() {
  optimizer_->apply(updates_, pool_.get());
  for (const size_t k : parameters_.trainable()) {
    if (constraints_[k]) {
      constraints_[k]->apply(parameters_.value(k), parameters_.description(k).type.shape);
    }
  }
}

Result<double> Trainer::step(const Split& batch, const Tensor& weights) {
  EW_TRY(Program* const p, program(batch));
  for (size_t i = 0; i < batch.x.size(); ++i) EW_TRY_VOID(p->executor->set_input(i, batch.x[i]));
  p->set_step(optimizer_->iterations());
  p->executor->run(0, p->training.forward_nodes);
  double total = 0;
  EW_TRY_VOID(batch_losses(heads_, *p->executor, p->training.loss_inputs, batch, weights,
                           p->training.loss_gradients, total));
  p->executor->run(p->training.forward_nodes, p->executor->graph().nodes.size());
  p->collect_gradients(parameters_);
  total += add_regularizers(true);
  heads_.add_total(total, batch.size());
  p->store_updates(parameters_);
  update_parameters();
  return total;
}

Result<double> Trainer::train_on_batch(const Split& batch) {
  EW_TRY(const Tensor weights, batch_weights(batch, {}));
  return step(batch, weights);
}

Result<Tensor> Trainer::batch_weights(const Split& batch,
                                      const std::map<int64_t, double>& class_weight) const {
  if (class_weight.empty()) return batch.weights;
  const Tensor& y = batch.y[0];
  const int64_t n = batch.size();
  const int64_t width = n == 0 ? 1 : y.size() / n;
  Tensor weights(DType::kF32, Shape{n});
  const Tensor labels = y.cast(DType::kF32);
  for (int64_t r = 0; r < n; ++r) {
    const float* row = labels.values<float>().data() + r * width;
    int64_t label = width == 1 ? std::llround(row[0]) : 0;
    for (int64_t k = 1; k < width; ++k) {
      if (row[k] > row[label]) label = k;
    }
    const auto found = class_weight.find(label);
    const double factor = found == class_weight.end() ? 1 : found->second;
    const double own =
        batch.weights.empty()
            ? 1
            : static_cast<double>(batch.weights.values<float>()[static_cast<size_t>(r)]);
    weights.mutable_values<float>()[static_cast<size_t>(r)] = static_cast<float>(factor * own);
  }
  return weights;
}

Status Trainer::run_epoch(int64_t epoch, Batches& batches, const FitOptions& options,
                          History& history, int64_t& steps_left) {
  Split batch;
  heads_.reset();
  for (int64_t done = 0; steps_left != 0; ++done) {
    EW_TRY(const bool more, batches.next(batch));
    if (!more) return {};
    EW_TRY(const Tensor weights, batch_weights(batch, options.class_weight));
    const double rate = optimizer_->learning_rate_now();
    EW_TRY(const double loss, step(batch, weights));
    if (!std::isfinite(loss)) {
      return invalid_data("the loss became ", loss, " at step ", optimizer_->iterations() - 1,
                          " (epoch ", epoch + 1,
                          "); lower the learning rate, clip gradients, or "
                          "check the data");
    }
    if (options.log_steps) {
      history.steps.push_back({static_cast<int64_t>(history.steps.size()), loss, rate});
    }
    if (options.after_update) options.after_update(optimizer_->iterations(), parameters_);
    if (options.on_progress) options.on_progress(epoch, done + 1, batches.steps(), heads_.logs());
    if (steps_left > 0) --steps_left;
    if (options.interrupted != nullptr && options.interrupted->load()) {
      return make_error(ErrorCode::kInterrupted, "interrupted in epoch ", epoch + 1);
    }
  }
  return {};
}

Result<History> Trainer::fit(const SourcePtr& train, const SourcePtr& validation,
                             const FitOptions& options) {
  History history;
  EW_TRY(Batches batches, Batches::create(train, options.batches));
  int64_t steps_left = options.max_steps;
  for (int64_t epoch = options.initial_epoch; epoch < options.epochs && steps_left != 0; ++epoch) {
    batches.begin_epoch(epoch);
    EW_TRY_VOID(run_epoch(epoch, batches, options, history, steps_left));
    Logs logs = heads_.logs();
    if (validation && validation->size() > 0) {
      EW_TRY(const Logs figures, evaluate(*validation, options.batches.batch_size));
      for (const auto& [name, value] : figures) logs.emplace_back("val_" + name, value);
    }
    bool stop = false;
    for (Callback* callback : options.callbacks) {
      EW_TRY_VOID(callback->on_epoch_end(epoch, logs, *this));
      stop = stop || callback->wants_stop();
    }
    history.epochs.push_back({epoch, std::move(logs)});
    if (stop) break;
  }
  optimizer_->finalize(updates_);
  for (Callback* callback : options.callbacks) EW_TRY_VOID(callback->on_train_end(*this));
  return history;
}

Result<Trainer::Inference*> Trainer::inference(std::span<const Shape> shapes) {
  for (const auto& program : inferences_) {
    if (std::equal(shapes.begin(), shapes.end(), program->shapes.begin(), program->shapes.end())) {
      return program.get();
    }
  }
  EW_TRY(ir::Graph graph, ir::specialize(model_.graph, shapes));
  auto program = std::make_unique<Inference>();
  program->shapes.assign(shapes.begin(), shapes.end());
  EW_TRY_VOID(program->prepare(std::move(graph), heads_.sources(), parameters_, pool_.get()));
  inferences_.push_back(std::move(program));
  return inferences_.back().get();
}

Result<Logs> Trainer::evaluate(const DataSource& source, int64_t batch_size) {
  heads_.reset();
  Split batch;
  std::vector<int64_t> rows;
  for (int64_t begin = 0; begin < source.size(); begin += batch_size) {
    rows.clear();
    for (int64_t r = begin; r < std::min(begin + batch_size, source.size()); ++r) rows.push_back(r);
    EW_TRY_VOID(source.read(rows, batch));
    std::vector<Shape> shapes;
    for (const Tensor& x : batch.x) shapes.push_back(x.shape());
    EW_TRY(Inference* const program, inference(shapes));
    for (size_t i = 0; i < batch.x.size(); ++i) {
      EW_TRY_VOID(program->executor->set_input(i, batch.x[i]));
    }
    program->executor->run();
    program->store_updates(parameters_);
    double total = 0;
    EW_TRY_VOID(batch_losses(heads_, *program->executor, program->loss_inputs, batch, batch.weights,
                             {}, total));
    heads_.add_total(total + add_regularizers(false), batch.size());
  }
  Logs logs = heads_.logs();
  heads_.reset();
  return logs;
}

Result<std::vector<Tensor>> Trainer::predict(std::span<const Tensor> inputs, int64_t batch_size) {
  std::vector<Tensor> outputs;
  const int64_t n = inputs.empty() || inputs[0].shape().rank() == 0 ? 0 : inputs[0].shape()[0];
  for (int64_t begin = 0; begin < n; begin += batch_size) {
    const int64_t count = std::min(batch_size, n - begin);
    std::vector<Shape> shapes;
    for (const Tensor& x : inputs) {
      Shape shape = x.shape();
      shape[0] = count;
      shapes.push_back(std::move(shape));
    }
    EW_TRY(Inference* const program, inference(shapes));
    for (size_t i = 0; i < inputs.size(); ++i) {
      EW_TRY_VOID(program->executor->set_input(i, runtime::rows_of(inputs[i], begin, count)));
    }
    program->executor->run();
    program->store_updates(parameters_);
    runtime::append_rows(*program->executor, begin, count, n, outputs);
  }
  return outputs;
}

std::vector<std::pair<std::string, int64_t>> Trainer::profile() const {
  std::vector<std::pair<std::string, int64_t>> rows;
  for (const auto& p : programs_) {
    const std::vector<ir::Node>& nodes = p->executor->graph().nodes;
    for (size_t i = 0; i < p->executor->profile().size(); ++i) {
      rows.emplace_back(str(nodes[i].op->name, "  ", nodes[i].origin), p->executor->profile()[i]);
    }
  }
  return rows;
}

void Trainer::store(ir::Model& model) const {
  parameters_.copy_to(model.graph);
  ir::CompiledState state = *model_.compiled;
  state.optimizer = optimizer_->config();
  state.iterations = optimizer_->iterations();
  state.slots = optimizer_->slots();
  model.compiled = std::move(state);
}

}  // namespace ew::train
