"""`python -m extract`: fill the cache from media; list encoders."""

import argparse
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import manifests
from extract import encoders
from extract.plan import EntryPlan, Plan, plan, wants
from extract.tally import Tally
from features import CacheError, Failure
from manifests import Clip, Manifest, ManifestError, unknown

NO_DOWNLOAD = ("silero", "mfcc", "egemaps", "face_hog", "minilm")
"""What is extracted when no encoder is named: their weights come with the packages."""
PLAIN_LINE_EVERY_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what a user can get wrong is a message and exit code 2, never a stack trace."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (ManifestError, CacheError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(
            f"{error.name} is not installed; it comes with: pip install '.[extract]' (or make setup)", file=sys.stderr
        )
        return 2
    except OSError as error:
        print(f"cannot go on: {error}. What was written before is whole; run the same again.", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("stopped. What was written before is whole; the same command goes on from there.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m extract", epilog="example: python -m extract run meld --encoders minilm --split dev --dry"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="extract what the cache lacks", description="Extract what the cache lacks.")
    run.add_argument("corpus", help="a corpus with a manifest, or one that --root can read")
    run.add_argument("--root", type=Path, help="where the corpus lies; reads its manifest anew")
    run.add_argument(
        "--encoders", default=",".join(NO_DOWNLOAD), help="names, with commas; NAME:GRID for another grid [%(default)s]"
    )
    run.add_argument("--split", help="only this split")
    run.add_argument("--limit", type=_count, help="only the first N clips of those chosen")
    run.add_argument("--clips", type=Path, help="only the clip ids in this file, one a line")
    run.add_argument("--dry", action="store_true", help="say what would be done, and do nothing")
    run.add_argument("--retry", action="store_true", help="try quarantined clips again")
    run.add_argument("--device", help="cpu, cuda, cuda:1 … [cuda where there is one]")
    run.add_argument(
        "--max-failed",
        type=float,
        default=os.environ.get("MAX_FAILED") or 0.05,
        help="share of clips that may fail before the exit code says so [MAX_FAILED, or 0.05]",
    )
    run.set_defaults(run=_run)
    listing = commands.add_parser("encoders", help="list every encoder", description="List every encoder.")
    listing.set_defaults(run=_encoders)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    manifest = _manifest(options.corpus, options.root, dry=options.dry)
    wanted = wants(manifest.corpus, options.encoders.split(","))
    todo = plan(manifest, wanted, _chosen(manifest, options), retry=options.retry)
    print("\n".join(_plan_lines(todo)))
    if options.dry:
        return 0
    if not todo.slices:
        failed = any(entry.quarantined for entry in todo.entries)
        why = "what is not in the cache failed before" if failed else "every chosen clip is in the cache"
        print(f"nothing to do: {why}. 0 media files opened.")
        return 0
    return _work(todo, options.device, options.max_failed)


def _manifest(corpus: str, root: Path | None, *, dry: bool) -> Manifest:
    if root is None and manifests.path_of(corpus).is_file():
        manifest = manifests.read(corpus)
        if not dry:
            manifests.make(manifest)
    else:
        manifest = manifests.build(corpus, root)
        if not dry:
            print(f"manifest: {manifests.write(manifest)}, {len(manifest.clips)} clips")
    if not manifest.clips:
        raise ManifestError(f"the manifest of {corpus} holds no clip; make it again: make manifest CORPUS={corpus}")
    return manifest


def _chosen(manifest: Manifest, options: argparse.Namespace) -> Callable[[Clip], bool]:
    splits = {clip.split for clip in manifest.clips}
    if options.split and options.split not in splits:
        raise ValueError(unknown("split", options.split, splits))
    clips = [clip.id for clip in manifest.clips if options.split in (None, clip.split)]
    if options.clips:
        if not options.clips.is_file():
            raise ValueError(f"--clips: expected a file of clip ids, one a line, got {options.clips}")
        named = [line.strip() for line in options.clips.read_text(encoding="utf-8").splitlines() if line.strip()]
        for name in named:
            if name not in clips:
                raise ValueError(f"{options.clips}: {unknown('clip', name, clips)[:500]}")
        clips = [clip for clip in clips if clip in set(named)]
    kept = frozenset(clips[: options.limit])
    return lambda clip: clip.id in kept


def _plan_lines(todo: Plan) -> Iterator[str]:
    row = "{:26} {:24} {:>7} {:>8} {:>6} {:>7} {:>7}".format
    yield row("entry", "grid", "done", "to do", "stale", "failed", "absent")
    for entry in todo.entries:
        counts = map(len, (entry.done, entry.todo, entry.stale, entry.quarantined))
        yield row(entry.name, str(entry.want.grid), *counts, entry.absent)
    quarantined = len({clip for entry in todo.entries for clip in entry.quarantined})
    if quarantined:
        yield f"{quarantined} clips failed before and are left out; RETRY=1 tries them again"
    yield f"{todo.clips_todo} clips to visit in {len(todo.slices)} parts"


def _work(todo: Plan, device: str | None, max_failed: float) -> int:
    from extract.work import run

    # Threads that spin while they wait make everything ten times slower where other programs want the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    began = time.monotonic()
    with _progress(todo.clips_todo) as progress:
        tally = run(todo, _device(device, todo), progress)
    wall_s = time.monotonic() - began
    media = f", {tally.media_s:.0f} s of media" if tally.media_s else ""
    speed = f"{tally.media_s / wall_s:.1f} media seconds" if tally.media_s else f"{tally.clips / wall_s:.1f} clips"
    print(f"{tally.clips} clips{media} in {wall_s:.0f} s: {speed} per second; {tally.files} files opened")
    names = {entry.name: entry for entry in todo.entries}
    for name, windows in tally.windows.items():
        print(f"  {name}: {windows} windows, in {names[name].want.folder}")
        if tally.repeated[name]:
            print(f"    {tally.repeated[name]} slots had no frame of their own and repeat the one before")
    _tell_failures(names, tally.failures)
    share = len(tally.failed) / max(1, tally.clips)
    if share > max_failed:
        print(f"{share:.1%} of the clips failed, more than {max_failed:.0%} (MAX_FAILED)", file=sys.stderr)
        return 1
    return 0


def _tell_failures(names: Mapping[str, EntryPlan], failures: Mapping[str, list[Failure]]) -> None:
    for name, failed in failures.items():
        reasons = Counter(f"{failure.stage}: {failure.reason}" for failure in failed)
        print(f"  {name}: {len(failed)} clips failed, recorded in {names[name].want.folder / 'failures.jsonl'}")
        for reason, count in reasons.most_common(5):
            print(f"    {count} x {reason}")


def _device(asked: str | None, todo: Plan) -> str:
    if not any(entry.want.spec.parameters for entry in todo.entries if entry.todo):
        return "cpu"  # no network to load: torch need not be imported either
    import torch

    if asked is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {asked}: {str(error).splitlines()[0]}") from None
    return asked


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[Tally], None]]:
    """Show a live bar on a terminal, and a plain line now and then elsewhere."""
    if sys.stdout.isatty():
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns) as bar:
            task = bar.add_task("", total=total)
            yield lambda tally: bar.update(task, completed=tally.clips, description=f"{len(tally.failed)} failed")
        return
    began = last = time.monotonic()

    def line(tally: Tally) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_LINE_EVERY_S:
            last = now
            left_s = (now - began) / tally.clips * (total - tally.clips)
            print(f"{tally.clips}/{total} clips, {len(tally.failed)} failed, about {left_s:.0f} s left", flush=True)

    yield line


def _encoders(_: argparse.Namespace) -> int:
    row = "{:14} {:7} {:22} {:24} {:>12}  {}".format
    print(row("encoder", "reads", "output", "grid", "parameters", "licence"))
    for name in encoders.names():
        spec = encoders.spec(name)
        steps = "?" if spec.steps is None else spec.steps
        shape = " x ".join(map(str, (steps, *spec.width)))
        print(
            row(
                name, spec.reads, shape, spec.grids[0], f"{spec.parameters:,}" if spec.parameters else "-", spec.licence
            )
        )
        print(f"{'':14} {(encoders.module(name).__doc__ or '').splitlines()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
