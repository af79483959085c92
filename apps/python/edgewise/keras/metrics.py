"""keras.metrics: the classes, and the functions' names for compile(metrics=[...])."""

from edgewise._calls import Call


class Metric(Call):
    """What every metric is an instance of."""

    parameters = "name dtype"


class Accuracy(Metric): ...


class CategoricalAccuracy(Metric): ...


class SparseCategoricalAccuracy(Metric): ...


class MeanSquaredError(Metric): ...


class RootMeanSquaredError(Metric): ...


class MeanAbsoluteError(Metric): ...


class MeanAbsolutePercentageError(Metric): ...


class MeanSquaredLogarithmicError(Metric): ...


class LogCoshError(Metric): ...


class Hinge(Metric): ...


class SquaredHinge(Metric): ...


class CategoricalHinge(Metric): ...


class KLDivergence(Metric): ...


class Poisson(Metric): ...


class BinaryAccuracy(Metric):
    parameters = "name dtype threshold"


class TopKCategoricalAccuracy(Metric):
    parameters = "k name dtype"


class SparseTopKCategoricalAccuracy(Metric):
    parameters = "k name dtype from_sorted_ids"


class TruePositives(Metric):
    parameters = "thresholds name dtype"


class FalsePositives(Metric):
    parameters = "thresholds name dtype"


class TrueNegatives(Metric):
    parameters = "thresholds name dtype"


class FalseNegatives(Metric):
    parameters = "thresholds name dtype"


class Precision(Metric):
    parameters = "thresholds top_k class_id name dtype"


class Recall(Metric):
    parameters = "thresholds top_k class_id name dtype"


class AUC(Metric):
    parameters = ("num_thresholds curve summation_method name dtype thresholds multi_label "
                  "num_labels label_weights from_logits")


class SensitivityAtSpecificity(Metric):
    parameters = "specificity num_thresholds class_id name dtype"


class SpecificityAtSensitivity(Metric):
    parameters = "sensitivity num_thresholds class_id name dtype"


class PrecisionAtRecall(Metric):
    parameters = "recall num_thresholds class_id name dtype"


class RecallAtPrecision(Metric):
    parameters = "precision num_thresholds class_id name dtype"


class F1Score(Metric):
    parameters = "average threshold name dtype"


class FBetaScore(Metric):
    parameters = "average beta threshold name dtype"


class R2Score(Metric):
    parameters = "class_aggregation num_regressors name dtype"


class CosineSimilarity(Metric):
    parameters = "name dtype axis"


class PearsonCorrelation(Metric):
    parameters = "name dtype axis"


class ConcordanceCorrelation(Metric):
    parameters = "name dtype axis"


class BinaryCrossentropy(Metric):
    parameters = "name dtype from_logits label_smoothing"


class CategoricalCrossentropy(Metric):
    parameters = "name dtype from_logits label_smoothing axis"


class SparseCategoricalCrossentropy(Metric):
    parameters = "name dtype from_logits axis"


class IoU(Metric):
    parameters = ("num_classes target_class_ids name dtype ignore_class sparse_y_true "
                  "sparse_y_pred axis")


class BinaryIoU(Metric):
    parameters = "target_class_ids threshold name dtype"


class MeanIoU(Metric):
    parameters = "num_classes name dtype ignore_class sparse_y_true sparse_y_pred axis"


class OneHotIoU(Metric):
    parameters = "num_classes target_class_ids name dtype ignore_class sparse_y_pred axis"


class OneHotMeanIoU(Metric):
    parameters = "num_classes name dtype ignore_class sparse_y_pred axis"


binary_accuracy = "binary_accuracy"
categorical_accuracy = "categorical_accuracy"
sparse_categorical_accuracy = "sparse_categorical_accuracy"
top_k_categorical_accuracy = "top_k_categorical_accuracy"
sparse_top_k_categorical_accuracy = "sparse_top_k_categorical_accuracy"
