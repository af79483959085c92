#pragma once
// Models fed frame by frame: predict --stream and bench --stream.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "common.h"
#include "edgewise/session.h"

namespace ew::cli {

struct StreamFlags {
  bool stream = false;
  StreamOptions options;
};
void add_stream_flags(CLI::App& verb, StreamFlags& flags);

/// Feeds the frames of `input` [N, .., T, ..], each row as a stream of its own, and writes what
/// comes out of each of the model's outputs: frames joined along time, or one row per value.
int predict_stream(const Model& model, StreamFlags flags, const Common& common, const Array& input,
                   const std::vector<std::string>& outputs);

/// Prints the time of a frame beside that of a whole run.
int bench_stream(const Model& model, StreamFlags flags, const Common& common, double batch_ms);

}  // namespace ew::cli
