"""What each path answers, over a real connection."""

import json
import re
from typing import Any

import httpx
import pytest
from little import pairs, sentences, tickets

from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.serving.page import page, policy

TEXTS = [row["body"] for row in tickets(12, seed=3)]


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/predict", json=body)


def faults(response: httpx.Response) -> list[tuple[list[Any], str]]:
    assert response.status_code == 422, response.text
    assert response.json()["request_id"] == response.headers["x-request-id"]
    return [(fault["loc"], fault["msg"]) for fault in response.json()["detail"]]


# answers


def test_texts_get_the_answers_of_predict(client: httpx.Client, model: MultiTaskModel):
    response = ask(client, texts=TEXTS)
    assert response.status_code == 200
    close(response.json()["answers"], model.predict(TEXTS))


@pytest.mark.parametrize("rows", [pairs(5), sentences(5), tickets(5)])
def test_rows_get_the_answers_of_predict(client: httpx.Client, model: MultiTaskModel, rows: list[dict[str, Any]]):
    close(ask(client, rows=rows).json()["answers"], model.predict(rows))


def close(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=1e-5)
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            close(ours[key], theirs[key])
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs, strict=True):
            close(*pair)
    else:
        assert ours == theirs


def test_only_the_tasks_that_are_named_answer_in_that_order(client: httpx.Client):
    (answer,) = ask(client, texts=TEXTS[:1], tasks=["mood", "intent"]).json()["answers"]
    assert list(answer) == ["mood", "intent"]


def test_top_k_gives_the_best_labels(client: httpx.Client):
    (answer,) = ask(client, texts=TEXTS[:1], tasks=["intent"], top_k=2).json()["answers"]
    assert len(answer["intent"]["scores"]) == 2


def test_more_labels_than_there_are_give_all(client: httpx.Client):
    (answer,) = ask(client, texts=TEXTS[:1], tasks=["intent"], top_k=1000).json()["answers"]
    assert len(answer["intent"]["scores"]) == 3


def test_a_row_that_cannot_be_read_does_not_spoil_its_neighbours(client: httpx.Client, model: MultiTaskModel):
    answers = ask(client, texts=[TEXTS[0], "", TEXTS[1]]).json()["answers"]
    assert "expected a text that is not empty" in answers[1]["error"]
    close([answers[0], answers[2]], model.predict(TEXTS[:2]))


def test_rows_may_lack_different_columns(client: httpx.Client):
    answers = ask(client, rows=[{"body": "the refund"}, {"body": None}, {}], tasks=["intent"]).json()["answers"]
    assert [set(answer) for answer in answers] == [{"intent"}, {"error"}, {"error"}]


def test_a_text_that_is_too_long_is_cut_and_told(client: httpx.Client):
    response = ask(client, texts=["the refund", "the " * 100], tasks=["intent"]).json()
    assert response["truncated"] == [1]
    assert "intent" in response["answers"][1]


def test_a_text_that_may_not_be_cut_is_an_error_that_says_how_long_it_may_be(client: httpx.Client):
    response = ask(client, texts=["the refund", "the " * 100], tasks=["intent"], truncate=False).json()
    assert "longer than 64 tokens" in response["answers"][1]["error"]
    assert "intent" in response["answers"][0]


def test_a_megabyte_of_text_is_answered(client: httpx.Client):
    response = ask(client, texts=["refund " * 140_000], tasks=["intent"])
    assert response.status_code == 200, response.text
    assert response.json()["truncated"] == [0]


# requests that are refused, with the place of the fault


def test_an_unknown_task_is_told_with_the_nearest(client: httpx.Client):
    ((loc, msg),) = faults(ask(client, texts=["x"], tasks=["mood", "intnet"]))
    assert loc == ["body", "tasks", 1]
    assert "did you mean 'intent'?" in msg


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body"]),
        ({"texts": ["a"], "rows": [{}]}, ["body"]),
        ({"texts": []}, ["body", "texts"]),
        ({"texts": ["a", None]}, ["body", "texts", 1]),
        ({"texts": [7]}, ["body", "texts", 0]),
        ({"texts": "a"}, ["body", "texts"]),
        ({"rows": [{"body": "a"}, "b"]}, ["body", "rows", 1]),
        ({"texts": ["a"], "tasks": []}, ["body", "tasks"]),
        ({"texts": ["a"], "tasks": "intent"}, ["body", "tasks"]),
        ({"texts": ["a"], "top_k": 0}, ["body", "top_k"]),
        ({"texts": ["a"], "top_k": 10**30}, ["body", "top_k"]),
        ({"texts": ["a"], "top_k": True}, ["body", "top_k"]),
        ({"texts": ["a"], "truncate": "yes"}, ["body", "truncate"]),
        ({"texts": ["a"], "topk": 1}, ["body", "topk"]),
        ({"texts": ["a"] * 257}, ["body", "texts"]),
        ({"rows": [{"no": "a"}]}, ["body", "rows"]),
        ({"texts": ["a"], "tasks": ["relation"]}, ["body", "texts"]),
        ({"texts": ["", " "]}, ["body", "texts", 0]),
        ({"rows": [{"body": 7}], "tasks": ["intent"]}, ["body", "rows", 0]),
        ([], ["body"]),
    ],
)
def test_a_wrong_request_is_told_where(client: httpx.Client, body: Any, loc: list[Any]):
    assert faults(client.post("/predict", json=body))[0][0] == loc


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'{"texts": ["\xff"]}',
        b'{"texts": ["\\ud800"]}',
        b'{"texts": NaN}',
        b'{"texts": ["a"], "top_k": NaN}',
        b'{"texts": ["a"], "top_k": 1e999}',
        b'{"rows": [{"body": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]}",
        b"[" * 500_000,
        b'{"rows": [{"body": NaN}], "tasks": ["intent"]}',
    ],
)
def test_bytes_that_are_no_request_are_told_so(client: httpx.Client, body: bytes):
    assert faults(client.post("/predict", content=body, headers={"content-type": "application/json"}))


