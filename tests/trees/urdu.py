"""URDU in small: a folder per emotion, speakers who are heard in one emotion only, numbers padded irregularly."""

import tree_kit

FUSE = ("tasks=emotion4", "protocol=random", "folds=4")
CLIPS = {
    "Angry": ("SM1_F1_A01", "SM1_F10_A010", "SM4_F48_A0100", "SM3_F1_A051"),
    "Happy": ("SF1_F1_H01", "SF1_F2_H02", "SM17_F1_H010", "SM17_F2_H011"),
    "Neutral": ("SM3_F3_N01", "SF11_F1_N02", "SF11_F2_N03", "SM5_F1_N04"),
    "Sad": ("SM27_F1_S01", "SM27_F2_S02", "SF2_F1_S010", "SF2_F2_S011"),
}


def lay(root):
    """Lay down sixteen clips, one of them in a speaker's folder, and what only looks like one."""
    for place, folder in enumerate(CLIPS):
        for number, name in enumerate(CLIPS[folder]):
            where = root / folder / "SM5" if name.startswith("SM5") else root / folder
            tree_kit.wav(where / f"{name}.wav", seconds=0.5, rate_hz=44_100, hz=150 + 60 * place + 10 * number)
    tree_kit.lay(
        root,
        {
            "Angry/._SM1_F1_A01.wav": tree_kit.FORK,
            "Angry/SM1_F2_A02.wav": b"",
            "Happy/SF1_F3_H03.wav": tree_kit.LFS,
            "Happy/SM9_F1_S099.wav": b"RIFF, sad by its name and happy by its folder",
            "Sad/interview.wav": b"RIFF, of something else",
            "old/copies/Sad/SM27_F1_S01.wav": b"RIFF, a copy deeper down",
            "README.md": "400 utterances",
            "desktop.ini": b"\0",
        },
    )
