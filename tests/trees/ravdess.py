"""RAVDESS as labs have it: archives in one folder and in folders of their own, mirrors, copies, landmarks."""

import tree_kit

FUSE = ("tasks=emotion8", "protocol=sessions")
SPEECH, FILMS = "Audio_Speech_Actors_01-24", "RAVDESS"
ACTORS = ("01", "04", "08", "18")
"""Of four folds."""
EMOTIONS = ("01", "02", "03", "05")


def lay(root):
    """Lay down four actors' takes: all of them as sound, most as film, one silent; and what is no take."""
    hz = 150
    for actor in ACTORS:
        for emotion in EMOTIONS:
            hz += 20
            take = f"01-{emotion}-01-01-01-{actor}"
            tree_kit.wav(root / f"{SPEECH}/Actor_{actor}/03-{take}.wav", rate_hz=48_000, hz=hz)
            if emotion != "05":
                tree_kit.film(root / f"{FILMS}/Actor_{actor}/01-{take}.mp4", hz=hz)
    only = "01-05-02-02-02"
    tree_kit.film(root / f"{FILMS}/Actor_01/02-{only}-01.mp4", sound=False)
    tree_kit.film(root / f"{FILMS}/Actor_04/01-{only}-04.mp4")
    tree_kit.wav(root / f"{FILMS}/Actor_08/01-{only}-08.wav", seconds=0.5)  # somebody took it out of a film
    tree_kit.film(root / f"{FILMS}/Actor_08/02-{only}-08.mp4", sound=False)
    tree_kit.wav(root / f"{SPEECH}/Actor_18/03-{only}-18.wav", rate_hz=48_000, channels=2)
    tree_kit.wav(root / "Audio_Song_Actors_01-24/Actor_01/03-02-03-01-01-01-01.wav")
    tree_kit.wav(root / "Audio_Song_Actors_01-24/Actor_04/03-02-02-02-02-01-04.WAV")
    tree_kit.film(root / f"{FILMS}/Actor_01/01-02-03-01-01-01-01.mp4")
    tree_kit.wav(root / "Audio_Song_Actors_01-24/Actor_18/03-02-03-01-01-01-18.wav")  # who did not sing
    tree_kit.lay(
        root,
        {
            f"{SPEECH}/Actor_01/._03-01-01-01-01-01-01.wav": tree_kit.FORK,
            f"{SPEECH}/Actor_01/.DS_Store": b"\0",
            f"__MACOSX/{SPEECH}/Actor_01/03-01-04-01-01-01-01.wav": tree_kit.FORK,
            f"{SPEECH}/Actor_01/03-01-06-01-01-01-01.wav": b"",
            f"{SPEECH}/Actor_01/03-01-07-01-01-01-01.wav": tree_kit.LFS,
            "FacialTracking_Actors_01-24/01-01-01-01-01-01-01.csv": "frame, timestamp\n1, 0.0\n",
            "old/mirror/of/Actor_01/03-01-01-01-01-01-01.wav": b"RIFF, a worse copy deeper down",
            "old/03-01-01-02-01-01-01.wav": b"RIFF, strong though neutral",
            "old/03-01-09-01-01-01-01.wav": b"RIFF, a ninth emotion",
            "old/03-01-03-01-01-01-25.wav": b"RIFF, a 25th actor",
            "old/03-01-03-01-01-01-01.mp4": b"no mp4 begins with 03",
            "old/holiday.wav": b"RIFF, of something else",
        },
    )
