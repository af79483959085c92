// Every kind of source: one line each.
#include "agent/source.h"

namespace ew::agent {

extern const SourceType kAudioSource;
extern const SourceType kFileSource;
extern const SourceType kHttpSource;
extern const SourceType kModbusSource;
extern const SourceType kMqttSource;
extern const SourceType kSerialSource;
extern const SourceType kStdinSource;
extern const SourceType kSyntheticSource;
extern const SourceType kVideoSource;

std::span<const SourceType* const> source_types() {
  static constexpr const SourceType* kTypes[] = {&kAudioSource,  &kFileSource,      &kHttpSource,
                                                 &kModbusSource, &kMqttSource,      &kSerialSource,
                                                 &kStdinSource,  &kSyntheticSource, &kVideoSource};
  return kTypes;
}

}  // namespace ew::agent
