#include "agent/mqtt_settings.h"

#include <charconv>
#include <random>

#include "base/file.h"

namespace ew::agent {
namespace {

struct ServerAddress {
  std::string host;
  uint16_t port = 0;
  bool uses_tls = false;
};

Result<ServerAddress> parse_server(const Settings& settings) {
  const std::string text = settings.text("server");
  const auto wrong = [&] {
    return settings.error(
        "server", str("expected mqtt://HOST[:PORT] or mqtts://HOST[:PORT], found '", text, "'"));
  };
  ServerAddress out;
  std::string_view rest = text;
  if (rest.starts_with("mqtts://")) {
    out.uses_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("mqtt://")) {
    rest.remove_prefix(7);
  } else {
    return wrong();
  }
  out.port = out.uses_tls ? 8883 : 1883;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const bool is_v6 = rest.starts_with('[');
  const size_t end = is_v6 ? rest.find(']') : std::string_view::npos;
  if (is_v6 && end == std::string_view::npos) return wrong();
  const size_t colon = rest.find(':', is_v6 ? end : 0);
  if (colon != std::string_view::npos) {
    const std::string_view digits = rest.substr(colon + 1);
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || stop != digits.data() + digits.size() || out.port == 0) {
      return wrong();
    }
    rest = rest.substr(0, colon);
  }
  out.host = is_v6 ? rest.substr(1, end - 1) : rest;
  if (out.host.empty()) return wrong();
  return out;
}

Result<std::string> password_of(const Settings& settings) {
  if (!settings.has("password_file")) return settings.text("password");
  const auto content = read_file(settings.text("password_file"), 65536);
  if (!content.ok()) return settings.error("password_file", content.error().message);
  const std::string text(content->begin(), content->end());
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

Result<host::MqttOptions> mqtt_connection(const Settings& settings, const std::string& name) {
  EW_TRY(const ServerAddress server, parse_server(settings));
  std::random_device random;
  host::MqttOptions options;
  options.host = server.host;
  options.port = server.port;
  options.seed = (uint64_t{random()} << 32) | random();
  if (server.uses_tls) {
    EW_TRY(options.tls, client_tls(settings));
  } else if (settings.has("tls")) {
    return settings.error("tls", "needs a server mqtts://...");
  }
  host::MqttConnect& connect = options.connect;
  connect.version =
      settings.text("version") == "5" ? host::MqttVersion::k5 : host::MqttVersion::k311;
  connect.client_id = settings.text("client_id");
  if (connect.client_id.empty()) {
    connect.client_id = str("edgewise-", name, "-", options.seed & 0xFFFFFFFF);
  }
  if (settings.has("user")) connect.user = settings.text("user");
  if (settings.has("password") || settings.has("password_file")) {
    if (!connect.user) return settings.error("user", "a password needs a user");
    EW_TRY(connect.password, password_of(settings));
  }
  connect.keep_alive_s = static_cast<uint16_t>(settings.duration_us("keep_alive") / 1'000'000);
  options.connect_timeout_us = settings.duration_us("connect_timeout");
  options.max_backoff_us = settings.duration_us("retry_max");
  return options;
}

}  // namespace ew::agent
