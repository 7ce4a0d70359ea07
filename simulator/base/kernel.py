"""The one decorator for compiled code, and the cache it compiles into.

numba keeps a compiled caller when a callee in another file changes, and would
silently run the old number.  So the cache folder is named by a hash of every
source file that holds kernels: an edit anywhere compiles into a fresh folder.
"""

import hashlib
import os
import platform
import tempfile
from pathlib import Path

import numba

_PACKAGE = Path(__file__).resolve().parent.parent
_KERNEL_FLOORS = ("base", "tissue")


def sources_hash() -> str:
    """Hash of every source file that may hold kernels (16 hex digits)."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(platform.python_version().encode())
    for floor in _KERNEL_FLOORS:
        for path in sorted((_PACKAGE / floor).glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _cache_root() -> Path:
    """Where compiled kernels live: a folder of the user's, else a temporary one."""
    for name in ("SIMULATOR_CACHE", "NUMBA_CACHE_DIR"):
        if name in os.environ:
            return Path(os.environ[name])
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    root = Path(home) / "msc-simulator"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError:
        return Path(tempfile.gettempdir()) / f"msc-simulator-{os.getuid()}"


CACHE_DIR = _cache_root() / f"kernels-{sources_hash()}"
numba.config.CACHE_DIR = str(CACHE_DIR)  # the variable would come too late where numba is imported already


def kernel(function=None, *, inline=False, allocates=False):
    """Compile `function` with numba: cached on disk, without the GIL, IEEE arithmetic.

    Threads come from `base.threads`, which calls one serial kernel on many
    slabs at once: a kernel is compiled once for every thread count, and the
    bits cannot depend on it.

    inline : compile into the caller at LLVM's discretion is the default; True
        forces it, for a function of a few lines in an innermost loop.
    allocates : the kernel makes arrays of its own.  Only then does it count references to arrays, which in
        a loop over cells costs more than the work itself.
    """
    if function is None:
        return lambda f: kernel(f, inline=inline, allocates=allocates)
    return numba.njit(
        function,
        cache=True,
        nogil=True,
        fastmath=False,
        error_model="numpy",
        forceinline=inline,
        _nrt=allocates,
    )


def is_compiled() -> bool:
    """False where the environment switches compilation off (NUMBA_DISABLE_JIT=1)."""
    return not numba.config.DISABLE_JIT
