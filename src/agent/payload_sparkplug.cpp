// Sparkplug 3.0.0, chapter 6 (payload) and appendix "Sparkplug B protobuf"; the wire format is
// https://protobuf.dev/programming-guides/encoding.
#include <bit>
#include <map>

#include "agent/bytes_io.h"
#include "agent/payload_decoder.h"
#include "agent/value.h"

namespace ew::agent {
namespace {

constexpr size_t kMaxPeers = 10'000;   // edge nodes and devices
constexpr size_t kMaxKnown = 100'000;  // names and types of all of them together

// Field numbers of Payload and of its Metric.
enum PayloadField : uint32_t { kTimestamp = 1, kMetrics = 2, kSequence = 3 };
enum MetricField : uint32_t {
  kName = 1,
  kAlias = 2,
  kDataType = 4,
  kIsNull = 7,
  kInt = 10,
  kLong = 11,
  kFloat = 12,
  kDouble = 13,
  kBoolean = 14,
  kString = 15
};
enum DataType : uint64_t { kInt8 = 1, kInt16 = 2, kInt32 = 3, kInt64 = 4 };

struct Field {
  uint32_t number = 0;
  uint64_t value = 0;      // of varints and fixed widths
  std::string_view bytes;  // of length-delimited ones
};

// What a birth said of a sender's metrics.
struct Peer {
  std::map<uint64_t, std::string> names;  // by alias
  std::map<std::string, uint64_t, std::less<>>
      signed_types;  // by name; data messages leave them out
  size_t size() const { return names.size() + signed_types.size(); }
};

// Walks the fields of a message.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  bool next(Field& field) {
    uint64_t tag = 0;
    if (rest_.empty() || !varint(tag)) return false;
    field.number = static_cast<uint32_t>(tag >> 3U);
    switch (tag & 7U) {
      case 0:
        return varint(field.value);
      case 1:
        return fixed(8, field.value);
      case 5:
        return fixed(4, field.value);
      case 2:
        break;
      default:
        return fail();
    }
    uint64_t size = 0;
    if (!varint(size) || size > rest_.size()) return fail();
    field.bytes = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(static_cast<size_t>(size));
    return true;
  }
  bool ok() const { return is_ok_; }

 private:
  bool fail() {
    is_ok_ = false;
    return false;
  }

  bool varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return fail();
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return true;
    }
    return fail();
  }

  bool fixed(size_t width, uint64_t& value) {
    if (rest_.size() < width) return fail();
    value = 0;
    for (size_t i = width; i-- > 0;) value = value << 8U | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(width);
    return true;
  }

  std::string_view rest_;
  bool is_ok_ = true;
};

struct Metric {
  std::string_view name;
  bool has_alias = false;
  uint64_t alias = 0;
  uint64_t type = 0;
  bool is_null = false;
  Field value;  // number 0: none
};

// The number of a signed type; Sparkplug stores them as unsigned ones of 32 or 64 bits.
double integer_of(const Metric& metric) {
  const uint64_t bits = metric.value.value;
  switch (metric.type) {
    case kInt8:
      return static_cast<int8_t>(bits);
    case kInt16:
      return static_cast<int16_t>(bits);
    case kInt32:
      return static_cast<int32_t>(bits);
    case kInt64:
      return static_cast<double>(static_cast<int64_t>(bits));
    default:
      return static_cast<double>(bits);
  }
}

class SparkplugDecoder final : public PayloadDecoder {
 public:
  Status decode(std::string_view topic, std::string_view payload, std::string& json) override {
    // spBv1.0/GROUP/TYPE/NODE[/DEVICE]; the type is not part of who speaks.
    const std::vector<std::string> levels = split(topic, '/');
    const bool is_birth = levels.size() > 3 && levels[2].ends_with("BIRTH");
    Peer* peer = levels.size() > 3 ? peer_of(levels, is_birth) : nullptr;
    json += '{';
    Fields fields(payload);
    bool is_first = true;
    for (Field field; fields.next(field); field = {}) {
      if (field.number == kMetrics) {
        EW_TRY_VOID(metric(field.bytes, is_birth, peer, is_first, json));
      } else if (field.number == kTimestamp || field.number == kSequence) {
        name(field.number == kTimestamp ? "timestamp" : "seq", is_first, json);
        append_json_number(json, static_cast<double>(field.value));
      }
    }
    if (!fields.ok()) return invalid_data("Sparkplug: the payload is cut short or damaged");
    json += '}';
    return {};
  }

