#pragma once
#include "edgewise/data.h"
#include "train/data/dataset.h"

namespace ew {

struct Data::Impl {
  train::Dataset dataset;
};

}  // namespace ew
