#include "train/call_table.h"

#include "train/keras_object.h"

// The arguments that every Keras 3 optimizer takes after its own.
#define EW_COMMON                                                                     \
  " clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency " \
  "loss_scale_factor gradient_accumulation_steps name"

namespace ew::train {
namespace {

constexpr CallSignature kSignatures[] = {
    // Learning rate schedules.
    {"ExponentialDecay", "initial_learning_rate decay_steps decay_rate staircase name"},
    {"PiecewiseConstantDecay", "boundaries values name"},
    {"PolynomialDecay", "initial_learning_rate decay_steps end_learning_rate power cycle name"},
    {"CosineDecay", "initial_learning_rate decay_steps alpha name warmup_target warmup_steps"},
    {"CosineDecayRestarts", "initial_learning_rate first_decay_steps t_mul m_mul alpha name"},
    {"InverseTimeDecay", "initial_learning_rate decay_steps decay_rate staircase name"},
    // Optimizers.
    {"SGD", "learning_rate momentum nesterov weight_decay" EW_COMMON},
    {"RMSprop", "learning_rate rho momentum epsilon centered weight_decay" EW_COMMON},
    {"Adam", "learning_rate beta_1 beta_2 epsilon amsgrad weight_decay" EW_COMMON},
    {"AdamW", "learning_rate weight_decay beta_1 beta_2 epsilon amsgrad" EW_COMMON},
    {"Adamax", "learning_rate beta_1 beta_2 epsilon weight_decay" EW_COMMON},
    {"Nadam", "learning_rate beta_1 beta_2 epsilon weight_decay" EW_COMMON},
    {"Adagrad", "learning_rate initial_accumulator_value epsilon weight_decay" EW_COMMON},
    {"Adadelta", "learning_rate rho epsilon weight_decay" EW_COMMON},
    {"Ftrl",
     "learning_rate learning_rate_power initial_accumulator_value l1_regularization_strength "
     "l2_regularization_strength l2_shrinkage_regularization_strength beta weight_decay" EW_COMMON},
    {"Lion", "learning_rate beta_1 beta_2 weight_decay" EW_COMMON},
    {"Adafactor",
     "learning_rate beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step "
     "weight_decay" EW_COMMON},
    {"Lamb", "learning_rate beta_1 beta_2 epsilon weight_decay" EW_COMMON},
    // Losses, and the metrics of the same name (which take a dtype as well).
    {"MeanSquaredError", "reduction name dtype"},
    {"MeanAbsoluteError", "reduction name dtype"},
    {"MeanAbsolutePercentageError", "reduction name dtype"},
    {"MeanSquaredLogarithmicError", "reduction name dtype"},
    {"CosineSimilarity", "axis reduction name dtype"},
    {"Huber", "delta reduction name dtype"},
    {"LogCosh", "reduction name dtype"},
    {"Hinge", "reduction name dtype"},
    {"SquaredHinge", "reduction name dtype"},
    {"CategoricalHinge", "reduction name dtype"},
    {"KLDivergence", "reduction name dtype"},
    {"Poisson", "reduction name dtype"},
    {"BinaryCrossentropy", "from_logits label_smoothing axis reduction name dtype"},
    {"BinaryFocalCrossentropy",
     "apply_class_balancing alpha gamma from_logits label_smoothing axis reduction name dtype"},
    {"CategoricalCrossentropy", "from_logits label_smoothing axis reduction name dtype"},
    {"CategoricalFocalCrossentropy",
     "alpha gamma from_logits label_smoothing axis reduction name dtype"},
    {"SparseCategoricalCrossentropy", "from_logits ignore_class reduction axis name dtype"},
    {"Dice", "reduction name axis dtype"},
    {"Tversky", "alpha beta reduction name axis dtype"},
    {"CategoricalGeneralizedCrossEntropy", "q reduction name dtype"},
    // Metrics.
    {"Accuracy", "name dtype"},
    {"BinaryAccuracy", "name dtype threshold"},
    {"CategoricalAccuracy", "name dtype"},
    {"SparseCategoricalAccuracy", "name dtype"},
    {"TopKCategoricalAccuracy", "k name dtype"},
    {"SparseTopKCategoricalAccuracy", "k name dtype from_sorted_ids"},
    {"Precision", "thresholds top_k class_id name dtype"},
    {"Recall", "thresholds top_k class_id name dtype"},
    {"TruePositives", "thresholds name dtype"},
    {"FalsePositives", "thresholds name dtype"},
    {"TrueNegatives", "thresholds name dtype"},
    {"FalseNegatives", "thresholds name dtype"},
    {"AUC",
     "num_thresholds curve summation_method name dtype thresholds multi_label num_labels "
     "label_weights from_logits"},
    {"SensitivityAtSpecificity", "specificity num_thresholds class_id name dtype"},
    {"SpecificityAtSensitivity", "sensitivity num_thresholds class_id name dtype"},
    {"PrecisionAtRecall", "recall num_thresholds class_id name dtype"},
    {"RecallAtPrecision", "precision num_thresholds class_id name dtype"},
    {"F1Score", "average threshold name dtype"},
    {"FBetaScore", "average beta threshold name dtype"},
    {"RootMeanSquaredError", "name dtype"},
    {"LogCoshError", "name dtype"},
    {"R2Score", "class_aggregation num_regressors name dtype"},
    {"PearsonCorrelation", "name dtype axis"},
    {"ConcordanceCorrelation", "name dtype axis"},
    {"IoU",
     "num_classes target_class_ids name dtype ignore_class sparse_y_true sparse_y_pred axis"},
    {"BinaryIoU", "target_class_ids threshold name dtype"},
    {"MeanIoU", "num_classes name dtype ignore_class sparse_y_true sparse_y_pred axis"},
    {"OneHotIoU", "num_classes target_class_ids name dtype ignore_class sparse_y_pred axis"},
    {"OneHotMeanIoU", "num_classes name dtype ignore_class sparse_y_pred axis"},
    // Regularizers and constraints.
    {"L1", "l1"},
    {"L2", "l2"},
    {"L1L2", "l1 l2"},
    {"OrthogonalRegularizer", "factor mode"},
    {"MaxNorm", "max_value axis"},
    {"MinMaxNorm", "min_value max_value rate axis"},
    {"NonNeg", ""},
    {"UnitNorm", "axis"},
    // Callbacks.
    {"EarlyStopping",
     "monitor min_delta patience verbose mode baseline restore_best_weights start_from_epoch"},
    {"ReduceLROnPlateau", "monitor factor patience verbose mode min_delta cooldown min_lr"},
    {"ModelCheckpoint",
     "filepath monitor verbose save_best_only save_weights_only mode save_freq "
     "initial_value_threshold"},
    {"CSVLogger", "filename separator append"},
    {"TerminateOnNaN", ""},
};

}  // namespace

std::span<const CallSignature> call_signatures() { return kSignatures; }

const CallSignature* find_call_signature(std::string_view class_name) {
  const std::string key = fold_name(class_name);
  for (const CallSignature& signature : kSignatures) {
    if (fold_name(signature.class_name) == key) return &signature;
  }
  return nullptr;
}

}  // namespace ew::train
