// Outputs that gather by topic, and what a message of several looks like.
#include "agent/topic_batches.h"

#include <doctest/doctest.h>

namespace ew::agent {
namespace {

using Added = TopicBatches::Added;

Output output_of(uint64_t ticket, std::string_view payload) {
  Output out;
  out.ticket = ticket;
  out.id = "app/sink/t7";
  out.rule = "all";
  out.key = "k\"1";
  out.payload = payload;
  out.event_time_us = 5;
  return out;
}

}  // namespace

TEST_CASE("batch body: a list or lines; ids go with each output; what is no JSON becomes a text") {
  std::string body;
  append_output(body, output_of(1, "{\"a\":\n1}"), {.is_list = true, .has_ids = false});
  append_output(body, output_of(2, "21.5 C"), {.is_list = true, .has_ids = false});
  end_batch(body, {.is_list = true, .has_ids = false});
  CHECK(body == R"([{"a": 1},"21.5 C"])");
  body.clear();
  const BatchFormat lines{.is_list = false, .has_ids = true};
  Output resent = output_of(1, "{}");
  resent.is_resent = true;
  append_output(body, resent, lines);
  append_output(body, output_of(2, "{}"), lines);
  end_batch(body, lines);
  CHECK(body ==
        "{\"id\":\"app/sink/t7\",\"rule\":\"all\",\"key\":\"k\\\"1\",\"time\":5,\"resent\":true,"
        "\"data\":{}}\n"
        "{\"id\":\"app/sink/t7\",\"rule\":\"all\",\"key\":\"k\\\"1\",\"time\":5,\"data\":{}}");
}

TEST_CASE("topic batches: each topic's outputs leave together, in the order of the first ones") {
  TopicBatches batches({.format = {.has_ids = false}, .max_outputs = 3, .max_topics = 2});
  CHECK(batches.is_empty());
  CHECK(batches.add("b", output_of(1, "{}"), 100) == Added::kYes);
  CHECK(batches.add("a", output_of(2, "{}"), 100) == Added::kYes);
  CHECK(batches.add("b", output_of(3, "{}"), 100) == Added::kYes);
  CHECK_FALSE(batches.is_full());
  // A third topic has no room until one has left.
  CHECK(batches.add("c", output_of(4, "{}"), 100) == Added::kFull);
  CHECK(batches.is_full());
  TopicBatches::Batch first = batches.take();
  CHECK(first.topic == "b");
  CHECK(first.body == "[{},{}]");
  CHECK(first.tickets == std::vector<uint64_t>{1, 3});
  CHECK(batches.take().tickets == std::vector<uint64_t>{2});
  CHECK(batches.is_empty());
  CHECK(batches.add("c", output_of(4, "{}"), 100) == Added::kYes);
}

TEST_CASE("topic batches: count and bytes of a message are bounded") {
  TopicBatches batches({.format = {.has_ids = false}, .max_outputs = 2});
  CHECK(batches.add("t", output_of(1, "{}"), 100) == Added::kYes);
  CHECK(batches.add("t", output_of(2, "{}"), 100) == Added::kYes);
  CHECK(batches.is_full());
  CHECK(batches.add("t", output_of(3, "{}"), 100) == Added::kFull);
  batches.clear();
  // "t" and "[{\"a\":10}]" are 11 bytes.
  CHECK(batches.add("t", output_of(1, "{\"a\":10}"), 10) == Added::kTooLarge);
  CHECK(batches.is_empty());
  CHECK(batches.add("t", output_of(1, "{\"a\":10}"), 11) == Added::kYes);
  CHECK(batches.add("t", output_of(2, "{}"), 11) == Added::kFull);
  CHECK(batches.take().body == "[{\"a\":10}]");
  CHECK(batches.is_empty());
}

}  // namespace ew::agent
