#pragma once
// Post-training int8 quantisation. A quantised model keeps real-valued weights (its file stays a
// Keras file) that are exact multiples of their scales, plus a record of all scales; from both the
// integer graph is rebuilt bit for bit.

#include <span>
#include <string>
#include <vector>

#include "compress/calibrate.h"
#include "ir/model.h"

namespace ew::compress {

struct QuantizeOptions {
  ir::Int8Profile profile = ir::Int8Profile::kTflm;
  bool per_channel = true;  ///< weights: one scale per output channel, else one per tensor
  /// Weight scales are rounded up to so many mantissa bits (1 to 24). With few, a weight
  /// q * scale has a short mantissa and a real-valued file compresses; 24 keeps scales as they are.
  /// On the kernels of ResNet-8, 2 bits make the shuffled and deflated file 2.8 times smaller than
  /// 24 do, for 1.6 dB of 44 dB weight signal-to-noise; 1 bit (powers of two) gains 6 % more for
  /// another 1.4 dB.
  int scale_bits = 2;
  /// Layers that stay in float, by name; a model's name covers the layers inside.
  std::vector<std::string> keep_float = {};
};

/// The model's graph in inference form: what predict() runs without a record.
Result<ir::Graph> inference_graph(const ir::Model& model);

/// The same, split into operators with an integer form: what calibration looks at.
Result<ir::Graph> quantizable_graph(const ir::Model& model);

/// The model with weights moved to multiples of their scales and with its QuantizationRecord.
/// `ranges` are those of quantizable_graph(model). Layers without an integer form stay in float.
/// Errors: kInvalidArgument for options out of range or a name in keep_float that no layer has.
Result<ir::Model> quantize(const ir::Model& model, const Ranges& ranges,
                           const QuantizeOptions& options = {});

/// The integer graph (stage kQuantised) of a model with a record; float inputs and outputs, with
/// quantize and dequantize where int8 begins and ends. Kernels and biases are constants that carry
/// their parameters' names. Errors: kInvalidData for a record that does not fit the graph.
Result<ir::Graph> quantized_graph(const ir::Model& model);

/// quantized_graph() if the model has a record, else inference_graph().
Result<ir::Graph> deployed_graph(const ir::Model& model);

/// One layer's share of the quantisation error.
struct Sensitivity {
  std::string layer;
  double error = 0;  ///< mean square error of the outputs with only this layer in int8
};

/// The layers that would be quantised, the most sensitive first.
Result<std::vector<Sensitivity>> layer_sensitivity(const ir::Model& model, const Ranges& ranges,
                                                   std::span<const ir::Tensor> samples,
                                                   const QuantizeOptions& options,
                                                   ThreadPool* pool = nullptr);

/// Scale and zero point of int8 over a range, which is widened to hold 0 exactly.
ir::QuantParams activation_params(ValueRange range);

/// The least float of at most `bits` mantissa bits that is not below `scale`.
float round_scale_up(float scale, int bits);

}  // namespace ew::compress
