#pragma once
// How a value of an int8 region lies in memory.

#include <algorithm>
#include <cstdint>

#include "base/shape.h"

namespace ew::runtime::int8 {

/// Border around every image, in pixels.
struct Border {
  int64_t top = 0;
  int64_t left = 0;
  int64_t bottom = 0;
  int64_t right = 0;

  bool any() const { return top + left + bottom + right > 0; }
  bool covers(const Border& o) const {
    return top >= o.top && left >= o.left && bottom >= o.bottom && right >= o.right;
  }
  Border merged(const Border& o) const {
    return {std::max(top, o.top), std::max(left, o.left), std::max(bottom, o.bottom),
            std::max(right, o.right)};
  }
};

/// [images, h, w, c] bytes, each stored value + 128, with a border that holds the zero point.
struct Layout {
  int64_t images = 1;
  int64_t h = 1;
  int64_t w = 1;
  int64_t c = 1;
  Border border = {};

  int64_t row() const { return (w + border.left + border.right) * c; }
  int64_t image() const { return (h + border.top + border.bottom) * row(); }
  int64_t bytes() const { return images * image(); }
  /// Of the first pixel inside the border.
  int64_t origin() const { return border.top * row() + border.left * c; }
  /// Of the first pixel of a row.
  int64_t at(int64_t image_index, int64_t y) const {
    return image_index * image() + origin() + y * row();
  }
};

/// The last three dimensions are h, w and c, those before them images; shapes of rank 2 are
/// [images, c].
inline Layout layout_of(const Shape& shape) {
  Layout l;
  const int rank = shape.rank();
  if (rank >= 1) l.c = shape[-1];
  if (rank >= 3) l.w = shape[-2];
  if (rank >= 4) l.h = shape[-3];
  l.images = rank == 2   ? shape[0]
             : rank > 4  ? shape.product(0, rank - 3)
             : rank >= 3 ? shape[0]
                         : 1;
  return l;
}

}  // namespace ew::runtime::int8
