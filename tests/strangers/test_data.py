"""Data of others is data: scripts, pickled types and telling names run nothing."""

import csv
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from little import TICKET_TASKS, raw_config, tickets

from mtl_transformers.config import load_config
from mtl_transformers.errors import MTLError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.inference.files import read_rows
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.training.experiment import prepare

EVIL_TEXT = (
    "cos\nsystem\n(S'touch canary'\ntR.",
    '{"__reduce__": ["os.system", ["touch canary"]]}',
    "!!python/object/apply:os.system [touch canary]",
    "=cmd|'/C touch canary'!A0",
    "{{ ''.__class__.__mro__ }}",
    "$(touch canary) `touch canary` %(canary)s {canary}",
)


def prepared(tmp_path: Path, encoder: Path, section: dict[str, Any]) -> Any:
    tasks = {"intent": TICKET_TASKS["intent"]}
    return prepare(
        load_config(raw_config(tmp_path, encoder, data={"tickets": {"text": "body", **section}}, tasks=tasks))
    )


@pytest.mark.parametrize("place", ["script.py", "directory", "directory/evil.py"])
def test_a_loading_script_is_never_run(
    tmp_path: Path, tiny_bert: Path, evil_module: str, canary: Path, place: str
) -> None:
    (tmp_path / "directory").mkdir()
    for path in (tmp_path / "script.py", tmp_path / "directory" / "directory.py", tmp_path / "directory" / "evil.py"):
        path.write_text(evil_module)

    with pytest.raises(MTLError):
        prepared(tmp_path, tiny_bert, {"path": str(tmp_path / place)})
    assert not canary.exists()


def test_a_script_beside_the_files_is_never_run(
    tmp_path: Path, tiny_bert: Path, evil_module: str, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("json", "tickets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(evil_module)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tickets(12)))

    prepared(tmp_path, tiny_bert, {"path": "json", "files": {"train": "rows.jsonl", "validation": "rows.jsonl"}})

    assert not canary.exists()


def pickled_type(tmp_path: Path, pickled: bytes) -> Path:
    """Write a parquet file whose schema asks for a type that old versions of pyarrow unpickled."""
    metadata = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": pickled}
    rows = tickets(12)
    body = pa.field("body", pa.string(), metadata=metadata)
    table = pa.table(
        [[row["body"] for row in rows], [row["intent"] for row in rows]],
        schema=pa.schema([body, pa.field("intent", pa.string())]),
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_a_pickled_type_in_parquet_is_not_read(
    tmp_path: Path, tiny_bert: Path, model_dir: Path, pickled: bytes, canary: Path
) -> None:
    path = pickled_type(tmp_path, pickled)

    assert len(list(read_rows(path))) == 12
    model = MultiTaskModel.from_pretrained(model_dir, device="cpu")
    assert predict_file(model, path, tmp_path / "out.jsonl") == 12
    prepared(tmp_path, tiny_bert, {"path": "parquet", "files": {"train": str(path), "validation": str(path)}})
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["Evil", "os.system", "builtins.eval", "Value"])
def test_a_type_that_the_features_name_is_no_code(tmp_path: Path, tiny_bert: Path, canary: Path, kind: str) -> None:
    rows = tickets(12)
    features = {"body": {"_type": kind, "dtype": f"__import__('os').mkdir({str(canary)!r})"}, "intent": {"_type": kind}}
    table = pa.table({name: [row[name] for row in rows] for name in ("body", "intent")})
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "rows.parquet")
    path = str(tmp_path / "rows.parquet")

    with pytest.raises(MTLError):
        prepared(tmp_path, tiny_bert, {"path": "parquet", "files": {"train": path, "validation": path}})
    assert not canary.exists()


def test_a_saved_dataset_whose_state_is_a_pickle_is_refused(
    tmp_path: Path, tiny_bert: Path, pickled: bytes, canary: Path
) -> None:
    datasets.DatasetDict(train=datasets.Dataset.from_list(tickets(12))).save_to_disk(tmp_path / "saved")
    for name in ("state.json", "dataset_info.json"):
        (tmp_path / "saved" / "train" / name).write_bytes(pickled)

    with pytest.raises(MTLError):
        prepared(tmp_path, tiny_bert, {"path": str(tmp_path / "saved")})
    assert not canary.exists()


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_text_that_looks_like_code_stays_text(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"id": text, "body": text} for text in EVIL_TEXT]
    path = tmp_path / f"in{ending}"
    if ending == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "body"])
            writer.writeheader()
            writer.writerows(rows)
    elif ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)

    predict_file(MultiTaskModel.from_pretrained(model_dir, device="cpu"), path, tmp_path / f"out{ending}")

    assert [row["id"] for row in read_rows(tmp_path / f"out{ending}")] == list(EVIL_TEXT)
    assert not (tmp_path / "canary").exists()
