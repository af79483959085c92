#pragma once
// Matrix product: panels of B columns, blocks of the reduction that keep a panel of B in the L1
// cache, register tiles of rows. B is copied only where tiles cannot read it in place.

#include "runtime/kernels/built.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/kernels.h"
#include "runtime/kernels/streamed_tile.h"

namespace ew::kernels::EW_TARGET {

inline constexpr int64_t kPanelBytes = 32 * 1024;  // of L1, for one panel of B
inline constexpr int64_t kRowBlock = 96;           // rows of C that meet all panels in turn
inline constexpr size_t kFitsL2 = 256 * 1024;      // bytes of B that then stay in the L2 cache

/// Products of so few rows only read B: its panels need not stay anywhere.
inline constexpr int64_t kStreamedRows = 4;

/// Columns of a panel, in vectors: wide while the whole reduction fits the L1 cache.
constexpr int panel_vectors(int64_t k, int64_t rows = kStreamedRows + 1) {
  if (rows <= kStreamedRows) return kMaxVectors;
  return k * kMaxVectors * kLanes * int64_t{sizeof(float)} <= kPanelBytes ? kMaxVectors : 2;
}

/// Rows of B that fit the cache at that width.
constexpr int64_t reduction_block(int vectors, int64_t rows = kStreamedRows + 1) {
  if (rows <= kStreamedRows) return 2048;  // terms of one chain
  return kPanelBytes / (vectors * kLanes * int64_t{sizeof(float)});
}

struct GemmPlan {
  Panels panels;
  int vectors;
  bool pack_all;

