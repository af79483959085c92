"""keras.optimizers.schedules: learning rates that change with the step."""

from edgewise._calls import Call


class LearningRateSchedule(Call):
    """What every schedule is an instance of."""


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate * decay_rate ^ (step / decay_steps)."""

    parameters = "initial_learning_rate decay_steps decay_rate staircase name"


class PiecewiseConstantDecay(LearningRateSchedule):
    parameters = "boundaries values name"


class PolynomialDecay(LearningRateSchedule):
    parameters = "initial_learning_rate decay_steps end_learning_rate power cycle name"


class CosineDecay(LearningRateSchedule):
    parameters = "initial_learning_rate decay_steps alpha name warmup_target warmup_steps"


class CosineDecayRestarts(LearningRateSchedule):
    parameters = "initial_learning_rate first_decay_steps t_mul m_mul alpha name"


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps)."""

    parameters = "initial_learning_rate decay_steps decay_rate staircase name"
