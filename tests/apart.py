"""What is loaded in a process of its own: by name, so these stand in a module that every process can import."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.answering import Answering
from mtl_transformers.serving.settings import Info
from mtl_transformers.text.decoders import Logits
from mtl_transformers.text.encoding import Features

LONG = 9  # tokens of a row that fails
DEADLY = 12  # tokens of a row that ends the process


class Odd(Exception):
    """Cannot be made again from what it is pickled as."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"odd: {why}")


def odd() -> tuple[Answering, Info]:
    """Load nothing."""
    raise Odd(why="no reason")


def fragile(directory: Path) -> tuple[Answering, Info]:
    """Load a model that fails on a row of `LONG` tokens, and ends with one of `DEADLY`."""
    model = MultiTaskModel.from_pretrained(directory, device="cpu", precision="fp32")

    def forward(rows: Sequence[Features], asking: Mapping[str, Sequence[int]]) -> dict[str, list[Logits]]:
        if any(row.length == LONG for row in rows):
            raise ValueError("a long row")
        if any(row.length == DEADLY for row in rows):
            os._exit(3)
        return model.forward(rows, asking)

    whole = model.answering
    made = Answering(whole.tasks, encoders=whole.encoders, forward=forward, vocabulary=whole.vocabulary)
    return made, Info(model="here", encoder="tiny", format="torch", precision="fp32", device="cpu")
