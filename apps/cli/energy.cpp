#include "energy.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ew::cli {
namespace {

// intel-rapl:0 is a package (AMD's too); intel-rapl:0:1 is a part of it.
bool is_package(const std::string& name) {
  return name.starts_with("intel-rapl:") && std::count(name.begin(), name.end(), ':') == 1;
}

Result<uint64_t> read_number(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) {
    return Error{ErrorCode::kIo,
                 path + ": " + std::strerror(errno) + "; energy counters may need root"};
  }
  unsigned long long value = 0;
  const int found = std::fscanf(file, "%llu", &value);
  std::fclose(file);
  if (found != 1) return Error{ErrorCode::kIo, path + ": expected a number"};
  return static_cast<uint64_t>(value);
}

}  // namespace

Result<EnergyMeter> EnergyMeter::open(const std::string& root) {
  EnergyMeter meter;
  if (DIR* folder = ::opendir(root.c_str())) {
    while (const dirent* entry = ::readdir(folder)) {
      if (is_package(entry->d_name)) meter.counters_.push_back({root + "/" + entry->d_name});
    }
    ::closedir(folder);
  }
  if (meter.counters_.empty()) {
    return Error{ErrorCode::kNotFound,
                 "no energy figure: the kernel exposes no RAPL counters in " + root};
  }
  for (Counter& counter : meter.counters_) {
    const Result<uint64_t> range = read_number(counter.path + "/max_energy_range_uj");
    if (!range.ok()) return range.error();
    counter.range = *range;
    const Result<uint64_t> now = read_number(counter.path + "/energy_uj");
    if (!now.ok()) return now.error();
    counter.last = *now;
  }
  return meter;
}

Result<double> EnergyMeter::take_uj() {
  double sum = 0;
  for (Counter& counter : counters_) {
    const Result<uint64_t> now = read_number(counter.path + "/energy_uj");
    if (!now.ok()) return now.error();
    const uint64_t wrapped = *now < counter.last ? counter.range : 0;
    sum += static_cast<double>(*now + wrapped - counter.last);
    counter.last = *now;
  }
  return sum;
}

}  // namespace ew::cli
