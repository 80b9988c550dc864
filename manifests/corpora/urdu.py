"""URDU-Dataset: 400 short clips of Urdu talk shows, a hundred each of angry, happy, neutral and sad.

Latif, Qayyum, Usman and Qadir 2018, FIT. Sound alone, of one to three seconds; no transcripts and no official split.

Licence: research only, by its README; the clips come from YouTube and stay inside the lab, there is no licence file.

Layout: a folder per emotion, `Angry/SM1_F10_A010.wav`: sex and number of the speaker, number of the file, letter of
the emotion and number within it. Folders per speaker in between, of which the README speaks, are read too.

Quirks:
- The names hold 29 speakers, 18 men and 11 women; README and paper speak of 38.
- Nearly every speaker is heard in one emotion only, so that knowing the speaker is knowing the label: scores over
  unseen speakers are hardly possible, and scores over seen ones say little. Each report says it.
- The README calls the fourth emotion `Emotion`; it is Sad. Numbers are padded irregularly (`A01`, `A010`).
"""

from collections.abc import Iterator, Sequence

from manifests import Audio, Clip, labels, wav
from manifests.licence import Licence
from manifests.tree import Tree

LICENCE = Licence("URDU-Dataset, research only", shared=("labels",))
TREE = """\
ROOT/
  Angry/SM1_F10_A010.wav      S, M or F for man or woman, the speaker; F, the file; the emotion and its number
  Happy/  Neutral/  Sad/"""
BIBTEX = """\
@inproceedings{latif2018cross, doi = {10.1109/FIT.2018.00023}, year = {2018}, pages = {88--93},
  title = {Cross Lingual Speech Emotion Recognition: {Urdu} vs. {Western} Languages},
  booktitle = {International Conference on Frontiers of Information Technology (FIT)},
  author = {Latif, Siddique and Qayyum, Adnan and Usman, Muhammad and Qadir, Junaid}}"""
NOTE = "In URDU nearly every speaker is heard in one emotion only: the speaker gives the label away."

EXPECTED = {
    "clips": 400,
    "speakers": 29,
    "speakers, sex m": 18,
    "speakers, sex f": 11,
    "emotion anger": 100,
    "emotion happy": 100,
    "emotion neutral": 100,
    "emotion sad": 100,
}
EMOTIONS = {"A": "angry", "H": "happy", "N": "neutral", "S": "sad"}
_NAME = r"(S([MF])(\d{1,4})_F\d{1,4}_([AHNS])\d{1,4})\.wav"


def clips(tree: Tree) -> Iterator[Clip]:
    """Yield every wav whose name tells its speaker and emotion, and whose folder does not say another."""
    found: dict[str, Clip] = {}
    for path, (stem, sex, speaker, letter) in ((path, match.groups()) for path, match in tree.find(_NAME)):
        emotion = EMOTIONS[letter.upper()]
        folder = next((name for name in reversed(path.lower().split("/")[:-1]) if name in EMOTIONS.values()), emotion)
        if folder != emotion:
            tree.leave_out(path, f"its name says {emotion}, its folder {folder}")
        elif stem.upper() in found:
            tree.leave_out(path, f"a copy of {stem.upper()}")
        else:
            found[stem.upper()] = _clip(tree, path, stem.upper(), sex.upper(), int(speaker), emotion)
    for path, _ in tree.find(rf"(?!{_NAME})[^/]+\.wav"):
        tree.leave_out(path, "its name does not tell speaker and emotion, as SM1_F10_A010.wav does")
    in_order = [found[name] for name in sorted(found)]
    _warn_of_one_emotion(tree, in_order)
    yield from in_order


def _warn_of_one_emotion(tree: Tree, found: Sequence[Clip]) -> None:
    """Say how far the speaker gives the label away."""
    heard: dict[str | None, set[object]] = {}
    for clip in found:
        heard.setdefault(clip.speaker_id, set()).add(clip.labels["emotion"])
    single = sum(len(emotions) == 1 for emotions in heard.values())
    if single:
        tree.warn(
            f"speaker and label are confounded: {single} of {len(heard)} speakers are heard in one emotion only, "
            "so a model that knows the voice knows the label"
        )


def _clip(tree: Tree, path: str, name: str, sex: str, speaker: int, emotion: str) -> Clip:
    return Clip(
        id=name,
        corpus="urdu",
        split="all",
        split_source="none",
        speaker_id=f"S{sex}{speaker}",
        sex="f" if sex == "F" else "m",
        language="ur",
        duration_s=wav.seconds(tree.root / path),
        audio=Audio(path),
        native={"emotion": emotion},
        labels={"emotion": labels.emotion(emotion)},
        label_kind="majority",
        licence=LICENCE.tag,
    )
