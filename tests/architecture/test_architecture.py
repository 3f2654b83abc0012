"""The house of DESIGN §6: floors, doors, no cycles, nothing heavy at import, no drawer for odds and ends.

Each rule is a function from the imports of a tree to its problems; beside each claim about our tree stands a
planted tree that breaks the rule, so that a rule that cannot fail is noticed.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "mtl_transformers"
ROOT = Path(__file__).parents[2] / PACKAGE

FLOORS = {
    "errors": 0, "batch": 0, "text": 0, "storage": 0,
    "metrics": 1, "model": 1, "runtime": 1,
    "tasks": 2,
    "data": 3, "plan": 3,
    "config": 4,
    "inference": 5, "serving": 5,
    "training": 6,
    "checking": 7, "drafting": 7, "compare": 7, "lifecycle": 7,
    "cli": 8, "__main__": 8,
    "__init__": 9,
}  # fmt: skip

DOORS = {
    "transformers": {"model"},
    "safetensors": {"model"},
    "huggingface_hub": {"model"},
    "peft": {"model"},
    "evaluate": {"metrics"},
    "datasets": {"data"},
    "pydantic": {"config", "serving"},
    "yaml": {"config"},
    "fastapi": {"serving"},
    "uvicorn": {"serving"},
    "prometheus_client": {"serving"},
    "onnx": {"inference"},
    "onnxruntime": {"runtime", "inference"},
    "accelerate": {"training"},
    "torchjd": {"training"},
    "matplotlib": {"checking", "compare", "lifecycle"},
    "cleanlab": {"lifecycle"},
    "optuna": {"checking", "compare", "lifecycle"},
    "typer": {"cli"},
    "regex": {"text"},
    "stopwords": {"text"},
    "torch": {"batch", "model", "tasks", "inference", "training", "checking", "compare", "lifecycle"},
}
NEVER = {
    "inference": {"data", "training"},
    "text": {"batch"},
    "plan": {"batch", "model", "tasks"},
    "runtime": {"batch", "model", "metrics"},
    "serving": {"batch", "model", "tasks", "data", "config", "inference"},
}
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc"}


@dataclass(frozen=True)
class Import:
    """One import: the file and line it stands in, and the full name of the module it names."""

    file: str
    line: int
    module: str

    @property
    def importer(self) -> str:
        """The place of the importing file: a package or module directly under ours."""
        return self.file.removesuffix(".py").split("/")[0]

    @property
    def imported(self) -> str | None:
        """The place of the imported module, or None where it is not ours."""
        package, _, rest = self.module.partition(".")
        return (rest or "__init__").split(".")[0] if package == PACKAGE else None

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def read_imports(root: Path) -> list[Import]:
    """Return every import of the tree, wherever in a file it stands."""
    files = sorted(root.rglob("*.py"))
    assert files, f"no Python file under {root}"
    return [found for file in files for found in file_imports(file, root)]


def file_imports(file: Path, root: Path) -> Iterable[Import]:
    name = file.relative_to(root).as_posix()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(name, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_base(node, name)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(name, node.lineno, full if file_of(full, root) else base)


def absolute_base(node: ast.ImportFrom, file: str) -> str:
    """Return the full name of the module that a ``from`` import reads from."""
    if not node.level:
        return node.module or ""
    folder = [PACKAGE, *file.split("/")[:-1]]
    return ".".join([*folder[: len(folder) - node.level + 1], *([node.module] if node.module else [])])


def file_of(module: str, root: Path) -> str | None:
    """Return the file of one of our modules, relative to the tree, or None."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return None
    path = root.joinpath(*parts[1:])
    candidates = [path.with_suffix(".py"), path / "__init__.py"] if parts[1:] else [root / "__init__.py"]
    return next((found.relative_to(root).as_posix() for found in candidates if found.is_file()), None)


def missing_floors(root: Path) -> list[str]:
    """Return the places that no floor is given for."""
    places = {file.relative_to(root).with_suffix("").parts[0] for file in root.rglob("*.py")}
    return [f"{name} has no floor" for name in sorted(places - FLOORS.keys())]


def climbing(imports: Iterable[Import]) -> list[str]:
    """Return the imports that go up."""
    return [
        str(found)
        for found in imports
        if found.imported is not None and FLOORS.get(found.imported, 99) > FLOORS.get(found.importer, 99)
    ]


def past_the_door(imports: Iterable[Import]) -> list[str]:
    """Return the imports of a library elsewhere than at its door."""
    return [
        str(found) for found in imports if found.importer not in DOORS.get(found.module.split(".")[0], {found.importer})
    ]


def forbidden(imports: Iterable[Import]) -> list[str]:
    """Return the imports between two places that must not know each other."""
    return [str(found) for found in imports if found.imported in NEVER.get(found.importer, set())]


