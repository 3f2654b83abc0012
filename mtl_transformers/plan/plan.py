"""The plan: which rows make step k, as a pure function of sizes, lengths, settings and seed.

Owns segments and the steps they give. Does not own the mixing rule (``mixing.py``), the cut into batches
(``batching.py``), the table that is shown (``table.py``) or any tensor.

Every process makes the same plan for itself; resuming is starting at step k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.errors import CheckpointError, ConfigError, DataError
from mtl_transformers.plan.batching import (
    BatchStream,
    BySize,
    ByTokens,
    Cut,
    DatasetRows,
    MergedRows,
    RowStream,
    StepRows,
    pass_edges,
)
from mtl_transformers.plan.mixing import Strategy, allot, digest, shares, spread, take_turns

DatasetsPerStep = Literal["one", "many"]


@dataclass(frozen=True)
class PlanDataset:
    """What the plan knows of a dataset: its name and ``[n]`` int32 tokens of each row's longest sequence."""

    name: str
    lengths: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the plan with one mixture. All of it is trained before the next one begins.

    Length buckets reorder rows inside a segment, so only at its end is a cursor "all rows before it".

    Attributes:
        rows: rows that each dataset gives.
        cursors: rows that each dataset gave before: where its stream of passes goes on.
        first_step: number of the segment's first step in the whole plan.
    """

    rows: tuple[int, ...]
    cursors: tuple[int, ...]
    first_step: int


class _Steps(Protocol):
    def __len__(self) -> int: ...

    def step(self, number: int) -> StepRows: ...

    def per_dataset(self) -> NDArray[np.int64]: ...


class _OneDatasetSteps:
    """The steps of a segment, each of one dataset: batches of the datasets in a given order."""

    def __init__(self, batches: Sequence[BatchStream], order: NDArray[np.int16]) -> None:
        self._batches = batches
        self._order = order
        self._rank = np.empty(len(order), np.int64)  # of a step among those of its dataset
        for dataset in range(len(batches)):
            here = order == dataset
            self._rank[here] = np.arange(np.count_nonzero(here))

    def __len__(self) -> int:
        return len(self._order)

    def step(self, number: int) -> StepRows:
        return self._batches[int(self._order[number])].batch(int(self._rank[number]))

    def per_dataset(self) -> NDArray[np.int64]:
        return np.asarray([len(stream) for stream in self._batches])


class _ManyDatasetsSteps:
    """The steps of a segment, each of several datasets: batches of the merged rows."""

    def __init__(self, batches: BatchStream, num_datasets: int) -> None:
        self._batches = batches
        self._num_datasets = num_datasets

    def __len__(self) -> int:
        return len(self._batches)

    def step(self, number: int) -> StepRows:
        return self._batches.batch(number)

    def per_dataset(self) -> NDArray[np.int64]:
        counts = np.zeros(self._num_datasets, np.int64)
        for number in range(len(self)):
            counts[np.unique(self.step(number).datasets)] += 1
        return counts


class Plan:
    """The rows of every step. Two plans made of equal arguments are equal; see ``make_plan`` to begin one.

    Args:
        datasets: what is trained on.
        segments: stretches of one mixture, each beginning where the one before it ends.
        batch_size: rows of a step at most; or ``None``.
        batch_tokens: padded tokens (rows × longest) of a step at most, if ``batch_size`` is ``None``.
        datasets_per_step: ``one``: batches of the datasets are interleaved; ``many``: rows are.
        strategy: ``round_robin`` takes strict turns, every other one spreads evenly.
        seed: of all orders.

    Raises:
        ConfigError: ``batch_size`` and ``batch_tokens`` are both given or both missing, or not positive.
        CheckpointError: a segment does not begin where the one before it ends.
    """

    def __init__(
        self,
        datasets: Sequence[PlanDataset],
        segments: Sequence[Segment],
        *,
        batch_size: int | None,
        batch_tokens: int | None,
        datasets_per_step: DatasetsPerStep,
        strategy: Strategy,
        seed: int,
    ) -> None:
        self.datasets = tuple(datasets)
        self.segments = tuple(segments)
        self.datasets_per_step = datasets_per_step
        self.strategy = strategy
        self.seed = seed
        self._cut = _cut(batch_size, batch_tokens)
        self._sources = [
            DatasetRows(index, RowStream(dataset.name, num_rows=len(dataset.lengths), seed=seed), dataset.lengths)
            for index, dataset in enumerate(self.datasets)
        ]
        self._steps: list[_Steps] = [self._segment_steps(segment) for segment in self.segments]
        self._first = np.cumsum([0, *(len(steps) for steps in self._steps)])
        self._check_segments()

    @property
    def num_steps(self) -> int:
        """Steps of all segments."""
        return int(self._first[-1])

    @property
    def rows_per_dataset(self) -> tuple[int, ...]:
        """Rows that each dataset gives in all segments."""
        return tuple(map(sum, zip(*(segment.rows for segment in self.segments), strict=True)))

    @property
    def passes_per_dataset(self) -> tuple[float, ...]:
        """Passes through each dataset, the last one perhaps in part."""
        given = zip(self.rows_per_dataset, self.datasets, strict=True)
        return tuple(rows / len(dataset.lengths) for rows, dataset in given)

    def step(self, k: int) -> StepRows:
        """Return the rows of step k (from 0), in the order of their lengths.

        Any k in any order; neighbours are cheapest, because they share a length bucket.

        Raises:
            IndexError: the plan has no step k.
        """
        if not 0 <= k < self.num_steps:
            raise IndexError(f"step {k} of a plan with {self.num_steps} steps, counted from 0")
        segment = int(np.searchsorted(self._first, k, side="right")) - 1
        return self._steps[segment].step(k - int(self._first[segment]))

    def identity(self) -> dict[str, Any]:
        """Return all that the rows of the steps depend on besides the rows' lengths, as plain JSON."""
        return {
            "rows": {dataset.name: len(dataset.lengths) for dataset in self.datasets},
            "segments": [asdict(segment) for segment in self.segments],
            "steps": self.num_steps,
            "batch": repr(self._cut),
            "datasets_per_step": self.datasets_per_step,
            "strategy": self.strategy,
            "seed": self.seed,
        }

    def steps_per_dataset(self) -> tuple[int, ...]:
        """Count the steps that hold a row of each dataset; with ``many``, by walking through the plan."""
        return tuple(np.sum([steps.per_dataset() for steps in self._steps], axis=0).tolist())

    def _segment_steps(self, segment: Segment) -> _Steps:
        # keyed by the first step: another segment has another order
        key = (self.seed, "segment", segment.first_step)
        if self.datasets_per_step == "many":
            order = self._order(segment.rows, seed=digest(*key))
            merged = MergedRows(self._sources, order=order, cursors=segment.cursors)
            stream = BatchStream(merged, pieces=[0, len(order)], cut=self._cut, key=key)
            return _ManyDatasetsSteps(stream, len(self.datasets))
        batches = [
            BatchStream(
                source,
                pieces=pass_edges(cursor, cursor + rows, source.stream.num_rows),
                cut=self._cut,
                key=(self.seed, "dataset", source.stream.name),
            )
            for source, rows, cursor in zip(self._sources, segment.rows, segment.cursors, strict=True)
        ]
        order = self._order([len(stream) for stream in batches], seed=digest(*key))
        return _OneDatasetSteps(batches, order)

    def _order(self, counts: Sequence[int], *, seed: int) -> NDArray[np.int16]:
        return take_turns(counts) if self.strategy == "round_robin" else spread(counts, seed=seed)

    def _check_segments(self) -> None:
        cursors = (0,) * len(self.datasets)
        for number, (segment, first_step) in enumerate(zip(self.segments, self._first.tolist(), strict=False)):
            if (segment.first_step, segment.cursors) != (first_step, cursors):
                raise CheckpointError(
                    f"plan, segment {number}: begins at step {segment.first_step} with cursors "
                    f"{segment.cursors}, but step {first_step} with cursors {cursors} comes next; "
                    "data or batch settings differ from the run that wrote it: restore them or train anew"
                )
            cursors = tuple(map(sum, zip(cursors, segment.rows, strict=True)))


