"""The roof's one table of names that a configuration may use, gathered from the floors that define them."""

from .config.schema import Vocabulary
from .run.observables import OBSERVABLES
from .tissue.actions import ACTIONS
from .tissue.signals import SIGNALS

VOCABULARY = Vocabulary(ACTIONS, SIGNALS, OBSERVABLES)
