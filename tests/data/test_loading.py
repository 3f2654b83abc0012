import csv
import gzip
import json
from pathlib import Path

import datasets
import pytest

from mtl_transformers.data.columns import require_columns
from mtl_transformers.data.loading import load_splits
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import ConfigError, DataError

Rows = list[dict[str, object]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a test."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def write(path: Path, text: str, encoding: str = "utf-8") -> str:
    path.write_bytes(text.encode(encoding))
    return path.name


def json_lines(rows: Rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def load(cache: str, path: str, files: object = (), **keys: object) -> dict[str, datasets.Dataset]:
    return load_splits(Source("toy", path, files=files, cache_dir=cache, **keys))


def rows_of(tables: dict[str, datasets.Dataset], split: str = "train") -> Rows:
    return tables[split].to_list()


# formats

ROWS: Rows = [{"text": "one", "label": 1}, {"text": "two", "label": None}, {"text": None, "label": 3}]


def test_csv_json_parquet_and_arrow_give_the_same_rows(folder: Path, cache: str) -> None:
    table = datasets.Dataset.from_list(ROWS)
    write(folder / "a.csv", "text,label\none,1\ntwo,\n,3\n")
    write(folder / "a.json", json_lines(ROWS))
    table.to_parquet("a.parquet")
    with datasets.arrow_writer.ArrowWriter(path="a.arrow", features=table.features) as writer:
        for row in ROWS:
            writer.write(row)
        writer.finalize()
    for path in ("csv", "json", "parquet", "arrow"):
        assert rows_of(load(cache, path, {"train": f"a.{path}"})) == ROWS, path


def test_text_files_give_a_row_per_line(folder: Path, cache: str) -> None:
    write(folder / "a.txt", "one\ntwo\n")
    assert rows_of(load(cache, "text", "a.txt")) == [{"text": "one"}, {"text": "two"}]


def test_a_json_array_is_read_as_rows(folder: Path, cache: str) -> None:
    write(folder / "a.json", json.dumps(ROWS, indent=1))
    assert rows_of(load(cache, "json", "a.json")) == ROWS


def test_a_saved_dataset_dict_is_read_with_its_splits(folder: Path, cache: str) -> None:
    table = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"test": table, "train": table}).save_to_disk("saved")
    tables = load(cache, "saved")
    assert list(tables) == ["train", "test"]
    assert rows_of(tables, "test") == ROWS


def test_a_saved_dataset_is_split_train(folder: Path, cache: str) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk("saved")
    assert rows_of(load(cache, "saved")) == ROWS


def test_a_folder_of_data_files_is_read_as_datasets_reads_it(folder: Path, cache: str) -> None:
    (folder / "hub").mkdir()
    write(folder / "hub" / "train.jsonl", json_lines(ROWS))
    write(folder / "hub" / "test.jsonl", json_lines(ROWS[:1]))
    assert [len(table) for table in load(cache, "./hub").values()] == [3, 1]


# files


def test_files_without_a_split_are_train_and_lists_and_globs_are_read_in_order(folder: Path, cache: str) -> None:
    for number in (2, 1, 3):
        write(folder / f"part-{number}.csv", f"text\nrow {number}\n")
    texts = {"text": ["row 1", "row 2", "row 3"]}
    assert load(cache, "csv", "part-*.csv")["train"].to_dict() == texts
    assert load(cache, "csv", ["part-1.csv", "part-[23].csv"])["train"].to_dict() == texts


def test_a_file_whose_name_looks_like_a_pattern_is_read(folder: Path, cache: str) -> None:
    write(folder / "part[1]*.csv", "text\nyes\n")
    write(folder / "part1.csv", "text\nno\n")
    assert load(cache, "csv", "part[1]*.csv")["train"].to_dict() == {"text": ["yes"]}


def test_a_compressed_file_is_read(folder: Path, cache: str) -> None:
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"text,label\none,1\n"))
    assert rows_of(load(cache, "csv", "a.csv.gz")) == [{"text": "one", "label": 1}]


