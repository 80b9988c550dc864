"""One utterance and where its sound, picture and words lie: the contract that every room reads.

Every value checks itself at birth, and every complaint names the column.
"""

import dataclasses
import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Literal, Self, get_args

from manifests.labels import TASKS, Vector, is_number

Channel = Literal["mix", "centre", "left", "right"]
Side = Literal["full", "left", "right"]
FLAGS = frozenset(
    "missing_video missing_audio undecodable neg_start_clamped too_long too_short dur_mismatch xxx_label "
    "no_face_region id_collision dup_segment not_in_folds no_transcript label_transcript_mismatch known_bad".split()
)
LABEL_KINDS = frozenset(("intended", "majority", "mean rating", "vote series"))
OTHER_MEDIA = frozenset(("audio", "video", "text"))
"""What no series may be called."""
_CHANNELS, _SIDES = get_args(Channel), get_args(Side)
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


class ManifestError(ValueError):
    """A manifest, a corpus tree or a corpus name that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Where the sound of a clip lies; `offset_s` is added to both times when this stream runs late."""

    path: str
    start_s: float = 0.0
    end_s: float | None = None
    channel: Channel = "mix"
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        _check_stream(self)
        _check_choice("channel", self.channel, _CHANNELS)

    @property
    def paths(self) -> tuple[str, ...]:
        """Name the files, of which sound has one."""
        return (self.path,)


@dataclass(frozen=True, slots=True)
class Video:
    """Where the picture of a clip lies; `side` keeps one half of a side-by-side recording."""

    path: str
    start_s: float = 0.0
    end_s: float | None = None
    side: Side = "full"
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        _check_stream(self)
        _check_choice("side", self.side, _SIDES)

    @property
    def paths(self) -> tuple[str, ...]:
        """Name the files, of which a picture has one."""
        return (self.path,)


@dataclass(frozen=True, slots=True)
class Series:
    """Where numbers over time lie, such as positions of markers: tables of text whose columns stand side by side.

    Its seconds count from the first row of all its tables, whatever clock they keep; `offset_s` is added to both times.
    """

    paths: tuple[str, ...]
    start_s: float = 0.0
    end_s: float | None = None
    offset_s: float = 0.0
    time_column: int = 0
    """Which column, counted from 0, holds seconds; values are the columns behind it."""

    def __post_init__(self) -> None:
        if not isinstance(self.paths, tuple) or not self.paths:
            raise ValueError(f"column 'paths': expected a list of relative paths, got {self.paths!r}")
        _check_stream(self)
        if type(self.time_column) is not int or self.time_column < 0:
            raise ValueError(f"column 'time_column': expected a whole number from 0, got {self.time_column!r}")


