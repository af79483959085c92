#include "runtime/band_chain.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "base/clock.h"
#include "runtime/cpu_facet.h"

namespace ew::runtime {
namespace {

// Between two layers that are joined, at least; and all buffers of a part, about.
constexpr int64_t kLeastBytes = int64_t{640} << 10;
constexpr int64_t kBufferBytes = int64_t{384} << 10;

constexpr int64_t kFloat = sizeof(float);

int64_t extent(const kernels::Window2d& w) { return (w.kernel_h - 1) * w.dilation_h + 1; }

}  // namespace

bool BandChain::pays(const BandKernel& a) {
  const BandGeometry g = a.geometry();
  return g.window.out_h * g.out_row * kFloat >= kLeastBytes;
}

BandChain::BandChain(std::vector<const BandKernel*> kernels, int threads)
    : kernels_(std::move(kernels)), threads_(std::min(threads, kMaxThreads)) {
  for (const BandKernel* kernel : kernels_) {
    Link link{.geometry = kernel->geometry()};
    link.weights = shared_bytes_;
    shared_bytes_ += aligned(kernel->weight_bytes());
    links_.push_back(link);
  }
  // As many rows at once as the buffers have room for.
  int64_t band = 1;
  const int64_t most = std::min<int64_t>(links_.back().geometry.window.out_h, 32);
  for (plan(band); 2 * band <= most; band *= 2) {
    plan(2 * band);
    if (workspace_at_ > static_cast<size_t>(kBufferBytes)) break;
  }
  plan(band);
}

// What a band of so many output rows needs.
void BandChain::plan(int64_t band) {
  band_ = band;
  part_bytes_ = 0;
  int64_t rows = std::min(band, links_.back().geometry.window.out_h);
  size_t workspace = 0;
  for (size_t i = links_.size(); i-- > 0;) {
    Link& link = links_[i];
    kernels::Window2d w = link.geometry.window;
    link.rows = rows;
    link.held = i + 1 < links_.size() ? rows : 0;
    link.is_ring = i + 1 < links_.size() && kernels_[i + 1]->takes_ring();
    link.buffer = part_bytes_;
    part_bytes_ += aligned(static_cast<size_t>(link.held * link.geometry.out_row * kFloat));
    rows = std::min(w.in_h, (rows - 1) * w.stride_h + extent(w));
    w.out_h = link.rows;
    w.in_h = rows;
    workspace = std::max(workspace, kernels_[i]->band_workspace_bytes(w));
  }
  workspace_at_ = part_bytes_;
  part_bytes_ += aligned(workspace);
}

size_t BandChain::workspace_bytes() const {
  return shared_bytes_ + part_bytes_ * static_cast<size_t>(threads_);
}

BandChain::Range BandChain::input_of(const BandGeometry& g, const Range& out) {
  const kernels::Window2d& w = g.window;
  const int64_t first = out.first * w.stride_h - w.pad_top;
  const int64_t end = (out.end - 1) * w.stride_h - w.pad_top + extent(w);
  return {std::clamp<int64_t>(first, 0, w.in_h), std::clamp<int64_t>(end, 0, w.in_h)};
}

// Output rows `rows`; x holds the input's rows, from x_first on if they follow each other.
void BandChain::run_link(size_t i, std::span<const ir::ConstViews> in, const float* weights,
                         const Range& rows, const BandInput& x, int64_t x_first, float* y,
                         void* workspace) const {
  const BandGeometry& g = links_[i].geometry;
  const Range from = input_of(g, rows);
  BandInput input = x;
  if (x.ring > 0) {
    input.first = from.first % x.ring;
  } else {
    input.rows += (from.first - x_first) * g.in_row;
  }
  kernels::Window2d w = g.window;
  w.pad_top = std::max<int64_t>(0, from.first - (rows.first * w.stride_h - w.pad_top));
  w.in_h = from.end - from.first;
  w.out_h = rows.end - rows.first;
  kernels_[i]->run_band(w, in[i], weights, input, y, workspace);
}

void BandChain::run_part(std::span<const ir::ConstViews> in, std::span<const float* const> weights,
                         const Range& rows, float* y, uint8_t* space, int64_t* nanoseconds) const {
  const size_t last = kernels_.size() - 1;
  std::array<Range, kMostKernels> held = {};  // of each kernel's output, in its buffer
  std::array<Range, kMostKernels> wanted = {};
  const auto buffer = [&](size_t i) { return reinterpret_cast<float*>(space + links_[i].buffer); };
  for (int64_t first = rows.first; first < rows.end; first += band_) {
    wanted[last] = {first, std::min(first + band_, rows.end)};
    for (size_t i = last; i-- > 0;) {
      const Range need = input_of(links_[i + 1].geometry, wanted[i + 1]);
      const int64_t row = links_[i].geometry.out_row;
      const int64_t kept = std::max<int64_t>(0, held[i].end - need.first);
      if (kept > 0 && need.first > held[i].first && !links_[i].is_ring) {
        // Rows that the next band sees again move to the front.
        std::memmove(buffer(i), buffer(i) + (need.first - held[i].first) * row,
                     static_cast<size_t>(kept * row * kFloat));
      }
      wanted[i] = {need.first + kept, std::max(need.end, need.first + kept)};
      held[i] = {need.first, wanted[i].end};
    }
    int64_t before = nanoseconds != nullptr ? steady_clock_ns() : 0;
    for (size_t i = 0; i <= last; ++i) {
      BandInput x{.rows = i == 0 ? in[0][0].as<float>() : buffer(i - 1)};
      if (i > 0 && links_[i - 1].is_ring) x.ring = links_[i - 1].held;
      const int64_t x_first = i == 0 ? 0 : held[i - 1].first;
      const int64_t row = links_[i].geometry.out_row;
      for (int64_t at = wanted[i].first; at < wanted[i].end;) {
        Range part{at, wanted[i].end};
        float* out = y + at * row;
        if (links_[i].is_ring) {
          const int64_t number = at % links_[i].held;
          part.end = std::min(part.end, at + links_[i].held - number);
          out = buffer(i) + number * row;
        } else if (i < last) {
          out = buffer(i) + (at - held[i].first) * row;
        }
        run_link(i, in, weights[i], part, x, x_first, out, space + workspace_at_);
        at = part.end;
      }
      if (nanoseconds == nullptr) continue;
      const int64_t after = steady_clock_ns();
      nanoseconds[i] += after - before;
      before = after;
    }
  }
}

void BandChain::run(std::span<const ir::ConstViews> in, float* y, void* workspace, ThreadPool* pool,
                    int64_t* nanoseconds) const {
  auto* space = static_cast<uint8_t*>(workspace);
  std::array<const float*, kMostKernels> weights = {};
  for (size_t i = 0; i < kernels_.size(); ++i) {
    weights[i] = kernels_[i]->weights(in[i], space + links_[i].weights, pool);
  }
  const int64_t out_h = links_.back().geometry.window.out_h;
  const int64_t parts = pool == nullptr ? 1 : std::min<int64_t>({pool->threads(), threads_, out_h});
  const uint64_t mode = kernels::float_mode();
  std::array<std::array<int64_t, kMostKernels>, kMaxThreads> times = {};
  const auto part = [&](int64_t i) {
    kernels::set_float_mode(mode);
    run_part(in, weights, {out_h * i / parts, out_h * (i + 1) / parts}, y,
             space + shared_bytes_ + part_bytes_ * static_cast<size_t>(i),
             nanoseconds == nullptr ? nullptr : times[static_cast<size_t>(i)].data());
  };
  if (parts == 1) {
    part(0);
  } else {
    pool->run(parts, std::cref(part));
  }
  for (size_t i = 0; nanoseconds != nullptr && i < kernels_.size(); ++i) {
    for (size_t p = 0; p < static_cast<size_t>(parts); ++p) {
      nanoseconds[i] += times[p][i] / parts;
    }
  }
}

}  // namespace ew::runtime
