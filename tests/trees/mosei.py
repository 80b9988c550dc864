"""CMU-MOSEI as labs have it: whole files, cut files and MMSA's, a label file out of order, broken transcripts."""

import json

import h5py
import numpy as np
import tree_kit

FUSE = ("tasks=emotion,sentiment",)
COLUMNS = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")
NEUTRAL = (0, 0, 0, 0, 0, 0, 0)
GLAD, SAD, MIXED = (2, 7 / 3, 0, 0, 1 / 3, 0, 0), (-4 / 3, 0, 2, 0, 0, 0, 0), (-1 / 3, 1 / 3, 0, 2 / 3, 0, 1, 0)
FIRST, LATER = (-0.4875, 0.45), (0.35, 0.95)
USUAL = {0: (*FIRST, MIXED), 2: (*LATER, NEUTRAL)}
"""Number of the transcript to where it begins, where it ends, and what raters saw; 1 has no label."""
VIDEOS = {
    "-Made__up01": {0: (*FIRST, GLAD), 2: (*LATER, SAD)},
    "12345": USUAL,
    "Upright0_0k": {0: (*FIRST, SAD), 2: (*LATER, GLAD)},
    "LostFilm_07": USUAL,
    "_Develops1-": {0: (*FIRST, GLAD), 2: (*LATER, NEUTRAL)},
    "678901": USUAL,
    "Test-Video1": {0: (*FIRST, SAD), 2: (*LATER, GLAD)},
    "9876": USUAL,
    "NoWordsHere": {0: (*FIRST, GLAD), 2: (*LATER, NEUTRAL)},
    "OutOfFolds0": USUAL,
}
FOLDS = {
    "train": ["-Made__up01", "12345", "Upright0_0k", "LostFilm_07"],
    "valid": ["_Develops1-", "678901"],
    "test": ["Test-Video1", "9876", "NoWordsHere", "NeverLabel0"],
}
WAVS, FILMS = "Raw/Audio/Full/WAV_16000", "Raw/Videos/Full/Combined"
CUTS, WORDS = "Raw/Videos/Segmented/Combined", "Raw/Transcript/Segmented/Combined"


def lay(root):
    """Lay down ten videos of one second, two labelled sentences each."""
    rated = {video: [*reversed(said.values())] for video, said in VIDEOS.items()}  # no order that means anything
    csd(root / "CMU_MOSEI_Labels.csd", rated)
    for number, video in enumerate(VIDEOS):
        hz = 150 + 25 * number
        if video not in ("OutOfFolds0", "9876", "678901"):
            tree_kit.wav(root / f"{WAVS}/{video}.wav", seconds=1.0, hz=hz)
        if video not in ("LostFilm_07", "9876", "OutOfFolds0"):
            tree_kit.film(root / f"{FILMS}/{video}.mp4", seconds=1.0, hz=hz)
    for name in (f"{CUTS}/LostFilm_07_0", f"{CUTS}/LostFilm_07_2", f"{CUTS}/-Made__up01_0", "Raw/9876/0", "Raw/9876/2"):
        tree_kit.film(root / f"{name}.mp4", seconds=0.5)
    tree_kit.lay(root, {f"{WORDS}/{video}.txt": transcript(video) for video in VIDEOS if video != "NoWordsHere"})
    tree_kit.lay(
        root,
        {
            "cmu_mosei_std_folds.py": folds(FOLDS),
            f"{FILMS}/LostFilm_07.mp4": tree_kit.LFS,
            f"{WAVS}/678901.wav": b"",
            f"{WAVS}/._12345.wav": tree_kit.FORK,
            f"{WAVS}/NotLabelled.wav": b"RIFF, which nobody rated",
            "Raw/Audio/Full/COVAREP/12345.mat": b"MATLAB",
            f"{WORDS}/NotLabelled.txt": "NotLabelled___0___0.0___5.0___nobody rated it\n",
            f"{WORDS}/Test-Video1.txt": "\n".join(
                (
                    line("Test-Video1", 0, *FIRST, "b'it is \\xe2\\x80\\x99 broken'"),
                    line("Test-Video1", 2, *LATER, "a gap ____ and ___ another___"),
                    "",
                    "17",
                    "someone_else___3___1.0___2.0___not of this video",
                )
            ),
            "Raw/Labels/5000_batch_raw.csv": "Input.VIDEO_ID,Input.CLIP\n12345,0\n",
        },
    )


def line(video, number, start_s, end_s, text):
    """Return a line of a transcript."""
    return f"{video}___{number}___{start_s}___{end_s}___{text}"


def transcript(video):
    """Return the transcript of a video: its labelled lines, and one that nobody rated."""
    said = {number: spans[:2] for number, spans in VIDEOS[video].items()} | {1: (0.45, 0.5)}
    return "\r\n".join(line(video, n, *span, f"words {n} of {video}") for n, span in sorted(said.items())) + "\r\n"


def folds(lists):
    """Return lists of folds as the SDK has them, in Python."""
    return "".join(f"standard_{name}_fold={videos}\n" for name, videos in lists.items())


def csd(path, rated, columns=COLUMNS, head="All Labels", *, named=True):
    """Write a label file of the SDK: {video: [(start, end, values), ...]}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        group = file.create_group(head)
        metadata = group.create_group("metadata")
        for key, value in {"root name": head, **({"dimension names": columns} if named else {})}.items():
            metadata.create_dataset(key, (1,), dtype=h5py.string_dtype())[0] = json.dumps(value)
        for video, spans in rated.items():
            entry = group.create_group(f"data/{video}")
            entry.create_dataset("features", data=np.array([values for _, _, values in spans], dtype=np.float32))
            entry.create_dataset("intervals", data=np.array([span[:2] for span in spans], dtype=np.float64))
