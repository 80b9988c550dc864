"""How an entry was asked for, and what one would get for that today.

`about.json` beside it says how; where nobody left one, what comes closest to its key is taken.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from extract import encoders
from extract.asked import TRANSCRIBERS, choices, parsed
from extract.faces import PRESETS
from extract.wanted import Want, wants
from extract.weights import WeightsError
from features import CacheError, Key, about
from features.entries import fields, lineage
from features.key import RANDOM, Precision
from features.roots import copies


@dataclass(frozen=True)
class Request:
    """What was asked for, and the choices that hold for all that it builds on, too."""

    asked: str
    precision: Precision
    weights: str
    """Nothing, or the random ones that were chosen."""
    language: str
    """What was transcribed, as far as a key says so."""


def request(folder: Path, key: Key) -> Request:
    """Return how an entry was asked for, whose encoder must still have a file."""
    chain = _chain(folder, key)
    values = [str(value) for one in chain for value in (one.weights, *one.settings.values())]
    choice = Request(
        _left(folder, key),
        "fast" if any(one.precision == "fast" for one in chain) else "exact",
        next((value for value in values if value.startswith(RANDOM)), ""),
        next((str(one.settings["language"]) for one in chain if "language" in one.settings), ""),
    )
    return choice if choice.asked else _closest(chain, choice)


def today(corpus: str, key: Key, request: Request) -> Want:
    """Return the entry that one would get for it now.

    The same detector finds the faces where their preset has two: which of them it takes follows from what is installed,
    and so says nothing of what has changed since.
    """
    encoder, _, chosen = parsed(request.asked)
    preset = PRESETS.get(chosen.get("faces", encoders.spec(encoder).preset))
    led = [name.rpartition("-")[0] for name in key.builds_on]
    kept = [f"+boxes={name}" for name in led if preset and name in (preset.detector, preset.instead)]
    name = request.asked if "boxes" in chosen else "".join([request.asked, *kept])
    return wants(corpus, [name], request.precision, request.weights, request.language)[-1]


def differences(then: Key, now: Key) -> dict[str, tuple[str, str]]:
    """Return the fields in which two keys differ, as text."""
    before, after = fields(then), fields(now)
    both = {name: (before.get(name, ""), after.get(name, "")) for name in (*before, *after)}
    return {name: (one, other) for name, (one, other) in both.items() if one != other}


def _chain(folder: Path, key: Key) -> list[Key]:
    """Return the key of an entry, and of those that it builds on as far as they can be read here."""
    chain = [key]
    with contextlib.suppress(CacheError):
        chain += list(lineage(folder))[1:]
    return chain


def _left(folder: Path, key: Key) -> str:
    """Return what was left beside the entry, if it is about this very entry."""
    asked = next((said for each in copies(folder) if (said := about.read(each).get("asked"))), "")
    try:
        encoder, grid, _ = parsed(asked)
    except (ValueError, AttributeError):
        return ""
    return asked if encoder == key.encoder and grid in ("", key.grid) else ""


def _closest(chain: Sequence[Key], choice: Request) -> Request:
    """Return what to ask for to come as near to a key as can be."""
    key, *below = chain
    words = [one.encoder for one in below if one.encoder in TRANSCRIBERS]
    offered = choices(key.encoder)
    said = {option: str(value) for option, value in key.settings.items() if value in offered.get(option, ())}
    said |= {"as": key.variant} if key.variant else {}
    said |= {"words": words[0]} if words else {}
    plain = f"{key.encoder}:{key.grid}" + "".join(f"+{option}={value}" for option, value in said.items())
    more = [f"+{name}={value}" for name, values in offered.items() if name not in said for value in values[1:]]
    return min((replace(choice, asked=plain + one) for one in ("", *more)), key=lambda one: _distance(key, one))


def _distance(key: Key, request: Request) -> float:
    try:
        return len(differences(key, today("any", key, request).key))
    except WeightsError:
        return _distance(key, replace(request, weights=f"{RANDOM}0"))
    except ValueError:
        return float("inf")
