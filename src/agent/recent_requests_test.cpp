#include "agent/recent_requests.h"

#include <doctest/doctest.h>

#include "base/str.h"

namespace ew::agent {

TEST_CASE("recent requests: the newest are known, also from a snapshot, and no more than so many") {
  RecentRequests recent;
  for (size_t i = 0; i < RecentRequests::kMaxRequests + 10; ++i) recent.note_record(str("r", i));
  recent.note_record("r100");
  CHECK(recent.records("r9") == 0);
  CHECK(recent.records("r10") == 1);
  CHECK(recent.records("r100") == 2);
  ByteWriter out;
  recent.save(out);
  RecentRequests again;
  ByteReader in(out.bytes());
  again.load(in);
  CHECK(in.ok());
  CHECK(in.rest().empty());
  CHECK(again.records("r100") == 2);
  CHECK(again.records("r9") == 0);
  again.note_record("new");
  CHECK(again.records("r10") == 0);
  CHECK(again.records("r11") == 1);
}

}  // namespace ew::agent
