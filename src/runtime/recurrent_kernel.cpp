#include "runtime/recurrent_kernel.h"

#include <algorithm>
#include <cstring>

#include "runtime/cpu_facet.h"
#include "runtime/packed_weights.h"

namespace ew::runtime {
namespace {

using ir::ConstViews;
using ir::Views;

/// y = f(x) over n elements; x and y may be the same.
using Activation = void (*)(int64_t n, const float* x, float* y);

struct NamedActivation {
  std::string_view name;
  Activation f;
};

constexpr NamedActivation kActivations[] = {
    {"tanh", [](int64_t n, const float* x, float* y) { cpu().tanh(n, x, y, nullptr); }},
    {"sigmoid", [](int64_t n, const float* x, float* y) { cpu().sigmoid(n, x, y, nullptr); }},
    {"hard_sigmoid",
     [](int64_t n, const float* x, float* y) {
       cpu().unary(kernels::Unary::kHardSigmoid, n, x, 1.0F / 6, 0.5F, y, nullptr);
     }},
    {"hard_sigmoid_k2",
     [](int64_t n, const float* x, float* y) {
       cpu().unary(kernels::Unary::kHardSigmoid, n, x, 0.2F, 0.5F, y, nullptr);
     }},
    {"relu", [](int64_t n, const float* x, float* y) { cpu().clamp(n, x, {.lo = 0}, y, nullptr); }},
    {"linear",
     [](int64_t n, const float* x, float* y) {
       if (x != y) std::copy_n(x, n, y);
     }},
};

Activation find_activation(const std::string& name) {
  for (const NamedActivation& a : kActivations) {
    if (a.name == name) return a.f;
  }
  return nullptr;
}

/// A matrix [k, n] of weights inside an input of row length `stride`, packed if it never changes.
class Matrix {
 public:
  Matrix(int64_t m, int64_t k, int64_t n, int64_t stride, int64_t column,
         const ir::Tensor* constant)
      : column_(column) {
    args_.m = m;
    args_.k = k;
    args_.n = n;
    args_.ldb = stride;
    if (constant == nullptr) return;
    args_.b = constant->values<float>().data() + column;
    packed_ = PackedWeights(cpu().gemm_packed_bytes(args_),
                            [&](float* packed) { cpu().gemm_pack(args_, packed); });
    args_.is_packed = true;
  }

  bool is_packed() const { return args_.is_packed; }
  /// Of the widened weights, which stay there for a run, and of one product.
  size_t kept_bytes() const { return aligned(packed_.workspace_bytes()); }
  size_t product_bytes() const { return cpu().gemm_workspace_bytes(args_, kMaxThreads); }

  /// The weights for a run: `input` is read where they are not packed.
  const float* weights(const ir::ConstTensorView& input, void* kept, ThreadPool* pool) const {
    return args_.is_packed ? packed_.floats(kept, pool) : input.as<float>() + column_;
  }

  struct Product {
    int64_t rows;
    const float* a;
    int64_t lda;
    float* c;
    int64_t ldc;
    const float* bias = nullptr;
    bool accumulate = false;
  };
  void multiply(const Product& p, const float* weights, void* workspace, ThreadPool* pool) const {
    kernels::GemmArgs args = args_;
    args.m = p.rows;
    args.a = p.a;
    args.lda = p.lda;
    args.b = weights;
    args.c = p.c;
    args.ldc = p.ldc;
    args.bias = p.bias;
    args.accumulate = p.accumulate;
    cpu().gemm(args, workspace, pool);
  }

 private:
  kernels::GemmArgs args_;
  int64_t column_;
  PackedWeights packed_;
};

enum class Cell { kSimpleRnn, kLstm, kGru };

/// One node. Rows of `gates` are [batch][step of the chunk][gates * units].
class Recurrent final : public Kernel {
 public:
  Recurrent(const KernelContext& c, Cell cell, const ops::RecurrentKind& kind, Activation a,
            Activation s)
      : cell_(cell),
        a_(a),
        s_(s),
        batch_(c.in[ops::kX]->shape[0]),
        steps_(c.in[ops::kX]->shape[1]),
        features_(c.in[ops::kX]->shape[2]),
        units_(c.in[ops::kRecurrent]->shape[0]),
        width_(kind.gates * units_),
        states_(kind.states),
        chunk_(std::min(steps_, kMostChunk)),
        go_backwards_(c.node.attrs.flag("go_backwards")),
        return_sequences_(c.node.attrs.flag("return_sequences")),
        zero_output_(c.node.attrs.flag("zero_output_for_mask")),
        reset_after_(c.node.attrs.flag("reset_after")),
        cell_clip_(static_cast<float>(c.node.attrs.number("cell_clip"))),
        kernel_(chunk_, features_, width_, width_, 0, c.constants[ops::kKernel]),
        recurrent_(batch_, units_, resets_first() ? 2 * units_ : width_, width_, 0,
                   c.constants[ops::kRecurrent]) {
    if (resets_first()) {
      candidate_.emplace(batch_, units_, units_, width_, 2 * units_, c.constants[ops::kRecurrent]);
    }
  }

  size_t workspace_bytes() const override { return places().end; }

