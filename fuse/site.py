"""The page of a cache as a folder of files, to be opened from a disk or put on any web server.

Nothing of it is needed again: it is made anew from the cache, the manifests and the runs. What it writes it lists, so
that what an earlier one wrote and this one does not is removed, and nothing else in the folder is touched.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

import manifests
from features import CacheError, Reader
from features.disk import beside, make_folder
from features.measured import nearest
from features.roots import corpora
from fuse import done, overview
from fuse.backdrop import DETECTORS, SPEECH, merged
from fuse.done import Done
from fuse.overview import Held, Overview
from fuse.pages import of_cache, of_clips, of_corpus, of_entry, page
from fuse.pages.finder import A_SHEET, sheet_of
from fuse.pages.of_clips import Near, Sheet, Span
from fuse.written import REPORT
from manifests import ManifestError
from manifests.licence import may_share

LIST = "written.json"
KEPT = ".measured"
NEAREST = 3
Tell = Callable[[str], None]


def write(target: Path, only: Sequence[str], tell: Tell) -> Path:
    """Write the page of some corpora, or of all, and return its first file.

    What was measured is kept beside the runs and not in the page: means of features may have to stay in the lab.
    """
    if unknown := sorted(set(only) - set(corpora())):
        raise CacheError(f"the cache has no entry of {unknown[0]!r}; it has: {', '.join(corpora()) or 'nothing'}")
    before = _before(target)
    written = [_put(target, name, text) for name, text in _files(only or corpora(), tell)]
    for name in before - set(written):
        (target / name).unlink(missing_ok=True)
    _put(target, LIST, json.dumps(sorted(written), indent=0) + "\n")
    return target / "index.html"


def _files(names: Sequence[str], tell: Tell) -> Iterator[tuple[str, str]]:
    """Yield every file, the first page last: where it stands, what it leads to is there."""
    shown: list[Overview] = []
    for corpus in names:
        tell(f"{corpus}: reading the cache")
        one = overview.read(corpus, done.root() / KEPT)
        yield from ((f"{corpus}/{name}", text) for name, text in _corpus(one, tell))
        shown.append(one)
    runs, unread = done.read(done.root())
    for word in unread:
        tell(word)
    free = cache(_labels_may_leave)
    reports = {run.name: report for run in runs if all(map(free, run.corpora)) and (report := _report(run))}
    yield from ((of_cache.run_link(name), report) for name, report in reports.items())
    yield "index.html", of_cache.html(shown, runs, reports.keys())


def _before(target: Path) -> set[str]:
    """Return what an earlier page wrote; a folder that holds something else is refused."""
    if not target.exists() or not any(target.iterdir()):
        return set()
    try:
        names = set(json.loads((target / LIST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise CacheError(
            f"{target}: expected no folder, an empty one, or the page of a cache; got something else. "
            "Name another folder with OUT="
        ) from None
    return {name for name in names if isinstance(name, str) and _is_ours(target, name)}


def _is_ours(target: Path, name: str) -> bool:
    return name.endswith(".html") and (target / name).resolve().is_relative_to(target.resolve())


def _put(target: Path, name: str, text: str) -> str:
    make_folder((target / name).parent)
    with beside(target / name) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return name


def _corpus(one: Overview, tell: Tell) -> Iterator[tuple[str, str]]:
    """Yield the files of a corpus."""
    number = {row.id: i for i, row in enumerate(one.rows)}
    near: dict[str, list[list[Near]]] = {}
    for held in one.held:
        tell(f"{one.corpus}: looking for clips alike by {held.name}")
        near[held.name] = _nearest(held, number)
        yield f"{held.name}.html", of_entry.html(one, held, near[held.name])
    yield "index.html", of_corpus.html(one)
    tell(f"{one.corpus}: drawing {len(one.rows):,} clips")
    readers = {held.name: Reader(held.folder) for held in one.held}
    for first in range(0, len(one.rows), A_SHEET):
        yield sheet_of(first), of_clips.html(one, _sheet(one, first, readers, near))
    for reader in readers.values():
        reader.close()


def _report(run: Done) -> str:
    """Return the report of a run, if this version wrote it: what a browser would run of another, nobody knows."""
    try:
        report = (run.folder / REPORT).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return report if page.is_ours(report) else ""


def _labels_may_leave(corpus: str) -> bool:
    """Tell whether reports, which name clips and their labels, may be shown to anybody."""
    try:
        tags = {clip.licence for clip in manifests.read(corpus).clips}
    except ManifestError:
        return False
    return all(may_share(tag, "labels") for tag in tags)


def _nearest(held: Held, number: Mapping[str, int]) -> list[list[Near]]:
    """Return the clips that are most like each clip of an entry, of those that the page shows."""
    if not held.shows_values:
        return []
    places, cosines = nearest(held.measured.means, np.arange(len(held.measured.clips)), NEAREST)
    ids = held.measured.clips
    return [
        [Near(number[ids[i]], cosine) for i, cosine in zip(row, alike, strict=True) if i >= 0 and ids[i] in number]
        for row, alike in zip(places.tolist(), cosines.tolist(), strict=True)
    ]


def _sheet(
    one: Overview, first: int, readers: Mapping[str, Reader], near: Mapping[str, Sequence[Sequence[Near]]]
) -> Sheet:
    rows = one.rows[first : first + A_SHEET]
    spans: dict[str, dict[str, Sequence[Span]]] = defaultdict(dict)
    alike: dict[str, dict[str, Sequence[Near]]] = defaultdict(dict)
    for held in one.held:
        for row in rows:
            if (place := held.place.get(row.id)) is not None:
                spans[row.id][held.name] = _spans(held.key.encoder, readers[held.name], row.id)
                if near[held.name]:
                    alike[row.id][held.name] = near[held.name][place]
    return Sheet(first // A_SHEET, rows, spans, alike)


def _spans(encoder: str, reader: Reader, clip: str) -> list[Span]:
    """Return where the windows of a clip lie, and which share of each rests on real input; of what finds, where."""
    if encoder == SPEECH:
        return [(start_s, end_s, 1.0) for start_s, end_s in reader[clip].real()[:, :2].astype(float).tolist()]
    path, row = reader.where[clip]
    part = reader.part(path)
    steps, spans_s = part.outline(row)
    if encoder in DETECTORS:
        return [(*span_s, 1.0) for span_s in merged(spans_s[steps > 0].tolist())]
    first, last = part.clip_start[row : row + 2].tolist()
    real = part.valid[first:last] / np.maximum(steps, 1)
    return [(start_s, end_s, share) for (start_s, end_s), share in zip(spans_s.tolist(), real.tolist(), strict=True)]
