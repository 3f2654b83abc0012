"""A head and its encoder as the family's own class: equal logits in every family, and what none of them can express."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import FAMILIES, HIDDEN_SIZE, NUM_LAYERS, tiny_config, tiny_tokenizer
from transformers import AutoConfig, AutoModel

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import Encoder, load_encoder
from mtl_transformers.model.head_spec import HeadForm, HeadSpec, head_spec
from mtl_transformers.model.heads import Head, build_head
from mtl_transformers.model.native import Outputs, inexpressible, native_model, save_native
from mtl_transformers.model.native_names import names_of
from mtl_transformers.model.native_parity import Parity, check_parity, parity
from mtl_transformers.model.native_reading import load_native
from mtl_transformers.model.tensors import read_tensors
from mtl_transformers.text.decoders import Vectors

EncoderDir = Callable[[str], Path]

FORMS: dict[HeadForm, Vectors] = {
    "sequence": "sequence",
    "token": "token",
    "answer": "token",
    "choice": "sequences",
    "masked": "token",
    "embedding": "sequences",
}
LABELS = ("a", "b", "c")


def head_on(encoder: Encoder, form: HeadForm, **changes: object) -> Head:
    """A head of the family's own, or of another shape, with random weights and biases."""
    size = {"answer": 2, "choice": 1, "masked": encoder.config.vocab_size}.get(form, len(LABELS))
    spec = head_spec(encoder.config, head=form, vectors=FORMS[form], out_features=size)
    head = build_head(replace(spec, **changes), seed=1, task="x", initializer_range=0.5)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return head


def outputs_of(form: HeadForm) -> Outputs:
    return Outputs(LABELS if form in ("sequence", "token") else ())


def written(
    encoder: Encoder, head: Head, form: HeadForm, path: Path, *, outputs: Outputs | None = None
) -> tuple[Path, Parity]:
    """Write the family's own class, open it again, and compare."""
    given = outputs or outputs_of(form)
    assert inexpressible(head.spec, encoder.config, form) is None
    save_native(path, *native_model(encoder, head, form=form, outputs=given))
    native = load_native(path, form)
    pad_id = encoder.config.pad_token_id
    return path, parity(native, encoder, head, form=form, outputs=given, pad_id=pad_id)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_familys_own_class_gives_the_same_bits(
    family: str, form: HeadForm, encoder_dir: EncoderDir, tmp_path: Path
) -> None:
    encoder = load_encoder(str(encoder_dir(family)))
    _, found = written(encoder, head_on(encoder, form), form, tmp_path)
    assert found == Parity(0.0, 0.0)


@pytest.mark.parametrize("form", ["sequence", "choice", "masked"])
def test_xlm_roberta_is_a_roberta(form: HeadForm, tmp_path: Path) -> None:
    values = tiny_config("roberta", tiny_tokenizer("roberta")).to_diff_dict()
    config = AutoConfig.for_model(**{**values, "model_type": "xlm-roberta"})
    AutoModel.from_config(config).save_pretrained(tmp_path / "encoder")
    encoder = load_encoder(str(tmp_path / "encoder"))
    (tmp_path / "out").mkdir()
    _, found = written(encoder, head_on(encoder, form), form, tmp_path / "out")
    assert found.difference == 0


def test_another_weight_is_seen(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    head = head_on(encoder, "sequence")
    written(encoder, head, "sequence", tmp_path)
    with torch.no_grad():
        head.out.bias[0] += 0.5
    native = load_native(tmp_path, "sequence")
    found = parity(native, encoder, head, form="sequence", outputs=Outputs(), pad_id=0)
    assert found.difference == pytest.approx(0.5, abs=1e-5)
    with pytest.raises(ModelError, match=r"^here: the logits of the family's own class differ from ours by up to 0\.5"):
        check_parity(found, place="here")


def test_logits_that_are_no_numbers_are_no_parity() -> None:
    with pytest.raises(ModelError, match="differ from ours by up to nan"):
        check_parity(Parity(float("nan"), float("nan")), place="here")


# what is said of the outputs


def test_scale_and_shift_are_folded_into_the_last_layer(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir("electra")))
    head = head_on(encoder, "sequence")
    outputs = Outputs(LABELS, "regression", scale=(2.0, 0.001, 4000.0), shift=(10.0, 0.5, -7.0))
    path, found = written(encoder, head, "sequence", tmp_path, outputs=outputs)
    assert found.share <= 1e-6
    state = read_tensors(path / "model.safetensors")
    torch.testing.assert_close(
        state["classifier.out_proj.bias"],
        head.out.bias * torch.tensor([2.0, 0.001, 4000.0]) + torch.tensor([10.0, 0.5, -7.0]),
    )
    torch.testing.assert_close(state["classifier.out_proj.weight"][1], head.out.weight[1] * 0.001)


