"""Read a corpus as it lies on the disk, write its manifest, and say what is in it."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from manifests import Clip, Manifest, ManifestError, build, corpus_module, corpus_names, write
from manifests.labels import TASKS, Task

EXAMPLE = """\
example:
  python -m manifests meld --root /data/MELD.Raw

The manifest goes to MANIFESTS_ROOT, by default this package's own folder.
Running it again replaces the manifest. Media are looked for, never opened or changed.
"""
STRAYS_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 when the corpus cannot be read."""
    parser = argparse.ArgumentParser(
        "python -m manifests", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", metavar="CORPUS", help=f"one of: {', '.join(corpus_names())}")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder in which the corpus lies")
    parser.add_argument("--list", action="store_true", help="say what each corpus is and its licence, then stop")
    asked = parser.parse_args(arguments)
    if not asked.list and not asked.corpus:
        parser.error(f"which CORPUS? One of: {', '.join(corpus_names())}")
    try:
        for line in _listing() if asked.list else _make(asked.corpus, asked.root):
            print(line)
    except (ManifestError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _listing() -> Iterator[str]:
    for name in corpus_names():
        module = corpus_module(name)
        about = (module.__doc__ or "").partition("\n")[0]
        yield f"{name}\n  {about}\n  licence: {module.LICENCE}"


def _make(corpus: str, root: Path | None) -> Iterator[str]:
    manifest = build(corpus, root)
    yield f"{write(manifest)}: {len(manifest.clips)} clips of {corpus} in {manifest.root}"
    yield from _counts(manifest)
    module = corpus_module(corpus)
    strays: list[str] = module.strays(manifest.root) if hasattr(module, "strays") else []
    yield f"\nmedia without annotation: {len(strays)}"
    yield from (f"  {path}" for path in strays[:STRAYS_SHOWN])
    if len(strays) > STRAYS_SHOWN:
        yield f"  and {len(strays) - STRAYS_SHOWN} more"


def _counts(manifest: Manifest) -> Iterator[str]:
    splits: dict[str, list[Clip]] = {}
    for clip in manifest.clips:
        splits.setdefault(clip.split, []).append(clip)
    if len(splits) > 1:
        splits["all"] = list(manifest.clips)
    yield from _table("split clips dialogues speakers sound picture text".split(), map(_sizes, splits.items()))
    for task in TASKS.values():
        if any(task.name in clip.labels for clip in manifest.clips):
            yield from (_classes if task.kind == "class" else _scores)(task, splits)
    raised = {name: Counter(flag for clip in clips for flag in clip.flags) for name, clips in splits.items()}
    flags = sorted({flag for clip in manifest.clips for flag in clip.flags})
    if flags:
        yield from _table(["flag", *splits], ([flag, *(raised[name][flag] for name in splits)] for flag in flags))


def _sizes(split: tuple[str, Sequence[Clip]]) -> list[object]:
    name, clips = split
    return [
        name,
        len(clips),
        len({clip.dialogue_id for clip in clips} - {None}),
        len({clip.speaker_id for clip in clips} - {None}),
        sum(clip.audio is not None for clip in clips),
        sum(clip.video is not None for clip in clips),
        sum(clip.text is not None for clip in clips),
    ]


def _classes(task: Task, splits: Mapping[str, Sequence[Clip]]) -> Iterator[str]:
    """Count each clip at its likeliest class, the first of them where raters were even."""
    rows: list[list[object]] = []
    for name, clips in splits.items():
        vectors = [clip.labels[task.name] for clip in clips if task.name in clip.labels]
        likeliest = Counter(vector.index(max(vector)) for vector in vectors)
        rows.append([name, *(likeliest[index] for index in range(len(task.classes))), len(clips) - len(vectors)])
    yield from _table([task.name, *task.classes, "unlabelled"], rows)


def _scores(task: Task, splits: Mapping[str, Sequence[Clip]]) -> Iterator[str]:
    """Say how many clips have the scores of a task, and each score's range."""
    rows: list[list[object]] = []
    for name, clips in splits.items():
        vectors = [clip.labels[task.name] for clip in clips if task.name in clip.labels]
        ranges = [f"{min(scores):g} to {max(scores):g}" for scores in zip(*vectors, strict=True)]
        rows.append([name, *(ranges or ["-"] * len(task.classes)), len(clips) - len(vectors)])
    yield from _table([task.name, *task.classes, "unlabelled"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield lines in columns: names to the left, numbers to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield ""
    for row in cells:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *others])


if __name__ == "__main__":
    sys.exit(main())
