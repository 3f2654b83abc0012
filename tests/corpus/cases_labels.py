"""Labels of all kinds that are unknown, of a wrong type, out of range, or do not fit their text."""

from typing import Any

from corpus.cases_files import parquet
from corpus.project import CONLL, CSV, NUM_ROWS, Case

ALL = range(1, NUM_ROWS + 1)
TEXTS = [f"parcel {n}" for n in range(NUM_ROWS)]


def _cell(name: str, column: str, cell: Any, place: str, remedy: str, **config: Any) -> Case:
    """A bad cell in line 5 of the training rows."""
    return Case(name, place, remedy, train={5: {column: cell}}, config=_tasks(config))


def _gold(name: str, column: str, cell: Any, place: str, remedy: str, **config: Any) -> Case:
    """A bad cell in line 3 of the validation rows."""
    return Case(name, place, remedy, validation={3: {column: cell}}, config=_tasks(config))


def _all(name: str, column: str, cell: Any, place: str, remedy: str, **config: Any) -> Case:
    """The same cell in all training rows."""
    return Case(name, place, remedy, train={n: {column: cell} for n in ALL}, config=_tasks(config))


def _column(name: str, task: dict[str, Any], cells: list[Any], place: str, remedy: str) -> Case:
    """A column of parquet as the only label."""
    data = {"path": "parquet", "files": {"train": "train.parquet", "validation": "train.parquet"}, "text": "body"}
    config = {"data": {"tickets": data}, "tasks": {"task": {"data": "tickets", "label": "label", **task}}}
    files = {"train.parquet": parquet(body=TEXTS, label=cells)}
    return Case(name, place, remedy, project="csv", config=config, files=files)


def _tasks(config: dict[str, Any]) -> dict[str, Any]:
    return {f"tasks.{path.replace('__', '.')}": value for path, value in config.items()}


CLASSES = {"kind": "classification"}
CLASSIFICATION = [
    _gold("an unknown label", "intent", "biling", "validation.jsonl, line 3", "Fix the data, or set unknown_label"),
    _gold(
        "a label in other letters",
        "intent",
        "Billing",
        "validation.jsonl, line 3",
        "Fix the data, or set unknown_label",
    ),
    _gold(
        "a label with a space", "intent", "billing ", "validation.jsonl, line 3", "Fix the data, or set unknown_label"
    ),
    _cell(
        "a label that is a number among names",
        "intent",
        3,
        "train.jsonl, line 5, column 'intent'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a label that is a list",
        "intent",
        ["billing"],
        "train.jsonl, line 5, column 'intent'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a label that is an object",
        "intent",
        {"name": "billing"},
        "train.jsonl, line 5, column 'intent'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a label that is true",
        "intent",
        True,
        "train.jsonl, line 5, column 'intent'",
        "Write the column in one way in all rows",
    ),
    _all(
        "one label for all",
        "intent",
        "billing",
        "task 'intent', dataset 'tickets', split 'train':",
        "needs at least two labels",
    ),
    _all(
        "no label at all",
        "intent",
        None,
        "task 'intent', dataset 'tickets', split 'train':",
        "needs labelled training rows",
    ),
    Case(
        "no label to be scored by",
        "task 'intent', dataset 'tickets', split 'validation':",
        "needs labelled rows to train on and to be scored by",
        validation={n: {"intent": None} for n in ALL},
    ),
    _cell(
        "a label that is not among the names",
        "intent",
        "refund",
        "train.jsonl, line 5",
        "Fix the data, or set unknown_label",
        intent__label_names=["billing", "delivery", "account"],
    ),
    Case(
        "names that no row has",
        "task 'intent', dataset 'tickets', split 'train'",
        "Fix label_names",
        config={"tasks.intent.label_names": ["x", "y"]},
    ),
    Case(
        "a name twice",
        "task 'intent', dataset 'tickets', split 'train':",
        "name stands once",
        config={"tasks.intent.label_names": ["billing", "delivery", "account", "billing"]},
    ),
    Case(
        "weights of no label",
        "task 'intent', dataset 'tickets', split 'train':",
        "did you mean 'billing'",
        config={"tasks.intent.class_weights": {"biling": 2}},
    ),
    Case(
        "weights of nothing",
        "task 'intent', dataset 'tickets', split 'train':",
        "give the labels that occur a weight",
        config={"tasks.intent.class_weights": {"billing": 0, "delivery": 0, "account": 0}},
    ),
    Case(
        "a label column that is not there",
        "tasks.intent:",
        "did you mean 'intent'",
        config={"tasks.intent.label": "intend"},
    ),
    Case(
        "a label column in capitals", "tasks.intent:", "did you mean 'intent'", config={"tasks.intent.label": "Intent"}
    ),
    _column(
        "labels that mix lists",
        CLASSES,
        [["a"], ["b"]] * 6,
        "train.parquet, row 1",
        "expected a name or a whole number",
    ),
    _column(
        "a class weight of infinity",
        {**CLASSES, "class_weights": {"a": float("inf")}},
        ["a", "b"] * 6,
        "tasks.task.class_weights.a:",
        "expected a finite number",
    ),
    Case(
        "a label of one class in CSV",
        "task 'intent', dataset 'tickets', split 'train':",
        "needs at least two labels",
        project="csv",
        files={"train.csv": CSV.replace("delivery", "billing").replace("account", "billing")},
    ),
    Case(
        "a label unknown in CSV",
        "validation.csv, row 2",
        "Fix the data, or set unknown_label",
        project="csv",
        files={"validation.csv": CSV.replace("delivery", "parcels", 1)},
    ),
    Case(
        "numbers and names in CSV",
        "validation.csv, row 2",
        "Fix the data, or set unknown_label",
        project="csv",
        files={"validation.csv": CSV.replace("delivery", "7", 1)},
    ),
]

