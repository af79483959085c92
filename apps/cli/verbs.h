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
void add_run(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_replay(CLI::App& app, int& exit_code);
void add_ledger(CLI::App& app, int& exit_code);
void add_erase(CLI::App& app, int& exit_code);
void add_schema(CLI::App& app, int& exit_code);
void add_bundle(CLI::App& app, int& exit_code);

/// The process that bench starts to time a cold start: `edgewise bench-child MODEL THREADS
/// INT8_PROFILE ARCHITECTURE` runs one inference and writes a line with its peak memory in kB.
/// `words` are those behind the name.
inline constexpr const char* kBenchChild = "bench-child";
inline constexpr int kBenchChildWords = 4;
int bench_child(char** words);

}  // namespace ew::cli
