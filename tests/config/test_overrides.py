"""``--set a.b=c``: YAML values at dotted paths, under the rules of the file."""

import pytest

from mtl_transformers.config import load_config, parse_override
from mtl_transformers.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("training.epochs=5", ("training.epochs", 5)),
        (" output =runs/a=b", ("output", "runs/a=b")),
        ("tracking.with=[wandb, mlflow]", ("tracking.with", ["wandb", "mlflow"])),
        ("data.x.split={validation: 0.1}", ("data.x.split", {"validation": 0.1})),
        ("encoder.freeze=", ("encoder.freeze", None)),
        ("encoder.freeze=null", ("encoder.freeze", None)),
        ('encoder.revision="0123"', ("encoder.revision", "0123")),
        ("output=on", ("output", True)),
    ],
)
def test_the_value_is_yaml(text, parsed):
    assert parse_override(text) == parsed


@pytest.mark.parametrize("text", ["training.epochs", "=5", " =5"])
def test_an_override_without_path_or_value_is_refused(text):
    with pytest.raises(ConfigError, match=r"expected path=value, as in training\.epochs=1"):
        parse_override(text)


def test_a_value_that_is_no_yaml_is_refused_with_the_override():
    with pytest.raises(ConfigError, match=r"^--set data=\{a: : not plain YAML: "):
        parse_override("data={a: ")
    with pytest.raises(ConfigError, match="key 'a' stands twice"):
        parse_override("data={a: 1, a: 2}")


def test_an_override_reaches_any_depth_and_makes_absent_sections(smallest):
    config = load_config(
        smallest,
        dict(
            map(
                parse_override,
                (
                    "training.learning_rate=3e-4",
                    "tasks.intent.weight=2",
                    "data.tickets.split.validation=0.2",
                    "data.tickets.options.delimiter=;",
                    "best.floors.intent/accuracy=0.5",
                ),
            )
        ),
    )
    assert config.training.learning_rate == 0.0003
    assert config.tasks["intent"].weight == 2.0
    assert config.data["tickets"].split.validation == 0.2
    assert config.data["tickets"].options == {"delimiter": ";"}
    assert config.best.floors == {"intent/accuracy": 0.5}
    assert smallest["tasks"]["intent"] == {"data": "tickets", "kind": "classification", "label": "intent"}
    assert "training" not in smallest


def test_a_whole_dataset_or_task_can_be_set(smallest):
    config = load_config(
        smallest,
        {
            "data.more": {"path": "json", "text": "t"},
            "tasks.more": {"data": "more", "kind": "regression", "label": "y"},
        },
    )
    assert list(config.tasks) == ["intent", "more"]


def test_a_part_of_an_unknown_dataset_or_task_is_refused_with_the_nearest(problems):
    assert problems({"tasks.intnt.weight": 2, "data.tikets.files": "a.csv"}) == [
        "--set tasks.intnt.weight: there is no tasks.intnt; known: intent; did you mean 'intent'?",
        "--set data.tikets.files: there is no data.tikets; known: tickets; did you mean 'tickets'?",
    ]


def test_an_unknown_path_is_refused_like_an_unknown_key(problems):
    told = problems({"trainig.epochs": 1, "training.epohs": 1})
    assert told[0].startswith("training.epohs: unknown key; did you mean 'epochs'?")
    assert told[1].startswith("trainig: unknown key; did you mean 'training'?")


def test_a_path_through_something_that_is_no_section_is_refused(problems, smallest):
    assert problems({"output.name": 1, "data.tickets.text.0": "x", "training..epochs": 1}) == [
        "--set output.name: output is no section but 'runs/tickets'; set output as a whole",
        "--set data.tickets.text.0: data.tickets.text is no section but 'body'; set data.tickets.text as a whole",
        "--set training..epochs: the path has an empty part; expected one as in training.epochs",
    ]


def test_wrong_paths_are_told_beside_all_other_problems(problems):
    told = problems({"output.name": 1, "training.epochs": -1})
    assert [line.split(":")[0] for line in told] == ["--set output.name", "training.epochs"]
