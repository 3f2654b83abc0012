"""A model of every kind with random heads, made without data, and what a plain directory answers by itself."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model import directory
from mtl_transformers.model.encoder import Encoder, load_encoder
from mtl_transformers.model.head_spec import HeadSpec, head_spec
from mtl_transformers.model.heads import Head, build_head
from mtl_transformers.model.network import Network
from mtl_transformers.model.tokenizer import load_tokenizer, vocabulary
from mtl_transformers.tasks.classification import Classification, ClassificationOptions
from mtl_transformers.tasks.masked_lm import MaskedLM, MaskedLMOptions
from mtl_transformers.tasks.multi_label import MultiLabel, MultiLabelOptions
from mtl_transformers.tasks.multiple_choice import MultipleChoice, MultipleChoiceOptions
from mtl_transformers.tasks.question_answering import QuestionAnswering, QuestionAnsweringOptions
from mtl_transformers.tasks.ranking import Ranking, RankingOptions
from mtl_transformers.tasks.regression import Regression, RegressionOptions
from mtl_transformers.tasks.similarity import Similarity, SimilarityOptions
from mtl_transformers.tasks.task import EncoderFacts, Task
from mtl_transformers.tasks.token_classification import TokenClassification, TokenClassificationOptions

MAX_LENGTH = 24
TEXTS = (
    "refund my card in Berlin please",
    "the parcel to Quito has not arrived and I want it very much, thank you for the order that I placed on Monday",
    "password",
)
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "relation": ("first", "second"),
    "find": ("query", "candidate"),
    "answer": ("question", "context"),
    "choice": ("text", "options"),
    "alike": ("first", "second"),
}


def fitted() -> dict[str, Task]:
    """Return one task of each kind, fitted to a few labels."""
    return {
        "intent": Classification.fit(
            "intent",
            ClassificationOptions(label="intent"),
            metrics=(),
            cells=[("a",), ("b",), ("c",)],
            class_names=None,
        ),
        "relation": Classification.fit(
            "relation", ClassificationOptions(label="same"), metrics=(), cells=[(0,), (1,)], class_names=None
        ),
        "topics": MultiLabel.fit(
            "topics", MultiLabelOptions(label="topics"), metrics=(), cells=[(["x", "y"],), (["z"],)], class_names=None
        ),
        "urgency": Regression.fit(
            "urgency", RegressionOptions(label="urgency"), metrics=(), cells=[(100.0,), (300.0,)], class_names=None
        ),
        "mood": Regression.fit(
            "mood",
            RegressionOptions(label=("joy", "calm")),
            metrics=(),
            cells=[(0.1, 1000.0), (0.3, 5000.0), (0.4, -7.0)],
            class_names=None,
        ),
        "entities": TokenClassification.fit(
            "entities",
            TokenClassificationOptions(label="tags"),
            metrics=(),
            cells=[(["O", "B-PLACE", "I-PLACE", "B-THING"],)],
            class_names=None,
        ),
        "parts": TokenClassification.fit(
            "parts",
            TokenClassificationOptions(label="parts", scheme="plain"),
            metrics=(),
            cells=[(["NOUN", "VERB", "ADP"],)],
            class_names=None,
        ),
        "answer": QuestionAnswering.fit(
            "answer",
            QuestionAnsweringOptions(label="answers"),
            metrics=(),
            cells=[([{"text": "a", "answer_start": 0}],)],
            class_names=None,
        ),
        "choice": MultipleChoice.fit(
            "choice",
            MultipleChoiceOptions(options="options", label="label"),
            metrics=(),
            cells=[(1, ["a", "b"])],
            class_names=None,
        ),
        "find": Ranking.fit(
            "find", RankingOptions(label="relevance"), metrics=(), cells=[([0.0, 1.0],)], class_names=None
        ),
        "fill": MaskedLM.fit("fill", MaskedLMOptions(), metrics=(), cells=[()], class_names=None),
        "alike": Similarity.fit("alike", SimilarityOptions(), metrics=(), cells=[()], class_names=None),
    }


TASKS = tuple(fitted())


def model_of(
    encoder_dir: Path, tasks: Mapping[str, Task], *, specs: Mapping[str, Any] | None = None, clean: tuple[str, ...] = ()
) -> MultiTaskModel:
    """Return a model of some tasks on an encoder, with heads whose outputs differ from row to row.

    Args:
        encoder_dir: of the encoder.
        tasks: by name.
        specs: what of a head differs from the family's own, by task, as `head_spec` takes it.
        clean: the steps of cleaning of every task.
    """
    encoder, tokenizer = load_encoder(str(encoder_dir)), load_tokenizer(str(encoder_dir))
    heads = {name: _head(encoder, tokenizer, task, (specs or {}).get(name, {})) for name, task in tasks.items()}
    served = {name: ServedTask(task, name, replace(_input(task), clean=clean), 7) for name, task in tasks.items()}
    return MultiTaskModel(Network(encoder, heads).eval(), tokenizer, served, encoder_name="tiny")


def _head(encoder: Encoder, tokenizer: PreTrainedTokenizerFast, task: Task, changes: Mapping[str, Any]) -> Head:
    facts = EncoderFacts(encoder.hidden_size, vocabulary(tokenizer, size=encoder.config.vocab_size))
    outputs = task.with_encoder(facts).num_outputs
    spec: HeadSpec = head_spec(
        encoder.config, head=task.head_form, vectors=task.vectors, out_features=outputs, **changes
    )
    head = build_head(spec, seed=3, task=task.name, initializer_range=0.5)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(len(task.name)))
    return head


def _input(task: Task) -> Any:
    columns = COLUMNS.get(task.name, ("text",))
    context = columns[:-1] if task.kind == "multiple_choice" else columns
    form: Any = "pair" if len(columns) == 2 else "text"
    return task.input_of(task.options, text=context, form=form, max_length=MAX_LENGTH)


def write(model: MultiTaskModel, path: Path, *, metrics: Mapping[str, Any] | None = None) -> Path:
    """Save a model as its directory."""
    directory.save(
        path,
        encoder=model.network.encoder,
        tokenizer=model.tokenizer,
        heads=model.network.heads_state(),
        tasks=model.tasks_json(),
        metrics=metrics or {},
        card="---\n---\n",
    )
    return path


def row_of(task: str, mask_token: str = "") -> dict[str, Any]:
    """Return a row that a task reads."""
    one, other, third = TEXTS
    match task:
        case "relation" | "alike":
            return {"first": one, "second": third}
        case "answer":
            return {"question": third, "context": one}
        case "choice":
            return {"text": third, "options": [one, other, third]}
        case "find":
            return {"query": third, "candidate": [one, other]}
        case "fill":
            return {"text": f"my {mask_token} in Berlin"}
    return {"text": other}
