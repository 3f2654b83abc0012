"""A predictor that is pickled as a path: the same rows in any process, beside the columns that were given."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtl_transformers import BatchPredictor, ConfigError, DataError, MultiTaskModel
from mtl_transformers.inference.bulk import predict_file

TEXTS = ["refund my card", "the parcel to Berlin", "password", "Zürich or Quito — 漢字"]
TASKS = ["intent", "topics", "urgency", "entities"]


def objects(cells: list[Any]) -> np.ndarray[Any, Any]:
    found = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):
        found[place] = cell
    return found


def a_batch(texts: list[str | None] = TEXTS) -> dict[str, np.ndarray[Any, Any]]:  # type: ignore[assignment]
    return {"n": np.arange(len(texts)), "body": objects(list(texts))}


@pytest.fixture(scope="module")
def predictor(model_dir: Path) -> BatchPredictor:
    """Never pickle it before it was used: a test says that this makes no difference."""
    return BatchPredictor(model_dir, tasks=TASKS, device="cpu", precision="fp32")


def test_a_batch_gets_the_rows_of_a_file(predictor: BatchPredictor, model: MultiTaskModel, tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": range(4), "body": TEXTS}), tmp_path / "in.parquet")
    predict_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", tasks=TASKS, keep=["n", "body"])
    answered = pa.table({name: pa.array(column) for name, column in predictor(a_batch()).items()})
    assert answered.equals(pq.read_table(tmp_path / "out.parquet"))


def test_columns_are_read_under_other_names_and_lists_as_words(model_dir: Path, predictor: BatchPredictor) -> None:
    renaming = BatchPredictor(model_dir, tasks=TASKS, columns={"body": "message"}, keep=[], device="cpu")
    found = renaming({"message": np.array(TEXTS), "body": np.array([7] * 4)})  # texts of numpy's own type
    assert list(found) == ["intent", "intent_score", "topics", "urgency", "entities"]
    assert found["intent"].tolist() == predictor(a_batch())["intent"].tolist()
    words = BatchPredictor(model_dir, tasks=["names"], device="cpu")
    cells = words({"tokens": objects([np.array(["Hi,", "Berlin"]), ["you"]])})["names"]
    assert [len(json.loads(cell)) for cell in cells] == [2, 1]


def test_lists_are_taken_as_columns_too(predictor: BatchPredictor) -> None:
    found = predictor({"body": TEXTS, "parts": [[1, 2]] * 4})
    assert found["parts"].tolist() == [[1, 2]] * 4
    assert found["urgency"].dtype == np.float64


def test_an_empty_batch_has_the_same_columns(predictor: BatchPredictor) -> None:
    found = predictor(a_batch([]))
    assert list(found) == list(predictor(a_batch()))
    assert {len(column) for column in found.values()} == {0}


def test_kept_errors_are_null_beside_a_message(model_dir: Path) -> None:
    keeping = BatchPredictor(model_dir, tasks=["intent", "urgency"], errors="keep", device="cpu")
    found = keeping(a_batch(["refund", None]))
    assert found["error"].tolist() == [None, "'body': None: expected a text that is not empty"]
    assert (found["intent"][1], found["intent_score"][1], found["urgency"][1]) == (None, None, None)
    assert isinstance(found["urgency"][0], float)


def test_a_row_that_cannot_be_read_is_an_error_by_default(predictor: BatchPredictor) -> None:
    with pytest.raises(DataError, match="row 2, 'body': None: expected a text"):
        predictor(a_batch(["refund", None]))


def test_it_is_pickled_as_a_path_before_and_after_its_first_use(predictor: BatchPredictor, model_dir: Path) -> None:
    predictor(a_batch())
    stored = pickle.dumps(predictor)
    unused = BatchPredictor(model_dir, tasks=TASKS, device="cpu", precision="fp32")
    assert stored == pickle.dumps(unused)
    assert len(stored) < 1000
    again = pickle.loads(stored)
    assert again(a_batch())["intent"].tolist() == predictor(a_batch())["intent"].tolist()


def test_constructing_reads_nothing() -> None:
    BatchPredictor("no/such/model")


def test_a_relative_path_is_that_of_the_process_that_names_it(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model_dir.parent)
    relative = BatchPredictor(model_dir.name, tasks=["intent"], device="cpu")
    monkeypatch.chdir("/")
    assert len(relative(a_batch())["intent"]) == 4


def test_a_column_with_the_name_of_an_answer_is_refused_unless_it_is_left_out(
    model_dir: Path, predictor: BatchPredictor
) -> None:
    labelled = {**a_batch(), "intent": np.array(["x"] * 4)}
    with pytest.raises(ConfigError, match=r"column 'intent' of the input has the name of a column of the answers"):
        predictor(labelled)
    leaving = BatchPredictor(model_dir, tasks=["intent"], keep=["n"], device="cpu")
    assert list(leaving(labelled)) == ["n", "intent", "intent_score"]


def test_columns_that_do_not_fit_are_refused(model_dir: Path, predictor: BatchPredictor) -> None:
    with pytest.raises(DataError, match="different numbers of rows: 'n' has 4, 'body' has 3"):
        predictor({**a_batch(), "body": objects(list(TEXTS[:3]))})
    with pytest.raises(DataError, match="task 'intent' reads 'body'; the rows have 'text'"):
        predictor({"text": np.array(TEXTS)})
    with pytest.raises(DataError, match="no column 'm' to keep; the batch has 'n', 'body'"):
        BatchPredictor(model_dir, keep=["m"], device="cpu")(a_batch())
    with pytest.raises(ConfigError, match="--columns bodi=…: the model reads 'body'"):
        BatchPredictor(model_dir, columns={"bodi": "body"}, device="cpu")(a_batch())


@pytest.mark.slow
def test_two_fresh_processes_give_the_rows_of_this_one(predictor: BatchPredictor) -> None:
    """The predictor itself is what they are given: nothing of this file is imported there."""
    parts = [{"body": np.array(texts)} for texts in (TEXTS[:1], TEXTS[1:], TEXTS[::-1], TEXTS)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [answers["intent"].tolist() for answers in pool.map(predictor, parts)]
    assert found == [predictor(part)["intent"].tolist() for part in parts]
