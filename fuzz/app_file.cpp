// App files: reading, checking, and building what they describe.
#include "agent/pipeline.h"
#include "targets.h"

namespace ew::fuzz {

void app_file(Bytes bytes) {
  const agent::Checked checked = agent::parse_app(text_of(bytes), "app.yaml");
  require((checked.app == nullptr) == !checked.errors.empty(), "an app, or errors");
  for (const Error& error : checked.errors) require(!error.message.empty(), "errors say something");
  if (!checked.app) return;
  const auto ledger = agent::Ledger::open("");
  require(ledger.ok(), "a ledger in memory");
  std::vector<Error> errors;
  const auto pipeline = agent::Pipeline::build(*checked.app, {}, **ledger, errors);
  require((pipeline == nullptr) == !errors.empty(), "a pipeline, or errors");
  if (!pipeline) return;
  for (size_t i = 0; i < checked.app->sources.size(); ++i) {
    pipeline->process(i, {.arrival_us = 1'700'000'000'000'000,
                          .topic = "in/1",
                          .payload = R"({"id":"a","temp":1,"ts":2})"});
  }
  pipeline->tick(1'700'000'010'000'000);
  pipeline->finish();
  agent::ByteWriter state;
  pipeline->save(state);
  require(pipeline->load(state.bytes(), true).ok(), "state that was saved can be loaded");
}

}  // namespace ew::fuzz
