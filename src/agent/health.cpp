#include "agent/health.h"

#include "base/str.h"

namespace ew::agent {
namespace {

/// With fewer inputs a share says little before the window is over.
constexpr uint64_t kEarlyInputs = 100;

}  // namespace

void count_inputs(Ledger& ledger, HealthView& view) {
  view.inputs = view.faulty = 0;
  for (uint32_t number = 0; number < ledger.size(); ++number) {
    const LedgerRow& row = ledger.at(number);
    if (row.kind != LedgerKind::kInput) continue;
    view.inputs += row.accepted;
    for (const DropReason reason :
         {DropReason::kMalformed, DropReason::kDuplicateKey, DropReason::kTooLarge,
          DropReason::kKeyLimit, DropReason::kUndefined, DropReason::kOverload}) {
      view.faulty += row.dropped[static_cast<size_t>(reason)];
    }
  }
}

HealthWatch::HealthWatch(const Settings& s, int64_t steady_us, const HealthView& view)
    : before_(view) {
  end_us_ = steady_us + s.duration_us("window");
  max_faulty_ = s.number("max_faulty");
  min_inputs_ = static_cast<uint64_t>(s.integer("min_inputs"));
  needs_connection_ = s.flag("connected");
}

HealthWatch::Verdict HealthWatch::judge(int64_t steady_us, const HealthView& view,
                                        std::string& why) const {
  return judge(steady_us >= end_us_, view, why);
}

HealthWatch::Verdict HealthWatch::judge_finished(const HealthView& view, std::string& why) const {
  return judge(true, view, why);
}

HealthWatch::Verdict HealthWatch::judge(bool is_over, const HealthView& view,
                                        std::string& why) const {
  const uint64_t inputs = view.inputs - before_.inputs;
  const uint64_t faulty = view.faulty - before_.faulty;
  if (!view.failed_link.empty()) {
    why = str(view.failed_link, " has failed");
  } else if ((is_over || inputs >= kEarlyInputs) &&
             static_cast<double>(faulty) > max_faulty_ * static_cast<double>(inputs)) {
    why = str(faulty, " of ", inputs, " inputs are faulty, above the share of ", max_faulty_);
  } else if (is_over && inputs < min_inputs_) {
    why = str("expected at least ", min_inputs_, " inputs in the health window, found ", inputs);
  } else if (is_over && needs_connection_ && !view.missing_link.empty()) {
    why = str(view.missing_link, " is not connected at the end of the health window");
  } else {
    return is_over ? Verdict::kGood : Verdict::kOpen;
  }
  return Verdict::kBad;
}

}  // namespace ew::agent
