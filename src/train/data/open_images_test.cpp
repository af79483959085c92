#include <algorithm>
#include <cstdio>

#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/data/test_files.h"
// After <cstdio>, which it needs.
#include <jpeglib.h>
#include <png.h>

namespace ew::train {
namespace {

using namespace test;

Bytes jpeg(const Image& image, bool progressive = false) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = static_cast<JDIMENSION>(image.info.width);
  info.image_height = static_cast<JDIMENSION>(image.info.height);
  info.input_components = image.info.channels;
  info.in_color_space = image.info.channels == 1   ? JCS_GRAYSCALE
                        : image.info.channels == 3 ? JCS_RGB
                                                   : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  const auto stride = static_cast<size_t>(image.info.width * image.info.channels);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * stride);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes(out, out + size);
  std::free(out);  // NOLINT(cppcoreguidelines-no-malloc): libjpeg allocated it
  return bytes;
}

// `format` as libpng's simplified interface names it.
Bytes png(int64_t height, int64_t width, png_uint_32 format, const Bytes& pixels,
          const Bytes& colormap = {}) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = format;
  image.colormap_entries = static_cast<png_uint_32>(colormap.size() / 3);
  png_alloc_size_t size = 0;
  const void* map = colormap.empty() ? nullptr : colormap.data();
  REQUIRE(png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, map) != 0);
  Bytes out(size);
  REQUIRE(png_image_write_to_memory(&image, out.data(), &size, 0, pixels.data(), 0, map) != 0);
  out.resize(size);
  return out;
}

Image gradient(int64_t height, int64_t width, int channels) {
  Image image{{height, width, channels}, {}};
  for (int64_t i = 0; i < height * width; ++i) {
    for (int c = 0; c < channels; ++c) {
      image.pixels.push_back(static_cast<uint8_t>(i * 200 / (height * width) + c * int64_t{20}));
    }
  }
  return image;
}

int worst(const Bytes& a, const Bytes& b) {
  REQUIRE(a.size() == b.size());
  int worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(int{a[i]} - int{b[i]}));
  return worst;
}

}  // namespace

TEST_CASE("jpeg: decodes grey and colour, plain and progressive") {
  for (const int channels : {1, 3}) {
    for (const bool progressive : {false, true}) {
      const Image image = gradient(17, 23, channels);
      const Bytes bytes = jpeg(image, progressive);
      const auto info = image_info(bytes);
      REQUIRE_MESSAGE(info.ok(), message(info));
      CHECK(*info == image.info);
      const auto decoded = decode_image(bytes);
      REQUIRE_MESSAGE(decoded.ok(), message(decoded));
      // Quality 100 rounds coefficients to integers; colour is also stored at half resolution.
      CHECK(worst(decoded->pixels, image.pixels) <= (channels == 1 ? 2 : 12));
    }
  }
}

TEST_CASE("jpeg, png: channels are converted when asked for") {
  const Image grey = gradient(8, 8, 1);
  for (const Bytes& bytes : {jpeg(grey), png(8, 8, PNG_FORMAT_GRAY, grey.pixels)}) {
    const auto color = decode_image(bytes, 3);
    REQUIRE(color.ok());
    CHECK(color->info == ImageInfo{8, 8, 3});
    CHECK(color->pixels[30] == color->pixels[32]);
  }
  // Luma of (250, 100, 30): 0.299 * 250 + 0.587 * 100 + 0.114 * 30 = 136.87.
  Image color{{8, 8, 3}, {}};
  for (int i = 0; i < 64; ++i) color.pixels.insert(color.pixels.end(), {250, 100, 30});
  CHECK(decode_image(png(8, 8, PNG_FORMAT_RGB, color.pixels), 1)->pixels[5] == 137);
  CHECK(std::abs(decode_image(jpeg(color), 1)->pixels[5] - 137) <= 1);
}

