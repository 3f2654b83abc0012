"""Shards: the same rows and bytes however often a run is stopped and by however many workers, or a refusal."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.progress import begin, read_progress
from mtl_transformers.inference.shard_run import plan_run
from mtl_transformers.inference.sharding import Worker
from mtl_transformers.inference.shards import Present, make_shards

TEXTS = ["refund my card", "the parcel to Berlin", "password", "Zürich or Quito — 漢字", "I like it very much", "order"]
TASKS = ["intent", "topics", "urgency", "entities"]
SHARD_ROWS = 4


def body_of(file: int, row: int) -> str:
    return f"{TEXTS[(file + row) % len(TEXTS)]} {row}"


def write(path: Path, columns: Mapping[str, Any], *, group_rows: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, row_group_size=group_rows)
    return path


def make_input(place: Path, sizes: Sequence[int] = (10, 3, 6)) -> Path:
    """Write a file of each size: ids, texts, a language, and a column that nobody reads."""
    for file, size in enumerate(sizes):
        rows = range(size)
        columns = {
            "id": [100 * file + row for row in rows],
            "body": [body_of(file, row) for row in rows],
            "lang": ["en" if row % 2 else "de" for row in rows],
            "vector": [[1.0, 2.0] for _ in rows],
        }
        write(place / f"{file}.parquet", columns)
    return place


def run(model: MultiTaskModel, source: Path | str, target: Path, **options: Any) -> Present:
    given = {"tasks": TASKS, "keep": ["lang"], "shard_rows": SHARD_ROWS, **options}
    return make_shards(model, plan_run(model, source, target, **given))


def contents(target: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(target.iterdir())}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never write to it."""
    return make_input(tmp_path_factory.mktemp("bulk") / "in")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model: MultiTaskModel, source: Path) -> Path:
    """A run that nothing stopped; never write to it."""
    target = tmp_path_factory.mktemp("bulk") / "out"
    assert run(model, source, target) == Present(num_shards=6, of_shards=6, num_rows=19, num_errors=0)
    return target


