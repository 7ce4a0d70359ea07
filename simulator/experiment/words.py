"""Numbers as people say them."""


def count(number: int, thing: str) -> str:
    """'1 run', '2 runs'."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def duration(seconds: float) -> str:
    """A time in a fitting unit: '40 s', '12 min', '3.5 h', '2.1 d'."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 99.5 * 3600 else f"{seconds / 86400:.1f} d"