TEST_CASE("png: palettes become colours, alpha is dropped, grey stays exact") {
  const Image grey = gradient(5, 7, 1);
  const auto exact = decode_image(png(5, 7, PNG_FORMAT_GRAY, grey.pixels));
  REQUIRE_MESSAGE(exact.ok(), message(exact));
  CHECK(exact->info == grey.info);
  CHECK(exact->pixels == grey.pixels);
  const auto alpha = decode_image(png(1, 2, PNG_FORMAT_RGBA, {1, 2, 3, 255, 4, 5, 6, 255}));
  REQUIRE_MESSAGE(alpha.ok(), message(alpha));
  CHECK(alpha->pixels == Bytes{1, 2, 3, 4, 5, 6});
  const auto palette =
      decode_image(png(1, 3, PNG_FORMAT_RGB_COLORMAP, {1, 0, 1}, {10, 20, 30, 40, 50, 60}));
  REQUIRE_MESSAGE(palette.ok(), message(palette));
  CHECK(palette->pixels == Bytes{40, 50, 60, 10, 20, 30, 40, 50, 60});
}

TEST_CASE("jpeg, png: garbage and truncated files are errors and nothing ends the program") {
  CHECK(has(message(decode_image(bytes_of("GIF89a"))), "neither a JPEG nor a PNG"));
  CHECK_FALSE(decode_image({}).ok());
  CHECK(has(message(decode_image(bytes_of("\xff\xd8\xff garbage"))), "damaged JPEG"));
  CHECK(has(message(decode_image(bytes_of("\x89PNG\r\n\x1a\ngarbage"))), "damaged PNG"));
  const Image image = gradient(32, 32, 3);
  for (const Bytes& whole :
       {jpeg(image), jpeg(image, true), png(32, 32, PNG_FORMAT_RGB, image.pixels)}) {
    // The last two bytes of a JPEG are its end marker, without which nothing is missing.
    for (size_t n = 0; n + 16 < whole.size(); n += 5) {
      CHECK_FALSE(decode_image(std::span(whole).first(n)).ok());
    }
    for (size_t i = 0; i < whole.size(); ++i) {
      Bytes broken = whole;
      broken[i] ^= 0x55;
      const auto decoded = decode_image(broken);  // either way, but no crash
      if (decoded.ok()) CHECK(decoded->pixels.size() > 0);
    }
  }
}

TEST_CASE("jpeg, png: absurd sizes and CMYK are refused before anything is allocated") {
  Bytes wide = jpeg(gradient(8, 8, 1));
  const Bytes frame{0xff, 0xc0};
  const auto at = std::search(wide.begin(), wide.end(), frame.begin(), frame.end());
  REQUIRE(at != wide.end());
  std::fill_n(at + 5, 4, uint8_t{0xfe});  // height and width 65278
  const auto decoded = decode_image(wide);
  REQUIRE_FALSE(decoded.ok());
  CHECK(decoded.error().code == ErrorCode::kResourceLimit);
  CHECK(has(message(decode_image(jpeg(gradient(8, 8, 4)))), "CMYK"));
  CHECK_FALSE(check_image_size({1 << 20, 1 << 20, 1}).ok());
  CHECK_FALSE(check_image_size({INT64_MAX, INT64_MAX, 3}).ok());
  CHECK_FALSE(check_image_size({0, 5, 3}).ok());
}

TEST_CASE("resize: bilinear between pixel centres") {
  // 2 pixels to 4: centres at -0.25, 0.25, 0.75, 1.25 of the source, clamped at both ends.
  const Image image{{1, 2, 1}, {0, 100}};
  float out[4];
  resize_bilinear(image, 1, 4, out);
  CHECK(out[0] == 0);
  CHECK(out[1] == 25);
  CHECK(out[2] == 75);
  CHECK(out[3] == 100);
}

