"""A training that leaves nothing behind: the plan, the steps and the learning rate of a run, without its directory.

Evaluates and saves nothing, and stops where a run would go on without some rows. The arithmetic of a step is
``update.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial

from accelerate import Accelerator

from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.errors import ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.training.experiment import Experiment, plan_of
from mtl_transformers.training.optimizer import learning_rate_factor, make_optimizer, set_learning_rate, warmup_steps
from mtl_transformers.training.steps import StepReader, training_data
from mtl_transformers.training.trouble import REMEDY, describe, halved
from mtl_transformers.training.update import NotFinite, Outcome, OutOfMemory, Updater


def train_in_memory(
    experiment: Experiment, model: MultiTaskModel, train: Mapping[str, EncodedSplit], accelerator: Accelerator
) -> Iterator[tuple[int, int]]:
    """Train a model's network in place; yield after each step how many were done, and of how many.

    Args:
        experiment: the settings and the tasks.
        model: with the weights to start from, on the accelerator's device.
        train: the rows of each dataset.
        accelerator: of one process.

    Raises:
        ModelError: numbers that are not finite, or memory that runs out.
    """
    config = experiment.config
    settings, plan = config.training, plan_of(config, train)
    data = replace(training_data(experiment), splits=train)
    optimizer = make_optimizer(
        model.network,
        learning_rate=settings.learning_rate,
        head_learning_rate=settings.head_learning_rate,
        weight_decay=settings.weight_decay,
    )
    updater = Updater(
        model.network,
        data,
        optimizer,
        accelerator,
        precision=model.precision,
        weights={name: task.weight for name, task in config.tasks.items()},
        clip=settings.clip,
        seed=config.seed,
    )
    num_warmup = warmup_steps(settings.warmup, num_steps=plan.num_steps)
    step, max_tokens = 0, settings.max_tokens
    with closing(StepReader(plan, data, accelerator)) as reader:
        while step < plan.num_steps:
            factor = learning_rate_factor(
                step, num_steps=plan.num_steps, num_warmup=num_warmup, schedule=settings.schedule
            )
            set_learning_rate(optimizer, factor)
            match updater.step(step, partial(reader.read, step, max_tokens=max_tokens)):
                case OutOfMemory():
                    max_tokens = halved(max_tokens, plan.step(step).lengths, step=step)
                case NotFinite() as bad:
                    message = describe(bad, step=step, rows=plan.step(step), data=data, model=model)
                    raise ModelError(f"{message}. {REMEDY}")
                case Outcome():
                    step += 1
                    yield step, plan.num_steps
