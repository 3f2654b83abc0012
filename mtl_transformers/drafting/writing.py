"""A draft as the YAML of a config, with the reason of each guess as a comment. Composes text; guesses nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mtl_transformers.config.yaml_text import write_flow
from mtl_transformers.drafting.draft import DraftDataset, DraftTask
from mtl_transformers.drafting.tables import SAMPLE_ROWS

_LENGTHS = (32, 64, 128, 256, 512)
_TOKENS_PER_WORD = 1.5
_WIDTH = 110  # columns, up to which a comment stands behind its line


def config_text(datasets: Sequence[DraftDataset], *, encoder: str, command: str) -> str:
    """Return a commented config of some datasets and their tasks.

    Args:
        datasets: one at least.
        encoder: the value of ``encoder.name``.
        command: what was typed, for the first line.
    """
    return "\n".join(_lines(datasets, encoder=encoder, command=command)) + "\n"


def max_length_of(long_words: int) -> int:
    """Return the tokens that a sequence of so many words and its special tokens have room in."""
    tokens = long_words * _TOKENS_PER_WORD
    return next((length for length in _LENGTHS if tokens <= length), _LENGTHS[-1])


def _lines(datasets: Sequence[DraftDataset], *, encoder: str, command: str) -> Iterator[str]:
    longest = max(datasets, key=lambda dataset: dataset.long_words)
    yield _comment(f"Written by `{command}`. All of it is a guess from the data: correct it, then run `mtl check`.")
    yield f"output: {write_flow(f'runs/{datasets[0].name}')}"
    yield ""
    yield "encoder:"
    yield from _line(2, "name", encoder, "a hub id, a directory, or package:<module>/<folder>")
    amount = f"95 of 100 texts of {longest.name} have at most {longest.long_words:,} words"
    yield from _line(2, "max_length", max_length_of(longest.long_words), amount)
    yield ""
    yield "data:"
    for dataset in datasets:
        yield from _dataset_lines(dataset)
    yield ""
    yield "tasks:"
    for dataset in datasets:
        for task in dataset.tasks:
            yield from _line(2, task.name, _task_section(dataset, task), task.why)


def _dataset_lines(dataset: DraftDataset) -> Iterator[str]:
    rows = ", ".join(f"{rows:,} of {split}" for split, rows in dataset.num_rows.items())
    sampled = f"; looked at {SAMPLE_ROWS:,} of each at most" if max(dataset.num_rows.values()) > SAMPLE_ROWS else ""
    yield f"  {write_flow(dataset.name)}:  {_comment(f'rows: {rows}{sampled}')}"
    yield from _line(4, "path", dataset.path)
    yield from _files_lines(dataset.files)
    for file, why in dataset.left_out.items():
        yield f"    {_comment(f'left out: {file}: {why}')}"
    if dataset.options:
        yield from _line(4, "options", dataset.options, _about_options(dataset.options))
    if dataset.split:
        yield from _line(4, "split", dataset.split, dataset.split_why)
    text = dataset.text[0] if len(dataset.text) == 1 else list(dataset.text)
    yield from _line(4, "text", text, "; ".join(dataset.guesses[name].why for name in dataset.text))
    if dataset.id is not None:
        yield from _line(4, "id", dataset.id, dataset.guesses[dataset.id].why)
    if dataset.num_empty:
        yield from _line(4, "filter", {"drop_empty": True}, f"rows without text: {dataset.num_empty:,}")
    for hint in dataset.hints:
        yield f"    {_comment(hint)}"
    for name, guess in dataset.guesses.items():
        if guess.role == "left out":
            yield f"    {_comment(f'column left out: {name}: {guess.why}')}"


def _files_lines(files: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    plain = {split: of_split[0] if len(of_split) == 1 else list(of_split) for split, of_split in files.items()}
    if len(plain) > 1:
        yield "    files:"
        for split, of_split in plain.items():
            yield from _line(6, split, of_split)
    elif plain:
        yield from _line(4, "files", plain["train"])


def _about_options(options: Mapping[str, object]) -> str:
    return "there is no header; these names are made up" if "column_names" in options else ""


def _task_section(dataset: DraftDataset, task: DraftTask) -> Mapping[str, object]:
    return {"data": dataset.name, "kind": task.kind, **task.options}


def _line(indent: int, key: str, value: object, why: str = "") -> Iterator[str]:
    """Yield a key with its value in one line, and its comment behind it, or above it where that is too wide."""
    line = f"{' ' * indent}{write_flow(key)}: {write_flow(value)}"
    if not why:
        yield line
    elif len(line) + len(why) + 4 <= _WIDTH:
        yield f"{line}  {_comment(why)}"
    else:
        yield f"{' ' * indent}{_comment(why)}"
        yield line


def _comment(text: str) -> str:
    """Return a comment of one line, whatever stands in the names that it holds."""
    return "# " + " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
