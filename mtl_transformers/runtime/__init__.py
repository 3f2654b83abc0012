"""Answering without torch: rows to predictions, whatever runs the encoder.

    from mtl_transformers.runtime import OnnxModel

    model = OnnxModel.from_pretrained("runs/tickets/onnx")
    model.predict(["My card was charged twice"])

needs onnxruntime, tokenizers and numpy, and what the model's cleaning needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtl_transformers.runtime.onnx_model import OnnxModel

__all__ = ["OnnxModel"]


def __getattr__(name: str) -> Any:
    """Load the model's class when it is first used: the rest of this package runs without onnxruntime."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.onnx_model"), name)
