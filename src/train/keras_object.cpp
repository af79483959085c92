#include "train/keras_object.h"

#include <cctype>

namespace ew::train {
namespace {

bool is_upper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
bool is_lower(char c) { return std::islower(static_cast<unsigned char>(c)) != 0; }
char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::string without_package(std::string_view name) {
  const size_t end = name.find_last_of(">.");
  return std::string(end == std::string_view::npos ? name : name.substr(end + 1));
}

}  // namespace

Result<KerasObject> read_keras_object(const Config& config, std::string_view what) {
  KerasObject object{"", Config::map()};
  if (config.is_string()) {
    object.name = without_package(config.as_string());
  } else if (config.is_map()) {
    EW_TRY(const std::string class_name, config.get_string("class_name", ""));
    const Config& arguments = config["config"];
    // A plain function: {"class_name": "function", "config": "mean_squared_error"}.
    if (class_name == "function" && arguments.is_string()) {
      object.name = without_package(arguments.as_string());
    } else {
      object.name = without_package(class_name);
      if (arguments.is_map()) {
        object.config = arguments;
      } else if (!arguments.is_null()) {
        return invalid_data(what, ": config must be a map, found ", arguments.kind_name());
      }
    }
  } else {
    return invalid_data(what, ": expected a name or a map with class_name and config, found ",
                        config.kind_name());
  }
  if (object.name.empty()) return invalid_data(what, ": the class name is missing");
  return object;
}

Config keras_object(std::string_view name, Config config) {
  Config out = Config::map();
  out.set("class_name", name);
  out.set("config", std::move(config));
  return out;
}

Error unknown_name(std::string_view what, std::string_view name,
                   std::span<const std::string> known) {
  std::string nearest = nearest_word(name, known);
  if (nearest.empty()) {
    // A typo in another case or spelling of the same word ("Adm" for "adam").
    std::vector<std::string> folded;
    for (const std::string& candidate : known) folded.push_back(fold_name(candidate));
    const std::string match = nearest_word(fold_name(name), folded);
    for (size_t i = 0; i < known.size() && !match.empty() && nearest.empty(); ++i) {
      if (folded[i] == match) nearest = known[i];
    }
  }
  std::string message = str(what, ": unknown name '", name, "'");
  if (nearest.empty()) {
    message += str("; known are ", join(known, ", "));
  } else {
    message += str(", did you mean '", nearest, "'?");
  }
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string snake_case(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i > 0 && is_upper(name[i]) && name[i - 1] != '_') {
      const bool starts_word = i + 1 < name.size() && is_lower(name[i + 1]);
      if (starts_word || is_lower(name[i - 1])) out += '_';
    }
    out += lower(name[i]);
  }
  return out;
}

std::string fold_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '_') out += lower(c);
  }
  return out;
}

}  // namespace ew::train
