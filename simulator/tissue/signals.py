"""What a cell can sense: the closed list of signals a rule may name."""

from ..config.schema import Signal

SIGNALS: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal("FIELD", "field", "Concentration at the cell's site, interpolated; write the field's name."),
        Signal("TRAIT", "trait", "The cell's own trait; write the trait's name."),
        Signal(
            "contact",
            "trait or kind",
            "Sum of a trait (1 for a kind) over the other layer's cell at the own site and the face "
            "neighbors of both layers.",
        ),
        Signal(
            "target",
            "trait",
            "That trait of the engaged target; in hourly behaviors its mean over the last hour's arrests.",
        ),
        Signal("drug", "drug", "Share of the receptors in tumor that a drug holds (0 to 1)."),
        Signal("engaged", "", "Share of the last hour spent arrested on a target (0 to 1)."),
    )
}
