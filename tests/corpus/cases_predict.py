"""Models that are none, and files that cannot be answered or scored."""

from collections.abc import Mapping

from corpus.cases_files import parquet
from corpus.project import Case, Content, ticket

GOOD = "id,body\n" + "".join(f"t{n},{ticket(n)['body']}\n" for n in range(4))


def _predict(
    name: str,
    files: Mapping[str, Content | None],
    place: str,
    remedy: str,
    *more: str,
    source: str = "in.csv",
    target: str = "out.jsonl",
) -> Case:
    return Case(name, place, remedy, files=files, command=("predict", "{model}", source, target, *more))


PREDICT = [
    _predict("no file to answer", {}, "in.csv:", "no such file"),
    _predict("a directory to answer", {"in.csv/": None}, "in.csv:", "is a directory; name a file"),
    _predict(
        "a file of another kind",
        {"in.xlsx": "PK"},
        "in.xlsx:",
        "expected a name that ends in .csv, .tsv, .jsonl, .parquet",
        source="in.xlsx",
    ),
    _predict(
        "answers of another kind",
        {"in.csv": GOOD},
        "out.txt:",
        "expected a name that ends in .csv, .tsv, .jsonl, .parquet",
        target="out.txt",
    ),
    _predict(
        "answers into a directory", {"in.csv": GOOD, "out.csv/": None}, "out.csv:", "name a file", target="out.csv"
    ),
    _predict("no text column", {"in.csv": "id,text\n1,hello\n"}, "in.csv:", "intent reads 'body'"),
    _predict(
        "a text column that is misspelt",
        {"in.csv": "bdoy\nhello\n"},
        "in.csv:",
        "task 'intent' reads 'body'; the rows have 'bdoy'",
        "--tasks",
        "intent",
    ),
    _predict("a header twice", {"in.csv": "body,body\na,b\n"}, "in.csv:", "two columns have the same name"),
    _predict("a row of too many cells", {"in.csv": "body\nhello\na,b\n"}, "in.csv: line 3", "the header has 1"),
    _predict("a row of too few cells", {"in.csv": "id,body\n1,hello\n2\n"}, "in.csv: line 3", "the header has 2"),
    _predict(
        "an open quote to answer", {"in.csv": 'body\n"hello\n'}, "in.csv: line 2", "a quote inside a cell is doubled"
    ),
    _predict(
        "a quote in a cell to answer",
        {"in.csv": 'body\n"hel"lo\n'},
        "in.csv: line 2",
        "a quote inside a cell is doubled",
    ),
    _predict(
        "latin-1 to answer",
        {"in.csv": "body\nZürich\n".encode("latin-1")},
        "in.csv: line 2: byte 0xfc at offset 6",
        "Save the file",
    ),
    _predict(
        "UTF-16 to answer",
        {"in.csv": "body\nZürich\n".encode("utf-16")},
        "in.csv: line 1: byte 0xff at offset 0",
        "Save the file",
    ),
    _predict(
        "an empty text to answer",
        {"in.csv": "id,body\nt1,hello\nt2,\n"},
        "in.csv: row 2, 'body':",
        "expected a text that is not empty",
    ),
    _predict(
        "a blank text to answer",
        {"in.csv": "id,body\nt1,hello\nt2,  \n"},
        "in.csv: row 2, 'body':",
        "expected a text that is not empty",
    ),
    _predict(
        "a line of JSON that is cut",
        {"in.jsonl": '{"body": "a"}\n{"body": \n'},
        "in.jsonl: line 2",
        "no JSON: Expecting value",
        source="in.jsonl",
    ),
    _predict(
        "a line of JSON that is a list",
        {"in.jsonl": '{"body": "a"}\n["b"]\n'},
        "in.jsonl: line 2:",
        "expected an object with the columns of a row",
        source="in.jsonl",
    ),
    _predict(
        "a deep line of JSON",
        {"in.jsonl": '{"body": ' + "[" * 100_000 + "\n"},
        "in.jsonl: line 1",
        "no JSON: maximum recursion depth",
        source="in.jsonl",
    ),
    _predict(
        "half a character to answer",
        {"in.jsonl": '{"body": "\\ud800"}\n'},
        "in.jsonl: row 1, 'body'",
        "no valid Unicode",
        source="in.jsonl",
    ),
    _predict(
        "a number to answer",
        {"in.jsonl": '{"body": "a"}\n{"body": 3}\n'},
        "in.jsonl: row 2, 'body':",
        "expected a text that is not empty",
        source="in.jsonl",
    ),
    _predict(
        "a null to answer",
        {"in.jsonl": '{"body": "a"}\n{"body": null}\n'},
        "in.jsonl: row 2, 'body':",
        "expected a text that is not empty",
        source="in.jsonl",
    ),
    _predict(
        "words with a null to answer",
        {"in.jsonl": '{"body": ["a", null]}\n'},
        "in.jsonl: row 1, 'body':",
        "expected a list of words",
        source="in.jsonl",
    ),
    _predict(
        "no words to answer",
        {"in.jsonl": '{"body": []}\n'},
        "in.jsonl: row 1, 'body':",
        "expected a list of words",
        source="in.jsonl",
    ),
    _predict(
        "a column that a row lacks",
        {"in.jsonl": '{"body": "a"}\n{"text": "b"}\n'},
        "in.jsonl: row 2, 'body':",
        "it has 'text'",
        source="in.jsonl",
    ),
    _predict(
        "no parquet to answer",
        {"in.parquet": "body\n"},
        "in.parquet:",
        "cannot be read as parquet",
        source="in.parquet",
    ),
    _predict(
        "a cut parquet to answer",
        {"in.parquet": parquet(body=["a"])[:-9]},
        "in.parquet:",
        "cannot be read as parquet",
        source="in.parquet",
    ),
    _predict(
        "bytes to answer",
        {"in.parquet": parquet(body=[b"a"])},
        "in.parquet: row 1, 'body':",
        "expected a text that is not empty",
        source="in.parquet",
    ),
    _predict(
        "a task of nobody", {"in.csv": GOOD}, "unknown task 'intnet'", "did you mean 'intent'?", "--tasks", "intnet"
    ),
    _predict(
        "an empty task",
        {"in.csv": GOOD},
        "unknown task ''",
        "the model answers intent, topics, urgency, entities",
        "--tasks",
        "intent,,urgency",
    ),
    _predict("an id column of nobody", {"in.csv": GOOD}, "in.csv:", "it has 'id', 'body'", "--id", "key"),
    _predict(
        "a renamed column of nobody", {"in.csv": GOOD}, "in.csv:", "it has 'id', 'body'", "--columns", "body=text"
    ),
    _predict(
        "a column that the model does not read",
        {"in.csv": GOOD},
        "--columns text=…",
        "the model reads 'body'",
        "--columns",
        "text=body",
    ),
    _predict(
        "columns without an equals sign",
        {"in.csv": GOOD},
        "--columns 'body'",
        "expected name=column, as in body=message",
        "--columns",
        "body",
    ),
    _predict(
        "columns without a name",
        {"in.csv": GOOD},
        "--columns '=body'",
        "expected name=column, as in body=message",
        "--columns",
        "=body",
    ),
]

