"""`python -m features`: look at the cache, check it, tidy it, share it, and exchange it with other tools."""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from features import customs, look, share, transfer, words
from features.entries import entries, key_of
from features.exchange import FORMATS, HOWS
from features.permission import restricted
from features.places import Folder, Place, place
from features.reader import Reader
from features.roots import CacheError, copies, corpora, corpus_folder, root, roots
from features.share import Lack, NothingError
from features.store import Part, discard
from features.transfer import Done
from features.waiting import awaited, draw, waiting

STALE_TEMPORARY_S = 24 * 3600
EXAMPLES = """\
examples:
  python -m features ls meld
  python -m features show meld --entry wav2vec2_msp       how it was made, for a methods section; BibTeX
  python -m features diff meld/mfcc-1a2b3c4d meld/mfcc-5e6f7a8b
  python -m features push /lab/features meld --dry        what would be copied, and what may not leave
  python -m features pull ssh://lab.example/data/features meld --encoders minilm,mfcc
  python -m features import mmsa aligned_50.pkl --corpus mosi --as vision=facet audio=covarep --labels-out mosi.csv
  python -m features export merbench out --corpus meld --entries wav2vec2_msp minilm
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a cache that cannot be used is a message and exit code 2, never a stack trace."""
    try:
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except (CacheError, OSError) as error:
        draw("")
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        draw("")
        print("stopped; what has arrived is whole, and the same command goes on", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m features",
        description=f"The feature cache at {', '.join(map(str, roots()))} (FEATURES_ROOT moves it).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    for name, run, text in (
        ("ls", _told(look.ls), "list entries: clips, windows, size, failures, grid, licence"),
        ("show", _told(look.show), "tell how entries were made: in words, key, BibTeX, command, failures"),
        ("du", _told(look.du), "tell the size of every entry in every cache"),
        ("verify", _verify, "read every part and compare its digest; exit code 1 when one is damaged"),
        ("stale", _stale, "name entries whose encoder, weights, media or words have changed since; exit code 1"),
        ("gc", _gc, "say what can be freed in one's own cache (unfinished files, duplicate clips); free it with --yes"),
    ):
        one = command(name, run, text)
        one.add_argument("corpus", nargs="?", help="one corpus; all when left out")
        if name == "stale":
            one.add_argument("--deep", action="store_true", help="hash every media file again")
        else:
            one.add_argument("--entry", help="one entry, by the start of its folder name, such as minilm")
        if name == "gc":
            one.add_argument("--yes", action="store_true", help="really delete")
    differ = command("diff", _diff, "name the parts of two keys that differ; exit code 1 when some do")
    differ.add_argument("entries", nargs=2, metavar="CORPUS/ENTRY", help="by the start of its folder name")
    for name, run, text in (
        ("push", _push, "copy to a shared place what it lacks: a folder, ssh://, s3://"),
        ("pull", _pull, "copy from a shared place what is lacking here: a folder, ssh://, s3://, https://"),
    ):
        one = command(name, run, text)
        one.add_argument("place", help="/lab/features, ssh://host/folder, s3://bucket/folder, https://host/folder")
        one.add_argument("corpus", nargs="?", default="", help="one corpus")
        one.add_argument("--encoders", default="", help="names or folders of entries, separated by commas")
        if name == "push":
            one.add_argument("--holds", choices=("features",), default="", help="what is in parts that do not say so")
        one.add_argument("--dry", action="store_true", help="say what would be copied, and copy nothing")
        one.add_argument("--renew", action="store_true", help="take clips anew that rest on other media or words there")
    _add_customs(command)
    return parser


