#include "agent/kept_links.h"

#include "agent/storage.h"

namespace ew::agent {
namespace {

/// Texts with their lengths, so that no two trees look alike.
void append_node(std::string& out, const host::YamlNode& node, bool names_a_file) {
  out += node.kind_name();
  out += str(node.is_quoted ? '"' : ' ', node.text.size(), ':', node.text);
  if (names_a_file) out += str('(', file_stamp(node.text), ')');
  for (const host::YamlNode& item : node.list) append_node(out, item, names_a_file);
  for (const host::YamlNode::Entry& entry : node.map) {
    out += str(entry.key.size(), '=', entry.key);
    const bool is_file = entry.key.ends_with("_file") || entry.key == "tls" || names_a_file;
    append_node(out, entry.value, is_file);
  }
  out += ';';
}

template <typename Map>
typename Map::mapped_type take(Map& map, const std::string& name) {
  const auto found = map.find(name);
  if (found == map.end()) return nullptr;
  typename Map::mapped_type link = std::move(found->second);
  map.erase(found);
  return link;
}

}  // namespace

std::unique_ptr<Source> KeptLinks::take_source(const std::string& name) {
  return take(sources, name);
}

std::unique_ptr<Sink> KeptLinks::take_sink(const std::string& name) { return take(sinks, name); }

std::string link_words(const Settings& settings) {
  std::string out;
  if (settings.node() == nullptr) return out;
  for (const host::YamlNode::Entry& entry : settings.node()->map) {
    if (entry.key == "from" || entry.key == "queue") continue;
    out += str(entry.key.size(), '=', entry.key);
    append_node(out, entry.value, entry.key.ends_with("_file") || entry.key == "tls");
  }
  return out;
}

}  // namespace ew::agent
