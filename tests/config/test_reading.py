"""From a file to a config: plain YAML, each key once, all problems at once."""

import pytest

from mtl_transformers.config import load_config
from mtl_transformers.errors import ConfigError

SMALLEST = """\
output: runs/tickets
encoder: {name: bert}
data:
  tickets: {path: csv, text: body}
tasks:
  intent: {data: tickets, kind: classification, label: intent}
"""

# DESIGN §4 "The config", with tasks of the four kinds and without the keys of later issues.
FULL = r"""
output: runs/tickets                    # data and output paths are relative to the working directory
seed: 13
init_from: null                         # a model directory of ours: encoder and heads to start from

encoder:
  name: google-bert/bert-base-uncased   # hub id, local directory, or package:<module>/<folder> of an installed package
  revision: null
  max_length: 256
  freeze: null                          # null | all | embeddings | a number of lower layers
  attention: auto                       # auto, or a name that transformers knows
  gradient_checkpointing: false

data:
  tickets:                              # one table, several label columns, holes allowed
    path: parquet
    name: null                          # a hub dataset's configuration
    revision: null
    files: {train: train-*.parquet, test: test.parquet}
    options: {}                         # the builder's own (delimiter: "\t", column_names: …), checked against its fields
    splits: {}                          # ours: theirs, as {validation: validation_matched}
    split: {validation: 0.1}            # by a seeded hash of the normalised text; or {column: split, values: …}
    text: body                          # a column, [first, second] for pairs, or a column of words
    id: null
    max_length: null
    shuffle: false                      # seeded, before limit
    limit: {train: 2000}                # order: split, shuffle, limit, filter
    filter: {drop_empty: true}
  rte: {path: nyu-mll/glue, name: rte, text: [sentence1, sentence2]}

tasks:
  intent:   {data: tickets, kind: classification, label: intent, metrics: [accuracy, f1_macro], label_names: null, class_weights: null, label_smoothing: 0.0, unknown_label: error}
  topics:   {data: tickets, kind: multi_label, label: topics, separator: null, threshold: 0.5}   # lists, or text cut at the separator
  urgency:  {data: tickets, kind: regression, label: urgency, weight: 0.5}                       # label: [V, A, D] for several targets
  entities: {data: tickets, kind: token_classification, label: entities, scheme: spans}          # bio | iob1 | iobes | plain | spans
  rte:      {data: rte, kind: classification, label: label}

mixing:
  strategy: temperature                 # proportional | temperature | uniform | weights | capped | round_robin …
  temperature: 2.0                      # weights: {tickets: 2}   cap: 10000
  datasets_per_step: one                # one: interleaved batches | many: rows of several datasets in each batch

balancing: {method: fixed}

training:
  epochs: 3                             # or steps: 2000
  batch_size: 32                        # rows of one step over all processes; or batch_tokens
  max_tokens: 4096                      # padded tokens of one micro-batch on one device (memory, not learning)
  learning_rate: 5.0e-5
  head_learning_rate: 1.0e-3
  weight_decay: 0.01                    # not on biases and norms
  warmup: 0.1                           # below 1 a fraction, an integer is steps
  schedule: linear
  clip: 1.0
  precision: auto                       # auto | fp32 | bf16 | fp16
  early_stop: null                      # evaluations without improvement

evaluation: {every_steps: 500}          # and at the end
best: {metric: mean, floors: {intent/accuracy: 0.85}}   # mean of each task's first metric, or task/metric
tracking: {with: []}                    # tensorboard, wandb, mlflow, trackio … as Accelerate names them
"""  # noqa: E501  as the design has it


@pytest.fixture
def load(tmp_path):
    """Write a text as a config and read it."""

    def load_text(text, overrides=None):
        path = tmp_path / "tickets.yaml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides)

    return load_text


