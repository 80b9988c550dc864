"""Our engine against the plain way and against its floors, in turns: `python tests/bench/contest.py` prints JSON.

Each way has a process of its own, because torch reads its settings while it is imported.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import engine
import media
import setting

Row = Mapping[str, float]
COUNTS = {"frames", "crops"}


def measure(contest: setting.Contest) -> dict[str, object]:
    """Load everything, warm up, let all run in turns, and return medians by second of media."""
    corpus = media.corpus(contest.corpus, contest.clips)
    some = setting.third(corpus.clips)
    with rival(contest) as plain, tempfile.TemporaryDirectory(dir=media.bench_folder()) as cache:
        os.environ.update(engine.PATIENT, FEATURES_ROOT=cache)
        fast = engine.Ours(contest, corpus, some, "fast")
        exact = engine.Ours(contest, corpus, some, "exact")
        exact.warm_up()
        if contest.device != "cpu":
            fast.warm_up()  # until batches have grown
        fast.warm_up(keeps=True)
        # The plain way goes first, so that its loading is over before anything of ours is measured.
        turns = {"plain": plain, "fast": fast.round, "exact": exact.round, "floor": fast.floor}
        rounds = [{name: turn() for name, turn in turns.items()} for _ in range(contest.rounds)]
    media_s = {"plain": exact.media_s, "fast": fast.media_s, "exact": exact.media_s, "floor": fast.media_s}
    rows = {name: [_per(row[name], media_s[name]) for row in rounds] for name in turns}
    return {
        "clips": len(some),
        "media_s": fast.media_s,
        **_figures({name: _median(found) for name, found in rows.items()}),
        "rounds": {name: [row.get("wall", sum(row.values())) for row in found] for name, found in rows.items()},
    }


@contextlib.contextmanager
def rival(contest: setting.Contest) -> Iterator[Callable[[], Row]]:
    """Start the plain way, which loads and warms up by itself; what is yielded runs one round and returns its row."""
    command = [sys.executable, str(Path(__file__).with_name("plain.py")), *setting.words(contest)]
    environment = os.environ | (engine.PATIENT if contest.patient else {})
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:

        def row() -> Row:
            process.stdin.write("\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield row


def _per(row: Row, media_s: float) -> Row:
    return {name: value / media_s for name, value in row.items()}


def _median(rows: Sequence[Row]) -> Row:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _only(row: Row, kept: AbstractSet[str]) -> Row:
    return {name: value for name, value in row.items() if name in kept}


def _figures(per_s: Mapping[str, Row]) -> dict[str, object]:
    fast, floor_s = per_s["fast"], sum(per_s["floor"].values())
    return {
        "seconds_per_media_second": {name: _only(row, row.keys() - COUNTS) for name, row in per_s.items()},
        "units_per_media_second": {name: _only(row, COUNTS & row.keys()) for name, row in per_s.items()},
        "frames_per_s": fast["frames"] / fast["wall"],
        "crops_per_s": fast["crops"] / fast["wall"],
        "real_time_factor": fast["wall"],
        "plain_by_ours": per_s["plain"]["wall"] / fast["wall"],
        "plain_by_exact": per_s["plain"]["wall"] / per_s["exact"]["wall"],
        "ours_by_floor": fast["wall"] / floor_s,
    }


def main() -> None:
    """Measure what the command line says."""
    contest = setting.read(setting.Contest)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = measure(contest)
    except media.AbsentError as error:
        found = {"skipped": str(error)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
