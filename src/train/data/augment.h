#pragma once
// Random changes to training samples: images [N,H,W,C] and signals [N,T] or [N,T,C], f32.
//
// Every sample draws from its own generator, seeded by (seed, epoch, row), so that the result does
// not depend on the batch or the number of threads.

#include <span>
#include <string_view>

#include "base/thread_pool.h"
#include "ir/tensor.h"

namespace ew::train {

/// Amounts; 0 or false turns a step off. Applied in this order. Amounts of brightness and noise are
/// fractions of `value_range`.
struct Augment {
  bool flip = false;           ///< images: left-right, with probability 1/2
  bool vertical_flip = false;  ///< images: upside down, with probability 1/2
  float rotate_degrees = 0;    ///< images: by [-r, r] around the centre, bilinear, edge repeated
  float shift = 0;       ///< images: by whole pixels up to this fraction of H and W, edge repeated
  int crop = 0;          ///< images: pad this many pixels of 0 all round, crop at random (<= 1024)
  float time_shift = 0;  ///< signals: by up to this fraction of T, zeros move in
  float contrast = 0;    ///< images: (x - mean of channel) * [1-c, 1+c] + mean
  float brightness = 0;  ///< images: + [-b, b] * range
  float scale = 0;       ///< any rank: * [1-s, 1+s]
  float noise = 0;       ///< any rank: + normal(0, n) * range per element
  /// 255 for pixels: results of contrast, brightness, scale and noise are clipped to [0, range].
  /// 0: unknown; amounts are absolute and nothing is clipped.
  float value_range = 0;

  bool any() const;
  bool operator==(const Augment&) const = default;
};

/// "flip,vflip,rotate=15,shift=0.1,crop=4,contrast=0.2,brightness=0.2,timeshift=0.1,scale=0.1,
/// noise=0.05,range=255"; "" and "none" are no augmentation. Errors kInvalidArgument: an unknown
/// word (names the nearest), a missing or superfluous value, a value out of range.
Result<Augment> parse_augment(std::string_view text);

/// Error kInvalidArgument if a step needs another rank than `sample` (shape without N) has.
Status check_augment(const Augment& augment, const Shape& sample);

/// Changes x [N, ...] in place; rows[i] names sample i. x must be f32 and have passed
/// check_augment(). `pool` may be null.
void apply_augment(const Augment& augment, uint64_t seed, int64_t epoch,
                   std::span<const int64_t> rows, ir::Tensor& x, ThreadPool* pool = nullptr);

}  // namespace ew::train
