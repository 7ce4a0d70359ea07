"""Network file systems: known or declared, and a run there is as safe, by its checkpoints."""

import logging
from pathlib import Path

import pytest
from test_run_resume import ARM, check_same, experiment, folder, stopped  # noqa: F401  fixtures among them

from simulator.base.errors import InputError
from simulator.run import filesystem
from simulator.run.files import part_path
from simulator.run.filesystem import VARIABLE, is_network
from simulator.run.reading import read
from simulator.run.simulation import treat

MOUNTS = """
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 21 0:40 / /net rw shared:5 - nfs4 server:/net rw,vers=4.2
31 30 0:41 / /net/me/local\\040disk rw - xfs /dev/sdb rw
32 21 0:42 / /scratch rw - lustre mds:/scratch rw
33 21 0:43 / /scratchy rw - ext4 /dev/vdb rw
34 21 0:44 / /over rw - nfs server:/over rw
35 34 0:45 / /over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(("folder_", "kind"), [
    ("/", "ext4"), ("/srv/data", "ext4"), ("/net", "nfs4"), ("/net/me/study", "nfs4"),
    ("/net/me/local disk/study", "xfs"), ("/scratch/me", "lustre"), ("/scratchy/me", "ext4"),
    ("/over/me", "tmpfs"),
])  # fmt: skip
def test_the_nearest_and_newest_mount_decides(folder_, kind):
    assert filesystem._type_of(Path(folder_), MOUNTS) == kind


def test_a_network_is_detected_or_declared(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {tmp_path.resolve()} rw - nfs4 a:/b rw\n"
    )
    monkeypatch.setattr(filesystem, "_MOUNTS", mounts)
    assert is_network(tmp_path) and not is_network("/")
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert not is_network(tmp_path)
    monkeypatch.setenv(VARIABLE, "network")
    assert is_network("/")
    monkeypatch.setenv(VARIABLE, "local")
    assert not is_network(tmp_path)
    monkeypatch.setenv(VARIABLE, "maybe")
    with pytest.raises(InputError, match="network or to local"):
        is_network(tmp_path)


@pytest.mark.parametrize("lost", ["the end", "the file"])
def test_a_run_on_a_network_goes_on_from_its_checkpoint(
    experiment, folder, tmp_path, monkeypatch, caplog, lost  # noqa: F811
):  # fmt: skip
    """Whatever became of the file that was open when the machine went down."""
    monkeypatch.setenv(VARIABLE, "network")
    stopped(experiment, folder, tmp_path / "run.h5", 9)
    part = part_path(tmp_path / "run.h5")
    if lost == "the end":
        part.write_bytes(part.read_bytes()[:3000])
    else:
        part.unlink()
    with caplog.at_level(logging.INFO, "simulator"):
        treat(experiment, *ARM, folder / "grown.ckpt", tmp_path / "run.h5")
    assert "goes on from step 12 (run.hour-9.ckpt)" in caplog.text
    check_same(tmp_path / "run.h5", folder / "run.h5")
    assert not list(tmp_path.glob("*.rows")) or list(tmp_path.glob("*@*.rows"))
    assert read(tmp_path / "run.h5").complete
