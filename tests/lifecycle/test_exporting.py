"""An export compares the graph with its model, scores both where labels are at hand, and fails without a trace.

The model is not trained: a config's rows are labelled with what it answers in fp32, so that its accuracy there is 1.
"""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from little import TICKET_TASKS, Row, dataset, raw_config, tickets, write_rows

from mtl_transformers.config import Config, load_config
from mtl_transformers.errors import ConfigError, DataError, FileError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.parity import TaskParity
from mtl_transformers.lifecycle.exporting import MADE, ExportedTask, _check_distances, _on_chunks, _on_file, export
from mtl_transformers.lifecycle.graph_scores import Change
from mtl_transformers.model import directory
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.training.experiment import prepare

TASKS = {
    "intent": TICKET_TASKS["intent"],
    "mood": TICKET_TASKS["mood"],
    "fill": {"data": "tickets", "kind": "masked_lm"},
}
NUM_ROWS = 40
ROWS = tickets(NUM_ROWS, seed=2)


@dataclass(frozen=True)
class Place:
    """A model, its export in fp32, and a config whose validation rows it answers without a mistake."""

    model: Path
    config: Config
    rows: Path
    out: Path


def save(model: MultiTaskModel, place: Path) -> Path:
    """Write a model whose intents differ from row to row: no label is more probable than the others on average."""
    out = model.network.head("intent").out
    assert out is not None
    asked = model.answering.ask([row["body"] for row in ROWS], ["intent"])
    logits = model.answering.logits([each for row in asked for each in row.questions])
    with torch.no_grad():
        out.bias -= torch.from_numpy(np.concatenate([of["intent"] for of in logits]).mean(axis=0))
    directory.save(
        place,
        encoder=model.network.encoder,
        tokenizer=model.tokenizer,
        heads=model.network.heads_state(),
        tasks=model.tasks_json(),
        metrics={},
        card="---\n---\n",
    )
    return place


def labelled_by(model_dir: Path) -> list[Row]:
    model = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    answers = model.predict([row["body"] for row in ROWS], tasks=["intent"])
    rows = [{**row, "intent": answer["intent"]["label"]} for row, answer in zip(ROWS, answers, strict=True)]
    assert max(Counter(row["intent"] for row in rows).values()) < 0.7 * NUM_ROWS
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> Place:
    where = tmp_path_factory.mktemp("exporting")
    section = dataset(where, "tickets", text="body", train=tickets(40), validation=tickets(8, seed=1))
    raw = raw_config(where, steady_bert, data={"tickets": section}, tasks=TASKS)
    experiment = prepare(load_config(raw, {"encoder.max_length": 24}))
    with torch.no_grad():
        for parameter in experiment.network.head("intent").parameters():
            parameter.mul_(20)
    untrained = MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)
    model = save(untrained, where / "best")
    write_rows(where / "tickets-validation.jsonl", labelled_by(model))
    config = load_config(raw, {"encoder.max_length": 24})
    export(model, where / "graph", config=config)
    return Place(model, config, where / "tickets-validation.jsonl", where / "graph")


def parity(out: Path) -> dict:
    return json.loads((out / "parity.json").read_text(encoding="utf-8"))


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.slow
def test_the_graph_scores_as_the_model_does(place: Place) -> None:
    found = parity(place.out)
    assert (found["precision"], found["max_drop"]) == ("fp32", 0.01)
    intent, mood = found["tasks"]["intent"], found["tasks"]["mood"]
    assert (intent["source"], intent["rows"], intent["equal_answers"]) == ("validation", NUM_ROWS, 1.0)
    assert intent["metrics"] == {"accuracy": {"torch": 1.0, "onnx": 1.0}}
    assert mood["equal_answers"] is None
    assert 0 < intent["largest_difference"] < 1e-4


@pytest.mark.slow
def test_masked_words_are_left_out_and_every_other_task_is_answered(place: Place) -> None:
    assert list(OnnxModel.from_pretrained(place.out).tasks) == ["intent", "mood"]


@pytest.mark.slow
def test_rows_of_a_file_are_compared_and_tasks_they_do_not_reach_on_made_ones(place: Place, tmp_path: Path) -> None:
    exported = export(place.model, tmp_path / "out", rows=place.rows)
    assert {name: (of.source, of.parity.num_rows) for name, of in exported.tasks.items()} == {
        "intent": (place.rows.name, NUM_ROWS),
        "mood": (place.rows.name, NUM_ROWS),
    }
    assert exported.left_out == ("fill",)
    assert parity(tmp_path / "out")["max_drop"] is None


@pytest.mark.slow
def test_rows_that_cannot_be_compared_are_named(place: Place, tmp_path: Path) -> None:
    model = MultiTaskModel.from_pretrained(place.model, device="cpu", precision="fp32")
    exported = OnnxModel.from_pretrained(place.out)
    path = write_rows(tmp_path / "rows.jsonl", [{"body": "card"}, {"body": None}])
    with pytest.raises(DataError, match=r"--rows .*rows\.jsonl: row 2, 'body'"):
        _on_file(model, exported, path)
    with pytest.raises(DataError, match="row 3, 'body'"):
        list(_on_chunks(model, exported, [[{"body": "card"}, {"body": "order"}], [{"body": None}]]))
    path.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"--rows .*rows\.jsonl: holds no rows to compare on"):
        _on_file(model, exported, path)


