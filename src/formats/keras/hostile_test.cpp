// Configurations that no Keras writes: each gives one error that names the layer, soon, and without
// asking for much memory.
#include <doctest/doctest.h>

#include <chrono>
#include <limits>

#include "base/file.h"
#include "formats/json.h"
#include "formats/keras/import.h"
#include "formats/keras/keras_file.h"
#include "formats/keras/weights.h"
#include "formats/zip.h"

namespace ew::formats {
namespace {

using ir::KerasGeneration;

Result<ImportedModel> import_text(const std::string& text,
                                  KerasGeneration generation = KerasGeneration::kKeras3) {
  const Result<Config> config = parse_json(text);
  REQUIRE_MESSAGE(config.ok(), config.error().message);
  return import_architecture(*config, generation, {.max_elements = 1 << 20});
}

/// A layer's entry; `config` without braces.
std::string layer(const std::string& class_name, const std::string& config,
                  const std::string& rest = "") {
  return R"({"class_name": ")" + class_name + R"(", "config": {)" + config + "}" + rest + "}";
}

/// A Sequential model of an input of `shape` and one layer named "bad".
std::string model_of(const std::string& shape, const std::string& class_name,
                     const std::string& config) {
  return layer("Sequential", R"("name": "m", "layers": [)" +
                                 layer("InputLayer", R"("name": "in", "batch_shape": )" + shape) +
                                 ", " + layer(class_name, R"("name": "bad", )" + config) + "]");
}

struct Case {
  std::string why;
  const char* shape;
  const char* class_name;
  const char* config;
};

/// The layer is refused in both generations, by name.
void refuse(const Case& c) {
  for (const auto generation : {KerasGeneration::kKeras2, KerasGeneration::kKeras3}) {
    CAPTURE(c.why);
    const Result<ImportedModel> model =
        import_text(model_of(c.shape, c.class_name, c.config), generation);
    REQUIRE_FALSE(model.ok());
    CAPTURE(model.error().message);
    CHECK(model.error().code != ErrorCode::kInternal);
    CHECK(model.error().message.find("bad") != std::string::npos);
  }
}

std::string error_of(const Result<ImportedModel>& model) {
  return model.ok() ? "none" : model.error().message;
}

/// A Functional model of `layers` from "in" to `output`.
std::string functional(const std::string& layers, const std::string& output) {
  return layer("Functional", R"("name": "m", "layers": [)" +
                                 layer("InputLayer", R"("name": "in", "batch_shape": [null, 4])",
                                       R"(, "name": "in", "inbound_nodes": [])") +
                                 layers +
                                 R"(], "input_layers": [["in", 0, 0]], "output_layers": [)" +
                                 output + "]");
}

/// An Activation called on `inbound`, a list of references.
std::string activation(const std::string& name, const std::string& inbound) {
  return ", " + layer("Activation", R"("name": ")" + name + R"(", "activation": "relu")",
                      R"(, "name": ")" + name + R"(", "inbound_nodes": [[)" + inbound + "]]");
}

std::string refer(const std::string& name, const std::string& node = "0") {
  return R"([")" + name + R"(", )" + node + ", 0, {}]";
}

}  // namespace

TEST_CASE("hostile: sizes that are none are refused by the layer's name") {
  constexpr const char* kImage = "[null, 8, 8, 3]";
  constexpr const char* kRow = "[null, 4]";
  constexpr const char* kSteps = "[null, 5, 4]";
  const Case cases[] = {
      {"no units", kRow, "Dense", R"("units": 0)"},
      {"negative units", kRow, "Dense", R"("units": -3)"},
      {"huge units", kRow, "Dense", R"("units": 9223372036854775807)"},
      {"units beyond what the file holds", kRow, "Dense", R"("units": 400000000)"},
      {"units that are no number", kRow, "Dense", R"("units": "four")"},
      {"units that are NaN", kRow, "Dense", R"("units": NaN)"},
      {"fractional units", kRow, "Dense", R"("units": 2.5)"},
      {"kernel 0", kImage, "Conv2D", R"("filters": 2, "kernel_size": [0, 3])"},
      {"negative kernel", kImage, "Conv2D", R"("filters": 2, "kernel_size": [-1, 3])"},
      {"kernel product overflows", kImage, "Conv2D",
       R"("filters": 2147483647, "kernel_size": [2147483647, 2147483647])"},
      {"stride 0", kImage, "Conv2D", R"("filters": 2, "kernel_size": 3, "strides": [0, 1])"},
      {"dilation 0", kImage, "Conv2D", R"("filters": 2, "kernel_size": 3, "dilation_rate": 0)"},
      {"huge dilation", kImage, "Conv2D",
       R"("filters": 2, "kernel_size": 3, "dilation_rate": 4611686018427387904)"},
      {"groups 0", kImage, "Conv2D", R"("filters": 2, "kernel_size": 3, "groups": 0)"},
      {"groups that do not divide", kImage, "Conv2D",
       R"("filters": 3, "kernel_size": 3, "groups": 2)"},
      {"pool 0", kImage, "MaxPooling2D", R"("pool_size": 0)"},
      {"a pool far beyond its input", kImage, "MaxPooling2D",
       R"("pool_size": 2147483647, "strides": 1, "padding": "same")"},
      {"padding of an unknown kind", kImage, "MaxPooling2D", R"("padding": "mirror")"},
      {"negative zero padding", kImage, "ZeroPadding2D", R"("padding": [[-1, 0], [0, 0]])"},
      {"huge zero padding", kImage, "ZeroPadding2D", R"("padding": 1073741824)"},
      {"cropping all", kImage, "Cropping2D", R"("cropping": 4)"},
      {"repeating -1 times", kRow, "RepeatVector", R"("n": -1)"},
      {"repeating for ever", kRow, "RepeatVector", R"("n": 9223372036854775807)"},
      {"upsampling by 0", kImage, "UpSampling2D", R"("size": 0)"},
      {"upsampling overflows", kImage, "UpSampling2D", R"("size": 2147483647)"},
      {"a target that does not fit", kRow, "Reshape", R"("target_shape": [3])"},
      {"a target that overflows", kRow, "Reshape",
       R"("target_shape": [2147483647, 2147483647, 2147483647, 2147483647])"},
      {"a target of many dimensions", kRow, "Reshape",
       R"("target_shape": [1, 1, 1, 1, 1, 1, 1, 1, 1, 4])"},
      {"resizing to nothing", kImage, "Resizing", R"("height": 0, "width": 4)"},
      {"resizing beyond memory", kImage, "Resizing",
       R"("height": 2147483647, "width": 2147483647)"},
      {"units of a recurrent layer", kSteps, "LSTM", R"("units": 0)"},
      {"a stateful layer of negative units", "[2, 5, 4]", "LSTM",
       R"("units": -1, "stateful": true)"},
      {"a state as large as memory", "[2147483647, 1, 1]", "SimpleRNN",
       R"("units": 64, "stateful": true)"},
      {"an axis outside", kRow, "BatchNormalization", R"("axis": 7)"},
      {"an axis at the edge of int64", kRow, "BatchNormalization",
       R"("axis": -9223372036854775808)"},
      {"a permutation that is none", kSteps, "Permute", R"("dims": [1, 1])"},
      {"embedding of nothing", kRow, "Embedding", R"("input_dim": 0, "output_dim": 4)"},
      {"embedding beyond the file", kRow, "Embedding",
       R"("input_dim": 2147483647, "output_dim": 2147483647)"},
      {"heads 0", kSteps, "MultiHeadAttention", R"("num_heads": 0, "key_dim": 2)"},
      {"heads that overflow", kSteps, "MultiHeadAttention",
       R"("num_heads": 4294967296, "key_dim": 4294967296)"},
      {"einsum of nonsense", kSteps, "EinsumDense", R"("equation": "...->", "output_shape": [2])"},
      {"steps to unroll", "[null, 1000000, 4, 4, 1]", "ConvLSTM2D",
       R"("filters": 1, "kernel_size": 3)"},
  };
  for (const Case& c : cases) refuse(c);
}

TEST_CASE("hostile: kinds, classes and parts that are not there") {
  const Case cases[] = {
      {"Python code", "[null, 4]", "Lambda", R"("function": ["4wEAAAA=", null, null])"},
      {"an unknown class", "[null, 4]", "Dens", R"("units": 2)"},
      {"an unknown dtype", "[null, 4]", "Dense", R"("units": 2, "dtype": "float7")"},
      {"a dtype that is a list", "[null, 4]", "Dense", R"("units": 2, "dtype": [1])"},
      {"an unknown policy", "[null, 4]", "Dense",
       R"("units": 2, "dtype": {"class_name": "QuantizedDTypePolicy", "config": {}})"},
      {"an unknown activation", "[null, 4]", "Dense", R"("units": 2, "activation": "rleu")"},
      {"an activation that is a number", "[null, 4]", "Dense", R"("units": 2, "activation": 3)"},
      {"no layer to distribute", "[null, 5, 4]", "TimeDistributed", R"("x": 1)"},
      {"a layer that is null", "[null, 5, 4]", "TimeDistributed", R"("layer": null)"},
      {"a layer without config", "[null, 5, 4]", "TimeDistributed",
       R"("layer": {"class_name": "Dense"})"},
      {"no layer to run both ways", "[null, 5, 4]", "Bidirectional", R"("merge_mode": "concat")"},
      {"a layer that is no layer", "[null, 5, 4]", "Bidirectional", R"("layer": 7)"},
      {"an unknown merge", "[null, 5, 4]", "Bidirectional",
       R"("merge_mode": "xor", "layer": {"class_name": "LSTM", "config": {"name": "l", "units": 2}})"},
      {"no cell", "[null, 5, 4]", "RNN", R"("cell": null)"},
      {"no cells", "[null, 5, 4]", "RNN",
       R"("cell": {"class_name": "StackedRNNCells", "config": {"cells": []}})"},
  };
  for (const Case& c : cases) refuse(c);
}

TEST_CASE("hostile: inputs of another type than the weights, which no cast unites") {
  // Without "dtype" a layer computes in float32 and does not cast: its weights would be read as
  // what the input is.
  for (const char* dtype : {"float64", "uint16", "bool"}) {
    CAPTURE(dtype);
    const std::string input = layer(
        "InputLayer", str(R"("name": "in", "batch_shape": [null, 4], "dtype": ")", dtype, "\""));
    const Result<ImportedModel> model =
        import_text(layer("Sequential", R"("name": "m", "layers": [)" + input + ", " +
                                            layer("Dense", R"("name": "bad", "units": 2)") + "]"));
    REQUIRE_FALSE(model.ok());
    CHECK(model.error().message.find("bad") != std::string::npos);
  }
}

