#include <bit>
#include <cmath>

#include "agent/payload_decoder.h"
#include "agent/value.h"

namespace ew::agent {
namespace {

constexpr int kMaxDepth = 32;

enum Major : uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kSimple };

// One data item's head (RFC 8949, section 3).
struct Head {
  Major major = kUnsigned;
  uint8_t info = 0;
  uint64_t value = 0;
  bool is_open = false;  // indefinite length
};

constexpr uint8_t kBreak = 0xFF;

float half_to_float(uint64_t bits) {
  const auto exponent = static_cast<int>(bits >> 10U & 0x1FU);
  const auto mantissa = static_cast<float>(bits & 0x3FFU);
  float value = 0;
  if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else if (exponent == 31) {
    value = mantissa == 0 ? INFINITY : NAN;
  } else {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  }
  return (bits & 0x8000U) != 0 ? -value : value;
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out += '"';
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8U | (k < n ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  out += '"';
}

class Parser {
 public:
  Parser(std::string_view in, std::string& out) : in_(in), out_(out) {}

  Status parse() {
    EW_TRY(Head head, read_head());
    while (head.major == kTag) {
      EW_TRY(head, read_head());
    }
    if (head.major != kMap) return wrong("expected a map");
    EW_TRY_VOID(item(head, 0));
    if (at_ != in_.size()) return wrong("expected the end");
    return {};
  }

 private:
  Error wrong(const std::string& what) const {
    return invalid_data("CBOR: ", what, " at byte ", at_);
  }

  Result<Head> read_head() {
    if (at_ >= in_.size()) return wrong("it ends early");
    const auto first = static_cast<uint8_t>(in_[at_++]);
    Head head{static_cast<Major>(first >> 5U), static_cast<uint8_t>(first & 31U), 0, false};
    if (head.info < 24) {
      head.value = head.info;
    } else if (head.info < 28) {
      const size_t width = size_t{1} << (head.info - 24U);
      if (in_.size() - at_ < width) return wrong("it ends early");
      for (size_t i = 0; i < width; ++i) {
        head.value = head.value << 8U | static_cast<uint8_t>(in_[at_++]);
      }
    } else if (head.info == 31 && head.major >= kBytes && head.major <= kMap) {
      head.is_open = true;
    } else {
      return wrong("a reserved length");
    }
    return head;
  }

  bool at_break() {
    if (at_ >= in_.size() || static_cast<uint8_t>(in_[at_]) != kBreak) return false;
    ++at_;
    return true;
  }

  Status item(Head head, int depth) {
    if (depth > kMaxDepth) return wrong(str("more than ", kMaxDepth, " levels"));
    switch (head.major) {
      case kUnsigned:
        str_detail::append(out_, static_cast<unsigned long long>(head.value));
        return {};
      case kNegative:
        append_json_number(out_, -1.0 - static_cast<double>(head.value));
        return {};
      case kBytes:
      case kText:
        return string(head);
      case kArray:
        return array(head, depth);
      case kMap:
        return map(head, depth);
      case kTag:
        return next(depth + 1);
      case kSimple:
        return simple(head);
    }
    return {};
  }

  Status next(int depth) {
    EW_TRY(const Head head, read_head());
    return item(head, depth);
  }

  // The bytes of a string, its chunks put together.
  Result<std::string> bytes_of(const Head& head) {
    if (!head.is_open) return chunk(head);
    std::string all;
    while (!at_break()) {
      EW_TRY(const Head part, read_head());
      if (part.major != head.major || part.is_open) return wrong("expected a chunk of the string");
      EW_TRY(const std::string bytes, chunk(part));
      all += bytes;
    }
    return all;
  }

  Result<std::string> chunk(const Head& head) {
    if (head.value > in_.size() - at_) return wrong("a string beyond the end");
    const auto size = static_cast<size_t>(head.value);
    at_ += size;
    return std::string(in_.substr(at_ - size, size));
  }

  Status string(const Head& head) {
    EW_TRY(const std::string bytes, bytes_of(head));
    if (head.major == kText) {
      append_json_text(out_, bytes);
    } else {
      append_base64(out_, bytes);
    }
    return {};
  }

  Status array(const Head& head, int depth) {
    out_ += '[';
    for (uint64_t i = 0; head.is_open ? !at_break() : i < head.value; ++i) {
      if (i > 0) out_ += ',';
      EW_TRY_VOID(next(depth + 1));
    }
    out_ += ']';
    return {};
  }

  Status map(const Head& head, int depth) {
    out_ += '{';
    for (uint64_t i = 0; head.is_open ? !at_break() : i < head.value; ++i) {
      if (i > 0) out_ += ',';
      EW_TRY_VOID(key());
      out_ += ':';
      EW_TRY_VOID(next(depth + 1));
    }
    out_ += '}';
    return {};
  }

  Status key() {
    EW_TRY(const Head head, read_head());
    if (head.major == kText) return string(head);
    if (head.major != kUnsigned && head.major != kNegative) {
      return wrong("expected a text or an integer as key");
    }
    append_json_text(out_, head.major == kUnsigned
                               ? str(head.value)
                               : str("-", head.value == UINT64_MAX ? head.value : head.value + 1));
    return {};
  }

  Status simple(const Head& head) {
    if (head.info == 20 || head.info == 21) {
      out_ += head.info == 21 ? "true" : "false";
    } else if (head.info == 25) {
      append_json_number(out_, static_cast<double>(half_to_float(head.value)));
    } else if (head.info == 26) {
      append_json_number(
          out_, static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(head.value))));
    } else if (head.info == 27) {
      append_json_number(out_, std::bit_cast<double>(head.value));
    } else {
      out_ += "null";  // null, undefined and values that nobody has assigned
    }
    return {};
  }

  std::string_view in_;
  std::string& out_;
  size_t at_ = 0;
};

class CborDecoder final : public PayloadDecoder {
 public:
  Status decode(std::string_view, std::string_view payload, std::string& json) override {
    return Parser(payload, json).parse();
  }
};

}  // namespace

std::unique_ptr<PayloadDecoder> make_cbor_decoder() { return std::make_unique<CborDecoder>(); }

}  // namespace ew::agent
