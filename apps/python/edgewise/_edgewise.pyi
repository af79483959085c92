"""The native module. Not for users: edgewise.model, edgewise.data and edgewise.optimizing are."""

from collections.abc import Callable

Figures = list[tuple[str, float]]

__version__: str

class Error(Exception):
    code: str

class Array:
    def __init__(self, buffer: object) -> None: ...
    def __buffer__(self, flags: int) -> memoryview: ...
    @property
    def shape(self) -> list[int]: ...
    @property
    def format(self) -> str: ...

class CompileOptions:
    optimizer: str
    is_fresh: bool
    learning_rate: str
    losses: list[str]
    metrics: list[str]
    loss_weights: list[float]

class FitOptions:
    epochs: int
    batch_size: int
    max_steps: int
    shuffle: bool
    seed: int
    log_steps: bool
    class_weight: dict[int, float]
    augment: str
    callbacks: list[str]
    checkpoint: str
    resume: str
    csv_log: str
    threads: int

class StepFigures:
    step: int
    loss: float
    learning_rate: float

class History:
    epochs: list[Figures]
    first_epoch: int
    steps: list[StepFigures]
    notes: list[str]

class Data:
    train_size: int
    validation_size: int
    test_size: int
    class_names: list[str]
    @staticmethod
    def open(spec: str, seed: int, validation_split: float) -> Data: ...
    @staticmethod
    def from_arrays(x: list[Array], y: list[Array], weights: Array | None,
                    validation_split: float) -> Data: ...
    def with_validation(self, x: list[Array], y: list[Array], weights: Array | None) -> Data: ...
    def with_test(self, x: list[Array], y: list[Array]) -> Data: ...

class Port:
    name: str
    shape: list[int]

class Model:
    def compile(self, options: CompileOptions) -> None: ...
    def fit(self, data: Data, options: FitOptions,
            on_step: Callable[[int, int, int, Figures], object] | None,
            on_epoch_end: Callable[[int, Figures], bool] | None) -> History: ...
    def evaluate(self, data: Data, part: str, batch_size: int, threads: int) -> Figures: ...
    def predict(self, inputs: list[Array], is_reference: bool, threads: int) -> list[Array]: ...
    def save(self, path: str, keras_version: str, include_optimizer: bool) -> list[str]: ...
    def add_rescaling(self, factor: float) -> None: ...
    def summary(self, stages: bool) -> str: ...
    def summary_json(self) -> str: ...
    def is_compiled(self) -> bool: ...
    def inputs(self) -> list[Port]: ...
    def outputs(self) -> list[Port]: ...
    def parameter_count(self) -> int: ...
    def trainable_count(self) -> int: ...
    def macs(self) -> int: ...

class SizeFigures:
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    bytes: int
    compressed_bytes: int
    macs: int
    zero_fraction: float

class LayerFigures:
    name: str
    dtype: str
    parameters: int
    zero_fraction_before: float
    zero_fraction_after: float
    bytes_before: int
    bytes_after: int
    macs: int

class OptimizeReport:
    before: SizeFigures
    after: SizeFigures
    validation_accuracy_before: float
    validation_accuracy_after: float
    layers: list[LayerFigures]
    class_names: list[str]
    confusion_before: list[int]
    confusion_after: list[int]
    notes: list[str]
    accepted: bool
    def to_json(self) -> str: ...

class OptimizeOptions:
    int8_profile: str | None
    sparsity: float
    min_prune: float
    max_accuracy_drop: float
    fine_tune_epochs: int
    fit: FitOptions
    calibration_samples: int
    keep_float: list[str]

def load_model(path: str, architecture: str, int8_profile: str) -> Model: ...
def optimize(model: Model, data: Data, options: OptimizeOptions,
             on_step: Callable[[int, int, int, Figures], object] | None,
             on_stage: Callable[[str], object] | None) -> tuple[Model, OptimizeReport]: ...