Track = Audio | Video | Series


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance: its sound, picture, words and more, where each lies, who speaks, and what raters said."""

    id: str
    corpus: str
    split: str
    split_source: str = ""
    dialogue_id: str | None = None
    utt_index: int | None = None
    speaker_id: str | None = None
    sex: Literal["f", "m"] | None = None
    language: str | None = None
    duration_s: float | None = None
    """How long it lasts by the corpus' own tables or a file's head, where either tells."""
    audio: Audio | None = None
    video: Video | None = None
    series: Mapping[str, Series] = field(default_factory=dict)
    """What else was recorded over time, by the name of its medium; `mocap` for instance."""
    text: str | None = None
    text_source: str | None = None
    native: Mapping[str, str | float] = field(default_factory=dict)
    labels: Mapping[str, Vector] = field(default_factory=dict)
    label_kind: str | None = None
    flags: tuple[str, ...] = ()
    licence: str = "unknown"

    def __post_init__(self) -> None:
        for column in ("id", "corpus", "split"):
            _check_name(column, getattr(self, column))
        if self.sex not in (None, "f", "m"):
            raise ValueError(f"column 'sex': expected f, m or nothing, got {self.sex!r}")
        if self.utt_index is not None and (type(self.utt_index) is not int or self.utt_index < 0):
            raise ValueError(f"column 'utt_index': expected a whole number from 0, got {self.utt_index!r}")
        if self.duration_s is not None and not (is_number(self.duration_s) and self.duration_s > 0):
            raise ValueError(f"column 'duration_s': expected seconds above 0, got {self.duration_s!r}")
        for task, vector in self.labels.items():
            _check_label(task, vector)
        if self.label_kind is not None:
            _check_choice("label_kind", self.label_kind, LABEL_KINDS)
        for flag in self.flags:
            _check_choice("flags", flag, FLAGS)
        for name in self.series:
            _check_medium(name)
        _check_texts(self)

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Name everything that lies in a file."""
        return tuple(track for track in (self.audio, self.video, *self.series.values()) if track)

    def track(self, medium: str) -> Track | None:
        """Return where a medium lies; words lie in the clip itself."""
        if medium == "audio":
            return self.audio
        return self.video if medium == "video" else self.series.get(medium)

    def to_row(self) -> dict[str, Any]:
        """Return the JSON row of this clip, without the columns that hold their default."""
        row: dict[str, Any] = _jsonable(self)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Build a clip from a JSON row; every complaint names the column."""
        _check_columns("", row, cls)
        values = dict(row)
        for stream, kind in (("audio", Audio), ("video", Video)):
            if values.get(stream) is not None:
                _check_columns(f"{stream}.", values[stream], kind)
                values[stream] = _stream(stream, kind, values[stream])
        for column, shape in (("series", dict), ("native", dict), ("labels", dict), ("flags", list)):
            if not isinstance(values.get(column, shape()), shape):
                wanted = "an object" if shape is dict else "a list"
                raise ValueError(f"column {column!r}: expected {wanted}, got {values[column]!r}")
        values["labels"] = {task: _vector(task, vector) for task, vector in values.get("labels", {}).items()}
        values["flags"] = tuple(values.get("flags", ()))
        values["series"] = {name: _series(name, given) for name, given in values.get("series", {}).items()}
        return cls(**values)


def unknown(what: str, got: str, valid: Iterable[str]) -> str:
    """Say that `got` is not a valid name, which are, and which was probably meant."""
    names = sorted(valid)
    near = difflib.get_close_matches(got, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {got!r}.{hint} Valid: {', '.join(names) or 'none'}"


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _jsonable(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return list(value)
    if not dataclasses.is_dataclass(value):
        return value
    blank = {
        f.name: f.default_factory() if f.default is dataclasses.MISSING and callable(f.default_factory) else f.default
        for f in dataclasses.fields(value)
    }
    named = ((name, getattr(value, name)) for name in blank)
    return {name: _jsonable(item) for name, item in named if item != blank[name]}


def _stream(name: str, kind: type[Track], values: Mapping[str, Any]) -> Track:
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(str(error).replace("column '", f"column '{name}.", 1)) from None


def _series(name: str, values: object) -> Track:
    column = f"series.{name}"
    given = _check_columns(f"{column}.", values, Series)
    paths = given["paths"]
    return _stream(column, Series, {**given, "paths": tuple(paths) if isinstance(paths, list) else paths})


def _check_columns(prefix: str, row: object, kind: type) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise ValueError(f"column '{prefix.rstrip('.')}': expected an object, got {row!r}")
    known, required = _columns(kind)
    if not row.keys() <= known:
        column = next(column for column in row if column not in known)
        raise ValueError(f"column '{prefix}{column}': {unknown('column', column, known)}")
    for column in required:
        if column not in row:
            raise ValueError(f"column '{prefix}{column}': expected a value, got nothing")
    return row


@cache
def _columns(kind: type) -> tuple[frozenset[str], tuple[str, ...]]:
    """Name all columns, and those that have no default."""
    fields = dataclasses.fields(kind)
    bare = (f for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING)
    return frozenset(entry.name for entry in fields), tuple(entry.name for entry in bare)


def _check_stream(stream: Track) -> None:
    for path in stream.paths:
        check_path(path, "paths" if isinstance(stream, Series) else "path")
    for column in ("start_s", "end_s", "offset_s"):
        value = getattr(stream, column)
        if column == "end_s" and value is None:
            continue
        if not is_number(value):
            raise ValueError(f"column {column!r}: expected seconds, got {value!r}")
    if stream.start_s < 0:
        raise ValueError(f"column 'start_s': expected seconds from 0, got {stream.start_s!r}")
    if stream.end_s is not None and stream.end_s <= stream.start_s:
        raise ValueError(f"column 'end_s': expected more than start_s {stream.start_s!r}, got {stream.end_s!r}")


def is_text(value: object) -> bool:
    """Tell text that UTF-8 can hold; half a surrogate pair cannot be written to any file."""
    return isinstance(value, str) and (value.isascii() or not _HALF_A_PAIR.search(value))


def check_path(path: object, column: str = "path") -> None:
    """Law 13: a manifest from elsewhere must not make us open a file outside the corpus root."""
    if not isinstance(path, str) or not is_text(path) or not path or "\0" in path:
        raise ValueError(f"column {column!r}: expected a relative path, got {path!r}")
    steps = path.replace("\\", "/").split("/")
    if not steps[0] or ".." in steps or path[1:2] == ":":
        raise ValueError(f"column {column!r}: expected a path inside the corpus root, got {path!r}")


def _check_name(column: str, value: object) -> None:
    """Ids become file names, HDF5 bytes and CSV cells, so they hold no separator and no control character."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip(".") or "/" in value or "\\" in value:
        raise ValueError(f"column {column!r}: expected a printable name without slashes, got {value!r}")
    if value != value.strip() or len(value.encode()) > 200:
        raise ValueError(f"column {column!r}: expected at most 200 bytes and no blank at either end, got {value!r}")


