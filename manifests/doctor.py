"""Is a corpus whole, and as it was published? Counts, media by their heads alone, transcripts; decoded when asked.

What is odd about clips that are known to be bad is told, and is nothing to mend.
"""

import inspect
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType
from typing import get_args

from manifests import deep, expected, probe
from manifests.clip import Audio, Clip, Video
from manifests.deep import Progress, Sign
from manifests.probe import Head
from manifests.reading import Found
from manifests.text import names, table
from manifests.tree import Tree

NO_FILE_HEARD, NO_FILE_SEEN, NO_MEDIA = "its sound is missing", "its picture is missing", "no media at all"
ALL_UNHEARD, ALL_UNSEEN = "no clip has sound", "no clip has a picture"
FEATURES_ONLY, WORDS_ONLY = "without media: features only", "without media: words alone"
UNOPENED, CUT_SHORT = "cannot be opened", "cut short"
NO_SOUND, NO_PICTURE = "its file has no sound", "its file has no picture"
AFTER_END, BEYOND_END = "begins after its file ends", "ends after its file"
OTHER_LENGTH, LONG, SHORT = "its file lasts otherwise than the tables say", "very long", "very short"
NO_TEXT, TINY_TEXT = "no words", "one character of text"
FAST_TEXT, SLOW_TEXT = "more text than can be said", "little text for its length"

ADVICE = {
    NO_MEDIA: "does ROOT hold the media, under the names that python -m manifests about shows?",
    NO_FILE_HEARD: "unpack the archives again",
    NO_FILE_SEEN: "unpack the archives again",
    UNOPENED: "copy it again, or name it in KNOWN_BAD if it was published so",
    CUT_SHORT: "copy it again: the file states more than there is",
    NO_SOUND: "copy it again, or convert it with its sound",
    NO_PICTURE: "copy it again",
    AFTER_END: "is it the file that the tables are about?",
    deep.DAMAGED: "copy it again",
    deep.NO_SAMPLES: "is it the file that the tables are about?",
    deep.NO_FRAMES: "is it the file that the tables are about?",
    deep.SILENT: "listen to it; copy it again",
    deep.BLACK: "look at it; copy it again",
    deep.NO_FACES: "are the sides right?",
    deep.SWAPPED: "the sides may be swapped",
}
"""What to do about what is to be mended; all else is only noted."""
SHOWN = 5
KINDS_SHOWN = 8
TOO_LONG_S, TOO_SHORT_S = 60.0, 0.3
BEYOND_S, OTHER_LENGTH_S = 0.5, 1.0
FASTEST_PER_S, SLOWEST_PER_S, SLOW_FROM_S = 40, 1, 15
READERS = 8
"""Heads are read in so many threads, because disks are waited for."""


@dataclass(frozen=True)
class Finding:
    """One thing that is so of several clips, dialogues or files."""

    what: str
    signs: tuple[Sign, ...]
    known: int = 0
    """How many of them are known to be bad."""
    advice: str = ""
    """What to do, where something is to be mended."""

    @property
    def to_mend(self) -> bool:
        """Return whether something is to be done that nobody knew."""
        return bool(self.advice) and self.known < len(self.signs)


@dataclass(frozen=True)
class Report:
    """What the doctor found."""

    about: str
    counts: tuple[tuple[str, int, int], ...] = ()
    """Words, how many there should be, how many there are."""
    known_bad: tuple[Sign, ...] = ()
    """Clip, why it is bad, what was seen of it."""
    media: Mapping[str, Counter[str]] = field(default_factory=dict)
    """`sound` and `picture`, each to how many files have which kind."""
    findings: tuple[Finding, ...] = ()
    unseen: tuple[str, ...] = ()
    """What was not looked at, and why."""

    @property
    def to_mend(self) -> bool:
        """Return whether the corpus is otherwise than it was published, beyond what is known."""
        return any(wanted != there for _, wanted, there in self.counts) or any(f.to_mend for f in self.findings)


