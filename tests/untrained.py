"""Model directories that were never trained: the parts of one, and the way to write it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mtl_transformers.model.directory import FORMAT_VERSION, save
from mtl_transformers.model.encoder import Encoder, load_encoder
from mtl_transformers.model.head_spec import head_spec
from mtl_transformers.model.heads import build_head
from mtl_transformers.model.network import Network
from mtl_transformers.model.tokenizer import load_tokenizer

METRICS = {"intent": {"validation": {"accuracy": 0.75}}}


@dataclass(frozen=True)
class Parts:
    """What a directory is written from: `tests` change one of them at a time."""

    encoder: Encoder
    tokenizer: PreTrainedTokenizerFast
    heads: dict[str, Tensor]
    tasks: dict[str, Any]


def make_parts(encoder_dir: Path) -> Parts:
    """Return an encoder with two random heads, of tasks that say nothing else."""
    encoder = load_encoder(str(encoder_dir))
    specs = {
        "intent": head_spec(encoder.config, head="sequence", vectors="sequence", out_features=3),
        "words-of_1": head_spec(encoder.config, head="token", vectors="token", out_features=5),
    }
    heads = {name: build_head(spec, seed=7, task=name, initializer_range=0.02) for name, spec in specs.items()}
    return Parts(
        encoder,
        load_tokenizer(str(encoder_dir)),
        Network(encoder, heads).heads_state(),
        {
            "format_version": FORMAT_VERSION,
            "tasks": {name: {"kind": "any", "head": spec.to_json()} for name, spec in specs.items()},
        },
    )


def write(parts: Parts, path: Path, *, source: Path | None = None, card: str = "# card\n") -> Path:
    """Save the parts and return the directory."""
    save(
        path,
        encoder=parts.encoder,
        tokenizer=parts.tokenizer,
        heads=parts.heads,
        tasks=parts.tasks,
        metrics=METRICS,
        card=card,
        encoder_source=source,
    )
    return path
