"""Make weights be here: fetched where a command can, verified, and pinned where nobody states their digest."""

import bz2
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from extract.display import console
from extract.fetch import Answer, Download, FetchError, address, hub, size_at, writing
from extract.listing import File, Need, files, size_text
from extract.weights import Pin, Weights, digest, located, of_size, pinned, root, sized, sizes_of
from features.disk import beside
from features.waiting import redraws

if TYPE_CHECKING:
    from rich.progress import TaskID

Show = Callable[[Path, int, int | None], None]
LARGEST_UNPACKED = 1 << 30
PLAIN_LINE_EVERY_S = 10.0


def obtain(need: Need, show: Show) -> str:
    """Make the weights of one encoder be here, verified and pinned; return what was done."""
    weights = need.weights
    if weights.package:
        located(weights)
        return f"{need.encoder}: as declared, in the package {weights.package}"
    with writing(weights.folder):
        weights.folder.mkdir(parents=True, exist_ok=True)
    with _alone(weights.folder):
        wanted = zip(weights.files, weights.paths, sizes_of(weights), strict=True)
        missing = [_Arrival(need, *file, show) for file in wanted if not of_size(*file[1:])]
        answers = [arrival.bring() for arrival in missing]
        found = _verified(need, missing, answers)
        for arrival in missing:
            arrival.settle()
        if missing or not (weights.sha256 or pinned(weights)):
            _write_pin(weights, found, answers)
    done = "fetched" if missing else "here"
    how = "as declared" if weights.sha256 else f"pinned in {weights.pin}"
    return f"{need.encoder}: {', '.join(weights.files)} {done}, sha256 {found} {how}"


def survey(needs: Sequence[Need]) -> list[File]:
    """Return every file with its state; servers are asked for sizes that nobody declares."""
    found = files(needs)
    with suppress(OSError):  # where one server does not answer, no other is waited for; who fetches will say why
        for i, file in enumerate(found):
            if file.fetchable and file.size is None:
                found[i] = replace(file, size=size_at(address(file.need.weights, file.name)))
    return found


def survey_lines(found: Sequence[File]) -> Iterator[str]:
    """Say what would be fetched from where and under which licence, before anybody is asked."""
    wide = max((len(file.need.encoder) for file in found), default=0)
    for file in found:
        weights = file.need.weights
        size = "-" if weights.package else size_text(file.size)
        yield f"{file.need.encoder:{wide}}  {file.state:10}  {size:>7}  {file.name}"
        if not file.good:
            pin = "pinned earlier" if pinned(weights) else "pinned at first fetch"
            yield f"{'':{wide}}  from {address(weights, file.name) if file.fetchable else weights.page or file.path}"
            yield f"{'':{wide}}  licence: {file.need.licence}; digest: {'declared' if weights.sha256 else pin}"
    todo = [file for file in found if file.fetchable]
    more = " and what is not known" if any(file.size is None for file in todo) else ""
    yield f"{len(todo)} to fetch, {sized(sum(file.size or 0 for file in todo))}{more}, into {root()}"


@dataclass(frozen=True)
class _Arrival:
    """One file that is to come into its place."""

    need: Need
    file: str
    path: Path
    size: int | None
    show: Show

    @property
    def download(self) -> Download:
        weights = self.need.weights
        return Download(
            address(weights, self.file),
            _beside(self.path, "part"),
            partial(self.show, self.path),
            size=None if weights.packed else self.size,
            commit=weights.revision if re.fullmatch("[0-9a-f]{40}", weights.revision) else "",
            page="" if weights.url else f"{hub()}/{weights.id}",
        )

    @property
    def ready(self) -> Path:
        """All of it, not yet verified."""
        return _beside(self.path, "unpacked" if self.need.weights.packed else "part")

    def bring(self) -> Answer:
        """Have all of it ready beside its place; what lies in its place with another size is put aside."""
        weights = self.need.weights
        if weights.page and not weights.url:
            raise FetchError(
                f"no command can fetch {self.file} of {weights.id}: put it at {self.path}, from {weights.page} "
                f"(licence: {self.need.licence}); then make weights ENCODERS={self.need.encoder} pins it"
            )
        if self.path.is_file():
            _put_aside(self.path, self.path)
        answer = self.download.bring()
        if weights.packed:
            self._unpack()
        return answer

    def settle(self) -> None:
        """Rename it into its place."""
        with writing(self.path), beside(self.path) as temporary:
            self.ready.replace(temporary)
        self.download.forget()

    def refuse(self, arrived: Path) -> Path:
        """Put what arrived aside, so that the next try starts anew; return where it lies now."""
        aside = _put_aside(arrived, self.path)
        self.download.forget()
        return aside

    def _unpack(self) -> None:
        """Unpack in memory: what comes packed is small."""
        unpacker, data, part = bz2.BZ2Decompressor(), b"", self.download.part
        with suppress(OSError):  # what it says of bytes that were never packed
            data = unpacker.decompress(part.read_bytes(), LARGEST_UNPACKED)
        if not unpacker.eof:
            raise FetchError(f"{self.download.url}: expected a file packed by bzip2; it lies at {self.refuse(part)}")
        with writing(self.ready):
            self.ready.write_bytes(data)


