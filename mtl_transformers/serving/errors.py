"""Why a request is not answered: the refusals, with their status of HTTP and what a client is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "invalid",
    "key",
    "body_too_large",
    "body_too_slow",
    "content_type",
    "queue_full",
    "deadline",
    "starting",
    "draining",
    "internal",
]
"""Of a refusal, as the metrics count them."""

STATUS: Mapping[Reason, int] = {
    "invalid": 422,
    "key": 401,
    "body_too_large": 413,
    "body_too_slow": 408,
    "content_type": 415,
    "queue_full": 429,
    "deadline": 504,
    "starting": 503,
    "draining": 503,
    "internal": 500,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes:
        loc: where in the request: ``("body", "texts", 3)``.
        msg: what is wrong.
        type: a word for programs.
    """

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Refused(Exception):
    """A request that is not answered.

    Args:
        reason: which also says the status.
        message: for the client.
        faults: of an invalid request.
        headers: of the response.
    """

    def __init__(
        self,
        reason: Reason,
        message: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.faults = faults
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return STATUS[self.reason]


def invalid(loc: tuple[str | int, ...], msg: str, type_: str) -> Refused:
    """Return the refusal of a request with one fault."""
    return Refused("invalid", faults=(Fault(loc, msg, type_),))


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""
