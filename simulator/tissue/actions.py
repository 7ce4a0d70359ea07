"""What a cell can do: the closed list of behaviors a configuration may give to a kind.

`base` and every rule's `to` are in the unit of the action.  Hazards of one cell compete as clocks
(one draw per step, `step.py`); the others are frequencies, rates or levels.
"""

from ..config.schema import Action

_BULK = ("bulk",)
_LYMPHOID = ("lymphoid",)
_BOTH = ("bulk", "lymphoid")

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action(
            "divide",
            "",
            "1/h",
            ("uses", "spared_by", "loses", "scaled_by", "needs_room", "renews"),
            _BOTH,
            True,
            "Divides; the daughter takes the nearest free site within reach, and every trait.",
        ),
        Action("die", "", "1/h", ("leaves", "scaled_by"), _BOTH, True, "Dies of age or baseline turnover."),
        Action("necrose", "", "1/h", ("leaves",), _BOTH, True, "Dies of want of oxygen."),
        Action(
            "lyse",
            "",
            "1/h",
            ("leaves", "scaled_by"),
            _BOTH,
            True,
            "Is killed by neighbors that its rules name.",
        ),
        Action("clear", "", "1/h", ("leaves",), _BULK, True, "Debris is cleared from its site."),
        Action(
            "scar",
            "",
            "1/h",
            ("leaves", "within"),
            _LYMPHOID,
            True,
            "Ends as a scar: free sites within a distance turn into the kind that it leaves.",
        ),
        Action("leave", "", "1/h", (), _LYMPHOID, True, "Leaves the tissue alive (egress)."),
        Action(
            "wander",
            "",
            "1/h",
            (),
            _BULK,
            True,
            "Moves to the nearest free site within reach; cells without an identity alone.",
        ),
        Action("switch", "trait", "1/h", ("set",), _BOTH, True, "Sets a trait to `set`, at once."),
        Action("reset", "trait", "1/h", (), _BOTH, True, "Sets a trait back to 0, at once."),
        Action(
            "express",
            "trait",
            "",
            ("rise", "fall"),
            _BOTH,
            False,
            "A trait relaxes toward this level at the rates `rise` and `fall`.",
        ),
        Action("secrete", "field", "secretion", ("scaled_by",), _BOTH, False, "Releases a substance."),
        Action(
            "take_up",
            "field",
            "1/h",
            (),
            _BOTH,
            False,
            "Removes a substance: loss rate of a site wholly filled by such cells.",
        ),
        Action(
            "exchange",
            "field",
            "1/h",
            ("level",),
            _BULK,
            False,
            "Exchanges a substance with the blood, toward `level`.",
        ),
        Action(
            "admit",
            "",
            "cells/mm3/h",
            ("anywhere",),
            _LYMPHOID,
            False,
            "Enters from the blood at vessels, or anywhere: cells per volume of tumor and time, in "
            "proportion to the blood pool; its signals are sensed where it enters.",
        ),
        Action(
            "migrate",
            "",
            "1/h",
            ("toward", "bias", "half_max", "sensitivity", "barrier", "passes", "tries"),
            _LYMPHOID,
            False,
            "Hops to a neighboring site, at this frequency.",
        ),
        Action(
            "kill",
            "",
            "1/h",
            ("targets", "on", "hits", "repair", "dies_after", "arrest", "uses"),
            _LYMPHOID,
            False,
            "Arrests on a target and hits it: completed kills by one uninhibited cell in permanent "
            "contact, repair of damage included.",
        ),
    )
}