def _verified(need: Need, arrived: Sequence[_Arrival], answers: Sequence[Answer]) -> str:
    """Return the digest of all files; where it is not the expected one they are put aside."""
    weights, pin = need.weights, pinned(need.weights)
    ready = {arrival.path: arrival.ready for arrival in arrived}
    found = digest([ready.get(path, path) for path in weights.paths])
    stated = answers[0].sha256 if answers and len(weights.files) == 1 and not weights.packed else ""
    expected = weights.sha256 or (pin.sha256 if pin else stated)
    moved = len({answer.commit for answer in answers}) > 1
    if expected in ("", found) and not moved:
        return found
    aside = [item.refuse(item.ready) for item in arrived] or [_put_aside(path, path) for path in weights.paths]
    where = f"{need.encoder}, {weights.id}, {', '.join(weights.files)}"
    what = "was changed while it was fetched" if moved else f"expected sha256 {expected}, got {found}"
    by = f" (pinned in {weights.pin})" if pin and not weights.sha256 else ""
    raise FetchError(
        f"{where}: {what}{by}; the bytes lie at {', '.join(map(str, aside))}. make weights ENCODERS={need.encoder} "
        "fetches it anew; if that gives the same, it was changed where it comes from: ask there before you trust it"
    )


def _write_pin(weights: Weights, found: str, answers: Sequence[Answer]) -> None:
    sizes = tuple(path.stat().st_size for path in weights.paths)
    source = address(weights, weights.files[0]) if answers else "put there by hand"
    commit = answers[0].commit if answers else ""
    pin = Pin(found, sizes, source, weights.revision, commit)
    with writing(weights.pin), beside(weights.pin) as temporary:
        temporary.write_text(json.dumps(asdict(pin), indent=2) + "\n", encoding="utf-8")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time fetch into a folder, where its disk can tell."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network disks lock no folders
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FetchError(f"{folder}: another command is fetching into it; wait for that one") from None
        yield
    finally:
        os.close(handle)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def _put_aside(arrived: Path, path: Path) -> Path:
    """Rename what is not what it should be, if that may be; return where it lies now."""
    aside = _beside(path, "wrong")
    with suppress(OSError):
        return arrived.replace(aside)
    return arrived


@contextmanager
def progress() -> Iterator[Show]:
    """Draw a bar for each file on a terminal, and write a plain line now and then elsewhere."""
    if not redraws(sys.stdout):
        yield _plain()
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress("{task.description}", *columns, console=console()) as bars:
        tasks: dict[Path, TaskID] = {}

        def draw(path: Path, have: int, total: int | None) -> None:
            if path not in tasks:
                tasks[path] = bars.add_task(path.name)
            bars.update(tasks[path], completed=have, total=total)

        yield draw


def _plain() -> Show:
    told_s = -PLAIN_LINE_EVERY_S

    def line(path: Path, have: int, total: int | None) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= PLAIN_LINE_EVERY_S or have == total:
            told_s = now_s
            sys.stdout.write(f"{path.name}: {sized(have)} of {size_text(total)}\n")
            sys.stdout.flush()

    return line
