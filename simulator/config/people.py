"""The patients of a trial: for each, the experiment with that patient's values in place."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..base.errors import Location
from .load import Experiment
from .merge import put, split_path
from .tree import as_node

_KEPT = 8


class People:
    """Patients as the points of an experiment: patient k is point k.

    base : what they have in common; values : by patient, values by dotted path; arms : by patient, the
    doses of each arm, as a file writes them.
    """

    def __init__(
        self, base: Experiment, values: Mapping[int, Mapping[str, Any]], arms: Mapping[int, Mapping[str, Any]]
    ):
        self.base, self.values, self.arms = base, values, arms
        self._kept: OrderedDict[int, Experiment] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": OrderedDict()}

    @property
    def burn_in(self) -> Any:
        """What comes before day 0, of everybody."""
        return self.base.burn_in

    @property
    def duration(self) -> float:
        """Hours from day 0, of everybody."""
        return self.base.duration

    def at(self, number: int) -> Experiment:
        """The experiment of one patient.  Raises InputError where the values are impossible."""
        if number not in self._kept:
            where = Location(f"patient {number} of {self.base.path.name}", 0, 0)
            tree = self.base.tree
            for path, value in self.values[number].items():
                tree = put(tree, split_path(path), as_node(value, where))
            arms = {name: {"doses": doses} for name, doses in self.arms[number].items()}
            tree = put(tree, ("arms",), as_node(arms, where))
            patient = self.base.placed(tree, number)
            self._kept[number] = replace(patient, patients=max(number, patient.patients))
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[number]
