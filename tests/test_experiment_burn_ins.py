"""A burn-in is grown once, whichever studies need it."""

import os
from pathlib import Path

import numpy as np
import pytest

from simulator.config import provenance
from simulator.experiment import burn_ins
from simulator.experiment.study import Study
from simulator.run import checkpoint

DIGEST = "ab12"


def grown(folder: Path, **other) -> Path:
    """A study that holds the burn-in."""
    path = Study(folder).burn_in_file(DIGEST)
    path.parent.mkdir(parents=True)
    facts = {"of": DIGEST, "sources": provenance.source_hash(), "packages": provenance.packages()}
    checkpoint.save(path, {"a": np.arange(5)}, facts | other)
    return path


@pytest.fixture
def study(tmp_path) -> Study:
    found = Study(tmp_path / "mine")
    found.burn_in_file(DIGEST).parent.mkdir(parents=True)
    return found


@pytest.mark.parametrize("links", [True, False])
def test_a_burn_in_of_a_study_beside_is_taken_without_a_second_copy(study, tmp_path, monkeypatch, links):
    theirs = grown(tmp_path / "theirs")
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    assert burn_ins.adopt(study, [DIGEST, DIGEST, "cd34"]) == 1
    mine = study.burn_in_file(DIGEST)
    assert mine.samefile(theirs) is links
    assert mine.read_bytes() == theirs.read_bytes()
    assert burn_ins.adopt(study, [DIGEST]) == 0
    assert [path.name for path in mine.parent.iterdir()] == [mine.name]


@pytest.mark.parametrize("other", [{"of": "cd34"}, {"sources": "x"}, {"packages": {"numpy": "0"}}])
def test_a_burn_in_of_others_is_left(study, tmp_path, other):
    grown(tmp_path / "theirs", **other)
    assert burn_ins.adopt(study, [DIGEST]) == 0


def test_a_damaged_burn_in_is_left_and_a_sound_one_found(study, tmp_path):
    bad = grown(tmp_path / "a")
    bad.write_bytes(bad.read_bytes()[:-3])
    assert burn_ins.adopt(study, [DIGEST]) == 0
    good = grown(tmp_path / "b")
    assert burn_ins.adopt(study, [DIGEST]) == 1
    assert study.burn_in_file(DIGEST).samefile(good)
