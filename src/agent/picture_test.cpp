#include "agent/picture.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <numeric>

#include "agent/json_scan.h"
#include "agent/stream.h"
#include "agent/tensor_payload.h"

namespace ew::agent {
namespace {

std::vector<uint8_t> counting(size_t size) {
  std::vector<uint8_t> pixels(size);
  std::iota(pixels.begin(), pixels.end(), uint8_t{1});
  return pixels;
}

TEST_CASE("picture: a blank box is black, and nothing beside it changes") {
  const PictureShape shape{3, 4, 1};
  std::vector<uint8_t> pixels = counting(12);
  CHECK(hide_box(pixels, shape, {1, 1, 2, 9}, Hiding::kBlank));
  CHECK(pixels == std::vector<uint8_t>{1, 2, 3, 4, 5, 0, 0, 8, 9, 0, 0, 12});
  CHECK_FALSE(hide_box(pixels, shape, {4, 0, 2, 2}, Hiding::kBlank));
  CHECK_FALSE(hide_box(pixels, shape, {-3, 0, 3, 2}, Hiding::kBlank));
}

TEST_CASE("picture: a pixelated box has a few colours, the means of its squares") {
  const PictureShape shape{12, 12, 3};
  std::vector<uint8_t> pixels(shape.size());
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i % 3 * 50 + i / 36);
  CHECK(hide_box(pixels, shape, {0, 0, 12, 12}, Hiding::kPixelate));
  // Squares of 2 x 2: rows 0 and 1 have the values 0 and 1 more than the channel's, 0.5 rounds up.
  CHECK(pixels[0] == 1);
  CHECK(pixels[1] == 51);
  CHECK(pixels[36] == 1);
  CHECK(pixels[2 * 36] == 3);
  std::ranges::sort(pixels);
  const auto repeated = std::ranges::unique(pixels);
  CHECK(repeated.begin() - pixels.begin() == 18);  // 6 rows of squares, 3 channels
}

TEST_CASE("picture: base64 as RFC 4648, section 10") {
  CHECK(encode_base64("") == "");
  CHECK(encode_base64("f") == "Zg==");
  CHECK(encode_base64("fo") == "Zm8=");
  CHECK(encode_base64("foo") == "Zm9v");
  CHECK(encode_base64("foobar") == "Zm9vYmFy");
  CHECK(encode_base64("\xff\xfe") == "//4=");
}

TEST_CASE("picture: a PNG holds the pixels, row by row as differences") {
  const PictureShape shape{2, 2, 3};
  const std::vector<uint8_t> pixels = counting(12);
  const std::string png = encode_png(pixels, shape);
  REQUIRE(png.starts_with(
      std::string("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x02\0\0\0\x02\x08\x02", 26)));
  const size_t at = png.find("IDAT") + 4;
  std::vector<uint8_t> rows(14);
  uLongf size = rows.size();
  REQUIRE(uncompress(rows.data(), &size, reinterpret_cast<const Bytef*>(png.data()) + at,
                     png.size() - at) == Z_OK);
  CHECK(rows == std::vector<uint8_t>{2, 1, 2, 3, 4, 5, 6, 2, 6, 6, 6, 6, 6, 6});
}

/// Finds a thing of class 1 in the upper left quarter and one of class 0 in the lower right.
class Corners final : public ModelRunner {
 public:
  size_t input_size() const override { return 64; }
  size_t output_size() const override { return 13; }
  std::vector<size_t> output_sizes() const override { return {8, 2, 2, 1}; }
  void run(std::span<const float> /*in*/, std::span<float> out) override {
    const float found[] = {0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 0, 0.9f, 0.4f, 2};
    std::ranges::copy(found, out.begin());
  }
  std::string device() const override { return "cpu"; }
  std::string fallback_reason() const override { return ""; }
  std::string version() const override { return "1"; }
  size_t memory_bytes() const override { return 0; }
};

class Keep final : public Consumer {
 public:
  void take(const Row& row, Fate& fate, size_t /*port*/) override {
    payloads.emplace_back(row.raw);
    fate.claim();
  }
  std::vector<std::string> payloads;
};

/// Hides what is found in 8 x 8 grey pixels.
PicturePlan plan_of(Hiding how) {
  PicturePlan plan;
  plan.shape = {8, 8, 1};
  plan.output = "picture";
  plan.how = how;
  plan.hides_found = true;
  return plan;
}

struct Camera {
  explicit Camera(const PicturePlan& picture) {
    StreamPlan plan;
    plan.input_width = 1;
    plan.output_names = {"person"};
    plan.uses_arrival_time = {false};
    plan.model = &model;
    plan.model_tensor = 0;
    plan.model_result = StreamPlan::ModelResult::kCounts;
    plan.model_sizes = model.output_sizes();
    plan.counted = {1};
    plan.model_outputs = 1;
    plan.picture = picture;
    stream.emplace(std::move(plan), FlowContext{keys, now_us, [](const CoverSet&, DropReason) {}});
    stream->consumers.push_back({&kept, 0});
  }
  void see(size_t bytes) {
    std::string payload = encode_tensor("{\"frame\":0}", DType::kU8, bytes);
    std::ranges::fill(tensor_elements(payload, 11), uint8_t{200});
    const auto split = split_tensor(payload);
    const Value value = Value::of_text(split->field);
    Fate fate;
    stream->take({.values = {&value, 1}, .raw = split->json}, fate, 0);
  }

