"""The config: one YAML file, parsed once and strictly into frozen values.

Owns every section, its defaults and its documentation, overrides (``--set a.b=c``), and the report of all problems
together with their paths. Kinds bring their own options (``tasks/``). Below this border functions take plain values.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    ValidationError,
    create_model,
    model_validator,
)

from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, HashSplit, Source
from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.metrics import averageable, metric
from mtl_transformers.tasks.kinds import KINDS

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")
    return value


Number = Annotated[float, BeforeValidator(_not_bool), Field(allow_inf_nan=False)]
Count = Annotated[PositiveInt, BeforeValidator(_not_bool)]
Share = Annotated[Number, Field(gt=0, lt=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]


class Section(BaseModel):
    """A frozen part of the config that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, coerce_numbers_to_str=True)


class EncoderConfig(Section):
    """The shared encoder."""

    name: str
    """A hub id, a local directory, or ``package:<module>/<folder>`` of an installed package."""
    revision: str | None = None
    """A revision of a hub id."""
    max_length: Count | None = None
    """Tokens of a sequence, special tokens included; null: what the encoder can take, at most 512."""
    freeze: Literal["all", "embeddings"] | Count | None = None
    """What is not trained: nothing, everything, the embeddings, or these and a number of lower layers."""
    attention: str = "auto"
    """An attention that transformers knows (sdpa, eager, …); auto takes sdpa where the family has it."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""


class SplitByColumn(Section):
    """A split that is a column of the table."""

    column: str
    """The column that names each row's split."""
    values: dict[str, str] = {}
    """Ours by theirs, as ``{dev: validation}``; a value that is a split's name stands for itself."""


class SplitByHash(Section):
    """Splits made from train by a seeded hash of the normalised text: equal texts fall on the same side."""

    validation: Share | None = None
    """Share of the rows."""
    test: Share | None = None
    """Share of the rows."""


class FilterConfig(Section):
    """Rows that are left out."""

    drop_empty: bool = False
    """Leave out rows whose text is null or empty; else such a row is an error."""


Split = Annotated[
    Annotated[SplitByColumn, Tag("column")] | Annotated[SplitByHash, Tag("hash")],
    Discriminator(lambda value: "column" if "column" in _keys(value) else "hash"),
]
SplitName = Literal["train", "validation", "test"]


class DataConfig(Section):
    """One dataset: a named table with splits. Its rows go through split, shuffle, limit and filter, in this order."""

    path: str
    """csv, json, parquet, arrow, text, conll, conllu, a hub id, or a save_to_disk directory."""
    name: str | None = None
    """The configuration of a hub dataset."""
    revision: str | None = None
    """A revision of a hub id."""
    files: dict[str, str | tuple[str, ...]] | str | tuple[str, ...] | None = None
    """Paths or globs by split; without splits they are train."""
    options: dict[str, Any] = {}
    """The builder's own (``delimiter``, ``column_names``, …), checked against its fields."""
    splits: dict[SplitName, str] = {}
    """Our split by theirs, as ``{validation: validation_matched}``."""
    split: Split | None = None
    """How to make splits; null: where there is no validation split, a tenth of train by hash."""
    text: str | tuple[str, str]
    """A column of text or of words, or two columns for pairs."""
    id: str | None = None
    """A column that names the rows in predictions."""
    max_length: Count | None = None
    """Tokens of a sequence here, instead of the encoder's ``max_length``."""
    shuffle: bool = False
    """Shuffle by the seed before ``limit``."""
    limit: dict[SplitName, Count] = {}
    """At most this many rows of a split."""
    filter: FilterConfig = FilterConfig()
    """Rows that are left out."""


class TaskConfig(Section):
    """What every kind of task has; the kind's options stand beside it."""

    data: str
    """The dataset that it is predicted from."""
    kind: str
    """classification, multi_label, regression, token_classification."""
    weight: Positive = 1.0
    """Factor of its loss."""
    metrics: tuple[str, ...] = ()
    """What it is scored by; the first one counts in ``mean``. Empty: the kind's own."""

    @property
    def options(self) -> Any:
        """The options of the kind, as its dataclass."""
        options_type = KINDS[self.kind].options_type
        return options_type(**{field.name: getattr(self, field.name) for field in fields(options_type)})


