import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from little import dataset, raw_config, searches, tickets

from mtl_transformers import MultiTaskModel, load_config, train
from mtl_transformers.config import Config
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.ranking import Ranking, RankingOptions
from mtl_transformers.text.encoding import Features
from mtl_transformers.training.scoring import evaluate_directory

NAN = math.nan
METRICS = ("mrr", "map", "ndcg", "ndcg_3")


def fit(cells: Iterable[Any], *, loss: Any = "listwise", metrics: Sequence[str] = ()) -> Ranking:
    options = RankingOptions(label="relevance", loss=loss)
    return Ranking.fit("rank", options, metrics=metrics, cells=((cell,) for cell in cells), class_names=None)


LISTWISE = fit([[1, 0], [4, None, 2]])
POINTWISE = fit([[1, 0], [4, None, 2]], loss="pointwise")


def row(num_candidates: int) -> Features:
    return Features(((5, 6),) * num_candidates, ())


def target(task: Ranking, labels: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    rows = [row(3 if label is None else len(label)) for label in labels]
    first = np.cumsum([0, *(of.num_sequences for of in rows)])[:-1].tolist()
    return task.target(rows, first_sequences=first, labels=labels, weights=weights)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(-1)


# labels


def test_judged_and_relevant_candidates_are_counted() -> None:
    assert (LISTWISE.counts, LISTWISE.largest) == ((4, 3), 4.0)


def test_a_null_relevance_is_not_judged_and_a_query_without_any_is_unlabelled() -> None:
    label = LISTWISE.encode(([0, None, 2.5],), row(3), text="")
    assert isinstance(label, list)
    assert np.array_equal(label, [0.0, NAN, 2.5], equal_nan=True)
    assert LISTWISE.encode(([None, None],), row(2), text="") is None
    assert LISTWISE.encode((None,), row(2), text="") is None
    assert LISTWISE.encode(([0, 0],), row(2), text="") == [0.0, 0.0]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([[None], None], "every label is null"),
        ([[0, 0], [0]], "every relevance is 0"),
        ([[1, -1]], "relevance -1 is negative"),
        ([["good"]], "label 'good' is no number"),
    ],
)
def test_labels_that_rank_nothing_are_refused(cells: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(cells)


@pytest.mark.parametrize("task", [LISTWISE, POINTWISE])
def test_json_keeps_a_fitted_task(task: Ranking) -> None:
    assert task_from_json(json.loads(json.dumps(task.to_json()))) == task


# losses


def test_the_listwise_loss_is_the_cross_entropy_against_the_shares_of_the_relevance() -> None:
    found = target(LISTWISE, [[1.0, 0.0, 3.0], [0.0, 2.0]])
    logits = column(0.5, -1.0, 2.0, 1.0, 0.0)
    first = torch.tensor([0.5, -1.0, 2.0]).log_softmax(dim=0)
    second = torch.tensor([1.0, 0.0]).log_softmax(dim=0)
    by_hand = [-(0.25 * first[0] + 0.75 * first[2]).item(), -second[1].item()]
    assert (found.num_items, found.num_rows, found.groups.tolist()) == (2, 2, [0, 0, 0, 1, 1])
    assert LISTWISE.loss(logits, found).item() == pytest.approx(sum(by_hand))
    weighed = target(LISTWISE, [[1.0, 0.0, 3.0], [0.0, 2.0]], weights=[3.0, 0.5])
    assert LISTWISE.loss(logits, weighed).item() == pytest.approx(3.0 * by_hand[0] + 0.5 * by_hand[1])


def test_a_query_without_a_relevant_candidate_is_no_item_of_the_listwise_loss() -> None:
    logits = column(0.5, -1.0, 1.0, 0.0).requires_grad_()
    found = target(LISTWISE, [[0.0, 0.0], [0.0, 2.0]])
    assert (found.num_items, found.num_rows) == (1, 2)
    loss = LISTWISE.loss(logits, found)
    assert loss.item() == pytest.approx(LISTWISE.loss(logits[2:], target(LISTWISE, [[0.0, 2.0]])).item())
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[:2].tolist() == [[0.0], [0.0]]
    assert target(POINTWISE, [[0.0, 0.0], [0.0, 2.0]]).num_items == 2


def test_the_pointwise_loss_is_the_mean_binary_cross_entropy_of_a_query() -> None:
    logits = column(0.5, -1.0, 2.0)
    loss = POINTWISE.loss(logits, target(POINTWISE, [[1.0, 0.0], [4.0]]))  # of 4, the largest of training

    def cross_entropy(logit: float, goal: float) -> float:
        probability = 1 / (1 + math.exp(-logit))
        return -goal * math.log(probability) - (1 - goal) * math.log(1 - probability)

    by_hand = (cross_entropy(0.5, 0.25) + cross_entropy(-1.0, 0.0)) / 2 + cross_entropy(2.0, 1.0)
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("task", [LISTWISE, POINTWISE])
def test_a_candidate_that_is_not_judged_changes_nothing(task: Ranking) -> None:
    with_null = column(0.5, 9.0, -1.0).requires_grad_()
    loss = task.loss(with_null, target(task, [[2.0, NAN, 0.0]]))
    assert loss.item() == pytest.approx(task.loss(column(0.5, -1.0), target(task, [[2.0, 0.0]])).item())
    (gradient,) = torch.autograd.grad(loss, with_null)
    assert gradient[1].item() == 0.0
    assert gradient[0].item() != 0.0
    zero = task.loss(column(0.5, 9.0, -1.0), target(task, [[2.0, 0.0, 0.0]]))  # negative control: 0 is judged
    assert zero.item() != pytest.approx(loss.item())


RELEVANCES = st.lists(st.sampled_from([0.0, 1.0, 4.0, NAN]), min_size=1, max_size=5).filter(
    lambda of: not all(map(math.isnan, of))
)


@given(st.sampled_from([LISTWISE, POINTWISE]), st.lists(RELEVANCES, min_size=1, max_size=5), st.integers(0, 99))
def test_queries_together_have_the_sum_of_their_losses(task: Ranking, labels: list[list[float]], seed: int) -> None:
    sizes = [len(label) for label in labels]
    logits = torch.randn(sum(sizes), 1, generator=torch.Generator().manual_seed(seed))
    together = task.loss(logits, target(task, labels)).item()
    parts = zip(logits.split(sizes), labels, strict=True)
    assert together == pytest.approx(
        sum(task.loss(part, target(task, [label])).item() for part, label in parts), abs=1e-4
    )


# predictions and metrics


def decoded(task: Ranking, *logits: Sequence[float], form: Any = "options") -> list[Any]:
    cells = [np.array(of_row, dtype=np.float32)[:, None] for of_row in logits]
    return task.decode(cells, [row(len(of)) for of in logits], texts=[""] * len(logits), form=form)


def test_a_query_has_the_scores_of_its_candidates_and_their_order() -> None:
    (first, second) = decoded(LISTWISE, [0.5, 2.0, -1.0], [1.0, 1.0])
    assert first == {"scores": [0.5, 2.0, -1.0], "order": [1, 0, 2]}
    assert second["order"] == [0, 1]  # equal ones stay in the query's order


def test_pointwise_scores_are_probabilities() -> None:
    (found,) = decoded(POINTWISE, [0.0, math.log(3.0)])
    assert found == {"scores": [0.5, pytest.approx(0.75)], "order": [1, 0]}


def test_a_single_candidate_has_a_score() -> None:
    assert decoded(LISTWISE, [0.5], form="pair") == [{"score": 0.5}]
    assert decoded(POINTWISE, [0.0], form="pair") == [{"score": 0.5}]


def test_metrics_are_means_over_the_queries_that_have_a_relevant_candidate() -> None:
    task = fit([[1, 0]], metrics=METRICS)
    answers = decoded(task, [0.1, 0.9, 0.5], [2.0, 1.0], [3.0, 1.0])
    scores = task.score([[1.0, 0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], answers, [row(3), row(2), row(2)])
    assert scores == {
        "mrr": pytest.approx((1 / 3 + 1) / 2),
        "map": pytest.approx((1 / 3 + 1) / 2),
        "ndcg": pytest.approx((1 / 2 + 1) / 2),
        "ndcg_3": pytest.approx((1 / 2 + 1) / 2),
    }


def test_candidates_that_are_not_judged_are_not_there_for_the_metrics() -> None:
    answers = decoded(LISTWISE, [0.1, 0.9, 0.5])
    assert LISTWISE.score([[1.0, NAN, 0.0]], answers, [row(3)]) == {"mrr": 0.5}
    assert LISTWISE.score([[1.0, 0.0, 0.0]], answers, [row(3)]) == {"mrr": pytest.approx(1 / 3)}


def test_without_any_relevant_candidate_there_is_nothing_to_find() -> None:
    assert LISTWISE.score([[0.0, 0.0]], decoded(LISTWISE, [1.0, 0.0]), [row(2)]) == {"mrr": 0.0}


def test_the_majority_scores_as_a_random_order_wherever_the_relevant_one_stands() -> None:
    for label in ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]):
        assert LISTWISE.score([label], [LISTWISE.majority(row(3))], [row(3)]) == {
            "mrr": pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
        }


