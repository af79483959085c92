// Runs ONNX' own backend tests of single operators, or one's own in the same form:
//
//   onnx_node_tests FOLDER [--all] [--table FILE.md] [NAME...]
//
// FOLDER/<test>/model.onnx with test_data_set_<n>/{input,output}_<i>.pb, as in the Python package
// onnx (onnx/backend/test/data/node). A test passes if every data set's outputs have the expected
// dtypes and shapes and differ by at most 1e-3 |expected| + 1e-7, as ONNX' own runner asks.
// A file FOLDER/<test>/bar holds another bar, as a share of the largest |expected|. Exit status 1
// if a test failed; tests of what we do not read count as unsupported, which only --all takes as
// failed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "compress/quantize.h"
#include "formats/onnx/import.h"
#include "formats/onnx/proto.h"
#include "formats/onnx/tensor_data.h"
#include "runtime/executor.h"

namespace ew {
namespace {

enum class Verdict { kPassed, kUnsupported, kFailed };

struct Outcome {
  Verdict verdict = Verdict::kPassed;
  std::string reason;
};

// Tests whose recorded outputs contradict the operator's specification; we follow that.
struct Contradiction {
  const char* prefix;
  const char* reason;
};
constexpr Contradiction kContradictions[] = {
    {"test_cast_FLOAT_to_BFLOAT16", "recorded output is cut off where the operator rounds"},
    {"test_castlike_FLOAT_to_BFLOAT16", "recorded output is cut off where the operator rounds"},
    {"test_qlinearmatmul_2D_int8_", "recorded output wraps around where the operator saturates"},
    {"test_qlinearmatmul_3D_int8_", "recorded output wraps around where the operator saturates"}};

// bfloat16 is recorded as the uint16 of its bits.
ir::Tensor as_recorded(const ir::Tensor& recorded, DType dtype) {
  if (dtype != DType::kBF16 || recorded.dtype() != DType::kU16) return recorded;
  ir::Tensor out(DType::kBF16, recorded.shape());
  if (out.size() > 0) std::memcpy(out.mutable_data(), recorded.data(), recorded.size_bytes());
  return out;
}

// An error while reading a test's own data is the test's kind (strings, sequences), not a failure.
Result<std::vector<ir::Tensor>> read_values(const std::string& folder, const char* kind) {
  std::vector<ir::Tensor> values;
  for (int i = 0;; ++i) {
    const std::string path = str(folder, "/", kind, "_", i, ".pb");
    if (!file_exists(path)) return values;
    EW_TRY(const std::vector<uint8_t> bytes, read_file(path));
    EW_TRY(const formats::onnx::TensorProto proto, formats::onnx::parse_tensor(bytes));
    EW_TRY(ir::Tensor tensor, formats::onnx::to_tensor(proto, folder));
    values.push_back(std::move(tensor));
  }
}

// A negative bar stands for ONNX' own.
std::string compare(const ir::Tensor& found, const ir::Tensor& expected, double bar) {
  if (found.dtype() != expected.dtype() || found.shape() != expected.shape()) {
    return str("expected ", expected.type(), ", found ", found.type());
  }
  const ir::Tensor a = found.cast(DType::kF64);
  const ir::Tensor b = expected.cast(DType::kF64);
  const bool is_exact = !is_floating(expected.dtype());
  double largest = 0;
  for (const double y : b.values<double>()) largest = std::max(largest, std::abs(y));
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.values<double>()[static_cast<size_t>(i)];
    const double y = b.values<double>()[static_cast<size_t>(i)];
    const bool both_nan = std::isnan(x) && std::isnan(y);
    const double allowed = is_exact ? 0 : bar < 0 ? 1e-3 * std::abs(y) + 1e-7 : bar * largest;
    if (!both_nan && x != y && !(std::abs(x - y) <= allowed)) {
      return str("element ", i, ": expected ", y, ", found ", x);
    }
  }
  return "";
}

Outcome failed(const std::string& reason) { return {Verdict::kFailed, reason}; }

double bar_of(const std::string& folder) {
  const Result<std::vector<uint8_t>> text = read_file(folder + "/bar", 100);
  if (!text.ok()) return -1;
  return std::strtod(std::string(text->begin(), text->end()).c_str(), nullptr);
}

Outcome run_set(const std::string& model_path, const std::string& folder, double bar) {
  Result<std::vector<ir::Tensor>> inputs = read_values(folder, "input");
  if (!inputs.ok()) return {Verdict::kUnsupported, inputs.error().message};
  const Result<std::vector<ir::Tensor>> expected = read_values(folder, "output");
  if (!expected.ok()) return {Verdict::kUnsupported, expected.error().message};
  const Result<std::vector<uint8_t>> bytes = read_file(model_path);
  if (!bytes.ok()) return failed(bytes.error().message);
  const Result<formats::onnx::ModelProto> proto = formats::onnx::parse_model(*bytes);
  for (size_t i = 0; proto.ok() && i < inputs->size() && i < proto->graph.inputs.size(); ++i) {
    const Result<DType> declared = formats::onnx::dtype_of(proto->graph.inputs[i].elem_type);
    if (declared.ok()) (*inputs)[i] = as_recorded((*inputs)[i], *declared);
  }
  // First as any model is read; the inputs' values help only where a shape hangs on one.
  const Result<ir::Model> model = formats::onnx::import_model(*bytes, model_path, *inputs);
  if (!model.ok()) {
    const bool is_gap = model.error().code == ErrorCode::kUnsupported;
    return {is_gap ? Verdict::kUnsupported : Verdict::kFailed, model.error().message};
  }
  const Result<ir::Graph> graph = compress::deployed_graph(*model);
  if (!graph.ok()) return failed(graph.error().message);
  const Result<std::vector<ir::Tensor>> outputs = runtime::run_graph(*graph, *inputs);
  if (!outputs.ok()) return failed(outputs.error().message);
  if (outputs->size() != expected->size()) {
    return failed(str("expected ", expected->size(), " outputs, found ", outputs->size()));
  }
  for (size_t i = 0; i < outputs->size(); ++i) {
    const ir::Tensor& found = (*outputs)[i];
    const std::string difference = compare(found, as_recorded((*expected)[i], found.dtype()), bar);
    if (!difference.empty()) return failed(str("output ", i, ": ", difference));
  }
  return {};
}

Outcome run_test(const std::string& folder) {
  Outcome worst = failed("no data set");
  for (int i = 0;; ++i) {
    const std::string set = str(folder, "/test_data_set_", i);
    if (!is_directory(set)) return worst;
    worst = run_set(folder + "/model.onnx", set, bar_of(folder));
    if (worst.verdict != Verdict::kPassed) return worst;
  }
}

std::string word(Verdict verdict) {
  return verdict == Verdict::kPassed        ? "passed"
         : verdict == Verdict::kUnsupported ? "unsupported"
                                            : "failed";
}

// One line, without the file's name and cell borders.
std::string cell(std::string text) {
  if (const size_t end = text.find("model.onnx: "); end != std::string::npos)
    text.erase(0, end + 12);
  for (char& letter : text) letter = letter == '|' || letter == '\n' ? ' ' : letter;
  return text.size() > 160 ? text.substr(0, 160) + "..." : text;
}

std::string table(const std::map<std::string, Outcome>& outcomes, const std::string& summary) {
  std::string text =
      "# ONNX operator tests\n\nWritten by `onnx_node_tests FOLDER --table docs/onnx_nodes.md` "
      "from "
      "the backend tests in PyPI\n`onnx==1.17.0` (`onnx/backend/test/data/node`); do not "
      "edit.\n\n" +
      summary + "\n\n## Not passed\n\n| test | verdict | reason |\n| --- | --- | --- |\n";
  for (const auto& [name, outcome] : outcomes) {
    if (outcome.verdict == Verdict::kPassed) continue;
    text += str("| `", name, "` | ", word(outcome.verdict), " | ", cell(outcome.reason), " |\n");
  }
  text += "\n## Passed\n\n";
  for (const auto& [name, outcome] : outcomes) {
    if (outcome.verdict == Verdict::kPassed) text += str("`", name, "`\n");
  }
  return text;
}

int run(const std::vector<std::string>& arguments) {
  std::string folder;
  std::string table_path;
  std::vector<std::string> names;
  bool needs_all = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--table" && i + 1 < arguments.size()) {
      table_path = arguments[++i];
    } else if (arguments[i] == "--all") {
      needs_all = true;
    } else if (folder.empty()) {
      folder = arguments[i];
    } else {
      names.push_back(arguments[i]);
    }
  }
  const Result<std::vector<std::string>> found = list_directory(folder);
  if (!found.ok()) {
    std::fprintf(stderr, "%s\n", found.error().message.c_str());
    return 3;
  }
  std::map<std::string, Outcome> outcomes;
  int counts[3] = {0, 0, 0};
  for (const std::string& name : *found) {
    if (!file_exists(str(folder, "/", name, "/model.onnx"))) continue;
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    Outcome outcome = run_test(str(folder, "/", name));
    for (const Contradiction& c : kContradictions) {
      if (outcome.verdict == Verdict::kFailed && name.starts_with(c.prefix)) {
        outcome = {Verdict::kUnsupported, c.reason};
      }
    }
    ++counts[static_cast<int>(outcome.verdict)];
    if (outcome.verdict != Verdict::kPassed || !names.empty()) {
      std::printf("%-12s %s: %s\n", word(outcome.verdict).c_str(), name.c_str(),
                  cell(outcome.reason).c_str());
      std::fflush(stdout);
    }
    outcomes[name] = outcome;
  }
  const std::string summary = str(outcomes.size(), " tests: ", counts[0], " passed, ", counts[1],
                                  " unsupported, ", counts[2], " failed.");
  std::puts(summary.c_str());
  if (!table_path.empty()) {
    if (const Status written = write_file_atomic(table_path, table(outcomes, summary));
        !written.ok()) {
      std::fprintf(stderr, "%s\n", written.error().message.c_str());
      return 4;
    }
  }
  const bool is_bad = counts[2] > 0 || outcomes.empty() || (needs_all && counts[1] > 0);
  return is_bad ? 1 : 0;
}

}  // namespace
}  // namespace ew

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: onnx_node_tests FOLDER [--all] [--table FILE.md] [NAME...]\n", stderr);
    return 2;
  }
  return ew::run(std::vector<std::string>(argv + 1, argv + argc));
}
