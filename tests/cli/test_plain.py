"""``mtl split`` and ``mtl import``: what they print, and what a mistake is told."""

from pathlib import Path

import pytest
from plain import fitted, model_of, write
from terminal import Mtl


@pytest.fixture
def model(tiny_bert: Path, tmp_path: Path) -> Path:
    tasks = {name: fitted()[name] for name in ("intent", "find", "relation")}
    return write(model_of(tiny_bert, tasks, clean=("lowercase",)), tmp_path / "model")


def test_a_split_says_what_it_became_and_what_is_left_out(mtl: Mtl, model: Path) -> None:
    outcome = mtl("split", model, "intent", "out/intent")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "BertForSequenceClassification, opened by AutoModelForSequenceClassification → out/intent",
        "largest difference of the logits on random tokens: 0",
    ]
    assert outcome.err.splitlines() == [
        "note: Texts were cleaned before they were encoded (lowercase); transformers does not clean: do the same to "
        "each text first."
    ]


def test_an_import_says_what_each_directory_became(mtl: Mtl, model: Path) -> None:
    for task in ("intent", "find", "relation"):
        assert mtl("split", model, task, f"out/{task}").code == 0
    named = ("--kind", "rank=ranking", "--columns", "rank=question,answer", "--columns", "same=first, second")
    outcome = mtl("import", "joined", "intent=out/intent", "rank=out/find", "same=out/relation", *named)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "intent: classification on text, logits differ by 0",
        "rank: ranking on question, answer, logits differ by 0",
        "same: classification on first, second, logits differ by 0",
        "3 tasks on one encoder → joined",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("split", "{model}", "intend", "out"),
            "error: unknown task 'intend'; the model answers intent, find, relation;",
        ),
        (("split", "{model}", "intent", "{model}"), "error: {model} is a model directory of several tasks"),
        (("import", "joined", "intent"), "error: 'intent': expected NAME=DIR, as in intent=out/intent"),
        (("import", "joined", "intent=nowhere"), "error: nowhere is no directory."),
        (("import", "joined", "a=b", "--kind", "c=ranking"), "error: --kind c: there is no such name among a"),
        (("import", "joined", "a=b", "--columns", "text"), "error: 'text': expected --columns NAME=…"),
        (("import", "joined", "a={model}"), "error: {model}: its config.json names the class BertModel;"),
    ],
)
def test_a_mistake_is_told_in_a_line(mtl: Mtl, model: Path, arguments: tuple[str, ...], message: str) -> None:
    outcome = mtl(*(argument.format(model=model) for argument in arguments))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(message.format(model=model))
    assert outcome.err.count("\n") == 1
