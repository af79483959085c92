// RNN, GRU and LSTM of ONNX: weights go over to our gate order, one operator per direction.
#include "formats/onnx/handlers.h"

namespace ew::formats::onnx {
namespace {

struct Kind {
  const OpDef& op;
  int64_t gates;
  std::vector<int64_t> order;  ///< place in the file of each of our gates
  bool has_cell;
};

struct Sequence {
  ValueId x = kNoValue;     ///< [B, T, F]
  ValueId mask = kNoValue;  ///< [B, T]
  int64_t units = 0;
  bool batch_first = false;
};

std::string activation_name(Call& c, const std::string& name, double alpha, double beta) {
  if (name == "HardSigmoid" && std::abs(alpha - 0.2) < 1e-6 && beta == 0.5)
    return "hard_sigmoid_k2";
  if (name == "Elu" && alpha == 1) return "elu";
  constexpr std::pair<const char*, const char*> kNames[] = {{"Sigmoid", "sigmoid"},
                                                            {"Tanh", "tanh"},
                                                            {"Relu", "relu"},
                                                            {"Softsign", "softsign"},
                                                            {"Softplus", "softplus"}};
  for (const auto& [from, to] : kNames) {
    if (name == from) return to;
  }
  c.unsupported("the activation ", name, " with alpha ", alpha, " and beta ", beta);
  return "linear";
}

// Activations of one direction: {recurrent, own} for gated units, {own} for RNN.
std::vector<std::string> activations(Call& c, const Kind& kind, size_t direction) {
  const bool is_rnn = kind.gates == 1;
  std::vector<std::string> names = c.texts("activations");
  const size_t each = is_rnn ? 1 : kind.has_cell ? 3 : 2;
  std::vector<std::string> fallback = is_rnn ? std::vector<std::string>{"Tanh"}
                                      : kind.has_cell
                                          ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                          : std::vector<std::string>{"Sigmoid", "Tanh"};
  std::vector<std::string> own = fallback;
  if (names.size() >= each * (direction + 1)) {
    const auto from = names.begin() + static_cast<long>(each * direction);
    own.assign(from, from + static_cast<long>(each));
  }
  if (kind.has_cell && own[1] != own[2]) c.unsupported("different activations for cell and output");
  const std::vector<double> alphas = c.numbers("activation_alpha");
  const std::vector<double> betas = c.numbers("activation_beta");
  for (size_t i = 0; i < own.size(); ++i) {
    const size_t at = direction * each + i;
    const double alpha = at < alphas.size() ? alphas[at] : own[i] == "HardSigmoid" ? 0.2 : 1;
    own[i] = activation_name(c, own[i], alpha, at < betas.size() ? betas[at] : 0.5);
  }
  return own;
}

// Rows [gate * U, ...) of a direction's [gates * U, ...], in our order.
ValueId reordered(Call& c, ValueId rows, const Kind& kind, int64_t units) {
  std::vector<ValueId> parts;
  for (const int64_t gate : kind.order) {
    parts.push_back(c.slice(rows, 0, gate * units, (gate + 1) * units));
  }
  return c.concat(parts, 0);
}

ValueId direction_of(Call& c, ValueId all, int64_t d) {
  const ValueId one = c.slice(all, 0, d, d + 1);
  if (!c.ok()) return kNoValue;
  return c.reshape(one, c.dims(one, 1));
}

ValueId bias_of(Call& c, ValueId all, int64_t d, const Kind& kind, int64_t units, bool separate) {
  const ValueId own = direction_of(c, all, d);
  const int64_t width = kind.gates * units;
  const ValueId input = reordered(c, c.slice(own, 0, 0, width), kind, units);
  const ValueId recurrent = reordered(c, c.slice(own, 0, width, 2 * width), kind, units);
  if (separate) return c.concat({c.unsqueeze(input, {0}), c.unsqueeze(recurrent, {0})}, 0);
  return c.add(input, recurrent);
}

ValueId state_of(Call& c, size_t i, int64_t d, bool batch_first) {
  if (!c.has(i)) return kNoValue;
  ValueId state = c.x(i);
  if (batch_first && c.ok()) state = c.transpose(state, {1, 0, 2});
  return direction_of(c, state, d);
}

std::vector<ValueId> run_direction(Call& c, const Kind& kind, const Sequence& s, int64_t d,
                                   bool backwards) {
  const bool is_gru = kind.gates == 3;
  const bool reset_after = is_gru && c.integer("linear_before_reset", 0) != 0;
  const std::vector<std::string> names = activations(c, kind, static_cast<size_t>(d));
  ValueId kernel = c.transpose(reordered(c, direction_of(c, c.x(1), d), kind, s.units), {1, 0});
  ValueId recurrent = c.transpose(reordered(c, direction_of(c, c.x(2), d), kind, s.units), {1, 0});
  ValueId bias = c.has(3) ? bias_of(c, c.x(3), d, kind, s.units, reset_after) : kNoValue;
  kernel = weight(c, kernel, "kernel");
  recurrent = weight(c, recurrent, "recurrent_kernel");
  if (bias != kNoValue) bias = weight(c, bias, "bias");
  std::vector<ValueId> in{
      s.x, kernel, recurrent, bias, s.mask, kNoValue, state_of(c, 5, d, s.batch_first)};
  if (kind.has_cell) in.push_back(state_of(c, 6, d, s.batch_first));
  Attrs attrs{
      {"activation", names.back()}, {"go_backwards", backwards}, {"zero_output_for_mask", true}};
  if (kind.gates > 1) attrs.set("recurrent_activation", names[0]);
  if (is_gru) attrs.set("reset_after", reset_after);
  std::vector<ValueId> out = c.m().emit_multi(kind.op, in, attrs);
  if (backwards && c.ok()) {  // ours come in the order of processing
    out[0] = c.slice(out[0], 1, -1, std::numeric_limits<int64_t>::min(), -1);
  }
  return out;
}

void recurrent(Call& c, const Kind& kind) {
  const ValueId x = c.x(0);
  const ValueId w = c.x(1);
  const ValueId r = c.x(2);
  if (!c.ok()) return;
  const Shape rs = c.shape(r);
  if (c.rank(x) != 3 || c.rank(w) != 3 || rs.rank() != 3 || !rs.is_static() || rs[2] < 1 ||
      rs[1] != kind.gates * rs[2] || c.shape(w)[1] != rs[1] || c.shape(w)[0] != rs[0]) {
    c.fail("weights ", c.shape(w), " and ", rs, " do not fit the input ", c.shape(x));
    return;
  }
  if (c.attribute("clip") != nullptr || c.integer("input_forget", 0) != 0 || c.has(7)) {
    c.unsupported("clip, input_forget and peepholes");
    return;
  }
  const std::string direction = c.text("direction", "forward");
  const int64_t directions = direction == "bidirectional" ? 2 : 1;
  if (rs[0] != directions) {
    c.fail("expected weights of ", directions, " directions, found ", rs[0]);
    return;
  }
  Sequence s;
  s.batch_first = c.integer("layout", 0) != 0;
  s.units = rs[2];
  s.x = s.batch_first ? x : c.transpose(x, {1, 0, 2});
  if (c.has(4)) {
    const int64_t steps = c.shape(s.x)[1];
    if (steps == kUnknown) {
      c.need_static(s.x, "the number of steps");
      return;
    }
    const ValueId lengths = c.unsqueeze(c.cast(c.x(4), DType::kI64), {1});
    s.mask = c.emit(ops::kLess, {c.reshape(c.iota(steps), {1, steps}), lengths});
  }
  std::vector<ValueId> y;
  std::vector<ValueId> h;
  std::vector<ValueId> cell;
  for (int64_t d = 0; d < directions && c.ok(); ++d) {
    const std::vector<ValueId> out = run_direction(c, kind, s, d, d == 1 || direction == "reverse");
    if (!c.ok()) return;
    // [B, T, U] to [T, 1, B, U] or [B, T, 1, U]; states [B, U] to [1, B, U] or [B, 1, U].
    y.push_back(s.batch_first ? c.unsqueeze(out[0], {2})
                              : c.unsqueeze(c.transpose(out[0], {1, 0, 2}), {1}));
    h.push_back(c.unsqueeze(out[1], {s.batch_first ? 1 : 0}));
    if (kind.has_cell) cell.push_back(c.unsqueeze(out[2], {s.batch_first ? 1 : 0}));
  }
  if (!c.ok()) return;
  c.set(0, c.concat(y, s.batch_first ? 2 : 1));
  c.set(1, c.concat(h, s.batch_first ? 1 : 0));
  if (kind.has_cell) c.set(2, c.concat(cell, s.batch_first ? 1 : 0));
}

}  // namespace

void read_rnn(Call& c) { recurrent(c, {ops::kSimpleRnn, 1, {0}, false}); }
void read_gru(Call& c) { recurrent(c, {ops::kGru, 3, {0, 1, 2}, false}); }
// The file has i, o, f, c; ours are i, f, c, o.
void read_lstm(Call& c) { recurrent(c, {ops::kLstm, 4, {0, 2, 3, 1}, true}); }

}  // namespace ew::formats::onnx
