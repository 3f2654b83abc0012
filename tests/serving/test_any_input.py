"""Every path is driven from its OpenAPI description with inputs that fit it and inputs that do not."""

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/predict", GenerationMode.POSITIVE),
        ("/predict", GenerationMode.NEGATIVE),
        *((path, GenerationMode.POSITIVE) for path in ("/tasks", "/info", "/health", "/ready", "/metrics")),
    ],
)
def test_no_input_makes_a_server_error(client: httpx.Client, path: str, mode: GenerationMode):
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    (operation,) = [found.ok() for found in schema.get_all_operations() if found.ok().path == path]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=150 if path == "/predict" else 10,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def drive(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=str(client.base_url), checks=CHECKS)

    drive()
