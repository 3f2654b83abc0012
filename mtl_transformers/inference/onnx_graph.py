"""One ONNX graph of an encoder and its heads: the door to PyTorch's exporter, and what is tidied behind it.

Owns tracing, the names of inputs and outputs, and removing what the graph tells of the machine that it was made on.
Does not run the graph, and writes no file.

Shapes: ``S`` sequences, ``L`` tokens, ``C`` outputs of a head.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoded import Encoded
from mtl_transformers.model.encoder import eager_attention
from mtl_transformers.model.heads import Head
from mtl_transformers.model.network import Network
from mtl_transformers.runtime.onnx_model import INPUTS

OPSET = 20  # the first with Gelu as one operator: onnxruntime was 1.3 times as fast in int8 as with opset 18's five
MOST_BYTES = 2**31 - 2**20  # of a graph with its weights in one file: protobuf's limit, less what is no weight
EXAMPLE = (2, 7)  # sequences and tokens that are traced; neither 1 nor a number that a graph might take for its own

_OUTPUT = "output."  # outputs are traced under names that no task and no other value has
_TALKATIVE = ("torch.onnx", "torch.export", "torch.fx")  # what they tell of a failure fills screens
_HEADS = "'heads."
_SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True, slots=True)
class Graph:
    """An exported network.

    Attributes:
        model: takes `INPUTS`, ``token_type_ids`` only where the encoder uses them, int64 ``[S, L]``; gives each task's
            logits under its name, float32, ``[S, C]`` of sequences or ``[S, L, C]`` of tokens.
        head_nodes: names of the nodes that are of a head and not of the encoder.
    """

    model: onnx.ModelProto
    head_nodes: tuple[str, ...]


class _AllOf(nn.Module):
    """A head that answers for all sequences or tokens, in place of those that a target names."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, encoded: Encoded) -> Tensor:
        """Return ``[S, C]`` or ``[S, L, C]``."""
        return self.head.everywhere(encoded)


class _Traced(nn.Module):
    """An encoder and some of its heads, on plain tensors."""

    def __init__(self, network: Network, tasks: Sequence[str]) -> None:
        super().__init__()
        self.encoder = network.encoder
        self.heads = nn.ModuleList(_AllOf(network.head(task)) for task in tasks)
        self.all_layers = any(network.head(task).spec.layer is not None for task in tasks)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Return each task's logits, in their order."""
        encoded = self.encoder(input_ids, attention_mask, token_type_ids, all_layers=self.all_layers)
        return tuple(head(encoded) for head in self.heads)


def export_graph(network: Network, tasks: Sequence[str]) -> Graph:
    """Export an encoder and some of its heads as one graph, for any number of sequences of any length.

    Args:
        network: in fp32, on the CPU, in evaluation mode.
        tasks: whose heads become outputs; none of tied heads.

    Raises:
        ModelError: the graph would be too large for one file, a task has the name of an input, or PyTorch cannot
            export this encoder.
    """
    _check_size(network, tasks)
    if clash := sorted(set(tasks) & set(INPUTS)):
        raise ModelError(f"task {clash[0]!r} has the name of an input of the graph; rename the task")
    names = list(INPUTS if network.encoder.uses_token_types else INPUTS[:2])
    axes = {0: Dim("batch", min=1), 1: Dim("length", min=1, max=network.encoder.max_length)}
    example = tuple(torch.ones(EXAMPLE, dtype=torch.int64) for _ in names)  # one tensor would be taken for one input
    try:
        with eager_attention(network.encoder), _quiet():
            program = torch.onnx.export(
                _Traced(network, tasks).eval(),
                example,
                dynamo=True,
                dynamic_shapes=tuple(axes for _ in names),
                input_names=names,
                output_names=[_OUTPUT + task for task in tasks],
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        family = network.encoder.config.model_type
        raise ModelError(
            f"PyTorch cannot export this encoder ({family}): {_reason(error)}. Serve the model with torch"
        ) from error
    assert program is not None  # which it is with dynamo=True
    return _tidied(program.model_proto, tasks)


def _check_size(network: Network, tasks: Iterable[str]) -> None:
    modules = (network.encoder, *map(network.head, tasks))
    size = sum(parameter.numel() * parameter.element_size() for of in modules for parameter in of.parameters())
    if size > MOST_BYTES:
        raise ModelError(
            f"the graph would hold {size / 1e9:.1f} GB of weights, and one ONNX file holds {MOST_BYTES / 1e9:.1f} GB; "
            "int8 and fp16 are made of it. Train on a smaller encoder, or serve this one with torch"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's exporter from telling of its own affairs: what goes wrong becomes an error here."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):  # where it prints what it could not export
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(error: Exception) -> str:
    """Return the first line of what the exporter stumbled over."""
    lines = str(error.__cause__ or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _tidied(model: onnx.ModelProto, tasks: Sequence[str]) -> Graph:
    """Give outputs the names of the tasks, and take out what names the files and modules that the graph came from."""
    heads = tuple(node.name for node in model.graph.node if _is_of_head(node))
    inner = {task: f"{task}.inner" for task in tasks}  # a value of the graph may have the name of a task
    _rename(model.graph, {**inner, **{_OUTPUT + task: task for task in tasks}})
    del model.graph.value_info[:], model.graph.metadata_props[:], model.metadata_props[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    onnx.checker.check_model(model)
    return Graph(model, heads)


def _is_of_head(node: onnx.NodeProto) -> bool:
    return any(fact.key == _SCOPES and _HEADS in fact.value for fact in node.metadata_props)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Rename the values of a graph; those without a new name keep theirs."""
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for part in (*graph.initializer, *graph.output):
        part.name = names.get(part.name, part.name)
