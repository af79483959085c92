#pragma once
// Gradient of a dense convolution's kernel: for every kernel row the product x^T dy over output
// pixels, where the row's taps and input channels are adjacent in memory and make up the rows of a
// tile.
//
// Images are split into at most kWeightChunks runs with a partial sum each, whatever the number of
// threads, and within a run into blocks of pixels that stay in the L1 cache.

#include "runtime/kernels/conv2d_impl.h"

namespace ew::kernels::EW_TARGET {

inline constexpr int64_t kWeightChunks = 4;
inline constexpr int64_t kBlockPixels = 128;      // of layers with many channels
inline constexpr int64_t kWideBlockPixels = 256;  // of layers with few

struct WeightPlan {
  PaddedImage image;
  int64_t chunks = 1;
  int64_t block_images = 1, block_rows = 1;  // one of them is 1, or the rows are all
  int64_t columns = 0, packed_columns = 0;   // of dy in a group; packed 0: read in place
  int64_t weights = 0;                       // of the whole kernel
  int64_t partial = 0;                       // elements of one partial sum: kernel and bias

  explicit WeightPlan(const Conv2dShape& s) : image(padded_input(s.window, s.in_c)) {
    const int64_t pixels = max_of(1, s.window.out_h * s.window.out_w);
    chunks = max_of(1, min_of(kWeightChunks, s.batch / 2));
    const int64_t block = s.in_c + s.out_c <= 48 ? kWideBlockPixels : kBlockPixels;
    block_images = max_of(1, block / pixels);
    block_rows = block_images > 1
                     ? s.window.out_h
                     : max_of(1, min_of(s.window.out_h, block / max_of(1, s.window.out_w)));
    columns = s.out_c / s.groups;
    packed_columns = columns % kLanes == 0 ? 0 : round_up(columns, kLanes);
    weights = s.window.kernel_h * s.window.kernel_w * (s.in_c / s.groups) * s.out_c;
    partial = array_size(weights) + array_size(s.out_c);
  }
  int64_t padded_size() const {
    return image.needs_copy() ? array_size(block_images * image.size()) : 0;
  }
  int64_t packed_size(const Conv2dShape& s) const {
    return array_size(block_images * block_rows * s.window.out_w * s.groups * packed_columns);
  }
};

inline size_t conv2d_grad_weights_workspace_bytes(const Conv2dShape& s, int /*threads*/) {
  const WeightPlan p(s);
  // Chunks beyond the first have a partial sum in the workspace; all may be padding at once.
  return bytes_of((p.chunks - 1) * p.partial + p.chunks * (p.padded_size() + p.packed_size(s)));
}

/// Where a block of pixels lies: `images` images, output rows [row, row + rows) of each.
struct PixelBlock {
  int64_t images = 0, row = 0, rows = 0;
  const float* x = nullptr;   // padded input of the first image
  const float* dy = nullptr;  // first pixel of the block
  int64_t dy_stride = 0;      // between pixels
  int64_t dy_group = 0;       // between groups
};

/// dw += x^T dy over one block (or = if not `accumulate`).
inline void add_block(const Conv2dShape& s, const WeightPlan& p, const PixelBlock& block,
                      bool accumulate, float* dw) {
  const Window2d& w = s.window;
  const int64_t depth = s.in_c / s.groups;
  const bool merge = w.dilation_w == 1 && s.groups == 1;
  const int64_t tap_runs = merge ? 1 : w.kernel_w;
  const int64_t rows = merge ? w.kernel_w * depth : depth;
  const Panels panels(p.columns, panel_vectors(kBlockPixels));
  Tile t;
  t.outer = block.images;
  t.a_outer = p.image.image_stride();
  t.inner = block.rows;
  t.a_inner = w.stride_h * p.image.row_stride();
  t.length = w.out_w;
  t.a_step = w.stride_w * s.in_c;
  t.a_row = 1;
  const bool shared = merge && w.kernel_w == 3 && w.stride_w == 1 && w.out_w >= 2;
  if (!shared && t.a_inner == t.length * t.a_step) {
    t.length *= t.inner;
    t.inner = 1;
    if (t.a_outer == t.length * t.a_step) {
      t.length *= t.outer;
      t.outer = 1;
    }
  }
  t.ldb = block.dy_stride;
  t.ldc = s.out_c;
  t.accumulate = accumulate;
  for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
    const float* x_row =
        block.x + (block.row * w.stride_h + ky * w.dilation_h) * p.image.row_stride();
    for (int64_t run = 0; run < tap_runs; ++run) {
      for (int64_t g = 0; g < s.groups; ++g) {
        t.a = x_row + run * w.dilation_w * s.in_c + g * depth;
        for (int64_t panel = 0; panel < panels.count; ++panel) {
          const int64_t column = panels.begin(panel);
          t.b = block.dy + g * block.dy_group + column;
          t.c = dw + (ky * w.kernel_w + run) * depth * s.out_c + g * p.columns + column;
          t.last = panels.last(panel);
          if (shared && panels.width(panel) == 1) {
            run_shared_weight_rows(t, depth * s.out_c, depth);
          } else {
            run_rows<true>(t, panels.width(panel), rows);
          }
        }
      }
    }
  }
}

