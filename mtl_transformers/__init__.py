"""Train one encoder for all your classifiers, prove that nothing got worse, and serve them in one pass.

The public names are loaded when they are first used, so that ``import mtl_transformers`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_transformers.config import Config, load_config
    from mtl_transformers.errors import CheckpointError, ConfigError, DataError, ModelError, MTLError
    from mtl_transformers.inference.batch_predictor import BatchPredictor
    from mtl_transformers.inference.multitask import MultiTaskModel
    from mtl_transformers.training.loop import Result, train

__version__ = "0.1.0"

__all__ = [
    "BatchPredictor",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DataError",
    "MTLError",
    "ModelError",
    "MultiTaskModel",
    "Result",
    "load_config",
    "train",
]

_PLACES = {
    "BatchPredictor": "inference.batch_predictor",
    "Config": "config",
    "load_config": "config",
    "MultiTaskModel": "inference.multitask",
    "Result": "training.loop",
    "train": "training.loop",
}


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
