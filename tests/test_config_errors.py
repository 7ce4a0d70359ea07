"""What a user sees who writes something wrong: the place, what was given, what is allowed."""

from pathlib import Path

import pytest
from config_tiny import EXPERIMENT, FILES, VOCABULARY, catalogue, experiment
from hypothesis import HealthCheck, given, settings, strategies as st

from simulator.base.errors import InputError, Problem
from simulator.config.load import load


def problems(folder: Path, text: str = EXPERIMENT, overrides: tuple[str, ...] = ()) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        experiment(folder, text, overrides)
    assert caught.value.exit_code == 2
    return caught.value.problems


def only(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> Problem:
    found = problems(folder, text, overrides)
    assert len(found) == 1, "\n".join(str(problem) for problem in found)
    return found[0]


def marked(problem: Problem) -> str:
    """The text from the caret on."""
    assert problem.where is not None
    return problem.where.text[problem.where.column - 1 :]


def replaced(old: str, new: str) -> str:
    assert old in EXPERIMENT
    return EXPERIMENT.replace(old, new)


def also(section: str) -> str:
    return f"{EXPERIMENT}{section}"


def kind(text: str) -> str:
    return also(f"cells:\n  {text}")


def does(name: str, behavior: str) -> str:
    return kind(f"{name}: {{behaviors: {{{behavior}}}}}")


def row(name: str, rule: str) -> str:
    return kind(f"{name}: {{rules: [{{{rule}}}]}}")


PLANNED = [
    # text, where the caret stands, words of the message
    (replaced("title", "titel"), "titel:", ["no key 'titel'", "Did you mean 'title'?"]),
    (replaced("duration: 42 d\n", ""), "title:", ["lacks 'duration'"]),
    (replaced("block: {shape: [12, 12, 12], phenotype: excluded}\n", ""), "title:", ["lacks 'block'"]),
    (replaced("duration: 42 d", "duration: 42"), "42", ["no unit", "21 d"]),
    (replaced("duration: 42 d", "duration: 42 mm"), "42 mm", ["a length", "a time is expected"]),
    (replaced("duration: 42 d", "duration: 42 dys"), "42 dys", ["'dys' is no unit"]),
    (replaced("duration: 42 d", "duration: 0 d"), "0 d", ["must be above 0"]),
    (replaced("duration: 42 d", "duration: [42 d]"), "[42 d]", ["is not a number"]),
    (replaced("seed: 7", "seed: -1"), "-1", ["at least 0"]),
    (replaced("seed: 7", "seed: 1.5"), "1.5", ["whole number"]),
    (replaced("seed: 7", "seed: true"), "true", ["whole number"]),
    (replaced("seed: 7", "seed: .nan"), ".nan", ["not a finite number"]),
    (replaced("seed: 7", "seed: 1e999"), "1e999", ["too large"]),
    (replaced("patients: 3", "patients: 0"), "0", ["at least 1"]),
    (replaced("patients: 3", "patients: three"), "three", ["'three'", "whole number"]),
    (replaced("title: Weekly against three-weekly", "title: 12"), "12", ["is not text"]),
    (replaced("seed: 7", "seed: 7\nseed: 8"), "seed: 8", ["a second time", "line 14"]),
    (
        replaced("burn_in: 5 d", "burn_in: until tumor cells"),
        "until tumor",
        ["number of tumor cells", "at most 60 d"],
    ),
    (replaced("burn_in: 5 d", "burn_in: -5 d"), "-5 d", ["negative"]),
    (kind("tumor: {invades: {cd8: 0.1}}"), "cd8", ["'cd8' does not live in the bulk layer", "stroma"]),
    (kind("tumor: {invades: {vessel: 0.1}}"), "invades", ["tumor cannot invade vessel"]),
    (kind("tumor: {invades: {msc: 0.1}}"), "invades", ["tumor cannot invade msc"]),
    (kind("tumor: {invades: {stroma: 1.5}}"), "1.5", ["at most 1"]),
    (kind("cd8: {invades: {stroma: 0.1}}"), "invades", ["bulk kinds without an identity"]),
    (kind("msc: {invades: {stroma: 0.1}}"), "invades", ["bulk kinds without an identity"]),
    (does("cd8", "migrate: {passes: {cd8: 0.1}}"), "cd8", ["does not live in the bulk layer"]),
    (does("cd8", "migrate: {anywhere: true}"), "anywhere", ["migrate does not take this key"]),
    (replaced("burn_in: 5 d", "burn_in: until 0.5 tumor cells"), "until", ["no number of cells"]),
    (replaced("burn_in: 5 d", "burn_in: {from: none.h5}"), "none.h5", ["no file 'none.h5'"]),
    (replaced("every 1 d", "each day"), "each day", ["no schedule", "every 1 d"]),
    (replaced("every 1 d", "[0, 1]"), "[0, 1]", ["0 has no unit", "a time is expected"]),
    (replaced("every 1 d", "5"), "5,", ["no schedule"]),
    (replaced("series: every", "serie: every"), "serie:", ["no key 'serie'", "'series'"]),
    (replaced("record: {series: every 1 d, snapshots: every 21 d}", "record: [1]"), "[1]", ["mapping"]),
    (replaced("reference: q21d", "reference: q21"), "q21,", ["no arm 'q21'", "'q21d'"]),
    (replaced("log tumor_volume", "log tumor_volumes"), "log tumor_volumes", ["'tumor_volume'"]),
    (replaced("at: 42 d", "at: 50 d"), "50 d", ["after the end"]),
    (replaced("at: 42 d", "at: 1.5 d"), "1.5 d", ["No record", "every 1 d"]),
    # blocks
    (replaced("[12, 12, 12]", "[12]"), "[12]", ["must hold 3"]),
    (replaced("[12, 12, 12]", "[12, 0]"), "0]", ["at least 1"]),
    (replaced("[12, 12, 12]", "[1.5, 12, 12]"), "1.5", ["whole number"]),
    (replaced("[12, 12, 12]", "[2000, 2000, 2000]"), "[2000", ["too large"]),
    (replaced("excluded}", "exclude}"), "exclude}", ["no phenotype 'exclude'", "'excluded'"]),
    (replaced("excluded}", "excluded, mode: nodul}"), "nodul}", ["'nodul' is not allowed", "'nodule'"]),
    (replaced("excluded}", "excluded, mode: nodule}"), "block:", ["number of cells"]),
    (replaced("excluded}", "excluded, cells: 10}"), "cells:", ["for a nodule"]),
    (replaced("[12, 12, 12]", "[12, 12, 13], walls: periodic"), "[12, 12, 13]", ["periodic", "must divide"]),
    # use and arms
    (replaced("anti_pd1]", "anti_pd]"), "anti_pd]", ["no entry 'anti_pd'", "'anti_pd1'"]),
    (replaced("anti_pd1]", "7]"), "7]", ["names 7"]),
    (replaced("anti_pd1]", "other.yaml]"), "other.yaml]", ["Cannot read", "other.yaml"]),
    (replaced("doses: weekly", "doses: weakly"), "weakly}", ["no regimen 'weakly'", "'weekly'"]),
    (replaced("doses: weekly", "dose: weekly"), "dose:", ["no key 'dose'", "'doses'"]),
    (replaced("doses: weekly", "doses: 5"), "5}", ["no regimen"]),
    (replaced("doses: weekly", "block: {site: 20 um}"), "block:", ["day 0", "`tissue:`"]),
    (replaced("doses: weekly", "duration: 3 d"), "duration:", ["cannot differ between arms"]),
    (replaced("doses: weekly", "tissue: {seed: 3}"), "seed:", ["no key 'seed'"]),
    (replaced("doses: weekly", "cells: {cd8: null}"), "q7d:", ["from day 0", "cd8"]),
    (replaced("doses: weekly", "cells: {cd9: null}"), "cd9:", ["no 'cd9'", "'cd8'"]),
    (replaced("  q7d:", "  Q7D:"), "Q7D:", ["not a name", "'q7d'"]),
    # cells
    (does("new", "die: {base: 1 /d}"), "new:", ["lacks 'layer'"]),
    (kind("new: {layer: bluk}"), "bluk}", ["'bulk'"]),
    (kind("empty: {layer: bulk}"), "empty:", ["another name"]),
    (kind("new: {layer: lymphoid, tracked: true}"), "tracked:", ["bulk kinds"]),
    (kind("tumor: {traits: {mhc1: {share: 2}}}"), "2}", ["at most 1"]),
    (kind("tumor: {traits: {mhc1: {log_sd: 1}}}"), "mhc1:", ["one of share, median and mean"]),
    (kind("tumor: {traits: {mhc1: high}}"), "high}", ["not a number"]),
    (kind("tumor: {behaviours: {}}"), "behaviours:", ["'behaviors'"]),
    (does("tumor", "dvide: {base: 1 /d}"), "dvide:", ["'divide'"]),
    (does("tumor", "divide o2: {base: 1 /d}"), "divide o2:", ["takes no name"]),
    (does("tumor", "secrete: {base: 1 /d}"), "secrete:", ["name of a field"]),
    (
        does("tumor", "secrete cxcl99: {base: 1 ng/Mcell/d}"),
        "secrete cxcl99",
        ["no field 'cxcl99'", "'cxcl9'"],
    ),
    (does("tumor", "kill: {base: 1 /d, targets: tumor}"), "kill:", ["bulk layer and cannot kill"]),
    (
        does("tumor", "express pdl2: {base: 1, rise: 1 /d, fall: 1 /d}"),
        "express pdl2",
        ["no trait 'pdl2'", "'pdl1'"],
    ),
    (does("tumor", "die: {base: -1 /d}"), "-1 /d", ["at least 0"]),
    (does("tumor", "die: {base: 1}"), "1}", ["no unit"]),
    (does("tumor", "die: {base: true}"), "true", ["not a number"]),
    (does("tumor", "die: {base: 2 x}"), "2 x", ["multiple of the base"]),
    (does("tumor", "die: {hits: 3}"), "hits:", ["die does not take", "leaves"]),
    (does("tumor", "die: {leave: debris}"), "leave:", ["'leaves'"]),
    (does("tumor", "die: {leaves: cd8}"), "cd8}", ["bulk layer"]),
    (does("tumor", "die: {leaves: debri}"), "debri}", ["no kind 'debri'", "'debris'"]),
    (does("tumor", "die: {when: dying}"), "dying}", ["no trait of tumor"]),
    (does("tumor", "die: {when: engaged}"), "engaged}", ["no behavior `kill`"]),
    (does("tumor", "divide: {uses: energy}"), "energy}", ["no trait 'energy'"]),
    (does("tumor", "secrete ifng: {base: 1 /d}"), "1 /d", ["amount or mass per cell"]),
    (does("tumor", "secrete o2: {base: 1 ng/Mcell/d}"), "1 ng/Mcell", ["mmHg", "exchange"]),
    (does("cd8", "kill: {on: mhc1}"), "mhc1}", ["must be a list"]),
    (does("cd8", "kill: {on: [mhc2]}"), "mhc2]", ["tumor has no trait 'mhc2'", "'mhc1'"]),
    (does("cd8", "kill: {hits: 0}"), "0}", ["at least 1"]),
    (does("cd8", "kill: {repair: 0 min}"), "0 min", ["above 0"]),
    (does("cd8", "kill: {targets: tumour}"), "tumour}", ["no kind 'tumour'", "'tumor'"]),
    (does("cd8", "migrate: {toward: null}"), "half_max:", ["no field to follow"]),
    (does("cd8", "switch activated: {base: 1 /d}"), "switch activated", ["lacks 'set'"]),
    (does("cd8", "nothing: null"), "nothing:", ["to remove"]),
    # rules
    (kind("cd8: {rules: {divide: 1}}"), "{divide: 1}", ["list of rows"]),
    (kind("cd8: {rules: [divide]}"), "divide]", ["one behavior"]),
    (row("cd8", "divide: {to: 1 /d}"), "divide:", ["raised_by and lowered_by"]),
    (
        row(
            "cd8", "divide: {raised_by: o2, to: 1 /d, half_max: 1 mmHg}}, {divide: {raised_by: o2, to: 1 /d}"
        ),
        "divide: {raised_by: o2, to: 1 /d}}]",
        ["stands here again"],
    ),
    (
        row("cd8", "leave: {raised_by: o2, to: 1 /d, half_max: 1 mmHg}"),
        "leave:",
        ["no such behavior", "base: 0 /d"],
    ),
    (row("cd8", "lives: {raised_by: o2, to: 1 /d, half_max: 1 mmHg}"), "lives:", ["no behavior 'lives'"]),
    (
        row("cd8", "divide: {raised_by: contct cd8, to: 1 /d}"),
        "contct cd8",
        ["cannot sense", "'contact cd8'"],
    ),
    (row("cd8", "divide: {raised_by: contact cd88, to: 1 /d}"), "contact cd88", ["no kind or trait 'cd88'"]),
    (row("cd8", "divide: {raised_by: target pdl3, to: 1 /d}"), "target pdl3", ["no trait 'pdl3'", "'pdl1'"]),
    (row("cd8", "divide: {raised_by: o3, to: 1 /d}"), "o3,", ["cannot sense 'o3'", "cxcl9, ifng, o2"]),
    (row("tumor", "divide: {raised_by: engaged, to: 1 /d}"), "engaged,", ["no behavior `kill`"]),
    (row("cd8", "divide: {raised_by: o2, to: 1 /d}"), "divide:", ["needs a half_max"]),
    (row("cd8", "divide: {raised_by: o2, to: 1 /d, half_max: 1 nM}"), "1 nM", ["a pressure is expected"]),
    (row("cd8", "divide: {raised_by: o2, to: 1 /d, half_max: 0 mmHg}"), "0 mmHg", ["above 0"]),
    (row("cd8", "divide: {raised_by: activated, to: 1 /d, half_max: 1 nM}"), "1 nM", ["not a plain number"]),
    (row("cd8", "divide: {raised_by: engaged, hill: 2}"), "hill:", ["without half_max"]),
    (row("cd8", "kill: {lowered_by: target pdl1, hill: 0}"), "0}}]", ["above 0"]),
    (
        row("cd8", "kill: {lowered_by: target pdl1, blocked_by: anti_pd2}"),
        "anti_pd2",
        ["no drug 'anti_pd2'", "'anti_pd1'"],
    ),
    (row("cd8", "kill: {lowered_by: target pdl1, blocked_by: msc_cxcl9}"), "msc_cxcl9}", ["cell product"]),
    (row("cd8", "divide: {raised_by: engaged, against: plasma}"), "against:", ["needs a field"]),
    (
        row("cd8", "divide: {raised_by: o2, to: 1 /d, half_max: 1 mmHg, against: plasma}"),
        "plasma}",
        ["no plasma level of 'o2'"],
    ),
    (row("cd8", "divide: {raised_by: engaged, when: actived}"), "actived}", ["'activated'"]),
    (row("cd8", "divide: {raised_by: engaged, too: 1 /d}"), "too:", ["no key 'too'", "'to'"]),
    (row("cd8", "divide: {raised_by: activated}"), "divide:", ["lacks 'to'"]),
    (row("cd8", "divide: {raised_by: exhausted, off: true}"), "divide:", ["to switch off"]),
    (row("cd8", "die: {raised_by: exhausted, to: 0.05 /d}"), "0.05 /d", ["less than its base"]),
    (row("cd8", "die: {lowered_by: exhausted, to: 0.5 /d}"), "0.5 /d", ["more than it can reach"]),
    (row("cd8", "die: {raised_by: exhausted, to: 2 y}"), "2 y", ["a rate (1/time) is expected"]),
    # fields, drugs, body, tissue
    (also("fields: {tnf: {unit: ng, diffusion: 1 um2/s, decay: 1 /h}}"), "ng,", ["'ng' is not allowed"]),
    (also("fields: {tnf: {unit: nM, diffusion: 0 um2/s, decay: 1 /h}}"), "0 um2/s", ["above 0"]),
    (
        also("fields: {tnf: {unit: nM, diffusion: 1 um2/s, decay: 1 /h, start: 1 ng/mL}}"),
        "1 ng/mL",
        ["molar_mass"],
    ),
    (also("fields: {o2: {grid: 3}}"), "3}}", ["Allowed: 1, 2, 4"]),
    (also("fields: {o2: {grid: true}}"), "true}}", ["Allowed: 1, 2, 4"]),
    (also("drugs: {anti_pd1: {type: antibdy}}"), "antibdy}", ["Allowed: antibody, cells"]),
    (also("drugs: {other: {kd: 1 nM}}"), "other:", ["lacks 'type'"]),
    (also("drugs: {anti_pd1: {clearance: 2 mL}}"), "2 mL", ["a volume per time is expected"]),
    (also("drugs: {msc_cxcl9: {traits: {potenci: 1}}}"), "potenci:", ["'potency'"]),
    (also("drugs: {msc_cxcl9: {cell: mcs}}"), "mcs}", ["'msc'"]),
    (also("drugs: {msc_cxcl9: {viability: 101 %}}"), "101 %", ["at most 1"]),
    (
        also("drugs: {msc_cxcl9: {secretes: {cxcl8: 1 ng/Mcell/d}}}"),
        "cxcl8:",
        ["no field 'cxcl8'", "'cxcl9'"],
    ),
    (also("drugs: {other: {extends: anti_pd2}}"), "anti_pd2}", ["'anti_pd1'"]),
    (also("body: {weight: 0 kg}"), "0 kg", ["above 0"]),
    (also("body: {plasma: {cxcl9: {baselin: 1 nM}}}"), "baselin:", ["'baseline'"]),
    (also("body: {plasma: {cxcl9: {baseline: 1}}}"), "1}}}", ["no unit"]),
    (also("tissue: {stroma: 1.3}"), "1.3}", ["at most 1"]),
    (also("tissue: {stroma: 0.98}"), "0.98}", ["no site for the tumor"]),
    (also("tissue: {reach: 9}"), "9}", ["at most 4"]),
    (also("tissue: {infiltrate: {tumor: {nest: 1 cells/mm2}}}"), "tumor:", ["does not infiltrate"]),
    (also("tissue: {infiltrate: {cd8: {nests: 1 cells/mm2}}}"), "nests:", ["'nest'"]),
    (also("tissue: {infiltrate: {cd8: {nest: 1 cells}}}"), "1 cells", ["cells per area"]),
    (also("tissue: {founders: {mhc9: 1}}"), "mhc9:", ["'mhc1'"]),
    (also("step: {motility: 2 h}"), "2 h", ["longer than the tissue step"]),
    # population and phenotypes
    (also("population: {body.wieght: {log_sd: 0.2}}"), "body.wieght:", ["no 'body.wieght'", "'weight'"]),
    (also("population: {duration: {log_sd: 0.2}}"), "duration:", ["differs between patients"]),
    (
        also("population: {body.weight: {sd: 1 kg}}"),
        "body.weight:",
        ["one of log_sd", "sd (normal)", "share"],
    ),
    (also("population: {tissue.stroma: {sd: 0.1, median: 0.2}}"), "median:", ["Write mean"]),
    (also("population: {tissue.stroma: {sd: 0.1, origin: 0.2}}"), "origin:", ["does not go", "Remove it"]),
    (
        also("population: {body.weight: {log_sd: 0.1, median: 70 kg, origin: 70 kg}}"),
        "body.weight:",
        ["the median is the origin, 70 kg", "below or above"],
    ),
    (
        also("population: {tissue.stroma: {sd: 0.1}}"),
        "tissue.stroma:",
        ["A patient may be impossible", "low and high"],
    ),
    (also("population: {body.weight: {low: 40 h}}"), "body.weight:", ["a mass is expected"]),
    (also("population: {body.plasma: {log_sd: 0.1}}"), "body.plasma:", ["not a number"]),
    (also("phenotypes: {mine: {body: {weight: 60 kg}}}"), "body:", ["no key 'body'"]),
    (also("phenotypes: {mine: {cells: {cd8: {behaviors: {die: {base: 3}}}}}}"), "3}", ["no unit"]),
]


@pytest.mark.parametrize(
    ("text", "caret", "words"), PLANNED, ids=[f"{i}-{c[1][:20]}" for i, c in enumerate(PLANNED)]
)
def test_each_mistake_has_one_clear_error(tmp_path, text, caret, words):
    problem = only(tmp_path, text)
    assert marked(problem).startswith(caret), str(problem)
    for word in words:
        assert word in f"{problem.what} {problem.help}", str(problem)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("duration", ["path=value"]),
        ("=3", ["path=value"]),
        ("duratio=3 d", ["no key 'duratio'", "'duration'"]),
        ("duration=3 dd", ["'dd' is no unit"]),
        ("cells.tumr.layer=bulk", ["no 'cells.tumr'", "'tumor'"]),
        ("cells.tumor.behaviors.dvide.base=1 /d", ["'divide'"]),
        ("cells.tumor.layer.deep=1", ["'bulk'", "holds no keys"]),
        ("cells.cd8.rules.dvide.raised_by engaged.to=1 /d", ["'divide'"]),
        ("cells.cd8.rules.divide.raised_by engagd.to=1 /d", ["cannot sense 'engagd'", "'engaged'"]),
        ("arms.q8d.doses=weekly", ["no 'arms.q8d'"]),
        ("block.1.site=20 um", ["no 'block.1'"]),
        ("title=[", ["not YAML"]),
        ("cells.tumour=null", ["no 'cells.tumour'", "'tumor'"]),
    ],
)
def test_a_wrong_override_is_named_as_such(tmp_path, override, words):
    problem = only(tmp_path, EXPERIMENT, (override,))
    assert str(problem).startswith(f"--set {override}: ")
    assert not any(line.strip() == "^" for line in str(problem).splitlines())
    for word in words:
        assert word in str(problem)


