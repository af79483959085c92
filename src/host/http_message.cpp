#include "host/http_message.h"

#include <time.h>

#include <algorithm>
#include <charconv>

#include "base/str.h"

namespace ew::host {
namespace {

constexpr size_t kMaxChunkLine = 256;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equals_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  const auto is_token_char = [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<uint8_t>(c) < 0x20 && c != '\t') || c == 0x7F;
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size())
    return std::nullopt;
  return value;
}

bool has_dot_part(std::string_view path) {
  for (const std::string& part : split(path, '/')) {
    if (part == "." || part == "..") return true;
  }
  return false;
}

}  // namespace

std::optional<std::string_view> HttpHeaders::find(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (equals_without_case(key, name)) return value;
  }
  return std::nullopt;
}

size_t HttpHeaders::count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(fields_.begin(), fields_.end(), [&](const auto& field) {
    return equals_without_case(field.first, name);
  }));
}

std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::optional<std::string> HttpRequest::parameter(std::string_view name) const {
  for (const std::string& pair : split(query, '&')) {
    const size_t equal = std::min(pair.find('='), pair.size());
    const auto key = decode_percent(std::string_view(pair).substr(0, equal), true);
    if (!key || *key != name) continue;
    return decode_percent(std::string_view(pair).substr(std::min(equal + 1, pair.size())), true);
  }
  return std::nullopt;
}

void HttpParser::fail(int status, const char* what) {
  if (!fault_) fault_ = HttpFault{status, what};
}

size_t HttpParser::feed(Bytes bytes) {
  size_t taken = 0;
  while (!fault_ && stage_ != Stage::kDone && taken < bytes.size()) {
    const Bytes left = bytes.subspan(taken);
    taken += stage_ == Stage::kHead ? take_head(left) : take_body(left);
  }
  return taken;
}

size_t HttpParser::take_head(Bytes bytes) {
  // The end may lie across two pieces.
  const size_t before = head_.size();
  const size_t room = limits_.max_head_bytes - std::min(before, limits_.max_head_bytes);
  const size_t size = std::min(bytes.size(), room);
  head_.append(as_text(bytes.first(size)));
  const size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end == std::string::npos) {
    if (size == room) fail(431, "header fields are too large");
    return size;
  }
  head_.resize(end + 2);
  parse_head();
  if (!fault_) choose_body();
  return end + 4 - before;
}

void HttpParser::parse_head() {
  std::string_view left = head_;
  size_t fields = 0;
  for (bool is_first = true; !left.empty(); is_first = false) {
    const size_t end = left.find("\r\n");
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(end + 2);
    if (has_control(line)) return fail(400, "control characters in the header");
    if (is_first) {
      const bool is_good =
          kind_ == Kind::kRequest ? parse_request_line(line) : parse_status_line(line);
      if (!is_good) return fail(400, "malformed first line");
      continue;
    }
    if (++fields > limits_.max_fields) return fail(431, "too many header fields");
    if (!parse_field(line)) return fail(400, "malformed header field");
  }
}

bool HttpParser::parse_request_line(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return false;
  const std::string_view version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  request_.method = line.substr(0, first);
  if (!is_token(request_.method) || (version != "HTTP/1.1" && version != "HTTP/1.0")) return false;
  is_1_0_ = version == "HTTP/1.0";
  if (target.empty() || target[0] != '/' || target.find_first_of(" #") != std::string_view::npos) {
    return false;
  }
  const size_t question = target.find('?');
  if (question != std::string_view::npos) {
    request_.query = target.substr(question + 1);
    target = target.substr(0, question);
  }
  const auto path = decode_percent(target, false);
  if (!path || has_dot_part(*path)) return false;
  request_.path = *path;
  return true;
}

bool HttpParser::parse_status_line(std::string_view line) {
  if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return false;
  is_1_0_ = line[7] == '0';
  const auto status = number(line.substr(9, 3), 10);
  if (!status || *status < 100 || *status > 599 || line.substr(9).size() < 3) return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  response_.status = static_cast<int>(*status);
  return true;
}

bool HttpParser::parse_field(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  headers().add(std::string(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1))));
  return true;
}

void HttpParser::choose_body() {
  const HttpHeaders& fields = headers();
  const bool is_request = kind_ == Kind::kRequest;
  const std::string_view connection = fields.find("Connection").value_or("");
  const bool closes = equals_without_case(connection, "close") ||
                      (is_1_0_ && !equals_without_case(connection, "keep-alive"));
  (is_request ? request_.keeps_alive : response_.keeps_alive) = !closes;
  if (is_request && fields.count("Host") != (is_1_0_ ? fields.count("Host") : 1)) {
    return fail(400, "expected one Host field");
  }
  const size_t lengths = fields.count("Content-Length");
  const size_t encodings = fields.count("Transfer-Encoding");
  // A message with both is how requests are smuggled past another reader (RFC 9112, 6.1).
  if (lengths + encodings > 1) return fail(400, "more than one length");
  const int status = response_.status;
  if (has_no_body_ || (!is_request && (status < 200 || status == 204 || status == 304))) {
    stage_ = Stage::kDone;
  } else if (encodings == 1) {
    if (is_1_0_ || !equals_without_case(*fields.find("Transfer-Encoding"), "chunked")) {
      return fail(501, "transfer encoding is not chunked");
    }
    stage_ = Stage::kChunkSize;
  } else if (lengths == 1) {
    const std::string_view text = *fields.find("Content-Length");
    const auto length = number(text, 10);
    if (!length || text[0] < '0' || text[0] > '9') return fail(400, "malformed Content-Length");
    if (*length > limits_.max_body_bytes) return fail(413, "body is too large");
    left_ = *length;
    stage_ = left_ > 0 ? Stage::kLength : Stage::kDone;
  } else if (is_request) {
    stage_ = Stage::kDone;
  } else {
    response_.keeps_alive = false;
    stage_ = Stage::kToEnd;
  }
}

