"""CREMA-D as git and Git LFS leave it: three folders of media, two tables, stubs, empty films, odd names."""

import media_kit
import tree_kit

FUSE = ("tasks=emotion4", "protocol=group", "folds=3")
ACTORS = ("1001", "1064", "1076")
USUAL = ("DFA_ANG_XX", "IEO_HAP_HI", "TAI_NEU_XX", "WSI_SAD_XX", "IEO_FEA_LO")
NO_FILES, NO_VOTES = "1001_TSI_DIS_XX", "1064_IWL_HAP_XX"
BAD = ("1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
EVERYTHING = "1001_DFA_ANG_XX"
LONE = {"mp3": "1001_IWW_ANG_XX", "flv": "1064_IWW_ANG_XX", "mp4": "1076_IWW_ANG_XX"}
"""Clips that lack the better files."""
VOTES = {
    "1001_DFA_ANG_XX": ("N", "69.1", "A:D", "37.2:58.6", "A", "57.38"),
    "1064_DFA_ANG_XX": ("A:F:N", " 7.333:87.333:51.667", "A", "68.25", "N:S", "60:61.5"),
}
USUAL_VOTE = ("H", "63.5", "S", "62.62", "D", "56.56")


def lay(root):
    """Lay down twenty-odd clips of three actors under a wrapper."""
    place = root / "CREMA-D"
    names = [f"{actor}_{rest}" for actor in ACTORS for rest in USUAL]
    for number, name in enumerate([*names, NO_VOTES]):
        tree_kit.wav(place / f"AudioWAV/{name}.wav", hz=150 + 10 * number)
        tree_kit.film(place / f"VideoFlash/{name}.flv", hz=150 + 10 * number)
    tree_kit.wav(place / "AudioWAV/1001_IOM_SAD_X.wav")
    tree_kit.film(place / "VideoFlash/1001_iom_sad_xx.FLV")
    for name in (LONE["mp3"], EVERYTHING):
        _mp3(place / f"AudioMP3/{name}.mp3")
    tree_kit.film(place / f"VideoMP4/{EVERYTHING}.mp4")
    tree_kit.film(place / f"VideoFlash/{LONE['flv']}.flv")
    tree_kit.film(place / f"VideoMP4/{LONE['mp4']}.mp4")
    tree_kit.wav(place / "AudioWAV/1076_MTI_SAD_XX.wav", hz=0)  # silence
    tree_kit.film(place / "VideoFlash/1076_MTI_SAD_XX.flv", sound=False)
    tree_kit.wav(place / "AudioWAV/1076_MTI_NEU_XX.wav")
    tree_kit.wav(place / "AudioWAV/1064_TIE_SAD_XX.wav")
    named = [*names, "1001_IOM_SAD_XX", *LONE.values(), *BAD, NO_FILES]
    tree_kit.lay(
        place,
        {
            "processedResults/summaryTable.csv": summary({name: VOTES.get(name, USUAL_VOTE) for name in named}),
            "VideoDemographics.csv": demographics(),
            f"AudioWAV/{LONE['mp3']}.wav": tree_kit.LFS,
            f"VideoFlash/{LONE['mp3']}.flv": b"",
            "VideoFlash/1076_MTI_NEU_XX.flv": b"",
            "VideoFlash/1064_TIE_SAD_XX.flv": b"FLV\1 and no duration",
            "AudioWAV/1001_IEO_SUR_HI.wav": b"RIFF, surprise was not acted",
            "AudioWAV/._1001_DFA_ANG_XX.wav": tree_kit.FORK,
            "AudioWAV/.DS_Store": b"\0",
            "SentenceFilenames.csv": '"Stimulus_Number","Filename"\n1,"1001_DFA_ANG_XX"\n',
            "readTabulatedVotes.R": "# nothing here is ours\n",
        },
    )


def summary(votes):
    """Return a table of votes as R writes it."""
    columns = [f"{rated}{what}" for rated in ("Voice", "Face", "MultiModal") for what in ("Vote", "Level")]
    rows = ([str(number), name, *cells] for number, (name, cells) in enumerate(votes.items(), start=1))
    lines = [["", "FileName", *columns], *rows]
    return "".join(",".join(f'"{cell}"' for cell in line) + "\n" for line in lines)


def demographics(*rows):
    """Return a table of actors: these, or those of the tree."""
    rows = rows or ('1001,51,"Male"', '1064,38,"Female"', '1076,25,"Female"')
    return "\n".join(['"ActorID","Age","Sex","Race","Ethnicity"', *(f'{row},"Unknown","Not Hispanic"' for row in rows)])


def _mp3(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = media_kit.Sound("libmp3lame", "fltp", 44_100)
    media_kit.write(path, sound=media_kit.tone(330, 0.6, 44_100), how=sound)
