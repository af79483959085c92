#pragma once
// The callbacks that FitOptions asks for.

#include <memory>
#include <vector>

#include "edgewise/training.h"
#include "train/trainer.h"

namespace ew::api {

struct Callbacks {
  std::vector<std::unique_ptr<train::Callback>> owned;
  std::vector<train::Callback*> all() const;
};

/// In the order in which they act: those given as calls, the CSV log, on_epoch_end, and last the
/// ones that save the model, because a checkpoint holds the states of all others.
/// Errors: kInvalidArgument (unknown callback or argument), kInvalidData (wrong kind of value),
/// kUnsupported (an argument without an implementation).
Result<Callbacks> make_callbacks(const FitOptions& options);

Figures to_figures(const train::Logs& logs);

}  // namespace ew::api
