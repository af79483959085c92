#include "ops/window.h"

#include <algorithm>

namespace ew::ops {
namespace {

// Above this, products of sizes could overflow before check_shape() sees them.
constexpr int64_t kMaxLength = kMaxElements;

Result<std::vector<int64_t>> per_dim(const Attrs& attrs, const char* name, size_t rank,
                                     int64_t least) {
  std::vector<int64_t> values = attrs.ints(name);
  if (values.empty()) values.assign(rank, 1);
  if (values.size() != rank) {
    return invalid_argument(name, ": expected ", rank, " values, found ", values);
  }
  for (const int64_t v : values) {
    if (v < least || v > kMaxLength) return invalid_argument(name, " ", values, " out of range");
  }
  return values;
}

constexpr int64_t kMaxPaddedPool = 4096;

// Everything but the lengths and the padding.
Result<std::vector<WindowDim>> plain_dims(std::span<const int64_t> kernel, const Attrs& attrs) {
  const size_t rank = kernel.size();
  EW_TRY(const std::vector<int64_t> strides, per_dim(attrs, "strides", rank, 1));
  EW_TRY(const std::vector<int64_t> dilations, per_dim(attrs, "dilations", rank, 1));
  const std::string& padding = attrs.text("padding");
  const std::vector<int64_t>& pads = attrs.ints("pads");
  if (padding != "valid" && padding != "same" && padding != "explicit") {
    return invalid_argument("padding: expected valid, same or explicit, found '", padding, "'");
  }
  if (padding == "explicit" && pads.size() != 2 * rank) {
    return invalid_argument("pads: expected ", 2 * rank, " values, found ", pads);
  }
  std::vector<WindowDim> dims(rank);
  for (size_t i = 0; i < rank; ++i) {
    dims[i].kernel = kernel[i];
    dims[i].stride = strides[i];
    dims[i].dilation = dilations[i];
    if (kernel[i] < 1 || kernel[i] > kMaxLength / dilations[i]) {
      return invalid_argument("window of ", kernel[i], " elements with dilation ", dilations[i],
                              " out of range");
    }
    if (padding != "explicit") continue;
    dims[i].pad_begin = pads[i];
    dims[i].pad_end = pads[rank + i];
    if (pads[i] < 0 || pads[rank + i] < 0 || std::max(pads[i], pads[rank + i]) > kMaxLength) {
      return invalid_argument("pads ", pads, " out of range");
    }
  }
  return dims;
}

void pad_same(WindowDim& d) {
  d.out = (d.in + d.stride - 1) / d.stride;
  const int64_t total = std::max<int64_t>((d.out - 1) * d.stride + d.extent() - d.in, 0);
  d.pad_begin = total / 2;
  d.pad_end = total - d.pad_begin;
}

}  // namespace

Result<std::vector<WindowDim>> window_dims(std::span<const int64_t> in,
                                           std::span<const int64_t> kernel, const Attrs& attrs) {
  EW_TRY(std::vector<WindowDim> dims, plain_dims(kernel, attrs));
  if (in.size() != dims.size()) {
    return invalid_argument("expected ", dims.size(), " spatial dimensions, found ", in.size());
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    WindowDim& d = dims[i];
    d.in = in[i];
    d.out = kUnknown;
    if (d.in == kUnknown) continue;
    if (attrs.text("padding") == "same") {
      pad_same(d);
      continue;
    }
    const int64_t room = d.in + d.pad_begin + d.pad_end - d.extent();
    if (room < 0) {
      return invalid_argument("window of ", d.extent(), " does not fit the input of ",
                              d.in + d.pad_begin + d.pad_end, " in spatial dimension ", i);
    }
    d.out = room / d.stride + 1;
  }
  return dims;
}

Result<std::vector<WindowDim>> transposed_window_dims(std::span<const int64_t> out,
                                                      std::span<const int64_t> kernel,
                                                      std::span<const int64_t> output_padding,
                                                      const Attrs& attrs) {
  EW_TRY(std::vector<WindowDim> dims, plain_dims(kernel, attrs));
  const std::string& padding = attrs.text("padding");
  if (out.size() != dims.size() ||
      (!output_padding.empty() && output_padding.size() != dims.size())) {
    return invalid_argument("expected ", dims.size(), " spatial dimensions, found ", out.size(),
                            " with ", output_padding.size(), " output paddings");
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    WindowDim& d = dims[i];
    d.out = out[i];
    d.in = kUnknown;
    if (d.out == kUnknown) continue;
    const bool is_given = !output_padding.empty();
    const int64_t extra = is_given ? output_padding[i] : 0;
    if (extra < 0 || extra >= d.stride) {
      return invalid_argument("output_padding ", extra, " must be less than the stride ", d.stride);
    }
    if (d.out > kMaxLength / d.stride) return invalid_argument("input of ", d.out, " too long");
    if (is_given || padding == "explicit") {
      const int64_t pad = padding == "same" ? 2 * (d.extent() / 2) : d.pad_begin + d.pad_end;
      d.in = (d.out - 1) * d.stride + d.extent() - pad + extra;
    } else if (padding == "same") {
      d.in = d.out * d.stride;
    } else {
      d.in = d.out * d.stride + std::max<int64_t>(d.extent() - d.stride, 0);
    }
    WindowDim forward = d;
    if (padding == "same") pad_same(forward);
    if (padding != "same") {
      forward.out = (d.in + d.pad_begin + d.pad_end - d.extent()) / d.stride + 1;
    }
    if (d.in < 1 || forward.out != d.out) {
      return invalid_argument("no output length gives the input of ", d.out,
                              " in spatial dimension ", i, "; output padding ", extra,
                              " does not fit kernel ", d.kernel, " and stride ", d.stride);
    }
    d = forward;
  }
  return dims;
}

std::span<const int64_t> spatial_of(const Shape& shape) {
  return std::span(shape.dims()).subspan(1, static_cast<size_t>(shape.rank() - 2));
}

Shape shape_around(int64_t batch, std::span<const int64_t> lengths, int64_t channels) {
  Shape shape{batch};
  shape.dims().insert(shape.dims().end(), lengths.begin(), lengths.end());
  shape.dims().push_back(channels);
  return shape;
}

std::vector<int64_t> in_lengths(std::span<const WindowDim> dims) {
  std::vector<int64_t> lengths;
  for (const WindowDim& d : dims) lengths.push_back(d.in);
  return lengths;
}

std::vector<int64_t> out_lengths(std::span<const WindowDim> dims) {
  std::vector<int64_t> lengths;
  for (const WindowDim& d : dims) lengths.push_back(d.out);
  return lengths;
}

WindowCounts window_counts(std::span<const WindowDim> dims) {
  WindowCounts count;
  for (const WindowDim& d : dims) {
    count.in *= d.in;
    count.out *= d.out;
    count.taps *= d.kernel;
  }
  return count;
}

int64_t window_input(std::span<const WindowDim> dims, int64_t out, int64_t tap) {
  int64_t position = 0;
  int64_t scale = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    const WindowDim& d = dims[i];
    const int64_t at = out % d.out * d.stride + tap % d.kernel * d.dilation - d.pad_begin;
    if (at < 0 || at >= d.in) return -1;
    position += at * scale;
    scale *= d.in;
    out /= d.out;
    tap /= d.kernel;
  }
  return position;
}

