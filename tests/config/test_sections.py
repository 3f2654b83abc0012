"""What a section says of itself: exact types, known keys, settings that belong together."""

import pytest
from pydantic import ValidationError

from mtl_transformers.config import load_config
from mtl_transformers.tasks.kinds import KINDS

QUOTE = "Quote it: without quotes YAML reads yes, no, on and off as true and false"


def test_the_smallest_config_has_no_problem(problems):
    assert problems() == []


def test_a_config_is_frozen(smallest):
    config = load_config(smallest)
    for section in (config, config.encoder, config.data["tickets"], config.tasks["intent"], config.training):
        with pytest.raises(ValidationError, match="frozen"):
            section.name = "other"


def test_a_config_does_not_share_its_mappings_with_its_source(smallest):
    config = load_config(smallest)
    smallest["data"]["tickets"]["path"] = "json"
    smallest["tasks"].clear()
    assert config.data["tickets"].path == "csv"
    assert list(config.tasks) == ["intent"]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("trainig", {}, "trainig: unknown key; did you mean 'training'? (known: output, seed, "),
        ("encoder.max_lenght", 8, "encoder.max_lenght: unknown key; did you mean 'max_length'? (known: name, "),
        ("data.tickets.pat", "x", "data.tickets.pat: unknown key; did you mean 'path'? (known: path, name, "),
        (
            "data.tickets.split.validaton",
            0.1,
            "data.tickets.split.validaton: unknown key; did you mean 'validation'? (known: validation, test, "
            "stratify, group, time)",
        ),
        (
            "data.tickets.split",
            {"column": "part", "value": {}},
            "data.tickets.split.value: unknown key; did you mean 'values'? (known: column, values)",
        ),
        (
            "data.tickets.filter.drop_emty",
            True,
            "data.tickets.filter.drop_emty: unknown key; did you mean 'drop_empty'? (known: drop_empty, "
            "min_words, max_words, drop_duplicates, drop_conflicts, drop_leaks)",
        ),
        (
            "data.tickets.filter.drop_duplicates",
            {"near": 0.8, "nera": 0.8},
            "data.tickets.filter.drop_duplicates.nera: unknown key; did you mean 'near'? (known: near)",
        ),
        ("tasks.intent.wieght", 1, "tasks.intent.wieght: unknown key; did you mean 'weight'? (known: data, kind, "),
        ("tasks.intent.label_name", [], "tasks.intent.label_name: unknown key; did you mean 'label_names'? (known: "),
        ("mixing.strateg", "x", "mixing.strateg: unknown key; did you mean 'strategy'? (known: strategy, "),
        ("tracking.with_", [], "tracking.with_: unknown key; did you mean 'with'? (known: with, every_steps)"),
    ],
)
def test_an_unknown_key_is_refused_at_every_level_with_the_nearest_known_one(problems, path, value, told):
    assert problems({path: value})[0].startswith(told)


@pytest.mark.parametrize("pair", [("stratify", "group"), ("stratify", "time"), ("group", "time")])
def test_shares_are_made_in_one_way(problems, pair):
    first, second = pair
    (told,) = problems({"data.tickets.split": {"test": 0.1, first: "a", second: "b"}})
    assert told == f"data.tickets.split.{second}: {first} and {second} exclude each other; remove one of them"


def test_filters_that_cannot_be_are_refused(problems):
    place = "data.tickets.filter"
    assert problems({place: {"min_words": 3, "max_words": 2}}) == [
        f"{place}.max_words: 2 is below min_words, 3; no row could be left"
    ]
    assert problems({place: {"min_words": 0}}) == [f"{place}.min_words: expected a number of at least 1; got 0"]
    assert problems({place: {"drop_duplicates": 1}}) == [
        f"{place}.drop_duplicates: expected true or false, or a mapping; got 1"
    ]
    assert problems({place: {"drop_duplicates": {"near": 1}}}) == [
        f"{place}.drop_duplicates.near: expected a number below 1; got 1"
    ]
    assert problems({place: {"min_words": 2, "max_words": 2, "drop_duplicates": {"near": 0.5}}}) == []


def test_an_option_of_another_kind_is_unknown(problems):
    (told,) = problems({"tasks.intent.scheme": "bio"})
    assert told.startswith("tasks.intent.scheme: unknown key")
    assert "label_smoothing" in told


