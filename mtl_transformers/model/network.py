"""The network: one encoder and the named heads on it.

Owns the single encoder pass and the names under which heads are stored. Knows no losses and no labels.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from mtl_transformers.batch import MicroBatch
from mtl_transformers.errors import ModelError, nearest
from mtl_transformers.model.encoded import Encoded
from mtl_transformers.model.encoder import Encoder
from mtl_transformers.model.heads import Head

TASK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PREFIX = "task_"  # nn.ModuleDict refuses keys such as "type" or "values"


class Network(nn.Module):
    """An encoder and its heads by task name.

    Raises:
        ModelError: a task name is not legal, or a head expects vectors of another size than the encoder's.
    """

    def __init__(self, encoder: Encoder, heads: Mapping[str, Head]) -> None:
        super().__init__()
        for task, head in heads.items():
            _check(task, head, encoder)
        self.encoder = encoder
        self.heads = nn.ModuleDict({_PREFIX + task: head for task, head in heads.items()})

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, in the order given."""
        return tuple(key.removeprefix(_PREFIX) for key in self.heads)

    def head(self, task: str) -> Head:
        """Return a task's head; ModelError for a task without one."""
        if _PREFIX + task not in self.heads:
            known = ", ".join(self.task_names)
            raise ModelError(f"there is no head for task {task!r}, only for: {known}{nearest(task, self.task_names)}")
        return cast(Head, self.heads[_PREFIX + task])

    def forward(self, batch: MicroBatch) -> dict[str, Tensor]:
        """Run the encoder once and the head of every task in ``batch.targets``; logits ``[M, C]`` by task."""
        heads = {task: self.head(task) for task in batch.targets}
        encoded: Encoded = self.encoder(
            batch.input_ids,
            batch.attention_mask,
            batch.token_type_ids,
            all_layers=any(head.spec.layer is not None for head in heads.values()),
        )
        if any(head.spec.output == "tied" for head in heads.values()):
            encoded = replace(encoded, embeddings=self.encoder.embeddings)
        return {task: head(encoded, batch.targets[task]) for task, head in heads.items()}

    def heads_state(self) -> dict[str, Tensor]:
        """Return ``heads.<task>.<parameter>`` of every head, as ``heads.safetensors`` holds them."""
        return {
            f"heads.{task}.{name}": tensor
            for task in self.task_names
            for name, tensor in self.head(task).state_dict().items()
        }

    def load_heads_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy such a state into the heads.

        Raises:
            ModelError: a parameter is missing, left over or of another shape; names the task.
        """
        own = self.heads_state()
        problems = [_missing(key) for key in own if key not in state]
        problems += [_left_over(key, self.task_names) for key in state if key not in own]
        problems += [
            f"{key} has shape {list(state[key].shape)}, expected {list(tensor.shape)}"
            for key, tensor in own.items()
            if key in state and state[key].shape != tensor.shape
        ]
        if problems:
            raise ModelError("the stored heads do not fit the tasks: " + "; ".join(problems))
        with torch.no_grad():
            for key, tensor in own.items():
                tensor.copy_(state[key])


def _check(task: str, head: Head, encoder: Encoder) -> None:
    if TASK_NAME.fullmatch(task) is None:
        raise ModelError(
            f"task name {task!r} is not legal: 1 to 64 of a-z, 0-9, _ and -, starting with a letter or digit"
        )
    if head.spec.in_features != encoder.hidden_size:
        raise ModelError(
            f"task {task!r}: the head reads {head.spec.in_features} features, the encoder gives {encoder.hidden_size}"
        )
    if head.bias is not None and encoder.embeddings.shape != (head.spec.out_features, head.num_inner):
        raise ModelError(
            f"task {task!r}: the head shares {head.spec.out_features} vectors of {head.num_inner} numbers with the "
            f"encoder, which has {list(encoder.embeddings.shape)}"
        )
    layer, num_layers = head.spec.layer, encoder.num_layers
    if isinstance(layer, int) and not 0 <= layer <= num_layers:
        raise ModelError(f"task {task!r}: the head reads layer {layer}; the encoder has 0 (embeddings) to {num_layers}")
    if layer == "mix" and head.spec.num_mixed != num_layers + 1:
        raise ModelError(
            f"task {task!r}: the head mixes {head.spec.num_mixed} layers, the encoder has {num_layers + 1}"
        )


def _missing(key: str) -> str:
    _, task, parameter = key.split(".", 2)
    return f"task {task!r} lacks {parameter}"


def _left_over(key: str, tasks: tuple[str, ...]) -> str:
    prefix, _, rest = key.partition(".")
    task, _, parameter = rest.partition(".")
    if prefix != "heads" or not parameter:
        return f"{key} is no parameter of a head"
    return f"task {task!r} has {parameter} left over" if task in tasks else f"task {task!r} is unknown here"
