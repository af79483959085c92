#pragma once
// The content of an HDF5 file as plain data: groups, datasets and attributes, without HDF5's ways
// of storing them (chunks, filters, byte orders, kinds of strings).

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "base/shape.h"

namespace ew::formats {

/// What a dataset or an attribute holds: numbers, or strings, in C order. A scalar has shape ().
struct H5Value {
  DType dtype = DType::kF64;  ///< meaningless for strings
  Shape shape;
  bool is_string = false;
  std::vector<uint8_t> bytes;        ///< numbers, little-endian, shape.num_elements() * dtype size
  std::vector<std::string> strings;  ///< shape.num_elements() strings (any bytes; mostly UTF-8)

  static H5Value string(std::string text);
  /// Shape (n,). An empty list becomes what h5py makes of one: float64 of shape (0,).
  static H5Value string_list(std::vector<std::string> items);
  static H5Value numbers(DType dtype, Shape shape, std::span<const uint8_t> bytes);
  template <typename T>
  static H5Value scalar(T value) {
    return numbers(kDTypeOf<T>, {}, {reinterpret_cast<const uint8_t*>(&value), sizeof(T)});
  }
  template <typename T>
  static H5Value array(std::span<const T> values) {
    return numbers(kDTypeOf<T>, Shape({static_cast<int64_t>(values.size())}),
                   {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  }

  // Checked reads; kInvalidData if the value is of another kind.
  /// A scalar string, or an array of exactly one.
  Result<std::string> as_string() const;
  /// A list of strings; an empty array of any type counts as an empty list, a scalar as one item.
  Result<std::vector<std::string>> as_string_list() const;
  /// All elements as doubles (integers beyond 2^53 lose digits).
  Result<std::vector<double>> as_doubles() const;
  /// All elements as integers; floats are kInvalidData.
  Result<std::vector<int64_t>> as_ints() const;
  /// "float32 (3, 3, 1, 8)", "a string", "strings (4,)", for messages.
  std::string describe() const;

  bool operator==(const H5Value&) const = default;
};

struct H5Attribute {
  std::string name{};
  H5Value value{};
  bool operator==(const H5Attribute&) const = default;
};

struct H5Dataset {
  std::string name{};
  H5Value value{};
  std::vector<H5Attribute> attributes{};
  bool operator==(const H5Dataset&) const = default;
};

/// A group. Readers give members and attributes in the order of their names (bytes); writers may
/// hold them in any order. The root's name is "".
struct H5Group {
  std::string name{};
  std::vector<H5Attribute> attributes{};
  std::vector<H5Group> groups{};
  std::vector<H5Dataset> datasets{};

  // Look-ups by a path of names ("model_weights/dense/kernel:0"); empty names are skipped, so a
  // leading '/' does not matter, and "" is this group. Null if there is none.
  const H5Group* find_group(std::string_view path) const;
  const H5Dataset* find_dataset(std::string_view path) const;
  /// An attribute of this group itself.
  const H5Value* find_attribute(std::string_view attribute) const;

  // The same with an error kNotFound that names what is missing and what there is instead.
  Result<const H5Group*> group(std::string_view path) const;
  Result<const H5Dataset*> dataset(std::string_view path) const;
  Result<const H5Value*> attribute(std::string_view attribute) const;

  // For writers. References stay valid until the next member is added to the same group.
  void set_attribute(std::string_view attribute, H5Value value);
  /// The group at `path`, with all groups on the way, made where there is none.
  H5Group& make_group(std::string_view path);
  /// Sets the dataset at `path`, making the groups on the way.
  H5Dataset& set_dataset(std::string_view path, H5Value value);

  bool operator==(const H5Group&) const = default;
};

}  // namespace ew::formats
