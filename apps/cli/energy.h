#pragma once
// Energy counters of the kernel's powercap interface (RAPL).

#include <cstdint>
#include <string>
#include <vector>

#include "edgewise/result.h"

namespace ew::cli {

/// The packages' counters under /sys/class/powercap. They count the whole package: other work on
/// the machine is in the figure.
class EnergyMeter {
 public:
  /// Errors: kNotFound if the kernel exposes no counters (virtual machines, other CPUs); kIo if
  /// they may not be read (the kernel lets only root). `root` is for tests.
  static Result<EnergyMeter> open(const std::string& root = "/sys/class/powercap");
  /// Microjoules since the last call, or since open(). Counters wrap.
  Result<double> take_uj();

 private:
  struct Counter {
    std::string path;
    uint64_t last = 0;
    uint64_t range = 0;  ///< where it wraps
  };
  std::vector<Counter> counters_;
};

}  // namespace ew::cli
