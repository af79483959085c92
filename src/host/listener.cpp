#include "host/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ew::host {
namespace {

constexpr int kBacklog = 128;
constexpr int kAcceptsAtOnce = 16;

Error io_error(const std::string& address, uint16_t port, const char* what) {
  return make_error(ErrorCode::kIo, address, ":", port, ": cannot ", what, ": ",
                    std::strerror(errno));
}

uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(EventLoop& loop, const std::string& address,
                                                 uint16_t port,
                                                 std::function<void(int fd)> on_accept) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* list = nullptr;
  if (::getaddrinfo(address.c_str(), str(port).c_str(), &hints, &list) != 0) {
    return invalid_argument(address, ": expected a numeric address to listen on, like 127.0.0.1");
  }
  const int fd = ::socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  const bool is_bound =
      fd >= 0 && ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
      ::bind(fd, list->ai_addr, list->ai_addrlen) == 0 && ::listen(fd, kBacklog) == 0;
  ::freeaddrinfo(list);
  if (!is_bound) {
    const Error error = io_error(address, port, "listen");
    if (fd >= 0) ::close(fd);
    return error;
  }
  std::unique_ptr<Listener> listener(new Listener(loop, fd, port_of(fd), std::move(on_accept)));
  EW_TRY_VOID(loop.watch(fd, EPOLLIN, *listener));
  return listener;
}

Listener::Listener(EventLoop& loop, int fd, uint16_t port, std::function<void(int fd)> on_accept)
    : loop_(loop), fd_(fd), port_(port), on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  loop_.unwatch(fd_, *this);
  ::close(fd_);
}

void Listener::set_accepting(bool is_accepting) {
  (void)loop_.change(fd_, is_accepting ? uint32_t{EPOLLIN} : 0u, *this);
}

void Listener::on_ready(uint32_t) {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    on_accept_(fd);
  }
}

}  // namespace ew::host
