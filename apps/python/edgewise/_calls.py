"""Keras objects as the calls that the native library reads: Adam(learning_rate=0.01)."""

from __future__ import annotations


class Call:
    """An object of Keras that stands for its class and its arguments.

    Arguments are checked by name here and by value when a model is compiled with the object. They
    are read as attributes and cannot be changed.
    """

    #: Names in the order in which Keras takes them.
    parameters = ""

    def __init__(self, *args: object, **kwargs: object) -> None:
        name = type(self).__name__
        names = self.parameters.split()
        if len(args) > len(names):
            raise TypeError(f"{name}: takes at most {len(names)} arguments, found {len(args)}")
        arguments = dict(zip(names, args))
        for key, value in kwargs.items():
            if key not in names:
                raise TypeError(f"{name}: has no argument '{key}'; it takes {', '.join(names)}")
            if key in arguments:
                raise TypeError(f"{name}: {key} is given twice")
            arguments[key] = value
        self.__dict__.update(arguments)
        self.__dict__["_arguments"] = arguments

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{key} cannot be changed; make a new object")

    def __repr__(self) -> str:
        return render(self)

    def get_config(self) -> dict[str, object]:
        """The arguments that were given."""
        return dict(self._arguments)

    @classmethod
    def from_config(cls, config: dict[str, object]) -> Call:
        return cls(**config)


def render(value: object) -> str:
    """A call or a literal as text."""
    if isinstance(value, Call):
        arguments = value.__dict__.get("_arguments")
        if arguments is None:
            raise TypeError(f"{type(value).__name__}: Python code of your own cannot run natively")
        inner = ", ".join(f"{key}={render(item)}" for key, item in arguments.items())
        return f"{type(value).__name__}({inner})"
    if isinstance(value, str):
        quote = '"' if "'" in value else "'"
        if quote in value:
            raise ValueError(f"cannot write a string with both kinds of quotes: {value}")
        return quote + value + quote
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(render(item) for item in value) + "]"
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return render(value.tolist())
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    if isinstance(value, float) and value - value == 0:
        return repr(value)
    raise TypeError(f"expected a finite number, a string, a list or an object of Keras: {value!r}")


def name_or_call(value: object, what: str) -> str:
    """What compile() takes: "adam", or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, Call):
        return render(value)
    raise TypeError(f"{what}: expected a name or an object of edgewise.keras, found {value!r}")
