"""Times for people: never 0.000, and never 12345.6 s."""

import math


def duration(seconds):
    """Return a time as 85 us, 3.4 ms, 12.3 s, 4 min 5 s or 2 h 10 min."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 0.9995:
        unit, scale = ("ms", 1e3) if seconds >= 0.9995e-3 else ("us", 1e6)
        return f"{seconds * scale:.3g} {unit}"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
