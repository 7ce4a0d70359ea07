"""The group /VTKHDF: the site-grid snapshots of lesion 0 as a VTK ImageData with time steps.

Nothing is stored twice: arrays and step times are soft links.  Format:
https://docs.vtk.org/en/latest/vtk_file_formats/vtkhdf_file_format/index.html
"""

from typing import TYPE_CHECKING

import h5py
import numpy as np

from .files import replace_attribute

if TYPE_CHECKING:
    from .layout import LesionLayout

_STEPS = "VTKHDF/Steps"


def add(file: h5py.File, layout: "LesionLayout") -> None:
    """Add /VTKHDF over those datasets of /snapshots that have one value a site, as cell data."""
    z, y, x = layout.shape
    image = file.create_group("VTKHDF")
    image.attrs["Version"] = np.array([2, 0])
    image.attrs["Type"] = np.bytes_(b"ImageData")
    image.attrs["WholeExtent"] = np.array([0, x, 0, y, 0, z])
    image.attrs["Origin"] = np.zeros(3)
    image.attrs["Spacing"] = np.full(3, float(layout.spacing_um))
    image.attrs["Direction"] = np.eye(3).ravel()
    cells = image.create_group("CellData")
    for snapshot in layout.snapshots:
        if snapshot.grid == (1, 1, 1):
            cells[snapshot.name] = h5py.SoftLink(f"/snapshots/{snapshot.name}")
    steps = file.create_group(_STEPS)
    steps.attrs["NSteps"] = 0
    steps["Values"] = h5py.SoftLink("/snapshot_time")


def set_steps(file: h5py.File, count: int) -> None:
    """Say that `count` steps may be shown; allowed while the file is in SWMR mode."""
    replace_attribute(file[_STEPS], "NSteps", count)
