#pragma once
// Whether a new version of an app does well: `health:` in its app file.

#include <cstdint>
#include <string>

#include "agent/ledger.h"
#include "agent/settings.h"

namespace ew::agent {

/// What of a running app its health hangs on.
struct HealthView {
  std::string failed_link;   ///< a source or sink that has given up, "" for none
  std::string missing_link;  ///< one that is not connected now, "" for none
  uint64_t inputs = 0;       ///< that came in, as the ledger counts
  uint64_t faulty = 0;       ///< of them, those that the app could not take
};

/// Sums of the ledger's inputs, into `view`. Faulty is what is malformed, too large, of one key too
/// many, undefined or came faster than it was processed.
void count_inputs(Ledger& ledger, HealthView& view);

class HealthWatch {
 public:
  enum class Verdict { kOpen, kGood, kBad };

  /// `health` as the app file says it or leaves it out. The window begins now: `steady_us` by the
  /// steady clock, `view` what was counted before.
  HealthWatch(const Settings& health, int64_t steady_us, const HealthView& view);

  /// With kBad, `why` says what was expected and what was found.
  Verdict judge(int64_t steady_us, const HealthView& view, std::string& why) const;
  /// The same at the end of an app whose sources have all ended.
  Verdict judge_finished(const HealthView& view, std::string& why) const;

 private:
  Verdict judge(bool is_over, const HealthView& view, std::string& why) const;

  int64_t end_us_;
  double max_faulty_;
  uint64_t min_inputs_;
  bool needs_connection_;
  HealthView before_;
};

}  // namespace ew::agent
