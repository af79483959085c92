// Running many rows through a graph in slices.
#include <algorithm>
#include <cstring>

#include "runtime/executor.h"

namespace ew::runtime {

ir::Tensor rows_of(const ir::Tensor& tensor, int64_t begin, int64_t count) {
  Shape shape = tensor.shape();
  const size_t row_bytes = shape[0] == 0 ? 0 : tensor.size_bytes() / static_cast<size_t>(shape[0]);
  shape[0] = count;
  ir::Tensor out(tensor.dtype(), std::move(shape));
  if (out.size() > 0) {
    std::memcpy(out.mutable_data(),
                static_cast<const uint8_t*>(tensor.data()) + static_cast<size_t>(begin) * row_bytes,
                out.size_bytes());
  }
  return out;
}

void append_rows(const Executor& executor, int64_t begin, int64_t count, int64_t total,
                 std::vector<ir::Tensor>& outputs) {
  for (size_t i = 0; i < executor.graph().outputs.size(); ++i) {
    const ir::Tensor part = executor.output(i);
    if (outputs.size() <= i) {
      Shape shape = part.shape();
      if (shape.rank() > 0) shape[0] = total;
      outputs.emplace_back(part.dtype(), std::move(shape));
    }
    const size_t row_bytes = count == 0 ? 0 : part.size_bytes() / static_cast<size_t>(count);
    if (part.size() > 0) {
      std::memcpy(
          static_cast<uint8_t*>(outputs[i].mutable_data()) + static_cast<size_t>(begin) * row_bytes,
          part.data(), part.size_bytes());
    }
  }
}

Result<std::vector<ir::Tensor>> run_rows(const ir::Graph& graph, std::span<const ir::Tensor> inputs,
                                         int64_t slice, ExecutorOptions options) {
  std::vector<ir::Tensor> outputs;
  std::unique_ptr<Executor> executor;
  int64_t prepared = -1;
  const int64_t total = inputs[0].shape()[0];
  for (int64_t begin = 0; begin < total; begin += slice) {
    const int64_t count = std::min(slice, total - begin);
    std::vector<ir::Tensor> part;
    std::vector<Shape> shapes;
    for (const ir::Tensor& input : inputs) {
      part.push_back(rows_of(input, begin, count));
      shapes.push_back(part.back().shape());
    }
    if (count != prepared) {
      EW_TRY(ir::Graph fixed, ir::specialize(graph, shapes));
      EW_TRY(executor, Executor::create(std::move(fixed), options));
      prepared = count;
    }
    for (size_t i = 0; i < part.size(); ++i) EW_TRY_VOID(executor->set_input(i, part[i]));
    executor->run();
    append_rows(*executor, begin, count, total, outputs);
  }
  return outputs;
}

}  // namespace ew::runtime
