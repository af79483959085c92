#include "formats/limited_child.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "base/sanitizer.h"

namespace ew::formats {
namespace {

constexpr ChildLimits kLimits{.memory_bytes = 64 << 20, .cpu_seconds = 1, .wall_seconds = 20};

void say(int descriptor, const char* text, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(descriptor, text, size);
    if (n <= 0) return;
    text += n;
    size -= static_cast<size_t>(n);
  }
}

std::string hear(LimitedChild& child, size_t size) {
  std::vector<uint8_t> out(size);
  return child.receive(out).ok() ? std::string(out.begin(), out.end()) : "nothing";
}

}  // namespace

TEST_CASE("limited_child: what the child sends arrives whole, in small and large pieces") {
  const std::string large(1 << 20, 'x');
  auto child = LimitedChild::start(kLimits, [&](int pipe) {
                 say(pipe, "ab", 2);
                 say(pipe, large.data(), large.size());
                 say(pipe, "cd", 2);
               }).value();
  CHECK(hear(child, 1) == "a");
  CHECK(hear(child, 1) == "b");
  const bool whole = hear(child, large.size()) == large;  // not printed when it fails
  CHECK(whole);
  CHECK(hear(child, 2) == "cd");
  CHECK(hear(child, 1) == "nothing");
  CHECK(child.finish() == "");
}

TEST_CASE("limited_child: a crash is reported with its signal") {
  auto child = LimitedChild::start(kLimits, [](int) { ::raise(SIGKILL); }).value();
  CHECK(hear(child, 1) == "nothing");
  CHECK(child.finish() == "stopped by signal 9 (Killed)");
}

TEST_CASE("limited_child: an endless loop ends at the limit of CPU time") {
  auto child = LimitedChild::start(kLimits, [](int) {
                 volatile bool forever = true;
                 while (forever) {
                 }
               }).value();
  CHECK(hear(child, 1) == "nothing");
  CHECK(child.finish().starts_with("stopped by signal"));
}

TEST_CASE("limited_child: a child that says nothing ends at the limit of wall time") {
  ChildLimits limits = kLimits;
  limits.wall_seconds = 0;
  auto child = LimitedChild::start(limits, [](int) { ::pause(); }).value();
  std::vector<uint8_t> out(1);
  CHECK(child.receive(out).error().code == ErrorCode::kResourceLimit);
}

TEST_CASE("limited_child: files, processes and memory are out of its reach") {
  if (kHasShadowMemory) return;  // memory and descriptors are not limited then
  auto child = LimitedChild::start(kLimits, [](int pipe) {
                 say(pipe, ::open("/dev/null", O_RDONLY) < 0 ? "y" : "n", 1);
                 void* much = std::malloc(size_t{256} << 20);
                 say(pipe, much == nullptr ? "y" : "n", 1);
                 std::free(much);
                 say(pipe, ::dup(0) < 0 ? "y" : "n", 1);
               }).value();
  CHECK(hear(child, 3) == "yyy");
}

}  // namespace ew::formats
