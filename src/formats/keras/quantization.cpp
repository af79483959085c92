#include "formats/keras/quantization.h"

#include <bit>
#include <cmath>

namespace ew::formats {
namespace {

struct ProfileName {
  ir::Int8Profile profile;
  const char* name;
};
constexpr ProfileName kProfiles[] = {{ir::Int8Profile::kTflm, "tflm"},
                                     {ir::Int8Profile::kLitertRef, "litert-ref"},
                                     {ir::Int8Profile::kXnnpack, "xnnpack"}};

Result<ir::QuantParams> params_from_config(const Config& entry) {
  ir::QuantParams out;
  EW_TRY(const int64_t axis, entry.get_int("axis", -1));
  EW_TRY(const std::vector<int64_t> bits, entry.get_ints("scale_bits", {}));
  EW_TRY(const std::vector<int64_t> zeros, entry.get_ints("zero_points", {}));
  if (bits.empty() || bits.size() != zeros.size() || axis < -1 || axis > 7 ||
      (axis == -1 && bits.size() != 1)) {
    return invalid_data("expected as many scales as zero points, found ", bits.size(), " and ",
                        zeros.size(), " along axis ", axis);
  }
  out.axis = static_cast<int>(axis);
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] < 0 || bits[i] > 0xffffffff || zeros[i] < INT32_MIN || zeros[i] > INT32_MAX) {
      return invalid_data("a scale or zero point beyond 32 bits");
    }
    const float scale = std::bit_cast<float>(static_cast<uint32_t>(bits[i]));
    if (!std::isfinite(scale) || scale <= 0)
      return invalid_data("scale ", scale, " is not positive");
    out.scales.push_back(scale);
    out.zero_points.push_back(static_cast<int32_t>(zeros[i]));
  }
  return out;
}

}  // namespace

Config quantization_to_config(const ir::QuantizationRecord& record) {
  Config values = Config::map();
  for (const auto& [name, params] : record.values) {
    Config bits = Config::list();
    Config zeros = Config::list();
    for (const float scale : params.scales) {
      bits.push_back(static_cast<int64_t>(std::bit_cast<uint32_t>(scale)));
    }
    for (const int32_t zero : params.zero_points) zeros.push_back(static_cast<int64_t>(zero));
    Config entry = Config::map();
    entry.set("axis", params.axis);
    entry.set("scale_bits", std::move(bits));
    entry.set("zero_points", std::move(zeros));
    values.mutable_map().emplace_back(name, std::move(entry));
  }
  Config out = Config::map();
  for (const ProfileName& row : kProfiles) {
    if (row.profile == record.profile) out.set("profile", row.name);
  }
  out.set("values", std::move(values));
  return out;
}

Result<ir::QuantizationRecord> quantization_from_config(const Config& config) {
  ir::QuantizationRecord out;
  const std::string& profile = config["profile"].as_string();
  bool is_known = false;
  for (const ProfileName& row : kProfiles) {
    if (profile != row.name) continue;
    out.profile = row.profile;
    is_known = true;
  }
  if (!is_known) return invalid_data("unknown int8 profile '", profile, "'");
  if (!config["values"].is_map()) return invalid_data("values is no map");
  for (const auto& [name, entry] : config["values"].as_map()) {
    Result<ir::QuantParams> params = params_from_config(entry);
    if (!params.ok()) return at(name, params.error());
    out.values.emplace(name, std::move(*params));
  }
  return out;
}

}  // namespace ew::formats
