"""Every format of text reads every encoding, mark and line end, and names the first byte that is no text."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.origins import origin_of
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import DataError

FORMATS = ["csv", "json", "array", "conll", "conllu", "text", "squad", "parallel"]
TEXTS = ["ein Wort", "für", "naïve — çá"]
TAGS = ["A", "B", "C"]
ENCODED = ["latin-1", "cp1252", "utf-16", "utf-16-le"]
Rows = list[dict[str, Any]]


def texts_in(encoding: str) -> list[str]:
    """Texts that an encoding can write, with characters that UTF-8 writes otherwise."""
    return ["é à", "für", "ñ"] if encoding == "latin-1" else TEXTS


def written(form: str, texts: list[str]) -> str:
    """A file of a format, with LF."""
    rows = [{"text": text, "label": tag} for text, tag in zip(texts, TAGS, strict=True)]
    match form:
        case "csv":
            return "text,label\n" + "".join(f'"{row["text"]}",{row["label"]}\n' for row in rows)
        case "json":
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case "array":
            return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
        case "conll":
            return "\n".join("".join(f"{word} {row['label']}\n" for word in row["text"].split()) for row in rows)
        case "conllu":
            return "\n".join(
                f"# text = {row['text']}\n" + "".join(f"{number}\t{word}\t_\t{row['label']}" + "\t_" * 6 + "\n"
                for number, word in enumerate(row["text"].split(), 1)) for row in rows
            )  # fmt: skip
        case "squad":
            questions = [{"id": row["label"], "question": row["text"], "answers": []} for row in rows]
            content = {"data": [{"paragraphs": [{"context": texts[0], "qas": questions}]}]}
            return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        case _:
            return "".join(text + "\n" for text in texts)


def source(form: str, folder: Path, **options: object) -> Source:
    cache, file = str(folder / "cache"), str(folder / "a.txt")
    match form:
        case "array":
            return Source("toy", "json", files=file, options=options, cache_dir=cache)
        case "conll":
            options["column_names"] = ["words", "tags"]
        case "parallel":
            return Source("toy", form, files={"train": {"text": file}}, options=options, cache_dir=cache)
    return Source("toy", form, files=file, options=options, cache_dir=cache)


def texts_of(form: str, table: datasets.Dataset) -> list[str]:
    match form:
        case "conll" | "conllu":
            return [" ".join(words) for words in table["words" if form == "conll" else "form"]]
        case "squad":
            return list(table["question"])
        case _:
            return list(table["text"])


def read(form: str, folder: Path, content: bytes, **options: object) -> list[str]:
    (folder / "a.txt").write_bytes(content)
    return texts_of(form, load_splits(source(form, folder, **options))["train"])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("encoding", ENCODED)
def test_a_named_encoding_is_read(tmp_path: Path, form: str, encoding: str) -> None:
    texts = texts_in(encoding)
    assert read(form, tmp_path, written(form, texts).encode(encoding), encoding=encoding) == texts


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("options", [{}, {"encoding": "UTF-8"}], ids=str)
def test_a_mark_at_the_beginning_is_none_of_the_text(tmp_path: Path, form: str, options: dict[str, object]) -> None:
    assert read(form, tmp_path, written(form, TEXTS).encode("utf-8-sig"), **options) == TEXTS


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\r\n"), ("utf-8", "\r"), ("utf-16", "\r")])
def test_every_line_end_is_one(tmp_path: Path, form: str, end: str, encoding: str) -> None:
    content = written(form, TEXTS).replace("\n", end).encode(encoding)
    assert read(form, tmp_path, content, encoding=encoding) == TEXTS


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("end", ["\n", "\r"], ids=["lf", "cr"])
def test_a_byte_that_is_no_text_is_told_with_file_line_and_offset(tmp_path: Path, form: str, end: str) -> None:
    before, after = written(form, TEXTS).replace("\n", end).rsplit("naïve", 1)
    line = before.replace(end, "\n").count("\n") + 1
    offset = len(before.encode())
    with pytest.raises(DataError) as raised:
        read(form, tmp_path, before.encode() + b"\xe9" + after.encode())
    message = str(raised.value)
    assert message.startswith("dataset 'toy', split 'train', ")
    assert f"a.txt, line {line}: byte 0xe9 at offset {offset} is no UTF-8 (" in message
    assert message.endswith("Save the file as UTF-8, or name its encoding, as options: {encoding: latin-1}")


@pytest.mark.parametrize("form", FORMATS)
def test_a_byte_that_is_none_of_a_named_encoding_is_told_too(tmp_path: Path, form: str) -> None:
    before, after = written(form, TEXTS).rsplit("naïve", 1)
    with pytest.raises(DataError, match=rf"byte 0x81 at offset {len(before.encode('cp1252'))} is no CP1252"):
        read(form, tmp_path, before.encode("cp1252") + b"\x81" + after.encode("cp1252"), encoding="cp1252")


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_are_replaced_where_the_user_says_so(tmp_path: Path, form: str) -> None:
    before, after = written(form, TEXTS).rsplit("naïve", 1)
    content = before.encode() + b"\xff" + after.encode()
    assert read(form, tmp_path, content, encoding_errors="replace") == [*TEXTS[:2], "\ufffd — çá"]


@pytest.mark.parametrize(
    ("form", "place"), [("json", "line 3"), ("conll", "line 6"), ("text", "line 3"), ("conllu", "line 9")]
)
@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\r\n"), ("utf-16", "\r")])
def test_a_row_is_placed_by_its_line(tmp_path: Path, form: str, place: str, end: str, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(written(form, TEXTS).replace("\n", end).encode(encoding))
    given = source(form, tmp_path, encoding=encoding)
    assert origin_of(given, load_splits(given)).places([2]) == [f"{tmp_path / 'a.txt'}, {place}"]


def test_json_of_another_encoding_is_typed_by_all_rows_and_its_copy_stands_in_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    lines = [json.dumps({"text": "é" * 500, "late": None}, ensure_ascii=False)] * 11_000  # more than a block
    lines.append(json.dumps({"text": "ü", "late": "x"}, ensure_ascii=False))
    (folder / "a.txt").write_bytes("\n".join(lines).encode("utf-16-le"))
    given = Source(
        "toy", "json", files=str(folder / "a.txt"), options={"encoding": "utf-16-le"}, cache_dir=str(tmp_path / "cache")
    )
    table = load_splits(given)["train"]
    assert (len(table), table[-1]) == (11_001, {"text": "ü", "late": "x"})
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    (copy,) = (tmp_path / "cache" / "mtl_transformers").iterdir()
    assert copy.read_text(encoding="utf-8") == "\n".join(lines)


# csv without header, quotes


def csv_rows(folder: Path, content: str, **options: object) -> Rows:
    (folder / "a.txt").write_bytes(content.encode())
    rows: Rows = load_splits(source("csv", folder, **options))["train"].to_list()
    return rows


@pytest.mark.parametrize("header", [{}, {"header": None}], ids=["named", "header null"])
def test_tab_files_without_header_are_read_by_their_names(tmp_path: Path, header: dict[str, object]) -> None:
    rows = csv_rows(
        tmp_path, 'one "two\tA\nNA\t\n', delimiter="\t", column_names=["text", "label"], quoting=3, **header
    )
    assert rows == [{"text": 'one "two', "label": "A"}, {"text": "NA", "label": None}]


def test_a_row_of_too_few_cells_is_told_where_there_is_no_header(tmp_path: Path) -> None:
    names = {"column_names": ["text", "label"], "delimiter": "\t"}
    for options in (names, {**names, "header": None}, {"header": None, "delimiter": "\t"}):
        with pytest.raises(DataError, match="line 2: 1 cells, but there are 2 columns"):
            csv_rows(tmp_path, "one\tA\ntwo\n", **options)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_quoted_line_ends_are_kept(tmp_path: Path, end: str) -> None:
    content = end.join(["text,label", f'"one{end}two, ""three""",A', f'"{end}",B', ""])
    assert csv_rows(tmp_path, content) == [
        {"text": f'one{end}two, "three"', "label": "A"},
        {"text": end, "label": "B"},
    ]