def test_names_of_datasets_and_tasks_may_equal_keys_and_types(problems):
    """Negative control for the paths: these names also stand in pydantic's locations."""
    for name in ("split", "column", "filter", "str", "int", "dict", "classification", "data", "hash"):
        raw = {
            "output": "runs/x",
            "encoder": {"name": "bert"},
            "data": {name: {"path": "csv", "text": True, "pat": 1, "filter": {"drop_emty": 1}}},
            "tasks": {name: {"data": name, "kind": "classification", "label": 1.5}},
        }
        assert problems(raw=raw) == [
            f"data.{name}.text: expected text, or a list; got true. {QUOTE}",
            f"data.{name}.filter.drop_emty: unknown key; did you mean 'drop_empty'? (known: drop_empty, "
            "min_words, max_words, drop_duplicates, drop_conflicts, drop_leaks)",
            f"data.{name}.pat: unknown key; did you mean 'path'? (known: path, name, revision, license, files, "
            "options, splits, split, text, id, max_length, stride, shuffle, limit, clean, filter, augment)",
            f"tasks.{name}.label: expected text; got 1.5. Quote it: '1.5'",
        ]


@pytest.mark.parametrize(
    "path",
    [
        "data.tickets.clean_labels",
    ],
)
def test_keys_of_later_issues_are_unknown(problems, path):
    (told,) = problems({path: 1})
    assert told.startswith(f"{path}: unknown key")


@pytest.mark.parametrize(
    "path",
    [
        "seed",
        "encoder.max_length",
        "encoder.freeze",
        "data.tickets.limit.train",
        "data.tickets.split.validation",
        "tasks.intent.weight",
        "tasks.intent.label_smoothing",
        "mixing.temperature",
        "training.epochs",
        "training.steps",
        "training.warmup",
        "evaluation.every_steps",
        "best.floors.intent/accuracy",
    ],
)
@pytest.mark.parametrize("boolean", [True, False])
def test_a_boolean_is_no_number(problems, path, boolean):
    (told,) = problems({path: boolean})
    assert told.startswith(f"{path}: expected")
    assert "number" in told
    assert f"got {str(boolean).lower()}" in told


@pytest.mark.parametrize("value", [1, 0, "yes", "true", None])
def test_only_true_and_false_are_booleans(problems, value):
    (told,) = problems({"encoder.gradient_checkpointing": value})
    assert told.startswith("encoder.gradient_checkpointing: expected true or false; got ")


@pytest.mark.parametrize("path", ["output", "encoder.name", "data.tickets.id", "tasks.intent.label", "best.metric"])
def test_a_word_that_yaml_reads_as_a_boolean_is_to_be_quoted(problems, path):
    assert problems({path: True}) == [f"{path}: expected text; got true. {QUOTE}"]


def test_a_number_where_text_belongs_is_to_be_quoted(problems):
    """Text is never made of a number: 1.10 would become 1.1, and 0123 would become 83."""
    assert problems({"encoder.revision": 1.1, "tasks.intent.label_names": ["a", 2]}) == [
        "encoder.revision: expected text; got 1.1. Quote it: '1.1'",
        "tasks.intent.label_names.1: expected text; got 2. Quote it: '2'",
    ]


