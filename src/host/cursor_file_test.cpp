#include "host/cursor_file.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/file.h"
#include "testing/temporary_folder.h"

namespace ew::host {

TEST_CASE("cursor file: values come back, and more counters may be added") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("cursor");
  {
    const auto cursor = CursorFile::open(path, 2);
    REQUIRE(cursor.ok());
    CHECK((*cursor)->get(0) == 0);
    for (uint64_t i = 1; i <= 5; ++i) (*cursor)->set(1, i << 40);
    CHECK((*cursor)->sync().ok());
  }
  const auto cursor = CursorFile::open(path, 3);
  REQUIRE(cursor.ok());
  CHECK((*cursor)->get(0) == 0);
  CHECK((*cursor)->get(1) == uint64_t{5} << 40);
  CHECK((*cursor)->get(2) == 0);
}

TEST_CASE("cursor file: a torn copy leaves the one before; two are an error") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("cursor");
  {
    const auto cursor = CursorFile::open(path, 2);
    REQUIRE(cursor.ok());
    for (uint64_t i = 1; i <= 6; ++i) (*cursor)->set_all(std::vector<uint64_t>{i, 100 + i});
  }
  const std::vector<uint8_t> whole = *read_file(path);
  int older = 0;
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    std::vector<uint8_t> torn = whole;
    torn[byte] ^= 0x10;
    REQUIRE(write_file_atomic(path, torn).ok());
    const auto cursor = CursorFile::open(path, 2);
    REQUIRE(cursor.ok());
    const uint64_t value = (*cursor)->get(0);
    CHECK((value == 5 || value == 6));
    CHECK((*cursor)->get(1) == 100 + value);
    if (value == 5) ++older;
  }
  CHECK(older == 32);  // magic, checksum, generation and two values of the newer copy
  std::vector<uint8_t> both = whole;
  both[8] ^= 1;
  both[512 + 8] ^= 1;
  REQUIRE(write_file_atomic(path, both).ok());
  const auto cursor = CursorFile::open(path, 2);
  REQUIRE_FALSE(cursor.ok());
  CHECK(cursor.error().code == ErrorCode::kInvalidData);
}

TEST_CASE("cursor file: kill -9 between any two instructions leaves a pair that was set") {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("cursor");
  uint64_t last = 0;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto cursor = CursorFile::open(path, 2);
      if (!cursor.ok()) ::_exit(1);
      const uint64_t first = (*cursor)->get(0);
      for (uint64_t i = first + 1;; ++i) {
        (*cursor)->set_all(std::vector<uint64_t>{i, ~i});
        if (i == first + 1000 + 37 * static_cast<uint64_t>(round)) ::raise(SIGKILL);
      }
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const auto cursor = CursorFile::open(path, 2);
    REQUIRE(cursor.ok());
    CHECK((*cursor)->get(0) == last + 1000 + 37 * static_cast<uint64_t>(round));
    CHECK((*cursor)->get(1) == ~(*cursor)->get(0));
    last = (*cursor)->get(0);
  }
}

}  // namespace ew::host
