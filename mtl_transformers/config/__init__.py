"""The config: one YAML file, parsed once and strictly into frozen values."""

from mtl_transformers.config.card_section import CardConfig
from mtl_transformers.config.data_section import (
    AugmentConfig,
    DataConfig,
    FilterConfig,
    SplitByColumn,
    SplitByShares,
    SynonymsConfig,
)
from mtl_transformers.config.overrides import parse_override
from mtl_transformers.config.reading import load_config
from mtl_transformers.config.sections import (
    BalancingConfig,
    BestConfig,
    Config,
    EncoderConfig,
    EvaluationConfig,
    MixingConfig,
    TrackingConfig,
    TrainingConfig,
)
from mtl_transformers.config.specs import card_words, dataset_spec
from mtl_transformers.config.tasks import TaskConfig, first_metric

__all__ = [
    "AugmentConfig",
    "BalancingConfig",
    "BestConfig",
    "CardConfig",
    "Config",
    "DataConfig",
    "EncoderConfig",
    "EvaluationConfig",
    "FilterConfig",
    "MixingConfig",
    "SplitByColumn",
    "SplitByShares",
    "SynonymsConfig",
    "TaskConfig",
    "TrackingConfig",
    "TrainingConfig",
    "card_words",
    "dataset_spec",
    "first_metric",
    "load_config",
    "parse_override",
]