def fragile(place: Place, where: Path) -> Path:
    """Write a model that loses what it knows in int8, and a config that it answers without a mistake in fp32.

    In two products of each layer one input is always 0, and its weights are so large that in int8 all others become 0.
    """
    model = MultiTaskModel.from_pretrained(place.model, device="cpu", precision="fp32")
    with torch.no_grad():
        for layer in model.network.encoder.model.encoder.layer:
            layer.attention.self.value.weight[0] = 0.0
            layer.attention.self.value.bias[0] = 0.0
            layer.attention.output.dense.weight[:, 0] = 1.0e4
            layer.intermediate.dense.weight[0] = 0.0
            layer.intermediate.dense.bias[0] = -100.0  # whose gelu is 0
            layer.output.dense.weight[:, 0] = 1.0e4
    return save(model, where / "fragile")


def config_of(place: Place, model: Path, where: Path) -> Config:
    rows = labelled_by(model)
    files = place.config.data["tickets"].files
    return load_config(
        place.config.model_dump(mode="json", by_alias=True, exclude_unset=True),
        {"data.tickets.files": {**files, "validation": str(write_rows(where / "validation.jsonl", rows))}},
    )


@pytest.mark.slow
def test_int8_is_refused_when_a_metric_falls_and_what_lay_there_stays(place: Place, tmp_path: Path) -> None:
    model = fragile(place, tmp_path)
    config = config_of(place, model, tmp_path)
    out = tmp_path / "out"
    shutil.copytree(place.out, out)
    before = content(out)
    with pytest.raises(ModelError, match=r"in int8 fall by more than --max-drop 0\.01: intent accuracy 1\.0000"):
        export(model, out, precision="int8", config=config, overwrite=True)
    assert content(out) == before
    assert [path.name for path in tmp_path.glob(".out*")] == []


@pytest.mark.slow
def test_int8_is_written_when_no_metric_falls_too_far(place: Place, tmp_path: Path) -> None:
    exported = export(place.model, tmp_path / "out", precision="int8", config=place.config, max_drop=1.0)
    found = exported.tasks["intent"]
    assert found.changes["accuracy"].torch == 1.0
    assert 0.5 < found.changes["accuracy"].onnx <= 1.0
    assert found.parity.largest_difference > 1e-4
    assert exported.num_bytes < 0.6 * (place.out / "model.onnx").stat().st_size
    assert OnnxModel.from_pretrained(tmp_path / "out").directory.precision == "int8"


@pytest.mark.slow
def test_fp16_answers_nearly_as_fp32(place: Place, tmp_path: Path) -> None:
    exported = export(place.model, tmp_path / "out", precision="fp16", config=place.config)
    assert 1e-6 < exported.tasks["intent"].parity.largest_difference < 0.1
    assert exported.tasks["intent"].changes["accuracy"].onnx >= 0.99


# settings, before a model is loaded


def test_an_export_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "runtime.json").touch()
    with pytest.raises(ConfigError, match="holds another export; replace it with --overwrite, or choose another place"):
        export("none", tmp_path)
    with pytest.raises(ModelError, match="no model 'none'"):
        export("none", tmp_path, overwrite=True)


def test_a_directory_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(FileError, match="holds"):
        export("none", tmp_path, overwrite=True)
    assert content(tmp_path) == {"thesis.tex": b"mine"}


def test_settings_that_exclude_each_other_are_refused(tmp_path: Path, tiny_bert: Path) -> None:
    data = {"tickets": dataset(tmp_path, "tickets", text="body")}
    config = load_config(raw_config(tmp_path, tiny_bert, data=data, tasks=TASKS))
    with pytest.raises(ConfigError, match="Leave out --config or --rows"):
        export("none", tmp_path / "out", config=config, rows=tmp_path / "rows.jsonl")
    with pytest.raises(DataError, match=r"--rows .*rows\.txt: expected a file whose name ends in \.csv"):
        export("none", tmp_path / "out", rows=tmp_path / "rows.txt")
    with pytest.raises(ConfigError, match="--max-drop -1: expected 0 or more"):
        export("none", tmp_path / "out", max_drop=-1)
    with pytest.raises(ConfigError, match="--max-drop nan: expected 0 or more"):
        export("none", tmp_path / "out", max_drop=float("nan"))


def test_a_drop_counts_in_the_metrics_direction_and_so_does_what_became_undefined() -> None:
    nan = float("nan")
    assert Change(0.9, 0.8).drop("accuracy") == pytest.approx(0.1)
    assert Change(0.8, 0.9).drop("accuracy") == 0.0
    assert Change(0.8, 0.9).drop("mse") == pytest.approx(0.1)
    assert Change(0.9, nan).drop("accuracy") == float("inf")
    assert Change(nan, nan).drop("accuracy") == Change(nan, 0.5).drop("accuracy") == 0.0


def test_logits_that_lie_too_far_apart_in_fp32_or_are_no_numbers_are_refused() -> None:
    near, far, none = (ExportedTask(MADE, TaskParity(1, value, 1)) for value in (1e-5, 2e-4, float("inf")))
    _check_distances({"a": near}, "fp32")
    _check_distances({"a": far}, "int8")
    with pytest.raises(ModelError, match=r"task 'b': a logit of the graph lies 0\.0002 from torch's"):
        _check_distances({"a": near, "b": far}, "fp32")
    with pytest.raises(ModelError, match="task 'a': in fp16 the graph gives logits that are no numbers"):
        _check_distances({"a": none}, "fp16")
    with pytest.raises(ModelError, match="a logit of the graph lies inf from torch's"):
        _check_distances({"a": none}, "fp32")
