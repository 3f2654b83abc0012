"""A long training keeps its memory and its files: 2,000 steps, evaluation and saving every 20."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from launching import ROOT, environment

sys.path.insert(0, str(ROOT / "scripts" / "bench"))

from long_run import Sample, growth, sample

MB = 10**6


@pytest.mark.slow
def test_two_thousand_steps_keep_memory_and_files(tmp_path):
    script = ROOT / "scripts" / "bench" / "long_run.py"
    done = subprocess.run(  # a process of its own: what other tests left in memory would blur it
        [sys.executable, str(script), "--steps", "2000", "--out", str(tmp_path / "report.json")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert [of["step"] for of in report["samples"]] == list(range(20, 2001, 20))
    assert report["mb_per_100_steps"] < 1.0
    assert len(set(report["open_files"])) == 1


def samples(*, mb_per_100_steps: float, files_per_100_steps: int = 0) -> list[Sample]:
    return [
        Sample(step, int(500 * MB + mb_per_100_steps * MB * step / 100), 6 + files_per_100_steps * step // 100)
        for step in range(20, 2001, 20)
    ]


def test_growth_is_the_slope_of_the_last_half():
    found = growth(samples(mb_per_100_steps=0.5))
    assert found.mb_per_100_steps == pytest.approx(0.5)
    assert found.is_flat
    warm = [
        Sample(of.step, of.resident_bytes + (200 * MB if of.step > 900 else 0), 6) for of in samples(mb_per_100_steps=0)
    ]
    assert growth(warm).mb_per_100_steps == pytest.approx(0.0)


@pytest.mark.parametrize("leak", [{"mb_per_100_steps": 1.1}, {"mb_per_100_steps": 0.0, "files_per_100_steps": 1}])
def test_a_leak_would_be_noticed(leak):
    assert not growth(samples(**leak)).is_flat


def test_memory_and_open_files_are_those_of_this_process(tmp_path: Path):
    before = sample(0)
    held = bytearray(b"x" * (64 * MB))
    with (tmp_path / "open").open("w"):
        after = sample(1)
    assert after.resident_bytes - before.resident_bytes > len(held) * 0.9
    assert after.open_files == before.open_files + 1