def test_every_mistake_of_an_override_is_told_without_lines(tmp_path):
    override = "block={shape: [0,\n0, 1 d], shape: [1], site: 3, site: 4}"
    told = "\n".join(map(str, problems(tmp_path, EXPERIMENT, (override,))))
    assert "'shape' stands here a second time." in told and "'site' stands here a second time." in told
    assert "in line" not in told


def test_an_overridden_value_is_blamed_on_its_nearest_writer(tmp_path):
    fine = "cells.cd8.behaviors.die.base=0.2 /d"
    wrong = EXPERIMENT.replace(
        "q7d: {doses: weekly}", "q7d: {cells: {cd8: {behaviors: {die: {base: -1 /d}}}}}"
    )
    assert only(tmp_path, wrong, (fine,)).where.file.endswith("experiment.yaml")
    shelf = catalogue(tmp_path)
    (shelf / "cells" / "cd8.yaml").write_text(
        FILES["cells/cd8"].replace("die: {base: 0.1 /d}", "die: {base: 0.1 d}")
    )
    problem = only(tmp_path, EXPERIMENT)
    assert problem.where.file.endswith("cells/cd8.yaml") and marked(problem).startswith("0.1 d")
    experiment(tmp_path, EXPERIMENT, (fine,))


def test_all_problems_of_a_file_come_at_once_in_order(tmp_path):
    text = (
        EXPERIMENT.replace("title", "titel").replace("42 d\narms", "42\narms").replace("seed: 7", "seed: x")
    )
    text += "tissue: {stroma: 2}\ncells: {cd8: {layer: bulks, behaviors: {die: {base: 3}}}}\n"
    found = problems(tmp_path, text)
    assert [p.where.line for p in found] == sorted(p.where.line for p in found)
    assert {marked(p)[:6] for p in found} >= {"titel:", "42", "x", "2}", "bulks,"}


