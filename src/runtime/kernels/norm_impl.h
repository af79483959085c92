#pragma once
// Batch normalisation and column sums over [rows, channels]. Rows are cut into blocks that fit the
// L1 cache: a block is summed in f32 around its own centre, blocks are combined in double (Chan
// et al., "Updating formulae and a pairwise algorithm for computing sample variances", 1979).

#include <cmath>

#include "runtime/kernels/batch_norm.h"
#include "runtime/kernels/io.h"
#include "runtime/kernels/kernels.h"

namespace ew::kernels::EW_TARGET {

struct RowBlocks {
  int64_t rows, size, count;

  RowBlocks(int64_t rows_, int64_t channels)
      : rows(rows_),
        size(max_of(8, 8192 / max_of(1, channels))),
        count(max_of(1, ceil_div(rows_, size))) {}
  int64_t begin(int64_t block) const { return block * size; }
  /// First passes run backwards: the kernel before has just written the last rows, and the second
  /// pass then starts with rows that are still in the cache.
  int64_t backwards(int64_t block) const { return count - 1 - block; }
  int64_t end(int64_t block) const { return min_of(rows, (block + 1) * size); }
};

/// Sums kSums terms per channel over rows [begin, end): term(row offset, vector, sums) adds to
/// them. Several rows at once hide the latency of the additions.
template <int kSums, typename Run, typename Term, typename Done>
EW_INLINE void sum_rows(const Run& run, int64_t channels, int64_t begin, int64_t end,
                        const Term& term, const Done& done) {
  constexpr int kVectors = Run::kVectors;
  constexpr int kUnroll = kVectors == 1 ? 4 : 1;
  Vec sums[kUnroll][kVectors][kSums];
  for (auto& row : sums) {
    for (auto& vector : row) {
      for (Vec& s : vector) s = zero();
    }
  }
  int64_t r = begin;
  for (; r + kUnroll <= end; r += kUnroll) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnroll; ++u) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        term((r + u) * channels + run.first + j * kLanes, j, sums[u][j]);
      }
    }
  }
  for (; r < end; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      term(r * channels + run.first + j * kLanes, j, sums[0][j]);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
#pragma GCC unroll 4
    for (int u = 1; u < kUnroll; ++u) {
      for (int k = 0; k < kSums; ++k) sums[0][j][k] = sums[0][j][k] + sums[u][j][k];
    }
    done(j, sums[0][j]);
  }
}

inline size_t column_sums_workspace_bytes(int64_t rows, int64_t n) {
  const RowBlocks blocks(rows, n);
  return blocks.count == 1 ? 0 : bytes_of(blocks.count * array_size(n));
}

inline void sum_block(const RowBlocks& blocks, int64_t block, int64_t n, const float* x,
                      bool accumulate, float* out) {
  for_channel_runs(n, [&](const auto& run) {
    sum_rows<1>(
        run, n, blocks.begin(block), blocks.end(block),
        [&](int64_t at, int, Vec(&sums)[1]) { sums[0] = sums[0] + run.io.load(x + at); },
        [&](int j, const Vec(&sums)[1]) {
          float* o = out + run.first + j * kLanes;
          run.io.store(o, accumulate ? run.io.load(o) + sums[0] : sums[0]);
        });
  });
}

inline void column_sums(int64_t rows, int64_t n, const float* x, bool accumulate, float* out,
                        void* workspace, ThreadPool* pool) {
  const RowBlocks blocks(rows, n);
  if (blocks.count == 1) {
    sum_block(blocks, 0, n, x, accumulate, out);
    return;
  }
  auto* parts = static_cast<float*>(workspace);
  const int64_t stride = array_size(n);
  parallel_for(pool, blocks.count,
               [&](int64_t b) { sum_block(blocks, b, n, x, false, parts + b * stride); });
  for (int64_t c = 0; c < n; ++c) {
    double total = accumulate ? static_cast<double>(out[c]) : 0.0;
    for (int64_t b = 0; b < blocks.count; ++b) total += static_cast<double>(parts[b * stride + c]);
    out[c] = static_cast<float>(total);
  }
}

/// Two numbers per channel and block, then four coefficients per channel.
inline size_t batch_norm_workspace_bytes(int64_t rows, int64_t channels) {
  return bytes_of((2 * RowBlocks(rows, channels).count + 4) * array_size(channels));
}

