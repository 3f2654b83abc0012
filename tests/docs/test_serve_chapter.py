"""The chapter on serving: its commands run as they stand, on a port that is free, and answer what is shown."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from every_kind import every_kind_dir

ROOT = Path(__file__).parents[2]
CHAPTER = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Serve\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_commands_run_and_answer_what_is_shown(tmp_path: Path, tiny_bert: Path) -> None:
    (_, starting), (_, line), (_, asking), (_, shown) = BLOCKS
    place = tmp_path / "runs/quickstart"
    place.mkdir(parents=True)
    every_kind_dir(place, tiny_bert)
    command = shlex.split(starting.replace("8080", "0"))
    assert command[0] == "mtl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [sys.executable, "-m", "mtl_transformers", *command[1:]]
    with subprocess.Popen(started, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as server:
        assert server.stderr is not None
        try:
            first = server.stderr.readline()
            address = first.split()[0].rstrip(":")
            assert re.sub(r":\d+|: .* \(|bf16|fp32", "", first) == re.sub(r":\d+|: .* \(|bf16|fp32", "", line)
            asked = ["bash", "-euo", "pipefail", "-c", asking.replace("http://127.0.0.1:8080", address)]
            answers = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0
    (of_intent, error) = answers["answers"]
    assert of_intent["intent"]["label"] in of_intent["intent"]["scores"]
    assert len(of_intent["intent"]["scores"]) == 2
    assert error == json.loads(shown)["answers"][1]
    assert answers.keys() == json.loads(shown).keys()
    assert of_intent["intent"].keys() == json.loads(shown)["answers"][0]["intent"].keys()
    assert (ROOT / "docs/page.png").is_file()


def test_every_option_that_the_chapter_names_is_one_of_the_command() -> None:
    golden = (ROOT / "tests/golden/help.txt").read_text(encoding="utf-8")
    of_serve = golden.partition("$ mtl serve --help\n")[2].partition("\n$ mtl ")[0]
    named = set(re.findall(r"`(--[a-z-]+)", CHAPTER))
    assert named
    assert [option for option in named if option not in of_serve] == []