TEST_CASE("hostile: references between layers") {
  CHECK(error_of(import_text(
            functional(activation("a", refer("b")) + activation("b", refer("a")), refer("b")))) ==
        "model 'm': layer 'a' is part of a loop, or its inputs do not exist");
  CHECK(error_of(import_text(functional(activation("a", refer("a")), refer("a")))) ==
        "model 'm': layer 'a' is part of a loop, or its inputs do not exist");
  for (const char* node : {"1", "9223372036854775807"}) {
    CHECK(error_of(import_text(functional(activation("a", refer("in", node)), refer("a")))) ==
          "model 'm': layer 'a' is part of a loop, or its inputs do not exist");
  }
  CHECK(error_of(import_text(functional(activation("a", refer("in", "-1")), refer("a")))) ==
        "model 'm': a node refers to layer 'in' (-1, 0), which is not there");
  CHECK(error_of(import_text(functional(activation("a", refer("nobody")), refer("a")))) ==
        "model 'm': a node refers to layer 'nobody' (0, 0), which is not there");
  CHECK(error_of(import_text(
            functional(activation("a", refer("in")), refer("a", "9223372036854775807")))) ==
        "model 'm': output ['a', 9223372036854775807, 0] does not exist");
  CHECK(error_of(import_text(functional(activation("a", refer("in")) + activation("a", refer("in")),
                                        refer("a")))) == "model 'm': two layers are named 'a'");
}

