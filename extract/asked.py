"""What is asked for by `NAME:GRID+OPTION=VALUE`: the encoder, its grid, and each option with its value, all checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from extract import denoisers, encoders, faces
from extract.encoders import Spec
from features import Grid
from features.key import Precision
from manifests import unknown

SPEECH = "silero"
DETECTORS = ("yolo_face", "mtcnn", "dlib")
TRANSCRIBERS = ("whisper_base", "whisper_large_v3_turbo")
_NEXT_NAME = re.compile(r",(?=\s*[A-Za-z_][\w.-]*\s*(?:[:+,]|$))")


@dataclass(frozen=True)
class Choice:
    """What holds for all entries of a run; `weights` is nothing or `random:<seed>`."""

    precision: Precision = "exact"
    weights: str = ""
    language: str = ""
    """What the corpus speaks, where it speaks one language."""


@dataclass(frozen=True)
class Asked:
    """One entry as a user asks for it."""

    encoder: str
    spec: Spec
    grid: Grid
    ways: Mapping[str, str]
    """The value of every option."""


def split(names: str) -> list[str]:
    """Part `a,b:windows(3,2,2)@fps=10+faces=mfer` into its names, for grids hold commas too."""
    return [name for part in _NEXT_NAME.split(names) if (name := part.strip(" ,"))]


def parsed(name: str) -> tuple[str, str, dict[str, str]]:
    """Part `NAME:GRID+OPTION=VALUE` into its encoder, its grid, which may be empty, and what is chosen."""
    head, *options = name.strip().split("+")
    encoder, _, grid = head.partition(":")
    for option in options:
        if not all(option.partition("=")):
            raise ValueError(f"{name}: expected NAME:GRID+OPTION=VALUE, got {option!r}")
    return encoder, grid, dict(option.split("=", 1) for option in options)


def asked(name: str, choice: Choice) -> Asked:
    """Read what is asked for; a slip of the pen is answered with the nearest that is known."""
    encoder, grid, chosen = parsed(name)
    spec = encoders.spec(encoder)
    if grid and grid not in spec.grids:
        raise ValueError(f"{encoder}: {unknown('grid', grid, spec.grids)}")
    found = Asked(encoder, spec, Grid.parse(grid or spec.grids[0]), _ways(encoder, spec, chosen, choice))
    if found.ways.get("vad") == "cut" and found.grid.form != "clip":
        cure = f"{encoder}:clip+vad=cut"
        raise ValueError(f"{encoder}: vad=cut joins what is spoken, which only the grid clip has room for: {cure}")
    boxes = found.ways.get("boxes", "preset")
    if boxes != "preset" and faces.PRESETS[found.ways["faces"]].align and not encoders.spec(boxes).settings["points"]:
        raise ValueError(f"{encoder}: {boxes} finds no points to turn faces upright by; say boxes=mtcnn or boxes=dlib")
    return found


def choices(encoder: str) -> dict[str, tuple[str, ...]]:
    """Return what may be chosen of an encoder, the default first: the engine's options and its own."""
    spec = encoders.spec(encoder)
    offered: dict[str, tuple[str, ...]] = {}
    if spec.reads == "audio":
        offered["denoise"] = ("none", *denoisers.names())
        if encoder != SPEECH:
            offered["vad"] = _first(spec.vad, ("none", "mark", "cut"))
            offered["speech"] = encoders.spec(SPEECH).options["preset"]
    elif spec.reads == "faces":
        offered["faces"] = _first(spec.preset, tuple(faces.PRESETS))
        offered["boxes"] = ("preset", *DETECTORS)
        offered["as"] = ("repaired", "authors")
    elif spec.reads == "text":
        offered["words"] = ("manifest", *TRANSCRIBERS)
        offered["language"] = encoders.spec(TRANSCRIBERS[-1]).options["language"]  # the newest knows all of them
    elif spec.detects:
        offered["faces"] = tuple(faces.PRESETS)
    return offered | dict(spec.options)


def _first(default: str, among: tuple[str, ...]) -> tuple[str, ...]:
    return (default, *(name for name in among if name != default))


def _ways(encoder: str, spec: Spec, chosen: Mapping[str, str], choice: Choice) -> dict[str, str]:
    offered = choices(encoder)
    for option, value in chosen.items():
        if option not in offered:
            raise ValueError(f"{encoder}: {unknown('option', option, offered)}")
        if value not in offered[option]:
            raise ValueError(f"{encoder}: {unknown(option, value, offered[option])}")
    ways = {option: values[0] for option, values in offered.items()} | dict(chosen)
    transcribes = "language" in spec.options or ways.get("words", "manifest") != "manifest"
    if transcribes and "language" not in chosen:
        if choice.language not in offered["language"]:
            spoken = choice.language or "no single language"
            raise ValueError(f"{encoder}: the manifest names {spoken}; say what is spoken: {encoder}+language=en")
        ways["language"] = choice.language
    return ways
