// The text of --augment, and what it does to a batch.
#include "targets.h"
#include "train/data/augment.h"

namespace ew::fuzz {

void augment_text(Bytes bytes) {
  const Result<train::Augment> augment = train::parse_augment(text_of(bytes));
  if (!augment.ok() || augment->crop > 16) return;
  const int64_t rows[] = {3, 0};
  for (const Shape& sample : {Shape{5, 4, 3}, Shape{9}, Shape{9, 2}}) {
    if (!train::check_augment(*augment, sample).ok()) continue;
    Shape shape = sample;
    shape.dims().insert(shape.dims().begin(), 2);
    ir::Tensor x(DType::kF32, shape);
    for (float& value : x.mutable_values<float>()) value = 100;
    train::apply_augment(*augment, 7, 1, rows, x);
  }
}

}  // namespace ew::fuzz
