#include "ir/op_def.h"

#include <algorithm>

namespace ew::ir {

std::string attr_text(const AttrValue& value) {
  return std::visit([](const auto& v) { return str(v); }, value);
}

Attrs::Attrs(std::initializer_list<std::pair<const char*, AttrValue>> entries) {
  for (const auto& [name, value] : entries) entries_.emplace_back(name, value);
}

const AttrValue* Attrs::find(std::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Attrs::set(std::string_view name, AttrValue value) {
  for (auto& [key, old] : entries_) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  entries_.emplace_back(std::string(name), std::move(value));
}

namespace {

template <typename T>
const T& get(const Attrs& attrs, std::string_view name) {
  const AttrValue* value = attrs.find(name);
  EW_DCHECK(value != nullptr && std::holds_alternative<T>(*value));
  return std::get<T>(*value);
}

}  // namespace

bool Attrs::flag(std::string_view name) const { return get<bool>(*this, name); }
int64_t Attrs::integer(std::string_view name) const { return get<int64_t>(*this, name); }
double Attrs::number(std::string_view name) const { return get<double>(*this, name); }
const std::string& Attrs::text(std::string_view name) const {
  return get<std::string>(*this, name);
}
const std::vector<int64_t>& Attrs::ints(std::string_view name) const {
  return get<std::vector<int64_t>>(*this, name);
}
const std::vector<double>& Attrs::numbers(std::string_view name) const {
  return get<std::vector<double>>(*this, name);
}

const char* int8_profile_name(Int8Profile profile) {
  constexpr const char* kNames[] = {"tflm", "litert-ref", "xnnpack"};
  return kNames[static_cast<size_t>(profile)];
}

Result<Int8Profile> parse_int8_profile(std::string_view name) {
  for (const Int8Profile profile :
       {Int8Profile::kTflm, Int8Profile::kLitertRef, Int8Profile::kXnnpack}) {
    if (name == int8_profile_name(profile)) return profile;
  }
  return invalid_argument("int8 profile: expected tflm, litert-ref or xnnpack, found '", name, "'");
}

void evaluate(const OpDef& op, ConstViews in, Views out, const Attrs& attrs, Int8Profile profile) {
  const auto is_half = [](const auto& view) {
    return view.type != nullptr && (view.dtype() == DType::kF16 || view.dtype() == DType::kBF16);
  };
  const bool is_quantised =
      std::any_of(in.begin(), in.end(),
                  [](const ConstTensorView& view) {
                    return view.type != nullptr && view.type->quant != nullptr;
                  }) ||
      (!out.empty() && out[0].type->quant != nullptr);
  if (is_quantised && op.reference_i8 != nullptr) {
    op.reference_i8(in, out, attrs, profile);
    return;
  }
  if (std::none_of(in.begin(), in.end(), is_half) &&
      std::none_of(out.begin(), out.end(), is_half)) {
    op.reference(in, out, attrs);
    return;
  }
  std::vector<Tensor> wide_in(in.size());
  std::vector<ConstTensorView> in_views(in.begin(), in.end());
  for (size_t i = 0; i < in.size(); ++i) {
    if (!is_half(in[i])) continue;
    wide_in[i] = Tensor(DType::kF32, in[i].shape());
    convert_elements(in[i].dtype(), in[i].data, DType::kF32, wide_in[i].mutable_data(),
                     in[i].size());
    in_views[i] = wide_in[i];
  }
  std::vector<Tensor> wide_out(out.size());
  std::vector<TensorView> out_views(out.begin(), out.end());
  for (size_t i = 0; i < out.size(); ++i) {
    if (!is_half(out[i])) continue;
    wide_out[i] = Tensor(DType::kF32, out[i].shape());
    out_views[i] = TensorView(wide_out[i]);
  }
  op.reference(in_views, out_views, attrs);
  for (size_t i = 0; i < out.size(); ++i) {
    if (!is_half(out[i])) continue;
    convert_elements(DType::kF32, wide_out[i].data(), out[i].dtype(), out[i].data, out[i].size());
  }
}

}  // namespace ew::ir
