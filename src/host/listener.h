#pragma once
// Accepts TCP connections on the event loop.

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "host/event_loop.h"

namespace ew::host {

class Listener final : private Watcher {
 public:
  /// Listens on an address ("127.0.0.1", "::1", "0.0.0.0"); port 0 takes a free one. `on_accept`
  /// owns the descriptor that it gets. Errors: kInvalidArgument for no address; kIo with the
  /// reason.
  static Result<std::unique_ptr<Listener>> open(EventLoop& loop, const std::string& address,
                                                uint16_t port,
                                                std::function<void(int fd)> on_accept);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  uint16_t port() const { return port_; }
  /// Connections wait in the system while paused.
  void set_accepting(bool is_accepting);

 private:
  Listener(EventLoop& loop, int fd, uint16_t port, std::function<void(int fd)> on_accept);
  void on_ready(uint32_t events) override;

  EventLoop& loop_;
  int fd_;
  uint16_t port_;
  std::function<void(int fd)> on_accept_;
};

}  // namespace ew::host
