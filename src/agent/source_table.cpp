// Every kind of source: one line each.
#include "agent/source.h"

namespace ew::agent {

extern const SourceType kFileSource;
extern const SourceType kModbusSource;
extern const SourceType kMqttSource;
extern const SourceType kSerialSource;
extern const SourceType kStdinSource;
extern const SourceType kSyntheticSource;

std::span<const SourceType* const> source_types() {
  static constexpr const SourceType* kTypes[] = {&kFileSource,   &kModbusSource, &kMqttSource,
                                                 &kSerialSource, &kStdinSource,  &kSyntheticSource};
  return kTypes;
}

}  // namespace ew::agent
