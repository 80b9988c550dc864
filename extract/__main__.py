"""`python -m extract`: fill the cache from media, say how far that is, check and list encoders."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import manifests
from extract import arguments, display, listing, scale, stale, status
from extract.asked import split
from extract.forecast import TRIAL_CLIPS, forecast
from extract.plan import Plan, Want, plan, wants
from extract.scale import Where
from extract.slices import Job
from extract.sources import reachable
from extract.tally import Tally
from extract.weights import WeightsError
from features import CacheError, root
from features.key import Precision
from features.roots import corpora
from features.waiting import awaited, counted, waiting
from manifests import Clip, Manifest, ManifestError, unknown

DEEP = "hash every media file again, whatever its size and time say"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; what a user can get wrong is a message and exit code 2, never a stack trace."""
    options = _parser().parse_args(words)
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

    def command(name: str, run: Callable[[argparse.Namespace], int], says: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.")
        added.set_defaults(run=run)
        return added

    _run_options(command("run", _run, "extract what the cache lacks"))
    state = command("status", _status, "how far runs are, from the cache alone")
    state.add_argument("corpus", help="a corpus that is or was extracted, here or on another machine")
    compared = command("stale", _stale, "what has changed since entries were made; exit code 1 where something has")
    compared.add_argument("corpus", nargs="?", help="one corpus; all when left out")
    compared.add_argument("--deep", action="store_true", help=DEEP)
    trial = command("check", _check, "whether neighbours and PRECISION=fast leave an encoder's features alone")
    trial.add_argument("encoder", help="a name, or NAME:GRID")
    trial.add_argument("--corpus", default="demo", help="whose clips to use [demo]")
    _common_options(trial, TRIAL_CLIPS)
    command("encoders", _encoders, "list every encoder, and whether its weights are here")
    fetched = command("weights", _weights, "fetch weights that no package carries, verify and pin them")
    fetched.add_argument("names", nargs="?", default="", help=f"encoders, with commas; all [{','.join(listing.LEFSA)}]")
    fetched.add_argument("--yes", action="store_true", help="do not ask before fetching")
    return parser


def _run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument("corpus", help="a corpus with a manifest, or one that --root can read")
    run.add_argument("--root", type=Path, help="where the corpus lies; reads its manifest anew")
    few, papers = ",".join(listing.NO_DOWNLOAD), ",".join(listing.LEFSA)
    names = f"names, with commas; NAME:GRID+OPTION=VALUE for more [{few}; for a paper's corpus {papers}]"
    run.add_argument("--encoders", default="", help=names)
    _common_options(run)
    run.add_argument("--dry", action="store_true", help="say what would be done, and do nothing")
    run.add_argument("--retry", action="store_true", help="try quarantined clips again")
    run.add_argument("--deep", action="store_true", help=DEEP)
    precision = "fast: bfloat16, where an encoder has it [exact]"
    run.add_argument("--precision", choices=("exact", "fast"), default="exact", help=precision)
    run.add_argument(
        "--workers", type=arguments.count, default=0, help="processes on this machine, one for each GPU [1]"
    )
    run.add_argument("--cluster", default="", help="tcp://HOST:PORT of a dask scheduler, or slurm (docs/cluster.md)")
    run.add_argument(
        "--time-limit",
        type=arguments.seconds,
        default=os.environ.get("TIME_LIMIT") or "30",
        help="seconds that a step may take per second of media before its clip is given up [TIME_LIMIT, or 30]",
    )
    run.add_argument(
        "--max-failed",
        type=arguments.share,
        default=os.environ.get("MAX_FAILED") or "0.05",
        help="share of clips that may fail before the exit code says so [MAX_FAILED, or 0.05]",
    )


def _common_options(parser: argparse.ArgumentParser, limit: int | None = None) -> None:
    parser.add_argument("--split", help="only this split")
    parser.add_argument("--limit", type=arguments.count, default=limit, help="only the first N clips of those chosen")
    parser.add_argument("--clips", type=Path, help="only the clip ids in this file, one a line")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 … [cuda where there is one]")
    weights = "random:0 for a trial without weights [WEIGHTS]"
    parser.add_argument("--weights", type=arguments.random, default=os.environ.get("WEIGHTS", ""), help=weights)


def _run(options: argparse.Namespace) -> int:
    manifest = _manifest(options.corpus, options.root, dry=options.dry)
    names = split(options.encoders) or listing.default_encoders(manifest.corpus)
    with waiting(f"looking for what {options.corpus} lacks"):
        wanted = _wanted(manifest, names, options, options.precision)
        todo = plan(manifest, wanted, _chosen(manifest, options), retry=options.retry, deep=options.deep)
    if not options.weights:
        busy = [stage for entry in todo.entries if entry.todo for stage in (entry.want.denoise, entry.want.encoder)]
        listing.refuse_missing(listing.needs_of(filter(None, busy)), manifest.corpus)
    print("\n".join(display.plan_lines(todo)))
    if options.dry:
        if todo.slices:
            _forecast(todo, options)
        return 0
    if any(entry.want.spec.reads != "text" and entry.todo for entry in todo.entries):
        reachable(manifest.root)
    if not todo.slices:
        print(f"nothing to do: {_why_nothing(todo)}. 0 media files opened.")
        return 0
    if options.precision == "fast" and not options.weights:  # random weights bear anything
        from extract import trial

        trial.refuse_unlike(todo, _job(todo, options).device, print)
    return _work(todo, options)


def _why_nothing(todo: Plan) -> str:
    if not any(entry.sources for entry in todo.entries):
        media = " or ".join(sorted({entry.want.source for entry in todo.entries}))
        return f"no chosen clip has {media}; of clips without media there are only the features that were imported"
    failed = any(entry.quarantined for entry in todo.entries)
    return "what is not in the cache failed before" if failed else "every chosen clip is in the cache"


def _wanted(manifest: Manifest, names: Sequence[str], options: argparse.Namespace, precision: Precision) -> list[Want]:
    try:
        return wants(manifest.corpus, names, precision, options.weights, manifest.language)
    except WeightsError:  # one is unknown until it is fetched; better name all that are missing
        listing.refuse_missing(listing.needs(names), manifest.corpus)
        raise


def _manifest(corpus: str, root: Path | None, *, dry: bool) -> Manifest:
    if root is None and manifests.path_of(corpus).is_file():
        with waiting(f"reading the manifest of {corpus}"):
            manifest = manifests.read(corpus)
            if not dry:
                manifests.make(manifest)
    else:
        with waiting(f"reading {corpus}"):
            manifest = manifests.again(corpus, root).manifest
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


def _work(todo: Plan, options: argparse.Namespace) -> int:
    job, where = _job(todo, options), Where(options.workers, options.cluster)
    began_s = time.monotonic()
    with display.progress(todo.clips_todo) as show, status.noting(todo) as note:

        def tell(tally: Tally, held: float) -> None:
            show(tally, held)
            note(tally)

        tally = scale.run(job, todo.slices, where, tell, print)
    print("\n".join(display.summary(tally, time.monotonic() - began_s, todo)))
    share = len(tally.failed) / max(1, tally.clips)
    if share > options.max_failed:
        print(f"{share:.1%} of the clips failed, more than {options.max_failed:.0%} (MAX_FAILED)", file=sys.stderr)
        return 1
    return 0


def _forecast(todo: Plan, options: argparse.Namespace) -> None:
    with waiting("trying the first clips"):
        found = forecast(todo, _job(todo, options), max(1, options.workers))
    print(
        f"about {display.lasting(found.wall_s)} and {found.disk_bytes / 1e9:.2f} GB of disk, "
        f"by a trial on {found.clips} clips here"
    )


def _job(todo: Plan, options: argparse.Namespace) -> Job:
    wants = tuple(entry.want for entry in todo.entries if entry.todo)
    device = _device(options.device, wants, on_cluster=bool(options.cluster))
    threads = scale.threads(Where(options.workers, options.cluster))
    manifest = todo.manifest
    root, limit = manifest.root.resolve(), options.time_limit
    return Job(root, wants, device, threads, options.weights, limit, manifest.reader)


def _device(asked: str | None, wants: Sequence[Want], *, on_cluster: bool) -> str:
    if asked is None and not any(want.spec.parameters for want in wants):
        return "cpu"  # no network to load: torch need not be imported either
    if on_cluster:
        return asked or "cpu"  # what this machine has says nothing about the workers'
    import torch

    if asked is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=asked)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {asked}: {str(error).splitlines()[0]}") from None
    return asked


