"""Promise 6: resumed equals uninterrupted, bit for bit, dropout on, wherever and however often it was killed.

``RESUME_CASES=all`` runs the full product of the cases instead of one that covers all pairs.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import yaml
from launching import torchrun
from little import mixed_config
from resumed import Kill, interrupted_run, kept_bytes, log_of

from mtl_transformers import CheckpointError
from mtl_transformers.config import Config
from mtl_transformers.plan.plan import Plan
from mtl_transformers.training import loop, update
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.steps import StepReader, seed_dropout

FACTORS: dict[str, tuple[Any, ...]] = {
    "processes": (1, 2),
    "saved": ("epoch_end", "mid_epoch", "last_batch", "first_after", "in_accumulation", "dataset_change"),
    "precision": ("fp32", "bf16"),
    "datasets_per_step": ("one", "many"),
    "kills": (1, 2),
}


@dataclass(frozen=True)
class Case:
    """Where a run is saved before it is killed, and how it runs."""

    processes: int
    saved: str
    precision: str
    datasets_per_step: str
    kills: int

    def __str__(self) -> str:
        return "-".join(map(str, (self.saved, self.datasets_per_step, self.precision, self.processes, self.kills)))

    @property
    def undisturbed(self) -> "Case":
        """The same run without kills; runs that are saved elsewhere share it."""
        return Case(self.processes, "never", self.precision, self.datasets_per_step, 0)


PRODUCT = [Case(*values) for values in product(*FACTORS.values())]


def pairs_of(case: Case) -> set[Any]:
    return set(combinations([(name, getattr(case, name)) for name in FACTORS], 2))


def covering() -> list[Case]:
    """Cases in which every pair of values of two factors occurs: each time the one that adds most pairs."""
    left, chosen = set().union(*map(pairs_of, PRODUCT)), []
    while left:
        best = max(PRODUCT, key=lambda case: len(pairs_of(case) & left))
        chosen.append(best)
        left -= pairs_of(best)
    others = [case for case in PRODUCT if case not in chosen]
    return chosen + others[:: len(others) // 4][:4]  # some more, so that there are sixteen at least


CASES = PRODUCT if os.environ.get("RESUME_CASES") == "all" else covering()
SINGLE = [case for case in CASES if case.processes == 1]
SEVERAL = [case for case in CASES if case.processes == 2]
FAST = SINGLE[:2]


def test_the_cases_cover_every_pair_of_values():
    assert len(CASES) >= 16
    assert set().union(*map(pairs_of, CASES)) == set().union(*map(pairs_of, PRODUCT))


def config_of(case: Case, place: Path, encoder: Path) -> Config:
    settings = {
        "training.epochs": 2,
        "training.batch_size": 16,
        "training.max_tokens": 60,  # several micro-batches a step
        "training.precision": case.precision,
        "training.save_every_steps": None,
        "evaluation.every_steps": 5,
        "tracking.every_steps": 3,
        "mixing.datasets_per_step": case.datasets_per_step,
    }
    return mixed_config(place, encoder, settings)


def saved_step(case: Case, plan: Plan) -> int:
    """Return after how many steps the run is saved."""
    first = [plan.step(step).datasets for step in range(plan.num_steps)]
    seen, end = 0, 0
    while seen < len(plan.datasets[0].lengths):  # the first dataset's pass
        seen += int((first[end] == 0).sum())
        end += 1
    change = next(step for step in range(3, plan.num_steps) if first[step].tolist() != first[step - 1].tolist())
    return {
        "epoch_end": end,
        "mid_epoch": end // 2,
        "in_accumulation": end // 2,
        "last_batch": plan.num_steps - 1,
        "first_after": end + 1,
        "dataset_change": change,
    }[case.saved]


def kills_of(case: Case, step: int, plan: Plan) -> list[Kill]:
    """Kill a run in the step after its checkpoint or the one after that; a second time in the same or a later one."""
    micro_batches = 2 if case.saved == "in_accumulation" else 1
    later = min(step + 1, plan.num_steps - 1)
    return [(later, micro_batches), (min(step + 3, plan.num_steps - 1), 1)][: case.kills]


Prepared = Callable[[Case], tuple[Config, list[Kill]]]
Done = Callable[[Case], Path]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Prepared:
    """Return a case's config, in a place of its own, and its kills."""
    plans: dict[str, Plan] = {}

    def of(case: Case) -> tuple[Config, list[Kill]]:
        config = config_of(case, tmp_path_factory.mktemp(str(case)), tiny_bert)
        plan = plans.setdefault(case.datasets_per_step, prepare(config).plan)
        if not case.kills:
            return config, []
        step = saved_step(case, plan)
        training = config.training.model_copy(update={"save_every_steps": step})
        return config.model_copy(update={"training": training}), kills_of(case, step, plan)

    return of


