"""The report: figures in a folder, and one HTML file that holds everything and asks nothing of a network."""

from pathlib import Path

from ..base.errors import InputError
from . import attribution, border_plot, dosing, forest, maps, overview, plots, sections, sweep_plots, trial
from .canvas import Inapplicable, Missing, Plot, save, write_whole
from .html import Html, escaped, figure as framed, join, tag
from .study import Study, open_study

FIGURES = (  # in the order of the page, which numbers them
    overview.overview,
    dosing.calendar,
    *forest.FIGURES,
    plots.tumor_volume,
    plots.paired_difference,
    plots.cell_counts,
    plots.immune_density,
    dosing.biodistribution,
    plots.chemokine,
    attribution.attribution,
    *maps.FIGURES,
)

_OF_TRIALS = (*trial.FIGURES, plots.tumor_volume, dosing.biodistribution, maps.tissue)
OF_SWEEPS = (  # before those of the file itself
    sweep_plots.importance,
    sweep_plots.effects,
    border_plot.border,
    sweep_plots.courses,
)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write(folder: Path | str) -> Path:
    """Draw the figures of a study and write its report; returns the path of `report.html`.

    Reads plan.json, tables/*.csv and runs/*.h5 of `folder`, writes figures/*.svg,
    figures/*.png and report.html; what is missing is said in the report.  Raises
    InputError where the folder holds no study, SimulatorError where it cannot be
    written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.", "Give the folder of a study that has run.")
    if not (folder / "plan.json").is_file():
        raise InputError(
            f"{folder} holds no study: there is no plan.json in it.",
            "Give the folder that `simulator run` wrote into (its --out).",
        )
    study = open_study(folder)
    study.trial = trial.read_tables(folder)
    figures = _figures(study)
    path = folder / "report.html"
    write_whole(path, _page(study, figures).encode("utf-8"))
    return path


def _figures(study: Study) -> dict[str, Html]:
    """Draw and save every figure that the study has numbers for; note the others."""
    framed_figures: dict[str, Html] = {}
    of_runs = (_OF_TRIALS if study.trial else FIGURES) if study.files else ()
    for draw in (*(OF_SWEEPS if study.plan.sweep is not None else ()), *of_runs):
        try:
            plot: Plot = draw(study)
        except Inapplicable:
            continue
        except Missing as missing:
            study.notes.append(f"The figure '{draw.__name__.replace('_', ' ')}' is not drawn: {missing}.")
            continue
        files = save(plot, study.folder / "figures")
        framed_figures[plot.name] = framed(plot, len(framed_figures) + 1, files)
    return framed_figures


def _page(study: Study, figures: dict[str, Html]) -> str:
    parts = sections.all_sections(study, figures)
    contents = tag("nav", tag("ol", join(
        tag("li", tag("a", part.heading, href=f"#{part.anchor}")) for part in parts
    )), aria_label="Contents")  # fmt: skip
    body = join(tag("section", tag("h2", part.heading), part.body, id=part.anchor) for part in parts)
    css = Html(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))
    head = join([
        Html('<meta charset="utf-8">\n'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{escaped(_POLICY)}">\n'),
        tag("title", study.plan.title or "Study"),
        tag("style", css),
    ])  # fmt: skip
    page = tag("head", head)
    page += tag("body", sections.header(study, contents), tag("main", body), sections.footer(study))
    return f'<!DOCTYPE html>\n<html lang="en">\n{page}</html>\n'
