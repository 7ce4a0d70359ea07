"""Just enough HTML: elements whose texts are always escaped, tables, and figures set into a page."""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import style
from .canvas import Plot, clean

_SCHEME = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.RULE: "var(--rule)",
    style.PAPER: "var(--paper)",
}


class Html(str):
    """Text that is markup already; every other text is escaped when it enters an element."""

    def __add__(self, other: str) -> "Html":
        return Html(str(self) + (other if isinstance(other, Html) else escaped(other)))


def tag(name: str, *children: object, **attributes: str) -> Html:
    """An element; children that are not `Html` are escaped, attributes always (`class_` is class)."""
    inside = "".join(child if isinstance(child, Html) else escaped(child) for child in children)
    given = "".join(f' {key.rstrip("_")}="{escaped(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{inside}</{name}>\n")


def escaped(text: object) -> Html:
    """A user's text on one line, unprintable characters gone, safe in an element or an attribute."""
    return Html(html.escape(clean(text)))


def join(parts: Iterable[Html]) -> Html:
    """Several elements, one after the other."""
    return Html("".join(parts))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numeric: str) -> Html:
    """A table; `numeric` holds 'n' for each column of numbers and '-' for each of texts."""
    kinds = ["n" if kind == "n" else "t" for kind in numeric]
    top = join(tag("th", name, class_=kind, scope="col") for name, kind in zip(head, kinds, strict=True))
    body = (join(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)) for row in rows)
    inside = tag("table", tag("thead", tag("tr", top)), tag("tbody", join(tag("tr", row) for row in body)))
    return tag("div", inside, class_="wide")


def figure(plot: Plot, count: int, files: Sequence[Path]) -> Html:
    """A figure with its numbered caption and the names of its files."""
    links = Html(" · ").join(tag("a", f.suffix[1:].upper(), href=f"figures/{f.name}") for f in files)
    name = tag("b", f"Figure {count}. {plot.heading}.")
    caption = tag("figcaption", name, Html(" "), plot.caption, Html(f" {links}"))
    svg = next(file for file in files if file.suffix == ".svg").read_text(encoding="utf-8")
    drawing = tag("div", inline(svg, plot), class_="wide")
    return tag("figure", drawing, caption, id=f"figure-{plot.name}", class_="card")


def inline(svg: str, plot: Plot) -> Html:
    """A figure's SVG as part of a page: its own ids, the page's font and the page's light or dark colors."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    opening = f'<svg role="img" aria-label="{escaped(plot.heading)}"'
    widest = round(96 * plot.figure.get_figwidth())
    svg = svg.replace("<svg", f'{opening} style="max-width: {widest}px"', 1)
    svg = _named(svg, plot.name)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{plot.name}-", svg)
    svg = re.sub(r"(font: [^;\"]*?px) '[^;\"]*", r"\1 var(--font)", svg)
    for color, variable in _SCHEME.items():
        svg = re.sub(rf"((?:fill|stroke): ){color}", rf"\g<1>{variable}", svg)
    return Html(svg)


def _named(svg: str, prefix: str) -> str:
    """Put a prefix before every id; what bears one a second time (an image shown again) loses it."""
    seen: set[str] = set()

    def renamed(found: re.Match) -> str:
        again = found[1] in seen
        seen.add(found[1])
        return "" if again else f' id="{prefix}-{found[1]}"'

    return re.sub(r' id="([^"]*)"', renamed, svg)
