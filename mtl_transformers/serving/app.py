"""The application: its paths, and how OpenAPI describes them.

Owns HTTP alone: answering is ``service.py``'s, what holds for all paths ``guard.py``'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.metadata import version
from time import monotonic
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from mtl_transformers.runtime.answering import Answering
from mtl_transformers.serving.described import described
from mtl_transformers.serving.documented import documentation
from mtl_transformers.serving.errors import Refused
from mtl_transformers.serving.guard import Guard
from mtl_transformers.serving.page import page, policy
from mtl_transformers.serving.predicting import predict
from mtl_transformers.serving.responses import answer, described_body, described_refusals, problem, refusal
from mtl_transformers.serving.schemas import InfoResponse, PredictResponse, StatusResponse, TasksResponse
from mtl_transformers.serving.service import Service
from mtl_transformers.serving.settings import Info, Settings

ABOUT = "Every task's answer for a text, from one pass of one encoder."


def create_app(answering: Answering, info: Info, settings: Settings | None = None) -> FastAPI:
    """Return the application of a model, whose service is ``app.state.service``. Its lifespan warms up and ends it.

    Args:
        answering: the model.
        info: what is said of it.
        settings: limits and key.
    """
    settings = settings or Settings()
    service = Service(answering, settings.limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="mtl serve",
        version=version("mtl_transformers"),
        description=ABOUT,
        docs_url=None,  # the framework's pages load scripts from other servers
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    _add_predict(app, service)
    _add_descriptions(app, service, info)
    _add_probes(app, service)
    _add_pages(app)
    _add_errors(app)
    app.add_middleware(Guard, service=service, api_key=settings.api_key)
    return app


def _add_predict(app: FastAPI, service: Service) -> None:
    @app.post(
        "/predict",
        response_model=PredictResponse,
        responses=described_refusals(
            *("key", "body_too_slow", "body_too_large", "content_type", "invalid"),
            *("queue_full", "internal", "starting", "deadline"),
        ),
        openapi_extra=described_body(),
    )
    async def post(request: Request) -> Response:
        """Answer texts, or rows of columns: every task whose columns are given, in as few encoder passes as they need.

        A row that cannot be answered has its message under `error`, and its neighbours are answered; where no row can
        be answered, the status is 422.
        """
        return await predict(request, service)


def _add_descriptions(app: FastAPI, service: Service, info: Info) -> None:
    start = monotonic()
    tasks = service.answering.tasks

    @app.get("/tasks", response_model=TasksResponse, responses=described_refusals("key", "internal"))
    async def get_tasks() -> Response:
        """Return each task: its kind, what it reads, its labels or targets, and how it decides."""
        return answer({"tasks": {name: described(task) for name, task in tasks.items()}})

    @app.get("/info", response_model=InfoResponse, responses=described_refusals("key", "internal"))
    async def get_info() -> Response:
        """Return what answers here: model, encoder, precision, versions, limits."""
        uptime = round(monotonic() - start, 3)
        return answer({**asdict(info), "tasks": list(tasks), "uptime_s": uptime, "limits": asdict(service.limits)})

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **described_refusals("key", "internal")},
    )
    async def get_metrics() -> Response:
        """Return counters, gauges and histograms in the text format of Prometheus."""
        text, media_type = service.metrics.exposition()
        return Response(text, media_type=media_type)


def _add_probes(app: FastAPI, service: Service) -> None:
    @app.get("/health", response_model=StatusResponse, responses=described_refusals("internal"))
    async def get_health() -> Response:
        """Answer as long as the process lives. Needs no key."""
        return answer({"status": "alive"})

    unready: dict[int | str, dict[str, Any]] = {503: {"model": StatusResponse, "description": "starting or draining"}}

    @app.get("/ready", response_model=StatusResponse, responses={**described_refusals("internal"), **unready})
    async def get_ready() -> Response:
        """Answer 200 while requests are answered; 503 until the model is warm, and while the server ends.

        Needs no key.
        """
        response = answer({"status": service.state})
        response.status_code = 200 if service.state == "ready" else 503
        return response


def _add_pages(app: FastAPI) -> None:
    html = page()
    headers = {"content-security-policy": policy(html)}

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        return HTMLResponse(html, headers=headers)

    @app.get("/docs", include_in_schema=False)
    async def get_documentation() -> Response:
        text = documentation(app.openapi())
        return HTMLResponse(text, headers={"content-security-policy": policy(text)})


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def not_there(request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, error.detail, request.state.request_id, error.headers)

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:  # the trace is logged by uvicorn
        name = request.state.request_id
        return refusal(Refused("internal", f"internal error; the log tells of it under request {name}"), name)