  void save(ByteWriter& out) const override {
    out.put(static_cast<uint32_t>(peers_.size()));
    for (const auto& [id, peer] : peers_) {
      out.put_text(id);
      out.put(static_cast<uint32_t>(peer.names.size()));
      for (const auto& [alias, text] : peer.names) {
        out.put(alias);
        out.put_text(text);
      }
      out.put(static_cast<uint32_t>(peer.signed_types.size()));
      for (const auto& [text, type] : peer.signed_types) {
        out.put_text(text);
        out.put(type);
      }
    }
  }

  bool load(ByteReader& in) override {
    for (size_t peers = in.get_count(12); peers-- > 0;) {
      Peer& peer = peers_[std::string(in.get_text())];
      for (size_t count = in.get_count(12); count-- > 0;) {
        const auto alias = in.get<uint64_t>();
        peer.names.emplace(alias, in.get_text());
      }
      for (size_t count = in.get_count(12); count-- > 0;) {
        std::string text(in.get_text());
        peer.signed_types.emplace(std::move(text), in.get<uint64_t>());
      }
      known_ += peer.size();
    }
    return in.ok();
  }

 private:
  // A birth makes everything that its sender said before void.
  Peer* peer_of(const std::vector<std::string>& levels, bool is_birth) {
    std::string id = levels[1] + '/' + levels[3];
    if (levels.size() > 4) id += '/' + levels[4];
    const auto found = peers_.find(id);
    if (found != peers_.end()) {
      if (is_birth) {
        known_ -= found->second.size();
        found->second = {};
      }
      return &found->second;
    }
    if (!is_birth || peers_.size() >= kMaxPeers) return nullptr;
    return &peers_[id];
  }

  void learn(const Metric& m, Peer& peer) {
    if (known_ >= kMaxKnown) return;
    known_ -= peer.size();
    if (m.has_alias) peer.names.insert_or_assign(m.alias, m.name);
    if (m.type >= kInt8 && m.type <= kInt64)
      peer.signed_types.insert_or_assign(std::string(m.name), m.type);
    known_ += peer.size();
  }

  // Name and type that a data message leaves to the birth.
  static void complete(Metric& m, const Peer* peer, std::string& unknown) {
    if (m.name.empty() && m.has_alias) {
      unknown = str("alias:", m.alias);
      m.name = unknown;
      if (peer != nullptr) {
        const auto found = peer->names.find(m.alias);
        if (found != peer->names.end()) m.name = found->second;
      }
    }
    if (m.type != 0 || peer == nullptr) return;
    const auto found = peer->signed_types.find(m.name);
    if (found != peer->signed_types.end()) m.type = found->second;
  }

  static void name(std::string_view text, bool& is_first, std::string& json) {
    if (!is_first) json += ',';
    is_first = false;
    append_json_text(json, text);
    json += ':';
  }

  static bool read(std::string_view bytes, Metric& metric) {
    Fields fields(bytes);
    for (Field field; fields.next(field); field = {}) {
      switch (field.number) {
        case kName:
          metric.name = field.bytes;
          break;
        case kAlias:
          metric.has_alias = true;
          metric.alias = field.value;
          break;
        case kDataType:
          metric.type = field.value;
          break;
        case kIsNull:
          metric.is_null = field.value != 0;
          break;
        case kInt:
        case kLong:
        case kFloat:
        case kDouble:
        case kBoolean:
        case kString:
          metric.value = field;
          break;
        default:
          break;
      }
    }
    return fields.ok();
  }

  Status metric(std::string_view bytes, bool is_birth, Peer* peer, bool& is_first,
                std::string& json) {
    Metric m;
    if (!read(bytes, m)) return invalid_data("Sparkplug: a metric is cut short or damaged");
    if (is_birth && peer != nullptr) learn(m, *peer);
    std::string unknown;
    complete(m, peer, unknown);
    if (m.name.empty() || (m.value.number == 0 && !m.is_null)) return {};
    name(m.name, is_first, json);
    append_value(m, json);
    return {};
  }

  static void append_value(const Metric& m, std::string& json) {
    if (m.is_null) {
      json += "null";
      return;
    }
    switch (m.value.number) {
      case kFloat:
        append_json_number(
            json, static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(m.value.value))));
        break;
      case kDouble:
        append_json_number(json, std::bit_cast<double>(m.value.value));
        break;
      case kBoolean:
        json += m.value.value != 0 ? "true" : "false";
        break;
      case kString:
        append_json_text(json, m.value.bytes);
        break;
      default:
        append_json_number(json, integer_of(m));
    }
  }

  std::map<std::string, Peer> peers_;
  size_t known_ = 0;  // names and types of all peers
};

}  // namespace

std::unique_ptr<PayloadDecoder> make_sparkplug_decoder() {
  return std::make_unique<SparkplugDecoder>();
}

}  // namespace ew::agent