  Corners model;
  KeyTable keys;
  int64_t now_us = 0;
  Keep kept;
  std::optional<Stream> stream;
};

TEST_CASE("picture: what a detector finds is hidden before the payload is made") {
  const PictureShape shape{8, 8, 1};
  PicturePlan plan = plan_of(Hiding::kBlank);
  plan.classes = {1};
  plan.regions = {{7, 0, 1, 1}};
  Camera camera(plan);
  camera.see(64);
  std::vector<uint8_t> expected(64, 200);
  hide_box(expected, shape, {0, 0, 4, 4}, Hiding::kBlank);
  hide_box(expected, shape, {7, 0, 1, 1}, Hiding::kBlank);
  REQUIRE(camera.kept.payloads.size() == 1);
  CHECK(camera.kept.payloads[0] ==
        "{\"frame\":0,\"person\":1,\"picture\":\"data:image/png;base64," +
            encode_base64(encode_png(expected, shape)) + "\"}");
  CHECK(camera.stream->hidden_count() == 2);
  // Every class; the second thing is found with 0.4.
  plan.classes = {};
  plan.min_score = 0.5;
  Camera all(plan);
  all.see(64);
  CHECK(all.stream->hidden_count() == 2);
  plan.min_score = 0;
  Camera each(plan);
  each.see(64);
  CHECK(each.stream->hidden_count() == 3);
}

TEST_CASE("picture: without a result of the detector no picture leaves") {
  Camera camera(plan_of(Hiding::kPixelate));
  camera.see(60);
  for (const std::string& payload : camera.kept.payloads) {
    CHECK(payload.find("picture") == std::string::npos);
  }
  CHECK(camera.stream->hidden_count() == 0);
}

TEST_CASE("picture: boxes grow outwards and end at the picture's sides") {
  PicturePlan plan = plan_of(Hiding::kBlank);
  plan.classes = {1};
  plan.grow = 0.25;  // of a half: one pixel
  Camera camera(plan);
  camera.see(64);
  std::vector<uint8_t> expected(64, 200);
  hide_box(expected, plan.shape, {0, 0, 5, 5}, Hiding::kBlank);
  REQUIRE(camera.kept.payloads.size() == 1);
  CHECK(camera.kept.payloads[0].find(encode_base64(encode_png(expected, plan.shape))) !=
        std::string::npos);
}

}  // namespace
}  // namespace ew::agent