size_t HttpParser::take_body(Bytes bytes) {
  if (stage_ == Stage::kChunkSize || stage_ == Stage::kChunkEnd || stage_ == Stage::kTrailer) {
    return take_line(bytes);
  }
  const bool has_length = stage_ != Stage::kToEnd;
  const size_t size =
      has_length ? static_cast<size_t>(std::min<uint64_t>(bytes.size(), left_)) : bytes.size();
  if (body().size() + size > limits_.max_body_bytes) {
    fail(413, "body is too large");
    return size;
  }
  body().append(as_text(bytes.first(size)));
  if (!has_length) return size;
  left_ -= size;
  if (left_ == 0) stage_ = stage_ == Stage::kChunk ? Stage::kChunkEnd : Stage::kDone;
  return size;
}

size_t HttpParser::take_line(Bytes bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), uint8_t{'\n'});
  const auto size = static_cast<size_t>(end - bytes.begin()) + (end == bytes.end() ? 0 : 1);
  line_.append(as_text(bytes.first(size)));
  if (line_.size() > kMaxChunkLine) {
    fail(400, "a line of a chunk is too long");
  } else if (line_.ends_with('\n')) {
    if (!line_.ends_with("\r\n")) {
      fail(400, "a line of a chunk ends without a carriage return");
      return size;
    }
    line_.resize(line_.size() - 2);
    line_is_whole();
    line_.clear();
  }
  return size;
}

void HttpParser::line_is_whole() {
  if (stage_ == Stage::kChunkEnd) {
    if (!line_.empty()) return fail(400, "a chunk is longer than it said");
    stage_ = Stage::kChunkSize;
  } else if (stage_ == Stage::kTrailer) {
    // Trailer fields are passed over.
    if (line_.empty()) stage_ = Stage::kDone;
    if (++left_ > limits_.max_fields) fail(431, "too many trailer fields");
  } else {
    const std::string_view size = trimmed(std::string_view(line_).substr(0, line_.find(';')));
    const auto value = size.size() <= 8 ? number(size, 16) : std::nullopt;
    if (!value || hex_digit(size[0]) < 0) return fail(400, "malformed chunk size");
    left_ = *value;
    stage_ = left_ > 0 ? Stage::kChunk : Stage::kTrailer;
  }
}

void HttpParser::finish() {
  if (stage_ == Stage::kToEnd) {
    stage_ = Stage::kDone;
  } else if (stage_ != Stage::kDone) {
    fail(400, "the connection ended within a message");
  }
}

const char* http_status_text(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

namespace {

void write_fields(const HttpHeaders& headers, std::string& out) {
  for (const auto& [name, value] : headers.fields()) {
    if (!is_token(name) || has_control(value)) continue;
    out += str(name, ": ", value, "\r\n");
  }
}

}  // namespace

void write_http_response(const HttpResponse& response, bool with_body, std::string& out) {
  out += str("HTTP/1.1 ", response.status, " ", http_status_text(response.status), "\r\n");
  write_fields(response.headers, out);
  if (response.status != 204 && response.status != 304) {
    out += str("Content-Length: ", response.body.size(), "\r\n");
  }
  if (!response.keeps_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (with_body) out += response.body;
}

void write_http_request(const HttpRequest& request, std::string_view host, std::string& out) {
  out += str(request.method, " ", request.path, request.query.empty() ? "" : "?", request.query,
             " HTTP/1.1\r\nHost: ", host, "\r\n");
  write_fields(request.headers, out);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    out += str("Content-Length: ", request.body.size(), "\r\n");
  }
  if (!request.keeps_alive) out += "Connection: close\r\n";
  out += "\r\n";
  out += request.body;
}

std::optional<int64_t> retry_after_us(const HttpResponse& response, int64_t system_us) {
  const auto field = response.headers.find("Retry-After");
  if (!field) return std::nullopt;
  constexpr uint64_t kLongestSeconds = 86'400;
  if (const auto seconds = number(*field, 10)) {
    return static_cast<int64_t>(std::min(*seconds, kLongestSeconds)) * 1'000'000;
  }
  tm date{};
  const std::string text(*field);
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (end == nullptr || *end != 0) return std::nullopt;
  const int64_t at_us = static_cast<int64_t>(::timegm(&date)) * 1'000'000;
  return std::clamp<int64_t>(at_us - system_us, 0, int64_t{kLongestSeconds} * 1'000'000);
}

}  // namespace ew::host
