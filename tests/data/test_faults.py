import csv
import gzip
import json
from pathlib import Path

import pytest

from mtl_transformers.data.faults import csv_reason, json_fault, null_row, short_csv_row
from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import DataError


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


# json


def test_a_type_is_compared_with_the_first_row_of_all_files(tmp_path: Path) -> None:
    first = write(tmp_path / "a.jsonl", '{"a": null}\n\n{"a": 1, "b": [{"c": "x"}]}\n')
    second = write(tmp_path / "b.jsonl", '{"a": 0.5}\n{"b": [{"c": "x"}, {"c": true}]}\n')
    seen: dict[str, tuple[str, str]] = {}
    assert json_fault(first, seen, name="a.jsonl") is None
    assert json_fault(second, seen, name="b.jsonl") == (
        "line 2, column 'b[].c': true or false, but a.jsonl, line 3 has text. Write the column in one way in all rows"
    )


def test_good_json_has_no_fault(tmp_path: Path) -> None:
    for content in (b'\xef\xbb\xbf{"a": 1}\n{"a": null}', b' [ {"a": [1, 2.5]},\n {"b": {"c": null}} ]\n'):
        file = write(tmp_path / "a.json", content)
        assert (json_fault(file, {}, name="a.json"), null_row(file)) == (None, None)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("null\n", "line 1"),
        ("\n \tnull : 1", "line 2"),
        ('{"a": 1}\n' * 5 + "null", "line 6"),
        ("\ufeffnull", "line 1"),
        ('{"a": 1}\r{"a": 2}\r\nnull', "line 3"),
        ('[{"a": [null]}, null]', "row 2"),
        ("[null]", "row 1"),
    ],
)
def test_a_row_that_is_null_is_found_before_arrow_reads_it(tmp_path: Path, content: str, place: str) -> None:
    file = write(tmp_path / "a.json", content)
    assert null_row(file) == f"{place}: expected an object with the columns of a row; got null"
    with pytest.raises(DataError, match=f"{place}: expected an object"):
        load_splits(Source("toy", "json", files=file, cache_dir=str(tmp_path / "cache")))


def test_nulls_inside_of_rows_are_no_null_rows(tmp_path: Path) -> None:
    rows = [{"a": None, "b": [None, "null"]}, {"a": "\nnull", "b": []}]
    for content in ("".join(json.dumps(row) + "\n" for row in rows), json.dumps(rows), json.dumps(rows, indent=1)):
        assert null_row(write(tmp_path / "a.json", content)) is None


# csv


def test_a_short_row_is_named_by_its_line_and_an_empty_cell_is_no_short_row(tmp_path: Path) -> None:
    assert short_csv_row(write(tmp_path / "a.csv", 'a,b\n"x\ny",1\n\n2,\n'), {}) is None
    assert (short_csv_row(write(tmp_path / "b.csv", 'a;b\n"x\ny";1\n\n2\n'), {"sep": ";"}) or "").startswith(
        "line 5: 1 "
    )


def test_a_file_that_other_options_read_is_left_alone(tmp_path: Path) -> None:
    assert short_csv_row(write(tmp_path / "a.csv", "# note\na,b\n1\n"), {"skiprows": 1}) is None


def test_short_rows_of_csv_are_refused_where_the_builder_fills_them_up(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *((f"t{n}", n) for n in range(500)), ("short",)])
    with pytest.raises(DataError, match=r"a\.csv, line 502: 1 cells, but there are 2 columns"):
        load_splits(Source("toy", "csv", files=str(file), cache_dir=str(tmp_path / "cache")))
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(b"text,label\none\n"))  # not looked into
    assert len(load_splits(Source("toy", "csv", files=str(packed), cache_dir=str(tmp_path / "cache")))["train"]) == 1


def test_what_the_reader_says_is_said_in_our_words() -> None:
    """The words are those of pandas, and may change with it: the corpus would tell."""
    assert csv_reason("Error tokenizing data. C error: Expected 2 fields in line 3, saw 4").startswith(
        "line 3: 4 cells"
    )
    assert csv_reason("Error tokenizing data. C error: EOF inside string starting at row 7").startswith("line 8: ")
    assert csv_reason("something else") == "something else"
