#pragma once
// HTTP/1.1 requests to one server on the event loop: one at a time over a connection that is kept.

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "host/event_loop.h"
#include "host/http_message.h"
#include "host/stream.h"

namespace ew::host {

struct HttpClientOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 80;
  std::shared_ptr<TlsContext> tls{};  ///< null: plain
  int64_t connect_timeout_us = 10'000'000;
  /// From sending a request to its whole response.
  int64_t response_timeout_us = 30'000'000;
  size_t max_waiting = 64;
  HttpLimits limits{};  ///< of responses
};

/// http:// or https:// in parts. `path` begins with '/' and has the query.
struct HttpUrl {
  bool uses_tls = false;
  std::string host;
  uint16_t port = 0;
  std::string path;
};
/// Errors: kInvalidArgument says what was expected.
Result<HttpUrl> parse_http_url(std::string_view text);

class HttpClient final : private StreamOwner {
 public:
  HttpClient(EventLoop& loop, HttpClientOptions options);
  ~HttpClient() override;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Errors in the answer: kIo (no connection, no response in time), kInvalidData (no HTTP),
  /// kResourceLimit (response too large). A status of 400 and above is a response like any other.
  /// The answer may send the next request, but not destroy the client. A connection that the server
  /// had closed meanwhile is opened once more without a word.
  using Answer = std::function<void(Result<HttpResponse>)>;
  /// Error kResourceLimit if too many wait already; `answer` is not called then.
  Status send(HttpRequest request, Answer answer);
  /// Requests that have no answer yet.
  size_t waiting() const { return queue_.size(); }
  /// Answers nothing any more.
  void stop();

 private:
  struct Job {
    HttpRequest request;
    Answer answer;
    bool was_tried = false;
  };

  void on_open() override;
  void on_input() override;
  void on_close(const Error& error) override;
  void start_next();
  void write_first();
  void finish(Result<HttpResponse> result);

  EventLoop& loop_;
  HttpClientOptions options_;
  Stream stream_;
  std::deque<Job> queue_;
  std::unique_ptr<HttpParser> parser_;  // while a request is on its way
  EventLoop::TimerId timeout_;
  bool is_reused_ = false;  // the connection has served a request before
};

}  // namespace ew::host
