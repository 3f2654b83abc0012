"""Where each family's own classes keep the parts of a head.

Owns the names in transformers 5.23 (``modeling_<family>.py``) of what a `Head` calls ``dense``, ``norm`` and ``out``,
by the form of the head. Reads and writes no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

from mtl_transformers.model.head_spec import HeadForm

Layers = Mapping[str, str]

_BASE: Mapping[str, str] = {  # under which name the encoder lies in them
    "bert": "bert",
    "albert": "albert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "mpnet": "mpnet",
    "distilbert": "distilbert",
    "electra": "electra",
    "deberta-v2": "deberta",
    "modernbert": "model",
}
FAMILIES = tuple(_BASE)
"""The families whose classes are known here."""

# whose classification is a module of dense and out_proj
_DENSE_FIRST = ("roberta", "xlm-roberta", "camembert", "mpnet", "electra")
_OF_SEQUENCE: Mapping[str, Layers] = {
    "distilbert": {"dense": "pre_classifier", "out": "classifier"},
    "deberta-v2": {"dense": "pooler.dense", "out": "classifier"},
    "albert": {"dense": "albert.pooler", "out": "classifier"},
    "modernbert": {"dense": "head.dense", "norm": "head.norm", "out": "classifier"},
}
_BERT_MASKED: Layers = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "out": "cls.predictions.decoder",
}
_ROBERTA_MASKED: Layers = {"dense": "lm_head.dense", "norm": "lm_head.layer_norm", "out": "lm_head.decoder"}
_OF_MASKED: Mapping[str, Layers] = {
    "bert": _BERT_MASKED,
    "deberta-v2": _BERT_MASKED,
    "distilbert": {"dense": "vocab_transform", "norm": "vocab_layer_norm", "out": "vocab_projector"},
    "electra": {
        "dense": "generator_predictions.dense",
        "norm": "generator_predictions.LayerNorm",
        "out": "generator_lm_head",
    },
    "albert": {"dense": "predictions.dense", "norm": "predictions.LayerNorm", "out": "predictions.decoder"},
    "modernbert": {"dense": "head.dense", "norm": "head.norm", "out": "decoder"},
}


def names_of(parameter: str, *, family: str, form: HeadForm) -> tuple[str, ...]:
    """Return what a family's class calls a parameter of our head.

    Args:
        parameter: of a `Head`, as ``dense.weight``; ``bias`` is that of an output which is tied to the encoder.
        family: one of `FAMILIES`.
        form: of the head.

    Returns:
        One name; of the bias of masked language modelling two, which are one tensor where a class has both. Nothing
        where the class has no place for it.
    """
    layer, _, part = parameter.rpartition(".")
    if layer == "" and part != "bias":  # a mix of layers, a query, cut points
        return ()
    place = _layers(family, form).get(layer or "out")
    if place is None:
        return ()
    outer = place.rpartition(".")[0]
    twice = form == "masked" and part == "bias" and layer in ("", "out") and outer != ""
    return (f"{place}.{part}", f"{outer}.{part}") if twice else (f"{place}.{part}",)


def tied_name(family: str) -> str:
    """Return what a family's class of masked language modelling calls the vectors that it shares with the encoder."""
    return f"{_layers(family, 'masked')['out']}.weight"


def _layers(family: str, form: HeadForm) -> Layers:
    base = _BASE[family]
    if form == "masked":
        return _OF_MASKED.get(family, _ROBERTA_MASKED)
    if family == "modernbert":  # one head for everything
        return _OF_SEQUENCE[family]
    if form == "token":
        return {"out": "classifier"}
    if form == "answer":
        return {"out": "qa_outputs"}
    if family in _OF_SEQUENCE:
        return _OF_SEQUENCE[family]
    if family == "electra" and form == "choice":
        return {"dense": "sequence_summary.summary", "out": "classifier"}
    if family in _DENSE_FIRST and form == "sequence":
        return {"dense": "classifier.dense", "out": "classifier.out_proj"}
    return {"dense": f"{base}.pooler.dense", "out": "classifier"}