def test_gold_relevances_are_null_where_they_are_missing() -> None:
    assert LISTWISE.gold([1.0, NAN], row(2), text="", form="options") == {"relevances": [1.0, None]}


# whole runs


def config(place: Path, encoder: Path, changes: dict[str, Any] | None = None, **tasks: Any) -> Config:
    section = dataset(
        place,
        "faq",
        text=["query", "candidate"],
        train=searches(120, holes=0.1),
        validation=searches(25, seed=1, holes=0.1),
    )
    rank = {"data": "faq", "kind": "ranking", "label": "relevance", "group": "query_id", "metrics": METRICS}
    return load_config(raw_config(place, encoder, data={"faq": section}, tasks=tasks or {"rank": rank}), changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[Config, Any]:
    place = tmp_path_factory.mktemp("faq")
    rank = {"data": "faq", "kind": "ranking", "label": "relevance", "group": "query_id", "metrics": METRICS}
    made = config(place, tiny_bert, {"training.epochs": 5}, rank=rank, point={**rank, "loss": "pointwise"})
    return made, train(made)


@pytest.mark.parametrize("task", ["rank", "point"])
def test_a_planted_candidate_is_found_and_what_is_scored_is_what_is_served(
    task: str, trained: tuple[Config, Any]
) -> None:
    made, result = trained
    of = result.scores[task]
    assert of.num_rows == 25  # queries
    assert of.metrics["mrr"] > 0.9 > of.baseline["mrr"]
    model = MultiTaskModel.from_pretrained(result.best, precision="fp32")
    assert evaluate_directory(model, made, split="validation").scores[task].metrics == of.metrics


def test_lists_and_single_candidates_have_the_same_scores(trained: tuple[Config, Any], tmp_path: Path) -> None:
    model = MultiTaskModel.from_pretrained(trained[1].best, precision="fp32")
    candidates = ["the parcel", "in Berlin with", "password"]
    (answer,) = model.predict([{"query": "where", "candidate": candidates}])
    singles: list[Any] = model.predict([{"query": "where", "candidate": candidate} for candidate in candidates])
    for task in ("rank", "point"):
        found: Any = answer[task]
        assert found["scores"] == pytest.approx([single[task]["score"] for single in singles], abs=1e-5)
        assert found["order"][0] == 1


def test_a_table_of_pairs_gets_a_score_in_each_row(trained: tuple[Config, Any], tmp_path: Path) -> None:
    model = MultiTaskModel.from_pretrained(trained[1].best, precision="fp32")
    rows = [{"query": row["query"], "candidate": row["candidate"]} for row in searches(4, seed=2)]
    source = tmp_path / "in.csv"
    with source.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["query", "candidate"])
        writer.writeheader()
        writer.writerows(rows)
    expected: list[Any] = model.predict(rows)
    for suffix in (".csv", ".parquet"):
        assert predict_file(model, source, tmp_path / f"out{suffix}") == len(rows)
    with (tmp_path / "out.csv").open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["rank", "point"]
    for row, answer, stored in zip(found, expected, pq.read_table(tmp_path / "out.parquet").to_pylist(), strict=True):
        assert float(row["rank"]) == stored["rank"] == answer["rank"]["score"]


