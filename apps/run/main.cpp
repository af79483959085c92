// edgewise-run: the smallest program that runs a model. It knows `.ew` files only, and needs of the
// library just base, ir, ops and runtime.
//
//   edgewise-run MODEL.ew < inputs > outputs    raw elements, inputs and outputs in the model's
//   order edgewise-run --info MODEL.ew                one line for each of them
//
// Exit codes: 0 done, 2 usage, 3 the model or the input is wrong, 4 the system refused.
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/mapped_file.h"
#include "ir/ew/ew_file.h"
#include "ir/passes.h"
#include "ops/ops.h"
#include "runtime/executor.h"
#include "runtime/kernels/cpu.h"

namespace ew {
namespace {

constexpr int kUsage = 2;
constexpr int kBadInput = 3;
constexpr int kSystem = 4;

bool write_all(int descriptor, const void* data, size_t bytes) {
  const auto* at = static_cast<const uint8_t*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(descriptor, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return true;
}

int fail(int code, const std::string& message) {
  const std::string line = "edgewise-run: " + message + "\n";
  write_all(STDERR_FILENO, line.data(), line.size());
  return code;
}

int fail(const Error& error) {
  return fail(error.code == ErrorCode::kIo ? kSystem : kBadInput, error.message);
}

// Fills the buffer from standard input; fewer bytes if that ends.
Result<size_t> read_all(std::span<uint8_t> to) {
  size_t done = 0;
  while (done < to.size()) {
    const ssize_t n = ::read(STDIN_FILENO, to.data() + done, to.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return make_error(ErrorCode::kIo, "cannot read the input: ", std::strerror(errno));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

size_t bytes_of(const ir::TensorType& type) {
  return static_cast<size_t>(type.shape.num_elements()) * dtype_size(type.dtype);
}

Status read_inputs(runtime::Executor& executor) {
  for (const ir::ValueId id : executor.graph().inputs) {
    const ir::Value& value = executor.graph().value(id);
    const size_t bytes = bytes_of(value.type);
    EW_TRY(const size_t found,
           read_all({static_cast<uint8_t*>(executor.mutable_view(id).data), bytes}));
    if (found != bytes) {
      return invalid_data("input '", value.name, "': expected ", bytes, " bytes of ", value.type,
                          ", found ", found);
    }
  }
  uint8_t more = 0;
  EW_TRY(const size_t behind, read_all({&more, 1}));
  if (behind > 0) return invalid_data("the input goes on behind the model's last one");
  return {};
}

std::string info_of(const ir::Graph& graph) {
  std::string text;
  const auto add = [&](const char* what, ir::ValueId id) {
    const ir::Value& value = graph.value(id);
    text += str(what, " '", value.name, "' ", value.type, " ", bytes_of(value.type), " bytes\n");
  };
  for (const ir::ValueId id : graph.inputs) add("input", id);
  for (const ir::ValueId id : graph.outputs) add("output", id);
  return text;
}

Result<std::unique_ptr<runtime::Executor>> open_model(const char* path) {
  if (!kernels::is_supported(kernels::detect_cpu())) {
    return unsupported("this program was built for a CPU with instructions that this one lacks");
  }
  EW_TRY(const auto file, MappedFile::open(path));
  Result<ir::Model> model = ir::read_ew(file, ops::find_op);
  if (!model.ok()) return at(path, model.error());
  EW_TRY(ir::Graph graph, ir::for_one_sample(model->graph));
  return runtime::Executor::create(std::move(graph), {.packed = model->packed});
}

int run(const char* path, bool only_info) {
  Result<std::unique_ptr<runtime::Executor>> opened = open_model(path);
  if (!opened.ok()) return fail(opened.error());
  runtime::Executor& executor = **opened;
  if (only_info) {
    const std::string text = info_of(executor.graph());
    return write_all(STDOUT_FILENO, text.data(), text.size()) ? 0 : fail(kSystem, "cannot write");
  }
  if (const Status read = read_inputs(executor); !read.ok()) return fail(read.error());
  executor.run();
  for (const ir::ValueId id : executor.graph().outputs) {
    const ir::ConstTensorView y = executor.view(id);
    if (!write_all(STDOUT_FILENO, y.data, bytes_of(*y.type))) {
      return fail(kSystem, str("cannot write the output: ", std::strerror(errno)));
    }
  }
  return 0;
}

}  // namespace
}  // namespace ew

int main(int argc, char** argv) {
  const bool only_info = argc == 3 && std::strcmp(argv[1], "--info") == 0;
  if (!only_info && (argc != 2 || argv[1][0] == '-')) {
    return ew::fail(ew::kUsage, "usage: edgewise-run [--info] MODEL.ew < inputs > outputs");
  }
  return ew::run(argv[argc - 1], only_info);
}
