#include "edgewise/data.h"

#include "api/data_impl.h"
#include "train/data/sources.h"

namespace ew {
namespace {

/// Shares the array's memory.
train::SharedRows shared_rows(Array array) {
  ir::TensorType type{array.dtype(), Shape(array.shape()), nullptr};
  auto owner = std::make_shared<const Array>(std::move(array));
  return {std::move(type), {owner, owner->data()}};
}

std::vector<train::SharedRows> shared_rows(std::vector<Array> arrays) {
  std::vector<train::SharedRows> rows;
  for (Array& array : arrays) rows.push_back(shared_rows(std::move(array)));
  return rows;
}

Result<train::SourcePtr> source_of(std::vector<Array> x, std::vector<Array> y, Array weights) {
  train::SharedRows weight_rows;
  if (weights.size() > 0) weight_rows = shared_rows(std::move(weights));
  return train::array_source(shared_rows(std::move(x)), shared_rows(std::move(y)),
                             std::move(weight_rows));
}

train::SourcePtr rows(const train::SourcePtr& source, int64_t begin, int64_t end) {
  std::vector<int64_t> indices;
  for (int64_t r = begin; r < end; ++r) indices.push_back(r);
  return train::subset(source, std::move(indices));
}

}  // namespace

Result<Data> Data::open(const std::string& spec, const DataOptions& options) {
  train::DatasetOptions o;
  o.seed = options.seed;
  o.validation_split = options.validation_split;
  o.scale = options.scale;
  EW_TRY(train::Dataset dataset, train::open_dataset(spec, o));
  Data data;
  data.impl_ = std::make_shared<const Impl>(Impl{std::move(dataset)});
  return data;
}

Result<Data> Data::from_arrays(std::vector<Array> x, std::vector<Array> y, Array weights,
                               double validation_split) {
  if (validation_split < 0 || validation_split >= 1) {
    return invalid_argument("validation_split: expected a number in [0, 1), found ",
                            validation_split);
  }
  EW_TRY(train::SourcePtr all, source_of(std::move(x), std::move(y), std::move(weights)));
  const int64_t n = all->size();
  const auto cut = static_cast<int64_t>(static_cast<double>(n) * (1 - validation_split));
  train::Dataset dataset;
  dataset.train = validation_split > 0 ? rows(all, 0, cut) : all;
  dataset.validation = rows(all, validation_split > 0 ? cut : n, n);
  dataset.test = rows(all, n, n);
  Data data;
  data.impl_ = std::make_shared<const Impl>(Impl{std::move(dataset)});
  return data;
}

Result<Data> Data::with_validation(std::vector<Array> x, std::vector<Array> y,
                                   Array weights) const {
  train::Dataset dataset = impl_->dataset;
  EW_TRY(dataset.validation, source_of(std::move(x), std::move(y), std::move(weights)));
  Data data;
  data.impl_ = std::make_shared<const Impl>(Impl{std::move(dataset)});
  return data;
}

Result<Data> Data::with_test(std::vector<Array> x, std::vector<Array> y) const {
  train::Dataset dataset = impl_->dataset;
  EW_TRY(dataset.test, source_of(std::move(x), std::move(y), {}));
  Data data;
  data.impl_ = std::make_shared<const Impl>(Impl{std::move(dataset)});
  return data;
}

int64_t Data::train_size() const { return impl_->dataset.train->size(); }
int64_t Data::validation_size() const { return impl_->dataset.validation->size(); }
int64_t Data::test_size() const { return impl_->dataset.test->size(); }
const std::vector<std::string>& Data::class_names() const { return impl_->dataset.class_names; }

}  // namespace ew
