"""Runs in other people's formats hold the same numbers."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import run_fakes as fakes
from PIL import Image

import simulator as sim
from simulator import cli
from simulator.base.errors import InputError
from simulator.report.export import FORMATS, export


def listed_apart(row: int) -> tuple[list[dict], list[dict]]:
    """The arrays and cells of a snapshot, every listed cell a CD8: a kind has an identity or has none."""
    arrays, agents = SNAPSHOT(row)
    return arrays, [cells | {"kind": np.full_like(cells["kind"], fakes.KINDS["cd8"])} for cells in agents]


SNAPSHOT = fakes.snapshot


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fakes, "snapshot", listed_apart)
        return fakes.write(tmp_path_factory.mktemp("run") / "run.h5")


def test_tables_hold_every_series_cell_and_event(path, tmp_path):
    folder, run = export(path, "csv", tmp_path / "tables"), sim.read(path)
    series = pd.read_csv(folder / "series.csv", index_col="day", float_precision="round_trip")
    assert series["tumor_cells"].tolist() == run.series["tumor_cells"].values.tolist()
    body = pd.read_csv(folder / "body.csv", float_precision="round_trip")
    assert body["msc_lung"].tolist() == run.body["msc_lung"].values.tolist()
    for number in (0, 1):
        for day in run.snapshot_days:
            ending = "_lesion1" if number else ""
            cells = pd.read_csv(folder / f"cells{ending}_day{day:g}.csv")
            assert cells["id"].tolist() == run.cells(day, number)["id"].tolist()
    assert pd.read_csv(folder / "events.csv")["drug"].tolist() == run.events["drug"].tolist()
    units = pd.read_csv(folder / "units.csv").set_index(["table", "column"])
    assert units.loc[("series", "tumor_cells"), "unit"] == "cells"


def test_a_vtk_file_of_its_own_holds_every_step(path, tmp_path):
    vtk = pytest.importorskip("vtkmodules.vtkIOHDF")
    from vtkmodules.util.numpy_support import vtk_to_numpy

    reader, run = vtk.vtkHDFReader(), sim.read(path)
    reader.SetFileName(str(export(path, "vtkhdf", tmp_path / "run.vtkhdf")))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 3
    for step, day in enumerate(run.snapshot_days):
        reader.SetStep(step)
        reader.Update()
        assert reader.GetTimeValue() == day
        for name in ("kind", "pdl1"):
            shown = run.snapshot(day)[name].values
            values = vtk_to_numpy(reader.GetOutput().GetCellData().GetArray(name)).reshape(shown.shape)
            assert (values == shown).all()


def test_pictures_show_the_sections_one_after_the_other(path, tmp_path):
    folder = export(path, "png", tmp_path / "pictures")
    assert sorted(p.name for p in folder.iterdir()) == ["day0.png", "day4.png", "day8.png"]
    still = np.asarray(Image.open(folder / "day4.png").convert("RGB"))
    assert len(np.unique(still.reshape(-1, 3), axis=0)) > 20
    with Image.open(export(path, "gif", tmp_path / "run.gif")) as moving:
        assert moving.n_frames == 3
        assert moving.size == Image.open(folder / "day4.png").size


def test_cells_as_anndata_are_those_of_the_snapshot(path, tmp_path):
    anndata = pytest.importorskip("anndata")
    folder, run = export(path, "h5ad", tmp_path / "cells"), sim.read(path)
    cells = anndata.read_h5ad(folder / "day4.h5ad")
    listed, shown = run.cells(4), run.snapshot(4)
    tumor = int((shown["kind"].values == fakes.KINDS["tumor"]).sum())
    assert (cells.obs["kind"] == "tumor").sum() == tumor
    assert cells.obs["id"][: len(listed)].tolist() == listed["id"].tolist()
    np.testing.assert_array_equal(cells.obsm["spatial"][: len(listed), 2], listed["position_z"])
    at = np.round(cells.obsm["spatial"][len(listed) :] / 15 - 0.5).astype(int)
    pdl1 = cells.X[len(listed) :, list(cells.var_names).index("pdl1")]
    np.testing.assert_array_equal(pdl1, shown["pdl1"].values[at[:, 2], at[:, 1], at[:, 0]])
    assert cells.uns["day"] == 4


def test_neighborhood_enrichment_runs_on_the_exported_cells(path):
    squidpy = pytest.importorskip("squidpy")
    cells = sim.read(path).to_anndata(day=8)
    squidpy.gr.spatial_neighbors_knn(cells, n_neighs=6)
    squidpy.gr.nhood_enrichment(cells, cluster_key="kind", n_perms=20, show_progress_bar=False)
    assert cells.uns["kind_nhood_enrichment"]["zscore"].shape == (len(cells.obs["kind"].cat.categories),) * 2


def test_without_anndata_the_error_says_how_to_get_it(path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(InputError, match=r"not installed\.\n.*msc-simulator\[export\]"):
        export(path, "h5ad", tmp_path / "cells")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_nonsense_is_refused(path, tmp_path, capsys):
    copy = tmp_path / "run.h5"
    copy.write_bytes(path.read_bytes())
    assert cli.main(["export", str(copy), "--to", "gif"]) == cli.DONE
    assert capsys.readouterr().out == f"Wrote {tmp_path / 'run.gif'}\n"
    assert cli.main(["export", str(copy), "--to", "gif"]) == cli.BAD_INPUT
    assert "--force" in capsys.readouterr().err
    assert cli.main(["export", str(copy), "--to", "gif", "--force"]) == cli.DONE
    assert cli.main(["export", str(copy), "--to", "gf"]) == cli.BAD_INPUT
    assert "Did you mean 'gif'?" in capsys.readouterr().err
    assert set(FORMATS) == {"csv", "h5ad", "vtkhdf", "png", "gif"}


def test_a_run_without_snapshots_has_no_pictures(tmp_path):
    fakes.write(tmp_path / "run.h5", until=0)
    for to in ("vtkhdf", "png", "gif", "h5ad"):
        with pytest.raises(InputError, match="holds no snapshot"):
            export(tmp_path / "run.h5", to)
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5.part"]
