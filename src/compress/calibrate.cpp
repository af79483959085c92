#include "compress/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "runtime/executor.h"

namespace ew::compress {
namespace {

using ir::Graph;
using ir::Tensor;
using ir::ValueId;

constexpr size_t kBins = 2048;

std::vector<ValueId> observed_values(const Graph& graph) {
  std::vector<ValueId> ids;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const ir::Value& v = graph.values[i];
    const bool flows = v.kind == ir::ValueKind::kInput || v.kind == ir::ValueKind::kComputed;
    if (flows && v.type.dtype == DType::kF32) ids.push_back(static_cast<ValueId>(i));
  }
  return ids;
}

Tensor rows_of(const Tensor& tensor, int64_t begin, int64_t count) {
  Shape shape = tensor.shape();
  shape[0] = count;
  Tensor part(tensor.dtype(), shape);
  const size_t row =
      tensor.empty() ? 0 : tensor.size_bytes() / static_cast<size_t>(tensor.shape()[0]);
  if (!part.empty()) {
    std::memcpy(part.mutable_data(),
                static_cast<const uint8_t*>(tensor.data()) + static_cast<size_t>(begin) * row,
                part.size_bytes());
  }
  return part;
}

using Observe = std::function<void(ValueId id, std::span<const float> values)>;

// Runs all samples in batches; every observed value is shown to `observe` after each.
Status run_samples(const Graph& graph, std::span<const Tensor> samples,
                   const std::vector<ValueId>& ids, const CalibrationOptions& options,
                   const Observe& observe) {
  const int64_t total = samples[0].shape()[0];
  std::unique_ptr<runtime::Executor> executor;
  int64_t prepared = -1;
  for (int64_t begin = 0; begin < total;) {
    const int64_t count = std::min(options.batch_size, total - begin);
    std::vector<Tensor> batch;
    std::vector<Shape> shapes;
    for (const Tensor& s : samples) {
      batch.push_back(rows_of(s, begin, count));
      shapes.push_back(batch.back().shape());
    }
    if (count != prepared) {
      EW_TRY(Graph fixed, ir::specialize(graph, shapes));
      EW_TRY(executor,
             runtime::Executor::create(std::move(fixed), {.pool = options.pool, .keep = ids}));
      prepared = count;
    }
    for (size_t i = 0; i < batch.size(); ++i) EW_TRY_VOID(executor->set_input(i, batch[i]));
    executor->run();
    for (const ValueId id : ids) {
      const ir::ConstTensorView view = executor->view(id);
      observe(id, {view.as<float>(), static_cast<size_t>(view.size())});
    }
    begin += count;
  }
  return {};
}

size_t bin_of(const ValueRange& range, float x) {
  const double width = double{range.max} - double{range.min};
  const double at = (double{x} - double{range.min}) / width * static_cast<double>(kBins);
  return static_cast<size_t>(std::clamp(at, 0.0, static_cast<double>(kBins - 1)));
}

double centre_of(const Histogram& h, size_t bin) {
  const double width =
      (double{h.range.max} - double{h.range.min}) / static_cast<double>(h.bins.size());
  return double{h.range.min} + width * (static_cast<double>(bin) + 0.5);
}

}  // namespace

ValueRange percentile_range(const Histogram& h, double percentile) {
  int64_t total = 0;
  for (const int64_t n : h.bins) total += n;
  const double each_side = static_cast<double>(total) * (1 - percentile / 100) / 2;
  const double width =
      (double{h.range.max} - double{h.range.min}) / static_cast<double>(h.bins.size());
  size_t low = 0;
  size_t high = h.bins.size();
  int64_t below = 0;
  int64_t above = 0;
  while (low < high && static_cast<double>(below + h.bins[low]) <= each_side)
    below += h.bins[low++];
  while (high > low + 1 && static_cast<double>(above + h.bins[high - 1]) <= each_side) {
    above += h.bins[--high];
  }
  return {static_cast<float>(double{h.range.min} + width * static_cast<double>(low)),
          static_cast<float>(double{h.range.min} + width * static_cast<double>(high))};
}

ValueRange mse_range(const Histogram& h) {
  constexpr int kCandidates = 100;
  ValueRange best = h.range;
  double least = std::numeric_limits<double>::infinity();
  for (int i = kCandidates; i >= 10; --i) {
    const double share = static_cast<double>(i) / kCandidates;
    // The range always holds 0, which must be exact.
    const double min = std::min(0.0, double{h.range.min} * share);
    const double max = std::max(0.0, double{h.range.max} * share);
    const double step = (max - min) / 255;
    if (step <= 0) continue;
    double error = 0;
    for (size_t b = 0; b < h.bins.size(); ++b) {
      if (h.bins[b] == 0) continue;
      const double x = centre_of(h, b);
      const double outside = x < min ? min - x : x > max ? x - max : 0;
      // Inside, the error is uniform over a step.
      error +=
          static_cast<double>(h.bins[b]) * (outside > 0 ? outside * outside : step * step / 12);
    }
    if (error < least) {
      least = error;
      best = {static_cast<float>(min), static_cast<float>(max)};
    }
  }
  return best;
}

Result<Ranges> calibrate(const Graph& graph, std::span<const Tensor> samples,
                         const CalibrationOptions& options) {
  if (samples.empty() || samples.size() != graph.inputs.size() || samples[0].shape().rank() < 1 ||
      samples[0].shape()[0] < 1) {
    return invalid_argument("calibration needs samples for each of the ", graph.inputs.size(),
                            " inputs");
  }
  for (const Tensor& s : samples) {
    if (s.shape().rank() < 1 || s.shape()[0] != samples[0].shape()[0]) {
      return invalid_argument("calibration inputs have different numbers of samples");
    }
  }
  if (options.batch_size < 1) return invalid_argument("batch size ", options.batch_size);
  const std::vector<ValueId> ids = observed_values(graph);
  Ranges ranges;
  EW_TRY_VOID(run_samples(graph, samples, ids, options, [&](ValueId id, std::span<const float> v) {
    const auto [it, is_new] = ranges.try_emplace(
        id, ValueRange{std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest()});
    for (const float x : v) {
      if (!std::isfinite(x)) continue;
      it->second.min = std::min(it->second.min, x);
      it->second.max = std::max(it->second.max, x);
    }
  }));
  for (auto& [id, range] : ranges) {
    if (range.min > range.max) range = {};
  }
  if (options.rule == RangeRule::kMinMax) return ranges;

  std::map<ValueId, Histogram> histograms;
  for (const auto& [id, range] : ranges) {
    if (range.max > range.min) histograms[id] = {range, std::vector<int64_t>(kBins, 0)};
  }
  EW_TRY_VOID(run_samples(graph, samples, ids, options, [&](ValueId id, std::span<const float> v) {
    const auto it = histograms.find(id);
    if (it == histograms.end()) return;
    for (const float x : v) {
      // Zero is exact in every range: it must not speak for clipping the others.
      const bool counts = std::isfinite(x) && (options.rule != RangeRule::kMse || x != 0);
      if (counts) ++it->second.bins[bin_of(it->second.range, x)];
    }
  }));
  for (const auto& [id, histogram] : histograms) {
    ranges[id] = options.rule == RangeRule::kMse ? mse_range(histogram)
                                                 : percentile_range(histogram, options.percentile);
  }
  return ranges;
}

}  // namespace ew::compress
