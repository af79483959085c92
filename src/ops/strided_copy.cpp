#include "ops/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace ew::ops {
namespace {

constexpr int64_t kTile = 16;  // 16 elements of 4 bytes are a cache line

template <size_t kSize>
struct Bytes {
  uint8_t bytes[kSize];
};

// Neighbours at both ends are one longer dimension; a dimension of one element is none.
void merge(std::vector<CopyDim>& dims) {
  std::erase_if(dims, [](const CopyDim& d) { return d.length == 1; });
  for (size_t d = dims.size(); d-- > 1;) {
    CopyDim& outer = dims[d - 1];
    const CopyDim& inner = dims[d];
    if (outer.from != inner.from * inner.length || outer.to != inner.to * inner.length) continue;
    outer = {outer.length * inner.length, inner.from, inner.to};
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(d));
  }
}

template <typename T>
class Copy {
 public:
  Copy(std::vector<CopyDim> dims) : dims_(std::move(dims)) {
    if (dims_.empty()) dims_.push_back({1, 1, 1});
    // Beside the innermost dimension goes the one whose elements are neighbours in the source.
    const auto near = std::ranges::find_if(dims_, [](const CopyDim& d) { return d.from == 1; });
    if (near == dims_.end() || near == dims_.end() - 1) return;
    std::rotate(near, near + 1, dims_.end() - 1);
    is_tiled_ = true;
  }

  void run(const T* source, T* target) const { run(dims_, source, target); }

 private:
  void run(std::span<const CopyDim> dims, const T* source, T* target) const {
    if (is_tiled_ && dims.size() == 2) return tiles(dims[0], dims[1], source, target);
    if (dims.size() == 1) return row(dims[0], source, target);
    for (int64_t i = 0; i < dims[0].length; ++i) {
      run(dims.subspan(1), source + i * dims[0].from, target + i * dims[0].to);
    }
  }

  static void row(const CopyDim& d, const T* source, T* target) {
    if (d.from == 1 && d.to == 1) {
      std::memcpy(target, source, static_cast<size_t>(d.length) * sizeof(T));
      return;
    }
    for (int64_t i = 0; i < d.length; ++i) target[i * d.to] = source[i * d.from];
  }

  static void tiles(const CopyDim& a, const CopyDim& b, const T* source, T* target) {
    for (int64_t i = 0; i < a.length; i += kTile) {
      const CopyDim rows{std::min(kTile, a.length - i), a.from, a.to};
      for (int64_t j = 0; j < b.length; j += kTile) {
        const CopyDim columns{std::min(kTile, b.length - j), b.from, b.to};
        const T* from = source + i * a.from + j * b.from;
        T* to = target + i * a.to + j * b.to;
        for (int64_t r = 0; r < rows.length; ++r) row(columns, from + r * a.from, to + r * a.to);
      }
    }
  }

  std::vector<CopyDim> dims_;
  bool is_tiled_ = false;
};

template <size_t kSize>
void copy(std::vector<CopyDim> dims, const void* source, void* target) {
  using T = Bytes<kSize>;
  Copy<T>(std::move(dims)).run(static_cast<const T*>(source), static_cast<T*>(target));
}

}  // namespace

void strided_copy(std::vector<CopyDim> dims, size_t size, const void* source, void* target) {
  for (const CopyDim& d : dims) {
    if (d.length == 0) return;
  }
  merge(dims);
  switch (size) {
    case 1:
      return copy<1>(std::move(dims), source, target);
    case 2:
      return copy<2>(std::move(dims), source, target);
    case 4:
      return copy<4>(std::move(dims), source, target);
    default:
      EW_DCHECK(size == 8);
      return copy<8>(std::move(dims), source, target);
  }
}

}  // namespace ew::ops