@pytest.fixture
def begun(finished: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


# rows


def test_a_shard_has_consecutive_rows_of_one_file(finished: Path) -> None:
    ids = {path.name: pq.read_table(path).column("id").to_pylist() for path in sorted(finished.glob("*.parquet"))}
    assert ids == {
        "part-00000.parquet": [0, 1, 2, 3],
        "part-00001.parquet": [4, 5, 6, 7],
        "part-00002.parquet": [8, 9],
        "part-00003.parquet": [100, 101, 102],
        "part-00004.parquet": [200, 201, 202, 203],
        "part-00005.parquet": [204, 205],
    }


def test_rows_are_those_of_the_single_file(finished: Path, model: MultiTaskModel, source: Path, tmp_path: Path) -> None:
    single = tmp_path / "one.parquet"
    everything = pa.concat_tables([pq.read_table(path) for path in sorted(source.iterdir())])
    pq.write_table(everything, tmp_path / "in.parquet")
    predict_file(model, tmp_path / "in.parquet", single, tasks=TASKS, keep=["lang"])
    shards, whole = pq.read_table(finished), pq.read_table(single)
    assert shards.schema.remove_metadata() == whole.schema
    for name in ("id", "lang", "intent", "topics"):
        assert shards.column(name).to_pylist() == whole.column(name).to_pylist()
    for name in ("intent_score", "urgency"):
        assert shards.column(name).to_pylist() == pytest.approx(whole.column(name).to_pylist(), abs=1e-5)


def test_a_directory_and_a_pattern_are_the_same_input(
    model: MultiTaskModel, source: Path, finished: Path, tmp_path: Path
) -> None:
    run(model, f"{source}/*.parquet", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(finished)


def test_names_that_begin_with_a_mark_are_no_data(model: MultiTaskModel, tmp_path: Path) -> None:
    source = make_input(tmp_path / "in", (2,))
    for name in ("_SUCCESS.parquet", ".hidden.parquet", "_temporary/1.parquet"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("no parquet")
    (source / "notes.txt").touch()
    assert run(model, source, tmp_path / "out").num_rows == 2


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_text_file_is_divided_too(model: MultiTaskModel, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    if suffix == ".csv":
        path.write_text("id,body,n\n" + "".join(f"{row},{body_of(0, row)},{row / 2}\n" for row in range(9)))
    else:
        lines = (f'{{"id": {row}, "body": "{body_of(0, row)}", "n": {row / 2 if row else 1}}}\n' for row in range(9))
        path.write_text("\n".join(lines))
    present = run(model, path, tmp_path / "out", keep=["n"])
    found = pq.read_table(tmp_path / "out")
    assert present == Present(num_shards=3, of_shards=3, num_rows=9, num_errors=0)
    assert [str(of.type) for of in found.schema][:2] == (["string"] * 2 if suffix == ".csv" else ["int64", "double"])
    assert found.column("id").to_pylist() == [f"{n}" if suffix == ".csv" else n for n in range(9)]


def test_workers_take_the_rows_of_a_text_file_that_are_theirs(model: MultiTaskModel, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,body\n" + "".join(f"{row},{body_of(0, row)}\n" for row in range(11)))
    for number in (1, 0):
        run(model, path, tmp_path / "out", keep=[], worker=Worker(number, 2))
    assert pq.read_table(tmp_path / "out").column("id").to_pylist() == [f"{row}" for row in range(11)]


def test_columns_of_json_lines_whose_types_differ_are_text(model: MultiTaskModel, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"id": 1, "body": "a", "tags": ["x"], "big": 1}\n{"id": "b", "body": "b", "tags": null, "big": 1e30}\n'
        '{"body": "c", "tags": {"y": 1}, "big": 99999999999999999999}\n'
    )
    run(model, path, tmp_path / "out", keep=["tags", "big"])
    rows = pq.read_table(tmp_path / "out").select(["id", "tags", "big"]).to_pylist()
    assert rows == [
        {"id": "1", "tags": '["x"]', "big": "1"},
        {"id": "b", "tags": None, "big": "1e+30"},
        {"id": None, "tags": '{"y": 1}', "big": "99999999999999999999"},
    ]


def test_an_input_without_rows_gives_one_shard_without_rows(model: MultiTaskModel, tmp_path: Path) -> None:
    source = make_input(tmp_path / "in", (0, 0))
    assert run(model, source, tmp_path / "out") == Present(num_shards=1, of_shards=1, num_rows=0, num_errors=0)
    empty = pq.read_schema(tmp_path / "out" / "part-00000.parquet")
    assert empty.names == ["id", "lang", "intent", "intent_score", "topics", "urgency", "entities"]
    (tmp_path / "in.csv").write_text("")
    assert run(model, tmp_path / "in.csv", tmp_path / "csv", keep=[]).is_complete


def test_every_shard_has_the_same_columns_whatever_its_rows_are(model: MultiTaskModel, tmp_path: Path) -> None:
    write(tmp_path / "in" / "0.parquet", {"id": pa.nulls(2), "body": ["a", "b"]})  # null is of every type
    write(tmp_path / "in" / "1.parquet", {"id": pa.array([1], pa.int64()), "body": pa.array(["c"], pa.large_string())})
    write(tmp_path / "in" / "2.parquet", {"id": [2], "body": pa.array(["d"]).dictionary_encode(), "more": [1]})
    run(model, tmp_path / "in", tmp_path / "out", keep=["body"])
    schemas = [pq.read_schema(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert len(schemas) == 3
    assert all(of.equals(schemas[0], check_metadata=True) for of in schemas)
    assert [str(of.type) for of in schemas[0]][:2] == ["int64", "string"]


def test_kept_columns_are_copied_exactly(model: MultiTaskModel, tmp_path: Path) -> None:
    exact = pa.table(
        {
            "body": ["a", "b"],
            "at": pa.array([1, 1234567890123456789], pa.timestamp("ns")),
            "deep": pa.array([{"x": [1, 2]}, None], pa.struct([("x", pa.list_(pa.int8()))])),
            "half": pa.array([0.1, None], pa.float32()),
        }
    )
    pq.write_table(exact, tmp_path / "in.parquet")
    run(model, tmp_path / "in.parquet", tmp_path / "out", keep=["half", "deep", "at"])
    found = pq.read_table(tmp_path / "out")
    for name in ("half", "deep", "at"):
        assert found.column(name).equals(exact.column(name))


# stopping and going on


def test_a_run_again_makes_nothing(model: MultiTaskModel, source: Path, begun: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in begun.iterdir()}
    told: list[int] = []
    planned = plan_run(model, source, begun, tasks=TASKS, keep=["lang"], shard_rows=SHARD_ROWS)
    assert planned.missing == []
    assert make_shards(model, planned, on_rows=told.append).is_complete
    assert told == []
    assert {path.name: path.stat().st_mtime_ns for path in begun.iterdir()} == before


def remove(path: Path) -> None:
    path.unlink()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def put_rows_of_another_run(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({"mtl_transformers.run": "another"}), path)


def put_fewer_rows(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)


@pytest.mark.parametrize("damage", [remove, cut_short, put_rows_of_another_run, put_fewer_rows])
def test_a_shard_that_is_missing_or_damaged_is_made_again_to_the_byte(
    model: MultiTaskModel, source: Path, begun: Path, finished: Path, damage: Any
) -> None:
    damage(begun / "part-00001.parquet")
    damage(begun / "part-00005.parquet")
    (begun / ".part-00001.parquet.123.tmp").write_text("of a writer that was killed")
    told: list[int] = []
    make_shards(
        model, plan_run(model, source, begun, tasks=TASKS, keep=["lang"], shard_rows=SHARD_ROWS), on_rows=told.append
    )
    assert sum(told) == 6
    assert contents(begun) == contents(finished)


def test_what_was_killed_before_it_began_begins(model: MultiTaskModel, source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "._progress.json.123.tmp").write_text("{")
    assert run(model, source, tmp_path / "out").is_complete
    assert not (tmp_path / "out" / "._progress.json.123.tmp").exists()


def test_three_workers_make_what_one_makes(model: MultiTaskModel, source: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = [run(model, source, out, worker=Worker(number, 3)) for number in (2, 0, 1)]
    assert [of.num_shards for of in found] == [2, 4, 6]
    assert [of.is_complete for of in found] == [False, False, True]
    assert contents(out) == contents(finished)


def test_a_worker_that_began_while_another_one_looked_at_the_input_keeps_its_shards(
    finished: Path, tmp_path: Path
) -> None:
    content, out = json.loads((finished / "_progress.json").read_bytes()), tmp_path / "out"
    seen_by_the_slower_one = read_progress(out)
    shutil.copytree(finished, out)
    begin(out, content, found=seen_by_the_slower_one, overwrite=False)
    assert contents(out) == contents(finished)
    with pytest.raises(DataError, match="was begun otherwise: tasks"):
        begin(out, {**content, "tasks": ["intent"]}, found=seen_by_the_slower_one, overwrite=False)
    begin(out, content, found=content, overwrite=True)
    assert sorted(contents(out)) == ["_progress.json"]


def test_the_files_may_lie_elsewhere_on_another_machine(
    model: MultiTaskModel, source: Path, begun: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(source, tmp_path / "mounted" / "data")
    os.utime(elsewhere / "0.parquet", (1, 1))
    assert plan_run(model, elsewhere, begun, tasks=TASKS, keep=["lang"], shard_rows=SHARD_ROWS).missing == []


def test_texts_that_were_cut_are_counted_once_over_all_shards(
    model: MultiTaskModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "in.parquet", {"body": ["short", "refund " * 50] * 5})
    run(model, tmp_path / "in.parquet", tmp_path / "out", tasks=["intent"], keep=[])
    assert [message for message in caplog.messages if "5 of 10 texts were too long" in message]


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard_rows": 5}, "shard_rows 5 instead of 4"),
        ({"tasks": ["intent"]}, r'tasks \["intent"\] instead of \["intent", "topics", "urgency", "entities"\]'),
        ({"keep": []}, r'keep \[\] instead of \["lang"\]'),
        ({"id_column": "lang"}, 'id "lang" instead of null'),
        ({"errors": "keep"}, 'errors "keep" instead of "raise"'),
        ({"columns": {"body": "lang"}}, r'columns \{"body": "lang"\} instead of \{\}'),
    ],
)
def test_a_run_that_was_begun_otherwise_is_refused(
    model: MultiTaskModel, source: Path, begun: Path, options: dict[str, Any], message: str
) -> None:
    before = contents(begun)
    with pytest.raises(DataError, match=rf"was begun otherwise: {message}\. Give the same again.*--overwrite"):
        run(model, source, begun, **options)
    assert contents(begun) == before


def test_another_model_is_refused(model: MultiTaskModel, model_dir: Path, source: Path, begun: Path) -> None:
    other = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    assert run(other, source, begun).is_complete  # equal, and loaded again
    with torch.no_grad():
        next(other.network.parameters()).view(-1)[0] += 1e-6
    with pytest.raises(DataError, match="was begun otherwise: the model has other weights"):
        run(other, source, begun)
    with pytest.raises(DataError, match='precision "bf16" instead of "fp32"'):
        run(MultiTaskModel(model.network, model.tokenizer, model.tasks, precision="bf16"), source, begun)


def test_another_input_is_refused(model: MultiTaskModel, begun: Path, tmp_path: Path) -> None:
    make_input(tmp_path / "in", (10, 3, 6, 1))
    with pytest.raises(DataError, match=r"was begun otherwise: the input 3\.parquet is new"):
        run(model, tmp_path / "in", begun)
    (tmp_path / "in" / "3.parquet").unlink()
    assert run(model, tmp_path / "in", begun).is_complete  # the negative control: written anew, and the same
    make_input(tmp_path / "in", (10, 4))
    with pytest.raises(DataError, match=r"was begun otherwise: the input 1\.parquet has another content"):
        run(model, tmp_path / "in", begun)
    (tmp_path / "in" / "2.parquet").unlink()
    with pytest.raises(DataError, match=r"the input 2\.parquet is gone"):
        run(model, tmp_path / "in", begun)


def test_overwrite_begins_anew_and_leaves_nothing_of_before(model: MultiTaskModel, source: Path, begun: Path) -> None:
    assert run(model, source, begun, shard_rows=100, overwrite=True).of_shards == 3
    assert sorted(contents(begun)) == ["_progress.json", *(f"part-0000{n}.parquet" for n in range(3))]
    with pytest.raises(ConfigError, match="--overwrite would remove what other workers made"):
        run(model, source, begun, overwrite=True, worker=Worker(0, 2))


def test_a_directory_that_holds_something_else_is_refused(model: MultiTaskModel, source: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"holds something else \(_progress\.json is missing\)"):
            run(model, source, tmp_path, overwrite=overwrite)
    with pytest.raises(DataError, match="holds something else"):
        run(model, source, tmp_path / "thesis.tex")
    (tmp_path / "bad").mkdir()
    for content in ("{", "[]", '{"format_version": 2}'):
        (tmp_path / "bad" / "_progress.json").write_text(content)
        with pytest.raises(DataError, match=r"_progress\.json (is malformed|has format_version 2)"):
            run(model, source, tmp_path / "bad")


@pytest.mark.parametrize("target", ["", "out"])
def test_answers_do_not_lie_among_the_input(model: MultiTaskModel, tmp_path: Path, target: str) -> None:
    source = make_input(tmp_path / "in", (2,))
    with pytest.raises(DataError, match="the input and the answers lie in one directory"):
        run(model, source, source / target)
    with pytest.raises(DataError, match="the input and the answers lie in one directory"):
        run(model, f"{source}/*.parquet", source)


def test_no_files_and_files_of_several_formats_are_refused(model: MultiTaskModel, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").touch()
    with pytest.raises(DataError, match=r"in: no file that ends in \.csv, .* lies there"):
        run(model, tmp_path / "in", out)
    with pytest.raises(DataError, match=r"a\.txt: unknown kind of file"):
        run(model, tmp_path / "in" / "a.txt", out)
    with pytest.raises(DataError, match="none: no such file; name a file, a pattern in quotes, or a directory"):
        run(model, tmp_path / "none", out)
    (tmp_path / "in" / "a.csv").write_text("body\na\n")
    make_input(tmp_path / "in", (1,))
    with pytest.raises(DataError, match=r"files of several formats, \.csv, \.parquet; name one kind, as '\*\.csv'"):
        run(model, tmp_path / "in", out)
    assert not out.exists()


def test_files_whose_columns_differ_are_refused(model: MultiTaskModel, tmp_path: Path) -> None:
    source = make_input(tmp_path / "in", (2,))
    write(source / "1.parquet", {"text": ["a"], "lang": ["de"], "id": [1]})
    with pytest.raises(DataError, match=r"1\.parquet: no column 'body', which .*0\.parquet has; it has 'text', 'lang'"):
        run(model, source, tmp_path / "out")
    write(source / "1.parquet", {"body": ["a"], "lang": [7], "id": [1]})
    with pytest.raises(DataError, match=r"1\.parquet: column 'lang' is int64, and string in .*0\.parquet\. Write it"):
        run(model, source, tmp_path / "out")
    assert run(model, source, tmp_path / "out", keep=[]).num_rows == 3  # nobody reads the column then


def test_two_columns_of_one_name_are_refused(model: MultiTaskModel, tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["body", "body"])
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(DataError, match=r"in\.parquet: two columns have the same name, 'body'"):
        run(model, tmp_path / "in.parquet", tmp_path / "out")
    with pytest.raises(DataError, match=r"in\.parquet: two columns have the same name, 'body'"):
        predict_file(model, tmp_path / "in.parquet", tmp_path / "out.jsonl")


@pytest.mark.parametrize("name", ["intent", "intent_score"])
def test_a_kept_column_with_the_name_of_an_answer_is_refused(model: MultiTaskModel, tmp_path: Path, name: str) -> None:
    write(tmp_path / "in.parquet", {"body": ["a"], name: ["x"], "error": ["y"]})
    with pytest.raises(ConfigError, match=f"column '{name}' of the input has the name of a column of the answers"):
        run(model, tmp_path / "in.parquet", tmp_path / "out", keep=[name])
    with pytest.raises(ConfigError, match="column 'error' of the input has the name of a column of the answers"):
        run(model, tmp_path / "in.parquet", tmp_path / "out", keep=["error"], errors="keep")
    assert run(model, tmp_path / "in.parquet", tmp_path / "out", keep=["error"]).is_complete


# rows that cannot be read


def test_a_row_without_text_stops_the_run_and_complete_shards_stay(model: MultiTaskModel, tmp_path: Path) -> None:
    write(tmp_path / "in.parquet", {"body": [*map(str, range(6)), None, "a"]})
    with pytest.raises(DataError, match=r"in\.parquet: row 7, 'body': None: expected a text .*; --errors keep"):
        run(model, tmp_path / "in.parquet", tmp_path / "out", keep=[])
    assert sorted(contents(tmp_path / "out")) == ["_progress.json", "part-00000.parquet"]


def test_kept_errors_are_null_answers_with_a_message_and_spoil_no_neighbour(
    model: MultiTaskModel, tmp_path: Path
) -> None:
    texts = [None, "refund", "", "parcel", "card", "app", "password"]
    write(tmp_path / "in.parquet", {"body": texts})
    present = run(model, tmp_path / "in.parquet", tmp_path / "out", keep=["body"], errors="keep")
    assert present == Present(num_shards=2, of_shards=2, num_rows=7, num_errors=2)
    rows = pq.read_table(tmp_path / "out").to_pylist()
    for row, text in zip(rows, texts, strict=True):
        if text:
            (answer,) = model.predict([text], tasks=TASKS)
            assert row["intent"] == answer["intent"]["label"]  # type: ignore[call-overload]
            assert row["urgency"] == pytest.approx(answer["urgency"]["value"], abs=1e-5)  # type: ignore[call-overload]
            assert row["error"] is None
        else:
            assert row["error"] == f"'body': {text!r}: expected a text that is not empty"
            assert [row[name] for name in (*TASKS, "intent_score")] == [None] * 5


def test_a_kept_column_called_error_counts_no_errors(model: MultiTaskModel, tmp_path: Path) -> None:
    write(tmp_path / "in.parquet", {"body": ["refund", "card"], "error": ["E17", None]})
    present = run(model, tmp_path / "in.parquet", tmp_path / "out", keep=["error"])
    assert present == Present(num_shards=1, of_shards=1, num_rows=2, num_errors=0)
    assert pq.read_table(tmp_path / "out").column("error").to_pylist() == ["E17", None]


def test_a_file_that_shrank_while_it_was_read_is_an_error(model: MultiTaskModel, tmp_path: Path) -> None:
    source = make_input(tmp_path / "in", (10,))
    planned = plan_run(model, source, tmp_path / "out", tasks=["brief"], shard_rows=SHARD_ROWS)
    make_input(source, (9,))
    with pytest.raises(DataError, match=r"0\.parquet: has 9 rows, and had 10 or more: it was changed while it"):
        make_shards(model, planned)
