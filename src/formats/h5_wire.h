#pragma once
// How the HDF5 reader's child sends a tree to its parent: a stream of records, each a tag and
// length-prefixed fields, little-endian. The receiver trusts none of it.
//
//   stream   "EWH5" record*, the last one is `end` or `error`
//   'G' name            begins a group (the first is the root, with an empty name)
//   'D' name value      begins a dataset
//   'A' name value      an attribute of the group or dataset that is open
//   '.'                 closes the group or dataset that is open
//   'E' u8 text         error: an ErrorCode, a message
//   'Z'                 end
//   text, name   u32 length, bytes
//   value        u8 kind (0 numbers, 1 strings), u8 dtype, u8 rank, i64 dims[rank], then
//                u64 length and bytes, or one text for each element

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "formats/h5_tree.h"

namespace ew::formats {

/// Takes bytes of the stream; an error stops the sender.
using WireSink = std::function<Status(std::span<const uint8_t>)>;
/// Fills the whole span or fails.
using WireSource = std::function<Status(std::span<uint8_t>)>;

/// Sends records. Small fields are collected into few calls of the sink.
class H5WireWriter {
 public:
  explicit H5WireWriter(WireSink sink);
  Status begin_group(std::string_view name);
  Status begin_dataset(std::string_view name, const H5Value& value);
  Status attribute(std::string_view name, const H5Value& value);
  Status close();
  Status error(const Error& error);
  Status end();

 private:
  Status raw(std::span<const uint8_t> bytes);
  template <typename T>
  Status number(T value);
  Status text(std::string_view text);
  Status value(const H5Value& value);
  Status flush();

  WireSink sink_;
  std::vector<uint8_t> buffer_;
};

struct H5WireLimits {
  int64_t max_bytes;    ///< of names, strings and numbers together
  int64_t max_objects;  ///< groups, datasets, attributes and strings
};

/// Groups inside each other, in files and in the stream.
inline constexpr int kMaxH5Depth = 64;
/// Longest name of a member or attribute.
inline constexpr size_t kMaxH5Name = 4096;

/// The tree that the stream describes. Errors: the sender's own; kInvalidData for a wrong stream;
/// kResourceLimit; whatever the source fails with.
Result<H5Group> read_h5_wire(const WireSource& source, const H5WireLimits& limits);

/// Sends a whole tree (the reader's counterpart, for tests and fuzzing).
Status write_h5_wire(const H5Group& root, const WireSink& sink);

}  // namespace ew::formats