MULTI = {"kind": "multi_label"}
AB = {"label_names": ["a", "b"]}
HOT = {**MULTI, "multi_hot": True}
MULTI_LABEL = [
    _gold(
        "an unknown label in a list",
        "topics",
        ["card", "crad"],
        "validation.jsonl, line 3",
        "Fix the data, or set unknown_label",
    ),
    _cell(
        "a text in place of a list",
        "topics",
        "card",
        "train.jsonl, line 5, column 'topics'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a number in a list of names",
        "topics",
        ["card", 3],
        "train.jsonl, line 5, column 'topics[]'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a null in a list",
        "topics",
        ["card", None],
        "train.jsonl, line 5",
        "expected names or ids, [] for none of them, null for unknown",
    ),
    _all(
        "only empty lists", "topics", [], "task 'topics', dataset 'tickets', split 'train':", "needs rows with labels"
    ),
    _all(
        "texts without a separator",
        "topics",
        "card,app",
        "validation.jsonl, line 1, column 'topics'",
        "Write the column in one way in all rows",
    ),
    Case("a separator for lists", "train.jsonl, line 1", "remove separator", config={"tasks.topics.separator": ","}),
    Case(
        "a separator for numbers",
        "train.jsonl, line 2",
        "labels are names or whole numbers",
        config={"tasks.topics.separator": ",", "tasks.topics.label": "urgency"},
    ),
    Case(
        "0/1 columns that are not there",
        "tasks.intent:",
        "did you mean 'app'",
        project="csv",
        config={"tasks.intent": {"data": "tickets", **HOT, "label": ["card", "ap"]}},
    ),
    Case(
        "a 0/1 column of 2",
        "train.csv, row 1",
        "expected 0, 1 or null for each label",
        project="csv",
        files={"train.csv": CSV.replace(",1,0\n", ",2,0\n", 1)},
        config={"tasks.intent": {"data": "tickets", **HOT, "label": ["card", "app"]}},
    ),
    Case(
        "a 0/1 column of names",
        "train.csv, row 1",
        "expected 0, 1 or null for each label",
        project="csv",
        config={"tasks.intent": {"data": "tickets", **HOT, "label": ["card", "intent"]}},
    ),
    Case(
        "0/1 columns without multi_hot",
        "task 'intent', dataset 'tickets', split 'train':",
        "set multi_hot: true, or name one column of lists",
        project="csv",
        config={"tasks.intent": {"data": "tickets", **MULTI, "label": ["card", "app"]}},
    ),
    Case(
        "a 0/1 column twice",
        "task 'intent', dataset 'tickets', split 'train':",
        "name stands once",
        project="csv",
        config={"tasks.intent": {"data": "tickets", **HOT, "label": ["card", "card"]}},
    ),
    _column(
        "0/1 lists without names",
        HOT,
        [[0, 1]] * 12,
        "task 'task', dataset 'tickets', split 'train':",
        "needs label_names: the name of each position",
    ),
    _column(
        "0/1 lists of unequal lengths",
        {**HOT, **AB},
        [[0, 1], [1, 0, 1]] * 6,
        "train.parquet, row 2",
        "expected one for each",
    ),
    _column(
        "0/1 lists of 2",
        {**HOT, **AB},
        [[0, 1], [1, 2]] * 6,
        "train.parquet, row 2",
        "expected 0, 1 or null for each label",
    ),
    _column(
        "0/1 lists of fractions",
        {**HOT, **AB},
        [[0.0, 1.0], [0.5, 0.0]] * 6,
        "train.parquet, row 2",
        "expected 0, 1 or null for each label",
    ),
    _column(
        "0/1 lists of names",
        {**HOT, **AB},
        [["0", "x"]] * 12,
        "train.parquet, row 1",
        "expected 0, 1 or null for each label",
    ),
    _column("0/1 in place of lists", {**HOT, **AB}, [0, 1] * 6, "train.parquet, row 1", "expected a list of 0 and 1"),
    _column(
        "0/1 lists for fewer names",
        {**HOT, "label_names": ["a", "b", "c"]},
        [[0, 1]] * 12,
        "train.parquet, row 1",
        "expected one for each",
    ),
    _column("empty 0/1 lists", {**HOT, **AB}, [[]] * 12, "train.parquet, row 1", "expected one for each"),
]

