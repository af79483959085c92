#include "formats/h5_tree.h"

#include <algorithm>

namespace ew::formats {
namespace {

constexpr size_t kNamesInMessages = 8;

template <typename T>
auto find_named(T& items, std::string_view name) -> decltype(&items.front()) {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const auto& i) { return i.name == name; });
  return found == items.end() ? nullptr : &*found;
}

/// The path's first name; `path` keeps the rest. "" if the path has no more names.
std::string_view take_name(std::string_view& path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  const std::string_view name = path.substr(0, path.find('/'));
  path.remove_prefix(name.size());
  return name;
}

/// "folder/name" as {"folder", "name"}.
std::pair<std::string_view, std::string_view> split_last(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

template <typename... Lists>
std::string names_of(const Lists&... lists) {
  std::vector<std::string> names;
  size_t count = 0;
  const auto add = [&](const auto& list) {
    for (const auto& item : list) {
      if (count++ < kNamesInMessages) names.push_back(item.name);
    }
  };
  (add(lists), ...);
  if (count == 0) return "nothing";
  return join(names, ", ") + (count > kNamesInMessages ? ", …" : "");
}

Error not_found(const char* kind, std::string_view path, const std::string& there) {
  return make_error(ErrorCode::kNotFound, "expected a ", kind, " '", path, "', found ", there);
}

}  // namespace

H5Value H5Value::string(std::string text) {
  H5Value out;
  out.is_string = true;
  out.strings.push_back(std::move(text));
  return out;
}

H5Value H5Value::string_list(std::vector<std::string> items) {
  H5Value out;
  out.shape = Shape({static_cast<int64_t>(items.size())});
  out.is_string = !items.empty();
  out.strings = std::move(items);
  return out;
}

H5Value H5Value::numbers(DType dtype, Shape shape, std::span<const uint8_t> bytes) {
  H5Value out;
  out.dtype = dtype;
  out.shape = std::move(shape);
  out.bytes.assign(bytes.begin(), bytes.end());
  return out;
}

Result<std::string> H5Value::as_string() const {
  if (is_string && strings.size() == 1) return strings.front();
  return invalid_data("expected a string, found ", describe());
}

Result<std::vector<std::string>> H5Value::as_string_list() const {
  if (is_string || bytes.empty()) return strings;
  return invalid_data("expected a list of strings, found ", describe());
}

Result<std::vector<double>> H5Value::as_doubles() const {
  if (is_string) return invalid_data("expected numbers, found ", describe());
  std::vector<double> out(bytes.size() / dtype_size(dtype));
  convert_elements(dtype, bytes.data(), DType::kF64, out.data(), static_cast<int64_t>(out.size()));
  return out;
}

Result<std::vector<int64_t>> H5Value::as_ints() const {
  if (is_string || is_floating(dtype)) {
    return invalid_data("expected integers, found ", describe());
  }
  std::vector<int64_t> out(bytes.size() / dtype_size(dtype));
  convert_elements(dtype, bytes.data(), DType::kI64, out.data(), static_cast<int64_t>(out.size()));
  return out;
}

std::string H5Value::describe() const {
  if (!is_string) return str(dtype, " ", shape);
  return shape.rank() == 0 ? std::string("a string") : str("strings ", shape);
}

const H5Group* H5Group::find_group(std::string_view path) const {
  const H5Group* here = this;
  for (std::string_view next = take_name(path); here && !next.empty(); next = take_name(path)) {
    here = find_named(here->groups, next);
  }
  return here;
}

const H5Dataset* H5Group::find_dataset(std::string_view path) const {
  const auto [folder, last] = split_last(path);
  const H5Group* parent = find_group(folder);
  return parent ? find_named(parent->datasets, last) : nullptr;
}

const H5Value* H5Group::find_attribute(std::string_view attribute) const {
  const H5Attribute* found = find_named(attributes, attribute);
  return found ? &found->value : nullptr;
}

Result<const H5Group*> H5Group::group(std::string_view path) const {
  if (const H5Group* found = find_group(path)) return found;
  const H5Group* parent = find_group(split_last(path).first);
  return not_found("group", path, parent ? names_of(parent->groups) : "no group above it");
}

Result<const H5Dataset*> H5Group::dataset(std::string_view path) const {
  if (const H5Dataset* found = find_dataset(path)) return found;
  const H5Group* parent = find_group(split_last(path).first);
  return not_found("dataset", path,
                   parent ? names_of(parent->datasets, parent->groups) : "no group above it");
}

Result<const H5Value*> H5Group::attribute(std::string_view attribute) const {
  if (const H5Value* found = find_attribute(attribute)) return found;
  return not_found("attribute", attribute, names_of(attributes));
}

void H5Group::set_attribute(std::string_view attribute, H5Value value) {
  if (H5Attribute* found = find_named(attributes, attribute)) {
    found->value = std::move(value);
  } else {
    attributes.push_back({std::string(attribute), std::move(value)});
  }
}

H5Group& H5Group::make_group(std::string_view path) {
  H5Group* here = this;
  for (std::string_view next = take_name(path); !next.empty(); next = take_name(path)) {
    H5Group* found = find_named(here->groups, next);
    if (found == nullptr) {
      here->groups.push_back({.name = std::string(next)});
      found = &here->groups.back();
    }
    here = found;
  }
  return *here;
}

H5Dataset& H5Group::set_dataset(std::string_view path, H5Value value) {
  const auto [folder, last] = split_last(path);
  H5Group& parent = make_group(folder);
  if (H5Dataset* found = find_named(parent.datasets, last)) {
    found->value = std::move(value);
    return *found;
  }
  parent.datasets.push_back({.name = std::string(last), .value = std::move(value)});
  return parent.datasets.back();
}

}  // namespace ew::formats
