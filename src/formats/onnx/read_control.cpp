// Control flow whose course is known when the model is read: branches are taken, loops unrolled.
#include <algorithm>

#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

constexpr int64_t kMaxTrips = 4096;

const GraphProto* subgraph(Call& c, const char* name) {
  const AttributeProto* a = c.attribute(name);
  if (a != nullptr && a->graphs.size() == 1) return &a->graphs[0];
  c.fail("expected a graph '", name, "'");
  return nullptr;
}

ValPtr plain(ValueId id) {
  auto value = std::make_shared<Val>();
  value->form[kPlain] = id;
  return value;
}

bool known_flag(Call& c, Val& value) {
  if (!c.ok()) return false;
  const Tensor* t = c.m().constant(value);
  if (t == nullptr) {
    c.m().require(value, str(c.where(), ": its condition"));
    return false;
  }
  return t->size() == 1 && t->cast(DType::kBool).values<bool>()[0];
}

// [x_0, x_1, ...] along a new axis.
ValueId stacked(Call& c, const std::vector<ValPtr>& parts, int64_t axis) {
  std::vector<ValueId> ids;
  for (const ValPtr& part : parts) {
    const ValueId id = c.m().form(*part, kPlain);
    ids.push_back(c.unsqueeze(id, {axis}));
  }
  return c.concat(ids, axis);
}

}  // namespace

void read_if(Call& c) {
  const ValPtr condition = c.val(0);
  const bool taken = c.ok() && known_flag(c, *condition);
  if (!c.ok()) return;
  const GraphProto* graph = subgraph(c, taken ? "then_branch" : "else_branch");
  if (graph == nullptr) return;
  const std::vector<ValPtr> out = c.m().run_subgraph(*graph, {});
  for (size_t i = 0; c.ok() && i < out.size(); ++i) c.set(i, out[i]);
}

void read_loop(Call& c) {
  const GraphProto* body = subgraph(c, "body");
  const std::vector<int64_t> limit =
      c.has(0) ? c.known_ints(0, "the trip count") : std::vector<int64_t>{};
  if (!c.ok()) return;
  const int64_t trips = limit.empty() ? kMaxTrips + 1 : limit[0];
  bool goes_on = !c.has(1) || known_flag(c, *c.val(1));
  std::vector<ValPtr> carried;
  for (size_t i = 2; i < c.count() && c.ok(); ++i) carried.push_back(c.val(i));
  const size_t states = carried.size();
  if (!c.ok() || body->outputs.size() < states + 1) {
    c.fail("the body has ", body->outputs.size(), " outputs, expected at least ", states + 1);
    return;
  }
  std::vector<std::vector<ValPtr>> scanned(body->outputs.size() - states - 1);
  for (int64_t trip = 0; trip < trips && goes_on && c.ok(); ++trip) {
    if (trip >= kMaxTrips) {
      c.unsupported("a loop of more than ", kMaxTrips, " steps");
      return;
    }
    std::vector<ValPtr> in{
        plain(c.m().b().constant(Tensor::from<int64_t>(std::vector<int64_t>{trip}, Shape{})))};
    Tensor on(DType::kBool, Shape{});
    on.mutable_values<bool>()[0] = true;
    in.push_back(plain(c.m().b().constant(std::move(on))));
    in.insert(in.end(), carried.begin(), carried.end());
    std::vector<ValPtr> out = c.m().run_subgraph(*body, in);
    if (!c.ok()) return;
    goes_on = known_flag(c, *out[0]);
    carried.assign(out.begin() + 1, out.begin() + 1 + static_cast<long>(states));
    for (size_t k = 0; k < scanned.size(); ++k) scanned[k].push_back(out[1 + states + k]);
  }
  for (size_t i = 0; i < states; ++i) c.set(i, carried[i]);
  for (size_t k = 0; k < scanned.size() && c.ok(); ++k) {
    if (!c.wants(states + k)) continue;
    if (scanned[k].empty()) {
      c.unsupported("a loop of no steps with scanned outputs");
      return;
    }
    c.set(states + k, stacked(c, scanned[k], 0));
  }
}

