"""Kill a training again and again until it is done, and prove that nothing was lost: the kill -9 loop.

    python scripts/bench/kill.py --rounds 200 --seed 1 --out report.json

Each round trains the tests' tiny BERT on three datasets and six tasks, in a child process that is killed at one or
several moments and started again with ``resume=True`` until it is done. The seed chooses the moments: after a time,
or right before, within or after a call of the system (`aimed.py`), so that saves, the swaps of best, last, a checkpoint
and the run itself, their removals, pruning and the log are all hit. After each kill, and before anything is repaired,
`remains.py` looks for directories that are half-written or gone. When the round is done, its models, its log and its
last checkpoint must equal those of an undisturbed run, byte for byte. Ends with 1 where one of this does not hold.

Children are forked from a process that has imported everything, so that a round takes a second or two.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from aimed import CONFIG, COUNTS, HIT, INTERRUPTED, RUN, TALK, Aim, child
from little import mixed_config
from remains import Held, differences, examine, leftovers
from tiny import tiny_encoder_dir

SETTINGS = {
    "training.epochs": None,
    "training.steps": 16,
    "training.max_tokens": 100,  # two or three micro-batches a step
    "training.save_every_steps": 3,
    "training.keep_checkpoints": 2,
    "evaluation.every_steps": 4,
    "tracking.every_steps": 2,
}
FIRST_KINDS = (
    "time",
    "call",
    "swap best",
    "swap checkpoint",
    "swap run",
    "prune",
    "swap last",
    "replaced checkpoint",
    "log",
    "step",
)
"""How the first kill of a round is chosen, in turns."""
LATER_KINDS = ("time", "time", "call", "call", "swap best", "swap last", "swap checkpoint", "prune", "log")
_LIMIT_S = 300  # of one child; more means that it hangs
_PRELOAD = [  # all that a training imports and that is installed; the rest is found by a child only
    "mtl_transformers.training.loop",
    "datasets.packaged_modules.json.json",
    "evaluate",
    "pytest",
    "scipy.stats",
    "seqeval.metrics",
    "sklearn.metrics",
    "transformers.models.bert.modeling_bert",
]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of the training.

    Attributes:
        aim: where the child ends itself.
        delay_s: seconds after which it is killed from outside, if it is still there.
        overwrite: it begins anew, in place of an older run that is done.
    """

    aim: Aim | None = None
    delay_s: float | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """The undisturbed run.

    Attributes:
        place: its directory, with its config and its data.
        counts: how often it made the calls of each kind.
        seconds: that it took.
    """

    place: Path
    counts: Mapping[str, int]
    seconds: float


@dataclass
class Round:
    """What became of a round.

    Attributes:
        number: of the round.
        kills: of each, the kind of its moment, the call that was hit, and what lay about then.
        requests: stops that were asked for by SIGTERM on the way.
        faults: what was half-written, lost or different.
    """

    number: int
    kills: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    faults: list[str] = field(default_factory=list)


