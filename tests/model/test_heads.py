"""Heads equal the family's own, read only what a target names, and are a function of (seed, task)."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tiny import FAMILIES, HIDDEN_SIZE, tiny_config, tiny_tokenizer
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from mtl_transformers.batch import Target
from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoded import Encoded
from mtl_transformers.model.encoder import head_pooler, load_encoder
from mtl_transformers.model.head_spec import HeadForm, HeadSpec, head_spec, head_spec_from_json
from mtl_transformers.model.heads import Head, build_head
from mtl_transformers.model.network import Network
from mtl_transformers.text.decoders import Vectors

EncoderDir = Callable[[str], Path]

NUM_LABELS = 3

# where the native classes of transformers keep what our head calls dense, norm and out
NATIVE_SEQUENCE = {
    "bert": {"dense": "bert.pooler.dense", "out": "classifier"},
    "albert": {"dense": "albert.pooler", "out": "classifier"},
    "roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "mpnet": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "electra": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "distilbert": {"dense": "pre_classifier", "out": "classifier"},
    "deberta-v2": {"dense": "pooler.dense", "out": "classifier"},
    "modernbert": {"dense": "head.dense", "norm": "head.norm", "out": "classifier"},
}
NATIVE_TOKEN = {family: {"out": "classifier"} for family in FAMILIES} | {"modernbert": NATIVE_SEQUENCE["modernbert"]}
NATIVE_CHOICE = NATIVE_SEQUENCE | {
    "roberta": {"dense": "roberta.pooler.dense", "out": "classifier"},
    "mpnet": {"dense": "mpnet.pooler.dense", "out": "classifier"},
    "electra": {"dense": "sequence_summary.summary", "out": "classifier"},
}
NATIVE_ANSWER = {family: {"out": "qa_outputs"} for family in FAMILIES} | {"modernbert": NATIVE_SEQUENCE["modernbert"]}
NATIVE = {
    "answer": (transformers.AutoModelForQuestionAnswering, NATIVE_ANSWER),
    "sequence": (transformers.AutoModelForSequenceClassification, NATIVE_SEQUENCE),
    "token": (transformers.AutoModelForTokenClassification, NATIVE_TOKEN),
    "choice": (transformers.AutoModelForMultipleChoice, NATIVE_CHOICE),
}
# every dropout of a head, each with a rate of its own, so that a swapped place is seen
DROPOUTS = {
    "bert": {"classifier_dropout": 0.3},
    "albert": {"classifier_dropout_prob": 0.3},
    "roberta": {"classifier_dropout": 0.3},
    "mpnet": {},
    "electra": {"classifier_dropout": 0.3},
    "distilbert": {"seq_classif_dropout": 0.3, "qa_dropout": 0.5},
    "deberta-v2": {"pooler_dropout": 0.3, "cls_dropout": 0.5},
    "modernbert": {"classifier_dropout": 0.3},
}


def native_pair(family: str, form: HeadForm, path: Path, changes: dict[str, object]) -> tuple[PreTrainedModel, Head]:
    """Return the native model and our head with its weights; the directory holds the native model."""
    num_outputs = {"answer": 2, "choice": 1}.get(form, NUM_LABELS)
    tokenizer = tiny_tokenizer(family)
    config: PretrainedConfig = tiny_config(family, tokenizer, dropout=0.2)
    for name, value in changes.items():
        setattr(config, name, value)
    config.num_labels = num_outputs
    auto, names = NATIVE[form]
    torch.manual_seed(1)
    native = auto.from_config(config)
    with torch.no_grad():
        for parameter in native.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    native.save_pretrained(path)
    vectors: Vectors = {"sequence": "sequence", "choice": "sequences"}.get(form, "token")
    head = Head(head_spec(config, head=form, vectors=vectors, out_features=num_outputs))
    state = native.state_dict()
    places = names[family]
    copied = {key: state[places[key.split(".")[0]] + "." + key.split(".")[1]] for key in head.state_dict()}
    head.load_state_dict(copied)
    return native, head


def inputs() -> tuple[Tensor, Tensor]:
    ids = torch.randint(5, 70, (4, 9), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    mask[3, 3:] = 0
    return ids, mask


def whole_target(form: HeadForm, mask: Tensor) -> Target:
    rows, length = mask.shape
    if form not in ("token", "answer"):
        return Target(sequences=torch.arange(rows))
    return Target(sequences=torch.arange(rows).repeat_interleave(length), positions=torch.arange(length).repeat(rows))


def our_logits(path: Path, head: Head, form: HeadForm, *, training: bool) -> Tensor:
    ids, mask = inputs()
    encoder = load_encoder(str(path)).train(training)
    head.train(training)
    torch.manual_seed(3)
    return head(encoder(ids, mask), whole_target(form, mask))


def native_logits(native: PreTrainedModel, form: HeadForm, *, training: bool) -> Tensor:
    ids, mask = inputs()
    native.train(training)
    torch.manual_seed(3)
    if form == "choice":  # two rows of two options
        ids, mask = ids.view(2, 2, -1), mask.view(2, 2, -1)
    given = native(ids, attention_mask=mask)
    if form == "answer":
        given_logits: Tensor = torch.stack([given.start_logits, given.end_logits], -1)
        return given_logits.reshape(-1, 2)
    return given.logits.reshape(-1, 1 if form == "choice" else NUM_LABELS)


@pytest.mark.parametrize("form", ["sequence", "token", "choice", "answer"])
@pytest.mark.parametrize("family", FAMILIES)
def test_head_equals_the_native_head_with_dropout_off_and_on(family: str, form: HeadForm, tmp_path: Path) -> None:
    native, head = native_pair(family, form, tmp_path, DROPOUTS[family])
    for training in (
        False,
        True,
    ):  # equal random numbers fall on equal places: dropout stands where theirs does
        ours = our_logits(tmp_path, head, form, training=training)
        torch.testing.assert_close(ours, native_logits(native, form, training=training), rtol=0, atol=1e-6)


@pytest.mark.parametrize("changes", [{"classifier_pooling": "mean"}, {"classifier_bias": True, "norm_bias": True}])
def test_modernbert_head_follows_its_configuration(changes: dict[str, object], tmp_path: Path) -> None:
    native, head = native_pair("modernbert", "sequence", tmp_path, changes)
    ours = our_logits(tmp_path, head, "sequence", training=False)
    torch.testing.assert_close(ours, native_logits(native, "sequence", training=False), rtol=0, atol=1e-6)


def test_a_dropout_in_another_place_is_seen(tmp_path: Path) -> None:
    native, head = native_pair("roberta", "sequence", tmp_path, {})
    moved = Head(replace(head.spec, input_dropout=0.0))
    moved.load_state_dict(head.state_dict())
    ours = our_logits(tmp_path, moved, "sequence", training=True)
    assert not torch.allclose(ours, native_logits(native, "sequence", training=True), atol=1e-3)


def test_an_unlisted_family_gets_berts_head() -> None:
    config = transformers.AutoConfig.for_model("convbert", hidden_size=32, classifier_dropout=0.3)
    assert head_spec(config, head="sequence", vectors="sequence", out_features=2) == HeadSpec(
        vectors="sequence", in_features=32, out_features=2, activation="tanh", output_dropout=0.3
    )


@given(
    sequences=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    vectors=st.sampled_from(["first", "mean", "token"]),
)
def test_head_reads_only_the_vectors_its_target_names(sequences: list[int], vectors: str) -> None:
    pooling = "mean" if vectors == "mean" else "first"
    spec = HeadSpec("token" if vectors == "token" else "sequence", 8, 2, pooling=pooling, activation="tanh")
    head = build_head(spec, seed=1, task="intent", initializer_range=0.5)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
    hidden = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    positions = torch.zeros(len(sequences), dtype=torch.int64) if vectors == "token" else None
    logits = head(Encoded(hidden, mask), Target(sequences=torch.tensor(sequences), positions=positions))
    logits.sum().backward()
    assert logits.shape == (len(sequences), 2)
    assert hidden.grad is not None
    read = hidden.grad.abs().sum(dim=-1) > 0
    expected = torch.zeros(4, 3, dtype=torch.bool)
    for row in sequences:
        expected[row] |= mask[row].bool() if vectors == "mean" else torch.tensor([True, False, False])
    assert torch.equal(read, expected)


def test_new_head_depends_on_seed_and_task_name_only() -> None:
    spec = HeadSpec("sequence", 16, 3, activation="tanh", norm_eps=1e-5)
    first = build_head(spec, seed=13, task="intent", initializer_range=0.02).state_dict()
    before = torch.get_rng_state()
    torch.manual_seed(99)
    again = build_head(spec, seed=13, task="intent", initializer_range=0.02).state_dict()
    assert torch.equal(torch.get_rng_state(), torch.manual_seed(99).get_state())
    torch.set_rng_state(before)
    other_task = build_head(spec, seed=13, task="topics", initializer_range=0.02).state_dict()
    other_seed = build_head(spec, seed=14, task="intent", initializer_range=0.02).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    for key in ("dense.weight", "out.weight"):
        assert not torch.equal(first[key], other_task[key])
        assert not torch.equal(first[key], other_seed[key])


def test_new_head_has_normal_weights_zero_biases_and_unit_norms() -> None:
    spec = HeadSpec("sequence", 256, 64, activation="tanh", norm_eps=1e-5)
    state = build_head(spec, seed=1, task="intent", initializer_range=0.02).state_dict()
    assert state["dense.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    assert state["out.weight"].mean().item() == pytest.approx(0.0, abs=0.001)
    for key in ("dense.bias", "norm.bias", "out.bias"):
        assert torch.equal(state[key], torch.zeros_like(state[key]))
    assert torch.equal(state["norm.weight"], torch.ones(256))


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_sequence_head_starts_from_a_copy_of_the_pretrained_pooler(family: str, encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir(family)))
    pooler = head_pooler(encoder)
    assert pooler is not None
    spec = head_spec(encoder.config, head="sequence", vectors="sequence", out_features=2)
    head = build_head(spec, seed=1, task="intent", initializer_range=0.02, pooler=pooler)
    assert head.dense is not None
    assert torch.equal(head.dense.weight, pooler["weight"])
    assert torch.equal(head.dense.bias, pooler["bias"])
    with torch.no_grad():
        head.dense.weight.zero_()
    assert pooler["weight"].abs().sum() > 0


def test_spec_survives_json(tmp_path: Path) -> None:
    spec = HeadSpec("token", 32, 5, activation="gelu", dense_bias=False, norm_eps=1e-5, output_dropout=0.1)
    assert head_spec_from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_spec_with_an_unknown_or_missing_key_is_refused() -> None:
    values = HeadSpec("sequence", 8, 2).to_json()
    with pytest.raises(ModelError, match=r"unknown \['layers'\]"):
        head_spec_from_json({**values, "layers": 2})
    del values["pooling"]
    with pytest.raises(ModelError, match=r"missing \['pooling'\]"):
        head_spec_from_json(values)


# ---- layers and pooling

HIDDEN = torch.tensor([[[1.0, 2.0], [3.0, -4.0], [9.0, 9.0]], [[0.0, 1.0], [2.0, 5.0], [-2.0, 0.0]]])  # [S 2, L 3, D 2]
MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])
BOTH = Target(sequences=torch.tensor([0, 1]))


def pooled(**given: Any) -> Head:
    """A head that gives the pooled vector itself."""
    spec = HeadSpec("sequence", 2, 2, output="none", **given)
    return build_head(spec, seed=1, task="a", initializer_range=0.02).eval()


def test_mean_and_maximum_leave_padding_out() -> None:
    mean, highest = (pooled(pooling=way)(Encoded(HIDDEN, MASK), BOTH) for way in ("mean", "max"))
    assert torch.equal(mean, torch.tensor([[2.0, -1.0], [0.0, 2.0]]))
    assert torch.equal(highest, torch.tensor([[3.0, 2.0], [2.0, 5.0]]))


def test_attention_begins_as_the_mean() -> None:
    found = pooled(pooling="attention")(Encoded(HIDDEN, MASK), BOTH)
    assert torch.allclose(found, torch.tensor([[2.0, -1.0], [0.0, 2.0]]), atol=1e-6)


def test_attention_weighs_tokens_by_their_product_with_the_query() -> None:
    head = pooled(pooling="attention")
    assert head.query is not None
    with torch.no_grad():
        head.query.copy_(torch.tensor([2.0**0.5, 0.0]))  # scores are the first feature: 1, 3 | 0, 2, -2
    found = head(Encoded(HIDDEN, MASK), BOTH)
    weights = torch.tensor([1.0, 3.0]).softmax(0)
    assert torch.allclose(found[0], weights[0] * HIDDEN[0, 0] + weights[1] * HIDDEN[0, 1], atol=1e-6)


def test_a_chosen_layer_is_read_and_a_mix_begins_as_the_mean_of_all() -> None:
    layers = (HIDDEN, HIDDEN + 1, HIDDEN + 5)
    encoded = Encoded(layers[-1], MASK, layers)
    assert torch.equal(pooled(layer=1)(encoded, BOTH), HIDDEN[:, 0] + 1)
    assert torch.equal(pooled()(encoded, BOTH), HIDDEN[:, 0] + 5)
    assert torch.allclose(pooled(layer="mix", num_mixed=3)(encoded, BOTH), HIDDEN[:, 0] + 2, atol=1e-6)


def test_a_mix_learns_which_layer_counts() -> None:
    head = pooled(layer="mix", num_mixed=2)
    layers = (HIDDEN, -HIDDEN)
    head(Encoded(layers[-1], MASK, layers), BOTH).square().sum().backward()
    assert head.mix is not None
    assert head.mix.grad is not None
    head.zero_grad()
    with torch.no_grad():
        head.mix.copy_(torch.tensor([20.0, 0.0]))
    assert torch.allclose(head(Encoded(layers[-1], MASK, layers), BOTH), HIDDEN[:, 0], atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_gives_every_layer_and_the_last_one_at_the_end(family: str, encoder_dir: Any) -> None:
    encoder = load_encoder(str(encoder_dir(family))).eval()
    ids = torch.arange(6, 12).view(1, 6)
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        every, last = (
            encoder(ids, mask, torch.zeros_like(ids), all_layers=True),
            encoder(ids, mask, torch.zeros_like(ids)),
        )
    assert len(every.layers) == encoder.num_layers + 1
    assert torch.equal(every.layers[-1], last.last)
    assert not last.layers


def test_cuts_ascend_and_begin_with_equal_probabilities() -> None:
    spec = HeadSpec("sequence", 2, 3, output="ordinal")
    head = build_head(spec, seed=1, task="a", initializer_range=0.0)
    above = head(Encoded(HIDDEN, MASK), BOTH).sigmoid()  # the latent value is 0
    assert torch.allclose(above, torch.tensor([[0.75, 0.5, 0.25]]).expand(2, 3), atol=1e-6)
    assert head.cuts is not None
    with torch.no_grad():
        head.cuts.copy_(torch.tensor([5.0, -30.0, -3.0]))
    assert (head(Encoded(HIDDEN, MASK), BOTH).diff(dim=1) <= 0).all()


def test_a_head_of_a_layer_that_the_encoder_lacks_is_refused(tiny_bert: Any) -> None:
    encoder = load_encoder(str(tiny_bert))
    for layer in ({"layer": 3}, {"layer": "mix", "num_mixed": 2}):
        spec = HeadSpec("sequence", HIDDEN_SIZE, 2, **layer)
        with pytest.raises(ModelError, match="layer"):
            Network(encoder, {"intent": Head(spec)})