def test_the_message_shows_the_line_with_a_caret(tmp_path):
    text = EXPERIMENT.replace("duration: 42 d", "duration: 42 mm")
    lines = str(only(tmp_path, text)).splitlines()
    assert lines[0].startswith(f"{tmp_path}/experiment.yaml:6:11: duration: '42 mm' is a length")
    assert lines[1:3] == ["    duration: 42 mm", "    " + " " * 10 + "^"]


# --- files that are not experiments -----------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"# only a comment\n", ["empty"]),
        (b"just text", ["not a mapping"]),
        (b"- a\n- b\n", ["not a mapping"]),
        (b"a: 1\n\tb: 2\n", ["not YAML", "spaces"]),
        (b"a: [1, 2\nb: 3\n", ["not YAML"]),
        (b"a: 'x\n", ["not YAML"]),
        (b"a: b: c\n", ["not YAML"]),
        (b"a: &x 1\n", ["'&x'", "anchors"]),
        (b"a: *x\n", ["'*x'", "aliases"]),
        (b"a: !!python/object:os.system 1\n", ["tag"]),
        (b"<<: {a: 1}\n", ["Merge keys"]),
        (b"a: 1\n---\nb: 2\n", ["second document"]),
        (b"? [a]\n: 1\n", ["key must be a word"]),
        (b"a: \xff\n", ["not UTF-8"]),
        (b"a: \x00\n", ["not YAML"]),
        (b"a: " + b"[" * 60 + b"]" * 60, ["50 levels"]),
        (b"a: " + b"{a: " * 100_000, ["50 levels"]),
        (b"a: " + b"x" * 1_000_001, ["1 MB"]),
    ],
)
def test_text_that_cannot_be_read(tmp_path, content, words):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(path, VOCABULARY, catalogue=catalogue(tmp_path))
    for word in words:
        assert word in str(caught.value)


