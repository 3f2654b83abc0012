"""What holds for every request: its id, its key, the headers of its response. ASGI, so that it costs little."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mtl_transformers.serving.errors import Refused
from mtl_transformers.serving.limits import RequestIds, check_key
from mtl_transformers.serving.responses import REQUEST_ID, refusal
from mtl_transformers.serving.service import Service

OPEN = ("/", "/docs", "/openapi.json", "/health", "/ready")
"""Paths that need no key: what a probe asks, and pages that hold nothing of the model."""


class Guard:
    """Stands before an application.

    Args:
        app: the application.
        service: which may be about to end, and counts refusals.
        api_key: that every path but `OPEN` needs; ``None``: none does.
    """

    def __init__(self, app: ASGIApp, service: Service, api_key: str | None) -> None:
        self._app = app
        self._service = service
        self._api_key = api_key
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope)
        name = self._ids.of(given.get(REQUEST_ID))
        scope.setdefault("state", {})["request_id"] = name

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = name
                headers["x-content-type-options"] = "nosniff"
                if self._service.state == "draining":
                    headers["connection"] = "close"
            await send(message)

        try:
            if scope["path"] not in OPEN:
                check_key(given.get("authorization"), self._api_key)
        except Refused as refused:
            self._service.metrics.refused(refused.reason)
            await refusal(refused, name)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
