#pragma once
// Counters, gauges and histograms, and their text for Prometheus.

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ew::host {

/// Names and values of labels, in the order in which they are printed.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// Only rises. Any thread may add.
class Counter {
 public:
  void add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

/// Any thread may set.
class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_ = 0;
};

/// Latencies in classes of powers of two from 16 us to 16.8 s, told in seconds. Any thread may add.
class LatencyHistogram {
 public:
  static constexpr size_t kClasses = 21;
  /// Upper bound of a class in microseconds.
  static constexpr int64_t bound_us(size_t index) { return int64_t{16} << index; }

  void add_us(int64_t us);
  uint64_t count() const;
  uint64_t in_class(size_t index) const { return classes_[index].load(std::memory_order_relaxed); }
  double sum_seconds() const;
  /// The bound below which the given part (0 to 1) of all values lies; 0 if there are none.
  double quantile_seconds(double part) const;

 private:
  std::atomic<uint64_t> classes_[kClasses + 1] = {};  // the last one: above all bounds
  std::atomic<uint64_t> sum_us_ = 0;
};

enum class MetricsFormat {
  kPrometheus,   ///< text 0.0.4
  kOpenMetrics,  ///< 1.0.0
};

/// Families of metrics. References that it gives hold as long as it lives; asking again for the
/// same name and labels gives the same one. Thread-safe.
class Metrics {
 public:
  /// `name` as Prometheus wants it: of [a-zA-Z0-9_], units at the end, counters end in "_total".
  Counter& counter(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  /// `name` should end in "_seconds".
  LatencyHistogram& histogram(std::string_view name, std::string_view help,
                              const MetricLabels& labels = {});
  /// Called before each text is written, to set gauges that cost something to find out.
  void before_text(std::function<void()> update);

  std::string text(MetricsFormat format) const;
  static const char* content_type(MetricsFormat format);
  /// By the value of an Accept header.
  static MetricsFormat format_for(std::string_view accept);

 private:
  enum class Kind { kCounter, kGauge, kHistogram };
  struct Sample {
    std::string labels;  ///< printed: `a="1",b="2"`
    Counter counter;
    Gauge gauge;
    LatencyHistogram histogram;
  };
  struct Family {
    std::string name;
    std::string help;
    Kind kind{};
    std::deque<Sample> samples;
  };

  Sample& sample(Kind kind, std::string_view name, std::string_view help,
                 const MetricLabels& labels);
  static void write_family(const Family& family, MetricsFormat format, std::string& out);
  static void write_histogram(const Family& family, const Sample& sample, std::string& out);

  mutable std::mutex mutex_;
  std::deque<Family> families_;
  std::vector<std::function<void()>> updates_;
};

}  // namespace ew::host
