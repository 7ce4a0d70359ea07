"""The catalogue: it loads, every number has a source, and literature values agree with a second entry."""

import json
import math
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from simulator.base import units
from simulator.base.errors import InputError
from simulator.body.regimen import parse
from simulator.config.load import load
from simulator.config.population import drawn
from simulator.config.schema import Distribution
from simulator.vocabulary import VOCABULARY

CATALOGUE = Path(__file__).parents[1] / "configs"
FILES = sorted(CATALOGUE.glob("*/*.yaml"))
EXPERIMENTS = sorted(
    path
    for folder in ("experiments", "validation", "replications")
    for path in (CATALOGUE / folder).glob("*.yaml")
)
SPECIES = ("human_mss", "human_msih", "mouse_ct26")
DAY, KD = 24.0, 1.05

# What the catalogue may cite, from the literature tables, entered here a second time.
CITED = {
    "10.1016/S1470-2045(17)30074-8", "10.1016/j.ejca.2008.10.026",
    "10.1016/j.immuni.2016.01.010", "10.1038/s41591-018-0266-5", "10.1186/s40425-018-0327-9",
    "10.1371/journal.pcbi.1005991", "10.3389/fimmu.2012.00297", "10.3390/cancers13153751",
    "10.1002/psp4.12139", "10.1002/sctm.18-0230", "10.1158/2326-6066.CIR-14-0040",
    "10.1111/cas.14723", "10.1158/0008-5472.CAN-17-2006", "10.2147/OTT.S307273",
    "PMC2600708", "PMC8410835", "PMC7328385", "PMC6527362", "PMC7704751",
    "PMID 10873364", "PMID 20099249", "PMID 16272289",
    "10.1007/978-1-4939-3139-2_4", "10.1038/s41586-022-05593-1", "10.1158/1078-0432.CCR-21-4020",
    "10.3390/jcm10132991", "10.4049/jimmunol.171.8.3928", "10.4049/jimmunol.169.5.2756",
    "PMC2958109", "PMC6286806",
    "PMID 31989101",
}  # fmt: skip
CHOICES = set("block step burn_in duration patients replicates record compare seed arms sweep".split())
EACH_ITS_OWN = ("behaviors", "rules", "plasma", "population", "cells", "fields", "drugs", "phenotypes")


def read(path):
    """A catalogue file as plain mappings."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def medians(patient, products, folder):
    """The treatment model of a patient at the medians of the population."""
    path = folder / "medians.yaml"
    names = ", ".join((patient, *products))
    path.write_text(
        f"use: [{names}]\ntitle: medians\nblock: {{shape: [8, 8, 8]}}\nburn_in: 1 d\nduration: 1 d\n"
        "population: null\narms: {control: {}}\n"
    )
    return load(path, VOCABULARY).model("control", 1, "treatment")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The three species with their products, at the medians."""
    folder = tmp_path_factory.mktemp("medians")
    human = ("msc_vector", "msc_cxcl9", "msc_ox40l", "msc_cxcl9_ox40l")
    mouse = tuple(f"{name}_mouse" for name in human)
    return {
        name: medians(
            name, (*mouse, "anti_pd1_mouse") if name.startswith("mouse") else (*human, "anti_pd1"), folder
        )
        for name in SPECIES
    }


def is_number(leaf):
    """Whether a leaf is a number, bare or with a unit."""
    if isinstance(leaf, str):
        try:
            units.parse(leaf)
        except InputError:
            return False
        return True
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def unsourced(node, path=(), sourced=False):
    """The paths of numbers without a source: each behavior, rule, field … needs its own."""
    if isinstance(node, dict):
        sourced = sourced or "source" in node
        children = [(key, child) for key, child in node.items() if path or key not in CHOICES]
    elif isinstance(node, list):
        children = list(enumerate(node))
    else:
        if is_number(node) and not sourced:
            yield ".".join(map(str, path))
        return
    each = bool(path) and path[-1] in EACH_ITS_OWN
    for key, child in children:
        yield from unsourced(child, (*path, key), sourced and not each)


def sources(node):
    """Every source text below a node."""
    if isinstance(node, dict):
        for key, child in node.items():
            if key == "source":
                yield child
            else:
                yield from sources(child)
    elif isinstance(node, list):
        for child in node:
            yield from sources(child)


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name != "regimens"], ids=name_of)
def test_every_number_has_a_source(path):
    assert list(unsourced(read(path))) == []


