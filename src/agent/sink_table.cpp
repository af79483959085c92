// Every kind of sink: one line each.
#include "agent/sink.h"

namespace ew::agent {

extern const SinkType kCommandSink;
extern const SinkType kFileSink;
extern const SinkType kKafkaSink;
extern const SinkType kMqttSink;
extern const SinkType kSqliteSink;
extern const SinkType kStdoutSink;

std::span<const SinkType* const> sink_types() {
  static constexpr const SinkType* kTypes[] = {&kCommandSink, &kFileSink,   &kKafkaSink,
                                               &kMqttSink,    &kSqliteSink, &kStdoutSink};
  return kTypes;
}

}  // namespace ew::agent
