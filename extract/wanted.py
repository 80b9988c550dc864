"""Which entries are to be filled: what is asked for becomes a key and a folder, after the entries that it builds on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extract import denoisers, encoders, faces
from extract.asked import SPEECH, Asked, Choice, asked
from extract.encoders import Spec
from extract.faces import Preset
from extract.weights import present
from features import Grid, Key, folder_of
from features.key import Precision

LONGER_THAN_S = 3
"""Sound that is no longer is not cut to its speech, as in MFER; what is transcribed always is."""


@dataclass(frozen=True)
class Want:
    """One entry to be filled: an encoder on a grid, in one of its ways, and where its features go."""

    encoder: str
    spec: Spec
    grid: Grid
    key: Key
    folder: Path
    leader: "Want | None" = None
    """The entry that it builds on: the boxes of its faces, where somebody speaks, or what was said."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What `load` of its encoder is told."""
    faces: Preset | None = None
    """How faces are found and cut."""
    denoise: str = ""
    """What separates the voice from the sound before anything hears it."""
    asked: str = field(default="", compare=False)
    """How to ask for it again."""

    @property
    def name(self) -> str:
        """Return the entry's folder name."""
        return self.key.name

    @property
    def reads_frames(self) -> bool:
        """Return whether frames are to be decoded for this entry, whole or for their faces."""
        return self.spec.reads in ("frames", "faces")

    @property
    def stages(self) -> frozenset[str]:
        """Name the steps without which this entry cannot be had."""
        led = self.leader.stages if self.leader else frozenset()
        return led | {self.encoder} | ({self.denoise} - {""})

    @property
    def source(self) -> str:
        """Name the medium that it rests on: what its leader rests on, where it has one."""
        return self.leader.source if self.leader else self.spec.medium

    @property
    def rate_hz(self) -> int:
        """Return the rate at which its sound is decoded: a voice is separated before it is brought to the encoder's."""
        return int(denoisers.module(self.denoise).RATE_HZ) if self.denoise else self.spec.rate_hz


def wants(
    corpus: str, names: Iterable[str], precision: Precision = "exact", weights: str = "", language: str = ""
) -> list[Want]:
    """Turn `NAME:GRID+OPTION=VALUE` into entries; one that another builds on stands before it."""
    choice = Choice(precision, weights, language)
    found: dict[str, Want] = {}
    for name in names:
        for want in _entries(corpus, name, choice):
            found.setdefault(want.name, want)
    return list(found.values())


def _entries(corpus: str, name: str, choice: Choice) -> Iterator[Want]:
    """Yield an entry after those that it builds on, or that are marked beside it."""
    one = asked(name, choice)
    spec, ways = one.spec, one.ways
    leaders = [want for before in _before(one, choice) for want in _entries(corpus, before, choice)]
    yield from leaders
    leader = leaders[-1] if leaders and ways.get("vad") != "mark" else None
    own = {option: ways[option] for option in spec.options}
    denoise = ways.get("denoise", "none").replace("none", "")
    key = spec.key(
        one.encoder,
        one.grid,
        (leader.name,) if leader else (),
        precision=choice.precision,
        weights=choice.weights,
        variant=ways.get("as", ""),
        settings=_own_settings(one.encoder, own) | _shared_settings(one, denoise, choice.weights),
    )
    preset = faces.PRESETS[ways["faces"]] if "faces" in ways else None
    yield Want(one.encoder, spec, one.grid, key, folder_of(corpus, key), leader, own, preset, denoise, name)


def _before(one: Asked, choice: Choice) -> list[str]:
    """Ask for the entry that this one builds on, or that is marked beside it."""
    ways = one.ways
    if ways.get("vad", "none") != "none":
        return [f"{SPEECH}+preset={ways['speech']}+denoise={ways['denoise']}"]
    if ways.get("words", "manifest") != "manifest":
        return [f"{ways['words']}+language={ways['language']}"]
    if one.spec.reads == "faces":
        preset = faces.PRESETS[ways["faces"]]
        detector = detector_of(preset, choice.weights) if ways["boxes"] == "preset" else ways["boxes"]
        own = "".join(f"+{option}={value}" for option, value in preset.options.items())
        return [f"{detector}:{_boxes_grid(one.grid)}+faces={ways['faces']}{own}"]
    return []


def detector_of(preset: Preset, chosen: str = "") -> str:
    """Name a preset's detector, or what stands in for it: where its package is missing, or its file if that may be.

    One of random weights would find no face; then what stands in has real ones.
    """
    spec = encoders.spec(preset.detector)
    random = chosen and spec.weights and not spec.weights.package
    without = spec.optional and spec.weights and not present(spec.weights)
    uninstalled = spec.needs and find_spec(spec.needs) is None
    return preset.instead if preset.instead and (random or without or uninstalled) else preset.detector


def _own_settings(encoder: str, own: Mapping[str, str]) -> dict[str, Any]:
    """Return what an encoder's own options mean to its numbers."""
    told = getattr(encoders.module(encoder), "settings", None)
    return dict(told(**own)) if told else dict(own)


def _shared_settings(one: Asked, denoise: str, chosen: str) -> dict[str, Any]:
    """Return what the engine's options mean to the numbers; what is not done is not mentioned."""
    found: dict[str, Any] = dict(denoisers.settings(denoise, chosen)) if denoise else {}
    if one.ways.get("vad") == "cut":
        found |= {"vad": "cut", "vad_longer_than_s": 0 if one.spec.vad == "cut" else LONGER_THAN_S}
    if one.spec.reads == "faces":
        found |= faces.settings(one.ways["faces"])
    elif "faces" in one.ways and (size_px := faces.PRESETS[one.ways["faces"]].prescale_px):
        found["prescale_px"] = "x".join(map(str, size_px))
    return found


def _boxes_grid(grid: Grid) -> str:
    """Name the grid whose windows are the frames of whoever needs the boxes."""
    if grid.fps is None:
        return f"frames@{grid.sampling}"
    slot_s = Fraction(1, grid.fps)
    return str(Grid("windows", slot_s, slot_s, Fraction(0), grid.sampling))