def test_the_folding_works_by_hand() -> None:
    outputs = Outputs(("a", "b"), scale=(2.0, 10.0), shift=(1.0, -1.0))
    assert outputs.folded(torch.tensor([[1.0, 1.0], [0.0, 3.0]])).tolist() == [[3.0, 9.0], [1.0, 29.0]]
    assert Outputs().folded(torch.tensor([1.0])).tolist() == [1.0]


def test_the_configuration_names_labels_and_problem(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    outputs = Outputs(LABELS, "multi_label_classification")
    path, _ = written(encoder, head_on(encoder, "sequence"), "sequence", tmp_path, outputs=outputs)
    config = AutoConfig.from_pretrained(path)
    assert config.id2label == {0: "a", 1: "b", 2: "c"}
    assert config.label2id == {"a": 0, "b": 1, "c": 2}
    assert (config.problem_type, config.architectures) == (
        "multi_label_classification",
        ["BertForSequenceClassification"],
    )
    assert encoder.config.problem_type is None  # the encoder's own configuration is as it was


def test_a_file_holds_tied_vectors_once_and_no_path(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    path, _ = written(encoder, head_on(encoder, "masked"), "masked", tmp_path)
    keys = read_tensors(path / "model.safetensors").keys()
    assert "bert.embeddings.word_embeddings.weight" in keys
    assert "cls.predictions.decoder.weight" not in keys
    assert sorted(entry.name for entry in path.iterdir()) == ["config.json", "model.safetensors"]
    assert "/" not in (path / "config.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_modernberts_class_pools_as_the_head_does(pooling: str, encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir("modernbert")))
    head = head_on(encoder, "sequence", pooling=pooling)
    _, found = written(encoder, head, "sequence", tmp_path)
    assert found.difference == 0


def test_the_last_layer_by_its_number_is_the_last_layer(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    _, found = written(encoder, head_on(encoder, "token", layer=NUM_LAYERS), "token", tmp_path)
    assert found.difference == 0


# what no class can express


@pytest.mark.parametrize(
    ("form", "changes", "message"),
    [
        ("sequence", {"layer": 1}, "it reads layer 1 of 2, and a class reads the last one"),
        ("token", {"layer": "mix", "num_mixed": 3}, r"it reads a learned mix of all layers \(layer: mix\)"),
        ("sequence", {"pooling": "mean"}, "it pools by mean, and a class of bert by first"),
        ("choice", {"pooling": "max"}, "it pools by max"),
        ("sequence", {"output": "ordinal"}, r"its cut points \(ordinal: true\)"),
        ("sequence", {"activation": None}, "its layers are not those of the class .activation None instead of 'tanh'"),
        ("sequence", {"norm_eps": 1e-5}, "norm_eps 1e-05 instead of None"),
        ("embedding", {"pooling": "attention"}, r"its pooling \(attention\) has weights of its own"),
        ("embedding", {"layer": 0}, "it reads layer 0 of 2"),
    ],
)
def test_a_head_that_the_class_has_no_place_for_is_told(
    form: HeadForm, changes: dict[str, object], message: str, encoder_dir: EncoderDir
) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    spec = replace(head_spec(encoder.config, head=form, vectors=FORMS[form], out_features=3), **changes)
    problem = inexpressible(spec, encoder.config, form)
    assert problem is not None
    assert re.search(message, problem)


def test_an_embedding_may_be_pooled_by_whoever_opens_the_encoder(encoder_dir: EncoderDir) -> None:
    config = load_encoder(str(encoder_dir("bert"))).config
    for pooling in ("first", "mean", "max"):
        spec = HeadSpec("sequences", HIDDEN_SIZE, HIDDEN_SIZE, pooling=pooling, output="none")
        assert inexpressible(spec, config, "embedding") is None


def test_a_family_that_is_not_known_is_told() -> None:
    config = AutoConfig.for_model("mobilebert")
    spec = HeadSpec("sequence", 512, 2)
    assert "the family mobilebert is not among those" in str(inexpressible(spec, config, "sequence"))


def test_weights_that_a_class_does_not_have_or_lacks_are_refused_with_their_names(encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    for changes, message in (
        ({"activation": None}, r"has other weights than encoder and head: lacking: bert\.pooler\.dense\.bias, bert"),
        ({"norm_eps": 1e-12}, r"left over: norm\.bias, norm\.weight$"),
        ({"out_features": 5}, r"of another shape: classifier\.bias \[5\] instead of \[3\], classifier\.weight"),
    ):
        head = head_on(encoder, "sequence", **changes)
        with pytest.raises(ModelError, match=message):
            native_model(encoder, head, form="sequence", outputs=outputs_of("sequence"))
    assert names_of("norm.weight", family="bert", form="sequence") == ()
