// Sparse tensors: the TACO-like format of the schema's SparsityParameters. A tensor of rank r with
// b blocked dimensions is stored as one of rank r + b whose dimensions come in traversal order;
// each is dense, or holds per parent position a segment of the indices that are there.
#include <algorithm>
#include <numeric>

#include "formats/tflite/stored_tensor.h"

namespace ew::formats::tflite {
namespace {

// Unions of index vectors hold 32, 16 or 8-bit elements.
std::vector<int64_t> index_list(const Table& dimension, int type_field) {
  const Table vector = dimension.table(type_field + 1);
  const auto widen = [](const auto& values) {
    return std::vector<int64_t>(values.begin(), values.end());
  };
  switch (dimension.scalar<uint8_t>(type_field)) {
    case 1:
      return widen(vector.list<int32_t>(0));
    case 2:
      return widen(vector.list<uint16_t>(0));
    case 3:
      return widen(vector.list<uint8_t>(0));
    default:
      return {};
  }
}

struct Level {
  bool is_sparse = false;
  int64_t size = 0;       ///< of a dense level; of a sparse one, what its indices stay below
  int64_t dimension = 0;  ///< of the dense tensor
  int64_t stride = 1;     ///< one step of the level is so many of that dimension
  std::vector<int64_t> segments;
  std::vector<int64_t> indices;
};

class Densifier {
 public:
  Densifier(const TensorInfo& info, size_t element_bytes)
      : info_(info), element_(element_bytes), strides_(strides_of(info.shape)) {}

  Result<std::vector<uint8_t>> run() {
    EW_TRY_VOID(read_levels());
    out_.assign(static_cast<size_t>(info_.shape.num_elements()) * element_, 0);
    EW_TRY_VOID(visit(0, 0, 0));
    if (next_ != info_.data.size()) {
      return invalid_data("sparse tensor: ", info_.data.size(), " bytes stored, ", next_,
                          " placed");
    }
    return std::move(out_);
  }

 private:
  Status read_levels() {
    const std::vector<int32_t> order = info_.sparsity.list<int32_t>(0);
    const std::vector<int32_t> blocked = info_.sparsity.list<int32_t>(1);
    const std::vector<Table> dimensions = info_.sparsity.tables(2);
    const auto rank = static_cast<size_t>(info_.shape.rank());
    const auto bad = [] { return invalid_data("sparse tensor: its description is damaged"); };
    if (order.size() != dimensions.size() || order.size() != rank + blocked.size()) return bad();
    std::vector<int64_t> block(rank, 1);
    std::vector<bool> seen(order.size(), false);
    levels_.resize(order.size());
    // Blocks first: the outer level of a blocked dimension counts in blocks.
    for (size_t i = 0; i < order.size(); ++i) {
      const auto place = static_cast<size_t>(order[i]);
      if (order[i] < 0 || place >= order.size() || seen[place]) return bad();
      seen[place] = true;
      if (place < rank) continue;
      const int32_t d = blocked[place - rank];
      if (d < 0 || static_cast<size_t>(d) >= rank) return bad();
      const auto size = dimensions[i].scalar<int32_t>(1);
      if (size < 1 || dimensions[i].scalar<int8_t>(0) != 0 || block[static_cast<size_t>(d)] != 1 ||
          info_.shape[d] % size != 0) {
        return bad();
      }
      block[static_cast<size_t>(d)] = size;
      levels_[i] = {false, size, d, 1, {}, {}};
    }
    for (size_t i = 0; i < order.size(); ++i) {
      const auto place = static_cast<size_t>(order[i]);
      if (place >= rank) continue;
      Level& level = levels_[i];
      level.dimension = order[i];
      level.stride = block[place];
      level.size = info_.shape[order[i]] / level.stride;
      level.is_sparse = dimensions[i].scalar<int8_t>(0) == 1;
      if (!level.is_sparse && dimensions[i].scalar<int32_t>(1) != level.size) return bad();
      if (!level.is_sparse) continue;
      level.segments = index_list(dimensions[i], 2);
      level.indices = index_list(dimensions[i], 4);
    }
    return {};
  }

  // `parent` numbers the position among all of the levels above, `target` the element reached.
  Status visit(size_t depth, int64_t parent, int64_t target) {
    if (depth == levels_.size()) {
      if (next_ + element_ > info_.data.size()) return invalid_data("sparse tensor: data missing");
      std::copy_n(info_.data.data() + next_, element_,
                  out_.data() + static_cast<size_t>(target) * element_);
      next_ += element_;
      return {};
    }
    const Level& level = levels_[depth];
    const int64_t step = level.stride * strides_[static_cast<size_t>(level.dimension)];
    if (!level.is_sparse) {
      for (int64_t i = 0; i < level.size; ++i) {
        EW_TRY_VOID(visit(depth + 1, parent * level.size + i, target + i * step));
      }
      return {};
    }
    const auto p = static_cast<size_t>(parent);
    if (p + 1 >= level.segments.size()) return invalid_data("sparse tensor: a segment is missing");
    const int64_t begin = level.segments[p];
    const int64_t end = level.segments[p + 1];
    if (begin < 0 || begin > end || end > static_cast<int64_t>(level.indices.size())) {
      return invalid_data("sparse tensor: segment [", begin, ", ", end, ") of ",
                          level.indices.size(), " indices");
    }
    for (int64_t k = begin; k < end; ++k) {
      const int64_t index = level.indices[static_cast<size_t>(k)];
      if (index < 0 || index >= level.size) {
        return invalid_data("sparse tensor: index ", index, " of ", level.size);
      }
      EW_TRY_VOID(visit(depth + 1, k, target + index * step));
    }
    return {};
  }

  const TensorInfo& info_;
  size_t element_;
  std::vector<int64_t> strides_;
  std::vector<Level> levels_;
  std::vector<uint8_t> out_;
  size_t next_ = 0;
};

}  // namespace

Result<std::vector<uint8_t>> densify(const TensorInfo& info, size_t element_bytes) {
  return Densifier(info, element_bytes).run();
}

}  // namespace ew::formats::tflite
