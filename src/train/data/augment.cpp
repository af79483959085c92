#include "train/data/augment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace ew::train {
namespace {

constexpr uint64_t kAugmentStream = 0x6175676d656e74;  // "augment"

// One sample as [height, width, channels]; a signal is [1, T, C].
struct Grid {
  int64_t height = 1;
  int64_t width = 1;
  int64_t channels = 1;
  int64_t size() const { return height * width * channels; }
};

float between(Rng& rng, float low, float high) {
  return low + (high - low) * static_cast<float>(rng.uniform());
}

int64_t whole_between(Rng& rng, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(rng.below(static_cast<uint64_t>(high - low + 1)));
}

void mirror(const Grid& g, float* x, bool rows) {
  const int64_t count = rows ? g.height : g.width;
  const int64_t outer = rows ? 1 : g.height;
  const int64_t step = rows ? g.width * g.channels : g.channels;
  for (int64_t o = 0; o < outer; ++o, x += count * step) {
    for (int64_t a = 0, b = count - 1; a < b; ++a, --b) {
      std::swap_ranges(x + a * step, x + (a + 1) * step, x + b * step);
    }
  }
}

// out(y, x) = in(y + dy, x + dx); outside: the nearest edge, or 0.
void move(const Grid& g, const float* in, int64_t dy, int64_t dx, bool repeats_edge, float* out) {
  for (int64_t y = 0; y < g.height; ++y) {
    for (int64_t x = 0; x < g.width; ++x, out += g.channels) {
      const int64_t sy = std::clamp<int64_t>(y + dy, 0, g.height - 1);
      const int64_t sx = std::clamp<int64_t>(x + dx, 0, g.width - 1);
      if (!repeats_edge && (sy != y + dy || sx != x + dx)) {
        std::fill_n(out, g.channels, 0.f);
      } else {
        std::copy_n(in + (sy * g.width + sx) * g.channels, g.channels, out);
      }
    }
  }
}

void rotate(const Grid& g, const float* in, float degrees, float* out) {
  const double angle = static_cast<double>(degrees) * std::numbers::pi / 180;
  const auto cosine = static_cast<float>(std::cos(angle));
  const auto sine = static_cast<float>(std::sin(angle));
  const float cy = static_cast<float>(g.height - 1) / 2;
  const float cx = static_cast<float>(g.width - 1) / 2;
  for (int64_t y = 0; y < g.height; ++y) {
    for (int64_t x = 0; x < g.width; ++x) {
      const float ry = static_cast<float>(y) - cy;
      const float rx = static_cast<float>(x) - cx;
      const float sy =
          std::clamp(cy + cosine * ry + sine * rx, 0.f, static_cast<float>(g.height - 1));
      const float sx =
          std::clamp(cx - sine * ry + cosine * rx, 0.f, static_cast<float>(g.width - 1));
      const auto y0 = static_cast<int64_t>(sy);
      const auto x0 = static_cast<int64_t>(sx);
      const int64_t y1 = std::min(y0 + 1, g.height - 1);
      const int64_t x1 = std::min(x0 + 1, g.width - 1);
      const float fy = sy - static_cast<float>(y0);
      const float fx = sx - static_cast<float>(x0);
      for (int64_t c = 0; c < g.channels; ++c) {
        const auto at = [&](int64_t i, int64_t j) {
          return in[(i * g.width + j) * g.channels + c];
        };
        const float top = at(y0, x0) + (at(y0, x1) - at(y0, x0)) * fx;
        const float bottom = at(y1, x0) + (at(y1, x1) - at(y1, x0)) * fx;
        *out++ = top + (bottom - top) * fy;
      }
    }
  }
}

void change_contrast(const Grid& g, float* x, float factor) {
  const int64_t pixels = g.height * g.width;
  for (int64_t c = 0; c < g.channels; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += x[i * g.channels + c];
    const auto mean = static_cast<float>(sum / static_cast<double>(std::max<int64_t>(pixels, 1)));
    for (int64_t i = 0; i < pixels; ++i) {
      float& value = x[i * g.channels + c];
      value = (value - mean) * factor + mean;
    }
  }
}

// All that one sample draws comes from `rng`, in a fixed order.
class Sample {
 public:
  Sample(const Augment& augment, const Grid& grid, float* x, Rng& rng, std::vector<float>& scratch)
      : a_(augment), g_(grid), x_(x), rng_(rng), scratch_(scratch) {}

  void apply() {
    move_pixels();
    change_values();
  }

 private:
  const float* saved() {
    scratch_.assign(x_, x_ + g_.size());
    return scratch_.data();
  }