def test_the_search_for_sources_finds_what_lacks_one():
    behaviors = {"die": {"base": "1 /d"}, "leave": {"base": "1 /d", "source": "assumed"}}
    assert list(unsourced({"x": {"source": "assumed", "behaviors": behaviors}})) == ["x.behaviors.die.base"]
    assert list(unsourced({"x": {"rules": [{"die": {"to": 0}}]}})) == ["x.rules.0.die.to"]
    assert list(unsourced({"x": {"traits": {"pdl1": 0}}})) == ["x.traits.pdl1"]
    assert list(unsourced({"duration": "3 d"})) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_source_cites_or_says_that_it_is_assumed(path):
    for text in sources(read(path)):
        assert re.search(r"doi:10|PMC\d|PMID \d|assumed|derived|github|\b(19|20)\d\d\b", text), text
        cited = re.findall(r"\b10\.\d{4}/[\w.()-]*\w|PMC\d+|PMID \d+", text)
        assert set(cited) <= CITED, text


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name_of)
def test_every_experiment_resolves_for_every_arm_and_patient(path):
    experiment = load(path, VOCABULARY)
    assert experiment.title and len(experiment.description) > 100
    if experiment.protocol is None and len(experiment.arms) == 1:
        assert experiment.compare is None and experiment.sweep is not None
    elif experiment.protocol is None:  # a trial compares nothing
        assert experiment.compare.reference in experiment.arms
        assert 0 < experiment.compare.at <= experiment.duration
    for patient in range(1, experiment.patients + 1):
        for name, arm in experiment.arms.items():
            assert experiment.model(name, patient, "burn_in").lesions
            model = experiment.model(name, patient, "treatment")
            parse(arm.doses, model.drugs, experiment.duration)


@pytest.mark.parametrize("species", SPECIES)
def test_every_phenotype_resolves_and_ranks(species, tmp_path):
    entry = {}
    for phenotype in ("inflamed", "excluded", "desert"):
        path = tmp_path / f"{phenotype}.yaml"
        path.write_text(
            f"use: [{species}]\ntitle: t\nblock: {{shape: [8, 8, 8], phenotype: {phenotype}}}\nburn_in: 1 d\n"
            "duration: 1 d\npopulation: null\narms: {control: {}}\n"
        )
        (lesion,) = load(path, VOCABULARY).model("control", 1, "treatment").lesions
        cd8 = lesion.cells["cd8"].behaviors
        entry[phenotype] = cd8["admit"].base, cd8["migrate"].barrier
        # Seeding refuses more than 40 % of a compartment's lymphoid sites.
        for side in ("nest", "stroma"):
            per_mm2 = sum(density[side] for density in lesion.tissue.infiltrate.values())
            assert per_mm2 / 0.011 * 0.015**3 < 0.4
    assert entry["inflamed"][0] > entry["desert"][0]
    assert entry["inflamed"][1] > entry["excluded"][1]


@pytest.mark.parametrize("path", sorted((CATALOGUE / "regimens").glob("*.yaml")), ids=name_of)
def test_every_regimen_parses_and_keeps_its_total(path, models):
    name, doses = next(iter(read(path).items()))
    assert name == path.stem
    drugs = {key: models["human_mss"].drugs[key] for key in ("msc_cxcl9_ox40l", "anti_pd1")}
    regimen = parse(doses, drugs, 126 * DAY)
    total = {"trial_1e6": 6e6, "trial_3e6": 18e6}.get(name, 12e6)
    if name != "pembrolizumab_q21d":
        assert sum(dose.amount for dose in regimen.doses) == pytest.approx(total, rel=1e-12)


# --- values that no paper gives: what the calibration found is what the catalogue holds -----------------


CALIBRATION = CATALOGUE.parent / "benchmarks/calibration"
FITTED = json.loads((CALIBRATION / "fitted.json").read_text())
for _species, _found in json.loads((CALIBRATION / "responses.json").read_text()).items():
    FITTED[_species][_found["path"]] = {"value": _found["value"]}


def value_at(tree, path):
    """A value of a resolved configuration by its path."""
    for key in path.split("."):
        tree = tree[key]
    return tree


