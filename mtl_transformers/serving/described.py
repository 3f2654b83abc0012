"""What a server says of its tasks."""

from __future__ import annotations

from typing import Any

from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.text.decoders import Decoder
from mtl_transformers.text.kinds_of_decoder import (
    AnswerDecoder,
    LabelDecoder,
    LabelsDecoder,
    SpansDecoder,
    TagsDecoder,
    ValuesDecoder,
)


def described(task: Answerable) -> dict[str, Any]:
    """Return a task as JSON: what it reads, and what its answers can be."""
    given = task.input
    return {
        "kind": task.kind,
        "dataset": task.dataset,
        "columns": list(given.columns),
        "required": list(given.required),
        "form": given.form,
        "max_length": given.max_length,
        "windows": given.stride is not None,
        **_of_decoder(task.decoder),
    }


def _of_decoder(decoder: Decoder) -> dict[str, Any]:
    match decoder:
        case LabelDecoder():
            decided = {"temperature": decoder.temperature, "min_score": decoder.min_score}
            return {"labels": list(decoder.labels), **decided}
        case LabelsDecoder():
            thresholds = dict(zip(map(str, decoder.labels), decoder.thresholds, strict=True))
            return {"labels": list(decoder.labels), "thresholds": thresholds}
        case ValuesDecoder():
            return {"targets": list(decoder.targets)}
        case TagsDecoder():
            return {"labels": list(decoder.labels)}
        case SpansDecoder():
            return {"labels": sorted({tag.partition("-")[2] for tag in decoder.labels} - {""})}
        case AnswerDecoder():
            return {"threshold": decoder.threshold}
    return {}
