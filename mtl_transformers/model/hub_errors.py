"""What went wrong between this machine and the hub, in words: what happened, and what to do.

Owns the exceptions that the hub's client raises. Shows no token: none of their messages holds one.
"""

from __future__ import annotations

from huggingface_hub.errors import (
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # that of the library which it talks with
    HTTPError as TransportError,
)

FAULTS = (TransportError, OSError, RuntimeError, ValueError)
"""Whatever the client raises: OSError of answers and files, RuntimeError of a large file that did not get through,
ValueError of names and of metadata in README.md."""

_LOGIN = "`hf auth login` stores a token, or HF_TOKEN holds it"
_BY_STATUS = {
    400: "the hub refuses the content; of README.md the metadata between the two lines --- must be as the hub reads it",
    401: f"the hub does not accept the token, or shows it no such repository: check the name; {_LOGIN}",
    402: "the hub asks for a payment: the account's storage may be full",
    403: "the token may not do that there: it must be able to write to the owner's repositories "
    "(https://huggingface.co/settings/tokens)",
    404: "there is no such repository, or it is private and the token may not see it: check owner and name",
    409: "somebody else changed the repository meanwhile: look at it, then try again",
    412: "somebody else changed the repository meanwhile: look at it, then try again",
    413: "a file is too large for the hub",
    429: "the hub was asked too often: wait some minutes, then try again",
}


def reason_of(error: Exception) -> str:
    """Return what happened and what to do, in one line."""
    if isinstance(error, OfflineModeIsEnabled) or isinstance(error.__cause__, OfflineModeIsEnabled):
        return "the hub is not asked, because HF_HUB_OFFLINE is set (offline); unset it"
    if isinstance(error, RevisionNotFoundError):
        return "the repository has no such revision; name a branch, a tag or the full hash of a commit"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        advice = "the hub has a fault: try again later" if status >= 500 else _BY_STATUS.get(status, "it was refused")
        said = f" ({error.server_message})" if error.server_message else ""
        return f"status {status}: {advice}{said}"
    if isinstance(error, TransportError | RuntimeError):
        return f"the connection failed ({type(_first(error)).__name__}: {_line(_first(error))}); try again"
    return _line(error)


def _line(error: BaseException) -> str:
    """Return an error's message in one line, or its type's name where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def _first(error: BaseException) -> BaseException:
    """Return the error that another one was raised for."""
    return error if error.__cause__ is None else _first(error.__cause__)
