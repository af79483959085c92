#include <algorithm>

#include "base/utf8.h"
#include "host/mqtt_codec.h"

namespace ew::host {
namespace {

constexpr MqttFault kShort = "ends early";
constexpr MqttFault kTrailing = "has bytes behind its end";
constexpr MqttFault kBadText = "text is no UTF-8 that MQTT allows";
constexpr MqttFault kBadFlags = "reserved bits are set";
constexpr MqttFault kBadProperty = "a property is malformed, repeated, or not of this packet";

enum class Kind : uint8_t { kNone, kByte, kTwo, kFour, kVariable, kText, kBinary, kPair };

struct PropertyDef {
  Kind kind = Kind::kNone;
  uint16_t packets = 0;  // bit n: packet type n; bit 0: the will in CONNECT
};

constexpr uint16_t bit(MqttType type) {
  return static_cast<uint16_t>(1u << static_cast<int>(type));
}
constexpr uint16_t kWillBit = 1;
constexpr uint16_t kAllPackets = 0xFFFF;

constexpr std::array<PropertyDef, 43> make_properties() {
  using enum MqttType;
  constexpr uint16_t kMessage = bit(kPublish) | kWillBit;
  constexpr uint16_t kOpening = bit(kConnect) | bit(kConnack);
  constexpr uint16_t kReasoned = bit(kConnack) | bit(kPuback) | bit(kPubrec) | bit(kPubrel) |
                                 bit(kPubcomp) | bit(kSuback) | bit(kUnsuback) | bit(kDisconnect) |
                                 bit(kAuth);
  std::array<PropertyDef, 43> table{};
  table[1] = {Kind::kByte, kMessage};
  table[2] = {Kind::kFour, kMessage};
  table[3] = {Kind::kText, kMessage};
  table[8] = {Kind::kText, kMessage};
  table[9] = {Kind::kBinary, kMessage};
  table[11] = {Kind::kVariable, bit(kPublish) | bit(kSubscribe)};
  table[17] = {Kind::kFour, kOpening | bit(kDisconnect)};
  table[18] = {Kind::kText, bit(kConnack)};
  table[19] = {Kind::kTwo, bit(kConnack)};
  table[21] = {Kind::kText, kOpening | bit(kAuth)};
  table[22] = {Kind::kBinary, kOpening | bit(kAuth)};
  table[23] = {Kind::kByte, bit(kConnect)};
  table[24] = {Kind::kFour, kWillBit};
  table[25] = {Kind::kByte, bit(kConnect)};
  table[26] = {Kind::kText, bit(kConnack)};
  table[28] = {Kind::kText, bit(kConnack) | bit(kDisconnect)};
  table[31] = {Kind::kText, kReasoned};
  table[33] = {Kind::kTwo, kOpening};
  table[34] = {Kind::kTwo, kOpening};
  table[35] = {Kind::kTwo, bit(kPublish)};
  table[36] = {Kind::kByte, bit(kConnack)};
  table[37] = {Kind::kByte, bit(kConnack)};
  table[38] = {Kind::kPair, kAllPackets};
  table[39] = {Kind::kFour, kOpening};
  table[40] = {Kind::kByte, bit(kConnack)};
  table[41] = {Kind::kByte, bit(kConnack)};
  table[42] = {Kind::kByte, bit(kConnack)};
  return table;
}
constexpr std::array<PropertyDef, 43> kProperties = make_properties();

/// Takes fields from the front; once something is missing, everything is.
class Cursor {
 public:
  explicit Cursor(Bytes bytes) : left_(bytes) {}

  bool is_ok() const { return is_ok_; }
  size_t size() const { return left_.size(); }
  Bytes take(size_t count) {
    if (count > left_.size()) {
      is_ok_ = false;
      left_ = {};
      return {};
    }
    const Bytes out = left_.first(count);
    left_ = left_.subspan(count);
    return out;
  }
  uint8_t byte() {
    const Bytes b = take(1);
    return b.empty() ? uint8_t{0} : b[0];
  }
  uint16_t two() {
    const Bytes b = take(2);
    return b.empty() ? uint16_t{0} : load_be16(b.data());
  }
  uint32_t four() {
    const Bytes b = take(4);
    return b.empty() ? 0 : load_be32(b.data());
  }
  /// 1.5.5: at most four bytes, the shortest form not demanded of others.
  uint32_t variable() {
    uint32_t value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      const uint8_t b = byte();
      value |= static_cast<uint32_t>(b & 0x7F) << shift;
      if ((b & 0x80) == 0) return value;
    }
    is_ok_ = false;
    return 0;
  }
  Bytes binary() { return take(two()); }
  std::string_view text() { return as_text(binary()); }
  Bytes rest() { return take(left_.size()); }

