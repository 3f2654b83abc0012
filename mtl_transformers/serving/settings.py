"""What a server may be told: its limits, its key, and what it says of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_TOP_K = 1000  # labels, tokens or answers of one prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server takes on.

    Attributes:
        max_queue_tokens: tokens of the texts that wait; beyond it requests are refused.
        max_batch_tokens: padded tokens of one encoder pass.
        max_row_tokens: tokens of all windows or options of one row.
        max_rows: rows of one request.
        max_body_bytes: of one request.
        deadline_s: seconds until a request is given up.
    """

    max_queue_tokens: int = 65_536
    max_batch_tokens: int = 1_024
    max_row_tokens: int = 16_384
    max_rows: int = 256
    max_body_bytes: int = 1 << 20
    deadline_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server behaves.

    Attributes:
        limits: what it takes on.
        api_key: that clients have to give; ``None``: they need none.
    """

    limits: Limits = field(default_factory=Limits)
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a server says of its model.

    Attributes:
        model: where it was loaded from.
        encoder: name of the pretrained encoder that it began with.
        format: ``torch`` or ``onnx``: what runs it.
        precision: of the encoder.
        device: that it runs on.
        versions: of the libraries that decide the answers.
    """

    model: str
    encoder: str
    format: str
    precision: str
    device: str
    versions: Mapping[str, str] = field(default_factory=dict)
