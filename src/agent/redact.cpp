#include "agent/redact.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "agent/json_scan.h"
#include "agent/stream.h"
#include "host/plugin/sodium_plugin.h"
#include "host/plugins.h"

namespace ew::agent {
namespace {

Redaction* find_redaction(std::span<Redaction> redactions, std::string_view field) {
  for (Redaction& one : redactions) {
    if (one.field == field) return &one;
  }
  return nullptr;
}

bool is_kept(std::span<const std::string> keep, std::string_view field) {
  return keep.empty() || std::ranges::find(keep, field) != keep.end();
}

double rounded(double value, int decimals) {
  const double scale = std::pow(10.0, decimals);
  return std::round(value * scale) / scale;
}

void append_name(std::string& out, std::string_view name, bool& is_first) {
  out += is_first ? "{\"" : ",\"";
  out += name;
  out += "\":";
  is_first = false;
}

constexpr char kHex[] = "0123456789abcdef";

std::string pseudonym_of(std::string_view text, const Redaction& redaction) {
  return redaction.key == nullptr ? pseudonym(text) : keyed_pseudonym(text, *redaction.key);
}

}  // namespace

std::string keyed_pseudonym(std::string_view text, const host::SecretKey& key) {
  std::array<uint8_t, 16> hash{};
  const Result<const host::SodiumPlugin*> sodium = host::sodium();
  // Apps with a key load it when they are built.
  if (!sodium.ok()) return "";
  (*sodium)->keyed_hash(hash.data(), reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                        key.data());
  std::string out;
  for (const uint8_t byte : hash) {
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::string pseudonym(std::string_view text) {
  // FNV-1a with a final mix (Steele et al., SplitMix64), so that near texts get far numbers.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  hash ^= hash >> 31;
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += kHex[(hash >> shift) & 15];
  return out;
}

void append_redacted_json(std::string& out, std::string_view object,
                          std::span<Redaction> redactions, std::span<const std::string> keep,
                          std::span<const std::string> replaced) {
  bool is_first = true;
  for_each_entry(object, [&](std::string_view name, std::string_view token) {
    if (!is_kept(keep, name) || std::ranges::find(replaced, name) != replaced.end()) return;
    Redaction* redaction = find_redaction(redactions, name);
    if (redaction != nullptr) ++redaction->applied;
    if (redaction != nullptr && redaction->what == Redaction::What::kDrop) return;
    append_name(out, name, is_first);
    if (redaction == nullptr) {
      out += token;
    } else if (redaction->what == Redaction::What::kHash) {
      const bool is_text = token.size() >= 2 && token[0] == '"';
      append_json_text(
          out, pseudonym_of(is_text ? token.substr(1, token.size() - 2) : token, *redaction));
    } else {
      double value = 0;
      const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
      if (error == std::errc()) {
        append_json_number(out, rounded(value, redaction->decimals));
      } else {
        out += "null";  // what is no number cannot be rounded, and must not leave as it is
      }
    }
  });
  out += is_first ? "{}" : "}";
}

void append_redacted_row(std::string& out, std::span<const Value> values,
                         std::span<const std::string> names, std::span<Redaction> redactions,
                         std::span<const std::string> keep) {
  bool is_first = true;
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) {
    if (!is_kept(keep, names[i])) continue;
    Redaction* redaction = find_redaction(redactions, names[i]);
    if (redaction != nullptr) ++redaction->applied;
    if (redaction != nullptr && redaction->what == Redaction::What::kDrop) continue;
    append_name(out, names[i], is_first);
    if (redaction == nullptr) {
      append_json(out, values[i]);
    } else if (redaction->what == Redaction::What::kHash) {
      std::string text(values[i].text);
      if (!values[i].is_text()) append_json(text, values[i]);
      append_json_text(out, pseudonym_of(text, *redaction));
    } else {
      append_json_number(out, rounded(values[i].as_number(), redaction->decimals));
    }
  }
  out += is_first ? "{}" : "}";
}

}  // namespace ew::agent
