"""One task as a plain directory: what transformers alone answers is what the task predicts, in every kind."""

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plain import MAX_LENGTH, TASKS, TEXTS, fitted, model_of, write
from tiny import FAMILIES
from transformers import AutoTokenizer, pipeline

from mtl_transformers.errors import ConfigError, FileError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.split import split
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.question_answering import QuestionAnswering, QuestionAnsweringOptions
from mtl_transformers.tasks.token_classification import TokenClassification, TokenClassificationOptions

EncoderDir = Callable[[str], Path]
ModelOf = Callable[[str], tuple[MultiTaskModel, Path]]

LONG = TEXTS[1]
IN_CARD = {  # what stands in the lines of a card, by what we give instead
    '"a text"': repr(LONG),
    '"another"': repr(TEXTS[0]),
    '"one option"': repr(TEXTS[2]),
    '"a query"': repr(TEXTS[2]),
    '"one candidate"': repr(LONG),
    '"a question"': repr(TEXTS[2]),
    '"a context"': repr(TEXTS[0]),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, encoder_dir: EncoderDir) -> ModelOf:
    """Return a family's model of every kind, and its directory."""
    made: dict[str, tuple[MultiTaskModel, Path]] = {}

    def of(family: str) -> tuple[MultiTaskModel, Path]:
        if family not in made:
            place = tmp_path_factory.mktemp(family) / "model"
            found = model_of(encoder_dir(family), fitted())
            made[family] = found, write(found, place, metrics={"intent": {"validation": {"accuracy": 0.75}}})
        return made[family]

    return of


def answer_of_card(path: Path) -> tuple[Any, dict[str, Any]]:
    """Run the lines of a card on our texts: the value of the last one, and all names."""
    code = re.search(r"```python\n(.*?)```", (path / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    text = code[1]
    if "token-classification" in text:  # whose pipeline cuts words in two where it cuts a text
        text = text.replace('"a text"', repr(TEXTS[0]))
    for theirs, ours in IN_CARD.items():
        text = text.replace(theirs, ours)
    lines = ast.parse(text)
    scope: dict[str, Any] = {"directory": str(path)}
    if not isinstance(lines.body[-1], ast.Expr):
        exec(compile(lines, "README.md", "exec"), scope)
        return None, scope
    last = ast.Expression(lines.body.pop().value)  # type: ignore[attr-defined]
    exec(compile(lines, "README.md", "exec"), scope)
    return eval(compile(last, "README.md", "eval"), scope), scope


def predicted(model: MultiTaskModel, task: str) -> Any:
    """What the model predicts of the texts that the card's lines are run on."""
    mask = str(model.tokenizer.mask_token)
    rows = {
        "relation": {"first": LONG, "second": TEXTS[0]},
        "alike": {"first": LONG, "second": TEXTS[0]},
        "answer": {"question": TEXTS[2], "context": TEXTS[0]},
        "choice": {"text": LONG, "options": [TEXTS[2], TEXTS[0]]},
        "find": {"query": TEXTS[2], "candidate": [LONG, TEXTS[0]]},
        "fill": {"text": f"a {mask} text"},
    }
    row = rows.get(task, {"text": TEXTS[0] if task in ("entities", "parts") else LONG})
    (answer,) = model.predict([row], tasks=[task], top_k=len(model.tasks[task].task.output_names) or 1)
    return answer[task]


def comparable(task: str, given: Any, scope: dict[str, Any]) -> Any:
    """What the card's lines gave, in the form of a prediction."""
    match task:
        case "intent" | "relation":
            (best,) = given if isinstance(given, list) else [given]
            return {"label": best["label"], "score": best["score"]}
        case "topics":
            return {of["label"]: of["score"] for of in listed(given)}
        case "urgency" | "mood":
            return {of["label"]: of["score"] for of in listed(given)}
        case "entities":
            return [(of["entity_group"], without_space(of["start"]), of["end"]) for of in given]
        case "parts":
            return {without_space(of["start"]): of["entity"] for of in given}
        case "choice":
            return given[0].tolist()
        case "find":
            return scope["scores"].tolist()
        case "fill":
            return given[0]["score"]
        case "alike":
            return float(given)
    return None


def without_space(start: int) -> int:
    """Where a word begins: some tokenizers take the space before it for a part of it."""
    return start + (TEXTS[0][start] == " ")


def listed(given: Any) -> list[dict[str, Any]]:
    """The scores of one text, which transformers wraps once more for a list of them."""
    return given[0] if isinstance(given[0], list) else given


def ours(task: str, answer: Any) -> Any:
    match task:
        case "intent" | "relation":
            return {"label": str(answer["label"]), "score": answer["score"]}
        case "topics" | "choice" | "find":
            return answer["scores"]
        case "urgency":
            return {"urgency": answer["value"]}
        case "mood":
            return answer["values"]
        case "entities":
            return [(of["label"], of["start"], of["end"]) for of in answer]
        case "fill":
            return answer["tokens"][0]["score"]
        case "alike":
            return answer["score"]
    return None


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")  # theirs, for a pipeline that joins tokens
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "family", ["bert", *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES if family != "bert")]
)
def test_the_lines_of_the_card_answer_as_the_task_does(family: str, task: str, model: ModelOf, tmp_path: Path) -> None:
    full, path = model(family)
    made = split(path, task, tmp_path / "out")
    assert made.parity.share <= 1e-6
    given, scope = answer_of_card(made.path)
    theirs, answer = comparable(task, given, scope), predicted(full, task)
    if task == "parts":
        words = [word.start() for word in re.finditer(r"\w+", TEXTS[0])]
        assert [theirs[start] for start in words] == answer["tags"]
    elif task == "answer":
        assert scope["found"].start_logits.shape == scope["inputs"]["input_ids"].shape
    elif family == "albert" and task == "entities":
        assert len(theirs) == len(ours(task, answer)) + 1  # a piece of a space alone is a word to the pipeline
    elif task == "entities":
        assert theirs == ours(task, answer)
    else:
        assert_close(theirs, ours(task, answer))


