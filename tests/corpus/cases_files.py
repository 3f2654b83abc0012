"""Data files that are missing, cut, of another encoding or another shape."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from corpus.project import CONLL, CSV, REMOVED, Case, json_lines


def _json(name: str, text: str | bytes, place: str, remedy: str) -> Case:
    return Case(name, place, remedy, files={"train.jsonl": text})


def _csv(name: str, text: str | bytes, place: str, remedy: str, **config: Any) -> Case:
    changes = {f"data.tickets.{path}": value for path, value in config.items()}
    return Case(name, place, remedy, project="csv", files={"train.csv": text}, config=changes)


def _conll(name: str, text: str | bytes, place: str, remedy: str, **options: Any) -> Case:
    changes = {f"data.news.options.{path}": value for path, value in options.items()}
    return Case(name, place, remedy, project="conll", files={"train.conll": text}, config=changes)


def _parquet(name: str, content: bytes, place: str, remedy: str) -> Case:
    data = {"path": "parquet", "files": {"train": "train.parquet"}, "text": "body"}
    config = {"data.tickets": data}
    return Case(name, place, remedy, project="csv", files={"train.parquet": content}, config=config)


def _squad(name: str, content: str | bytes, place: str, remedy: str) -> Case:
    data = {"path": "squad", "files": {"train": "train.json"}, "text": ["question", "context"]}
    config = {"data.tickets": data, "tasks.intent.label": "title"}
    return Case(name, place, remedy, project="csv", files={"train.json": content}, config=config)


def _parallel(name: str, place: str, remedy: str, *, words: str = "a b\n" * 9, tags: str | bytes = "O O\n" * 9) -> Case:
    files = {"train": {"words": "seq.in", "tags": "seq.out"}}
    data = {"path": "parallel", "files": files, "options": {"words": ["words", "tags"]}, "text": "words"}
    config = {"data.news": data}
    return Case(name, place, remedy, project="conll", files={"seq.in": words, "seq.out": tags}, config=config)


def parquet(**columns: Any) -> bytes:
    """Return a parquet file of some columns."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


GOOD = json_lines({})
LINES = GOOD.splitlines(keepends=True)


def _with_line(number: int, line: str) -> str:
    return "".join([*LINES[: number - 1], line, *LINES[number:]])


