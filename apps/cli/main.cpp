// The edgewise command.
#include <CLI/CLI.hpp>
#include <cstring>

#include "verbs.h"

namespace {

struct Verb {
  const char* name;
  void (*add)(CLI::App& app, int& exit_code);
};

constexpr Verb kVerbs[] = {
    {"inspect", ew::cli::add_inspect}, {"convert", ew::cli::add_convert},
    {"predict", ew::cli::add_predict}, {"evaluate", ew::cli::add_evaluate},
    {"train", ew::cli::add_train},     {"optimize", ew::cli::add_optimize},
    {"bench", ew::cli::add_bench},     {"run", ew::cli::add_run},
    {"check", ew::cli::add_check},     {"replay", ew::cli::add_replay},
    {"ledger", ew::cli::add_ledger},   {"erase", ew::cli::add_erase},
    {"schema", ew::cli::add_schema},   {"bundle", ew::cli::add_bundle},
};

// The verb that is asked for is all that is set up, since processes start in a few milliseconds.
void add_verbs(CLI::App& app, const char* wanted, int& exit_code) {
  for (const Verb& verb : kVerbs) {
    if (wanted != nullptr && std::strcmp(wanted, verb.name) == 0) {
      return verb.add(app, exit_code);
    }
  }
  for (const Verb& verb : kVerbs) verb.add(app, exit_code);
}

}  // namespace

int main(int argc, char** argv) {
  using ew::cli::bench_child;
  using ew::cli::kBenchChild;
  if (argc == 2 + ew::cli::kBenchChildWords && std::strcmp(argv[1], kBenchChild) == 0) {
    return bench_child(argv + 2);
  }
  CLI::App app(
      "Edgewise takes a trained model to the device and keeps it useful there.\n"
      "Example: edgewise optimize base_model.h5 --data fashion-mnist/ -o optimized_model.h5",
      "edgewise");
  app.set_version_flag("--version", "edgewise " EW_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  add_verbs(app, argc > 1 ? argv[1] : nullptr, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return exit_code;
}