def _check_medium(name: object) -> None:
    """Refuse what is no name, or is that of another medium: features, recipes and options are asked for by it."""
    if not isinstance(name, str) or not name.isidentifier() or name in OTHER_MEDIA:
        others = ", ".join(sorted(OTHER_MEDIA))
        raise ValueError(f"column 'series': expected a name like mocap, and none of {others}, got {name!r}")


def _check_texts(clip: Clip) -> None:
    for column in ("split_source", "licence", "dialogue_id", "speaker_id", "language", "text", "text_source"):
        value = getattr(clip, column)
        if not is_text(value) and (value is not None or column in ("split_source", "licence")):
            raise ValueError(f"column {column!r}: expected text, got {value!r}")
    for name, value in clip.native.items():
        if not is_text(name) or not (is_text(value) or is_number(value)):
            raise ValueError(f"column 'native.{name}': expected text or a number, got {value!r}")


def _check_label(task: str, vector: Vector) -> None:
    if task not in TASKS:
        raise ValueError(f"column 'labels.{task}': {unknown('task', task, TASKS)}")
    try:
        _check_numbers(task, *vector)
    except TypeError:
        raise ValueError(f"column 'labels.{task}': expected finite numbers, got {vector!r}") from None
    except ValueError as error:
        raise ValueError(f"column 'labels.{task}': {error}") from None


@lru_cache(maxsize=1024, typed=True)  # many clips, few different labels
def _check_numbers(task: str, *vector: float) -> None:
    TASKS[task].check(vector)


def _vector(task: str, values: object) -> Vector:
    if not isinstance(values, list):
        raise ValueError(f"column 'labels.{task}': expected a list of numbers, got {values!r}")
    return tuple(values)


def _check_choice(column: str, got: object, valid: Collection[str]) -> None:
    if not isinstance(got, str) or got not in valid:
        raise ValueError(f"column {column!r}: expected one of {', '.join(sorted(valid))}, got {got!r}")
