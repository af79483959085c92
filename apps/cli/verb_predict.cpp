// edgewise predict, edgewise evaluate
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "common.h"
#include "report.h"
#include "stream.h"
#include "verbs.h"

namespace ew::cli {
namespace {

struct PredictOptions {
  Common common;
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::string engine = "fast";
  StreamFlags stream;
};

int predict(const PredictOptions& o) {
  if (o.engine != "fast" && o.engine != "reference") {
    return fail({ErrorCode::kInvalidArgument,
                 "--engine: expected fast or reference, found '" + o.engine + "'"});
  }
  std::vector<Array> inputs;
  for (const std::string& path : o.inputs) {
    Result<Array> array = load_npy(path);
    if (!array.ok()) return fail(array.error());
    inputs.push_back(std::move(*array));
  }
  const Result<Model> model =
      load(o.model, o.common, o.stream.stream ? std::vector<Array>() : inputs);
  if (!model.ok()) return fail(model.error());
  if (o.stream.stream) {
    if (inputs.size() == 1) {
      return predict_stream(*model, o.stream, o.common, inputs[0], o.outputs);
    }
    return fail({ErrorCode::kInvalidArgument,
                 "--stream: expected one --input, found " + std::to_string(inputs.size())});
  }
  const Result<std::vector<Array>> outputs = model->predict(
      inputs, o.engine == "fast" ? Engine::kFast : Engine::kReference, o.common.threads);
  if (!outputs.ok()) return fail(outputs.error());
  if (outputs->size() != o.outputs.size()) {
    return fail({ErrorCode::kInvalidArgument,
                 "--output: the model has " + std::to_string(outputs->size()) + " outputs, found " +
                     std::to_string(o.outputs.size()) + " file names"});
  }
  for (size_t i = 0; i < outputs->size(); ++i) {
    if (const auto saved = save_npy((*outputs)[i], o.outputs[i]); !saved.ok()) {
      return fail(saved.error());
    }
  }
  if (o.common.json) std::puts(outputs_json(o.outputs, *outputs).c_str());
  return 0;
}

struct EvaluateOptions {
  Common common;
  std::string model;
  std::string data;
  std::string metrics;
  std::string loss;
  std::string part = "test";
  std::string scale = "1";
  int64_t batch_size = 32;
  double validation_split = 0.1;
};

Result<Figures> evaluate(const EvaluateOptions& o, int64_t& samples) {
  Result<Model> model = load(o.model, o.common);
  if (!model.ok()) return model.error();
  if (!o.metrics.empty() || !o.loss.empty() || !model->is_compiled()) {
    CompileOptions compile;
    compile.loss = o.loss;
    compile.metrics = split_calls(o.metrics);
    if (const auto done = model->compile(compile); !done.ok()) return done.error();
  }
  const Result<double> scale = parse_ratio(o.scale);
  if (!scale.ok()) return scale.error();
  const Result<Data> data =
      Data::open(o.data, {.seed = o.common.seed, .validation_split = o.validation_split});
  if (!data.ok()) return data.error();
  if (*scale != 1) {
    if (const auto done = model->add_rescaling(*scale); !done.ok()) return done.error();
  }
  const Model::Part part = o.part == "train"        ? Model::Part::kTrain
                           : o.part == "validation" ? Model::Part::kValidation
                                                    : Model::Part::kTest;
  samples = o.part == "train"        ? data->train_size()
            : o.part == "validation" ? data->validation_size()
                                     : data->test_size();
  return model->evaluate(*data, part, o.batch_size, o.common.threads);
}

int run_evaluate(const EvaluateOptions& o) {
  int64_t samples = 0;
  const Result<Figures> figures = evaluate(o, samples);
  if (!figures.ok()) return fail(figures.error());
  std::puts(o.common.json ? figures_json(*figures, samples).c_str()
                          : figures_text(*figures).c_str());
  return 0;
}

}  // namespace

void add_predict(CLI::App& app, int& exit_code) {
  CLI::App* verb =
      app.add_subcommand("predict",
                         "Run a model on arrays\n"
                         "Example: edgewise predict model.h5 --input x.npy --output y.npy");
  auto o = std::make_shared<PredictOptions>();
  verb->add_option("MODEL", o->model, "Model file")->required();
  verb->add_option("--input", o->inputs, "One .npy per input, in the model's order")->required();
  verb->add_option("--output", o->outputs, "One .npy per output")->required();
  verb->add_option("--engine", o->engine, "fast (CPU kernels) or reference");
  add_stream_flags(*verb, o->stream);
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = predict(*o); });
}

void add_evaluate(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand(
      "evaluate",
      "Measure loss and metrics on a data set\n"
      "Example: edgewise evaluate model.h5 --data digits.npz --metrics accuracy");
  auto o = std::make_shared<EvaluateOptions>();
  verb->add_option("MODEL", o->model, "Model file")->required();
  verb->add_option("--data", o->data, "Data set (docs/guide/data.md)")->required();
  verb->add_option("--metrics", o->metrics, "Metrics by Keras name or call, comma-separated");
  verb->add_option("--loss", o->loss, "Loss, instead of the compiled one");
  verb->add_option("--part", o->part, "train, validation or test")
      ->check(CLI::IsMember({"train", "validation", "test"}));
  verb->add_option("--scale", o->scale, "Factor for the inputs, such as 1/255");
  verb->add_option("--batch-size", o->batch_size, "Rows at a time")->check(CLI::PositiveNumber);
  verb->add_option("--validation-split", o->validation_split, "Share of train, in [0, 1)");
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = run_evaluate(*o); });
}

}  // namespace ew::cli
