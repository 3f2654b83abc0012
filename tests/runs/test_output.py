"""The output directory: nothing of a user's is lost, whatever goes wrong."""

from pathlib import Path

import pytest
from little import ticket_config

from mtl_transformers import CheckpointError, DataError, ModelError, load_config, train


def contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("names", [["thesis.txt"], ["config.yaml"], ["plan.json", "thesis.txt"]])
def test_a_directory_that_is_no_run_is_never_touched(names, tmp_path, tiny_bert):
    place = tmp_path / "run"
    place.mkdir()
    for name in names:
        (place / name).write_text("mine")
    before = contents(place)
    for overwrite in (False, True):
        with pytest.raises(CheckpointError, match="no run of ours"):
            train(ticket_config(tmp_path, tiny_bert), overwrite=overwrite)
    assert contents(place) == before


def test_a_file_in_the_place_of_the_output_is_never_touched(tmp_path, tiny_bert):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(CheckpointError):
        train(ticket_config(tmp_path, tiny_bert), overwrite=True)
    assert (tmp_path / "run").read_text() == "mine"


def test_an_empty_directory_is_used(tmp_path, tiny_bert):
    (tmp_path / "run").mkdir()
    assert train(ticket_config(tmp_path, tiny_bert)).best.is_dir()


def test_another_run_is_refused_and_replaced_only_when_asked_for(tmp_path, tiny_bert):
    config = ticket_config(tmp_path, tiny_bert)
    train(config)
    (tmp_path / "run" / "old.txt").write_text("of the old run")
    before = contents(tmp_path / "run")
    with pytest.raises(CheckpointError, match="--overwrite"):
        train(config)
    assert contents(tmp_path / "run") == before

    train(config, overwrite=True)
    after = contents(tmp_path / "run")
    assert after.keys() == before.keys() - {"old.txt"}
    assert after["best/heads.safetensors"] == before["best/heads.safetensors"]
    assert len(after["metrics.jsonl"].splitlines()) == len(before["metrics.jsonl"].splitlines())


def test_the_output_is_checked_before_anything_is_loaded(tmp_path, tiny_bert):
    train(ticket_config(tmp_path, tiny_bert))
    nothing = {"encoder.name": "no/such-encoder", "data.tickets.files.train": "no-such-file.jsonl"}
    with pytest.raises(CheckpointError):
        train(ticket_config(tmp_path, tiny_bert, nothing))


FAILURES = {
    "missing file": ({"data.tickets.files.train": "no-such-file.jsonl"}, DataError),
    "missing column": ({"tasks.intent.label": "intention"}, DataError),
    "missing encoder": ({"encoder.name": "no-such-directory/at/all"}, ModelError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_config_that_fails_leaves_the_old_run_as_it_was(failure, tmp_path, tiny_bert):
    train(ticket_config(tmp_path, tiny_bert))
    before = contents(tmp_path / "run")
    settings, error = FAILURES[failure]
    with pytest.raises(error):
        train(ticket_config(tmp_path, tiny_bert, settings), overwrite=True)
    assert contents(tmp_path / "run") == before


def test_a_config_that_fails_makes_no_output(tmp_path, tiny_bert):
    with pytest.raises(DataError):
        train(ticket_config(tmp_path, tiny_bert, {"tasks.intent.label": "intention"}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("key", ["init_from", "encoder.name"])
def test_the_model_to_start_from_is_not_overwritten(key, tmp_path, tiny_bert):
    train(ticket_config(tmp_path, tiny_bert))
    before = contents(tmp_path / "run")
    settings = {"encoder.name": None, key: str(tmp_path / "run" / "best")}
    with pytest.raises(CheckpointError, match="would remove"):
        train(ticket_config(tmp_path, tiny_bert, settings), overwrite=True)
    assert contents(tmp_path / "run") == before


def test_a_link_to_a_run_stays_a_link(tmp_path, tiny_bert):
    config = ticket_config(tmp_path, tiny_bert)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    train(config)
    train(config, overwrite=True)
    assert (tmp_path / "run").is_symlink()
    assert (tmp_path / "elsewhere" / "best" / "tasks.json").is_file()


def test_the_stored_config_is_enough_to_run_it_again(tmp_path, tiny_bert):
    config = ticket_config(tmp_path, tiny_bert)
    first = contents(train(config).output)
    again = load_config(tmp_path / "run" / "config.yaml")
    assert again == config
    second = contents(train(again, overwrite=True).output)
    assert first["config.yaml"] == second["config.yaml"]
    assert first["best/heads.safetensors"] == second["best/heads.safetensors"]
    assert first["best/model.safetensors"] == second["best/model.safetensors"]
