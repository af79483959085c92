#include "testing/scripted_broker.h"

#include <algorithm>

namespace ew::testing {

using host::MqttType;

ScriptedBroker::ScriptedBroker(host::EventLoop& loop, host::TlsContext* tls)
    : loop_(loop), tls_(tls) {
  listener_ = host::Listener::open(loop, "127.0.0.1", 0, [this](int fd) {
                ++connections_;
                if (stream_) {
                  stream_->close();
                  old_.push_back(std::move(stream_));
                }
                stream_ = std::make_unique<host::Stream>(loop_, *this);
                (void)stream_->adopt(fd, tls_, 10'000'000);
              }).value();
}

ScriptedBroker::~ScriptedBroker() = default;

void ScriptedBroker::on_input() {
  while (!is_silent_) {
    host::MqttFrame frame;
    const host::Bytes input = stream_->input();
    if (host::parse_mqtt_frame(input, frame) != host::MqttFrameResult::kWhole) return;
    if (frame.total_bytes() > input.size()) return stream_->reserve_input(frame.total_bytes());
    const host::Bytes body = input.subspan(frame.header_bytes, frame.body_bytes);
    BrokerPacket packet{frame.type, frame.flags, {body.begin(), body.end()}};
    stream_->consume(frame.total_bytes());
    react(packet);
    packets_.push_back(std::move(packet));
  }
}

void ScriptedBroker::react(const BrokerPacket& packet) {
  if (!answers_) return;
  if (packet.type == MqttType::kConnect) {
    host::write_connack(version_, {.is_session_present = is_session_present_}, stream_->output());
  } else if (packet.type == MqttType::kSubscribe) {
    uint16_t id = 0;
    std::vector<host::MqttSubscription> subscriptions;
    (void)host::parse_subscribe(version_, packet.flags, packet.body, id, subscriptions);
    std::vector<uint8_t> reasons;
    for (const host::MqttSubscription& subscription : subscriptions) {
      reasons.push_back(subscription.qos);
    }
    host::write_suback(version_, id, reasons, stream_->output());
  }
}

void ScriptedBroker::on_close(const Error&) {}

std::vector<BrokerPacket> ScriptedBroker::take() { return std::exchange(packets_, {}); }

size_t ScriptedBroker::count(MqttType type) const {
  return static_cast<size_t>(std::count_if(packets_.begin(), packets_.end(),
                                           [&](const auto& p) { return p.type == type; }));
}

void ScriptedBroker::send(const std::vector<uint8_t>& bytes) {
  std::vector<uint8_t>& out = stream_->output();
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void ScriptedBroker::answer(host::MqttVersion version, bool is_session_present) {
  answers_ = true;
  version_ = version;
  is_session_present_ = is_session_present;
}

void ScriptedBroker::publish(host::MqttVersion version, const std::string& topic,
                             const std::string& payload, uint8_t qos, uint16_t packet_id,
                             bool is_duplicate) {
  host::MqttPublish packet;
  packet.topic = topic;
  packet.payload = host::as_bytes(payload);
  packet.qos = qos;
  packet.packet_id = packet_id;
  packet.is_duplicate = is_duplicate;
  host::write_publish(version, packet, {}, stream_->output());
}

void ScriptedBroker::drop_connection() { stream_->close(); }

}  // namespace ew::testing
