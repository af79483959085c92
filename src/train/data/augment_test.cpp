#include "train/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "train/data/test_files.h"

namespace ew::train {
namespace {

using namespace test;
using Floats = std::vector<float>;

Augment parsed(std::string_view text) {
  const auto augment = parse_augment(text);
  REQUIRE_MESSAGE(augment.ok(), message(augment));
  return *augment;
}

Floats augmented(std::string_view text, const ir::Tensor& x, const std::vector<int64_t>& rows = {0},
                 int64_t epoch = 0, ThreadPool* pool = nullptr, uint64_t seed = 5) {
  ir::Tensor copy = x;
  apply_augment(parsed(text), seed, epoch, rows, copy, pool);
  const auto values = copy.values<float>();
  return {values.begin(), values.end()};
}

Floats values_of(const ir::Tensor& x) {
  const auto values = x.values<float>();
  return {values.begin(), values.end()};
}

// Every result that many samples of one image can have.
std::set<Floats> outcomes(std::string_view text, const ir::Tensor& image, int64_t samples = 200) {
  std::set<Floats> out;
  for (int64_t row = 0; row < samples; ++row) out.insert(augmented(text, image, {row}));
  return out;
}

constexpr const char* kAll =
    "flip,vflip,rotate=20,shift=0.2,crop=1,contrast=0.3,brightness=0.2,scale=0.1,noise=0.05,"
    "range=255";

}  // namespace

TEST_CASE("augment: the text names every step") {
  Augment all;
  all.flip = all.vertical_flip = true;
  all.rotate_degrees = 20;
  all.shift = 0.2f;
  all.crop = 1;
  all.contrast = 0.3f;
  all.brightness = 0.2f;
  all.scale = 0.1f;
  all.noise = 0.05f;
  all.value_range = 255;
  CHECK(parsed(kAll) == all);
  CHECK(parsed("timeshift=0.5").time_shift == 0.5f);
  CHECK_FALSE(parsed("").any());
  CHECK_FALSE(parsed("none").any());
  CHECK_FALSE(parsed("range=255,flip").value_range == 0);
}

TEST_CASE("augment: the text's errors name the nearest word and the range") {
  const auto failure = [](std::string_view text) { return message(parse_augment(text)); };
  CHECK(has(failure("flip,rotat=3"), "'rotat' is unknown; did you mean 'rotate'?"));
  CHECK(has(failure("zzzzzzz"), "known: flip, vflip"));
  CHECK(has(failure("flip=1"), "takes no value"));
  CHECK(has(failure("shift"), "expected a number from 0 to 1, found ''"));
  CHECK(has(failure("shift=2"), "from 0 to 1, found '2'"));
  CHECK(has(failure("noise=-1"), "found '-1'"));
  CHECK(has(failure("noise=nan"), "found 'nan'"));
  CHECK(has(failure("crop=1.5"), "whole pixels"));
  CHECK(has(failure("flip,"), "'' is unknown"));
}

TEST_CASE("augment: checks the rank") {
  CHECK(check_augment(parsed("flip"), Shape{28, 28, 1}).ok());
  CHECK(has(message(check_augment(parsed("flip"), Shape{28, 28})), "found (28, 28)"));
  CHECK(check_augment(parsed("timeshift=0.1"), Shape{100}).ok());
  CHECK_FALSE(check_augment(parsed("timeshift=0.1"), Shape{28, 28, 1}).ok());
  CHECK(check_augment(parsed("noise=0.1,scale=0.1"), Shape{3}).ok());
}

TEST_CASE("augment: flips mirror rows and columns") {
  // 1 2 3 / 4 5 6
  const ir::Tensor image = iota<float>(Shape{1, 2, 3, 1}, 1);
  CHECK(outcomes("flip", image) == std::set<Floats>{{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}});
  CHECK(outcomes("vflip", image) == std::set<Floats>{{1, 2, 3, 4, 5, 6}, {4, 5, 6, 1, 2, 3}});
  const ir::Tensor color = iota<float>(Shape{1, 1, 2, 3}, 1);  // channels stay in order
  CHECK(outcomes("flip", color) == std::set<Floats>{{1, 2, 3, 4, 5, 6}, {4, 5, 6, 1, 2, 3}});
}

TEST_CASE("augment: shift repeats the edge, crop and timeshift bring in zeros") {
  const ir::Tensor row = iota<float>(Shape{1, 1, 3, 1}, 1);
  CHECK(outcomes("shift=0.34", row) == std::set<Floats>{{1, 2, 3}, {1, 1, 2}, {2, 3, 3}});
  const ir::Tensor signal = iota<float>(Shape{1, 3}, 1);
  CHECK(outcomes("timeshift=0.34", signal) == std::set<Floats>{{1, 2, 3}, {0, 1, 2}, {2, 3, 0}});
  const auto crops = outcomes("crop=1", iota<float>(Shape{1, 2, 2, 1}, 1));
  CHECK(crops.size() == 9);
  CHECK(crops.contains(Floats{0, 0, 0, 1}));
  CHECK(crops.contains(Floats{4, 0, 0, 0}));
}

TEST_CASE("augment: a rotation keeps the centre, and is as large as it says") {
  ir::Tensor image(DType::kF32, Shape{1, 5, 5, 1});
  image.mutable_values<float>()[12] = 100;  // the centre
  image.mutable_values<float>()[14] = 50;   // the middle of the right edge
  for (const Floats& rotated : outcomes("rotate=90", image, 50)) {
    CHECK(rotated[12] == doctest::Approx(100));
  }
  // At most 10 degrees move a pixel two columns away by less than one pixel.
  for (const Floats& rotated : outcomes("rotate=10", image, 50)) {
    CHECK(rotated[9] + rotated[14] + rotated[19] > 25);
    CHECK(rotated[2] == 0);
    CHECK(rotated[22] == 0);
  }
  // The same everywhere stays the same, at every angle.
  ir::Tensor flat(DType::kF32, Shape{1, 4, 6, 2});
  for (float& v : flat.mutable_values<float>()) v = 7;
  for (const Floats& rotated : outcomes("rotate=180", flat, 20)) CHECK(rotated == values_of(flat));
}

TEST_CASE("augment: brightness, contrast and scale stay within their amounts") {
  ir::Tensor image = iota<float>(Shape{1, 4, 4, 1}, 100);
  for (const Floats& out : outcomes("brightness=0.1,range=255", image)) {
    const float delta = out[0] - 100;
    CHECK(std::abs(delta) <= 25.5f);
    for (size_t i = 0; i < out.size(); ++i)
      CHECK(out[i] == doctest::Approx(100 + static_cast<float>(i) + delta));
  }
  for (const Floats& out : outcomes("contrast=0.5", image)) {
    // The mean 107.5 stays, the spread of 15 becomes 7.5 to 22.5.
    CHECK(std::accumulate(out.begin(), out.end(), 0.f) == doctest::Approx(16 * 107.5));
    CHECK(out[15] - out[0] >= 7.49f);
    CHECK(out[15] - out[0] <= 22.51f);
  }
  for (const Floats& out : outcomes("scale=0.2", image)) {
    CHECK(out[0] >= 79.99f);
    CHECK(out[0] <= 120.01f);
  }
}

TEST_CASE("augment: results are clipped to a known range only") {
  ir::Tensor image(DType::kF32, Shape{1, 8, 8, 1});
  const auto low = [](const Floats& v) { return *std::min_element(v.begin(), v.end()); };
  CHECK(low(augmented("noise=0.5,range=255", image)) == 0);
  CHECK(low(augmented("noise=0.5", image)) < 0);
}

TEST_CASE("augment: noise has the deviation that was asked for") {
  const ir::Tensor signal(DType::kF32, Shape{1, 20000});
  const Floats out = augmented("noise=0.25", signal);
  double sum = 0;
  double squares = 0;
  for (const float v : out) {
    sum += v;
    squares += v * v;
  }
  // Standard errors: 0.25 / sqrt(20000) = 0.0018 and 0.25 / sqrt(40000) = 0.0013; four of each.
  CHECK(std::abs(sum / 20000) < 0.0072);
  CHECK(std::abs(std::sqrt(squares / 20000) - 0.25) < 0.005);
}

TEST_CASE("augment: depends on seed, epoch and row, not on batch or threads") {
  const ir::Tensor images = iota<float>(Shape{8, 6, 6, 1});
  const std::vector<int64_t> rows{10, 11, 12, 13, 14, 15, 16, 17};
  const Floats base = augmented(kAll, images, rows);
  CHECK(augmented(kAll, images, rows) == base);
  ThreadPool pool(3);
  CHECK(augmented(kAll, images, rows, 0, &pool) == base);
  CHECK(augmented(kAll, images, rows, 1) != base);
  CHECK(augmented(kAll, images, rows, 0, nullptr, 6) != base);
  // Sample 3 alone gives what it gives in the batch.
  ir::Tensor one(DType::kF32, Shape{1, 6, 6, 1});
  std::copy_n(images.values<float>().data() + 3 * 36, 36, one.mutable_values<float>().data());
  const Floats alone = augmented(kAll, one, {13});
  CHECK(alone == Floats(base.begin() + 3 * 36, base.begin() + 4 * 36));
}

}  // namespace ew::train
