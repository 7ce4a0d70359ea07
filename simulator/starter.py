"""A starter experiment: small, commented, ready to run and to be changed."""

from pathlib import Path

from .base.errors import InputError

_TEXT = Path(__file__).with_name("starter.yaml")


def write(folder: Path) -> Path:
    """Write `experiment.yaml` into `folder`, which is made if absent; returns the file's path.

    Raises InputError where the file exists or `folder` is a file.
    """
    path = folder / "experiment.yaml"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder.", "Give the name of a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEXT.read_text(encoding="utf-8"))
    except FileExistsError:
        raise InputError(
            f"{path} exists and is not overwritten.", "Give another folder, or remove it."
        ) from None
    return path
