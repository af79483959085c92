#pragma once
// Dense convolution without im2col: register tiles over a run of output pixels and up to four
// vectors of output channels read the (padded) input and the kernel in place. The gradient of the
// input is the same loop over dy with the kernel transposed, once per phase of the stride.

#include "runtime/kernels/conv2d.h"
#include "runtime/kernels/gathered_impl.h"
#include "runtime/kernels/gemm_impl.h"
#include "runtime/kernels/padding.h"
#include "runtime/kernels/shared_tile.h"
#include "runtime/kernels/winograd_impl.h"

namespace ew::kernels::EW_TARGET {

/// One convolution loop: `source` [batch, ., ., groups * depth] to `target` [batch, target_h,
/// target_w, groups * columns].
struct ConvPass {
  int64_t batch = 0, groups = 1;
  int64_t depth = 0, columns = 0;  // of one group
  int64_t target_h = 0, target_w = 0;
  PaddedImage image;  // of the source
  int64_t phases_h = 1, phases_w = 1;
  bool has_empty_phase = false;  // without taps: its targets are 0
};

inline bool is_pointwise(const Conv2dShape& s) {
  const Window2d& w = s.window;
  return s.groups == 1 && w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 &&
         w.stride_w == 1 && w.pad_top == 0 && w.pad_left == 0 && w.out_h == w.in_h &&
         w.out_w == w.in_w;
}

inline ConvPass forward_pass(const Conv2dShape& s) {
  ConvPass p;
  p.batch = s.batch;
  p.groups = s.groups;
  p.depth = s.in_c / s.groups;
  p.columns = s.out_c / s.groups;
  p.target_h = s.window.out_h;
  p.target_w = s.window.out_w;
  p.image = padded_input(s.window, s.in_c);
  return p;
}

inline Taps grad_taps_h(const Window2d& w, int64_t phase) {
  return gradient_taps(w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.in_h, phase);
}
inline Taps grad_taps_w(const Window2d& w, int64_t phase) {
  return gradient_taps(w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.in_w, phase);
}

/// What the phases of a gradient pass read of dy with so many channels.
inline PaddedImage padded_gradient(const Window2d& w, int64_t channels) {
  PaddedImage p;
  p.h = w.out_h;
  p.w = w.out_w;
  p.channels = channels;
  for (int64_t phase = 0; phase < w.stride_h; ++phase) {
    const Taps t = grad_taps_h(w, phase);
    if (t.count == 0 || t.outputs == 0) continue;
    p.top = max_of(p.top, -t.first_offset);
    p.rows = max_of(p.rows, t.outputs + t.last_offset());
  }
  for (int64_t phase = 0; phase < w.stride_w; ++phase) {
    const Taps t = grad_taps_w(w, phase);
    if (t.count == 0 || t.outputs == 0) continue;
    p.left = max_of(p.left, -t.first_offset);
    p.columns = max_of(p.columns, t.outputs + t.last_offset());
  }
  p.rows = max_of(0, p.rows + p.top);
  p.columns = max_of(0, p.columns + p.left);
  return p;
}

inline ConvPass gradient_pass(const Conv2dShape& s) {
  ConvPass p;
  p.batch = s.batch;
  p.groups = s.groups;
  p.depth = s.out_c / s.groups;
  p.columns = s.in_c / s.groups;
  p.target_h = s.window.in_h;
  p.target_w = s.window.in_w;
  p.image = padded_gradient(s.window, s.out_c);
  p.phases_h = s.window.stride_h;
  p.phases_w = s.window.stride_w;
  for (int64_t h = 0; h < p.phases_h; ++h) {
    if (grad_taps_h(s.window, h).count == 0) p.has_empty_phase = true;
  }
  for (int64_t w = 0; w < p.phases_w; ++w) {
    if (grad_taps_w(s.window, w).count == 0) p.has_empty_phase = true;
  }
  return p;
}

/// Panels of one group; narrow where a whole tap row of B would not fit the L1 cache.
inline Panels conv_panels(const ConvPass& p, int64_t taps) {
  return Panels(p.columns, panel_vectors(taps * p.depth));
}

/// Forward can read w in place if its columns are whole vectors and its rows not too far apart.
inline bool forward_packs(const Conv2dShape& s) {
  const int64_t columns = s.out_c / s.groups;
  const bool wide = s.out_c > 128 && s.batch * s.window.out_h * s.window.out_w >= 32;
  return columns % kLanes != 0 || wide;
}

/// One phase of a pass: its taps, and its kernel with rows in the order (tap row, tap column,
/// depth).
struct ConvPhase {
  Taps y, x;
  Panels panels;
  const float* kernel = nullptr;
  int64_t row_stride = 0;    // 0: packed, panel after panel, group after group
  int64_t group_stride = 0;  // of an unpacked kernel