JSON = [
    _json(
        "an empty JSON file",
        "",
        "dataset 'tickets', split 'train': file train.jsonl",
        "put rows into it or leave it out of data.tickets.files",
    ),
    _json("blank JSON lines", "\n\n  \n", "dataset 'tickets', split 'train':", "Put rows into it, or leave it out"),
    _json(
        "a JSON line that is cut",
        _with_line(3, '{"id": "t2", "body": "par\n'),
        "train.jsonl, line 3",
        "Write one object on each line, with double quotes",
    ),
    _json(
        "a JSON line without quotes",
        _with_line(5, "{id: 4}\n"),
        "train.jsonl, line 5",
        "Write one object on each line, with double quotes",
    ),
    _json(
        "a JSON line with a comma too many",
        _with_line(2, LINES[1].replace("}\n", ",}\n")),
        "train.jsonl, line 2",
        "Write one object on each line, with double quotes",
    ),
    _json(
        "a JSON line that is a list",
        _with_line(4, '["t3", "parcel"]\n'),
        "train.jsonl, line 4",
        "expected an object with the columns of a row",
    ),
    _json(
        "a JSON line that is a text",
        _with_line(4, '"parcel"\n'),
        "train.jsonl, line 4",
        "expected an object with the columns of a row",
    ),
    _json(
        "a JSON line that is null",
        _with_line(4, "null\n"),
        "train.jsonl, line 4",
        "expected an object with the columns of a row",
    ),
    _json("only null as JSON", "null\n", "train.jsonl, line 1", "expected an object with the columns of a row"),
    _json("a null in a JSON array", f"[{LINES[0]}, null]", "train.jsonl, row 2", "expected an object with the columns"),
    _json(
        "JSON of single quotes",
        _with_line(1, LINES[0].replace('"', "'")),
        "train.jsonl, line 1",
        "Write one object on each line, with double quotes",
    ),
    _json("JSON in UTF-16", GOOD.encode("utf-16"), "train.jsonl, line 1: byte 0xff at offset 0", "{encoding: utf-16}"),
    _json(
        "JSON in latin-1",
        _with_line(3, LINES[2].replace("Berlin", "Zürich")).encode("latin-1"),
        "train.jsonl, line 3: byte 0xfc at offset",
        "Save the file as UTF-8, or name its encoding, as options: {encoding: latin-1}",
    ),
    _json(
        "JSON with half a character",
        _with_line(2, LINES[1].replace("parcel", "\\ud800parcel")),
        "train.jsonl, line 2, column 'body'",
        "Write the character itself",
    ),
    _json(
        "JSON with a NUL",
        _with_line(2, "\0\0\0\0\n"),
        "train.jsonl, line 2",
        "Write one object on each line, with double quotes",
    ),
    _json("a CSV file as JSON", CSV, "train.jsonl, line 1", "Write one object on each line, with double quotes"),
    _json(
        "a parquet file as JSON",
        parquet(body=["a"]),
        "train.jsonl, line 2: byte 0x",
        "this is no text. Set path to the file's format, as parquet",
    ),
    _json(
        "a JSON array that is cut",
        "[" + ",\n".join(LINES)[:-40],
        "train.jsonl, line 23",
        "Close the list, or write one object on each line",
    ),
    _json(
        "a JSON key twice",
        _with_line(
            2,
            LINES[1]
            .replace("}\n", ', "intent": "billing"}\n')
            .replace('"entities": [{"label": "PLACE", "start": 18, "end": 24}]', '"entities": []'),
        ),
        "train.jsonl, line 2",
        "Fix the line",
    ),
    Case(
        "a text column that is a number in JSON",
        "train.jsonl, line 4, column 'body'",
        "Write the column in one way in all rows",
        train={4: {"body": 4}},
    ),
    Case(
        "a text column that is a number everywhere",
        "column 'body' holds int64",
        "data.tickets.text needs text or lists of words",
        train={n: {"body": n} for n in range(1, 13)},
        validation={n: {"body": n} for n in range(1, 13)},
    ),
    Case(
        "a text that is an object",
        "train.jsonl, line 4, column 'body'",
        "Write the column in one way in all rows",
        train={4: {"body": {"text": "parcel"}}},
    ),
    Case(
        "a text column that is missing in train",
        "train.jsonl, line 1, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
        train={n: {"body": REMOVED} for n in range(1, 13)},
    ),
    Case("a misspelt text column", "data.tickets.text:", "did you mean 'body'", config={"data.tickets.text": "bdoy"}),
    Case(
        "an id column that is not there",
        "data.tickets.id:",
        "has the columns id, body, intent, topics, urgency, entities and no 'key'",
        config={"data.tickets.id": "key"},
    ),
    Case(
        "an empty text",
        "train.jsonl, line 5, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
        train={5: {"body": ""}},
    ),
    Case(
        "a blank text in validation",
        "validation.jsonl, line 2, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
        validation={2: {"body": " \t "}},
    ),
    Case(
        "a null text",
        "train.jsonl, line 7, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
        train={7: {"body": None}},
    ),
    Case(
        "only empty texts",
        "dataset 'tickets', split 'train'",
        "check data.tickets.text",
        config={"data.tickets.filter": {"drop_empty": True}},
        train={n: {"body": " "} for n in range(1, 13)},
    ),
    Case(
        "a null among words",
        "train.jsonl, line 3, column 'words'",
        "Fix the data",
        config={"data.tickets.text": "words"},
        train={n: {"words": ["a", None if n == 3 else "b"]} for n in range(1, 13)},
        validation={n: {"words": ["a", "b"]} for n in range(1, 13)},
    ),
    Case(
        "words in a pair",
        "data.tickets.text:",
        "needs two columns of text",
        config={"data.tickets.text": ["topics", "body"], "tasks.entities": REMOVED},
        train={n: {"topics": ["a"]} for n in range(1, 13)},
        validation={n: {"topics": ["a"]} for n in range(1, 13)},
    ),
    Case("tags of a pair", "tasks.entities", "reads text or words", config={"data.tickets.text": ["id", "body"]}),
]

