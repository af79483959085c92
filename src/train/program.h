#pragma once
// A model made ready for one batch size: the executors that Trainer drives.

#include "train/trainer.h"

namespace ew::train {

/// Forward and backward pass for one batch size.
struct Trainer::Program {
  int64_t batch_size = 0;
  TrainingGraph training;  // its graph moves into the executor
  std::unique_ptr<runtime::Executor> executor;
  std::vector<ir::ValueId> parameter_ids;  // k-th parameter of the store

  Status prepare(ParameterStore& parameters, ThreadPool* pool, bool profile);
  void set_step(int64_t step);
  /// Gradients that could not be placed in the store are copied there; absent ones are zero.
  void collect_gradients(ParameterStore& parameters);
  void store_updates(ParameterStore& parameters) const;
};

/// The model as it predicts, for one set of input shapes.
struct Trainer::Inference {
  std::vector<Shape> shapes;
  std::unique_ptr<runtime::Executor> executor;
  std::vector<ir::ValueId> loss_inputs;

  Status prepare(ir::Graph graph, const std::vector<LossSource>& sources,
                 ParameterStore& parameters, ThreadPool* pool);
  void store_updates(ParameterStore& parameters) const;
};

/// Adds this batch's losses to `total` and to the running figures of `heads`; the executor has run
/// forward. Unless `gradients` is empty, fills those values with the losses' derivatives.
Status batch_losses(Heads& heads, runtime::Executor& executor,
                    std::span<const ir::ValueId> loss_inputs, const Split& batch,
                    const Tensor& weights, std::span<const ir::ValueId> gradients, double& total);
/// Copies the values of `updates` into the parameters they name.
void store_graph_updates(const runtime::Executor& executor, ParameterStore& parameters);

}  // namespace ew::train
