"""The sections of the config: every key, its default and its documentation.

Owns what can be said of one section alone. What one section says of another is in `references`, tasks by kind in
`tasks`. Dictionaries are typed as mappings: a config is not changed once it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
)

from mtl_transformers.config.card_section import CardConfig
from mtl_transformers.config.data_section import DataConfig
from mtl_transformers.config.tasks import AnyTask
from mtl_transformers.config.values import (
    Bool,
    Count,
    Name,
    NotNegative,
    Number,
    Positive,
    Section,
    Text,
    Whole,
)
from mtl_transformers.config.yaml_text import write_yaml


class EncoderConfig(Section):
    """The shared encoder."""

    name: Text | None = None
    """A hub id, a directory, or ``package:<module>/<folder>`` of an installed package; null with ``init_from``."""
    revision: Text | None = None
    """A revision of a hub id."""
    max_length: Count | None = None
    """Tokens of a sequence, special tokens included; null: what the encoder can take, at most 512."""
    freeze: Literal["all", "embeddings"] | Count | None = None
    """What is not trained: nothing, everything, the embeddings, or these and a number of lower layers."""
    attention: Text = "auto"
    """An attention that transformers knows (sdpa, eager, …); auto takes sdpa where the family has it."""
    gradient_checkpointing: Bool = False
    """Recompute activations in the backward pass: less memory, more time."""


_USED_BY = {"temperature": "temperature", "weights": "weights", "cap": "capped"}
_EXAMPLES = {"weights": "as {tickets: 2}", "capped": "a number of rows"}


class MixingConfig(Section):
    """How many rows each dataset gives."""

    strategy: Literal["proportional", "temperature", "uniform", "weights", "round_robin", "capped"] = "temperature"
    """By size; by size^(1/T); equally; by given weights; equally in turns; by size up to a cap."""
    temperature: Annotated[Number, Field(ge=1)] = 2.0
    """T of ``temperature`` (arXiv:1910.10683 §3.5.2): 1 is proportional, large is uniform."""
    weights: Mapping[str, Positive] | None = Field(default=None, validate_default=True)
    """Of ``weights``, by dataset; a dataset that is not named weighs 1."""
    cap: Count | None = Field(default=None, validate_default=True)
    """Of ``capped``: rows beyond it do not raise a dataset's share."""
    datasets_per_step: Literal["one", "many"] = "one"
    """One: interleaved batches. Many: rows of several datasets in each batch."""

    @field_validator("temperature", "weights", "cap")
    @classmethod
    def _belongs_to_the_strategy(cls, value: object, info: ValidationInfo) -> object:
        strategy, user = info.data.get("strategy"), _USED_BY[str(info.field_name)]
        if strategy == user and not value:
            raise ValueError(f"strategy {user} needs {info.field_name}, {_EXAMPLES[user]}")
        if strategy not in (None, user) and value is not None:
            raise ValueError(f"only strategy {user} uses this key, and strategy is {strategy}; remove one of them")
        return value

    @property
    def unused(self) -> set[str]:
        """Settings that the strategy does not use: they may not be given, and are not written."""
        return {setting for setting, user in _USED_BY.items() if user != self.strategy}


class BalancingConfig(Section):
    """How the losses of several tasks become one update."""

    method: Literal["fixed"] = "fixed"
    """fixed: each loss times its task's weight."""


def _share_or_steps(warmup: float) -> float:
    if warmup > 1 and not warmup.is_integer():
        raise ValueError(f"expected a share below 1 or a whole number of steps; got {warmup}")
    return warmup


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
    warmup: Annotated[NotNegative, AfterValidator(_share_or_steps)] = 0.1
    """Below 1 a share of the steps, else a number of steps."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """After the warm-up: down to 0 in a line or half a cosine, or not at all."""
    clip: Positive | None = 1.0
    """Largest norm of the gradient."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 where the device computes in it, else fp32. Weights are always fp32."""
    early_stop: Count | None = None
    """Stop after so many evaluations without a better model."""
    save_every_steps: Count | None = 500
    """Steps between two checkpoints; null: at the end, and when the run is stopped."""
    keep_checkpoints: Count = 2
    """The newest ones; that of the best model stays besides."""
    on_failed_save: Literal["stop", "continue"] = "stop"
    """When the disk is full. The checkpoint before stays valid; continue: train on, and try again at the next one."""
    on_bad_numbers: Literal["stop", "skip_step", "rollback"] = "stop"
    """When a loss or a gradient is not finite. skip_step: leave the step's rows out. rollback: go back to the newest
    checkpoint, and leave out all rows since."""
    max_bad_steps: Count = 10
    """Of skip_step and rollback: so many, then the run stops."""
    max_minutes: Positive | None = None
    """Save and end after so many minutes of training."""

    @field_validator("steps", "batch_tokens")
    @classmethod
    def _one_of_two(cls, value: int | None, info: ValidationInfo) -> int | None:
        others = {"steps": ("epochs",), "batch_tokens": ("batch_size", "steps")}[str(info.field_name)]
        for other in others:
            if value is not None and info.data.get(other) is not None:
                raise ValueError(f"{other} and {info.field_name} exclude each other; remove one, or set it to null")
        return value


class EvaluationConfig(Section):
    """When the validation splits are scored."""

    every_steps: Count | None = 500
    """And at the end; null: at the end only."""


class BestConfig(Section):
    """Which model is kept as ``best/``."""

    metric: Text = "mean"
    """``mean`` of each task's first metric, or ``task/metric``."""
    floors: Mapping[str, Number] = {}
    """Least value of ``task/metric``; while no model meets all, the one that lacks least is best."""


class TrackingConfig(Section):
    """Where metrics go besides ``metrics.jsonl``."""

    with_: tuple[Text, ...] = Field(default=(), alias="with")
    """Trackers as Accelerate names them: tensorboard, wandb, mlflow, trackio, …"""
    every_steps: Count = 10
    """Steps between two lines of ``metrics.jsonl``."""


class Config(Section):
    """The whole config."""

    output: Text
    """The run directory; like all paths, relative to the working directory."""
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 13
    """Of everything random."""
    init_from: Text | None = None
    """A model directory of ours: encoder and heads to start from."""
    encoder: EncoderConfig = EncoderConfig()
    """The shared encoder."""
    data: Mapping[Name, DataConfig] = Field(min_length=1)
    """The datasets by name."""
    tasks: Mapping[Name, SerializeAsAny[AnyTask]] = Field(min_length=1)
    """The tasks by name."""
    mixing: MixingConfig = MixingConfig()
    """How many rows each dataset gives."""
    balancing: BalancingConfig = BalancingConfig()
    """How the losses of several tasks become one update."""
    training: TrainingConfig = TrainingConfig()
    """The steps and the optimizer."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """When the validation splits are scored."""
    best: BestConfig = BestConfig()
    """Which model is kept as ``best/``."""
    tracking: TrackingConfig = TrackingConfig()
    """Where metrics go besides ``metrics.jsonl``."""
    card: CardConfig = CardConfig()
    """What the model card says that no training knows."""

    def to_yaml(self) -> str:
        """Return the resolved config as YAML that `load_config` reads back to an equal config."""
        return write_yaml(self.to_plain())

    def to_plain(self) -> dict[str, Any]:
        """Return the resolved config as nested plain values, as a YAML file would hold them."""
        return self.model_dump(mode="json", by_alias=True, exclude={"mixing": self.mixing.unused})
