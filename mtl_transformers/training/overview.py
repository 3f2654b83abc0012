"""The table of the plan: what is shown before training and saved as ``plan.json``, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtl_transformers.data.labelling import answer_counts
from mtl_transformers.plan.table import fill, fills, plan_lines
from mtl_transformers.tasks.question_answering import QuestionAnswering
from mtl_transformers.training.experiment import Experiment


def overview(experiment: Experiment) -> dict[str, Any]:
    """Describe an experiment before it runs.

    Returns:
        ``steps``, ``rows``, ``fill`` (real ÷ padded tokens), ``datasets`` and ``tasks``, a list of objects each.
    """
    config, plan = experiment.config, experiment.plan
    train, validation = experiment.of_split("train"), experiment.of_split("validation")
    datasets = []
    lines = plan_lines(plan)
    for line, filled in zip(lines, fills(plan, max_tokens=config.training.max_tokens), strict=True):
        split = train[line.name]
        datasets.append(
            {
                "dataset": line.name,
                "rows": line.size,
                "unlabelled_rows_left_out": split.num_unlabelled,
                "filtered_rows_left_out": experiment.tables[line.name].num_dropped,
                "validation_rows": len(validation[line.name]),
                "rows_planned": line.rows,
                "share": round(line.share, 4),
                "steps": line.steps,
                "passes": round(line.passes, 4),
                "fill": round(filled, 4),
                "truncated": round(split.num_truncated / len(split), 4),
                "max_length": split.inputs[0].given.max_length,
                "mean_tokens": round(float(split.costs.mean()), 1),
                "tasks": list(split.num_labelled),
                "encoder_passes_per_row": len(split.inputs),
                "mean_sequences": round(float(split.num_sequences.mean()), 2),
            }
        )
    return {
        "steps": plan.num_steps,
        "rows": sum(plan.rows_per_dataset),
        "fill": round(fill(plan, max_tokens=config.training.max_tokens), 4),
        "datasets": datasets,
        "tasks": [
            _task_line(experiment, name, passes={line.name: line.passes for line in lines}) for name in experiment.tasks
        ],
    }


def _task_line(experiment: Experiment, name: str, *, passes: Mapping[str, float]) -> dict[str, Any]:
    served = experiment.tasks[name]
    train = experiment.splits[served.dataset]["train"]
    validation = experiment.splits[served.dataset]["validation"]
    line = {
        "task": name,
        "kind": served.task.kind,
        "dataset": served.dataset,
        "outputs": served.task.num_outputs,
        "labelled_rows": train.num_labelled[name],
        "labelled_validation_rows": validation.num_labelled[name],
        "labelled_rows_planned": round(train.num_labelled[name] * passes[served.dataset]),
        "passes": round(passes[served.dataset], 4),
        "weight": experiment.config.tasks[name].weight,
        "metrics": list(served.task.metrics),
    }
    if isinstance(served.task, QuestionAnswering):
        counts = answer_counts(experiment.tables[served.dataset].splits["train"], served.task, served.input)
        line |= {"answers_repaired": counts.repaired, "answers_lost": counts.lost}
    return line
