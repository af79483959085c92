#include "formats/keras/names.h"

#include <cctype>

namespace ew::formats {
namespace {

bool is_upper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
bool is_lower(char c) { return std::islower(static_cast<unsigned char>(c)) != 0; }

// re.sub("(.)([A-Z][a-z]+)", r"\1_\2", text): a break before every capitalised word.
std::string break_before_words(std::string_view text) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    if (i + 2 < text.size() && is_upper(text[i + 1]) && is_lower(text[i + 2])) {
      size_t end = i + 3;
      while (end < text.size() && is_lower(text[end])) ++end;
      out += text[i];
      out += '_';
      out += text.substr(i + 1, end - i - 1);
      i = end;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace

std::string to_snake_case(std::string_view class_name) {
  const std::string words = break_before_words(class_name);
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0 && is_upper(words[i]) && is_lower(words[i - 1])) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(words[i])));
  }
  return out;
}

Result<DTypePolicy> parse_dtype_policy(const Config& dtype) {
  if (dtype.is_null()) return DTypePolicy{};
  const Config* name = &dtype;
  if (dtype.is_map()) {
    const std::string& kind = dtype["class_name"].as_string();
    if (kind != "DTypePolicy" && kind != "Policy" && kind != "PolicyV1") {
      return unsupported("dtype policy '", kind, "' is not supported");
    }
    name = &dtype["config"]["name"];
  }
  if (!name->is_string()) {
    return invalid_data("dtype: expected a name or a policy, found a ", name->kind_name());
  }
  const std::string& text = name->as_string();
  if (text == "mixed_float16") return DTypePolicy{DType::kF32, DType::kF16};
  if (text == "mixed_bfloat16") return DTypePolicy{DType::kF32, DType::kBF16};
  EW_TRY(const DType parsed, parse_dtype(text));
  return DTypePolicy{parsed, parsed};
}

}  // namespace ew::formats
