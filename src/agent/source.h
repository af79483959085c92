#pragma once
// What brings messages in. Everything happens on the event loop's thread.
//
// A source lives like this: create() -> start() -> intake.push() ... -> stop(). It reconnects by
// itself, with back-off and jitter; not reaching the other side is a state, not an error.

#include <array>
#include <memory>
#include <span>
#include <string>

#include "agent/recent_requests.h"
#include "agent/record.h"
#include "agent/settings.h"
#include "base/result.h"

namespace ew::host {
class EventLoop;
}

namespace ew::agent {

enum class LinkState { kConnecting, kConnected, kDisconnected, kFinished, kFailed };

inline const char* link_state_name(LinkState state) {
  constexpr const char* kNames[] = {"connecting", "connected", "disconnected", "finished",
                                    "failed"};
  return kNames[static_cast<size_t>(state)];
}

/// Detail of kConnected behind Source::move_to().
inline constexpr const char* kStillConnected = "as before";

/// Where a source puts what it receives.
class Intake {
 public:
  virtual ~Intake() = default;
  /// Counts and takes the record: processed at once, or after it has been stored. Never fails; what
  /// cannot be taken is counted as dropped and acknowledged.
  virtual void push(const RawRecord& record) = 0;
  /// To be called once behind all records of one wake-up: outputs are flushed and what is to be
  /// stored goes to the disk in one commit.
  virtual void end_batch() = 0;
  /// Counts a message that the source itself could not take (too large, not decodable).
  virtual void drop(std::string_view key, size_t bytes, DropReason reason) = 0;
  /// For logs, health and metrics. kFinished ends the app once all sources have finished; kFailed
  /// is for good, `detail` says why.
  virtual void set_state(LinkState state, std::string_view detail) = 0;
  /// True while processing or a queue is behind: the source should not read on. pause() and
  /// resume() of the source tell the same.
  virtual bool is_paused() const = 0;
  /// Microseconds since 1970, by the app's clock: virtual in a replay.
  virtual int64_t now_us() const = 0;
};

struct SourceContext {
  host::EventLoop& loop;
  Intake& intake;
  uint64_t resume_position = 0;  ///< of the last record stored before; 0: from the start
  RecentRequests requests = {};  ///< by the records stored before
};

class Source {
 public:
  virtual ~Source() = default;
  /// Starts receiving. Errors only for what will never work: a file that is not there.
  virtual Status start(const SourceContext& context) = 0;
  /// The record pushed with this token is stored (or counted as dropped) and may be acknowledged.
  /// Called in the order of push().
  virtual void acknowledge([[maybe_unused]] uint64_t token) {}
  /// Not to read on until resume(), if the source can be slowed; others go on, and what is too much
  /// is dropped and counted.
  virtual void pause() {}
  virtual void resume() {}
  /// No push() behind this.
  virtual void stop() = 0;
  /// Another version of the app takes over and leaves this source's words as they are: goes on on
  /// the loop of its agent, with its connection, until go_on(). Called behind pause(), when nothing
  /// is to be acknowledged. False where there is nothing to keep: stop() follows.
  virtual bool move_to([[maybe_unused]] host::EventLoop& loop) { return false; }
  /// Behind move_to(), in place of start(): receives again.
  virtual void go_on([[maybe_unused]] const SourceContext& context) {}
  /// Whether the other side keeps a message until it is acknowledged (QoS 1 and 2, HTTP, files with
  /// a position). One such source makes the app store its input before it is processed.
  virtual bool is_durable() const { return false; }
};

/// What a source of pictures or sound says about its payloads (agent/tensor_payload.h).
struct TensorSource {
  const char* field;  ///< the name of the elements for `input:` of models and features
  /// How many elements there are, or 0 where only the stream itself tells.
  size_t (*size)(const Settings& settings);
  const char* to_set;  ///< the words that decide how many
  /// Height, width and channels of pictures; null for sound.
  std::array<int, 3> (*picture)(const Settings& settings) = nullptr;
};

/// A kind of source: the word behind `type:`, the words that it takes, and how it is made.
struct SourceType {
  const char* name;
  const char* help;
  std::span<const WordDef> words;
  /// Checks what the words' kinds alone cannot (settings.error() says where).
  Result<std::unique_ptr<Source>> (*create)(const Settings& settings, const std::string& name);
  /// Its records come with an event time of their own (recordings, audio, video).
  bool has_own_time = false;
  const TensorSource* tensor = nullptr;  ///< null: payloads are what `format:` says
};

/// All kinds. A new one is a file and a line in source_table.cpp.
std::span<const SourceType* const> source_types();

}  // namespace ew::agent