TEST_CASE("image folder: classes by folder, pixels unscaled, split by the seed") {
  const TempFolder folder;
  for (int i = 0; i < 10; ++i) {
    const Bytes dark(12, static_cast<uint8_t>(i));
    const Bytes light(12, static_cast<uint8_t>(200 + i));
    folder.write(str("dark/", i, ".png"), png(2, 2, PNG_FORMAT_RGB, dark));
    folder.write(str("light/", i, ".PNG"), png(2, 2, PNG_FORMAT_RGB, light));
  }
  folder.write("light/notes.txt", "passed over");
  for (const int64_t memory : {int64_t{1} << 30, int64_t{0}}) {
    const auto data = open_dataset(folder.path(), {.memory_bytes = memory});
    REQUIRE_MESSAGE(data.ok(), message(data));
    CHECK(data->class_names == std::vector<std::string>{"dark", "light"});
    CHECK(data->train->size() == 16);
    CHECK(data->train->x_types()[0].shape == Shape{2, 2, 3});
    for (int again = 0; again < 2; ++again) {
      const auto train = read_all(*data->train);
      REQUIRE_MESSAGE(train.ok(), message(train));
      for (size_t i = 0; i < 16; ++i) {
        const bool is_light = train->x[0].values<float>()[12 * i] >= 200;
        CHECK(train->y[0].values<int32_t>()[i] == (is_light ? 1 : 0));
      }
    }
    Split labels;
    const int64_t row[] = {0};
    REQUIRE(data->train->read(row, labels, true).ok());
    CHECK(labels.x.empty());
  }
}

TEST_CASE("image folder: parts in train/ and test/, size and channels by option") {
  const TempFolder folder;
  folder.write("train/a/1.png", png(2, 2, PNG_FORMAT_RGB, Bytes(12, 50)));
  folder.write("train/b/1.jpg", jpeg(Image{{4, 4, 1}, Bytes(16, 60)}));
  folder.write("test/b/1.png", png(1, 1, PNG_FORMAT_GRAY, Bytes(1, 70)));
  CHECK(has(message(open_dataset(folder.path())), "add ?channels=1 or ?channels=3"));
  CHECK(has(message(open_dataset(folder.path() + "?channels=1")), "add ?size="));
  const auto data = open_dataset(folder.path() + "?channels=1&size=3x5", {.validation_split = 0});
  REQUIRE_MESSAGE(data.ok(), message(data));
  CHECK(data->train->size() == 2);
  CHECK(data->train->x_types()[0].shape == Shape{3, 5, 1});
  const auto test = read_all(*data->test);
  REQUIRE_MESSAGE(test.ok(), message(test));
  CHECK(test->x[0].values<float>()[14] == 70);
  CHECK(test->y[0].values<int32_t>()[0] == 1);
  CHECK(has(message(open_dataset(folder.path() + "?size=3")), "expected HxW"));
  CHECK(has(message(open_dataset(folder.path() + "?size=0x9")), "from 1 to 16384"));
  CHECK(has(message(open_dataset(folder.path() + "?channels=2")), "expected 1 or 3"));
  CHECK(has(message(open_dataset(folder.path() + "?chanels=1")), "did you mean 'channels'?"));
  folder.write("test/c/1.png", png(1, 1, PNG_FORMAT_GRAY, Bytes(1, 70)));
  CHECK(has(message(open_dataset(folder.path() + "?channels=1&size=3x5")), "class 'c'"));
}

TEST_CASE("image folder: a damaged file is named") {
  const TempFolder folder;
  folder.write("a/1.png", png(2, 2, PNG_FORMAT_RGB, Bytes(12, 50)));
  folder.write("a/2.jpg", "not a picture");
  CHECK(has(message(open_dataset(folder.path())), "2.jpg: neither a JPEG nor a PNG"));
  Bytes cut = png(2, 2, PNG_FORMAT_RGB, Bytes(12, 50));
  cut.resize(cut.size() - 20);
  folder.write("a/2.jpg", cut);
  const auto data = open_dataset(folder.path());
  REQUIRE_MESSAGE(data.ok(), message(data));  // the headers are fine
  CHECK(has(message(read_all(*data->train)), "2.jpg: damaged PNG"));
}

}  // namespace ew::train
