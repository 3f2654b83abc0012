"""An exported directory answers as its model does, and holds all that this takes."""

import json
from pathlib import Path

import pytest
from tiny import tiny_tokenizer
from tokenizers import Tokenizer

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.export import exportable, write_answers, write_parity
from mtl_transformers.inference.multitask import MultiTaskModel, ServedTask
from mtl_transformers.inference.onnx_graph import Graph
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.storage.manifest import read_manifest
from mtl_transformers.tasks.masked_lm import MaskedLM, MaskedLMOptions
from mtl_transformers.text.inputs import Input

ROWS = [
    {"body": "refund my card in Berlin !", "first": "my parcel", "second": "the card", "tokens": ["in", "New York"]},
    {"body": "the", "first": "a", "second": "b" * 40, "tokens": ["Berlin"]},
    {"body": "my parcel and my password " * 9, "first": "x y z", "second": "x", "tokens": ["on"] * 30},
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, model: MultiTaskModel, exported_graph: Graph) -> Path:
    directory = tmp_path_factory.mktemp("exported")
    write_answers(directory, model, list(model.tasks), exported_graph.model, precision="fp32")
    write_parity(directory, {"tasks": {}})
    return directory


def near(answers: object) -> object:
    """Answers whose scores may differ by rounding."""
    if isinstance(answers, dict):
        return {key: near(value) for key, value in answers.items()}
    if isinstance(answers, list):
        return [near(value) for value in answers]
    return pytest.approx(answers, abs=1e-4) if isinstance(answers, float) else answers


def test_a_directory_gives_the_models_answers(model: MultiTaskModel, place: Path) -> None:
    exported = OnnxModel.from_pretrained(place)
    assert exported.predict(ROWS, top_k=2) == near(model.predict(ROWS, top_k=2))


def test_the_manifest_lists_every_other_file(place: Path) -> None:
    names = {path.name for path in place.iterdir()}
    assert names == {"model.onnx", "tokenizer.json", "runtime.json", "parity.json", "manifest.json"}
    manifest = read_manifest(place)
    assert manifest.files.keys() == names - {"manifest.json"}
    assert {"mtl_transformers", "torch", "onnxruntime"} <= manifest.facts.keys()


def test_the_runtime_file_says_of_encoder_and_tasks_what_answers_need(model: MultiTaskModel, place: Path) -> None:
    facts = json.loads((place / "runtime.json").read_text(encoding="utf-8"))
    assert (facts["format_version"], facts["precision"], facts["max_length"]) == (1, "fp32", 64)
    assert (facts["pad_id"], facts["uses_token_types"]) == (0, True)
    assert "/" not in facts["encoder"]
    assert list(facts["tasks"]) == list(model.tasks)
    intent = facts["tasks"]["intent"]
    assert (intent["kind"], intent["dataset"]) == ("classification", "tickets")
    assert intent["input"] == json.loads(json.dumps(model.tasks["intent"].input.to_json()))


def test_a_tokenizer_that_marks_word_starts_has_a_file_for_words(
    tmp_path: Path, model: MultiTaskModel, exported_graph: Graph
) -> None:
    tokenizer = tiny_tokenizer("roberta")
    other = MultiTaskModel(model.network, tokenizer, {"intent": model.tasks["intent"]})
    write_answers(tmp_path, other, ["intent"], exported_graph.model, precision="fp32")
    by_file = {
        name: Tokenizer.from_file(str(tmp_path / name)).encode(["the", "card"], is_pretokenized=True).tokens
        for name in ("tokenizer.json", "tokenizer_words.json")
    }
    assert by_file["tokenizer.json"] != by_file["tokenizer_words.json"]
    assert any(token.startswith("Ġ") for token in by_file["tokenizer_words.json"])


def test_masked_words_are_left_out_and_alone_cannot_be_exported(model: MultiTaskModel) -> None:
    masked = MaskedLM(name="fill", metrics=("masked_accuracy",), options=MaskedLMOptions(), counts=(1,))
    fill = ServedTask(masked, "tickets", Input(("body",), "text", 24, mask_probability=0.15))
    both = MultiTaskModel(model.network, model.tokenizer, {"fill": fill, "intent": model.tasks["intent"]})
    assert exportable(both) == ["intent"]
    only = MultiTaskModel(model.network, model.tokenizer, {"fill": fill})
    with pytest.raises(ModelError, match="no task can be exported: all are of the kind masked_lm"):
        exportable(only)