def cycles(imports: Iterable[Import], root: Path) -> list[str]:
    """Return one cycle of files that import each other, if there is any."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        target = file_of(found.module, root)
        if target is not None:
            graph.setdefault(found.file, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def drawers(root: Path) -> list[str]:
    """Return the files and folders named for nothing in particular."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.stem in DRAWERS)


def loaded_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after a statement."""
    program = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def plant(root: Path, files: Mapping[str, str]) -> Path:
    """Write a small tree and return its root."""
    for name, text in {"__init__.py": "", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def ours() -> list[Import]:
    return read_imports(ROOT)


def test_every_place_has_a_floor() -> None:
    assert missing_floors(ROOT) == []


def test_a_place_without_a_floor_is_caught(tmp_path: Path) -> None:
    root = plant(tmp_path, {"attic/chest.py": ""})
    assert missing_floors(root) == ["attic has no floor"]


def test_imports_never_go_up(ours: list[Import]) -> None:
    assert climbing(ours) == []


@pytest.mark.parametrize(
    "text",
    [
        "import mtl_transformers.training.loop",
        "from mtl_transformers.training import loop",
        "from mtl_transformers.training.loop import run",
        "from mtl_transformers import training",
        "from ..training.loop import run",
        "from .. import training",
        "from mtl_transformers import train",
        "def later():\n    from mtl_transformers.training import loop",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mtl_transformers.training import loop",
    ],
)
def test_an_import_that_goes_up_is_caught_however_it_is_written(tmp_path: Path, text: str) -> None:
    root = plant(tmp_path, {"model/network.py": text, "training/loop.py": "", "training/__init__.py": ""})
    assert len(climbing(read_imports(root))) == 1


def test_an_import_that_goes_down_or_stays_is_allowed(tmp_path: Path) -> None:
    text = "from mtl_transformers.model.heads import Head\nfrom . import checkpoint\nimport json"
    root = plant(tmp_path, {"training/loop.py": text, "training/checkpoint.py": "", "model/heads.py": ""})
    assert climbing(read_imports(root)) == []


def test_each_heavy_library_is_imported_at_its_door_only(ours: list[Import]) -> None:
    assert past_the_door(ours) == []


@pytest.mark.parametrize("library", sorted(DOORS))
def test_a_library_imported_past_its_door_is_caught(tmp_path: Path, library: str) -> None:
    text = f"def later():\n    from {library}.part import thing"
    root = plant(tmp_path, {"errors.py": text})
    assert past_the_door(read_imports(root)) == [f"errors.py:2 imports {library}.part"]


@pytest.mark.parametrize(("library", "door"), [(name, door) for name in DOORS for door in sorted(DOORS[name])])
def test_a_library_imported_at_its_door_is_allowed(tmp_path: Path, library: str, door: str) -> None:
    root = plant(tmp_path, {f"{door}/part.py": f"import {library}"})
    assert past_the_door(read_imports(root)) == []


def test_inference_knows_nothing_of_training_or_data_and_text_and_plan_nothing_of_tensors(
    ours: list[Import],
) -> None:
    assert forbidden(ours) == []


@pytest.mark.parametrize(("importer", "imported"), [(name, other) for name in NEVER for other in sorted(NEVER[name])])
def test_an_import_between_places_kept_apart_is_caught(tmp_path: Path, importer: str, imported: str) -> None:
    text = f"from mtl_transformers.{imported} import thing"
    root = plant(tmp_path, {f"{importer}/part.py": text, f"{imported}/__init__.py": ""})
    assert len(forbidden(read_imports(root))) == 1


def test_no_files_import_each_other_in_a_circle(ours: list[Import]) -> None:
    assert cycles(ours, ROOT) == []


def test_a_circle_is_caught_even_inside_one_package(tmp_path: Path) -> None:
    files = {
        "plan/a.py": "from mtl_transformers.plan.b import x",
        "plan/b.py": "def later():\n    from .c import y",
        "plan/c.py": "from mtl_transformers.plan import a",
    }
    root = plant(tmp_path, files)
    assert len(cycles(read_imports(root), root)) == 1


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    assert drawers(ROOT) == []


@pytest.mark.parametrize("name", ["model/utils.py", "helpers/text.py", "common.py"])
def test_a_drawer_is_caught(tmp_path: Path, name: str) -> None:
    assert len(drawers(plant(tmp_path, {name: ""}))) == 1


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after(f"import {PACKAGE}") & (DOORS.keys() | {"numpy", "sklearn", "scipy"}) == set()


@pytest.mark.parametrize("folder", ["text", "plan"])
def test_text_and_plan_load_no_torch(folder: str) -> None:
    modules = [f"{PACKAGE}.{folder}.{file.stem}" for file in sorted((ROOT / folder).glob("[!_]*.py"))]
    assert modules
    assert "torch" not in loaded_after(f"import {', '.join(modules)}")


def test_a_heavy_module_that_was_loaded_is_seen() -> None:
    assert {"numpy", "json"} <= loaded_after("import numpy, json")