def test_a_missing_file_names_dataset_split_path_and_the_nearest_file(folder: Path, cache: str) -> None:
    write(folder / "train.csv", "text\none\n")
    with pytest.raises(DataError, match=r"'toy', split 'test'.*trian\.csv.*did you mean 'train\.csv'"):
        load(cache, "csv", {"train": "train.csv", "test": "trian.csv"})


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ("none-*.csv", "no file matches none-"),
        ("nowhere/a.csv", "there is no folder nowhere"),
        (".", "is a directory"),
        ("empty.csv", "empty.csv is empty"),
        ({}, r"data\.toy\.files"),
    ],
)
def test_files_that_give_nothing_are_refused(folder: Path, cache: str, files: object, words: str) -> None:
    write(folder / "empty.csv", "")
    with pytest.raises((DataError, ConfigError), match=words):
        load(cache, "csv", files)


@pytest.mark.parametrize(
    ("path", "text"),
    [("csv", "text,label\n"), ("json", "\n\n"), ("json", "[]"), ("conll", "\n\n"), ("text", "")],
)
def test_a_file_without_rows_is_an_error(folder: Path, cache: str, path: str, text: str) -> None:
    options = {"column_names": ["tokens", "tags"]} if path == "conll" else {}
    with pytest.raises(DataError, match=r"toy.*(no rows|empty|Empty)"):
        load(cache, path, write(folder / "a.txt", text), options=options)


def test_nothing_is_written_beside_the_files(folder: Path, cache: str) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk("saved")
    write(folder / "a.csv", "text,label\none,1\n")
    before = sorted(folder.rglob("*"))
    load(cache, "csv", "a.csv")
    load(cache, "saved")
    assert sorted(folder.rglob("*")) == before


def test_loading_is_quiet_and_leaves_the_settings_of_datasets(
    folder: Path, cache: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write(folder / "a.csv", "text,label\none,1\n")
    before = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    load(cache, "csv", "a.csv")
    with pytest.raises(DataError):
        load(cache, "parquet", "a.csv")
    assert capfd.readouterr() == ("", "")
    assert (datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()) == before


# csv values


def test_an_empty_csv_cell_is_null_and_nothing_else_is(folder: Path, cache: str) -> None:
    write(folder / "a.csv", 'text,name,number\nNA,None,1\n,"",\nnull,nan,2\n')
    assert load(cache, "csv", "a.csv")["train"].to_dict() == {
        "text": ["NA", None, "null"],
        "name": ["None", None, "nan"],
        "number": [1, None, 2],
    }


def test_a_csv_column_is_typed_by_all_rows_of_all_splits(folder: Path, cache: str) -> None:
    rows = "".join(f"t{row},,{row},{row}\n" for row in range(10_001))  # the builder types 10,000 rows at a time
    write(folder / "a.csv", f"text,late,whole,mixed\n{rows}t,x,7,word\n")
    write(folder / "b.csv", "text,late,whole,mixed\nt,y,0.5,1\n")
    tables = load(cache, "csv", {"train": "a.csv", "test": "b.csv"})
    types = {name: feature.dtype for name, feature in tables["train"].features.items()}
    assert types == {"text": "string", "late": "string", "whole": "float64", "mixed": "string"}
    assert tables["test"].features == tables["train"].features
    assert tables["train"][0] == {"text": "t0", "late": None, "whole": 0.0, "mixed": "0"}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2", "0"], [1, -2, 0]),
        (["1", "2.5", "-3e2"], [1.0, 2.5, -300.0]),
        (["007", "8"], ["007", "8"]),
        (["1", "True"], ["1", "True"]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
    ],
)
def test_csv_values_keep_what_was_written(folder: Path, cache: str, cells: list[str], values: object) -> None:
    write(folder / "a.csv", "cell,text\n" + "".join(f"{cell},t\n" for cell in cells))
    assert list(load(cache, "csv", "a.csv")["train"]["cell"]) == values


