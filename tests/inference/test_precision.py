"""Devices, and which precision is meant, to be had and computed in."""

from typing import Literal

import pytest
import torch

from mtl_transformers.errors import ConfigError
from mtl_transformers.inference.precision import (
    Precision,
    autocast,
    available_precision,
    default_device,
    has_fast_bf16,
    named_device,
    resolve_precision,
)

CPU = torch.device("cpu")
CUDA = torch.device("cuda")


def test_auto_is_bf16_exactly_where_the_device_is_fast_in_it() -> None:
    assert resolve_precision("auto", CPU) == ("bf16" if has_fast_bf16(CPU) else "fp32")


def test_a_cpu_is_fast_in_bf16_exactly_when_it_multiplies_bf16() -> None:
    found = torch.cpu.get_capabilities()
    assert has_fast_bf16(CPU) == any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def test_an_unknown_kind_of_device_computes_in_fp32() -> None:
    assert resolve_precision("auto", torch.device("meta")) == "fp32"


@pytest.mark.parametrize("setting", ["fp32", "bf16"])
def test_a_precision_that_is_asked_for_is_honoured(setting: Literal["fp32", "bf16"]) -> None:
    assert resolve_precision(setting, CPU) == setting


def test_fp16_needs_a_gpu() -> None:
    assert resolve_precision("fp16", CUDA) == "fp16"
    with pytest.raises(ConfigError, match=r"fp16 needs a GPU; this is cpu\. Use bf16, fp32 or auto"):
        resolve_precision("fp16", CPU)


def test_a_model_scored_in_fp16_or_bf16_computes_in_fp32_where_the_device_has_it_not() -> None:
    nowhere = torch.device("meta")
    assert [available_precision(stored, nowhere) for stored in ("fp32", "bf16", "fp16")] == ["fp32"] * 3
    assert available_precision("fp16", CUDA) == "fp16"


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_only_the_arithmetic_changes_never_the_weights(precision: Precision, dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(2, 2)
    with autocast(precision, CPU):
        assert layer(torch.ones(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32
    assert layer(torch.ones(1, 2)).dtype == torch.float32


def test_the_default_device_is_a_gpu_where_there_is_one() -> None:
    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_device_goes_by_its_name() -> None:
    assert named_device("cpu") == named_device(CPU) == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_a_device_that_this_machine_has_not_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^device '{name}' cannot be used: .*Expected cpu, cuda or cuda:<n>$"):
        named_device(name)
