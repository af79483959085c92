// Models and data.
#include <string>

#include "module.h"

namespace ew::python {
namespace {

using Use = SharedModel::Use;

/// Runs `work` without the interpreter lock and unwraps its result.
template <typename Work>
auto released(Work&& work) {
  auto result = [&] {
    const py::gil_scoped_release unlocked;
    return work();
  }();
  return std::move(result).value();
}

void compile(SharedModel& shared, const CompileOptions& options) {
  const Use model(shared, Use::kChange);
  model->compile(options).value();
}

History fit(SharedModel& shared, const Data& data, const FitOptions& options,
            const py::object& on_step, const py::object& on_epoch_end) {
  const Use model(shared, Use::kChange);
  Callbacks callbacks;
  const FitOptions with = with_callbacks(options, callbacks, on_step, on_epoch_end);
  Result<History> history = [&] {
    const py::gil_scoped_release unlocked;
    return model->fit(data, with);
  }();
  callbacks.finish();
  return std::move(history).value();
}

Figures evaluate(SharedModel& shared, const Data& data, const std::string& part, int64_t batch_size,
                 int threads) {
  const Use model(shared, Use::kRead);
  const Model::Part which = part == "train"        ? Model::Part::kTrain
                            : part == "validation" ? Model::Part::kValidation
                                                   : Model::Part::kTest;
  return released([&] { return model->evaluate(data, which, batch_size, threads); });
}

std::vector<Array> predict(SharedModel& shared, const std::vector<Array>& inputs, bool is_reference,
                           int threads) {
  const Use model(shared, Use::kRead);
  const Engine engine = is_reference ? Engine::kReference : Engine::kFast;
  return released([&] { return model->predict(inputs, engine, threads); });
}

std::vector<std::string> save_model(SharedModel& shared, const std::string& path,
                                    const std::string& keras_version, bool include_optimizer) {
  const Use model(shared, Use::kRead);
  SaveOptions options{.include_optimizer = include_optimizer};
  if (keras_version == "2") options.keras_version = KerasVersion::kKeras2;
  if (keras_version == "3") options.keras_version = KerasVersion::kKeras3;
  return released([&] { return save(*model, path, options); });
}

SharedModel load(const std::string& path, const std::string& architecture,
                 const std::string& int8_profile) {
  const LoadOptions options{.architecture = architecture, .int8_profile = int8_profile};
  return SharedModel(released([&] { return load_model(path, options); }));
}

/// A method of Model that only reads.
template <typename T>
auto reader(T (Model::*method)() const) {
  return [method](SharedModel& shared) {
    const Use model(shared, Use::kRead);
    return ((*model).*method)();
  };
}

void bind_options(py::module_& module) {
  py::class_<CompileOptions>(module, "CompileOptions")
      .def(py::init<>())
      .def_property(
          "optimizer", [](const CompileOptions& o) { return o.optimizer.call; },
          [](CompileOptions& o, std::string call) { o.optimizer.call = std::move(call); })
      .def_readwrite("is_fresh", &CompileOptions::is_fresh)
      .def_readwrite("learning_rate", &CompileOptions::learning_rate)
      .def_readwrite("losses", &CompileOptions::losses)
      .def_readwrite("metrics", &CompileOptions::metrics)
      .def_readwrite("loss_weights", &CompileOptions::loss_weights);
  py::class_<FitOptions>(module, "FitOptions")
      .def(py::init<>())
      .def_readwrite("epochs", &FitOptions::epochs)
      .def_readwrite("batch_size", &FitOptions::batch_size)
      .def_readwrite("max_steps", &FitOptions::max_steps)
      .def_readwrite("shuffle", &FitOptions::shuffle)
      .def_readwrite("seed", &FitOptions::seed)
      .def_readwrite("log_steps", &FitOptions::log_steps)
      .def_readwrite("class_weight", &FitOptions::class_weight)
      .def_readwrite("augment", &FitOptions::augment)
      .def_readwrite("callbacks", &FitOptions::callbacks)
      .def_readwrite("checkpoint", &FitOptions::checkpoint)
      .def_readwrite("resume", &FitOptions::resume)
      .def_readwrite("csv_log", &FitOptions::csv_log)
      .def_readwrite("threads", &FitOptions::threads);
  py::class_<StepFigures>(module, "StepFigures")
      .def_readonly("step", &StepFigures::step)
      .def_readonly("loss", &StepFigures::loss)
      .def_readonly("learning_rate", &StepFigures::learning_rate);
  py::class_<History>(module, "History")
      .def_readonly("epochs", &History::epochs)
      .def_readonly("first_epoch", &History::first_epoch)
      .def_readonly("steps", &History::steps)
      .def_readonly("notes", &History::notes);
}

void bind_data(py::module_& module) {
  py::class_<Data>(module, "Data")
      .def_static("open",
                  [](const std::string& spec, uint64_t seed, double validation_split) {
                    return released([&] {
                      return Data::open(spec, {.seed = seed, .validation_split = validation_split});
                    });
                  })
      .def_static("from_arrays",
                  [](const std::vector<Array>& x, const std::vector<Array>& y,
                     const std::optional<Array>& weights, double validation_split) {
                    return released([&] {
                      return Data::from_arrays(x, y, weights.value_or(Array{}), validation_split);
                    });
                  })
      .def("with_validation",
           [](const Data& data, const std::vector<Array>& x, const std::vector<Array>& y,
              const std::optional<Array>& weights) {
             return released([&] { return data.with_validation(x, y, weights.value_or(Array{})); });
           })
      .def("with_test",
           [](const Data& data, const std::vector<Array>& x, const std::vector<Array>& y) {
             return released([&] { return data.with_test(x, y); });
           })
      .def_property_readonly("train_size", &Data::train_size)
      .def_property_readonly("validation_size", &Data::validation_size)
      .def_property_readonly("test_size", &Data::test_size)
      .def_property_readonly("class_names", &Data::class_names);
}

}  // namespace

void bind_models(py::module_& module) {
  bind_options(module);
  bind_data(module);
  py::class_<Port>(module, "Port")
      .def_readonly("name", &Port::name)
      .def_readonly("shape", &Port::shape);
  py::class_<SharedModel>(module, "Model")
      .def("compile", &compile)
      .def("fit", &fit)
      .def("evaluate", &evaluate)
      .def("predict", &predict)
      .def("save", &save_model)
      .def("add_rescaling",
           [](SharedModel& shared, double factor) {
             Use(shared, Use::kChange)->add_rescaling(factor).value();
           })
      .def("summary", [](SharedModel& shared,
                         bool stages) { return Use(shared, Use::kRead)->summary(stages); })
      .def("summary_json", reader(&Model::summary_json))
      .def("is_compiled", reader(&Model::is_compiled))
      .def("inputs", reader(&Model::inputs))
      .def("outputs", reader(&Model::outputs))
      .def("parameter_count", reader(&Model::parameter_count))
      .def("trainable_count", reader(&Model::trainable_count))
      .def("macs", reader(&Model::macs));
  module.def("load_model", &load);
}

}  // namespace ew::python
