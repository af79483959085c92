#pragma once

namespace CLI {
class App;
}

namespace ew::cli {

/// Each adds one verb to the program; when it is chosen, its exit code is stored in `exit_code`.
void add_inspect(CLI::App& app, int& exit_code);
void add_convert(CLI::App& app, int& exit_code);
void add_predict(CLI::App& app, int& exit_code);
void add_evaluate(CLI::App& app, int& exit_code);
void add_train(CLI::App& app, int& exit_code);
void add_optimize(CLI::App& app, int& exit_code);
void add_bench(CLI::App& app, int& exit_code);
/// run, check, replay, ledger and schema.
void add_agent_verbs(CLI::App& app, int& exit_code);

}  // namespace ew::cli
