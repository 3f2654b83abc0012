"""The README.md of a plain directory: what it answers, how to use it without us, and what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model.card import LIBRARY
from mtl_transformers.model.native_parity import Parity
from mtl_transformers.tasks.multi_label import MultiLabel


def plain_card(
    served: ServedTask,
    *,
    architecture: str,
    parity: Parity,
    usage: str,
    notes: Sequence[str],
    scores: Mapping[str, Any],
) -> str:
    """Write the text of README.md: the hub's metadata block, then a page for a person.

    Args:
        served: the task.
        architecture: the class of transformers that it became.
        parity: between the logits of both, as measured.
        usage: Python that answers a text.
        notes: what transformers does not do, a sentence each.
        scores: of the task, by split and metric.
    """
    task = served.task
    facts = [f"Texts are cut at {served.input.max_length} tokens where the tokenizer is told to truncate.", *notes]
    sections = [
        f"# {task.name}",
        f"The task `{task.name}` ({task.kind}) of a model with several tasks on one encoder, as `{architecture}`. Its "
        f"logits are those of the task: when `{LIBRARY}` wrote this directory, both were run on random tokens, and the "
        f"largest difference was {parity}.",
        "## How to use it",
        "`directory` is this directory or its hub id.",
        f"```python\n{usage}\n```",
        "## What to know",
        "\n".join(f"- {fact}" for fact in facts),
        *_thresholds(served),
        *_scores(scores),
    ]
    return f"---\nlibrary_name: transformers\npipeline_tag: {task.hub_task}\n---\n\n" + "\n\n".join(sections) + "\n"


def _thresholds(served: ServedTask) -> list[str]:
    task = served.task
    if not isinstance(task, MultiLabel):
        return []
    return [
        "## Thresholds",
        "A label is predicted from this probability on:",
        _block(dict(zip(task.output_names, task.thresholds, strict=True))),
    ]


def _scores(scores: Mapping[str, Any]) -> list[str]:
    """Return the scores that have a name of ours: that of others may be a path."""
    own = {
        split: {metric: value for metric, value in of_split.items() if ":" not in metric}
        for split, of_split in scores.items()
        if isinstance(of_split, Mapping)
    }
    return ["## Scores", "Of the task, by split:", _block(own)] if own else []


def _block(content: Mapping[str, Any]) -> str:
    """Return names and numbers as JSON, which no name can break out of."""
    return f"```json\n{json.dumps(content, indent=2, ensure_ascii=False)}\n```"
