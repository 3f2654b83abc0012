"""POST /predict: reads the body, has it answered, and counts how it ended.

The body is read here and not by the framework: so its size is bounded while it comes in, and it is parsed once.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from mtl_transformers.serving.errors import ClientGone, Refused
from mtl_transformers.serving.limits import check_type, read_body
from mtl_transformers.serving.responses import answer, refusal
from mtl_transformers.serving.schemas import Asking, read_request
from mtl_transformers.serving.service import Answered, Service

CLIENT_GONE = 499  # nginx's number; nobody receives it


async def predict(request: Request, service: Service) -> Response:
    """Answer a request, or say why not."""
    with service.metrics.request() as counted:
        try:
            asking = await _read(request, service)
            counted.tasks = asking.tasks or counted.tasks
            answered = await _answered(asking, request, service)
            counted.tasks = answered.tasks
            response = answer({"answers": answered.answers, "truncated": answered.truncated})
        except Refused as refused:
            service.metrics.refused(refused.reason)
            response = refusal(refused, request.state.request_id)
        except ClientGone:
            service.metrics.dropped.inc()
            response = Response(status_code=CLIENT_GONE)
        counted.status = response.status_code
    return response


async def _read(request: Request, service: Service) -> Asking:
    service.check_open()
    check_type(request.headers.get("content-type"))
    limits = service.limits
    body = await read_body(
        request.stream(), request.headers, max_bytes=limits.max_body_bytes, timeout_s=limits.deadline_s
    )
    return read_request(body, max_rows=limits.max_rows)


async def _answered(asking: Asking, request: Request, service: Service) -> Answered:
    gone = asyncio.ensure_future(_left(request.receive))
    try:
        return await service.answer(asking, request_id=request.state.request_id, gone=gone)
    finally:
        gone.cancel()


async def _left(receive: Receive) -> None:
    """Wait until the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