def assert_close(theirs: Any, answer: Any) -> None:
    if isinstance(answer, dict) and "label" in answer:
        assert theirs["label"] == answer["label"]
        theirs, answer = theirs["score"], answer["score"]
    assert theirs == pytest.approx(answer, rel=1e-5, abs=1e-5)


# what is written


def test_a_directory_holds_plain_files_that_all_may_read(model: ModelOf, tmp_path: Path) -> None:
    _, path = model("bert")
    made = split(path, "intent", tmp_path / "out")
    names = sorted(entry.name for entry in made.path.iterdir())
    assert names == ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert {entry.stat().st_mode & 0o777 for entry in made.path.iterdir()} == {0o644}
    assert (made.architecture, made.auto_class) == (
        "BertForSequenceClassification",
        "AutoModelForSequenceClassification",
    )
    written = "".join(entry.read_text(encoding="utf-8") for entry in made.path.glob("*.json"))
    assert str(path) not in written
    assert str(tmp_path) not in written


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokenizer_gives_the_tokens_that_the_task_reads(family: str, model: ModelOf, tmp_path: Path) -> None:
    full, path = model(family)
    tokenizer = AutoTokenizer.from_pretrained(split(path, "relation", tmp_path / "out").path)
    assert tokenizer.model_max_length == MAX_LENGTH
    given = tokenizer(LONG, TEXTS[0], truncation=True)
    (features,) = full.encoders.get("pair", max_length=MAX_LENGTH).encode([(LONG, TEXTS[0])], form="pair")
    assert given["input_ids"] == list(features.input_ids[0])
    assert len(given["input_ids"]) == MAX_LENGTH
    types = given.get("token_type_ids")
    assert types == (list(features.token_type_ids[0]) if features.token_type_ids else None)


