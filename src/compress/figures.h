#pragma once
// What a model costs where it is deployed.

#include <string>
#include <vector>

#include "ir/model.h"

namespace ew::compress {

struct SizeFigures {
  int64_t bytes = 0;             ///< weights as a device format stores them, with their scales
  int64_t compressed_bytes = 0;  ///< the same, each tensor deflated (floats shuffled first)
  int64_t macs = 0;              ///< multiply-accumulates of one sample
  double zero_fraction = 0;      ///< of the prunable weights
};

/// Of deployed_graph(model). Unknown dimensions count as 1.
Result<SizeFigures> size_figures(const ir::Model& model);

/// One layer that has weights.
struct LayerFigures {
  std::string name;
  bool is_int8 = false;
  int64_t parameters = 0;  ///< weights, biases included
  int64_t bytes = 0;
  int64_t macs = 0;
  double zero_fraction = 0;  ///< of its kernels' elements
};

/// In the order in which deployed_graph(model) runs them.
Result<std::vector<LayerFigures>> layer_figures(const ir::Model& model);

/// Bytes of zlib's best compression; with `element_bytes` above 1 the bytes of the elements are
/// put side by side first, as HDF5's shuffle filter does.
int64_t deflated_bytes(const void* data, size_t bytes, size_t element_bytes);

/// The 95 % Wilson score interval of a share seen in `count` trials.
struct Interval {
  double low = 0;
  double high = 1;
};
Interval wilson_interval(double share, int64_t count);

}  // namespace ew::compress
