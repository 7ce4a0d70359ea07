"""Doses as users write them: three ways to say the same, and a clear refusal of everything else."""

import math
import random
from pathlib import Path

import pytest
from bodies import pembrolizumab, product
from hypothesis import given, strategies as st

from simulator.base.errors import InputError, Location
from simulator.body.regimen import Dose, Regimen, parse

DRUGS = {"msc_cxcl9_ox40l": product(), "anti_pd1": pembrolizumab()}
MSC = "msc_cxcl9_ox40l"
END = 126 * 24.0


def read(raw, **more) -> Regimen:
    return parse(raw, DRUGS, END, **more)


def write(folder: Path, text: str) -> str:
    (folder / "doses.csv").write_text(text)
    return "doses.csv"


def test_the_shorthand_of_the_trial():
    regimen = read("2e6 cells/kg msc q21d x6")
    assert [dose.time / 24 for dose in regimen.doses] == [0, 21, 42, 63, 84, 105]
    assert regimen.doses[5] == Dose(6, MSC, 105 * 24.0, 2e6, "cells/kg", 0.5)
    assert regimen.absolute(70.0)[0] == Dose(1, MSC, 0.0, 1.4e8, "cells", 0.5)
    assert regimen.total(MSC) == {"cells/kg": 1.2e7}


@pytest.mark.parametrize("nothing", [None, {}, [], ()])
def test_no_doses(nothing):
    regimen = read(nothing)
    assert regimen == Regimen() and regimen.calendar(END) == "No doses."


@pytest.mark.parametrize(
    ("text", "first", "times", "amount", "unit"),
    [
        ("200 mg anti_pd1 q21d x6", 0, 6, 200.0, "mg"),
        ("0.2 g anti_pd1 q6wk x3", 0, 3, 200.0, "mg"),
        ("2 mg/kg anti_pd1 q12h x3", 0, 3, 2.0, "mg/kg"),
        ("12e6 cells/kg msc", 0, 1, 12e6, "cells/kg"),
        ("140 Mcell msc from 3 d", 72, 1, 1.4e8, "cells"),
        ("1e6cells/kg  msc q1.5d  x2 from 36 h", 36, 2, 1e6, "cells/kg"),
        ("12e6 cells/kg total msc q7d x18", 0, 18, 12e6 / 18, "cells/kg"),
        ("12e6 cells/kg total msc", 0, 1, 12e6, "cells/kg"),
        ("0 cells/kg msc q21d x6", 0, 6, 0.0, "cells/kg"),
    ],
)
def test_shorthands(text, first, times, amount, unit):
    regimen = read(text)
    assert len(regimen.doses) == times
    assert (regimen.doses[0].time, regimen.doses[0].amount, regimen.doses[0].unit) == (first, amount, unit)


def test_shorthand_events_and_nonmem_say_the_same(tmp_path):
    shorthand = ["2e6 cells/kg msc q21d x6", "200 mg anti_pd1 q21d x2 from 3 d"]
    events = [{"drug": "msc", "time": f"{21 * i} d", "amount": "2e6 cells/kg"} for i in range(6)]
    events += [
        {"drug": "anti_pd1", "time": f"{t} h", "amount": "200 mg", "duration": "30 min"} for t in (72, 576)
    ]
    name = write(
        tmp_path,
        "TIME,AMT,CMT,EVID,II,ADDL,RATE,AMTU\n"
        "0,2e6,msc,1,21,5,.,cells/kg\n\n"
        "1,.,msc,0,.,.,.,.\n"
        "2,.,msc,2,.,.,.,.\n"
        "3,200,anti_pd1,1,21,1,9600,mg\n",
    )
    wanted = read(shorthand)
    assert read(events) == wanted
    for raw in (name, {"csv": name}, [{"csv": name}]):
        assert read(raw, folder=tmp_path) == wanted
    assert [dose.number for dose in wanted.doses] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_addl_counts_additional_doses(tmp_path):
    name = write(tmp_path, "time,amt,cmt,ii,addl\n0,1e8,msc,21,5\n")
    assert [dose.time / 24 for dose in read(name, folder=tmp_path).doses] == [0, 21, 42, 63, 84, 105]


