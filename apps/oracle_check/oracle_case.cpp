#include "oracle_case.h"

#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/npy.h"
#include "runtime/executor.h"

namespace ew::oracle {
namespace {

Status compare(const ir::Tensor& got, const ir::Tensor& expected, double tolerance, size_t index) {
  if (got.shape() != expected.shape()) {
    return invalid_data("output ", index, ": expected shape ", expected.shape(), ", found ",
                        got.shape());
  }
  const ir::Tensor a = got.cast(DType::kF64);
  const ir::Tensor b = expected.cast(DType::kF64);
  double worst = 0;
  int64_t where = -1;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.values<double>()[static_cast<size_t>(i)];
    const double y = b.values<double>()[static_cast<size_t>(i)];
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    const double difference = std::abs(x - y);
    if (!(difference <= worst)) {
      worst = difference;
      where = i;
      if (std::isnan(difference)) break;
    }
  }
  if (worst <= tolerance) return {};
  return invalid_data("output ", index, " differs by ", worst, " at element ", where,
                      ", tolerance ", tolerance);
}

}  // namespace

Result<ir::Tensor> read_tensor(const std::string& path) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
  Result<NpyArray> read = parse_npy(bytes);
  if (!read.ok()) return at(path, read.error());
  const NpyArray& array = *read;
  ir::Tensor out(array.dtype, array.shape);
  if (!array.bytes.empty()) std::memcpy(out.mutable_data(), array.bytes.data(), array.bytes.size());
  return out;
}

Result<std::vector<ir::Tensor>> read_tensors(const OracleCase& c, const Config& names) {
  std::vector<ir::Tensor> out;
  for (const Config& name : names.as_list()) {
    EW_TRY(ir::Tensor tensor, read_tensor(c.folder + "/" + name.as_string()));
    out.push_back(std::move(tensor));
  }
  return out;
}

Status check_outputs(const ir::Model& model, const std::vector<ir::Tensor>& inputs,
                     const std::vector<ir::Tensor>& expected, double tolerance) {
  std::vector<ir::Tensor> cast = inputs;
  for (size_t i = 0; i < cast.size() && i < model.graph.inputs.size(); ++i) {
    const DType wanted = model.graph.type(model.graph.inputs[i]).dtype;
    if (cast[i].dtype() != wanted) cast[i] = cast[i].cast(wanted);
  }
  for (const bool reference : {true, false}) {
    const std::string where = reference ? "reference" : "kernels";
    runtime::ExecutorOptions options;
    options.reference_only = reference;
    Result<std::vector<ir::Tensor>> got = runtime::run_graph(model.graph, cast, options);
    if (!got.ok()) return at(where, got.error());
    if (got->size() != expected.size()) {
      return invalid_data(where, ": expected ", expected.size(), " outputs, found ", got->size());
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      Status same = compare((*got)[i], expected[i], tolerance, i);
      if (!same.ok()) return at(where, same.error());
    }
  }
  return {};
}

Outcome outcome_of(std::string file, const Status& status) {
  return {std::move(file), status.ok() ? "" : status.error().message};
}

}  // namespace ew::oracle