DATA = {"in.csv": GOOD}
MODELS = [
    Case(
        "no model",
        "no model './none'",
        "A name is a directory that holds tasks.json",
        files=DATA,
        command=("predict", "./none", "in.csv", "out.csv"),
    ),
    Case(
        "a file as a model",
        "no model 'in.csv'",
        "A name is a directory that holds tasks.json",
        files=DATA,
        command=("predict", "in.csv", "in.csv", "out.csv"),
    ),
    Case(
        "an empty directory as a model",
        "empty holds no tasks: tasks.json",
        "name it under encoder.name",
        files={**DATA, "empty/": None},
        command=("predict", "empty", "in.csv", "out.csv"),
    ),
    Case(
        "an encoder as a model",
        "encoder holds no tasks: tasks.json",
        "name it under encoder.name",
        files={**DATA, "encoder/config.json": '{"model_type": "bert"}'},
        command=("predict", "encoder", "in.csv", "out.csv"),
    ),
    Case(
        "a run directory as a model",
        "run holds no tasks: tasks.json",
        "name it under encoder.name",
        files={**DATA, "run/config.yaml": "output: run\n", "run/plan.json": "{}"},
        command=("predict", "run", "in.csv", "out.csv"),
    ),
    Case(
        "a directory of pickles as a model",
        "old holds no tasks: tasks.json",
        "name it under encoder.name",
        files={**DATA, "old/pytorch_model.bin": b"\x80\x02.", "old/config.json": "{}"},
        command=("predict", "old", "in.csv", "out.csv"),
    ),
    Case(
        "no model to score",
        "no model './none'",
        "A name is a directory that holds tasks.json",
        command=("evaluate", "./none", "config.yaml"),
    ),
    Case(
        "no split to score",
        "nothing to score",
        "no dataset has a test split with labels",
        command=("evaluate", "{model}", "config.yaml", "--split", "test"),
    ),
    Case(
        "a dataset without the text to score",
        "validation.jsonl, line 1",
        "Fix the data",
        config={"data.tickets.text": "id"},
        command=("evaluate", "{model}", "config.yaml"),
    ),
    Case(
        "a label to score that training never had",
        "validation.jsonl, line 2",
        "Fix the data, or set unknown_label",
        validation={2: {"intent": "biling"}},
        command=("evaluate", "{model}", "config.yaml"),
    ),
    Case(
        "a kind to score that is another",
        "tasks.urgency.kind",
        "but the model holds it as regression",
        config={"tasks.urgency": {"data": "tickets", "kind": "classification", "label": "intent"}},
        command=("evaluate", "{model}", "config.yaml"),
    ),
    Case(
        "a task to score that is not in the model",
        "tasks.mood:",
        "the model has no such task",
        config={"tasks": {"mood": {"data": "tickets", "kind": "regression", "label": "urgency"}}},
        command=("evaluate", "{model}", "config.yaml"),
    ),
    Case(
        "a model to start from that is none",
        "no model './none'",
        "A name is a directory that holds tasks.json",
        config={"encoder.name": None, "init_from": "./none"},
    ),
    Case(
        "a run that is there already",
        "run:",
        "choose another",
        files={"run/config.yaml": "output: run\n"},
        command=("train", "config.yaml"),
    ),
    Case("an output that is a file", "run:", "choose another", files={"run": "mine"}, command=("train", "config.yaml")),
    Case(
        "an output below a file",
        "mine/run:",
        "check the path and the disk",
        files={"mine": "mine"},
        config={"output": "mine/run"},
        command=("train", "config.yaml"),
    ),
    Case(
        "bad rows to train on",
        "train.jsonl, line 3, column 'body'",
        "Fix the data, or set data.tickets.filter.drop_empty",
        train={3: {"body": ""}},
        command=("train", "config.yaml"),
    ),
    Case(
        "nothing to push",
        "none is no directory",
        "Name the one to push",
        command=("push", "./none", "me/model", "--dry-run"),
    ),
    Case(
        "a directory of others to push",
        "mine holds no tasks: tasks.json",
        "name it under encoder.name",
        files={"mine/notes.txt": "x"},
        command=("push", "mine", "me/model", "--dry-run"),
    ),
]

CASES = [*PREDICT, *MODELS]
