"""The page at ``/`` in headless Chromium: a person types, and sees what the model answers.

Chromium is Debian's package ``chromium``, which ``.ci/run`` installs; elsewhere without it the proofs are left out.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from every_kind import ROWS, TASKS, every_kind_dir
from playwright.sync_api import Page, Playwright, expect, sync_playwright

from mtl_transformers.inference.multitask import MultiTaskModel

pytestmark = pytest.mark.slow

KEY = "a key that nobody guesses"
EMOJI = "👩‍🚀 the card 🎉 of my parcel to Berlin"  # characters of two halves in JavaScript stand before the spans


def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and "CI" not in os.environ:
        pytest.skip("Chromium is not installed")
    assert found is not None, "CI has no Chromium"
    return found


@dataclass
class Visit:
    """A page that is open, what it asked for and what its console said."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory, encoder_dir: Callable[[str], Path]) -> Path:
    return every_kind_dir(tmp_path_factory.mktemp("page"), encoder_dir("bert"))


def served(model_dir: Path, *options: str, **environment: str) -> Iterator[str]:
    """Run the server, yield its address, and end it."""
    command = [sys.executable, "-m", "mtl_transformers", "serve", str(model_dir), "--port", "0", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as server:
        assert server.stderr is not None
        yield server.stderr.readline().split()[0].rstrip(":")
        server.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def address(model_dir: Path) -> Iterator[str]:
    yield from served(model_dir)


def visited(playwright: Playwright, address: str) -> Iterator[Visit]:
    browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
    visit = Visit(browser.new_page())
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.on("console", lambda line: visit.complaints.append(line.text) if line.type == "error" else None)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.goto(address)
    yield visit
    browser.close()


@pytest.fixture
def visit(playwright: Playwright, address: str) -> Iterator[Visit]:
    yield from visited(playwright, address)


def ask(page: Page) -> None:
    page.click("#ask")
    page.wait_for_selector("article, #problem:not([hidden])")


def fill_all(page: Page) -> None:
    row = ROWS[0]
    page.fill("#text", str(row["body"]))
    for column, value in row.items():
        if column not in ("body", "tokens"):
            page.fill(f"#column-{column}", "\n".join(value) if isinstance(value, list) else value)


def test_every_task_is_shown_with_its_answer(visit: Visit, model_dir: Path) -> None:
    fill_all(visit.page)
    ask(visit.page)
    assert [each.get_attribute("id") for each in visit.page.query_selector_all("article")] == [
        f"task-{name}" for name in TASKS
    ]
    model = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    row = {**ROWS[0], "tokens": ROWS[0]["body"]}  # one field stands for both
    (answer,) = model.predict([row], top_k=5)
    intent = answer["intent"]
    assert isinstance(intent, dict)
    assert visit.page.inner_text("#task-intent .chosen .name") == intent["label"]
    assert visit.page.inner_text("#task-intent .chosen .number") == f"{100 * intent['score']:.1f} %"
    assert len(visit.page.query_selector_all("#task-intent .bar")) == len(intent["scores"])
    topics = answer["topics"]
    assert isinstance(topics, dict)
    assert visit.page.locator("#task-topics .chosen .name").all_inner_texts() == topics["labels"]
    choice = answer["choice"]
    assert isinstance(choice, dict)
    assert visit.page.inner_text("#task-choice .chosen .name") == ROWS[0]["options"][choice["choice"]]
    assert visit.complaints == []


def test_spans_are_highlighted_where_they_stand_behind_emoji(visit: Visit, model_dir: Path) -> None:
    visit.page.fill("#text", EMOJI)
    ask(visit.page)
    model = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    spans = model.predict([EMOJI], tasks=["entities"])[0]["entities"]
    assert isinstance(spans, list)
    assert spans
    marks = visit.page.query_selector_all("#task-entities mark")
    shown = [mark.evaluate("mark => mark.firstChild.textContent") for mark in marks]
    assert shown == [span["text"] for span in spans]
    whole = visit.page.evaluate(
        "() => { const box = document.querySelector('#task-entities .text').cloneNode(true);"
        " box.querySelectorAll('small').forEach((note) => note.remove()); return box.textContent; }"
    )
    assert whole == EMOJI


def test_only_tasks_whose_fields_are_filled_are_asked(visit: Visit) -> None:
    visit.page.fill("#column-first", "a parcel")
    visit.page.fill("#column-second", "the password")
    ask(visit.page)
    shown = [each.get_attribute("id") for each in visit.page.query_selector_all("article")]
    assert shown == ["task-relation", "task-close"]
    assert re.fullmatch(r"2 tasks in \d+ ms", visit.page.inner_text("#status"))


def test_control_and_enter_answer_too(visit: Visit) -> None:
    visit.page.fill("#text", "refund")
    visit.page.press("#text", "Control+Enter")
    expect(visit.page.locator("#task-intent")).to_be_visible()


def test_an_empty_form_says_what_to_do(visit: Visit) -> None:
    ask(visit.page)
    assert visit.page.inner_text("#problem") == "Type a text first."
    visit.page.fill("#text", "refund")
    visit.page.click("#ask")
    expect(visit.page.locator("#problem")).to_be_hidden()


def test_a_text_that_looks_like_a_page_stays_a_text(visit: Visit) -> None:
    text = "<img src=x onerror=alert(1)> <script>alert(2)</script> Berlin"
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    visit.page.fill("#text", text)
    ask(visit.page)
    assert visit.page.query_selector_all("#answers img, #answers script") == []
    assert dialogs == []


def test_nothing_is_fetched_from_elsewhere(visit: Visit, address: str) -> None:
    visit.page.fill("#text", "refund")
    ask(visit.page)
    assert visit.requests
    assert [url for url in visit.requests if not url.startswith((address, "data:"))] == []


def test_a_server_with_a_key_asks_for_it(playwright: Playwright, model_dir: Path) -> None:
    for address in served(model_dir, "--api-key-env", "PAGE_KEY", PAGE_KEY=KEY):
        for visit in visited(playwright, address):
            expect(visit.page.locator("#key")).to_be_visible()
            visit.page.fill("#key", KEY)
            visit.page.press("#key", "Tab")
            visit.page.fill("#text", "refund")
            ask(visit.page)
            expect(visit.page.locator("#task-intent")).to_be_visible()
