"""What a run needs to score new clips where neither its corpus nor its cache is: kept in the run's own folder.

It is a cache of its own with the entries that the run was trained on: their keys, how they were asked for, and instead
of anybody's features one clip of zeros, as long as the longest window of training. Whatever joins clips learns shapes
from it, and new clips may lack any modality beside it. Each fold's scales and the languages lie beside.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import manifests
from features import Reader, Windows, Writer, about
from features.disk import beside, make_folder
from features.entries import create, lineage
from features.roots import ENTRY
from fuse import models
from manifests import Clip

if TYPE_CHECKING:  # torch is imported when there is something to score
    from fuse.experiment import Experiment
    from fuse.source import Source

FOLDER, TOLD, SCALES = "kept", "kept.json", "scales.safetensors"
FORMAT = 1
CORPUS = "kept-by-run"
ZEROS = Clip(id="zeros", corpus=CORPUS, split="train")
MOST_FILES, MOST_BYTES, MOST_WORDS_BYTES = 512, 2**28, 2**20
_IN_ENTRY = r"spec\.json|about\.json|index\.jsonl|part-[0-9a-f]{16}\.h5"
_FILES = re.compile(rf"kept\.json|scales\.safetensors|{CORPUS}(/{ENTRY.pattern}(/({_IN_ENTRY}))?)?", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z][\w-]{0,19}", re.ASCII)
Scale = tuple[NDArray[np.float32], NDArray[np.float32]]
"""What standardising subtracts, and what it then multiplies with."""


@dataclass(frozen=True)
class Kept:
    """What is kept of one run."""

    root: Path
    """Of the small cache."""
    languages: tuple[str, ...]
    scales: Mapping[str, Scale]
    """`fold/modality` to its scale."""
    networks: tuple[str, ...] = ()
    """Entries beside whose features lies a network that the model reads; it is not kept, for it may be large."""

    def entry(self, name: str) -> Path:
        """Return the folder of an entry that the run was trained on."""
        folder = self.root / CORPUS / name
        if not ENTRY.fullmatch(name) or not folder.is_dir():
            raise ValueError(f"{self.root}: expected the entry {name!r}, which is not among what is kept")
        with Reader(folder) as reader:
            if ZEROS.id not in reader:
                raise ValueError(f"{folder}: expected the clip {ZEROS.id!r}, got {', '.join(reader) or 'nothing'}")
        return folder

    def of_fold(self, fold: str, modalities: Iterable[str]) -> dict[str, Scale]:
        """Return the scale of each modality that has one."""
        found = {modality: self.scales.get(f"{fold}/{modality}") for modality in modalities}
        return {modality: scale for modality, scale in found.items() if scale is not None}


def is_timeless(folder: Path) -> bool:
    """Return whether an entry's windows lie nowhere in time, as words do."""
    with Reader(folder) as reader:
        return not reader.outline(ZEROS.id)[1].any()


def write(experiment: "Experiment", run: Path) -> Path:
    """Keep it in the folder of a run, if it is not kept yet; what is told comes last, and stands for all."""
    place = run / FOLDER
    if not (place / TOLD).is_file():
        for source in experiment.data.sources.values():
            _entries(source, experiment.recipe.corpora[0], place / CORPUS)
        if scales := _flat(experiment):
            from safetensors.numpy import save_file

            make_folder(place)
            with beside(place / SCALES) as temporary:
                save_file(scales, temporary)
        spoken = {manifests.read(corpus).language for corpus in experiment.recipe.corpora} - {""}
        told = {"format": FORMAT, "languages": sorted(spoken), "networks": sorted(_networks(experiment))}
        with beside(place / TOLD) as temporary:
            temporary.write_text(json.dumps(told) + "\n", encoding="utf-8")
    return place


def has_network(folder: Path) -> bool:
    """Return whether an encoder has left a network beside its features."""
    return any(folder.glob("*.safetensors"))


def _networks(experiment: "Experiment") -> set[str]:
    if not hasattr(models.module(experiment.recipe.model), "build"):
        return set()
    return {folder.name for each in experiment.data.entries.values() for folder in each if has_network(folder)}


def _entries(source: "Source", corpus: str, place: Path) -> None:
    """Lay out the entries of one modality, shaped as in the clip that has its longest window."""
    clip, outline = max(
        ((clip, one) for clip, one in zip(source.clips, source.outlines, strict=True) if one is not None),
        key=lambda each: int(each[1][0].max()),
    )
    window = int(outline[0].argmax())
    for mine, shaped in zip(source.readers[corpus], source.readers[clip.corpus], strict=True):
        for key in lineage(mine.folder):
            create(place / key.name, key)
        told, like = about.known(mine.folder), shaped[clip.id]
        about.write(place / mine.folder.name, {name: told[name] for name in ("asked", "origin") if name in told})
        zeros = np.zeros_like(like.window(window))
        with Writer(place / mine.folder.name, mine.key, {}, "CC0-1.0") as writer:
            writer.add(ZEROS.id, ZEROS.id, Windows.join([zeros], like.spans_s[[window]].tolist(), [len(zeros)]))


def _flat(experiment: "Experiment") -> dict[str, NDArray[np.float32]]:
    return {
        f"{split.name}/{modality}/{part}": values.cpu().numpy()
        for split in experiment.splits
        for modality, scale in experiment.scaling(split).items()
        for part, values in zip(("shift", "scale"), scale, strict=True)
    }


def read(run: Path) -> Kept | None:
    """Return what is kept in the folder of a run, if anything is; what we would not have written is refused."""
    place = (run / FOLDER).absolute()
    if not (place / TOLD).is_file():
        return None
    try:
        _refuse_strange(place)
        told = json.loads((place / TOLD).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise ValueError(f"the format {told['format']!r} instead of {FORMAT}")
        languages = tuple(map(str, told["languages"]))
        if strange := [one for one in languages if not _LANGUAGE.fullmatch(one)]:
            raise ValueError(f"the language {strange[0]!r}")
        networks = tuple(map(str, told["networks"]))
        return Kept(place, languages, _scales(place / SCALES), networks)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{place}: expected what this version keeps of a run, got {type(error).__name__}: {error}; have the run "
            "sent again, or remove that folder where the run's corpus and cache are"
        ) from None


def _refuse_strange(place: Path) -> None:
    """Law 13: refuse links, files that have no place here, and more of them than any run keeps."""
    nbytes = 0
    for number, path in enumerate([place, *_below(place)]):
        name = path.relative_to(place).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()) or (number and not _FILES.fullmatch(name)):
            raise ValueError(f"{name!r}, which no run keeps")
        size = path.stat().st_size if path.is_file() else 0
        nbytes += size
        most = MOST_WORDS_BYTES if path.suffix in {".json", ".jsonl"} else MOST_BYTES
        if number >= MOST_FILES or size > most or nbytes > MOST_BYTES:
            raise ValueError(f"{name!r}: more than any run keeps, {MOST_BYTES >> 20} MiB in {MOST_FILES} files")


def _below(place: Path) -> Iterable[Path]:
    """Yield what lies in a folder, without following a link."""
    for path in sorted(place.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)


def _scales(path: Path) -> dict[str, Scale]:
    if not path.is_file():
        return {}
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from None
    if any(x.dtype != np.float32 or not np.isfinite(x).all() for x in found.values()):
        raise ValueError(f"{path.name}: numbers that are not finite, or not of the kind that is kept")
    names = {one.rpartition("/")[0] for one in found}
    return {name: (found[f"{name}/shift"], found[f"{name}/scale"]) for name in names}
