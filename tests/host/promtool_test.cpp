// The metrics page by Prometheus' own linter. The program is of Debian's package `prometheus`,
// which is a service and is therefore unpacked rather than installed (dpkg-deb -x); EW_PROMTOOL
// names it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "host/metrics.h"
#include "testing/temporary_folder.h"

namespace ew::host {

TEST_CASE("promtool: finds nothing to say about the metrics page") {
  const char* named = std::getenv("EW_PROMTOOL");
  const std::string program = named != nullptr ? named : "/usr/bin/promtool";
  if (::access(program.c_str(), X_OK) != 0) {
    MESSAGE("skipped: no promtool; unpack Debian's prometheus and set EW_PROMTOOL");
    return;
  }
  Metrics metrics;
  for (const char* source : {"in", "a \"quoted\" \\ name"}) {
    metrics.counter("edgewise_received_messages_total", "Messages received.", {{"source", source}})
        .add(7);
    metrics.gauge("edgewise_queue_records", "Records that wait for a sink.", {{"sink", source}})
        .set(1e-9);
    metrics.histogram("edgewise_stage_latency_seconds", "Time in a stage.", {{"stage", source}})
        .add_us(150);
  }
  const testing::TemporaryFolder folder;
  REQUIRE(write_file_atomic(folder.path("page"), metrics.text(MetricsFormat::kPrometheus)).ok());
  const std::string command =
      str(program, " check metrics < ", folder.path("page"), " > ", folder.path("out"), " 2>&1");
  CHECK(std::system(command.c_str()) == 0);  // NOLINT: a test's own command
  const auto said = read_file(folder.path("out")).value();
  CHECK(std::string(said.begin(), said.end()).empty());
}

}  // namespace ew::host
