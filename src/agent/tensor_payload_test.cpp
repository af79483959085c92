#include "agent/tensor_payload.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace ew::agent {
namespace {

TEST_CASE("tensor payload: the JSON and the elements come back") {
  const std::string json = R"({"frame":3})";
  std::string payload = encode_tensor(json, DType::kU8, 4);
  const std::vector<uint8_t> pixels{0, 1, 128, 255};
  std::ranges::copy(pixels, tensor_elements(payload, json.size()).begin());
  const auto split = split_tensor(payload);
  REQUIRE(split);
  CHECK(split->json == json);
  const auto field = parse_tensor_field(split->field);
  REQUIRE(field);
  CHECK(field->dtype == DType::kU8);
  REQUIRE(field->size() == 4);
  std::vector<float> read(4);
  read_tensor(*field, 127.5, 127.5, read);
  CHECK(read == std::vector<float>{-1, static_cast<float>((1 - 127.5) / 127.5),
                                   static_cast<float>(0.5 / 127.5), 1});
}

TEST_CASE("tensor payload: sound counts from -1 to 1, wherever it lies in memory") {
  const std::string json = "{}x";  // 3 bytes: the elements are not aligned
  std::string payload = encode_tensor(json, DType::kI16, 6);
  const int16_t samples[] = {-32768, 0, 16384};
  std::memcpy(tensor_elements(payload, json.size()).data(), samples, sizeof(samples));
  const auto field = parse_tensor_field(split_tensor(payload)->field);
  std::vector<float> read(3);
  read_tensor(*field, 0, 1, read);
  CHECK(read == std::vector<float>{-1, 0, 0.5});
}

TEST_CASE("tensor payload: bytes that are none are refused") {
  const std::string whole = encode_tensor("{}", DType::kF32, 8);
  REQUIRE(split_tensor(whole));
  // Cut inside the length, the JSON, before the type, inside an element.
  for (const size_t size : {size_t{0}, size_t{3}, size_t{5}, size_t{6}, whole.size() - 1}) {
    CHECK_MESSAGE(!split_tensor(std::string_view(whole).substr(0, size)), size);
  }
  std::string longer = whole;
  longer[0] = 100;  // a JSON beyond the end
  CHECK(!split_tensor(longer));
  std::string other = whole;
  other[6] = static_cast<char>(DType::kF64);
  CHECK(!split_tensor(other));
  CHECK(!parse_tensor_field("just a text"));
}

}  // namespace
}  // namespace ew::agent
