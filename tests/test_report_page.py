"""The page: one file that asks nothing of a network, says what is missing, and trusts no text."""

import json
import re
from html.parser import HTMLParser

import pytest
from report_fakes import ARMS, EVERYTHING, Fake, FakeArm, make_study

from simulator.base.errors import InputError, SimulatorError
from simulator.report import page, style
from simulator.report.html import Html, tag
from simulator.report.study import open_study

SMALL = {"days": 4, "every": 2, "shape": (2, 8, 8), "patients": 2}
LEAN = {**SMALL, "without": EVERYTHING - {"tumor_volume"}}
VOID = {"meta", "br"}
TWO = {name: ARMS[name] for name in ("vehicle", "thrice")}


class Reader(HTMLParser):
    """Collects what a page holds, and insists that every element it opens is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_study(tmp_path_factory.mktemp("report") / "study", Fake(**SMALL))
    (folder / "log.txt").write_text(
        "2026-01-01 00:00:00,000 INFO    12 runs\n2026-01-01 00:00:01,000 WARNING expect 3 MSCs\n"
    )
    page.write(folder)
    return folder


@pytest.fixture(scope="module")
def read(folder):
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_leads_with_the_answer(read):
    assert read.text.index("thrice against vehicle") < read.text.index("Figure 1.")
    for words in (
        "One dose or several",
        "Does the schedule matter",
        "95 % interval",
        "expect 3 MSCs",
        "seed 1",
    ):
        assert words in read.text.replace("\u00a0", " ")


def test_nothing_is_fetched_and_nothing_runs(read, folder):
    assert not {"script", "link", "iframe", "object", "img"} & set(read.tags)
    for name in ("href", "src", "xlink:href"):
        assert all(
            re.match(r"#|data:image/png;base64,|figures/\w+\.(svg|png)$", v) for v in read.values(name)
        )
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert not [key for key, _ in read.attributes if key.startswith("on")]


def test_every_link_leads_somewhere_and_no_name_is_used_twice(read, folder):
    names = read.values("id")
    assert len(names) == len(set(names))
    links = [
        link.removeprefix("#")
        for key in ("href", "xlink:href")
        for link in read.values(key)
        if link[0] == "#"
    ]
    assert links and set(links) <= set(names)
    clips = re.findall(r"url\(#([^)]*)\)", (folder / "report.html").read_text(encoding="utf-8"))
    assert clips and set(clips) <= set(names)
    assert all((folder / link).is_file() for link in read.values("href") if link.startswith("figures/"))


def test_the_overview_stands_with_the_answer(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    answer = text.split('<section id="answer">')[1].split("</section>")[0]
    assert "Figure 1." in answer and "figures/overview.svg" in answer


def test_figures_are_numbered_as_they_come(read):
    numbers = [int(number) for number in re.findall(r"Figure (\d+)\.", read.text)]
    assert numbers == list(range(1, len(page.FIGURES) + 1))


def test_figures_follow_the_scheme_of_the_reader(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--ink)" in drawings and "var(--paper)" in drawings
    assert not [color for color in (style.INK, style.PAPER, style.RULE) if color in drawings]
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_every_figure_stands_in_the_folder_and_on_the_page(folder, read):
    figures = sorted(path.name for path in (folder / "figures").iterdir())
    assert len(figures) == 2 * len(page.FIGURES) == 2 * read.tags.count("figure")
    assert not [name for name in figures if name.startswith(".")]


def test_the_same_study_gives_the_same_page(folder):
    before = (folder / "report.html").read_bytes()
    assert page.write(folder).read_bytes() == before


def test_hostile_texts_stay_texts(tmp_path):
    bad = '</title></style><script>alert(1)</script><a href="javascript:x" onclick=x>'
    arms = {bad: FakeArm(), "NA": FakeArm((0.0,)), "1": FakeArm((0.0,), growth=0.5)}
    fake = Fake(arms=arms, reference=bad, title=f"\x00{bad}\ud800", **LEAN)
    page.write(make_study(tmp_path / "study", fake))
    read = Reader((tmp_path / "study" / "report.html").read_text(encoding="utf-8"))
    assert "script" not in read.tags and not read.values("onclick")
    assert "NA against </title>" in read.text and "1 against </title>" in read.text
    assert all(not link.startswith("javascript") for link in read.values("href"))


def test_few_mscs_are_said_at_the_top(tmp_path):
    arms = {"vehicle": FakeArm(), "msc": FakeArm((0.0,), expected=0.5)}
    page.write(make_study(tmp_path / "study", Fake(arms=arms, **LEAN)))
    read = Reader((tmp_path / "study" / "report.html").read_text(encoding="utf-8"))
    assert "too few MSCs in the block to tell (0.5 expected per dose, 10 needed)" in read.text
    assert "no effect" not in read.text


def test_unfinished_and_damaged_runs_and_lost_tables_are_told(tmp_path):
    folder = make_study(tmp_path / "study", Fake(arms=TWO, **LEAN))
    first, second, *_ = sorted((folder / "runs").iterdir())
    first.unlink()
    second.write_bytes(b"not HDF5")
    (folder / "tables" / "doses.csv").unlink()
    read = Reader(page.write(folder).read_text(encoding="utf-8"))
    assert "1 of 4 runs are not finished" in read.text
    assert "is left out" in read.text and "There is no table doses.csv" in read.text
    assert "The figure 'calendar' is not drawn" in read.text


def test_a_warning_of_many_runs_is_told_once(tmp_path):
    folder = make_study(tmp_path / "study", Fake(arms=TWO, **LEAN), tables=False)
    day = "2026-01-01 00:00:00,000"
    lines = ["INFO    1 of 2 runs", "WARNING tumor (0.79 mL) too large", "WARNING tumor (8e-1 mL) too large"]
    (folder / "log.txt").write_text("".join(f"{day} {line}\n" for line in [*lines, "ERROR   lost"]))
    assert open_study(folder).warnings == ["tumor (0.79 mL) too large", "lost"]


def test_a_fan_of_few_runs_is_their_range(tmp_path):
    few = open_study(make_study(tmp_path / "few", Fake(arms=TWO, **LEAN), tables=False))
    assert few.spread == ("range", 0.0, 1.0)
    for arm in few.arms:
        few.files |= {(arm, patient, 1): few.folder for patient in range(3, 22)}
    assert few.spread == ("5–95 %", 0.05, 0.95)


def test_a_study_that_has_not_begun_has_a_page(tmp_path):
    folder = make_study(tmp_path / "study", Fake(arms=TWO, **LEAN), tables=False)
    for path in (folder / "runs").iterdir():
        path.unlink()
    read = Reader(page.write(folder).read_text(encoding="utf-8"))
    assert "nothing to draw yet" in read.text and "svg" not in read.tags


def test_studies_without_comparison_of_one_person_or_of_several_lesions_have_pages(tmp_path):
    alone = Fake(arms=TWO, reference=None, **{**LEAN, "patients": 1})
    for name, fake in {"alone": alone, "two": Fake(arms=TWO, lesions=2, **LEAN)}.items():
        read = Reader(page.write(make_study(tmp_path / name, fake)).read_text(encoding="utf-8"))
        assert "figure" in read.tags
        assert ("declares no reference" in read.text) == (name == "alone")


@pytest.mark.parametrize("plan", [None, "{", "[]", json.dumps({"runs": [], "format": "other"})])
def test_a_folder_that_holds_no_study_is_refused(tmp_path, plan):
    if plan is not None:
        (tmp_path / "plan.json").write_text(plan)
    with pytest.raises(InputError, match=r"plan\.json"):
        page.write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        page.write(tmp_path / "nowhere")


def test_a_page_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    folder = make_study(
        tmp_path / "study", Fake(arms={"vehicle": FakeArm()}, reference=None, **LEAN), tables=False
    )
    (folder / "report.html").mkdir()
    with pytest.raises(SimulatorError, match=r"report\.html cannot be written"):
        page.write(folder)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_markup_enters_only_where_it_is_meant():
    assert tag("p", "<b>", Html("<i>"), class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;<i></p>\n'
    assert Html("<i>") + "<b>" == "<i>&lt;b&gt;"
