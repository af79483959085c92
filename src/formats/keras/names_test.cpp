#include "formats/keras/names.h"

#include <doctest/doctest.h>

#include "formats/json.h"

namespace ew::formats {
namespace {

TEST_CASE("keras names: container names follow Keras' two regular expressions") {
  CHECK(to_snake_case("Dense") == "dense");
  CHECK(to_snake_case("Conv2D") == "conv2d");
  CHECK(to_snake_case("Conv2DTranspose") == "conv2d_transpose");
  CHECK(to_snake_case("DepthwiseConv2D") == "depthwise_conv2d");
  CHECK(to_snake_case("LSTM") == "lstm");
  CHECK(to_snake_case("PReLU") == "p_re_lu");
  CHECK(to_snake_case("LeakyReLU") == "leaky_re_lu");
  CHECK(to_snake_case("RMSNormalization") == "rms_normalization");
  CHECK(to_snake_case("RMSprop") == "rm_sprop");
  CHECK(to_snake_case("") == "");
}

TEST_CASE("keras names: dtype policies in every spelling") {
  const auto parse = [](const char* text) { return parse_dtype_policy(*parse_json(text)); };
  CHECK(parse("null")->compute == DType::kF32);
  CHECK(parse("\"float64\"")->variable == DType::kF64);
  const auto mixed = parse(R"({"class_name":"DTypePolicy","config":{"name":"mixed_bfloat16"}})");
  REQUIRE(mixed.ok());
  CHECK(mixed->variable == DType::kF32);
  CHECK(mixed->compute == DType::kBF16);
  CHECK(parse("3").error().code == ErrorCode::kInvalidData);
  CHECK(parse("\"complex64\"").error().code == ErrorCode::kInvalidArgument);
  CHECK(parse(R"({"class_name":"QuantizedDTypePolicy","config":{"name":"int8"}})").error().code ==
        ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace ew::formats
