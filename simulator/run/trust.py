"""Is a stored state one that a simulation could have saved?  Kernels index by its numbers without looking.

A checksum tells that a file is as it was written, not who wrote it.  So every index is held against what
it indexes before a kernel sees it, and every array against the one that it will replace.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import InputError
from ..tissue.state import AGENT, AGENTS, WOUNDED

if TYPE_CHECKING:
    from ..body.patient import Host
    from .lesion import LesionRun

_DOSE = (int, str, float, float, str, float)
_MOST_DOSES = 100_000
_GROWS = {"wounded": 0, "brought": 1, "placed": 0, "expected": 0, "serves": 0}  # axis whose length is free


def check_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """Raises InputError where the facts beside the arrays are not those that a simulation saves."""
    with _told(path):
        steps, zero, key, doses = (facts[name] for name in ("steps", "zero", "key", "doses"))
        _require(all(type(n) is int for n in (steps, zero, *key)) and len(key) == 3, "steps and key")
        _require(0 <= zero <= steps < 2**30, "steps")
        _require(len(doses) <= _MOST_DOSES, "doses")
        for dose in doses:
            fits = len(dose) == len(_DOSE) and all(map(isinstance, dose, _DOSE))
            _require(fits and np.isfinite([dose[2], dose[3], dose[5]]).all(), "doses")
            _require(dose[3] >= 0.0 and dose[5] >= 0.0 and dose[4] in ("cells", "mg"), "doses")
        rows = facts.get("rows", [0, 0, 0])  # a burn-in records nothing
        _require(len(rows) == 3 and all(type(n) is int and n >= 0 for n in rows), "rows")


def check_body(path: Path, arrays: Mapping[str, np.ndarray], host: "Host") -> None:
    """Raises InputError where a stored body does not fit the one that it replaces."""
    with _told(path):
        drugs = {name.rpartition("/")[0] for name in arrays if name.startswith("drugs/")}
        for name, own in host.arrays().items():  # a drug comes whole or not at all
            _require(name in arrays or (name != "time" and name.rpartition("/")[0] not in drugs), name)
            if name in arrays:
                own, stored = np.asarray(own), arrays[name]
                _require(stored.dtype == own.dtype and stored.ndim == own.ndim, name)
                _require(stored.shape[:-1] == own.shape[:-1], name)
                _require(own.shape != (1,) or stored.shape == (1,), name)
                _require(not np.isnan(stored).any(), name)


def check_lesion(path: Path, arrays: Mapping[str, np.ndarray], lesion: "LesionRun") -> None:
    """Raises InputError where a stored lesion does not fit the one that it replaces, or points outside."""
    with _told(path):
        _check_shapes(arrays, lesion)
        _check_indices(arrays, lesion)
        _check_links(arrays, lesion)


def _check_shapes(arrays: Mapping[str, np.ndarray], lesion: "LesionRun") -> None:
    own = lesion.to_arrays()
    _require(arrays.keys() == own.keys(), "the list of arrays")
    agents = len(arrays["trait"])
    for name, held in own.items():
        stored, wanted = arrays[name], list(np.shape(held))
        per_agent = name.startswith("agents.") or name in ("trait", "seen", "facing", "secretes")
        _require(stored.dtype == np.asarray(held).dtype and stored.ndim == len(wanted), name)
        if per_agent:
            wanted[0] = agents
        if name in _GROWS:
            wanted[_GROWS[name]] = stored.shape[_GROWS[name]]
        if name in ("seen", "facing"):  # an arm may sense other targets
            wanted[1] = stored.shape[1]
        _require(list(stored.shape) == wanted, name)
    _require(1 <= arrays["brought"].shape[1] <= _MOST_DOSES, "brought")
    _require(arrays["placed"].shape == arrays["expected"].shape, "placed")
    for name in ("concentration", "volume", "recent", "secreted", "start_ml"):
        _require(bool(np.isfinite(arrays[name]).all()), name)


def _check_indices(arrays: Mapping[str, np.ndarray], lesion: "LesionRun") -> None:
    sites, agents = lesion.block.lattice.sites, len(arrays["trait"])
    kinds, doses = len(lesion.block.names.kinds), arrays["brought"].shape[1]
    bounds = {
        "bulk": (0, kinds),
        "under": (0, kinds),
        "lymphoid": (-1, agents),
        "bulk_agent": (-1, agents),
        "occupied": (0, 2),
        "wounded": (0, sites),
        "serves": (0, 2),
        "agents.site": (0, sites),
        "agents.target": (-1, sites),
        "agents.kind": (1, kinds),
        "agents.dose": (0, doses),
        "agents.clock": (-1, np.iinfo(AGENT["clock"]).max),
        "agents.engaged": (0, np.iinfo(AGENT["engaged"]).max),
        "agents.killer": (0, 2),
        "agents.touched": (0, 2),
    }
    for name, (low, high) in bounds.items():
        array = arrays[name]
        _require(array.size == 0 or (int(array.min()) >= low and int(array.max()) < high), name)
    count = arrays["count"]
    _require(int(count[AGENTS]) == agents and int(count[WOUNDED]) == len(arrays["wounded"]), "count")


def _check_links(arrays: Mapping[str, np.ndarray], lesion: "LesionRun") -> None:
    """A cell of the list stands where its site says, and every site that names one is right."""
    tables = lesion.block.tables.kinds
    kind, site = arrays["agents.kind"], arrays["agents.site"]
    mobile = tables.lymphoid[kind] == 1
    _require(bool((tables.tracked[kind] == 1).all()), "agents.kind")
    for name, mine in (("lymphoid", mobile), ("bulk_agent", ~mobile)):
        named = np.flatnonzero(arrays[name] >= 0)
        _require(len(named) == np.count_nonzero(mine), name)
        _require(bool((site[arrays[name][named]] == named).all() and mine[arrays[name][named]].all()), name)
    _require(bool(((arrays["lymphoid"] >= 0) == (arrays["occupied"] == 1)).all()), "occupied")
    bulk = arrays["bulk"]
    _require(bool(((tables.tracked[bulk] == 1) == (arrays["bulk_agent"] >= 0)).all()), "bulk")
    _require(bool((bulk[site[~mobile]] == kind[~mobile]).all()), "bulk")
    _require(bool((tables.lymphoid[bulk] == 0).all()), "bulk")
    under = arrays["under"]
    _require(bool(((tables.lymphoid[under] == 0) & (tables.tracked[under] != 1)).all()), "under")
    vessel = lesion.block.kind("vessel")
    _require(len(arrays["serves"]) == np.count_nonzero(bulk == vessel), "serves")
    wounded = np.sort(arrays["wounded"])
    _require(np.array_equal(wounded, np.flatnonzero(arrays["wounds"])), "wounded")


class _Unfit(Exception):
    """A part of a stored state that cannot be."""


def _require(fits: bool | np.bool, part: str) -> None:
    if not fits:
        raise _Unfit(part)


class _told:
    """Inside the `with`, what does not fit becomes an InputError about `path`."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, _Unfit | LookupError | TypeError | ValueError | OverflowError):
            raise InputError(
                f"{self.path} holds no state that this simulation saves: {error}.", "Run from the start."
            ) from error
