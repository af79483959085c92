#pragma once
// What MQTT sources and sinks have in common: the words of a connection.

#include <algorithm>
#include <array>
#include <string>

#include "agent/client_tls.h"
#include "agent/settings.h"
#include "base/result.h"
#include "host/mqtt_client.h"

namespace ew::agent {

inline constexpr const char* kMqttVersions[] = {"5", "3.1.1"};

inline constexpr WordDef kMqttConnectionWords[] = {
    {.name = "server",
     .help = "mqtt://HOST[:PORT], or mqtts:// with TLS",
     .fallback = "mqtt://127.0.0.1:1883"},
    {.name = "version",
     .kind = WordKind::kChoice,
     .help = "of MQTT",
     .fallback = "5",
     .choices = kMqttVersions},
    {.name = "client_id", .help = "name at the server; without it a new one at each start"},
    {.name = "user", .help = "user name"},
    {.name = "password", .help = "password; better: password_file"},
    {.name = "password_file", .help = "file with the password in its first line"},
    {.name = "keep_alive",
     .kind = WordKind::kDuration,
     .help = "longest silence before a ping",
     .fallback = "60s",
     .min = 0,
     .max = 65535},
    {.name = "connect_timeout",
     .kind = WordKind::kDuration,
     .help = "for connection, TLS and the server's answer",
     .fallback = "10s",
     .min = 0.01,
     .max = 600},
    {.name = "retry_max",
     .kind = WordKind::kDuration,
     .help = "longest pause between attempts; they begin at 100 ms and double",
     .fallback = "30s",
     .min = 0.1,
     .max = 3600},
    {.name = "tls",
     .kind = WordKind::kMap,
     .help = "certificates, for mqtts://",
     .words = kClientTlsWords},
};

/// The words of a connection behind a type's own.
template <size_t kOwn>
constexpr auto with_mqtt_connection(const WordDef (&own)[kOwn]) {
  std::array<WordDef, kOwn + std::size(kMqttConnectionWords)> all{};
  std::copy(std::begin(own), std::end(own), all.begin());
  std::copy(std::begin(kMqttConnectionWords), std::end(kMqttConnectionWords), all.begin() + kOwn);
  return all;
}

/// Host, port, TLS, names and times. `name` is the source's or sink's.
Result<host::MqttOptions> mqtt_connection(const Settings& settings, const std::string& name);

}  // namespace ew::agent
