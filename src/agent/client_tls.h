#pragma once
// The words of a connection whose server may be asked for a certificate.

#include <memory>

#include "agent/settings.h"
#include "host/tls.h"

namespace ew::agent {

inline constexpr WordDef kClientTlsWords[] = {
    {.name = "ca", .help = "certificates (PEM) to trust; without it the system's"},
    {.name = "certificate", .help = "own certificate (PEM), for servers that ask for one"},
    {.name = "key", .help = "its key (PEM)"},
    {.name = "insecure",
     .kind = WordKind::kFlag,
     .help = "talk to anyone, whatever certificate they show",
     .fallback = "false"},
};

/// Of the map `tls` of `settings`, there or not. Errors: kInvalidData at the word.
Result<std::shared_ptr<host::TlsContext>> client_tls(const Settings& settings);

}  // namespace ew::agent