 private:
  Bytes left_;
  bool is_ok_ = true;
};

bool check_value(Kind kind, Cursor& in) {
  switch (kind) {
    case Kind::kByte:
      return in.byte() <= 1;  // all of them are flags, QoS included: 36 says 0 or 1
    case Kind::kTwo:
      in.two();
      return true;
    case Kind::kFour:
      in.four();
      return true;
    case Kind::kVariable:
      return in.variable() != 0;
    case Kind::kText:
      return is_mqtt_text(in.text());
    case Kind::kBinary:
      in.binary();
      return true;
    case Kind::kPair: {
      const bool is_name = is_mqtt_text(in.text());
      return is_mqtt_text(in.text()) && is_name;
    }
    case Kind::kNone:
      break;
  }
  return false;
}

/// Takes length and properties, and checks each against the table.
MqttFault take_properties(Cursor& in, uint16_t packet, MqttProperties& out) {
  const Bytes bytes = in.take(in.variable());
  if (!in.is_ok()) return kShort;
  out = MqttProperties(bytes);
  Cursor each(bytes);
  uint64_t seen = 0;
  while (each.size() > 0) {
    const uint8_t id = each.byte();
    if (id >= kProperties.size() || (kProperties[id].packets & packet) == 0) return kBadProperty;
    const bool may_repeat = id == 38 || (id == 11 && packet == bit(MqttType::kPublish));
    if (!may_repeat && (seen >> id & 1) != 0) return kBadProperty;
    seen |= uint64_t{1} << id;
    if (!check_value(kProperties[id].kind, each) || !each.is_ok()) return kBadProperty;
  }
  return nullptr;
}

/// Walks checked properties; visit(id, kind, cursor) must take the value.
template <typename Visit>
void walk(Bytes bytes, const Visit& visit) {
  Cursor in(bytes);
  while (in.size() > 0 && in.is_ok()) {
    const uint8_t id = in.byte();
    if (id >= kProperties.size() || !visit(id, kProperties[id].kind, in)) return;
  }
}

MqttFault finish(const Cursor& in) {
  if (!in.is_ok()) return kShort;
  return in.size() > 0 ? kTrailing : nullptr;
}

}  // namespace

bool is_mqtt_text(std::string_view text) {
  return text.size() <= 65535 && text.find('\0') == std::string_view::npos &&
         find_malformed_utf8(text) == text.size();
}

bool is_mqtt_topic(std::string_view text) {
  return !text.empty() && text.find_first_of("+#") == std::string_view::npos && is_mqtt_text(text);
}

MqttFrameResult parse_mqtt_frame(Bytes bytes, MqttFrame& frame) {
  if (bytes.size() < 2) return MqttFrameResult::kIncomplete;
  const uint8_t type = bytes[0] >> 4;
  if (type == 0) return MqttFrameResult::kMalformed;
  uint32_t size = 0;
  for (size_t i = 1; i <= 4; ++i) {
    if (i >= bytes.size()) return MqttFrameResult::kIncomplete;
    size |= static_cast<uint32_t>(bytes[i] & 0x7F) << (7 * (i - 1));
    if ((bytes[i] & 0x80) != 0) continue;
    frame = {static_cast<MqttType>(type), static_cast<uint8_t>(bytes[0] & 0x0F), i + 1, size};
    return MqttFrameResult::kWhole;
  }
  return MqttFrameResult::kMalformed;
}

std::optional<uint32_t> MqttProperties::number(MqttProperty wanted) const {
  std::optional<uint32_t> found;
  walk(bytes_, [&](uint8_t id, Kind kind, Cursor& in) {
    uint32_t value = 0;
    switch (kind) {
      case Kind::kByte:
        value = in.byte();
        break;
      case Kind::kTwo:
        value = in.two();
        break;
      case Kind::kFour:
        value = in.four();
        break;
      case Kind::kVariable:
        value = in.variable();
        break;
      default:
        in.binary();
        if (kind == Kind::kPair) in.binary();
        return true;
    }
    if (id != static_cast<uint8_t>(wanted)) return true;
    found = value;
    return false;
  });
  return found;
}

