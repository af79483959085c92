#include <bit>
#include <cstring>

#include "agent/payload_decoder.h"
#include "agent/value.h"
#include "host/yaml.h"

namespace ew::agent {
namespace {

using Type = BinaryField::Type;

constexpr const char* kTypes[] = {"u8",  "i8",  "u16", "i16", "u32",
                                  "i32", "u64", "i64", "f32", "f64"};
constexpr const char* kOrders[] = {"little", "big"};

constexpr WordDef kWords[] = {
    {.name = "name", .help = "the field it becomes", .is_required = true},
    {.name = "type",
     .kind = WordKind::kChoice,
     .help = "of the number",
     .is_required = true,
     .choices = kTypes},
    {.name = "at",
     .kind = WordKind::kInteger,
     .help = "byte from the start; without it, behind the field before",
     .min = 0,
     .max = 1 << 28},
    {.name = "count",
     .kind = WordKind::kInteger,
     .help = "numbers in a row, as a list; 0: all that are left",
     .fallback = "1",
     .min = 0,
     .max = 1 << 24},
    {.name = "order",
     .kind = WordKind::kChoice,
     .help = "of bytes",
     .fallback = "little",
     .choices = kOrders},
    {.name = "scale", .kind = WordKind::kNumber, .help = "factor", .fallback = "1"},
    {.name = "offset",
     .kind = WordKind::kNumber,
     .help = "added behind the factor",
     .fallback = "0"},
};

size_t width_of(Type type) {
  constexpr size_t kWidths[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
  return kWidths[static_cast<size_t>(type)];
}

double number_at(const BinaryField& field, const char* bytes) {
  const size_t width = width_of(field.type);
  uint64_t bits = 0;
  for (size_t i = 0; i < width; ++i) {
    const size_t from = field.is_big_endian ? i : width - 1 - i;
    bits = bits << 8U | static_cast<uint8_t>(bytes[from]);
  }
  switch (field.type) {
    case Type::kI8:
      return static_cast<int8_t>(bits);
    case Type::kI16:
      return static_cast<int16_t>(bits);
    case Type::kI32:
      return static_cast<int32_t>(bits);
    case Type::kI64:
      return static_cast<double>(static_cast<int64_t>(bits));
    case Type::kF32:
      return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    case Type::kF64:
      return std::bit_cast<double>(bits);
    default:
      return static_cast<double>(bits);
  }
}

class BinaryDecoder final : public PayloadDecoder {
 public:
  explicit BinaryDecoder(std::vector<BinaryField> fields) : fields_(std::move(fields)) {}

  Status decode(std::string_view, std::string_view payload, std::string& json) override {
    size_t at = 0;
    char before = '{';
    for (const BinaryField& field : fields_) {
      if (field.offset >= 0) at = static_cast<size_t>(field.offset);
      const size_t width = width_of(field.type);
      const size_t left = at > payload.size() ? 0 : (payload.size() - at) / width;
      const size_t count = field.count == 0 ? left : static_cast<size_t>(field.count);
      if (count > left || (count == 0 && field.count != 0)) {
        return invalid_data("field '", field.name, "' ends at byte ", at + width * count,
                            ", the payload has ", payload.size());
      }
      json += before;
      before = ',';
      append_json_text(json, field.name);
      json += ':';
      append_numbers(json, field, payload.substr(at, width * count), count);
      at += width * count;
    }
    json += '}';
    return {};
  }

 private:
  static void append_numbers(std::string& json, const BinaryField& field, std::string_view bytes,
                             size_t count) {
    if (field.count != 1) json += '[';
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) json += ',';
      const double raw = number_at(field, bytes.data() + i * width_of(field.type));
      append_json_number(json, raw * field.scale + field.add);
    }
    if (field.count != 1) json += ']';
  }

  std::vector<BinaryField> fields_;
};

}  // namespace

std::span<const WordDef> binary_field_words() { return kWords; }

Result<std::vector<BinaryField>> read_layout(const host::YamlNode& list) {
  std::vector<BinaryField> fields;
  for (const host::YamlNode& node : list.list) {
    const Settings s(&node, kWords);
    BinaryField field;
    field.name = s.text("name");
    const std::string type = s.text("type");
    for (size_t i = 0; i < std::size(kTypes); ++i) {
      if (type == kTypes[i]) field.type = static_cast<Type>(i);
    }
    if (s.has("at")) field.offset = s.integer("at");
    field.count = s.integer("count");
    field.is_big_endian = s.text("order") == "big";
    field.scale = s.number("scale");
    field.add = s.number("offset");
    fields.push_back(std::move(field));
  }
  if (fields.empty()) return list.error("expected one field or more");
  return fields;
}

std::unique_ptr<PayloadDecoder> make_binary_decoder(std::vector<BinaryField> fields) {
  return std::make_unique<BinaryDecoder>(std::move(fields));
}

}  // namespace ew::agent
