#pragma once
// A model: load, compile, fit, evaluate, predict, save.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "edgewise/array.h"
#include "edgewise/data.h"
#include "edgewise/dtype.h"
#include "edgewise/training.h"

namespace ew {

struct LoadOptions {
  /// For files that hold weights only: a JSON file or a model with the architecture.
  std::string architecture = "";
  /// How the integer operators of a TFLite file round: "tflm", "litert-ref" or "xnnpack".
  std::string int8_profile = "tflm";
  /// Values for the inputs, in order. An ONNX model in which shapes hang on an input's value is
  /// read for these values; predict() then expects the same ones.
  std::vector<Array> inputs = {};
  /// A file with an Ed25519 public key (PEM). Only an `.ew` that this key has signed is read then.
  std::string trusted_key = "";
};

/// Which Keras generations must open a saved `.h5` (docs/guide/keras-files.md).
enum class KerasVersion { kBoth, kKeras2, kKeras3 };

struct SaveOptions {
  KerasVersion keras_version = KerasVersion::kBoth;
  bool include_optimizer = true;
  /// Of an `.ew`: whose kernels its constants are packed for: "native" (this machine), "avx512",
  /// "avx2", "portable", or "none" for the smallest file, whose constants are packed when it is
  /// opened. Everywhere else the file works too, but starts slower.
  std::string target = "native";
  /// Of an `.ew`: a file with the Ed25519 private key (PEM, PKCS #8) to sign it with.
  std::string sign_key = "";
  /// How `.tflite`, `.onnx` and `.ew` store the kernels of float layers: kF32, or rounded to kF16
  /// or (not `.tflite`) kBF16 with half the bytes; in an `.ew` it is the packed kernels that are
  /// half as large. Error kInvalidArgument for a weight that kF16 cannot hold.
  DType weights = DType::kF32;
  /// Dense kernels in four bits instead, with a scale per output (`.tflite`, `.onnx`, `.ew`)
  /// or, with a group above 0, per output and so many inputs (not `.tflite`); their inputs are
  /// quantised at run time.
  bool int4_weights = false;
  int64_t int4_group = 0;
};

/// What predict() computes with.
enum class Engine { kFast, kReference };

/// One input or output of a model.
struct Port {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  ///< -1 where any length goes, as for the rows in axis 0
};

class Model {
 public:
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  Model(const Model& other);
  Model& operator=(const Model& other);
  ~Model();

  /// Sets optimizer, loss and metrics; slots start afresh. Errors: kInvalidArgument for an unknown
  /// name or argument (with the nearest one).
  Result<void> compile(const CompileOptions& options);
  bool is_compiled() const;

  /// Puts a Rescaling(factor) layer behind every input, so that raw data can go in. Weights,
  /// compiled state and file form of the other layers stay as they are.
  Result<void> add_rescaling(double factor);

  /// Puts feature words (docs/guide/features.md) before the first input or behind the first output,
  /// as part of the graph. What stands before begins with the shape of one sample that goes in:
  /// "Input(shape=[16000]), LogMel(rate=16000, frame=480, hop=320, mels=40)". The model then has no
  /// Keras form: save it as .onnx. Errors: kInvalidArgument for an unknown word or argument (with
  /// the nearest one) and for shapes that do not meet.
  Result<void> prepend(const std::string& features);
  Result<void> append(const std::string& features);

  /// Trains on the data's training part, watching its validation part. An error leaves the model as
  /// it was, except kInterrupted, which keeps what was reached.
  Result<History> fit(const Data& data, const FitOptions& options = {});

  enum class Part { kTrain, kValidation, kTest };
  /// Loss and metrics on one part of the data.
  Result<Figures> evaluate(const Data& data, Part part = Part::kTest, int64_t batch_size = 32,
                           int threads = 1) const;

  /// One array per output. Inputs have the model's shape, or any number of rows in axis 0, and the
  /// model's dtype or one that casts to it without loss.
  Result<std::vector<Array>> predict(std::span<const Array> inputs, Engine engine = Engine::kFast,
                                     int threads = 1) const;

  std::vector<Port> inputs() const;
  std::vector<Port> outputs() const;

  /// Parameters, trainable ones of them, multiply-accumulates of one sample.
  int64_t parameter_count() const;
  int64_t trainable_count() const;
  int64_t macs() const;
  /// Layers, shapes and sizes as a table; with `stages`, the graph as text at each stage.
  std::string summary(bool stages = false) const;
  /// The same facts as one JSON document.
  std::string summary_json() const;

  struct Impl;
  Impl& impl() { return *impl_; }
  const Impl& impl() const { return *impl_; }
  explicit Model(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

/// Reads a model by its content: Keras `.h5` and `.keras` of both generations, TFLite, ONNX, `.ew`
/// (mapped: the file must not be written to while the model lives, only replaced); FILE or
/// FILE#offset=BYTES,length=BYTES for one inside another file. Errors: kNotFound; kInvalidData
/// (damaged, with layer or offset); kUnsupported (custom or unknown layers, by name);
/// kResourceLimit.
Result<Model> load_model(const std::string& path, const LoadOptions& options = {});

/// Writes by suffix: .h5, .keras, .tflite, .onnx, .ew. The file appears whole or not at all.
/// Returns notes, for example which generation opens it.
Result<std::vector<std::string>> save(const Model& model, const std::string& path,
                                      const SaveOptions& options = {});

}  // namespace ew