/// Mean and sum of squared deviations of one block, in one pass. Deviations are taken from the mean
/// of the first few rows, which is near enough to the block's for the correction to cost no
/// accuracy.
inline void block_moments(const RowBlocks& blocks, int64_t block, int64_t channels, const float* x,
                          float* mean, float* squares) {
  const int64_t begin = blocks.begin(block);
  const int64_t end = blocks.end(block);
  const int64_t probe = min_of(8, end - begin);
  const Vec inv_count = set1(1.F / static_cast<float>(max_of(1, end - begin)));
  for_channel_runs(channels, [&](const auto& run) {
    Vec center[4];
    sum_rows<1>(
        run, channels, begin, begin + probe,
        [&](int64_t at, int, Vec(&sums)[1]) { sums[0] = sums[0] + run.io.load(x + at); },
        [&](int j, const Vec(&sums)[1]) {
          center[j] = sums[0] * set1(1.F / static_cast<float>(max_of(1, probe)));
        });
    sum_rows<2>(
        run, channels, begin, end,
        [&](int64_t at, int j, Vec(&sums)[2]) {
          const Vec d = run.io.load(x + at) - center[j];
          sums[0] = sums[0] + d;
          sums[1] = fma(d, d, sums[1]);
        },
        [&](int j, const Vec(&sums)[2]) {
          const Vec shift = sums[0] * inv_count;
          run.io.store(mean + run.first + j * kLanes, center[j] + shift);
          run.io.store(squares + run.first + j * kLanes, max(zero(), sums[1] - sums[0] * shift));
        });
  });
}

inline float gamma_of(const float* gamma, int64_t c) { return gamma == nullptr ? 1.F : gamma[c]; }
inline float beta_of(const float* beta, int64_t c) { return beta == nullptr ? 0.F : beta[c]; }

/// y = clamp(x * scale + shift). Backward repeats this to find where the clamp was active.
EW_INLINE Vec normalise(Vec x, Vec scale, Vec shift) { return fma(x, scale, shift); }

inline void scale_shift(const ScaleShift& s, ThreadPool* pool) {
  const RowBlocks blocks(s.rows, s.channels);
  const Vec lo = set1(s.clamp.lo);
  const Vec hi = set1(s.clamp.hi);
  parallel_for(pool, blocks.count, [&](int64_t b) {
    for_channel_runs(s.channels, [&](const auto& run) {
      constexpr int kVectors = std::decay_t<decltype(run)>::kVectors;
      Vec scale[kVectors];
      Vec shift[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        scale[j] = run.io.load(s.scale + run.first + j * kLanes);
        shift[j] = run.io.load(s.shift + run.first + j * kLanes);
      }
      for (int64_t r = blocks.begin(b); r < blocks.end(b); ++r) {
        const int64_t at = r * s.channels + run.first;
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) {
          const Vec x = run.io.load(s.x + at + j * kLanes);
          run.io.store(s.y + at + j * kLanes, clamp(normalise(x, scale[j], shift[j]), lo, hi));
        }
      }
    });
  });
}

inline void batch_norm(const BatchNormForward& f, void* workspace, ThreadPool* pool) {
  const RowBlocks blocks(f.rows, f.channels);
  const int64_t stride = array_size(f.channels);
  auto* means = static_cast<float*>(workspace);
  float* squares = means + blocks.count * stride;
  float* scale = squares + blocks.count * stride;
  float* shift = scale + stride;
  parallel_for(pool, blocks.count, [&](int64_t i) {
    const int64_t b = blocks.backwards(i);
    block_moments(blocks, b, f.channels, f.x, means + b * stride, squares + b * stride);
  });
  const double rows = static_cast<double>(max_of(1, f.rows));
  for (int64_t c = 0; c < f.channels; ++c) {
    double mean = 0;
    for (int64_t b = 0; b < blocks.count; ++b) {
      mean += static_cast<double>(means[b * stride + c]) *
              static_cast<double>(blocks.end(b) - blocks.begin(b));
    }
    mean /= rows;
    double square = 0;
    for (int64_t b = 0; b < blocks.count; ++b) {
      const double d = static_cast<double>(means[b * stride + c]) - mean;
      square += static_cast<double>(squares[b * stride + c]) +
                d * d * static_cast<double>(blocks.end(b) - blocks.begin(b));
    }
    const double variance = square / rows;
    f.mean[c] = static_cast<float>(mean);
    f.inv_std[c] = static_cast<float>(1.0 / std::sqrt(variance + static_cast<double>(f.epsilon)));
    if (f.variance != nullptr) f.variance[c] = static_cast<float>(variance);
    scale[c] = gamma_of(f.gamma, c) * f.inv_std[c];
    shift[c] = beta_of(f.beta, c) - f.mean[c] * scale[c];
  }
  scale_shift({.rows = f.rows,
               .channels = f.channels,
               .x = f.x,
               .scale = scale,
               .shift = shift,
               .clamp = f.clamp,
               .y = f.y},
              pool);
}

/// Per channel: how to find the clamp again, and dx = dy * scale + (x - mean) * slope + offset.
struct GradientCoefficients {
  const float* mean;
  float *scale, *shift, *slope, *offset;
};

/// dy where the forward's clamp let it pass, else 0.
template <bool kClamp>
EW_INLINE Vec pass_gradient(Vec dy, Vec x, Vec scale, Vec shift, Vec lo, Vec hi) {
  if constexpr (!kClamp) return dy;
  const Vec y = normalise(x, scale, shift);
  return if_greater(y, lo, if_greater(hi, y, dy, zero()), zero());
}

