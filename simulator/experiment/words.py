"""Numbers as people say them."""


def count(number: int, thing: str) -> str:
    """'1 run', '2 runs'."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def large(number: float) -> str:
    """A positive number in words, to two or three digits: '640', '45,000', '2.4 million', '164 million'."""
    number = float(f"{number:.3g}") if number >= 1e8 else float(f"{number:.2g}")
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:,.10g} {word}"
    return f"{number:,.10g}"


def duration(seconds: float) -> str:
    """A time in a fitting unit: '40 s', '12 min', '3.5 h', '2.1 d'."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 99.5 * 3600 else f"{seconds / 86400:.1f} d"
