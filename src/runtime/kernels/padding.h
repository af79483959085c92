#pragma once
// Copies of images with their padding, so that inner loops need no bounds checks.

#include <cstring>

#include "runtime/kernels/common.h"
#include "runtime/kernels/parallel.h"

namespace ew::kernels::EW_TARGET {

/// The part of an [h, w, channels] image that a sliding window reads, with zeros where it reads
/// outside: `rows` x `columns` pixels, the first at (-top, -left) of the image.
struct PaddedImage {
  int64_t h = 0, w = 0, channels = 0;
  int64_t rows = 0, columns = 0;
  int64_t top = 0, left = 0;

  bool needs_copy() const { return top > 0 || left > 0 || rows > h || columns > w; }
  int64_t size() const { return rows * columns * channels; }
  /// Distance of two rows of what get() returns.
  int64_t row_stride() const { return (needs_copy() ? columns : w) * channels; }
  /// Distance of two images of what get() returns.
  int64_t image_stride() const { return needs_copy() ? size() : h * w * channels; }

  /// `image` itself if the window stays inside, else its padded copy in `buffer`.
  const float* get(const float* image, float* buffer) const {
    if (!needs_copy()) return image;
    copy(image, 0, rows, buffer);
    return buffer;
  }

  /// Padded rows [first, end) to the start of `buffer`.
  void copy(const float* image, int64_t first, int64_t end, float* buffer) const {
    const int64_t used = max_of(0, min_of(w, columns - left));
    const int64_t left_floats = min_of(left, columns) * channels;
    const int64_t right_floats = columns * channels - left_floats - used * channels;
    for (int64_t r = first; r < end; ++r) {
      float* d = buffer + (r - first) * columns * channels;
      const int64_t source = r - top;
      if (source < 0 || source >= h) {
        std::memset(d, 0, bytes_of(columns * channels));
        continue;
      }
      std::memset(d, 0, bytes_of(left_floats));
      std::memcpy(d + left_floats, image + source * w * channels, bytes_of(used * channels));
      std::memset(d + left_floats + used * channels, 0, bytes_of(right_floats));
    }
  }
};

/// Output rows per band, so that the input rows a band reads stay in the L1 cache while they are
/// used; bands share `overlap` input rows, which is not worth it below a few rows.
inline int64_t band_rows(const PaddedImage& p, int64_t stride, int64_t overlap) {
  constexpr int64_t kBandFloats = 5 * 1024;
  const int64_t in_rows = kBandFloats / max_of(1, p.columns * p.channels);
  return max_of(4, (in_rows - overlap) / stride);
}

/// What the windows of a forward pass read of an input with so many channels.
inline PaddedImage padded_input(const Window2d& w, int64_t channels) {
  PaddedImage p;
  p.h = w.in_h;
  p.w = w.in_w;
  p.channels = channels;
  p.rows = (w.out_h - 1) * w.stride_h + (w.kernel_h - 1) * w.dilation_h + 1;
  p.columns = (w.out_w - 1) * w.stride_w + (w.kernel_w - 1) * w.dilation_w + 1;
  p.top = w.pad_top;
  p.left = w.pad_left;
  return p;
}

/// The kernel taps along one dimension that a run of outputs shares: output i reads inputs
/// i * in_step + first_offset + t * offset_step for t in [0, count), with kernel row
/// first_tap + t * tap_step. Offsets ascend.
struct Taps {
  int64_t count = 0;
  int64_t first_tap = 0, tap_step = 1;
  int64_t first_offset = 0, offset_step = 1;
  int64_t in_step = 1;
  int64_t outputs = 0;       // how many outputs there are
  int64_t first_output = 0;  // and where they lie
  int64_t output_step = 1;

  int64_t last_offset() const { return first_offset + (count - 1) * offset_step; }
};

/// Forward: offsets are relative to the padded input.
inline Taps forward_taps(int64_t kernel, int64_t stride, int64_t dilation, int64_t outputs) {
  Taps t;
  t.count = kernel;
  t.offset_step = dilation;
  t.in_step = stride;
  t.outputs = outputs;
  return t;
}

/// Gradient of the input, for the inputs phase, phase + stride, ...: input i * stride + phase takes
/// from output i + (phase + pad - tap * dilation) / stride, for taps where that divides. Offsets
/// are relative to the unpadded output, so they may be negative.
inline Taps gradient_taps(int64_t kernel, int64_t stride, int64_t dilation, int64_t pad,
                          int64_t inputs, int64_t phase) {
  Taps t;
  t.outputs = inputs <= phase ? 0 : ceil_div(inputs - phase, stride);
  t.first_output = phase;
  t.output_step = stride;
  for (int64_t tap = kernel - 1; tap >= 0; --tap) {
    const int64_t numerator = phase + pad - tap * dilation;
    if (numerator % stride != 0) continue;
    const int64_t offset = numerator / stride;
    if (t.count == 0) {
      t.first_tap = tap;
      t.first_offset = offset;
    } else if (t.count == 1) {
      t.tap_step = tap - t.first_tap;
      t.offset_step = offset - t.first_offset;
    }
    ++t.count;
  }
  return t;
}

}  // namespace ew::kernels::EW_TARGET
