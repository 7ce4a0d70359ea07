"""The cells of a snapshot as AnnData: what scverse tools (scanpy, squidpy) read."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..base.errors import InputError

if TYPE_CHECKING:
    from .reading import Lesion

_ABOUT = ("id", "kind", "dose_id", "engaged")  # columns of a cell that are no traits


def to_anndata(lesion: "Lesion", day: float) -> Any:
    """An AnnData of every cell of a snapshot: bulk cells at their sites, lymphoid cells and MSCs at theirs.

    `X` holds the traits [cells × traits], nan where a kind has none; `obs` the kind (a category), the
    dose a cell came with and its number (0 for bulk cells, which have none); `obsm["spatial"]` positions
    (x, y, z) in µm, without z where the block is a slab; `uns["day"]` the day of the snapshot.
    Raises InputError where no snapshot was recorded within half a day, or anndata is not installed.
    """
    try:
        import anndata
    except ModuleNotFoundError:
        raise InputError(
            "The package anndata is not installed.", "pip install 'msc-simulator[export]'"
        ) from None
    listed, sites = lesion.cells(day), _bulk(lesion, day)
    cells = pd.concat([listed.astype({"kind": str}), sites], ignore_index=True)
    traits = [name for name in cells if name not in _ABOUT and not name.startswith("position_")]
    axes = ["position_x", "position_y", "position_z"]
    flat = lesion.snapshot(day)["kind"].shape[0] == 1
    about = pd.DataFrame({name: cells[name] for name in _ABOUT if name in cells})
    about = about.fillna({name: 0 for name in ("id", "dose_id", "engaged") if name in about})
    about = about.astype({"kind": "category"} | {name: np.int64 for name in about if name != "kind"})
    about.index = about.index.astype(str)
    found = anndata.AnnData(cells[traits].to_numpy(np.float32), obs=about)
    found.var_names = [name.removeprefix("trait_") for name in traits]
    found.obsm["spatial"] = cells[axes[: 2 if flat else 3]].to_numpy(np.float64)
    found.uns["day"] = float(lesion.snapshot(day)["day"])
    return found


def _bulk(lesion: "Lesion", day: float) -> pd.DataFrame:
    """Cells that stand in the grids alone: bulk kinds without an identity, with their traits."""
    shown = lesion.snapshot(day)
    kind = shown["kind"]
    names = dict(zip(kind.attrs["flag_values"].tolist(), kind.attrs["flag_meanings"].split(), strict=True))
    tracked = set(lesion.cells(day)["kind"].dropna().unique())
    codes = [code for code, name in names.items() if code and name not in tracked]
    place = np.nonzero(np.isin(kind.values, codes))
    table: dict[str, Any] = {"kind": [names[code] for code in kind.values[place].tolist()]}
    for axis, index in zip("zyx", place, strict=True):
        table[f"position_{axis}"] = kind[axis].values[index]
    for name, array in shown.items():
        if name not in ("kind", "lymphoid") and array.dims == kind.dims and array.attrs["units"] == "1":
            table[f"trait_{name}"] = array.values[place]
    return pd.DataFrame(table)
