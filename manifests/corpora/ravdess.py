"""RAVDESS: 24 actors say, and 23 of them sing, two English sentences in eight emotions, with sound and picture.

Livingstone and Russo 2018, PLoS ONE. 1,440 takes of speech and 1,012 of song; the emotion is the one that the actor was
asked for; scripted words; one face from the front in every picture.

Licence: CC BY-NC-SA 4.0; a commercial licence is sold.

Layout: names of seven numbers tell everything, so folders do not matter: all archives unpacked into the same
`Actor_{01..24}` folders, one folder per archive, a mirror per actor, or any mixture are read alike.
A clip is one take, known by the last six numbers. The first number says which file of it this is: 01 sound and picture,
02 picture alone, 03 sound alone. The picture is that of 01, else of 02; the sound that of 03, else of 01, or of a wav
that somebody took out of it.

Options:
- channel=song or channel=both takes the songs; by default there is speech alone, as in the papers.
- calm=neutral counts calm as neutral among the seven emotions; by default it has no label there. `emotion8` always has
  it.

Quirks:
- Files of one take are copies of the same performance: used as clips of their own they leak between folds.
- The splits fold1 to fold6 divide the actors as EmoBox does; there is no official split. All of fold2 are women.
- Neutral has no strong version, song has neither disgust nor surprise, and actor 18 did not sing.
- The tables of facial landmarks have the names of the films; they are not used.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from manifests import Audio, Clip, ManifestError, Video, labels, wav
from manifests.licence import PARTS, Licence
from manifests.tree import Tree

LICENCE = Licence("CC BY-NC-SA 4.0", shared=PARTS)
TREE = """\
ROOT/                                       one folder per archive or all in one, with or without wrappers
  Actor_01/03-01-05-01-02-01-01.wav         from Audio_Speech_Actors_01-24.zip, Audio_Song_Actors_01-24.zip
  Actor_01/01-01-05-01-02-01-01.mp4         from Video_Speech_Actor_01.zip, Video_Song_Actor_01.zip
  Actor_01/02-01-05-01-02-01-01.mp4         the same take without sound"""
BIBTEX = """\
@article{livingstone2018ravdess, doi = {10.1371/journal.pone.0196391}, year = {2018}, journal = {PLoS ONE},
  title = {The {Ryerson} Audio-Visual Database of Emotional Speech and Song ({RAVDESS})}, volume = {13}, number = {5},
  author = {Livingstone, Steven R. and Russo, Frank A.}, pages = {e0196391}}"""

CHANNELS = {"01": "speech", "02": "song"}
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
FOLDS = ((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22))
FOLD_OF = {f"{actor:02}": f"fold{number}" for number, actors in enumerate(FOLDS, start=1) for actor in actors}
CODES: Mapping[str, Collection[str]] = {
    "channel": CHANNELS,
    "emotion": EMOTIONS,
    "intensity": INTENSITIES,
    "statement": SENTENCES,
    "repetition": ("01", "02"),
    "actor": FOLD_OF,
}
SOUND, PICTURE = ("03.wav", "01.wav", "01.mp4"), ("01.mp4", "02.mp4")
EXPECTED = {
    "clips": 1440,
    "speakers": 24,
    "sex f": 720,
    "sex m": 720,
    **{f"native.emotion {word}": 96 if word == "neutral" else 192 for word in EMOTIONS.values()},
    **{f"split fold{number}": 240 for number in range(1, 7)},
}


def clips(
    tree: Tree,
    *,
    channel: Literal["speech", "song", "both"] = "speech",
    calm: Literal["absent", "neutral"] = "absent",
) -> Iterator[Clip]:
    """Yield every take of which there is sound or picture."""
    takes: dict[str, dict[str, str]] = defaultdict(dict)
    for path, match in tree.find(r"(\d\d)-((?:\d\d-){5}\d\d)\.(wav|mp4)"):
        kind, take = f"{match[1]}.{match[3].lower()}", match[2]
        wrong = _never_recorded(take) or ("" if kind in SOUND + PICTURE else f"no {match[3]} begins with {match[1]}")
        if wrong:
            tree.leave_out(path, f"{wrong}; is the name right?")
        else:
            takes[take].setdefault(kind, path)
    wanted = {take: files for take, files in takes.items() if channel in ("both", _channel(take))}
    for other, count in Counter(_channel(take) for take in takes.keys() - wanted.keys()).items():
        if not wanted:
            raise ManifestError(f"{tree.root}: no {channel}, but {count} takes of {other}; say SET=channel={other}")
        tree.leave_out(f"{count} takes of {other}", f"channel={channel} was asked for; channel=both takes them, too")
    for take in sorted(wanted):
        yield _clip(tree, take, wanted[take], calm)


def _channel(take: str) -> str:
    return CHANNELS[take[:2]]


def _never_recorded(take: str) -> str:
    """Say why there can be no such take, or nothing."""
    codes = take.split("-")
    for code, (what, known) in zip(codes, CODES.items(), strict=True):
        if code not in known:
            return f"there is no {what} {code}"
    channel, emotion, intensity, _, _, actor = codes
    if (emotion, intensity) == ("01", "02"):
        return "neutral was never strong"
    if channel == "02" and (actor == "18" or emotion in ("07", "08")):
        return "never sung"
    return ""


def _clip(tree: Tree, take: str, files: Mapping[str, str], calm: str) -> Clip:
    """Join the files of one take, by kind, with what its name says."""
    _, emotion, intensity, sentence, repetition, actor = take.split("-")
    sound, picture = (next((files[kind] for kind in kinds if kind in files), None) for kinds in (SOUND, PICTURE))
    word = EMOTIONS[emotion]
    # The house's eight stand in the order of the codes.
    found = {"emotion8": labels.one_hot("emotion8", labels.TASKS["emotion8"].classes[int(emotion) - 1])}
    if word != "calm":
        found["emotion"] = labels.emotion(word)
    elif calm == "neutral":
        found["emotion"] = labels.one_hot("emotion", "neutral")
    flags = {"missing_video": picture is None, "missing_audio": sound is None}
    return Clip(
        id=take,
        corpus="ravdess",
        split=FOLD_OF[actor],
        split_source="EmoBox",
        speaker_id=actor,
        sex="m" if int(actor) % 2 else "f",
        language="en",
        duration_s=wav.seconds(tree.root / sound) if sound else None,
        audio=Audio(sound) if sound else None,
        video=Video(picture) if picture else None,
        text=SENTENCES[sentence],
        text_source="script",
        native={
            "channel": _channel(take),
            "emotion": word,
            "intensity": INTENSITIES[intensity],
            "sentence": sentence,
            "repetition": int(repetition),
            "take": take,
        },
        labels=found,
        label_kind="intended",
        flags=tuple(flag for flag, raised in flags.items() if raised),
        licence=LICENCE.tag,
    )
