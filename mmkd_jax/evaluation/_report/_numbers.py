"""Numbers as people like to read them."""

import math


def percent(value: int | float | None) -> str:
    """One digit behind the point; a dash where nothing is known."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.1f}\u00a0%"


def count(value: int | float) -> str:
    """Whole, with thin spaces between thousands."""
    return f"{round(value):,}".replace(",", "\u202f") if math.isfinite(value) else "–"


def short(value: int | float) -> str:
    """Three digits: 0.113, 13.5, 219, 26k, 8.5e-6.

    Example:
      >>> from mmkd_jax.evaluation._report._numbers import short
      >>> print(*map(short, (0.0, 0.1131, 13.527, 219.4, 26003.0, 2e6, 8.5e-6, float("nan"))))
      0 0.113 13.5 219 26k 2M 8.5e-6 –
    """
    size = abs(value)
    if not math.isfinite(value):
        return "–"
    if size < 1e-3 and value:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits.removesuffix('.0')}e{int(power)}"
    for least, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= least:
            return f"{value / (1e3 if letter == 'k' else least):.3g}{letter}"
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


def duration(seconds: int | float) -> str:
    """In the two largest units.

    Example:
      >>> from mmkd_jax.evaluation._report._numbers import duration
      >>> print(*map(duration, (0.7, 42, 252, 7500, 200_000)), sep=", ")
      1 s, 42 s, 4 min 12 s, 2 h 5 min, 2 d 7 h
    """
    whole = max(1, round(seconds))
    for size, name, part, of_part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part} {of_part}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def plural(number: int | float, one: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
