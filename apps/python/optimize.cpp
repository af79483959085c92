// optimize() and its report.
#include <memory>

#include "module.h"

namespace ew::python {
namespace {

using Use = SharedModel::Use;

std::pair<std::unique_ptr<SharedModel>, OptimizeReport> run_optimize(SharedModel& shared,
                                                                     const Data& data,
                                                                     const OptimizeOptions& options,
                                                                     const py::object& on_step,
                                                                     const py::object& on_stage) {
  const Use model(shared, Use::kRead);
  Callbacks callbacks;
  OptimizeOptions with = options;
  with.fit = with_callbacks(options.fit, callbacks, on_step, py::none());
  with.on_stage = [&](const std::string& stage) {
    callbacks.poll_signals();
    if (!on_stage.is_none()) callbacks.call([&] { on_stage(stage); });
  };
  Result<Optimized> result = [&] {
    const py::gil_scoped_release unlocked;
    return optimize(*model, data, with);
  }();
  callbacks.finish();
  Optimized optimized = std::move(result).value();
  return {std::make_unique<SharedModel>(std::move(optimized.model)), std::move(optimized.report)};
}

void bind_report(py::module_& module) {
  py::class_<SizeFigures>(module, "SizeFigures")
      .def_readonly("accuracy", &SizeFigures::accuracy)
      .def_readonly("accuracy_low", &SizeFigures::accuracy_low)
      .def_readonly("accuracy_high", &SizeFigures::accuracy_high)
      .def_readonly("bytes", &SizeFigures::bytes)
      .def_readonly("compressed_bytes", &SizeFigures::compressed_bytes)
      .def_readonly("macs", &SizeFigures::macs)
      .def_readonly("zero_fraction", &SizeFigures::zero_fraction);
  py::class_<LayerFigures>(module, "LayerFigures")
      .def_readonly("name", &LayerFigures::name)
      .def_readonly("dtype", &LayerFigures::dtype)
      .def_readonly("parameters", &LayerFigures::parameters)
      .def_readonly("zero_fraction_before", &LayerFigures::zero_fraction_before)
      .def_readonly("zero_fraction_after", &LayerFigures::zero_fraction_after)
      .def_readonly("bytes_before", &LayerFigures::bytes_before)
      .def_readonly("bytes_after", &LayerFigures::bytes_after)
      .def_readonly("macs", &LayerFigures::macs);
  py::class_<OptimizeReport>(module, "OptimizeReport")
      .def_readonly("before", &OptimizeReport::before)
      .def_readonly("after", &OptimizeReport::after)
      .def_readonly("validation_accuracy_before", &OptimizeReport::validation_accuracy_before)
      .def_readonly("validation_accuracy_after", &OptimizeReport::validation_accuracy_after)
      .def_readonly("layers", &OptimizeReport::layers)
      .def_readonly("class_names", &OptimizeReport::class_names)
      .def_readonly("confusion_before", &OptimizeReport::confusion_before)
      .def_readonly("confusion_after", &OptimizeReport::confusion_after)
      .def_readonly("notes", &OptimizeReport::notes)
      .def_readonly("accepted", &OptimizeReport::accepted)
      .def("to_json", &OptimizeReport::to_json)
      .def("__str__", &OptimizeReport::to_text);
}

}  // namespace

void bind_optimize(py::module_& module) {
  bind_report(module);
  py::class_<OptimizeOptions>(module, "OptimizeOptions")
      .def(py::init<>())
      // The int8 profile, or None for float weights.
      .def_property(
          "int8_profile",
          [](const OptimizeOptions& o) {
            return o.quantize.enabled ? std::optional(o.quantize.int8.profile) : std::nullopt;
          },
          [](OptimizeOptions& o, std::optional<std::string> profile) {
            o.quantize = profile ? Quantize(Int8{.profile = *profile}) : Quantize();
          })
      .def_property(
          "sparsity", [](const OptimizeOptions& o) { return o.prune.sparsity; },
          [](OptimizeOptions& o, double sparsity) { o.prune.sparsity = sparsity; })
      .def_readwrite("min_prune", &OptimizeOptions::min_prune)
      .def_readwrite("max_accuracy_drop", &OptimizeOptions::max_accuracy_drop)
      .def_readwrite("fine_tune_epochs", &OptimizeOptions::fine_tune_epochs)
      .def_readwrite("fit", &OptimizeOptions::fit)
      .def_readwrite("calibration_samples", &OptimizeOptions::calibration_samples)
      .def_readwrite("keep_float", &OptimizeOptions::keep_float);
  module.def("optimize", &run_optimize);
}

}  // namespace ew::python
