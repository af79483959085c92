// The ledger as JSON and as a table.
#include <algorithm>
#include <map>

#include "agent/ledger.h"
#include "agent/value.h"

namespace ew::agent {
namespace {

using Rows = std::vector<const LedgerRow*>;

/// Rows of one kind by their first name, in the order of names.
std::map<std::string_view, Rows> grouped(const std::vector<LedgerRow>& rows, LedgerKind kind) {
  std::map<std::string_view, Rows> groups;
  for (const LedgerRow& row : rows) {
    if (row.kind == kind) groups[row.first()].push_back(&row);
  }
  for (auto& [name, group] : groups) {
    std::ranges::sort(group, {}, [](const LedgerRow* row) { return row->second(); });
  }
  return groups;
}

void append_dropped(std::string& out, const LedgerRow& row) {
  out += "\"dropped\":{";
  bool is_first = true;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    if (row.dropped[i] == 0) continue;
    out += str(is_first ? "" : ",", "\"", to_string(static_cast<DropReason>(i)),
               "\":", row.dropped[i]);
    is_first = false;
  }
  out += '}';
}

/// {"a":{"x":BODY,"y":BODY},…} over two names, {"a":BODY,…} over one.
template <typename Body>
void append_groups(std::string& out, const std::vector<LedgerRow>& rows, LedgerKind kind,
                   bool has_two, Body body) {
  out += '{';
  bool is_first = true;
  for (const auto& [name, group] : grouped(rows, kind)) {
    if (!is_first) out += ',';
    is_first = false;
    append_json_text(out, name);
    out += has_two ? ":{" : ":";
    for (size_t i = 0; i < group.size(); ++i) {
      if (has_two) {
        if (i > 0) out += ',';
        append_json_text(out, group[i]->second());
        out += ':';
      }
      body(out, *group[i]);
    }
    if (has_two) out += '}';
  }
  out += '}';
}

void append_counts(std::string& out, const LedgerRow& row) {
  out += str("{\"accepted\":", row.accepted, ",\"delivered\":", row.delivered, ",");
  append_dropped(out, row);
  out += str(",\"queued\":", row.queued(), "}");
}

void append_bytes(std::string& out, const LedgerRow& row) {
  out += str("{\"records\":", row.accepted, ",\"bytes\":", row.delivered, "}");
}

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text + " ";
}

std::string reasons_text(const LedgerRow& row) {
  std::string out;
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    if (row.dropped[i] == 0) continue;
    out += str(out.empty() ? "" : ", ", to_string(static_cast<DropReason>(i)), " ", row.dropped[i]);
  }
  return out;
}

}  // namespace

std::string ledger_json(const std::vector<LedgerRow>& rows) {
  std::vector<LedgerRow> used;
  for (const LedgerRow& row : rows) {
    // Routes that have not sent anything are made with the app, and say nothing.
    if (row.kind != LedgerKind::kEgress || row.accepted > 0) used.push_back(row);
  }
  std::string out = "{\"sources\":";
  append_groups(out, used, LedgerKind::kInput, true, append_counts);
  out += ",\"egress\":";
  append_groups(out, used, LedgerKind::kEgress, true, append_bytes);
  out += ",\"input\":";
  append_groups(out, used, LedgerKind::kSource, false, append_bytes);
  out += ",\"sinks\":";
  append_groups(out, used, LedgerKind::kSink, false, append_counts);
  out += ",\"redactions\":";
  append_groups(out, used, LedgerKind::kRedaction, true,
                [](std::string& text, const LedgerRow& row) { text += str(row.accepted); });
  return out + "}";
}

std::string ledger_text(const std::vector<LedgerRow>& rows) {
  std::string out = padded("source", 16) + padded("key", 20) + padded("accepted", 12) +
                    padded("delivered", 12) + padded("queued", 8) + "dropped\n";
  for (const auto& [name, group] : grouped(rows, LedgerKind::kInput)) {
    for (const LedgerRow* row : group) {
      out += padded(std::string(name), 16) + padded(std::string(row->second()), 20) +
             padded(str(row->accepted), 12) + padded(str(row->delivered), 12) +
             padded(str(row->queued()), 8) + reasons_text(*row) + "\n";
    }
  }
  uint64_t in = 0;
  uint64_t left = 0;
  out +=
      "\n" + padded("rule or stream", 16) + padded("sink", 20) + padded("records", 12) + "bytes\n";
  for (const auto& [name, group] : grouped(rows, LedgerKind::kEgress)) {
    for (const LedgerRow* row : group) {
      left += row->delivered;
      if (row->accepted == 0) continue;
      out += padded(std::string(name), 16) + padded(std::string(row->second()), 20) +
             padded(str(row->accepted), 12) + str(row->delivered, "\n");
    }
  }
  for (const LedgerRow& row : rows) {
    if (row.kind == LedgerKind::kSource) in += row.delivered;
    if (row.kind == LedgerKind::kRedaction) {
      out += str("redacted ", row.first(), ".", row.second(), ": ", row.accepted, "\n");
    }
  }
  out += str(left, " bytes left; without processing here ", in, " bytes would have\n");
  return out;
}

}  // namespace ew::agent
