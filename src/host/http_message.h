#pragma once
// HTTP/1.1 messages (RFC 9112) as bytes. The parser takes hostile input: everything is bounded, and
// what two readers could understand differently is refused.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/bytes.h"

namespace ew::host {

/// Header fields in their order; names compare without case.
class HttpHeaders {
 public:
  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  /// The first field of this name, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  size_t count(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct HttpRequest {
  std::string method = "GET";
  std::string path =
      "/";            ///< starts with '/'; percent codes are decoded, without "." or ".." parts
  std::string query;  ///< behind '?', as it came
  HttpHeaders headers;
  std::string body;
  bool keeps_alive = true;

  /// The value of `name` in the query, decoded.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  bool keeps_alive = true;
};

struct HttpLimits {
  size_t max_head_bytes = 16 << 10;
  size_t max_fields = 100;
  size_t max_body_bytes = 1 << 20;
};

/// What an HttpParser found: nothing yet, a whole message, or an error with the status to answer.
struct HttpFault {
  int status = 0;
  const char* what = nullptr;
};

/// Reads one message from pieces of any size.
class HttpParser {
 public:
  enum class Kind { kRequest, kResponse };

  HttpParser(Kind kind, const HttpLimits& limits) : kind_(kind), limits_(limits) {}

  /// Takes bytes from the front of `bytes`, up to the message's end, and says how many.
  size_t feed(Bytes bytes);
  /// The connection has ended: a response without a length is then whole.
  void finish();
  bool is_done() const { return stage_ == Stage::kDone; }
  bool has_begun() const { return !head_.empty() || stage_ != Stage::kHead; }
  const std::optional<HttpFault>& fault() const { return fault_; }
  /// For a response to HEAD, which has no body whatever its fields say.
  void expect_no_body() { has_no_body_ = true; }

  /// The message, once it is_done().
  HttpRequest& request() { return request_; }
  HttpResponse& response() { return response_; }

 private:
  enum class Stage { kHead, kLength, kToEnd, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };

  size_t take_head(Bytes bytes);
  size_t take_body(Bytes bytes);
  size_t take_line(Bytes bytes);
  void parse_head();
  bool parse_request_line(std::string_view line);
  bool parse_status_line(std::string_view line);
  bool parse_field(std::string_view line);
  void choose_body();
  void line_is_whole();
  void fail(int status, const char* what);
  HttpHeaders& headers() { return kind_ == Kind::kRequest ? request_.headers : response_.headers; }
  std::string& body() { return kind_ == Kind::kRequest ? request_.body : response_.body; }

  Kind kind_;
  HttpLimits limits_;
  Stage stage_ = Stage::kHead;
  bool has_no_body_ = false;
  bool is_1_0_ = false;
  std::string head_;
  std::string line_;
  uint64_t left_ = 0;
  HttpRequest request_;
  HttpResponse response_;
  std::optional<HttpFault> fault_;
};

/// "Not Found".
const char* http_status_text(int status);
/// Appends the message; Content-Length is added. Fields must hold no line ends (they are left out).
void write_http_response(const HttpResponse& response, bool with_body, std::string& out);
void write_http_request(const HttpRequest& request, std::string_view host, std::string& out);
/// Percent codes decoded; nothing if one is malformed or gives a zero byte.
std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space);
/// Delay that a Retry-After field asks for, in microseconds: seconds, or a date (IMF-fixdate).
std::optional<int64_t> retry_after_us(const HttpResponse& response, int64_t system_us);

}  // namespace ew::host
