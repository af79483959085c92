// Keras Resizing, CenterCrop and RandomCrop.
#include <algorithm>

#include "formats/keras/spatial.h"

namespace ew::ops {
namespace {

using formats::drops_mask;
using formats::LayerContext;
using ir::KerasGeneration;

// Images [N, H, W, C] of a floating type, whatever the layer's input has.
struct Images {
  ValueId value = kNoValue;
  int64_t height = 0;  // kUnknown if open
  int64_t width = 0;
  bool is_channels_first = false;
  DType dtype = DType::kF32;  // of the layer's input
};

Result<Images> open_images(LayerContext& c) {
  Images images;
  EW_TRY(images.value, formats::sole_input(c));
  EW_TRY(images.is_channels_first, formats::is_channels_first(c.config));
  if (c.b.shape(images.value).rank() != 4) {
    return invalid_data("expected a batch of images (rank 4), found ", c.b.shape(images.value));
  }
  images.dtype = c.b.type(images.value).dtype;
  if (!is_floating(images.dtype)) {
    images.value =
        c.b.add(kCast, {images.value}, {{"to", std::string(dtype_name(c.compute_dtype))}});
  }
  if (images.is_channels_first) images.value = formats::to_channels_last(c.b, images.value);
  images.height = c.b.shape(images.value)[1];
  images.width = c.b.shape(images.value)[2];
  return images;
}

ValueId close_images(LayerContext& c, const Images& images, ValueId y) {
  return images.is_channels_first ? formats::to_channels_first(c.b, y) : y;
}

struct Size {
  int64_t height;
  int64_t width;
};

Result<Size> size_of(const LayerContext& c) {
  EW_TRY(const int64_t height, c.config.get_int("height", 0));
  EW_TRY(const int64_t width, c.config.get_int("width", 0));
  if (height < 1 || width < 1 || height > kMaxElements || width > kMaxElements) {
    return invalid_data("expected a height and width of at least 1, found ", height, " and ",
                        width);
  }
  return Size{height, width};
}

ValueId crop(Builder& b, ValueId x, int64_t top, int64_t left, Size size) {
  return b.add(kSlice, {x},
               {{"begin", std::vector<int64_t>{0, top, left, 0}},
                {"end", std::vector<int64_t>{kMaxElements, top + size.height, left + size.width,
                                             kMaxElements}}});
}

ValueId resize(Builder& b, ValueId x, Size size, const std::string& method) {
  return b.add(kResize, {x},
               {{"size", std::vector<int64_t>{size.height, size.width}}, {"method", method}});
}

// The largest centred part of the target's aspect ratio, then resized (Keras' smart_resize).
Result<ValueId> resize_part(LayerContext& c, const Images& images, Size size,
                            const std::string& method) {
  if (images.height == kUnknown || images.width == kUnknown) {
    return unsupported("cropping to an aspect ratio needs a known image size, found ",
                       c.b.shape(images.value));
  }
  const auto part = [](int64_t length, int64_t other, int64_t target, int64_t other_target) {
    const double wanted = static_cast<double>(other) * static_cast<double>(target) /
                          static_cast<double>(other_target);
    return std::clamp<int64_t>(static_cast<int64_t>(std::min(wanted, 1e9)), 1, length);
  };
  if (images.height < 1 || images.width < 1) return invalid_data("the images are empty");
  const Size crop_size{part(images.height, images.width, size.height, size.width),
                       part(images.width, images.height, size.width, size.height)};
  const ValueId middle = crop(c.b, images.value, (images.height - crop_size.height) / 2,
                              (images.width - crop_size.width) / 2, crop_size);
  return resize(c.b, middle, size, method);
}

Result<ValueId> resizing(LayerContext& c) {
  EW_TRY(const Images images, open_images(c));
  EW_TRY(const Size size, size_of(c));
  EW_TRY(const std::string method, formats::lower_text(c.config, "interpolation", "bilinear"));
  if (c.config["antialias"].as_bool(false)) return unsupported("antialias=True");
  if (c.config["pad_to_aspect_ratio"].as_bool(false)) {
    return unsupported("pad_to_aspect_ratio=True");
  }
  ValueId y = kNoValue;
  if (c.config["crop_to_aspect_ratio"].as_bool(false)) {
    EW_TRY(y, resize_part(c, images, size, method));
  } else {
    y = resize(c.b, images.value, size, method);
  }
  // Keras 3 gives integers back for integers.
  if (!is_floating(images.dtype) && c.generation == KerasGeneration::kKeras3) {
    y = c.b.add(kRound, {y});
    y = c.b.add(kCast, {y}, {{"to", std::string(dtype_name(images.dtype))}});
  }
  return close_images(c, images, y);
}

Result<ValueId> center_crop(LayerContext& c) {
  EW_TRY(const Images images, open_images(c));
  EW_TRY(const Size size, size_of(c));
  if (images.height == kUnknown || images.width == kUnknown) {
    return unsupported("a crop from the centre needs a known image size, found ",
                       c.b.shape(images.value));
  }
  ValueId y = kNoValue;
  if (images.height >= size.height && images.width >= size.width) {
    y = crop(c.b, images.value, (images.height - size.height) / 2, (images.width - size.width) / 2,
             size);
  } else {
    EW_TRY(y, resize_part(c, images, size, "bilinear"));
  }
  return close_images(c, images, y);
}

// Outside training tf-keras takes the centre resized to the target, Keras 3 the images as they are.
Result<ValueId> random_crop(LayerContext& c) {
  EW_TRY(const Images images, open_images(c));
  EW_TRY(const Size size, size_of(c));
  if (c.generation == KerasGeneration::kKeras3) return close_images(c, images, images.value);
  EW_TRY(const ValueId y, resize_part(c, images, size, "bilinear"));
  return close_images(c, images, y);
}

const formats::KerasLayer kLayers[] = {{"CenterCrop", drops_mask<center_crop>},
                                       {"RandomCrop", drops_mask<random_crop>},
                                       {"Resizing", drops_mask<resizing>}};

}  // namespace

extern const formats::OpIo resize_io{.keras_layers = kLayers};

}  // namespace ew::ops
