"""What this machine can do: versions, processors, memory, compiled kernels, and the file system underfoot."""

import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

OLDEST_PYTHON = (3, 11)
# Distribution and module of everything the simulator needs.
PACKAGES = {
    "numpy": "numpy",
    "numba": "numba",
    "scipy": "scipy",
    "h5py": "h5py",
    "matplotlib": "matplotlib",
    "xarray": "xarray",
    "h5netcdf": "h5netcdf",
    "pandas": "pandas",
    "pydantic": "pydantic",
    "ruamel.yaml": "ruamel.yaml",
    "cyclopts": "cyclopts",
    "rich": "rich",
    "distributed": "distributed",
}
_READER = "import h5py, sys; print(int(h5py.File(sys.argv[1], 'r', swmr=True)['x'][3]))"
_NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "fuse", "ceph", "afs", "9p")


@dataclass(frozen=True)
class Finding:
    """One thing looked at; not `fine` where the simulator cannot work without it."""

    what: str
    fine: bool
    found: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f"\n{'':<16}{self.advice}" if self.advice else ""
        return f"  {'ok' if self.fine else 'BROKEN':<8}{self.what:<12}{self.found}{advice}"


def examine(folder: Path) -> list[Finding]:
    """Look at everything; `folder` is where runs would be written."""
    checks: dict[str, Callable[[], Finding]] = {
        "python": _python,
        "packages": _packages,
        "processors": _processors,
        "memory": _memory,
        "kernels": _kernels,
        "run files": lambda: _run_files(folder),
    }
    findings = []
    for what, look in checks.items():
        try:
            findings.append(look())
        except Exception as error:  # whatever is broken here, the rest shall still be looked at
            findings.append(Finding(what, False, f"{type(error).__name__}: {error}"))
    return findings


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    wanted = ".".join(map(str, OLDEST_PYTHON))
    fine = sys.version_info >= OLDEST_PYTHON
    return Finding("python", fine, found, "" if fine else f"Python {wanted} or newer is needed.")


def _packages() -> Finding:
    versions, broken = [], []
    for distribution, module in PACKAGES.items():
        try:
            import_module(module)
            versions.append(f"{distribution} {metadata.version(distribution)}")
        except Exception as error:  # a package may fail in any way when its libraries do not fit
            broken.append(f"{distribution} ({type(error).__name__}: {error})")
    if broken:
        return Finding(
            "packages", False, f"cannot import {', '.join(broken)}", "Install them again: make demo."
        )
    return Finding("packages", True, ", ".join(versions))


def _processors() -> Finding:
    from .base.threads import available_cpus

    cpus, limit = available_cpus()
    return Finding("processors", True, f"{cpus}, by {limit}")


def _memory() -> Finding:
    from .experiment.estimate import memory_limit

    size, limit = memory_limit()
    return Finding("memory", True, f"{size / 1e9:.3g} GB, by {limit}")


def _kernels() -> Finding:
    """One kernel against the known answer of Random123 for a key and a counter of zeros."""
    import numpy as np

    from .base import kernel, rng

    begun = time.perf_counter()
    words = tuple(map(int, rng.philox(*[np.uint64(0)] * 6)))
    seconds = time.perf_counter() - begun
    if words != (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8):
        return Finding(
            "kernels", False, f"compiled code computes {words}", "Delete the cache: " + str(kernel.CACHE_DIR)
        )
    if not kernel.is_compiled():
        return Finding(
            "kernels", True, "compilation is switched off (NUMBA_DISABLE_JIT): correct, but very slow"
        )
    files = (
        [path for path in kernel.CACHE_DIR.rglob("*") if path.is_file()] if kernel.CACHE_DIR.is_dir() else []
    )
    size = sum(path.stat().st_size for path in files) / 1e6
    advice = (
        "" if files else "Nothing could be kept there: every start will compile anew. Set SIMULATOR_CACHE."
    )
    return Finding(
        "kernels",
        True,
        f"compile and load in {seconds:.1f} s, kept in {kernel.CACHE_DIR} ({size:.1f} MB)",
        advice,
    )


def _run_files(folder: Path) -> Finding:
    """Whether a file on this file system can be read while it is written (HDF5's SWMR)."""
    import h5py

    advice = "Choose a local folder for studies with `simulator run -o`."
    try:
        with tempfile.TemporaryDirectory(prefix=".simulator-doctor-", dir=folder) as scratch:
            path = Path(scratch) / "swmr.h5"
            with h5py.File(path, "w", libver="v110") as file:
                data = file.create_dataset("x", (8,), "i4")
                file.swmr_mode = True
                data[3] = 42
                file.flush()
                seen = subprocess.run(
                    [sys.executable, "-c", _READER, path], capture_output=True, text=True, timeout=60
                )
    except OSError as error:
        return Finding("run files", False, f"{folder} cannot be written: {error.strerror or error}", advice)
    kind = _file_system(folder)
    if seen.stdout.strip() != "42":
        last = (seen.stderr.strip().splitlines() or ["it read something else"])[-1]
        return Finding("run files", False, f"a reader beside the writer fails on {kind}: {last}", advice)
    network = any(kind.startswith(name) for name in _NETWORK)
    warning = (
        "A network file system may keep readers waiting and lose a killed run's last records."
        if network
        else ""
    )
    return Finding("run files", True, f"can be read while they are written, in {folder} ({kind})", warning)


def _file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, where the system tells."""
    try:
        mounts = [line.split(" ")[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "unknown file system"
    holding = [(len(place), kind) for place, kind in mounts if folder.resolve().is_relative_to(place)]
    return max(holding, default=(0, "unknown file system"))[1]
