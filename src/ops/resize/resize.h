#pragma once
// What resize and its gradient share: which inputs an output along one dimension is made of.

#include <string>
#include <vector>

#include "ops/ops.h"

namespace ew::ops {

/// y[o] = sum over i of weight[o][i] x[index[o][i]], along one dimension.
struct ResizeTaps {
  std::vector<std::vector<std::pair<int64_t, double>>> of;  ///< per output: (input, weight)
};

/// Where the pixels of output and input meet: "half_pixel" (centres lie at halves), "align_corners"
/// (the outermost centres meet) or "asymmetric" (the upper left corners meet; the last two are
/// TensorFlow 1's).
inline const AttrDef kResizeCoordinates{"coordinates", std::string("half_pixel")};

/// Taps of `method` ("bilinear", "nearest" or "bicubic") from `in` to `out` elements; coordinates
/// are computed in float32 as TensorFlow does, because where the nearest pixel lies may hang on the
/// rounding.
ResizeTaps resize_taps(const std::string& method, int64_t in, int64_t out,
                       const std::string& coordinates = "half_pixel");

/// Error kInvalidArgument unless the lengths are at least 1, the method known and the image
/// [N,H,W,C].
Status check_resize(const Shape& image, const std::vector<int64_t>& lengths,
                    const std::string& method);

/// Calls f(flat input pixel, flat output pixel, weight) for one image [in_h, in_w] to [out_h,
/// out_w].
template <typename F>
void for_each_resize_tap(const ResizeTaps& rows, const ResizeTaps& columns, int64_t in_width, F f) {
  const auto out_width = static_cast<int64_t>(columns.of.size());
  for (size_t y = 0; y < rows.of.size(); ++y) {
    for (size_t x = 0; x < columns.of.size(); ++x) {
      for (const auto& [from_y, weight_y] : rows.of[y]) {
        for (const auto& [from_x, weight_x] : columns.of[x]) {
          f(from_y * in_width + from_x,
            static_cast<int64_t>(y) * out_width + static_cast<int64_t>(x), weight_y * weight_x);
        }
      }
    }
  }
}

}  // namespace ew::ops
