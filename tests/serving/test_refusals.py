"""Requests that are refused, given up or dropped, and the end of a server."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mtl_transformers.errors import ConfigError
from mtl_transformers.serving.app import create_app
from mtl_transformers.serving.errors import Refused
from mtl_transformers.serving.limits import check_key, read_body
from mtl_transformers.serving.run import Server, bound
from mtl_transformers.serving.settings import Limits, Settings

from .conftest import INFO

KEY = "a key that is long enough"


def counted(client: httpx.Client, name: str) -> float:
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def until(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# the key


@pytest.fixture(scope="module")
def guarded(model, serving) -> Iterator[httpx.Client]:
    with serving(model.answering, Settings(api_key=KEY)) as client:
        yield client


@pytest.mark.parametrize("path", ["/tasks", "/info", "/metrics", "/nothing"])
def test_a_path_needs_the_key(guarded: httpx.Client, path: str):
    response = guarded.get(path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert KEY not in response.text


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/docs", "/openapi.json"])
def test_what_holds_nothing_of_the_model_needs_none(guarded: httpx.Client, path: str):
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("given", [KEY[:-1], f"{KEY}x", "x", "é"])
def test_another_key_is_refused(guarded: httpx.Client, given: str):
    headers = {"authorization": f"Bearer {given}".encode()}
    assert guarded.post("/predict", json={"texts": ["the"]}, headers=headers).status_code == 401


def test_the_key_opens(guarded: httpx.Client):
    headers = {"authorization": f"Bearer {KEY}"}
    assert guarded.post("/predict", json={"texts": ["the"]}, headers=headers).status_code == 200


def test_another_scheme_is_refused():
    with pytest.raises(Refused):
        check_key(f"Basic {KEY}", KEY)
    check_key(f"bearer {KEY}", KEY)
    check_key(None, None)


# the body


@pytest.fixture(scope="module")
def narrow(model, serving) -> Iterator[httpx.Client]:
    with serving(model.answering, Settings(limits=Limits(max_body_bytes=1000, max_row_tokens=40))) as client:
        yield client


def body_of(num_bytes: int) -> bytes:
    text = b'{"texts": ["the refund"], "tasks": ["intent"]}'
    return text + b" " * (num_bytes - len(text))


def test_a_body_of_the_largest_size_is_read(narrow: httpx.Client):
    headers = {"content-type": "application/json"}
    assert narrow.post("/predict", content=body_of(1000), headers=headers).status_code == 200


def test_a_body_that_says_that_it_is_larger_is_refused(narrow: httpx.Client):
    headers = {"content-type": "application/json"}
    response = narrow.post("/predict", content=body_of(1001), headers=headers)
    assert (response.status_code, response.headers["connection"]) == (413, "close")
    assert "1000 bytes" in response.json()["detail"]


def test_a_body_that_does_not_say_how_large_it_is_is_refused_while_it_comes(narrow: httpx.Client):
    sent = []

    def chunks() -> Iterator[bytes]:
        for _ in range(5):
            sent.append(1)
            yield b" " * 400

    headers = {"content-type": "application/json"}
    assert narrow.post("/predict", content=chunks(), headers=headers).status_code == 413


def test_a_body_that_comes_too_slowly_is_given_up():
    async def slowly():
        yield b"{"
        await asyncio.sleep(10)

    with pytest.raises(Refused) as refused:
        asyncio.run(read_body(slowly(), {}, max_bytes=100, timeout_s=0.01))
    assert refused.value.status == 408


def test_a_row_with_too_many_tokens_is_told_how_many_it_may_have(narrow: httpx.Client):
    response = narrow.post("/predict", json={"texts": ["the " * 60, "the"], "tasks": ["intent"]})
    assert "the server takes 40" in response.json()["answers"][0]["error"]
    assert "intent" in response.json()["answers"][1]


# too much, too late, gone


def test_a_full_queue_refuses_with_the_seconds_until_there_is_room_and_keeps_what_it_took(gated, gate, serving):
    with serving(gated, Settings(limits=Limits(max_queue_tokens=40))) as client, ThreadPoolExecutor(10) as pool:
        gate.forget()
        gate.open.clear()
        ask = lambda: client.post("/predict", json={"texts": ["the refund of it"], "tasks": ["intent"]})  # noqa: E731
        first = pool.submit(ask)
        gate.wait_for_pass()
        responses = [pool.submit(ask) for _ in range(9)]
        until(lambda: sum(each.done() for each in responses) >= 2)
        gate.open.set()
        found = [each.result() for each in (first, *responses)]
        refused = [response for response in found if response.status_code != 200]
        assert counted(client, 'mtl_refused_total{reason="queue_full"}') == len(refused)
    assert {response.status_code for response in refused} == {429}
    assert all(int(response.headers["retry-after"]) >= 1 for response in refused)
    assert 3 <= len(found) - len(refused) <= 8
    assert all(response.json()["answers"][0]["intent"] for response in found if response.status_code == 200)


def test_a_request_past_its_deadline_is_given_up_and_leaves_the_queue(gated, gate, serving):
    with serving(gated, Settings(limits=Limits(deadline_s=2))) as client, ThreadPoolExecutor(2) as pool:
        gate.forget()
        gate.open.clear()
        first = pool.submit(client.post, "/predict", json={"texts": ["the"], "tasks": ["intent"]})
        gate.wait_for_pass()
        second = client.post("/predict", json={"texts": ["the refund of it"], "tasks": ["intent"]})
        assert (first.result().status_code, second.status_code) == (504, 504)
        assert "2 s" in second.json()["detail"]
        assert counted(client, "mtl_queue_questions") == 0
        gate.open.set()
        assert client.post("/predict", json={"texts": ["my card"], "tasks": ["intent"]}).status_code == 200
    assert [lengths for (lengths,) in gate.passes[:1]] == [3]
    assert 6 not in [length for lengths in gate.passes for length in lengths]  # the second never ran


def test_a_client_that_left_is_dropped_before_its_text_is_read(gated, gate, serving):
    with serving(gated) as client, ThreadPoolExecutor(1) as pool:
        gate.forget()
        gate.open.clear()
        first = pool.submit(client.post, "/predict", json={"texts": ["the"], "tasks": ["intent"]})
        gate.wait_for_pass()
        leave(client, {"texts": ["the refund of it"], "tasks": ["intent"]})
        until(lambda: counted(client, "mtl_dropped_clients_total") == 1)
        assert counted(client, "mtl_queue_tokens") == 0
        gate.open.set()
        assert first.result().status_code == 200
    assert gate.passes == [[3]]


def leave(client: httpx.Client, body: object) -> None:
    """Send a request, and close the connection when the server has it."""
    sent = json.dumps(body).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.sendall(head.encode() + sent)
        until(lambda: counted(client, "mtl_queue_questions") == 1)


def test_an_error_of_ours_has_an_id_and_no_trace(gated, gate, serving, caplog: pytest.LogCaptureFixture):
    (row,) = gated.ask(["parcel"], ["intent"])
    with serving(gated) as client:
        gate.poison = row.questions[0].features.input_ids[0][1]
        headers = {"x-request-id": "find-me"}
        alone = client.post("/predict", json={"texts": ["parcel"], "tasks": ["intent"]}, headers=headers)
        beside = client.post("/predict", json={"texts": ["parcel", "the card"], "tasks": ["intent"]})
    assert (alone.status_code, alone.json()["request_id"]) == (500, "find-me")
    assert "find-me" in caplog.text
    assert "secret: a poisonous row" in caplog.text
    for response in (alone, beside):
        assert "secret" not in response.text
    assert "internal error" in beside.json()["answers"][0]["error"]
    assert "intent" in beside.json()["answers"][1]


# beginning and end


def test_a_server_that_warms_up_is_alive_and_not_ready(gated, gate):
    gate.open.clear()
    server = Server(create_app(gated, INFO), bound("127.0.0.1", 0))
    starting = threading.Thread(target=server.start)
    starting.start()
    gate.wait_for_pass()
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/health").status_code == 200
        assert (client.get("/ready").status_code, client.get("/ready").json()) == (503, {"status": "starting"})
        response = client.post("/predict", json={"texts": ["the"]})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        gate.open.set()
        starting.join()
        assert client.get("/ready").json() == {"status": "ready"}
    assert server.stop(drain_s=5)


def test_a_server_that_ends_answers_what_it_took_and_refuses_the_rest(gated, gate):
    server = Server(create_app(gated, INFO), bound("127.0.0.1", 0))
    server.start()
    gate.forget()
    gate.open.clear()
    with httpx.Client(base_url=server.url, timeout=20) as client, ThreadPoolExecutor(5) as pool:
        body = {"texts": ["the refund"], "tasks": ["intent"]}
        taken = [pool.submit(client.post, "/predict", json=body)]
        gate.wait_for_pass()  # of the first alone; the others wait
        taken += [pool.submit(client.post, "/predict", json=body) for _ in range(2)]
        until(lambda: counted(client, "mtl_queue_questions") == 2)
        stopping = pool.submit(server.stop, drain_s=10)
        until(lambda: client.get("/ready").status_code == 503)
        refused = client.post("/predict", json=body)
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        gate.open.set()
        assert [each.result().status_code for each in taken] == [200, 200, 200]
        assert stopping.result()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


def test_a_server_that_cannot_answer_in_time_says_so(gated, gate):
    server = Server(create_app(gated, INFO), bound("127.0.0.1", 0))
    server.start()
    gate.forget()
    gate.open.clear()
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(httpx.post, f"{server.url}/predict", json={"texts": ["the"]}, timeout=20)
        gate.wait_for_pass()
        stopping = threading.Timer(1.0, gate.open.set)
        stopping.start()
        assert not server.stop(drain_s=0.1)
        taken.exception()


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no.such.host.invalid", "is unknown"),
        ("", "is unknown"),
        ("a" * 300, "is unknown"),
        ("203.0.113.7", "cannot listen at 203.0.113.7"),
    ],
)
def test_an_address_that_is_not_ours_is_refused(host: str, said: str):
    with pytest.raises(ConfigError, match=said):
        bound(host, 0)


def test_a_port_that_is_taken_is_refused():
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: .*--port"):
            bound("127.0.0.1", port)
