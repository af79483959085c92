#include "host/plugin/tls_plugin.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

namespace ew::host {
namespace {

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SessionDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

/// OpenSSL's oldest error as text; the rest is dropped.
std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : str("error ", code);
}

class OpenSslSession final : public TlsSession {
 public:
  OpenSslSession(std::unique_ptr<SSL, SessionDeleter> ssl, BIO* in, BIO* out)
      : ssl_(std::move(ssl)), in_(in), out_(out) {}

  /// Begins the handshake; a client then has its first message to send.
  Status start() { return shake_hands(); }

  Status receive(Bytes bytes, std::vector<uint8_t>& plain) override {
    while (!bytes.empty()) {
      const auto size = static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20));
      if (BIO_write(in_, bytes.data(), size) != size) {
        return make_error(ErrorCode::kResourceLimit, "TLS: no memory");
      }
      bytes = bytes.subspan(static_cast<size_t>(size));
    }
    if (!is_open()) {
      EW_TRY_VOID(shake_hands());
      if (!is_open()) return {};
      EW_TRY_VOID(send_waiting());
    }
    return read_all(plain);
  }

  Status send(Bytes plain) override {
    if (!is_open()) {
      waiting_.insert(waiting_.end(), plain.begin(), plain.end());
      return {};
    }
    while (!plain.empty()) {
      ERR_clear_error();
      const auto size = static_cast<int>(std::min<size_t>(plain.size(), 1 << 20));
      const int n = SSL_write(ssl_.get(), plain.data(), size);
      if (n <= 0) return make_error(ErrorCode::kIo, "TLS: cannot send: ", openssl_reason());
      plain = plain.subspan(static_cast<size_t>(n));
    }
    return {};
  }

  void take_output(std::vector<uint8_t>& out) override {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    if (size <= 0) return;
    out.insert(out.end(), data, data + size);
    (void)BIO_reset(out_);
  }

  bool is_open() const override { return SSL_is_init_finished(ssl_.get()) == 1; }
  bool is_closed() const override {
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

 private:
  Status shake_hands() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return {};
    const int why = SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return {};
    const long verified = SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK) {
      ERR_clear_error();
      return invalid_data("TLS: the other side's certificate is refused: ",
                          X509_verify_cert_error_string(verified));
    }
    return invalid_data("TLS: no handshake: ", openssl_reason());
  }

  Status send_waiting() {
    std::vector<uint8_t> waiting;
    waiting.swap(waiting_);
    return send(waiting);
  }

  Status read_all(std::vector<uint8_t>& plain) {
    constexpr size_t kRecordBytes = 16 << 10;
    while (true) {
      const size_t before = plain.size();
      plain.resize(before + kRecordBytes);
      ERR_clear_error();
      const int n = SSL_read(ssl_.get(), &plain[before], kRecordBytes);
      plain.resize(before + static_cast<size_t>(std::max(n, 0)));
      if (n > 0) continue;
      const int why = SSL_get_error(ssl_.get(), n);
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return {};
      if (why == SSL_ERROR_ZERO_RETURN) return {};
      return invalid_data("TLS: the connection broke: ", openssl_reason());
    }
  }

  std::unique_ptr<SSL, SessionDeleter> ssl_;
  BIO* in_;
  BIO* out_;
  std::vector<uint8_t> waiting_;
};

class OpenSslContext final : public TlsContext {
 public:
  OpenSslContext(std::unique_ptr<SSL_CTX, ContextDeleter> context, bool is_server, bool verifies)
      : context_(std::move(context)), is_server_(is_server), verifies_(verifies) {}

  Result<std::unique_ptr<TlsSession>> create_session(const std::string& server_name) override {
    std::unique_ptr<SSL, SessionDeleter> ssl(SSL_new(context_.get()));
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    if (!ssl || in == nullptr || out == nullptr) {
      BIO_free(in);
      BIO_free(out);
      return make_error(ErrorCode::kResourceLimit, "TLS: no memory");
    }
    SSL_set_bio(ssl.get(), in, out);
    if (is_server_) {
      SSL_set_accept_state(ssl.get());
    } else {
      SSL_set_connect_state(ssl.get());
      if (!name_server(ssl.get(), server_name)) {
        return invalid_argument("TLS: ", server_name, " is no name that can be checked");
      }
    }
    auto session = std::make_unique<OpenSslSession>(std::move(ssl), in, out);
    EW_TRY_VOID(session->start());
    return std::unique_ptr<TlsSession>(std::move(session));
  }

 private:
  bool name_server(SSL* ssl, const std::string& name) const {
    in6_addr address{};
    const bool is_address = ::inet_pton(AF_INET, name.c_str(), &address) == 1 ||
                            ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
    if (!is_address && SSL_set_tlsext_host_name(ssl, name.c_str()) != 1) return false;
    if (!verifies_) return true;
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address) return X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1;
    return X509_VERIFY_PARAM_set1_host(rules, name.c_str(), name.size()) == 1;
  }

  std::unique_ptr<SSL_CTX, ContextDeleter> context_;
  bool is_server_;
  bool verifies_;
};

Status load_certificates(SSL_CTX* context, const TlsOptions& options) {
  if (!options.certificate_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
      return invalid_data(options.certificate_file,
                          ": cannot use the certificate: ", openssl_reason());
    }
    if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
      return invalid_data(options.key_file, ": cannot use the key: ", openssl_reason());
    }
  } else if (options.is_server) {
    return invalid_argument("TLS: a server needs a certificate and its key");
  }
  if (options.ca_file.empty()) {
    if (!options.is_server && !options.accepts_anyone) SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
    return invalid_data(options.ca_file, ": cannot use the certificates: ", openssl_reason());
  }
  return {};
}

Result<std::unique_ptr<TlsContext>> create(const TlsOptions& options) {
  std::unique_ptr<SSL_CTX, ContextDeleter> context(
      SSL_CTX_new(options.is_server ? TLS_server_method() : TLS_client_method()));
  if (!context) return make_error(ErrorCode::kResourceLimit, "TLS: no memory");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  EW_TRY_VOID(load_certificates(context.get(), options));
  const bool verifies = options.is_server ? !options.ca_file.empty() : !options.accepts_anyone;
  int mode = verifies ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  if (verifies && options.is_server) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context.get(), mode, nullptr);
  return std::unique_ptr<TlsContext>(
      std::make_unique<OpenSslContext>(std::move(context), options.is_server, verifies));
}

}  // namespace
}  // namespace ew::host

extern "C" __attribute__((visibility("default"))) const ew::host::TlsPlugin edgewise_tls_plugin;
const ew::host::TlsPlugin edgewise_tls_plugin = {ew::host::kTlsPluginVersion, ew::host::create};
