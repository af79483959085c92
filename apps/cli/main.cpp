// The edgewise command.
#include <CLI/CLI.hpp>

#include "verbs.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Edgewise takes a trained model to the device and keeps it useful there.\n"
      "Example: edgewise optimize base_model.h5 --data fashion-mnist/ -o optimized_model.h5",
      "edgewise");
  app.set_version_flag("--version", "edgewise " EW_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  ew::cli::add_inspect(app, exit_code);
  ew::cli::add_convert(app, exit_code);
  ew::cli::add_predict(app, exit_code);
  ew::cli::add_evaluate(app, exit_code);
  ew::cli::add_train(app, exit_code);
  ew::cli::add_optimize(app, exit_code);
  ew::cli::add_bench(app, exit_code);
  ew::cli::add_agent_verbs(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return exit_code;
}
