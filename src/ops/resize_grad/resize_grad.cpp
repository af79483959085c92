/// resize_grad: the gradient of resize's input: every output's gradient goes to the pixels it was
/// made of, by their weights.
///
///   inputs   dy: floating [N, H, W, C]
///   outputs  dx: [N, input_size[0], input_size[1], C]
///   attrs    input_size: height and width of resize's input; method, coordinates: as resize
///   errors   as resize
#include <algorithm>

#include "ops/resize/resize.h"
#include "ops/window.h"

namespace ew::ops {
namespace {

const AttrDef kAttrs[] = {{"input_size", std::vector<int64_t>{}},
                          {"method", std::string("bilinear")},
                          kResizeCoordinates};

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {
  EW_TRY_VOID(expect_floating(*in[0]));
  const Shape& dy = in[0]->shape;
  EW_TRY_VOID(check_resize(dy, attrs.ints("input_size"), attrs.text("method")));
  return one_output(in[0]->dtype, shape_around(dy[0], attrs.ints("input_size"), dy[3]));
}

void reference(ConstViews in, Views out, const Attrs& attrs) {
  const Shape& shape = in[0].shape();
  const std::vector<int64_t>& size = attrs.ints("input_size");
  const ResizeTaps rows =
      resize_taps(attrs.text("method"), size[0], shape[1], attrs.text("coordinates"));
  const ResizeTaps columns =
      resize_taps(attrs.text("method"), size[1], shape[2], attrs.text("coordinates"));
  const int64_t channels = shape[3];
  dispatch_real(in[0].dtype(), [&]<typename T>() {
    const T* dy = in[0].as<T>();
    T* dx = out[0].as<T>();
    std::vector<double> sums(static_cast<size_t>(size[0] * size[1] * channels));
    for (int64_t n = 0; n < shape[0]; ++n) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for_each_resize_tap(rows, columns, size[1], [&](int64_t to, int64_t from, double weight) {
        for (int64_t c = 0; c < channels; ++c) {
          sums[static_cast<size_t>(to * channels + c)] +=
              static_cast<double>(dy[from * channels + c]) * weight;
        }
      });
      for (const double sum : sums) *dx++ = static_cast<T>(sum);
      dy += shape[1] * shape[2] * channels;
    }
  });
}

}  // namespace

const OpDef kResizeGrad{
    .name = "resize_grad", .attrs = kAttrs, .infer = infer, .reference = reference};

}  // namespace ew::ops
