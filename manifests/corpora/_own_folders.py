"""A lab's own clips in folders that are named after the label: `anger/clip1.wav`, or `train/anger/clip1.wav`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from manifests import Audio, Clip, ManifestError, Video, splits, wav
from manifests.corpora import _own as own
from manifests.corpora._own import Said
from manifests.labels import TASKS
from manifests.tables import text_of
from manifests.tree import Tree

SHOWN = 8
_MEDIA = "|".join((*own.SOUND, *own.FILM))


@dataclass(frozen=True)
class _Place:
    """What the folders of a recording tell; those above the split and the label are only where it lies."""

    above: tuple[str, ...]
    below: str
    split: str
    word: str


def files_of(tree: Tree) -> dict[str, list[str]]:
    """Return media and transcripts by their paths without suffix: what has one name in one folder is one recording."""
    files: dict[str, list[str]] = {}
    for path, _ in tree.find(rf"[^/]*\.(?:{_MEDIA}|txt)"):
        files.setdefault(own.stem_of(path), []).append(path)
    return files


def places_of(files: Iterable[str], said: Said) -> dict[str, _Place]:
    """Return what the folders of each recording tell; those below no label are not among them."""
    if TASKS[said.task].kind == "score":
        raise ManifestError(f"option 'task': a folder tells a class, and {said.task} is a number; use a table")
    return {stem: place for stem in sorted(files) if (place := _place(stem, said))}


def clips(tree: Tree, said: Said, files: Mapping[str, Sequence[str]], places: Mapping[str, _Place]) -> Iterator[Clip]:
    """Yield a clip for each recording: its sound, its picture, its words."""
    recorded = any(map(own.is_media, (path for stem in places for path in files[stem])))
    for stem in sorted(files.keys() - places.keys()):
        for path in filter(own.is_media, files[stem]):
            tree.leave_out(path, f"no folder above it is a label of {said.task}; say words=FOLDER=LABEL if one is")
    wrapper = _shared([place.above for place in places.values()])
    with_words = any(path.lower().endswith(".txt") for stem in places for path in files[stem])
    named: dict[str, str] = {}
    for stem, place in places.items():
        clip = _clip(tree, said, place, files[stem], wrapper, silent=with_words)
        if recorded and clip.audio is None:
            tree.leave_out(files[stem][0], "words without a recording of the same name")
            continue
        if named.setdefault(clip.id, stem) != stem:
            raise ManifestError(f"{named[clip.id]} and {stem} would both be clip {clip.id!r}: rename one")
        yield clip


def nothing_here(files: Mapping[str, Sequence[str]], said: Said) -> str:
    """Say which folders there are, where none of them is a label."""
    folders = sorted({folder for stem in files for folder in stem.split("/")[:-1]})
    if not folders:
        return f"It holds {'media, but in no folder' if files else 'no media'}."
    more = ", …" if len(folders) > SHOWN else ""
    return (
        f"Its media lie in {', '.join(folders[:SHOWN])}{more}; none of these is a label of {said.task} "
        f"({', '.join(TASKS[said.task].classes)}). If one is: words={folders[0]}=…"
    )


def _place(stem: str, said: Said) -> _Place | None:
    """Find the first folder that is a label, and above it one that is a split."""
    folders = stem.split("/")[:-1]
    at = next((at for at, folder in enumerate(folders) if _is_label(folder, said)), None)
    if at is None:
        return None
    named = [number for number in range(at) if splits.named(folders[number]) in ("train", "dev", "test")]
    start = named[0] if named else at
    split = splits.named(folders[start]) if named else "all"
    return _Place(tuple(folders[:start]), "/".join(stem.split("/")[start:]), split, folders[at])


def _shared(paths: Sequence[tuple[str, ...]]) -> int:
    """Count the folders in which all lie: they hold the corpus, and tell nothing."""
    levels = enumerate(zip(*paths, strict=False))
    return next((depth for depth, folders in levels if len(set(folders)) > 1), min(map(len, paths), default=0))


def _is_label(folder: str, said: Said) -> bool:
    try:
        own.class_of(TASKS[said.task], folder, said.words)
    except ValueError:
        return False
    return True


def _clip(tree: Tree, said: Said, place: _Place, paths: Sequence[str], wrapper: int, *, silent: bool) -> Clip:
    sound, film = own.sound_and_film(paths)
    transcript = next((path for path in paths if path.lower().endswith(".txt")), None)
    for path in paths:
        if path not in (sound, film, transcript):
            tree.leave_out(path, f"another form of {sound}")
    text = " ".join(text_of(tree.bytes(transcript)).split()) if transcript else ""
    vector = own.label(said.task, place.word, said.words)
    return Clip(
        id=own.name_of("/".join((*place.above[wrapper:], place.below))),
        corpus=said.corpus,
        split=place.split,
        split_source="none" if place.split == "all" else "folder",
        language=said.language,
        duration_s=wav.seconds(tree.root / sound) if sound else None,
        audio=Audio(sound) if sound else None,
        video=Video(film) if film else None,
        text=text or None,
        text_source="transcript" if text else None,
        native={said.task: place.word},
        labels={said.task: vector} if vector else {},
        label_kind=said.label_kind if vector else None,
        flags=("no_transcript",) if silent and not text else (),
        licence=said.licence.tag,
    )
