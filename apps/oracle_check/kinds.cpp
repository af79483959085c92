#include "oracle_case.h"

namespace ew::oracle {
namespace {

struct Kind {
  const char* name;
  RunCase run;
};

constexpr Kind kKinds[] = {
    {"forward", run_forward},
    {"h5_variants", run_h5_variants},
    {"weights_only", run_weights_only},
    {"train", run_train},
    {"fit", run_fit},
    {"optimizer_files", run_optimizer_files},
    {"losses", run_losses},
    {"metrics", run_metrics},
    {"schedules", run_schedules},
};

}  // namespace

RunCase find_kind(std::string_view kind) {
  for (const Kind& row : kKinds) {
    if (kind == row.name) return row.run;
  }
  return nullptr;
}

}  // namespace ew::oracle