void read_scan(Call& c) {
  const GraphProto* body = subgraph(c, "body");
  const auto scans = static_cast<size_t>(std::max<int64_t>(c.integer("num_scan_inputs", 1), 1));
  // Opset 8 has a first input of lengths and a batch dimension before the scanned one.
  const bool is_old = c.opset() < 9;
  const size_t first = is_old ? 1 : 0;
  if (!c.ok() || c.count() < first + scans) {
    c.fail("expected at least ", first + scans, " inputs");
    return;
  }
  if (is_old && c.has(0)) {
    c.unsupported("sequence lengths");
    return;
  }
  const size_t states = c.count() - first - scans;
  std::vector<int64_t> axes = c.ints("scan_input_axes");
  std::vector<int64_t> out_axes = c.ints("scan_output_axes");
  std::vector<int64_t> directions = c.ints("scan_input_directions");
  std::vector<int64_t> out_directions = c.ints("scan_output_directions");
  axes.resize(scans, 0);
  directions.resize(scans, 0);
  std::vector<ValueId> sequences;
  int64_t batches = 1;
  int64_t steps = -1;
  for (size_t k = 0; k < scans && c.ok(); ++k) {
    const ValueId x = c.x(first + states + k);
    if (!c.need_static(x, "the scanned lengths")) return;
    sequences.push_back(x);
    if (is_old) batches = c.rank(x) > 1 ? c.shape(x)[0] : 0;
    const int axis = c.axis_of(is_old ? 1 : axes[k], x);
    if (!c.ok()) return;
    const int64_t length = c.shape(x)[axis];
    if ((steps >= 0 && length != steps) || length < 1 || length > kMaxTrips || batches != 1) {
      c.unsupported("scans of ", length, " steps with ", batches, " batches");
      return;
    }
    steps = length;
    axes[k] = axis;
  }
  std::vector<ValPtr> carried;
  for (size_t i = 0; i < states && c.ok(); ++i) {
    const ValueId id = c.x(first + i);
    carried.push_back(is_old && c.ok() ? plain(c.reshape(id, c.dims(id, 1))) : plain(id));
  }
  if (!c.ok() || body->outputs.size() < states) {
    c.fail("the body has ", body->outputs.size(), " outputs, expected at least ", states);
    return;
  }
  std::vector<std::vector<ValPtr>> scanned(body->outputs.size() - states);
  for (int64_t t = 0; t < steps && c.ok(); ++t) {
    std::vector<ValPtr> in = carried;
    for (size_t k = 0; k < scans; ++k) {
      const int64_t at = directions[k] == 0 ? t : steps - 1 - t;
      const ValueId one = c.slice(sequences[k], static_cast<int>(axes[k]), at, at + 1);
      if (!c.ok()) return;
      std::vector<int64_t> shape = c.shape(one).dims();
      shape.erase(shape.begin() + axes[k]);
      if (is_old) shape.erase(shape.begin());
      in.push_back(plain(c.reshape(one, shape)));
    }
    const std::vector<ValPtr> out = c.m().run_subgraph(*body, in);
    if (!c.ok()) return;
    carried.assign(out.begin(), out.begin() + static_cast<long>(states));
    for (size_t k = 0; k < scanned.size(); ++k) scanned[k].push_back(out[states + k]);
  }
  const auto batched = [&](ValueId id) { return is_old ? c.unsqueeze(id, {0}) : id; };
  for (size_t i = 0; i < states && c.ok(); ++i) c.set(i, batched(c.m().form(*carried[i], kPlain)));
  out_axes.resize(scanned.size(), 0);
  out_directions.resize(scanned.size(), 0);
  for (size_t k = 0; k < scanned.size() && c.ok(); ++k) {
    if (out_directions[k] != 0) std::reverse(scanned[k].begin(), scanned[k].end());
    c.set(states + k, batched(stacked(c, scanned[k], out_axes[k])));
  }
}

}  // namespace ew::formats::onnx
