#pragma once
// An MQTT client for both versions that acknowledges what it receives only when its owner says so,
// so that the owner can store a message before the sender forgets it.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "host/event_loop.h"
#include "host/mqtt_codec.h"
#include "host/stream.h"

namespace ew::host {

struct MqttOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 1883;
  std::shared_ptr<TlsContext> tls{};  ///< null: no TLS
  /// Version, client id, user, password, will, clean start, session expiry, keep alive, and how
  /// many messages may be unacknowledged (receive_maximum; held to in 3.1.1 too).
  MqttConnect connect{};
  std::vector<MqttSubscription> subscriptions{};
  /// Larger packets are passed over, counted and acknowledged.
  size_t max_packet_bytes = size_t{1} << 20;
  /// Published with QoS 1 or 2 and not acknowledged; the server may allow less.
  uint16_t max_in_flight = 256;
  /// publish() is busy while this much waits for the socket.
  size_t max_output_bytes = size_t{1} << 20;
  /// Writes are gathered for this long; 0: to the end of the wake-up.
  int64_t flush_delay_us = 0;
  int64_t connect_timeout_us = 10'000'000;
  int64_t first_backoff_us = 100'000;
  int64_t max_backoff_us = 30'000'000;
  uint64_t seed = 1;  ///< of the back-off's jitter
};

struct MqttMessage {
  std::string_view topic;
  Bytes payload;
  uint8_t qos = 0;
  bool is_retained = false;
  bool is_duplicate = false;
  MqttProperties properties;
  uint64_t ack_token = 0;  ///< for MqttClient::acknowledge; 0 with QoS 0
};

struct MqttCounters {
  uint64_t received = 0;
  uint64_t published = 0;
  uint64_t connects = 0;     ///< accepted by a server
  uint64_t disconnects = 0;  ///< of those
  uint64_t failed_connects = 0;
  uint64_t oversized = 0;
  uint64_t malformed = 0;
};

/// Whose client it is. Views hold during the call. May call publish, acknowledge and set_reading in
/// any of these; stop() and destruction only from elsewhere.
class MqttHandler {
 public:
  virtual ~MqttHandler() = default;
  /// Connected, and all subscriptions are answered.
  virtual void on_connected([[maybe_unused]] bool is_session_present) {}
  /// The connection is gone or could not be made; the next attempt follows by itself. What was in
  /// flight will not be answered: publish it again.
  virtual void on_disconnected([[maybe_unused]] const Error& error) {}
  virtual void on_message([[maybe_unused]] const MqttMessage& message) {}
  /// Behind the last on_message() of a wake-up.
  virtual void on_batch_end() {}
  /// The server has the message (reason below 0x80) or refused it.
  virtual void on_published([[maybe_unused]] uint64_t tag, [[maybe_unused]] uint8_t reason) {}
  /// can_publish() is true again after a window or buffer was full.
  virtual void on_writable() {}
  virtual void on_oversized([[maybe_unused]] std::string_view topic,
                            [[maybe_unused]] size_t bytes) {}
  virtual void on_subscription_refused([[maybe_unused]] const std::string& filter,
                                       [[maybe_unused]] const std::string& why) {}
};

enum class MqttPublishResult {
  kSent,      ///< QoS 0: handed to the connection
  kInFlight,  ///< on_published() follows, or on_disconnected()
  kBusy,      ///< not taken: not connected, or a window or buffer is full
};

/// Connects when started, and again whenever the connection is lost, with growing pauses.
class MqttClient final : private StreamOwner, private WakeupEnd {
 public:
  /// Error kInvalidArgument for texts that MQTT cannot carry.
  static Result<std::unique_ptr<MqttClient>> create(EventLoop& loop, MqttHandler& handler,
                                                    MqttOptions options);
  ~MqttClient() override;
  MqttClient(const MqttClient&) = delete;
  MqttClient& operator=(const MqttClient&) = delete;

  void start();
  /// Says goodbye (so that no will is sent) and stays closed.
  void stop();

  bool is_connected() const { return state_ == State::kConnected; }
  /// Whether publish() would take a message of this QoS.
  bool can_publish(uint8_t qos) const;
  /// Takes a copy. `properties` as MqttPropertyWriter makes them; nothing in 3.1.1. The topic must
  /// be is_mqtt_topic(), the payload below the server's maximum (else kBusy for ever: check
  /// max_publish_bytes()).
  MqttPublishResult publish(std::string_view topic, Bytes payload, uint8_t qos, bool is_retained,
                            uint64_t tag, Bytes properties = {});
  /// Largest packet that the server takes.
  size_t max_publish_bytes() const { return max_publish_bytes_; }
  size_t in_flight() const { return in_flight_; }

