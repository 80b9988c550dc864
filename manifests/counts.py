"""What is in a manifest, in numbers: per split, class, speaker and hour; and what is not in it, by name."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from manifests.clip import Clip
from manifests.labels import TASKS, Task
from manifests.labels import of as label_of
from manifests.licence import PARTS, may_share
from manifests.shelf import Manifest
from manifests.text import names, table
from manifests.tree import Tree

SPEAKERS_SHOWN = 12


def of(manifest: Manifest) -> Iterator[str]:
    """Yield the tables of a manifest."""
    splits: dict[str, list[Clip]] = {}
    for clip in manifest.clips:
        splits.setdefault(clip.split, []).append(clip)
    if len(splits) > 1:
        splits["all"] = list(manifest.clips)
    series = tuple(dict.fromkeys(name for clip in manifest.clips for name in clip.series))
    head = "split clips hours dialogues speakers sound picture text".split()
    yield from table([*head, *series], (_sizes(name, clips, series) for name, clips in splits.items()))
    for task in TASKS.values():
        if any(task.name in clip.labels for clip in manifest.clips):
            yield from (_scores if task.kind == "score" else _classes)(task, splits)
    yield from _derived(manifest.clips)
    yield from _speakers(manifest.clips)
    raised = {name: Counter(flag for clip in clips for flag in clip.flags) for name, clips in splits.items()}
    flags = sorted({flag for clip in manifest.clips for flag in clip.flags})
    if flags:
        yield from table(["flag", *splits], ([flag, *(raised[name][flag] for name in splits)] for flag in flags))
    yield ""
    yield from _licences(manifest.clips)


def not_in_it(tree: Tree) -> Iterator[str]:
    """Name everything that a reader left out, by its reason."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for what, why in tree.left_out.items():
        reasons[why].append(what)
    yield f"left out: {len(tree.left_out)}"
    for why, whats in sorted(reasons.items(), key=lambda reason: -len(reason[1])):
        yield f"{len(whats)} x {why}:"
        yield from names(whats)
    if tree.junk:
        yield f"{tree.junk} x files that an archiver or a file manager left behind"


def _sizes(name: str, clips: Sequence[Clip], series: Iterable[str]) -> list[object]:
    return [
        name,
        len(clips),
        _hours(clips),
        len({clip.dialogue_id for clip in clips} - {None}),
        len({clip.speaker_id for clip in clips} - {None}),
        sum(clip.audio is not None for clip in clips),
        sum(clip.video is not None for clip in clips),
        sum(clip.text is not None for clip in clips),
        *(sum(one in clip.series for clip in clips) for one in series),
    ]


def _hours(clips: Iterable[Clip]) -> str:
    """Add up what is known; `+` where the length of a clip is not."""
    lengths_s = [clip.duration_s for clip in clips]
    known_s = [length_s for length_s in lengths_s if length_s is not None]
    return f"{sum(known_s) / 3600:.2f}{'+' if len(known_s) < len(lengths_s) else ''}" if known_s else "?"


def _classes(task: Task, splits: Mapping[str, Sequence[Clip]]) -> Iterator[str]:
    """Count a clip at its likeliest class, the first where raters were even, or at every class that it has."""
    rows: list[list[object]] = []
    for name, clips in splits.items():
        vectors = [clip.labels[task.name] for clip in clips if task.name in clip.labels]
        if task.kind == "multi":
            counts = Counter(index for vector in vectors for index, there in enumerate(vector) if there)
        else:
            counts = Counter(vector.index(max(vector)) for vector in vectors)
        rows.append([name, *(counts[index] for index in range(len(task.classes))), len(clips) - len(vectors)])
    yield from table([task.name, *task.classes, "unlabelled"], rows)


def _scores(task: Task, splits: Mapping[str, Sequence[Clip]]) -> Iterator[str]:
    """Say how many clips have the scores of a task, and each score's range."""
    rows: list[list[object]] = []
    for name, clips in splits.items():
        vectors = [clip.labels[task.name] for clip in clips if task.name in clip.labels]
        ranges = [f"{min(scores):g} to {max(scores):g}" for scores in zip(*vectors, strict=True)]
        rows.append([name, *(ranges or ["-"] * len(task.classes)), len(clips) - len(vectors)])
    yield from table([task.name, *task.classes, "unlabelled"], rows)


def _derived(clips: Sequence[Clip]) -> Iterator[str]:
    """Name the tasks whose labels follow from others, and how many clips have them."""
    having = {
        task: sum(label_of(task, clip.labels) is not None for clip in clips)
        for task in TASKS
        if not any(task in clip.labels for clip in clips)
    }
    if found := ", ".join(f"{task} ({count} clips)" for task, count in having.items() if count):
        yield f"\nderived from these: {found}"


def _speakers(clips: Iterable[Clip]) -> Iterator[str]:
    """Show who speaks most."""
    spoken: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if clip.speaker_id is not None:
            spoken[clip.speaker_id].append(clip)
    most = sorted(spoken.items(), key=lambda speaker: (-len(speaker[1]), speaker[0]))
    rows = [[name, said[0].sex or "?", len(said), _hours(said)] for name, said in most[:SPEAKERS_SHOWN]]
    if rows:
        yield from table(["speaker", "sex", "clips", "hours"], rows)
    if len(most) > SPEAKERS_SHOWN:
        rest = [clip for _, said in most[SPEAKERS_SHOWN:] for clip in said]
        yield f"and {len(most) - SPEAKERS_SHOWN} speakers more, {len(rest)} clips, {_hours(rest)} hours"


def _licences(clips: Iterable[Clip]) -> Iterator[str]:
    """Say under which terms the clips stand, and what stays in the lab."""
    for tag, count in Counter(clip.licence for clip in clips).most_common():
        kept = ", ".join(part for part in PARTS if not may_share(tag, part))
        yield f"licence of {count} clips: {tag}{'; stays in the lab: ' + kept if kept else ''}"
