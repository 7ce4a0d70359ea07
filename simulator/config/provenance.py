"""What a result depends on beside its configuration: sources, package versions, the machine's arithmetic."""

import hashlib
import json
import os
import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_NUMERIC = ("numpy", "numba", "llvmlite", "scipy", "h5py")


@cache
def version() -> str:
    """The version of the simulator."""
    from .. import __version__

    return __version__


@cache
def source_hash() -> str:
    """Hash (16 hex digits) of every Python source of the package."""
    total = hashlib.blake2b(digest_size=8)
    for path in sorted(_PACKAGE.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(_PACKAGE).as_posix()}\n{len(content)}\n".encode() + content)
    return total.hexdigest()


def file_hash(path: Path) -> str:
    """Hash (32 hex digits) of a file's content, read in pieces."""
    total = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            total.update(piece)
    return total.hexdigest()


def packages() -> dict[str, str]:
    """Versions of the packages that touch a number, and of Python; 'absent' where not installed."""
    found = {"python": platform.python_version()}
    for name in _NUMERIC:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


@cache
def processor() -> dict[str, str]:
    """Model and a hash of the feature flags of the processor, on which compiled bits depend."""
    model, flags = platform.processor() or platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, text = line.partition(":")
            if key.strip() in ("model name", "CPU part"):
                model = text.strip() or model
            elif key.strip() in ("flags", "Features"):
                flags = " ".join(sorted(text.split()))
            elif not key.strip():
                break  # the first processor speaks for all
    except OSError:
        pass  # other systems than Linux: the model alone
    return {"model": model, "machine": platform.machine(), "flags": _short(flags)}


def math_library() -> str:
    """The C library that computes exp, log and pow."""
    return " ".join(platform.libc_ver()).strip() or platform.platform()


def facts() -> dict[str, object]:
    """What decides the bits of a result on this machine; holds no names of machine or user."""
    return {
        "simulator": version(),
        "sources": source_hash(),
        "packages": packages(),
        "processor": processor(),
        "libm": math_library(),
        "system": sys.platform,
        "jit": os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0"),
    }


def host() -> str:
    """`facts()` as one line of JSON, as run files keep it: equal where the same bits are promised."""
    return json.dumps(facts(), sort_keys=True)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