@pytest.fixture(scope="module")
def undisturbed(prepared: Prepared) -> Done:
    """Return the run directory of a case without kills, on one process."""
    done: dict[Case, Path] = {}

    def run(case: Case) -> Path:
        if case not in done:
            config, _ = prepared(case)
            interrupted_run(config, [])
            done[case] = Path(config.output)
        return done[case]

    return run


def assert_equal_runs(run: Path, other: Path) -> None:
    ours, theirs = kept_bytes(run), kept_bytes(other)
    assert {name for name in ours if ours[name] != theirs[name]} == set()
    assert log_of(run) == log_of(other)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=str(case), marks=() if case in FAST else pytest.mark.slow) for case in SINGLE],
)
def test_a_resumed_run_equals_the_undisturbed_one(case, prepared, undisturbed):
    config, kills = prepared(case)
    result = interrupted_run(config, kills)
    assert_equal_runs(Path(config.output), undisturbed(case.undisturbed))
    assert result.first_step >= config.training.save_every_steps  # it did not begin anew


@pytest.fixture(scope="module")
def on_two_processes(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Train all cases of two processes in one launch; return the run directory of each."""
    cases = {*SEVERAL, *(case.undisturbed for case in SEVERAL)}
    made = {case: prepared(case) for case in sorted(cases, key=str)}
    jobs = [{"config": yaml.safe_load(config.to_yaml()), "kills": kills} for config, kills in made.values()]
    file = tmp_path_factory.mktemp("jobs") / "jobs.json"
    file.write_text(json.dumps(jobs))
    done = torchrun(2, "tests/resumed.py", str(file))
    assert done.returncode == 0, done.stderr[-3000:]
    return lambda case: Path(made[case][0].output)


@pytest.mark.slow
@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_a_resumed_run_of_two_processes_equals_the_undisturbed_one(case, on_two_processes):
    assert_equal_runs(on_two_processes(case), on_two_processes(case.undisturbed))


def one_step_off(patch: pytest.MonkeyPatch) -> None:
    """Let the rows of each step be those of the next one."""
    read = StepReader._collated

    def off(self: StepReader, step: int, max_tokens: int) -> Any:
        return read(self, min(step + 1, self._plan.num_steps - 1), max_tokens)

    patch.setattr(StepReader, "_collated", off)


def other_dropout(patch: pytest.MonkeyPatch) -> None:
    """Let dropout be that of the next step."""
    patch.setattr(update, "seed_dropout", lambda seed, step, number: seed_dropout(seed, step + 1, number))


def no_moments(patch: pytest.MonkeyPatch) -> None:
    """Let the optimizer begin anew."""
    put_back = loop.restore

    def forgetful(run: Any, checkpoint: Any) -> Any:
        state = put_back(run, checkpoint)
        run.optimizer.state.clear()
        return state

    patch.setattr(loop, "restore", forgetful)


CASE = Case(1, "mid_epoch", "fp32", "one", 1)


@pytest.mark.parametrize("sabotage", [other_dropout, no_moments])
def test_a_resumption_that_is_not_exact_would_be_noticed(sabotage, prepared, undisturbed):
    config, kills = prepared(CASE)
    interrupted_run(config, kills, sabotage=sabotage)
    with pytest.raises(AssertionError):
        assert_equal_runs(Path(config.output), undisturbed(CASE.undisturbed))


def test_a_plan_that_goes_on_one_step_off_would_be_noticed(prepared):
    config, kills = prepared(CASE)
    with pytest.raises(CheckpointError, match="did not train what its plan promised"):
        interrupted_run(config, kills, sabotage=one_step_off)


def test_weights_of_a_plan_one_step_off_differ(prepared, undisturbed, monkeypatch):
    config, kills = prepared(CASE)
    monkeypatch.setattr(loop, "check_ledger", lambda ledger, promised: None)  # the second line of defence
    interrupted_run(config, kills, sabotage=one_step_off)
    with pytest.raises(AssertionError):
        assert_equal_runs(Path(config.output), undisturbed(CASE.undisturbed))
