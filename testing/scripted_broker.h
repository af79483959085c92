#pragma once
// The broker's side of MQTT on a loopback port, packet by packet as a test wants it. Runs on the
// same event loop as the client under test.

#include <memory>
#include <string>
#include <vector>

#include "host/listener.h"
#include "host/mqtt_codec.h"
#include "host/stream.h"

namespace ew::testing {

struct BrokerPacket {
  host::MqttType type{};
  uint8_t flags = 0;
  std::vector<uint8_t> body;
};

/// Holds one connection at a time; a new one replaces it.
class ScriptedBroker final : public host::StreamOwner {
 public:
  explicit ScriptedBroker(host::EventLoop& loop, host::TlsContext* tls = nullptr);
  ~ScriptedBroker() override;

  uint16_t port() const { return listener_->port(); }
  int connections() const { return connections_; }
  bool is_connected() const { return stream_ && !stream_->is_closed(); }
  /// What has come and was not taken.
  std::vector<BrokerPacket> take();
  /// How many packets of this type have come and were not taken.
  size_t count(host::MqttType type) const;

  void send(const std::vector<uint8_t>& bytes);
  /// Answers CONNECT, and SUBSCRIBE, by themselves from now on.
  void answer(host::MqttVersion version, bool is_session_present);
  void publish(host::MqttVersion version, const std::string& topic, const std::string& payload,
               uint8_t qos, uint16_t packet_id, bool is_duplicate = false);
  void drop_connection();
  /// The kernel connects, but nobody answers.
  void set_silent(bool is_silent) { is_silent_ = is_silent; }

 private:
  void on_open() override {}
  void on_input() override;
  void on_close(const Error& error) override;
  void react(const BrokerPacket& packet);

  host::EventLoop& loop_;
  host::TlsContext* tls_;
  std::unique_ptr<host::Listener> listener_;
  std::unique_ptr<host::Stream> stream_;
  std::vector<std::unique_ptr<host::Stream>> old_;
  std::vector<BrokerPacket> packets_;
  bool answers_ = false;
  bool is_silent_ = false;
  bool is_session_present_ = false;
  host::MqttVersion version_ = host::MqttVersion::k5;
  int connections_ = 0;
};

}  // namespace ew::testing
