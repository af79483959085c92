#include "formats/tflite/read_tflite.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "formats/container.h"
#include "formats/tflite/write_tflite.h"
#include "ops/ops.h"
#include "testing/temporary_folder.h"

namespace ew::formats {
namespace {

const std::string kFixtures = std::string(EW_SOURCE_DIR) + "/tests/tflite/fixtures/";

std::vector<uint8_t> fixture(const std::string& name) {
  return read_file(kFixtures + name + ".tflite").value();
}

ir::Model read(const std::string& name) {
  return read_tflite(fixture(name), name, ir::Int8Profile::kTflm).value();
}

TEST_CASE("tflite: a quantised convolution keeps the file's scales and its clamp") {
  const ir::Model model = read("conv_i8");
  REQUIRE(model.graph.nodes.size() == 1);
  const ir::Node& node = model.graph.nodes[0];
  CHECK(node.op == &ops::kConv);
  CHECK(node.attrs.number("clamp_max") == 6);
  CHECK(model.graph.type(model.graph.inputs[0]).dtype == DType::kI8);
  CHECK(model.graph.type(model.graph.inputs[0]).quant->scales[0] == 0.037F);
  CHECK(model.graph.type(model.graph.inputs[0]).quant->zero_points[0] == -11);
  const ir::TensorType& kernel = model.graph.type(node.inputs[1]);
  CHECK(kernel.shape == Shape{3, 3, 4, 6});
  CHECK(kernel.quant->scales.size() == 6);
  CHECK(kernel.quant->axis == 3);
}

TEST_CASE("tflite: float weights become parameters of the layer, half ones too") {
  const ir::Model model = read("half_weights");
  REQUIRE(model.graph.parameters().size() == 1);
  const ir::Value& kernel = model.graph.value(model.graph.parameters()[0]);
  CHECK(kernel.type.dtype == DType::kF32);
  CHECK(kernel.type.shape == Shape{24, 8});
  CHECK(kernel.info->name == "kernel");
  CHECK(model.graph.nodes.size() == 1);
}

TEST_CASE("tflite: constants are let go while a file is read, but none that is read later") {
  int files = 0;
  for (const std::string& file : list_directory(kFixtures).value()) {
    if (file_suffix(file) != ".tflite") continue;
    CAPTURE(file);
    const ir::Model model = read(file.substr(0, file.rfind('.')));
    ++files;
    for (const ir::Value& value : model.graph.values) {
      const bool is_stored =
          value.kind == ir::ValueKind::kConstant || value.kind == ir::ValueKind::kParameter;
      if (is_stored) CHECK(value.data.type() == value.type);
    }
  }
  CHECK(files > 200);
}

TEST_CASE("tflite: sparse weights are made dense") {
  const ir::Model model = read("sparse_weights");
  REQUIRE(model.graph.nodes.size() == 1);
  CHECK(model.graph.type(model.graph.nodes[0].inputs[1]).shape == Shape{16, 8});
}

TEST_CASE("tflite: a detector's options are those of the file") {
  const ir::Model model = read("detection_regular_many");
  REQUIRE(model.graph.nodes.size() == 1);
  const ir::Node& node = model.graph.nodes[0];
  CHECK(node.op == &ops::kDetectionPostprocess);
  CHECK(node.attrs.integer("max_detections") == 100);
  CHECK(node.attrs.integer("num_classes") == 20);
  CHECK(node.attrs.flag("regular"));
  CHECK(node.attrs.numbers("scale") == std::vector<double>{10, 10, 5, 5});
}

TEST_CASE("tflite: a written model is the same graph") {
  for (const char* name : {"conv_i8", "depthwise_dilated_i8", "resize_bilinear_align_i8",
                           "transpose_conv_short_f32", "hybrid_dense_channel_asym"}) {
    CAPTURE(name);
    const ir::Model model = read(name);
    const auto bytes = write_tflite(model.graph);
    REQUIRE_MESSAGE(bytes.ok(), bytes.error().message);
    const auto again = read_tflite(*bytes, "again", ir::Int8Profile::kTflm);
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    REQUIRE(again->graph.nodes.size() == model.graph.nodes.size());
    for (size_t i = 0; i < model.graph.nodes.size(); ++i) {
      CHECK(again->graph.nodes[i].op == model.graph.nodes[i].op);
      CHECK(again->graph.type(again->graph.nodes[i].outputs[0]) ==
            model.graph.type(model.graph.nodes[i].outputs[0]));
    }
  }
}

TEST_CASE("tflite: an operator that the format has not is an error with its layer") {
  ir::Graph graph;
  ir::Builder b(graph);
  b.set_origin("keras:odd_layer");
  const ir::ValueId x = b.input("x", {DType::kF32, Shape{1, 4}, nullptr});
  graph.outputs.push_back(b.add(ops::kErf, {x}));
  const auto bytes = write_tflite(graph);
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.error().code == ErrorCode::kUnsupported);
  CHECK(bytes.error().message.find("odd_layer") != std::string::npos);
}

TEST_CASE("tflite: a damaged file is an error, whatever byte is hit") {
  for (const char* name : {"conv_i8", "detection_fast"}) {
    const std::vector<uint8_t> good = fixture(name);
    for (size_t i = 0; i < good.size(); ++i) {
      std::vector<uint8_t> bytes = good;
      bytes[i] ^= 0xff;
      const auto model = read_tflite(bytes, "damaged", ir::Int8Profile::kTflm);
      if (!model.ok()) CHECK(model.error().code != ErrorCode::kInternal);
    }
  }
}

TEST_CASE("container: a part of a file is named by offset and length") {
  const FilePart part = parse_part("assets.data#offset=184,length=12").value();
  CHECK(part.file == "assets.data");
  CHECK(part.offset == 184);
  CHECK(part.length == 12);
  CHECK(parse_part("plain.h5").value().file == "plain.h5");
  CHECK_FALSE(parse_part("a.data#offset=x").ok());
  CHECK_FALSE(parse_part("a.data#size=3").ok());
  CHECK_FALSE(parse_part("a.data#offset=-3").ok());
  const testing::TemporaryFolder folder;
  REQUIRE(write_file_atomic(folder.path("ab.data"), std::string("0123456789")).ok());
  const auto inside = read_part(folder.path("ab.data") + "#offset=3,length=4");
  REQUIRE(inside.ok());
  CHECK(std::string(inside->begin(), inside->end()) == "3456");
  CHECK_FALSE(read_part(folder.path("ab.data") + "#offset=3,length=40").ok());
  CHECK_FALSE(read_part(folder.path("ab.data") + "#offset=99999999999999").ok());
}

}  // namespace
}  // namespace ew::formats
