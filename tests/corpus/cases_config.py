"""Configs that are no YAML, hold what they must not, or contradict themselves, and overrides."""

from datetime import date

from corpus.project import REMOVED, Case

_HEAD = "output: run\nencoder: {name: bert}\n"
_DATA = "data: {tickets: {path: csv, files: train.csv, text: body}}\n"
_TASKS = "tasks: {intent: {data: tickets, kind: classification, label: intent}}\n"


def _yaml(name: str, text: str | bytes, place: str, remedy: str) -> Case:
    return Case(name, place, remedy, files={"config.yaml": text})


def _set(name: str, path: str, value: object, place: str, remedy: str) -> Case:
    return Case(name, place, remedy, config={path: value})


def _override(name: str, text: str, place: str, remedy: str) -> Case:
    return Case(name, place, remedy, command=("check", "config.yaml", "--set", text))


_LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))

YAML = [
    _yaml(
        "a tab as indentation",
        f"{_HEAD}data:\n\ttickets: 1\n",
        "config.yaml: not plain YAML … (line 4)",
        "Indent with spaces, quote text that holds : # [ ] { } or @, and close",
    ),
    _yaml(
        "an open bracket",
        f"{_HEAD}{_DATA}tasks: [",
        "config.yaml: not plain YAML … (line 4)",
        "Close each bracket and quote, and indent the keys of a section equally",
    ),
    _yaml(
        "an open quote",
        f'{_HEAD}seed: "13\n',
        "config.yaml: not plain YAML … (line 4)",
        "Indent with spaces, quote text that holds : # [ ] { } or @, and close",
    ),
    _yaml(
        "a python object",
        f"{_HEAD}seed: !!python/object:os.system {{}}\n",
        "config.yaml: not plain YAML … (line 3)",
        "a config holds text, numbers, true, false, null, lists and mappings",
    ),
    _yaml(
        "a python call",
        f"{_HEAD}seed: !!python/object/apply:os.system [true]\n",
        "config.yaml: not plain YAML … (line 3)",
        "a config holds text, numbers, true, false, null, lists and mappings",
    ),
    _yaml(
        "a tag of nobody",
        f"{_HEAD}seed: !secret 13\n",
        "config.yaml: not plain YAML … (line 3)",
        "a config holds text, numbers, true, false, null, lists and mappings",
    ),
    _yaml(
        "an alias of nothing",
        f"{_HEAD}seed: *base\n",
        "config.yaml: not plain YAML … (line 3)",
        "Write one document, and each alias after its anchor",
    ),
    _yaml("an alias in itself", f"{_HEAD}seed: &a [*a]\n", "config.yaml: not plain YAML … (line 3)", "write it out"),
    _yaml("a bomb of aliases", f"{_HEAD}{_LAUGHS}", "config.yaml: not plain YAML … (line 8)", "write them out"),
    _yaml(
        "a depth without end",
        f"{_HEAD}seed: {'[' * 5000}",
        "config.yaml: not plain YAML … (line 3)",
        "write it flatter",
    ),
    _yaml(
        "a merge of no mapping", f"{_HEAD}seed: {{<<: 3}}\n", "config.yaml: not plain YAML … (line 3)", "Keys are text"
    ),
    _yaml(
        "a day that is not",
        f"{_HEAD}seed: 2026-13-45\n",
        "config.yaml: not plain YAML … (line 3)",
        "quote it if it is text",
    ),
    _yaml(
        "a tagged number that is none",
        f"{_HEAD}seed: !!int thirteen\n",
        "config.yaml: not plain YAML … (line 3)",
        "quote it if it is text",
    ),
    _yaml(
        "a tagged truth that is none",
        f"{_HEAD}seed: !!bool perhaps\n",
        "config.yaml: not plain YAML … (line 3)",
        "quote it if it is text",
    ),
    _yaml(
        "a number of too many digits",
        f"{_HEAD}seed: {'9' * 5000}\n",
        "config.yaml: not plain YAML … (line 3)",
        "quote it if it is text",
    ),
    _yaml("a key that is a list", f"{_HEAD}? [a, b]\n: 1\n", "config.yaml: not plain YAML … (line 3)", "Keys are text"),
    _yaml("a key that is a number", f"{_HEAD}{_DATA}{_TASKS}13: seed\n", "13:", "expected a key of text"),
    _yaml(
        "a key twice", f"{_HEAD}{_DATA}{_TASKS}output: other\n", "config.yaml: not plain YAML … (line 5)", "remove one"
    ),
    _yaml(
        "a task twice",
        f"{_HEAD}{_DATA}tasks:\n  intent: {{}}\n  intent: {{}}\n",
        "config.yaml: not plain YAML … (line 6)",
        "remove one",
    ),
    _yaml(
        "two documents",
        f"{_HEAD}{_DATA}{_TASKS}---\nseed: 1\n",
        "config.yaml: not plain YAML … (line 5)",
        "Write one document, and each alias after its anchor",
    ),
    _yaml("no document", "", "config.yaml:", "expected a mapping with output, encoder, data and tasks"),
    _yaml("only a comment", "# soon\n", "config.yaml:", "expected a mapping with output, encoder, data and tasks"),
    _yaml("a list", "- output\n", "config.yaml:", "expected a mapping with output, encoder, data and tasks"),
    _yaml("a text", "tickets\n", "config.yaml:", "expected a mapping with output, encoder, data and tasks"),
    _yaml("a NUL", f"{_HEAD}{_DATA}{_TASKS}seed: \0\n", "config.yaml: not plain YAML … (line 5)", "Remove it"),
    _yaml("latin-1", f"{_HEAD}# für alle\n".encode("latin-1"), "config.yaml, line 3:", "Save the file as UTF-8"),
    _yaml("UTF-16", f"{_HEAD}{_DATA}{_TASKS}".encode("utf-16"), "config.yaml, line 1:", "Save the file as UTF-8"),
    _yaml(
        "a CSV file",
        "body,intent\nhello,greeting\n",
        "config.yaml:",
        "expected a mapping with output, encoder, data and tasks",
    ),
    _yaml(
        "JSON that is cut",
        '{"output": "run", "encoder": {',
        "config.yaml: not plain YAML … (line 1)",
        "Close each bracket and quote, and indent the keys of a section equally",
    ),
    Case("no config", "config.yaml:", "expected a config in YAML", files={"config.yaml": None}),
    Case(
        "a directory as config",
        "config.yaml:",
        "name a config in YAML",
        files={"config.yaml": None, "config.yaml/": None},
    ),
]