FILES = [
    Case(
        "a file that is not there",
        "there is no file train.jsonl",
        "set data.tickets.files",
        files={"train.jsonl": None},
    ),
    Case(
        "a misspelt file",
        "there is no file tarin.jsonl",
        "set data.tickets.files; did you mean 'train.jsonl'?",
        config={"data.tickets.files": {"train": "tarin.jsonl"}},
    ),
    Case(
        "a folder that is not there",
        "there is no file rows/train.jsonl",
        "set data.tickets.files; there is no folder rows",
        config={"data.tickets.files": {"train": "rows/train.jsonl"}},
    ),
    Case(
        "a glob of nothing",
        "no file matches *.json",
        "set data.tickets.files",
        config={"data.tickets.files": {"train": "*.json"}},
    ),
    Case(
        "a directory as a file",
        "train.jsonl is a directory",
        "name its files, as train.jsonl/*",
        files={"train.jsonl": None, "train.jsonl/": None},
    ),
    Case("no files", "data.tickets.files:", "needs files, as {train: train", config={"data.tickets.files": REMOVED}),
    Case(
        "an empty list of files",
        "data.tickets.files.train:",
        "name one, as train.csv",
        config={"data.tickets.files": {"train": []}},
    ),
    Case("a format that is misspelt", "path 'jsno'", "did you mean 'json'?", config={"data.tickets.path": "jsno"}),
    Case(
        "a file as a path",
        "path train.jsonl is a file",
        "set path: json and files: {train: train.jsonl}",
        config={"data.tickets.path": "train.jsonl", "data.tickets.files": REMOVED},
    ),
    Case(
        "files of other columns",
        "validation.csv has the columns body, label",
        "All files of a dataset need the same columns",
        project="csv",
        files={"validation.csv": "body,label\na,b\n"},
    ),
    Case(
        "a split of ours that is not",
        "data.tickets.splits.test:",
        "did you mean 'validation'",
        config={"data.tickets.splits": {"test": "validatoin"}},
    ),
    Case(
        "only splits of theirs",
        "data.tickets.splits",
        "Map them: data.tickets.splits: {train: dev}",
        config={"data.tickets.files": {"dev": "train.jsonl"}},
    ),
    Case(
        "no train split",
        "data.tickets:",
        "set split: {validation: 0.1}",
        config={"data.tickets.files": {"validation": "validation.jsonl"}},
    ),
    Case(
        "a limit of a split that is not there",
        "data.tickets.limit.test:",
        "remove the limit",
        config={"data.tickets.limit": {"test": 5}},
    ),
    Case(
        "a split that is there",
        "data.tickets.split.validation:",
        "remove the key",
        config={"data.tickets.split": {"validation": 0.1}},
    ),
    Case(
        "a split that gets no row",
        "data.tickets.split",
        "give more rows",
        config={"data.tickets.files": {"train": "train.jsonl"}, "data.tickets.split": {"validation": 0.0001}},
    ),
    Case(
        "a column split of two files",
        "data.tickets.split.column:",
        "Remove the key, or give one file",
        config={"data.tickets.split": {"column": "intent"}},
    ),
    Case(
        "a column split with other values",
        "data.tickets.split.values",
        "Map each in data.tickets.split.values, as {dev: validation}",
        config={"data.tickets.files": "train.jsonl", "data.tickets.split": {"column": "intent"}},
    ),
    Case(
        "a column split without its column",
        "data.tickets.split.column:",
        "has the columns id, body, intent, topics, urgency, entities and no",
        config={"data.tickets.files": "train.jsonl", "data.tickets.split": {"column": "part"}},
    ),
    Case("a revision of files", "data.tickets.revision:", "remove it", config={"data.tickets.revision": "main"}),
    Case("a name of files", "data.tickets.name:", "remove it", config={"data.tickets.name": "rte"}),
    Case(
        "options of another format",
        "data.tickets.options.delimiter:",
        "json has the options",
        config={"data.tickets.options": {"delimiter": ";"}},
    ),
    Case(
        "an option of a wrong type",
        "data.tickets.options.chunksize:",
        "expected a whole number",
        config={"data.tickets.options": {"chunksize": "many"}},
    ),
    Case(
        "a streaming dataset",
        "data.tickets.options.streaming:",
        "Remove the option; rows stay on disk and are memory-mapped",
        config={"data.tickets.options": {"streaming": True}},
    ),
    Case(
        "a saved directory that is cut",
        "dataset 'tickets':",
        "Write it again with save_to_disk",
        config={"data.tickets": {"path": "saved", "text": "body"}},
        files={"saved/dataset_dict.json": '{"splits": ["train"]}'},
    ),
    Case(
        "a saved directory that is no JSON",
        "dataset 'tickets':",
        "Write it again with save_to_disk",
        config={"data.tickets": {"path": "saved", "text": "body"}},
        files={"saved/state.json": "{"},
    ),
    Case(
        "a saved directory with files",
        "data.tickets.files:",
        "remove it",
        config={"data.tickets.path": "saved"},
        files={"saved/dataset_dict.json": '{"splits": []}'},
    ),
    Case(
        "an empty directory as a path",
        "path './empty'",
        "A path is a format of files",
        config={"data.tickets": {"path": "./empty", "text": "body"}},
        files={"empty/": None},
    ),
    Case(
        "a hub id that is not in the cache",
        "path 'nobody/has-this'",
        "or the id of a dataset on the hub, which must be reachable or in the cache",
        config={"data.tickets": {"path": "nobody/has-this", "text": "body"}},
    ),
]