  bool needs_input(size_t index) const override {
    if (index == ops::kKernel) return !kernel_.is_packed();
    if (index == ops::kRecurrent) return !recurrent_.is_packed();
    return true;
  }

  void run(ConstViews in, Views out, void* workspace, ThreadPool* pool) const override {
    const Run r = begin(in, out, workspace, pool);
    for (int64_t first = 0; first < steps_; first += chunk_) {
      const int64_t count = std::min(chunk_, steps_ - first);
      project(r, first, count);
      for (int64_t i = 0; i < count; ++i) {
        step(r, go_backwards_ ? count - 1 - i : i);
        emit(r, first + i);
      }
    }
    if (!return_sequences_) std::copy_n(r.output, batch_ * units_, r.y);
    std::copy_n(r.h, batch_ * units_, out[1].as<float>());
    if (states_ > 1) std::copy_n(r.c, batch_ * units_, out[2].as<float>());
  }

 private:
  static constexpr int64_t kMostChunk = 32;  // steps whose projections are held at a time

  /// gru without reset_after: h is reset before the candidate's product.
  bool resets_first() const { return cell_ == Cell::kGru && !reset_after_; }
  bool has_two_biases() const { return cell_ == Cell::kGru && reset_after_; }

  struct Places {
    size_t kernel, recurrent, candidate, gates, parts, h, c, next_h, next_c, output, product, end;
  };
  Places places() const {
    size_t end = 0;
    const auto take = [&](size_t bytes) { return std::exchange(end, end + aligned(bytes)); };
    const auto floats = [](int64_t n) { return static_cast<size_t>(n) * sizeof(float); };
    const size_t state = floats(batch_ * units_);
    Places p{};
    p.kernel = take(kernel_.kept_bytes());
    p.recurrent = take(recurrent_.kept_bytes());
    p.candidate = take(candidate_ ? candidate_->kept_bytes() : 0);
    p.gates = take(floats(batch_ * chunk_ * width_));
    p.parts = take(floats(batch_ * width_));
    p.h = take(state);
    p.c = take(state);
    p.next_h = take(state);
    p.next_c = take(state);
    p.output = take(state);
    p.product = take(std::max({kernel_.product_bytes(), recurrent_.product_bytes(),
                               candidate_ ? candidate_->product_bytes() : 0}));
    p.end = end;
    return p;
  }

  /// Pointers of one run.
  struct Run {
    const float *x, *bias;
    const bool* mask;
    float* y;
    const float *kernel, *recurrent, *candidate;
    float *gates, *parts, *h, *c, *next_h, *next_c, *output;
    void* product;
    ThreadPool* pool;
  };
  Run begin(ConstViews in, Views out, void* workspace, ThreadPool* pool) const {
    const auto input = [&](size_t i) { return i < in.size() ? in[i] : ir::ConstTensorView(); };
    const auto floats = [&](size_t i) { return input(i) ? in[i].as<float>() : nullptr; };
    const Places p = places();
    const auto at = [&](size_t place) { return static_cast<float*>(offset(workspace, place)); };
    Run r{.x = in[ops::kX].as<float>(),
          .bias = floats(ops::kBias),
          .mask = input(ops::kMask) ? in[ops::kMask].as<bool>() : nullptr,
          .y = out[0].as<float>(),
          .kernel = kernel_.weights(in[ops::kKernel], at(p.kernel), pool),
          .recurrent = recurrent_.weights(in[ops::kRecurrent], at(p.recurrent), pool),
          .candidate = candidate_ ? candidate_->weights(in[ops::kRecurrent], at(p.candidate), pool)
                                  : nullptr,
          .gates = at(p.gates),
          .parts = at(p.parts),
          .h = at(p.h),
          .c = at(p.c),
          .next_h = at(p.next_h),
          .next_c = at(p.next_c),
          .output = at(p.output),
          .product = at(p.product),
          .pool = pool};
    begin_state(floats(ops::kH0), r.h);
    if (states_ > 1) begin_state(floats(ops::kC0), r.c);
    std::fill_n(r.output, batch_ * units_, 0.0F);
    return r;
  }
  void begin_state(const float* given, float* state) const {
    if (given != nullptr) {
      std::copy_n(given, batch_ * units_, state);
    } else {
      std::fill_n(state, batch_ * units_, 0.0F);
    }
  }

  /// x kernel + bias of the steps processed as `first` to `first + count`, in the order of time.
  void project(const Run& r, int64_t first, int64_t count) const {
    const int64_t row = go_backwards_ ? steps_ - first - count : first;
    for (int64_t b = 0; b < batch_; ++b) {
      kernel_.multiply({.rows = count,
                        .a = r.x + (b * steps_ + row) * features_,
                        .lda = features_,
                        .c = r.gates + b * chunk_ * width_,
                        .ldc = width_,
                        .bias = r.bias},
                       r.kernel, r.product, r.pool);
    }
  }

  float* gates_of(const Run& r, int64_t b, int64_t row) const {
    return r.gates + (b * chunk_ + row) * width_;
  }