NUMBER = {"kind": "regression"}
REGRESSION = [
    _cell(
        "a number that is a text",
        "urgency",
        "high",
        "train.jsonl, line 5, column 'urgency'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a number that is a list",
        "urgency",
        [1.0],
        "train.jsonl, line 5, column 'urgency'",
        "Write the column in one way in all rows",
    ),
    _all("only texts for numbers", "urgency", "high", "train.jsonl, line 1", "expected a number or an empty cell"),
    _all(
        "only nulls for numbers",
        "urgency",
        None,
        "task 'urgency', dataset 'tickets', split 'train':",
        "needs labelled training rows",
    ),
    Case(
        "numbers of a column of names",
        "train.jsonl, line 1",
        "expected a number or an empty cell",
        config={"tasks.urgency.label": "intent"},
    ),
    Case(
        "a target twice",
        "task 'urgency', dataset 'tickets', split 'train':",
        "name stands once",
        config={"tasks.urgency.label": ["urgency", "urgency"]},
    ),
    Case(
        "a target that is not there",
        "tasks.urgency:",
        "has the columns id, body, intent, topics, urgency, entities and no",
        config={"tasks.urgency.label": ["urgency", "calm"]},
    ),
    _column(
        "a number that is infinite",
        NUMBER,
        [1.0, 2.0, float("inf")] * 4,
        "train.parquet, row 3",
        "expected a number or null",
    ),
    _column(
        "a number that is infinitely small",
        NUMBER,
        [1.0, float("-inf"), 2.0] * 4,
        "train.parquet, row 2",
        "expected a number or null",
    ),
    _column(
        "numbers that are NaN",
        NUMBER,
        [float("nan")] * 12,
        "task 'task', dataset 'tickets', split 'train':",
        "needs labelled training rows",
    ),
    Case(
        "a number with a comma in CSV",
        "train.csv, row 2",
        "expected a number or an empty cell",
        project="csv",
        files={"train.csv": CSV.replace(",0.5,", ',"0,5",')},
        config={"tasks.intent": {"data": "tickets", **NUMBER, "label": "urgency"}},
    ),
    Case(
        "a number that is a text in validation",
        "validation.csv, row 2",
        "expected a number or an empty cell",
        project="csv",
        files={"validation.csv": CSV.replace(",0.5,", ",high,")},
        config={"tasks.intent": {"data": "tickets", **NUMBER, "label": "urgency"}},
    ),
    Case(
        "a number that is nan in CSV",
        "train.csv, row 2",
        "expected a number or an empty cell",
        project="csv",
        files={"train.csv": CSV.replace(",0.5,", ",nan,")},
        config={"tasks.intent": {"data": "tickets", **NUMBER, "label": "urgency"}},
    ),
    Case(
        "a number that is inf in CSV",
        "train.csv, row 2",
        "expected a number or an empty cell",
        project="csv",
        files={"train.csv": CSV.replace(",0.5,", ",inf,")},
        config={"tasks.intent": {"data": "tickets", **NUMBER, "label": "urgency"}},
    ),
]


