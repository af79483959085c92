"""keras.optimizers. Default arguments are those of the Keras that wrote the model."""

from edgewise._calls import Call
from edgewise.keras.optimizers import schedules

_COMMON = (" clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency "
           "loss_scale_factor gradient_accumulation_steps name")


class Optimizer(Call):
    """What every optimizer is an instance of."""


class SGD(Optimizer):
    parameters = "learning_rate momentum nesterov weight_decay" + _COMMON


class RMSprop(Optimizer):
    parameters = "learning_rate rho momentum epsilon centered weight_decay" + _COMMON


class Adam(Optimizer):
    parameters = "learning_rate beta_1 beta_2 epsilon amsgrad weight_decay" + _COMMON


class AdamW(Optimizer):
    parameters = "learning_rate weight_decay beta_1 beta_2 epsilon amsgrad" + _COMMON


class Adamax(Optimizer):
    parameters = "learning_rate beta_1 beta_2 epsilon weight_decay" + _COMMON


class Nadam(Optimizer):
    parameters = "learning_rate beta_1 beta_2 epsilon weight_decay" + _COMMON


class Adagrad(Optimizer):
    parameters = "learning_rate initial_accumulator_value epsilon weight_decay" + _COMMON


class Adadelta(Optimizer):
    parameters = "learning_rate rho epsilon weight_decay" + _COMMON


class Ftrl(Optimizer):
    parameters = ("learning_rate learning_rate_power initial_accumulator_value "
                  "l1_regularization_strength l2_regularization_strength "
                  "l2_shrinkage_regularization_strength beta weight_decay" + _COMMON)


class Lion(Optimizer):
    parameters = "learning_rate beta_1 beta_2 weight_decay" + _COMMON


class Adafactor(Optimizer):
    parameters = ("learning_rate beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step "
                  "weight_decay" + _COMMON)


class Lamb(Optimizer):
    parameters = "learning_rate beta_1 beta_2 epsilon weight_decay" + _COMMON


__all__ = ["Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
           "Nadam", "Optimizer", "RMSprop", "SGD", "schedules"]
