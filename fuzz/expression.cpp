// Expressions, compiled and run.
#include "agent/expression.h"

#include "targets.h"

namespace ew::fuzz {

void expression(Bytes bytes) {
  size_t cells = 0;
  std::vector<agent::AggregateCall> aggregates;
  agent::ExpressionScope scope;
  scope.names = {"temp", "hum", "text"};
  scope.slot_of = [](std::string_view name) {
    return name == "temp" ? 0 : name == "hum" ? 1 : name == "text" ? 2 : -1;
  };
  scope.cell_count = &cells;
  const bool has_aggregates = !bytes.empty() && bytes[0] % 2 == 1;
  if (has_aggregates) scope.aggregates = &aggregates;
  const auto compiled = agent::Expression::compile(text_of(bytes), scope);
  if (!compiled.ok()) return require(!compiled.error().message.empty(), "errors say something");
  std::vector<agent::Cell> state(cells);
  std::vector<agent::Value> results(aggregates.size(), agent::Value::of(1));
  for (int64_t time = 0; time < 3; ++time) {
    const agent::Value values[] = {
        agent::Value::of(static_cast<double>(time)), {}, agent::Value::of_text("word")};
    [[maybe_unused]] const agent::Value value =
        compiled->evaluate({values, results, "key", "topic", time * 1'000'000, state});
  }
}

}  // namespace ew::fuzz
