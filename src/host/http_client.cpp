#include "host/http_client.h"

#include <charconv>

namespace ew::host {

Result<HttpUrl> parse_http_url(std::string_view text) {
  const auto wrong = [&] {
    return invalid_argument("expected http://HOST[:PORT][/PATH] or https://..., found '", text,
                            "'");
  };
  HttpUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.uses_tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong();
  }
  url.port = url.uses_tls ? 443 : 80;
  const size_t slash = std::min(rest.find('/'), rest.size());
  url.path = slash == rest.size() ? "/" : rest.substr(slash);
  std::string_view authority = rest.substr(0, slash);
  if (url.path.find_first_of(" #\r\n") != std::string::npos ||
      authority.find_first_of("@? ") != std::string_view::npos) {
    return wrong();
  }
  const bool is_v6 = authority.starts_with('[');
  const size_t bracket = is_v6 ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return wrong();
  const size_t colon = authority.find(':', bracket);
  if (colon != std::string_view::npos) {
    const std::string_view digits = authority.substr(colon + 1);
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
    if (error != std::errc() || stop != digits.data() + digits.size() || url.port == 0) {
      return wrong();
    }
    authority = authority.substr(0, colon);
  }
  url.host = is_v6 ? authority.substr(1, bracket - 1) : authority;
  if (url.host.empty()) return wrong();
  return url;
}

HttpClient::HttpClient(EventLoop& loop, HttpClientOptions options)
    : loop_(loop), options_(std::move(options)), stream_(loop, *this) {}

HttpClient::~HttpClient() { stop(); }

void HttpClient::stop() {
  loop_.cancel(timeout_);
  queue_.clear();
  parser_.reset();
  stream_.close();
}

Status HttpClient::send(HttpRequest request, Answer answer) {
  if (queue_.size() >= options_.max_waiting) {
    return make_error(ErrorCode::kResourceLimit, options_.host, ": ", queue_.size(),
                      " requests wait already");
  }
  queue_.push_back({std::move(request), std::move(answer)});
  if (queue_.size() == 1) start_next();
  return {};
}

void HttpClient::start_next() {
  if (queue_.empty() || parser_) return;
  if (stream_.is_open()) return write_first();
  is_reused_ = false;
  if (stream_.is_closed()) {
    stream_.connect(
        {options_.host, options_.port, options_.tls.get(), options_.connect_timeout_us});
  }
}

void HttpClient::on_open() { start_next(); }

void HttpClient::write_first() {
  const HttpRequest& request = queue_.front().request;
  parser_ = std::make_unique<HttpParser>(HttpParser::Kind::kResponse, options_.limits);
  if (request.method == "HEAD") parser_->expect_no_body();
  const bool is_default = options_.port == (options_.tls ? 443 : 80);
  const bool is_v6 = options_.host.find(':') != std::string::npos;
  const std::string name = is_v6 ? str("[", options_.host, "]") : options_.host;
  std::string text;
  write_http_request(request, is_default ? name : str(name, ":", options_.port), text);
  std::vector<uint8_t>& out = stream_.output();
  out.insert(out.end(), text.begin(), text.end());
  timeout_ = loop_.call_after(options_.response_timeout_us, [this] {
    timeout_ = {};
    stream_.close();
    finish(make_error(ErrorCode::kIo, options_.host, ":", options_.port, ": no response within ",
                      options_.response_timeout_us / 1000, " ms"));
  });
}

void HttpClient::on_input() {
  while (stream_.is_open() && parser_) {
    const Bytes input = stream_.input();
    if (input.empty()) return;
    stream_.consume(parser_->feed(input));
    if (parser_->fault()) {
      const HttpFault fault = *parser_->fault();
      stream_.close();
      return finish(make_error(fault.status == 413 || fault.status == 431
                                   ? ErrorCode::kResourceLimit
                                   : ErrorCode::kInvalidData,
                               options_.host, ":", options_.port, ": response: ", fault.what));
    }
    if (!parser_->is_done()) continue;
    HttpResponse response = std::move(parser_->response());
    if (response.status < 200) {  // 100 Continue, 103: the response is yet to come
      parser_ = std::make_unique<HttpParser>(HttpParser::Kind::kResponse, options_.limits);
      continue;
    }
    if (!response.keeps_alive || !queue_.front().request.keeps_alive) stream_.close();
    is_reused_ = true;
    finish(std::move(response));
  }
  // Bytes that answer nothing.
  if (stream_.is_open() && !stream_.input().empty()) stream_.close();
}

void HttpClient::on_close(const Error& error) {
  if (parser_ && parser_->has_begun()) {
    parser_->finish();
    if (parser_->is_done()) return finish(std::move(parser_->response()));
  }
  if (queue_.empty()) return;
  // Kept connections end at the server's pleasure; nothing was answered on this one.
  const bool may_retry =
      is_reused_ && parser_ && !parser_->has_begun() && !queue_.front().was_tried;
  if (may_retry) {
    queue_.front().was_tried = true;
    parser_.reset();
    loop_.cancel(timeout_);
    return start_next();
  }
  finish(error);
}

void HttpClient::finish(Result<HttpResponse> result) {
  loop_.cancel(timeout_);
  parser_.reset();
  if (queue_.empty()) return;
  const Answer answer = std::move(queue_.front().answer);
  queue_.pop_front();
  answer(std::move(result));
  start_next();
}

}  // namespace ew::host