  int64_t rows(const ConvPass& p) const { return y.count * x.count * p.depth; }
  int64_t packed_group(const ConvPass& p) const { return rows(p) * panels.vectors * kLanes; }
};

struct ConvEpilogue {
  const float* bias = nullptr;
  Clamp clamp{};
};

/// One panel of one group of one phase, for outputs rows [row, end) of one image.
inline void conv_panel(const ConvPass& p, const ConvPhase& phase, int64_t group, int64_t panel,
                       const ConvEpilogue& epilogue, const float* source, float* target,
                       int64_t row, int64_t end) {
  const int64_t source_c = p.groups * p.depth;
  const int64_t target_c = p.groups * p.columns;
  const int64_t source_row = p.image.row_stride();
  const int64_t column = phase.panels.begin(panel);
  const int vectors = phase.panels.width(panel);
  const float* b =
      phase.kernel + (phase.row_stride == 0 ? group * phase.packed_group(p) + phase.rows(p) * column
                                            : group * phase.group_stride + column);
  Tile t;
  t.ldb = phase.row_stride == 0 ? vectors * int64_t{kLanes} : phase.row_stride;
  t.last = phase.panels.last(panel);
  t.a_outer = phase.y.offset_step * source_row;
  t.a_row = phase.x.in_step * source_c;
  t.ldc = phase.x.output_step * target_c;
  const bool adjacent = phase.x.offset_step == 1 && p.groups == 1;
  const bool shared =
      adjacent && vectors == 1 && phase.x.in_step == 1 && has_shared_tile(phase.x.count);
  if (shared) {
    t.length = p.depth;
  } else if (adjacent) {
    t.length = phase.x.count * p.depth;
  } else {
    t.inner = phase.x.count;
    t.a_inner = phase.x.offset_step * source_c;
    t.length = p.depth;
  }
  const int64_t tap_row = phase.x.count * p.depth;
  const int64_t block =
      max_of(1, min_of(phase.y.count, reduction_block(vectors) / max_of(1, tap_row)));
  for (int64_t tap = 0; tap < phase.y.count; tap += block) {
    t.outer = min_of(block, phase.y.count - tap);
    t.b = b + tap * tap_row * t.ldb;
    const bool first = tap == 0;
    t.bias =
        first && epilogue.bias != nullptr ? epilogue.bias + group * p.columns + column : nullptr;
    t.accumulate = !first;
    if (tap + block >= phase.y.count) t.clamp = epilogue.clamp;
    for (int64_t i = row; i < end; ++i) {
      const int64_t y = i * phase.y.in_step + phase.y.first_offset + tap * phase.y.offset_step;
      t.a = source + (y + p.image.top) * source_row +
            (phase.x.first_offset + p.image.left) * source_c + group * p.depth;
      t.c = target +
            ((phase.y.first_output + i * phase.y.output_step) * p.target_w + phase.x.first_output) *
                target_c +
            group * p.columns + column;
      if (shared) {
        run_shared_rows(t, phase.x.count, phase.x.outputs);
      } else {
        run_rows<false>(t, vectors, phase.x.outputs);
      }
    }
  }
}

/// Zeros the target rows that one of so many bands writes in any phase.
inline void clear_band(const ConvPass& p, int64_t band, int64_t bands, float* target) {
  const int64_t row_size = p.target_w * p.groups * p.columns;
  for (int64_t h = 0; h < p.phases_h; ++h) {
    const int64_t rows = max_of(0, ceil_div(p.target_h - h, p.phases_h));
    for (int64_t i = rows * band / bands; i < rows * (band + 1) / bands; ++i) {
      std::memset(target + (h + i * p.phases_h) * row_size, 0, bytes_of(row_size));
    }
  }
}

/// Slots for padded images: as many as can be in use at once.
inline int64_t conv_slots(const ConvPass& p, int64_t threads) {
  return p.image.needs_copy() ? max_of(1, threads) : 0;
}

/// Rows of the padded image that one of so many bands reads: [first, end).
struct RowRange {
  int64_t first = 0, end = 0;
};
template <typename FindPhase>
RowRange band_input(const ConvPass& p, const FindPhase& find_phase, int64_t band, int64_t bands) {
  RowRange range{p.image.rows, 0};
  for (int64_t h = 0; h < p.phases_h; ++h) {
    const Taps y = find_phase(h, 0).y;
    const int64_t row = y.outputs * band / bands;
    const int64_t end = y.outputs * (band + 1) / bands;
    if (y.count == 0 || row >= end) continue;
    const int64_t top = p.image.top + y.first_offset;
    range.first = min_of(range.first, top + row * y.in_step);
    range.end = max_of(range.end, top + (end - 1) * y.in_step + (y.count - 1) * y.offset_step + 1);
  }
  return range;
}

/// A single image with few pixels, by panels; `slot` for the padded image.
inline void run_conv_by_panels(const ConvPass& p, const ConvPhase& phase,
                               const ConvEpilogue& epilogue, const float* source, float* target,
                               float* slot, ThreadPool* pool) {
  const int64_t threads = thread_count(pool);
  const float* image = source;
  if (p.image.needs_copy()) {
    image = slot;
    parallel_pieces(pool, 1, p.image.rows, threads, [&](int64_t, int64_t first, int64_t end) {
      p.image.copy(source, first, end, slot + first * p.image.row_stride());
    });
  }
  parallel_pieces(pool, p.groups * phase.panels.count, phase.y.outputs, 2 * threads,
                  [&](int64_t i, int64_t row, int64_t end) {
                    conv_panel(p, phase, i / phase.panels.count, i % phase.panels.count, epilogue,
                               image, target, row, end);
                  });
}

/// `find_phase(h, w)` gives a phase with its kernel.
template <typename FindPhase>
void run_conv(const ConvPass& p, const FindPhase& find_phase, const ConvEpilogue& epilogue,
              const float* source, float* target, float* slots, ThreadPool* pool) {
  const int64_t threads = thread_count(pool);
  const bool is_forward = p.phases_h * p.phases_w == 1 && !p.has_empty_phase;
  if (threads > 1 && p.batch == 1 && is_forward && p.target_h * p.target_w <= kFewRows) {
    return run_conv_by_panels(p, find_phase(0, 0), epilogue, source, target, slots, pool);
  }
  // Images are the unit of work; a batch smaller than the pool also splits each image into bands.
  const int64_t bands = p.batch >= threads ? 1 : ceil_div(threads, p.batch);
  const int64_t tasks = p.batch * bands;
  const int64_t lanes = min_of(threads, tasks);
  const int64_t source_size = p.image.h * p.image.w * p.image.channels;
  const int64_t target_size = p.target_h * p.target_w * p.groups * p.columns;
  parallel_for(pool, lanes, [&](int64_t lane) {
    float* slot = slots + lane * array_size(p.image.size());
    for (int64_t task = tasks * lane / lanes; task < tasks * (lane + 1) / lanes; ++task) {
      const int64_t n = task / bands;
      const int64_t band = task % bands;
      const float* image = source + n * source_size;
      if (p.image.needs_copy()) {
        const RowRange rows = band_input(p, find_phase, band, bands);
        p.image.copy(image, rows.first, rows.end, slot + rows.first * p.image.row_stride());
        image = slot;
      }
      float* out = target + n * target_size;
      if (p.has_empty_phase) clear_band(p, band, bands, out);
      for (int64_t h = 0; h < p.phases_h; ++h) {
        for (int64_t w = 0; w < p.phases_w; ++w) {
          const ConvPhase phase = find_phase(h, w);
          const int64_t row = phase.y.outputs * band / bands;
          const int64_t end = phase.y.outputs * (band + 1) / bands;
          for (int64_t g = 0; g < p.groups; ++g) {
            for (int64_t panel = 0; panel < phase.panels.count; ++panel) {
              conv_panel(p, phase, g, panel, epilogue, image, out, row, end);
            }
          }
        }
      }
    }
  });
}

inline GemmArgs pointwise_gemm(const Conv2dShape& s) {
  GemmArgs g;
  g.m = s.batch * s.window.out_h * s.window.out_w;
  g.n = s.out_c;
  g.k = s.in_c;
  g.lda = s.in_c;
  g.ldb = s.out_c;
  g.ldc = s.out_c;
  return g;
}

inline GemmArgs pointwise_grad_gemm(const Conv2dShape& s) {
  GemmArgs g = pointwise_gemm(s);
  g.n = s.in_c;
  g.k = s.out_c;
  g.lda = s.out_c;
  g.ldc = s.in_c;
  g.transpose_b = true;
  return g;
}

inline size_t conv2d_workspace_bytes(const Conv2dShape& s, int threads) {
  if (is_pointwise(s)) return gemm_workspace_bytes(pointwise_gemm(s), threads);
  const ConvPass p = forward_pass(s);
  const int64_t taps = s.window.kernel_h * s.window.kernel_w;
  const int64_t packed =
      forward_packs(s) ? s.groups * taps * p.depth * round_up(p.columns, kLanes) : 0;
  return bytes_of(array_size(packed) + conv_slots(p, threads) * array_size(p.image.size()));
}

inline ConvPhase forward_phase(const Conv2dShape& s, const ConvPass& p) {
  const Window2d& v = s.window;
  ConvPhase phase{.y = forward_taps(v.kernel_h, v.stride_h, v.dilation_h, v.out_h),
                  .x = forward_taps(v.kernel_w, v.stride_w, v.dilation_w, v.out_w),
                  .panels = conv_panels(p, v.kernel_h * v.kernel_w)};
  // forward_taps counts from the first padded pixel; offsets of a pass count from the image.
  phase.y.first_offset = -p.image.top;
  phase.x.first_offset = -p.image.left;
  return phase;
}

/// Panel after panel, group after group.
inline void pack_forward(const Conv2dShape& s, const ConvPass& p, const ConvPhase& phase,
                         const float* w, float* packed) {
  const int64_t rows = phase.rows(p);
  for (int64_t g = 0; g < s.groups; ++g) {
    for (int64_t panel = 0; panel < phase.panels.count; ++panel) {
      const int64_t first = phase.panels.begin(panel);
      pack_panel(w + g * p.columns, s.out_c, false, rows, p.columns, first,
                 phase.panels.width(panel) * int64_t{kLanes},
                 packed + g * phase.packed_group(p) + rows * first);
    }
  }
}

inline void conv2d(const Conv2dShape& s, const float* x, const float* w, const float* bias,
                   Clamp clamp, float* y, void* workspace, ThreadPool* pool) {
  if (is_pointwise(s)) {
    GemmArgs g = pointwise_gemm(s);
    g.a = x;
    g.b = w;
    g.c = y;
    g.bias = bias;
    g.clamp = clamp;
    gemm(g, workspace, pool);
    return;
  }
  if (s.batch * s.window.out_h * s.window.out_w * s.out_c <= 0) return;
  const ConvPass p = forward_pass(s);
  ConvPhase phase = forward_phase(s, p);
  phase.kernel = w;
  phase.row_stride = s.out_c;
  phase.group_stride = p.columns;
  auto* scratch = static_cast<float*>(workspace);
  if (forward_packs(s)) {
    pack_forward(s, p, phase, w, scratch);
    phase.kernel = scratch;
    phase.row_stride = 0;
    scratch += array_size(s.groups * phase.packed_group(p));
  }
  run_conv(
      p, [&](int64_t, int64_t) { return phase; }, ConvEpilogue{bias, clamp}, x, y, scratch, pool);
}

inline GemmArgs packed_gemm(const Conv2dShape& s) {
  GemmArgs g = pointwise_gemm(s);
  g.is_packed = true;
  return g;
}

inline size_t conv2d_packed_bytes(const Conv2dShape& s) {
  if (is_pointwise(s)) return gemm_packed_bytes(packed_gemm(s));
  if (prefers_winograd(s)) return bytes_of(winograd_weight_floats(s));
  const ConvPass p = forward_pass(s);
  return bytes_of(s.groups * forward_phase(s, p).packed_group(p));
}

inline void conv2d_pack(const Conv2dShape& s, const float* w, float* packed) {
  if (is_pointwise(s)) {
    GemmArgs g = packed_gemm(s);
    g.b = w;
    return gemm_pack(g, packed);
  }
  if (prefers_winograd(s)) return winograd_pack(s, w, packed);
  const ConvPass p = forward_pass(s);
  pack_forward(s, p, forward_phase(s, p), w, packed);
}

inline size_t conv2d_packed_workspace_bytes(const Conv2dShape& s, int threads) {
  if (is_pointwise(s)) return 0;
  if (prefers_winograd(s)) return bytes_of(winograd_workspace_floats(s, threads));
  if (is_gathered(s)) return gathered_workspace_bytes(s);
  const ConvPass p = forward_pass(s);
  return bytes_of(conv_slots(p, threads) * array_size(p.image.size()));
}

inline bool conv2d_takes_halves(const Conv2dShape& s) {
  return is_pointwise(s) || (is_gathered(s) && !prefers_winograd(s));
}

inline void conv2d_packed(const Conv2dShape& s, const float* x, const PackedB& packed,
                          const float* bias, Clamp clamp, float* y, void* workspace,
                          ThreadPool* pool) {
  if (is_pointwise(s)) {
    GemmArgs g = packed_gemm(s);
    g.a = x;
    g.b = packed.floats;
    g.halves = packed.halves;
    g.half_type = packed.type;
    g.c = y;
    g.bias = bias;
    g.clamp = clamp;
    gemm(g, workspace, pool);
    return;
  }
  if (s.batch * s.window.out_h * s.window.out_w * s.out_c <= 0) return;
  if (prefers_winograd(s)) {
    return winograd(s, x, packed.floats, bias, clamp, y, workspace, pool);
  }
  if (is_gathered(s)) return conv2d_gathered(s, x, packed, bias, clamp, y, workspace, pool);
  const ConvPass p = forward_pass(s);
  ConvPhase phase = forward_phase(s, p);
  phase.kernel = packed.floats;
  run_conv(
      p, [&](int64_t, int64_t) { return phase; }, ConvEpilogue{bias, clamp}, x, y,
      static_cast<float*>(workspace), pool);
}

inline size_t conv2d_grad_input_workspace_bytes(const Conv2dShape& s, int threads) {
  if (is_pointwise(s)) return gemm_workspace_bytes(pointwise_grad_gemm(s), threads);
  const ConvPass p = gradient_pass(s);
  const int64_t taps = s.window.kernel_h * s.window.kernel_w;
  return bytes_of(array_size(s.groups * taps * p.depth * round_up(p.columns, kLanes)) +
                  conv_slots(p, threads) * array_size(p.image.size()));
}

inline ConvPhase gradient_phase(const Conv2dShape& s, const ConvPass& p, int64_t h, int64_t w) {
  const Taps y = grad_taps_h(s.window, h);
  const Taps x = grad_taps_w(s.window, w);
  return ConvPhase{.y = y, .x = x, .panels = conv_panels(p, y.count * x.count)};
}

/// Packs the kernel of a phase, transposed: rows (tap row, tap column, output channel), columns
/// input channels. Returns its size.
inline int64_t pack_gradient(const Conv2dShape& s, const ConvPass& p, const ConvPhase& phase,
                             const float* w, float* packed) {
  for (int64_t g = 0; g < p.groups; ++g) {
    for (int64_t panel = 0; panel < phase.panels.count; ++panel) {
      const int64_t first = phase.panels.begin(panel);
      const int64_t width = phase.panels.width(panel) * int64_t{kLanes};
      float* d = packed + g * phase.packed_group(p) + phase.rows(p) * first;
      for (int64_t i = 0; i < phase.y.count; ++i) {
        for (int64_t j = 0; j < phase.x.count; ++j, d += p.depth * width) {
          const int64_t ky = phase.y.first_tap + i * phase.y.tap_step;
          const int64_t kx = phase.x.first_tap + j * phase.x.tap_step;
          const float* tap = w + (ky * s.window.kernel_w + kx) * p.columns * s.out_c + g * p.depth;
          pack_panel(tap, s.out_c, true, p.depth, p.columns, first, width, d);
        }
      }
    }
  }
  return p.groups * phase.packed_group(p);
}

inline void conv2d_grad_input(const Conv2dShape& s, const float* dy, const float* w, float* dx,
                              void* workspace, ThreadPool* pool) {
  if (is_pointwise(s)) {
    GemmArgs g = pointwise_grad_gemm(s);
    g.a = dy;
    g.b = w;
    g.c = dx;
    gemm(g, workspace, pool);
    return;
  }
  if (s.batch * s.window.in_h * s.window.in_w * s.in_c <= 0) return;
  const ConvPass p = gradient_pass(s);
  auto* packed = static_cast<float*>(workspace);
  int64_t size = 0;
  for (int64_t h = 0; h < p.phases_h; ++h) {
    for (int64_t v = 0; v < p.phases_w; ++v) {
      size += pack_gradient(s, p, gradient_phase(s, p, h, v), w, packed + size);
    }
  }
  const auto find_phase = [&](int64_t h, int64_t v) {
    ConvPhase phase = gradient_phase(s, p, h, v);
    // The kernels of the phases lie one after the other; each tap of w is in exactly one.
    int64_t offset = 0;
    for (int64_t i = 0; i < h * p.phases_w + v; ++i) {
      const ConvPhase before = gradient_phase(s, p, i / p.phases_w, i % p.phases_w);
      offset += p.groups * before.packed_group(p);
    }
    phase.kernel = packed + offset;
    return phase;
  };
  run_conv(p, find_phase, ConvEpilogue{}, dy, dx, packed + array_size(size), pool);
}

}  // namespace ew::kernels::EW_TARGET