# words and tags


def test_conll_2003_has_four_columns_and_marks_of_documents(tmp_path: Path) -> None:
    mark = "-DOCSTART- -X- -X- O"
    lines = [mark, "", "EU NNP B-NP B-ORG", "rejects VBZ B-VP O", "", mark, "", "Peter NNP B-NP B-PER", ""]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    options = {"column_names": ["tokens", "pos", "chunks", "tags"]}
    given = Source("toy", "conll", files=str(tmp_path / "a.txt"), options=options, cache_dir=str(tmp_path / "cache"))
    tables = load_splits(given)
    assert tables["train"].to_list() == [
        {"tokens": ["EU", "rejects"], "pos": ["NNP", "VBZ"], "chunks": ["B-NP", "B-VP"], "tags": ["B-ORG", "O"]},
        {"tokens": ["Peter"], "pos": ["NNP"], "chunks": ["B-NP"], "tags": ["B-PER"]},
    ]
    assert origin_of(given, tables).places([0, 1]) == [f"{tmp_path}/a.txt, line 3", f"{tmp_path}/a.txt, line 8"]


def test_conllu_keeps_words_and_leaves_comments_ranges_and_empty_nodes(tmp_path: Path) -> None:
    def line(number: str, form: str, tag: str) -> str:
        return "\t".join([number, form, "_", tag, *"______"])

    first = ["# newdoc", "# text = vámonos al # mar", line("1-2", "vámonos", "_"), line("1", "vamos", "VERB")]
    first += [line("2", "nos", "PRON"), line("3-4", "al", "_"), line("3", "a", "ADP"), line("4", "el", "DET")]
    first += [line("5", "#", "SYM"), line("6", "mar", "NOUN"), line("6.1", "azul", "ADJ"), ""]
    second = ["# text = New York", line("1", "New York", "PROPN"), "", ""]
    (tmp_path / "a.txt").write_text("\n".join(first + second), encoding="utf-8")
    table = load_splits(source("conllu", tmp_path))["train"]
    assert table["form"][:] == [["vamos", "nos", "a", "el", "#", "mar"], ["New York"]]
    assert table["upos"][:] == [["VERB", "PRON", "ADP", "DET", "SYM", "NOUN"], ["PROPN"]]


def test_bio_in_json_lines_is_two_lists(tmp_path: Path) -> None:
    row = {"tokens": ["play", "jazz"], "slots": ["O", "B-genre"], "intent": "PlayMusic"}
    (tmp_path / "a.txt").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert load_splits(source("json", tmp_path))["train"].to_list() == [row]