def test_numeric_text_is_accepted_for_numbers(smallest):
    config = load_config(
        smallest,
        {
            "training.learning_rate": "3e-4",
            "training.steps": "1e3",
            "seed": "9007199254740993",
            "tasks.intent.label_smoothing": "1e-1",
            "best.floors": {"intent/accuracy": "85e-2"},
        },
    )
    assert config.training.learning_rate == 0.0003
    assert config.training.steps == 1000
    assert config.seed == 9007199254740993
    assert config.tasks["intent"].kind_options.label_smoothing == 0.1
    assert config.best.floors == {"intent/accuracy": 0.85}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("training.steps", "many", "expected a whole number; got 'many'"),
        ("training.steps", 1.5, "expected a whole number; got 1.5"),
        ("training.steps", 0, "expected a number of at least 1; got 0"),
        ("training.learning_rate", 0, "expected a number above 0; got 0"),
        ("training.clip", float("nan"), "expected a finite number; got nan"),
        ("training.warmup", 1.5, "expected a share below 1 or a whole number of steps; got 1.5"),
        ("mixing.temperature", 0.5, "expected a number of at least 1; got 0.5"),
        ("encoder.freeze", "embedings", "expected 'all' or 'embeddings', or a whole number; got 'embedings'; "
         "did you mean 'embeddings'?"),
        ("encoder.name", "", "expected text that is not empty; got ''"),
        ("output", None, "expected text; got null"),
        ("mixing", None, "expected a mapping; got null. Remove the key, or give it keys"),
        ("tracking.with", "wandb", "expected a list; got 'wandb'. Write [wandb]"),
        ("tasks.intent.metrics", "accuracy", "expected a list; got 'accuracy'. Write [accuracy]"),
        ("tasks.intent.unknown_label", "ignor", "expected 'error' or 'ignore'; got 'ignor'; did you mean 'ignore'?"),
        ("tasks.intent.label_smoothing", 1, "expected a number below 1; got 1"),
        ("data.tickets.text", ["a", "b", "c"], "expected one column, or two as [first, second] for pairs; got 3"),
        ("data.tickets.split", 0.1, "expected shares, as {validation: 0.1}, or a column, as {column: split}"),
        ("data.tickets.split", {}, "nothing to split off; give shares, as {validation: 0.1}, or a column that names "
         "the split"),
        ("data.tickets.split", {"validation": 0.5, "test": 0.5}, "validation and test take 1 of the rows; leave some "
         "to train on"),
        ("tasks.intent", "classification", "expected a mapping with data, kind and the kind's options, as "
         "{data: …, kind: …, label: …}"),
        ("tasks.intent.kind", "clasification", f"unknown kind 'clasification'; expected one of {', '.join(KINDS)}; "
         "did you mean 'classification'?"),
        ("tasks.intent.kind", None, f"unknown kind None; expected one of {', '.join(KINDS)}"),
        ("data", {}, "is empty; expected at least one"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_path_and_what_was_expected(problems, path, value, told):
    assert f"{path}: {told}" in problems({path: value})


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("clean.0", "strip_htm", "unknown step 'strip_htm'; did you mean 'strip_html'? (known: strip_html, unescape, "),
        ("clean.0", 3, "expected a step, as lowercase or {drop_stopwords: english}; got 3"),
        ("clean.0", "lowercase:all", "lowercase takes no choice; got 'all'. Write lowercase alone"),
        ("clean.0", {"normalize_unicode": "NFX"}, "normalize_unicode needs one of NFKC, NFC, NFKD, NFD; got 'NFX'"),
        ("augment.synonyms", 0.1, "expected a mapping; got 0.1"),
        ("augment.casing", 1.5, "expected a number of at most 1; got 1.5"),
        ("augment.typos", -0.1, "expected a number of at least 0; got -0.1"),
        ("augment.share", 0, "expected a number above 0; got 0"),
        ("augment.typo", 0.1, "unknown key; did you mean 'typos'? (known: share, word_swap, "),
        ("augment.synonyms", {"fil": "a"}, "missing; this key is required"),
    ],
)  # fmt: skip
def test_a_wrong_step_or_probability_is_told_with_its_path(problems, path, value, told):
    section, key = path.split(".")
    given = [value] if section == "clean" else {key: value}
    assert any(
        line.startswith(f"data.tickets.{path}") and told in line
        for line in problems({f"data.tickets.{section}": given})
    )


def test_languages_are_told_with_the_nearest_and_a_code_that_yaml_reads_as_false_is_to_be_quoted(problems):
    misspelt, unquoted, missing = problems(
        {"data.tickets.clean": [{"drop_stopwords": "englsh"}, {"drop_stopwords": False}, "drop_stopwords"]}
    )
    assert misspelt.startswith("data.tickets.clean.0: drop_stopwords needs one of arabic, ")
    assert misspelt.endswith("; got 'englsh'; did you mean 'english'?")
    assert unquoted.endswith("; got False. Quote it: drop_stopwords: 'no' is a text, no is false")
    assert missing.endswith("; write {drop_stopwords: english}")


@pytest.mark.parametrize("augment", [{}, {"share": 1}, {"typos": 0}])
def test_an_augmentation_that_changes_nothing_is_refused(problems, augment):
    (told,) = problems({"data.tickets.augment": augment})
    assert told.startswith("data.tickets.augment: changes nothing; give one of word_swap, token_dropout, ")
    assert problems({"data.tickets.augment": augment | {"typos": 0.1}}) == []