def test_csv_options_are_honoured(folder: Path, cache: str) -> None:
    write(folder / "a.tsv", "é\t1,5\n", encoding="latin-1")
    options = {"delimiter": "\t", "column_names": ["text", "score"], "encoding": "latin-1"}
    assert rows_of(load(cache, "csv", "a.tsv", options=options)) == [{"text": "é", "score": "1,5"}]
    decimal = {**options, "decimal": ","}
    assert rows_of(load(cache, "csv", "a.tsv", options=decimal)) == [{"text": "é", "score": 1.5}]


def test_a_csv_without_header_or_names_numbers_its_columns(folder: Path, cache: str) -> None:
    write(folder / "a.csv", "one,1\ntwo,2\n")
    assert load(cache, "csv", "a.csv", options={"header": None})["train"].to_dict() == {
        "0": ["one", "two"],
        "1": [1, 2],
    }


def test_csv_files_of_unequal_columns_are_named(folder: Path, cache: str) -> None:
    write(folder / "a.csv", "text,label\none,1\n")
    write(folder / "b.csv", "text\none\n")
    with pytest.raises(DataError, match=r"b\.csv has the columns text, but .*a\.csv has text, label"):
        load(cache, "csv", {"train": "a.csv", "test": "b.csv"})


# json types


def test_a_json_column_that_is_null_in_train_takes_its_type_from_test(folder: Path, cache: str) -> None:
    write(folder / "a.jsonl", json_lines([{"text": "a", "label": None, "score": 1}]))
    write(folder / "b.jsonl", json_lines([{"text": "b", "label": "x", "score": 0.5}]))
    tables = load(cache, "json", {"train": "a.jsonl", "test": "b.jsonl"})
    assert rows_of(tables) == [{"text": "a", "label": None, "score": 1.0}]
    assert rows_of(tables, "test") == [{"text": "b", "label": "x", "score": 0.5}]


def test_a_json_column_of_mixed_types_is_an_error_that_names_it(folder: Path, cache: str) -> None:
    write(folder / "a.jsonl", '{"label": 1}\n{"label": "x"}\n')
    with pytest.raises(DataError, match=r"a\.jsonl, line 2, column 'label': text, but .*line 1 has a number"):
        load(cache, "json", "a.jsonl")


# unreadable files


def test_a_bad_json_line_is_named(folder: Path, cache: str) -> None:
    write(folder / "a.jsonl", json_lines(ROWS))
    write(folder / "b.jsonl", '{"text": "x", "label": 1}\n\n{"text": "y", "label": }\n')
    with pytest.raises(DataError, match=r"'toy', split 'test', b\.jsonl, line 3: no JSON: Expecting value"):
        load(cache, "json", {"train": "a.jsonl", "test": "b.jsonl"})


def test_a_bad_json_array_names_its_line(folder: Path, cache: str) -> None:
    write(folder / "a.json", '[\n{"text": "x"},\n{"text" "y"}\n]')
    with pytest.raises(DataError, match=r"a\.json, line 3: no JSON: Expecting ':' delimiter"):
        load(cache, "json", "a.json")


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("csv", "a,b\n1,2\n1,2,3\n", r"line 3: 3 cells, but there are 2 columns"),
        ("parquet", "no parquet", "Parquet magic bytes"),
        ("arrow", "no arrow file", "too small|metadata"),
    ],
)
def test_an_unreadable_file_is_named_with_the_reason(
    folder: Path, cache: str, path: str, text: str, words: str
) -> None:
    write(folder / "bad", text)
    with pytest.raises(DataError, match=rf"'toy', split 'train', bad.*({words})"):
        load(cache, path, "bad")


