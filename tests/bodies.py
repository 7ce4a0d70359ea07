"""A patient and its drugs, for the tests of the body: human values of the order of the catalogue's."""

from simulator.config.host_schema import Antibody, Body, CellProduct, Plasma
from simulator.config.schema import FieldModel


def product(**changes) -> CellProduct:
    values = {
        "type": "cells",
        "cell": "msc",
        "viability": 0.9,
        "infusion": "0.5 h",
        "lung_retention": 0.85,
        "lung_half_life": "12 h",
        "lung_release": "0.005 /h",
        "blood_half_life": "5 min",
        "liver_spleen_share": 0.6,
        "tumor_fraction": 3e-4,
        "tumor_reference_volume": "80 mL",
        "half_life": "2 d",
        "secretes": {"cxcl9": 3.6e5},
    }
    return CellProduct(**(values | changes))


def pembrolizumab(**changes) -> Antibody:
    """Ahamadi 2017, doi:10.1002/psp4.12139."""
    values = {
        "type": "antibody",
        "clearance": "0.22 L/d",
        "central_volume": "3.48 L",
        "intercompartmental": "0.795 L/d",
        "peripheral_volume": "4.06 L",
        "reference_weight": "76.8 kg",
        "clearance_exponent": 0.595,
        "volume_exponent": 0.489,
        "molar_mass": "149 kDa",
        "kd": "0.03 nM",
        "penetration": 0.3,
    }
    return Antibody(**(values | changes))


def plasma(**changes) -> Plasma:
    return Plasma(**({"baseline": 0.004, "half_life": "0.5 h", "spill": 0.2} | changes))


def body(**changes) -> Body:
    values = {
        "weight": "70 kg",
        "tumor_volume": "80 mL",
        "blood_volume": "5 L",
        "plasma_volume": "3 L",
        "blood": {"cd8": "400 cells/uL", "nk": "200 cells/uL"},
        "plasma": {"cxcl9": plasma()},
    }
    return Body(**(values | changes))


def fields() -> dict[str, FieldModel]:
    return {
        "cxcl9": FieldModel(unit="nM", diffusion="50 um2/s", decay="10 /d"),
        "o2": FieldModel(unit="mmHg", diffusion="1e5 um2/min", decay="0.1 /min"),
    }
