"""What encoders there are, which weights they need and whether those are here; nothing heavy is imported to say so."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from extract import denoisers, encoders
from extract.asked import Choice, asked, choices
from extract.encoders import Spec
from extract.faces import PRESETS
from extract.wanted import detector_of
from extract.weights import RANDOM, Weights, WeightsError, of_size, pinned, present, root, sized, sizes_of
from manifests import corpus_names

NO_DOWNLOAD = ("silero", "mfcc", "egemaps", "face_hog", "minilm")
"""What can be extracted at once: no weights, or those that come with the packages."""
LEFSA = ("silero+preset=lefsa", "wav2vec2_msp+denoise=spleeter", "emoaffectnet", "jina_v3")
"""What paper 000 extracts, and the recipe `lefsa_paper` reads."""
PAPERS = ("ramas", "meld", "mosei", "mosi", "iemocap", "ravdess")
"""The corpora of the papers."""
MOST_VALUES = 6


class Need(NamedTuple):
    """Weights, who needs them, and under which licence they are."""

    encoder: str
    weights: Weights
    licence: str


@dataclass(frozen=True)
class File:
    """One file of weights, and whether it is here."""

    need: Need
    name: str
    path: Path
    size: int | None
    state: str

    @property
    def good(self) -> bool:
        """Return whether nothing is to be done about it."""
        return self.state in ("in package", "here")

    @property
    def place(self) -> str:
        """Return where it belongs, below the folder of all weights, and where a person finds it."""
        weights = self.need.weights
        if weights.package:
            return f"package {weights.package}"
        return str(self.path.relative_to(root())) + (f", from {weights.page}" if self.state == "by hand" else "")

    @property
    def fetchable(self) -> bool:
        """Return whether a command can fetch it."""
        return self.state in ("missing", "wrong size")


def default_encoders(corpus: str) -> tuple[str, ...]:
    """Name what is extracted when nobody says: a paper's set for a paper's corpus, else what needs no download."""
    return LEFSA if corpus in PAPERS else NO_DOWNLOAD


def everything() -> tuple[str, ...]:
    """Name all that may have weights: encoders and denoisers."""
    return (*encoders.names(), *denoisers.names())


def needs(names: Iterable[str], *, best: bool = False) -> list[Need]:
    """Return the weights of all that `NAME:GRID+OPTION=VALUE` asks for, those that it builds on before its own.

    `best` asks for a preset's own detector, even where another may stand in for it.
    """
    return needs_of(stage for name in names for stage in _stages(name, best=best))


def needs_of(stages: Iterable[str]) -> list[Need]:
    """Return the weights of encoders and denoisers themselves, whatever they build on."""
    found: dict[Weights, Need] = {}
    for stage in dict.fromkeys(stages):
        for need in _own(stage):
            found.setdefault(need.weights, need)
    return list(found.values())


def _stages(name: str, *, best: bool) -> Iterator[str]:
    if name in denoisers.names():
        yield name
        return
    one = asked(name, Choice(language="en"))  # whose weights know every language
    if one.spec.reads == "faces":
        preset = PRESETS[one.ways["faces"]]
        detector = preset.detector if best else detector_of(preset)
        yield detector if one.ways["boxes"] == "preset" else one.ways["boxes"]
    for option, nothing in (("denoise", "none"), ("words", "manifest")):
        if one.ways.get(option, nothing) != nothing:
            yield one.ways[option]
    yield one.encoder


def _own(name: str) -> Iterator[Need]:
    if name in denoisers.names():
        module = denoisers.module(name)
        yield from (Need(name, weights, module.LICENCE) for weights in module.WEIGHTS)
        return
    spec = encoders.spec(name)
    yield from (Need(name, weights, spec.licence) for weights in (spec.weights, spec.tokenizer) if weights)


def files(needs: Sequence[Need]) -> list[File]:
    """Return every file of weights with its state; nothing is hashed."""
    return [
        File(need, name, path, size, _state(need.weights, path, size))
        for need in needs
        for name, path, size in zip(need.weights.files, need.weights.paths, sizes_of(need.weights), strict=True)
    ]


def _state(weights: Weights, path: Path, size: int | None) -> str:
    if weights.package:
        return "in package" if present(weights) else "not set up"
    if not path.is_file():
        return "by hand" if weights.page and not weights.url else "missing"
    if not of_size(path, size):
        return "wrong size"
    return "here" if weights.sha256 or pinned(weights) else "not pinned"


def refuse_missing(needs: Sequence[Need], corpus: str) -> None:
    """Stop before the work when weights are not here; the message says which, and every way out."""
    bad = [file for file in files(needs) if not file.good]
    if not bad:
        return
    names = ",".join(dict.fromkeys(file.need.encoder for file in bad if file.state != "not set up"))
    wide = max(len(file.need.encoder) for file in bad)
    rows = [f"  {file.need.encoder:{wide}}  {file.state:10}  {size_text(file.size):>7}  {file.place}" for file in bad]
    ways = {
        "get them": f"make weights ENCODERS={names}" if names else "",
        "install packages": "make setup" if any(file.state == "not set up" for file in bad) else "",
        "or take what needs none": f"make features CORPUS={corpus} ENCODERS={','.join(NO_DOWNLOAD)}",
        "or try with random ones": f"WEIGHTS={RANDOM}:0",
        "or say where they lie": "WEIGHTS_ROOT=<their folder>",
    }
    said = [f"{way + ':':25} {command}" for way, command in ways.items() if command]
    raise WeightsError("\n".join([f"weights are not here, in {root()}:", *rows, *said]))


def encoder_lines(width: int | None = None) -> Iterator[str]:
    """List every encoder in a few lines; with a width, long ones are wrapped."""
    row = "{:14} {:6} {:9} {:>7} {:>8} {:11} {}".format
    yield row("encoder", "reads", "output", "size", "fetches", "weights", "licence")
    for name in encoders.names():
        spec, own = encoders.spec(name), list(_own(name))
        shape = "x".join(map(str, ("?" if spec.steps is None else spec.steps, *spec.width)))
        size = f"{spec.parameters / 1e6:.3g} M" if spec.parameters else "-"
        yield row(name, spec.reads, shape, size, _download(own), _weights_state(own), spec.licence)
        for line in _about(name, spec):
            yield from textwrap.wrap(line, width or len(line) + 4, initial_indent="  ", subsequent_indent="    ")
    yield "Ask for NAME, NAME:GRID or NAME+OPTION=VALUE. The first grid and the values beside it are the default,"
    yield "a language is the manifest's. There are:"
    for option, values in _offered().items():
        yield f"  +{option:9} {' | '.join(_few(values))}"
    yield "make weights ENCODERS=NAME fetches weights that are missing; size counts parameters."


def size_text(size: int | None) -> str:
    """Write bytes, known or not."""
    return "?" if size is None else sized(size)


def _about(name: str, spec: Spec) -> Iterator[str]:
    yield encoders.does(name)
    first = {option: values[0] for option, values in choices(name).items() if option != "language"}
    yield "  ".join([*spec.grids, *(f"+{option}={value}" for option, value in first.items())])
    scored = {_plain(corpus) for corpus in (*PAPERS, *corpus_names(), "crema-d")}
    seen = [corpus for corpus in spec.trained_on if _plain(corpus) in scored]
    if seen:
        yield f"CAUTION: it was trained on {', '.join(seen)}; scores there say too much"


def _offered() -> dict[str, list[str]]:
    """Return every option with all its values, whoever offers it."""
    found: dict[str, list[str]] = {}
    for name in encoders.names():
        for option, values in choices(name).items():
            known = found.setdefault(option, [])
            known.extend(value for value in values if value not in known)
    return found


def _few(values: Sequence[str]) -> Sequence[str]:
    return values if len(values) <= MOST_VALUES else (*values[:MOST_VALUES], f"… ({len(values)} in all)")


def _plain(corpus: str) -> str:
    return corpus.removeprefix("cmu-").replace("-", "").replace("_", "")


def _download(needs: Sequence[Need]) -> str:
    sizes = [size for need in needs if not need.weights.package for size in sizes_of(need.weights)]
    known = sum(filter(None, sizes))
    return (sized(known) + "+" * (None in sizes) if known else "") + "?" * (None in sizes) or "-"


def _weights_state(needs: Sequence[Need]) -> str:
    states = {file.state: file.good for file in files(needs)}
    return min(states, key=lambda state: (states[state], state == "in package"), default="none needed")
