#pragma once
// The interface of libedgewise_sqlite.so, which holds SQLite: one constant table. Both sides are
// built from one tree.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ew::agent {

inline constexpr uint32_t kSqlitePluginVersion = 1;
inline constexpr const char* kSqlitePluginSymbol = "edgewise_sqlite_plugin";

struct SqliteRow {
  std::string_view id;  ///< primary key: a row that comes twice is there once
  int64_t event_time_us = 0;
  std::string_view rule;
  std::string_view key;
  std::string_view topic;
  std::string_view payload;
};

/// One table of a database file. Not thread-safe. Errors: kIo with SQLite's reason (disk full,
/// locked by another process).
class SqliteTable {
 public:
  virtual ~SqliteTable() = default;
  /// Part of the transaction that commit() ends; the first row begins it.
  virtual Status insert(const SqliteRow& row) = 0;
  /// An error takes all rows of the transaction back.
  virtual Status commit() = 0;
  /// Deletes the oldest rows beyond `rows`.
  virtual Status keep_newest(int64_t rows) = 0;
};

struct SqlitePlugin {
  uint32_t version;
  /// Makes file and table where they are missing. Errors: kInvalidArgument for a table name that is
  /// not letters, digits and '_'; kInvalidData for a file that is no database or a table with other
  /// columns; kIo.
  Result<std::unique_ptr<SqliteTable>> (*open)(const std::string& path, const std::string& table);
};

/// Loads the plug-in on first use. Errors: as load_plugin().
Result<const SqlitePlugin*> sqlite();

}  // namespace ew::agent
