#pragma once
// TLS 1.2 and 1.3 between bytes and bytes: no sockets here. OpenSSL does it, in libedgewise_tls.so,
// which is loaded when the first context is created.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "host/bytes.h"

namespace ew::host {

struct TlsOptions {
  bool is_server = false;
  /// Certificates (PEM) that the other side's must lead to. Empty: for a client the system's; a
  /// server then asks its clients for none.
  std::string ca_file{};
  /// Own certificate chain and key (PEM). A server needs them; a client gives them if asked (mTLS).
  std::string certificate_file{};
  std::string key_file{};
  /// A client does not check who the other side is. For tests with throw-away certificates only.
  bool accepts_anyone = false;
};

/// One connection. Not thread-safe.
class TlsSession {
 public:
  virtual ~TlsSession() = default;
  /// Takes bytes from the network and appends what they say to `plain`. Error kInvalidData: the
  /// handshake failed or the peer broke the protocol; send what output() has, then close.
  virtual Status receive(Bytes bytes, std::vector<uint8_t>& plain) = 0;
  /// Takes bytes to send; before the handshake is done they wait.
  virtual Status send(Bytes plain) = 0;
  /// Appends to `out` what is to go to the network, and forgets it.
  virtual void take_output(std::vector<uint8_t>& out) = 0;
  virtual bool is_open() const = 0;    ///< the handshake is done
  virtual bool is_closed() const = 0;  ///< the other side has said goodbye
};

/// Certificates and rules, shared by connections, which it must outlive.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  /// `server_name`: for a client the name or address that the certificate must carry.
  virtual Result<std::unique_ptr<TlsSession>> create_session(const std::string& server_name) = 0;
};

/// Errors: kNotFound, kInvalidData (files); as load_plugin().
Result<std::unique_ptr<TlsContext>> create_tls_context(const TlsOptions& options);

}  // namespace ew::host