def test_the_card_has_the_scores_and_says_how_well_both_agree(model: ModelOf, tmp_path: Path) -> None:
    _, path = model("bert")
    card = (split(path, "intent", tmp_path / "out").path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n")
    assert '"validation": {\n    "accuracy": 0.75\n  }' in card
    assert "the largest difference was 0." in card
    assert f"cut at {MAX_LENGTH} tokens" in card


def test_the_model_directory_is_as_it_was(model: ModelOf, tmp_path: Path) -> None:
    _, path = model("bert")
    before = {entry.name: entry.read_bytes() for entry in path.iterdir()}
    split(path, "fill", tmp_path / "out")
    assert {entry.name: entry.read_bytes() for entry in path.iterdir()} == before


# what is decided, and what transformers does not do


def test_a_temperature_is_folded_and_thresholds_and_abstaining_are_told(tiny_bert: Path, tmp_path: Path) -> None:
    tasks = fitted()
    chosen = {
        "intent": replace(tasks["intent"], temperature=2.5, min_score=0.6),  # type: ignore[call-arg]
        "topics": replace(tasks["topics"], thresholds=(0.5, 0.25, 0.9)),  # type: ignore[call-arg]
    }
    full = model_of(tiny_bert, chosen)
    path = write(full, tmp_path / "model")
    made = split(path, "intent", tmp_path / "intent")
    assert made.notes == ("A text gets no label where none reaches the probability 0.6.",)
    (answer,) = full.predict([TEXTS[0]], tasks=["intent"], top_k=3)
    given = pipeline("text-classification", model=str(made.path), top_k=None)(TEXTS[0])
    scores = {of["label"]: of["score"] for of in listed(given)}
    assert scores == pytest.approx(answer["intent"]["scores"], abs=1e-6)  # type: ignore[call-overload]
    plain = model_of(tiny_bert, {"intent": tasks["intent"]}).predict([TEXTS[0]], top_k=3)[0]["intent"]
    assert scores != pytest.approx(plain["scores"], abs=1e-3)  # type: ignore[call-overload]
    made = split(path, "topics", tmp_path / "topics")
    assert made.notes == ("Labels have thresholds of their own, which stand below; transformers knows none.",)
    assert '{\n  "x": 0.5,\n  "y": 0.25,\n  "z": 0.9\n}' in (made.path / "README.md").read_text(encoding="utf-8")


def test_cleaning_is_told(tiny_bert: Path, tmp_path: Path) -> None:
    full = model_of(tiny_bert, {"intent": fitted()["intent"]}, clean=("strip_html", "lowercase"))
    made = split(write(full, tmp_path / "model"), "intent", tmp_path / "out")
    assert made.notes == (
        "Texts were cleaned before they were encoded (strip_html, lowercase); transformers does not clean: do the "
        "same to each text first.",
    )
    assert made.notes[0] in (made.path / "README.md").read_text(encoding="utf-8")


def test_what_the_pipeline_of_tokens_does_otherwise_is_told(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    cells = [(["O", "B-PLACE", "I-PLACE"],)]
    tasks = {
        name: TokenClassification.fit(name, options, metrics=(), cells=cells, class_names=None)
        for name, options in {
            "bio": TokenClassificationOptions(label="tags"),
            "iobes": TokenClassificationOptions(label="tags", train_as="iobes"),
        }.items()
    }
    full = model_of(encoder_dir("roberta"), tasks)
    full.tasks["bio"] = replace(full.tasks["bio"], input=replace(full.tasks["bio"].input, form="words"))
    path = write(full, tmp_path / "model")
    first, second = split(path, "bio", tmp_path / "bio").notes
    assert first.startswith("The task was trained on lists of words: load the tokenizer with add_prefix_space=True")
    assert second.startswith("A word has the tag of its first piece")
    assert split(path, "iobes", tmp_path / "iobes").notes == (
        "Tags are those of IOBES; the pipeline of transformers joins only BIO.",
    )


def test_windows_and_no_answer_are_told(tiny_bert: Path, tmp_path: Path) -> None:
    cells = [([{"text": "a", "answer_start": 0}],), ([],)]
    options = QuestionAnsweringOptions(label="answers", no_answer_threshold=1.5)
    task = QuestionAnswering.fit("answer", options, metrics=(), cells=cells, class_names=None)
    windows, none = split(
        write(model_of(tiny_bert, {"answer": task}), tmp_path / "model"), "answer", tmp_path / "out"
    ).notes
    assert windows.startswith(f"Long texts were read in windows of {MAX_LENGTH} tokens that share 6;")
    assert none.endswith("higher than the best answer's by more than 1.5.")


# what is refused


def ordinal() -> Classification:
    options = ClassificationOptions(label="stars", ordinal=True)
    return Classification.fit("intent", options, metrics=(), cells=[(1,), (2,), (3,)], class_names=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "attention"}, "it pools by attention, and a class of bert by first"),
        ({"pooling": "mean"}, "it pools by mean"),
        ({"layer": "mix"}, "a learned mix of all layers"),
        ({"layer": 1}, "it reads layer 1 of 2"),
    ],
)
def test_a_head_that_the_family_cannot_express_is_refused(
    changes: dict[str, Any], message: str, tiny_bert: Path, tmp_path: Path
) -> None:
    path = write(model_of(tiny_bert, {"intent": fitted()["intent"]}, specs={"intent": changes}), tmp_path / "model")
    expected = f"task 'intent' cannot be an AutoModelForSequenceClassification: .*{message}.* Serve it with"
    with pytest.raises(ModelError, match=expected):
        split(path, "intent", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_scale_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    path = write(model_of(tiny_bert, {"intent": ordinal()}), tmp_path / "model")
    with pytest.raises(ModelError, match=r"cut points \(ordinal: true\)"):
        split(path, "intent", tmp_path / "out")


def test_a_task_that_the_model_does_not_have_is_an_error_with_the_nearest(model: ModelOf, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown task 'intend'; the model answers intent, .*; did you mean 'intent'"
    ):
        split(model("bert")[1], "intend", tmp_path / "out")


def test_what_lies_there_is_replaced_only_where_that_is_asked_for(model: ModelOf, tmp_path: Path) -> None:
    _, path = model("bert")
    out = tmp_path / "out"
    split(path, "intent", out)
    with pytest.raises(ConfigError, match=r"out is there already\. .*--overwrite"):
        split(path, "topics", out)
    assert split(path, "topics", out, overwrite=True).path == out
    assert "# topics" in (out / "README.md").read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_model_directory_or_a_folder_of_something_else_is_never_replaced(model: ModelOf, tmp_path: Path) -> None:
    _, path = model("bert")
    with pytest.raises(ConfigError, match="is a model directory of several tasks and is not replaced"):
        split(path, "intent", path, overwrite=True)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").touch()
    with pytest.raises(FileError, match="holds something that is not ours"):
        split(path, "intent", other, overwrite=True)
    assert (other / "thesis.tex").is_file()
