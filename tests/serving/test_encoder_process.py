"""The encoder in a process of its own: the same logits, the errors of the other side, and its end."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from answers import assert_same
from apart import DEADLY, LONG, fragile, odd
from every_kind import ROWS, every_kind_dir

from mtl_transformers.cli.serving import _of_torch
from mtl_transformers.errors import ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.answering import Answering
from mtl_transformers.serving.encoder_process import EncoderGone, EncoderProcess, Load

pytestmark = pytest.mark.slow  # each starts a process that imports torch


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Callable[[str], Path]) -> Path:
    return every_kind_dir(tmp_path_factory.mktemp("apart"), encoder_dir("bert"))


@pytest.fixture
def process(model_dir: Path) -> Iterator[EncoderProcess]:
    with EncoderProcess(partial(fragile, model_dir)) as process:
        yield process


def row_of(answering: Answering, length: int) -> dict[str, str]:
    """Return a row of so many tokens."""
    for num_words in range(1, 40):
        row = {"body": "the " * num_words}
        (asked,) = answering.ask([row], ["intent"])
        if asked.questions[0].features.length == length:
            return row
    raise AssertionError(f"no row of {length} tokens")


def loading(directory: Path) -> Load:
    """Return what ``mtl serve`` loads."""
    return partial(_of_torch, str(directory), threads=1, device="cpu", precision="fp32", revision=None)


def test_every_kind_is_answered_as_in_one_process(model_dir: Path):
    model = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    with EncoderProcess(loading(model_dir)) as process:
        answering, info = process.load()
        assert (info.format, info.precision, info.device) == ("torch", "fp32", "cpu")
        assert answering.forward == process.forward
        assert_same(answering.predict(ROWS), model.predict(ROWS))


def test_an_error_of_a_pass_is_raised_here_with_its_trace_and_the_next_pass_is_answered(process: EncoderProcess):
    answering, _ = process.load()
    with pytest.raises(ValueError, match="a long row") as caught:
        answering.predict([row_of(answering, LONG)], tasks=["intent"])
    assert "apart.py" in caught.value.__notes__[0]
    assert list(answering.predict([row_of(answering, LONG + 1)], tasks=["intent"])[0]) == ["intent"]


def test_the_end_of_the_process_is_told_now_and_later(process: EncoderProcess):
    answering, _ = process.load()
    for _ in range(2):
        with pytest.raises(EncoderGone, match="ended with exit code 3"):
            answering.predict([row_of(answering, DEADLY)], tasks=["intent"])
    assert process.exit_code == 3


def test_what_loading_raises_is_raised_here(tmp_path: Path):
    with EncoderProcess(loading(tmp_path)) as process, pytest.raises(ModelError, match=str(tmp_path)):
        process.load()
    assert process.exit_code == 0


def test_an_error_that_cannot_be_pickled_keeps_its_words_and_its_trace():
    with EncoderProcess(odd) as process, pytest.raises(RuntimeError, match="Odd: odd: no reason") as caught:
        process.load()
    assert "apart.py" in caught.value.__notes__[0]


def test_a_process_that_still_loads_is_ended_with_the_block(model_dir: Path):
    with EncoderProcess(partial(fragile, model_dir)) as process:
        pass
    assert process.exit_code is not None
