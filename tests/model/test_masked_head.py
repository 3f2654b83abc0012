"""The head of masked language modelling: equal to the family's own, tied, and started from the pretrained one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from tiny import FAMILIES, tiny_config, tiny_tokenizer
from torch import Tensor
from transformers import PreTrainedModel

from mtl_transformers.batch import MicroBatch, Target
from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import Encoder, load_encoder
from mtl_transformers.model.head_spec import head_spec
from mtl_transformers.model.heads import Head, build_head
from mtl_transformers.model.masked_head import start_from_pretrained
from mtl_transformers.model.network import Network

EncoderDir = Callable[[str], Path]


def native_in(path: Path, family: str, *, tied: bool = True) -> PreTrainedModel:
    """Save a family's native model, its weights far from their beginnings, and return it."""
    config = tiny_config(family, tiny_tokenizer(family))
    config.tie_word_embeddings = tied
    torch.manual_seed(1)
    native = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in native.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    native.save_pretrained(path)
    return native


def head_of(encoder: Encoder) -> Head:
    spec = head_spec(encoder.config, head="masked", vectors="token", out_features=encoder.config.vocab_size)
    return build_head(spec, seed=1, task="fill", initializer_range=0.02)


def whole_batch() -> MicroBatch:
    """Every token of two texts of 9 and 6 tokens."""
    ids = torch.randint(5, 70, (2, 9), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    target = Target(sequences=torch.arange(2).repeat_interleave(9), positions=torch.arange(9).repeat(2))
    return MicroBatch(ids, mask, targets={"fill": target})


def our_logits(encoder: Encoder, head: Head) -> Tensor:
    batch = whole_batch()
    return Network(encoder, {"fill": head}).eval()(batch)["fill"].reshape(2, 9, -1)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_is_the_familys_own_and_starts_from_its_weights(family: str, tied: bool, tmp_path: Path) -> None:
    native = native_in(tmp_path, family, tied=tied)
    encoder = load_encoder(str(tmp_path))
    head = head_of(encoder)
    batch = whole_batch()
    with torch.no_grad():
        theirs = native(batch.input_ids, attention_mask=batch.attention_mask).logits
        assert not torch.allclose(our_logits(encoder, head), theirs, atol=1e-2)  # before the weights are copied
        assert start_from_pretrained(head, encoder)
        real = batch.attention_mask.bool()
        torch.testing.assert_close(our_logits(encoder, head)[real], theirs[real], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tied_head_holds_no_vectors_of_the_vocabulary_and_an_untied_one_its_own(family: str, tmp_path: Path) -> None:
    for tied in (True, False):
        native_in(tmp_path / str(tied), family, tied=tied)
        encoder = load_encoder(str(tmp_path / str(tied)))
        names = set(head_of(encoder).state_dict())
        assert ("out.weight" in names) == (not tied)
        assert ("bias" in names) == tied


def test_an_encoder_without_such_a_head_leaves_ours_as_it_began(encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    head = head_of(encoder)
    before = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    assert not start_from_pretrained(head, encoder)
    assert all(torch.equal(tensor, before[name]) for name, tensor in head.state_dict().items())


def test_a_tied_head_trains_the_vectors_of_the_vocabulary(encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    network = Network(encoder, {"fill": head_of(encoder)}).eval()
    network(whole_batch())["fill"][:, 200].sum().backward()
    gradient = encoder.embeddings.grad
    assert gradient is not None
    assert not (whole_batch().input_ids == 200).any()  # so it is moved by the output alone
    assert gradient[200].abs().sum() > 0


def test_a_head_for_another_vocabulary_is_refused(encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir("bert")))
    spec = head_spec(encoder.config, head="masked", vectors="token", out_features=7)
    with pytest.raises(ModelError, match="shares 7 vectors of 32 numbers"):
        Network(encoder, {"fill": build_head(spec, seed=1, task="fill", initializer_range=0.02)})
