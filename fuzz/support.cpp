#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "ir/passes.h"
#include "ops/passes.h"
#include "runtime/executor.h"
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

std::vector<ir::Tensor> inputs_of(const ir::Graph& graph) {
  std::vector<ir::Tensor> inputs;
  for (const ir::ValueId id : graph.inputs) {
    ir::Tensor ones(DType::kF32, graph.type(id).shape);
    if (is_floating(graph.type(id).dtype)) {
      for (float& x : ones.mutable_values<float>()) x = 0.5f;
    }
    inputs.push_back(ones.cast(graph.type(id).dtype));
  }
  return inputs;
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
  const std::vector<ir::Tensor> inputs = inputs_of(*fixed);
  (void)runtime::run_graph(*fixed, inputs, {.reference_only = true});
  (void)runtime::run_graph(*fixed, inputs);
}

}  // namespace ew::fuzz