ROWS = CSV.splitlines(keepends=True)


def _row(number: int, line: str) -> str:
    return "".join([*ROWS[:number], line, *ROWS[number + 1 :]])


CSVS = [
    _csv(
        "an empty CSV file",
        "",
        "dataset 'tickets', split 'train': file train.csv",
        "put rows into it or leave it out of data.tickets.files",
    ),
    _csv("a CSV file without rows", ROWS[0], "dataset 'tickets', split 'train':", "Put rows into it, or leave it out"),
    _csv(
        "a CSV row of too many cells",
        _row(3, "t2,a,b,c,d,e,f,g\n"),
        "train.csv, line 4",
        "Quote cells that hold the delimiter",
    ),
    _csv(
        "a CSV row of too few cells",
        _row(3, "t2,parcel\n"),
        "train.csv, line 4",
        "Fix the line: an empty cell still has its delimiter",
    ),
    _csv(
        "an open quote in CSV",
        _row(3, 't2,"parcel my card,delivery,1.0,1,0\n'),
        "train.csv, line 4",
        "Close it, or double it inside of a cell",
    ),
    _csv("CSV of semicolons", CSV.replace(",", ";"), "train.csv has id;body", "set options: {delimiter: ';'}"),
    _csv("CSV of tabs", CSV.replace(",", "\t"), "train.csv has id\tbody", "set options: {delimiter: '\\t'}"),
    _csv(
        "CSV in latin-1",
        _row(3, ROWS[3].replace("Berlin", "Zürich")).encode("latin-1"),
        "train.csv, line 4",
        "Save the file as UTF-8",
    ),
    _csv("CSV in UTF-16", CSV.encode("utf-16"), "train.csv, line 1", "Save the file as UTF-8"),
    _csv("a CSV column twice", CSV.replace("card,app\n", "card,card\n"), "train.csv, line 1", "Name every column once"),
    _csv(
        "CSV rows of more cells than columns",
        CSV.replace("\n", ",\n").replace("app,\n", "app\n"),
        "dataset 'tickets'",
        "Name every column, in the header or in options",
    ),
    _csv("CSV without a header", "".join(ROWS[1:]), "train.csv has t0, refund my card", "need the same columns"),
    _csv("CSV of blank lines", "\n\n\n", "dataset 'tickets', split 'train', train.csv:", "Write a header and rows"),
    _csv(
        "an empty text in CSV",
        _row(5, "t4,,billing,2.0,1,0\n"),
        "train.csv, row 5, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
    ),
    _csv(
        "numbers as texts in CSV",
        "body,intent\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(9)),
        "train.csv has body, intent",
        "need the same columns",
    ),
    _csv(
        "a parquet file as CSV", parquet(body=["a"]), "train.csv, line 2", "Set path to the file's format, as parquet"
    ),
    _csv(
        "a misspelt option of CSV",
        CSV,
        "data.tickets.options.delimeter:",
        "did you mean 'delimiter'",
        options={"delimeter": ";"},
    ),
    _csv(
        "a delimiter of CSV that is a number",
        CSV,
        "data.tickets.options.delimiter:",
        "expected text or null",
        options={"delimiter": 5},
    ),
    _csv(
        "an encoding that is not known",
        CSV,
        "data.tickets.options.encoding:",
        "expected one as utf-8 or latin-1",
        options={"encoding": "utf-99"},
    ),
    _csv(
        "names for fewer columns",
        CSV,
        "dataset 'tickets'",
        "Name every column, in the header or in options",
        options={"column_names": ["id", "body"]},
    ),
]