def shown(what: str, done: int, of: int) -> None:
    """Show progress on a terminal."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        sys.stderr.write(f"\r{what}: {done} of {of} files{'' if done < of else chr(10)}")
        sys.stderr.flush()


def examine(found: Found, module: ModuleType, *, deep: bool = False, progress: Progress = shown) -> Report:
    """Examine a corpus; without a decoder, as much as can be told without one."""
    manifest = found.manifest
    clips = manifest.clips
    unseen = []
    if manifest.options and hasattr(module, "EXPECTED"):
        unseen.append("the counts: they are known for the reader's defaults alone")
    if not probe.installed():
        unseen.append(f"what is in the media: PyAV is not installed; it comes with: {probe.INSTALL}")
    if found.tree.junk:
        unseen.append(f"{found.tree.junk} files that an archiver or a file manager left behind")
    heads = _heads(found, progress)
    signs = [*missing_signs(clips), *text_signs(clips, heads)]
    for clip in clips:
        signs += media_signs(clip, heads, getattr(module, "TOO_LONG_S", TOO_LONG_S))
    if deep and probe.installed():
        decoded, not_looked = _decoded(found, heads, progress)
        signs += decoded
        unseen += not_looked
    bad = {clip.id: _reason(clip, module) for clip in clips if "known_bad" in clip.flags}
    seen = defaultdict(list)
    for what, which, _ in signs:
        seen[which].append(what)
    return Report(
        f"{manifest.corpus}: {len(clips)} clips, {len(heads)} media files in {manifest.root}",
        () if manifest.options else tuple(_counts(clips, module)),
        tuple((which, reason, ", ".join(seen[which])) for which, reason in bad.items()),
        _kinds(heads),
        (*_findings(signs, bad, _side_option(module)), *_left_out(found.tree)),
        tuple(unseen),
    )


def _reason(clip: Clip, module: ModuleType) -> str:
    reasons: Mapping[str, str] = getattr(module, "KNOWN_BAD", {})
    return reasons.get(clip.id) or reasons.get(clip.dialogue_id or "") or "known to be bad"


def _counts(clips: Sequence[Clip], module: ModuleType) -> Iterator[tuple[str, int, int]]:
    for words, wanted in getattr(module, "EXPECTED", {}).items():
        yield words, wanted, expected.count(clips, words)


def _heads(found: Found, progress: Progress) -> dict[str, Head]:
    """Open every file once, in threads: FFmpeg leaves the interpreter alone, and processes were no faster."""
    tracks = (track for clip in found.manifest.clips for track in (clip.audio, clip.video) if track)
    paths = list(dict.fromkeys(track.path for track in tracks))
    heads = {}
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(probe.head, [found.manifest.root / path for path in paths])
        for done, (path, head) in enumerate(zip(paths, read, strict=True), start=1):
            heads[path] = head
            progress("heads", done, len(paths))
    return heads


def _kinds(heads: Mapping[str, Head]) -> dict[str, Counter[str]]:
    sounds = Counter(head.sound for head in heads.values() if head.sound)
    pictures = Counter(head.picture for head in heads.values() if head.picture)
    return {"sound": sounds, "picture": pictures}


def _decoded(found: Found, heads: Mapping[str, Head], progress: Progress) -> tuple[list[Sign], list[str]]:
    clips, sees_face, unseen = found.manifest.clips, None, []
    if any(clip.video and clip.video.side != "full" for clip in clips):
        if find_spec("facenet_pytorch"):
            sees_face = deep.face_detector()
        else:
            unseen.append(f"faces: facenet-pytorch is not installed; it comes with: {probe.INSTALL}")
    return list(deep.signs(found.manifest.root, clips, heads, sees_face, progress)), unseen


def missing_signs(clips: Sequence[Clip]) -> Iterator[Sign]:
    """Tell clips without media; clips that name none came without, and so did a corpus that has no pictures at all."""
    bare = [clip for clip in clips if not clip.tracks and not {"missing_audio", "missing_video"} & {*clip.flags}]
    yield from ((WORDS_ONLY if clip.text else FEATURES_ONLY, clip.id, "") for clip in bare)
    mute = [clip for clip in clips if "missing_audio" in clip.flags]
    blind = [clip for clip in clips if "missing_video" in clip.flags]
    if len(bare) < len(clips) and not any(clip.tracks for clip in clips):
        yield NO_MEDIA, "all", ""
        return
    for without, one, every in ((mute, NO_FILE_HEARD, ALL_UNHEARD), (blind, NO_FILE_SEEN, ALL_UNSEEN)):
        if len(without) == len(clips):
            yield every, "all", "this package came without, or lies elsewhere"
        else:
            yield from ((one, clip.id, "") for clip in without)


def media_signs(clip: Clip, heads: Mapping[str, Head], too_long_s: float) -> Iterator[Sign]:
    """Tell what is odd about the media of one clip by their heads."""
    found: dict[str, str] = {}
    for track in (clip.audio, clip.video):
        if track:
            for what, how in _track_signs(track, clip, heads[track.path]):
                found.setdefault(what, how)
    lasts_s = _lasts_s(clip, heads)
    if lasts_s is not None and lasts_s > too_long_s:
        found[LONG] = f"{lasts_s:.1f} s"
    if lasts_s is not None and lasts_s < TOO_SHORT_S:
        found[SHORT] = f"{lasts_s:.2f} s"
    yield from ((what, clip.id, how) for what, how in found.items())


def _track_signs(track: Audio | Video, clip: Clip, head: Head) -> Iterator[tuple[str, str]]:
    if head.lacks_bytes:
        yield CUT_SHORT, f"{track.path}: {head.lacks_bytes} bytes are missing"
    if head.error:
        yield UNOPENED, f"{track.path}: {head.error}"
        return
    if isinstance(track, Audio) and not head.sound and probe.installed():
        yield NO_SOUND, track.path
    if isinstance(track, Video) and not head.picture and probe.installed():
        yield NO_PICTURE, track.path
    if head.seconds is None:
        return
    if track.start_s + track.offset_s >= head.seconds:
        yield AFTER_END, f"at {track.start_s:.1f} s of {head.seconds:.1f} s"
    elif track.end_s is not None and track.end_s + track.offset_s > head.seconds + BEYOND_S:
        yield BEYOND_END, f"at {track.end_s:.1f} s of {head.seconds:.1f} s"
    whole = track.end_s is None and not track.start_s
    if whole and clip.duration_s is not None and abs(clip.duration_s - head.seconds) > OTHER_LENGTH_S:
        yield OTHER_LENGTH, f"{clip.duration_s:.1f} s by the tables, {head.seconds:.1f} s by the file"


def _lasts_s(clip: Clip, heads: Mapping[str, Head]) -> float | None:
    """Return how long a clip lasts: by its own span, else by its file, else by the tables."""
    for track in (clip.audio, clip.video):
        if track and track.end_s is not None:
            return track.end_s - track.start_s
        if track and (whole_s := heads[track.path].seconds) is not None and whole_s > track.start_s:
            return whole_s - track.start_s
    return clip.duration_s


def text_signs(clips: Sequence[Clip], heads: Mapping[str, Head]) -> Iterator[Sign]:
    """Tell clips whose words are missing or do not fit their length, in a corpus that has words."""
    if not any(clip.text for clip in clips):
        return
    for clip in clips:
        text, lasts_s = (clip.text or "").strip(), _lasts_s(clip, heads)
        if not text:
            yield NO_TEXT, clip.id, ""
        elif len(text) == 1:
            yield TINY_TEXT, clip.id, repr(text)
        elif lasts_s is not None and len(text) > FASTEST_PER_S * lasts_s:
            yield FAST_TEXT, clip.id, f"{len(text)} characters in {lasts_s:.1f} s"
        elif lasts_s is not None and lasts_s > SLOW_FROM_S and len(text) < SLOWEST_PER_S * lasts_s:
            yield SLOW_TEXT, clip.id, f"{len(text)} characters in {lasts_s:.1f} s"


def _findings(signs: Iterable[Sign], bad: Mapping[str, str], side_option: str) -> Iterator[Finding]:
    """Gather signs by what they say, what is to be mended first."""
    gathered: defaultdict[str, dict[str, Sign]] = defaultdict(dict)
    for sign in signs:
        gathered[sign[0]].setdefault(sign[1], sign)
    for what, by_place in sorted(gathered.items(), key=lambda entry: entry[0] not in ADVICE):
        advice = ADVICE.get(what, "")
        if what in (deep.SWAPPED, deep.NO_FACES):
            advice += side_option
        found = sorted(by_place.values(), key=lambda sign: sign[1] in bad)  # what nobody knew is shown first
        yield Finding(what, tuple(found), sum(which in bad for which in by_place), advice)


def _side_option(module: ModuleType) -> str:
    """Say how the sides of a corpus are set, where its reader can be told."""
    parameter = inspect.signature(module.clips, eval_str=True).parameters.get("side")
    return f"; set SET=side= to one of {', '.join(get_args(parameter.annotation))}" if parameter else ""


def _left_out(tree: Tree) -> Iterator[Finding]:
    reasons: defaultdict[str, list[Sign]] = defaultdict(list)
    for what, why in tree.left_out.items():
        reasons[why].append((why, what, ""))
    for why, found in reasons.items():
        yield Finding(f"left out, {why}", tuple(found))


def lines(report: Report) -> Iterator[str]:
    """Yield the report as text."""
    yield report.about
    if report.counts:
        rows = [
            [words, wanted, there, f"{there - wanted:+d}" if there != wanted else ""]
            for words, wanted, there in report.counts
        ]
        yield from table(["expected", "as published", "here", "difference"], rows)
    for what, kinds in report.media.items():
        if kinds:
            most = kinds.most_common(KINDS_SHOWN)
            yield from table([what, "files"], most)
            if len(kinds) > len(most):
                rest = kinds.total() - sum(files for _, files in most)
                yield f"and {len(kinds) - len(most)} kinds more, {rest} files"
    if report.known_bad:
        yield from ("", "known to be bad:")
        yield from (f"  {which}: {why}{f' (here: {seen})' if seen else ''}" for which, why, seen in report.known_bad)
    yield from _finding_lines(report.findings)
    if report.unseen:
        yield ""
        yield from (f"not looked at: {what}" for what in report.unseen)
    yield from ("", "something is to be mended" if report.to_mend else "nothing is to be mended")


def _finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    rows = [[each.what, len(each.signs), each.known, "to mend" if each.to_mend else "noted"] for each in findings]
    yield from table(["found", "number", "known", ""], rows)
    for each in findings:
        yield from ("", f"{each.what}{': ' + each.advice if each.to_mend else ''}")
        yield from names(f"{which} ({how})" if how else which for _, which, how in each.signs[:SHOWN])
        if len(each.signs) > SHOWN:
            yield f"  and {len(each.signs) - SHOWN} more"
