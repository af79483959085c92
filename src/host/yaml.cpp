#include "host/yaml.h"

#include <cstring>
#include <unordered_map>

#include "base/file.h"
#include "base/plugin.h"
#include "host/plugin/yaml_plugin.h"

namespace ew::host {

std::string to_string(const YamlPlace& place) {
  return str(place.file ? *place.file : std::string("?"), ":", place.line, ":", place.column);
}

const char* YamlNode::kind_name() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a value";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
  }
  return "";
}

const YamlNode::Entry* YamlNode::entry(std::string_view key) const {
  for (const Entry& e : map) {
    if (e.key == key) return &e;
  }
  return nullptr;
}

const YamlNode* YamlNode::find(std::string_view key) const {
  const Entry* e = entry(key);
  return e == nullptr ? nullptr : &e->value;
}

Error YamlNode::error(const std::string& message) const {
  return invalid_data(place, ": ", message);
}

namespace {

/// Builds the tree from yaml-cpp's events and stops at the first breach of a limit.
class Builder {
 public:
  Builder(const std::string& file, const YamlLimits& limits)
      : file_(std::make_shared<const std::string>(file)), limits_(limits) {}

  static bool on_event(void* context, YamlEvent event, const char* value, size_t size,
                       const char* tag, uint64_t anchor, int line, int column) {
    return static_cast<Builder*>(context)->take(event, {value, size}, tag, anchor,
                                                {nullptr, line + 1, column + 1});
  }

  Result<YamlNode> result() {
    if (!error_.ok()) return error_.error();
    if (root_.place.file == nullptr) root_.place = {file_, 1, 1};  // an empty text
    return std::move(root_);
  }
  bool failed() const { return !error_.ok(); }

 private:
  struct Open {
    YamlNode node;
    uint64_t anchor = 0;
    size_t nodes_before = 0;
    bool has_key = false;
    std::string key;
    YamlPlace key_place;
    std::unordered_map<std::string, int> lines;  // of the keys so far
  };
  struct Anchored {
    YamlNode node;
    size_t nodes = 0;
  };

  bool fail(Error error) {
    error_ = std::move(error);
    return false;
  }
  bool fail_at(YamlPlace place, const std::string& message) {
    place.file = file_;
    return fail(invalid_data(place, ": ", message));
  }

  bool take(YamlEvent event, std::string_view value, std::string_view tag, uint64_t anchor,
            YamlPlace place) {
    place.file = file_;
    if (event == YamlEvent::kDocument) {
      if (documents_++ == 0) return true;
      return fail_at(place, "expected one document, found a second one");
    }
    if (event == YamlEvent::kListEnd || event == YamlEvent::kMapEnd) return close();
    if (!tag.empty() && tag != "!" && tag != "?") {
      return fail_at(place, str("expected no tags, found '", tag, "'"));
    }
    if (++nodes_ > limits_.max_nodes) {
      return fail(make_error(ErrorCode::kResourceLimit, place, ": more than ", limits_.max_nodes,
                             " values"));
    }
    switch (event) {
      case YamlEvent::kNull:
        return put(node_of(YamlNode::Kind::kNull, place), anchor, 1);
      case YamlEvent::kScalar: {
        YamlNode node = node_of(YamlNode::Kind::kScalar, place);
        node.text = std::string(value);
        node.is_quoted = tag == "!";
        return put(std::move(node), anchor, 1);
      }
      case YamlEvent::kAlias:
        return put_alias(anchor, place);
      default:
        return open(event == YamlEvent::kMapStart ? YamlNode::Kind::kMap : YamlNode::Kind::kList,
                    anchor, place);
    }
  }

  YamlNode node_of(YamlNode::Kind kind, const YamlPlace& place) {
    YamlNode node;
    node.kind = kind;
    node.place = place;
    return node;
  }

  bool open(YamlNode::Kind kind, uint64_t anchor, const YamlPlace& place) {
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) {
      return fail(make_error(ErrorCode::kResourceLimit, place, ": more than ", limits_.max_depth,
                             " levels"));
    }
    if (!stack_.empty() && stack_.back().node.is_map() && !stack_.back().has_key) {
      return fail_at(place, "expected a text as key");
    }
    Open level;
    level.node = node_of(kind, place);
    level.anchor = anchor;
    level.nodes_before = nodes_ - 1;
    stack_.push_back(std::move(level));
    return true;
  }

  bool close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    return put(std::move(done.node), done.anchor, nodes_ - done.nodes_before);
  }

  bool put_alias(uint64_t anchor, const YamlPlace& place) {
    const auto found = anchors_.find(anchor);
    // An alias inside its own anchor would be a cycle.
    if (found == anchors_.end()) return fail_at(place, "alias of something that is not closed yet");
    if (++aliases_ > limits_.max_aliases) {
      return fail(make_error(ErrorCode::kResourceLimit, place, ": more than ", limits_.max_aliases,
                             " aliases"));
    }
    nodes_ += found->second.nodes;
    if (nodes_ > limits_.max_nodes) {
      return fail(make_error(ErrorCode::kResourceLimit, place, ": aliases make more than ",
                             limits_.max_nodes, " values"));
    }
    return put(YamlNode(found->second.node), 0, 0);
  }

  bool put(YamlNode node, uint64_t anchor, size_t nodes) {
    if (anchor != 0) anchors_[anchor] = {node, nodes};
    if (stack_.empty()) {
      root_ = std::move(node);
      return true;
    }
    Open& top = stack_.back();
    if (top.node.is_list()) {
      top.node.list.push_back(std::move(node));
      return true;
    }
    if (top.has_key) {
      top.has_key = false;
      top.node.map.push_back({std::move(top.key), top.key_place, std::move(node)});
      return true;
    }
    if (!node.is_scalar()) return fail_at(node.place, "expected a text as key");
    const auto [before, is_new] = top.lines.try_emplace(node.text, node.place.line);
    if (!is_new) {
      return fail_at(node.place, str("'", node.text, "' stands here a second time (first: line ",
                                     before->second, ")"));
    }
    top.has_key = true;
    top.key = std::move(node.text);
    top.key_place = node.place;
    return true;
  }

  std::shared_ptr<const std::string> file_;
  YamlLimits limits_;
  Status error_;
  YamlNode root_;
  std::vector<Open> stack_;
  std::unordered_map<uint64_t, Anchored> anchors_;
  size_t nodes_ = 0;
  size_t aliases_ = 0;
  int documents_ = 0;
};

Result<const YamlPlugin*> yaml_plugin() {
  return load_plugin_table<YamlPlugin>("yaml", kYamlPluginSymbol, kYamlPluginVersion);
}

}  // namespace

Result<YamlNode> parse_yaml(std::string_view text, const std::string& file,
                            const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return make_error(ErrorCode::kResourceLimit, file, ": ", text.size(), " bytes, at most ",
                      limits.max_bytes);
  }
  EW_TRY(const YamlPlugin* plugin, yaml_plugin());
  Builder builder(file, limits);
  char message[512] = "";
  int line = 0;
  int column = 0;
  const bool ok = plugin->parse(text.data(), text.size(), &builder, &Builder::on_event, message,
                                sizeof message, &line, &column);
  if (!ok && !builder.failed()) {
    return invalid_data(file, ":", line + 1, ":", column + 1, ": ", std::string_view(message));
  }
  return builder.result();
}

Result<YamlNode> load_yaml(const std::string& path, const YamlLimits& limits) {
  EW_TRY(const std::vector<uint8_t> bytes, read_file(path, static_cast<int64_t>(limits.max_bytes)));
  return parse_yaml({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path, limits);
}

}  // namespace ew::host
