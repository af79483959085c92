#pragma once
// A graph over a whole sequence or window turned into one that computes a few new frames of it,
// with state between its runs (docs/design/0019-streaming.md).

#include <string>
#include <vector>

#include "ir/graph.h"

namespace ew::runtime {

enum class StreamMode {
  kAuto,      ///< kSequence where every node allows it, else kWindow
  kSequence,  ///< outputs are those of one run over all frames since the start
  kWindow,    ///< outputs are those of runs over the last frames, as many as the input has
};

struct StreamGraphOptions {
  int time_axis = 1;
  /// Frames of a run; 0: as few as the strides along time allow.
  int64_t frames = 0;
  StreamMode mode = StreamMode::kAuto;
  /// Frames of a window, for an input whose time axis is open.
  int64_t window = 0;
};

struct StreamGraph {
  /// Inputs: the new frames, then states and masks. Outputs: the model's, then states.
  ir::Graph graph;
  StreamMode mode = StreamMode::kSequence;
  int64_t frames = 1;  ///< of a run
  int time_axis = 1;

  /// Copied from an output to an input after every run.
  struct State {
    size_t input = 0;
    size_t output = 0;
    ir::Tensor initial;
  };
  std::vector<State> states;
  /// An input [1, frames] of bools: false for the first `warm_up` frames that a node sees.
  struct Mask {
    size_t input = 0;
    int64_t frames = 1;
    int64_t warm_up = 0;
  };
  std::vector<Mask> masks;
  struct Output {
    bool is_sequence = false;  ///< has new frames along `axis`; else a value of its own
    int axis = 0;
    int64_t frames = 0;     ///< of a run
    int64_t warm_up = 0;    ///< of the first frames, those without a meaning
    int64_t first_run = 0;  ///< for a value: the runs before this one give none
  };
  std::vector<Output> outputs;

  /// Multiply-accumulates of a run, and of one run of the given graph.
  int64_t macs = 0;
  int64_t whole_macs = 0;
  /// In a window: the first node that runs over the whole of it, and why; empty if there is none.
  std::string whole_from;
};

/// `graph` has one input, whose first dimension is the batch, taken as 1. Errors: kUnsupported
/// names the node that cannot be streamed and says why; kInvalidArgument for an axis or a number of
/// frames that do not fit.
Result<StreamGraph> make_stream_graph(const ir::Graph& graph, const StreamGraphOptions& options);

}  // namespace ew::runtime