def test_the_full_config_of_the_design_loads(load):
    config = load(FULL)
    assert config.encoder.max_length == 256
    assert config.data["tickets"].files == {"train": "train-*.parquet", "test": "test.parquet"}
    assert config.data["tickets"].filter.drop_empty is True
    assert config.data["rte"].text == ("sentence1", "sentence2")
    assert config.tasks["intent"].metrics == ("accuracy", "f1_macro")
    assert config.tasks["entities"].kind_options.scheme == "spans"
    assert config.best.floors == {"intent/accuracy": 0.85}
    assert config.tracking.with_ == ()


def test_what_the_design_writes_out_are_the_defaults(load):
    full, short = load(FULL), load(SMALLEST)
    for section in ("mixing", "balancing", "evaluation", "tracking", "seed", "init_from"):
        assert getattr(full, section) == getattr(short, section)
    given = full.training.model_dump() | {"epochs": None, "batch_size": None}  # these two exclude others, so are null
    assert short.training.model_dump() == given


def test_a_key_that_stands_twice_is_refused_with_its_line(load, tmp_path):
    with pytest.raises(ConfigError) as error:
        load(SMALLEST + "seed: 1\nseed: 2\n")
    assert (
        str(error.value) == f"{tmp_path / 'tickets.yaml'}: not plain YAML: key 'seed' stands twice; remove one (line 8)"
    )
    with pytest.raises(ConfigError, match="key 'text' stands twice"):
        load(SMALLEST.replace("text: body", "text: body, 'text': subject"))


def test_an_anchor_may_be_merged_and_overruled(load):
    config = load(
        """
output: runs/x
encoder: {name: bert}
data:
  a: &common {path: json, text: body, id: key}
  b: &more {<<: *common, text: subject}
  c: {<<: *more, id: null}
tasks:
  a: {data: a, kind: regression, label: y}
  b: {data: b, kind: regression, label: y}
  c: {data: c, kind: regression, label: y}
"""
    )
    assert [(section.text, section.id) for section in config.data.values()] == [
        ("body", "key"),
        ("subject", "key"),
        ("subject", None),
    ]


def test_a_tag_makes_no_object_and_runs_nothing(load, tmp_path):
    witness = tmp_path / "ran"
    for tag in (
        f"!!python/object/apply:os.mkdir ['{witness}']",
        f"!!python/object/new:os.mkdir ['{witness}']",
        "!!python/name:os.system",
        "!mine {a: 1}",
    ):
        with pytest.raises(ConfigError, match=r"not plain YAML: the tag !.* is refused; .* \(line 7\)"):
            load(SMALLEST + f"init_from: {tag}\n")
    assert not witness.exists()


@pytest.mark.parametrize("text", ["", "just text", "- a list", "3"])
def test_a_file_that_is_no_mapping_is_refused(load, text):
    with pytest.raises(ConfigError, match="expected a mapping with output, encoder, data and tasks"):
        load(text)


def test_a_file_that_is_no_yaml_is_refused_with_the_line(load):
    with pytest.raises(ConfigError, match=r"tickets\.yaml: not plain YAML: .*\(line 8\)"):
        load(SMALLEST + "training: {epochs: 1\n")
    with pytest.raises(ConfigError, match=r"not plain YAML: the character .* is not allowed \(line 7\)"):
        load(SMALLEST + "init_from: \x07\n")


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.yaml: no such file"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError, match="is a directory; name a config"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("output: r\xe9sum\xe9".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml, line 1: no UTF-8 text"):
        load_config(str(tmp_path / "latin.yaml"))


def test_problems_are_told_with_the_file_and_their_number(load, tmp_path):
    with pytest.raises(ConfigError) as error:
        load(SMALLEST + "seed: on\nbest: {metric: intent/f1_macro}\n")
    assert str(error.value) == (
        f"{tmp_path / 'tickets.yaml'}: 2 problems\n"
        "  seed: expected a number; got true\n"
        "  best.metric: 'intent/f1_macro' is not scored; add f1_macro to tasks.intent.metrics"
    )


def test_overrides_win_over_the_file(load):
    assert load(SMALLEST + "seed: 1\n", {"seed": 2}).seed == 2