def _check(options: argparse.Namespace) -> int:
    from extract import trial

    manifest = _manifest(options.corpus, None, dry=False)
    wanted = _wanted(manifest, [options.encoder], options, "fast")
    if not options.weights:
        listing.refuse_missing(listing.needs([options.encoder]), manifest.corpus)
    chosen = _chosen(manifest, options)
    clips = [clip.id for clip in manifest.clips if chosen(clip)]
    verdict = trial.tried(manifest, wanted, clips, _device(options.device, wanted, on_cluster=False), options.weights)
    print("\n".join(display.verdict_lines(verdict, random=bool(options.weights))))
    return 0 if verdict.passed or options.weights else 1


def _status(options: argparse.Namespace) -> int:
    for line in awaited(status.lines(options.corpus), "reading the cache"):
        print(line)
    return 0


def _stale(options: argparse.Namespace) -> int:
    names = [options.corpus] if options.corpus else corpora()
    if not names:
        raise CacheError(f"nothing cached there yet under {root()}; make features fills it")
    surveys = [stale.survey(name, deep=options.deep) for name in counted(names, "comparing corpora")]
    print("\n".join(stale.lines(surveys)))
    return max(one.code for one in surveys)


def _encoders(_: argparse.Namespace) -> int:
    print("\n".join(listing.encoder_lines(shutil.get_terminal_size().columns if sys.stdout.isatty() else None)))
    return 0


def _weights(options: argparse.Namespace) -> int:
    from extract import obtain

    names = listing.everything() if options.names == "all" else split(options.names) or listing.LEFSA
    needs = listing.needs(names, best=True)
    found = obtain.survey(needs)
    print("\n".join(obtain.survey_lines(found)))
    if any(file.fetchable for file in found) and not (options.yes or _agreed()):
        print("nothing was fetched")
        return 1
    failed = False
    with obtain.progress() as show:
        for need in needs:
            try:
                print(obtain.obtain(need, show))
            except WeightsError as error:
                failed = True
                print(error, file=sys.stderr)
    return 2 if failed else 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ValueError(
            "nobody is here to be asked whether to fetch that: say YES=1 (python -m extract weights --yes)"
        )
    try:
        return input("fetch, under these licences? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
