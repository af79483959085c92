#include "host/stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

namespace ew::host {
namespace {

constexpr size_t kInputBytes = 64 << 10;
constexpr size_t kTlsReadBytes = 32 << 10;
/// Buffers above this are given back when they are empty.
constexpr size_t kKeepBytes = 512 << 10;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

void add_loopback(uint16_t port, std::vector<Address>& out) {
  Address v4;
  auto* in4 = reinterpret_cast<sockaddr_in*>(&v4.storage);
  in4->sin_family = AF_INET;
  in4->sin_port = htons(port);
  in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  v4.size = sizeof(sockaddr_in);
  Address v6;
  auto* in6 = reinterpret_cast<sockaddr_in6*>(&v6.storage);
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(port);
  in6->sin6_addr = in6addr_loopback;
  v6.size = sizeof(sockaddr_in6);
  out.push_back(v4);
  out.push_back(v6);
}

/// Fills `out`; the reason if there is none.
std::string resolve(const std::string& host, uint16_t port, int flags, std::vector<Address>& out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), str(port).c_str(), &hints, &list);
  if (failed != 0) return ::gai_strerror(failed);
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    Address address;
    if (item->ai_addrlen > sizeof(address.storage)) continue;
    std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
    address.size = item->ai_addrlen;
    out.push_back(address);
  }
  ::freeaddrinfo(list);
  return out.empty() ? "no address" : "";
}

Error io_error(const std::string& where, const char* what, int number) {
  return make_error(ErrorCode::kIo, where, ": ", what, ": ", std::strerror(number));
}

}  // namespace

/// Addresses of the target, found by a thread that may outlive the stream.
struct Stream::Lookup {
  std::mutex mutex;
  EventLoop* loop = nullptr;  // null once nobody waits any more
  std::vector<Address> addresses;
  size_t next = 0;
  std::string failure;
};

Stream::Stream(EventLoop& loop, StreamOwner& owner) : loop_(&loop), owner_(owner) {}

Stream::~Stream() { close(); }

std::string Stream::name() const {
  return target_.host.empty() ? "connection" : str(target_.host, ":", target_.port);
}

void Stream::connect(const StreamTarget& target) {
  EW_DCHECK(is_closed());
  target_ = target;
  is_connecting_ = true;
  timeout_ = loop_->call_after(target.timeout_us, [this] {
    timeout_ = {};
    fail(make_error(ErrorCode::kIo, name(), ": no answer within ", target_.timeout_us / 1000,
                    " ms"));
  });
  look_up(target);
}

void Stream::look_up(const StreamTarget& target) {
  lookup_ = std::make_shared<Lookup>();
  lookup_->loop = loop_;
  const auto go_on = [this, lookup = lookup_] {
    // Only the stream's own thread takes the loop away, and this is it.
    if (lookup->loop == nullptr) return;
    connect_next(make_error(ErrorCode::kIo, name(), ": ", lookup->failure));
  };
  if (target.host == "localhost") {
    add_loopback(target.port, lookup_->addresses);
    return loop_->post(go_on);
  }
  if (resolve(target.host, target.port, AI_NUMERICHOST, lookup_->addresses).empty()) {
    return loop_->post(go_on);
  }
  std::thread([lookup = lookup_, host = target.host, port = target.port, go_on] {
    std::vector<Address> found;
    std::string failure = resolve(host, port, AI_ADDRCONFIG, found);
    const std::lock_guard lock(lookup->mutex);
    lookup->addresses = std::move(found);
    lookup->failure = std::move(failure);
    if (lookup->loop != nullptr) lookup->loop->post(go_on);
  }).detach();
}

void Stream::connect_next(const Error& last_error) {
  Error error = last_error;
  while (lookup_->next < lookup_->addresses.size()) {
    const Address& address = lookup_->addresses[lookup_->next++];
    fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
      error = io_error(name(), "no socket", errno);
      continue;
    }
    const int result =
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    if (result == 0 || errno == EINPROGRESS) {
      events_ = EPOLLOUT;
      const Status status = loop_->watch(fd_, events_, *this);
      if (status.ok()) return;
      error = status.error();
    } else {
      error = io_error(name(), "cannot connect", errno);
    }
    ::close(fd_);
    fd_ = -1;
  }
  fail(error);
}

