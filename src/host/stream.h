#pragma once
// A TCP connection, plain or TLS, with its buffers, on the event loop.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/bytes.h"
#include "host/event_loop.h"
#include "host/tls.h"

namespace ew::host {

class Stream;

/// Whose stream it is. May close the stream in any of these, but not destroy it.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  /// Connected, and with TLS: the handshake is done.
  virtual void on_open() = 0;
  /// input() has grown.
  virtual void on_input() = 0;
  /// All of output() has been given to the system.
  virtual void on_drained() {}
  /// The connection is gone, or never came to be; the stream is closed.
  virtual void on_close(const Error& error) = 0;
};

struct StreamTarget {
  std::string host;
  uint16_t port = 0;
  TlsContext* tls = nullptr;  ///< null: plain. Must outlive the stream.
  /// For connecting and the TLS handshake together.
  int64_t timeout_us = 10'000'000;
};

class Stream final : private Watcher, private WakeupEnd {
 public:
  Stream(EventLoop& loop, StreamOwner& owner);
  ~Stream() override;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// on_open() or on_close() follows, never from within this call. Names are looked up on a thread
  /// of their own. The stream must be closed.
  void connect(const StreamTarget& target);
  /// Takes an accepted socket. on_open() follows after the TLS handshake, if there is one.
  Status adopt(int fd, TlsContext* tls, int64_t timeout_us);

  bool is_open() const { return is_open_; }
  bool is_closed() const { return fd_ < 0 && !is_connecting_; }

  /// What came in and was not consumed. Views of it hold until on_input() returns or
  /// reserve_input().
  Bytes input() const { return {input_.data() + input_begin_, input_end_ - input_begin_}; }
  void consume(size_t size);
  /// The buffer holds at least this many bytes behind what was consumed; it grows for nothing else.
  void reserve_input(size_t size);
  /// Stops and goes on reading from the socket.
  void set_reading(bool is_reading);

  /// Append here; it leaves in one write at the end of the wake-up, or `delay_us` later.
  std::vector<uint8_t>& output() {
    schedule_flush();
    return output_;
  }
  /// Bytes that wait for the other side.
  size_t output_bytes() const { return output_.size() - output_sent_ + wire_.size() - wire_sent_; }
  void set_flush_delay(int64_t delay_us) { flush_delay_us_ = delay_us; }
  /// Goes on on another loop of the same thread, with all that is buffered. Only for an open
  /// stream; error kIo leaves it closed, without on_close().
  Status move_to(EventLoop& loop);
  void flush();

  /// Without on_close(). What is in output() is sent as far as the system takes it at once.
  void close();

 private:
  struct Lookup;
  void on_ready(uint32_t events) override;
  void on_wakeup_end() override;
  void schedule_flush();
  void look_up(const StreamTarget& target);
  void connect_next(const Error& last_error);
  void finish_connect();
  Status begin_tls(const std::string& name);
  void read_some();
  Status take_input(Bytes bytes);
  void opened();
  void update_events();
  void fail(const Error& error);
  void release();
  std::string name() const;

  EventLoop* loop_;
  StreamOwner& owner_;
  int fd_ = -1;
  bool is_connecting_ = false;
  bool is_open_ = false;
  bool is_reading_ = true;
  bool is_waiting_to_write_ = false;
  bool is_flush_scheduled_ = false;
  uint32_t events_ = 0;
  int64_t flush_delay_us_ = 0;
  EventLoop::TimerId flush_timer_;
  EventLoop::TimerId timeout_;
  StreamTarget target_;
  std::shared_ptr<Lookup> lookup_;
  std::unique_ptr<TlsSession> tls_;

  std::vector<uint8_t> input_;
  size_t input_begin_ = 0;
  size_t input_end_ = 0;
  std::vector<uint8_t> output_;
  size_t output_sent_ = 0;
  std::vector<uint8_t> plain_;  // TLS: decrypted, on its way to input_
  std::vector<uint8_t> wire_;   // TLS: encrypted, on its way to the socket
  size_t wire_sent_ = 0;
};

}  // namespace ew::host
