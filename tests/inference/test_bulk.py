"""Files in, files out: formats, ids and columns, what is refused, and that an output is complete or not there."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference import files
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.answering import CHUNK_ROWS

Rows = Sequence[Mapping[str, Any]]

TEXTS = ['refund my card, "now"', "the parcel\nto Berlin", "password", "Zürich or Quito — 漢字"]
ROWS = [{"key": f"r{n}", "body": text} for n, text in enumerate(TEXTS)]
TASKS = ["intent", "topics", "urgency", "entities", "mood"]


def write(path: Path, rows: Rows) -> Path:
    """Write rows without any code of ours."""
    columns = list(rows[0])
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t"))


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_every_format_is_read(model: MultiTaskModel, tmp_path: Path, suffix: str) -> None:
    source, target = write(tmp_path / f"in{suffix}", ROWS), tmp_path / "out.jsonl"
    assert predict_file(model, source, target, tasks=TASKS, id_column="key") == 4
    found = read(target)
    assert [row.pop("id") for row in found] == ["r0", "r1", "r2", "r3"]
    assert found == model.predict(TEXTS, tasks=TASKS)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_has_a_column_for_each_answer_and_for_the_score_of_a_label(
    model: MultiTaskModel, tmp_path: Path, suffix: str
) -> None:
    target = tmp_path / f"out{suffix}"
    predict_file(model, write(tmp_path / "in.csv", ROWS), target, tasks=TASKS, id_column="key")
    found = read(target)
    assert list(found[0]) == ["id", "intent", "intent_score", "topics", "urgency", "entities", "mood"]
    for row, answer in zip(found, model.predict(TEXTS, tasks=TASKS), strict=True):
        assert row["intent"] == answer["intent"]["label"]  # type: ignore[call-overload]
        assert float(row["intent_score"]) == answer["intent"]["score"]  # type: ignore[call-overload]
        assert float(row["urgency"]) == answer["urgency"]["value"]  # type: ignore[call-overload]
        assert json.loads(row["topics"]) == answer["topics"]["labels"]  # type: ignore[call-overload]
        assert json.loads(row["mood"]) == answer["mood"]["values"]  # type: ignore[call-overload]
        assert json.loads(row["entities"]) == answer["entities"]


def test_files_with_a_mark_and_any_line_ends_are_answered(model: MultiTaskModel, tmp_path: Path) -> None:
    for end in ("\r\n", "\r"):
        for name, lines in (("in.csv", ["body", '"one\nword"', "zwei", ""]), ("in.jsonl", ['{"body": "ü"}'] * 2)):
            (tmp_path / name).write_bytes(end.join(lines).encode("utf-8-sig"))
            assert predict_file(model, tmp_path / name, tmp_path / "out.jsonl", tasks=["intent"]) == 2


def test_a_suffix_is_read_in_capitals_too(model: MultiTaskModel, tmp_path: Path) -> None:
    write(tmp_path / "in.csv", ROWS).rename(tmp_path / "IN.CSV")
    assert predict_file(model, tmp_path / "IN.CSV", tmp_path / "out.jsonl") == 4


def test_a_byte_order_mark_is_no_part_of_the_first_column(model: MultiTaskModel, tmp_path: Path) -> None:
    for name, text in (("in.csv", "body\nrefund\n"), ("in.jsonl", '{"body": "refund"}\n')):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert predict_file(model, tmp_path / name, tmp_path / "out.jsonl", tasks=["intent"]) == 1


def test_cells_longer_than_csv_allows_by_default_are_read(model: MultiTaskModel, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", [{"body": "word " * 30_000}])
    assert predict_file(model, source, tmp_path / "out.jsonl", tasks=["intent"]) == 1


def test_words_are_read_from_jsonl_and_parquet(model: MultiTaskModel, tmp_path: Path) -> None:
    words = [{"tokens": ["Hi,", "Berlin"]}, {"tokens": ["you"]}]
    for suffix in (".jsonl", ".parquet"):
        target = tmp_path / "out.jsonl"
        predict_file(model, write(tmp_path / f"in{suffix}", words), target, tasks=["names"])
        assert read(target) == model.predict(words, tasks=["names"])


def test_pairs_are_read_from_two_columns(model: MultiTaskModel, tmp_path: Path) -> None:
    rows = [{"first": "refund", "second": "parcel"}, {"first": "a", "second": "b"}]
    target = tmp_path / "out.jsonl"
    predict_file(model, write(tmp_path / "in.csv", rows), target)
    assert read(target) == model.predict(rows, tasks=["relation"])


# columns, ids, tasks


def test_columns_are_renamed_and_the_models_own_name_gives_way(model: MultiTaskModel, tmp_path: Path) -> None:
    rows = [{"message": text, "body": "not this one"} for text in TEXTS]
    target = tmp_path / "out.jsonl"
    predict_file(model, write(tmp_path / "in.csv", rows), target, tasks=["intent"], columns={"body": "message"})
    assert read(target) == model.predict(TEXTS, tasks=["intent"])


def test_a_renamed_column_that_the_file_lacks_is_an_error(model: MultiTaskModel, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", ROWS)
    with pytest.raises(DataError, match=r"in\.csv: no column 'bodi'; it has 'key', 'body'; did you mean 'body'\?"):
        predict_file(model, source, tmp_path / "out.csv", columns={"body": "bodi"})


def test_a_column_that_the_model_does_not_read_is_an_error(model: MultiTaskModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--columns bodi=…: the model reads 'body', .*; did you mean 'body'\?"):
        predict_file(model, write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv", columns={"bodi": "key"})


def test_a_column_named_id_names_the_rows_unless_another_is_chosen(model: MultiTaskModel, tmp_path: Path) -> None:
    rows = [{"id": n, "key": f"k{n}", "body": text} for n, text in enumerate(TEXTS)]
    source, target = write(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl"
    predict_file(model, source, target, tasks=["intent"])
    assert [row["id"] for row in read(target)] == [0, 1, 2, 3]
    predict_file(model, source, target, tasks=["intent"], id_column="key")
    assert [row["id"] for row in read(target)] == ["k0", "k1", "k2", "k3"]


def test_rows_without_an_id_have_none(model: MultiTaskModel, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    predict_file(model, write(tmp_path / "in.csv", [{"body": "refund"}]), target, tasks=["intent"])
    assert list(read(target)[0]) == ["intent"]


def test_an_id_column_that_the_file_lacks_is_an_error(model: MultiTaskModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'kay' for the ids; it has 'key', 'body'; did you mean 'key'\?"):
        predict_file(model, write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv", id_column="kay")


def test_without_names_every_task_is_answered_whose_columns_the_file_has(model: MultiTaskModel, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    predict_file(model, write(tmp_path / "in.csv", ROWS), target)
    assert list(read(target)[0]) == ["intent", "topics", "mood", "entities", "urgency", "brief", "twin"]


def test_top_k_goes_into_json_lines(model: MultiTaskModel, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    predict_file(model, write(tmp_path / "in.csv", ROWS), target, tasks=["intent"], top_k=2)
    assert all(len(row["intent"]["scores"]) == 2 for row in read(target))


def test_a_table_has_no_room_for_top_k(model: MultiTaskModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"top_k 2: a table has the best label only; write out\.jsonl"):
        predict_file(model, write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv", top_k=2)


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_columns_that_are_kept_stand_behind_the_id(model: MultiTaskModel, tmp_path: Path, suffix: str) -> None:
    rows = [{"id": f"r{n}", "lang": "en", "n": f"{n}", "body": text} for n, text in enumerate(TEXTS)]
    target = tmp_path / f"out{suffix}"
    predict_file(model, write(tmp_path / "in.csv", rows), target, tasks=["urgency"], keep=["n", "body"])
    found = read(target)
    assert list(found[0]) == ["id", "n", "body", "urgency"]
    assert [row["body"] for row in found] == TEXTS


def test_a_column_to_keep_that_is_not_there_or_has_the_name_of_an_answer_is_an_error(
    model: MultiTaskModel, tmp_path: Path
) -> None:
    source = write(tmp_path / "in.csv", [{**row, "intent": "gold"} for row in ROWS])
    with pytest.raises(DataError, match=r"in\.csv: no column 'kex' to keep; it has .*; did you mean 'key'\?"):
        predict_file(model, source, tmp_path / "out.csv", keep=["kex"])
    with pytest.raises(ConfigError, match=r"column 'intent' of the input has the name of a column of the answers"):
        predict_file(model, source, tmp_path / "out.jsonl", keep=["intent"])
    assert predict_file(model, source, tmp_path / "out.csv", tasks=["urgency"], keep=["intent"]) == 4
    with pytest.raises(ConfigError, match="the ids are 'key', and the output calls them 'id'"):
        predict_file(
            model, write(tmp_path / "b.csv", [{"id": 1, **ROWS[0]}]), tmp_path / "o.csv", id_column="key", keep=["id"]
        )


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_rows_that_cannot_be_read_are_kept_with_a_message(model: MultiTaskModel, tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / f"out{suffix}"
    lines = [{"body": None}, {"body": "refund"}, {"text": "parcel"}, {"body": ["a", "b"]}, {"body": ""}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert predict_file(model, source, target, tasks=["intent", "urgency"], errors="keep") == 5
    found = read(target)
    assert [bool(row.get("error")) for row in found] == [True, False, True, False, True]
    assert found[2]["error"] == "'body': no column 'body'; it has 'text'"
    (answer,) = model.predict(["refund"], tasks=["urgency"])
    value = found[1]["urgency"]["value"] if suffix == ".jsonl" else float(found[1]["urgency"])
    assert value == pytest.approx(answer["urgency"]["value"], abs=1e-5)  # type: ignore[call-overload]
    if suffix != ".jsonl":
        assert list(found[0]) == ["intent", "intent_score", "urgency", "error"]
        assert found[0]["intent"] in (None, "")


def test_ids_that_begin_later_are_kept_in_json_lines(model: MultiTaskModel, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"body": "a"}\n{"id": 7, "body": "b"}\n')
    for suffix in (".jsonl", ".csv"):
        predict_file(model, tmp_path / "in.jsonl", tmp_path / f"out{suffix}", tasks=["intent"])
    assert [row.get("id") for row in read(tmp_path / "out.jsonl")] == [None, 7]
    assert [row["id"] for row in read(tmp_path / "out.csv")] == ["", "7"]


def test_a_task_that_has_the_name_of_another_column_is_refused(model: MultiTaskModel, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", ROWS)
    for clash in ("id", "intent_score"):
        tasks = {**model.tasks, clash: model.tasks["twin"]}
        clashing = MultiTaskModel(model.network, model.tokenizer, tasks)
        with pytest.raises(ConfigError, match=f"task '{clash}' has the name of another column of the output"):
            predict_file(clashing, source, tmp_path / "out.csv")
        assert predict_file(clashing, source, tmp_path / "out.csv", tasks=["twin"]) == 4


# what is refused


@pytest.mark.parametrize(("source", "target"), [("in.txt", "out.csv"), ("in.csv", "out.json"), ("in", "out.csv")])
def test_an_unknown_suffix_is_refused(model: MultiTaskModel, tmp_path: Path, source: str, target: str) -> None:
    write(tmp_path / "in.csv", ROWS)
    with pytest.raises(DataError, match=r"unknown kind of file; expected a name that ends in \.csv, \.tsv, \.jsonl"):
        predict_file(model, tmp_path / source, tmp_path / target)


def test_a_missing_file_and_a_directory_are_refused(model: MultiTaskModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        predict_file(model, tmp_path / "none.csv", tmp_path / "out.csv")
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(DataError, match="is a directory; name a file, or answer its files into a directory"):
        predict_file(model, tmp_path, tmp_path / "out.csv")
    with pytest.raises(DataError, match=r"out\.csv: is a directory; name a file, or end the name with / for"):
        predict_file(model, write(tmp_path / "in.csv", ROWS), tmp_path / "out.csv")


def test_a_target_that_cannot_be_written_is_an_error(model: MultiTaskModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"out\.csv: cannot be written: "):
        predict_file(model, write(tmp_path / "in.csv", ROWS), tmp_path / "file" / "out.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("in.jsonl", '{"body": "a"}\n\n{"body": \n', r"in\.jsonl: line 3: no JSON"),
        ("in.jsonl", '{"body": "a"}\n["b"]\n', r"in\.jsonl: line 2: expected an object"),
        ("in.csv", 'id,body\n1,"a\nb"\n2\n', r"in\.csv: line 4: 1 cells; the header has 2"),
        ("in.csv", "id,body\n1,a,b\n", r"in\.csv: line 2: 3 cells; the header has 2"),
        ("in.csv", "body,body\na,b\n", r"in\.csv: two columns have the same name; the header is 'body', 'body'"),
        ("in.csv", 'body\n"a\nb\n', r"in\.csv: line 3: malformed: unexpected end of data"),
        ("in.tsv", 'id\tbody\n1\t"a" b\n', r"in\.tsv: line 2: malformed: .*a quote inside a cell is doubled"),
        ("in.csv", "id,body\n1,a\n2,\n", r"in\.csv: row 2, 'body': '': expected a text"),
        ("in.jsonl", '{"body": "a"}\n{"body": null}\n', r"in\.jsonl: row 2, 'body': None: expected a text"),
        ("in.jsonl", '{"body": "a"}\n{"text": "b"}\n', r"in\.jsonl: row 2, 'body': no column 'body'; it has 'text'"),
        ("in.parquet", "no parquet", r"in\.parquet: cannot be read as parquet"),
    ],
)
def test_a_malformed_file_is_an_error_that_says_where(
    model: MultiTaskModel, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        predict_file(model, tmp_path / name, tmp_path / "out.jsonl", tasks=["intent"])
    assert os.listdir(tmp_path) == [name]


def test_text_that_is_not_utf_8_is_an_error(model: MultiTaskModel, tmp_path: Path) -> None:
    for name in ("in.csv", "in.jsonl"):
        (tmp_path / name).write_bytes('{"body": "Zürich"}\n'.encode("latin-1"))
        with pytest.raises(DataError, match=rf"{name}: line 1: byte 0xfc at offset 11 is no UTF-8.*Save the file"):
            predict_file(model, tmp_path / name, tmp_path / "out.jsonl")


# complete or not there


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_an_error_half_way_leaves_the_old_file_and_nothing_else(
    model: MultiTaskModel, tmp_path: Path, suffix: str
) -> None:
    rows = [{"body": "refund"}] * (CHUNK_ROWS + 1)
    source = write(tmp_path / "in.jsonl", [*rows, {"body": ""}])
    target = tmp_path / f"out{suffix}"
    target.write_text("old", encoding="utf-8")
    answered: list[int] = []
    with pytest.raises(DataError, match=f"row {CHUNK_ROWS + 2}, 'body': ''"):
        predict_file(model, source, target, tasks=["brief"], on_rows=answered.append)
    assert answered == [CHUNK_ROWS]  # it was half way
    assert target.read_text(encoding="utf-8") == "old"
    assert sorted(os.listdir(tmp_path)) == sorted(["in.jsonl", target.name])


def test_a_file_may_be_answered_in_its_own_place(model: MultiTaskModel, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROWS)
    predict_file(model, path, path, tasks=["intent"])
    assert read(path) == model.predict(TEXTS, tasks=["intent"])


def test_the_targets_folder_is_made(model: MultiTaskModel, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "out.csv"
    predict_file(model, write(tmp_path / "in.csv", ROWS), target, tasks=["intent"])
    assert os.listdir(target.parent) == ["out.csv"]


@pytest.mark.parametrize("suffix", files.FORMATS)
@pytest.mark.parametrize(
    ("name", "content"), [("in.csv", "id,body\n"), ("in.csv", ""), ("in.tsv", "body\n"), ("in.jsonl", "\n")]
)
def test_a_file_without_rows_gives_a_file_without_rows_and_a_warning(
    model: MultiTaskModel, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: str, suffix: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    target = tmp_path / f"out{suffix}"
    assert predict_file(model, tmp_path / name, target, tasks=["intent", "entities"]) == 0
    assert read(target) == []
    assert "holds no rows" in caplog.messages[0]
    if suffix == ".parquet":
        assert pq.read_schema(target).names == ["intent", "intent_score", "entities"]
    elif suffix != ".jsonl":
        assert target.read_text(encoding="utf-8").split() in (
            ["intent,intent_score,entities"],
            ["intent", "intent_score", "entities"],
        )


# parquet


def test_the_types_of_a_parquet_output_do_not_depend_on_its_first_rows(tmp_path: Path) -> None:
    like = {"topics": "[]", "urgency": 0.5}
    first = [{"id": None, "topics": "[]", "urgency": 1.0}] * files.BATCH_ROWS
    later = [{"id": 7, "topics": '["a"]', "urgency": 2.0}]
    files.write_table([*first, *later], tmp_path / "out.parquet", suffix=".parquet", like=like)
    table = pq.read_table(tmp_path / "out.parquet")
    assert [str(field.type) for field in table.schema] == ["string", "string", "double"]
    assert table.to_pylist()[-1] == {"id": "7", "topics": '["a"]', "urgency": 2.0}


def test_ids_keep_their_type_in_parquet(tmp_path: Path) -> None:
    for number, value in enumerate((7, "seven", date(2026, 11, 30), 0.5)):
        path = tmp_path / f"{number}.parquet"
        files.write_table([{"id": value, "a": "x"}], path, suffix=".parquet", like={"a": "y"})
        assert pq.read_table(path).to_pylist() == [{"id": value, "a": "x"}]


def test_what_is_kept_of_parquet_keeps_its_type(model: MultiTaskModel, tmp_path: Path) -> None:
    exact = pa.table({"body": ["a", "b"], "id": pa.array([None, 3], pa.int8()), "deep": [None, [{"x": 1}]]})
    pq.write_table(exact, tmp_path / "in.parquet")
    predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", tasks=["intent"], keep=["deep"])
    assert pq.read_table(tmp_path / "out.parquet").select(["id", "deep"]).equals(exact.select(["id", "deep"]))


def test_ids_of_two_types_become_text_or_an_error_when_it_is_too_late(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    files.write_table([{"id": 1}, {"id": "b"}], path, suffix=".parquet", like={})
    assert pq.read_table(path).to_pylist() == [{"id": "1"}, {"id": "b"}]
    late = [*[{"id": 1}] * files.BATCH_ROWS, {"id": "b"}]
    with pytest.raises(DataError, match="column 'id' began as int64, and a later cell is not"):
        files.write_table(late, path, suffix=".parquet", like={})


def test_ids_that_json_does_not_know_are_written_as_text(model: MultiTaskModel, tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", [{"id": date(2026, 11, 30), "body": "refund"}])
    predict_file(model, source, tmp_path / "out.jsonl", tasks=["intent"])
    assert read(tmp_path / "out.jsonl")[0]["id"] == "2026-11-30"


# memory


@pytest.mark.parametrize("suffix", files.FORMATS)
def test_rows_are_read_one_after_another(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"in{suffix}", [{"body": f"text {n}"} for n in range(3)])
    rows = files.read_rows(path)
    assert next(rows) == {"body": "text 0"}
    assert [row["body"] for row in rows] == ["text 1", "text 2"]


def test_parquet_is_written_a_batch_at_a_time(tmp_path: Path) -> None:
    num_rows = 2 * files.BATCH_ROWS + 1
    rows = ({"id": n, "a": "x"} for n in range(num_rows))
    path = tmp_path / "out.parquet"
    assert files.write_table(rows, path, suffix=".parquet", like={"a": "y"}) == num_rows
    stored = pq.ParquetFile(path).metadata
    groups = [stored.row_group(n).num_rows for n in range(stored.num_row_groups)]
    assert groups == [files.BATCH_ROWS, files.BATCH_ROWS, 1]


def test_a_file_is_answered_chunk_by_chunk(model: MultiTaskModel, tmp_path: Path) -> None:
    rows = [{"id": n, "body": f"refund {n % 7}"} for n in range(2 * CHUNK_ROWS + 5)]
    answered: list[int] = []
    target = tmp_path / "out.csv"
    num_rows = predict_file(model, write(tmp_path / "in.jsonl", rows), target, tasks=["brief"], on_rows=answered.append)
    assert (num_rows, answered) == (2 * CHUNK_ROWS + 5, [CHUNK_ROWS, CHUNK_ROWS, 5])
    assert [int(row["id"]) for row in read(target)] == list(range(num_rows))
