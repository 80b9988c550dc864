"""Media of one's own as clips to be scored: a file, a folder of files, or pieces of a long recording; no labels."""

import math
import os
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from features.roots import roots
from fuse import cutting
from manifests import Audio, Clip, Manifest, ManifestError, Video, probe
from manifests.corpora import _own as own
from manifests.tables import text_of
from manifests.tree import Tree

CORPUS = "predicted"
MOST_TEXT_BYTES = 1 << 20
LEAST_S = 0.5
"""A last piece that would be shorter is part of the one before."""
MOST_PIECES = 20_000


@dataclass(frozen=True)
class Wish:
    """What is said of the media beside where they lie."""

    text: str = ""
    language: str = ""
    """What is spoken; by default what the corpus of the run speaks."""
    cut_s: float = 0.0
    """Cut what is longer into pieces of at most so many seconds, in a pause where there is one."""


@dataclass
class Found:
    """The clips of some media, and what is wrong with the others."""

    root: Path
    clips: list[Clip] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """File to the reason."""
    notes: list[str] = field(default_factory=list)

    @property
    def manifest(self) -> Manifest:
        """Return the clips as a corpus."""
        return Manifest(CORPUS, self.root, tuple(self.clips))

    @property
    def media_s(self) -> float:
        """Return how long all clips last, as far as their heads tell."""
        return sum(clip.duration_s or 0.0 for clip in self.clips)

    def worded(self, words: Mapping[str, str], source: str) -> None:
        """Let some clips say what was heard in them."""
        self.clips = [
            replace(clip, text=words[clip.id], text_source=source) if clip.id in words else clip for clip in self.clips
        ]


@contextmanager
def placed(work: Path, kept: Path) -> Iterator[None]:
    """Let manifests and new features of this process go to a place of their own; all caches are still read."""
    there = [each for each in (*roots(), kept) if each.is_dir()]  # one's own cache may not be begun yet
    own_place = {
        "MANIFESTS_ROOT": str(work / "manifests"),
        "FEATURES_ROOT": os.pathsep.join(map(str, (work / "features", *there))),
    }
    before = {name: os.environ.get(name) for name in own_place}
    os.environ.update(own_place)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def find(path: Path, wish: Wish) -> Found:
    """Read a file, or every medium below a folder; files of one name are one recording: sound, film, words."""
    if not probe.installed():
        raise ValueError(f"nothing here can decode media; that comes with: {probe.INSTALL}")
    if wish.cut_s and not 1 <= wish.cut_s < math.inf:
        raise ValueError(f"CUT: expected seconds from 1, got {wish.cut_s:g}")
    if not path.exists():
        raise ValueError(f"CLIP: expected a sound, a film or a folder of them, got {path}, which is not there")
    root, stems = _stems(path.resolve())
    if wish.text and len(stems) > 1:
        raise ValueError(f"TEXT: is what one clip says, {path} holds {len(stems)}; put a .txt beside each")
    found = Found(root)
    for stem, files in sorted(stems.items()):
        try:
            found.clips += _recording(found, stem, files, wish)
        except (OSError, ManifestError, ValueError) as error:
            found.unreadable[files[0]] = str(error)
    if not found.clips:
        why = [f"{root / file}: {reason}" for file, reason in found.unreadable.items()]
        raise ValueError(
            "\n".join(why[:8]) or f"{path}: holds no sound and no film ({', '.join(own.SOUND + own.FILM)})"
        )
    return found


def _stems(path: Path) -> tuple[Path, dict[str, list[str]]]:
    if path.is_file():
        return path.parent, {own.stem_of(path.name): [path.name]}
    stems: dict[str, list[str]] = {}
    for file, _ in Tree(path).find(r".*"):
        if own.is_media(file):
            stems.setdefault(own.stem_of(file), []).append(file)
    return path, stems


def _recording(found: Found, stem: str, files: list[str], wish: Wish) -> list[Clip]:
    sound, film = own.sound_and_film(files) if own.is_media(files[0]) else (files[0], files[0])
    heads = {file: probe.head(found.root / file) for file in dict.fromkeys(filter(None, (sound, film)))}
    wrong = [head.error for head in heads.values() if head.error]
    audio = Audio(sound) if sound and heads[sound].sound else None
    video = Video(film) if film and heads[film].picture else None
    if not audio and not video:
        raise ValueError(f"cannot be read: {wrong[0]}" if wrong else "has neither sound nor picture")
    seconds = [head.seconds for head in heads.values() if head.seconds]
    text, source = _text(found.root / f"{stem}.txt", wish)
    clip = Clip(
        id=own.name_of(stem),
        corpus=CORPUS,
        split="test",
        language=wish.language,
        duration_s=max(seconds, default=None),
        audio=audio,
        video=video,
        text=text or None,
        text_source=source if text else None,
    )
    return _pieces(found, clip, wish.cut_s) if wish.cut_s else [clip]


def _text(beside: Path, wish: Wish) -> tuple[str, str]:
    if wish.text or not beside.is_file():
        return " ".join(unicodedata.normalize("NFC", wish.text).split()), "given"
    with beside.open("rb") as file:
        return " ".join(text_of(file.read(MOST_TEXT_BYTES)).split()), beside.name


def _pieces(found: Found, clip: Clip, cut_s: float) -> list[Clip]:
    """Cut a recording into turns of one conversation, where somebody pauses if anybody does."""
    if clip.duration_s is None:
        found.notes.append(f"{clip.id}: nothing says how long it lasts; it is not cut.")
        return [clip]
    if clip.duration_s > MOST_PIECES * cut_s:
        raise ValueError(f"would be cut into more than {MOST_PIECES:,} pieces; say a longer CUT")
    if clip.duration_s <= cut_s + LEAST_S:
        return [clip]
    heard = cutting.loudness(found.root / clip.audio.path, clip.duration_s) if clip.audio else np.zeros(0)
    ends_s = list(cutting.ends_s(heard, clip.duration_s, cut_s, LEAST_S))
    spans_s = list(pairwise([0.0, *ends_s]))
    pauses = sum(end_s - start_s < cut_s - 1e-6 for start_s, end_s in spans_s[:-1])
    found.notes.append(f"{clip.id}: cut into {len(spans_s)} pieces, {pauses} of them in a pause.")
    if clip.text:
        found.notes.append(
            f"{clip.id}: its words are of the whole recording, and left out of the pieces it is cut into."
        )
    return [_piece(clip, i, *span_s) for i, span_s in enumerate(spans_s)]


def _piece(clip: Clip, number: int, start_s: float, end_s: float) -> Clip:
    return replace(
        clip,
        id=f"{clip.id}.{number:04}",
        duration_s=end_s - start_s,
        dialogue_id=clip.id,
        utt_index=number,
        audio=clip.audio and replace(clip.audio, start_s=start_s, end_s=end_s),
        video=clip.video and replace(clip.video, start_s=start_s, end_s=end_s),
        text=None,
        text_source=None,
    )
