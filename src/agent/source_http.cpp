// `type: http`: others post their messages to a path. A request is answered when all of it is
// stored, so that who got no answer sends it again.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "agent/batch_body.h"
#include "agent/source.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "host/event_loop.h"
#include "host/http_server.h"

namespace ew::agent {
namespace {

// Each connection is one sender with one request at a time; their number is bounded, their rate is
// what the journal takes.
constexpr size_t kMaxConnections = 256;
constexpr double kUnlimited = 1e9;

constexpr WordDef kTlsWords[] = {
    {.name = "certificate", .help = "certificate chain (PEM)", .is_required = true},
    {.name = "key", .help = "its key (PEM)", .is_required = true},
    {.name = "ca", .help = "clients must show a certificate by one of these (PEM)"},
};

constexpr WordDef kWords[] = {
    {.name = "port",
     .kind = WordKind::kInteger,
     .help = "TCP port; 0: a free one",
     .is_required = true,
     .min = 0,
     .max = 65535},
    {.name = "host", .help = "address to listen on", .fallback = "127.0.0.1"},
    {.name = "path", .help = "where messages are posted", .fallback = "/"},
    {.name = "token_file",
     .help = "file with the bearer token that senders need, in its first line"},
    {.name = "tls",
     .kind = WordKind::kMap,
     .help = "certificates; needed beyond loopback",
     .words = kTlsWords},
};

// Takes as long wherever the first difference is.
bool is_same(std::string_view a, std::string_view b) {
  unsigned difference = a.size() != b.size();
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

class HttpSource final : public Source {
 public:
  HttpSource(const Settings& settings, std::string token, std::unique_ptr<host::TlsContext> tls)
      : format_(settings.text("format")),
        path_(settings.text("path")),
        token_(std::move(token)),
        tls_(std::move(tls)) {
    options_.address = settings.text("host");
    options_.port = static_cast<uint16_t>(settings.integer("port"));
    options_.tls = tls_.get();
    options_.limits.max_body_bytes = static_cast<size_t>(settings.size("max_payload"));
    options_.max_connections = kMaxConnections;
    options_.max_requests_per_second = options_.max_burst = kUnlimited;
  }

  Status start(const SourceContext& context) override {
    intake_ = &context.intake;
    requests_ = context.requests;
    EW_TRY(server_, host::HttpServer::open(context.loop, options_));
    server_->route(
        "POST", path_, host::Access::kPublic,
        [this](const host::HttpRequest& request, std::shared_ptr<host::HttpReply> reply) {
          take(request, std::move(reply));
        });
    intake_->set_state(LinkState::kConnected,
                       str(options_.address, " port ", server_->port(), " ", path_));
    return {};
  }

  void acknowledge(uint64_t token) override {
    const auto found = open_.find(token);
    if (found == open_.end() || --found->second.records > 0) return;
    found->second.reply->send(200, "application/json",
                              str("{\"accepted\":", found->second.all, "}"));
    open_names_.erase(found->second.name);
    open_.erase(found);
  }

  void stop() override {
    server_.reset();
    open_.clear();
    open_names_.clear();
  }

  bool is_durable() const override { return true; }

 private:
  struct Request {
    std::shared_ptr<host::HttpReply> reply;
    size_t records = 0;  ///< not stored yet
    size_t all = 0;
    std::string name = {};
  };

  /// What a request is known by when it comes again: the sender's word for it, and what it brings.
  static std::string name_of(const host::HttpRequest& request) {
    const auto key = request.headers.find("Idempotency-Key");
    if (!key || key->empty()) return {};
    const auto bytes = [](std::string_view text) {
      return std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    };
    return str(*key, " ", request.body.size(), " ", crc32c(bytes(request.body)));
  }

  void take(const host::HttpRequest& request, std::shared_ptr<host::HttpReply> reply) {
    constexpr std::string_view kBearer = "Bearer ";
    const std::string_view field = request.headers.find("Authorization").value_or("");
    if (!token_.empty() &&
        !(field.starts_with(kBearer) && is_same(field.substr(kBearer.size()), token_))) {
      return refuse(*reply, 401, "a token is needed: Authorization: Bearer TOKEN",
                    {"WWW-Authenticate", "Bearer"});
    }
    if (intake_->is_paused()) return refuse(*reply, 503, "busy", {"Retry-After", "1"});
    const auto records = split_batch(request.body, format_);
    if (!records || records->empty()) {
      intake_->drop("", request.body.size(), DropReason::kMalformed);
      return refuse(*reply, 400, "expected a JSON object, a list of them, or one a line");
    }
    const std::string name = name_of(request);
    if (name.size() > RecentRequests::kMaxNameBytes) {
      return refuse(*reply, 400, "expected an Idempotency-Key of at most 200 bytes");
    }
    // Its first coming is not stored yet, so it cannot be answered for.
    if (open_names_.contains(name)) return refuse(*reply, 503, "busy", {"Retry-After", "1"});
    take_records(request, *records, name, std::move(reply));
    intake_->end_batch();
  }

  void take_records(const host::HttpRequest& request, const std::vector<std::string_view>& records,
                    const std::string& name, std::shared_ptr<host::HttpReply> reply) {
    // After a crash in the middle of a request its beginning is stored.
    const size_t stored =
        name.empty() ? 0 : std::min<size_t>(requests_.records(name), records.size());
    for (size_t i = 0; i < stored; ++i) {
      intake_->drop("", records[i].size(), DropReason::kDuplicate);
    }
    if (stored == records.size()) {
      return reply->send(200, "application/json", str("{\"accepted\":", stored, "}"));
    }
    const uint64_t token = ++last_token_;
    open_[token] = {std::move(reply), records.size() - stored, records.size(), name};
    if (!name.empty()) open_names_.insert(name);
    const std::string_view trace_parent = request.headers.find("traceparent").value_or("");
    for (size_t i = stored; i < records.size(); ++i) {
      if (!name.empty()) requests_.note_record(name);
      intake_->push({.arrival_us = intake_->now_us(),
                     .topic = request.path,
                     .payload = records[i],
                     .request = name,
                     .trace_parent = trace_parent,
                     .ack_token = token});
    }
  }

  static void refuse(host::HttpReply& reply, int status, const char* why,
                     std::pair<std::string, std::string> more = {}) {
    host::HttpResponse response;
    response.status = status;
    response.body = str(why, "\n");
    response.headers.add("Content-Type", "text/plain");
    if (!more.first.empty()) response.headers.add(more.first, more.second);
    reply.send(std::move(response));
  }

  std::string format_;
  std::string path_;
  std::string token_;
  std::unique_ptr<host::TlsContext> tls_;
  host::HttpServerOptions options_;
  Intake* intake_ = nullptr;
  std::unique_ptr<host::HttpServer> server_;
  std::map<uint64_t, Request> open_;  // by the token of its records
  std::set<std::string> open_names_;
  RecentRequests requests_;
  uint64_t last_token_ = 0;
};

Result<std::unique_ptr<Source>> create(const Settings& settings, const std::string&) {
  const std::string host = settings.text("host");
  const bool is_loopback = host == "localhost" || host == "::1" || host.starts_with("127.");
  if (!is_loopback && !settings.has("tls")) {
    return settings.error("host", str("'", host, "' can be reached from outside, so that `tls: ",
                                      "{certificate, key}` is needed"));
  }
  if (!settings.text("path").starts_with('/')) return settings.error("path", "expected /...");
  std::string token;
  if (settings.has("token_file")) {
    const auto content = read_file(settings.text("token_file"), 65536);
    if (!content.ok()) return settings.error("token_file", content.error().message);
    token.assign(content->begin(), content->end());
    token.resize(std::min(token.find_first_of("\r\n"), token.size()));
    if (token.empty()) return settings.error("token_file", "expected a token in the first line");
  }
  std::unique_ptr<host::TlsContext> tls;
  if (settings.has("tls")) {
    const Settings words = settings.map("tls");
    auto context = host::create_tls_context({.is_server = true,
                                             .ca_file = words.text("ca"),
                                             .certificate_file = words.text("certificate"),
                                             .key_file = words.text("key")});
    if (!context.ok()) return settings.error("tls", context.error().message);
    tls = std::move(*context);
  }
  return std::unique_ptr<Source>(
      std::make_unique<HttpSource>(settings, std::move(token), std::move(tls)));
}

}  // namespace

extern const SourceType kHttpSource;
const SourceType kHttpSource{
    .name = "http", .help = "messages that others post", .words = kWords, .create = create};

}  // namespace ew::agent
