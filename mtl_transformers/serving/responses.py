"""Responses: answers and refusals as JSON, and how OpenAPI describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from mtl_transformers.serving.errors import STATUS, Reason, Refused
from mtl_transformers.serving.schemas import InvalidResponse, PredictRequest, RefusedResponse

REQUEST_ID = "X-Request-ID"

MEANINGS: Mapping[int, str] = {
    401: "The key is missing or wrong.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "The request is invalid, or none of its rows can be answered.",
    429: "The queue is full; Retry-After says in how many seconds there should be room.",
    500: "Internal error; the log tells of it under the request's id.",
    503: "The server is not ready yet, or about to end.",
    504: "The request was not answered before its deadline.",
}


def answer(content: Any) -> Response:
    """Return a response of JSON; a number that is none of JSON's is an error."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), media_type="application/json")


def problem(status: int, detail: Any, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response of a request that is not answered."""
    text = json.dumps({"detail": detail, "request_id": request_id})
    return Response(text.encode(), status, dict(headers or {}), "application/json")


def refusal(refused: Refused, request_id: str) -> Response:
    """Return the response of a refusal."""
    detail = [asdict(fault) for fault in refused.faults] or refused.message
    return problem(refused.status, detail, request_id, refused.headers)


def described_refusals(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """Return the responses of some refusals as OpenAPI describes them."""
    statuses = sorted({STATUS[reason] for reason in reasons})
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": InvalidResponse if status == 422 else RefusedResponse, "description": MEANINGS[status]}
        for status in statuses
    }
    if "queue_full" in reasons:
        found[429]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return found


def described_body() -> dict[str, Any]:
    """Return the body of a request to /predict as OpenAPI describes it."""
    content = {"application/json": {"schema": PredictRequest.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