@pytest.mark.parametrize(
    ("column", "cell", "hours"),
    [("RATE", "1e9", 2.4), ("RATE", "0", 0.0), ("RATE", "", 0.5), ("TINF", "0.125", 3.0), ("TINF", ".", 0.5)],
)
def test_infusion_lengths_of_nonmem(tmp_path, column, cell, hours):
    name = write(tmp_path, f"ID,ARM,TIME,AMT,CMT,{column}\n1,a,0,1e8,msc,{cell}\n1,a,1,0,msc,{cell}\n")
    doses = read(name, folder=tmp_path).doses
    assert doses[0].duration == pytest.approx(hours)
    assert doses[1].amount == 0.0


def test_doses_are_ordered_by_time_drug_and_writing():
    regimen = read(
        ["3e6 cells msc from 1 d", "5 mg anti_pd1 from 1 d", "2e6 cells msc from 1 d", "1 mg anti_pd1"]
    )
    assert [(dose.number, dose.drug, dose.amount) for dose in regimen.doses] == [
        (1, "anti_pd1", 1.0),
        (2, "anti_pd1", 5.0),
        (3, MSC, 3e6),
        (4, MSC, 2e6),
    ]
    assert regimen.times() == (0.0, 24.0)


@given(st.integers(1, 60), st.integers(1, 400), st.integers(0, 200), st.floats(1e-3, 1e9))
def test_every_dose_is_where_the_shorthand_puts_it(number, every, start, amount):
    regimen = parse(f"{amount!r} cells/kg msc q{every}h x{number} from {start} h", DRUGS, 1e5)
    assert [dose.time for dose in regimen.doses] == [start + i * every for i in range(number)]
    assert {dose.amount for dose in regimen.doses} == {amount}
    total = parse(f"{amount!r} cells/kg total msc q{every}h x{number} from {start} h", DRUGS, 1e5)
    assert total.total(MSC)["cells/kg"] == pytest.approx(amount, rel=1e-12)
    assert math.fsum(dose.amount for dose in total.absolute(70.0)) == pytest.approx(70.0 * amount, rel=1e-12)


def test_equal_regimens_have_one_canonical_form():
    a = read("2e6 cells/kg msc q21d x3")
    b = read(["2 Mcell/kg msc from 42 d", "2e6 cells/kg msc_cxcl9_ox40l q504h x2"])
    assert a.canonical() == b.canonical()
    assert a.canonical() == read("2e6 cells/kg msc q3w x3").canonical()
    assert a.canonical() != read("2e6 cells/kg msc q20d x3").canonical()


