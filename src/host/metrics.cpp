#include "host/metrics.h"

#include <algorithm>
#include <bit>

#include "base/str.h"

namespace ew::host {
namespace {

/// Exposition format: in values of labels \, " and line ends are escaped; in help only \ and line
/// ends (OpenMetrics: " too).
std::string escaped(std::string_view text, bool escapes_quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && escapes_quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string labels_text(const MetricLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    out += str(out.empty() ? "" : ",", name, "=\"", escaped(value, true), "\"");
  }
  return out;
}

void write_line(std::string_view name, std::string_view labels, std::string_view value,
                std::string& out) {
  out += name;
  if (!labels.empty()) out += str("{", labels, "}");
  out += str(" ", value, "\n");
}

}  // namespace

void LatencyHistogram::add_us(int64_t us) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(us, 0));
  // The class is the number of bits above 16 us.
  const auto index =
      value <= 16 ? size_t{0} : static_cast<size_t>(std::bit_width((value - 1) >> 4));
  classes_[std::min(index, kClasses)].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(value, std::memory_order_relaxed);
}

uint64_t LatencyHistogram::count() const {
  uint64_t sum = 0;
  for (const std::atomic<uint64_t>& one : classes_) sum += one.load(std::memory_order_relaxed);
  return sum;
}

double LatencyHistogram::sum_seconds() const {
  return static_cast<double>(sum_us_.load(std::memory_order_relaxed)) / 1e6;
}

double LatencyHistogram::quantile_seconds(double part) const {
  const uint64_t total = count();
  if (total == 0) return 0;
  uint64_t below = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    below += in_class(i);
    if (static_cast<double>(below) >= part * static_cast<double>(total)) {
      return static_cast<double>(bound_us(i)) / 1e6;
    }
  }
  return static_cast<double>(bound_us(kClasses)) / 1e6;
}

Metrics::Sample& Metrics::sample(Kind kind, std::string_view name, std::string_view help,
                                 const MetricLabels& labels) {
  const std::lock_guard lock(mutex_);
  auto family = std::find_if(families_.begin(), families_.end(), [&](const Family& candidate) {
    return candidate.name == name && candidate.kind == kind;
  });
  if (family == families_.end()) {
    family = families_.insert(families_.end(), Family{});
    family->name = name;
    family->help = help;
    family->kind = kind;
  }
  const std::string text = labels_text(labels);
  const auto found =
      std::find_if(family->samples.begin(), family->samples.end(),
                   [&](const Sample& candidate) { return candidate.labels == text; });
  if (found != family->samples.end()) return *found;
  Sample& added = family->samples.emplace_back();
  added.labels = text;
  return added;
}

Counter& Metrics::counter(std::string_view name, std::string_view help,
                          const MetricLabels& labels) {
  return sample(Kind::kCounter, name, help, labels).counter;
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  return sample(Kind::kGauge, name, help, labels).gauge;
}

LatencyHistogram& Metrics::histogram(std::string_view name, std::string_view help,
                                     const MetricLabels& labels) {
  return sample(Kind::kHistogram, name, help, labels).histogram;
}

void Metrics::before_text(std::function<void()> update) { updates_.push_back(std::move(update)); }

void Metrics::write_histogram(const Family& family, const Sample& sample, std::string& out) {
  const std::string separator = sample.labels.empty() ? "" : ",";
  uint64_t below = 0;
  for (size_t i = 0; i < LatencyHistogram::kClasses; ++i) {
    below += sample.histogram.in_class(i);
    const double bound = static_cast<double>(LatencyHistogram::bound_us(i)) / 1e6;
    write_line(family.name + "_bucket", str(sample.labels, separator, "le=\"", bound, "\""),
               str(below), out);
  }
  below += sample.histogram.in_class(LatencyHistogram::kClasses);
  write_line(family.name + "_bucket", str(sample.labels, separator, "le=\"+Inf\""), str(below),
             out);
  write_line(family.name + "_sum", sample.labels, str(sample.histogram.sum_seconds()), out);
  write_line(family.name + "_count", sample.labels, str(below), out);
}

void Metrics::write_family(const Family& family, MetricsFormat format, std::string& out) {
  const bool is_open = format == MetricsFormat::kOpenMetrics;
  // OpenMetrics names a family of counters without the suffix of its samples.
  std::string name = family.name;
  if (is_open && family.kind == Kind::kCounter && name.ends_with("_total")) {
    name.resize(name.size() - 6);
  }
  const char* kind = family.kind == Kind::kCounter ? "counter"
                     : family.kind == Kind::kGauge ? "gauge"
                                                   : "histogram";
  out +=
      str("# HELP ", name, " ", escaped(family.help, is_open), "\n# TYPE ", name, " ", kind, "\n");
  for (const Sample& sample : family.samples) {
    switch (family.kind) {
      case Kind::kCounter:
        write_line(family.name, sample.labels, str(sample.counter.value()), out);
        break;
      case Kind::kGauge:
        write_line(family.name, sample.labels, str(sample.gauge.value()), out);
        break;
      case Kind::kHistogram:
        write_histogram(family, sample, out);
    }
  }
}

std::string Metrics::text(MetricsFormat format) const {
  for (const std::function<void()>& update : updates_) update();
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const Family& family : families_) write_family(family, format, out);
  if (format == MetricsFormat::kOpenMetrics) out += "# EOF\n";
  return out;
}

const char* Metrics::content_type(MetricsFormat format) {
  return format == MetricsFormat::kPrometheus
             ? "text/plain; version=0.0.4; charset=utf-8"
             : "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

MetricsFormat Metrics::format_for(std::string_view accept) {
  return accept.find("application/openmetrics-text") == std::string_view::npos
             ? MetricsFormat::kPrometheus
             : MetricsFormat::kOpenMetrics;
}

}  // namespace ew::host