SQUADS = [
    _squad(
        "SQuAD without a context",
        '{"data": [{"title": "A", "paragraphs": [{"qas": []}]}]}',
        "dataset 'tickets', split 'train', train.json, article 1, paragraph 1: there is no 'context'",
        'SQuAD is {"data": [{"title", "paragraphs"',
    ),
    _squad("a list as SQuAD", "[]", "train.json, the file: expected an object with 'data'", "SQuAD is"),
    _squad("SQuAD that is cut", '{"data": [\n{"title": "A"', "train.json, line 2: no JSON", "Write the file again"),
    _squad(
        "SQuAD in latin-1",
        '{"data": "Zürich"}'.encode("latin-1"),
        "line 1: byte 0xfc at offset 11 is no UTF-8 (",
        "latin-1",
    ),
]

PARALLELS = [
    _parallel("a parallel file that is short", "seq.out, line 9", "give them equal numbers of lines", tags="O O\n" * 8),
    _parallel(
        "a parallel line without a tag", "seq.out, line 2", "Write one for each word", tags="O O\nO\n" + "O O\n" * 7
    ),
    _parallel("parallel files in latin-1", "seq.out, line 1: byte 0xe9 at offset 2", "latin-1", tags=b"O \xe9\n" * 9),
    Case(
        "parallel files without columns",
        "data.news.files.train:",
        "a file for each column, as {train: {tokens:",
        project="conll",
        config={"data.news.path": "parallel", "data.news.options": {}},
    ),
    Case(
        "a file for each column of CoNLL",
        "data.news.files.train:",
        "Name the split's files, as train.conll",
        project="conll",
        config={"data.news.files": {"train": {"tokens": "train.conll"}}},
    ),
]

