#include "testing/mosquitto.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "base/str.h"

extern char** environ;

namespace ew::testing {
namespace {

constexpr const char* kProgram = "/usr/sbin/mosquitto";

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool is_listening(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool connected =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return connected;
}

}  // namespace

uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  uint16_t port = 0;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  ::close(fd);
  return port;
}

bool Mosquitto::is_installed() { return ::access(kProgram, X_OK) == 0; }

Mosquitto::Mosquitto(const std::string& extra) : port_(free_port()) {
  const std::string text =
      str("listener ", port_, " 127.0.0.1\nallow_anonymous true\nlog_type error\n",
          "max_queued_messages 0\npersistence true\npersistence_location ", folder_.path(),
          "/\nset_tcp_nodelay true\n", ::getuid() == 0 ? "user root\n" : "", extra);
  (void)write_file_atomic(folder_.path("broker.conf"), text);
  start();
}

Mosquitto::~Mosquitto() { stop(SIGKILL); }

bool Mosquitto::start() {
  const std::string config = folder_.path("broker.conf");
  const std::string log = folder_.path("broker.log");
  const char* arguments[] = {kProgram, "-c", config.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const int fd : {1, 2}) {
    ::posix_spawn_file_actions_addopen(&actions, fd, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                       0600);
  }
  const int failed = ::posix_spawn(&pid_, kProgram, &actions, nullptr,
                                   const_cast<char* const*>(arguments), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    pid_ = -1;
    return false;
  }
  // Only the port says that it is ready.
  for (int i = 0; i < 5000; ++i) {
    if (is_listening(port_)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

void Mosquitto::stop(int signal) {
  if (pid_ < 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

bool make_certificates(const std::string& folder) {
  // P-256 keys: quick to make.
  const std::string script = str(
      "cd '", folder, "' && exec 2>openssl.log && set -e\n",
      "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'\n",
      "for ca in ca other-ca; do openssl req -x509 $key -subj \"/CN=$ca\" -keyout $ca.key -out "
      "$ca.pem; done\n",
      "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > server.ext; : > client.ext\n",
      "for who in server client; do openssl req $key -subj \"/CN=$who\" -keyout $who.key -out "
      "$who.csr; openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
      "-extfile $who.ext -out $who.pem; done\n");
  return std::system(script.c_str()) == 0;  // NOLINT: a test's own script
}

}  // namespace ew::testing
