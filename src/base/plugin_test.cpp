#include "base/plugin.h"

#include <doctest/doctest.h>

namespace ew {

TEST_CASE("plugin: one that is not installed is an error that says where it was looked for") {
  const auto address = load_plugin("none", "symbol");
  REQUIRE_FALSE(address.ok());
  CHECK(address.error().code == ErrorCode::kNotFound);
  CHECK(address.error().message.starts_with("libedgewise_none.so is not installed; looked in "));
  CHECK(address.error().message.find("/../lib/edgewise") != std::string::npos);
}

}  // namespace ew
