"""CSV tables that appear whole or not at all."""

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np


class Table:
    """A CSV file under construction; it takes its name when the `with` ends well."""

    def __init__(self, folder: Path, name: str):
        self._path = folder / f"{name}.csv"
        self._aside = folder / f".{name}.{os.getpid()}.csv"

    def __enter__(self) -> "Table":
        self._file: IO[str] = open(self._aside, "w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        return self

    def __exit__(self, kind: Any, *_) -> None:
        self._file.close()
        if kind is None:
            os.replace(self._aside, self._path)
        else:
            self._aside.unlink(missing_ok=True)

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Append rows; what is not a number (NaN, None) stays empty."""
        self._writer.writerows([_cell(value) for value in row] for row in rows)


def write(folder: Path, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A whole table at once; a row without a column leaves it empty."""
    with Table(folder, name) as table:
        table.rows([columns])
        table.rows([row.get(column) for column in columns] for row in rows)


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    return value.item() if isinstance(value, np.generic) else value