  void move_pixels() {
    if (a_.flip && rng_.below(2) == 1) mirror(g_, x_, false);
    if (a_.vertical_flip && rng_.below(2) == 1) mirror(g_, x_, true);
    if (a_.rotate_degrees > 0) {
      const float degrees = between(rng_, -a_.rotate_degrees, a_.rotate_degrees);
      rotate(g_, saved(), degrees, x_);
    }
    if (a_.shift > 0) {
      const int64_t dy = shift_of(g_.height, a_.shift);
      const int64_t dx = shift_of(g_.width, a_.shift);
      move(g_, saved(), dy, dx, true, x_);
    }
    if (a_.crop > 0) {
      const int64_t dy = whole_between(rng_, -a_.crop, a_.crop);
      const int64_t dx = whole_between(rng_, -a_.crop, a_.crop);
      move(g_, saved(), dy, dx, false, x_);
    }
    if (a_.time_shift > 0) {
      const int64_t dx = shift_of(g_.width, a_.time_shift);
      move(g_, saved(), 0, dx, false, x_);
    }
  }

  int64_t shift_of(int64_t size, float fraction) {
    const auto most = static_cast<int64_t>(static_cast<float>(size) * fraction);
    return whole_between(rng_, -most, most);
  }

  void change_values() {
    const float range = a_.value_range > 0 ? a_.value_range : 1;
    const std::span<float> values(x_, static_cast<size_t>(g_.size()));
    bool changed = false;
    if (a_.contrast > 0) {
      change_contrast(g_, x_, between(rng_, 1 - a_.contrast, 1 + a_.contrast));
      changed = true;
    }
    if (a_.brightness > 0) {
      const float delta = between(rng_, -a_.brightness, a_.brightness) * range;
      for (float& value : values) value += delta;
      changed = true;
    }
    if (a_.scale > 0) {
      const float factor = between(rng_, 1 - a_.scale, 1 + a_.scale);
      for (float& value : values) value *= factor;
      changed = true;
    }
    if (a_.noise > 0) {
      const float deviation = a_.noise * range;
      for (float& value : values) value += deviation * static_cast<float>(rng_.normal());
      changed = true;
    }
    if (!changed || a_.value_range <= 0) return;
    for (float& value : values) value = std::clamp(value, 0.f, a_.value_range);
  }

  const Augment& a_;
  const Grid& g_;
  float* x_;
  Rng& rng_;
  std::vector<float>& scratch_;
};

Grid grid_of(const Shape& sample) {
  switch (sample.rank()) {
    case 3:
      return {sample[0], sample[1], sample[2]};
    case 2:
      return {1, sample[0], sample[1]};
    default:
      return {1, sample.num_elements(), 1};
  }
}

}  // namespace

bool Augment::any() const {
  Augment none;
  none.value_range = value_range;
  return *this != none;
}

Status check_augment(const Augment& augment, const Shape& sample) {
  const bool moves_image = augment.flip || augment.vertical_flip || augment.rotate_degrees > 0 ||
                           augment.shift > 0 || augment.crop > 0 || augment.contrast > 0 ||
                           augment.brightness > 0;
  if (moves_image && sample.rank() != 3) {
    return invalid_argument(
        "augmentation: flip, vflip, rotate, shift, crop, contrast and brightness need images "
        "(height, width, channels), found ",
        sample);
  }
  if (augment.time_shift > 0 && sample.rank() != 1 && sample.rank() != 2) {
    return invalid_argument(
        "augmentation: timeshift needs signals (time,) or (time, channels), "
        "found ",
        sample);
  }
  return {};
}

void apply_augment(const Augment& augment, uint64_t seed, int64_t epoch,
                   std::span<const int64_t> rows, ir::Tensor& x, ThreadPool* pool) {
  if (x.empty() || !augment.any()) return;
  const Shape sample(std::vector<int64_t>(x.shape().begin() + 1, x.shape().end()));
  const Grid grid = grid_of(sample);
  float* data = x.mutable_values<float>().data();
  const uint64_t epoch_seed = counter_hash(seed, kAugmentStream, static_cast<uint64_t>(epoch));
  const auto task = [&](int64_t i) {
    Rng rng(counter_hash(epoch_seed, 0, static_cast<uint64_t>(rows[static_cast<size_t>(i)])));
    std::vector<float> scratch;
    Sample(augment, grid, data + i * grid.size(), rng, scratch).apply();
  };
  const auto count = static_cast<int64_t>(rows.size());
  if (pool != nullptr) {
    pool->run(count, task);
  } else {
    for (int64_t i = 0; i < count; ++i) task(i);
  }
}

}  // namespace ew::train
