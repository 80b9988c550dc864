"""How far the runs of a corpus are, on whichever machine: written into the cache, and read from it alone."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from extract.display import lasting
from extract.plan import Plan
from extract.tally import Tally
from features import CacheError, Reader
from features.entries import entries
from features.failures import recorded
from features.roots import corpora
from features.runs import Run, forget, note, noted
from manifests import unknown

NOTE_EVERY_S = 5.0


@contextmanager
def noting(todo: Plan) -> Iterator[Callable[[Tally], None]]:
    """Note a run's progress in the cache, now and then, and that it ended when it does."""
    corpus, now = todo.manifest.corpus, time.time()
    wanted = {entry.name: len(entry.todo) for entry in todo.entries}
    run = Run(uuid.uuid4().hex[:12], now, now, wanted, todo.clips_todo)
    forget(corpus)
    note(corpus, run)

    def tell(tally: Tally) -> None:
        nonlocal run
        now = time.time()
        since_s = now - run.noted
        run = replace(run, done=tally.clips, failed=len(tally.failed), media_s=tally.media_s)
        if since_s > NOTE_EVERY_S:
            run = replace(run, noted=now)
            note(corpus, run)

    yield tell
    note(corpus, replace(run, noted=time.time(), ended=True))


def lines(corpus: str) -> Iterator[str]:
    """Say what each entry holds, and how far each run is."""
    row = "{:26} {:>9} {:>7} {:>9}".format
    found, runs = entries(corpus), noted(corpus)
    if not found and not runs:
        raise CacheError(unknown("corpus with features", corpus, corpora()))
    yield row("entry", "clips", "failed", "wanted")
    for folder in found:
        with Reader(folder) as reader:
            failed = recorded(folder).keys() - reader.keys()
            wanted = [run.wanted[folder.name] for run in runs if folder.name in run.wanted]
            yield row(folder.name, len(reader), len(failed), wanted[-1] if wanted else "-")
    for run in runs:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.began))
        speed = f", {run.media_s / max(1.0, run.noted - run.began):.1f} media s/s" if run.media_s else ""
        left = f", about {lasting(run.left_s)} left" if run.left_s and run.state == "running" else ""
        yield f"run of {began}: {run.state}; {run.done}/{run.clips} clips{speed}, {run.failed} failed{left}"