namespace {

/// The value of the first text, binary or user property that `is_wanted`.
template <typename IsWanted>
std::optional<std::string_view> find_text(Bytes bytes, const IsWanted& is_wanted) {
  std::optional<std::string_view> found;
  walk(bytes, [&](uint8_t id, Kind kind, Cursor& in) {
    if (kind != Kind::kText && kind != Kind::kBinary && kind != Kind::kPair) {
      (void)check_value(kind, in);
      return true;
    }
    std::string_view value = in.text();
    std::string_view name;
    if (kind == Kind::kPair) {
      name = value;
      value = in.text();
    }
    if (!is_wanted(id, name)) return true;
    found = value;
    return false;
  });
  return found;
}

}  // namespace

std::optional<std::string_view> MqttProperties::text(MqttProperty wanted) const {
  return find_text(
      bytes_, [&](uint8_t id, std::string_view) { return id == static_cast<uint8_t>(wanted); });
}

std::optional<std::string_view> MqttProperties::user(std::string_view wanted) const {
  return find_text(bytes_, [&](uint8_t id, std::string_view name) {
    return id == static_cast<uint8_t>(MqttProperty::kUserProperty) && name == wanted;
  });
}

MqttFault parse_publish(MqttVersion version, uint8_t flags, Bytes body, MqttPublish& out) {
  Cursor in(body);
  out.qos = flags >> 1 & 3;
  out.is_retained = (flags & 1) != 0;
  out.is_duplicate = (flags & 8) != 0;
  if (out.qos == 3) return "QoS 3";
  if (out.qos == 0 && out.is_duplicate) return "a duplicate of QoS 0";
  out.topic = in.text();
  out.packet_id = out.qos > 0 ? in.two() : uint16_t{0};
  if (!in.is_ok()) return kShort;
  if (out.qos > 0 && out.packet_id == 0) return "packet id 0";
  out.properties = MqttProperties();
  if (version == MqttVersion::k5) {
    if (const MqttFault fault = take_properties(in, bit(MqttType::kPublish), out.properties)) {
      return fault;
    }
  }
  // An empty topic stands for an alias; we allow the server none.
  if (!is_mqtt_topic(out.topic)) return "topic is empty, has wildcards, or is no UTF-8";
  out.payload = in.rest();
  return nullptr;
}

MqttFault parse_ack(MqttVersion version, MqttType type, uint8_t flags, Bytes body, MqttAck& out) {
  if (flags != (type == MqttType::kPubrel ? 2 : 0)) return kBadFlags;
  Cursor in(body);
  out.packet_id = in.two();
  out.reason = 0;
  out.properties = MqttProperties();
  if (!in.is_ok()) return kShort;
  if (out.packet_id == 0) return "packet id 0";
  if (version == MqttVersion::k5 && in.size() > 0) {
    out.reason = in.byte();
    if (in.size() > 0) {
      if (const MqttFault fault = take_properties(in, bit(type), out.properties)) return fault;
    }
  }
  return finish(in);
}

MqttFault parse_connack(MqttVersion version, uint8_t flags, Bytes body, MqttConnack& out) {
  if (flags != 0) return kBadFlags;
  Cursor in(body);
  const uint8_t acknowledge = in.byte();
  if ((acknowledge & 0xFE) != 0) return kBadFlags;
  out.is_session_present = acknowledge != 0;
  out.reason = in.byte();
  out.properties = MqttProperties();
  // A server that refuses may not know which version it speaks and send no properties.
  if (version == MqttVersion::k5 && (in.size() > 0 || out.reason == 0)) {
    if (const MqttFault fault = take_properties(in, bit(MqttType::kConnack), out.properties)) {
      return fault;
    }
  }
  return finish(in);
}

