#pragma once
// `.ew` files: what load_model() and save() do for them.

#include <optional>
#include <string>

#include "edgewise/model.h"
#include "ir/model.h"
#include "runtime/executor.h"

namespace ew::api {

/// The model if `path` (or FILE#offset=A,length=B) begins as an `.ew` file, else nothing. It is
/// mapped, not read. Errors: ir::read_ew()'s, with the path.
Result<std::optional<ir::Model>> load_ew(const std::string& path, const LoadOptions& options);

/// Writes the executable form of `model` with constants packed for options.target. Returns notes.
Result<std::vector<std::string>> save_ew(const ir::Model& model, const std::string& path,
                                         const SaveOptions& options);

/// "avx512-vnni, used here" or why it is not; empty for a model without a packed section.
std::string describe_packed(const ir::Model& model, const runtime::Executor& executor);

}  // namespace ew::api
