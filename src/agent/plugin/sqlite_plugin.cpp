#include "agent/plugin/sqlite_plugin.h"

#include <sqlite3.h>

#include <algorithm>
#include <cctype>

namespace ew::agent {
namespace {

constexpr int kBusyMs = 2000;

class Table final : public SqliteTable {
 public:
  ~Table() override {
    sqlite3_finalize(insert_);
    sqlite3_finalize(trim_);
    sqlite3_close(database_);
  }

  Status open(const std::string& path, const std::string& table) {
    const auto is_word = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    if (table.empty() || !std::all_of(table.begin(), table.end(), is_word)) {
      return invalid_argument("table '", table, "': expected letters, digits and '_'");
    }
    path_ = path;
    if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) return failed("cannot open");
    sqlite3_busy_timeout(database_, kBusyMs);
    EW_TRY_VOID(execute("PRAGMA journal_mode=WAL"));
    EW_TRY_VOID(execute("PRAGMA synchronous=FULL"));
    EW_TRY_VOID(execute(str("CREATE TABLE IF NOT EXISTS \"", table,
                            "\" (id TEXT PRIMARY KEY, ts INTEGER NOT NULL, rule TEXT NOT NULL, "
                            "key TEXT NOT NULL, topic TEXT NOT NULL, payload NOT NULL)")));
    EW_TRY_VOID(prepare(str("INSERT OR IGNORE INTO \"", table,
                            "\" (id, ts, rule, key, topic, payload) VALUES (?, ?, ?, ?, ?, ?)"),
                        insert_));
    return prepare(str("DELETE FROM \"", table, "\" WHERE rowid <= (SELECT max(rowid) FROM \"",
                       table, "\") - ?"),
                   trim_);
  }

  Status insert(const SqliteRow& row) override {
    if (!is_open_) {
      EW_TRY_VOID(execute("BEGIN IMMEDIATE"));
      is_open_ = true;
    }
    bind(1, row.id);
    sqlite3_bind_int64(insert_, 2, row.event_time_us);
    bind(3, row.rule);
    bind(4, row.key);
    bind(5, row.topic);
    bind(6, row.payload);
    return finish(insert_);
  }

  Status commit() override {
    if (!is_open_) return {};
    is_open_ = false;
    const Status status = execute("COMMIT");
    if (!status.ok()) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    return status;
  }

  Status keep_newest(int64_t rows) override {
    sqlite3_bind_int64(trim_, 1, rows);
    return finish(trim_);
  }

 private:
  Status failed(const std::string& what) {
    const int code = sqlite3_errcode(database_);
    // An error in the text of a statement: the table is not as it should be.
    const bool is_wrong = code == SQLITE_NOTADB || code == SQLITE_ERROR;
    return make_error(is_wrong ? ErrorCode::kInvalidData : ErrorCode::kIo, path_, ": ", what, ": ",
                      sqlite3_errmsg(database_));
  }

  Status execute(const std::string& text) {
    if (sqlite3_exec(database_, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return failed(text.substr(0, text.find('"')));
  }

  Status prepare(const std::string& text, sqlite3_stmt*& statement) {
    if (sqlite3_prepare_v2(database_, text.c_str(), -1, &statement, nullptr) == SQLITE_OK) {
      return {};
    }
    return failed("the table has other columns");
  }

  // Text where it is UTF-8 without zeros as far as SQLite needs it, so that any shell shows it.
  void bind(int column, std::string_view text) {
    const char* data = text.empty() ? "" : text.data();
    if (text.find('\0') != std::string_view::npos) {
      sqlite3_bind_blob64(insert_, column, data, text.size(), SQLITE_STATIC);
    } else {
      sqlite3_bind_text64(insert_, column, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
    }
  }

  Status finish(sqlite3_stmt* statement) {
    const int code = sqlite3_step(statement);
    const Status status = code == SQLITE_DONE ? Status() : failed("cannot write");
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (!status.ok() && is_open_) {
      sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
      is_open_ = false;
    }
    return status;
  }

  std::string path_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* trim_ = nullptr;
  bool is_open_ = false;  // a transaction
};

Result<std::unique_ptr<SqliteTable>> open_table(const std::string& path, const std::string& table) {
  auto opened = std::make_unique<Table>();
  EW_TRY_VOID(opened->open(path, table));
  return std::unique_ptr<SqliteTable>(std::move(opened));
}

}  // namespace
}  // namespace ew::agent

extern "C" __attribute__((visibility("default")))
const ew::agent::SqlitePlugin edgewise_sqlite_plugin;
const ew::agent::SqlitePlugin edgewise_sqlite_plugin = {ew::agent::kSqlitePluginVersion,
                                                        ew::agent::open_table};
