"""Everything a reader can copy from README.md and docs/ works: each block is run as it stands, in order.

Only the experiments are made tiny, in their files: commands and code stay as they are printed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SMALLER = [
    (r"shape: \[[^]]*\]", "shape: [8, 8, 8]"),
    (r"^patients: \d+", "patients: 1"),
    (r"^burn_in: .*", "burn_in: 6 h"),
]


class Block(NamedTuple):
    """A fenced block: what it is written in, and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(text: str) -> list[str]:
    """The lines of a bash block, comments taken off."""
    lines = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


@pytest.fixture
def reader(tmp_path):
    """An empty folder and an environment in which `simulator` is this checkout's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "simulator"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m simulator "$@"\n')
    program.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder, {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def shrink(folder: Path) -> None:
    """Make every experiment file small: a few cells, one patient."""
    for path in folder.rglob("*.yaml"):
        text = path.read_text()
        for pattern, small in SMALLER:
            text = re.sub(pattern, small, text, flags=re.MULTILINE)
        path.write_text(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_a_page_works(page, reader):
    folder, environment = reader
    for number, block in enumerate(blocks(page)):
        if block.language == "bash":
            for command in commands(block.text):
                if command.startswith("make "):
                    assert command.split()[1] in TARGETS
                elif not command.startswith("source "):
                    run(["bash", "-c", command], folder, environment)
                shrink(folder)
        elif block.language == "python":
            run([sys.executable, "-c", block.text], folder, environment)
        elif block.language == "yaml" and re.search(r"^title:", block.text, re.MULTILINE):
            named = re.match(r"# (\S+\.yaml)\n", block.text)
            path = folder / (named[1] if named else f"block_{number}.yaml")
            path.write_text(block.text)
            run([sys.executable, "-m", "simulator", "check", path.name], folder, environment)
            shrink(folder)
        else:
            assert block.language in ("yaml", "text"), f"block {number} of {page.name} is checked by nobody"


def test_the_readme_shows_what_a_newcomer_needs():
    languages = [block.language for block in blocks(ROOT / "README.md")]
    assert {"bash", "yaml", "python"} <= set(languages)
    lines = [
        line
        for block in blocks(ROOT / "README.md")
        if block.language == "bash"
        for line in commands(block.text)
    ]
    assert {"make demo", "make test"} <= set(lines)
    for command in ("check", "explain", "run", "report", "info", "doctor"):
        assert any(line.startswith(f"simulator {command}") for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)#\s]+)", text)
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    """`simulator/…` and `configs/…` in running text name what exists."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    named = re.findall(r"`((?:simulator|configs|tests|benchmarks)/[\w./-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
