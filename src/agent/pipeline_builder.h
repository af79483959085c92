#pragma once
// How an app file becomes a pipeline: layouts of rows, expressions, models, and who takes from
// whom.

#include <algorithm>
#include <map>

#include "agent/feature_runner.h"
#include "agent/pipeline.h"

namespace ew::agent {

/// The fields of the rows that something sends: those of the sources, which grow as they are used,
/// and own ones behind them.
struct Layout {
  bool has_source_fields = false;
  bool is_json = true;
  bool is_row = true;  ///< false for windows' results
  std::vector<std::string> names = {};
};

/// A part of the app file as one text, to tell whether it has changed.
std::string definition_text(const host::YamlNode& node);

/// Gives rows of one layout the layout of a consumer that takes several: -1 for what is not there.
std::unique_ptr<Consumer> make_remap(Edge target, std::vector<int> slots);

class PipelineBuilder {
 public:
  PipelineBuilder(const App& app, Ledger& ledger, std::vector<Error>& errors)
      : app_(app), ledger_(ledger), errors_(errors), pipeline_(new Pipeline(app, ledger)) {}

  /// The first pass only finds out which fields of the sources are used; then their slots are
  /// fixed, and the second pass builds.
  std::unique_ptr<Pipeline> run(const ModelLoader& load_model);

 private:
  FlowContext context() {
    Pipeline* p = pipeline_.get();
    return {p->keys_, p->now_us_,
            [p](const CoverSet& cover, DropReason reason) { p->drop_cover(cover, reason); }};
  }

  void load_models(const ModelLoader& load_model);
  /// The old model with the one that runs beside it.
  Result<std::unique_ptr<ModelRunner>> add_shadow(const ModelPlan& plan,
                                                  std::unique_ptr<ModelRunner> old_model,
                                                  const ModelLoader& load_model);
  void load_labels(const ModelPlan& plan);

  void build_sources();

  static std::unique_ptr<PayloadDecoder> make_decoder(const DecodePlan& plan);

  /// How the rows that a consumer sees are laid out, and the scope of its expressions.
  struct Inputs {
    Layout layout = {};
    bool is_mapped = false;  ///< several layouts: rows are mapped to `layout.names`
    std::vector<std::string> from = {};
    std::vector<std::string>* used = nullptr;  ///< names that expressions asked for
  };

  Inputs inputs_of(const std::vector<std::string>& from);

  static void add_name(std::vector<std::string>& names, const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }

  size_t width_of(const Layout& layout) const {
    return (layout.has_source_fields ? pipeline_->fields_.slot_count() : 0) + layout.names.size();
  }

  /// The slot of a field, or -1. Fields of sources are made when they are asked for.
  int slot_of(const Inputs& in, const Layout& layout, std::string_view name);

  ExpressionScope scope(const Inputs& in, const Layout& layout, size_t* cells);

  Expression compile(const Settings& s, std::string_view word, const ExpressionScope& scope) {
    if (!s.has(word)) return {};
    return compile_text(*s.node(word), s.text(word), word, scope);
  }
  Expression compile_text(const host::YamlNode& node, const std::string& text,
                          std::string_view word, const ExpressionScope& scope);

  std::vector<NamedExpression> compile_map(const Settings& s, std::string_view word,
                                           const std::function<ExpressionScope()>& scope,
                                           const std::function<void(const std::string&)>& on_name);

  void connect(const Inputs& in, Consumer* consumer);

  void build_stream(const std::string& name, const StreamSource& source);

  void build_resample(const Settings& s, StreamPlan& plan);

  bool uses_arrival_time(const std::string& from) const;

  void build_window(const Settings& s, const Inputs& in, const Layout& layout, StreamPlan& plan);

  /// `select: {id: id}` would read a field of no record.
  void check_plain_fields(const Settings& s, const StreamPlan& plan);

  void build_features(const Settings& s, const Inputs& in, Layout& layout, StreamPlan& plan);

  void build_model(const Settings& s, const Inputs& in, Layout& layout, StreamPlan& plan);

  /// Whether the field holds the elements of pictures or sound, which only models and features
  /// read.
  bool is_tensor(std::string_view name) const;
  /// The sources from which the streams and sources of these names come.
  void add_origins(const std::vector<std::string>& from,
                   std::vector<const SourcePlan*>& origins) const;
  /// Checks that elements of these origins are as many as `expected`, and gives their slot.
  size_t tensor_slot(const Settings& s, const Inputs& in, const std::string& field,
                     size_t expected);
  void add_model_inputs(const Settings& s, const Inputs& in, const Layout& layout, StreamPlan& plan,
                        const ModelRunner* runner);
  void build_tensor_features(const Settings& f, const Inputs& in, Layout& layout, StreamPlan& plan);
  void add_feature_outputs(const Settings& f, Layout& layout, StreamPlan& plan);
  void build_picture(const Settings& s, const Inputs& in, const Layout& layout, StreamPlan& plan);
  /// The place of a label of the stream's model, or an error.
  std::optional<size_t> class_of(const Settings& s, std::string_view word, const std::string& name,
                                 const StreamPlan& plan);
  void check_outputs(const Settings& m, const ModelRunner& runner, const StreamPlan& plan,
                     size_t outputs);

  /// What stood before the window closed.
  Layout window_layout(const Inputs& in, const StreamPlan& plan) const;

  void check_model(const Settings& m, const ModelRunner& runner, const StreamPlan& plan,
                   size_t outputs);

  void build_shape(const Settings& s, StreamPlan& plan);

  void build_rule(const std::string& name, const StreamSource& source);

  void build_sinks();

  const App& app_;
  Ledger& ledger_;
  std::vector<Error>& errors_;
  std::unique_ptr<Pipeline> pipeline_;
  bool is_first_pass_ = true;
  std::map<std::string, Layout> layouts_;
  std::map<std::string, std::vector<Edge>*> senders_;
};

}  // namespace ew::agent
