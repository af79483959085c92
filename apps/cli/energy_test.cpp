#include "energy.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>

#include "testing/temporary_folder.h"

namespace ew::cli {
namespace {

void write(const std::string& path, const char* text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::FILE* file = std::fopen(path.c_str(), "w");
  REQUIRE(file != nullptr);
  std::fputs(text, file);
  std::fclose(file);
}

}  // namespace

TEST_CASE("energy: packages add up, their parts do not, counters wrap") {
  const testing::TemporaryFolder folder;
  for (const char* name : {"intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"}) {
    write(folder.path(name) + "/max_energy_range_uj", "1000\n");
    write(folder.path(name) + "/energy_uj", "900\n");
  }
  Result<EnergyMeter> meter = EnergyMeter::open(folder.path());
  REQUIRE(meter.ok());
  write(folder.path("intel-rapl:0/energy_uj"), "950\n");
  write(folder.path("intel-rapl:1/energy_uj"), "100\n");  // wrapped
  write(folder.path("intel-rapl:0:0/energy_uj"), "999\n");
  const Result<double> used = meter->take_uj();
  REQUIRE(used.ok());
  CHECK(*used == 50 + 200);
  CHECK(*meter->take_uj() == 0);
}

TEST_CASE("energy: a machine without counters says so") {
  const testing::TemporaryFolder folder;
  const Result<EnergyMeter> meter = EnergyMeter::open(folder.path());
  REQUIRE_FALSE(meter.ok());
  CHECK(meter.error().message.find("no RAPL counters") != std::string::npos);
}

}  // namespace ew::cli
