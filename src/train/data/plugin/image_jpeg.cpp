// The only file that uses libjpeg. Its errors end in longjmp, so the functions that call it hold
// nothing with a destructor; buffers belong to their callers.
#include <csetjmp>
#include <cstdio>
#include <string>

#include "train/data/plugin/decoders.h"
// libjpeg's headers need <cstdio> before them.
#include <jerror.h>
#include <jpeglib.h>

namespace ew::train {
namespace {

constexpr int kMaxScans = 200;  // progressive files repeat; a small file may ask for thousands

struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  char message[JMSG_LENGTH_MAX] = "";
  bool is_damaged = false;
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

void on_error(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.failed, 1);
}

// Warnings: libjpeg goes on and makes pixels up. Missing or wrong data is an error to us; stray
// bytes between markers, which real cameras write, are not.
void on_message(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level >= 0 ||
      (code != JWRN_JPEG_EOF && code != JWRN_HIT_MARKER && code != JWRN_HUFF_BAD_CODE)) {
    return;
  }
  Decoder& decoder = decoder_of(info);
  if (!decoder.is_damaged) info->err->format_message(info, decoder.message);
  decoder.is_damaged = true;
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  if (!info->is_decompressor || decoder.info.input_scan_number <= kMaxScans) return;
  std::snprintf(decoder.message, sizeof decoder.message, "more than %d scans", kMaxScans);
  std::longjmp(decoder.failed, 1);
}

void prepare(Decoder& decoder) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  decoder.errors.output_message = on_output;
  decoder.info.client_data = &decoder;
}

bool read_header(Decoder& decoder, const uint8_t* bytes, size_t size) {
  if (setjmp(decoder.failed) != 0) return false;
  jpeg_create_decompress(&decoder.info);
  decoder.info.client_data = &decoder;
  decoder.progress.progress_monitor = on_progress;
  decoder.info.progress = &decoder.progress;
  decoder.info.mem->max_memory_to_use = 4 * static_cast<long>(kMaxImageBytes);
  jpeg_mem_src(&decoder.info, bytes, size);
  return jpeg_read_header(&decoder.info, TRUE) == JPEG_HEADER_OK;
}

bool read_pixels(Decoder& decoder, J_COLOR_SPACE space, uint8_t* pixels, size_t row_bytes) {
  if (setjmp(decoder.failed) != 0) return false;
  decoder.info.out_color_space = space;
  jpeg_start_decompress(&decoder.info);
  while (decoder.info.output_scanline < decoder.info.output_height) {
    JSAMPROW row = pixels + decoder.info.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder.info, &row, 1);
  }
  jpeg_finish_decompress(&decoder.info);
  return true;
}

class Session {
 public:
  Session() { prepare(decoder_); }
  ~Session() { jpeg_destroy_decompress(&decoder_.info); }  // fine on a decoder never created
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  Decoder& decoder() { return decoder_; }
  Error damaged() const { return invalid_data("damaged JPEG: ", std::string(decoder_.message)); }

  Result<ImageInfo> header(std::span<const uint8_t> bytes) {
    if (!read_header(decoder_, bytes.data(), bytes.size())) return damaged();
    const J_COLOR_SPACE space = decoder_.info.jpeg_color_space;
    if (space == JCS_CMYK || space == JCS_YCCK) {
      return unsupported("CMYK JPEG; convert it to RGB");
    }
    const ImageInfo info{decoder_.info.image_height, decoder_.info.image_width,
                         space == JCS_GRAYSCALE ? 1 : 3};
    EW_TRY_VOID(check_image_size(info));
    return info;
  }

 private:
  Decoder decoder_;
};

}  // namespace

Result<ImageInfo> jpeg_info(std::span<const uint8_t> bytes) { return Session().header(bytes); }

Result<Image> decode_jpeg(std::span<const uint8_t> bytes, int channels) {
  Session session;
  EW_TRY(ImageInfo info, session.header(bytes));
  if (channels != 0) info.channels = channels;
  EW_TRY_VOID(check_image_size(info));
  const auto row_bytes = static_cast<size_t>(info.width * info.channels);
  Image image{info, std::vector<uint8_t>(row_bytes * static_cast<size_t>(info.height))};
  const J_COLOR_SPACE space = info.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  if (!read_pixels(session.decoder(), space, image.pixels.data(), row_bytes)) {
    return session.damaged();
  }
  if (session.decoder().is_damaged) return session.damaged();
  return image;
}

}  // namespace ew::train
