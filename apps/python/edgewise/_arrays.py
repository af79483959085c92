"""Arrays from and to Python. NumPy is imported when it is first needed."""

from __future__ import annotations

from edgewise._edgewise import Array


def to_array(value: object) -> Array:
    """Refers to the memory of anything with the buffer protocol; converts what has none."""
    try:
        return Array(value)
    except (TypeError, BufferError):
        return _through_numpy(value)


def _through_numpy(value: object) -> Array:
    import numpy

    array = numpy.asarray(value, order="C")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of numbers, found {array.dtype}")
    return Array(array)


def to_float32(value: object) -> Array:
    """As to_array; float64 becomes float32, which is what Keras computes in."""
    array = to_array(value)
    if array.format != "d":
        return array
    import numpy

    return Array(numpy.asarray(array).astype(numpy.float32))


def to_numpy(array: Array) -> object:
    """A NumPy array over the same memory."""
    import numpy

    return numpy.asarray(array)


def per_port(value: object, names: list[str], what: str) -> list[object]:
    """One item per input or output: from a dict by name, a list, or the only one as it is."""
    if isinstance(value, dict):
        if sorted(value) != sorted(names):
            raise ValueError(f"{what}: expected the names {names}, found {sorted(value)}")
        return [value[name] for name in names]
    if isinstance(value, (list, tuple)):
        if len(names) > 1 and len(value) != len(names):
            raise ValueError(f"{what}: expected {len(names)} arrays, found {len(value)}")
        if len(names) > 1 or (len(value) == 1 and hasattr(value[0], "shape")):
            return list(value)
    return [value]
