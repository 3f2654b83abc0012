"""Formats by suffix and by content: delimiters, headers, the shapes of JSON, the columns of CoNLL."""

import json
from pathlib import Path

import pytest

from mtl_transformers.drafting.sniffing import Layout, layout_of
from mtl_transformers.errors import DataError


def layout(tmp_path: Path, name: str, content: str) -> Layout:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return layout_of(str(tmp_path / name))


ROWS = [("a first text, with a comma", "yes"), ("a second, longer one", "no"), ("the third", "yes"), ("the last", "no")]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_delimiter_is_the_mark_that_stands_equally_often_in_all_rows(tmp_path: Path, mark: str) -> None:
    lines = [mark.join(row) for row in [("text", "label"), *ROWS]]
    assert layout(tmp_path, "a.csv", "\n".join(lines)) == Layout("csv", {"delimiter": mark})


def test_commas_in_quotes_cut_nothing(tmp_path: Path) -> None:
    lines = ["text,label", *(f'"{text}",{label}' for text, label in ROWS)]
    assert layout(tmp_path, "a.csv", "\n".join(lines)) == Layout("csv")


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert layout(tmp_path, "a.tsv", "text\nfirst\nsecond\n") == Layout("csv")


@pytest.mark.parametrize("first", ["a text that is long\tyes", "3\tanything"])
def test_a_first_row_with_a_number_or_a_value_that_comes_again_is_no_header(tmp_path: Path, first: str) -> None:
    lines = [first, *("\t".join(row) for row in ROWS)]
    options = layout(tmp_path, "a.tsv", "\n".join(lines)).options
    assert options == {"delimiter": "\t", "column_names": ["column1", "column2"]}


def test_quotes_that_are_never_closed_are_characters_of_a_tab_file(tmp_path: Path) -> None:
    lines = ["text\tlabel", *(f'5" {text}\t{label}' for text, label in ROWS), '"open\tno', "last\tno"]
    assert layout(tmp_path, "a.tsv", "\n".join(lines)).options == {"delimiter": "\t", "quoting": 3}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}\n{"a": 2}\n', Layout("json")),
        ('[{"a": 1}]', Layout("json")),
        ('{\n"version": 1,\n"rows": [{"a": 1}]\n}', Layout("json", {"field": "rows"})),
        (json.dumps({"data": [{"paragraphs": [{"context": "c", "qas": []}]}]}), Layout("squad")),
    ],
)
def test_the_shapes_of_json(tmp_path: Path, content: str, expected: Layout) -> None:
    assert layout(tmp_path, "a.json", content) == expected


CONLL = "-DOCSTART- O\n\nIn O\nNew B-P\nYork I-P\n\nor O\nQuito B-P\n"


@pytest.mark.parametrize("name", ["a.conll", "a.txt"])
def test_words_with_tags_are_conll_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    assert layout(tmp_path, name, CONLL) == Layout("conll", {"column_names": ["tokens", "tags"]})


def test_four_columns_are_those_of_conll_2003(tmp_path: Path) -> None:
    lines = CONLL.replace(" ", " NN B-NP ")
    assert layout(tmp_path, "a.txt", lines).options == {"column_names": ["tokens", "pos", "chunk", "tags"]}


def test_tabs_are_the_delimiter_where_every_line_has_as_many(tmp_path: Path) -> None:
    options = layout(tmp_path, "a.conll", CONLL.replace(" ", "\t").replace("\n\n", "\n\t\n")).options
    assert options == {"column_names": ["tokens", "tags"], "delimiter": "\t"}


def test_comments_have_no_cells(tmp_path: Path) -> None:
    options = layout(tmp_path, "a.conll", "# id = number 1\n" + CONLL.removeprefix("-DOCSTART- O\n\n")).options
    assert options["comment_prefix"] == "# "


def test_ten_numbered_columns_are_conllu(tmp_path: Path) -> None:
    line = "\t".join(["1", "go", "go", "VERB", *["_"] * 6])
    assert layout(tmp_path, "a.conll", f"{line}\n\n{line}\n") == Layout("conllu")


def test_lines_without_a_delimiter_are_text(tmp_path: Path) -> None:
    assert layout(tmp_path, "a.txt", "one line\nand another one\n") == Layout("text")


def test_an_unknown_suffix_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"end in \.docx are not known; expected one of .*parquet"):
        layout(tmp_path, "a.docx", "PK")
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file"):
        layout_of(str(tmp_path / "none.csv"))
