"""What goes over the wire, as OpenAPI describes it: requests, answers, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtl_transformers.runtime.rows import GivenRow
from mtl_transformers.serving.errors import Fault, Refused, invalid
from mtl_transformers.serving.settings import MAX_TOP_K

MAX_FAULTS = 20  # that one response tells of


class PredictRequest(BaseModel):
    """Texts, or rows of columns; one of the two."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [{"required": ["texts"]}, {"required": ["rows"]}],
            "examples": [{"texts": ["My card was charged twice"]}],
        },
    )

    texts: Annotated[
        list[str] | None,
        Field(min_length=1, fail_fast=True, description="Each is a row of every task that reads one text."),
    ] = None
    rows: Annotated[
        list[dict[str, Any]] | None,
        Field(min_length=1, fail_fast=True, description="Each has the columns that tasks read: see GET /tasks."),
    ] = None
    tasks: Annotated[
        list[str] | None,
        Field(min_length=1, fail_fast=True, description="Names of tasks; else all whose columns are given."),
    ] = None
    top_k: Annotated[
        int | None, Field(ge=1, le=MAX_TOP_K, description="Classification also gives the k best labels.")
    ] = None
    truncate: Annotated[
        bool, Field(description="Texts that are too long lose their ends; else each is its row's error.")
    ] = True


class PredictResponse(BaseModel):
    """The answer of each row, in their order."""

    answers: Annotated[
        list[dict[str, Any]],
        Field(
            description="Of each row its predictions by task; of one that cannot be answered its message under error.",
            examples=[[{"intent": {"label": "billing", "score": 0.97}}, {"error": "'body': '': expected a text …"}]],
        ),
    ]
    truncated: Annotated[list[int], Field(description="Numbers from 0 of the rows that lost their ends.")]


class FaultResponse(BaseModel):
    """One thing that is wrong with a request."""

    loc: list[str | int]
    msg: str
    type: str


class InvalidResponse(BaseModel):
    """What is wrong with a request, and where."""

    detail: list[FaultResponse]
    request_id: str


class RefusedResponse(BaseModel):
    """Why a request is not answered."""

    detail: str
    request_id: str


class StatusResponse(BaseModel):
    """Whether a server lives, or is ready."""

    status: str


class TaskResponse(BaseModel):
    """A task: what it reads and what it answers."""

    kind: str
    dataset: str
    columns: Annotated[list[str], Field(description="That a row may have for it.")]
    required: Annotated[list[str], Field(description="That a row must have for it.")]
    form: Annotated[str, Field(description="text, words, pair, options or each.")]
    max_length: Annotated[int, Field(description="Tokens of a sequence that are read.")]
    windows: Annotated[bool, Field(description="Longer texts are read in windows; else they lose their ends.")]
    labels: list[str | int] | None = None
    targets: list[str] | None = None
    thresholds: Annotated[dict[str, float] | None, Field(description="A label is given from its probability on.")] = (
        None
    )
    threshold: Annotated[float | None, Field(description="Of having no answer.")] = None
    temperature: float | None = None
    min_score: Annotated[float | None, Field(description="Probability below which there is no label.")] = None


class TasksResponse(BaseModel):
    """The tasks by name."""

    tasks: dict[str, TaskResponse]


class InfoResponse(BaseModel):
    """What answers here."""

    model: str
    encoder: str
    format: str
    precision: str
    device: str
    tasks: list[str]
    versions: dict[str, str]
    uptime_s: float
    limits: dict[str, float]


@dataclass(frozen=True, slots=True)
class Asking:
    """A request that was read.

    Attributes:
        rows: texts or mappings.
        field: that they stood in.
        tasks: names; ``None``: all whose columns are given.
        top_k: of classification.
        truncate: texts may lose their ends.
    """

    rows: Sequence[GivenRow]
    field: str
    tasks: Sequence[str] | None
    top_k: int | None
    truncate: bool

    @property
    def num_characters(self) -> list[int]:
        """Characters of each row, roughly: names of columns and signs between them count too."""
        return [len(row) if isinstance(row, str) else len(str(row)) for row in self.rows]


def read_request(body: bytes, *, max_rows: int) -> Asking:
    """Read the body of a request.

    Raises:
        Refused: it is no JSON or not what is expected, with the place of each fault.
    """
    try:
        given = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise Refused("invalid", faults=faults_of(error)) from error
    if (given.texts is None) == (given.rows is None):
        raise invalid(("body",), "expected one of texts and rows", "texts_or_rows")
    field, rows = ("texts", given.texts) if given.texts is not None else ("rows", given.rows)
    assert rows is not None
    if len(rows) > max_rows:
        raise invalid(("body", field), f"{len(rows)} rows; at most {max_rows} in one request", "too_many_rows")
    return Asking(rows, field, given.tasks, given.top_k, given.truncate)


def faults_of(error: ValidationError) -> list[Fault]:
    """Return the first faults that pydantic found, without what was given."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Fault(("body", *each["loc"]), each["msg"], each["type"]) for each in found[:MAX_FAULTS]]
