"""CMU-MOSI as labs have it: labels without a head, files whole and cut, a film that does not open."""

import tree_kit

FUSE = ("tasks=sentiment",)
BAD_FILM = "c5xsKMxpXnc"
FIRST, LATER = (0.0, 0.5), (0.45, 0.95)
VIDEOS = {
    "-Made_Up_01": (2.6, -1.8),
    "Train__one1": (-0.4, 0.0),
    "Train_two-2": (1.0, -3.0),
    BAD_FILM: (0.8, -0.25),
    "_Devel_opt3": (1.6, -2.2),
    "Test-Video4": (-1.4, 2.0),
    "OnlyCuts_55": (0.0, 1.2),
    "OutOfFolds0": (1.0, 1.0),
}
FOLDS = {
    "train": ["-Made_Up_01", "Train__one1", "Train_two-2"],
    "valid": [BAD_FILM, "_Devel_opt3"],
    "test": ["Test-Video4", "OnlyCuts_55"],
}


def lay(root):
    """Lay down eight videos of one second, two rated sentences each."""
    for number, video in enumerate(VIDEOS):
        hz = 150 + 25 * number
        if video not in ("OnlyCuts_55", "OutOfFolds0"):
            tree_kit.wav(root / f"Audio/WAV_16000/Full/{video}.wav", seconds=1.0, hz=hz)
            if video != BAD_FILM:
                tree_kit.film(root / f"Video/Full/{video}.mp4", seconds=1.0, hz=hz)
        for part in (1, 2) if video in ("OnlyCuts_55", BAD_FILM) else (1,) if video == "Test-Video4" else ():
            tree_kit.wav(root / f"Audio/WAV_16000/Segmented/{video}_{part}.wav", seconds=0.5, hz=hz)
            tree_kit.film(root / f"Video/Segmented/{video}_{part}.mp4", seconds=0.5, hz=hz)
    said = {
        f"Transcript/Segmented/{video}.annotprocessed": f"1_DELIM_ONE OF {video.upper()}\n2_DELIM_TWO_DELIM_AND MORE\n"
        for video in VIDEOS
    }
    tree_kit.lay(
        root,
        {
            **said,
            "Labels/OpinionLevelSentiment.csv": table(),
            "cmu_mosi_std_folds.py": "".join(f"standard_{name}_fold = {ids!r}\n" for name, ids in FOLDS.items()),
            f"Video/Full/{BAD_FILM}.mp4": b"\0\0\0\x18ftypmp42, and no more",
            "Audio/WAV_16000/Full/NotLabelled.wav": b"RIFF, which nobody rated",
            "Audio/WAV_16000/Segmented/._Test-Video4_2.wav": tree_kit.FORK,
            "Transcript/Segmented/Test-Video4.annotprocessed": "1_DELIM_ONE\r\n2_DELIM_\r\n3_DELIM_THREE\r\nwhat?\r\n",
            "Transcript/Full/Test-Video4.textonly": "ONE THREE",
        },
    )


def table(videos=VIDEOS, head=""):
    """Return the labels of two sentences a video, the last video first."""
    rows = [
        f"{start_s},{end_s},{video},{number},{score}\n"
        for video, scores in reversed(videos.items())
        for number, ((start_s, end_s), score) in enumerate(zip((FIRST, LATER), scores, strict=True), start=1)
    ]
    return head + "".join(rows)
