"""How a plain directory is used with transformers alone: a few lines of Python for each kind."""

from __future__ import annotations

from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model.head_spec import HeadForm, Pooling
from mtl_transformers.model.native import AUTO_CLASSES
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification

PIPELINES = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "token_classification": "token-classification",
    "masked_lm": "fill-mask",
}
"""The pipelines of transformers by our kinds; of the other kinds there is none."""

_POOLED: dict[Pooling, str] = {
    "mean": "(vectors * mask).sum(dim=1) / mask.sum(dim=1)",
    "first": "vectors[:, 0]",
    "max": "vectors.masked_fill(mask == 0, float('-inf')).amax(dim=1)",
}


def usage(served: ServedTask, *, form: HeadForm, pooling: Pooling, mask_token: str | None) -> str:
    """Return Python that answers a text, where ``directory`` is a plain directory or its hub id.

    Args:
        served: the task.
        form: of the class that opens the directory.
        pooling: of its head; only of embeddings.
        mask_token: of the tokenizer.
    """
    kind = served.task.kind
    if kind in PIPELINES:
        return _of_pipeline(served, mask_token)
    opening = _opening(AUTO_CLASSES[form])
    return f"import torch\n{opening}\n{_AFTER[kind].format(pooled=_POOLED.get(pooling, ''), encoded=_encoded(served))}"


def _of_pipeline(served: ServedTask, mask_token: str | None) -> str:
    kind, options = served.task.kind, _options(served.task)
    first = f'answer = pipeline("{PIPELINES[kind]}", model=directory{options})'
    text = '{"text": "a text", "text_pair": "another"}' if served.input.form == "pair" else '"a text"'
    if kind == "masked_lm":
        text = f'"a {mask_token} text"'
    return f"from transformers import pipeline\n\n{first}\nanswer({text})"


def _options(task: Task) -> str:
    match task.kind:
        case "multi_label":
            return ', truncation=True, top_k=None, function_to_apply="sigmoid"'
        case "regression":
            return ', truncation=True, top_k=None, function_to_apply="none"'
        case "classification":
            return ", truncation=True"
    if isinstance(task, TokenClassification) and task.options.scheme != "plain" and task.options.train_as == "bio":
        return ', aggregation_strategy="first"'
    return ""


def _opening(name: str) -> str:
    return f"""\
from transformers import {name}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(directory)
model = {name}.from_pretrained(directory)
"""


def _encoded(served: ServedTask) -> str:
    """Return the texts of a multiple choice: with a context or without."""
    return "[context] * len(options), options" if served.input.num_context else "options"


_AFTER = {
    "question_answering": """\
inputs = tokenizer("a question", "a context", truncation="only_second", return_tensors="pt")
with torch.inference_mode():
    found = model(**inputs)
start, end = found.start_logits.argmax(), found.end_logits.argmax()
tokenizer.decode(inputs["input_ids"][0, start : end + 1])""",
    "multiple_choice": """\
context, options = "a text", ["one option", "another"]
inputs = tokenizer({encoded}, truncation=True, padding=True, return_tensors="pt")
with torch.inference_mode():
    logits = model(**{{name: of.unsqueeze(0) for name, of in inputs.items()}}).logits
logits.softmax(dim=-1)""",
    "ranking": """\
query, candidates = "a query", ["one candidate", "another"]
inputs = tokenizer([query] * len(candidates), candidates, truncation=True, padding=True, return_tensors="pt")
with torch.inference_mode():
    scores = model(**inputs).logits[:, 0]""",
    "similarity": """\
inputs = tokenizer(["a text", "another"], truncation=True, padding=True, return_tensors="pt")
with torch.inference_mode():
    vectors = model(**inputs).last_hidden_state
mask = inputs["attention_mask"].unsqueeze(-1)
embeddings = {pooled}
torch.cosine_similarity(embeddings[0], embeddings[1], dim=0)""",
}
