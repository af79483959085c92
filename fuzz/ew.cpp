// The reader of `.ew` files, and the engine on what it has read: packed constants of a hostile file
// may give wrong numbers, but nothing else.
#include <algorithm>

#include "ir/ew/bytes.h"
#include "ir/ew/ew_file.h"
#include "ir/ew/layout.h"
#include "ops/ops.h"
#include "runtime/executor.h"
#include "targets.h"

namespace ew::fuzz {
namespace {

// Checksums would hide all that lies behind them, so they are set right first.
void repair_checksums(std::vector<uint8_t>& file) {
  using namespace ir::ew_format;  // NOLINT: its constants
  constexpr size_t kSizeAt = 16;
  constexpr size_t kCountAt = 24;
  if (file.size() < kFixedHeader) return;
  const auto put = [&](size_t at, auto value) {
    std::memcpy(file.data() + at, &value, sizeof(value));
  };
  const auto get = [&]<typename T>(size_t at, T value) {
    std::memcpy(&value, file.data() + at, sizeof(value));
    return value;
  };
  const auto sections = size_t{get(kCountAt, uint32_t{})};
  if (sections > 3 || file.size() < header_bytes(sections)) return;
  put(kSizeAt, static_cast<uint64_t>(file.size()));
  for (size_t i = 0; i < sections; ++i) {
    const size_t entry = kFixedHeader + i * kEntryBytes;
    const auto offset = get(entry + 8, uint64_t{});
    const auto bytes = get(entry + 16, uint64_t{});
    if (offset > file.size() || bytes > file.size() - offset) return;
    put(entry + 4, crc32c(std::span(file).subspan(offset, bytes)));
  }
  put(kChecksumAt, header_checksum(std::span(file).first(header_bytes(sections))));
}

bool is_small(const ir::Graph& graph) {
  constexpr int64_t kMostElements = 1 << 16;
  for (const ir::Value& value : graph.values) {
    if (!value.type.shape.is_static() || value.type.shape.num_elements() > kMostElements) {
      return false;
    }
  }
  int64_t macs = 0;
  for (const ir::Node& node : graph.nodes) {
    std::vector<ir::TensorType> out;
    for (const ir::ValueId id : node.outputs) out.push_back(graph.type(id));
    if (node.op->macs != nullptr) macs += node.op->macs(graph.input_types(node), out, node.attrs);
  }
  return macs < (1 << 22) && graph.nodes.size() < 200;
}

void run(const ir::Model& model) {
  for (const kernels::CpuTarget target : {kernels::CpuTarget::kPortable, kernels::detect_cpu()}) {
    const auto executor =
        runtime::Executor::create(model.graph, {.int8_target = target, .packed = model.packed});
    if (executor.ok()) (*executor)->run();
  }
}

}  // namespace

void ew(Bytes bytes) {
  std::vector<uint8_t> file(bytes.begin(), bytes.end());
  repair_checksums(file);
  const Result<ir::Model> model = ir::read_ew(MappedFile::copy_of(file), ops::find_op);
  if (!model.ok()) return;
  exercise(model->graph);
  if (is_small(model->graph)) run(*model);
  const Result<std::vector<uint8_t>> written = ir::write_ew(*model, model->packed.get());
  if (!written.ok()) return;
  require(ir::read_ew(MappedFile::copy_of(*written), ops::find_op).ok(),
          "a file that was written is not damaged");
}

}  // namespace ew::fuzz