def test_the_calendar_in_words():
    text = read(
        ["2e6 cells/kg msc q21d x6", "200 mg anti_pd1 from 4 d", "9e6 cells/kg total msc q7d x18"]
    ).calendar(END)
    assert text.splitlines() == [
        "msc_cxcl9_ox40l: 6 × 2e6 cells/kg over 0.5 h, every 21 d: days 0, 21, 42, 63, 84, 105; "
        "1.2e7 cells/kg in all.",
        "msc_cxcl9_ox40l: 18 × 5e5 cells/kg over 0.5 h, every 7 d: days 0, 7, 14, …, 119; "
        "9e6 cells/kg in all.",
        "anti_pd1: 1 × 200 mg over 0.5 h, day 4.",
        "The last dose is on day 119, 7 d before the end on day 126.",
    ]


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        ("2e6 cells/kg msc q21d x7", "Dose 7 of 7 .* day 126, .*end.*\n.*x6 fits"),
        ("2e6 cells/kg msc from 126 d", "day 126 .*end"),
        ("2e6 cells/kg msc q21d x2 from -1 d", "day -1 comes before day 0"),
        ("2e6 cells/kg msc q21d x0", "no dose"),
        ("2e6 cells/kg msc q0d x2", "interval of zero"),
        ("2e6 cells/kg msc q21d", "how many"),
        ("2e6 cells/kg msc x6", "between doses"),
        ("2e6 cells/kg msc q21 x6", "'q21 x6' is not understood"),
        ("2e6 cells/kg msc q21d x6 from day 3", "day 3"),
        ("2e6 cells/kg msc q21d x6 again", "again"),
        ("2e6 cells/kg msc q3fortnight x2", "fortnight"),
        ("2e6 msc q21d x6", "2e6 in .* no unit"),
        ("-2e6 cells/kg msc", "negative"),
        ("2e6 mg msc", "given in cells or cells/kg"),
        ("2e6 cells anti_pd1", "given in mg or mg/kg"),
        ("2e6 celts msc", "celts.* no unit"),
        ("1e999 cells msc", "too large"),
        ("nan cells msc", "no dose"),
        ("inf cells msc", "no dose"),
        ("2e6 cells/kg", "no dose"),
        ("2e6 cells/kg mcs", "Did you mean 'msc'"),
        ("200 mg anti_pdl1", "Did you mean 'anti_pd1'"),
        ("1 cells msc q0.001h x99999", "at most 10000"),
        ("1 cells msc q1h x999999999", "end of the run"),
        ("weekly", "no dose"),
        (5, "'5' is no dose"),
        ([["1 cells msc"]], "no dose"),
        ([{"drug": "msc", "tme": "1 d", "amount": "1 cells"}], "(?s)'tme'.*'time'.*needs 'time'"),
        ([{"drug": "msc", "time": 4, "amount": "1 cells"}], "4 has no unit"),
        ([{"drug": "msc", "time": "4 d", "amount": 1e6}], "1000000.0"),
        ([{"drug": "msc", "time": "4 d", "amount": "1 cells", "duration": "-1 h"}], "negative duration"),
        ([{"drug": ["msc"], "time": "4 d", "amount": "1 cells"}], "no drug"),
        ({"csv": "a.csv", "unit": "d"}, "no other keys"),
        ({"csv": 3}, "no dose"),
        ("absent.csv", "cannot be read"),
    ],
)
def test_what_is_no_regimen_is_refused(raw, match):
    with pytest.raises(InputError, match=match):
        read(raw)


def test_msc_needs_exactly_one_product():
    two = DRUGS | {"msc_vector": product()}
    with pytest.raises(InputError, match="msc_cxcl9_ox40l, msc_vector"):
        parse("1 cells msc", two, END)
    with pytest.raises(InputError, match="it has none"):
        parse("1 cells msc", {"anti_pd1": pembrolizumab()}, END)
    assert parse("1 cells msc", two | {"msc": product()}, END).doses[0].drug == "msc"
    with pytest.raises(InputError, match="Add a drug"):
        parse("1 cells other", {}, END)


def test_all_problems_come_at_once_each_in_its_place():
    places = {(0,): 3, (2, "time"): 7, (2, "drug"): 6, (3,): 9}
    with pytest.raises(InputError) as raised:
        read(
            [
                "1 cells mcs",
                "1 cells msc",
                {"drug": "aspirin", "time": "2 mg", "amount": "1 cells"},
                "1 cells msc from 900 d",
            ],
            locate=lambda path: Location("a.yaml", places.get(path, 0), 1),
        )
    assert [problem.where.line for problem in raised.value.problems] == [3, 6, 7, 9]


