#pragma once
// Test helper: reads the Keras oracle's tables (tests/oracle/fixtures) and small .npy files.

#include <string>
#include <vector>

#include "base/config.h"
#include "ir/tensor.h"

namespace ew::train {

/// A JSON file below tests/oracle; throws doctest's failure if it cannot be read.
Config read_fixture_json(const std::string& path);
/// Parses JSON text.
Config parse_json(const std::string& text);
/// A little-endian C-order .npy file (<f4, <i4) below tests/oracle.
ir::Tensor read_fixture_npy(const std::string& path);

/// All numbers of a nested list, and its shape.
std::vector<float> flat_floats(const Config& list);
Shape shape_of(const Config& list);
ir::Tensor to_tensor(const Config& list);

/// |a - b| <= absolute + relative * |b|; NaN is far from everything.
bool is_near(double a, double b, double relative, double absolute = 0);
/// The largest |a - b| / (absolute + relative * |b|) over both; above 1 is too far.
double worst_ratio(const std::vector<float>& a, const std::vector<float>& b, double relative,
                   double absolute);

}  // namespace ew::train