def _add_customs(command: Callable[..., argparse.ArgumentParser]) -> None:
    one = command("import", _import, "make entries of another tool's features")
    one.add_argument("format", choices=FORMATS)
    one.add_argument("source", type=Path)
    one.add_argument("--corpus", required=True)
    one.add_argument(
        "--as", nargs="+", default=[], metavar="FEATURE=NAME", dest="names", help="which, under what names"
    )
    one.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE", help="options of the format")
    one.add_argument("--dtype", default="", help="how values are stored; as in the file, but float32 for float64")
    one.add_argument("--zeros", action="store_true", help="put 0 in the place of what is no finite number")
    one.add_argument("--labels-out", type=Path, metavar="FILE", help="write labels and splits for CORPUS=folder")
    one.add_argument("--licence", default="unknown", help="of whoever made the features")
    one.add_argument("--corpus-licence", default="", help="name of the corpus' terms")
    one.add_argument("--shares", default="", help="what may leave under them: features, transcript, labels, raw")
    one.add_argument(
        "--holds", choices=("features", "transcript", "raw"), default="", help="whole numbers are taken for transcripts"
    )
    one.add_argument("--note", default="", help="what else is known of their making")
    one.add_argument("--bibtex", type=Path, metavar="FILE", help="whose work they are")
    other = command("export", _export, "write features for another tool")
    other.add_argument("format", choices=FORMATS)
    other.add_argument("target", type=Path)
    other.add_argument("--corpus", required=True)
    other.add_argument("--entries", nargs="+", default=[], metavar="[NAME=]ENTRY", help="which, under what names there")
    other.add_argument("--labels", type=Path, metavar="FILE", help="as python -m manifests table CORPUS writes it")
    other.add_argument("--how", choices=HOWS, default="steps", help="every step, a mean a window, a mean a clip")
    other.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE", help="options of the format")


def _told(lines: Callable[[Sequence[Path]], Iterable[str]]) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        for line in awaited(lines(_chosen(options.corpus, options.entry)), "reading the cache"):
            print(line)
        return 0

    return run


def _chosen(corpus: str | None, entry: str | None = None) -> list[Path]:
    there = corpora()
    if corpus and not corpus_folder(corpus).is_dir() and corpus not in there:
        raise CacheError(f"the cache at {root()} has no corpus {corpus!r}; it has: {', '.join(there) or 'nothing'}")
    names = [corpus] if corpus else there
    folders = [folder for name in names for folder in entries(name) if folder.name.startswith(entry or "")]
    if not folders and entry and names:
        have = ", ".join(sorted({folder.name for name in names for folder in entries(name)})) or "nothing"
        raise CacheError(f"no entry of {', '.join(names)} begins with {entry!r}; there are: {have}")
    if not folders:
        raise CacheError(f"nothing cached there yet under {root()}; make features fills it")
    return folders


def _diff(options: argparse.Namespace) -> int:
    folders = _chosen(None)
    lines = list(look.diff(*(look.one_of(folders, named) for named in options.entries)))
    print("\n".join(lines) if lines else "no part of their keys differs")
    return 1 if lines else 0


def _verify(options: argparse.Namespace) -> int:
    damaged = 0
    folders = [each for first in _chosen(options.corpus, options.entry) for each in copies(first)]
    parts = [(path, key) for each in folders for key in [key_of(each)] for path in sorted(each.glob("part-*.h5"))]
    for checked, (path, key) in enumerate(parts):
        draw(f"{checked} of {len(parts)} parts checked, {damaged} damaged")
        try:
            with contextlib.suppress(FileNotFoundError), contextlib.closing(Part(path, key)) as part:
                part.verify()  # one that a running extraction has just replaced is none any more
        except CacheError as error:
            damaged += 1
            draw("")
            print(error)
    draw("")
    print(f"{len(parts)} parts checked, {damaged} damaged")
    return 1 if damaged else 0


def _stale(options: argparse.Namespace) -> int:
    # What has changed only the machine knows that reads media; shelves import no machine.
    said = [*filter(None, [options.corpus]), *(["--deep"] if options.deep else [])]
    return subprocess.run([sys.executable, "-m", "extract", "stale", *said], check=False).returncode  # noqa: S603


def _gc(options: argparse.Namespace) -> int:
    freed = 0
    own = [folder for folder in _chosen(options.corpus, options.entry) if folder.parent.parent == root()]
    for folder in own:
        with waiting(f"looking through {folder.name}"), Reader(folder, alone=True) as reader:
            kept = set(reader.where.values())
            rows = ((path, row) for path, each in reader.rows.items() for row in range(len(each.clips)))
            twice = [reader.part(path).bytes_of(row) for path, row in rows if (path, row) not in kept]
        before = time.time() - STALE_TEMPORARY_S
        old = {path: stat.st_size for path, stat in look.files(folder, ".*.tmp").items() if stat.st_mtime < before}
        size = sum(old.values()) + sum(twice)
        freed += size
        print(f"{folder.name}: {len(twice)} duplicate clips, {len(old)} unfinished files, {size / 1e6:.1f} MB")
        if options.yes:
            for path in old:
                path.unlink(missing_ok=True)
            with waiting(f"{folder.name}: freeing"):
                discard(folder, lambda path, row, _clip, _source, kept=kept: (path, row) not in kept)  # type: ignore[misc]
    print(f"{freed / 1e6:.1f} MB " + ("freed" if options.yes else "could be freed: add --yes"))
    return 0


