#pragma once
#include "agent/sink.h"

namespace ew::agent {

extern const SinkType kFileSink;
extern const SinkType kStdoutSink;

}  // namespace ew::agent
