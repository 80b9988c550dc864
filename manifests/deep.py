"""What clips sound and look like, decoded: silence, odd channels, damage, black and frozen pictures, whose half it is.

Each file is decoded once, from its start, whatever many clips lie in it; nothing is kept but sums.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from manifests import probe
from manifests.clip import Audio, Clip, Video

Sign = tuple[str, str, str]
"""What was seen, of which clip or dialogue, and a word on it."""
Image = NDArray[np.uint8]
SeesFace = Callable[[Image], bool]
Progress = Callable[[str, int, int], None]
"""Told what is under way, how many files are done, and of how many."""

DAMAGED = "does not decode"
NO_SAMPLES, NO_FRAMES = "no sound in its span", "no picture in its span"
SILENT, CLIPPED = "silent", "clipped sound"
LONE, OPPOSED = "sound in one channel of two", "two channels in opposite phase"
NO_CENTRE = "a silent centre channel"
APART = "sound and picture not in step"
BLACK, FROZEN = "black pictures", "frozen pictures"
NO_FACE, NO_FACES = "no face in its half", "no face in most halves"
OTHER_MOVES, SWAPPED = "the other half moves more", "the other half moves more in most dialogues"

SILENT_DB, LONE_DB = -60, 20
OPPOSED_BELOW = -0.9
FULL_SCALE, CLIPPED_SHARE = 0.999, 0.001
START_APART_S, END_APART_S = 0.1, 0.3
BLACK_LEVEL, FROZEN_LEVELS, FROZEN_S = 32, 3, 1.0
LOOKS_PER_S = 10
UNCLEAR = 0.05
"""So near to half of the movement says nothing."""
FACES = 3
"""In so many clips of each half of a dialogue a face is looked for."""


@dataclass
class Sound:
    """What the samples of a clip add up to: products of every two channels, which hold levels and phases."""

    names: tuple[str, ...] = ()
    samples: int = 0
    clipped: int = 0
    not_finite: int = 0
    products: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    def take(self, planes: NDArray[np.float32], names: tuple[str, ...]) -> None:
        """Add a piece, one row for each channel."""
        if not self.samples:
            self.names, self.products = names, np.zeros((len(planes), len(planes)))
        there = np.isfinite(planes)
        rows = np.where(there, planes, 0).astype(np.float64)
        self.products += rows @ rows.T
        self.samples += planes.shape[1]
        self.clipped += int((np.abs(rows) >= FULL_SCALE).any(axis=0).sum())
        self.not_finite += int(there.size - there.sum())

    def signs(self, wanted: str) -> Iterator[tuple[str, str]]:
        """Say what is odd, where the channel `wanted` is the one that is listened to."""
        if not self.samples:
            yield NO_SAMPLES, ""
            return
        if self.not_finite:
            yield DAMAGED, f"{self.not_finite} samples are no numbers"
        power = self.products.diagonal() / self.samples
        levels_db = 10 * np.log10(np.maximum(power, 1e-20))
        if levels_db.max() < SILENT_DB:
            yield SILENT, f"{levels_db.max():.0f} dBFS"
            return
        if self.clipped > CLIPPED_SHARE * self.samples:
            yield CLIPPED, f"{self.clipped / self.samples:.1%}"
        if len(levels_db) == 2:
            louder = ("left", "right")[levels_db.argmax()]
            if np.ptp(levels_db) > LONE_DB and louder != wanted:
                yield LONE, f"the {louder}"
            elif wanted not in ("left", "right") and self.products[0, 1] < OPPOSED_BELOW * math.sqrt(
                self.products[0, 0] * self.products[1, 1]
            ):
                yield OPPOSED, "mixed to one they cancel"
        if wanted == "centre" and "FC" in self.names and levels_db[self.names.index("FC")] < SILENT_DB:
            yield NO_CENTRE, "the sound lies elsewhere"


@dataclass
class Film:
    """What the pictures of a clip add up to; small ones in grey are enough."""

    looks: int = 0
    span_s: tuple[float, float] = (0.0, 0.0)
    brightest: int = 0
    changed: int = 0
    """How much any pixel ever differs from the first picture."""
    moved: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """How much the lower left and the lower right move, where mouths are."""
    first: Image | None = None
    last: Image | None = None

    def take(self, small: Image, time_s: float) -> None:
        """Add a picture."""
        if self.first is None or self.last is None:
            self.first, self.span_s = small, (time_s, time_s)
        else:
            height, width = small.shape
            change = np.abs(small.astype(np.int16) - self.last)[height // 2 :]
            self.moved += change[:, : width // 2].mean(), change[:, width - width // 2 :].mean()
            self.changed = max(self.changed, int(np.abs(small.astype(np.int16) - self.first).max()))
        self.last, self.span_s = small, (self.span_s[0], time_s)
        self.brightest = max(self.brightest, int(small.max()))
        self.looks += 1

    def wants(self, time_s: float) -> bool:
        """Return whether enough time has passed since the last look."""
        return not self.looks or math.floor(time_s * LOOKS_PER_S) > math.floor(self.span_s[1] * LOOKS_PER_S)

    def signs(self) -> Iterator[tuple[str, str]]:
        """Say what is odd."""
        lasts_s = self.span_s[1] - self.span_s[0]
        if not self.looks:
            yield NO_FRAMES, ""
        elif self.brightest < BLACK_LEVEL:
            yield BLACK, ""
        elif lasts_s >= FROZEN_S and self.changed <= FROZEN_LEVELS:
            yield FROZEN, f"for {lasts_s:.1f} s"


@dataclass
class Stretch:
    """The part of a file that is one clip's, and what was found there."""

    clip: Clip
    track: Audio | Video
    seeks_face: bool = False
    sound: Sound = field(default_factory=Sound)
    film: Film = field(default_factory=Film)
    broken: str = ""
    face: bool | None = None

    @property
    def start_s(self) -> float:
        """Return where it begins in its file."""
        return max(0.0, self.track.start_s + self.track.offset_s)

    @property
    def end_s(self) -> float:
        """Return where it ends in its file."""
        return math.inf if self.track.end_s is None else self.track.end_s + self.track.offset_s

    def take(self, piece: probe.Heard | probe.Seen | probe.Broken, sees_face: SeesFace | None) -> None:
        """Take what there is of the clip in a piece."""
        if isinstance(piece, probe.Heard):
            self._hear(piece)
        elif isinstance(piece, probe.Seen):
            self._see(piece, sees_face)
        else:
            self.broken = self.broken or piece.why

    def _hear(self, piece: probe.Heard) -> None:
        first, last = (
            round(min(max(0.0, (time_s - piece.time_s) * piece.rate_hz), piece.planes.shape[1]))
            for time_s in (self.start_s, self.end_s)
        )
        self.sound.take(piece.planes[:, first:last], piece.names)

    def _see(self, piece: probe.Seen, sees_face: SeesFace | None) -> None:
        """Look whether it moves, and once, halfway, for a face."""
        if self.film.wants(piece.time_s):
            self.film.take(piece.small(), piece.time_s)
        halfway_s = (self.start_s + self.end_s) / 2 if math.isfinite(self.end_s) else self.start_s
        if sees_face and self.seeks_face and self.face is None and piece.time_s >= halfway_s:
            self.face = sees_face(half(piece.whole(), self.track))

    def signs(self) -> Iterator[Sign]:
        """Say what is odd about it."""
        found = self.sound.signs(self.track.channel) if isinstance(self.track, Audio) else self.film.signs()
        if self.broken:
            yield DAMAGED, self.clip.id, f"{self.track.path}: {self.broken}"
        for what, how in found:
            if not self.broken or what not in (NO_SAMPLES, NO_FRAMES):
                yield what, self.clip.id, how