std::vector<int64_t> valid_taps(std::span<const WindowDim> dims) {
  std::vector<int64_t> counts(static_cast<size_t>(window_counts(dims).out), 0);
  for_each_tap(dims, 1, [&](int64_t, int64_t out) { ++counts[static_cast<size_t>(out)]; });
  return counts;
}

Result<std::vector<TensorType>> infer_pool(const TensorType& x, const Attrs& attrs) {
  if (x.shape.rank() < 3) {
    return invalid_argument("expected x [N, spatial..., C], found ", x.shape);
  }
  EW_TRY(const std::vector<WindowDim> dims,
         window_dims(spatial_of(x.shape), attrs.ints("pool"), attrs));
  // Padding lets a window be larger than its input, and nothing is stored that would bound it.
  for (const WindowDim& d : dims) {
    if (d.kernel > std::max(kMaxPaddedPool, 2 * d.in)) {
      return invalid_argument("window of ", d.kernel, " over an input of ", d.in);
    }
  }
  return one_output(x.dtype, shape_around(x.shape[0], out_lengths(dims), x.shape[-1]));
}

Result<std::vector<TensorType>> one_output(DType dtype, Shape shape) {
  Shape known = shape;
  for (int64_t& d : known.dims()) d = d == kUnknown ? 1 : d;
  EW_TRY_VOID(check_shape(known));
  return std::vector<TensorType>{{dtype, std::move(shape), nullptr}};
}