  /// The states after the step whose projections are in row `row` of the chunk.
  void step(const Run& r, int64_t row) const {
    float* const gates = gates_of(r, 0, row);
    const int64_t stride = chunk_ * width_;
    if (has_two_biases()) {
      const float* bias = r.bias == nullptr ? nullptr : r.bias + width_;
      recurrent_.multiply({batch_, r.h, units_, r.parts, width_, bias}, r.recurrent, r.product,
                          r.pool);
    } else {
      recurrent_.multiply(
          {.rows = batch_, .a = r.h, .lda = units_, .c = gates, .ldc = stride, .accumulate = true},
          r.recurrent, r.product, r.pool);
    }
    if (resets_first()) {
      for (int64_t b = 0; b < batch_; ++b) {
        float* g = gates + b * stride;
        s_(2 * units_, g, g);
        for (int64_t u = 0; u < units_; ++u) {
          r.parts[b * units_ + u] = g[units_ + u] * r.h[b * units_ + u];
        }
      }
      candidate_->multiply({.rows = batch_,
                            .a = r.parts,
                            .lda = units_,
                            .c = gates + 2 * units_,
                            .ldc = stride,
                            .accumulate = true},
                           r.candidate, r.product, r.pool);
    }
    for (int64_t b = 0; b < batch_; ++b) finish_cell(r, b, gates + b * stride);
  }

  /// From the sums of the gates to the next states of a sample.
  void finish_cell(const Run& r, int64_t b, float* g) const {
    const int64_t n = units_;
    const float* h = r.h + b * n;
    float* next = r.next_h + b * n;
    if (cell_ == Cell::kSimpleRnn) {
      a_(n, g, next);
    } else if (cell_ == Cell::kLstm) {
      const float* c = r.c + b * n;
      float* next_c = r.next_c + b * n;
      s_(2 * n, g, g);
      a_(n, g + 2 * n, g + 2 * n);
      s_(n, g + 3 * n, g + 3 * n);
      for (int64_t u = 0; u < n; ++u) next_c[u] = g[n + u] * c[u] + g[u] * g[2 * n + u];
      if (cell_clip_ > 0) {
        for (int64_t u = 0; u < n; ++u) next_c[u] = std::clamp(next_c[u], -cell_clip_, cell_clip_);
      }
      a_(n, next_c, next);
      for (int64_t u = 0; u < n; ++u) next[u] *= g[3 * n + u];
    } else {
      if (reset_after_) {
        const float* part = r.parts + b * width_;
        for (int64_t u = 0; u < 2 * n; ++u) g[u] += part[u];
        s_(2 * n, g, g);
        for (int64_t u = 0; u < n; ++u) g[2 * n + u] += g[n + u] * part[2 * n + u];
      }
      a_(n, g + 2 * n, g + 2 * n);
      for (int64_t u = 0; u < n; ++u) next[u] = g[u] * h[u] + (1.0F - g[u]) * g[2 * n + u];
    }
  }

  /// Takes the next states over where the step is not masked, and writes the step's output.
  void emit(const Run& r, int64_t done) const {
    const int64_t time = go_backwards_ ? steps_ - 1 - done : done;
    for (int64_t b = 0; b < batch_; ++b) {
      const int64_t at = b * units_;
      if (r.mask == nullptr || r.mask[b * steps_ + time]) {
        std::copy_n(r.next_h + at, units_, r.h + at);
        std::copy_n(r.next_h + at, units_, r.output + at);
        if (states_ > 1) std::copy_n(r.next_c + at, units_, r.c + at);
      } else if (zero_output_) {
        std::fill_n(r.output + at, units_, 0.0F);
      }
      if (return_sequences_) {
        std::copy_n(r.output + at, units_, r.y + (b * steps_ + done) * units_);
      }
    }
  }

  Cell cell_;
  Activation a_, s_;
  int64_t batch_, steps_, features_, units_, width_, states_, chunk_;
  bool go_backwards_, return_sequences_, zero_output_, reset_after_;
  float cell_clip_;
  Matrix kernel_, recurrent_;
  std::optional<Matrix> candidate_;
};

bool fits(const KernelContext& c) {
  const auto is_real = [](const ir::TensorType* type) {
    return type == nullptr || (type->dtype == DType::kF32 && type->quant == nullptr);
  };
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (i == ops::kRecurrentMask ? c.in[i] != nullptr : i != ops::kMask && !is_real(c.in[i])) {
      return false;
    }
  }
  return !c.node.attrs.flag("save") && c.in[ops::kX]->shape.num_elements() > 0;
}

}  // namespace

std::unique_ptr<Kernel> recurrent_kernel(const KernelContext& c, const ops::RecurrentKind& kind) {
  const Activation a = find_activation(c.node.attrs.text("activation"));
  const Activation s = find_activation(c.node.attrs.text("recurrent_activation"));
  if (a == nullptr || s == nullptr || !fits(c)) return nullptr;
  const Cell cell = &kind == &ops::kLstmKind  ? Cell::kLstm
                    : &kind == &ops::kGruKind ? Cell::kGru
                                              : Cell::kSimpleRnn;
  return std::make_unique<Recurrent>(c, cell, kind, a, s);
}

}  // namespace ew::runtime
