"""The progress of a training: a bar on a terminal, lines elsewhere, and messages that break neither."""

import logging
import sys
from collections.abc import Callable

import pytest
from terminal import Terminal

from mtl_transformers.cli.progress import Bar, Lines, Messages, progress_of, wrapped
from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.loop import Evaluated
from mtl_transformers.training.window import Logged

PutTerminal = Callable[..., Terminal]

TASKS = ("snips_intent", "snips_slots", "banking77", "snli", "sts", "goemotions", "wnut17_entities")


def logged(step: int, *, num_steps: int = 40, tasks: tuple[str, ...] = TASKS) -> Logged:
    losses = {task: 0.5 + n for n, task in enumerate(tasks)}
    return Logged(
        step, num_steps, losses, learning_rate=1e-4, gradient_norm=1.0, gradient_norms={}, tokens_per_s=12345.6
    )


def evaluated(step: int, *, tasks: tuple[str, ...] = TASKS) -> Evaluated:
    scores = {task: TaskScores({"accuracy": 0.25, "f1_macro": 0.1}, {}, 10) for task in tasks}
    return Evaluated(step, scores, mean=0.25, is_best=step == 20)


def test_a_terminal_has_a_bar_and_a_file_has_lines(terminal: PutTerminal) -> None:
    assert isinstance(progress_of(TASKS, num_steps=40, first_step=0), Lines)
    terminal("stderr")
    bar = progress_of(TASKS, num_steps=40, first_step=0)
    assert isinstance(bar, Bar)
    bar.close()


def test_the_bar_has_steps_and_speed_and_below_it_the_losses_of_all_tasks(terminal: PutTerminal) -> None:
    screen = terminal("stderr")
    bar = Bar(TASKS, num_steps=40, first_step=0)
    bar.logged(logged(10))
    bar.logged(logged(20))
    lines = [line for line in screen.screen() if line]
    bar.close()
    assert lines[0].startswith(" 50%|")
    assert "| step 20/40 [00:00<00:00, 12,346 tokens/s]" in lines[0]
    assert max(map(len, lines)) <= 80
    assert "  ".join(line.strip() for line in lines[1:]) == "  ".join(
        f"{task} {0.5 + n:.3f}" for n, task in enumerate(TASKS)
    )


def test_scores_and_messages_stand_above_the_bar(terminal: PutTerminal) -> None:
    screen = terminal("stderr")
    bar = Bar(TASKS, num_steps=40, first_step=0)
    bar.logged(logged(20))
    bar.evaluated(evaluated(20))
    Messages().emit(logging.LogRecord("mtl_transformers", logging.WARNING, "", 0, "mind the %s", ("gap",), None))
    bar.logged(logged(30))
    lines = [line for line in screen.screen() if line]
    bar.close()
    place = next(n for n, line in enumerate(lines) if "step 30/40" in line)
    assert lines[:2] == [
        "step 20: mean 0.2500 (best)  snips_intent 0.2500  snips_slots 0.2500",
        "  banking77 0.2500  snli 0.2500  sts 0.2500  goemotions 0.2500",
    ]
    assert lines[place - 1] == "warning: mind the gap"
    assert sum("/40" in line for line in lines) == 1  # the bar was moved, not broken
    assert lines[place + 1].startswith("snips_intent 0.500")


def test_a_bar_that_ends_stays_without_the_losses(terminal: PutTerminal) -> None:
    screen = terminal("stderr")
    bar = Bar(TASKS, num_steps=40, first_step=0)
    bar.logged(logged(40))
    bar.close()
    sys.stderr.write("result\n")
    lines = [line for line in screen.screen() if line]
    assert lines[0].startswith("100%|")
    assert lines[1:] == ["result"]


def test_losses_that_grow_too_wide_are_cut_not_wrapped(terminal: PutTerminal) -> None:
    screen = terminal("stderr", columns=40)
    bar = Bar(("one", "two"), num_steps=40, first_step=0)
    bar.logged(Logged(10, 40, {"one": 1e30, "two": 1e30}, 1.0, 1.0, {}, 1.0))
    lines = [line for line in screen.screen() if line]
    bar.close()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 40


def test_lines_are_about_twenty_and_the_last_step_has_one(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines(num_steps=1003)
    for step in (*range(10, 1003, 10), 1003):
        progress.logged(logged(step, num_steps=1003))
    lines = capsys.readouterr().err.splitlines()
    assert 17 <= len(lines) <= 21
    assert lines[0].startswith("step 10/1003  12,346 tokens/s  loss: snips_intent 0.500  snips_slots 1.500")
    assert lines[-1].startswith("step 1003/1003  ")


def test_every_line_of_a_short_training_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines(num_steps=5)
    for step in range(1, 6):
        progress.logged(logged(step, num_steps=5))
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_an_evaluation_is_one_line_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines(num_steps=40)
    progress.evaluated(evaluated(30))
    progress.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "step 30: mean 0.2500  " + "  ".join(f"{task} 0.2500" for task in TASKS) + "\n"


def test_messages_are_written_as_they_are_and_warnings_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        Messages().emit(logging.LogRecord("mtl_transformers", level, "", 0, "it rains", (), None))
    assert capsys.readouterr().err == "it rains\nwarning: it rains\nerror: it rains\n"


@pytest.mark.parametrize(
    ("cells", "lines"),
    [
        ([], []),
        (["aaaa", "bbb"], ["aaaa", "  bbb"]),
        (["aaa", "bbb"], ["aaa  bbb"]),
        (["longer than all", "b", "c"], ["longer than all", "  b  c"]),
    ],
)
def test_cells_are_joined_as_long_as_they_fit_and_never_broken(cells: list[str], lines: list[str]) -> None:
    assert wrapped(cells, width=9) == lines
