#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "ops/passes.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

constexpr int64_t kMaxRunElements = 1 << 12;  // of all computed values
constexpr size_t kMaxRunNodes = 300;

bool is_small(const ir::Graph& graph) {
  if (graph.nodes.size() > kMaxRunNodes) return false;
  int64_t left = kMaxRunElements;
  for (const ir::Value& value : graph.values) {
    if (!value.type.shape.is_static()) return false;
    if (value.kind != ir::ValueKind::kParameter) left -= value.type.shape.num_elements();
    if (left < 0) return false;
  }
  return true;
}

ir::Tensor input_of(const ir::TensorType& type) {
  ir::Tensor values(DType::kF32, type.shape);
  for (float& x : values.mutable_values<float>()) x = is_floating(type.dtype) ? 0.5f : 3.f;
  ir::Tensor stored = values.cast(type.dtype);
  stored.set_quant(type.quant);
  return stored;
}

// Runs every node by its reference.
void run(const ir::Graph& graph) {
  std::vector<ir::Tensor> values;
  for (const ir::Value& value : graph.values) {
    if (value.kind == ir::ValueKind::kInput) {
      values.push_back(input_of(value.type));
    } else {
      const bool is_computed = value.kind == ir::ValueKind::kComputed;
      values.push_back(is_computed ? ir::Tensor(value.type) : value.data);
    }
  }
  for (const ir::Node& node : graph.nodes) {
    if (node.op->reference == nullptr && node.op->reference_i8 == nullptr) return;
    std::vector<ir::ConstTensorView> in;
    std::vector<ir::TensorView> out;
    for (const ir::ValueId id : node.inputs) {
      in.push_back(id == ir::kNoValue ? ir::ConstTensorView()
                                      : ir::ConstTensorView(values[static_cast<size_t>(id)]));
    }
    for (const ir::ValueId id : node.outputs) out.emplace_back(values[static_cast<size_t>(id)]);
    ir::evaluate(*node.op, in, out, node.attrs);
  }
}

}  // namespace

ScratchFile::ScratchFile(Bytes bytes, const std::string& name) {
  const char* folder = std::getenv("TMPDIR");
  path_ = str(folder != nullptr ? folder : "/tmp", "/edgewise-fuzz-", ::getpid(), "-", name);
  std::FILE* file = std::fopen(path_.c_str(), "wb");
  require(file != nullptr, "a scratch file can be made");
  require(std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size(), "and written");
  std::fclose(file);
}

ScratchFile::~ScratchFile() { ::unlink(path_.c_str()); }

void exercise(const ir::Graph& graph) {
  require(ir::verify(graph, ir::Stage::kImported).ok(), "an imported graph is valid");
  const Result<ir::Graph> inference = ops::to_inference(graph);
  if (!inference.ok()) return;
  std::vector<Shape> shapes;
  for (const ir::ValueId id : inference->inputs) {
    Shape shape = inference->type(id).shape;
    for (int i = 0; i < shape.rank(); ++i) {
      if (shape[i] == kUnknown) shape[i] = i == 0 ? 1 : 3;
    }
    if (!check_shape(shape).ok()) return;
    shapes.push_back(std::move(shape));
  }
  const Result<ir::Graph> fixed = ir::specialize(*inference, shapes);
  if (!fixed.ok() || !is_small(*fixed)) return;
  require(ir::verify(*fixed, ir::Stage::kCanonical).ok(), "a specialised graph is valid");
  run(*fixed);
}

}  // namespace ew::fuzz