TEST_CASE("hostile: names of layers that would deceive readers or HDF5") {
  CHECK(error_of(import_text(functional(activation("a\\u0000b", refer("in")), R"(["a", 0, 0])"))) ==
        "the name of a layer, 'a...', goes on with the control character 0");
  CHECK(error_of(import_text(model_of("[null, 4]", "Dense", R"("units": 2, "name": "\u001b[2J")")))
            .find("control character 27") != std::string::npos);
  // Keras 2 allowed slashes ("conv1/bn"), so they are names like others.
  CHECK(import_text(functional(activation("../../a/b", refer("in")), refer("../../a/b"))).ok());
}

TEST_CASE("hostile: a chain listed backwards takes one look at each layer") {
  constexpr int kLayers = 5000;
  std::string layers;
  for (int i = kLayers; i-- > 0;) {
    layers += activation(str("a", i), i == 0 ? refer("in") : refer(str("a", i - 1)));
  }
  const auto begin = std::chrono::steady_clock::now();
  const Result<ImportedModel> model = import_text(functional(layers, refer(str("a", kLayers - 1))));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  CHECK(error_of(model) == "none");
  CHECK(took.count() < 20);  // a pass over all layers for each of them takes minutes
}

TEST_CASE("hostile: shared models that unfold without end stop at a limit") {
  // Each level calls the level below ten times: 10^12 layers from a few kilobytes.
  std::string inner = layer("InputLayer", R"("name": "in", "batch_shape": [null, 4])") + ", " +
                      layer("Activation", R"("name": "a", "activation": "relu")");
  std::string model = layer("Sequential", R"("name": "m0", "layers": [)" + inner + "]");
  for (int depth = 1; depth <= 12; ++depth) {
    std::string calls;
    for (int i = 0; i < 10; ++i)
      calls += str(i == 0 ? "" : ", ", "[", i == 0 ? refer("in") : refer("x", str(i)), "]");
    const std::string in = layer("InputLayer", R"("name": "in", "batch_shape": [null, 4])",
                                 R"(, "name": "in", "inbound_nodes": [])");
    model.pop_back();
    model += R"(, "name": "x", "inbound_nodes": [)" + calls + "]}";
    model = layer("Functional",
                  str("\"name\": \"m", depth, R"(", "layers": [)", in, ", ", model,
                      R"(], "input_layers": [["in", 0, 0]], "output_layers": [["x", 10, 0]])"));
  }
  const Result<ImportedModel> imported = import_text(model, KerasGeneration::kKeras2);
  REQUIRE_FALSE(imported.ok());
  CHECK(imported.error().code == ErrorCode::kResourceLimit);
}

TEST_CASE("hostile: models inside models end at a depth") {
  std::string model = layer("Dense", R"("name": "d", "units": 2)");
  for (int i = 0; i < 40; ++i) {
    const std::string input =
        i == 39 ? layer("InputLayer", R"("name": "in", "batch_shape": [null, 4])") + ", " : "";
    model = layer("Sequential", str("\"name\": \"s", i, R"(", "layers": [)", input, model, "]"));
  }
  const Result<ImportedModel> imported = import_text(model);
  REQUIRE_FALSE(imported.ok());
  CHECK(imported.error().code == ErrorCode::kResourceLimit);
  CHECK(imported.error().message.find("nested deeper than 32") != std::string::npos);
}

TEST_CASE("hostile: numbers that are none in a graph's attributes") {
  for (const char* number : {"NaN", "Infinity", "-1", "1e300"}) {
    CAPTURE(number);
    for (const char* text : {R"("rate": )", R"("rate": 0.5, "seed": )"}) {
      const Result<ImportedModel> model =
          import_text(model_of("[null, 4]", "Dropout", std::string(text) + number));
      if (!model.ok()) CHECK(model.error().message.find("bad") != std::string::npos);
    }
  }
  CHECK_FALSE(import_text(model_of("[null, NaN]", "Flatten", R"("x": 1)")).ok());
  CHECK_FALSE(import_text(model_of("[null, -4]", "Flatten", R"("x": 1)")).ok());
  CHECK_FALSE(import_text(model_of("[null, 3037000500, 3037000500]", "Flatten", R"("x": 1)")).ok());
}

TEST_CASE("hostile: weights of another shape name the layer and both shapes") {
  Result<ImportedModel> model = import_text(model_of("[null, 4]", "Dense", R"("units": 2)"));
  REQUIRE(model.ok());
  H5Group root;
  root.set_dataset("layers/dense/vars/0", H5Value::array<float>(std::vector<float>(9)));
  const Status status = read_store_weights(model->graph, *model->tree, root);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find("layer 'bad'") != std::string::npos);
  CHECK(status.error().message.find("(4, 2)") != std::string::npos);
  CHECK(status.error().message.find("(9,)") != std::string::npos);
}

TEST_CASE("hostile: names in a .keras are only names, and each stands once") {
  const std::vector<uint8_t> text = {'{', '}'};
  const std::vector<ZipInput> escaping = {{"../../etc/passwd", text}, {"/config.json", text}};
  const Result<ir::Model> model = read_keras_zip(write_zip(escaping).value(), "m.keras");
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().message.starts_with("m.keras: "));
  CHECK(model.error().message.find("config.json") != std::string::npos);

  const std::vector<ZipInput> pair = {{"config.json", text}, {"config.jsox", text}};
  std::vector<uint8_t> bytes = write_zip(pair).value();
  for (size_t i = 0; i + 11 <= bytes.size(); ++i) {
    if (std::string_view(reinterpret_cast<const char*>(&bytes[i]), 11) == "config.jsox") {
      bytes[i + 10] = 'n';
    }
  }
  const Result<ir::Model> twice = read_keras_zip(bytes, "m.keras");
  REQUIRE_FALSE(twice.ok());
  CHECK(twice.error().message.find("config.json") != std::string::npos);
}

TEST_CASE("hostile: limits apply to the weights within a .keras") {
  const std::string path = "tests/oracle/fixtures/layers/dense_nobias/model.keras";
  const std::vector<uint8_t> bytes = read_file(path).value();
  REQUIRE(read_keras_zip(bytes, path).ok());
  const Result<ir::Model> model = read_keras_zip(bytes, path, {.max_file_bytes = 100});
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().code == ErrorCode::kResourceLimit);
  CHECK(model.error().message.find("model.weights.h5") != std::string::npos);
}

}  // namespace ew::formats
