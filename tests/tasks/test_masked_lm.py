import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mtl_transformers.errors import ModelError
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.masked_lm import MaskedLM, MaskedLMOptions
from mtl_transformers.tasks.task import EncoderFacts
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.masking import Vocabulary

TOKENS = ["[CLS]", "[SEP]", "[MASK]", *(f"t{n}" for n in range(3, 20))]
VOCABULARY = Vocabulary(size=21, mask_id=2, special_ids=(0, 1, 2), tokens=TOKENS)
ROWS = [
    Features(([0, 2, 4, 2, 1],), (), masked_positions=([1, 3],), masked_ids=([7, 5],)),
    Features(([0, 2, 1],), (), masked_positions=([1],), masked_ids=([9],)),
]
BLANKS = [replace(row, masked_ids=()) for row in ROWS]


def fit(**options: Any) -> MaskedLM:
    task = MaskedLM.fit("fill", MaskedLMOptions(**options), metrics=(), cells=[()] * 4, class_names=None)
    return task.with_encoder(EncoderFacts(8, VOCABULARY))


def logits_of(rows: int, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 21, generator=torch.Generator().manual_seed(seed))


def decoded(task: MaskedLM, logits: torch.Tensor, rows: list[Features], *, top_k: int | None = None) -> list[Any]:
    kept = task.condense(logits, rows).numpy()
    by_row = np.split(kept, np.cumsum([task.num_vectors(row) for row in rows])[:-1])
    return task.decode(by_row, rows, texts=[""] * len(rows), form="text", top_k=top_k)


def test_every_row_is_labelled_by_its_text() -> None:
    task = fit()
    assert (task.counts, task.num_outputs) == ((4,), 21)
    assert task.encode((), ROWS[0], text="") == 1
    target = task.target(ROWS, first_sequences=[0, 1], labels=[1, 1])
    assert target is not None
    assert (target.num_items, target.num_rows) == (3, 2)
    assert target.labels is not None
    assert target.positions is not None
    assert target.labels.tolist() == [7, 5, 9]
    assert list(zip(target.sequences.tolist(), target.positions.tolist(), strict=True)) == [(0, 1), (0, 3), (1, 1)]


def test_the_loss_is_the_cross_entropy_of_the_hidden_tokens_times_the_weight_of_their_row() -> None:
    task, logits = fit(), logits_of(3)
    target = task.target(ROWS, first_sequences=[0, 1], labels=[1, 1], weights=[2.0, 0.5])
    assert target is not None
    log_probabilities = logits.log_softmax(-1)
    expected = -(2 * log_probabilities[0, 7] + 2 * log_probabilities[1, 5] + 0.5 * log_probabilities[2, 9])
    assert task.loss(logits, target).item() == pytest.approx(expected.item(), rel=1e-6)


def test_what_is_kept_of_the_logits_are_probabilities_of_the_whole_vocabulary() -> None:
    task, logits = fit(), logits_of(3)
    expected = logits.double().softmax(-1)
    (first, second), (third,) = (row["tokens"] for row in decoded(task, logits, ROWS, top_k=3))
    for place, (found, gold) in enumerate(zip((first, second, third), (7, 5, 9), strict=True)):
        best = expected[place].argsort(descending=True)[:3].tolist()
        names = [TOKENS[token] if token < 20 else "[20]" for token in best]
        assert found["token"] == names[0]
        assert found["score"] == pytest.approx(expected[place, best[0]].item(), rel=1e-5)
        assert list(found["scores"]) == names
        assert list(found["scores"].values()) == pytest.approx(expected[place, best].tolist(), rel=1e-5)
        assert found["gold"] == TOKENS[gold]
        assert found["gold_log_probability"] == pytest.approx(expected[place, gold].log().item(), rel=1e-5)
    assert task.condense(logits_of(0), []).shape == (0, 22)


def test_a_blank_of_a_user_has_no_gold_and_a_text_without_one_no_token() -> None:
    task = fit()
    none = Features(([0, 4, 1],), (), masked_positions=([],))
    *_, empty = found = decoded(task, logits_of(3), [*BLANKS, none])
    assert [len(row["tokens"]) for row in found] == [2, 1, 0]
    assert all(entry.keys() == {"token", "score"} for row in found for entry in row["tokens"])
    assert empty == {"tokens": []}


def test_perplexity_is_that_of_all_hidden_tokens_together_and_not_a_mean_over_rows() -> None:
    task, logits = fit(), logits_of(3)
    scores = task.score([1, 1], decoded(task, logits, ROWS), ROWS)
    nll = -logits.double().log_softmax(-1)[torch.arange(3), torch.tensor([7, 5, 9])]
    assert scores["perplexity"] == pytest.approx(nll.mean().exp().item(), rel=1e-5)
    of_rows = (nll[:2].mean().exp() + nll[2].exp()) / 2
    assert scores["perplexity"] != pytest.approx(of_rows.item(), rel=1e-2)
    assert scores["masked_accuracy"] == 0.0
    sure = torch.zeros(3, 21)
    sure[0, 7] = sure[2, 9] = sure[1, 6] = 50.0
    assert task.score([1, 1], decoded(task, sure, ROWS), ROWS)["masked_accuracy"] == pytest.approx(2 / 3)


def test_the_baseline_is_a_guess_among_all_tokens() -> None:
    task = fit()
    assert task.score([1, 1], [task.majority(row) for row in ROWS], ROWS) == {
        "masked_accuracy": pytest.approx(1 / 21),
        "perplexity": 21.0,
    }
    uniform = task.score([1, 1], decoded(task, torch.zeros(3, 21), ROWS), ROWS)
    assert uniform["perplexity"] == pytest.approx(21.0)


def test_a_probability_of_nothing_is_an_infinite_perplexity() -> None:
    task = fit()
    far = torch.zeros(3, 21)
    far[:, 3] = 1e4
    assert task.score([1, 1], decoded(task, far, ROWS), ROWS)["perplexity"] == math.inf


def test_a_tokenizer_without_a_mask_token_is_refused() -> None:
    with pytest.raises(ModelError, match="task 'fill': the tokenizer has no mask token"):
        fit().with_encoder(EncoderFacts(8, replace(VOCABULARY, mask_id=None)))


def test_the_vocabulary_is_not_stored() -> None:
    task = fit(probability=0.3)
    text = json.dumps(task.to_json())
    assert "t7" not in text
    assert task_from_json(json.loads(text)) == task


def test_words_are_aligned_where_whole_ones_are_hidden_or_windows_overlap() -> None:
    def aligned(stride: int | None = None, **options: Any) -> str | None:
        given = MaskedLM.input_of(MaskedLMOptions(**options), text=("a",), form="text", max_length=9, stride=stride)
        assert given.mask_probability == 0.15
        assert given.stride == stride
        return given.aligned

    assert aligned() is None
    assert aligned(whole_words=True) == "starts"
    assert aligned(stride=3) == "starts"
