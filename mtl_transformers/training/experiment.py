"""From a config to everything that a training needs: data, tasks, plan, network. Trains nothing.

`check` and `evaluate` take parts of it, so each part is a function of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch

from mtl_transformers.config import Config, TaskConfig, dataset_spec
from mtl_transformers.data.augmented import Augmentation
from mtl_transformers.data.encoded import EncodedSplit, encode_split
from mtl_transformers.data.leaks import without_leaks
from mtl_transformers.data.preparing import Tables, check_columns, fit_task, load_tables
from mtl_transformers.data.review import Review
from mtl_transformers.data.spec import DatasetSpec
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.multitask import MultiTaskModel, ServedTask
from mtl_transformers.inference.text_encoders import text_encoders
from mtl_transformers.model.encoder import Encoder, head_pooler, load_encoder
from mtl_transformers.model.freezing import enable_gradient_checkpointing, freeze
from mtl_transformers.model.head_spec import head_spec
from mtl_transformers.model.heads import build_head
from mtl_transformers.model.masked_head import start_from_pretrained
from mtl_transformers.model.network import Network
from mtl_transformers.model.tokenizer import Tokenizer, load_tokenizer, vocabulary
from mtl_transformers.plan.plan import Plan, PlanDataset, make_plan
from mtl_transformers.runtime.text_encoders import TextEncoders
from mtl_transformers.tasks.kinds import KINDS
from mtl_transformers.tasks.task import EncoderFacts, Task
from mtl_transformers.text.augmenting import Augmenter
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.synonyms import load_synonyms

MOST_TOKENS = 512  # of a sequence, where neither the config nor the encoder says less

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experiment:
    """What a config becomes before it is trained.

    Attributes:
        config: the config.
        tables: the datasets as rows.
        splits: encoded splits by dataset and split name.
        tasks: the fitted tasks, and what each reads of a row.
        network: encoder and heads, on the CPU.
        tokenizer: of the encoder.
        plan: the order of all rows.
        encoder_name: of the pretrained encoder, for the card; with ``init_from`` the one that its model began with.
    """

    config: Config
    tables: Mapping[str, Tables]
    splits: Mapping[str, Mapping[str, EncodedSplit]]
    tasks: Mapping[str, ServedTask]
    network: Network
    tokenizer: Tokenizer
    plan: Plan
    encoder_name: str

    def tasks_by_dataset(self) -> dict[str, dict[str, Task]]:
        """Return the fitted tasks of each dataset."""
        return fitted_by_dataset(self.config, {name: served.task for name, served in self.tasks.items()})

    def of_split(self, split: str) -> dict[str, EncodedSplit]:
        """Return one split of every dataset that has it."""
        return {name: splits[split] for name, splits in self.splits.items() if split in splits}


def prepare(config: Config) -> Experiment:
    """Read, fit, encode, plan and build.

    Raises:
        MTLError: whatever is wrong with data, labels, encoder or settings.
    """
    tables = read_tables(config)
    source = load_start(config)
    encoder, tokenizer = (source.network.encoder, source.tokenizer) if source else load_base(config)
    apply_settings(encoder, config)
    fitted = fit_tasks(config, tables, known=source.tasks if source else {})
    lengths = max_lengths(config, encoder)
    encoders = text_encoders(tokenizer, uses_token_types=encoder.uses_token_types)
    facts = EncoderFacts(encoder.hidden_size, vocabulary(tokenizer, size=encoder.config.vocab_size))
    tasks = {
        name: ServedTask(
            task.with_encoder(facts), section.data, input_of(tables[section.data], section, lengths[section.data])
        )
        for (name, task), section in zip(fitted.items(), config.tasks.values(), strict=True)
    }
    splits = encode_tables(config, tables, tasks, encoders=encoders)
    check_labelled(splits)
    for name, table in tables.items():
        if (augmentation := _augmentation(table.spec, tokenizer, encoders)) is not None:
            splits[name]["train"] = replace(splits[name]["train"], augmentation=augmentation)
    return Experiment(
        config=config,
        tables=tables,
        splits=splits,
        tasks=tasks,
        network=build_network(config, encoder, tasks, source),
        tokenizer=tokenizer,
        plan=plan_of(config, {name: of["train"] for name, of in splits.items()}),
        encoder_name=source.encoder_name if source else encoder.source,
    )


def read_tables(config: Config) -> dict[str, Tables]:
    """Load the datasets; each has a train and a validation split, and the columns that it is asked for."""
    tables = {}
    for name, section in config.data.items():
        tables[name] = load_tables(dataset_spec(name, section, config.tasks), seed=config.seed)
        if section.id is not None:
            check_columns(tables[name], [section.id], needed_by=f"data.{name}.id")
        for split in ("train", "validation"):
            if split not in tables[name].splits:
                raise DataError(
                    f"data.{name}: no {split} split; it has {', '.join(tables[name].splits)}. Give one under files, "
                    f"map one under splits ({{validation: test}}), or set split: {{validation: 0.1}}"
                )
    return without_leaks(tables)


def fit_tasks(
    config: Config, tables: Mapping[str, Tables], *, known: Mapping[str, ServedTask] | None = None
) -> dict[str, Task]:
    """Fit every task on its train split; a task that a model to start from knows keeps its labels and scale."""
    fitted = {}
    for name, section in config.tasks.items():
        task = fit_task(
            tables[section.data],
            KINDS[section.kind],
            name=name,
            options=section.kind_options,
            metrics=section.metrics,
        )
        fitted[name] = _continued(task, known[name].task) if known and name in known else task
    return fitted


def input_of(tables: Tables, section: TaskConfig, max_length: int) -> Input:
    """Return what a task reads of a row of its dataset."""
    spec = tables.spec
    kind = KINDS[section.kind]
    given = kind.input_of(
        section.kind_options, text=spec.text, form=tables.form, max_length=max_length, stride=spec.stride
    )
    return replace(given, clean=spec.clean)


def _augmentation(spec: DatasetSpec, tokenizer: Tokenizer, encoders: TextEncoders) -> Augmentation | None:
    """Return how a dataset's training rows are augmented, its synonyms read."""
    if spec.augment is None:
        return None
    file = spec.augment.synonyms_file
    synonyms = {} if file is None else load_synonyms(file)
    try:
        augmenter = Augmenter(spec.augment, mask_token=tokenizer.mask_token, synonyms=synonyms)
    except ConfigError as error:
        raise ConfigError(f"data.{spec.name}.{error}") from error
    described = json.dumps([asdict(replace(spec.augment, synonyms_file=None)), synonyms], sort_keys=True)
    return Augmentation(augmenter, key=described, encoding=encoders.encoding)


