// Pictures that leave, of a pipeline that is built.
#include <algorithm>

#include "agent/pipeline_builder.h"
#include "agent/region.h"

namespace ew::agent {

std::optional<size_t> PipelineBuilder::class_of(const Settings& s, std::string_view word,
                                                const std::string& name, const StreamPlan& plan) {
  if (plan.model_labels == nullptr || plan.model_labels->empty()) {
    errors_.push_back(s.error(
        word, str("'", name, "' is a class by name; say with `labels:` of the model which it is")));
    return std::nullopt;
  }
  const auto found = std::ranges::find(*plan.model_labels, name);
  if (found != plan.model_labels->end()) {
    return static_cast<size_t>(found - plan.model_labels->begin());
  }
  const std::string near = nearest_word(name, *plan.model_labels);
  errors_.push_back(s.error(word, str("the model has no class '", name, "'",
                                      near.empty() ? "" : str("; did you mean ", near, "?"))));
  return std::nullopt;
}

void PipelineBuilder::build_picture(const Settings& s, const Inputs& in, const Layout& layout,
                                    StreamPlan& plan) {
  const Settings p = s.map("picture");
  const std::string input = p.text("input");
  if (plan.has_window) {
    errors_.push_back(p.error("input", "windows hold no pictures; send them from a stream before"));
    return;
  }
  std::vector<const SourcePlan*> origins;
  add_origins(in.from, origins);
  PicturePlan picture;
  for (const SourcePlan* source : origins) {
    const TensorSource* tensor = source->type->tensor;
    if (tensor == nullptr || tensor->picture == nullptr || input != tensor->field) {
      errors_.push_back(p.error("input", str("expected pictures, '", source->name, "' gives no '",
                                             input, "' that is one")));
      return;
    }
    const auto [height, width, channels] = tensor->picture(source->settings);
    if (height == 0) {
      errors_.push_back(p.error("input", str("'", source->name, "' gives pictures of any size; ",
                                             "set its ", tensor->to_set)));
      return;
    }
    const bool is_first = picture.shape.height == 0;
    if (!is_first && (height != picture.shape.height || width != picture.shape.width ||
                      channels != picture.shape.channels)) {
      errors_.push_back(p.error("input", str("'", source->name,
                                             "' gives pictures of another size "
                                             "than the sources before it")));
      return;
    }
    picture.shape = {height, width, channels};
  }
  picture.slot = tensor_slot(p, in, input, picture.shape.size());
  picture.output = p.text("output");
  if (std::ranges::find(layout.names, picture.output) != layout.names.end()) {
    errors_.push_back(p.error("output", str("there is a field '", picture.output, "' already")));
  }
  picture.how = p.text("how") == "blank" ? Hiding::kBlank : Hiding::kPixelate;
  picture.grow = p.number("grow");
  picture.min_score = p.number("min_score");
  const std::vector<std::string> hide = p.texts("hide");
  const bool is_detector = plan.model_result == StreamPlan::ModelResult::kDetections ||
                           plan.model_result == StreamPlan::ModelResult::kCounts;
  if (!hide.empty() && !is_detector) {
    errors_.push_back(p.error("hide",
                              "needs a model in this stream with `result: detections` or "
                              "`counts`; parts at fixed places are `regions`"));
    return;
  }
  picture.hides_found = !hide.empty();
  if (hide.size() != 1 || hide[0] != "all") {
    for (const std::string& name : hide) {
      picture.classes.push_back(class_of(p, "hide", name, plan).value_or(0));
    }
  }
  Result<std::vector<PixelBox>> regions = read_regions(p, "regions", picture.shape);
  if (!regions.ok()) {
    errors_.push_back(regions.error());
    return;
  }
  picture.regions = std::move(*regions);
  plan.picture = picture;
}

}  // namespace ew::agent
