// Forwards every message of in/# to out/pass by the MQTT client alone: what the agent's own work
// is compared with.
//
//   mqtt_forward PORT [QOS [DELAY_US [PACING_US]]]     until SIGTERM
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "host/mqtt_client.h"

namespace {

using namespace ew::host;  // NOLINT: a program of one page

class Forward final : public MqttHandler {
 public:
  Forward(EventLoop& loop, uint16_t port, uint8_t qos, int64_t delay_us) : qos_(qos) {
    MqttOptions in;
    in.port = port;
    in.connect.client_id = "forward-in";
    in.subscriptions = {{.filter = "in/#", .qos = qos}};
    in_ = MqttClient::create(loop, *this, in).value();
    MqttOptions out;
    out.port = port;
    out.connect.client_id = "forward-out";
    out.max_in_flight = 1000;
    out.max_output_bytes = size_t{16} << 20;
    out.flush_delay_us = delay_us;
    out_ = MqttClient::create(loop, answers_, out).value();
    in_->start();
    out_->start();
  }

  void on_message(const MqttMessage& message) override {
    if (out_->publish("out/pass", message.payload, qos_, false, 0) == MqttPublishResult::kBusy) {
      ++lost;
    }
    in_->acknowledge(message.ack_token);
  }

  uint64_t lost = 0;
  const MqttCounters& counters() const { return in_->counters(); }

 private:
  uint8_t qos_;
  MqttHandler answers_;
  std::unique_ptr<MqttClient> in_;
  std::unique_ptr<MqttClient> out_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: mqtt_forward PORT [QOS [DELAY_US [PACING_US]]]\n");
    return 2;
  }
  const auto loop = EventLoop::create().value();
  loop->on_signal(SIGTERM, [&] { loop->stop(); }).value();
  loop->set_pacing(argc > 4 ? std::atoll(argv[4]) : 0);
  Forward forward(*loop, static_cast<uint16_t>(std::atoi(argv[1])),
                  static_cast<uint8_t>(argc > 2 ? std::atoi(argv[2]) : 0),
                  argc > 3 ? std::atoll(argv[3]) : 0);
  loop->run();
  std::printf("{\"received\":%llu,\"lost\":%llu}\n",
              static_cast<unsigned long long>(forward.counters().received),
              static_cast<unsigned long long>(forward.lost));
  return 0;
}
