"""What any lab's own data have in common, in a table or in folders: words of labels, recordings and names of clips."""

import contextlib
import hashlib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from manifests import ManifestError, labels, unknown
from manifests.labels import TASKS, Task, Vector
from manifests.licence import Licence
from manifests.tables import number

SOUND = tuple("wav flac mp3 ogg m4a aac opus aiff aif".split())
FILM = tuple("mp4 mkv mov avi webm flv mpg mpeg m4v wmv".split())
LONGEST_NAME_BYTES = 150
_BETWEEN = re.compile(r"[\s|;,]+")
_SUFFIX = re.compile(rf"\.({'|'.join(SOUND + FILM)})", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """What a user says of the data beside the data themselves."""

    corpus: str
    licence: Licence
    language: str | None = None
    table: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our name of a column to the table's."""
    words: Mapping[str, str] = field(default_factory=dict)
    """A word of the data, as `plain` has it, to one of ours, or to nothing where it is no label."""
    task: str = "emotion"
    """What a column `label`, or a folder, tells."""
    label_kind: str = "majority"
    middle: float = 0.0
    """The score of sentiment that is neither good nor bad; ours is 0."""

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ManifestError(f"option 'task': {unknown('task', self.task, TASKS)}")


def pairs(option: str, text: str, example: str) -> dict[str, str]:
    """Read an option like `ang=anger,exc=happy`."""
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise ManifestError(f"option {option!r}: expected pairs like {example}, got {part!r}")
        if found.setdefault(name, value) != value:
            raise ManifestError(f"option {option!r}: {name!r} is said to be {found[name]!r} and {value!r}")
    return found


def plain(word: str) -> str:
    """Return a word without what differs between two ways of typing it: case, blanks, composition of letters."""
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())


def label(task_name: str, text: str, words: Mapping[str, str]) -> Vector | None:
    """Read a label as a word, as several where a task has several, or as its numbers; nothing where it is none."""
    task = TASKS[task_name]
    parts = [part for part in _BETWEEN.split(text) if part]
    try:
        if task.kind == "class":
            word = class_of(task, text, words)
            return labels.one_hot(task.name, word) if word else None
        if task.kind == "multi":
            meant = {class_of(task, part, words) for part in parts}
            return tuple(float(name in meant) for name in task.classes)
    except ValueError:
        # Shares of the classes, or 0 and 1 for each; otherwise the word is to blame, not the numbers.
        if len(parts) != len(task.classes):
            raise
        with contextlib.suppress(ValueError):
            return tuple(map(number, parts))
        raise
    return tuple(map(number, parts))


def class_of(task: Task, text: str, words: Mapping[str, str]) -> str:
    """Return which class of a task a word means, or nothing where the user says that it means none."""
    said = words.get(plain(text), text)
    word = plain(said)
    if word in task.classes or (not word and said != text):
        return word
    if task.kind == "multi" and word == "neutral":
        return ""
    if task.name.startswith("emotion"):
        with contextlib.suppress(ValueError):
            spelled = TASKS["emotion"].classes[labels.emotion(word).index(1)]
            if spelled in task.classes:
                return spelled
    mapped = f" (words= makes it {said!r})" if said != text else ""
    raise ValueError(
        f"{text!r}{mapped} is no label of {task.name}: expected one of {', '.join(task.classes)}; "
        f"say what it means with words={text}=…, or that it is none with words={text}="
    )


def name_of(path: str) -> str:
    """Turn a path without its suffix into the name of a clip: readable, the same everywhere, and no other path's.

    A name that can be turned back into its path is no other's; one that cannot carries a digest of the path.
    """
    path = unicodedata.normalize("NFC", path)
    name = "".join(letter for letter in path.replace("/", "__") if letter.isprintable() and letter != "\\").strip()
    if name.replace("__", "/") == path and len(name.encode()) <= LONGEST_NAME_BYTES and name.strip("."):
        return name
    short = name.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore").strip()
    return f"{short or 'clip'}.{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def stem_of(path: str) -> str:
    """Return a path without the suffix of a medium or a transcript; what follows another dot belongs to the name."""
    stem, _, suffix = path.rpartition(".")
    return stem if is_media(path) or (suffix.lower() == "txt" and stem) else path


def is_media(path: str) -> bool:
    """Tell sound and film by the suffix."""
    return suffix_of(path) in SOUND + FILM


def suffix_of(path: str) -> str:
    """Return a suffix in small letters, or nothing where the name has none."""
    name, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return suffix.lower() if name and dot else ""


def sound_and_film(paths: Collection[str]) -> tuple[str | None, str | None]:
    """Choose the sound and the film of one recording; a film has its sound in it, where no file holds that alone."""
    sound, film = _best(paths, SOUND), _best(paths, FILM)
    return sound or film, film


def _best(paths: Collection[str], suffixes: Sequence[str]) -> str | None:
    """Return the file whose kind comes first: what lost nothing before what was packed."""
    usable = [path for path in paths if suffix_of(path) in suffixes]
    return min(usable, key=lambda path: (suffixes.index(suffix_of(path)), path), default=None)
