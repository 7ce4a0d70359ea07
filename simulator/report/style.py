"""How everything looks: one color per cell kind, one per arm, one set of drawing defaults.

Both palettes stay apart for readers with deutan, protan or tritan vision (a test
simulates all three after Machado et al. 2009, doi:10.1109/TVCG.2009.113); arms
also differ in dashes, so a gray print can be read.
"""

from collections.abc import Iterable
from typing import Any

INK = "#1d2630"  # text, axes and the reference arm
MUTED = "#66717d"  # secondary text
RULE = "#d9dee4"  # grid lines
PAPER = "#fefefe"  # behind a figure; the page exchanges these four for its own

KINDS = {
    "empty": "#ffffff",
    "tumor": "#f8c99a",
    "stroma": "#bad3f5",
    "vessel": "#cc1423",
    "necrosis": "#3a1f38",
    "debris": "#a1989a",
    "msc": "#e88e0c",
    "cd8": "#163d94",
    "cd4": "#48a7ff",
    "treg": "#a53bd6",
    "nk": "#167379",
}
_OTHER_KINDS = ("#7a8b2d", "#8c564b", "#e377c2", "#17becf", "#606060")

MARKS = {"msc": "D", "nk": "^", "treg": "s"}  # in a section; all other cells drawn as marks are dots

KIND_WORDS = {
    "tumor": "tumor cells",
    "msc": "MSCs",
    "cd8": "CD8 T cells",
    "cd4": "CD4 T cells",
    "treg": "Treg",
    "nk": "NK cells",
    "vessel": "vessels",
}

ARMS = ("#0072b2", "#d55e00", "#2bb583", "#a98ad6", "#d9a400", "#9c2f6f")
_DASHES = ((), (6, 2), (2, 1.5), (8, 2, 2, 2))

COMPARTMENTS = {
    "lung": "#5b7fa6",
    "blood": KINDS["vessel"],
    "liver_spleen": "#8a5a44",
    "elsewhere": "#9aa3ad",
    "tumor": KINDS["msc"],
}

# Best overall responses; NE is hatched too.  Grades of adverse events: the darker the worse.
RESPONSES = {"CR": "#0b3c8c", "PR": "#4aa3df", "SD": "#d8b24a", "PD": "#b8401c", "NE": "#c3c8ce"}
RESPONSE_WORDS = {
    "CR": "complete response",
    "PR": "partial response",
    "SD": "stable disease",
    "PD": "progressive disease",
    "NE": "not evaluable",
}
GRADES = {1: "#f6dcc0", 2: "#eeab6e", 3: "#d3612e", 4: "#912a1a", 5: "#3f0d12"}

_DRUGS = ("#5b6f94", "#8a5a44", "#4c8a7d")
_MARKS = "osDv^"

FIELD_MAP = "viridis"

RC: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # a name with a dollar sign is a name, not a formula
    "font.size": 9,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "ytick.minor.size": 0,
    "xtick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "svg.hashsalt": "simulator",
    "path.simplify": True,
}


def kind_colors(kinds: Iterable[str]) -> dict[str, str]:
    """Color of each kind; a user's own kinds take spare colors in the order of their names."""
    names = list(kinds)
    strangers = sorted(set(names) - set(KINDS))
    spare = {name: _OTHER_KINDS[i % len(_OTHER_KINDS)] for i, name in enumerate(strangers)}
    return {name: KINDS.get(name) or spare[name] for name in names}


def kind_words(kind: str) -> str:
    """What a kind is called in a legend."""
    return KIND_WORDS.get(kind, kind.replace("_", " "))


def arm_styles(arms: Iterable[str], reference: str | None) -> dict[str, dict[str, Any]]:
    """Line color and dashes of each arm: the reference in ink, the others in the order given."""
    styles: dict[str, dict[str, Any]] = {}
    taken = 0
    for arm in arms:
        if arm == reference:
            styles[arm] = {"color": INK, "dashes": (None, None)}
            continue
        dashes = _DASHES[(taken // len(ARMS) + taken) % len(_DASHES)] or (None, None)
        styles[arm] = {"color": ARMS[taken % len(ARMS)], "dashes": dashes}
        taken += 1
    return styles


def product_looks(products: Iterable[str], cells: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Color and marker of each product given: living cells (`cells`) in the color of MSCs."""
    looks, living, drugs = {}, set(cells), 0
    for i, product in enumerate(products):
        color = KINDS["msc"] if product in living else _DRUGS[drugs % len(_DRUGS)]
        drugs += product not in living
        looks[product] = (color, _MARKS[i % len(_MARKS)])
    return looks