def test_a_file_in_another_encoding_is_told_the_option(folder: Path, cache: str) -> None:
    write(folder / "a.csv", "text\né\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"a\.csv, line 2: byte 0xe9 at offset 5 is no UTF-8.*\{encoding: latin-1\}"):
        load(cache, "csv", "a.csv")


# settings


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("csv", {"delimeter": ";"}, r"data\.toy\.options\.delimeter.*did you mean 'delimiter'"),
        ("csv", {"streaming": True}, r"options\.streaming.*refused"),
        ("csv", {"data_files": "x"}, r"options\.data_files"),
        ("conll", {}, r"options\.column_names"),
        ("conllu", {"column_names": ["form"]}, r"options\.column_names"),
    ],
)
def test_options_are_honoured_or_refused(
    folder: Path, cache: str, path: str, options: dict[str, object], words: str
) -> None:
    write(folder / "a.csv", "text\none\n")
    with pytest.raises(ConfigError, match=words):
        load(cache, path, "a.csv", options=options)


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("csv", "config_name", "rte"),
        ("csv", "revision", "main"),
        ("saved", "files", {"train": "a.csv"}),
        ("saved", "options", {"delimiter": ","}),
    ],
)
def test_keys_that_a_source_does_not_have_are_refused(
    folder: Path, cache: str, path: str, key: str, value: object
) -> None:
    write(folder / "a.csv", "text\none\n")
    datasets.Dataset.from_list(ROWS).save_to_disk("saved")
    with pytest.raises(ConfigError, match=r"data\.toy\.(name|revision|files|options)"):
        load(cache, path, **{"files": {"train": "a.csv"} if path == "csv" else (), key: value})


def test_options_of_a_folder_are_checked_against_its_own_builder(folder: Path, cache: str) -> None:
    (folder / "hub").mkdir()
    write(folder / "hub" / "train.csv", "text;label\none;1\n")
    assert load(cache, "./hub", options={"sep": ";"})["train"].column_names == ["text", "label"]
    with pytest.raises(ConfigError, match="did you mean 'sep'"):
        load(cache, "./hub", options={"sepp": ";"})


def test_an_unknown_path_says_what_a_path_can_be(folder: Path, cache: str) -> None:
    with pytest.raises(DataError, match=r"'parket'.*csv, json.*save_to_disk.*hub.*did you mean 'parquet'"):
        load(cache, "parket")


def test_a_path_that_is_a_file_is_told_the_format(folder: Path, cache: str) -> None:
    write(folder / "a.jsonl", json_lines(ROWS))
    with pytest.raises(DataError, match=r"set path: json and files: \{train: a\.jsonl\}"):
        load(cache, "a.jsonl")


# splits


def three(folder: Path) -> dict[str, str]:
    names = ("train", "dev", "validation")
    return {name: write(folder / f"{name}.csv", f"text\n{name}\n") for name in names}


def test_splits_are_named_as_mapped_and_a_mapped_split_leaves_its_own_name(folder: Path, cache: str) -> None:
    tables = load(cache, "csv", three(folder), splits={"test": "validation", "validation": "dev"})
    assert {split: table["text"][0] for split, table in tables.items()} == {
        "train": "train",
        "validation": "dev",
        "test": "validation",
    }
    assert list(load(cache, "csv", three(folder), splits={"test": "validation"})) == ["train", "test"]


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"validation": "devel"}, r"splits train, dev, validation and no 'devel'; did you mean 'dev'"),
        ({"dev": "dev"}, r"data\.toy\.splits\.dev: our splits are"),
    ],
)
def test_a_wrong_mapping_is_refused(folder: Path, cache: str, splits: dict[str, str], words: str) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        load(cache, "csv", three(folder), splits=splits)


def test_a_dataset_without_any_of_our_splits_lists_its_own(folder: Path, cache: str) -> None:
    with pytest.raises(DataError, match=r"splits dev, none of which.*splits: \{train: dev\}"):
        load(cache, "csv", {"dev": three(folder)["dev"]})


# real data: words and tags against a reader by hand


