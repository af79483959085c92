"""keras.losses: the classes, and the functions' names for compile(loss=...)."""

from edgewise._calls import Call


class Loss(Call):
    """What every loss is an instance of."""

    parameters = "reduction name dtype"


class MeanSquaredError(Loss): ...


class MeanAbsoluteError(Loss): ...


class MeanAbsolutePercentageError(Loss): ...


class MeanSquaredLogarithmicError(Loss): ...


class LogCosh(Loss): ...


class Hinge(Loss): ...


class SquaredHinge(Loss): ...


class CategoricalHinge(Loss): ...


class KLDivergence(Loss): ...


class Poisson(Loss): ...


class CosineSimilarity(Loss):
    parameters = "axis reduction name dtype"


class Huber(Loss):
    parameters = "delta reduction name dtype"


class BinaryCrossentropy(Loss):
    parameters = "from_logits label_smoothing axis reduction name dtype"


class BinaryFocalCrossentropy(Loss):
    parameters = ("apply_class_balancing alpha gamma from_logits label_smoothing axis reduction "
                  "name dtype")


class CategoricalCrossentropy(Loss):
    parameters = "from_logits label_smoothing axis reduction name dtype"


class CategoricalFocalCrossentropy(Loss):
    parameters = "alpha gamma from_logits label_smoothing axis reduction name dtype"


class SparseCategoricalCrossentropy(Loss):
    parameters = "from_logits ignore_class reduction axis name dtype"


class Dice(Loss):
    parameters = "reduction name axis dtype"


class Tversky(Loss):
    parameters = "alpha beta reduction name axis dtype"


class CategoricalGeneralizedCrossEntropy(Loss):
    parameters = "q reduction name dtype"


mean_squared_error = mse = "mean_squared_error"
mean_absolute_error = mae = "mean_absolute_error"
mean_absolute_percentage_error = mape = "mean_absolute_percentage_error"
mean_squared_logarithmic_error = msle = "mean_squared_logarithmic_error"
cosine_similarity = "cosine_similarity"
huber = "huber"
log_cosh = "log_cosh"
hinge = "hinge"
squared_hinge = "squared_hinge"
categorical_hinge = "categorical_hinge"
kl_divergence = "kl_divergence"
poisson = "poisson"
binary_crossentropy = "binary_crossentropy"
binary_focal_crossentropy = "binary_focal_crossentropy"
categorical_crossentropy = "categorical_crossentropy"
categorical_focal_crossentropy = "categorical_focal_crossentropy"
sparse_categorical_crossentropy = "sparse_categorical_crossentropy"
dice = "dice"
tversky = "tversky"
