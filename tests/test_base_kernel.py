"""The kernel cache: an edit anywhere is noticed, an unedited kernel is not compiled again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.base import kernel

BASE = Path(kernel.__file__).parent

CALLEE = """
from ..base.kernel import kernel

@kernel
def rate(x):
    return 2.0 * x
"""

CALLER = """
from ..base.kernel import kernel
from .callee import rate

@kernel
def total(x):
    return rate(x) + 1.0
"""

REPORT = """
from simulator.tissue.caller import total
result = total(5.0)
import os
from simulator.base.kernel import CACHE_DIR
stats = getattr(total, "stats", None)
print(result, CACHE_DIR.name, 0 if stats is None else sum(stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    """A package with the real base and two kernels of its own, in two files."""
    root = tmp_path / "simulator"
    (root / "tissue").mkdir(parents=True)
    shutil.copytree(BASE, root / "base", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (root, root / "tissue"):
        (folder / "__init__.py").touch()
    (root / "tissue" / "callee.py").write_text(CALLEE)
    (root / "tissue" / "caller.py").write_text(CALLER)
    return root


def call(package, first="", **env):
    """(result, name of the cache folder, cache hits) of the caller in a fresh process."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("NUMBA_")}
    env = clean | {"PYTHONPATH": str(package.parent), "SIMULATOR_CACHE": str(package.parent / "cache")} | env
    command = [sys.executable, "-W", "error", "-c", first + REPORT]
    done = subprocess.run(command, env=env, cwd=package.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result, folder, hits = done.stdout.split()
    return float(result), folder, int(hits)


def edit_callee(package):
    # of another length: Python takes a source of the same size and second for the one it has bytecode of
    (package / "tissue" / "callee.py").write_text(CALLEE.replace("2.0", "3.00"))


def test_an_edited_callee_in_another_file_is_noticed(package):
    assert call(package)[0] == 11.0
    before = call(package)
    assert before[::2] == (11.0, 1), "the second process must read the cache"
    edit_callee(package)
    after = call(package)
    assert after[0] == 16.0
    assert after[1] != before[1]


@pytest.mark.parametrize("how", ["numba imported first", "cache folder set by the user"])
def test_an_edit_is_noticed_however_numba_was_set_up(package, how):
    first = "import numba\n" if how == "numba imported first" else ""
    env = {} if first else {"NUMBA_CACHE_DIR": str(package.parent / "mine")}
    assert call(package, first, **env)[0] == 11.0
    edit_callee(package)
    assert call(package, first, **env)[0] == 16.0


def test_the_cache_lies_where_the_user_says(package):
    _, folder, _ = call(package)
    assert list((package.parent / "cache" / folder).rglob("*.nbi"))
    assert not list(package.rglob("*.nbi"))


@pytest.mark.parametrize("place", ["base/rng.py", "tissue/callee.py", "tissue/new.py"])
def test_the_hash_changes_with_every_source_that_may_hold_kernels(package, place, monkeypatch):
    monkeypatch.setattr(kernel, "_PACKAGE", package)
    before = kernel.sources_hash()
    assert before == kernel.sources_hash()
    with (package / place).open("a") as file:
        file.write("# edited\n")
    assert kernel.sources_hash() != before


def test_a_cache_that_cannot_be_in_the_home_goes_to_the_temporary_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.delenv("SIMULATOR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(kernel.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    assert kernel._cache_root().parent == tmp_path / "tmp"


def test_compilation_can_be_switched_off(package):
    assert call(package, NUMBA_DISABLE_JIT="1")[0] == 11.0
    assert kernel.is_compiled() == (os.environ.get("NUMBA_DISABLE_JIT", "0") == "0")


def test_an_inlined_kernel_gives_the_same_number():
    @kernel.kernel(inline=True)
    def third(x):
        return x / 3.0

    assert third(1.0) == 1.0 / 3.0
