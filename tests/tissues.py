"""A small model of every mechanism, for tests of the tissue: built in code, without the catalogue."""

import numpy as np

from simulator.base.rng import make_dice
from simulator.config.schema import Behavior, Block, Cell, FieldModel, Lesion, Rule, Spread, Step, Tissue
from simulator.tissue.inputs import Inflow
from simulator.tissue.step import Block as TissueBlock

PER_DAY = 1.0 / 24.0


def fields() -> dict[str, FieldModel]:
    return {
        "o2": FieldModel(unit="mmHg", diffusion="1e5 um2/min", decay="0.1 /min", start=38.0),
        "cxcl9": FieldModel(unit="nM", diffusion="50 um2/s", decay="10 /d", grid=4),
        "ifng": FieldModel(unit="ng/mL", diffusion="100 um2/s", decay="6.5e-5 /s"),
    }


def tumor(**changes) -> Cell:
    parts = {
        "layer": "bulk",
        "traits": {"antigenicity": 1.0, "mhc1": 1.0, "pdl1": 0.05},
        "behaviors": {
            "divide": Behavior(base=0.0),
            "die": Behavior(base=0.1 * PER_DAY, leaves="debris"),
            "take_up o2": Behavior(base=600.0),
            "express pdl1": Behavior(base=0.05, rise="1 /d", fall="1 /d"),
        },
        "rules": (
            Rule(behavior="divide", raised_by="o2", to=0.4 * PER_DAY, half_max=5.0, hill=4.0),
            Rule(behavior="express pdl1", raised_by="ifng", to=1.0, half_max=0.11, hill=1.26),
        ),
    }
    return Cell(**(parts | changes))


def cd8(**changes) -> Cell:
    parts = {
        "layer": "lymphoid",
        "traits": {"reactive": Spread(share=0.4), "exhausted": 0.0, "divisions": 3.0, "ox40": 0.0},
        "behaviors": {
            "admit": Behavior(base=2000 * PER_DAY),
            "migrate": Behavior(base=15.0, toward="cxcl9", bias=0.4, half_max=1.0, barrier=0.2),
            "kill": Behavior(
                base=6 * PER_DAY,
                targets="tumor",
                on=("antigenicity", "mhc1"),
                hits=3,
                repair="50 min",
                dies_after="1 h",
                arrest="30 min",
                when="reactive",
            ),
            "divide": Behavior(base=0.0, uses="divisions"),
            "switch exhausted": Behavior(base=0.0, set=1.0, when="not exhausted"),
            "die": Behavior(base=0.1 * PER_DAY),
            "leave": Behavior(base=0.05 * PER_DAY),
            "secrete ifng": Behavior(base=0.0),
            "express ox40": Behavior(base=0.0, rise="1 /h", fall="0.5 /d"),
        },
        "rules": (
            Rule(behavior="admit", raised_by="cxcl9", to=10000 * PER_DAY, half_max=1.0, against="plasma"),
            Rule(
                behavior="kill",
                lowered_by="target pdl1",
                to=1.2 * PER_DAY,
                half_max=0.5,
                hill=2.0,
                blocked_by="anti_pd1",
            ),
            Rule(behavior="kill", lowered_by="exhausted", to=0.0),
            Rule(behavior="divide", raised_by="engaged", to=1.0 * PER_DAY),
            Rule(behavior="divide", raised_by="ox40", to=1.5 * PER_DAY, half_max=0.5, when="reactive"),
            Rule(behavior="switch exhausted", raised_by="engaged", to=0.5 * PER_DAY),
            Rule(behavior="secrete ifng", raised_by="engaged", to=100.0),
            Rule(behavior="express ox40", raised_by="contact ox40l", to=1.0, half_max=0.5),
        ),
    }
    return Cell(**(parts | changes))


def nk() -> Cell:
    return Cell(
        layer="lymphoid",
        traits={"granules": 3.0},
        behaviors={
            "admit": Behavior(base=500 * PER_DAY),
            "migrate": Behavior(base=10.0),
            "kill": Behavior(
                base=2 * PER_DAY, targets="tumor", hits=1, repair="50 min", arrest="1 h", uses="granules"
            ),
            "die": Behavior(base=0.2 * PER_DAY),
        },
    )


def msc() -> Cell:
    return Cell(
        layer="bulk",
        tracked=True,
        traits={"cxcl9": 1.0, "ox40l": 1.0},
        behaviors={
            "die": Behavior(base=0.35 * PER_DAY),
            "lyse": Behavior(base=0.0),
            "secrete cxcl9": Behavior(base=1e4, scaled_by="cxcl9"),
        },
        rules=(Rule(behavior="lyse", raised_by="contact nk", to=1.0 * PER_DAY, half_max=1.0),),
    )


def cells() -> dict[str, Cell]:
    return {
        "tumor": tumor(),
        "cd8": cd8(),
        "nk": nk(),
        "msc": msc(),
        "debris": Cell(layer="bulk", behaviors={"clear": Behavior(base=1 * PER_DAY)}),
        "stroma": Cell(
            layer="bulk",
            compartment="stroma",
            behaviors={"secrete cxcl9": Behavior(base=0.0)},
            rules=(Rule(behavior="secrete cxcl9", raised_by="ifng", to=50.0, half_max=1.0),),
        ),
        "vessel": Cell(
            layer="bulk", compartment="stroma", behaviors={"exchange o2": Behavior(base=1200.0, level=38.0)}
        ),
    }


def lesion(shape=(12, 11, 10), **changes) -> Lesion:
    """A lesion with every mechanism; `changes` replace block keys (mode, walls, cells) or whole sections."""
    parts = {
        "tissue": Tissue(
            stroma=0.2,
            vessel=0.05,
            infiltrate={
                "cd8": {"nest": "300 cells/mm2", "stroma": "600 cells/mm2"},
                "nk": {"nest": "100 cells/mm2"},
            },
        ),
        "cells": cells(),
        "fields": fields(),
    }
    block = {"shape": shape} | {
        k: v for k, v in changes.items() if k in ("mode", "walls", "cells_at_start", "site")
    }
    if "cells_at_start" in block:
        block["cells"] = block.pop("cells_at_start")
    parts |= {k: v for k, v in changes.items() if k in parts}
    return Lesion(block=Block(**block), **parts)


DRUGS = {"anti_pd1": None, "msc": None}


def block(of: Lesion | None = None, seed: int = 1, step: Step | None = None) -> TissueBlock:
    return TissueBlock(of or lesion(), step or Step(), make_dice(seed, 1, 1), DRUGS)


def inflow(per_ml: float) -> Inflow:
    """One dose of cells on its way, `per_ml` per mL of tumor and step."""
    return Inflow(np.array([per_ml]), np.array([1]), ("msc",), ({"cxcl9": 1.0},))


def digest(of: TissueBlock) -> str:
    """Of everything that continues a block, agents in the order of their sites."""
    import hashlib

    arrays = of.to_arrays()
    layer = of.tables.kinds.lymphoid[arrays["agents.kind"]]
    order = np.lexsort([arrays["agents.site"], layer])
    hasher = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if name.startswith("agents.") or name in ("trait", "seen", "facing", "secretes"):
            array = array[order]
        if name in ("lymphoid", "bulk_agent"):
            array = array >= 0
        if name == "wounded":
            array = np.sort(array)
        hasher.update(name.encode())
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()
