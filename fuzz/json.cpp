// JSON text; what was read is written and read again.
#include "formats/json.h"

#include "targets.h"

namespace ew::fuzz {

void json(Bytes bytes) {
  const Result<Config> value = formats::parse_json(text_of(bytes));
  if (!value.ok()) return;
  const std::string once = formats::to_json(*value);
  const Result<Config> again = formats::parse_json(once);
  require(again.ok(), "text that was written can be read");
  require(formats::to_json(*again) == once, "and says the same");
  const Result<Config> indented = formats::parse_json(formats::to_json(*value, 2));
  require(indented.ok() && formats::to_json(*indented) == once, "with line breaks too");
}

}  // namespace ew::fuzz