def by_hand(path: Path, *, word: int, tag: int) -> list[tuple[list[str], list[str]]]:
    sentences: list[list[list[str]]] = [[]]
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            sentences.append([])
        elif not line.startswith("#") or "\t" in line:
            sentences[-1].append(line.split("\t"))
    return [([cells[word] for cells in one], [cells[tag] for cells in one]) for one in sentences if one]


def loaded(table: datasets.Dataset, word: str, tag: str) -> list[tuple[list[str], list[str]]]:
    return list(zip(table[word][:], table[tag][:], strict=True))


def test_wnut17_is_read_with_columns_and_delimiter(shared_data: Path, cache: str) -> None:
    files = {split: str(shared_data / f"wnut17/{split}.conll") for split in ("train", "validation", "test")}
    options = {"column_names": ["tokens", "tags"], "delimiter": "\t"}
    tables = load(cache, "conll", files, options=options)
    assert [len(table) for table in tables.values()] == [3_394, 1_009, 1_287]
    for split, table in tables.items():
        assert loaded(table, "tokens", "tags") == by_hand(Path(files[split]), word=0, tag=1)


def test_atis_is_read_without_options(shared_data: Path, cache: str) -> None:
    files = {split: str(shared_data / f"ud_en_atis/{split}.conllu") for split in ("train", "validation", "test")}
    tables = load(cache, "conllu", files)
    assert [len(table) for table in tables.values()] == [4_274, 572, 586]
    for split, table in tables.items():
        assert loaded(table, "form", "upos") == by_hand(Path(files[split]), word=1, tag=3)


def test_conllu_multiword_tokens_and_empty_nodes_are_left_out(folder: Path, cache: str) -> None:
    lines = ["# text = don't", "1-2 don't", "1 do AUX", "2 n't PART", "2.1 gone VERB"]
    cells = [line if line.startswith("#") else with_columns(line) for line in lines]
    table = load(cache, "conllu", write(folder / "a.conllu", "\n".join(cells) + "\n\n"))["train"]
    assert loaded(table, "form", "upos") == [(["do", "n't"], ["AUX", "PART"])]


def with_columns(line: str) -> str:
    number, form, *tag = line.split()
    return "\t".join([number, form, "_", *(tag or ["_"]), *["_"] * 6])


def test_the_other_shared_sets_have_the_rows_their_readme_says(shared_data: Path, cache: str) -> None:
    for name, path, suffix, sizes in [
        ("banking77", "csv", "csv", {"train": 10_003, "test": 3_080}),
        ("movies", "json", "jsonl", {"train": 13_282, "validation": 1_603, "test": 1_610}),
        ("snips", "json", "jsonl", {"train": 13_084, "validation": 700, "test": 700}),
        ("snli", "json", "jsonl", {"train": 9_842, "validation": 4_912, "test": 4_912}),
        ("sts", "json", "jsonl", {"train": 1_727, "validation": 199, "test": 203}),
        ("goemotions", "json", "jsonl", {"train": 43_410, "validation": 5_426, "test": 5_427}),
        ("comve", "json", "jsonl", {"train": 10_000, "validation": 997}),
        ("xquad", "squad", "json", {"train": 786, "validation": 139}),
    ]:
        files = {split: str(shared_data / name / f"{split}.{suffix}") for split in sizes}
        tables = load(cache, path, files)
        assert {split: len(table) for split, table in tables.items()} == sizes


def test_emobank_equals_the_csv_module(shared_data: Path, cache: str) -> None:
    path = shared_data / "emobank" / "emobank.csv"
    table = load(cache, "csv", str(path))["train"]
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for name in ("V", "A", "D"):
        assert table[name][:] == [float(row[name]) for row in rows]
    assert table["text"][:] == [row["text"] or None for row in rows]


def test_a_header_read_as_one_column_suggests_the_delimiter():
    table = datasets.Dataset.from_dict({"body;intent": ["a;b"]})
    with pytest.raises(DataError, match=r"set options: \{delimiter: ';'\}"):
        require_columns(table, ["body"], where="dataset 'tickets', split 'train'")
