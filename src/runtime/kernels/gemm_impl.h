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
  int64_t block;  // rows of B that stay in the L1 cache
  bool pack_all;

  /// `rows`: those that decide over the layout of a packed B.
  GemmPlan(const GemmArgs& g, int64_t rows)
      : panels(g.n, panel_vectors(g.k, rows)),
        vectors(panel_vectors(g.k, rows)),
        block(reduction_block(vectors, rows)) {
    // A wide B in place maps its rows to few cache sets; copying pays if enough rows reuse it.
    pack_all = g.is_packed || g.transpose_b || (g.ldb > 256 && g.m >= 64);
  }
  explicit GemmPlan(const GemmArgs& g) : GemmPlan(g, g.m) {}
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

/// What a task of gemm() reads of B: rows `ldb` apart, or packed halves.
struct GemmPanel {
  const float* b;
  int64_t ldb;
  const uint16_t* halves = nullptr;
};

template <HalfType kType>
void widen_block(const uint16_t* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += kLanes) store(y + i, load_halves<kType>(x + i));
}

/// Rows [row, row + rows) of a panel; `wide` has room for one block of a panel of halves.
template <bool kTransposed>
void gemm_block(const GemmArgs& g, const GemmPlan& plan, int64_t panel, const GemmPanel& from,
                int64_t row, int64_t rows, float* wide) {
  Tile t;
  t.a_row = kTransposed ? 1 : g.lda;
  t.a_step = kTransposed ? g.lda : 1;
  t.ldb = from.ldb;
  t.c = g.c + row * g.ldc + plan.panels.begin(panel);
  t.ldc = g.ldc;
  t.last = plan.panels.last(panel);
  const float* bias = g.bias == nullptr ? nullptr : g.bias + plan.panels.begin(panel);
  for (int64_t k = 0; k == 0 || k < g.k; k += plan.block) {
    t.length = min_of(plan.block, g.k - k);
    t.a = g.a + row * t.a_row + k * t.a_step;
    t.bias = k == 0 ? bias : nullptr;
    t.accumulate = g.accumulate || k > 0;
    if (k + plan.block >= g.k) t.clamp = g.clamp;
    const int64_t tiles = ceil_div(rows, max_rows(plan.panels.width(panel)));
    const int64_t size = t.length * t.ldb;
    // Few rows leave little time for each weight: what follows is on its way meanwhile.
    if (from.halves != nullptr) {
      const uint16_t* halves = from.halves + k * t.ldb;
      if (g.half_type == HalfType::kF16) {
        widen_block<HalfType::kF16>(halves, size, wide);
      } else {
        widen_block<HalfType::kBF16>(halves, size, wide);
      }
      t.b = wide;
      t.ahead = reinterpret_cast<const float*>(halves + size);
      t.ahead_step = t.ldb / 2 / tiles;
    } else {
      t.b = from.b + k * t.ldb;
      if (g.is_packed) {
        t.ahead = t.b + size;
        t.ahead_step = t.ldb / tiles;
      }
    }
    run_rows<kTransposed>(t, plan.panels.width(panel), rows);
  }
}

/// Apart from gemm_block(), so that only halves take the memory. On the stack: a block of a panel
/// stays in the L1 cache between its conversion and its use.
__attribute__((noinline)) inline void gemm_halves(const GemmArgs& g, const GemmPlan& plan,
                                                  int64_t panel, int64_t row, int64_t rows) {
  alignas(64) float wide[kPanelBytes / sizeof(float)];
  const GemmPanel from{.b = nullptr,
                       .ldb = plan.panels.width(panel) * int64_t{kLanes},
                       .halves = g.halves + g.k * plan.panels.begin(panel)};
  gemm_block<false>(g, plan, panel, from, row, rows, wide);
}

/// A product of at most kStreamedRows rows with a packed B of any element type.
template <typename Elements>
void gemm_streamed(const GemmArgs& g, const GemmPlan& plan,
                   const typename Elements::Element* packed, ThreadPool* pool) {
  const Panels& panels = plan.panels;
  parallel_for(pool, panels.count, [&](int64_t p) {
    const int64_t first = panels.begin(p);
    const int vectors = panels.width(p);
    const auto run = find_streamed<Elements>(vectors, g.m);
    Tile t;
    t.a_row = g.lda;
    t.c = g.c + first;
    t.ldc = g.ldc;
    t.last = panels.last(p);
    for (int64_t k = 0; k == 0 || k < g.k; k += plan.block) {
      t.length = min_of(plan.block, g.k - k);
      t.a = g.a + k;
      t.bias = k == 0 && g.bias != nullptr ? g.bias + first : nullptr;
      t.accumulate = g.accumulate || k > 0;
      if (k + plan.block >= g.k) t.clamp = g.clamp;
      run(t, packed + g.k * first + k * vectors * kLanes);
    }
  });
}

inline void gemm_planned(const GemmArgs& g, const GemmPlan& plan, void* workspace,
                         ThreadPool* pool) {
  if (g.m <= 0 || g.n <= 0) return;
  // Waking a thread costs microseconds: small products stay on this one.
  ThreadPool* wide = g.m * g.n * g.k < 200'000 ? nullptr : pool;
  if (g.is_packed && g.m <= kStreamedRows && !g.transpose_a) {
    if (g.halves == nullptr) return gemm_streamed<FloatElements>(g, plan, g.b, wide);
    if (g.half_type == HalfType::kF16) {
      return gemm_streamed<HalfElements<HalfType::kF16>>(g, plan, g.halves, wide);
    }
    return gemm_streamed<HalfElements<HalfType::kBF16>>(g, plan, g.halves, wide);
  }
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
    if (g.is_packed && g.halves != nullptr) return gemm_halves(g, plan, panel, row, rows);
    GemmPanel from{.b = g.b + plan.panels.begin(panel), .ldb = g.ldb};
    if (plan.packs(panel)) {
      // Packed panels lie one after the other: all of them, or the last one alone.
      from.b = packed + (plan.pack_all ? g.k * plan.panels.begin(panel) : 0);
      from.ldb = plan.panels.width(panel) * int64_t{kLanes};
    }
    if constexpr (is_any_selected({"matmul"})) {
      if (g.transpose_a) return gemm_block<true>(g, plan, panel, from, row, rows, nullptr);
    }
    gemm_block<false>(g, plan, panel, from, row, rows, nullptr);
  };
  const int64_t threads = thread_count(wide);
  if (g.m <= kFewRows) {
    return parallel_pieces(wide, plan.panels.count, tiles, threads > 1 ? 2 * threads : 1, run);
  }
  // Halves are widened anew for every band.
  const bool fits = g.halves == nullptr && bytes_of(g.k * g.n) <= kFitsL2;
  const int64_t bands = fits ? round_up(ceil_div(g.m, kRowBlock), threads) : threads;
  parallel_pieces(wide, 1, tiles, bands, [&](int64_t, int64_t first, int64_t end) {
    for (int64_t p = 0; p < plan.panels.count; ++p) run(p, first, end);
  });
}

/// A packed B of halves needs an A that is not transposed.
inline void gemm(const GemmArgs& g, void* workspace, ThreadPool* pool) {
  gemm_planned(g, GemmPlan(g), workspace, pool);
}

}  // namespace ew::kernels::EW_TARGET
