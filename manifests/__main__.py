"""Read a corpus as it lies on the disk, write its manifest, and say what is in it, what is wrong and what leaks."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from manifests import (
    ManifestError,
    again,
    as_table,
    audit,
    corpus_module,
    corpus_names,
    counts,
    doctor,
    read,
    scan,
    write,
)

EXAMPLES = {
    "make": """\
examples:
  python -m manifests meld --root /data/MELD.Raw
  python -m manifests iemocap --root /data/IEMOCAP_full_release --set side=full
  python -m manifests folder --root /data/mine --name mine --splits /data/mine/split.csv
  python -m manifests about iemocap        its layout, options and quirks
  python -m manifests doctor --help        is it whole, and as it was published?
  python -m manifests audit --help         what do its splits share?
  python -m manifests table --help         the manifest as a table

The manifest goes to MANIFESTS_ROOT, by default this package's own folder.
Running it again replaces the manifest. Media are looked for, never changed.
""",
    "about": "example:\n  python -m manifests about iemocap",
    "doctor": """\
examples:
  python -m manifests doctor meld --root /data/MELD.Raw
  python -m manifests doctor meld           where its manifest says it lies, with the same options
  python -m manifests doctor meld --deep    listen to and look at every clip, too

It ends with 0 when the corpus is as it was published, with 1 when there is something to mend, with 2 when it cannot be
read. Nothing is changed.
""",
    "audit": """\
examples:
  python -m manifests audit meld
  python -m manifests audit meld mosei      and between the two

It reads manifests alone. It ends with 0 when the splits share nothing, with 1 when they do, with 2 when there is no
manifest.
""",
    "table": """\
examples:
  python -m manifests table meld -o meld.csv
  python -m manifests table iemocap --with-text > iemocap.csv

A row per clip: who speaks, which split, where it lies, labels, words. It is what exports of features take as --labels,
and what CORPUS=folder reads, there without media: python -m manifests folder --root DIR --name mine.
Words that their licence keeps in the lab are left out. A file is replaced only by a newer such table.
""",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 when doctor or audit found something, 2 when nothing can be read."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = given.pop(0) if given[:1] and given[0] in EXAMPLES else "make"
    parser = _parser(command)
    asked = parser.parse_args(given)
    if command == "make" and not asked.corpus and not asked.list:
        parser.error(f"which CORPUS? One of: {', '.join(corpus_names())}")
    try:
        return {"make": _make, "about": _about, "doctor": _examine, "audit": _audit, "table": _table}[command](asked)
    except (ManifestError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m manifests" if command == "make" else f"python -m manifests {command}",
        description=__doc__,
        epilog=EXAMPLES[command],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if command == "audit":
        parser.add_argument("corpora", nargs="+", metavar="CORPUS", help="names of manifests")
        return parser
    if command == "table":
        parser.add_argument("corpus", metavar="CORPUS", help="name of a manifest")
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write it, not standard output")
        parser.add_argument("--with-text", action="store_true", help="also words that their licence keeps in the lab")
        return parser
    known = ", ".join(corpus_names())
    parser.add_argument("corpus", nargs="?" if command == "make" else None, metavar="CORPUS", help=f"one of: {known}")
    if command == "about":
        return parser
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder in which the corpus lies")
    parser.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE", help="options of the reader")
    parser.add_argument(
        "--splits", type=Path, metavar="FILE", help="your own list of who is trained on and who is scored"
    )
    if command == "doctor":
        parser.add_argument("--deep", action="store_true", help="decode every clip")
    else:
        parser.add_argument("--name", default="", help="call the manifest so, not by its reader")
        parser.add_argument("--list", action="store_true", help="say what each corpus is and its licence, then stop")
    return parser


def _make(asked: argparse.Namespace) -> int:
    if asked.list:
        return _say(_listing())
    with _meanwhile(f"reading {asked.corpus}"):
        found = scan(asked.corpus, asked.root, _options(asked.set), asked.name, asked.splits)
        manifest = found.manifest
        path = write(manifest)
    print(f"{path}: {len(manifest.clips)} clips of {manifest.corpus} in {manifest.root}")
    _say(counts.of(manifest))
    _say(("", *counts.not_in_it(found.tree)))
    return _say(f"WARNING: {warning}" for warning in manifest.warnings)


def _listing() -> Iterator[str]:
    for name in corpus_names():
        module = corpus_module(name)
        yield f"{name}\n  {(module.__doc__ or '').partition(chr(10))[0]}\n  licence: {module.LICENCE.tag}"


def _about(asked: argparse.Namespace) -> int:
    module = corpus_module(asked.corpus)
    return _say(
        (f"{module.__doc__}\nExpected on the disk:", module.TREE, *(("", module.BIBTEX) if module.BIBTEX else ()))
    )


def _examine(asked: argparse.Namespace) -> int:
    with _meanwhile(f"reading {asked.corpus}"):
        found = again(asked.corpus, asked.root, _options(asked.set), asked.splits)
    report = doctor.examine(found, corpus_module(found.manifest.reader), deep=asked.deep)
    _say(doctor.lines(report))
    return int(report.to_mend)


def _audit(asked: argparse.Namespace) -> int:
    with _meanwhile(f"comparing the splits of {', '.join(asked.corpora)}"):
        found = audit.audit(map(read, asked.corpora))
    _say(audit.lines(found))
    return int(any(finding.leaks for finding in found))


def _table(asked: argparse.Namespace) -> int:
    with _meanwhile(f"reading the manifest of {asked.corpus}"):
        manifest = read(asked.corpus)
        table = as_table.table_of(manifest, with_text=asked.with_text)
    if asked.output:
        as_table.write(table, asked.output)
        print(f"{asked.output}: {len(manifest.clips)} clips of {manifest.corpus}")
    else:
        sys.stdout.buffer.write(table.encode())
    for warning in as_table.withheld(manifest, with_text=asked.with_text):
        print(warning, file=sys.stderr)
    return 0


def _options(settings: Sequence[str]) -> dict[str, str]:
    options = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ManifestError(f"--set: expected OPTION=VALUE, got {setting!r}")
        options[name] = value
    return options


@contextmanager
def _meanwhile(what: str) -> Iterator[None]:
    """Say on a terminal what is being done, for as long as it is."""
    line = f"{what}; a large corpus takes a while" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else ""
    sys.stderr.write(line)
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write(line and f"\r{'':{len(line)}}\r")
        sys.stderr.flush()


def _say(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