def half(image: Image, track: Audio | Video) -> Image:
    """Return the half of a picture that is kept."""
    middle = image.shape[1] // 2
    side = track.side if isinstance(track, Video) else "full"
    return {"full": image, "left": image[:, :middle], "right": image[:, middle:]}[side]


def signs(
    root: Path, clips: Sequence[Clip], heads: Mapping[str, probe.Head], sees_face: SeesFace | None, progress: Progress
) -> Iterator[Sign]:
    """Decode every file whose head could be read, and say what is odd about each clip, and then about the sides."""
    files = _stretches(clips, heads)
    with ThreadPoolExecutor() as pool:  # FFmpeg leaves the interpreter alone
        decoded = pool.map(lambda path: list(_examined(root / path, files[path], sees_face)), files)
        for done, found in enumerate(decoded, start=1):
            progress("decoded", done, len(files))
            yield from found
    films = [stretch for stretches in files.values() for stretch in stretches if isinstance(stretch.track, Video)]
    yield from face_signs(films)
    yield from side_signs((film.clip.dialogue_id or film.clip.id, _side(film), film.film.moved) for film in films)


def _stretches(clips: Sequence[Clip], heads: Mapping[str, probe.Head]) -> dict[str, list[Stretch]]:
    files: defaultdict[str, list[Stretch]] = defaultdict(list)
    seekers: defaultdict[tuple[str | None, str], int] = defaultdict(int)
    for clip in clips:
        if clip.audio and heads[clip.audio.path].sound:
            files[clip.audio.path].append(Stretch(clip, clip.audio))
        if clip.video and heads[clip.video.path].picture:
            group = clip.dialogue_id, clip.video.side
            seekers[group] += clip.video.side != "full"
            files[clip.video.path].append(Stretch(clip, clip.video, 0 < seekers[group] <= FACES))
    return files