class MixingConfig(Section):
    """How many rows each dataset gives."""

    strategy: Literal["proportional", "temperature", "uniform", "weights", "round_robin", "capped"] = "temperature"
    """By size; by size^(1/T); equally; by given weights; equally in turns; by size up to a cap."""
    temperature: Annotated[Number, Field(ge=1)] = 2.0
    """T of ``temperature`` (arXiv:1910.10683 §3.5.2): 1 is proportional, large is uniform."""
    weights: dict[str, Positive] | None = None
    """Of ``weights``, by dataset; a dataset that is not named weighs 1."""
    cap: Count | None = None
    """Of ``capped``: rows beyond it do not raise a dataset's share."""
    datasets_per_step: Literal["one", "many"] = "one"
    """One: interleaved batches. Many: rows of several datasets in each batch."""

    @model_validator(mode="after")
    def _settings_are_used(self) -> MixingConfig:
        for setting, strategy in (("temperature", "temperature"), ("weights", "weights"), ("cap", "capped")):
            given = setting in self.model_fields_set and getattr(self, setting) is not None
            if given and self.strategy != strategy and not (setting == "temperature" and self.temperature == 2.0):
                raise ValueError(f"{setting} is used by strategy {strategy} only; strategy is {self.strategy}")
        if self.strategy == "weights" and not self.weights:
            raise ValueError("strategy weights needs weights, as {tickets: 2}")
        if self.strategy == "capped" and self.cap is None:
            raise ValueError("strategy capped needs cap, a number of rows")
        return self


class BalancingConfig(Section):
    """How the losses of several tasks become one update."""

    method: Literal["fixed"] = "fixed"
    """fixed: each loss times its task's weight."""


class TrainingConfig(Section):
    """The steps and the optimizer."""

    epochs: Positive | None = None
    """The plan holds epochs × all rows; 3 when ``steps`` is not given either."""
    steps: Count | None = None
    """Or this many steps."""
    batch_size: Count | None = None
    """Rows of one step over all processes; 32 when ``batch_tokens`` is not given either."""
    batch_tokens: Count | None = None
    """Or padded tokens of one step over all processes."""
    max_tokens: Count = 4096
    """Padded tokens of one micro-batch on one device: memory, not learning."""
    learning_rate: Positive = 5.0e-5
    """Of the encoder."""
    head_learning_rate: Positive = 1.0e-3
    """Of the heads."""
    weight_decay: NotNegative = 0.01
    """Not on biases and norms."""
    warmup: NotNegative = 0.1
    """Below 1 a share of the steps, else a number of steps."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """After the warm-up: down to 0 in a line or half a cosine, or not at all."""
    clip: Positive | None = 1.0
    """Largest norm of the gradient."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the device computes in it, else fp32. Weights are always fp32."""
    early_stop: Count | None = None
    """Stop after so many evaluations without a better model."""

    @model_validator(mode="after")
    def _one_of_each(self) -> TrainingConfig:
        for first, second in (("epochs", "steps"), ("batch_size", "batch_tokens")):
            if getattr(self, first) is not None and getattr(self, second) is not None:
                raise ValueError(f"{first} and {second} exclude each other; set one to null")
        if self.steps is not None and self.batch_tokens is not None:
            raise ValueError("steps and batch_tokens exclude each other: a step's rows vary; use epochs or batch_size")
        if self.warmup >= 1 and not float(self.warmup).is_integer():
            raise ValueError("warmup: from 1 on it is a whole number of steps")
        return self


class EvaluationConfig(Section):
    """When the validation splits are scored."""

    every_steps: Count | None = 500
    """And at the end; null: at the end only."""


