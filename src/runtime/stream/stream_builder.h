#pragma once
// What the rules of operators build a streaming graph with. Internal to this folder.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/stream/stream_graph.h"

namespace ew::runtime::stream {

/// Where a value of the given graph is in the streaming one.
struct Place {
  enum class Kind {
    kAbsent,
    kConstant,  ///< the same at all times
    kStream,    ///< every run computes its next frames
    kWhole,     ///< over the whole window, or a value of the latest frame
  };
  Kind kind = Kind::kAbsent;
  ir::ValueId id = ir::kNoValue;
  // Of a stream: where its time axis is; input frames per frame of it; how many of its first frames
  // have no meaning, since they come from states that no input has reached.
  int axis = 0;
  int64_t stride = 1;
  int64_t warm_up = 0;
  int64_t first_run = 0;  // of a whole value
};

class StreamBuilder {
 public:
  /// `given` has static shapes and one input.
  StreamBuilder(const ir::Graph& given, int time_axis, int64_t frames, int64_t window_runs,
                StreamMode mode);
  /// Runs of a window's frames and frames of a run that would have been needed, else the graph.
  struct Attempt {
    std::optional<StreamGraph> graph;
    int64_t frames = 0;
    int64_t window_runs = 0;
  };
  Result<Attempt> build();

  // ---- for the rules

  const ir::Graph& given() const { return given_; }
  bool is_window() const { return mode_ == StreamMode::kWindow; }
  const Place& place(ir::ValueId id) const { return places_[static_cast<size_t>(id)]; }
  bool is_stream(ir::ValueId id) const {
    return id != ir::kNoValue && place(id).kind == Place::Kind::kStream;
  }
  bool is_constant(ir::ValueId id) const {
    return id == ir::kNoValue || place(id).kind == Place::Kind::kConstant;
  }
  /// Frames of a stream in the given graph, and in a run.
  int64_t length(ir::ValueId id) const { return given_.type(id).shape[place(id).axis]; }
  int64_t frames(const Place& p) const { return frames_ / p.stride; }
  /// The constant in the streaming graph; kNoValue stays.
  ir::ValueId constant(ir::ValueId id);

  /// Adds `node` with other inputs and attributes; as many values as it has outputs, kNoValue after
  /// an error.
  std::vector<ir::ValueId> add(const ir::Node& node, std::vector<ir::ValueId> inputs,
                               const ir::Attrs& attrs);
  void set(ir::ValueId id, const Place& place) { places_[static_cast<size_t>(id)] = place; }
  /// The last `count` >= frames(p) frames of a stream, from a register that begins with zeros.
  ir::ValueId held(const Place& p, int64_t count);
  /// The first `count` frames of a value.
  ir::ValueId first_frames(ir::ValueId id, int axis, int64_t count);
  /// The stream that is `count` frames behind.
  Place delayed(const Place& p, int64_t count);
  ir::ValueId state_input(const ir::Tensor& initial);
  void state_output(ir::ValueId value);
  /// A mask for a stream that begins with warm-up frames.
  ir::ValueId mask(const Place& p);
  /// Asks for runs of more frames; false if they have enough for steps of `stride`.
  bool needs_frames(const Place& p, int64_t stride);

 private:
  Status add_node(const ir::Node& node);
  Status add_whole(const ir::Node& node, const std::string& why);
  ir::ValueId whole(ir::ValueId id);
  Status add_output(ir::ValueId id);

  const ir::Graph& given_;
  int time_axis_;
  int64_t frames_;
  int64_t window_runs_;
  StreamMode mode_;
  StreamGraph out_;
  ir::Builder b_;
  std::vector<Place> places_;
  std::vector<ir::ValueId> wholes_;  // per value: its window, once built
  std::vector<size_t> state_inputs_;
  std::vector<ir::ValueId> state_outputs_;
  int64_t wanted_frames_;
  int64_t wanted_runs_;
};

/// Adds a node with a stream among its inputs; or says why it cannot work on frames alone.
using Rule = std::optional<std::string> (*)(StreamBuilder&, const ir::Node&);
/// Null for an operator without one.
Rule find_rule(const ir::OpDef& op);

/// Whether the product takes the scale of its float input from all of it (dynamic-range models).
bool is_hybrid(const StreamBuilder& s, const ir::Node& node);
std::optional<std::string> add_window(StreamBuilder& s, const ir::Node& node);
std::optional<std::string> add_recurrent(StreamBuilder& s, const ir::Node& node);

}  // namespace ew::runtime::stream
