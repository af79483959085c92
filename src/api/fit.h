#pragma once
// Training, measuring and predicting on ir::Model: what Model's methods call.

#include <functional>

#include "api/model_impl.h"
#include "train/parameter_store.h"

namespace ew::api {

/// Trains `model` in place. See Model::fit.
Result<History> fit(ir::Model& model, const Data& data, const FitOptions& options);
/// Trains on a data set that fits already; `after_update` may change parameters after each step.
Result<History> fit(ir::Model& model, const train::Dataset& dataset, const FitOptions& options,
                    std::function<void(int64_t, train::ParameterStore&)> after_update);
Result<Figures> evaluate(const ir::Model& model, const train::DataSource& source,
                         int64_t batch_size, int threads);
Result<std::vector<ir::Tensor>> predict(const ir::Model& model, std::vector<ir::Tensor> inputs,
                                        bool reference_only, int threads);

}  // namespace ew::api
