// A model's architecture. The first byte names the Keras generation: '2' or '3', or any other even
// or odd byte.
#include "formats/json.h"
#include "formats/keras/import.h"
#include "targets.h"

namespace ew::fuzz {

void keras_config(Bytes bytes) {
  if (bytes.empty()) return;
  const auto generation =
      bytes[0] % 2 == 0 ? ir::KerasGeneration::kKeras2 : ir::KerasGeneration::kKeras3;
  const Result<Config> config = formats::parse_json(text_of(bytes.subspan(1)));
  if (!config.ok()) return;
  const Result<formats::ImportedModel> model =
      formats::import_architecture(*config, generation, {.max_elements = 1 << 14});
  if (model.ok()) exercise(model->graph);
}

}  // namespace ew::fuzz
