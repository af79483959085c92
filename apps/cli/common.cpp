#include "common.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace ew::cli {
namespace {

std::atomic<bool> interrupted{false};

void on_signal(int signal_number) {
  if (interrupted.exchange(true)) ::_exit(128 + signal_number);
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void add_common(CLI::App& app, Common& common, bool reads_model) {
  app.add_flag("--json", common.json, "Print one JSON document on stdout, all else on stderr");
  app.add_flag("--quiet", common.quiet, "Print results and errors only");
  app.add_option("--seed", common.seed, "Seed of every random choice (same seed, same result)");
  app.add_option("--threads", common.threads, "Threads to use")->check(CLI::Range(1, 256));
  if (reads_model) {
    app.add_option("--architecture", common.architecture,
                   "JSON file or model with the architecture, for files that hold weights only");
    app.add_option("--int8-profile", common.int8_profile,
                   "Rounding of int8 operators: tflm, litert-ref or xnnpack")
        ->check(CLI::IsMember({"tflm", "litert-ref", "xnnpack"}));
    app.add_option("--trusted-key", common.trusted_key,
                   "Public key (PEM) that must have signed the .ew");
  }
}

namespace {

// While a model is read, every large block goes back to the system when it is freed. glibc would
// soon keep them in the heap instead, where what is read next seldom fits into the holes: as it
// does again from then on.
class ReturnBlocks {
 public:
#ifdef __GLIBC__
  ReturnBlocks() { ::mallopt(M_MMAP_THRESHOLD, 128 << 10); }
  ~ReturnBlocks() {
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  }
#else
  ReturnBlocks() = default;
#endif
  ReturnBlocks(const ReturnBlocks&) = delete;
  ReturnBlocks& operator=(const ReturnBlocks&) = delete;
};

}  // namespace

Result<Model> load(const std::string& path, const Common& common, std::vector<Array> inputs) {
  const ReturnBlocks guard;
  return load_model(path, {.architecture = common.architecture,
                           .int8_profile = common.int8_profile,
                           .inputs = std::move(inputs),
                           .trusted_key = common.trusted_key});
}

int fail(const Error& error) {
  std::fprintf(stderr, "edgewise: %s\n", error.message.c_str());
  switch (error.code) {
    case ErrorCode::kBarNotMet:
      return 1;
    case ErrorCode::kInvalidArgument:
      return 2;
    case ErrorCode::kInvalidData:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kResourceLimit:
      return 3;
    case ErrorCode::kInterrupted:
      return 130;
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      break;
  }
  return 4;
}

void say(const Common& common, const std::string& text) {
  if (!common.quiet) std::fprintf(stderr, "%s\n", text.c_str());
}

Result<double> parse_ratio(const std::string& text) {
  const size_t slash = text.find('/');
  const auto number = [](const std::string& part, double& value) {
    char* end = nullptr;
    value = std::strtod(part.c_str(), &end);
    return end != part.c_str() && *end == '\0';
  };
  double top = 0;
  double bottom = 1;
  const bool ok = number(text.substr(0, slash), top) &&
                  (slash == std::string::npos || number(text.substr(slash + 1), bottom));
  if (!ok || bottom == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "expected a number or a ratio such as 1/255, found '" + text + "'"};
  }
  return top / bottom;
}

Result<KerasVersion> parse_keras_version(const std::string& text) {
  if (text == "both") return KerasVersion::kBoth;
  if (text == "2") return KerasVersion::kKeras2;
  if (text == "3") return KerasVersion::kKeras3;
  return Error{ErrorCode::kInvalidArgument,
               "--keras-version: expected both, 2 or 3, found '" + text + "'"};
}

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::vector<std::string> split_calls(const std::string& text) {
  std::vector<std::string> parts;
  int depth = 0;
  std::string part;
  for (const char c : text) {
    if (c == '(' || c == '[') ++depth;
    if (c == ')' || c == ']') --depth;
    if (c == ',' && depth == 0) {
      parts.push_back(part);
      part.clear();
    } else {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

const std::atomic<bool>* catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  return &interrupted;
}

Progress::Progress(const Common& common) : is_visible_(!common.quiet && ::isatty(STDERR_FILENO)) {}

void Progress::update(int64_t epoch, int64_t epochs, int64_t step, int64_t steps,
                      const Figures& figures) {
  if (!is_visible_) return;
  const int64_t now = now_ms();
  if (now - last_ms_ < 100 && step != steps) return;
  last_ms_ = now;
  constexpr int kWidth = 24;
  const int full = steps > 0 ? static_cast<int>(kWidth * step / steps) : kWidth;
  std::fprintf(stderr, "\r\033[Kepoch %lld/%lld [%s%s] %lld/%lld", static_cast<long long>(epoch),
               static_cast<long long>(epochs), std::string(static_cast<size_t>(full), '#').c_str(),
               std::string(static_cast<size_t>(kWidth - full), '.').c_str(),
               static_cast<long long>(step), static_cast<long long>(steps));
  for (const auto& [name, value] : figures) std::fprintf(stderr, "  %s %.4f", name.c_str(), value);
  is_open_ = true;
  if (step == steps) finish_line();
}

void Progress::finish_line() {
  if (is_open_) std::fputc('\n', stderr);
  is_open_ = false;
}

}  // namespace ew::cli
