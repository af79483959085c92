#pragma once
#include <map>
#include <memory>

#include "edgewise/model.h"
#include "ir/model.h"
#include "train/data/targets.h"
#include "train/heads.h"

namespace ew {

struct Model::Impl {
  ir::Model model;
};

}  // namespace ew

namespace ew::api {

/// The data made to fit a model: input shapes, one-hot or integer targets; checked row by row.
/// `notes` gets what the check wants to tell.
Result<train::Dataset> fit_data(const ir::Model& model, const Data& data, int64_t batch_size,
                                std::vector<std::string>* notes);

/// The graph that predict() and evaluate() run: quantised if the model has a quantisation record.
Result<ir::Graph> inference_graph(const ir::Model& model);
/// The same with nodes fused: what predict, evaluate and Session run.
Result<ir::Graph> executable_graph(const ir::Model& model);

/// A model of the executable graph: what files without a training form take.
Result<ir::Model> deployed_model(const ir::Model& model);

/// A graph with float32 where an input or output is quantised: data and metrics are real.
ir::Graph with_real_ports(ir::Graph graph);

}  // namespace ew::api