VALUES = [
    _set("epochs below zero", "training.epochs", -1, "training.epochs:", "expected a number above 0"),
    _set("no epochs", "training.epochs", 0, "training.epochs:", "expected a number above 0"),
    _set("epochs in words", "training.epochs", "three", "training.epochs:", "expected a number"),
    _set("epochs that are no number", "training.epochs", float("nan"), "training.epochs:", "expected a finite number"),
    _set("endless epochs", "training.epochs", float("inf"), "training.epochs:", "expected a finite number"),
    _set("epochs that are true", "training.epochs", True, "training.epochs:", "expected a number"),
    _set("epochs as a list", "training.epochs", [3], "training.epochs:", "expected a number"),
    _set("half a row", "training.batch_size", 2.5, "training.batch_size:", "expected a whole number"),
    _set("no rows in a batch", "training.batch_size", 0, "training.batch_size:", "expected a number of at least 1"),
    _set("epochs and steps", "training.steps", 10, "training.steps:", "remove one, or set it to null"),
    _set(
        "rows and tokens of a batch",
        "training.batch_tokens",
        512,
        "training.batch_tokens:",
        "remove one, or set it to null",
    ),
    _set(
        "a warm-up of a step and a half",
        "training.warmup",
        1.5,
        "training.warmup:",
        "expected a share below 1 or a whole number of steps",
    ),
    _set("a negative warm-up", "training.warmup", -0.1, "training.warmup:", "expected a number of at least 0"),
    _set(
        "an unknown precision",
        "training.precision",
        "fp8",
        "training.precision:",
        "expected 'auto', 'fp32', 'bf16' or 'fp16'",
    ),
    _set(
        "a misspelt schedule",
        "training.schedule",
        "linaer",
        "training.schedule:",
        "expected 'linear', 'cosine' or 'constant'",
    ),
    _set(
        "no checkpoints kept",
        "training.keep_checkpoints",
        0,
        "training.keep_checkpoints:",
        "expected a number of at least 1",
    ),
    _set("training that is a list", "training", [], "training:", "expected a mapping"),
    _set("a section that is null", "training", None, "training:", "Remove the key, or give it keys"),
    _set("a misspelt key", "training.epoch", 3, "training.epoch:", "did you mean 'epochs'"),
    _set("a misspelt section", "traning", {}, "traning:", "did you mean 'training'"),
    _set("a negative seed", "seed", -1, "seed:", "expected a number of at least 0"),
    _set("a large seed", "seed", 2**63, "seed:", "expected a number below 9223372036854775808"),
    _set("a seed in words", "seed", "lucky", "seed:", "expected a whole number"),
    _set("no output", "output", REMOVED, "output:", "this key is required"),
    _set("an output that is a number", "output", 7, "output:", "Quote it: '7'"),
    _set("an empty output", "output", "", "output:", "expected text that is not empty"),
    _set("no data", "data", {}, "data:", "expected at least one"),
    _set("no tasks", "tasks", REMOVED, "tasks:", "this key is required"),
    _set("a dataset that is a text", "data.tickets", "train.csv", "data.tickets:", "expected a mapping"),
    _set(
        "a name with capitals",
        "tasks.Intent",
        {"data": "tickets", "kind": "regression", "label": "urgency"},
        "tasks.Intent",
        "use lower-case letters, digits, _ and -",
    ),
    _set(
        "a name with a path",
        "tasks/../x",
        {"data": "tickets", "kind": "regression", "label": "urgency"},
        "tasks.../x",
        "use lower-case letters, digits, _ and -",
    ),
    _set("half a character", "output", "run\ud800", "output:", "write the character itself"),
    _set("no path", "data.tickets.path", REMOVED, "data.tickets.path:", "this key is required"),
    _set(
        "three text columns",
        "data.tickets.text",
        ["a", "b", "c"],
        "data.tickets.text:",
        "expected one column, or two as [first, second] for pairs",
    ),
    _set(
        "a text column that is off",
        "data.tickets.text",
        False,
        "data.tickets.text:",
        "Quote it: without quotes YAML reads yes, no, on and off as true and",
    ),
    _set("options that are a text", "data.tickets.options", ";", "data.tickets.options:", "expected a mapping"),
    _set(
        "options that hold a day",
        "data.tickets.options",
        {"day": date(2026, 1, 1)},
        "data.tickets.options.day:",
        "Quote it: '2026-01-01'",
    ),
    _set(
        "a limit of no rows",
        "data.tickets.limit",
        {"train": 0},
        "data.tickets.limit.train:",
        "expected a number of at least 1",
    ),
    _set(
        "a limit of an unknown split",
        "data.tickets.limit",
        {"dev": 5},
        "data.tickets.limit.dev:",
        "expected 'train', 'validation' or 'test'",
    ),
    _set(
        "a split of all rows",
        "data.tickets.split",
        {"validation": 0.6, "test": 0.4},
        "data.tickets.split:",
        "leave some to train on",
    ),
    _set("a split of nothing", "data.tickets.split", {}, "data.tickets.split:", "give shares, as {validation: 0"),
    _set(
        "a split by percent",
        "data.tickets.split",
        {"validation": 10},
        "data.tickets.split.validation:",
        "expected a number below 1",
    ),
    _set(
        "a split by a misspelt key",
        "data.tickets.split",
        {"colum": "part"},
        "data.tickets.split.column:",
        "did you mean 'column'",
    ),
    _set(
        "a filter that is not known",
        "data.tickets.filter",
        {"drop_emtpy": True},
        "data.tickets.filter.drop_emtpy:",
        "did you mean 'drop_empty'",
    ),
    _set(
        "a filter in words",
        "data.tickets.filter",
        {"drop_empty": "yes please"},
        "data.tickets.filter.drop_empty:",
        "expected true or false",
    ),
    _set(
        "a task that is a text",
        "tasks.intent",
        "classification",
        "tasks.intent:",
        "expected a mapping with data, kind and the kind's options, as {data: …,",
    ),
    _set(
        "a kind that is misspelt",
        "tasks.intent.kind",
        "clasification",
        "tasks.intent.kind:",
        "expected one of classification, multi_label, regression,",
    ),
    _set("no kind", "tasks.intent.kind", REMOVED, "tasks.intent.kind:", "this key is required"),
    _set("no label", "tasks.intent.label", REMOVED, "tasks.intent.label:", "this key is required"),
    _set("a weight of nothing", "tasks.intent.weight", 0, "tasks.intent.weight:", "expected a number above 0"),
    _set(
        "an option of another kind",
        "tasks.intent.threshold",
        0.5,
        "tasks.intent.threshold:",
        "known: data, kind, weight, metrics, layer, pooling, row_weight, review, label, label_names, class_weights,",
    ),
    _set("a threshold of one", "tasks.topics.threshold", 1, "tasks.topics.threshold:", "expected a number below 1"),
    _set(
        "an unknown scheme",
        "tasks.entities.scheme",
        "bilo",
        "tasks.entities.scheme:",
        "expected 'bio', 'iob1', 'iobes', 'bilou', 'plain' or 'spans'",
    ),
    _set(
        "label names that are numbers",
        "tasks.intent.label_names",
        [0, 1],
        "tasks.intent.label_names.0:",
        "Quote it: '0'",
    ),
    _set(
        "label names that are a text",
        "tasks.intent.label_names",
        "billing",
        "tasks.intent.label_names:",
        "Write [billing]",
    ),
    _set(
        "negative class weights",
        "tasks.intent.class_weights",
        {"billing": -1},
        "tasks.intent.class_weights.billing:",
        "expected a number of at least 0",
    ),
    _set(
        "a smoothing of one",
        "tasks.intent.label_smoothing",
        1.0,
        "tasks.intent.label_smoothing:",
        "expected a number below 1",
    ),
    _set(
        "no target columns",
        "tasks.urgency.label",
        [],
        "tasks.urgency.label:",
        "expected text, or a list that is not empty",
    ),
    _set("no separator", "tasks.topics.separator", "", "tasks.topics.separator:", "expected text that is not empty"),
    _set("an unknown dataset", "tasks.intent.data", "tikets", "tasks.intent.data:", "did you mean 'tickets'"),
    _set(
        "a dataset of no task", "data.faq", {"path": "csv", "files": "faq.csv", "text": "q"}, "data.faq:", "remove it"
    ),
    _set(
        "a metric of another kind",
        "tasks.intent.metrics",
        ["pearson"],
        "tasks.intent.metrics:",
        "expected accuracy, f1_macro, f1_micro, f1_weighted, precision, recall,",
    ),
    _set("a mean of an error", "tasks.urgency.metrics", ["mse"], "best.metric:", "Put another metric first in tasks"),
    _set(
        "a best metric of no task", "best.metric", "intents/accuracy", "best.metric:", "did you mean 'intent/accuracy'"
    ),
    _set(
        "a best metric that is not scored",
        "best.metric",
        "intent/f1_macro",
        "best.metric:",
        "add f1_macro to tasks.intent.metrics",
    ),
    _set(
        "a floor of no task",
        "best.floors",
        {"mood/pearson": 0.1},
        "best.floors.mood/pearson:",
        "known: intent/accuracy, topics/f1_micro, urgency/pearson,",
    ),
    _set("weights without their strategy", "mixing.weights", {"tickets": 2}, "mixing.weights:", "remove one of them"),
    _set("a strategy without its weights", "mixing.strategy", "weights", "mixing:", "needs weights, as {tickets: 2}"),
    _set(
        "a temperature below one", "mixing.temperature", 0.5, "mixing.temperature:", "expected a number of at least 1"
    ),
    Case(
        "weights of an unknown dataset",
        "mixing.weights.tiket:",
        "did you mean 'tickets'",
        config={"mixing.strategy": "weights", "mixing.weights": {"tiket": 2}},
    ),
    _set(
        "no encoder",
        "encoder.name",
        REMOVED,
        "encoder.name:",
        "name an encoder, or a model directory of ours as init_from",
    ),
    _set("two encoders", "init_from", "other", "encoder.name:", "remove one of the two"),
    _set(
        "a freeze in words",
        "encoder.freeze",
        "most",
        "encoder.freeze:",
        "expected 'all' or 'embeddings', or a whole number",
    ),
    _set(
        "layers below zero",
        "encoder.freeze",
        -2,
        "encoder.freeze:",
        "expected 'all' or 'embeddings', or a number of at least 1",
    ),
    _set("a length of no tokens", "encoder.max_length", 0, "encoder.max_length:", "expected a number of at least 1"),
    _set(
        "a length beyond the encoder's", "encoder.max_length", 65, "encoder.max_length:", "is more than the 64 tokens"
    ),
    _set("more layers frozen than there are", "encoder.freeze", 3, "freeze: 3", "Use a number from 0 to 2"),
    _set(
        "an attention of nobody",
        "encoder.attention",
        "fastest",
        "has no attention 'fastest'",
        "Expected one of: auto, eager",
    ),
    _set(
        "an encoder that is not there",
        "encoder.name",
        "./none",
        "encoder './none'",
        "Expected a hub id (org/name), a local directory",
    ),
    _set(
        "a package of nobody",
        "encoder.name",
        "package:nobody_wrote_this/model",
        "encoder 'package:nobody_wrote_this/model'",
        "Install the one that holds the encoder",
    ),
    _set("a tracker in a text", "tracking.with", "wandb", "tracking.with:", "Write [wandb]"),
    _set("a balancing of nobody", "balancing.method", "magic", "balancing.method:", "expected 'fixed'"),
    _set(
        "no steps between evaluations",
        "evaluation.every_steps",
        0,
        "evaluation.every_steps:",
        "expected a number of at least 1",
    ),
]

