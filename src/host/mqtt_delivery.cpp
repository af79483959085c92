// Messages of MqttClient in both directions, and their acknowledgements (MQTT 5, section 4.3).
#include <algorithm>

#include "host/mqtt_client.h"

namespace ew::host {
namespace {

/// 3.1.1 has no receive maximum; mosquitto ends a connection with more open messages of QoS 2.
constexpr size_t kQos2Limit311 = 20;

}  // namespace

bool MqttClient::can_publish(uint8_t qos) const {
  if (state_ != State::kConnected || stream_.output_bytes() >= options_.max_output_bytes) {
    return false;
  }
  if (qos == 0) return true;
  const bool is_limited = qos == 2 && version() == MqttVersion::k311;
  const size_t limit = is_limited ? std::min(in_flight_limit_, kQos2Limit311) : in_flight_limit_;
  return in_flight_ < limit && !free_ids_.empty();
}

MqttPublishResult MqttClient::publish(std::string_view topic, Bytes payload, uint8_t qos,
                                      bool is_retained, uint64_t tag, Bytes properties) {
  // Fixed header, lengths and packet id take at most 16 bytes.
  const size_t bytes = topic.size() + payload.size() + properties.size() + 16;
  if (!can_publish(qos) || bytes > max_publish_bytes_) {
    full_qos_ = qos;
    return MqttPublishResult::kBusy;
  }
  MqttPublish packet;
  packet.topic = topic;
  packet.payload = payload;
  packet.qos = qos;
  packet.is_retained = is_retained;
  if (qos > 0) {
    packet.packet_id = free_ids_.back();
    free_ids_.pop_back();
    slots_[packet.packet_id] = {tag, qos == 1 ? Slot::kPublished : Slot::kPublishedTwo};
    ++in_flight_;
  }
  write_publish(version(), packet, properties, output());
  ++counters_.published;
  if (!can_publish(qos)) full_qos_ = qos;
  return qos == 0 ? MqttPublishResult::kSent : MqttPublishResult::kInFlight;
}

void MqttClient::free_slot(uint16_t packet_id) {
  if (slots_[packet_id].slot == Slot::kFree) return;
  slots_[packet_id] = {};
  free_ids_.push_back(packet_id);
  --in_flight_;
}

void MqttClient::became_writable() {
  if (!full_qos_ || !can_publish(*full_qos_)) return;
  full_qos_.reset();
  handler_.on_writable();
}

void MqttClient::on_drained() { became_writable(); }

void MqttClient::handle_ack(const MqttFrame& frame, Bytes body) {
  MqttAck ack;
  if (const MqttFault fault = parse_ack(version(), frame.type, frame.flags, body, ack)) {
    ++counters_.malformed;
    return fail(0x81, str("acknowledgement: ", fault));
  }
  if (frame.type == MqttType::kPubrel) return handle_pubrel(ack.packet_id);
  const bool is_known = ack.packet_id < slots_.size();
  const Slot slot = is_known ? slots_[ack.packet_id].slot : Slot::kFree;
  const uint64_t tag = is_known ? slots_[ack.packet_id].tag : 0;
  const bool is_refused = ack.reason >= 0x80;
  if (frame.type == MqttType::kPuback && slot == Slot::kPublished) {
    free_slot(ack.packet_id);
    handler_.on_published(tag, ack.reason);
  } else if (frame.type == MqttType::kPubrec && slot == Slot::kPublishedTwo) {
    // From here on the message is the server's; what follows only frees the id.
    if (is_refused) {
      free_slot(ack.packet_id);
    } else {
      slots_[ack.packet_id].slot = Slot::kReleased;
      send_ack(MqttType::kPubrel, ack.packet_id, 0);
    }
    handler_.on_published(tag, ack.reason);
  } else if (frame.type == MqttType::kPubrec) {
    // Of an id that we have forgotten: the server must forget it too.
    if (!is_refused) send_ack(MqttType::kPubrel, ack.packet_id, slot == Slot::kFree ? 0x92 : 0);
  } else if (frame.type == MqttType::kPubcomp &&
             (slot == Slot::kReleased || slot == Slot::kOrphan)) {
    free_slot(ack.packet_id);
  }
  became_writable();
}

void MqttClient::handle_pubrel(uint16_t packet_id) {
  const size_t count = std::erase_if(
      received_, [&](const Received& received) { return received.packet_id == packet_id; });
  send_ack(MqttType::kPubcomp, packet_id, count == 0 ? 0x92 : 0);
}

void MqttClient::send_ack(MqttType type, uint16_t packet_id, uint8_t reason) {
  write_ack(version(), type, packet_id, reason, output());
}

bool MqttClient::handle_publish(const MqttFrame& frame, Bytes body) {
  MqttPublish packet;
  if (const MqttFault fault = parse_publish(version(), frame.flags, body, packet)) {
    ++counters_.malformed;
    fail(0x81, str("PUBLISH: ", fault));
    return true;
  }
  MqttMessage message{packet.topic,        packet.payload,    packet.qos, packet.is_retained,
                      packet.is_duplicate, packet.properties, 0};
  if (packet.qos > 0) {
    // 3.1.1 has no such limit, so the server may send more; they wait in the socket.
    if (unacknowledged_.size() >= options_.connect.receive_maximum) return false;
    if (packet.qos == 2) {
      const auto known = std::find_if(
          received_.begin(), received_.end(),
          [&](const Received& received) { return received.packet_id == packet.packet_id; });
      if (known != received_.end()) {
        // Sent again after a lost connection: its owner has it already.
        unacknowledged_.push_back({packet.packet_id, 2, known->is_done, known->token});
        send_acknowledgements();
        return true;
      }
    }
    message.ack_token = receive(packet.packet_id, packet.qos, false);
  }
  ++counters_.received;
  handler_.on_message(message);
  return true;
}

uint64_t MqttClient::receive(uint16_t packet_id, uint8_t qos, bool is_done) {
  const uint64_t token = next_token_++;
  unacknowledged_.push_back({packet_id, qos, is_done, token});
  if (qos == 2) received_.push_back({packet_id, is_done, token});
  return token;
}

void MqttClient::acknowledge(uint64_t token) {
  if (token == 0) return;
  for (Received& received : received_) {
    if (received.token == token) received.is_done = true;
  }
  // Tokens rise, but for those of a lost connection that came again.
  const auto has_token = [&](const Unacknowledged& one) { return one.token == token; };
  const auto found = !unacknowledged_.empty() && has_token(unacknowledged_.front())
                         ? unacknowledged_.begin()
                         : std::find_if(unacknowledged_.begin(), unacknowledged_.end(), has_token);
  if (found == unacknowledged_.end()) return;
  found->is_done = true;
  send_acknowledgements();
}

void MqttClient::send_acknowledgements() {
  if (!stream_.is_open()) return;
  bool has_sent = false;
  while (!unacknowledged_.empty() && unacknowledged_.front().is_done) {
    const Unacknowledged& first = unacknowledged_.front();
    send_ack(first.qos == 1 ? MqttType::kPuback : MqttType::kPubrec, first.packet_id, 0);
    unacknowledged_.pop_front();
    has_sent = true;
  }
  if (has_sent && is_blocked_ && !is_processing_) loop_->at_wakeup_end(*this);
}

}  // namespace ew::host
