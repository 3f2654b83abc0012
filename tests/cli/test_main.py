"""The commands as a user meets them: what they print where, how they end, and what they leave."""

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from terminal import Mtl, Outcome, Trained

from mtl_transformers.config import load_config
from mtl_transformers.inference.multitask import MultiTaskModel


def tree(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


# errors


def test_an_error_of_ours_is_one_message_on_stderr_and_exit_code_2(mtl: Mtl) -> None:
    outcome = mtl("train", "none.yaml")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: none.yaml")
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["trane"],
        ["train"],
        ["train", "a.yaml", "--colour"],
        ["evaluate", "m", "a.yaml", "--split", "tset"],
        ["predict", "m", "in.csv", "out.csv", "--top-k", "0"],
    ],
)
def test_a_usage_error_ends_with_exit_code_2(mtl: Mtl, arguments: list[str]) -> None:
    outcome = mtl(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: mtl")
    assert "Error" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "{config}", "--set", "training.epoch=1"], "training.epoch: "),
        (["check", "{config}", "--set", "training.epochs"], "training.epochs"),
        (["train", "{config}"], "holds another run"),
        (["predict", "{model}", "none.csv", "out.csv"], "none.csv: no such file"),
        (
            ["predict", "{model}", "none.csv", "out.csv", "--columns", "body"],
            "expected name=column, as in body=message",
        ),
        (["predict", "none", "in.csv", "out.csv"], "no model 'none'"),
        (["evaluate", "{directory}", "{config}"], "holds no tasks"),
        (["push", "none", "me/model"], "none is no directory"),
    ],
)
def test_what_a_user_can_cause_is_an_error_of_ours(
    mtl: Mtl, trained: Trained, arguments: list[str], message: str
) -> None:
    places = {"config": trained.config, "model": trained.model, "directory": trained.directory}
    outcome = mtl(*(argument.format(**places) for argument in arguments))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("error: ")
    assert message in outcome.err


def test_the_version_is_printed(mtl: Mtl) -> None:
    version = import_module("mtl_transformers").__version__
    assert mtl("--version").out == f"mtl_transformers {version}\n"


