"""`mtl predict` into a directory of shards: what it says, that it goes on, and what it refuses."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from terminal import Mtl, Trained


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten rows in two files, of which one row has no text."""
    (tmp_path / "in").mkdir()
    for file in (0, 1):
        texts = [None if (file, row) == (1, 2) else f"refund {row}" for row in range(5)]
        table = pa.table({"id": range(5 * file, 5 * file + 5), "message": texts, "intent": ["x"] * 5})
        pq.write_table(table, tmp_path / "in" / f"{file}.parquet")
    return tmp_path / "in"


def predict(mtl: Mtl, trained: Trained, source: Path, *options: str) -> tuple[int, list[str]]:
    """Answer into ``out``, and return the code and the lines that are said."""
    given = ["--columns", "body=message", "--errors", "keep", "--shard-rows", "4", *options]
    outcome = mtl("predict", trained.model, source, "out", *given)
    assert outcome.out == ""
    return outcome.code, outcome.err.splitlines()


def test_shards_are_made_and_told_and_made_once(mtl: Mtl, trained: Trained, source: Path) -> None:
    told = "all 4 shards are there: 10 rows, 1 of them unread (column error) → out"
    assert predict(mtl, trained, source) == (0, ["4 of 4 shards to make, 10 rows", told])
    assert predict(mtl, trained, source) == (0, ["0 of 4 shards to make, 0 rows", told])
    Path("out/part-00001.parquet").unlink()
    assert predict(mtl, trained, source) == (0, ["1 of 4 shards to make, 1 rows", told])
    found = pq.read_table("out")
    assert found.column("id").to_pylist() == list(range(10))
    assert found.column("error").to_pylist()[7] == "'body': None: expected a text that is not empty"


def test_workers_say_what_is_there(mtl: Mtl, trained: Trained, source: Path) -> None:
    code, lines = predict(mtl, trained, source, "--worker", "1/2")
    assert (code, lines[0]) == (0, "2 of 4 shards to make, 2 rows")
    assert lines[1] == "2 of 4 shards are there: 2 rows → out; other workers make the rest"
    code, lines = predict(mtl, trained, source, "--worker", "0/2")
    assert (code, lines[1][:25]) == (0, "all 4 shards are there: 1")


def test_a_directory_with_an_ending_is_named_with_a_slash(mtl: Mtl, trained: Trained, source: Path) -> None:
    given = ["--columns", "body=message", "--errors", "keep"]
    assert mtl("predict", trained.model, source, "out.parquet/", *given).code == 0
    assert Path("out.parquet/part-00001.parquet").is_file()
    outcome = mtl("predict", trained.model, source / "0.parquet", "out.parquet", *given)
    assert (
        outcome.err
        == "error: out.parquet: is a directory; name a file, or end the name with / for a directory of shards\n"
    )


def test_a_changed_option_is_refused_with_what_differs(mtl: Mtl, trained: Trained, source: Path) -> None:
    predict(mtl, trained, source)
    code, (line,) = predict(mtl, trained, source, "--keep", "intent", "--tasks", "mood")
    assert code == 2
    assert line == (
        'error: out was begun otherwise: tasks ["mood"] instead of ["intent", "topics", "mood", "entities"]; '
        'keep ["intent"] instead of []. Give the same again, name another directory, or start anew with --overwrite'
    )
    assert predict(mtl, trained, source, "--keep", "intent", "--tasks", "mood", "--overwrite")[0] == 0
    assert pq.read_table("out").column_names == ["id", "intent", "mood", "error"]


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("out", ["--top-k", "2"], "--top-k is for a .jsonl file, and out is none"),
        ("out.csv", ["--worker", "0/2"], "--worker is for a directory of shards, and out.csv is none"),
        ("out.csv", ["--shard-rows", "5"], "--shard-rows is for a directory of shards, and out.csv is none"),
        ("out.csv", ["--overwrite"], "--overwrite is for a directory of shards, and out.csv is none"),
        ("out", ["--worker", "2/2"], "--worker '2/2': expected number/count, counted from 0"),
        (
            "out",
            ["--overwrite", "--worker", "0/2"],
            "--overwrite would remove what other workers made; remove out first",
        ),
        ("out", ["--keep", "intent"], "column 'intent' of the input has the name of a column of the answers"),
        ("out", [], "row 3, 'body': None: expected a text that is not empty; --errors keep answers the others"),
    ],
)
def test_a_mistake_is_one_line(
    mtl: Mtl, trained: Trained, source: Path, target: str, options: list[str], said: str
) -> None:
    outcome = mtl("predict", trained.model, source, target, "--columns", "body=message", *options)
    assert outcome.code == 2
    assert said in outcome.err.splitlines()[-1]
