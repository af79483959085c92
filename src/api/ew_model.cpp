#include "api/ew_model.h"

#include <algorithm>

#include "api/ew_signing.h"
#include "api/model_impl.h"
#include "base/file.h"
#include "compress/weight_only.h"
#include "formats/container.h"
#include "formats/half_weights.h"
#include "ir/ew/ew_file.h"
#include "ir/passes.h"
#include "ops/ops.h"

namespace ew::api {
namespace {

using kernels::CpuTarget;

Result<CpuTarget> parse_target(const std::string& name) {
  if (name == "native") return kernels::detect_cpu();
  for (const CpuTarget target : kernels::kCpuTargets) {
    if (name != kernels::to_string(target)) continue;
    if (kernels::is_supported(target)) return target;
    return unsupported("target ", name,
                       ": this machine cannot run these kernels, which also pack the weights; "
                       "convert on one that can, or with target portable");
  }
  std::vector<std::string> known{"native", "none"};
  for (const CpuTarget target : kernels::kCpuTargets)
    known.emplace_back(kernels::to_string(target));
  return invalid_argument("target: expected ", join(known, ", "), ", found '", name, "'");
}

}  // namespace

Result<std::optional<ir::Model>> load_ew(const std::string& path, const LoadOptions& options) {
  EW_TRY(const formats::FilePart part, formats::parse_part(path));
  if (!file_exists(part.file) || is_directory(part.file)) return std::optional<ir::Model>();
  EW_TRY(const auto file, MappedFile::open(part.file, part.offset, part.length));
  if (!ir::is_ew(file->bytes())) {
    if (file_suffix(part.file) != ".ew") return std::optional<ir::Model>();
    return invalid_data(path, ": expected an .ew file, found another beginning");
  }
  ir::Verifier verifier;
  if (!options.trusted_key.empty()) {
    EW_TRY(verifier, verifier_of(options.trusted_key));
  }
  Result<ir::Model> model = ir::read_ew(file, ops::find_op, verifier);
  if (!model.ok()) return at(path, model.error());
  return std::optional<ir::Model>(std::move(*model));
}

Result<std::vector<std::string>> save_ew(const ir::Model& model, const std::string& path,
                                         const SaveOptions& options) {
  EW_TRY(ir::Model deployed, deployed_model(model));
  if (options.int4_weights) {
    EW_TRY(deployed.graph, compress::quantize_weights_int4(deployed.graph, options.int4_group));
  }
  EW_TRY_VOID(formats::round_weights(deployed.graph, options.weights));
  std::vector<std::string> notes;
  std::unique_ptr<runtime::Executor> executor;
  std::optional<ir::PackedSection> packed;
  if (options.target != "none") {
    EW_TRY(const CpuTarget target, parse_target(options.target));
    EW_TRY(ir::Graph fixed, ir::for_one_sample(deployed.graph));
    EW_TRY(executor, runtime::Executor::create(std::move(fixed), {.int8_target = target}));
    packed = executor->packed();
    notes.push_back(packed ? "packed for " + packed->target : "nothing to pack for this target");
  }
  ir::Signer signer;
  if (!options.sign_key.empty()) {
    EW_TRY(signer, signer_of(options.sign_key));
    notes.push_back("signed with " + options.sign_key);
  }
  EW_TRY(const std::vector<uint8_t> bytes,
         ir::write_ew(deployed, packed ? &*packed : nullptr, signer));
  EW_TRY_VOID(write_file_atomic(path, bytes));
  return notes;
}

std::string describe_packed(const ir::Model& model, const runtime::Executor& executor) {
  if (!model.packed) return "";
  const runtime::Executor::PackedCount count = executor.packed_count();
  if (count.from_file > 0 && count.from_file == count.all) {
    return model.packed->target + ", used here";
  }
  if (count.from_file > 0) {
    return str(model.packed->target, ", used here for ", count.from_file, " of ", count.all,
               " parts");
  }
  return model.packed->target + ", not used here: the weights are packed when the model is opened";
}

}  // namespace ew::api
