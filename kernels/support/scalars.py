"""Checks of numbers and flags: messages name the argument, its value and the expected values."""

import contextlib
import math
from numbers import Integral, Real

import numpy as np

from ...quoted import quoted


def a_whole_number(name, value, least, below=math.inf):
    """Return `value` as an int, least <= value < below, or raise."""
    if type(value) is int and least <= value < below:  # without the slow check of numbers
        return value
    if isinstance(value, Integral) and not isinstance(value, (bool, np.bool_)):
        if least <= value < below:
            return int(value)
        limit = f" and less than {below}" if below < math.inf else ""
        raise ValueError(f"{name}={quoted(value)}: expected at least {least}{limit}")
    raise TypeError(f"{name}={quoted(value)}: expected a whole number of at least {least}")


def a_number(name, value, low=-math.inf, below=math.inf, above=-math.inf, most=math.inf):
    """Return `value` as a finite float within bounds, or raise."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={quoted(value)}: expected a number")
    with contextlib.suppress(OverflowError):  # an integer too large for a float
        if math.isfinite(value) and low <= value <= most and above < value < below:
            return float(value)
    bounds = [
        f"at least {low}" if low > -math.inf else "",
        f"greater than {above}" if above > -math.inf else "",
        f"less than {below}" if below < math.inf else "",
        f"at most {most}" if most < math.inf else "",
    ]
    wanted = " and ".join(bound for bound in bounds if bound) or "finite"
    raise ValueError(f"{name}={quoted(value)}: expected a number {wanted}")


def a_flag(name, value):
    """Return `value` as a bool, or raise."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name}={quoted(value)}: expected True or False")
