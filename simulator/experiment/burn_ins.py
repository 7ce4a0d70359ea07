"""Burn-ins that other studies have grown: the same digest is the same tissue, to the bit."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..base.errors import InputError
from ..config import provenance
from ..run import checkpoint
from .study import Study, writing


def adopt(study: Study, digests: Iterable[str]) -> int:
    """Take the burn-ins that studies in the same parent folder hold; returns how many.

    Only whole ones, grown by these very sources and packages.  A file is shared by a hard link where the
    file system has them, so it takes no room.  Raises SimulatorError where the study cannot be written.
    """
    taken = 0
    for digest in sorted(set(digests)):
        mine = study.burn_in_file(digest)
        if not mine.exists():
            beside = sorted(study.path.parent.glob(f"*/{mine.parent.name}/{mine.name}"))
            found = next((path for path in beside if _is_ours(path, digest)), None)
            if found is not None:
                with writing(mine):
                    _share(found, mine)
                taken += 1
    return taken


def _is_ours(path: Path, digest: str) -> bool:
    try:
        facts = checkpoint.facts(path)
    except InputError:
        return False
    wanted = {"of": digest, "sources": provenance.source_hash(), "packages": provenance.packages()}
    return all(facts.get(name) == value for name, value in wanted.items())


def _share(path: Path, mine: Path) -> None:
    try:
        os.link(path, mine)
    except OSError:  # no hard links here, or another disk
        aside = mine.with_name(f".{mine.name}.{os.getpid()}")
        try:
            shutil.copyfile(path, aside)
            os.replace(aside, mine)
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()