def _span(start: Any, end: Any, label: Any = "PLACE") -> dict[str, Any]:
    return {"label": label, "start": start, "end": end}


SPANS = [
    _cell("a span after the text", "entities", [_span(18, 99)], "train.jsonl, line 5", "Fix the data"),
    _gold("a span after a text of validation", "entities", [_span(18, 99)], "validation.jsonl, line 3", "Fix the data"),
    _cell(
        "a span of nothing",
        "entities",
        [_span(4, 4)],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "a span that ends before it starts",
        "entities",
        [_span(9, 4)],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "a span before the text",
        "entities",
        [_span(-3, 4)],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "a span of half characters",
        "entities",
        [_span(0.5, 4)],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "spans that overlap", "entities", [_span(0, 9), _span(7, 14)], "train.jsonl, line 5", "Remove one of the two"
    ),
    _cell(
        "spans in one another", "entities", [_span(0, 14), _span(7, 9)], "train.jsonl, line 5", "Remove one of the two"
    ),
    _cell(
        "a span without its end",
        "entities",
        [{"label": "PLACE", "start": 3}],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "a span without a label",
        "entities",
        [_span(0, 6, None)],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "a span with a label that is empty",
        "entities",
        [_span(0, 6, "")],
        "train.jsonl, line 5",
        "expected a name and characters 0 ≤ start < end",
    ),
    _cell(
        "a span with a number as label",
        "entities",
        [_span(0, 6, 7)],
        "train.jsonl, line 5, column 'entities[].label'",
        "Write the column in one way in all rows",
    ),
    _cell(
        "a span that is a list",
        "entities",
        [[0, 6, "PLACE"]],
        "train.jsonl, line 5, column 'entities[]'",
        "Write the column in one way in all rows",
    ),
    _cell("a null span", "entities", [None], "train.jsonl, line 5", "expected an object with label, start and end"),
    _cell(
        "spans that are an object",
        "entities",
        _span(0, 6),
        "train.jsonl, line 5, column 'entities'",
        "Write the column in one way in all rows",
    ),
    _gold(
        "a span of an unknown label",
        "entities",
        [_span(0, 6, "PLCE")],
        "validation.jsonl, line 3",
        "Fix the data, or set unknown_label",
    ),
    _all("no span at all", "entities", [], "task 'entities', dataset 'tickets', split 'train':", "needs some"),
    _all(
        "no spans column",
        "entities",
        None,
        "task 'entities', dataset 'tickets', split 'train':",
        "needs labelled training rows",
    ),
    Case(
        "spans of a column of lists",
        "train.jsonl, line 1",
        "expected an object with label, start and end",
        config={"tasks.entities.label": "topics"},
    ),
    Case(
        "tags for raw text",
        "train.jsonl, line 1",
        "Fix the data, or set the task's scheme",
        config={"tasks.entities": {"data": "tickets", "kind": "token_classification", "label": "topics"}},
    ),
    _column(
        "spans of other keys",
        {"kind": "token_classification", "scheme": "spans"},
        [[{"tag": "A", "begin": 0, "end": 2}]] * 12,
        "train.parquet, row 1",
        "expected an object with label, start and end",
    ),
]


