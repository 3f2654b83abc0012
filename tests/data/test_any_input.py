"""Whatever stands in a file, its rows come back equal, or there is an error of ours."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.origins import origin_of
from mtl_transformers.data.spec import Source
from mtl_transformers.data.unicode import check_unicode
from mtl_transformers.errors import ConfigError, DataError

SETTINGS = settings(
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
WHOLE = st.characters(exclude_categories=["Cs"])
ODD = ["", " ", "null", "NaN", "1", "-0", "1.0", "0x1", "True", "a,b", '"', "\n", "\0"]
TEXT = st.text(WHOLE, max_size=6) | st.sampled_from(ODD)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=4)


def loaded(path: str, content: bytes, **options: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a file, or nothing where it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"rows.{path}")
        file.write_bytes(content)
        source = Source("toy", path, files=str(file), options=options, cache_dir=str(Path(folder, "cache")))
        try:
            tables = load_splits(source)
            check_unicode(tables, origin_of(source, tables))
        except (DataError, ConfigError):
            return None
        table = tables["train"]
        return table.with_format(None).to_list() if isinstance(table, datasets.Dataset) else None


def csv_bytes(rows: Sequence[Sequence[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


def as_csv(cell: str) -> Any:
    return cell or None


def equal_as_read(read: Any, written: Any) -> bool:
    """A column of numbers is read as numbers; what was written is then what the number says."""
    return read == written if written is None or isinstance(read, str) else float(read) == float(written)


@SETTINGS
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_rows_of_csv_come_back_or_are_refused(rows: list[tuple[str, str]]) -> None:
    found = loaded("csv", csv_bytes([("text", "label"), *rows]))
    if found is not None:
        pairs = [(cell, as_csv(given)) for row, cells in zip(found, rows, strict=True) for cell, given in zip(
            row.values(), cells, strict=True)]  # fmt: skip
        assert all(equal_as_read(read, written) for read, written in pairs), (found, rows)


@SETTINGS
@given(st.lists(st.fixed_dictionaries({"text": TEXT, "label": SCALAR}), min_size=1, max_size=4))
def test_rows_of_json_come_back_or_are_refused(rows: list[dict[str, Any]]) -> None:
    found = loaded("json", "".join(json.dumps(row) + "\n" for row in rows).encode())
    if found is not None:
        assert found == rows


@SETTINGS
@given(st.lists(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=3), min_size=1, max_size=3))
def test_sentences_of_conll_come_back_or_are_refused(sentences: list[list[tuple[str, str]]]) -> None:
    content = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences)
    found = loaded("conll", content.encode(), column_names=["text", "tags"], delimiter="\t")
    if found is not None:
        kept = [sentence for sentence in sentences if not sentence[0][0].startswith("-DOCSTART-")]
        assert [list(zip(row["text"], row["tags"], strict=True)) for row in found] == kept


@SETTINGS
@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(SCALAR, min_size=4, max_size=4))
def test_rows_of_parquet_come_back_or_are_refused(texts: list[str], labels: list[Any]) -> None:
    sink = io.BytesIO()
    rows = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=False)]
    try:
        table = datasets.Dataset.from_list(rows)
    except (TypeError, ValueError, OverflowError):  # a column of several types: there is no such file
        return
    table.to_parquet(sink)
    assert loaded("parquet", sink.getvalue()) == table.to_list()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pandas leaves a bad file open
@pytest.mark.parametrize("path", ["csv", "json", "conll", "parquet", "arrow", "text"])
@settings(SETTINGS, max_examples=15)
@given(content=st.binary(max_size=30) | st.lists(TEXT).map(lambda parts: "\n".join(parts).encode()))
def test_any_bytes_are_rows_or_refused(path: str, content: bytes) -> None:
    loaded(path, content, **({"column_names": ["text", "tags"]} if path == "conll" else {}))


def test_rows_that_are_good_are_not_refused() -> None:
    """Negative control: refusing all would pass the others."""
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 2}]
    sink = io.BytesIO()
    datasets.Dataset.from_list(rows).to_parquet(sink)
    made: dict[str, Callable[[], bytes]] = {
        "csv": lambda: csv_bytes([("text", "label"), ("a", "1"), ("b", "2")]),
        "json": lambda: "".join(json.dumps(row) + "\n" for row in rows).encode(),
        "parquet": sink.getvalue,
    }
    assert {path: loaded(path, content()) for path, content in made.items()} == dict.fromkeys(made, rows)
    assert loaded("conll", b"a B\nb O\n", column_names=["text", "tags"]) == [{"text": ["a", "b"], "tags": ["B", "O"]}]
