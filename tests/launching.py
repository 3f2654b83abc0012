"""Starting processes of this machine by a launcher."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def torchrun(num_processes: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Start a script, or a module by ``-m``, on several processes."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_processes}", *command],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def environment() -> dict[str, str]:
    """Return what a process needs to find the project and to stay on the CPU."""
    here = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **here}