def _continued(task: Task, known: Task) -> Task:
    """Return the known task with the new options and metrics, so that its head keeps its meaning."""
    if known.kind != task.kind:
        raise ConfigError(f"tasks.{task.name}.kind: {task.kind}, but init_from holds it as {known.kind}")
    return known.continued(task)


def fitted_by_dataset(config: Config, fitted: Mapping[str, Task]) -> dict[str, dict[str, Task]]:
    """Group the tasks by their dataset."""
    return {
        dataset: {name: task for name, task in fitted.items() if config.tasks[name].data == dataset}
        for dataset in config.data
    }


def load_start(config: Config) -> MultiTaskModel | None:
    """Load the model directory to start from, where the config names one."""
    if config.init_from is None:
        return None
    _LOG.info("starting from %s: its encoder, and the heads of the tasks that it knows", config.init_from)
    return MultiTaskModel.from_pretrained(config.init_from, device="cpu", attention=config.encoder.attention)


def load_base(config: Config) -> tuple[Encoder, Tokenizer]:
    """Load the pretrained encoder and its tokenizer."""
    name, revision = config.encoder.name, config.encoder.revision
    if name is None:
        raise ConfigError("encoder.name: missing; name an encoder, or a model directory of ours as init_from")
    encoder = load_encoder(name, revision=revision, attention=config.encoder.attention)
    return encoder, load_tokenizer(name, revision=revision)


def apply_settings(encoder: Encoder, config: Config) -> None:
    """Freeze what is not trained, and turn gradient checkpointing on where it is asked for."""
    if config.encoder.gradient_checkpointing:
        enable_gradient_checkpointing(encoder)
    freeze(encoder, config.encoder.freeze)