/// out += sum over rows of dy [rows, n].
inline void add_column_sums(const float* dy, int64_t rows, int64_t n, float* out) {
  for (int64_t j = 0; j < n; j += kLanes) {
    const int64_t lanes = min_of(kLanes, n - j);
    Vec even = zero();
    Vec odd = zero();
    int64_t r = 0;
    for (; r + 1 < rows; r += 2) {
      even = even + load_n(dy + r * n + j, lanes);
      odd = odd + load_n(dy + (r + 1) * n + j, lanes);
    }
    if (r < rows) even = even + load_n(dy + r * n + j, lanes);
    store_n(out + j, load_n(out + j, lanes) + (even + odd), lanes);
  }
}

/// Copies dy [pixels, groups * columns] with every group rounded up to whole vectors.
inline void pack_gradients(const float* dy, int64_t pixels, int64_t groups, int64_t columns,
                           int64_t packed_columns, float* packed) {
  for (int64_t i = 0; i < pixels * groups; ++i, dy += columns, packed += packed_columns) {
    for (int64_t j = 0; j < packed_columns; j += kLanes) {
      store(packed + j, load_n(dy + j, max_of(0, min_of(kLanes, columns - j))));
    }
  }
}

/// Images [first, end) into the partial sums dw and dbias (null: not wanted).
inline void add_images(const Conv2dShape& s, const WeightPlan& p, const float* x, const float* dy,
                       int64_t first, int64_t end, float* dw, float* dbias, float* scratch) {
  const Window2d& w = s.window;
  const int64_t x_size = w.in_h * w.in_w * s.in_c;
  float* padded = scratch;
  float* packed = scratch + p.padded_size();
  if (dbias != nullptr) std::memset(dbias, 0, bytes_of(s.out_c));
  bool accumulate = false;
  // Backwards: the gradient of the input, which usually follows, then finds the first images
  // cached.
  const int64_t blocks = ceil_div(end - first, p.block_images);
  for (int64_t b = blocks - 1; b >= 0; --b) {
    const int64_t n = first + b * p.block_images;
    PixelBlock block;
    block.images = min_of(p.block_images, end - n);
    block.x = x + n * x_size;
    if (p.image.needs_copy()) {
      for (int64_t i = 0; i < block.images; ++i) {
        p.image.copy(x + (n + i) * x_size, 0, p.image.rows, padded + i * p.image.size());
      }
      block.x = padded;
    }
    for (int64_t row = 0; row < w.out_h; row += p.block_rows) {
      block.row = row;
      block.rows = min_of(p.block_rows, w.out_h - row);
      const float* gradients = dy + (n * w.out_h + row) * w.out_w * s.out_c;
      const int64_t pixels = block.images * block.rows * w.out_w;
      block.dy = gradients;
      block.dy_stride = s.out_c;
      block.dy_group = p.columns;
      if (p.packed_columns > 0) {
        pack_gradients(gradients, pixels, s.groups, p.columns, p.packed_columns, packed);
        block.dy = packed;
        block.dy_stride = s.groups * p.packed_columns;
        block.dy_group = p.packed_columns;
      }
      add_block(s, p, block, accumulate, dw);
      if (dbias != nullptr) add_column_sums(gradients, pixels, s.out_c, dbias);
      accumulate = true;
    }
  }
  if (!accumulate) std::memset(dw, 0, bytes_of(p.weights));
}

/// out += part.
inline void add_partial(const float* part, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t lanes = min_of(kLanes, n - i);
    store_n(out + i, load_n(out + i, lanes) + load_n(part + i, lanes), lanes);
  }
}

inline void conv2d_grad_weights(const Conv2dShape& s, const float* x, const float* dy, float* dw,
                                float* dbias, void* workspace, ThreadPool* pool) {
  const WeightPlan p(s);
  auto* partials = static_cast<float*>(workspace);
  float* scratch = partials + (p.chunks - 1) * p.partial;
  const auto kernel_of = [&](int64_t chunk) {
    return chunk == 0 ? dw : partials + (chunk - 1) * p.partial;
  };
  const auto bias_of = [&](int64_t chunk) {
    if (dbias == nullptr) return dbias;
    return chunk == 0 ? dbias : kernel_of(chunk) + array_size(p.weights);
  };
  parallel_for(pool, p.chunks, [&](int64_t i) {
    const int64_t chunk = p.chunks - 1 - i;
    add_images(s, p, x, dy, s.batch * chunk / p.chunks, s.batch * (chunk + 1) / p.chunks,
               kernel_of(chunk), bias_of(chunk),
               scratch + chunk * (p.padded_size() + p.packed_size(s)));
  });
  for (int64_t chunk = 1; chunk < p.chunks; ++chunk) {
    add_partial(kernel_of(chunk), p.weights, dw);
    if (dbias != nullptr) add_partial(bias_of(chunk), s.out_c, dbias);
  }
}

}  // namespace ew::kernels::EW_TARGET