def _cut(batch_size: int | None, batch_tokens: int | None) -> Cut:
    match batch_size, batch_tokens:
        case (int(rows), None) if rows >= 1:
            return BySize(rows)
        case (None, int(tokens)) if tokens >= 1:
            return ByTokens(tokens)
    raise ConfigError(
        "training: expected one of batch_size (rows) and batch_tokens, at least 1; "
        f"got batch_size {batch_size} and batch_tokens {batch_tokens}"
    )


def make_plan(
    datasets: Sequence[PlanDataset],
    *,
    epochs: float | None = None,
    steps: int | None = None,
    strategy: Strategy = "proportional",
    temperature: float = 1.0,
    weights: Sequence[float] | None = None,
    cap: int | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    datasets_per_step: DatasetsPerStep = "one",
    seed: int,
) -> Plan:
    """Make a plan of one segment, from the start.

    The rows of all datasets together are ``epochs`` × the sum of their sizes, or what ``steps`` steps hold. A
    step of one dataset never crosses the end of a pass, so it may have fewer than ``batch_size`` rows.

    Args:
        datasets: what is trained on; each has rows.
        epochs: passes through all rows together (``proportional``: through each dataset); or ``None``.
        steps: exact number of steps, with ``batch_size`` only; or ``None``.
        strategy: mixing rule, with ``temperature``, ``weights`` and ``cap`` as ``mixing.shares`` takes them.
        temperature: of the strategy ``temperature``.
        weights: of the strategy ``weights``, one for each dataset.
        cap: of the strategy ``capped``, in rows.
        batch_size: rows of a step at most; or ``None``.
        batch_tokens: padded tokens (rows × longest) of a step at most; or ``None``.
        datasets_per_step: ``one`` or ``many``.
        seed: of all orders.

    Raises:
        ConfigError: settings that contradict each other, or a plan without rows.
        DataError: a dataset without rows.
    """
    cut = _cut(batch_size, batch_tokens)
    sizes = _sizes(datasets)
    parts = shares(sizes, strategy, temperature=temperature, weights=weights, cap=cap)
    match epochs, steps, cut:
        case (float() | int(), None, _):
            rows = allot(round(epochs * sum(sizes)), parts)
        case (None, int(), BySize()) if datasets_per_step == "many":
            rows = allot(steps * cut.unit, parts)
        case (None, int(), BySize()):
            rows = [
                _rows_of_batches(batches, size=size, batch_size=cut.unit)
                for batches, size in zip(allot(steps, parts), sizes, strict=True)
            ]
        case (None, int(), _):
            raise ConfigError(
                "training.steps: with batch_tokens the rows of a step vary, so their number is not known; "
                "give training.epochs, or batch_size instead of batch_tokens"
            )
        case _:
            raise ConfigError(f"training: expected one of epochs and steps, got epochs {epochs} and steps {steps}")
    if sum(rows) < 1:
        raise ConfigError(
            f"training: epochs {epochs}, steps {steps} of {sum(sizes)} rows is less than one row; raise it"
        )
    segment = Segment(rows=tuple(rows), cursors=(0,) * len(rows), first_step=0)
    return Plan(
        datasets,
        [segment],
        batch_size=batch_size,
        batch_tokens=batch_tokens,
        datasets_per_step=datasets_per_step,
        strategy=strategy,
        seed=seed,
    )


def _sizes(datasets: Sequence[PlanDataset]) -> list[int]:
    if not datasets:
        raise ConfigError("data: expected at least one dataset with a task, got none")
    for dataset in datasets:
        if not len(dataset.lengths):
            raise DataError(
                f"dataset {dataset.name!r}, split 'train': no rows to train on are left after limit, filters "
                "and leaving out rows without any label; check the data or remove the dataset"
            )
    return [len(dataset.lengths) for dataset in datasets]


def _rows_of_batches(num_batches: int, *, size: int, batch_size: int) -> int:
    """Count the rows of whole passes in near-equal batches, then of full batches of a partial pass."""
    passes, rest = divmod(num_batches, -(-size // batch_size))
    return passes * size + rest * batch_size
