// The only file that uses libpng. Its errors end in longjmp, so the functions that call it hold
// nothing with a destructor; buffers belong to their callers.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>

#include "train/data/plugin/decoders.h"

namespace ew::train {
namespace {

struct Decoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const uint8_t* at = nullptr;
  size_t left = 0;
  std::jmp_buf failed{};
  char message[160] = "out of memory";
};

void on_error(png_structp png, png_const_charp text) {
  auto& decoder = *static_cast<Decoder*>(png_get_error_ptr(png));
  std::snprintf(decoder.message, sizeof decoder.message, "%s", text);
  std::longjmp(decoder.failed, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, size_t count) {
  auto& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
  if (count > decoder.left) png_error(png, "cut short");
  std::memcpy(out, decoder.at, count);
  decoder.at += count;
  decoder.left -= count;
}

bool read_header(Decoder& decoder) {
  if (setjmp(decoder.failed) != 0) return false;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning);
  if (decoder.png == nullptr) return false;
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return false;
  png_set_read_fn(decoder.png, &decoder, on_read);
  png_set_chunk_malloc_max(decoder.png, 8u << 20);
  png_read_info(decoder.png, decoder.info);
  return true;
}

// 8-bit grey or RGB; interlaced files need all rows at once.
bool read_pixels(Decoder& decoder, size_t expected_row_bytes, png_bytepp rows) {
  if (setjmp(decoder.failed) != 0) return false;
  png_set_palette_to_rgb(decoder.png);
  png_set_expand_gray_1_2_4_to_8(decoder.png);
  png_set_strip_16(decoder.png);
  png_set_strip_alpha(decoder.png);
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  if (png_get_rowbytes(decoder.png, decoder.info) != expected_row_bytes) {
    png_error(decoder.png, "unexpected row size");
  }
  png_read_image(decoder.png, rows);
  png_read_end(decoder.png, nullptr);
  return true;
}

class Session {
 public:
  explicit Session(std::span<const uint8_t> bytes) {
    decoder_.at = bytes.data();
    decoder_.left = bytes.size();
  }
  ~Session() { png_destroy_read_struct(&decoder_.png, &decoder_.info, nullptr); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Decoder& decoder() { return decoder_; }
  Error damaged() const { return invalid_data("damaged PNG: ", std::string(decoder_.message)); }

  Result<ImageInfo> header() {
    if (!read_header(decoder_)) return damaged();
    const bool color =
        (png_get_color_type(decoder_.png, decoder_.info) & PNG_COLOR_MASK_COLOR) != 0;
    const ImageInfo info{png_get_image_height(decoder_.png, decoder_.info),
                         png_get_image_width(decoder_.png, decoder_.info), color ? 3 : 1};
    EW_TRY_VOID(check_image_size(info));
    return info;
  }

 private:
  Decoder decoder_;
};

Image with_channels(Image image, int channels) {
  if (channels == 0 || channels == image.info.channels) return image;
  const auto count = static_cast<size_t>(image.info.height * image.info.width);
  Image out{{image.info.height, image.info.width, channels},
            std::vector<uint8_t>(count * static_cast<size_t>(channels))};
  for (size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      std::memset(&out.pixels[3 * i], image.pixels[i], 3);
    } else {
      const uint8_t* p = &image.pixels[3 * i];
      // Rec. 601 luma in 16-bit fixed point, rounded: what libjpeg gives for JPEG.
      out.pixels[i] =
          static_cast<uint8_t>((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16);
    }
  }
  return out;
}

}  // namespace

Result<ImageInfo> png_info(std::span<const uint8_t> bytes) { return Session(bytes).header(); }

Result<Image> decode_png(std::span<const uint8_t> bytes, int channels) {
  Session session(bytes);
  EW_TRY(const ImageInfo info, session.header());
  const auto row_bytes = static_cast<size_t>(info.width * info.channels);
  const auto height = static_cast<size_t>(info.height);
  Image image{info, std::vector<uint8_t>(row_bytes * height)};
  std::vector<png_bytep> rows(height);
  for (size_t y = 0; y < height; ++y) rows[y] = image.pixels.data() + y * row_bytes;
  if (!read_pixels(session.decoder(), row_bytes, rows.data())) return session.damaged();
  return with_channels(std::move(image), channels);
}

}  // namespace ew::train