def test_the_package_runs_as_a_module_and_is_imported_without_running() -> None:
    command = [sys.executable, "-m", "mtl_transformers", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("mtl_transformers ")
    import_module("mtl_transformers.__main__")  # as a spawned worker does


# train


def test_a_training_prints_plan_and_result_to_stdout(trained: Trained) -> None:
    outcome = trained.outcome
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith("plan: 8 steps, 64 rows, fill 0.")
    assert lines[0].endswith("; cpu, fp32, 1 process")
    assert "tickets: one encoder pass for 4 tasks" in lines
    assert any(line.startswith("best model: step ") for line in lines)
    assert lines[-1].startswith("8 steps in ")
    assert lines[-1].endswith(f"→ {trained.directory / 'run' / 'best'}")


def test_progress_goes_to_stderr_and_no_library_adds_a_line(trained: Trained) -> None:
    lines = trained.outcome.err.splitlines()
    kinds = ["mean" if ": mean " in line else "loss" for line in lines if line.startswith("step ")]
    assert kinds == ["loss"] * 4 + ["mean"] + ["loss"] * 4 + ["mean"]
    assert len(kinds) == len(lines), trained.outcome.err


def test_a_line_of_progress_has_the_loss_of_each_task_and_the_speed(trained: Trained) -> None:
    first = trained.outcome.err.splitlines()[0]
    assert first.startswith("step 1/8  ")
    assert "tokens/s" in first
    for task in ("intent", "topics", "mood", "entities"):
        assert f"{task} " in first


def test_processes_other_than_the_first_print_nothing(
    mtl: Mtl, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    outcome = mtl("train", trained.config, "--set", "output=second", "--set", "training.epochs=0.1")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert mtl("train", "none.yaml") == Outcome(2, "", "")


def test_the_first_process_of_another_machine_prints_errors(mtl: Mtl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "8")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert mtl("train", "none.yaml").err.startswith("error: ")


# check


def test_a_check_shows_plan_labels_and_warnings_and_writes_its_report(mtl: Mtl, trained: Trained) -> None:
    before = tree(trained.directory)
    outcome = mtl("check", trained.config, "--json", "found.json")
    assert tree(trained.directory) == before
    assert [path.name for path in Path.cwd().iterdir() if path.name != "datasets_cache"] == ["found.json"]
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert lines[0].endswith("; nothing is trained")
    assert any(line.split() == ["intent", "train", "validation", "test"] for line in lines)
    assert any("holds another run" in line for line in lines)
    assert lines[-1] == "→ found.json"
    report = json.loads(Path("found.json").read_text(encoding="utf-8"))
    num_warnings = sum(finding["severity"] == "warning" for finding in report["findings"])
    assert lines[-2].startswith(f"{num_warnings} warning")


def test_a_report_lies_beside_the_config_and_warnings_count_where_that_is_asked_for(mtl: Mtl, trained: Trained) -> None:
    Path("configs").mkdir()
    shutil.copy(trained.config, "configs/tickets.yaml")
    outcome = mtl("check", "configs/tickets.yaml", "--strict")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (1, "→ configs/check.json")
    assert Path("configs/check.json").is_file()


# init


def test_an_init_writes_a_config_and_says_what_each_column_was_taken_for(mtl: Mtl) -> None:
    lines = ["body,intent,when", *(f"my refund of order {n},{'ab'[n % 2]},2026-01-02" for n in range(40))]
    Path("tickets.csv").write_text("\n".join(lines), encoding="utf-8")
    outcome = mtl("init", "tickets.csv", "--encoder", "org/name")
    assert outcome.code == 0, outcome.err
    shown = [line.split()[:2] for line in outcome.out.splitlines()]
    assert shown[2:5] == [["body", "text"], ["intent", "classification"], ["when", "left"]]
    assert outcome.out.endswith("→ tickets.yaml; look at it, then: mtl check tickets.yaml\n")
    config = load_config("tickets.yaml")
    assert (config.encoder.name, list(config.tasks)) == ("org/name", ["intent"])
    assert mtl("init", "tickets.csv").code == 2
    assert mtl("init", "tickets.csv", "--output", "other.yaml").code == 0
    assert mtl("init", "tickets.csv", "--overwrite").code == 0


# evaluate


def test_clean_labels_writes_a_review_file_and_says_what_it_found(mtl: Mtl, trained: Trained) -> None:
    before = tree(trained.directory)
    quick = ["--folds", "2", "--share", "0.1", "--tasks", "intent, topics", "--set", "training.epochs=0.1"]
    outcome = mtl("clean-labels", trained.config, *quick, "--out", "doubts.jsonl")
    assert outcome.code == 0, outcome.err
    assert tree(trained.directory) == before
    listed = [json.loads(line) for line in Path("doubts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["task"] for line in listed} == {"intent", "topics"}
    assert outcome.out.splitlines()[0].split() == ["task", "labelled", "suspects", "share", "listed"]
    assert outcome.out.splitlines()[-1] == f"{len(listed)} lines → doubts.jsonl"
    again = mtl("clean-labels", trained.config, *quick, "--out", "doubts.jsonl")
    assert (again.code, again.err.splitlines()[-1].partition(":")[0]) == (2, "error")


def test_an_evaluation_prints_scores_and_each_label(mtl: Mtl, trained: Trained) -> None:
    outcome = mtl("evaluate", trained.model, trained.config, "--split", "test", "--predictions", "out.jsonl")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == f"{trained.model} on test"
    assert any(line.split()[:2] == ["intent", "accuracy"] for line in lines)
    assert [line.split()[0] for line in lines if line.endswith("support")] == ["intent", "topics", "entities"]
    written = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in written] == [f"t{n}" for n in range(30)]
    assert {"gold", "prediction"} == written[0]["intent"].keys()


# predict


def test_a_prediction_answers_a_file(mtl: Mtl, trained: Trained) -> None:
    Path("in.csv").write_text("key,message\na,refund my card\nb,the parcel\n", encoding="utf-8")
    outcome = mtl(
        "predict", trained.model, "in.csv", "out.jsonl",
        "--tasks", "intent, mood", "--columns", "body=message", "--id", "key", "--top-k", 2,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert (outcome.out, outcome.err) == ("", "2 rows → out.jsonl\n")
    model = MultiTaskModel.from_pretrained(trained.model)
    expected = model.predict(["refund my card", "the parcel"], tasks=["intent", "mood"], top_k=2)
    lines = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == [{"id": key, **answer} for key, answer in zip("ab", expected, strict=True)]


# push


def test_a_dry_run_of_a_push_lists_what_would_go_and_what_stays(mtl: Mtl, trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.model, tmp_path / "model")
    (tmp_path / "model" / "secret.bin").write_bytes(b"mine")
    outcome = mtl("push", "model", "me/tickets", "--dry-run")
    assert outcome.code == 0, outcome.err
    first, *others = outcome.out.splitlines()
    assert first == "would go to me/tickets, branch main:"
    sent = {line.split()[-1]: line for line in others if " bytes  " in line}
    assert {"README.md", "config.json", "model.safetensors", "heads.safetensors", "tasks.json"} <= sent.keys()
    size = (trained.model / "model.safetensors").stat().st_size
    assert f"{size:,} bytes" in sent["model.safetensors"]
    assert [line.split() for line in others if "stays here" in line] == [["stays", "here", "secret.bin"]]
