"""What a result depends on beside its configuration."""

import getpass
import json
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import simulator
from simulator.config import provenance

PACKAGE = Path(simulator.__file__).parent


def test_the_host_is_json_and_says_what_decides_bits():
    host = json.loads(provenance.host())
    assert host == provenance.facts()
    assert host["simulator"] == simulator.__version__
    assert host["packages"]["python"] == platform.python_version()
    assert {"numpy", "numba", "scipy", "h5py"} <= set(host["packages"])
    assert host["processor"]["model"] and host["libm"]


def test_the_host_names_neither_machine_nor_user():
    text = provenance.host()
    assert f'"{socket.gethostname()}"' not in text
    assert str(Path.home()) not in text
    assert f'"{getpass.getuser()}"' not in text


def test_the_source_hash_sees_every_edit(tmp_path):
    copy = tmp_path / "simulator"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from simulator.config import provenance; print(provenance.source_hash())"

    def hashed() -> str:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    first = hashed()
    assert first == hashed()
    edited = copy / "report" / "__init__.py"
    edited.write_text(edited.read_text() + "\n# an edit\n")
    second = hashed()
    edited.rename(edited.with_name("renamed.py"))
    assert len({first, second, hashed()}) == 3


def test_a_file_hash_is_of_content_alone(tmp_path):
    for name, content in (("a", b"x" * 3_000_000), ("b", b"x" * 3_000_000), ("c", b"x" * 2_999_999 + b"y")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (provenance.file_hash(tmp_path / name) for name in "abc")
    assert a == b != c