class BestConfig(Section):
    """Which model is kept as ``best/``."""

    metric: str = "mean"
    """``mean`` of each task's first metric, or ``task/metric``."""
    floors: dict[str, Number] = {}
    """Least value of ``task/metric``; while no model meets all, the one that lacks least is best."""


class TrackingConfig(Section):
    """Where metrics go besides ``metrics.jsonl``."""

    with_: tuple[str, ...] = Field(default=(), alias="with")
    """Trackers as Accelerate names them: tensorboard, wandb, mlflow, trackio, …"""
    every_steps: Count = 10
    """Steps between two lines of ``metrics.jsonl``."""


class Config(Section):
    """The whole config."""

    output: str
    """The run directory; like all paths, relative to the working directory."""
    seed: Annotated[int, BeforeValidator(_not_bool), Field(ge=0, lt=2**63)] = 13
    """Of everything random."""
    init_from: str | None = None
    """A model directory of ours: encoder and heads to start from."""
    encoder: EncoderConfig
    data: dict[str, DataConfig] = Field(min_length=1)
    tasks: dict[str, TaskConfig] = Field(min_length=1)
    mixing: MixingConfig = MixingConfig()
    balancing: BalancingConfig = BalancingConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    best: BestConfig = BestConfig()
    tracking: TrackingConfig = TrackingConfig()

    def to_yaml(self) -> str:
        """Return the resolved config as YAML that `load_config` reads back to an equal config."""
        values = self.model_dump(mode="json", by_alias=True, exclude={"tasks"})
        values["tasks"] = {name: task.model_dump(mode="json") for name, task in self.tasks.items()}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _task_model(kind_name: str) -> type[TaskConfig]:
    """Return the config section of a kind: the common keys and its options."""
    options_type = KINDS[kind_name].options_type
    hints = get_type_hints(options_type, include_extras=True)
    keys: dict[str, Any] = {"kind": (Literal[kind_name], ...)}
    for field in fields(options_type):
        keys[field.name] = (hints[field.name], ... if field.default is MISSING else field.default)
    return create_model(f"{KINDS[kind_name].__name__}Config", __base__=TaskConfig, **keys)


TASK_MODELS: Mapping[str, type[TaskConfig]] = {name: _task_model(name) for name in KINDS}


