#include "agent/picture.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ew::agent {
namespace {

constexpr int kSquares = 6;  // along a pixelated box's longer side
constexpr float kMaxClass = 1e6f;

size_t offset(const PictureShape& shape, int row, int column) {
  return (static_cast<size_t>(row) * static_cast<size_t>(shape.width) +
          static_cast<size_t>(column)) *
         static_cast<size_t>(shape.channels);
}

PixelBox clipped(PixelBox box, const PictureShape& shape) {
  const int right = std::min(box.left + box.width, shape.width);
  const int bottom = std::min(box.top + box.height, shape.height);
  const int left = std::max(box.left, 0);
  const int top = std::max(box.top, 0);
  return {left, top, std::max(0, right - left), std::max(0, bottom - top)};
}

/// One colour, the mean.
void flatten(std::span<uint8_t> pixels, const PictureShape& shape, const PixelBox& box) {
  const auto count = static_cast<uint64_t>(box.width) * static_cast<uint64_t>(box.height);
  for (int c = 0; c < shape.channels; ++c) {
    uint64_t sum = 0;
    for (int y = 0; y < box.height; ++y) {
      for (int x = 0; x < box.width; ++x) {
        sum += pixels[offset(shape, box.top + y, box.left + x) + static_cast<size_t>(c)];
      }
    }
    const auto mean = static_cast<uint8_t>((sum + count / 2) / count);
    for (int y = 0; y < box.height; ++y) {
      for (int x = 0; x < box.width; ++x) {
        pixels[offset(shape, box.top + y, box.left + x) + static_cast<size_t>(c)] = mean;
      }
    }
  }
}

void append_u32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

void append_chunk(std::string& out, std::string_view name, std::string_view body) {
  append_u32(out, static_cast<uint32_t>(body.size()));
  const size_t begin = out.size();
  out += name;
  out += body;
  const auto* data = reinterpret_cast<const Bytef*>(out.data()) + begin;
  append_u32(out,
             static_cast<uint32_t>(crc32(0, data, static_cast<uInt>(name.size() + body.size()))));
}

}  // namespace

bool hide_box(std::span<uint8_t> pixels, const PictureShape& shape, PixelBox box, Hiding how) {
  box = clipped(box, shape);
  if (box.width == 0 || box.height == 0) return false;
  if (how == Hiding::kBlank) {
    const size_t bytes = static_cast<size_t>(box.width) * static_cast<size_t>(shape.channels);
    for (int y = 0; y < box.height; ++y) {
      std::ranges::fill(pixels.subspan(offset(shape, box.top + y, box.left), bytes), uint8_t{0});
    }
    return true;
  }
  const int side = (std::max(box.width, box.height) + kSquares - 1) / kSquares;
  for (int y = 0; y < box.height; y += side) {
    for (int x = 0; x < box.width; x += side) {
      flatten(pixels, shape,
              {box.left + x, box.top + y, std::min(side, box.width - x),
               std::min(side, box.height - y)});
    }
  }
  return true;
}

std::string encode_png(std::span<const uint8_t> pixels, const PictureShape& shape) {
  std::string header;
  append_u32(header, static_cast<uint32_t>(shape.width));
  append_u32(header, static_cast<uint32_t>(shape.height));
  header += '\x08';                                 // bits
  header += shape.channels == 1 ? '\x00' : '\x02';  // grey, or red, green, blue
  header.append(3, '\0');                           // deflate, filters by row, no interlace
  const size_t stride = offset(shape, 1, 0);
  std::vector<uint8_t> rows;
  rows.reserve(pixels.size() + static_cast<size_t>(shape.height));
  for (size_t at = 0; at < pixels.size(); at += stride) {
    rows.push_back(2);  // differences to the row above
    for (size_t i = at; i < at + stride; ++i) {
      rows.push_back(static_cast<uint8_t>(pixels[i] - (at == 0 ? 0 : pixels[i - stride])));
    }
  }
  uLongf size = compressBound(static_cast<uLong>(rows.size()));
  std::string body(size, '\0');
  // Cannot fail: the place is large enough.
  compress2(reinterpret_cast<Bytef*>(body.data()), &size, rows.data(),
            static_cast<uLong>(rows.size()), Z_DEFAULT_COMPRESSION);
  body.resize(size);
  std::string out = "\x89PNG\r\n\x1a\n";
  append_chunk(out, "IHDR", header);
  append_chunk(out, "IDAT", body);
  append_chunk(out, "IEND", "");
  return out;
}

std::string encode_base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

size_t DetectionsView::size() const {
  const float count = outputs_[6 * most_];
  if (!(count > 0)) return 0;
  return count >= static_cast<float>(most_) ? most_ : static_cast<size_t>(std::ceil(count));
}

std::optional<Detection> DetectionsView::at(size_t i) const {
  const float number = outputs_[4 * most_ + i];
  if (!(number >= 0 && number < kMaxClass)) return std::nullopt;
  Detection found{.place = static_cast<size_t>(number), .score = outputs_[5 * most_ + i]};
  std::copy_n(outputs_.begin() + static_cast<int64_t>(4 * i), 4, found.box);
  const bool is_box = std::ranges::all_of(found.box, [](float v) { return std::isfinite(v); });
  return is_box ? std::optional<Detection>(found) : std::nullopt;
}

PixelBox PictureMaker::pixel_box(const Detection& found) const {
  const auto [top, left, bottom, right] = found.box;
  const double more_y = plan_.grow * static_cast<double>(bottom - top);
  const double more_x = plan_.grow * static_cast<double>(right - left);
  // Rounded outwards; boxes may reach beyond the picture, by any amount.
  const auto place = [](double part, double more, int side, bool is_end) {
    const double at = (part + (is_end ? more : -more)) * side;
    return static_cast<int>(
        std::clamp(is_end ? std::ceil(at) : std::floor(at), 0.0, static_cast<double>(side)));
  };
  const PictureShape& s = plan_.shape;
  const int x = place(static_cast<double>(left), more_x, s.width, false);
  const int y = place(static_cast<double>(top), more_y, s.height, false);
  return {x, y, place(static_cast<double>(right), more_x, s.width, true) - x,
          place(static_cast<double>(bottom), more_y, s.height, true) - y};
}

std::string PictureMaker::make(std::string_view pixels, const DetectionsView* found) {
  pixels_.assign(pixels.begin(), pixels.end());
  for (const PixelBox& region : plan_.regions) {
    if (hide_box(pixels_, plan_.shape, region, plan_.how)) ++hidden_;
  }
  for (size_t i = 0; plan_.hides_found && found != nullptr && i < found->size(); ++i) {
    const std::optional<Detection> one = found->at(i);
    if (!one || !(static_cast<double>(one->score) >= plan_.min_score)) continue;
    const bool is_meant = plan_.classes.empty() ||
                          std::ranges::find(plan_.classes, one->place) != plan_.classes.end();
    if (is_meant && hide_box(pixels_, plan_.shape, pixel_box(*one), plan_.how)) ++hidden_;
  }
  return "data:image/png;base64," + encode_base64(encode_png(pixels_, plan_.shape));
}

}  // namespace ew::agent
