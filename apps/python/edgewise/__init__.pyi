from edgewise import keras as keras
from edgewise._edgewise import Error as Error
from edgewise.data import Data as Data
from edgewise.keras.optimizers import SGD as SGD
from edgewise.keras.optimizers import Adam as Adam
from edgewise.keras.optimizers.schedules import ExponentialDecay as ExponentialDecay
from edgewise.model import Model as Model
from edgewise.model import load_model as load_model
from edgewise.optimizing import Int8 as Int8
from edgewise.optimizing import Magnitude as Magnitude
from edgewise.optimizing import Optimized as Optimized
from edgewise.optimizing import optimize as optimize
from edgewise.optimizing import save as save

__version__: str
