"""Do a family's own class and our encoder with its head give the same logits?

Owns the probe that both read, and the comparison. It is made whenever a directory is written or imported, so that a
configuration that means something else to the class than to us is refused and not served.

Shapes: ``S`` sequences, ``L`` tokens, ``C`` outputs of the head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mtl_transformers.batch import Target
from mtl_transformers.errors import ModelError
from mtl_transformers.model.encoder import Encoder
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.model.heads import Head
from mtl_transformers.model.native import Outputs

TOLERANCE = 1e-5  # of an output's largest logit or of its unit, whichever is larger
_SEQUENCES, _TOKENS = 4, 12


@dataclass(frozen=True, slots=True)
class Parity:
    """How two models differ on the probe.

    Attributes:
        difference: the largest one of two logits.
        share: the same as a share of the output's largest logit or of its unit, whichever is larger.
    """

    difference: float
    share: float

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.difference:.2g}, {self.share:.1g} of the largest" if self.difference else "0"


@torch.inference_mode()
def parity(
    native: PreTrainedModel, encoder: Encoder, head: Head | None, *, form: HeadForm, outputs: Outputs, pad_id: int
) -> Parity:
    """Run both on random tokens, some of them padded, and compare.

    Args:
        native: of the family's own class.
        encoder: of the same family.
        head: ours; ``None``: of the form "embedding", where the token vectors of the encoder are compared.
        form: of both.
        outputs: what was folded into the native one's last layer.
        pad_id: of the tokenizer.
    """
    ids, mask = _probe(encoder, pad_id)
    native.train(mode=False)
    theirs = _native_logits(native, ids, mask, form)
    ours = outputs.folded(_our_logits(encoder.eval(), head, ids, mask, form))
    real = mask.bool() if ours.ndim == 3 else torch.ones(len(ours), dtype=torch.bool)
    ours, theirs = ours[real], theirs[real]  # [N, C]
    differences = (ours - theirs).abs().amax(dim=0)
    units = torch.maximum(ours.abs().amax(dim=0), outputs.scaled(torch.ones(ours.shape[-1])))
    return Parity(float(differences.max()), float((differences / units).max()))


def check_parity(found: Parity, *, place: str) -> None:
    """Refuse a difference.

    Args:
        found: by `parity`.
        place: what was compared, for the message.

    Raises:
        ModelError: with the largest difference.
    """
    if not found.share <= TOLERANCE:  # NaN is no parity either
        raise ModelError(
            f"{place}: the logits of the family's own class differ from ours by up to {found.difference:.2g}, which is "
            f"{found.share:.2g} of the largest; expected at most {TOLERANCE:g}. Its configuration means something that "
            "mtl_transformers does not know; please report it with that config.json"
        )


def _probe(encoder: Encoder, pad_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask ``[S, L]``."""
    generator = torch.Generator().manual_seed(0)
    length = min(_TOKENS, encoder.max_length or _TOKENS)
    ids = torch.randint(len(encoder.embeddings), (_SEQUENCES, length), generator=generator)
    mask = torch.ones_like(ids)
    mask[1::2, max(1, length // 2) :] = 0
    ids = torch.where(ids == pad_id, (ids + 1) % len(encoder.embeddings), ids)  # RoBERTa counts positions by it
    return ids.masked_fill(mask == 0, pad_id), mask


def _native_logits(model: PreTrainedModel, ids: Tensor, mask: Tensor, form: HeadForm) -> Tensor:
    """Return ``[S, C]`` or ``[S, L, C]``."""
    if form == "choice":
        ids, mask = ids.unsqueeze(0), mask.unsqueeze(0)
    found: Any = model(input_ids=ids, attention_mask=mask)
    match form:
        case "embedding":
            logits: Tensor = found.last_hidden_state
        case "answer":
            logits = torch.stack([found.start_logits, found.end_logits], dim=-1)
        case "choice":
            logits = found.logits.squeeze(0).unsqueeze(-1)
        case _:
            logits = found.logits
    return logits


def _our_logits(encoder: Encoder, head: Head | None, ids: Tensor, mask: Tensor, form: HeadForm) -> Tensor:
    """Return ``[S, C]`` or ``[S, L, C]``."""
    types = torch.zeros_like(ids)
    layered = head is not None and head.spec.layer is not None
    encoded = encoder(ids, mask, types, all_layers=layered)
    if head is None or form == "embedding":
        last: Tensor = encoded.last
        return last
    if head.spec.output == "tied":
        encoded = replace(encoded, embeddings=encoder.embeddings)
    count, length = ids.shape
    target = Target(sequences=torch.arange(count))
    if head.spec.vectors == "token":
        sequences = torch.arange(count).repeat_interleave(length)
        target = Target(sequences=sequences, positions=torch.arange(length).repeat(count))
    logits: Tensor = head.eval()(encoded, target)
    return logits.view(count, length, -1) if head.spec.vectors == "token" else logits
