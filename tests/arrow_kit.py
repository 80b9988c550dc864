"""Entries with all that exports must keep apart: padding, gaps, axes, kinds of numbers, seconds; and tables of them."""

import numpy as np

from features import Key, Windows, Writer, about, folder_of
from features.exchange import Chosen
from features.reader import Reader

CLIPS = [f"clip{i}" for i in range(7)]
ROWS = {
    clip: {
        "id": clip,
        "split": ("train", "dev", "test")[i % 3],
        "emotion": ("anger", "")[i % 2],
        "turn": str(i),
        "sentiment_score": f"{i / 10 - 0.3:.1f}",
        "label.topic": "0.2 0.8",
        "speaker": f"0{i}",
    }
    for i, clip in enumerate(CLIPS)
}
KINDS = {"audio": ((4,), "float16"), "vision": ((2, 3), "float32"), "words": ((), "uint8")}
ABSENT = {"vision": "clip2"}
ABOUT = {
    "encoder_does": "Numbers drawn by a die.",
    "command": "make features CORPUS=toys",
    "encoder_licence": "CC-BY-NC-4.0",
    "bibtex": {"corpus": "@misc{toys}", "encoder": "@misc{die}"},
}


def windows(shape, dtype, rng):
    """Return two or three windows whose last steps are padding."""
    lengths = rng.integers(2, 5, int(rng.integers(2, 4)))
    values = [(rng.normal(size=(n, *shape)) * 60).astype("f4").clip(0 if dtype == "uint8" else -200) for n in lengths]
    spans_s = [(2.0 * i, 2.0 * i + 3) for i in range(len(lengths))]
    return Windows.join([each.astype(dtype) for each in values], spans_s, [int(n) - 1 for n in lengths])


def readers(*names):
    """Write an entry for each of these features, and open them."""
    found = {}
    for name in names or KINDS:
        key, rng = Key(name, 1, "windows(3,2,2)", KINDS[name][1]), np.random.default_rng(len(name))
        for clips in (CLIPS[:4], CLIPS[4:]):
            with Writer(folder_of("toys", key), key, {"numpy": "2"}, "GPL-3.0") as writer:
                for clip in clips:
                    if ABSENT.get(name) != clip:
                        writer.add(clip, f"source of {clip}", windows(*KINDS[name], rng))
        about.write(writer.folder, ABOUT)
        found[name] = Reader(writer.folder)
    return found


def chosen(*names, how="steps", rows=ROWS):
    """Choose all clips of these features."""
    return Chosen("toys", readers(*names), CLIPS, rows, how)


def sequences(asked):
    """Return what goes out, by clip and feature."""
    return {(clip, name): steps for clip, found in asked.sequences() for name, steps in found.items()}


def same(pieces, asked, *, times=True):
    """Compare what came in with what went out, to the bit."""
    wanted = sequences(asked)
    found = {(piece.clip, piece.feature): piece.windows for piece in pieces}
    assert found.keys() == wanted.keys()
    for place, steps in wanted.items():
        values = found[place].values
        assert (values.dtype, values.shape) == (steps.values.dtype, steps.values.shape)
        assert values.tobytes() == steps.values.tobytes()
        assert not times or found[place].steps["interval_s"].tolist() == steps.interval_s.tolist()
