"""folder: any lab's own clips, by a table with a row per clip or by folders that are named after the label.

Nothing needs to be renamed: columns and words of labels are matched to ours by what you say. Give the corpus a name of
its own with NAME=mylab.

Licence: yours; say it with licence=NAME. Nothing may be shared unless you say what: shared="labels features" (of raw,
transcript, labels and features).

Layout: a table, comma, semicolon or tab between cells, in the folder that holds the media. Its columns, in any order:
- path, a sound or a film, with or without its suffix; or audio and video apart. A path starts at the table, or at a
  folder above it; the name alone will do where no other file has it.
- A row that names none of these needs an id: of such clips there are features only, and words where it has a text.
- start and end in seconds, where a clip is a part of a file; audio_start, video_end and so on where they differ;
  audio_offset and video_offset, seconds that a stream runs late; channel (mix, centre, left, right) and side of the
  picture (full, left, right).
- emotion, sentiment, sentiment_score, valence, arousal, dominance; label, which the option `task` gives a meaning;
  label.TASK for any task, as label.emotion6: a word, words (`happy|sad`), or numbers (`0.2 0.8 0 0`).
- id, split, speaker, sex, language, dialogue, turn, text, licence, label_kind; recording, of a clip without media what
  start and end are seconds of. All other columns are kept as native.
Without a table: `anger/clip1.wav`, where the first folder that is a word for a label counts, with `train`, `dev` or
`test` above it or not. Files of one name in one folder are one clip: its sound, its film, its words in a .txt.

Options:
- table=PATH where several lie there; table=none reads the folders.
- columns=emotion=Label,path=file_name says what the table calls ours; case, blanks and underscores do not matter.
- words=ang=anger,exc=happy says what words mean; words=oth= says that one is no label, so its clips have none.
- task=emotion6 is what a column `label`, or the folders, tell; by default `emotion`.
- middle=3 is the sentiment_score that is neither good nor bad, where raters gave 1 to 5; it is subtracted.
- label_kind=intended for what actors were asked for; mean rating, vote series; by default majority of the raters.
- language=de, licence=NAME, shared=labels.

Quirks:
- An id is the path without its suffix, `/` written as `__`; what cannot be written so carries a digest of the path.
- Speakers are only known from a table; without them no protocol can keep a speaker on one side.
"""

from collections.abc import Iterator
from typing import Literal

from manifests import Clip, ManifestError, unknown
from manifests.corpora import _own as own
from manifests.corpora import _own_folders as folders
from manifests.corpora import _own_table as own_table
from manifests.licence import PARTS, Licence
from manifests.tree import Tree

LICENCE = Licence("unknown")
TREE = """\
ROOT/                           either a table
  clips.csv                     path,emotion,split,speaker,text
  audio/clip1.wav               audio/clip1.wav,anger,train,s1,"Well, well."
or
ROOT/                           folders named after the label
  anger/clip1.wav               or train/anger/clip1.wav; clip1.mp4 and clip1.txt beside it are the same clip
  happy/clip2.wav"""
BIBTEX = ""


def clips(
    tree: Tree,
    *,
    table: str = "",
    columns: str = "",
    words: str = "",
    task: str = "emotion",
    language: str = "",
    label_kind: Literal["majority", "intended", "mean rating", "vote series"] = "majority",
    middle: float = 0.0,
    licence: str = "unknown",
    shared: str = "",
) -> Iterator[Clip]:
    """Yield the rows of the table, or what lies in folders that are named after labels."""
    parts = {part for part in PARTS if part in shared.replace(",", " ").split()}
    for part in shared.replace(",", " ").split():
        if part not in PARTS:
            raise ManifestError(f"option 'shared': {unknown('part', part, PARTS)}")
    said = own.Said(
        corpus="folder",
        licence=Licence(licence, tuple(part for part in PARTS if part in parts)),
        language=language or None,
        table=table,
        columns=own.pairs("columns", columns, "emotion=Label,path=file_name"),
        words=meanings(words),
        task=task,
        label_kind=label_kind,
        middle=middle,
    )
    yield from read(tree, said)


def meanings(words: str) -> dict[str, str]:
    """Read the option `words`."""
    return {own.plain(word): ours for word, ours in own.pairs("words", words, "ang=anger,exc=happy").items()}


def read(tree: Tree, said: own.Said) -> Iterator[Clip]:
    """Yield the clips of either layout."""
    table = own_table.find(tree, said)
    if table:
        yield from own_table.clips(tree, said, table)
        return
    files = folders.files_of(tree)
    places = folders.places_of(files, said)
    if not places:
        tables = own_table.everywhere(tree)
        elsewhere = f" Tables lie elsewhere: {', '.join(tables)}; say which: table={tables[0]}." if tables else ""
        raise ManifestError(
            f"{tree.root}: neither a table nor a folder that is named after a label. "
            f"{folders.nothing_here(files, said)}{elsewhere} Expected one of two:\n{TREE}"
        )
    yield from folders.clips(tree, said, files, places)
