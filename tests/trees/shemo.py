"""ShEMO in small: four speakers in four emotions, fear and surprise, names out of step, texts with every mark."""

import json

import tree_kit

FUSE = ("tasks=emotion4", "protocol=group", "folds=4")
SPEAKERS = ("F01", "F02", "M01", "M05")
EMOTIONS = "AHNS"
UNSPOKEN = "F01S23"
"""A wav without a transcript of its name."""
UNHEARD = "F01N12"
"""A transcript without a wav of its name."""
WORDS = "\ufeffنمی\N{ZERO WIDTH NON-JOINER}دونم \N{LEFT-TO-RIGHT MARK}چی،\N{RIGHT-TO-LEFT MARK} نه؟\r\n"
CLEAN = "نمی\N{ZERO WIDTH NON-JOINER}دونم چی، نه؟"
WORD_OF = {"A": "anger", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness", "W": "surprise"}


def names():
    """Return every name that has a wav and a transcript."""
    return [f"{speaker}{letter}01" for speaker in SPEAKERS for letter in EMOTIONS] + ["F01F12", "M01W100"]


def lay(root):
    """Lay down wavs and texts as they are unpacked, junk among them."""
    for number, name in enumerate([*names(), UNSPOKEN]):
        folder = "female" if name[0] == "F" else "male"
        tree_kit.wav(
            root / folder / f"{name}.wav", 0.5, rate_hz=22_050 if number % 5 == 0 else 44_100, hz=150 + 20 * number
        )
    tree_kit.lay(root, {f"final text/{name}.ort": WORDS for name in names()[1:]})
    tree_kit.lay(root, {f"final script/{name}.tra": f"nemidun {name}\r" for name in [*names(), UNHEARD]})
    tree_kit.lay(
        root,
        {
            f"final text/{names()[0]}.ort": "سلام",
            f"final text/{UNHEARD}.ort": WORDS,
            "final text/._F01A01.ort": tree_kit.FORK,
            "female/._F01A01.wav": tree_kit.FORK,
            "female/F01A02.wav": b"",
            "female/F01A03.wav": tree_kit.LFS,
            "male/.DS_Store": b"\0",
            "__MACOSX/male/M01A09.wav": tree_kit.FORK,
            "female/F01X01.wav": b"RIFF, of no emotion",
            "backup/old/F01A01.wav": b"RIFF, a copy deeper down",
            "female.zip": tree_kit.LFS,
            "modified_shemo.json": json.dumps(modified(), ensure_ascii=True),
        },
    )


def modified():
    """Return what the modification project says: one text of another emotion, one wav that is not there."""
    text_of = {name: name for name in names()} | {UNSPOKEN: UNHEARD, "F01A02": "F01A02"}
    return {
        f"{name}.wav": {
            "path": f"shemo/{name}.wav",
            "gender": "female" if name[0] == "F" else "male",
            "speech_name": name,
            "text_name": text_name,
            "emotion": WORD_OF[text_name[3]],
            "transcript": WORDS,
            "ipa": "nemidun",
        }
        for name, text_name in text_of.items()
        if name != "M05S01"
    }
