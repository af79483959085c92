#pragma once
// CSV records (RFC 4180: quoted fields, doubled quotes, line breaks inside quotes) from a file of
// any size.

#include <string>
#include <string_view>
#include <vector>

#include "train/data/byte_file.h"

namespace ew::train {

struct CsvRecord {
  std::vector<std::string> fields;  ///< quotes removed; spaces around unquoted fields too
  int64_t line = 0;                 ///< where it begins, from 1
  int64_t offset = 0;               ///< in bytes
  int64_t bytes = 0;                ///< with its line end
};

/// Reads one record after another. A byte order mark and empty lines are passed over; lines end in
/// LF or CR LF.
class CsvReader {
 public:
  /// `file` must live as long as the reader.
  CsvReader(const ByteFile& file, char separator) : file_(&file), separator_(separator) {}

  /// False at the end of the file. Errors name the line: kInvalidData (a quote that does not end,
  /// text after a closing quote); kResourceLimit (a record above 16 MiB).
  Result<bool> next(CsvRecord& record);

 private:
  Status refill();

  const ByteFile* file_;
  char separator_;
  std::vector<uint8_t> window_;
  size_t at_ = 0;           ///< in window_
  int64_t window_end_ = 0;  ///< offset in the file
  int64_t line_ = 1;
};

/// Parses the one record that `text` holds. Errors as above, without the line.
Status parse_csv_record(std::string_view text, char separator, std::vector<std::string>& fields);

/// A finite number, the whole of `text`. False if it is none.
bool parse_csv_number(std::string_view text, double& value);

}  // namespace ew::train
