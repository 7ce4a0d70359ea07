"""The house: who may import whom, how long things may grow, and what must never stand in the repository."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "simulator"
SOURCES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "base": 0,
    "config": 1,
    "tissue": 2,
    "body": 3,
    "run": 4,
    "clinic": 5,
    "experiment": 6,
    "report": 7,
}
ROOF = 8
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 70


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _module(path: Path) -> tuple[str, ...]:
    """The package-relative parts of a source: ('tissue', 'rules'), ('report',) of an __init__."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _floor(module: tuple[str, ...]) -> int:
    return FLOORS.get(module[0], ROOF) if module else ROOF


MODULES = {_module(path) for path in SOURCES}


def imports(path: Path, source: str | None = None) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """(line, module of this package, imported name) of every import, those inside functions too."""
    folder = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text() if source is None else source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first, *rest = alias.name.split(".")
                if first == PACKAGE.name:
                    yield node.lineno, tuple(rest), ""
        elif isinstance(node, ast.ImportFrom):
            named = tuple((node.module or "").split(".")) if node.module else ()
            if node.level:
                base = folder[: len(folder) - node.level + 1] + named
            elif named[:1] == (PACKAGE.name,):
                base = named[1:]
            else:
                continue
            for alias in node.names:
                inner = (*base, alias.name)
                yield (node.lineno, inner, "") if inner in MODULES else (node.lineno, base, alias.name)


def upward(path: Path, source: str | None = None) -> list[str]:
    """Every import of a source that points up."""
    mine = _floor(_module(path))
    return [
        f"{_name(path)}:{line} on floor {mine} imports {'.'.join(module) or 'the package'}"
        for line, module, name in imports(path, source)
        if _floor(module) > mine and (module, name) != ((), "__version__")
    ]


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_imports_point_down(path):
    assert upward(path) == []


@pytest.mark.parametrize(
    "source, up",
    [
        ("from ..run import storage", True),
        ("from ..run.storage import RunWriter", True),
        ("import simulator.experiment.plan", True),
        ("def f():\n    from .. import vocabulary", True),
        ("from simulator import load", True),
        ("from .. import __version__", False),
        ("from ..config.schema import Cell\nfrom . import state\nimport numpy", False),
    ],
)
def test_an_upward_import_would_be_seen(source, up):
    assert bool(upward(PACKAGE / "tissue" / "step.py", source)) is up


def test_every_folder_has_a_floor():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders <= set(FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_relative_imports_stay_in_the_package(path):
    depth = len(path.relative_to(PACKAGE).parts)
    levels = [
        node.level for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    assert max(levels, default=0) <= min(depth, 3)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_files_hold_one_idea_and_functions_fit_a_screen(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINES_OF_A_FILE
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    long = {
        f.name: f.end_lineno - f.lineno + 1
        for f in functions
        if f.end_lineno - f.lineno >= LINES_OF_A_FUNCTION
    }
    assert long == {}


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_no_source_runs_what_it_reads(path):
    """A run file, a checkpoint or an experiment of a stranger must run no code."""
    tree = ast.parse(path.read_text())
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    named = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    named |= {
        (node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    assert not calls & {"eval", "exec", "compile", "__import__"}
    assert not named & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    allowed = [k for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg == "allow_pickle"]
    assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in allowed)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stat().st_size], ids=_name)
def test_what_is_public_says_what_it_is(path):
    tree = ast.parse(path.read_text())
    silent = [] if ast.get_docstring(tree) else [path.name]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            silent += [] if ast.get_docstring(node) else [node.name]
    assert silent == []


# --- the repository ----------------------------------------------------------------------------------

# Written so that this file does not contain what it looks for.
FORBIDDEN = {
    "the address of a package registry": r"(?:pypi|python"
    + r"hosted|anaconda|conda-forge|artifactory)\.(?:org|io|com)",
    "an index option in a lock": r"--(?:extra-)?index" + r"-url\s+\S|--find" + r"-links\s+\S",
    "a path of one machine": r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)" + r"/\w",
    "a key": r"-----BEGIN" + r" |\bghp" + r"_\w{20}|\bAKIA" + r"[0-9A-Z]{16}",
}
_BINARY = {".png", ".h5", ".pdf", ".gif"}


def _files() -> list[Path]:
    """What is or would be committed; without git, what lies where sources lie."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(
            asked, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        found = [ROOT / name for name in listed]
    except (OSError, subprocess.CalledProcessError):
        folders = ("simulator", "configs", "tests", "benchmarks", "docs")
        found = [
            path
            for folder in folders
            for path in (ROOT / folder).rglob("*")
            if "__pycache__" not in path.parts
        ]
        found += list(ROOT.iterdir())
    return [path for path in found if path.is_file() and path.suffix not in _BINARY]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what):
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in _files():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{_name(path)}:{number}: {line.strip()[:100]}")
    assert found == []
