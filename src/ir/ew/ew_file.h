#pragma once
// The `.ew` container: a graph ready to run, its constants, and what a runtime packed for one CPU
// target, in one file that is mapped (docs/formats/ew.md).

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "ir/model.h"

namespace ew::ir {

/// The operator of a name, or null if this build has none.
using FindOp = const OpDef* (*)(std::string_view name);

/// Ed25519 over every byte of the file before the signature block.
struct EwSignature {
  std::array<uint8_t, 32> public_key{};
  std::array<uint8_t, 64> signature{};
};
using Signer = std::function<Result<EwSignature>(std::span<const uint8_t> message)>;
/// `signature` is null in a file without one. An error refuses the file.
using Verifier =
    std::function<Status(std::span<const uint8_t> message, const EwSignature* signature)>;

/// Whether a file begins like one of this format.
bool is_ew(std::span<const uint8_t> bytes);

/// The model in a file; its tensors and packed section lie in the file's memory. Every checksum is
/// compared and every shape inferred anew. Errors: kInvalidData (damaged: what, where);
/// kUnsupported (another version; an operator that this build lacks); kResourceLimit; what
/// `verifier` returns.
Result<Model> read_ew(const std::shared_ptr<const MappedFile>& file, FindOp find_op,
                      const Verifier& verifier = {});

/// The file of a model whose graph inference can run as it is. `packed` may be null. Errors:
/// kUnsupported for a graph that updates its parameters; what `signer` returns.
Result<std::vector<uint8_t>> write_ew(const Model& model, const PackedSection* packed,
                                      const Signer& signer = {});

/// A checksum over what defines a node but its weights' elements: operator, attributes, types of
/// inputs and outputs, rounding. `seed` continues an earlier one.
uint32_t node_digest(const Graph& graph, const Node& node, uint32_t seed);

}  // namespace ew::ir
