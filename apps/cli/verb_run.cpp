// edgewise run, edgewise check, edgewise replay, edgewise ledger, edgewise erase
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "common.h"
#include "edgewise/agent.h"
#include "edgewise/bundle.h"
#include "verbs.h"

namespace ew::cli {
namespace {

struct AppOptions {
  Common common;
  std::string app;
  std::vector<std::string> set;
  std::string state;
  std::string record;
  std::string log_format = "text";
  bool is_dry_run = false;
  std::string from;
  std::string speed = "max";
  std::string out;
  bool has_all = false;
  bool is_meant = false;
};

void add_app(CLI::App& verb, AppOptions& o) {
  verb.add_option("APP", o.app,
                  "App file (docs/guide/agent.md), or the folder of a device that "
                  "runs bundles")
      ->required();
  verb.add_option("--set", o.set, "WORD.WORD=VALUE instead of what the app file says");
  verb.add_option("--state", o.state, "Folder for queue and ledger, instead of `state:`");
  add_common(verb, o.common, false);
}

Result<AgentOptions> agent_options(const AppOptions& o) {
  AgentOptions options;
  for (const std::string& set : o.set) {
    const size_t equals = set.find('=');
    if (equals == std::string::npos) {
      return Error{ErrorCode::kInvalidArgument,
                   "--set: expected WORD.WORD=VALUE, found '" + set + "'"};
    }
    options.overrides.emplace_back(set.substr(0, equals), set.substr(equals + 1));
  }
  options.state = o.state;
  options.record = o.record;
  options.has_json_log = o.log_format == "json";
  if (!o.common.quiet) {
    options.log = [](std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  return options;
}

int run(const AppOptions& o) {
  const Result<AgentOptions> options = agent_options(o);
  if (!options.ok()) return fail(options.error());
  if (o.is_dry_run) {
    const Result<std::string> plan = plan_app(o.app, *options);
    if (!plan.ok()) return fail(plan.error());
    std::fputs(plan->c_str(), stdout);
    return 0;
  }
  const Result<void> done = run_app(o.app, *options);
  return done.ok() ? 0 : fail(done.error());
}

int check(const AppOptions& o) {
  const Result<AgentOptions> options = agent_options(o);
  if (!options.ok()) return fail(options.error());
  const std::vector<std::string> faults = check_app(o.app, *options);
  if (o.common.json) {
    std::string out = "{\"errors\":[";
    for (size_t i = 0; i < faults.size(); ++i) out += (i > 0 ? "," : "") + json_text(faults[i]);
    std::puts((out + "]}").c_str());
  } else {
    for (const std::string& fault : faults) std::fprintf(stderr, "%s\n", fault.c_str());
    if (faults.empty()) say(o.common, o.app + ": right");
  }
  return faults.empty() ? 0 : 3;
}

int run_replay(const AppOptions& o) {
  const Result<AgentOptions> options = agent_options(o);
  if (!options.ok()) return fail(options.error());
  AppReplay replay{.from = o.from, .only_events = !o.has_all};
  if (o.speed != "max") {
    char* end = nullptr;
    replay.speed = std::strtod(o.speed.c_str(), &end);
    if (end == o.speed.c_str() || replay.speed <= 0) {
      return fail({ErrorCode::kInvalidArgument,
                   "--speed: expected max or a factor such as 10, found '" + o.speed + "'"});
    }
  }
  std::FILE* file = o.out.empty() ? stdout : std::fopen(o.out.c_str(), "w");
  if (file == nullptr) return fail({ErrorCode::kIo, o.out + ": cannot be written"});
  replay.on_output = [file](std::string_view payload) {
    std::fwrite(payload.data(), 1, payload.size(), file);
    std::fputc('\n', file);
  };
  const auto start = std::chrono::steady_clock::now();
  const Result<AppReplayed> done = replay_app(o.app, replay, *options);
  const bool is_written = std::fflush(file) == 0 && std::ferror(file) == 0;
  if (file != stdout) std::fclose(file);
  if (!done.ok()) return fail(done.error());
  if (!is_written) return fail({ErrorCode::kIo, o.out + ": cannot be written"});
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  char line[200];
  std::snprintf(line, sizeof line, "%llu records of %.3f s in %.3f s, %llu outputs",
                static_cast<unsigned long long>(done->records), done->virtual_seconds, seconds,
                static_cast<unsigned long long>(done->outputs));
  say(o.common, line);
  return 0;
}

int ledger(const AppOptions& o) {
  const Result<AgentOptions> options = agent_options(o);
  if (!options.ok()) return fail(options.error());
  const Result<std::string> text = app_ledger(o.app, o.common.json, *options);
  if (!text.ok()) return fail(text.error());
  std::puts(text->c_str());
  return 0;
}

int erase(const AppOptions& o) {
  const Result<AgentOptions> options = agent_options(o);
  if (!options.ok()) return fail(options.error());
  const Result<AppErased> erased = erase_app(o.app, o.is_meant, *options);
  if (!erased.ok()) return fail(erased.error());
  if (o.common.json) {
    std::string out = "{\"files\":[";
    for (size_t i = 0; i < erased->files.size(); ++i) {
      out += (i > 0 ? "," : "") + json_text(erased->files[i]);
    }
    out += "],\"bytes\":" + std::to_string(erased->bytes) +
           ",\"erased\":" + (o.is_meant ? "true}" : "false}");
    std::puts(out.c_str());
  } else {
    for (const std::string& file : erased->files) std::puts(file.c_str());
    say(o.common, std::to_string(erased->files.size()) + " files, " +
                      std::to_string(erased->bytes) + " bytes" +
                      (o.is_meant ? " erased" : "; nothing is erased without --yes"));
  }
  // A script that forgets --yes must not believe that the data is gone.
  return o.is_meant || erased->files.empty() ? 0 : 2;
}

CLI::App* add_verb(CLI::App& app, const char* name, const char* help,
                   const std::shared_ptr<AppOptions>& o, int& exit_code,
                   int (*work)(const AppOptions&)) {
  CLI::App* verb = app.add_subcommand(name, help);
  add_app(*verb, *o);
  verb->callback([o, &exit_code, work] { exit_code = work(*o); });
  return verb;
}

}  // namespace

void add_run(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<AppOptions>();
  CLI::App* verb =
      add_verb(app, "run",
               "Run an app: streams in, decisions here, only what matters goes out\n"
               "Example: edgewise run pump.yaml --set sources.in.server=mqtt://10.0.0.5",
               o, exit_code, run);
  verb->add_flag("--dry-run", o->is_dry_run, "Show the plan with its memory and end");
  verb->add_option("--record", o->record, "Folder that keeps all input, for replay");
  verb->add_option("--log", o->log_format,
                   "Form of the lines on stderr: text, or json, an object a line with time, level, "
                   "part, name and message")
      ->check(CLI::IsMember({"text", "json"}));
}

void add_check(CLI::App& app, int& exit_code) {
  add_verb(app, "check",
           "Find every fault of an app file, with line and nearest word\n"
           "Example: edgewise check pump.yaml",
           std::make_shared<AppOptions>(), exit_code, check);
}

void add_replay(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<AppOptions>();
  CLI::App* verb =
      add_verb(app, "replay",
               "Run a recording through an app in virtual time: the same events, bit for bit\n"
               "Example: edgewise replay pump.yaml --from rec --out events.jsonl",
               o, exit_code, run_replay);
  verb->add_option("--from", o->from, "Folder that run --record wrote")->required();
  verb->add_option("--speed", o->speed, "max, or a factor of the recorded time");
  verb->add_option("--out", o->out, "File for the events; without it stdout");
  verb->add_flag("--all", o->has_all, "Everything that would leave, not only events");
}

void add_ledger(CLI::App& app, int& exit_code) {
  add_verb(app, "ledger",
           "What came in, what became of it, and what left; also while the app runs\n"
           "Example: edgewise ledger pump.yaml --json",
           std::make_shared<AppOptions>(), exit_code, ledger);
}

void add_erase(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<AppOptions>();
  CLI::App* verb = add_verb(app, "erase",
                            "Delete all that an app has stored: journal, queues, ledger, tokens, "
                            "recordings in its state folder\n"
                            "Example: edgewise erase pump.yaml --yes",
                            o, exit_code, erase);
  verb->add_flag("--yes", o->is_meant, "Delete; without it the files are listed only");
}

void add_schema(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("schema",
                                      "Print the JSON Schema of app files\n"
                                      "Example: edgewise schema > app.schema.json");
  const auto is_device = std::make_shared<bool>(false);
  verb->add_flag("--device", *is_device, "Of device.yaml instead (docs/guide/bundles.md)");
  verb->callback([&exit_code, is_device] {
    std::fputs(*is_device ? device_schema().c_str() : app_schema().c_str(), stdout);
    exit_code = 0;
  });
}

}  // namespace ew::cli
