#pragma once
// A picture that leaves: parts of it are made unrecognisable first.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ew::agent {

/// Bytes from above, `[height, width, channels]`; 1 channel is grey, 3 are red, green, blue.
struct PictureShape {
  int height = 0;
  int width = 0;
  int channels = 3;

  size_t size() const {
    return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels);
  }
};

/// In pixels; what lies outside of the picture does not count.
struct PixelBox {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

enum class Hiding : uint8_t { kPixelate, kBlank };

/// Makes the box black, or a few squares of its mean colours. False if nothing of it lies in the
/// picture.
bool hide_box(std::span<uint8_t> pixels, const PictureShape& shape, PixelBox box, Hiding how);

/// PNG (W3C, third edition): 8 bits a channel, no filter but the row above.
std::string encode_png(std::span<const uint8_t> pixels, const PictureShape& shape);

/// RFC 4648, section 4.
std::string encode_base64(std::string_view bytes);

/// What a detector found, one thing: `box` is top, left, bottom, right in parts of the picture.
struct Detection {
  size_t place = 0;  ///< of the class
  float score = 0;
  float box[4] = {};
};

/// Views into a detector's outputs, one behind the other: boxes [k, 4], classes [k], scores [k],
/// count [1].
class DetectionsView {
 public:
  DetectionsView(std::span<const float> outputs, size_t most) : outputs_(outputs), most_(most) {}
  /// At most this many; next ones are undefined.
  size_t size() const;
  /// Nothing if its class or box is no number.
  std::optional<Detection> at(size_t i) const;

 private:
  std::span<const float> outputs_;
  size_t most_;
};

struct PicturePlan {
  size_t slot = 0;  ///< of the elements
  PictureShape shape;
  std::string output;  ///< name of the field
  Hiding how{};
  std::vector<PixelBox> regions;
  bool hides_found = false;
  std::vector<size_t> classes;  ///< of what is found; empty: all
  double grow = 0;
  double min_score = 0;
};

/// Copies pixels, hides, encodes.
class PictureMaker {
 public:
  explicit PictureMaker(PicturePlan plan) : plan_(std::move(plan)) {}
  /// "data:image/png;base64,...". `found` is what the detector found, or nothing.
  std::string make(std::string_view pixels, const DetectionsView* found);
  const PicturePlan& plan() const { return plan_; }
  /// Boxes that were hidden so far.
  uint64_t hidden_count() const { return hidden_; }
  void set_hidden_count(uint64_t count) { hidden_ = count; }

 private:
  PixelBox pixel_box(const Detection& found) const;

  PicturePlan plan_;
  std::vector<uint8_t> pixels_;
  uint64_t hidden_ = 0;
};

}  // namespace ew::agent