def _examined(file: Path, stretches: Sequence[Stretch], sees_face: SeesFace | None) -> Iterator[Sign]:
    by_kind: dict[probe.Kind, list[Stretch]] = {"audio": [], "video": []}
    for stretch in sorted(stretches, key=lambda stretch: stretch.start_s):
        by_kind["audio" if isinstance(stretch.track, Audio) else "video"].append(stretch)
    kinds: set[probe.Kind] = {kind for kind, found in by_kind.items() if found}
    lasted: dict[probe.Kind, probe.Lasted] = {}
    for piece in probe.pieces(file, kinds, max(stretch.end_s for stretch in stretches)):
        if isinstance(piece, probe.Lasted):
            lasted[piece.kind] = piece
            continue
        for stretch in _within(by_kind[piece.kind], piece.time_s, piece.end_s):
            stretch.take(piece, sees_face)
    for stretch in stretches:
        yield from stretch.signs()
    heard, seen = (dict.fromkeys(stretch.clip.id for stretch in found) for found in by_kind.values())
    if apart := _apart(lasted):
        yield from ((APART, clip, apart) for clip in heard if clip in seen)


def _within(stretches: Iterable[Stretch], first_s: float, last_s: float) -> Iterator[Stretch]:
    """Yield those that share a moment with a piece; they come in the order of their starts."""
    for stretch in stretches:
        if stretch.start_s > last_s:
            return
        if stretch.end_s > first_s:
            yield stretch


def _apart(lasted: Mapping[probe.Kind, probe.Lasted]) -> str:
    """Say how far apart sound and picture of a file begin or end."""
    if len(lasted) < 2:
        return ""
    heard, seen = lasted["audio"], lasted["video"]
    starts_s, ends_s = max(0.0, heard.start_s) - max(0.0, seen.start_s), heard.end_s - seen.end_s
    if abs(starts_s) > START_APART_S:
        return f"sound begins {abs(starts_s):.2f} s {'later' if starts_s > 0 else 'earlier'}"
    return f"sound ends {abs(ends_s):.2f} s {'later' if ends_s > 0 else 'earlier'}" if abs(ends_s) > END_APART_S else ""


def _side(stretch: Stretch) -> str:
    return stretch.track.side if isinstance(stretch.track, Video) else "full"


def face_signs(films: Iterable[Stretch]) -> Iterator[Sign]:
    """Say where no face is in the half that is kept, and whether that is so of most."""
    looked = [film for film in films if film.face is not None]
    without = [film for film in looked if not film.face]
    for film in without:
        yield NO_FACE, film.clip.id, f"kept {_side(film)}"
    if 2 * len(without) > len(looked):
        yield NO_FACES, "all", f"{len(without)} of {len(looked)}"


def side_signs(turns: Iterable[tuple[str, str, NDArray[np.float64]]]) -> Iterator[Sign]:
    """Say in which dialogues the half that is thrown away moves more while its actor is said to speak.

    Some actors never sit still, so where both halves have turns each counts by half, however many turns it has.
    """
    shares: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for dialogue, side, moved in turns:
        if side != "full" and moved.sum() > 0:
            shares[dialogue][side].append(moved[("left", "right").index(side)] / moved.sum())
    kept = {dialogue: fmean(fmean(found) for found in sides.values()) for dialogue, sides in shares.items()}
    clear = {dialogue: share for dialogue, share in kept.items() if abs(share - 0.5) > UNCLEAR}
    against = [dialogue for dialogue, share in clear.items() if share < 0.5]
    for dialogue in against:
        yield OTHER_MOVES, dialogue, f"{kept[dialogue]:.0%} of the movement is in the kept half"
    if 2 * len(against) > len(clear):
        yield SWAPPED, "all", f"{len(against)} of {len(clear)} dialogues in which one moves clearly more"


def face_detector() -> SeesFace:
    """Return what tells whether a face is in a picture; it takes turns, whoever asks."""
    from facenet_pytorch import MTCNN

    detector, turn = MTCNN(keep_all=True, device="cpu"), Lock()

    def sees_face(image: Image) -> bool:
        if min(image.shape[:2]) < detector.min_face_size:  # no scale fits, and the library fails
            return False
        with turn:
            return detector.detect(np.ascontiguousarray(image))[0] is not None

    return sees_face