def load_config(source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Config:
    """Read, check and freeze a config.

    Args:
        source: a YAML file, or its content as a mapping.
        overrides: values by dotted path, as ``{"training.epochs": 1}``; they obey the same rules.

    Raises:
        ConfigError: all problems together, each with its path.
    """
    where = "config" if isinstance(source, Mapping) else str(source)
    raw = _copied(source) if isinstance(source, Mapping) else _read(Path(source))
    problems: list[str] = []
    for path, value in (overrides or {}).items():
        problems += _override(raw, path, value)
    config = None
    if not problems:
        config, problems = _parse(raw)
    if config is None or problems:
        raise ConfigError("\n".join([f"{where}: {len(problems)} problem(s)", *(f"  {line}" for line in problems)]))
    return config


def dataset_spec(name: str, section: DataConfig) -> DatasetSpec:
    """Return a section ``data.<name>`` as the plain values that `data` works with."""
    split: ColumnSplit | HashSplit | None = None
    if isinstance(section.split, SplitByColumn):
        split = ColumnSplit(section.split.column, section.split.values)
    elif isinstance(section.split, SplitByHash):
        split = HashSplit(section.split.model_dump(exclude_none=True))
    return DatasetSpec(
        source=Source(
            name=name,
            path=section.path,
            config_name=section.name,
            revision=section.revision,
            files=section.files or {},
            options=section.options,
            splits={**section.splits},
        ),
        text=(section.text,) if isinstance(section.text, str) else section.text,
        id=section.id,
        max_length=section.max_length,
        split=split,
        shuffle=section.shuffle,
        limit={**section.limit},
        drop_empty=section.filter.drop_empty,
    )


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``a.b=c`` into a path and a YAML value.

    Raises:
        ConfigError: when there is no ``=`` or the value is no YAML.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {text!r}: expected path=value, as in training.epochs=1")
    try:
        return path.strip(), yaml.load(value, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: the value is no YAML: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  PyYAML's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    try:
        raw = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with output, encoder, data and tasks")
    return raw


def _copied(source: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in source.items()}


def _override(raw: dict[str, Any], path: str, value: Any) -> list[str]:
    """Set a value by its dotted path; return what is wrong with the path."""
    *parents, last = path.split(".")
    place = raw
    for depth, key in enumerate(parents):
        inner = place.setdefault(key, {})
        if inner is None:
            inner = place[key] = {}
        if not isinstance(inner, dict):
            return [f"--set {path}: {'.'.join(parents[: depth + 1])} is no section"]
        place = inner
    place[last] = value
    return []


def _parse(raw: Mapping[str, Any]) -> tuple[Config | None, list[str]]:
    """Check the tasks by their kinds, then the whole; return the config, or all problems."""
    problems: list[str] = []
    tasks: dict[str, TaskConfig] = {}
    for name, entry in _entries(raw.get("tasks")):
        task, wrong = _parse_task(name, entry)
        problems += wrong
        if task is not None:
            tasks[name] = task
    problems += _name_problems("tasks", _keys(raw.get("tasks"))) + _name_problems("data", _keys(raw.get("data")))
    problems += _reference_problems(raw, tasks)
    config = None
    try:
        config = Config.model_validate({**raw, "tasks": tasks} if isinstance(raw.get("tasks"), dict) else raw)
    except ValidationError as error:
        problems += _lines([problem for problem in error.errors() if not _is_empty_tasks(problem, raw)], Config)
    return config, problems


def _is_empty_tasks(problem: Any, raw: Mapping[str, Any]) -> bool:
    """Whether it only says that no task is left because each of them was refused before."""
    return problem["loc"] == ("tasks",) and problem["type"] == "too_short" and bool(raw.get("tasks"))


def _parse_task(name: str, entry: Any) -> tuple[TaskConfig | None, list[str]]:
    place = f"tasks.{name}"
    if not isinstance(entry, Mapping):
        return None, [f"{place}: expected a mapping with data, kind and the kind's options"]
    kind_name = entry.get("kind")
    model = TASK_MODELS.get(str(kind_name))
    if model is None:
        known = ", ".join(TASK_MODELS)
        said = "missing" if kind_name is None else f"unknown kind {kind_name!r}"
        return None, [f"{place}.kind: {said}; expected one of {known}{nearest(str(kind_name), KINDS)}"]
    try:
        task = model.model_validate(entry)
    except ValidationError as error:
        return None, _lines(error.errors(), model, place)
    return task, _metric_problems(place, task)


def _metric_problems(place: str, task: TaskConfig) -> list[str]:
    """Return what is wrong with a task's metrics."""
    legal = KINDS[task.kind].legal_metrics(task.options)
    return [
        f"{place}.metrics: {name!r} does not score this task; expected {', '.join(legal)} or "
        f"evaluate:<id or path>{nearest(name, legal)}"
        for name in task.metrics
        if name not in legal and not name.startswith("evaluate:")
    ]


def _reference_problems(raw: Mapping[str, Any], tasks: Mapping[str, TaskConfig]) -> list[str]:
    """Return names that stand for nothing: datasets, tasks and metrics."""
    datasets = _keys(raw.get("data"))
    problems = [
        f"tasks.{name}.data: unknown dataset {task.data!r}; known: {', '.join(datasets)}{nearest(task.data, datasets)}"
        for name, task in tasks.items()
        if task.data not in datasets
    ]
    used = {entry.get("data") for _, entry in _entries(raw.get("tasks")) if isinstance(entry, Mapping)}
    problems += [f"data.{name}: no task uses this dataset" for name in datasets if name not in used]
    mixing = raw.get("mixing")
    weights = _keys(mixing.get("weights") if isinstance(mixing, Mapping) else None)
    problems += [
        f"mixing.weights.{name}: unknown dataset; known: {', '.join(datasets)}{nearest(name, datasets)}"
        for name in weights
        if name not in datasets
    ]
    return problems + _best_problems(raw, tasks)


def first_metric(task: TaskConfig) -> str:
    """Return the metric that counts for a task."""
    return (task.metrics or KINDS[task.kind].legal_metrics(task.options))[0]


def _best_problems(raw: Mapping[str, Any], tasks: Mapping[str, TaskConfig]) -> list[str]:
    best = raw.get("best")
    best = best if isinstance(best, Mapping) else {}
    chosen = best.get("metric", "mean")
    known = [f"{name}/{m}" for name, task in tasks.items() for m in task.metrics or (first_metric(task),)]
    all_parsed = len(tasks) == len(_keys(raw.get("tasks")))
    problems = []
    if chosen == "mean":
        problems += [
            f"best.metric: mean cannot hold {name}/{first_metric(task)}, which is unbounded or better when lower; "
            f"put another metric first in tasks.{name}.metrics, or set best.metric to task/metric"
            for name, task in tasks.items()
            if not averageable(metric(first_metric(task)))
        ]
    elif all_parsed and chosen not in known:
        problems.append(
            f"best.metric: {chosen!r} is not scored; known: mean, {', '.join(known)}{nearest(str(chosen), known)}"
        )
    if all_parsed:
        problems += [
            f"best.floors.{name}: not scored; known: {', '.join(known)}{nearest(name, known)}"
            for name in _keys(best.get("floors"))
            if name not in known
        ]
    return problems


def _name_problems(section: str, names: Iterable[str]) -> list[str]:
    return [
        f"{section}.{name}: {name!r} is no safe name; expected lower-case letters, digits, _ and -, "
        "a letter or digit first, at most 64 characters"
        for name in names
        if not NAME.fullmatch(str(name))
    ]


BRANCH = re.compile(r"(str|int|float|bool|hash|column|\[key\]|(tuple|dict|list|literal|constrained|function)\W.*)")


def _lines(problems: Iterable[Any], model: type[BaseModel], place: str = "") -> list[str]:
    """Return pydantic's problems as ``path: what``, one line for all branches of a union."""
    by_path: dict[str, list[str]] = {}
    for problem in problems:
        path, what = _line(problem, model)
        whats = by_path.setdefault(".".join(filter(None, [place, path])), [])
        if what not in whats:
            whats.append(what)
    return [f"{path}: {'; or '.join(whats)}" if path else "; or ".join(whats) for path, whats in by_path.items()]


def _line(problem: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Return the path of a problem without the branches of a union, and what is wrong there."""
    parts = [str(part) for part in problem["loc"]]
    named = (
        parts
        if problem["type"] in ("extra_forbidden", "missing")
        else parts[:1] + [part for part in parts[1:] if not BRANCH.fullmatch(part)]
    )
    path = ".".join(part for part in named if part != "hash")
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        return path, f"unknown key{nearest(str(problem['loc'][-1]), known)} (known: {', '.join(known)})"
    if problem["type"] == "missing":
        return path, "missing"
    what = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f"; got {given!r}" if isinstance(given, str | int | float | bool | list | None) else ""
    return path, f"{what[0].lower()}{what[1:]}{shown}"


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section at a place of the config."""
    found: Any = model
    sections = {"hash": SplitByHash, "column": SplitByColumn, "data": DataConfig}
    for part in location:
        if part in sections:
            found = sections[str(part)]
        elif isinstance(found, type) and issubclass(found, BaseModel) and part in found.model_fields:
            annotation = found.model_fields[str(part)].annotation
            found = annotation if isinstance(annotation, type) else found
    return [field.alias or name for name, field in found.model_fields.items()]


def _keys(value: Any) -> list[str]:
    if isinstance(value, SplitByColumn):
        return ["column"]
    return [str(key) for key in value] if isinstance(value, Mapping) else []


def _entries(value: Any) -> Iterable[tuple[str, Any]]:
    return [(str(key), entry) for key, entry in value.items()] if isinstance(value, Mapping) else []