def test_paths_that_are_no_files(tmp_path):
    shelf = catalogue(tmp_path)
    for path, word in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "directory")):
        with pytest.raises(InputError, match=word):
            load(path, VOCABULARY, catalogue=shelf)
    with pytest.raises(InputError, match="catalogue folder"):
        load(tmp_path / "none.yaml", VOCABULARY, catalogue=tmp_path / "nowhere")


def test_circles(tmp_path):
    (tmp_path / "a.yaml").write_text("use: b.yaml\n")
    (tmp_path / "b.yaml").write_text("use: [a.yaml]\n")
    found = problems(tmp_path, EXPERIMENT.replace("anti_pd1]", "a.yaml]"))
    assert len(found) == 1 and "circle" in found[0].what and marked(found[0]) == "a.yaml]"
    drugs = "drugs: {one: {extends: two}, two: {extends: one}}"
    assert any("circle" in problem.what for problem in problems(tmp_path, EXPERIMENT + drugs))


def test_a_missing_patient_is_not_reported_as_everything_it_would_have_given(tmp_path):
    text = EXPERIMENT.replace("use: [human,", "use: [humna,").replace("title", "titel")
    assert [marked(problem)[:6] for problem in problems(tmp_path, text)] == ["titel:", "humna,"]


def test_a_name_in_two_folders_must_say_which(tmp_path):
    shelf = catalogue(tmp_path)
    (shelf / "patients" / "cd8.yaml").write_text("tissue: {stroma: 0.1}\n")
    (shelf / "patients" / "human.yaml").write_text(
        FILES["patients/human"].replace("cd8, msc", "cells/cd8, msc")
    )
    assert "cells/cd8, patients/cd8" in only(tmp_path, EXPERIMENT.replace("anti_pd1]", "cd8]")).help
    experiment(tmp_path, EXPERIMENT.replace("anti_pd1]", "patients/cd8]"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_file_gives_an_input_error_or_an_experiment(tmp_path, data):
    """Nothing a user can type makes a traceback."""
    text = (
        EXPERIMENT
        + "cells: {cd8: {rules: [{kill: {lowered_by: target pdl1, to: 1 /d}}]}}\ntissue: {stroma: 0.2}\n"
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        junk = data.draw(
            st.sampled_from(
                ["", " ", ":", "{", "}", "[", "null", "- ", "\n", "0", "-", "x", ".", "'", "é", "\t"]
            )
        )
        text = text[:at] + junk + text[at + data.draw(st.integers(0, 6)) :]
    try:
        experiment(tmp_path, text)
    except InputError as error:
        assert error.problems and all(problem.what for problem in error.problems)
