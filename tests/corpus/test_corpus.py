"""Whatever is broken, a user reads one error that says where and what to do, and nothing is written or lost."""

import re
from pathlib import Path

import pytest
from corpus import cases_config, cases_files, cases_labels, cases_models, cases_predict
from corpus.conftest import Run
from corpus.project import PROJECTS, Case, contents
from terminal import Outcome

CASES = [*cases_config.CASES, *cases_files.CASES, *cases_labels.CASES, *cases_predict.CASES, *cases_models.CASES]

LEAST_CASES = 150
LEAST_MESSAGES = 60

_messages: dict[str, str] = {}


def said(outcome: Outcome, case: Case) -> str:
    """Return the one error, if place and remedy are in it."""
    assert (outcome.code, outcome.out) == (2, ""), outcome
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("error: ") == 1
    assert "Traceback" not in outcome.err
    at = 0
    for part in case.place.split(" … "):
        assert part in outcome.err[at:], f"place {case.place!r} is not in {outcome.err!r}"
        at = outcome.err.index(part, at) + len(part)
    assert case.remedy in outcome.err, f"remedy {case.remedy!r} is not in {outcome.err!r}"
    return outcome.err


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_input_is_told_with_place_and_remedy_and_nothing_is_written(
    case: Case, run: Run, tmp_path: Path
) -> None:
    assert case.place
    assert case.remedy
    outcome = run(case)
    _messages[case.name] = said(outcome, case)
    run.assert_nothing_written()


@pytest.mark.parametrize("project", PROJECTS)
def test_the_projects_that_are_broken_are_good(run: Run, project: str) -> None:
    """Negative control: it is the broken thing that is refused."""
    outcome = run(Case("good", "", "", project=project))
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("plan: 3 steps, 12 rows")


def test_a_good_file_is_answered_and_scored(run: Run, tmp_path: Path) -> None:
    """Negative control of the commands that take a model; and of the look at what was written."""
    answered = run(Case("good", "", "", files={"in.csv": cases_predict.GOOD}, command=cases_predict.PREDICT[0].command))
    assert (answered.code, answered.err) == (0, "4 rows → out.jsonl\n")
    with pytest.raises(AssertionError):
        run.assert_nothing_written()
    assert "out.jsonl" in contents(tmp_path)
    assert run(Case("good", "", "", command=("evaluate", "{model}", "config.yaml"))).code == 0


# what is counted


def template(message: str) -> str:
    """Return a message without what is the case's own: names, keys, numbers, values, lists and what a library said."""
    text = re.sub(r"^error: (config\.yaml: \d+ problems?\n)?", "", message)
    text = re.sub(r"'(?:[^'\\\n]|\\.)*'|\"[^\"\n]*\"", "X", text)
    text = re.sub(r"\{[^{}\n]*\}|\[[^\[\]\n]*\]|\([^()\n]*\)", "X", text)
    text = re.sub(r"\S*[/\\]\S*|\b[\w-]+\.[\w.\-]+(?::\w+)?|--set \S+|--columns \S+", "K", text)
    text = re.sub(r"-?\d[\d.,_]*|\binf\b|\bnan\b|\bnull\b|\btrue\b|\bfalse\b", "N", text)
    text = re.sub(r"^\s*[\w-]+:", "K:", text, flags=re.MULTILINE)
    text = re.sub(r"\w+(, \w+)+( (and|or) \w+)?", "L", text)
    text = re.sub(r"got .*|not plain YAML: .*?(?=\.|$)|no JSON: .*?(?=\.|$)|did you mean.*", "", text)
    return " ".join(text.split())


def test_the_corpus_has_150_cases_and_60_messages(run: Run, request: pytest.FixtureRequest) -> None:
    assert len(CASES) >= LEAST_CASES
    assert len({case.name for case in CASES}) == len(CASES)
    if len(_messages) < len(CASES):
        pytest.skip(f"counts the messages of a whole run; {len(_messages)} of {len(CASES)} cases were run")
    assert len({template(message) for message in _messages.values()}) >= LEAST_MESSAGES


def test_two_values_are_one_message_and_two_remedies_are_two() -> None:
    """Negative control of the count."""
    one = "error: config.yaml: 1 problem\n  training.epochs: expected a number above 0; got -1\n"
    assert template(one) == template(one.replace("training.epochs", "tasks.intent.weight").replace("-1", "'x'"))
    assert template(one) != template(one.replace("a number above 0", "true or false"))
    two = "error: task 'intent', dataset 'a', split 'train', a.csv, row 3 ('text'): label 'x' is no number; expected"
    assert template(two) == template(
        two.replace("'x'", "'y, z'").replace("row 3", "row 44").replace("a.csv", "b-1.csv")
    )
