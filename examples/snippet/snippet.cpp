// Keras' words in C++: loads a model, fine-tunes it, makes it smaller, saves it.
//
//   snippet MODEL.h5 DATA OUT.h5
#include <cstdio>

#include "edgewise/edgewise.h"

namespace {

void shrink(const char* model_file, const char* data_name, const char* out_file) {
  const ew::Data data = ew::Data::open(data_name).value();
  ew::Model model = ew::load_model(model_file).value();
  const auto schedule = ew::ExponentialDecay(
      {.initial_learning_rate = 0.01, .decay_steps = 10000, .decay_rate = 0.9});
  model
      .compile({.optimizer = ew::SGD({.learning_rate = schedule, .momentum = 0.9}),
                .loss = "categorical_crossentropy",
                .metrics = {"accuracy"}})
      .value();
  model.fit(data, {.epochs = 1}).value();
  const ew::Optimized small =
      ew::optimize(model, data, {.prune = {.sparsity = 0.5}, .max_accuracy_drop = 0.02}).value();
  std::puts(small.report.to_text().c_str());
  ew::save(small.model, out_file).value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: snippet MODEL.h5 DATA OUT.h5\n");
    return 2;
  }
  try {
    shrink(argv[1], argv[2], argv[3]);
  } catch (const ew::Exception& error) {
    std::fprintf(stderr, "snippet: %s\n", error.what());
    return 1;
  }
  return 0;
}
