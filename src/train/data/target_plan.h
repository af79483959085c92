#pragma once
// How a target becomes what a loss takes: decided once, from types alone.

#include "train/data/targets.h"

namespace ew::train {

struct TargetPlan {
  DType dtype = DType::kF32;
  Shape sample;                 ///< of a row, afterwards
  int64_t one_hot_classes = 0;  ///< 0: the elements stay, only dtype and shape change
  int64_t label_classes = 0;    ///< the stored elements are labels in [0, label_classes); 0: no
};

/// Error kInvalidArgument if a target of `type` cannot become it.
Result<TargetPlan> plan_target(const SampleType& type, const Shape& output_shape, TargetKind kind);

}  // namespace ew::train