CONLLS = [
    _conll(
        "a CoNLL line without its tag",
        CONLL.replace("nice O", "nice", 1),
        "train.conll, line 3",
        "Fix the line, or set options.column_names or options.delimiter",
    ),
    _conll(
        "a CoNLL line with a tag too many",
        CONLL.replace("nice O", "nice O O", 1),
        "train.conll, line 3",
        "Fix the line, or set options.column_names or options.delimiter",
    ),
    _conll(
        "CoNLL with tabs and spaces",
        CONLL.replace(" ", "\t"),
        "train.conll, line 1",
        "Fix the line, or set options.column_names or options.delimiter",
        delimiter=" ",
    ),
    _conll(
        "CoNLL of an unknown tag",
        CONLL.replace("nice O", "nice X-BIG", 1),
        "train.conll, line 1",
        "Fix the data, or set the task's scheme",
    ),
    _conll(
        "CoNLL of a tag without a label",
        CONLL.replace("nice O", "nice B-", 1),
        "train.conll, line 1",
        "Fix the data, or set the task's scheme",
    ),
    _conll(
        "CoNLL in latin-1",
        CONLL.replace("Berlin", "Zürich", 1).encode("latin-1"),
        "train.conll, line 1",
        "Save the file as UTF-8",
    ),
    _conll(
        "CoNLL without a sentence",
        "-DOCSTART- O\n\n",
        "dataset 'news', split 'train', train.conll:",
        "Put rows into it or leave it out of files",
    ),
    _conll(
        "CoNLL of blank lines",
        "\n\n",
        "dataset 'news', split 'train', train.conll:",
        "Put rows into it or leave it out of files",
    ),
    _conll(
        "CoNLL without a span",
        CONLL.replace("B-PLACE", "O"),
        "task 'names', dataset 'news', split 'train':",
        "needs some",
    ),
    Case(
        "CoNLL without column names",
        "data.news.options.column_names:",
        "need the names of their columns, words first, as {column_names:",
        project="conll",
        config={"data.news.options": {}},
    ),
    Case(
        "CoNLL column names that are a text",
        "data.news.options.column_names:",
        "expected a list of text",
        project="conll",
        config={"data.news.options.column_names": "tokens"},
    ),
    Case(
        "a label of CoNLL that is no column",
        "tasks.names:",
        "has the columns tokens, tags and no 'ner'",
        project="conll",
        config={"tasks.names.label": "ner"},
    ),
    Case(
        "a text of CoNLL that is no column",
        "data.news.text:",
        "has the columns tokens, tags and no 'words'",
        project="conll",
        config={"data.news.text": "words"},
    ),
    Case(
        "a line of CoNLL-U that is cut",
        "train.conll, line 1",
        "Fix the line, or set options.column_names or options.delimiter",
        project="conll",
        files={"train.conll": "1\tBerlin\t_\tPROPN\n\n"},
        config={
            "data.news.path": "conllu",
            "data.news.options": REMOVED,
            "data.news.text": "form",
            "tasks.names": {"data": "news", "kind": "token_classification", "label": "upos", "scheme": "plain"},
        },
    ),
]

TEXTS, INTENTS = [f"parcel {n}" for n in range(12)], ["a", "b"] * 6
PARQUETS = [
    _parquet(
        "a parquet file that is cut",
        parquet(body=TEXTS, intent=INTENTS)[:-20],
        "data.tickets.path",
        "Write the file again, or set data",
    ),
    _parquet(
        "a parquet file of zeros",
        b"PAR1" + bytes(200) + b"PAR1",
        "data.tickets.path",
        "Write the file again, or set data",
    ),
    _parquet("text as parquet", b"body,intent\n", "data.tickets.path", "Write the file again, or set data"),
    _parquet(
        "a parquet file without rows",
        parquet(body=pa.array([], "string"), intent=pa.array([], "string")),
        "dataset 'tickets', split 'train', train.parquet:",
        "Put rows into it or leave it out of files",
    ),
    _parquet(
        "a parquet text of bytes",
        parquet(body=[b"a", b"b"] * 6, intent=INTENTS),
        "data.tickets.text",
        "needs text or lists of words",
    ),
    _parquet(
        "a null in parquet",
        parquet(body=[*TEXTS[:3], None, *TEXTS[4:]], intent=INTENTS),
        "train.parquet, row 4, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
    ),
    _parquet(
        "a label of bytes in parquet",
        parquet(body=TEXTS, intent=[b"a", b"b"] * 6),
        "train.parquet, row 1",
        "expected a name or a whole number",
    ),
    _parquet(
        "a label that is a fraction in parquet",
        parquet(body=TEXTS, intent=[0.0, 1.0, 0.5] * 4),
        "train.parquet, row 3",
        "labels are names or whole numbers (kind: regression?)",
    ),
    _parquet(
        "a label that is a date in parquet",
        parquet(body=TEXTS, intent=pa.array([1, 2] * 6, pa.date32())),
        "train.parquet, row 1",
        "expected a name or a whole number",
    ),
    _parquet(
        "words of numbers in parquet",
        parquet(body=[[1, 2]] * 12, intent=INTENTS),
        "data.tickets.text",
        "needs text or lists of words",
    ),
    _parquet(
        "only nulls in parquet",
        parquet(body=TEXTS, intent=pa.array([None] * 12, "string")),
        "task 'intent', dataset 'tickets', split 'train':",
        "needs labelled training rows",
    ),
]

CASES = [*JSON, *FILES, *CSVS, *CONLLS, *PARQUETS, *SQUADS, *PARALLELS]