HEAD = "TIME,AMT,CMT,EVID,II,ADDL\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (HEAD + "0,1e6,msc,1,,5\n", r"doses.csv:2:14: ADDL without II"),
        (HEAD + "0,1e6,msc,1,21,-1\n", "2:16: ADDL -1 is negative"),
        (HEAD + "0,1e6,msc,1,21,1.5\n", "not a whole number"),
        (HEAD + "0,1e6,msc,1,-21,5\n", "II -21 is negative"),
        (HEAD + "\n0,1e6,mcs,1,,\n", "doses.csv:3:7: 'mcs'.*\n.*\n.*\\^\n.*'msc'"),
        (HEAD + "0,1e6,2,1,,\n", "'2' is no drug"),
        (HEAD + "0,1e6,msc,4,,\n", "EVID 4"),
        (HEAD + "0,1e6,msc,,,\n", "EVID is empty"),
        (HEAD + "0,1e6,msc,0,,\n", "orders no dose"),
        (HEAD + "0,,msc,1,,\n", "AMT is empty"),
        (HEAD + "0,-5,msc,1,,\n", "negative amount"),
        (HEAD + "0,nan,msc,1,,\n", "not finite"),
        (HEAD + "zero,5,msc,1,,\n", "2:1: TIME 'zero' is not a number"),
        (HEAD + "-1,5,msc,1,,\n", "2:1.*before day 0"),
        (HEAD + "130,5,msc,1,,\n", "end of the run"),
        (HEAD + "0,5,msc,1\n", "4 cells under 6 columns"),
        ("TIME,AMT,CMT,SS\n0,1,msc,1\n", "steady state"),
        ("TIME,AMT,CMT,RAET\n0,1,msc,1\n", "Did you mean 'RATE'"),
        ("TIME,AMT,AMT,CMT\n0,1,1,msc\n", "stands there 2 times"),
        ("TIME,AMT\n0,1\n", "CMT is missing"),
        ("TIME,AMT,CMT,RATE,TINF\n0,1,msc,1,1\n", "Keep one"),
        ("TIME,AMT,CMT,RATE\n0,1,msc,-2\n", "RATE -2"),
        ("TIME,AMT,CMT,RATE\n0,1e300,msc,1e-300\n", "without end"),
        ("TIME,AMT,CMT,TINF\n0,1,msc,-2\n", "TINF -2"),
        ("TIME,AMT,CMT,AMTU\n0,1,msc,mg\n", "given in cells"),
        ("TIME,AMT,CMT,AMTU\n0,1,msc,pints\n", "2:9:.*pints"),
        ("TIME,AMT,CMT,ARM\n0,1,msc,a\n1,1,msc,b\n", "3:9: ARM changes from 'a' to 'b'"),
        ("", "is empty"),
        ("\n\n", "is empty"),
    ],
)
def test_what_is_no_dosing_file_is_refused(tmp_path, text, match):
    with pytest.raises(InputError, match=match):
        read(write(tmp_path, text), folder=tmp_path)


def test_files_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.csv").mkdir()
    (tmp_path / "c.csv").write_bytes(b"TIME,AMT,CMT\n" + b"0,1,msc\n" * 200_000)
    for name, match in {"a": "not UTF-8", "b": "cannot be read", "c": "1 MB"}.items():
        with pytest.raises(InputError, match=match):
            read(f"{name}.csv", folder=tmp_path)


scraps = st.lists(
    st.sampled_from(
        "2e6 0 -1 . x q21d x6 x0 msc anti_pd1 cells/kg mg d from total 1e-400 9e999 3 ½ \x00".split(" ")
    ),
    max_size=8,
)


@given(scraps.map(" ".join) | scraps.map("".join) | st.text(max_size=30))
def test_no_text_breaks_the_shorthand(text):
    try:
        doses = read(text).doses
    except InputError as error:
        assert error.problems
    else:
        assert all(0 <= dose.time < END and dose.amount >= 0 for dose in doses)


@given(st.integers(0, 2**32))
def test_no_file_breaks_the_reader(tmp_path_factory, seed):
    dice = random.Random(seed)
    cells = [
        "0",
        "1",
        "-1",
        "1e6",
        "msc",
        "anti_pd1",
        "",
        ".",
        "nan",
        "1e400",
        '"',
        "mg",
        "cells/kg",
        "é",
        "\x00",
    ]
    columns = dice.sample(["TIME", "AMT", "CMT", "EVID", "II", "ADDL", "RATE", "AMTU", "ID"], 9)
    rows = [",".join(dice.choices(cells, k=9)) for _ in range(3)]
    folder = tmp_path_factory.getbasetemp()
    (folder / "fuzz.csv").write_text("\n".join([",".join(columns), *rows]), encoding="utf-8")
    try:
        assert read("fuzz.csv", folder=folder).doses
    except InputError as error:
        assert error.problems
