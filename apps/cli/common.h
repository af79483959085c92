#pragma once
// What every verb shares: common flags, errors to exit codes, progress, Ctrl-C.

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "edgewise/edgewise.h"

namespace CLI {
class App;
}

namespace ew::cli {

struct Common {
  bool json = false;
  bool quiet = false;
  uint64_t seed = 0;
  int threads = 1;
  std::string architecture;
  std::string int8_profile = "tflm";
  std::string trusted_key;
};

/// Flags of every verb: --json --quiet --seed --threads, and --architecture and --int8-profile
/// where it reads a model.
void add_common(CLI::App& app, Common& common, bool reads_model = true);

/// The model by the flags that say how to read it; `inputs` as in LoadOptions.
Result<Model> load(const std::string& path, const Common& common, std::vector<Array> inputs = {});

/// One line on stderr and the exit code: 1 bar not met, 2 usage, 3 bad input, 4 environment,
/// 130 interrupted.
int fail(const Error& error);

/// A line on stderr unless --quiet.
void say(const Common& common, const std::string& text);

/// "1/255", "0.5" or "3e-4" as a number.
Result<double> parse_ratio(const std::string& text);

Result<KerasVersion> parse_keras_version(const std::string& text);

/// `text` as a JSON string.
std::string json_text(const std::string& text);

/// "accuracy,auc" and "Precision(thresholds=[0.2, 0.5])" cut at the commas outside brackets.
std::vector<std::string> split_calls(const std::string& text);

/// Set by the first SIGINT or SIGTERM; the second one ends the process.
const std::atomic<bool>* catch_interrupts();

/// A progress bar on stderr, on terminals only.
class Progress {
 public:
  explicit Progress(const Common& common);
  void update(int64_t epoch, int64_t epochs, int64_t step, int64_t steps, const Figures& figures);
  void finish_line();

 private:
  bool is_visible_;
  int64_t last_ms_ = 0;
  bool is_open_ = false;
};

}  // namespace ew::cli
