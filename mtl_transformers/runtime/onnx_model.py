"""The model that onnxruntime runs: the same answers as `MultiTaskModel`, without torch and transformers.

Owns the session, the padded arrays that go into it, and picking each head's vectors from what comes out.

Shapes: ``S`` sequences, ``L`` tokens of the longest, ``C`` outputs of a head, ``M`` vectors that it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from mtl_transformers.errors import ModelError
from mtl_transformers.runtime.answering import MAX_TOKENS, Answer, Answering
from mtl_transformers.runtime.onnx_directory import GRAPH, OnnxDirectory, load
from mtl_transformers.runtime.questions import Answerable, Errors
from mtl_transformers.runtime.rows import GivenRow
from mtl_transformers.text.decoders import Logits
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.padding import padded

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    *(states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.ModelLoaded),
    *(states.NoSuchFile, states.NotImplemented, states.RuntimeException, RuntimeError, ValueError),
)
"""What onnxruntime raises of a graph that it cannot load; they have no class in common."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SLOW_FUSION = "SkipLayerNormFusion"
"""Of onnxruntime 1.32: a norm and the addition before it take longer as one operator than as two; without it MiniLM in
int8 is a quarter faster."""


class OnnxModel:
    """An exported model that answers rows. Threads may share it.

    Args:
        directory: what `onnx_directory.load` returned.
        session: of its graph.
        max_tokens: padded tokens of one forward pass; memory, not answers.
    """

    def __init__(
        self, directory: OnnxDirectory, session: onnxruntime.InferenceSession, *, max_tokens: int = MAX_TOKENS
    ) -> None:
        self.directory = directory
        self.answering = Answering(
            directory.tasks, encoders=directory.encoders, forward=self.forward, max_tokens=max_tokens
        )
        self._session = session

    @classmethod
    def from_pretrained(cls, path: str | Path, *, num_threads: int | None = None, max_tokens: int = MAX_TOKENS) -> Self:
        """Load a directory that ``mtl export`` wrote.

        Args:
            path: the directory.
            num_threads: of one forward pass; ``None``: one for each core.
            max_tokens: padded tokens of one forward pass.

        Raises:
            ModelError: it is no such directory, is not as it was written, or its graph cannot be run here.
        """
        directory = load(path)
        try:
            session = onnxruntime.InferenceSession(
                str(directory.path / GRAPH),
                _options(num_threads),
                providers=["CPUExecutionProvider"],
                disabled_optimizers=[SLOW_FUSION],
            )
        except RUNTIME_ERRORS as error:
            raise ModelError(f"{directory.path / GRAPH}: onnxruntime cannot run it: {error}") from error
        _check_graph(directory, session)
        return cls(directory, session, max_tokens=max_tokens)

    @property
    def tasks(self) -> Mapping[str, Answerable]:
        """The tasks by name."""
        return self.directory.tasks

    def predict(
        self,
        rows: Sequence[GivenRow],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
        errors: Errors = "raise",
    ) -> list[Answer]:
        """Answer rows: see `MultiTaskModel.predict`."""
        return self.answering.predict(rows, tasks=tasks, top_k=top_k, errors=errors)

    def predict_chunks(
        self,
        chunks: Iterable[Sequence[GivenRow]],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
        errors: Errors = "raise",
    ) -> Iterator[list[Answer]]:
        """Answer a stream of rows: see `MultiTaskModel.predict_chunks`."""
        return self.answering.predict_chunks(chunks, tasks=tasks, top_k=top_k, errors=errors)

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the answers: see `MultiTaskModel.fingerprint`."""
        return dict(self.directory.fingerprint)

    def warm_up(self) -> None:
        """Answer made rows, so that the first answer takes no longer than others."""
        self.answering.warm_up()

    def forward(self, rows: Sequence[Features], asking: Mapping[str, Sequence[int]]) -> dict[str, list[Logits]]:
        """Run the graph once, and pick each task's vectors: see `answering.Forward`."""
        first = np.cumsum([0, *(row.num_sequences for row in rows)])[:-1]
        outputs = self._session.run(list(asking), self._feeds(rows))
        found = {}
        for (name, numbers), output in zip(asking.items(), outputs, strict=True):
            decoder, asked = self.tasks[name].decoder, [rows[n] for n in numbers]
            sequences, positions = decoder.pointers(asked, first[list(numbers)].tolist())
            vectors = output[sequences] if positions is None else output[sequences, positions]  # [M, C]
            edges = np.cumsum([decoder.num_vectors(row) for row in asked])[:-1]
            found[name] = np.split(vectors.astype(np.float32), edges)
        return found

    def _feeds(self, rows: Sequence[Features]) -> dict[str, Any]:
        ids = [sequence for row in rows for sequence in row.input_ids]
        arrays = [padded(ids, self.directory.pad_id), padded([[1] * len(sequence) for sequence in ids], 0)]
        if self.directory.uses_token_types:
            arrays.append(padded([types for row in rows for types in row.token_type_ids], 0))
        return dict(zip(INPUTS, arrays, strict=False))


def _options(num_threads: int | None) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads or 0  # 0: as many as cores
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    options.log_severity_level = 3  # errors
    return options


def _check_graph(directory: OnnxDirectory, session: onnxruntime.InferenceSession) -> None:
    """Refuse a graph that does not have an output for each task."""
    outputs = {output.name for output in session.get_outputs()}
    if missing := [name for name in directory.tasks if name not in outputs]:
        raise ModelError(f"{directory.path / GRAPH} has no output for the task {missing[0]!r}. Export the model again")