@pytest.mark.parametrize("tissue", FITTED)
def test_the_catalogue_holds_what_the_calibration_found(tissue, tmp_path):
    species, _, phenotype = tissue.partition(" ")
    shown = f", phenotype: {phenotype}" if phenotype else ""
    path = tmp_path / "fitted.yaml"
    path.write_text(
        f"use: [{species}]\ntitle: t\nblock: {{shape: [8, 8, 8]{shown}}}\nburn_in: 1 d\nduration: 1 d\n"
        "population: null\narms: {control: {}}\n"
    )
    resolved = YAML(typ="safe", pure=True).load(load(path, VOCABULARY).resolved("control", 1))
    own = resolved["phenotypes"][phenotype] if phenotype else {}
    for where, row in FITTED[tissue].items():
        try:
            held = value_at(own, where)
        except (KeyError, TypeError):
            held = value_at(resolved, where)
        assert units.parse(str(held)) == units.parse(row["value"]), where


# --- literature values, entered a second time: (path, human_mss, human_msih, mouse_ct26), per day ----------

PER_DAY = [
    ("cd8.die + leave", 0.10, 0.10, 0.2),
    ("cd8.kill", 16, 16, 16),
    ("cd8.kill to target pdl1", 4.8, 4.8, 6.4),
    ("cd8.divide to engaged", 0.2, 0.2, 0.8),
    ("cd8.divide to target pdl1", 0.05, 0.05, 0.3),
    ("cd8.divide to ox40_signal", 0.3, 0.3, 1.2),
    ("cd8.switch exhausted to engaged", 0.2, 0.2, 0.3),
    ("tumor.divide to o2", 0.139, 0.139, 0.46),
    ("nk.kill", 3, 3, 3),
    ("nk.kill to target mhc1", 0.6, 0.6, 0.6),
    ("msc.die", math.log(2) / 2, math.log(2) / 2, math.log(2) / 2),
    ("msc.lyse to contact nk", 0.3, 0.3, 0.3),
    ("debris.clear", 1, 1, 1),
    ("necrosis.clear", 1 / 20, 1 / 20, 1 / 20),
]


def per_day(lesion, path):
    """The value of 'kind.behavior [to signal]' or of a sum of behaviors, per day."""
    kind, _, rest = path.partition(".")
    cell = lesion.cells[kind]
    behaviors, _, signal = rest.partition(" to ")
    if signal:
        (rule,) = [r for r in cell.rules if r.behavior == behaviors and r.signal == signal]
        return rule.to * DAY
    return sum(cell.behaviors[name].base for name in behaviors.split(" + ")) * DAY


@pytest.mark.parametrize(("path", *SPECIES), PER_DAY, ids=[row[0] for row in PER_DAY])
def test_rates_agree_with_the_literature_table(models, path, human_mss, human_msih, mouse_ct26):
    expected = dict(zip(SPECIES, (human_mss, human_msih, mouse_ct26), strict=True))
    for species, value in expected.items():
        assert per_day(models[species].lesions[0], path) == pytest.approx(value, rel=2e-4)


def test_traits_and_killing_agree_with_the_literature_table(models):
    for model in models.values():
        cd8 = model.lesions[0].cells["cd8"]
        assert cd8.traits["divisions"] == 3
        kill = cd8.behaviors["kill"]
        assert (kill.hits, kill.repair, kill.arrest, kill.dies_after) == pytest.approx((3, 5 / 6, 0.5, 1.0))
        assert kill.on == ("antigenicity", "mhc1") and kill.when == "reactive"
        migrate = cd8.behaviors["migrate"]
        assert migrate.base == pytest.approx(15.0) and migrate.half_max == pytest.approx(KD)
        (admit,) = [rule for rule in cd8.rules if rule.behavior == "admit"]
        assert admit.to == pytest.approx(5 * cd8.behaviors["admit"].base)  # 1 + E_rec
        assert (admit.half_max, admit.against) == (pytest.approx(1.0), "plasma")
        assert model.lesions[0].cells["nk"].traits["killer"].share == pytest.approx(0.5 * 0.3)


def test_fields_agree_with_the_literature_table(models):
    table = {  # unit, um2/s, 1/s
        "o2": ("mmHg", 1e5 / 60, 0.1 / 60),
        "cxcl9": ("nM", 50, 10 / 86400),
        "ifng": ("ng/mL", 100, 6.5e-5),
        "tgfb": ("ng/mL", 26, 1.65e-4),
        "il6": ("pg/mL", 80, 6.5e-5),
        "suppressor": ("nM", 300, 300 / 30**2),
    }
    for model in models.values():
        fields = model.lesions[0].fields
        assert set(fields) == set(table)
        for name, (unit, diffusion, decay) in table.items():
            assert fields[name].unit == unit
            assert fields[name].diffusion == pytest.approx(diffusion * 3600)
            assert fields[name].decay == pytest.approx(decay * 3600, rel=1e-2)