OVERRIDES = [
    _override(
        "no equals sign", "training.epochs", "--set training.epochs:", "expected path=value, as in training.epochs=1"
    ),
    _override("an override of nothing", "=3", "--set =3:", "expected path=value, as in training.epochs=1"),
    _override("an empty part", "training..epochs=3", "--set training..epochs:", "expected one as in training.epochs"),
    _override(
        "an override that is no YAML",
        "training.epochs=[",
        "--set training.epochs=[:",
        "Close each bracket and quote, and indent the keys of a section equally",
    ),
    _override(
        "a tag",
        "seed=!!python/name:os.system",
        "--set seed=!!python/name:os.system",
        "a config holds text, numbers, true, false, null",
    ),
    _override("a key of a number", "seed.of=3", "seed:", "expected a whole number"),
    _override(
        "a dataset that is not there", "data.tikets.text=body", "--set data.tikets.text", "did you mean 'tickets'?"
    ),
    _override("an override of an unknown key", "training.epoch=3", "training.epoch:", "did you mean 'epochs'"),
    _override("a wrong type", "training.epochs=soon", "training.epochs:", "expected a number"),
    _override("an unknown section", "trainings.epochs=3", "trainings:", "did you mean 'training'"),
    _override("a section in place of a number", "training.epochs={a: 1}", "training.epochs:", "expected a number"),
]

CASES = [*YAML, *VALUES, *OVERRIDES]