def test_a_value_inside_a_mapping_or_list_is_told_with_its_own_path(problems):
    assert problems(
        {
            "tasks.intent.class_weights": {"a": "heavy", "b": True},
            "data.tickets.limit": {"trian": 3},
            "data.tickets.split": {"column": "part", "values": {"dev": "valid"}},
            "data.tickets.files": {"train": ["a.csv", 7], "test": {"words": "seq.in", "tags": 8}},
        }
    ) == [
        "data.tickets.files.train.1: expected text; got 7. Quote it: '7'",
        "data.tickets.files.test.tags: expected text; got 8. Quote it: '8'",
        "data.tickets.split.values.dev: expected 'train', 'validation' or 'test'; got 'valid'; did you mean "
        "'validation'?",
        "data.tickets.limit.trian: expected 'train', 'validation' or 'test'; got 'trian'; did you mean 'train'?",
        "tasks.intent.class_weights.a: expected a number; got 'heavy'",
        "tasks.intent.class_weights.b: expected a number; got true",
    ]


def test_missing_keys_are_told(problems):
    assert problems(raw={"data": {"tickets": {}}, "tasks": {"intent": {"kind": "regression"}}}) == [
        "output: missing; this key is required",
        "data.tickets.path: missing; this key is required",
        "data.tickets.text: missing; this key is required",
        "tasks.intent.data: missing; this key is required",
        "tasks.intent.label: missing; this key is required",
        "encoder.name: missing; name an encoder, or a model directory of ours as init_from",
    ]


def test_an_encoder_is_named_once(problems):
    assert problems({"init_from": "runs/old/best"}) == [
        "encoder.name: init_from brings its own encoder; remove one of the two"
    ]
    assert problems({"init_from": "runs/old/best", "encoder.name": None}) == []


@pytest.mark.parametrize("name", ["Intent", "a b", "../x", "a.b", "", "-a", "a" * 65])
@pytest.mark.parametrize("section", ["data", "tasks"])
def test_a_name_that_is_no_safe_file_name_is_refused(problems, smallest, section, name):
    smallest[section][name] = next(iter(smallest[section].values()))
    told = problems(raw=smallest)
    assert any(line.startswith(f"{section}.{name}: {name!r} is no safe name; use lower-case") for line in told)


@pytest.mark.parametrize("name", ["type", "values", "0", "a-b_c", "a" * 64])
def test_other_names_are_free(problems, smallest, name):
    smallest["tasks"][name] = smallest["tasks"].pop("intent")
    assert problems(raw=smallest) == []


@pytest.mark.parametrize(
    ("first", "second"), [("epochs", "steps"), ("batch_size", "batch_tokens"), ("steps", "batch_tokens")]
)
def test_settings_that_exclude_each_other_are_told_beside_other_problems(problems, first, second):
    assert problems({f"training.{first}": 2, f"training.{second}": 8, "training.learning_rate": -1}) == [
        f"training.{second}: {first} and {second} exclude each other; remove one, or set it to null",
        "training.learning_rate: expected a number above 0; got -1",
    ]
    assert problems({f"training.{first}": None, f"training.{second}": 8}) == []


@pytest.mark.parametrize(
    ("setting", "value", "strategy"),
    [("temperature", 2.0, "temperature"), ("weights", {"tickets": 2}, "weights"), ("cap", 5, "capped")],
)
def test_a_setting_that_the_strategy_does_not_use_is_refused(problems, setting, value, strategy):
    assert problems({"mixing.strategy": strategy, f"mixing.{setting}": value}) == []
    for other in {"proportional", "temperature", "uniform", "round_robin", "capped", "weights"} - {strategy}:
        told = problems({"mixing.strategy": other, f"mixing.{setting}": value})
        assert (
            f"mixing.{setting}: only strategy {strategy} uses this key, and strategy is {other}; remove one of them"
        ) in told


def test_a_strategy_needs_its_setting(problems):
    assert problems({"mixing.strategy": "weights"}) == ["mixing: strategy weights needs weights, as {tickets: 2}"]
    assert problems({"mixing.strategy": "capped"}) == ["mixing: strategy capped needs cap, a number of rows"]
    assert problems({"mixing.strategy": "temperature"}) == []