void Stream::finish_connect() {
  int number = 0;
  socklen_t size = sizeof(number);
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &number, &size);
  if (number != 0) {
    loop_->unwatch(fd_, *this);
    ::close(fd_);
    fd_ = -1;
    return connect_next(io_error(name(), "cannot connect", number));
  }
  is_connecting_ = false;
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (target_.tls == nullptr) return opened();
  if (const Status status = begin_tls(target_.host); !status.ok()) return fail(status.error());
  update_events();
  flush();
}

Status Stream::adopt(int fd, TlsContext* tls, int64_t timeout_us) {
  EW_DCHECK(is_closed());
  fd_ = fd;
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
  target_ = {};
  target_.tls = tls;
  events_ = EPOLLIN;
  EW_TRY_VOID(loop_->watch(fd_, events_, *this));
  if (tls == nullptr) {
    is_open_ = true;
    return {};
  }
  timeout_ = loop_->call_after(timeout_us, [this] {
    timeout_ = {};
    fail(make_error(ErrorCode::kIo, "connection: no TLS handshake in time"));
  });
  return begin_tls("");
}

Status Stream::begin_tls(const std::string& name) {
  EW_TRY(tls_, target_.tls->create_session(name));
  tls_->take_output(wire_);
  return {};
}

void Stream::opened() {
  loop_->cancel(timeout_);
  is_open_ = true;
  update_events();
  owner_.on_open();
}

void Stream::consume(size_t size) {
  size = std::min(size, input_end_ - input_begin_);  // closing has emptied it
  input_begin_ += size;
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
    if (input_.size() > kKeepBytes) input_ = std::vector<uint8_t>(kInputBytes);
  }
}