def max_lengths(config: Config, encoder: Encoder) -> dict[str, int]:
    """Return the tokens of a sequence for each dataset.

    Raises:
        ConfigError: more than the encoder can take.
    """
    limit = encoder.max_length
    base = config.encoder.max_length or min(limit or MOST_TOKENS, MOST_TOKENS)
    lengths = {}
    for name, section in config.data.items():
        lengths[name] = section.max_length or base
        if limit is not None and lengths[name] > limit:
            key = "encoder.max_length" if section.max_length is None else f"data.{name}.max_length"
            raise ConfigError(f"{key}: {lengths[name]} is more than the {limit} tokens that {encoder.source} takes")
    return lengths


def encode_tables(
    config: Config,
    tables: Mapping[str, Tables],
    tasks: Mapping[str, ServedTask],
    *,
    encoders: TextEncoders,
    only: Sequence[str] | None = None,
) -> dict[str, dict[str, EncodedSplit]]:
    """Encode all splits of all datasets (or only some splits) with the labels of their tasks."""
    return {
        name: {
            split: encode_split(
                table,
                split,
                {task: served.task for task, served in tasks.items() if served.dataset == name},
                {task: served.input for task, served in tasks.items() if served.dataset == name},
                encoding=encoders.encoding,
                row_weights={
                    task: section.row_weight
                    for task, section in config.tasks.items()
                    if section.data == name and section.row_weight is not None
                },
                reviews={
                    task: Review(section.review.file, section.review.weight)
                    for task, section in config.tasks.items()
                    if section.data == name and section.review is not None and split == "train"
                },
            )
            for split in table.splits
            if only is None or split in only
        }
        for name, table in tables.items()
    }


def check_labelled(splits: Mapping[str, Mapping[str, EncodedSplit]]) -> None:
    """Refuse a task that has no label to train on, or none to be scored by.

    Raises:
        DataError: with the task and the split.
    """
    for dataset, of_dataset in splits.items():
        for split in ("train", "validation"):
            for task, num_rows in of_dataset[split].num_labelled.items():
                if not num_rows:
                    raise DataError(
                        f"task {task!r}, dataset {dataset!r}, split {split!r}: every label is null; a task needs "
                        "labelled rows to train on and to be scored by"
                    )


def plan_of(config: Config, train: Mapping[str, EncodedSplit]) -> Plan:
    """Make the plan from the lengths of the training rows."""
    mixing, training = config.mixing, config.training
    weights = mixing.weights or {}
    return make_plan(
        [PlanDataset(name, split.costs) for name, split in train.items()],
        epochs=None if training.steps else training.epochs or 3,
        steps=training.steps,
        strategy=mixing.strategy,
        temperature=mixing.temperature,
        weights=[weights.get(name, 1.0) for name in train] if mixing.strategy == "weights" else None,
        cap=mixing.cap,
        batch_size=None if training.batch_tokens else training.batch_size or 32,
        batch_tokens=training.batch_tokens,
        datasets_per_step=mixing.datasets_per_step,
        seed=config.seed,
    )


def build_network(
    config: Config, encoder: Encoder, tasks: Mapping[str, ServedTask], source: MultiTaskModel | None
) -> Network:
    """Put a head for each task on the encoder; heads that ``init_from`` knows are copied."""
    heads = {}
    for name, served in tasks.items():
        task, section = served.task, config.tasks[name]
        if section.pooling is not None and task.vectors == "token":
            raise ConfigError(f"tasks.{name}.pooling: kind {task.kind} reads tokens, which are not pooled; remove it")
        spec = head_spec(
            encoder.config,
            head=task.head_form,
            vectors=task.vectors,
            out_features=task.num_outputs,
            pooling=section.pooling,
            layer=section.layer,
        )
        heads[name] = build_head(
            spec,
            seed=config.seed,
            task=name,
            initializer_range=getattr(encoder.config, "initializer_range", 0.02),
            pooler=head_pooler(encoder, choice=task.head_form == "choice"),
        )
        if task.head == "masked" and start_from_pretrained(heads[name], encoder):
            _LOG.info("task %s: its head starts from the one that %s was pretrained with", name, encoder.source)
        if source is not None and name in source.tasks:
            known = source.network.head(name)
            if known.spec != spec:
                raise ConfigError(f"tasks.{name}: its head in init_from has another form than this config gives it")
            with torch.no_grad():
                heads[name].load_state_dict(known.state_dict())
    return Network(encoder, heads)
