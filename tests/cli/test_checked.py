"""What a check prints: at most 80 columns, warnings last and with their rows, the most frequent labels only."""

from collections.abc import Callable
from pathlib import Path

import pytest
from little import dataset, raw_config, sentences, tickets
from terminal import Terminal

from mtl_transformers.checking.check import Report, check
from mtl_transformers.cli.checked import MOST_LABELS, show_check
from mtl_transformers.config import load_config

PutTerminal = Callable[..., Terminal]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Report:
    place = tmp_path_factory.mktemp("checked")
    rows = [{**row, "topics": [f"label{n % 17:02}", "app"]} for n, row in enumerate(tickets(60))]
    words = sentences(40)
    data = {
        "tickets": dataset(place, "tickets", text="body", train=rows, validation=rows[50:]),
        "support_news": dataset(place, "news", text="tokens", train=words, validation=sentences(9, seed=1)),
    }
    tasks = {
        "topics": {"data": "tickets", "kind": "multi_label", "label": "topics"},
        "urgency": {"data": "tickets", "kind": "regression", "label": ["urgency", "calm"]},
        "place_names": {"data": "support_news", "kind": "token_classification", "label": "tags"},
    }
    return check(load_config(raw_config(place, tiny_bert, data=data, tasks=tasks)))


@pytest.fixture
def lines(report: Report, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_check(report)
    return capsys.readouterr().out.splitlines()


def cells(lines: list[str], *first: str) -> list[str]:
    """Return the rest of the row that begins with some cells."""
    (line,) = [line for line in lines if line.split()[: len(first)] == [*first]]
    return line.split()[len(first) :]


def test_tables_fit_a_terminal_of_80_columns(report: Report, terminal: PutTerminal) -> None:
    screen = terminal("stdout")
    show_check(report)
    shown = screen.screen()
    tables = shown[: next(n for n, line in enumerate(shown) if line.startswith(("note: ", "warning: ")))]
    assert max(map(len, tables)) <= 80
    assert not [line for line in tables if "…" in line and not line.startswith("… and")]


def test_texts_have_their_lengths_repeats_and_leaks(lines: list[str]) -> None:
    *_, repeated, in_train = cells(lines, "tickets", "validation")
    assert (repeated, in_train) == ("0", "10")
    assert cells(lines, "support_news", "train")[0] == "40"


def test_the_most_frequent_labels_are_listed_and_the_others_counted(lines: list[str]) -> None:
    assert cells(lines, "app") == ["60", "10"]
    assert len([line for line in lines if line.startswith(("label0", "label1"))]) == MOST_LABELS - 1
    assert f"… and {18 - MOST_LABELS} labels more" in lines


def test_numbers_and_the_start_have_a_line_for_each_target_and_task(lines: list[str]) -> None:
    assert cells(lines, "urgency", "calm", "train")[:3:2] == ["4", "5"]


def test_warnings_come_last_with_their_rows(lines: list[str]) -> None:
    kinds = [line.partition(":")[0] for line in lines if line.startswith(("note: ", "warning: "))]
    assert kinds == sorted(kinds)
    leak = next(n for n, line in enumerate(lines) if line.startswith("warning: data.tickets, validation: texts that"))
    assert lines[leak + 1].endswith("train.jsonl, line 53; and 7 more")
    assert lines[-1].startswith(f"{kinds.count('warning')} warnings, ")
