// edgewise bundle create, inspect, verify, init, apply, status, rollback
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>

#include "common.h"
#include "edgewise/bundle.h"
#include "verbs.h"

namespace ew::cli {
namespace {

struct BundleOptions {
  Common common;
  std::string path;  // of the app file or the bundle
  BundleSource source;
  double valid_days = 0;
  std::string out;
  std::string key;
  std::string folder;
  std::string target;
};

std::string time_text(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  char text[32] = "";
  if (::gmtime_r(&time, &parts) != nullptr) {
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  }
  return text;
}

std::string number(uint64_t value) { return std::to_string(value); }

void print(const BundleInfo& b, bool as_json) {
  if (as_json) {
    std::string out = "{\"name\":" + json_text(b.name) + ",\"version\":" + number(b.version) +
                      ",\"created\":" + std::to_string(b.created_s) +
                      ",\"expires\":" + (b.expires_s == 0 ? "null" : std::to_string(b.expires_s)) +
                      ",\"target\":" + (b.target.empty() ? "null" : json_text(b.target)) +
                      ",\"app\":" + json_text(b.app) + ",\"signer\":" + json_text(b.signer) +
                      ",\"bytes\":" + number(b.bytes) + ",\"files\":[";
    for (size_t i = 0; i < b.files.size(); ++i) {
      out += (i > 0 ? ",{\"path\":" : "{\"path\":") + json_text(b.files[i].path) +
             ",\"bytes\":" + number(b.files[i].bytes) +
             ",\"sha256\":" + json_text(b.files[i].sha256) + "}";
    }
    std::puts((out + "]}").c_str());
    return;
  }
  std::printf("%s version %s, %s bytes\n", b.name.c_str(), number(b.version).c_str(),
              number(b.bytes).c_str());
  std::printf("created  %s\n", time_text(b.created_s).c_str());
  std::printf("expires  %s\n", b.expires_s == 0 ? "never" : time_text(b.expires_s).c_str());
  std::printf("target   %s\n", b.target.empty() ? "any" : b.target.c_str());
  std::printf("signer   %s\n", b.signer.c_str());
  for (const BundleInfo::File& file : b.files) {
    std::printf("%s  %10s  %s%s\n", file.sha256.c_str(), number(file.bytes).c_str(),
                file.path.c_str(), file.path == b.app ? "  (app file)" : "");
  }
}

void print(const DeviceStatus& d, bool as_json) {
  const auto version = [](uint64_t v) { return v == 0 ? std::string("null") : number(v); };
  if (as_json) {
    std::puts(("{\"app\":" + (d.name.empty() ? "null" : json_text(d.name)) +
               ",\"active\":" + version(d.active) + ",\"earlier\":" + version(d.earlier) +
               ",\"highest\":" + number(d.highest) +
               ",\"trial\":" + (d.is_trial ? "true" : "false") +
               ",\"starts\":" + number(d.trial_starts) + ",\"note\":" + json_text(d.note) + "}")
                  .c_str());
    return;
  }
  if (d.active == 0) {
    std::puts("no bundle has been applied");
    return;
  }
  std::printf("%s: version %s%s\n", d.name.c_str(), number(d.active).c_str(),
              d.is_trial ? ", on trial" : "");
  if (d.earlier != 0) std::printf("earlier version %s\n", number(d.earlier).c_str());
  std::printf("highest version accepted %s\n", number(d.highest).c_str());
  if (!d.note.empty()) std::printf("%s\n", d.note.c_str());
}

template <typename Info>
int finish(const Result<Info>& info, const BundleOptions& o) {
  if (!info.ok()) return fail(info.error());
  if (!o.common.quiet) print(*info, o.common.json);
  return 0;
}

int create(const BundleOptions& o) {
  BundleSource source = o.source;
  source.app = o.path;
  source.valid_for_s = static_cast<int64_t>(o.valid_days * 86400);
  return finish(create_bundle(source, o.out), o);
}

int init(const BundleOptions& o) {
  const Result<void> done = init_device(o.folder, o.key, o.target);
  if (!done.ok()) return fail(done.error());
  say(o.common, o.folder + ": ready for bundles");
  return 0;
}

/// One word behind `bundle`.
BundleOptions& add_part(CLI::App& bundle, const char* name, const char* help, int& exit_code,
                        int (*work)(const BundleOptions&), CLI::App*& verb) {
  const auto options = std::make_shared<BundleOptions>();
  verb = bundle.add_subcommand(name, help);
  add_common(*verb, options->common, false);
  verb->callback([options, &exit_code, work] { exit_code = work(*options); });
  return *options;
}

void add_create(CLI::App& bundle, int& exit_code) {
  CLI::App* verb = nullptr;
  BundleOptions& o = add_part(bundle, "create",
                              "Put an app with its models into one signed file\n"
                              "Example: edgewise bundle create pump.yaml --version 7 "
                              "--key release.pem -o pump-7.ewb",
                              exit_code, create, verb);
  verb->add_option("APP", o.path, "App file; models and labels that it names come along")
      ->required();
  verb->add_option("--version", o.source.version, "Number above all before")
      ->required()
      ->check(CLI::PositiveNumber);
  verb->add_option("--key", o.source.key,
                   "Private key (openssl genpkey -algorithm ed25519 -out release.pem)")
      ->required();
  verb->add_option("-o,--output", o.out, "The bundle")->required();
  verb->add_option("--target", o.source.target, "Class of devices; without it any");
  verb->add_option("--valid-days", o.valid_days, "Can be applied for so long; without it for ever")
      ->check(CLI::PositiveNumber);
  verb->add_option("--include", o.source.include, "Further files, from the app file's folder");
}

void add_readers(CLI::App& bundle, int& exit_code) {
  CLI::App* verb = nullptr;
  BundleOptions& inspect = add_part(
      bundle, "inspect",
      "Show what a bundle says of itself, without checking its signature\n"
      "Example: edgewise bundle inspect pump-7.ewb --json",
      exit_code, [](const BundleOptions& o) { return finish(read_bundle(o.path), o); }, verb);
  verb->add_option("BUNDLE", inspect.path, "The bundle")->required();
  BundleOptions& verify = add_part(
      bundle, "verify",
      "Check that a key signed a bundle, and that all content is what was signed\n"
      "Example: edgewise bundle verify pump-7.ewb --trusted-key release.pub.pem",
      exit_code, [](const BundleOptions& o) { return finish(read_bundle(o.path, o.key), o); },
      verb);
  verb->add_option("BUNDLE", verify.path, "The bundle")->required();
  verb->add_option("--trusted-key", verify.key,
                   "Public key (openssl pkey -in release.pem -pubout -out release.pub.pem)")
      ->required();
}

void add_device_parts(CLI::App& bundle, int& exit_code) {
  CLI::App* verb = nullptr;
  BundleOptions& prepare = add_part(
      bundle, "init",
      "Make a folder the home of a device: whom it trusts, what it is\n"
      "Example: edgewise bundle init device --trusted-key release.pub.pem --target gateway",
      exit_code, init, verb);
  verb->add_option("DIR", prepare.folder, "The device's folder")->required();
  verb->add_option("--trusted-key", prepare.key, "Public key; it is copied")->required();
  verb->add_option("--target", prepare.target, "Class of this device");
  BundleOptions& apply = add_part(
      bundle, "apply",
      "Verify a bundle and make it the version that the device runs\n"
      "Example: edgewise bundle apply pump-7.ewb --to device",
      exit_code, [](const BundleOptions& o) { return finish(apply_bundle(o.path, o.folder), o); },
      verb);
  verb->add_option("BUNDLE", apply.path, "The bundle")->required();
  verb->add_option("--to", apply.folder, "The device's folder")->required();
  BundleOptions& status = add_part(
      bundle, "status",
      "Show which version a device runs and which it keeps\n"
      "Example: edgewise bundle status device",
      exit_code, [](const BundleOptions& o) { return finish(device_status(o.folder), o); }, verb);
  verb->add_option("DIR", status.folder, "The device's folder")->required();
  BundleOptions& back = add_part(
      bundle, "rollback",
      "Return to the version before\n"
      "Example: edgewise bundle rollback device",
      exit_code, [](const BundleOptions& o) { return finish(rollback_device(o.folder), o); }, verb);
  verb->add_option("DIR", back.folder, "The device's folder")->required();
}

}  // namespace

void add_bundle(CLI::App& app, int& exit_code) {
  CLI::App* bundle = app.add_subcommand("bundle",
                                        "Signed bundles of app and models, and devices that take "
                                        "them\nExample: edgewise bundle apply pump-7.ewb --to dir");
  bundle->require_subcommand(1);
  add_create(*bundle, exit_code);
  add_readers(*bundle, exit_code);
  add_device_parts(*bundle, exit_code);
}

}  // namespace ew::cli