def _push(options: argparse.Namespace) -> int:
    target = place(options.place)
    if not target.writes:
        raise CacheError(f"{target} can only be read; push to a folder, ssh:// or s3://, from which http may serve it")
    if options.renew and not isinstance(target, Folder):
        raise CacheError(f"--renew replaces what is there, and {target} is no folder: renew where its disk is mounted")
    stays = 0
    with waiting(f"looking at what {root()} has"):
        chosen = _to_push(target, options)
    for source, names in chosen:
        with waiting(f"looking at what {target} has"):
            permitted = share.permitted(source, target, options.holds)
            lacks = share.lacks(source, target, names, permitted, renew=options.renew)
        stays += sum(sum(lack.refused.values()) for lack in lacks)
        _copy(source, target, lacks, options, partial(transfer.push, source, target, lacks))
    return 1 if stays else 0


def _to_push(target: Place, options: argparse.Namespace) -> list[tuple[Folder, list[str]]]:
    """Return the entries that are meant in each cache here but the target itself; one of them must have some."""
    found, why = [], [CacheError(f"nothing cached yet under {root()} but at the target itself; make features fills it")]
    for source in map(Folder, roots()):
        if not (isinstance(target, Folder) and source.top.resolve() == target.top.resolve()):
            try:
                found.append((source, share.chosen(source, options.corpus, _encoders(options))))
            except NothingError as error:
                why.append(error)
    if not found:
        raise why[-1]
    return found


def _pull(options: argparse.Namespace) -> int:
    source, target = place(options.place), Folder(root())
    if not options.corpus:
        print("\n".join(source.entries()) or f"{source} holds nothing yet")
        raise CacheError("say which corpus to pull: CORPUS=")
    with waiting(f"looking at what {source} has"):
        names = share.chosen(source, options.corpus, _encoders(options))
        lacks = share.lacks(source, target, names, renew=options.renew)
    _copy(source, target, lacks, options, partial(transfer.pull, source, target, lacks))
    return 0


def _encoders(options: argparse.Namespace) -> list[str]:
    return [name for name in options.encoders.split(",") if name]


def _copy(
    source: Place, target: Place, lacks: Sequence[Lack], options: argparse.Namespace, copy: Callable[[Done], None]
) -> None:
    for lack in lacks:
        print(f"{lack.entry}: {len(lack.new)} clips, {lack.bytes / 1e6:.1f} MB to copy, {lack.there} there already")
        for reason, parts in lack.refused.items():
            print(f"  {parts} parts stay here: {words.plain(reason)}")
        differing = len(lack.renewed.keys() - lack.new.keys())
        if differing:
            print(f"  {differing} clips there rest on other media or words, and stay; --renew takes them anew")
    with waiting(f"reading whose terms hold at {source}"):
        bound = sorted({line for lack in lacks if lack.items for line in _bound(source, lack)})
    print("\n".join(bound), end="\n" if bound else "")
    if options.dry:
        return
    began, total, done = time.monotonic(), sum(lack.bytes for lack in lacks), 0

    def arrived(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        speed = done / 1e6 / max(time.monotonic() - began, 1e-9)
        draw(f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB, {speed:,.0f} MB/s")

    copy(arrived)
    draw("")
    if not total:
        print(f"nothing to copy to {target}")
        return
    print(f"{done / 1e6:.1f} MB copied to {target} in {time.monotonic() - began:.1f} s, each part checked")


def _bound(source: Place, lack: Lack) -> Iterable[str]:
    licence = words.plain(share.licence_at(source, lack))
    if restricted(licence):
        yield f"not for every use: {lack.key.encoder} ({licence})"


def _import(options: argparse.Namespace) -> int:
    for line in awaited(customs.bring(options), f"reading {options.source}"):
        print(line)
    return 0


def _export(options: argparse.Namespace) -> int:
    for line in awaited(customs.send(options), f"writing {options.target}"):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
