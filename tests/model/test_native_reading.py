"""A plain directory is read strictly, and as what its own class computes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import tiny_config, tiny_tokenizer

from mtl_transformers.errors import ModelError
from mtl_transformers.model.native_reading import read_native
from mtl_transformers.model.shared_encoder import check_shared

Plain = Callable[..., Path]


@pytest.fixture
def plain(tmp_path: Path) -> Plain:
    """Return what writes a class of transformers with random weights: those of the encoder by a seed."""

    def write(name: str, kind: str, *, family: str = "bert", seed: int = 0, **settings: object) -> Path:
        tokenizer = tiny_tokenizer(family)
        config = tiny_config(family, tokenizer)
        for key, value in settings.items():
            setattr(config, key, value)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            base = transformers.AutoModel.from_config(config)
            made = getattr(transformers, f"AutoModelFor{kind}").from_config(config)
            getattr(made, made.base_model_prefix).load_state_dict(base.state_dict(), strict=False)
        made.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    return write


def change_config(path: Path, **changes: object) -> None:
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes), encoding="utf-8")


def test_labels_problem_and_lengths_are_those_of_the_directory(plain: Plain) -> None:
    path = plain("a", "SequenceClassification", id2label={0: "no", 1: "yes"}, problem_type="multi_label_classification")
    found = read_native(path)
    assert (found.form, found.labels, found.problem_type) == ("sequence", ("no", "yes"), "multi_label_classification")
    assert found.max_length == 64
    assert found.parity.difference == 0
    assert found.encoder.config.problem_type is None


def test_a_setting_of_the_familys_own_head_is_read(plain: Plain) -> None:
    path = plain("a", "MultipleChoice", family="electra", summary_activation="tanh")
    assert read_native(path).parity.difference == 0


def test_a_configuration_that_means_something_else_is_refused_and_not_served(plain: Plain) -> None:
    path = plain("a", "MultipleChoice", family="electra", summary_type="mean")  # ours reads the first vector
    with pytest.raises(ModelError, match=r"the family's own class differ from ours by up to .* means something"):
        read_native(path)


def test_a_head_that_was_never_saved_is_refused(plain: Plain) -> None:
    path = plain("a", "SequenceClassification")
    weights = load_file(path / "model.safetensors")
    save_file({key: of for key, of in weights.items() if "classifier" not in key}, path / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks weights.*: classifier\.bias, classifier\.weight\. Was the head ever"):
        read_native(path)


def test_an_encoder_without_a_head_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"names the class BertModel; expected one that ends in ForSequenceClass.*"):
        read_native(tiny_bert)


def test_no_directory_and_pickles_are_refused(plain: Plain, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere is no directory\. Expected one that save_pretrained"):
        read_native(tmp_path / "nowhere")
    path = plain("a", "SequenceClassification")
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds no \.safetensors file"):
        read_native(path)


def test_labels_with_the_same_name_are_refused(plain: Plain) -> None:
    path = plain("a", "SequenceClassification")
    change_config(path, id2label={"0": "same", "1": "same"}, label2id={"same": 1})
    with pytest.raises(ModelError, match=r"id2label of its config.json names 1 labels for 2 outputs"):
        read_native(path)


# the same encoder


def test_two_heads_on_one_encoder_share_it_whatever_their_own_settings(plain: Plain) -> None:
    first = read_native(plain("a", "SequenceClassification", classifier_dropout=0.3))
    for kind in ("TokenClassification", "QuestionAnswering", "MaskedLM", "MultipleChoice"):
        check_shared(first, read_native(plain(kind, kind, id2label={0: "x", 1: "y"})), names=("a", kind))


def test_another_encoder_is_refused_with_the_tensors_that_differ(plain: Plain) -> None:
    first, path = read_native(plain("a", "SequenceClassification")), plain("b", "TokenClassification")
    weights = load_file(path / "model.safetensors")
    weights["bert.encoder.layer.1.output.dense.bias"][3] += 0.25
    weights["bert.embeddings.LayerNorm.weight"][0] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    save_file(weights, path / "model.safetensors", {"format": "pt"})
    expected = (
        r"the encoders of 'a' \(.*a\) and 'b' \(.*b\) differ in 2 of 37 tensors: "
        r"encoder\.layer\.1\.output\.dense\.bias \(up to 0\.25\), "
        r"embeddings\.LayerNorm\.weight \(up to 1\.2e-07\)\. Only heads that were trained on one"
    )
    with pytest.raises(ModelError, match=expected):
        check_shared(first, read_native(path), names=("a", "b"))


def test_another_setting_of_the_encoder_is_refused_though_all_weights_are_equal(plain: Plain) -> None:
    first, path = read_native(plain("a", "SequenceClassification")), plain("b", "TokenClassification")
    change_config(path, hidden_act="relu")
    with pytest.raises(ModelError, match=r"have other settings: hidden_act \('gelu' and 'relu'\)"):
        check_shared(first, read_native(path), names=("a", "b"))


def test_another_tokenizer_is_refused(plain: Plain) -> None:
    first, path = read_native(plain("a", "SequenceClassification")), plain("b", "TokenClassification")
    file = path / "tokenizer.json"
    file.write_text(file.read_text().replace('"lowercase": true', '"lowercase": false'), encoding="utf-8")
    with pytest.raises(ModelError, match=r"the tokenizers of 'a' .* and 'b' .* differ"):
        check_shared(first, read_native(path), names=("a", "b"))