def _words(name: str, tags: list[Any], place: str, remedy: str, **options: Any) -> Case:
    """Tags for three words, in parquet; bad ones in row 4."""
    data = {"path": "parquet", "files": {"train": "train.parquet", "validation": "good.parquet"}, "text": "words"}
    task = {"data": "news", "kind": "token_classification", "label": "tags", **options}
    good = [["B-A", "I-A", "O"]] * NUM_ROWS
    words = [["New", "York", "!"]] * NUM_ROWS
    files = {
        "train.parquet": parquet(words=words, tags=[*good[:3], tags, *good[4:]]),
        "good.parquet": parquet(words=words, tags=good),
    }
    return Case(
        name, place, remedy, project="conll", config={"data": {"news": data}, "tasks": {"names": task}}, files=files
    )


TAGS = [
    _words("fewer tags than words", ["B-A", "O"], "train.parquet, row 4", "set scheme: spans)"),
    _words("more tags than words", ["B-A", "O", "O", "O"], "train.parquet, row 4", "set scheme: spans)"),
    _words("no tags for words", [], "train.parquet, row 4", "set scheme: spans)"),
    _words(
        "a null tag",
        ["B-A", None, "O"],
        "train.parquet, row 4",
        "in a scheme of spans every word has a tag, O outside of spans",
    ),
    _words(
        "a tag of another scheme", ["S-A", "O", "O"], "train.parquet, row 4", "Fix the data, or set the task's scheme"
    ),
    _words("a tag without a prefix", ["A", "O", "O"], "train.parquet, row 4", "Fix the data, or set the task's scheme"),
    _words("an empty tag", ["", "O", "O"], "train.parquet, row 4", "Fix the data, or set the task's scheme"),
    _words("a small o", ["o", "O", "O"], "train.parquet, row 4", "Fix the data, or set the task's scheme"),
    _words(
        "a tag of another dash", ["B_A", "O", "O"], "train.parquet, row 4", "Fix the data, or set the task's scheme"
    ),
    Case(
        "a tag that validation alone has",
        "validation.conll, line 1",
        "Fix the data, or set unknown_label",
        project="conll",
        files={"validation.conll": CONLL.replace("B-PLACE", "B-PERSON", 1)},
    ),
    Case(
        "plain tags of spans",
        "train.conll, line 1",
        "expected an object with label, start and end",
        project="conll",
        config={"tasks.names.scheme": "spans"},
    ),
    Case(
        "an unknown plain tag",
        "validation.conll, line 1",
        "Fix the data, or set unknown_label",
        project="conll",
        config={"tasks.names.scheme": "plain"},
        files={"validation.conll": CONLL.replace("B-PLACE", "B-PERSON", 1)},
    ),
    Case(
        "a metric of spans for plain tags",
        "tasks.names.metrics:",
        "expected tag_accuracy or evaluate:<id or path>",
        project="conll",
        config={"tasks.names.scheme": "plain", "tasks.names.metrics": ["span_f1"]},
    ),
]

CASES = [*CLASSIFICATION, *MULTI_LABEL, *REGRESSION, *SPANS, *TAGS]
