#include "formats/onnx/import.h"

#include <algorithm>

#include "formats/onnx/importer.h"

namespace ew::formats::onnx {
namespace {

constexpr int64_t kOldestOpset = 7;
constexpr int64_t kNewestOpset = 22;

Status check_opset(const ModelProto& proto) {
  for (const auto& [domain, version] : proto.opsets) {
    if (!domain.empty() && domain != "ai.onnx") continue;
    if (version >= kOldestOpset && version <= kNewestOpset) return {};
    return unsupported("operator set ", version, "; expected ", kOldestOpset, " to ", kNewestOpset,
                       " (onnx.version_converter changes it)");
  }
  // A model of other domains' operators alone.
  if (!proto.opsets.empty()) return {};
  return invalid_data("names no operator set");
}

Result<ir::Model> import_proto(const ModelProto& proto, ImportInputs options) {
  // Values are taken as fixed only where something asks for them, one after another.
  const size_t tries = options.values.size() + 3;
  Result<ir::Model> result = invalid_data("");
  for (size_t i = 0; i < tries; ++i) {
    Importer importer(proto, options);
    result = importer.run();
    if (result.ok() || options.values.empty()) break;
    bool is_new = importer.needs_shapes() && !options.use_shapes;
    options.use_shapes = options.use_shapes || is_new || !importer.needed().empty();
    for (const std::string& name : importer.needed()) {
      is_new = options.fixed.insert(name).second || is_new;
    }
    if (!is_new) break;
  }
  return result;
}

}  // namespace

bool looks_like_model(std::span<const uint8_t> bytes) {
  WireReader reader(bytes);
  Field field;
  // ir_version stands first in files of every exporter; the graph may.
  return reader.next(field) && ((field.id == 1 && field.kind == WireKind::kVarint &&
                                 field.number > 0 && field.number < 1000) ||
                                (field.id == 7 && field.kind == WireKind::kBytes));
}

Result<ir::Model> import_model(std::span<const uint8_t> bytes, const std::string& path,
                               std::span<const ir::Tensor> inputs) {
  Result<ModelProto> proto = parse_model(bytes);
  if (!proto.ok()) return at(path, proto.error());
  if (!proto->has_graph) return invalid_data(path, ": is no ONNX model (it has no graph)");
  if (Status status = check_opset(*proto); !status.ok()) return at(path, status.error());
  ImportInputs options;
  options.path = path;
  const size_t slash = path.rfind('/');
  options.folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  options.values.assign(inputs.begin(), inputs.end());
  options.file_bytes = bytes.size();
  Result<ir::Model> model = import_proto(*proto, std::move(options));
  if (!model.ok()) return at(path, model.error());
  return model;
}

}  // namespace ew::formats::onnx
