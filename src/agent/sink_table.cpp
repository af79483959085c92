// Every kind of sink: one line each.
#include "agent/sink.h"

namespace ew::agent {

extern const SinkType kFileSink;
extern const SinkType kMqttSink;
extern const SinkType kStdoutSink;

std::span<const SinkType* const> sink_types() {
  static constexpr const SinkType* kTypes[] = {&kFileSink, &kMqttSink, &kStdoutSink};
  return kTypes;
}

}  // namespace ew::agent