def test_of_a_key_that_stands_twice_the_last_one_counts(client: httpx.Client):
    body = b'{"texts": ["a"], "texts": ["the refund", "b"]}'
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert len(response.json()["answers"]) == 2


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded", "jsonapplication/json"])
def test_a_body_that_is_not_said_to_be_json_is_refused(client: httpx.Client, given: str | None):
    headers = {} if given is None else {"content-type": given}
    assert client.post("/predict", content=b'{"texts": ["a"]}', headers=headers).status_code == 415


@pytest.mark.parametrize("given", ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"])
def test_json_is_json_by_any_name(client: httpx.Client, given: str):
    assert client.post("/predict", content=b'{"texts": ["a"]}', headers={"content-type": given}).status_code == 200


def test_what_is_not_there_is_told_as_json(client: httpx.Client):
    assert client.get("/predictions").json()["detail"] == "Not Found"
    response = client.get("/predict")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["request_id"]


# the id of a request


@pytest.mark.parametrize("name", ["abc-1", "a" * 128, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
def test_a_clients_id_comes_back(client: httpx.Client, name: str):
    assert client.get("/health", headers={"x-request-id": name}).headers["x-request-id"] == name


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, "<script>", "a;b"])
def test_an_id_that_is_none_is_replaced(client: httpx.Client, name: str):
    found = client.get("/health", headers={"x-request-id": name}).headers["x-request-id"]
    assert found != name
    assert re.fullmatch(r"[0-9a-f]{8}-\d+", found)


def test_every_request_has_another_id(client: httpx.Client):
    assert len({client.get("/health").headers["x-request-id"] for _ in range(5)}) == 5


# what a server says of itself


def test_tasks_say_what_they_read_and_what_they_answer(client: httpx.Client, model: MultiTaskModel):
    tasks = client.get("/tasks").json()["tasks"]
    assert list(tasks) == list(model.tasks)
    assert tasks["intent"] == {
        "kind": "classification",
        "dataset": "tickets",
        "columns": ["body"],
        "required": ["body"],
        "form": "text",
        "max_length": 64,
        "windows": False,
        "labels": ["account", "billing", "delivery"],
        "temperature": 1.0,
        "min_score": None,
    }
    assert tasks["topics"]["thresholds"] == {"app": 0.5, "card": 0.5, "order": 0.5}
    assert tasks["mood"]["targets"] == ["urgency", "calm"]
    assert tasks["entities"]["labels"] == ["PLACE"]
    assert tasks["relation"]["required"] == ["first", "second"]


def test_info_says_what_answers_and_what_is_taken_on(client: httpx.Client):
    info = client.get("/info").json()
    assert (info["encoder"], info["precision"], info["format"]) == ("tiny", "fp32", "torch")
    assert info["limits"]["max_rows"] == 256
    assert info["uptime_s"] > 0


def test_probes_answer(client: httpx.Client):
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready"}


def test_metrics_count_requests_by_task_and_status_and_nothing_that_clients_make_up(client: httpx.Client):
    def counted(task: str, status: int) -> float:
        found = re.search(rf'mtl_requests_total{{status="{status}",task="{task}"}} (\S+)', client.get("/metrics").text)
        return float(found[1]) if found else 0.0

    before = counted("mood", 200), counted("none", 422), counted("topics", 200)
    ask(client, texts=["the refund"], tasks=["mood", "intent"])
    ask(client, texts=["the refund"], tasks=["made-up"])
    assert (counted("mood", 200), counted("none", 422), counted("topics", 200)) == (
        before[0] + 1,
        before[1] + 1,
        before[2],
    )
    text = client.get("/metrics").text
    assert "made-up" not in text
    for name in (
        "queue_questions",
        "queue_seconds_bucket",
        "inference_seconds_count",
        "batch_tokens_bucket",
        "in_flight",
    ):
        assert f"mtl_{name}" in text
    assert 'mtl_refused_total{reason="queue_full"} 0.0' in text


# pages


def test_the_page_runs_nothing_but_its_own(client: httpx.Client):
    response = client.get("/")
    assert response.text == page()
    rules = response.headers["content-security-policy"]
    assert rules == policy(page())
    assert "default-src 'none'" in rules
    assert "unsafe" not in rules
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_policy_names_the_scripts_and_styles_of_a_page_by_their_hash():
    rules = policy("<style>a{}</style><script>alert(1)</script>")
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in rules
    assert "script-src 'none'" in policy("<p>")


def test_the_documentation_names_every_path_and_loads_nothing(client: httpx.Client):
    text = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in text
    assert not re.search(r"(?:src|href)=\"https?:|<script", text)


def test_openapi_describes_every_status_with_a_schema(client: httpx.Client):
    openapi = client.get("/openapi.json").json()
    described = openapi["paths"]["/predict"]["post"]["responses"]
    assert set(described) == {"200", "401", "408", "413", "415", "422", "429", "500", "503", "504"}
    schemas = openapi["components"]["schemas"]
    for response in described.values():
        name = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert schemas[name]["properties"]
    assert "Retry-After" in described["429"]["headers"]
    assert "texts" in json.dumps(openapi["paths"]["/predict"]["post"]["requestBody"])
