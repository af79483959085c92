#pragma once
// A real mosquitto on a free loopback port, for tests. Its program comes from the package
// `mosquitto`.

#include <sys/types.h>

#include <string>

#include "testing/temporary_folder.h"

namespace ew::testing {

/// A port that nobody listens on now.
uint16_t free_port();

class Mosquitto {
 public:
  static bool is_installed();

  /// `extra` are lines of its configuration file; the listener is there already. Started at once.
  explicit Mosquitto(const std::string& extra = "");
  ~Mosquitto();
  Mosquitto(const Mosquitto&) = delete;
  Mosquitto& operator=(const Mosquitto&) = delete;

  uint16_t port() const { return port_; }
  /// Returns when it listens; false if it did not within ten seconds.
  bool start();
  /// SIGTERM, with its state saved; or SIGKILL.
  void stop(int signal = 15);

 private:
  TemporaryFolder folder_;
  uint16_t port_;
  pid_t pid_ = -1;
};

/// Makes a certificate authority and certificates for "localhost" (and 127.0.0.1), a client, and a
/// stranger, by the program `openssl`: ca.pem, server.pem, server.key, client.pem, client.key,
/// other-ca.pem. False if that failed.
bool make_certificates(const std::string& folder);

}  // namespace ew::testing