  explicit GemmPlan(const GemmArgs& g)
      : panels(g.n, panel_vectors(g.k, g.m)), vectors(panel_vectors(g.k, g.m)) {
    // A wide B in place maps its rows to few cache sets; copying pays if enough rows reuse it.
    pack_all = g.is_packed || g.transpose_b || (g.ldb > 256 && g.m >= 64);
  }
  bool packs(int64_t panel) const { return pack_all || panels.last(panel) != kLanes; }
};

inline size_t gemm_workspace_bytes(const GemmArgs& g, int /*threads*/) {
  if (g.is_packed) return 0;
  const GemmPlan plan(g);
  int64_t elements = 0;
  for (int64_t p = 0; p < plan.panels.count; ++p) {
    if (plan.packs(p)) elements += g.k * plan.panels.width(p) * kLanes;
  }
  return bytes_of(elements);
}

inline size_t gemm_packed_bytes(const GemmArgs& g) {
  return bytes_of(g.k * GemmPlan(g).panels.vectors * kLanes);
}

/// Panel after panel of rows of B.
inline void gemm_pack(const GemmArgs& g, float* packed) {
  const Panels panels = GemmPlan(g).panels;
  for (int64_t p = 0; p < panels.count; ++p) {
    const int64_t first = panels.begin(p);
    pack_panel(g.b, g.ldb, g.transpose_b, g.k, g.n, first, panels.width(p) * int64_t{kLanes},
               packed + g.k * first);
  }
}

template <bool kTransposed>
void gemm_block(const GemmArgs& g, const GemmPlan& plan, int64_t panel, const float* b, int64_t ldb,
                int64_t row, int64_t rows) {
  const int64_t block = reduction_block(plan.vectors, g.m);
  Tile t;
  t.a_row = kTransposed ? 1 : g.lda;
  t.a_step = kTransposed ? g.lda : 1;
  t.ldb = ldb;
  t.c = g.c + row * g.ldc + plan.panels.begin(panel);
  t.ldc = g.ldc;
  t.last = plan.panels.last(panel);
  const float* bias = g.bias == nullptr ? nullptr : g.bias + plan.panels.begin(panel);
  for (int64_t k = 0; k == 0 || k < g.k; k += block) {
    t.length = min_of(block, g.k - k);
    t.a = g.a + row * t.a_row + k * t.a_step;
    t.b = b + k * ldb;
    t.bias = k == 0 ? bias : nullptr;
    t.accumulate = g.accumulate || k > 0;
    if (k + block >= g.k) t.clamp = g.clamp;
    if (g.is_packed) {
      // Few rows leave little time for each weight: what follows is on its way meanwhile.
      t.ahead = t.b + t.length * ldb;
      t.ahead_step = ldb / ceil_div(rows, max_rows(plan.panels.width(panel)));
    }
    run_rows<kTransposed>(t, plan.panels.width(panel), rows);
  }
}

/// A product of at most kStreamedRows rows with a packed B of any element type.
template <typename Elements>
void gemm_streamed(const GemmArgs& g, const typename Elements::Element* packed, ThreadPool* pool) {
  if (g.m <= 0 || g.n <= 0) return;
  const GemmPlan plan(g);
  const Panels& panels = plan.panels;
  const int64_t block = reduction_block(plan.vectors, g.m);
  ThreadPool* wide = g.m * g.n * g.k < 200'000 ? nullptr : pool;
  parallel_for(wide, panels.count, [&](int64_t p) {
    const int64_t first = panels.begin(p);
    const int vectors = panels.width(p);
    const auto run = find_streamed<Elements>(vectors, g.m);
    Tile t;
    t.a_row = g.lda;
    t.c = g.c + first;
    t.ldc = g.ldc;
    t.last = panels.last(p);
    for (int64_t k = 0; k == 0 || k < g.k; k += block) {
      t.length = min_of(block, g.k - k);
      t.a = g.a + k;
      t.bias = k == 0 && g.bias != nullptr ? g.bias + first : nullptr;
      t.accumulate = g.accumulate || k > 0;
      if (k + block >= g.k) t.clamp = g.clamp;
      run(t, packed + g.k * first + k * vectors * kLanes);
    }
  });
}

inline void gemm(const GemmArgs& g, void* workspace, ThreadPool* pool) {
  if (g.m <= 0 || g.n <= 0) return;
  if (g.is_packed && g.m <= kStreamedRows && !g.transpose_a) {
    return gemm_streamed<FloatElements>(g, g.b, pool);
  }
  const GemmPlan plan(g);
  // Waking a thread costs microseconds: small products stay on this one.
  ThreadPool* wide = g.m * g.n * g.k < 200'000 ? nullptr : pool;
  auto* space = static_cast<float*>(workspace);
  const float* packed = g.is_packed ? g.b : space;

  int64_t offset = 0;
  for (int64_t p = 0; p < plan.panels.count; ++p) {
    if (g.is_packed || !plan.packs(p)) continue;
    const int64_t width = plan.panels.width(p) * int64_t{kLanes};
    pack_panel(g.b, g.ldb, g.transpose_b, g.k, g.n, plan.panels.begin(p), width, space + offset);
    offset += g.k * width;
  }
  // Pieces are tiles of rows.
  const int64_t tiles = ceil_div(g.m, max_rows(plan.panels.width(0)));
  const auto run = [&](int64_t panel, int64_t first, int64_t end) {
    const int64_t row = g.m * first / tiles;
    const int64_t rows = g.m * end / tiles - row;
    const float* b = g.b + plan.panels.begin(panel);
    int64_t ldb = g.ldb;
    if (plan.packs(panel)) {
      // Packed panels lie one after the other: all of them, or the last one alone.
      b = packed + (plan.pack_all ? g.k * plan.panels.begin(panel) : 0);
      ldb = plan.panels.width(panel) * int64_t{kLanes};
    }
    if constexpr (is_any_selected({"matmul"})) {
      if (g.transpose_a) return gemm_block<true>(g, plan, panel, b, ldb, row, rows);
    }
    gemm_block<false>(g, plan, panel, b, ldb, row, rows);
  };
  const int64_t threads = thread_count(wide);
  if (g.m <= kFewRows) {
    return parallel_pieces(wide, plan.panels.count, tiles, threads > 1 ? 2 * threads : 1, run);
  }
  const bool fits = bytes_of(g.k * g.n) <= kFitsL2;
  const int64_t bands = fits ? round_up(ceil_div(g.m, kRowBlock), threads) : threads;
  parallel_pieces(wide, 1, tiles, bands, [&](int64_t, int64_t first, int64_t end) {
    for (int64_t p = 0; p < plan.panels.count; ++p) run(p, first, end);
  });
}

}  // namespace ew::kernels::EW_TARGET
