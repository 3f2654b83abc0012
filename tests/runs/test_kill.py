"""Promise 6 under kill -9: children are killed at seeded moments, inside saves and swaps too; nothing is lost.

200 rounds by hand: ``python scripts/bench/kill.py --rounds 200``.
"""

import shutil
import sys
from pathlib import Path

import pytest
from launching import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "bench"))  # the children that are forked there look for it too

from aimed import Aim, kinds_of
from kill import FIRST_KINDS, Attempt, Killer, Reference, play_all, summary
from remains import Held, differences, examine, leftovers

RUN = Path("/runs/run")
Played = tuple[Killer, Reference]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Return what starts and kills trainings, and the undisturbed run."""
    killer = Killer(tmp_path_factory.mktemp("kills"))
    return killer, killer.reference()


@pytest.fixture
def run(played: Played, tmp_path: Path) -> Path:
    """Return a copy of the undisturbed run."""
    return Path(shutil.copytree(played[1].place / "run", tmp_path / "run"))


@pytest.mark.slow
def test_fifteen_rounds_of_kills_lose_nothing(played):
    killer, reference = played
    total = summary(play_all(killer, reference, num_rounds=15, seed=3, jobs=2))
    assert total["lost"] == "nothing"
    assert total["rounds"] == total["equal_rounds"] == 15
    assert total["kills"] >= 15
    assert total["kills_in_saves"] >= 8
    assert total["kills_in_swaps"] >= 5
    missed = {kind for kind in FIRST_KINDS if kind != "replaced checkpoint"} - total["kills_by_kind"].keys()
    assert not missed


@pytest.mark.slow
def test_a_resumption_one_step_off_would_be_noticed(played):
    killer, reference = played
    kill = Attempt(Aim("step", reference.counts["step"] // 2))
    found = killer.play(1000, [kill], reference, sabotage="one step off")
    assert len(found.kills) == 1
    assert {"best/model.safetensors differs", "last/heads.safetensors differs"} & set(found.faults)
    assert killer.play(1001, [kill], reference).faults == []


@pytest.mark.slow
def test_the_undisturbed_run_has_no_fault(run, played):
    held, faults = examine(run, Held())
    assert faults == []
    assert held == Held(frozenset({"config.yaml", "plan.json", "metrics.jsonl", "best", "last"}), 16)
    assert leftovers(run) == []
    assert differences(run, played[1].place / "run") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    ["best/model.safetensors", "last/heads.safetensors", "last/tasks.json", "checkpoints/step-000015/state.json"],
)
def test_a_directory_that_is_half_written_would_be_noticed(file, run):
    (run / file).unlink()
    _, faults = examine(run, Held())
    assert len(faults) == 1
    assert faults[0].startswith(file.split("/")[-2])


@pytest.mark.slow
@pytest.mark.parametrize("file", ["best.old/model.safetensors", "checkpoints/step-000012.old/weights.safetensors"])
def test_a_directory_that_is_half_removed_under_its_old_name_would_be_noticed(file, run):
    complete = run / "best" if file.startswith("best") else run / "checkpoints" / "step-000015"
    shutil.copytree(complete, (run / file).parent)
    assert examine(run, Held())[1] == []
    (run / file).write_bytes((run / file).read_bytes()[:-1])
    assert len(examine(run, Held())[1]) == 1


@pytest.mark.slow
def test_what_is_gone_would_be_noticed(run):
    held, _ = examine(run, Held())
    shutil.rmtree(run / "best")
    shutil.rmtree(run / "checkpoints" / "step-000016")
    (run / "metrics.jsonl").unlink()
    faults = examine(run, held)[1]
    assert {"best is gone", "metrics.jsonl is gone"} <= set(faults)
    assert "the checkpoint of step 16 is gone, the newest one is of step 15" in faults
    shutil.rmtree(run)
    assert examine(run, held)[1] == ["run is gone"]


@pytest.mark.slow
def test_what_an_interrupted_save_leaves_is_found_and_is_no_fault(run):
    (run / "best").rename(run / "best.old")
    (run / ".last.tmp").mkdir()
    (run / "checkpoints" / ".step-000018.tmp").mkdir()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 17, "train/')
    assert examine(run, examine(run, Held())[0])[1] == []
    assert sorted(leftovers(run)) == [
        "a line of metrics.jsonl",
        "run/.last.tmp",
        "run/best.old",
        "run/checkpoints/.step-000018.tmp",
    ]


@pytest.mark.slow
def test_one_changed_bit_of_a_run_that_is_done_would_be_noticed(run, played):
    for name in ("best/heads.safetensors", "checkpoints/step-000016/optimizer.safetensors"):
        content = bytearray((run / name).read_bytes())
        content[-1] ^= 1
        (run / name).write_bytes(content)
    (run / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text().replace('"step": 2,', '"step": 3,'))
    assert differences(run, played[1].place / "run") == [
        "best/heads.safetensors differs",
        "metrics.jsonl differs",
        "the last optimizer.safetensors differs",
    ]


@pytest.mark.parametrize(
    ("call", "names", "kinds"),
    [
        ("open", ["run/.best.tmp/tasks.json"], {"call"}),
        ("rename", ["run/best", "run/best.old"], {"call", "swap best"}),
        ("rename", ["run/.last.tmp", "run/last"], {"call", "swap last"}),
        ("unlink", ["run/.last.tmp/tasks.json"], {"call", "swap last"}),
        ("rename", ["run/checkpoints/.step-000003.tmp", "run/checkpoints/step-000003"], {"call", "swap checkpoint"}),
        ("rename", ["run/checkpoints/step-000003", "run/checkpoints/.step-000003.tmp"], {"call", "prune"}),
        ("rmdir", ["run/checkpoints/.step-000003.tmp"], {"call", "prune"}),
        ("rename", [".run.tmp", "run"], {"call", "swap run"}),
        ("unlink", [".run.tmp/best/tasks.json"], {"call", "swap run"}),
        ("write", ["run/metrics.jsonl"], {"call", "log"}),
        ("replace", ["run/.metrics.jsonl.tmp", "run/metrics.jsonl"], {"call", "log"}),
        ("write", ["cache/data.arrow"], set()),
    ],
)
def test_a_call_is_told_by_what_it_touches(call, names, kinds):
    assert kinds_of(call, *(RUN.parent / name for name in names), run=RUN) == kinds
