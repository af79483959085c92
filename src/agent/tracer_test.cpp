#include "agent/tracer.h"

#include <doctest/doctest.h>

using namespace ew;
using namespace ew::agent;

TEST_CASE("traceparent: what the W3C recommendation allows") {
  const auto good = parse_trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  REQUIRE(good);
  CHECK(good->context.trace[0] == 0x0af7651916cd43dd);
  CHECK(good->context.trace[1] == 0x8448eb211c80319c);
  CHECK(good->context.span == 0xb7ad6b7169203331);
  CHECK(good->is_sampled);
  CHECK_FALSE(
      parse_trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02")->is_sampled);
  CHECK(parse_trace_parent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  CHECK(parse_trace_parent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what"));
}

TEST_CASE("traceparent: all else is none") {
  for (const char* text : {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
                           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
                           "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
                           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                           "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
                           "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                           "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_trace_parent(text));
  }
}
