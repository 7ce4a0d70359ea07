"""What an experiment file may hold of cells, fields, tissue and runs, and the model made of all of it."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field as Key

from .host_schema import Body, Drug
from .quantities import HalfMax, Level, Name, Names, Positive, Share, Sites, Strict, Time, quantity

VERSION = "1"  # of the meaning of a configuration; part of every digest

# --- the vocabulary that the floors above hand down --------------------------------------


class Action(NamedTuple):
    """Something a cell can do.  `argument` is "", "field" or "trait"; `unit` that of `base` and `to`
    ("" a plain number, "secretion" an amount or mass per cell and time); `keys` what it takes beside
    base, when and source; `layers` where it is allowed."""

    name: str
    argument: str
    unit: str
    keys: tuple[str, ...]
    layers: tuple[str, ...]
    hazard: bool
    doc: str


class Signal(NamedTuple):
    """Something a cell can sense.  `argument`: "", "field", "trait", "trait or kind" or "drug"."""

    name: str
    argument: str
    doc: str


class Observable(NamedTuple):
    """A recorded quantity: its unit and what it is."""

    name: str
    unit: str
    doc: str


class Vocabulary(NamedTuple):
    """Every name the floors above offer to a configuration."""

    actions: dict[str, Action]
    signals: dict[str, Signal]
    observables: dict[str, Observable]
    designs: tuple[str, ...] = ("compare",)


# --- cells ---------------------------------------------------------------------------------


class Spread(Strict):
    """How the start value of a trait varies between cells: a share that has it, a log-normal, or a normal.

    Of a normal, values below zero count as zero.  With `width` the values of seeded bulk cells form a map:
    neighbors are alike over that distance.
    """

    share: Share | None = None  # 1 with this probability, else 0
    median: float | None = None
    log_sd: Annotated[float, Key(ge=0)] = 0.0
    mean: float | None = None
    sd: Annotated[float, Key(ge=0)] = 0.0
    width: Annotated[float, quantity("um", above=0)] | None = None
    source: str | None = None

    @property
    def center(self) -> float:
        """What the values lie around: the share, the median or the mean."""
        return next((given for given in (self.share, self.median, self.mean) if given is not None), 0.0)


class Behavior(Strict):
    """What cells of a kind do, and how strongly where no rule acts.

    `base` is in the unit of the action: hazards and frequencies 1/h, `admit` cells/mm3/h,
    `secrete` [field unit]·µm³/h, `take_up` and `exchange` 1/h, `express` a plain level,
    `kill` completed kills per hour.
    """

    base: Level
    when: str | None = None  # a trait or 'engaged', or 'not …': acts only while it exceeds 0.5
    uses: Name | None = None  # divide, kill: a trait that must be ≥ 1 and falls by one each time
    needs_room: bool = False  # divide: only where a site within reach is free (contact inhibition)
    spared_by: Name | None = None  # divide: a trait; cells that have it use nothing up (stem cells)
    loses: dict[Name, Share] = {}  # divide: a trait that a daughter lacks with this chance (asymmetric)
    renews: Names = ()  # divide, of cells with an identity: traits with which a daughter starts anew
    leaves: Name | None = None  # die, necrose, lyse, clear, scar: the kind that takes the site
    within: Annotated[float, quantity("um", at_least=0)] = 0.0  # scar: how far around, on free sites
    targets: Name | None = None  # kill: the kind that is hit
    on: tuple[Name, ...] = ()  # kill: target traits whose product is the chance of recognition
    hits: Annotated[int, Key(ge=1, le=100)] = 1  # kill: hits that complete a kill
    repair: Annotated[float, quantity("h", above=0)] | None = None  # kill: mean time to lose one hit
    dies_after: Time = 0.0  # kill: from the last hit to death
    arrest: Annotated[float, quantity("h", above=0)] | None = None  # kill: mean time on one target
    toward: Name | None = None  # migrate: the field whose gradient is followed
    bias: Share = 0.0  # migrate: share of steps that follow a saturating gradient
    half_max: HalfMax | None = None  # migrate: concentration of half receptor occupancy [field unit]
    sensitivity: Positive = 0.01  # migrate: occupancy difference across a site of half-maximal bias
    barrier: Share = 1.0  # migrate: relative chance of a step from stroma into a nest
    tries: Annotated[int, Key(ge=1, le=6)] = 1  # migrate: ways tried in a step, until one is open
    anywhere: bool = False  # admit: evenly on free sites, not at vessels
    passes: dict[Name, Share] = {}  # migrate: relative chance of a step onto a bulk kind; 1 for others
    scaled_by: Name | None = None  # secrete, divide, die, lyse: a trait that multiplies the rate
    level: Level | None = None  # exchange: the concentration in the blood [field unit]
    rise: Annotated[float, quantity("1/h", above=0)] | None = None  # express: relaxation rate upward
    fall: Annotated[float, quantity("1/h", above=0)] | None = None  # express: relaxation rate downward
    set: float | None = None  # switch: the value the trait takes
    source: str | None = None


class Rule(Strict):
    """One row: how a signal raises or lowers a behavior.

    v ← v + r·(to − v), r = H(x; half_max, hill)·[when]·Π(1 − occupancy) over the drugs of blocked_by, where
    x is the signal.  Without `half_max`, r is x clamped to [0, 1].  `against: plasma` subtracts the response
    to the plasma concentration of the same field (never below zero).
    """

    behavior: str
    raised_by: str | None = None
    lowered_by: str | None = None
    to: Level
    half_max: HalfMax | None = None
    hill: Positive = 1.0
    when: str | None = None
    blocked_by: Names = ()
    against: Literal["plasma"] | None = None
    source: str | None = None

    @property
    def signal(self) -> str:
        """The signal that drives the row."""
        return self.raised_by or self.lowered_by or ""


class Cell(Strict):
    """A kind of cell: where it lives, what it remembers, what it does, what changes that."""

    layer: Literal["bulk", "lymphoid"]
    tracked: bool = False  # bulk kinds only: each cell has an identity (lymphoid cells always have)
    compartment: Literal["nest", "stroma"] = "nest"  # which side of the barrier a bulk kind stands on
    invades: dict[Name, Share] = {}  # bulk kinds: chance that a site so held is open to them in a step
    traits: dict[Name, float | Spread] = {}
    behaviors: dict[str, Behavior] = {}
    rules: tuple[Rule, ...] = ()
    description: str = ""
    source: str | None = None


# --- fields -----------------------------------------------------------------------------------


class FieldModel(Strict):
    """A diffusing substance."""

    unit: Literal["nM", "ng/mL", "pg/mL", "mmHg"]
    diffusion: Annotated[float, quantity("um2/h", above=0)]
    decay: Annotated[float, quantity("1/h", at_least=0)]
    molar_mass: Annotated[float, quantity("g/mol", above=0)] | None = None
    grid: Literal[1, 2, 4] = 2  # sites per voxel edge
    start: Level = 0.0  # concentration at the start [unit]
    edge: Level | None = None  # held at the walls of the block by what lies around it; None: closed [unit]
    traced: Name | None = None  # a kind whose share is followed in a field of its own, `FIELD_KIND`
    description: str = ""
    source: str | None = None


# --- tissue, block, run --------------------------------------------------------------------


class Tissue(Strict):
    """What a block is seeded with; everything here acts before day 0."""

    stroma: Share = 0.30  # share of sites
    vessel: Share = 0.05
    debris: Share = 0.0  # of the nest, at the start
    nest_width: Annotated[float, quantity("um", above=0)] = 150.0  # typical width of a nest of tumor cells
    founders: dict[Name, float | Spread] = {}  # start traits of the seeded tumor cells
    infiltrate: dict[
        Name, dict[Literal["nest", "stroma"], Annotated[float, quantity("cells/mm2", at_least=0)]]
    ] = {}
    reach: Annotated[int, Key(ge=1, le=4)] = 2  # how far a daughter or an arrival finds a free site
    source: str | None = None


class Block(Strict):
    """One lattice: a packed piece of a lesion, or a whole small nodule."""

    mode: Literal["tissue", "nodule"] = "tissue"
    shape: tuple[Sites, Sites, Sites]  # sites (z, y, x); a 2-D block has z = 1
    site: Annotated[float, quantity("um", above=0)] = 15.0
    walls: Literal["closed", "periodic"] = "closed"
    phenotype: Name | None = None
    cells: Annotated[int, Key(ge=1)] | None = None  # nodule: tumor cells at the start
    volume: Annotated[float, quantity("mL", above=0)] | None = None  # of the lesion it stands for, on day 0


class Step(Strict):
    """Step lengths: numerics, not biology."""

    tissue: Annotated[float, quantity("h", above=0)] = 1.0
    motility: Annotated[float, quantity("h", above=0)] = 4 / 60
    fields: Annotated[float, quantity("h", above=0)] = 1.0


class Distribution(Strict):
    """How a value differs between patients; `median` or `mean` default to the value in the file.

    Log-normal (`log_sd`), normal (`sd`), or 1 in a `share` of patients and 0 in the others.  `same_as` names
    another path whose deviate this one shares, so that both move together.
    """

    median: Any = None
    log_sd: Annotated[float, Key(ge=0)] | None = None
    origin: Any = None  # log-normal is the distance from here, below or above; 0 unless given
    mean: Any = None
    sd: Any = None
    share: Share | None = None
    same_as: str | None = None
    low: Any = None  # values outside [low, high] are moved to the bound
    high: Any = None
    source: str | None = None


class Record(Strict):
    """What is written when; day 0 is always written."""

    series: str | list[str] = "every 1 d"
    snapshots: str | list[str] = "every 21 d"
    checkpoints: str | list[str] = "never"  # states that are kept, to branch from
    bits: Annotated[int, Key(ge=1, le=23)] = 10  # of the mantissa of fields and traits in snapshots; 23: all
    coarsen: Literal[1, 2, 4] = 1  # fields in snapshots: means over so many of their voxels along each axis
    save_every: Annotated[float, quantity("h", above=0)] | None = None  # of wall time, for resuming


class Compare(Strict):
    """The declared comparison: every other arm against `reference`, those of `also` against another, too."""

    reference: Name
    also: dict[Name, Name] = {}
    outcome: str = "log tumor_volume"
    at: Time | None = None
    level: Annotated[float, Key(gt=0, lt=1)] = 0.95


class Lesion(Strict):
    """Everything one block is simulated with."""

    block: Block
    tissue: Tissue
    cells: dict[Name, Cell]
    fields: dict[Name, FieldModel]

    @property
    def traced(self) -> tuple[str, str, str] | None:
        """(field, kind, name of the part): the one field of which the share made by a kind is followed."""
        for name, field in sorted(self.fields.items()):
            if field.traced in self.cells:
                return name, field.traced, f"{name}_{field.traced}"
        return None

    @property
    def substances(self) -> dict[str, FieldModel]:
        """The fields, with the part of a traced one beside it: it moves and decays as the whole does."""
        if self.traced is None:
            return self.fields
        name, _, part = self.traced
        whole = self.fields[name]
        nothing = {"start": 0.0, "traced": None, "edge": None if whole.edge is None else 0.0}
        return self.fields | {part: whole.model_copy(update=nothing)}


class Model(Strict):
    """Everything one run is simulated with, in numbers: one patient, one phase of one arm."""

    lesions: tuple[Lesion, ...]
    drugs: dict[Name, Drug]
    body: Body
    step: Step
