"""keras.models: loading and saving."""

from edgewise.model import Model, load_model


def save_model(model: Model, filepath: str, overwrite: bool = True, **kwargs: object) -> None:
    """As Model.save()."""
    model.save(filepath, overwrite, **kwargs)


__all__ = ["Model", "load_model", "save_model"]