def attempts_of(number: int, *, seed: int, reference: Reference) -> list[Attempt]:
    """Choose the moments of a round; each of its first kills comes for certain, the later ones may come too late."""
    rng = random.Random(f"{seed}-{number}")
    counts, last = reference.counts, Aim("step", reference.counts["step"])

    def moment(kind: str, num_calls: int) -> Attempt:
        if kind == "time":
            return Attempt(last, delay_s=rng.uniform(0, 0.9 * reference.seconds))
        return Attempt(Aim(kind, rng.randint(1, num_calls), rng.choice(("before", "within", "after"))))

    first = FIRST_KINDS[number % len(FIRST_KINDS)]
    if first == "swap run":
        attempts = [Attempt(moment(first, 12).aim, overwrite=True)]
    elif first == "replaced checkpoint":  # the last one is written before the last evaluation, and again after it
        asked = Attempt(Aim("step", counts["step"], signal=signal.SIGTERM))
        attempts = [asked, moment("swap checkpoint", 3)]
    else:
        attempts = [moment(first, counts.get(first, 1))]
    later = rng.choices(LATER_KINDS, k=rng.randrange(4))
    return [*attempts, *(moment(kind, max(1, counts[kind] // 2) if kind in counts else 1) for kind in later)]


class Killer:
    """Starts trainings, kills them, and looks at what is left.

    Args:
        work: a directory of its own.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        inputs = work / "inputs"
        self._config = mixed_config(inputs, tiny_encoder_dir("bert", inputs / "encoder"), SETTINGS)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)

    def reference(self) -> Reference:
        """Train without kills."""
        for name in ("warm-up", "reference"):  # the first child of all waits for the imports
            place, started = self._place(name), time.perf_counter()
            code = self._start(place, Attempt())
            if code != 0:
                raise RuntimeError(f"the undisturbed run ended with {code}: {_talk(place)}")
        counts = json.loads((place / COUNTS).read_text())
        return Reference(place, counts, time.perf_counter() - started)

    def play(
        self, number: int, attempts: Sequence[Attempt], reference: Reference, *, sabotage: str | None = None
    ) -> Round:
        """Train in the face of kills until it is done, and compare.

        Args:
            number: of the round.
            attempts: the moments.
            reference: what it must be equal to.
            sabotage: breaks what goes on after a kill, by its name.
        """
        place, done, held = self._place(f"round-{number}"), Round(number), Held()
        if attempts[0].overwrite:
            shutil.copytree(reference.place / RUN, place / RUN)
        for turn, attempt in enumerate([*attempts, Attempt()]):
            code = self._start(place, attempt, resume=turn > 0, sabotage=sabotage if turn else None)
            held, faults = examine(place / RUN, held)
            done.faults += [f"after start {turn + 1}: {fault}" for fault in faults]
            if code == -signal.SIGKILL:
                done.kills.append(_kill_of(place, attempt))
            elif code == INTERRUPTED:
                done.requests += 1
            else:
                break
        if not done.kills:
            done.faults.append("no kill came")
        if code != 0:
            done.faults.append(f"the training ended with {code}: {_talk(place)}")
        else:
            done.faults += [f"left behind: {name}" for name in leftovers(place / RUN)]
            done.faults += differences(place / RUN, reference.place / RUN)
        if not done.faults:
            shutil.rmtree(place)
        return done

    def _place(self, name: str) -> Path:
        place = self._work / name
        place.mkdir()
        config = self._config.model_copy(update={"output": str(place / RUN)})
        (place / CONFIG).write_text(config.to_yaml())
        return place

    def _start(self, place: Path, attempt: Attempt, *, resume: bool = False, sabotage: str | None = None) -> int | None:
        """Start the training, kill it where it is to be killed from outside, and return how it ended."""
        (place / HIT).unlink(missing_ok=True)
        named = {"resume": resume, "overwrite": attempt.overwrite, "sabotage": sabotage}
        process = self._context.Process(target=child, args=(place, attempt.aim), kwargs=named)
        process.start()
        process.join(_LIMIT_S if attempt.delay_s is None else attempt.delay_s)
        if process.is_alive():
            process.kill()
            process.join()
            if attempt.delay_s is None:
                raise RuntimeError(f"the training hangs: {_talk(place)}")
        return process.exitcode


def _kill_of(place: Path, attempt: Attempt) -> dict[str, Any]:
    """Describe a kill by the call that was hit, or that it came from outside, and by what lay about."""
    left = leftovers(place / RUN)
    found = json.loads((place / HIT).read_text()) if (place / HIT).exists() else None
    hit = found or {"kind": "time", "hit": f"after {attempt.delay_s:.2f} s", "when": ""}
    return {
        **{key: hit[key] for key in ("kind", "when", "hit")},
        "left": left,
        "in_save": bool(left),
        "in_swap": hit["kind"].startswith("swap") or any(name.endswith(".old") for name in left),
    }


def _talk(place: Path) -> str:
    path = place / TALK
    return path.read_text()[-1500:] if path.exists() else "it said nothing"


def summary(rounds: Iterable[Round]) -> dict[str, Any]:
    """Return the totals of some rounds."""
    rounds = list(rounds)
    kills = [kill for of in rounds for kill in of.kills]
    faults = [f"round {of.number}: {fault}" for of in rounds for fault in of.faults]
    return {
        "rounds": len(rounds),
        "equal_rounds": sum(not of.faults for of in rounds),
        "kills": len(kills),
        "kills_in_saves": sum(kill["in_save"] for kill in kills),
        "kills_in_swaps": sum(kill["in_swap"] for kill in kills),
        "kills_by_kind": dict(sorted(Counter(kill["kind"] for kill in kills).items())),
        "requests": sum(of.requests for of in rounds),
        "lost": faults or "nothing",
    }


def play_all(killer: Killer, reference: Reference, *, num_rounds: int, seed: int, jobs: int) -> list[Round]:
    """Play rounds, several at a time."""
    moments = [attempts_of(number, seed=seed, reference=reference) for number in range(num_rounds)]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(partial(killer.play, reference=reference), range(num_rounds), moments))


def main() -> None:
    """Play all rounds and write what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="rounds at a time")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path, help="where runs lie; those with a fault stay (default: nothing stays)")
    given = parser.parse_args()
    started = time.perf_counter()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}  # of the children
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        killer = Killer(work)
        rounds = play_all(killer, killer.reference(), num_rounds=given.rounds, seed=given.seed, jobs=given.jobs)
    total = summary(rounds)
    command = f"python scripts/bench/kill.py --rounds {given.rounds} --seed {given.seed}"
    report = {"command": command, "seconds": round(time.perf_counter() - started, 1), **total}
    if given.out:
        listed = {**report, "each": [asdict(of) for of in rounds]}
        given.out.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))
    sys.exit(total["lost"] != "nothing")


if __name__ == "__main__":
    main()
