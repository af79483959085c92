#include "runtime/int8/builder.h"

#include <algorithm>
#include <optional>

#include "ir/ew/ew_file.h"
#include "ops/selected.h"

namespace ew::runtime::int8 {

using ir::kNoValue;
using ir::Node;
using ir::ValueId;
using kernels::int8::Rounding;

Share row_share(const Layout& l, int64_t byte_cost) {
  return {.units = l.images * l.h, .cost = byte_cost * l.images * l.h * l.w * l.c};
}

bool RequantPlace::repeats() const {
  constexpr size_t kLanes = 16;
  const auto is_same = [&](const float* x) {
    for (size_t i = kLanes; i < lanes; ++i) {
      if (x[i] != x[i - kLanes]) return false;
    }
    return true;
  };
  return is_same(requant.scale) && is_same(requant.offset) && is_same(requant.offset_negative) &&
         is_same(requant.fine);
}

void RequantPlace::link(const uint8_t* constants) {
  const auto at = [&](size_t place) { return static_cast<const void*>(constants + place); };
  requant.bias = static_cast<const int32_t*>(at(bias));
  requant.scale = static_cast<const float*>(at(scale));
  requant.offset = static_cast<const float*>(at(offset));
  requant.offset_negative = static_cast<const float*>(at(offset_negative));
  requant.fine = static_cast<const float*>(at(fine));
  const auto exact_at = [&](size_t place) {
    return own.empty() ? static_cast<const int32_t*>(at(place))
                       : own.data() + place / sizeof(int32_t);
  };
  requant.channel = exact_at(channel);
  requant.repeats = repeats();
  if (multiplier == 0) return;
  requant.multiplier = exact_at(multiplier);
  requant.shift = exact_at(shift);
}

Builder::Builder(const ir::Graph& graph, size_t first, size_t last, const RegionOptions& options,
                 const kernels::int8::Int8Table& table)
    : graph_(graph),
      first_(first),
      last_(last),
      options_(options),
      table_(table),
      region_(new Region()),
      demands_(graph.values.size()),
      is_plain_(graph.values.size(), false) {
  for (size_t i = 0; i < graph.values.size(); ++i) roots_.push_back(static_cast<ValueId>(i));
}

void Builder::find_views() {
  for (size_t i = first_; i < last_; ++i) {
    const Node& node = graph_.nodes[i];
    if (node.op == EW_IF_SELECTED(concat, Concat)) {
      // Along other axes than the channels it is written in runs, which a border would cut.
      const int64_t axis = node.attrs.integer("axis");
      const bool is_channels = axis == -1 || axis + 1 == graph_.type(node.outputs[0]).shape.rank();
      if (!is_channels) is_plain_[static_cast<size_t>(node.outputs[0])] = true;
    }
    if (!node.op->is_view || !is_int8(graph_, node.inputs[0])) continue;
    const ValueId from = root(node.inputs[0]);
    roots_[static_cast<size_t>(node.outputs[0])] = from;
    is_plain_[static_cast<size_t>(from)] = true;
  }
}

void Builder::find_demands() {
  for (size_t i = first_; i < last_; ++i) {
    const Node& node = graph_.nodes[i];
    const NodeKind& kind = *find_kind(*node.op);
    if (kind.border == nullptr) continue;
    Border& demand = demands_[static_cast<size_t>(root(node.inputs[0]))];
    demand = demand.merged(kind.border(graph_, node));
  }
}

Slot Builder::new_slot(int64_t bytes) {
  slots_.push_back(
      {bytes, static_cast<int>(region_->steps_.size()), static_cast<int>(region_->steps_.size())});
  return static_cast<Slot>(slots_.size() - 1);
}

// The slot is used by this node's steps, of which the last is not known yet.
void Builder::touch(Slot slot) { used_.push_back(slot); }

void Builder::end_node() {
  const int last = static_cast<int>(region_->steps_.size()) - 1;
  for (const Slot slot : used_) {
    slots_[static_cast<size_t>(slot)].last = std::max(slots_[static_cast<size_t>(slot)].last, last);
  }
  used_.clear();
}

Slot Builder::outside_input(ValueId id) {
  const auto [it, is_new] = outside_in_.try_emplace(id, -1);
  if (is_new) {
    it->second = new_slot(-1);
    region_->inputs_.push_back(id);
  }
  return it->second;
}

Slot Builder::outside_output(ValueId id) {
  const auto [it, is_new] = outside_out_.try_emplace(id, -1);
  if (is_new) {
    it->second = new_slot(-1);
    region_->outputs_.push_back(id);
  }
  return it->second;
}

Slot Builder::scratch(int64_t bytes) {
  const Slot slot = new_slot(bytes);
  touch(slot);
  return slot;
}

void Builder::add_step(std::unique_ptr<Step> step) { region_->steps_.push_back(std::move(step)); }

size_t Builder::reserve(size_t bytes) {
  const size_t at = constant_bytes_;
  constant_bytes_ = (at + bytes + 63) / 64 * 64;
  note(static_cast<uint64_t>(bytes));
  if (has_packed()) {
    is_broken_ |= constant_bytes_ > options_.packed->block.size();
  } else {
    constants_.resize(constant_bytes_);
  }
  return at;
}

void Builder::fill_border(const Placed& placed, ValueId id) {
  const Layout l = placed.layout;
  if (!l.border.any()) return;
  const auto value = static_cast<uint8_t>(ops::int8::zero_of(graph_.type(id)) + 128);
  touch(placed.slot);
  const Share share{.units = l.images * l.h,
                    .cost = kCopyCost * (l.bytes() - l.images * l.h * l.w * l.c)};
  const auto run = [l, value, slot = placed.slot, fill = table_.fill](uint8_t* const* slots,
                                                                      int64_t first, int64_t last) {
    for_images(l.h, first, last, [&](int64_t n, int64_t y, int64_t rows) {
      uint8_t* image = slots[slot] + n * l.image();
      // The right border of a row and the left one of the next are neighbours.
      const bool is_end = y + rows == l.h;
      uint8_t* side = image + l.origin() + y * l.row() + l.w * l.c;
      if (y == 0) fill({.rows = 1, .bytes = l.origin()}, value, image);
      fill({.rows = is_end ? rows - 1 : rows,
            .bytes = (l.border.left + l.border.right) * l.c,
            .out_row = l.row()},
           value, side);
      uint8_t* end = side + (rows - 1) * l.row();
      if (is_end) fill({.rows = 1, .bytes = image + l.image() - end}, value, end);
    });
  };
  shared_step(share, run, true);  // whatever writes the rows writes nothing here
}

Builder::Placed Builder::define(ValueId id) {
  const ValueId of = root(id);
  Layout layout = layout_of(graph_.type(id).shape);
  if (!is_plain_[static_cast<size_t>(of)]) layout.border = demands_[static_cast<size_t>(of)];
  const Placed placed{new_slot(layout.bytes()), layout};
  fill_border(placed, id);
  placed_.emplace(of, placed);
  touch(placed.slot);
  return placed;
}

Builder::Placed Builder::copy_with(const Placed& from, ValueId id, const Border& border) {
  Layout layout = from.layout;
  layout.border = border;
  const Placed to{new_slot(layout.bytes()), layout};
  fill_border(to, id);
  touch(from.slot);
  touch(to.slot);
  const auto copy = [from, to](uint8_t* const* slots, int64_t first, int64_t last) {
    const Layout& a = from.layout;
    const Layout& b = to.layout;
    for (int64_t i = first; i < last; ++i) {
      std::memcpy(slots[to.slot] + b.at(i / a.h, i % a.h),
                  slots[from.slot] + a.at(i / a.h, i % a.h), static_cast<size_t>(a.w * a.c));
    }
  };
  shared_step(row_share(from.layout), copy);
  placed_.emplace(root(id), to);
  touch(to.slot);
  return to;
}

Builder::Placed Builder::use_any(ValueId id) {
  const ValueId of = root(id);
  auto it = placed_.find(of);
  if (it == placed_.end()) {
    // It comes from outside, as stored values.
    const Slot source = outside_input(of);
    Layout layout = layout_of(graph_.type(of).shape);
    if (!is_plain_[static_cast<size_t>(of)]) layout.border = demands_[static_cast<size_t>(of)];
    const Placed placed{new_slot(layout.bytes()), layout};
    fill_border(placed, of);
    touch(placed.slot);
    shared_step(row_share(layout), [placed, source, flip = table_.flip](
                                       uint8_t* const* slots, int64_t first, int64_t last) {
      const Layout& l = placed.layout;
      const int64_t row = l.w * l.c;
      for_images(l.h, first, last, [&](int64_t n, int64_t y, int64_t rows) {
        flip({.rows = rows, .bytes = row, .in_row = row, .out_row = l.row()},
             slots[source] + (n * l.h + y) * row, slots[placed.slot] + l.at(n, y));
      });
    });
    it = placed_.emplace(of, placed);
  }
  Placed found = it->second;
  if (of != id || is_plain_[static_cast<size_t>(of)]) {
    // A view: the same bytes in another shape.
    const Border border = found.layout.border;
    found.layout = layout_of(graph_.type(id).shape);
    found.layout.border = border;
  }
  touch(found.slot);
  return found;
}

Builder::Placed Builder::use(ValueId id, const Border& border) {
  const Placed any = use_any(id);
  if (any.layout.border.covers(border)) return any;
  // A value with views has no border of its own; a copy serves this use.
  return copy_with(any, id, any.layout.border.merged(border));
}

Builder::Placed Builder::use_plain(ValueId id) {
  const Placed any = use_any(id);
  if (!any.layout.border.any()) return any;
  return copy_with(any, id, {});
}

namespace {

using Proofs = std::map<int32_t, FloatForm>;

// All channels as one, if they share a scale: its form serves every one of them.
std::optional<ChannelForm> shared_form(const std::vector<int32_t>& channels,
                                       const std::vector<ChannelForm>& forms) {
  const ChannelForm* one = nullptr;
  std::vector<const Steps*> parts;
  for (const int32_t c : channels) {
    if (c < 0) continue;
    const ChannelForm& form = forms[static_cast<size_t>(c)];
    if (one == nullptr) one = &form;
    if (!form.is_monotone || form.slope != one->slope || form.zero != one->zero ||
        form.is_relu != one->is_relu) {
      return std::nullopt;
    }
    parts.push_back(&form.steps);
  }
  auto steps = join_steps(parts);
  if (!steps) return std::nullopt;
  return ChannelForm{
      .steps = std::move(*steps), .is_relu = one->is_relu, .slope = one->slope, .zero = one->zero};
}

// A form of one kind for every channel, or nothing.
template <typename F>
std::optional<Proofs> prove_all(const std::vector<int32_t>& channels,
                                const std::vector<ChannelForm>& forms,
                                const std::optional<ChannelForm>& shared, F prove_one) {
  Proofs proved;
  if (shared) {
    const FloatForm f = prove_one(*shared);
    for (const int32_t c : channels) {
      if (f.is_proved && c >= 0) proved[c] = f;
    }
    if (f.is_proved) return proved;
  }
  for (const int32_t c : channels) {
    if (c < 0 || proved.contains(c)) continue;
    const ChannelForm& form = forms[static_cast<size_t>(c)];
    if (!form.is_monotone) return std::nullopt;
    const FloatForm f = prove_one(form);
    if (!f.is_proved) return std::nullopt;
    proved[c] = f;
  }
  return proved;
}

}  // namespace

Rounding Builder::prove_forms(const std::vector<int32_t>& channels,
                              const std::vector<ChannelForm>& forms, int32_t base,
                              bool may_use_bits, bool may_use_fine, Proofs& proved) const {
  const std::optional<ChannelForm> shared = shared_form(channels, forms);
  if (may_use_bits) {
    auto found = prove_all(channels, forms, shared, [](const ChannelForm& f) {
      return f.is_relu ? prove_bits(f.steps, f.slope, f.zero) : FloatForm();
    });
    if (found) {
      proved = std::move(*found);
      return Rounding::kBits;
    }
  }
  auto found = prove_all(channels, forms, shared, [base](const ChannelForm& f) {
    return prove_any(f.steps, f.slope, f.zero, base, f.is_relu);
  });
  auto rounding = Rounding::kFloat;
  if (!found && may_use_fine) {
    found = prove_all(channels, forms, shared, [base](const ChannelForm& f) {
      return f.steps.at.empty() ? prove(f.steps, f.slope, f.zero, base, 0)
                                : prove_fine(f.steps, f.slope, base);
    });
    rounding = Rounding::kFine;
  }
  if (!found) return Rounding::kExact;
  proved = std::move(*found);
  return rounding;
}

RequantPlace Builder::requantize(const std::vector<int32_t>& channels,
                                 const std::vector<ChannelForm>& forms, ops::int8::Range range,
                                 const ExactFunction& exact, int32_t base, bool is_product) {
  const bool clamps = range.min > -128 || range.max < 127;
  const bool may_use_bits = is_product && table_.has_bits && !clamps;
  // The constants of a file say kFine where the build that made it had kernels for that.
  const bool may_use_fine = is_product && (table_.has_fine || has_packed());
  RequantPlace place;
  kernels::int8::Requant& r = place.requant;
  r.min = static_cast<uint8_t>(range.min + 128);
  r.max = static_cast<uint8_t>(range.max + 128);
  r.exact = exact.call;
  r.context = exact.context;
  r.zero = base;
  Proofs proved;
  auto rounding = static_cast<uint8_t>(Rounding::kExact);
  know(
      [&] {
        rounding = static_cast<uint8_t>(
            prove_forms(channels, forms, base, may_use_bits, may_use_fine, proved));
      },
      rounding);
  const auto first = static_cast<uint8_t>(may_use_bits ? Rounding::kBits : Rounding::kFloat);
  is_broken_ |= rounding < first || rounding > static_cast<uint8_t>(Rounding::kExact) ||
                (rounding == static_cast<uint8_t>(Rounding::kFine) && !may_use_fine);
  r.rounding = static_cast<Rounding>(rounding);
  keep_requant(channels, forms, proved, place);
  const bool lacks_kernel = r.rounding == Rounding::kFine && !table_.has_fine;
  // Sums of kFine have the centre 0, so their bias is that of the exact function.
  if (lacks_kernel) r.rounding = Rounding::kExact;
  if (r.rounding == Rounding::kExact) keep_exact(channels, exact, lacks_kernel, place);
  ++region_->blocks_;
  region_->exact_blocks_ += r.rounding == Rounding::kExact ? 1 : 0;
  return place;
}

void Builder::keep_requant(const std::vector<int32_t>& channels,
                           const std::vector<ChannelForm>& forms, const Proofs& proved,
                           RequantPlace& place) {
  const Rounding rounding = place.requant.rounding;
  place.lanes = channels.size();
  const int32_t start = rounding == Rounding::kBits ? kernels::int8::kFloatBits : 0;
  const auto form_of = [&](int32_t channel) {
    const auto it = proved.find(channel);
    return it == proved.end() ? FloatForm() : it->second;
  };
  // One number per lane; lanes without a channel have `none`.
  const auto keep_lanes = [&](auto none, auto number) {
    const size_t bytes = channels.size() * sizeof(none);
    return keep(bytes, [&](uint8_t* to) {
      for (size_t i = 0; i < channels.size(); ++i) {
        const auto value = channels[i] < 0 ? none : number(channels[i]);
        std::memcpy(to + i * sizeof(none), &value, sizeof(none));
      }
    });
  };
  place.bias = keep_lanes(start, [&](int32_t c) {
    // Sums wrap, so the bias may.
    return static_cast<int32_t>(static_cast<uint32_t>(start) +
                                static_cast<uint32_t>(forms[static_cast<size_t>(c)].bias) -
                                static_cast<uint32_t>(form_of(c).centre));
  });
  place.scale = keep_lanes(0.0F, [&](int32_t c) { return form_of(c).scale; });
  place.offset = keep_lanes(0.0F, [&](int32_t c) { return form_of(c).offset; });
  place.offset_negative = place.fine = place.offset;
  if (rounding == Rounding::kFine) {
    place.fine = keep_lanes(0.0F, [&](int32_t c) { return form_of(c).fine; });
  }
  if (rounding == Rounding::kFloat || rounding == Rounding::kFine) {
    place.offset_negative = keep_lanes(0.0F, [&](int32_t c) { return form_of(c).offset_negative; });
  }
  place.channel = place.bias;
}

// Kernels index tables by these constants, so a file's must be the very same.
void Builder::keep_exact(const std::vector<int32_t>& channels, const ExactFunction& exact,
                         bool is_own, RequantPlace& place) {
  const auto keep_all = [&](const std::vector<int32_t>& values) {
    if (!is_own) return keep_checked(values);
    const size_t at = place.own.size() * sizeof(int32_t);
    place.own.insert(place.own.end(), values.begin(), values.end());
    return at;
  };
  place.channel = keep_all(channels);
  if (exact.twice == nullptr) return;
  std::vector<int32_t> multiplier;
  std::vector<int32_t> shift;
  for (const int32_t c : channels) {
    const ops::int8::Multiplier m =
        c < 0 ? ops::int8::Multiplier() : exact.twice->multiplier(c % exact.period);
    multiplier.push_back(m.value);
    shift.push_back(-m.shift);
    if (m.shift > 0) return;
  }
  place.multiplier = keep_all(multiplier);
  place.shift = keep_all(shift);
  place.requant.zero = exact.twice->zero();
}

std::unique_ptr<Region> Builder::build() {
  find_views();
  find_demands();
  if (has_packed() && !takes_packed()) return nullptr;
  note(static_cast<uint64_t>(last_ - first_));
  for (size_t i = first_; i < last_; ++i) {
    node_ = static_cast<int>(i);
    const Node& node = graph_.nodes[i];
    digest_ = ir::node_digest(graph_, node, digest_);
    find_kind(*node.op)->add(*this, node);
    const ValueId y = node.outputs[0];
    if (options_.is_needed_outside[static_cast<size_t>(y)] && is_int8(graph_, y)) hand_out(y);
    end_node();
    if (is_broken_) return nullptr;
  }
  finish();
  return is_broken_ ? nullptr : std::move(region_);
}

// The constants belong to the weights of the file that they came with.
bool Builder::takes_packed() const {
  for (size_t i = first_; i < last_; ++i) {
    for (const ValueId id : graph_.nodes[i].inputs) {
      if (id == kNoValue) continue;
      const ir::Value& value = graph_.value(id);
      const bool is_weight =
          value.kind == ir::ValueKind::kConstant || value.kind == ir::ValueKind::kParameter;
      if (is_weight && value.data.owner() != options_.packed_owner.get()) return false;
    }
  }
  return true;
}

void Builder::hand_out(ValueId y) {
  if (outside_in_.contains(root(y))) return;  // a view of what lies outside already
  const Placed from = use_any(y);
  const Slot to = outside_output(y);
  shared_step(row_share(from.layout),
              [from, to, flip = table_.flip](uint8_t* const* slots, int64_t first, int64_t last) {
                const Layout& l = from.layout;
                const int64_t row = l.w * l.c;
                for_images(l.h, first, last, [&](int64_t n, int64_t top, int64_t rows) {
                  flip({.rows = rows, .bytes = row, .in_row = l.row(), .out_row = row},
                       slots[from.slot] + l.at(n, top), slots[to] + (n * l.h + top) * row);
                });
              });
}

// What kernels may read behind every slot.
std::vector<int64_t> Builder::slack() const {
  constexpr int64_t kVector = 64;
  std::vector<int64_t> behind(slots_.size(), kVector);
  for (const auto& [id, placed] : placed_) {
    const Layout& l = placed.layout;
    // Only windows reach further.
    if (l.h == 1 && l.w == 1 && !l.border.any()) continue;
    behind[static_cast<size_t>(placed.slot)] = kernels::int8::kSlackBytes + (l.h > 1 ? l.row() : 0);
  }
  return behind;
}

void Builder::finish() {
  std::vector<ir::BufferLifetime> lifetimes;
  std::vector<size_t> owners;
  const std::vector<int64_t> behind = slack();
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].bytes < 0) continue;
    lifetimes.push_back({slots_[i].bytes, slots_[i].first, slots_[i].last});
    owners.push_back(i);
  }
  region_->lower_bound_bytes_ = ir::lower_bound_bytes(lifetimes);
  for (const auto& step : region_->steps_) region_->cost_ += step->share().cost;
  if (region_->may_share()) {
    // While one thread reads behind its input, which has no effect, no other may write there.
    for (ir::BufferLifetime& b : lifetimes) b.bytes += kernels::int8::kSlackBytes;
  }
  const ir::MemoryPlan plan = ir::plan_memory(lifetimes);
  for (size_t i = 0; i < owners.size(); ++i) {
    region_->arena_bytes_ = std::max(region_->arena_bytes_,
                                     plan.offsets[i] + slots_[owners[i]].bytes + behind[owners[i]]);
  }
  region_->arena_ = std::make_unique<ir::Buffer>(static_cast<size_t>(region_->arena_bytes_));
  auto* base = static_cast<uint8_t*>(region_->arena_->data());
  region_->slots_.assign(slots_.size(), nullptr);
  for (size_t i = 0; i < owners.size(); ++i) region_->slots_[owners[i]] = base + plan.offsets[i];
  for (const ValueId id : region_->inputs_) region_->input_slots_.push_back(outside_in_.at(id));
  for (const ValueId id : region_->outputs_) region_->output_slots_.push_back(outside_out_.at(id));
  if (has_packed()) {
    region_->packed_ = *options_.packed;
    region_->constants_owner_ = options_.packed_owner;
    is_broken_ |= digest_ != region_->packed_.digest ||
                  facts_read_ != region_->packed_.facts.size() ||
                  constant_bytes_ != region_->packed_.block.size();
  } else {
    region_->constants_ = std::make_unique<ir::Buffer>(constants_.size() + ir::kPackedSlack);
    if (!constants_.empty()) {
      std::memcpy(region_->constants_->data(), constants_.data(), constants_.size());
    }
    region_->facts_ = std::move(facts_);
    region_->packed_ = {
        .node = static_cast<int32_t>(first_),
        .digest = digest_,
        .facts = region_->facts_,
        .block = {static_cast<const uint8_t*>(region_->constants_->data()), constants_.size()}};
  }
  const uint8_t* constants = region_->packed_.block.data();
  for (const auto& step : region_->steps_) step->link(constants);
}

}  // namespace ew::runtime::int8
