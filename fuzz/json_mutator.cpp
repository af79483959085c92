#include "json_mutator.h"

#include <cstdint>
#include <limits>
#include <random>

#include "formats/json.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ew::fuzz {
namespace {

class JsonMutator {
 public:
  explicit JsonMutator(unsigned int seed) : random_(seed) {}

  void change(Config& root, const Config& donor) {
    for (size_t left = 1 + below(3); left > 0; --left) change_one(root, donor);
  }

 private:
  size_t below(size_t end) { return random_() % end; }

  static void collect(const Config& value, std::vector<const Config*>& out) {
    out.push_back(&value);
    for (const Config& child : value.as_list()) collect(child, out);
    for (const auto& [key, child] : value.as_map()) collect(child, out);
  }

  static void collect(Config& value, std::vector<Config*>& out) {
    out.push_back(&value);
    if (value.is_list()) {
      for (Config& child : value.mutable_list()) collect(child, out);
    } else if (value.is_map()) {
      for (auto& [key, child] : value.mutable_map()) collect(child, out);
    }
  }

  Config any_of(const Config& root) {
    std::vector<const Config*> values;
    collect(root, values);
    return *values[below(values.size())];
  }

  void change_one(Config& root, const Config& donor) {
    std::vector<Config*> values;
    collect(root, values);
    Config& value = *values[below(values.size())];
    switch (below(8)) {
      case 0:
        value = edge_value();
        return;
      case 1:
        value = any_of(root);
        return;
      case 2:
        value = any_of(donor);
        return;
      case 3:
        value = below(2) == 0 ? Config(Config::List{value}) : Config(Config::List{value, value});
        return;
      default:
        if (value.is_list() || value.is_map()) {
          change_children(value, root, donor);
        } else {
          change_scalar(value);
        }
    }
  }

  Config edge_value() {
    constexpr int64_t kInts[] = {-1, 0, 1, 2, 3, 7, 64, 4096, (int64_t{1} << 31) - 1};
    constexpr double kDoubles[] = {0.5, -0.5, 1e-30, 1e30, 1e308};
    switch (below(8)) {
      case 0:
        return {};
      case 1:
        return below(2) == 0;
      case 2:
        return kDoubles[below(std::size(kDoubles))];
      case 3:
        return std::numeric_limits<double>::quiet_NaN();
      case 4:
        return std::numeric_limits<int64_t>::max() - static_cast<int64_t>(below(2));
      case 5:
        return below(2) == 0 ? Config::list() : Config::map();
      case 6:
        return "";
      default:
        return kInts[below(std::size(kInts))];
    }
  }

  void change_children(Config& value, const Config& root, const Config& donor) {
    const size_t count = value.as_list().size() + value.as_map().size();
    const size_t at = count == 0 ? 0 : below(count);
    const size_t to = count == 0 ? 0 : below(count);
    const auto offset = static_cast<std::ptrdiff_t>(at);
    const size_t kind = count == 0 ? 2 : below(4);
    if (value.is_list()) {
      Config::List& items = value.mutable_list();
      if (kind == 0) items.erase(items.begin() + offset);
      if (kind == 1) std::swap(items[at], items[to]);
      if (kind == 2) items.insert(items.begin() + offset, any_of(below(2) == 0 ? root : donor));
      if (kind == 3) items.push_back(Config(items[at]));
    } else {
      Config::Map& entries = value.mutable_map();
      if (kind == 0) entries.erase(entries.begin() + offset);
      if (kind == 1) std::swap(entries[at].second, entries[to].second);
      if (kind >= 2) take_entry(value, any_of(kind == 2 ? root : donor));
    }
  }

  void take_entry(Config& value, const Config& from) {
    if (from.as_map().empty()) return;
    const auto& [key, child] = from.as_map()[below(from.as_map().size())];
    value.set(key, child);
  }

  void change_scalar(Config& value) {
    if (value.is_string()) {
      std::string text = value.as_string();
      const size_t size = text.size();
      text.resize(size + 16);
      text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
      value = text;
    } else if (value.is_int() && below(4) != 0) {
      const auto step = static_cast<uint64_t>(below(5)) - 2;
      value = static_cast<int64_t>(static_cast<uint64_t>(value.as_int()) + step);
    } else if (value.is_bool()) {
      value = !value.as_bool();
    } else {
      value = edge_value();
    }
  }

  std::minstd_rand random_;
};

}  // namespace

std::string mutate_json(std::string_view text, std::string_view donor, size_t max_size,
                        unsigned int seed) {
  Result<Config> root = formats::parse_json(text);
  if (!root.ok()) return {};
  const Result<Config> other = formats::parse_json(donor);
  JsonMutator(seed).change(*root, other.ok() ? *other : *root);
  std::string changed = formats::to_json(*root);
  return changed.size() <= max_size ? changed : std::string();
}

}  // namespace ew::fuzz
