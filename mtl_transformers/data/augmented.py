"""Augmented rows: training rows read again with noise in their texts, and labels that follow.

Owns what is read anew of a row, and which of its words are held. What the noise is, is ``text/augmenting.py``'s. Rows
that are planned, filtered and cached are those without noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import datasets

from mtl_transformers.data.cells import reader_of
from mtl_transformers.data.labelling import rows_of
from mtl_transformers.tasks.task import Cells, EncodedLabel, Task
from mtl_transformers.text.augmenting import Augmenter
from mtl_transformers.text.edits import Edited
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.inputs import Encoding, Input, encode
from mtl_transformers.text.rows import text_of


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a dataset's training rows are augmented.

    Attributes:
        augmenter: changes the texts.
        key: what it depends on besides the seed, for the fingerprint of a run.
        encoding: how an input's texts become features.
    """

    augmenter: Augmenter
    key: str
    encoding: Callable[[Input], Encoding]


@dataclass(frozen=True, slots=True)
class _RowNoise:
    """The noise of one row: `edited_rows.Noise`.

    Attributes:
        augmenter: changes the texts.
        seed: of this row, this time.
        held: characters of the text as given, or numbers of words, that must stay whole.
    """

    augmenter: Augmenter
    seed: tuple[int, ...]
    held: Sequence[tuple[int, int]]

    def of_text(self, text: Edited) -> Edited:
        """Return an edit of a cleaned text; held are the spans that cleaning left something of."""
        left = [span for start, end in self.held if (span := text.forth(start, end)) is not None]
        return self.augmenter.augment(text.text, seed=self.seed, labelled=left)

    def of_words(self, words: Sequence[str]) -> tuple[list[str], list[int]]:
        """Return other words, and for each the number of the word that it was."""
        return self.augmenter.augment_words(words, seed=self.seed, labelled=self.held)


def augmented(
    augmentation: Augmentation,
    table: datasets.Dataset,
    numbers: Sequence[int],
    given: Input,
    tasks: Mapping[str, Task],
    *,
    seeds: Sequence[tuple[int, ...]],
) -> tuple[list[Features], dict[str, list[EncodedLabel]]]:
    """Encode some rows with noise.

    Args:
        augmentation: of the dataset.
        table: its training rows.
        numbers: of the rows.
        given: the input.
        tasks: that read it.
        seeds: of each row.

    Returns:
        The rows, and their labels where these depend on how a text falls into words.
    """
    rows = rows_of(table, numbers, given)
    cells = {name: _cells_of(table, numbers, task) for name, task in tasks.items()}
    held = [[span for name, task in tasks.items() for span in task.held(cells[name][n])] for n in range(len(rows))]
    noise = [_RowNoise(augmentation.augmenter, *of_row) for of_row in zip(seeds, held, strict=True)]
    features = encode(augmentation.encoding(given).encoder, rows, given, noise=noise)
    texts = [text_of(row) for row in rows]
    labels: dict[str, list[EncodedLabel]] = {
        name: [task.encode(*of_row[:2], text=of_row[2]) for of_row in zip(cells[name], features, texts, strict=True)]
        for name, task in tasks.items()
        if task.label_type == "ints" and given.aligned == "words" and given.form == "text"
    }
    return features, labels


def _cells_of(table: datasets.Dataset, numbers: Sequence[int], task: Task) -> list[Cells]:
    """Return the label cells of some rows."""
    columns = task.label_columns(task.options)
    if not columns:
        return [()] * len(numbers)
    readers = [reader_of(table.features[column]) for column in columns]
    batch = table.select_columns(list(columns))[list(numbers)]
    cells = zip(*(batch[column] for column in columns), strict=True)
    return [tuple(read(cell) for read, cell in zip(readers, row, strict=True)) for row in cells]
