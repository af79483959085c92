// edgewise inspect, edgewise convert
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "common.h"
#include "report.h"
#include "verbs.h"

namespace ew::cli {
namespace {

struct InspectOptions {
  Common common;
  std::string model;
  bool stages = false;
};

int inspect(const InspectOptions& o) {
  const Result<Model> model = load(o.model, o.common);
  if (!model.ok()) return fail(model.error());
  std::puts(o.common.json ? model->summary_json().c_str() : model->summary(o.stages).c_str());
  return 0;
}

struct ConvertOptions {
  Common common;
  std::string in;
  std::string out;
  std::string keras_version = "both";
  std::string target = "native";
  std::string sign_key;
  std::string weights = "float32";
  int64_t group = 0;
  std::string prepend;
  std::string append;
};

int convert(const ConvertOptions& o) {
  const Result<KerasVersion> version = parse_keras_version(o.keras_version);
  if (!version.ok()) return fail(version.error());
  Result<Model> model = load(o.in, o.common);
  if (!model.ok()) return fail(model.error());
  if (!o.prepend.empty()) {
    const Result<void> added = model->prepend(o.prepend);
    if (!added.ok()) return fail(added.error());
  }
  if (!o.append.empty()) {
    const Result<void> added = model->append(o.append);
    if (!added.ok()) return fail(added.error());
  }
  SaveOptions options{.keras_version = *version, .target = o.target, .sign_key = o.sign_key};
  if (o.weights == "fp16") options.weights = DType::kF16;
  if (o.weights == "bf16") options.weights = DType::kBF16;
  options.int4_weights = o.weights == "int4";
  options.int4_group = o.group;
  const auto notes = save(*model, o.out, options);
  if (!notes.ok()) return fail(notes.error());
  for (const std::string& note : *notes) say(o.common, note);
  if (o.common.json) std::puts(saved_json(o.out, *notes).c_str());
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand(
      "inspect",
      "Show a model's layers, shapes, multiply-accumulates, bytes and memory plan\n"
      "Example: edgewise inspect base_model.h5");
  auto o = std::make_shared<InspectOptions>();
  verb->add_option("MODEL", o->model, "Model file (.h5, .keras, .tflite, .onnx, .ew)")->required();
  verb->add_flag("--stages", o->stages, "Print the graph as text after each stage");
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = inspect(*o); });
}

void add_convert(CLI::App& app, int& exit_code) {
  CLI::App* verb =
      app.add_subcommand("convert",
                         "Write a model in another format, by suffix\n"
                         "Example: edgewise convert model.keras model.h5 --keras-version 2");
  auto o = std::make_shared<ConvertOptions>();
  verb->add_option("IN", o->in, "Model to read")->required();
  verb->add_option("OUT", o->out, "File to write (.h5, .keras, .tflite, .onnx, .ew)")->required();
  verb->add_option("--keras-version", o->keras_version,
                   "Generations that must open an .h5: both, 2 or 3");
  verb->add_option(
      "--target", o->target,
      "Kernels that the constants of an .ew are packed for: native, avx512, avx-vnni, avx2, "
      "portable or none");
  verb->add_option("--sign", o->sign_key, "Private key (PEM) to sign an .ew with");
  verb->add_option(
          "--weights", o->weights,
          "How float kernels are stored: float32, rounded to fp16 (.tflite, .onnx, .ew) or bf16 "
          "(.onnx, .ew), or those of dense layers in int4")
      ->check(CLI::IsMember({"float32", "fp16", "bf16", "int4"}));
  verb->add_option("--group", o->group,
                   "With int4: inputs that share a scale, 16 or more (.onnx, .ew); 0: all")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--prepend", o->prepend,
                   "Feature words before the model, for example\n"
                   "'Input(shape=[16000]), LogMel(rate=16000, frame=480, hop=320)'");
  verb->add_option("--append", o->append, "Feature words behind it, for example 'Softmax()'");
  add_common(*verb, o->common);
  verb->callback([o, &exit_code] { exit_code = convert(*o); });
}

}  // namespace ew::cli