  /// Lets PUBACK or PUBREC of this message go out, behind those of all messages before it (4.6). A
  /// message of a lost connection comes again unless the server keeps no session.
  void acknowledge(uint64_t token);
  size_t unacknowledged() const { return unacknowledged_.size(); }

  /// Stops and goes on reading: the server keeps what it has.
  void set_reading(bool is_reading);

  /// Goes on on another loop of the same thread: the connection, its session and what is in flight
  /// stay. Only while it is connected, and not from within the handler. Error kIo: as stop().
  Status move_to(EventLoop& loop);

  const MqttCounters& counters() const { return counters_; }
  MqttVersion version() const { return options_.connect.version; }

 private:
  enum class State { kStopped, kWaiting, kConnecting, kHandshake, kSubscribing, kConnected };
  enum class Slot : uint8_t { kFree, kPublished, kPublishedTwo, kReleased, kOrphan };

  struct InFlight {
    uint64_t tag = 0;
    Slot slot = Slot::kFree;
  };
  /// A received message, in order, whose acknowledgement has not gone out.
  struct Unacknowledged {
    uint16_t packet_id = 0;
    uint8_t qos = 0;
    bool is_done = false;
    uint64_t token = 0;
  };
  /// A QoS 2 message from its arrival to its release.
  struct Received {
    uint16_t packet_id = 0;
    bool is_done = false;
    uint64_t token = 0;
  };

  MqttClient(EventLoop& loop, MqttHandler& handler, MqttOptions options);

  void on_open() override;
  void on_input() override;
  void on_drained() override;
  void on_close(const Error& error) override;
  void on_wakeup_end() override;

  void connect();
  void disconnected(const Error& error);
  void fail(uint8_t reason, const std::string& what);
  void process();
  /// Handles one packet; false if it must wait.
  bool handle(const MqttFrame& frame, Bytes body);
  bool begin_discard(const MqttFrame& frame);
  bool discard();
  bool handle_publish(const MqttFrame& frame, Bytes body);
  void handle_connack(const MqttFrame& frame, Bytes body);
  void handle_ack(const MqttFrame& frame, Bytes body);
  void handle_suback(const MqttFrame& frame, Bytes body);
  void handle_disconnect(const MqttFrame& frame, Bytes body);
  void handle_pubrel(uint16_t packet_id);
  void session_begins(bool is_present);
  uint64_t receive(uint16_t packet_id, uint8_t qos, bool is_done);
  void send_acknowledgements();
  void send_ack(MqttType type, uint16_t packet_id, uint8_t reason);
  void free_slot(uint16_t packet_id);
  void became_writable();
  void start_keep_alive(uint32_t seconds);
  void start_keep_alive_timer();
  void check_keep_alive();
  std::vector<uint8_t>& output();

  EventLoop* loop_;
  MqttHandler& handler_;
  MqttOptions options_;
  Stream stream_;
  Rng rng_;
  State state_ = State::kStopped;
  MqttCounters counters_;
  EventLoop::TimerId retry_timer_;
  EventLoop::TimerId handshake_timer_;
  EventLoop::TimerId keep_alive_timer_;
  int64_t backoff_us_ = 0;
  int64_t keep_alive_us_ = 0;
  int64_t last_sent_us_ = 0;
  int64_t ping_sent_us_ = 0;  // 0: no answer is awaited
  bool is_session_present_ = false;
  bool is_reading_ = true;
  bool is_blocked_ = false;  // a message waits for acknowledgements of others
  bool is_processing_ = false;
  std::optional<uint8_t> full_qos_;  // on_writable() is owed to this QoS
  size_t max_publish_bytes_ = 0;

  // Sending.
  std::vector<InFlight> slots_;  // by packet id
  std::vector<uint16_t> free_ids_;
  size_t in_flight_ = 0;
  size_t in_flight_limit_ = 0;
  // Receiving.
  std::deque<Unacknowledged> unacknowledged_;
  uint64_t next_token_ = 1;
  std::vector<Received> received_;
  size_t discard_bytes_ = 0;
  Unacknowledged discarded_;
};

}  // namespace ew::host
