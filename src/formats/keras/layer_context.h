#pragma once
// LayerContext as the importer implements it; internal to the Keras importer.

#include <utility>

#include "formats/keras/importer.h"

namespace ew::formats {

class ImportContext final : public LayerContext {
 public:
  ImportContext(Importer& importer, LayerNode& node, const Config& layer_config,
                ir::KerasGeneration keras)
      : LayerContext(importer.builder, layer_config, node.class_name, node.name, keras),
        importer_(importer),
        node_(node) {}

  ValueId weight(const std::string& weight_name, const Shape& shape,
                 const WeightOptions& options) override;
  ValueId raw_weight(const std::string& weight_name, const Shape& shape,
                     const WeightOptions& options) override;
  std::vector<KerasTensor> call_layer(const Config& layer, const std::string& sublayer,
                                      std::vector<KerasTensor> on) override;
  ValueId activation(ValueId x, const Config& activation) override;

 private:
  Importer& importer_;
  LayerNode& node_;
};

}  // namespace ew::formats
