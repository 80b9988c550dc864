"""ShEMO: 3000 utterances of Persian radio plays by 87 speakers, each with its emotion by majority of twelve raters.

Mohamad Nezami, Jamshid Lou and Karami 2019, Language Resources and Evaluation. Anger, fear, happiness, neutral,
sadness and surprise; sound and words, no picture. Fear has 38 clips.

Licence: free of charge for academic purposes; there is no licence file. The transcripts lie in a public repository,
the sound stays inside the lab.

Layout: `female/F01A01.wav`, `male/M01A01.wav`, and the words of the same names in `final text/*.ort`, what was heard
in `final script/*.tra` (IPA). A name is sex, speaker, emotion, number: the F of F01F12 that tells fear is the fourth.

Options:
- labels=modified takes emotion and words from `modified_shemo.json` of the ShEMO-Modification project, which paired
  sounds and words anew by speech recognition and holds the letter of the text's name to be the right one.

Quirks:
- 162 wavs have no transcript of their name, and 162 transcripts no wav: the authors' names are out of step. They are
  kept and told; the project above mends them, and says of 158 clips another emotion than the wav's name does.
- Transcripts may begin with a byte order mark, end in a carriage return and hold marks of writing direction; all are
  taken away. The joiner U+200C stays, as it belongs to the spelling of Persian.
- Most sound has 44.1 kHz, some 22.05 kHz; the head of each file tells.
- There is no official split: protocol `group` keeps a speaker on one side.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from manifests import Audio, Clip, ManifestError, labels, wav
from manifests.licence import Licence
from manifests.tables import in_row, text_of
from manifests.tree import Tree

LICENCE = Licence("ShEMO, academic purposes", shared=("transcript", "labels"))
TREE = """\
ROOT/
  female/F01A01.wav           the wavs may also lie in one folder
  male/M01A01.wav
  final text/F01A01.ort       or transcript/final text/
  final script/F01A01.tra     or transcript/final script/
  modified_shemo.json         for labels=modified, of the ShEMO-Modification project"""
BIBTEX = """\
@article{nezami2019shemo, doi = {10.1007/s10579-018-9427-x}, year = {2019}, volume = {53}, pages = {1--16},
  title = {{ShEMO}: a large-scale validated database for {Persian} speech emotion detection},
  journal = {Language Resources and Evaluation},
  author = {Mohamad Nezami, Omid and Jamshid Lou, Paria and Karami, Mansoureh}}"""

EXPECTED = {
    "clips": 3000,
    "speakers": 87,
    "speakers, sex f": 31,
    "speakers, sex m": 56,
    "sex f": 1263,
    "sex m": 1737,
    "emotion anger": 1059,
    "emotion fear": 38,
    "emotion happy": 201,
    "emotion neutral": 1028,
    "emotion sad": 449,
    "emotion surprise": 225,
    "flags no_transcript": 162,
}
EMOTIONS = {"A": "anger", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness", "W": "surprise"}
MODIFIED = "modified_shemo.json"
_NAME = r"([FM]\d{2}[AFHNSW]\d{2,3})"
_MARKS = dict.fromkeys(map(ord, "\N{ZERO WIDTH NO-BREAK SPACE}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}"))


def clips(tree: Tree, *, labels: Literal["wav_name", "modified"] = "wav_name") -> Iterator[Clip]:
    """Yield every utterance that has a wav, or, with labels=modified, every one that the project names."""
    wavs = {name.upper(): path for name, path in tree.index(rf"{_NAME}\.wav", lower=True).items()}
    if labels == "modified":
        yield from _modified(tree, wavs)
        return
    words, heard = (_spoken(tree, suffix) for suffix in ("ort", "tra"))
    for name in sorted(wavs):
        yield _clip(tree, name, wavs[name], EMOTIONS[name[3]], words.pop(name, ""), {"ipa": heard.get(name, "")})
    for name in sorted(words):
        tree.leave_out(f"{name}.ort", "a transcript without a wav of its name")
    _tell_others(tree)


def _modified(tree: Tree, wavs: Mapping[str, str]) -> Iterator[Clip]:
    """Yield what the modified table names, in the order of the wavs' names."""
    where = next((path for path, _ in tree.find(MODIFIED)), None)
    if where is None:
        raise ManifestError(f"labels=modified: no {MODIFIED} under {tree.root}. Expected there:\n{TREE}")
    try:
        table = json.loads(text_of(tree.bytes(where)))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{tree.root / where}: not JSON: {error}; is the file complete?") from None
    if not isinstance(table, dict):
        raise ManifestError(f"{tree.root / where}: expected an object with an entry per wav, got another JSON value")
    found: dict[str, Clip] = {}
    for number, (key, entry) in enumerate(table.items(), start=1):
        with in_row(f"{tree.root / where}, {key}", number):
            name, text_name = (_name(entry, column) for column in ("speech_name", "text_name"))
            if name in found:
                raise ValueError(f"column 'speech_name': {name} is named twice")
            native = {"ipa": _text(entry, "ipa"), "text_name": text_name}
            emotion, words = _text(entry, "emotion"), _text(entry, "transcript")
            found[name] = _clip(tree, name, wavs.get(name), emotion, words, native)
    for name in sorted(wavs.keys() - found.keys()):
        tree.leave_out(wavs[name], f"{MODIFIED} does not name it")
    _tell_others(tree)
    yield from (found[name] for name in sorted(found))


def _spoken(tree: Tree, suffix: str) -> dict[str, str]:
    """Read the words, or the sounds, of every transcript by the name of its wav."""
    found = tree.index(rf"{_NAME}\.{suffix}", lower=True)
    return {name.upper(): _clean(text_of(tree.bytes(path))) for name, path in found.items()}


def _clean(text: str) -> str:
    return " ".join(text.translate(_MARKS).split())


def _text(entry: object, column: str) -> str:
    value = entry.get(column) if isinstance(entry, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"column {column!r}: expected text, got {value!r}")
    return _clean(value)


def _name(entry: object, column: str) -> str:
    name = _text(entry, column).upper()
    if not re.fullmatch(_NAME, name, re.ASCII):
        raise ValueError(f"column {column!r}: expected a name like F01A01, got {name!r}")
    return name


def _tell_others(tree: Tree) -> None:
    """Say which wavs have names that tell nothing."""
    for path, _ in tree.find(rf"(?!{_NAME}\.wav)[^/]+\.wav"):
        tree.leave_out(path, "its name is not sex, speaker, emotion and number, as in F01A01.wav")


def _clip(tree: Tree, name: str, path: str | None, emotion: str, words: str, native: Mapping[str, str]) -> Clip:
    flags = {
        "missing_audio": path is None,
        "no_transcript": not words,
        "label_transcript_mismatch": native.get("text_name", name)[3] != name[3],
    }
    try:
        emotions = labels.emotion(emotion)
    except ValueError as error:
        raise ValueError(f"column 'emotion': {error}") from None
    return Clip(
        id=name,
        corpus="shemo",
        split="all",
        split_source="none",
        speaker_id=name[:3],
        sex="f" if name[0] == "F" else "m",
        language="fa",
        duration_s=wav.seconds(tree.root / path) if path else None,
        audio=Audio(path) if path else None,
        text=words or None,
        text_source="transcript" if words else None,
        native={"emotion": emotion} | {column: text for column, text in native.items() if text},
        labels={"emotion": emotions},
        label_kind="majority",
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE.tag,
    )
