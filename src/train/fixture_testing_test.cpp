#include "train/fixture_testing.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

namespace ew::train {
namespace {

using Json = nlohmann::json;

std::string read_file(const std::string& path) {
  const std::string full = std::string(EW_SOURCE_DIR "/tests/oracle/") + path;
  std::ifstream in(full, std::ios::binary);
  REQUIRE_MESSAGE(in.good(), full);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Config to_config(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    Config list = Config::list();
    for (const Json& item : json) list.push_back(to_config(item));
    return list;
  }
  if (json.is_object()) {
    Config map = Config::map();
    for (const auto& [key, value] : json.items()) map.set(key, to_config(value));
    return map;
  }
  return Config();
}

void flatten(const Config& value, std::vector<float>& out) {
  if (!value.is_list()) {
    out.push_back(static_cast<float>(value.as_double()));
    return;
  }
  for (const Config& item : value.as_list()) flatten(item, out);
}

}  // namespace

Config parse_json(const std::string& text) { return to_config(Json::parse(text)); }
Config read_fixture_json(const std::string& path) { return parse_json(read_file(path)); }

ir::Tensor read_fixture_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  REQUIRE(bytes.compare(0, 6, "\x93NUMPY") == 0);
  const size_t header_size = static_cast<unsigned char>(bytes[8]) +
                             (static_cast<size_t>(static_cast<unsigned char>(bytes[9])) << 8);
  const std::string header = bytes.substr(10, header_size);
  REQUIRE(header.find("'fortran_order': False") != std::string::npos);
  const DType dtype = header.find("'<i4'") != std::string::npos ? DType::kI32 : DType::kF32;
  std::vector<int64_t> dims;
  std::istringstream shape(header.substr(header.find("'shape': (") + 10));
  for (int64_t dim = 0; shape >> dim;) {
    dims.push_back(dim);
    shape.ignore(1);
  }
  ir::Tensor tensor(dtype, Shape(dims));
  REQUIRE(bytes.size() == 10 + header_size + tensor.size_bytes());
  std::memcpy(tensor.mutable_data(), bytes.data() + 10 + header_size, tensor.size_bytes());
  return tensor;
}

std::vector<float> flat_floats(const Config& list) {
  std::vector<float> out;
  flatten(list, out);
  return out;
}

Shape shape_of(const Config& list) {
  std::vector<int64_t> dims;
  for (const Config* at = &list; at->is_list(); at = &at->as_list()[0]) {
    dims.push_back(static_cast<int64_t>(at->as_list().size()));
    if (at->as_list().empty()) break;
  }
  return Shape(dims);
}

ir::Tensor to_tensor(const Config& list) {
  return ir::Tensor::from(flat_floats(list), shape_of(list));
}

bool is_near(double a, double b, double relative, double absolute) {
  return std::abs(a - b) <= absolute + relative * std::abs(b);
}

double worst_ratio(const std::vector<float>& a, const std::vector<float>& b, double relative,
                   double absolute) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    const double ratio = error / (absolute + relative * std::abs(static_cast<double>(b[i])));
    worst = std::isnan(ratio) ? std::numeric_limits<double>::infinity() : std::max(worst, ratio);
  }
  return worst;
}

TEST_CASE("fixture helper: reads nested lists with their shape") {
  const ir::Tensor t = to_tensor(parse_json("[[1, 2, 3], [4, 5, 6.5]]"));
  CHECK(t.shape() == Shape{2, 3});
  CHECK(t.values<float>()[5] == 6.5f);
}

}  // namespace ew::train