def test_drugs_agree_with_the_literature_table(models):
    antibody = models["human_mss"].drugs["anti_pd1"]
    pembrolizumab = units.convert(antibody.clearance, "L/d", "L/d"), antibody.central_volume
    assert pembrolizumab == pytest.approx((0.22, 3.48))
    assert (antibody.intercompartmental, antibody.peripheral_volume) == pytest.approx((0.795, 4.06))
    assert (antibody.clearance_exponent, antibody.volume_exponent) == (0.595, 0.489)
    assert (antibody.reference_weight, antibody.kd, antibody.penetration) == pytest.approx((76.8, 2.6, 0.3))
    for name, genes in {"vector": (0, 0), "cxcl9": (1, 0), "ox40l": (0, 1), "cxcl9_ox40l": (1, 1)}.items():
        human = models["human_mss"].drugs[f"msc_{name}"]
        mouse = models["mouse_ct26"].drugs[f"msc_{name}_mouse"]
        for product in (human, mouse):
            assert (product.traits["cxcl9"], product.traits["ox40l"]) == genes
            assert ("cxcl9" in product.secretes) == bool(genes[0])
            assert (product.lung_retention, product.lung_half_life, product.half_life) == (0.85, 12, 48)
        assert (human.tumor_fraction, human.tumor_reference_volume) == (3e-4, 80)
        assert mouse.tumor_fraction == 0.05


# --- what the numbers must add up to ------------------------------------------------------------------------


def hill(x, half, n=1.0):
    """H(x; K, n)."""
    return x**n / (x**n + half**n)


def rule_of(lesion, kind, behavior, signal):
    (rule,) = [r for r in lesion.cells[kind].rules if (r.behavior, r.signal) == (behavior, signal)]
    return rule


def mean_oxygen(lesion):
    """Mean-field pO2: vessels, with diffusion from isolated sites in series, against uptake by the nests."""
    tissue, site = lesion.tissue, lesion.block.site
    vessel = lesion.cells["vessel"].behaviors["exchange o2"]
    radius = site * (3 / (4 * math.pi)) ** (1 / 3)
    diffusion = tissue.vessel / site**3 * 4 * math.pi * lesion.fields["o2"].diffusion * radius
    supply = 1 / (1 / (vessel.base * tissue.vessel) + 1 / diffusion)
    nest = (1 - tissue.stroma - tissue.vessel) * (1 - tissue.debris)
    use = nest * lesion.cells["tumor"].behaviors["take_up o2"].base
    use += tissue.stroma * lesion.cells["stroma"].behaviors["take_up o2"].base + lesion.fields["o2"].decay
    return vessel.level * supply / (supply + use)


def net_growth(lesion, death=None):
    """Births minus deaths minus immune kills of the mean-field tables, per day, at the mean oxygen."""
    divide = rule_of(lesion, "tumor", "divide", "o2")
    birth = divide.to * hill(mean_oxygen(lesion), divide.half_max, divide.hill) * DAY
    return birth - (death or lesion.cells["tumor"].behaviors["die"].base * DAY)


def test_oxygen_neither_slows_growth_nor_kills_in_vascular_tissue(models):
    for model in models.values():
        lesion = model.lesions[0]
        oxygen = mean_oxygen(lesion)
        assert 20 < oxygen < 38
        necrose = rule_of(lesion, "tumor", "necrose", "o2")
        left = 1 - hill(oxygen, necrose.half_max, necrose.hill)
        assert left * lesion.cells["tumor"].behaviors["necrose"].base * DAY < 1e-5
        assert hill(2.5, necrose.half_max, necrose.hill) < 0.1 < 0.9 < hill(5, necrose.half_max, necrose.hill)


def test_tumors_grow_as_observed(models):
    human, mouse = models["human_mss"].lesions[0], models["mouse_ct26"].lesions[0]
    assert math.log(2) / (net_growth(human) - 0.00056) == pytest.approx(50, rel=0.05)
    assert math.log(2) / (net_growth(models["human_msih"].lesions[0]) - 0.0033) == pytest.approx(62, rel=0.08)
    assert net_growth(mouse) - 0.016 == pytest.approx(0.39, abs=0.01)


