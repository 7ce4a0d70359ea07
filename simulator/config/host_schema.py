"""What an experiment file may hold of the body around the lesions: drugs, cell products, plasma, blood."""

from typing import Annotated, Literal

from pydantic import Field as Key

from .quantities import IN_CONTEXT, Level, Name, Positive, Share, Strict, Time, quantity

# What of a body an antibody's kinetics may depend on beside its weight, with the unit it is held in.
COVARIATES = {"albumin": "g/L", "egfr": "mL/min", "tumor_size": "mm", "female": "1", "ecog": "1"}


class Covariate(Strict):
    """How a property of the body scales an antibody's clearances or volumes.

    (value / reference)^exponent, or `factor` where the value is 1 or more (female; ECOG 1 and above).
    A body that does not give the property leaves the antibody as it is.
    """

    of: Literal["albumin", "egfr", "tumor_size", "female", "ecog"]
    on: Literal["clearance", "volume"]
    reference: Annotated[float, Key(gt=0), IN_CONTEXT] | None = None
    exponent: float | None = None
    factor: Positive | None = None


class Antibody(Strict):
    """A two-compartment antibody; occupancy = C·penetration / (C·penetration + kd)."""

    type: Literal["antibody"]
    clearance: Annotated[float, quantity("L/d", above=0)]
    central_volume: Annotated[float, quantity("L", above=0)]
    intercompartmental: Annotated[float, quantity("L/d", at_least=0)]
    peripheral_volume: Annotated[float, quantity("L", above=0)]
    reference_weight: Annotated[float, quantity("kg", above=0)]
    clearance_exponent: float = 0.0  # of weight / reference_weight, on clearance and intercompartmental
    volume_exponent: float = 0.0
    covariates: tuple[Covariate, ...] = ()
    molar_mass: Annotated[float, quantity("g/mol", above=0)]
    kd: Annotated[float, quantity("nM", above=0)]
    penetration: Share = 1.0
    depletes: dict[Name, Annotated[float, quantity("1/h", at_least=0)]] = {}  # kinds it kills in the blood
    infusion: Time = 0.5
    description: str = ""
    source: str | None = None


class Rejection(Strict):
    """What sensitized patients do to a product: each earlier dose multiplies its cells' death by `fold`.

    `trait` of an arriving cell is set to the product of these factors.
    """

    fold: Annotated[float, quantity("1", at_least=1)]
    trait: Name
    source: str | None = None


class Placed(Strict):
    """Where cells are put that do not come with the blood: on free sites this far from all tumor cells."""

    nearest: Annotated[float, quantity("um", at_least=0)] = 0.0
    farthest: Annotated[float, quantity("um", above=0)] | None = None  # None: anywhere in the block


class CellProduct(Strict):
    """Living cells given into the blood: first pass through the lung, then wherever the blood goes.

    With `placed` they are put into the lesions themselves, in parts by volume, as by an injection or in a
    culture; the keys in THROUGH_BLOOD then mean nothing, without it all of them must be given.
    """

    type: Literal["cells"]
    cell: Name  # the kind that arrives in a block
    traits: dict[Name, float] = {}  # start traits this product sets on its cells
    viability: Share = 1.0
    infusion: Time = 0.5
    placed: Placed | None = None
    lung_retention: Share = 0.0  # of viable cells, at the first pass
    lung_half_life: Annotated[float, quantity("h", above=0)] = 1.0  # of viable cells trapped in the lung
    lung_release: Annotated[float, quantity("1/h", at_least=0)] = 0.0  # from lung back to blood
    blood_half_life: Annotated[float, quantity("h", above=0)] = 1.0  # free in the blood, all exits together
    liver_spleen_share: Share = 0.0  # of the cells that leave the blood
    tumor_fraction: Share = 0.0  # of the dose that reaches `tumor_reference_volume` of tumor, alive
    tumor_reference_volume: Annotated[float, quantity("mL", above=0)] = 1.0
    half_life: Annotated[float, quantity("h", above=0)]  # once settled in any tissue
    secretes: dict[Name, Level] = {}  # field: per-cell rate outside the block [field unit·µm³/h]
    rejection: Rejection | None = None
    description: str = ""
    source: str | None = None


# What a cell product needs that goes through the blood, and one that is placed does not take.
THROUGH_BLOOD = (
    "lung_retention", "lung_half_life", "lung_release", "blood_half_life", "liver_spleen_share",
    "tumor_fraction", "tumor_reference_volume",
)  # fmt: skip

Drug = Annotated[Antibody | CellProduct, Key(discriminator="type")]


class Plasma(Strict):
    """A substance in plasma: its baseline and what spills over from tissue."""

    baseline: Level = 0.0  # [field unit]
    half_life: Annotated[float, quantity("h", above=0)] = 0.5
    spill: Share = 0.0  # share of what tissue makes that reaches plasma
    source: str | None = None


class Priming(Strict):
    """Killed tumor cells prime T cells, which reach the blood later and enter tissue with those there.

    Each kill brings `per_kill` cells of the kind with `trait` set to 1, after a gamma-distributed time of
    mean `delay`; they are lost with `half_life`.  Cells that die by themselves prime none.
    """

    trait: Name
    per_kill: Annotated[float, quantity("1", at_least=0)]
    delay: Annotated[float, quantity("h", above=0)]
    half_life: Annotated[float, quantity("h", above=0)]
    source: str | None = None


class Body(Strict):
    """The patient around the lesions."""

    weight: Annotated[float, quantity("kg", above=0)]
    tumor_volume: Annotated[float, quantity("mL", above=0)]
    blood_volume: Annotated[float, quantity("mL", above=0)]
    plasma_volume: Annotated[float, quantity("mL", above=0)]
    blood: dict[Name, Annotated[float, quantity("cells/uL", at_least=0)]] = {}
    blood_turnover: Annotated[float, quantity("h", above=0)] = (
        168.0  # half-life of a pool's return to its baseline; assumed
    )
    plasma: dict[Name, Plasma] = {}
    priming: dict[Name, Priming] = {}
    homing: Positive = 1.0  # times the share of a cell product that reaches the tumor
    sensitized: Share = 0.0  # 1 where the patient has antibodies against the donor of the cells
    lung_volume: Annotated[float, quantity("mL", above=0)] | None = None
    albumin: Annotated[float, quantity("g/L", above=0)] | None = None
    egfr: Annotated[float, quantity("mL/min", above=0)] | None = None
    tumor_size: Annotated[float, quantity("mm", above=0)] | None = None  # sum of the lesions' diameters
    female: Share | None = None
    ecog: Annotated[float, quantity("1", at_least=0, at_most=5)] | None = None
    source: str | None = None

    @property
    def covariates(self) -> dict[str, float]:
        """What antibodies' kinetics may depend on, where it is given."""
        given = {name: getattr(self, name) for name in COVARIATES}
        return {name: float(value) for name, value in given.items() if value is not None}
