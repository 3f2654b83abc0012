"""What the commands print: 80 columns are enough, nothing is cut, and the numbers are where they belong."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from terminal import Terminal

from mtl_transformers.cli.tables import show, show_labels, show_plan, show_result, show_suspects, table
from mtl_transformers.lifecycle.clean_labels import Report as Suspects
from mtl_transformers.lifecycle.suspects import Ranking
from mtl_transformers.metrics.named import LabelScore
from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.loop import Result

PutTerminal = Callable[..., Terminal]
Captured = pytest.CaptureFixture[str]

SCORES = {"intent": TaskScores({"accuracy": 0.5, "f1_macro": 0.25}, {"accuracy": 0.4, "f1_macro": 0.1}, 1200)}


def plan(*, unlabelled: int = 0, empty: int = 0) -> dict[str, Any]:
    datasets = [
        {
            "dataset": "support_tickets",
            "rows": 1234567,
            "validation_rows": 12345,
            "share": 0.98765,
            "steps": 123456,
            "passes": 3.0,
            "fill": 0.9,
            "truncated": 0.0512,
            "tasks": ["billing_intent", "entities"],
            "encoder_passes_per_row": 1,
            "unlabelled_rows_left_out": unlabelled,
            "filtered_rows_left_out": {"train": {"drop_empty": empty, "drop_leaks": 0}},
        }
    ]
    tasks = [
        {
            "task": task,
            "dataset": "support_tickets",
            "kind": "token_classification",
            "labelled_rows": 1234567,
            "labelled_validation_rows": 12345,
            "passes": 3.0,
            "weight": 0.5,
        }
        for task in ("billing_intent", "entities")
    ]
    return {"steps": 123456, "rows": 3703701, "fill": 0.9712, "datasets": datasets, "tasks": tasks}


def cells(lines: Sequence[str], first: str) -> list[str]:
    """Return the cells of the row that begins with a name."""
    (line,) = [line for line in lines if line.split()[:1] == [first]]
    return line.split()


def test_the_plan_fits_a_terminal_of_80_columns(terminal: PutTerminal) -> None:
    screen = terminal("stdout")
    show_plan(plan(), where="cuda, bf16, 8 processes")
    lines = screen.screen()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "plan: 123,456 steps, 3,703,701 rows, fill 0.97; cuda, bf16, 8 processes"
    assert cells(lines, "support_tickets") == [
        "support_tickets", "1,234,567", "12,345", "98.8%", "123,456", "3.00", "0.90", "5.1%",
    ]  # fmt: skip
    assert cells(lines, "entities") == [
        "entities", "support_tickets", "token_classification", "1,234,567", "3.00", "0.5",
    ]  # fmt: skip


def test_the_plan_says_what_was_left_out_and_what_is_shared(capsys: Captured) -> None:
    show_plan(plan(unlabelled=3, empty=1), where="")
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "support_tickets: one encoder pass for 2 tasks",
        "support_tickets: rows without any label, left out: 3",
        "support_tickets, train: rows that filters left out: drop_empty 1",
    ]


def test_the_plan_says_which_answers_are_repaired_and_left_out(capsys: Captured) -> None:
    given = plan()
    tasks = [{**task, "answers_repaired": 1200, "answers_lost": 2} for task in given["tasks"][:1]]
    show_plan({**given, "tasks": tasks}, where="")
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{tasks[0]['task']}: answers that stand elsewhere, repaired: 1,200",
        f"{tasks[0]['task']}: answers that are not in their context, left out: 2",
    ]


def test_names_wrap_on_a_narrow_terminal_and_nothing_is_cut(terminal: PutTerminal) -> None:
    screen = terminal("stdout", columns=30)
    show(table(("label", "support"), [("a_label_that_is_longer_than_the_terminal", "12")]))
    lines = screen.screen()
    assert max(map(len, lines)) <= 30
    assert (
        "".join(line.split()[0] for line in lines if line[:1].isalpha() and "label " not in line and line != lines[0])
        == "a_label_that_is_longer_than_the_terminal"
    )
    assert not any("…" in line for line in lines)


def test_no_cell_wraps_in_a_file(capsys: Captured) -> None:
    label = "a label of many words " * 10
    show(table(("label", "support"), [(label, "12")]))
    assert any(line.split() == [*label.split(), "12"] for line in capsys.readouterr().out.splitlines())


def test_labels_are_printed_as_they_are_written(capsys: Captured) -> None:
    show(table(("label", "support"), [("[bold]:smile:[/x]", "1")]), "[red] 1,5 :dog:")
    printed = capsys.readouterr().out
    assert "[bold]:smile:[/x]" in printed
    assert "[red] 1,5 :dog:" in printed
    assert "\x1b" not in printed


def test_each_label_has_a_line_and_tasks_without_labels_have_none(capsys: Captured) -> None:
    show_labels({"intent": [LabelScore("refund", 0.5, 0.25, 1 / 3, 1200)], "urgency": []})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["intent", "precision", "recall", "f1", "support"]
    assert lines[3].split() == ["refund", "0.5000", "0.2500", "0.3333", "1,200"]
    assert len(lines) == 4


def test_a_result_has_scores_coverage_and_the_model(capsys: Captured) -> None:
    show_result(result())
    lines = capsys.readouterr().out.splitlines()
    assert "best model: step 1,000, mean 0.5000 on validation" in lines
    assert [line.split() for line in lines if "accuracy" in line] == [
        ["intent", "accuracy", "0.5000", "0.4000", "1,200"]
    ]
    assert [line.split() for line in lines if "2.50" in line] == [["intent", "2,000", "5,000", "2.50"]]
    assert lines[-1] == "2,000 steps in 61 s → runs/a/best"
    assert not any("floors" in line for line in lines)


def test_a_result_below_its_floors_says_so(capsys: Captured) -> None:
    show_result(result(shortfall=0.05))
    assert "no model met all floors; the best one lacks 0.0500 in sum" in capsys.readouterr().out


def result(*, shortfall: float = 0.0) -> Result:
    return Result(
        output=Path("runs/a"),
        best=Path("runs/a/best"),
        scores=SCORES,
        mean=0.5,
        best_step=1000,
        first_step=0,
        num_steps=2000,
        shortfall=shortfall,
        coverage={"intent": {"rows_available": 2000, "rows_seen": 5000, "passes": 2.5, "rows_skipped": 0}},
        seconds=61.4,
    )


def test_suspects_are_counted_and_the_first_ones_shown_within_80_columns(terminal: PutTerminal) -> None:
    word = {"text": "Berlin", "start": 3, "end": 9}
    lines = [
        *({"task": "intent", "given": "billing", "suggested": n, "text": "my\nparcel " * 9} for n in range(7)),
        {"task": "topics", "given": [], "suggested": ["card", "app"], "text": "my card"},
        {
            "task": "places",
            "given": [word | {"tag": "O"}],
            "suggested": [word | {"tag": "B-PLACE"}],
            "text": "in Berlin",
        },
    ]
    rankings = {
        task: Ranking(np.arange(rows), np.zeros(rows), num_suspects)
        for task, rows, num_suspects in (("intent", 1400, 7), ("topics", 10, 1), ("places", 10, 1), ("empty", 0, 0))
    }
    screen = terminal("stdout")
    show_suspects(Suspects(rankings, lines), Path("review.jsonl"))
    shown = [line.rstrip() for line in screen.screen()]
    assert next(line.split() for line in shown if line.startswith("intent")) == ["intent", "1,400", "7", "0.5%", "7"]
    assert cells(shown, "empty") == ["empty", "0", "0", "0.0%", "0"]
    assert sum(line.startswith("billing") for line in shown) == 5
    assert any(line.startswith("none    card, app  my card") for line in shown)
    assert any("Berlin: O  Berlin: B-PLACE  in Berlin" in line for line in shown)
    assert "9 lines → review.jsonl" in shown
    assert max(map(len, shown)) <= 80
