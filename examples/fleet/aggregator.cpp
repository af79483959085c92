// One member of a consumer group that adds up what a fleet of agents sends.
//
//   fleet_aggregator --brokers HOST:PORT --topic T --group G --folder DIR [--idle SECONDS]
//
// Kafka gives every partition to one member at a time. What a member has added up of a partition
// lies in DIR/partition-N.db together with the ids it has seen, so that whoever gets the partition
// next goes on from there: a record that is read again (its member was killed behind the database's
// commit and before Kafka's) finds its id and changes nothing. Ends after SECONDS without a record;
// prints one JSON line. Exit status: 0 done, 2 usage, 4 broker or disk.
#include <librdkafka/rdkafka.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

volatile std::sig_atomic_t stopping = 0;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "fleet_aggregator: %s\n", what.c_str());
  std::exit(4);
}

struct Options {
  std::string brokers = "127.0.0.1:9092";
  std::string topic = "fleet";
  std::string group = "aggregator";
  std::string folder = ".";
  double idle_s = 10;
};

// The sums of one partition.
class Sums {
 public:
  explicit Sums(const std::string& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) fail(path + ": " + sqlite3_errmsg(db_));
    sqlite3_busy_timeout(db_, 10'000);  // a member that is being ended may still hold the file
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=NORMAL");
    run("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY) WITHOUT ROWID");
    run("CREATE TABLE IF NOT EXISTS sums (key TEXT PRIMARY KEY, records INTEGER, bytes INTEGER)");
    prepare("INSERT OR IGNORE INTO seen VALUES (?)", see_);
    prepare(
        "INSERT INTO sums VALUES (?1, 1, ?2) ON CONFLICT (key) DO UPDATE SET "
        "records = records + 1, bytes = bytes + ?2",
        add_);
  }
  ~Sums() {
    sqlite3_finalize(see_);
    sqlite3_finalize(add_);
    sqlite3_close(db_);
  }
  Sums(const Sums&) = delete;
  Sums& operator=(const Sums&) = delete;

  void begin() {
    if (!is_open_) run("BEGIN IMMEDIATE");
    is_open_ = true;
  }
  void commit() {
    if (is_open_) run("COMMIT");
    is_open_ = false;
  }

  // False: the id has been here before.
  bool add(std::string_view id, std::string_view key, size_t bytes) {
    begin();
    bind(see_, 1, id);
    step(see_);
    if (sqlite3_changes(db_) == 0) return false;
    bind(add_, 1, key);
    sqlite3_bind_int64(add_, 2, static_cast<sqlite3_int64>(bytes));
    step(add_);
    return true;
  }

 private:
  void run(const char* text) {
    if (sqlite3_exec(db_, text, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sqlite3_errmsg(db_));
  }
  void prepare(const char* text, sqlite3_stmt*& statement) {
    if (sqlite3_prepare_v2(db_, text, -1, &statement, nullptr) != SQLITE_OK) {
      fail(sqlite3_errmsg(db_));
    }
  }
  void bind(sqlite3_stmt* statement, int at, std::string_view text) {
    sqlite3_bind_text64(statement, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) fail(sqlite3_errmsg(db_));
    sqlite3_reset(statement);
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* see_ = nullptr;
  sqlite3_stmt* add_ = nullptr;
  bool is_open_ = false;
};

std::string_view header_of(rd_kafka_message_t* message, const char* name) {
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return {};
  }
  return {static_cast<const char*>(value), size};
}

class Member {
 public:
  explicit Member(Options options) : options_(std::move(options)) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", options_.brokers);
    set(conf, "group.id", options_.group);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "session.timeout.ms", "6000");
    set(conf, "partition.assignment.strategy", "roundrobin");
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    char why[512];
    kafka_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (kafka_ == nullptr) fail(why);
    rd_kafka_poll_set_consumer(kafka_);
    rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, options_.topic.c_str(), RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t error = rd_kafka_subscribe(kafka_, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) fail(rd_kafka_err2str(error));
  }
  ~Member() {
    commit();
    rd_kafka_consumer_close(kafka_);
    rd_kafka_destroy(kafka_);
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  void run() {
    using Clock = std::chrono::steady_clock;
    Clock::time_point last = Clock::now();
    while (stopping == 0) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(kafka_, 100);
      if (message == nullptr) {
        commit();
        const std::chrono::duration<double> idle = Clock::now() - last;
        if (records_ > 0 && idle.count() > options_.idle_s) break;
        if (idle.count() > 6 * options_.idle_s) break;  // a member without partitions
        continue;
      }
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        take(message);
        if (records_ == 1) first_ = Clock::now();
        last = last_ = Clock::now();
      }
      rd_kafka_message_destroy(message);
    }
    commit();
  }

  void print() const {
    const std::chrono::duration<double> seconds = last_ - first_;
    std::printf("{\"records\": %lld, \"duplicates\": %lld, \"seconds\": %.3f}\n", records_,
                duplicates_, records_ > 0 ? seconds.count() : 0.0);
  }

 private:
  static void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
    char why[512];
    if (rd_kafka_conf_set(conf, name, value.c_str(), why, sizeof(why)) != RD_KAFKA_CONF_OK) {
      fail(why);
    }
  }

  // Before a partition goes to another member, what was added up of it is committed.
  static void on_rebalance(rd_kafka_t* kafka, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t* partitions, void* self) {
    auto* member = static_cast<Member*>(self);
    if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
      rd_kafka_assign(kafka, partitions);
      return;
    }
    member->commit();
    member->sums_.clear();
    rd_kafka_assign(kafka, nullptr);
  }

  void take(rd_kafka_message_t* message) {
    std::unique_ptr<Sums>& sums = sums_[message->partition];
    if (sums == nullptr) {
      sums = std::make_unique<Sums>(options_.folder + "/partition-" +
                                    std::to_string(message->partition) + ".db");
    }
    const std::string_view key(static_cast<const char*>(message->key), message->key_len);
    if (!sums->add(header_of(message, "id"), key, message->len)) ++duplicates_;
    ++records_;
    constexpr int kBatch = 1000;
    if (++uncommitted_ >= kBatch) commit();
  }

  // The databases first: what Kafka then gives twice is known by its id.
  void commit() {
    if (uncommitted_ == 0) return;
    uncommitted_ = 0;
    for (auto& [partition, sums] : sums_) sums->commit();
    rd_kafka_commit(kafka_, nullptr, 0);
  }

  Options options_;
  rd_kafka_t* kafka_ = nullptr;
  std::map<int32_t, std::unique_ptr<Sums>> sums_;
  int uncommitted_ = 0;
  long long records_ = 0;
  long long duplicates_ = 0;
  std::chrono::steady_clock::time_point first_;
  std::chrono::steady_clock::time_point last_;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--brokers") {
      o.brokers = value;
    } else if (name == "--topic") {
      o.topic = value;
    } else if (name == "--group") {
      o.group = value;
    } else if (name == "--folder") {
      o.folder = value;
    } else if (name == "--idle") {
      o.idle_s = std::atof(value.c_str());
    } else {
      argc = 0;
    }
  }
  if (argc % 2 == 0) {
    std::fprintf(stderr,
                 "usage: fleet_aggregator --brokers HOST:PORT --topic T --group G "
                 "--folder DIR [--idle SECONDS]\n");
    std::exit(2);
  }
  ::mkdir(o.folder.c_str(), 0755);
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::signal(SIGTERM, [](int) { stopping = 1; });
  std::signal(SIGINT, [](int) { stopping = 1; });
  Member member(options);
  member.run();
  member.print();
  return 0;
}
