"""The surface of the command line is a golden file. To write it again: ``python tests/cli/test_help.py``."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mtl_transformers.cli.main import COMMANDS, app

GOLDEN = Path(__file__).parents[1] / "golden" / "help.txt"
PLAIN = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}


def rendered() -> str:
    """Return the help of every command, 80 columns wide."""
    calls = [["--help"], *([command, "--help"] for command in COMMANDS)]
    texts = [
        f"$ mtl {' '.join(call)}\n{CliRunner().invoke(app, call, prog_name='mtl', env=PLAIN, terminal_width=80).output}"
        for call in calls
    ]
    return "\n".join(texts)


def test_the_help_of_every_command_is_that_of_the_golden_file() -> None:
    assert rendered() == GOLDEN.read_text(encoding="utf-8")


def test_the_commands_are_those_of_the_table() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert tuple(group.commands) == tuple(COMMANDS)


def test_help_is_at_most_80_columns_wide_and_complete() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and not line.startswith("Usage:")]


def test_no_command_prints_the_help() -> None:
    outcome = CliRunner().invoke(app, [], prog_name="mtl", env=PLAIN, terminal_width=80)
    assert "Commands:" in outcome.output


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom mtl_transformers.cli.main import main\ntry:\n    main()\nfinally:\n"
        "    sys.exit(sorted({'torch', 'numpy', 'transformers', 'datasets'} & sys.modules.keys()) or 7)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (7, "")


if __name__ == "__main__":
    GOLDEN.write_text(rendered(), encoding="utf-8")
