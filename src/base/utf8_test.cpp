#include "base/utf8.h"

#include <doctest/doctest.h>

#include <string>

namespace ew {

TEST_CASE("utf8: what is well-formed, and where it ceases to be") {
  const std::string good[] = {"",
                              "plain text",
                              "\xc2\xa2",
                              "12345678\xe2\x82\xac",
                              "\xf0\x9f\x98\x80 and more",
                              "\xf4\x8f\xbf\xbf",
                              "\xed\x9f\xbf"};
  for (const std::string& text : good)
    CHECK_MESSAGE(find_malformed_utf8(text) == text.size(), text);
  const std::string bad[] = {"\x80",              // continues nothing
                             "\xc0\xaf",          // overlong
                             "\xe0\x80\x80",      // overlong
                             "\xf0\x8f\xbf\xbf",  // overlong
                             "\xed\xa0\x80",      // surrogate
                             "\xf4\x90\x80\x80",  // beyond U+10FFFF
                             "\xfe",
                             "\xe2\x82",
                             "\xe2\x28\xa1"};
  for (const std::string& text : bad) {
    CHECK_MESSAGE(find_malformed_utf8(text) == 0, text);
    CHECK(find_malformed_utf8("0123456789abc" + text) == 13);
  }
}

}  // namespace ew
