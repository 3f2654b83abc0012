"""scripts/launch.sh: as many processes as asked for, that meet; and refusals before anything is started.

What is launched is a package of ten lines in place of ours, which reports what its processes see.
"""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "launch.sh"
REPORT = """
import os, sys
import torch
from accelerate import Accelerator
accelerator = Accelerator()
total = accelerator.reduce(torch.tensor([accelerator.process_index + 1]), "sum").item()
words = [accelerator.process_index, accelerator.num_processes, accelerator.device.type, total, *sys.argv[1:]]
with open(os.path.join(os.environ["REPORTS"], str(accelerator.process_index)), "w") as file:
    print(*words, "threads", os.environ["OMP_NUM_THREADS"], file=file)
accelerator.end_training()
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def launch(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    package = folder / "mtl_transformers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(REPORT)
    (folder / "reports").mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment = inherited | {"PYTHONPATH": str(folder), "REPORTS": str(folder / "reports")} | variables
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


def reports(folder: Path) -> list[str]:
    return [path.read_text().strip() for path in sorted((folder / "reports").iterdir())]


@pytest.mark.slow
def test_two_processes_on_the_cpu_are_two_and_meet(tmp_path: Path) -> None:
    done = launch(tmp_path, "cpu", "--processes", "2", "--", "train", "a.yaml", "--set", "x=1")
    threads = max(1, (os.cpu_count() or 1) // 2)
    assert done.returncode == 0, done.stderr
    assert reports(tmp_path) == [
        f"0 2 cpu 3 train a.yaml --set x=1 threads {threads}",
        f"1 2 cpu 3 train a.yaml --set x=1 threads {threads}",
    ]


@pytest.mark.slow
def test_one_process_on_the_cpu_is_one_and_keeps_the_threads_given(tmp_path: Path) -> None:
    done = launch(tmp_path, "cpu", "--processes", "1", "--", "train", "a.yaml", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert reports(tmp_path) == ["0 1 cpu 1 train a.yaml threads 1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "unknown place ''"),
        (["gpu", "--", "train"], "unknown place 'gpu'"),
        (["cpu", "train", "a.yaml"], "'--' and mtl's own arguments are missing; found 'train'"),
        (["cpu", "--"], "mtl's own arguments are missing after '--'"),
        (["cpu", "--processes", "0", "--", "train"], "--processes is a number from 1, not '0'"),
        (["cpu", "--processes", "two", "--", "train"], "--processes is a number from 1, not 'two'"),
    ],
)
def test_a_wrong_call_is_refused_with_the_usage(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = launch(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "usage: scripts/launch.sh" in done.stderr
    assert reports(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", ["one_gpu", "multi_gpu", "multi_node"])
def test_a_gpu_that_is_not_there_is_refused_instead_of_training_on_the_cpu(tmp_path: Path, place: str) -> None:
    done = launch(tmp_path, place, "--processes", "1", "--", "train", "a.yaml", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2
    assert "this machine has 0" in done.stderr
    assert reports(tmp_path) == []
