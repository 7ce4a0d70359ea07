"""Whether a folder lies on a network file system, where readers beside a writer see torn files.

HDF5's SWMR mode rests on the order of a local file's writes, which NFS, Lustre and their like do not keep.
"""

import os
from pathlib import Path

from ..base.errors import InputError

VARIABLE = "SIMULATOR_FILES"  # "network" or "local" where the machine knows better
_NETWORK = frozenset(
    "9p afs beegfs ceph cifs fhgfs fuse.ceph fuse.glusterfs fuse.s3fs fuse.sshfs gfs2 glusterfs gpfs lustre "
    "ncpfs nfs nfs4 ocfs2 orangefs panfs pvfs2 smb3 smbfs".split()
)
_MOUNTS = Path("/proc/self/mountinfo")


def is_network(folder: str | Path) -> bool:
    """True where `folder` lies on a network file system, or the environment declares so.

    Raises InputError where the variable SIMULATOR_FILES says neither "network" nor "local".
    """
    declared = os.environ.get(VARIABLE)
    if declared is not None:
        if declared not in ("network", "local"):
            raise InputError(f"{VARIABLE}={declared} is unknown.", "Set it to network or to local.")
        return declared == "network"
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:  # other systems than Linux
        return False
    return _type_of(Path(folder).resolve(), mounts) in _NETWORK


def _type_of(folder: Path, mounts: str) -> str:
    """The type of the mount that holds `folder`, by the lines of proc(5) mountinfo."""
    found, depth = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))  # a space is written \\040
        if folder.is_relative_to(point) and len(point.parts) >= depth:  # the last of equals counts
            found, depth = after.split()[0], len(point.parts)
    return found