# configs that cannot be


def problems_of(place: Path, encoder: Path, *, text: Any = ("query", "candidate"), **tasks: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(place, encoder, {"data.faq.text": text}, **tasks)
    return str(caught.value)


RANK = {"data": "faq", "kind": "ranking", "label": "relevance", "group": "query_id"}


def test_ranking_tasks_of_a_dataset_agree_on_their_groups(tmp_path: Path, tiny_bert: Path) -> None:
    said = problems_of(tmp_path, tiny_bert, rank=RANK, other={**RANK, "group": None})
    assert "tasks.other.group: None, but rank groups faq by 'query_id'" in said


def test_another_kind_cannot_read_the_rows_of_queries(tmp_path: Path, tiny_bert: Path) -> None:
    other = {"data": "faq", "kind": "classification", "label": "relevance"}
    said = problems_of(tmp_path, tiny_bert, rank=RANK, other=other)
    assert "tasks.other.data: rank groups the rows of faq by queries, and classification reads them one by one" in said


def test_a_ranking_needs_two_columns_of_text(tmp_path: Path, tiny_bert: Path) -> None:
    said = problems_of(tmp_path, tiny_bert, text="query", rank=RANK)
    assert "data.faq.text: ranking reads a query and its candidates, as [query, candidate]" in said


def test_tickets_beside_queries_train_in_one_run(tmp_path: Path, tiny_bert: Path) -> None:
    body = dataset(tmp_path, "tickets", text="body", train=tickets(20), validation=tickets(8, seed=1))
    faq = dataset(tmp_path, "faq", text=["query", "candidate"], train=searches(20), validation=searches(8, seed=1))
    tasks = {"rank": RANK, "intent": {"data": "tickets", "kind": "classification", "label": "intent"}}
    raw = raw_config(tmp_path, tiny_bert, data={"faq": faq, "tickets": body}, tasks=tasks)
    result = train(load_config(raw, {"mixing.datasets_per_step": "many"}))
    assert result.coverage["rank"]["rows_seen"] == 20
