// The text form of augmentation: flip,rotate=15,noise=0.05
#include <charconv>
#include <cmath>

#include "train/data/augment.h"

namespace ew::train {
namespace {

struct Amount {
  const char* name;
  float Augment::* member;
  float most;
};
constexpr Amount kAmounts[] = {{"rotate", &Augment::rotate_degrees, 180},
                               {"shift", &Augment::shift, 1},
                               {"timeshift", &Augment::time_shift, 1},
                               {"contrast", &Augment::contrast, 1},
                               {"brightness", &Augment::brightness, 1},
                               {"scale", &Augment::scale, 1},
                               {"noise", &Augment::noise, 10},
                               {"range", &Augment::value_range, 1e6f}};
constexpr int kMaxCrop = 1024;

Result<float> parse_amount(const std::string& name, const std::string& text, float most) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= most)) {
    return invalid_argument("augmentation: ", name, ": expected a number from 0 to ", most,
                            ", found '", text, "'");
  }
  return value;
}

Error unknown(const std::string& name) {
  std::vector<std::string> words{"flip", "vflip", "crop", "none"};
  for (const Amount& amount : kAmounts) words.emplace_back(amount.name);
  const std::string near = nearest_word(name, words);
  return invalid_argument(
      "augmentation '", name, "' is unknown",
      near.empty() ? str("; known: ", join(words, ", ")) : str("; did you mean '", near, "'?"));
}

Status parse_step(const std::string& item, Augment& augment) {
  const size_t equals = item.find('=');
  const bool has_value = equals != std::string::npos;
  const std::string name = item.substr(0, equals);
  const std::string text = has_value ? item.substr(equals + 1) : "";
  if (name == "flip" || name == "vflip") {
    if (has_value) return invalid_argument("augmentation: ", name, " takes no value");
    (name == "flip" ? augment.flip : augment.vertical_flip) = true;
    return {};
  }
  if (name == "crop") {
    EW_TRY(const float pixels, parse_amount(name, text, kMaxCrop));
    if (pixels != std::floor(pixels)) {
      return invalid_argument("augmentation: crop: expected whole pixels, found '", text, "'");
    }
    augment.crop = static_cast<int>(pixels);
    return {};
  }
  for (const Amount& amount : kAmounts) {
    if (name != amount.name) continue;
    EW_TRY(augment.*amount.member, parse_amount(name, text, amount.most));
    return {};
  }
  return unknown(name);
}

}  // namespace

Result<Augment> parse_augment(std::string_view text) {
  Augment augment;
  if (text.empty() || text == "none") return augment;
  for (const std::string& item : split(text, ',')) EW_TRY_VOID(parse_step(item, augment));
  return augment;
}

}  // namespace ew::train