namespace {

template <typename T>
void store_sums(const std::vector<double>& sums, T* target) {
  for (size_t i = 0; i < sums.size(); ++i) target[i] = static_cast<T>(sums[i]);
}

// Sums start from the bias, repeated for every row of channels.
template <typename T>
std::vector<double> start_sums(int64_t size, ConstTensorView bias) {
  std::vector<double> sums(static_cast<size_t>(size), 0.0);
  if (!bias) return sums;
  const T* values = bias.as<T>();
  const auto channels = static_cast<size_t>(bias.size());
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = static_cast<double>(values[i % channels]);
  return sums;
}

}  // namespace

void conv_forward(const ConvGeometry& g, ConstTensorView x, ConstTensorView w, ConstTensorView bias,
                  TensorView y) {
  dispatch_real(x.dtype(), [&]<typename T>() {
    const T* px = x.as<T>();
    const T* pw = w.as<T>();
    std::vector<double> sums = start_sums<T>(y.size(), bias);
    for_each_product(g, [&](int64_t xi, int64_t wi, int64_t yi) {
      sums[static_cast<size_t>(yi)] += static_cast<double>(px[xi]) * static_cast<double>(pw[wi]);
    });
    store_sums(sums, y.as<T>());
  });
}

void conv_backward_input(const ConvGeometry& g, ConstTensorView dy, ConstTensorView w,
                         ConstTensorView bias, TensorView dx) {
  dispatch_real(dy.dtype(), [&]<typename T>() {
    const T* pdy = dy.as<T>();
    const T* pw = w.as<T>();
    std::vector<double> sums = start_sums<T>(dx.size(), bias);
    for_each_product(g, [&](int64_t xi, int64_t wi, int64_t yi) {
      sums[static_cast<size_t>(xi)] += static_cast<double>(pdy[yi]) * static_cast<double>(pw[wi]);
    });
    store_sums(sums, dx.as<T>());
  });
}

void conv_backward_weight(const ConvGeometry& g, ConstTensorView x, ConstTensorView dy,
                          TensorView dw) {
  dispatch_real(x.dtype(), [&]<typename T>() {
    const T* px = x.as<T>();
    const T* pdy = dy.as<T>();
    std::vector<double> sums = start_sums<T>(dw.size(), {});
    for_each_product(g, [&](int64_t xi, int64_t wi, int64_t yi) {
      sums[static_cast<size_t>(wi)] += static_cast<double>(px[xi]) * static_cast<double>(pdy[yi]);
    });
    store_sums(sums, dw.as<T>());
  });
}

Attrs shared_attrs(const Node& node, const OpDef& op) {
  Attrs attrs;
  for (const AttrDef& def : op.attrs) {
    if (const ir::AttrValue* value = node.attrs.find(def.name)) attrs.set(def.name, *value);
  }
  return attrs;
}

}  // namespace ew::ops
