"""Many clients of a server in one cheap process: sockets and asyncio, no library of HTTP.

    python scripts/bench/clients.py http://127.0.0.1:8080 texts.json out.json --clients 64 --seconds 20

Without ``--rate`` each client asks again as soon as it has its answer; with it, so many requests a second are sent
whether or not others were answered. What every request got is written at the end, answers as they came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections import deque
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit


class Connection(asyncio.Protocol):
    """One connection that is kept open; one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiter: asyncio.Future[tuple[int, bytes, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Give the response to who waits for it, when it is complete."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        low = head.lower()
        length = int(low.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = body[length:]
        assert self._waiter is not None
        if not self._waiter.done():
            self._waiter.set_result((int(head[9:12]), low, body[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Send a request; return the status, the head and the body of its response."""
        assert self.transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiter


class Load:
    """Clients, and what they got."""

    def __init__(self, url: str, texts: list[str], *, rows: int) -> None:
        where = urlsplit(url)
        self.host, self.port = where.hostname, where.port
        self.texts, self.rows = texts, rows
        self.numbers = count()
        self.got: list[tuple[int, int, float, bytes]] = []  # first text, status, seconds, body
        self.lost = 0
        self.without_retry_after = 0

    def request(self) -> tuple[int, bytes]:
        """Return the next request: the number of its first text, and its bytes."""
        first = next(self.numbers) * self.rows % len(self.texts)
        texts = [self.texts[(first + n) % len(self.texts)] for n in range(self.rows)]
        body = json.dumps({"texts": texts}).encode()
        head = (
            f"POST /predict HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return first, head.encode() + body

    async def connect(self) -> Connection:
        """Open a connection."""
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        return connection

    async def one(self, connection: Connection) -> None:
        """Send the next request, and keep what came back."""
        first, request = self.request()
        start = time.perf_counter()
        try:
            status, head, body = await connection.ask(request)
        except ConnectionError:
            self.lost += 1
            return
        self.without_retry_after += status == 429 and b"retry-after:" not in head
        self.got.append((first, status, time.perf_counter() - start, body))

    async def closed(self, *, clients: int, seconds: float) -> None:
        """Let each client ask again as soon as it has its answer."""
        end = time.perf_counter() + seconds

        async def client() -> None:
            connection = await self.connect()
            while time.perf_counter() < end:
                await self.one(connection)

        await asyncio.gather(*(client() for _ in range(clients)))

    async def open(self, *, rate: float, seconds: float) -> None:
        """Send so many requests a second, whatever becomes of them."""
        free: deque[Connection] = deque()
        running: set[asyncio.Task[None]] = set()

        async def send() -> None:
            connection = free.pop() if free else await self.connect()
            await self.one(connection)
            free.append(connection)

        start, sent = time.perf_counter(), 0
        while (passed := time.perf_counter() - start) < seconds:
            for _ in range(int(passed * rate) - sent):
                sent += 1
                task = asyncio.create_task(send())
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(0.005)
        await asyncio.gather(*running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("texts", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--keep", action="store_true", help="Write the answers too.")
    given = parser.parse_args()
    load = Load(given.url, json.loads(given.texts.read_text()), rows=given.rows)
    start = time.perf_counter()
    if given.rate:
        asyncio.run(load.open(rate=given.rate, seconds=given.seconds))
    else:
        asyncio.run(load.closed(clients=given.clients, seconds=given.seconds))
    seconds = time.perf_counter() - start
    times = sorted(took for _, status, took, _ in load.got if status == 200)
    statuses = {str(status) for _, status, _, _ in load.got}
    report = {
        "seconds": seconds,
        "rows": given.rows * len(times),
        "statuses": {status: sum(str(s) == status for _, s, _, _ in load.got) for status in sorted(statuses)},
        "lost": load.lost,
        "without_retry_after": load.without_retry_after,
        "median_s": times[len(times) // 2] if times else None,
        "p99_s": times[len(times) * 99 // 100] if times else None,
        "client_cpu_s": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
    }
    if given.keep:
        report["got"] = [(first, body.decode()) for first, status, _, body in load.got if status == 200]
    given.out.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