void Stream::reserve_input(size_t size) {
  if (input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  if (input_.size() < size) input_.resize(size);
}

void Stream::set_reading(bool is_reading) {
  if (is_reading_ == is_reading) return;
  is_reading_ = is_reading;
  update_events();
}

void Stream::update_events() {
  if (fd_ < 0 || is_connecting_) return;
  const bool reads = is_reading_ || !is_open_;
  const uint32_t events =
      (reads ? uint32_t{EPOLLIN} : 0u) | (is_waiting_to_write_ ? uint32_t{EPOLLOUT} : 0u);
  if (events == events_) return;
  events_ = events;
  if (const Status status = loop_->change(fd_, events, *this); !status.ok()) fail(status.error());
}

void Stream::on_ready(uint32_t events) {
  if (is_connecting_) return finish_connect();
  if ((events & EPOLLOUT) != 0 && is_waiting_to_write_) {
    flush();
    if (fd_ < 0) return;
    if (!is_waiting_to_write_ && is_open_) owner_.on_drained();
    if (fd_ < 0) return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
}

void Stream::read_some() {
  if (tls_) {
    uint8_t bytes[kTlsReadBytes];
    const ssize_t n = ::recv(fd_, bytes, sizeof(bytes), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return fail(io_error(name(), "cannot receive", errno));
    if (n == 0) return fail(make_error(ErrorCode::kIo, name(), ": closed by the other side"));
    const Status status = take_input({bytes, static_cast<size_t>(n)});
    if (!status.ok()) fail(at(name(), status.error()));
    return;
  }
  if (input_.empty()) input_.resize(kInputBytes);
  // Space behind the input is enough, or everything moves to the front.
  if (input_.size() - input_end_ < input_.size() / 4) reserve_input(input_.size());
  if (input_end_ == input_.size()) return set_reading(false);
  const ssize_t n = ::recv(fd_, input_.data() + input_end_, input_.size() - input_end_, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return fail(io_error(name(), "cannot receive", errno));
  if (n == 0) return fail(make_error(ErrorCode::kIo, name(), ": closed by the other side"));
  input_end_ += static_cast<size_t>(n);
  owner_.on_input();
}

Status Stream::take_input(Bytes bytes) {
  plain_.clear();
  const Status status = tls_->receive(bytes, plain_);
  tls_->take_output(wire_);
  if (!wire_.empty()) flush();
  if (fd_ < 0) return {};
  EW_TRY_VOID(status);
  if (!is_open_ && tls_->is_open()) opened();
  if (fd_ < 0) return {};
  if (!plain_.empty()) {
    const size_t needed = input_end_ - input_begin_ + plain_.size();
    if (input_.size() - input_end_ < plain_.size()) reserve_input(std::max(needed, kInputBytes));
    std::copy(plain_.begin(), plain_.end(), input_.begin() + static_cast<ptrdiff_t>(input_end_));
    input_end_ += plain_.size();
    owner_.on_input();
  }
  if (fd_ >= 0 && tls_->is_closed()) {
    return make_error(ErrorCode::kIo, "closed by the other side");
  }
  return {};
}

void Stream::schedule_flush() {
  if (is_flush_scheduled_) return;
  is_flush_scheduled_ = true;
  if (flush_delay_us_ == 0) return loop_->at_wakeup_end(*this);
  flush_timer_ = loop_->call_after(flush_delay_us_, [this] {
    flush_timer_ = {};
    on_wakeup_end();
  });
}

void Stream::on_wakeup_end() {
  is_flush_scheduled_ = false;
  if (!is_open_) return;
  flush();
  if (is_open_ && output_bytes() == 0) owner_.on_drained();
}

void Stream::flush() {
  if (fd_ < 0 || is_connecting_) return;
  if (tls_ && is_open_ && output_sent_ < output_.size()) {
    const Status status = tls_->send(Bytes(output_).subspan(output_sent_));
    output_.clear();
    output_sent_ = 0;
    if (!status.ok()) return fail(at(name(), status.error()));
    tls_->take_output(wire_);
  }
  std::vector<uint8_t>& buffer = tls_ ? wire_ : output_;
  size_t& sent = tls_ ? wire_sent_ : output_sent_;
  bool must_wait = false;
  while (sent < buffer.size()) {
    const ssize_t n = ::send(fd_, buffer.data() + sent, buffer.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      must_wait = true;
      break;
    }
    if (n < 0) return fail(io_error(name(), "cannot send", errno));
    sent += static_cast<size_t>(n);
  }
  if (sent == buffer.size()) {
    buffer.clear();
    sent = 0;
    if (buffer.capacity() > kKeepBytes) buffer.shrink_to_fit();
  }
  if (must_wait != is_waiting_to_write_) {
    is_waiting_to_write_ = must_wait;
    update_events();
  }
}

Status Stream::move_to(EventLoop& loop) {
  EW_DCHECK(is_open_);
  loop_->unwatch(fd_, *this);
  loop_->cancel(flush_timer_);
  loop_->forget(*this);
  lookup_.reset();
  loop_ = &loop;
  if (const Status status = loop.watch(fd_, events_, *this); !status.ok()) {
    release();
    return status;
  }
  is_flush_scheduled_ = false;
  if (output_bytes() > 0) schedule_flush();
  return {};
}

void Stream::fail(const Error& error) {
  release();
  owner_.on_close(error);
}

void Stream::close() {
  if (is_open_) {
    // Nobody is told of an error now.
    std::vector<uint8_t>& buffer = tls_ ? wire_ : output_;
    if (tls_ && output_sent_ < output_.size() &&
        tls_->send(Bytes(output_).subspan(output_sent_)).ok()) {
      tls_->take_output(wire_);
    }
    const size_t sent = tls_ ? wire_sent_ : output_sent_;
    if (sent < buffer.size()) {
      [[maybe_unused]] const ssize_t n =
          ::send(fd_, buffer.data() + sent, buffer.size() - sent, MSG_NOSIGNAL);
    }
  }
  release();
}

void Stream::release() {
  if (lookup_) {
    const std::lock_guard lock(lookup_->mutex);
    lookup_->loop = nullptr;
  }
  lookup_.reset();
  loop_->cancel(timeout_);
  loop_->cancel(flush_timer_);
  loop_->forget(*this);
  if (fd_ >= 0) {
    loop_->unwatch(fd_, *this);
    ::close(fd_);
  }
  fd_ = -1;
  is_connecting_ = is_open_ = is_waiting_to_write_ = is_flush_scheduled_ = false;
  is_reading_ = true;
  events_ = 0;
  tls_.reset();
  input_begin_ = input_end_ = output_sent_ = wire_sent_ = 0;
  output_.clear();
  wire_.clear();
  plain_.clear();
}

}  // namespace ew::host
