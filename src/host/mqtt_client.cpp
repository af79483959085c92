#include "host/mqtt_client.h"

#include <algorithm>

namespace ew::host {
namespace {

constexpr uint16_t kSubscribeId = 65535;
/// Enough of a packet to know its topic and packet id.
constexpr size_t kHeadBytes = 2 + 65535 + 2;
constexpr size_t kLargestPacket = 268'435'455;

Status check_options(const MqttOptions& options) {
  const MqttConnect& connect = options.connect;
  if (!is_mqtt_text(connect.client_id)) return invalid_argument("MQTT: client id is no UTF-8 text");
  if (connect.client_id.empty() && !connect.is_clean) {
    return invalid_argument("MQTT: a session that outlives the connection needs a client id");
  }
  for (const std::optional<std::string>* text : {&connect.user, &connect.password}) {
    if (*text && (*text)->size() > 65535)
      return invalid_argument("MQTT: user or password too long");
  }
  if (connect.will && (!is_mqtt_topic(connect.will->topic) ||
                       connect.will->payload.size() > 65535 || connect.will->qos > 2)) {
    return invalid_argument("MQTT: the will needs a topic without wildcards and at most 64 KiB");
  }
  for (const MqttSubscription& subscription : options.subscriptions) {
    if (subscription.filter.empty() || !is_mqtt_text(subscription.filter) || subscription.qos > 2) {
      return invalid_argument("MQTT: cannot subscribe to '", subscription.filter, "'");
    }
  }
  if (connect.receive_maximum == 0 || options.max_in_flight == 0 ||
      options.max_in_flight >= kSubscribeId) {
    return invalid_argument("MQTT: expected a receive maximum and window from 1 to 65534");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<MqttClient>> MqttClient::create(EventLoop& loop, MqttHandler& handler,
                                                       MqttOptions options) {
  EW_TRY_VOID(check_options(options));
  return std::unique_ptr<MqttClient>(new MqttClient(loop, handler, std::move(options)));
}

MqttClient::MqttClient(EventLoop& loop, MqttHandler& handler, MqttOptions options)
    : loop_(&loop),
      handler_(handler),
      options_(std::move(options)),
      stream_(loop, *this),
      rng_(options_.seed),
      backoff_us_(options_.first_backoff_us),
      slots_(size_t{options_.max_in_flight} + 1) {
  options_.connect.maximum_packet_bytes =
      static_cast<uint32_t>(std::min(options_.max_packet_bytes, kLargestPacket));
  stream_.set_flush_delay(options_.flush_delay_us);
  for (uint16_t id = options_.max_in_flight; id > 0; --id) free_ids_.push_back(id);
}

MqttClient::~MqttClient() { stop(); }

void MqttClient::start() {
  if (state_ == State::kStopped) connect();
}

void MqttClient::stop() {
  if (state_ == State::kSubscribing || state_ == State::kConnected) {
    write_disconnect(version(), 0, stream_.output());
  }
  stream_.close();
  loop_->cancel(retry_timer_);
  loop_->cancel(handshake_timer_);
  loop_->cancel(keep_alive_timer_);
  loop_->forget(*this);
  state_ = State::kStopped;
}

Status MqttClient::move_to(EventLoop& loop) {
  EW_DCHECK(is_connected());
  loop_->cancel(keep_alive_timer_);
  const bool must_go_on = is_blocked_ && is_reading_;
  loop_->forget(*this);
  const Status moved = stream_.move_to(loop);
  loop_ = &loop;
  if (!moved.ok()) {
    stop();
    return moved;
  }
  start_keep_alive_timer();
  if (must_go_on) loop_->at_wakeup_end(*this);
  return {};
}

void MqttClient::connect() {
  state_ = State::kConnecting;
  stream_.connect({options_.host, options_.port, options_.tls.get(), options_.connect_timeout_us});
}

void MqttClient::on_open() {
  state_ = State::kHandshake;
  write_connect(options_.connect, output());
  handshake_timer_ = loop_->call_after(options_.connect_timeout_us, [this] {
    handshake_timer_ = {};
    fail(0, str("no answer to CONNECT within ", options_.connect_timeout_us / 1000, " ms"));
  });
}

std::vector<uint8_t>& MqttClient::output() {
  last_sent_us_ = loop_->now_us();
  return stream_.output();
}

void MqttClient::on_close(const Error& error) { disconnected(error); }

void MqttClient::fail(uint8_t reason, const std::string& what) {
  if (reason != 0 && version() == MqttVersion::k5 && state_ != State::kHandshake) {
    write_disconnect(version(), reason, output());
  }
  stream_.close();
  disconnected(make_error(ErrorCode::kIo, options_.host, ":", options_.port, ": ", what));
}

void MqttClient::disconnected(const Error& error) {
  const bool was_accepted = state_ == State::kSubscribing || state_ == State::kConnected;
  ++(was_accepted ? counters_.disconnects : counters_.failed_connects);
  loop_->cancel(handshake_timer_);
  loop_->cancel(keep_alive_timer_);
  loop_->forget(*this);
  is_blocked_ = false;
  discard_bytes_ = 0;
  ping_sent_us_ = 0;
  unacknowledged_.clear();
  for (size_t id = 1; id < slots_.size(); ++id) {
    Slot& slot = slots_[id].slot;
    if (slot == Slot::kPublished) free_slot(static_cast<uint16_t>(id));
    // The server may hold the id until it is released.
    if (slot == Slot::kPublishedTwo) slot = Slot::kOrphan;
  }
  state_ = State::kWaiting;
  // Half of the pause is chance, so that a fleet does not come back in one moment.
  const auto half = static_cast<uint64_t>(backoff_us_ / 2);
  const auto pause = static_cast<int64_t>(half + rng_.below(half + 1));
  backoff_us_ = std::min(backoff_us_ * 2, options_.max_backoff_us);
  retry_timer_ = loop_->call_after(pause, [this] {
    retry_timer_ = {};
    connect();
  });
  handler_.on_disconnected(error);
}

void MqttClient::on_input() { process(); }

void MqttClient::on_wakeup_end() {
  if (is_blocked_ && is_reading_) process();
}

void MqttClient::set_reading(bool is_reading) {
  if (is_reading_ == is_reading) return;
  is_reading_ = is_reading;
  if (!stream_.is_open()) return;
  if (!is_reading) return stream_.set_reading(false);
  is_blocked_ = true;  // what is buffered goes first
  loop_->at_wakeup_end(*this);
}

void MqttClient::process() {
  if (is_processing_) return;
  is_processing_ = true;
  const uint64_t received_before = counters_.received;
  is_blocked_ = false;
  uint64_t packets = 0;
  while (stream_.is_open() && is_reading_) {
    if (discard_bytes_ > 0 && !discard()) break;
    const Bytes input = stream_.input();
    MqttFrame frame;
    const MqttFrameResult result = parse_mqtt_frame(input, frame);
    if (result == MqttFrameResult::kIncomplete) break;
    if (result == MqttFrameResult::kMalformed) {
      ++counters_.malformed;
      fail(0x81, "packet with a malformed header");
      break;
    }
    if (frame.total_bytes() > options_.max_packet_bytes) {
      if (!begin_discard(frame)) break;
      continue;
    }
    if (frame.total_bytes() > input.size()) {
      stream_.reserve_input(frame.total_bytes());
      break;
    }
    if (!handle(frame, input.subspan(frame.header_bytes, frame.body_bytes))) {
      is_blocked_ = true;
      break;
    }
    if (stream_.is_open()) stream_.consume(frame.total_bytes());
    ++packets;
  }
  is_processing_ = false;
  loop_->note_items(packets);
  if (stream_.is_open()) stream_.set_reading(is_reading_ && !is_blocked_);
  if (counters_.received != received_before) handler_.on_batch_end();
}

bool MqttClient::handle(const MqttFrame& frame, Bytes body) {
  const bool is_accepted = state_ == State::kSubscribing || state_ == State::kConnected;
  if (!is_accepted && frame.type != MqttType::kConnack) {
    fail(0x82, "expected CONNACK, found another packet");
    return true;
  }
  switch (frame.type) {
    case MqttType::kPublish:
      return handle_publish(frame, body);
    case MqttType::kPuback:
    case MqttType::kPubrec:
    case MqttType::kPubrel:
    case MqttType::kPubcomp:
      handle_ack(frame, body);
      return true;
    case MqttType::kConnack:
      handle_connack(frame, body);
      return true;
    case MqttType::kSuback:
      handle_suback(frame, body);
      return true;
    case MqttType::kPingresp:
      ping_sent_us_ = 0;
      return true;
    case MqttType::kDisconnect:
      handle_disconnect(frame, body);
      return true;
    default:
      ++counters_.malformed;
      fail(0x82, str("packet of type ", static_cast<int>(frame.type), " that no server sends"));
      return true;
  }
}

bool MqttClient::begin_discard(const MqttFrame& frame) {
  Bytes input = stream_.input();
  const size_t head = std::min(frame.total_bytes(), frame.header_bytes + kHeadBytes);
  if (frame.type != MqttType::kPublish || state_ != State::kConnected) {
    ++counters_.malformed;
    fail(0x95, str("packet of ", frame.total_bytes(), " bytes, above the limit of ",
                   options_.max_packet_bytes));
    return false;
  }
  const uint8_t qos = frame.flags >> 1 & 3;
  if (input.size() < head) {
    stream_.reserve_input(head);
    return false;
  }
  input = input.subspan(frame.header_bytes);
  const size_t topic_bytes = load_be16(input.data());
  if (topic_bytes + 4 > input.size()) {
    ++counters_.malformed;
    fail(0x81, "PUBLISH: ends early");
    return false;
  }
  discarded_ = {qos > 0 ? load_be16(input.data() + 2 + topic_bytes) : uint16_t{0}, qos, true, 0};
  ++counters_.oversized;
  handler_.on_oversized(as_text(input.subspan(2, topic_bytes)), frame.total_bytes());
  discard_bytes_ = frame.total_bytes();
  return true;
}

bool MqttClient::discard() {
  const size_t size = std::min(discard_bytes_, stream_.input().size());
  stream_.consume(size);
  discard_bytes_ -= size;
  if (discard_bytes_ > 0) return false;
  if (discarded_.qos > 0 && discarded_.packet_id != 0) {
    receive(discarded_.packet_id, discarded_.qos, true);
    send_acknowledgements();
  }
  return true;
}

void MqttClient::handle_connack(const MqttFrame& frame, Bytes body) {
  MqttConnack connack;
  if (const MqttFault fault = parse_connack(version(), frame.flags, body, connack)) {
    ++counters_.malformed;
    return fail(0x81, str("CONNACK: ", fault));
  }
  if (state_ != State::kHandshake) return fail(0x82, "a second CONNACK");
  if (connack.reason != 0) {
    return fail(0, str("refused: ", mqtt_reason_text(version(), connack.reason)));
  }
  loop_->cancel(handshake_timer_);
  const MqttProperties& properties = connack.properties;
  const uint32_t limit = properties.number(MqttProperty::kReceiveMaximum).value_or(65535);
  in_flight_limit_ = std::min<size_t>(options_.max_in_flight, std::max<uint32_t>(limit, 1));
  max_publish_bytes_ = std::min<size_t>(
      properties.number(MqttProperty::kMaximumPacketSize).value_or(kLargestPacket), kLargestPacket);
  start_keep_alive(
      properties.number(MqttProperty::kServerKeepAlive).value_or(options_.connect.keep_alive_s));
  ++counters_.connects;
  session_begins(connack.is_session_present);
  if (options_.subscriptions.empty()) {
    state_ = State::kConnected;
    backoff_us_ = options_.first_backoff_us;
    handler_.on_connected(is_session_present_);
    return;
  }
  state_ = State::kSubscribing;
  write_subscribe(version(), kSubscribeId, options_.subscriptions, output());
}

void MqttClient::session_begins(bool is_present) {
  is_session_present_ = is_present;
  if (!is_present) received_.clear();
  for (size_t id = 1; id < slots_.size(); ++id) {
    const Slot slot = slots_[id].slot;
    if (slot != Slot::kReleased && slot != Slot::kOrphan) continue;
    if (is_present) {
      send_ack(MqttType::kPubrel, static_cast<uint16_t>(id), 0);
    } else {
      free_slot(static_cast<uint16_t>(id));
    }
  }
}

void MqttClient::handle_suback(const MqttFrame& frame, Bytes body) {
  MqttSuback suback;
  MqttFault fault = parse_suback(version(), frame.type, frame.flags, body, suback);
  if (!fault && (state_ != State::kSubscribing || suback.packet_id != kSubscribeId)) {
    fault = "answers nothing that was asked";
  }
  if (!fault && suback.reasons.size() != options_.subscriptions.size()) {
    fault = "has another number of answers than subscriptions";
  }
  if (fault) {
    ++counters_.malformed;
    return fail(0x82, str("SUBACK: ", fault));
  }
  for (size_t i = 0; i < suback.reasons.size(); ++i) {
    if (suback.reasons[i] < 0x80) continue;
    handler_.on_subscription_refused(options_.subscriptions[i].filter,
                                     mqtt_reason_text(version(), suback.reasons[i]));
  }
  state_ = State::kConnected;
  backoff_us_ = options_.first_backoff_us;
  handler_.on_connected(is_session_present_);
}

void MqttClient::handle_disconnect(const MqttFrame& frame, Bytes body) {
  MqttReason reason;
  if (parse_reason(version(), frame.type, frame.flags, body, reason) != nullptr) {
    ++counters_.malformed;
  }
  fail(0, str("the server ends the connection: ", mqtt_reason_text(version(), reason.reason)));
}

void MqttClient::start_keep_alive(uint32_t seconds) {
  keep_alive_us_ = static_cast<int64_t>(seconds) * 1'000'000;
  start_keep_alive_timer();
}

void MqttClient::start_keep_alive_timer() {
  if (keep_alive_us_ == 0) return;
  keep_alive_timer_ = loop_->call_after(keep_alive_us_ / 2, [this] { check_keep_alive(); });
}

void MqttClient::check_keep_alive() {
  const int64_t now = loop_->now_us();
  start_keep_alive_timer();
  // While reading is stopped, no answer can be seen.
  const bool can_hear = is_reading_ && !is_blocked_;
  if (can_hear && ping_sent_us_ != 0 && now - ping_sent_us_ >= keep_alive_us_) {
    return fail(0x8D, "no answer to PINGREQ");
  }
  if (!can_hear) ping_sent_us_ = 0;
  if (now - last_sent_us_ < keep_alive_us_ / 2 - 1000) return;
  write_pingreq(output());
  if (ping_sent_us_ == 0) ping_sent_us_ = now;
}

}  // namespace ew::host