/// Sums of dy and of dy * (x - mean) over one block.
template <bool kClamp>
void block_gradients(const BatchNormBackward& g, const GradientCoefficients& k,
                     const RowBlocks& blocks, int64_t block, float* sum_dy, float* sum_dyx) {
  const Vec lo = set1(g.clamp.lo);
  const Vec hi = set1(g.clamp.hi);
  for_channel_runs(g.channels, [&](const auto& run) {
    Vec mean[4], scale[4], shift[4];
#pragma GCC unroll 4
    for (int j = 0; j < std::decay_t<decltype(run)>::kVectors; ++j) {
      const int64_t c = run.first + j * kLanes;
      mean[j] = run.io.load(k.mean + c);
      scale[j] = run.io.load(k.scale + c);
      shift[j] = run.io.load(k.shift + c);
    }
    sum_rows<2>(
        run, g.channels, blocks.begin(block), blocks.end(block),
        [&](int64_t at, int j, Vec(&sums)[2]) {
          const Vec x = run.io.load(g.x + at);
          const Vec dy =
              pass_gradient<kClamp>(run.io.load(g.dy + at), x, scale[j], shift[j], lo, hi);
          sums[0] = sums[0] + dy;
          sums[1] = fma(dy, x - mean[j], sums[1]);
        },
        [&](int j, const Vec(&sums)[2]) {
          run.io.store(sum_dy + run.first + j * kLanes, sums[0]);
          run.io.store(sum_dyx + run.first + j * kLanes, sums[1]);
        });
  });
}

template <bool kClamp>
void apply_gradients(const BatchNormBackward& g, const GradientCoefficients& k,
                     const RowBlocks& blocks, int64_t block) {
  const Vec lo = set1(g.clamp.lo);
  const Vec hi = set1(g.clamp.hi);
  for_channel_runs(g.channels, [&](const auto& run) {
    constexpr int kVectors = std::decay_t<decltype(run)>::kVectors;
    Vec mean[kVectors], scale[kVectors], shift[kVectors], slope[kVectors], offset[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const int64_t c = run.first + j * kLanes;
      mean[j] = run.io.load(k.mean + c);
      scale[j] = run.io.load(k.scale + c);
      shift[j] = run.io.load(k.shift + c);
      slope[j] = run.io.load(k.slope + c);
      offset[j] = run.io.load(k.offset + c);
    }
    for (int64_t r = blocks.begin(block); r < blocks.end(block); ++r) {
      const int64_t at = r * g.channels + run.first;
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        const int64_t i = at + j * kLanes;
        const Vec x = run.io.load(g.x + i);
        const Vec dy = pass_gradient<kClamp>(run.io.load(g.dy + i), x, scale[j], shift[j], lo, hi);
        run.io.store(g.dx + i, fma(dy, scale[j], fma(x - mean[j], slope[j], offset[j])));
      }
    }
  });
}

template <bool kClamp>
void batch_norm_grad_as(const BatchNormBackward& g, void* workspace, ThreadPool* pool) {
  const RowBlocks blocks(g.rows, g.channels);
  const int64_t stride = array_size(g.channels);
  auto* sum_dy = static_cast<float*>(workspace);
  float* sum_dyx = sum_dy + blocks.count * stride;
  float* coefficients = sum_dyx + blocks.count * stride;
  const GradientCoefficients k{g.mean, coefficients, coefficients + stride,
                               coefficients + 2 * stride, coefficients + 3 * stride};
  for (int64_t c = 0; c < g.channels; ++c) {
    k.scale[c] = gamma_of(g.gamma, c) * g.inv_std[c];
    k.shift[c] = beta_of(g.beta, c) - g.mean[c] * k.scale[c];
  }
  parallel_for(pool, blocks.count, [&](int64_t i) {
    const int64_t b = blocks.backwards(i);
    block_gradients<kClamp>(g, k, blocks, b, sum_dy + b * stride, sum_dyx + b * stride);
  });
  const double rows = static_cast<double>(max_of(1, g.rows));
  for (int64_t c = 0; c < g.channels; ++c) {
    double dbeta = 0;
    double dgamma = 0;
    for (int64_t b = 0; b < blocks.count; ++b) {
      dbeta += static_cast<double>(sum_dy[b * stride + c]);
      dgamma += static_cast<double>(sum_dyx[b * stride + c]);
    }
    const double inv_std = static_cast<double>(g.inv_std[c]);
    const double scale = static_cast<double>(k.scale[c]);
    dgamma *= inv_std;
    g.dbeta[c] = static_cast<float>(dbeta);
    g.dgamma[c] = static_cast<float>(dgamma);
    k.slope[c] = static_cast<float>(-scale * inv_std * dgamma / rows);
    k.offset[c] = static_cast<float>(-scale * dbeta / rows);
  }
  parallel_for(pool, blocks.count, [&](int64_t b) { apply_gradients<kClamp>(g, k, blocks, b); });
}

inline void batch_norm_grad(const BatchNormBackward& g, void* workspace, ThreadPool* pool) {
  const Clamp none;
  if (g.clamp.lo == none.lo && g.clamp.hi == none.hi) {
    batch_norm_grad_as<false>(g, workspace, pool);
  } else {
    batch_norm_grad_as<true>(g, workspace, pool);
  }
}

}  // namespace ew::kernels::EW_TARGET