MqttFault parse_suback(MqttVersion version, MqttType type, uint8_t flags, Bytes body,
                       MqttSuback& out) {
  if (flags != 0) return kBadFlags;
  Cursor in(body);
  out.packet_id = in.two();
  out.properties = MqttProperties();
  if (version == MqttVersion::k5) {
    if (const MqttFault fault = take_properties(in, bit(type), out.properties)) return fault;
  }
  out.reasons = in.rest();
  if (in.is_ok() && out.packet_id == 0) return "packet id 0";
  return finish(in);
}

MqttFault parse_reason(MqttVersion version, MqttType type, uint8_t flags, Bytes body,
                       MqttReason& out) {
  if (flags != 0) return kBadFlags;
  Cursor in(body);
  out = {};
  if (version == MqttVersion::k5 && in.size() > 0) {
    out.reason = in.byte();
    if (in.size() > 0) {
      if (const MqttFault fault = take_properties(in, bit(type), out.properties)) return fault;
    }
  }
  return finish(in);
}

MqttFault parse_connect(uint8_t flags, Bytes body, MqttConnect& out) {
  if (flags != 0) return kBadFlags;
  Cursor in(body);
  if (in.text() != "MQTT") return "protocol is not MQTT";
  const uint8_t level = in.byte();
  if (level != 4 && level != 5) return "protocol level is neither 4 nor 5";
  out = {};
  out.version = static_cast<MqttVersion>(level);
  const uint8_t bits = in.byte();
  const bool has_will = (bits & 4) != 0;
  if ((bits & 1) != 0 || (!has_will && (bits & 0x38) != 0) || (bits & 0x18) == 0x18) {
    return kBadFlags;
  }
  out.is_clean = (bits & 2) != 0;
  out.keep_alive_s = in.two();
  MqttProperties properties;
  const bool is_5 = out.version == MqttVersion::k5;
  if (is_5) {
    if (const MqttFault fault = take_properties(in, bit(MqttType::kConnect), properties)) {
      return fault;
    }
  }
  out.session_expiry_s = properties.number(MqttProperty::kSessionExpiry).value_or(0);
  out.receive_maximum =
      static_cast<uint16_t>(properties.number(MqttProperty::kReceiveMaximum).value_or(65535));
  out.maximum_packet_bytes = properties.number(MqttProperty::kMaximumPacketSize).value_or(0);
  const auto take_text = [&](std::string& text) {
    text = in.text();
    return is_mqtt_text(text);
  };
  if (!take_text(out.client_id)) return kBadText;
  if (has_will) {
    MqttProperties will;
    if (is_5) {
      if (const MqttFault fault = take_properties(in, kWillBit, will)) return fault;
    }
    out.will.emplace();
    out.will->qos = bits >> 3 & 3;
    out.will->is_retained = (bits & 0x20) != 0;
    out.will->topic = in.text();
    out.will->payload = in.text();
    if (!is_mqtt_topic(out.will->topic)) return kBadText;
  }
  if ((bits & 0x80) != 0 && !take_text(out.user.emplace())) return kBadText;
  if ((bits & 0x40) != 0) out.password = in.text();
  return finish(in);
}

MqttFault parse_subscribe(MqttVersion version, uint8_t flags, Bytes body, uint16_t& packet_id,
                          std::vector<MqttSubscription>& out) {
  if (flags != 2) return kBadFlags;
  Cursor in(body);
  packet_id = in.two();
  MqttProperties properties;
  if (version == MqttVersion::k5) {
    if (const MqttFault fault = take_properties(in, bit(MqttType::kSubscribe), properties)) {
      return fault;
    }
  }
  out.clear();
  while (in.is_ok() && in.size() > 0) {
    MqttSubscription subscription;
    subscription.filter = in.text();
    const uint8_t options = in.byte();
    if (!in.is_ok()) return kShort;
    subscription.qos = options & 3;
    subscription.wants_own = (options & 4) == 0;
    subscription.retain_handling = options >> 4 & 3;
    const uint8_t reserved = version == MqttVersion::k5 ? 0xC0 : 0xFC;
    if ((options & reserved) != 0 || subscription.qos == 3) return kBadFlags;
    if (subscription.filter.empty() || !is_mqtt_text(subscription.filter)) return kBadText;
    out.push_back(std::move(subscription));
  }
  if (in.is_ok() && (out.empty() || packet_id == 0)) return "no subscription, or packet id 0";
  return finish(in);
}

}  // namespace ew::host
