// Words that scale values, cut windows and describe them.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/signal/tables.h"
#include "ops/signal/words.h"

namespace ew::ops::signal {
namespace {

ValueId rescale(FeatureStep& s) {
  const ValueId scaled = s.b.add(kMul, {s.x, s.scalar(s.number("scale", 1))});
  return s.b.add(kAdd, {scaled, s.scalar(s.number("offset", 0))});
}

// A number for all, or one per element of the last dimension.
ValueId per_channel(FeatureStep& s, const char* key) {
  const std::vector<double> values = s.numbers(key);
  if (values.size() == 1) return s.scalar(values[0]);
  if (s.length() != static_cast<int64_t>(values.size())) {
    return s.b.fail(
        invalid_argument(key, ": expected 1 or ", s.length(), " numbers, found ", values.size()));
  }
  return s.constant(values, {static_cast<int64_t>(values.size())});
}

ValueId normalize(FeatureStep& s) {
  const ValueId centred = s.b.add(kSub, {s.x, per_channel(s, "mean")});
  return s.b.add(kDiv, {centred, per_channel(s, "std")});
}

const Attrs kOverLast{{"axes", std::vector<int64_t>{-1}}, {"keepdims", true}};

ValueId centred(FeatureStep& s) {
  return s.b.add(kSub, {s.x, s.b.add(kReduceMean, {s.x}, kOverLast)});
}

ValueId z_score(FeatureStep& s) {
  s.length();
  const ValueId d = centred(s);
  const ValueId variance = s.b.add(kReduceMean, {s.b.add(kSquare, {d})}, kOverLast);
  const ValueId floor = s.scalar(s.number("epsilon", 1e-7));
  return s.b.add(kDiv, {d, s.b.add(kMaximum, {s.b.add(kSqrt, {variance}), floor})});
}

ValueId min_max(FeatureStep& s) {
  s.length();
  const ValueId high = s.b.add(kReduceMax, {s.x}, kOverLast);
  const ValueId low = s.b.add(kNeg, {s.b.add(kReduceMax, {s.b.add(kNeg, {s.x})}, kOverLast)});
  const ValueId floor = s.scalar(s.number("epsilon", 1e-7));
  const ValueId range = s.b.add(kMaximum, {s.b.add(kSub, {high, low}), floor});
  return s.b.add(kDiv, {s.b.add(kSub, {s.x, low}), range});
}

// The least-squares line is x B B^T with an orthonormal basis B of lines.
ValueId detrend(FeatureStep& s) {
  const std::string kind = s.text("kind", "linear");
  const int64_t n = s.length();
  if (kind == "constant" || n == 1) return centred(s);
  if (kind != "linear") {
    return s.b.fail(invalid_argument("kind: expected linear or constant, found '", kind, "'"));
  }
  std::vector<double> basis(static_cast<size_t>(2 * n));
  const auto count = static_cast<double>(n);
  const double spread = std::sqrt(count * (count * count - 1) / 12);
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    basis[2 * i] = 1 / std::sqrt(count);
    basis[2 * i + 1] = (static_cast<double>(i) - (count - 1) / 2) / spread;
  }
  const ValueId matrix = s.constant(basis, {n, 2});
  const ValueId parts = s.b.add(kMatmul, {s.x, matrix});
  const ValueId line = s.b.add(kMatmul, {parts, matrix}, {{"transpose_b", true}});
  return s.b.add(kSub, {s.x, line});
}

ValueId difference(FeatureStep& s) {
  const int64_t order = s.integer("order", 1);
  const int64_t most = std::min<int64_t>(s.length() - 1, 16);
  if (order < 1 || order > most) {
    return s.b.fail(invalid_argument("order: expected 1 to ", most, ", found ", order));
  }
  for (int64_t i = 0; i < order; ++i) {
    s.x = s.b.add(kSub, {s.slice(s.x, 1, kMaxElements), s.slice(s.x, 0, -1)});
  }
  return s.x;
}

ValueId windowed(FeatureStep& s) {
  const int64_t n = s.length();
  const auto w = s.take(window(s.text("kind", "hann"), n, s.flag("periodic", true)));
  return s.b.ok() ? s.b.add(kMul, {s.x, s.constant(w, {n})}) : kNoValue;
}

ValueId frame(FeatureStep& s) {
  const int64_t length = s.integer("length", 0);
  const int64_t step = s.integer("step", length);
  s.length();
  s.x = s.b.add(kFrame, {s.x}, {{"length", length}, {"step", step}});
  if (!s.has("window") || !s.b.ok()) return s.x;
  const auto w = s.take(window(s.text("window", "hann"), length, s.flag("periodic", true)));
  return s.b.ok() ? s.b.add(kMul, {s.x, s.constant(w, {length})}) : kNoValue;
}

ValueId statistics(FeatureStep& s) {
  s.length();
  return s.b.add(kStatistics, {s.x}, {{"names", s.text("names", "mean,std")}});
}

ValueId swap_last(FeatureStep& s) {
  const int rank = s.shape().rank();
  if (rank < 3) {
    return s.b.fail(invalid_argument("expected [N, T, C] or [N, C, T], found ", s.shape()));
  }
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), int64_t{0});
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return s.b.add(kTranspose, {s.x}, {{"perm", perm}});
}

ValueId input(FeatureStep& s) {
  return s.b.fail(invalid_argument("expected only as the first word of what stands before a net"));
}

const FeatureWord kWords[] = {
    {"Input", "shape dtype", input},
    {"Rescale", "scale offset", rescale},
    {"Normalize", "mean std", normalize},
    {"ZScore", "epsilon", z_score},
    {"MinMax", "epsilon", min_max},
    {"Detrend", "kind", detrend},
    {"Difference", "order", difference},
    {"Window", "kind periodic", windowed},
    {"Frame", "length step window periodic", frame},
    {"Statistics", "names", statistics},
    {"SwapAxes", "", swap_last},
};

}  // namespace

std::span<const FeatureWord> value_words() { return kWords; }

}  // namespace ew::ops::signal