def test_doubling_times_spread_between_patients(models):
    spread = read(CATALOGUE / "patients/human_mss.yaml")["population"]["cells.tumor.behaviors.die.base"]
    lesion = models["human_mss"].lesions[0]
    median = lesion.cells["tumor"].behaviors["die"].base * DAY
    assert units.value(spread["origin"], "1/d") == pytest.approx(median + math.log(2) / 50, rel=1e-3)

    def doubling(z):
        death = units.value(drawn(Distribution(**spread), f"{median} /d", -z), "1/d")
        return math.log(2) / (net_growth(lesion, death) - 0.00056)

    for z in (-2, -1, 0, 1):
        assert doubling(z) == pytest.approx(50 * math.exp(0.6 * z), rel=0.1)


def test_endogenous_cxcl9_reaches_its_ceiling_at_full_induction(models):
    for species, ceiling in {"human_mss": 4.1, "human_msih": 4.1, "mouse_ct26": 0.25}.items():
        lesion = models[species].lesions[0]
        induced = rule_of(lesion, "stroma", "secrete cxcl9", "ifng")
        made = induced.to * lesion.tissue.stroma / lesion.block.site**3  # nM/h
        assert made / lesion.fields["cxcl9"].decay == pytest.approx(ceiling * KD, rel=0.03)
        assert induced.half_max == pytest.approx(10)


def test_entry_and_loss_keep_the_seeded_densities(models):
    # CXCR3 occupancy by endogenous ligand in the untreated tumor, in Kd
    for species, ligand in {"human_mss": 0.05, "human_msih": 0.11, "mouse_ct26": 0.21}.items():
        lesion = models[species].lesions[0]
        tissue = lesion.tissue
        for kind in ("cd8", "cd4", "nk"):
            behaviors = lesion.cells[kind].behaviors
            loss = behaviors["die"].base + (behaviors["leave"].base if "leave" in behaviors else 0.0)
            standing = behaviors["admit"].base * (1 + 4 * hill(ligand, 1)) / loss * 0.011
            seeded = tissue.infiltrate[kind]
            nests = 1 - tissue.stroma - tissue.vessel
            mean = (nests * seeded["nest"] + tissue.stroma * seeded["stroma"]) / (nests + tissue.stroma)
            # Treg, help and the growth of a mouse's tumor move the balance on the lattice: the fit is there.
            assert mean == pytest.approx(standing, rel=0.3), (species, kind)


def test_fields_are_resolved_by_their_grids(models):
    for model in models.values():
        lesion = model.lesions[0]
        for name, field in lesion.fields.items():
            loss = field.decay
            if name == "o2":
                loss += lesion.cells["tumor"].behaviors["take_up o2"].base
            assert field.grid == 1 or math.sqrt(field.diffusion / loss) > 3 * field.grid * lesion.block.site


def test_the_demo_brings_twenty_mscs_a_dose_to_its_block():
    experiment = load(CATALOGUE / "experiments/demo.yaml", VOCABULARY)
    for patient in range(1, experiment.patients + 1):
        for arm in experiment.arms.values():
            model = experiment.model(arm.name, patient, "treatment")
            block = model.lesions[0].block
            block_ml = math.prod(block.shape) * block.site**3 * 1e-12
            for dose in parse(arm.doses, model.drugs, experiment.duration).doses:
                product = model.drugs[dose.drug]
                per_ml = product.tumor_fraction / product.tumor_reference_volume
                assert dose.amount * model.body.weight * per_ml * block_ml >= 20


def test_demo_arms_give_the_same_total():
    experiment = load(CATALOGUE / "experiments/demo.yaml", VOCABULARY)
    model = experiment.model("vehicle", 1, "treatment")
    totals = {
        name: sum(dose.amount for dose in parse(arm.doses, model.drugs, experiment.duration).doses)
        for name, arm in experiment.arms.items()
    }
    assert totals.pop("vehicle") == 0
    assert max(totals.values()) == pytest.approx(min(totals.values()), rel=1e-12)


@pytest.mark.parametrize("species", SPECIES)
def test_a_patient_needs_no_drug(species, tmp_path):
    """Distributions of drugs that nobody uses are idle, also where there is no drug at all."""
    file = tmp_path / "bare.yaml"
    file.write_text(
        f"title: Bare\nuse: [{species}]\nblock: {{shape: [8, 8, 8]}}\nduration: 1 d\narms: {{a: {{}}}}\n"
    )
    assert load(file, VOCABULARY).model("a", 1, "treatment").lesions
