"""What a user may type where a command wants a number, a share, or random weights."""

import argparse
import math

from extract.weights import WeightsError, seed_of


def count(text: str) -> int:
    """Read a whole number from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Read seconds, more than none and not without end."""
    if not 0 < (found := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, more than 0, got {text!r}")
    return found


def share(text: str) -> float:
    """Read a share from 0 to 1."""
    if not 0 <= (found := _number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text!r}")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def random(text: str) -> str:
    """Take `random:<seed>`, or nothing, as it is."""
    try:
        seed_of(text)
    except WeightsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
