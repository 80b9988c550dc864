"""How long a dry run takes over a finished corpus of 100,000 clips: `python tests/bench/run.py plan` prints it.

It makes a corpus of tiny files and a whole cache of it in a folder of its own, then measures the command that a user
gives, start-up included.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from extract.plan import Share, plan, wants
from features import Windows, Writer
from manifests import Audio, Clip, Manifest, Video, write

CORPUS = "bench"
ENCODERS = ("mfcc", "egemaps", "mtcnn", "minilm")
ROOTS = ("FEATURES_ROOT", "MANIFESTS_ROOT", "RUNS_ROOT")
RUNS = 5
EMOTION, SENTIMENT = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
TINY = Windows.join([np.ones((2, 3), np.float32)], [(0, 3)], [2])


def corpus(root: Path, clips: int) -> Manifest:
    """Write so many media files of a few bytes, and the manifest that names them as a real corpus would."""
    for i in range(clips):
        path = root / _media(i)
        if i % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%d" % i)
    made = Manifest(CORPUS, root, tuple(map(_clip, range(clips))))
    write(made)
    return made


def _media(i: int) -> str:
    return f"{i // 1000}/dia{i // 10}_utt{i % 10}.mp4"


def _clip(i: int) -> Clip:
    return Clip(
        id=f"train_dia{i // 10}_utt{i % 10}",
        corpus=CORPUS,
        split="train",
        split_source="official",
        dialogue_id=f"train_dia{i // 10}",
        utt_index=i % 10,
        speaker_id="Joey",
        language="en",
        audio=Audio(_media(i)),
        video=Video(_media(i)),
        text=f"This is what they said in moment {i}.",
        text_source="official",
        native={"Emotion": "joy", "Sentiment": "positive"},
        labels={"emotion": EMOTION, "sentiment": SENTIMENT},
        label_kind="majority",
        licence="GPL-3.0",
    )


def fill(share: Share) -> None:
    """Write what an entry lacks of a slice."""
    with Writer(share.want.folder, share.want.key, {"numpy": "2"}, "MIT") as writer:
        for clip, source in share.sources.items():
            writer.add(clip, source, TINY)


def dry_run_s() -> float:
    """Measure one dry run, and refuse one that finds anything to do."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "extract", "run", CORPUS, "--encoders", ",".join(ENCODERS), "--dry"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    took_s = time.perf_counter() - began
    if "0 clips to visit" not in done.stdout:
        raise RuntimeError(f"expected a finished corpus, got\n{done.stdout}")
    return took_s


def main(clips: int) -> dict[str, object]:
    """Make the corpus and its cache, and time dry runs: the first without any side file, then with."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({name: str(Path(folder) / name.lower()) for name in ROOTS})
        made = corpus(Path(folder) / "media", clips)
        wanted = wants(CORPUS, ENCODERS)
        for part in plan(made, wanted).slices:
            for share in part.shares:
                fill(share)
        first_s, *later_s = (dry_run_s() for _ in range(1 + RUNS))
    return {
        "clips": clips,
        "entries": len(wanted),
        "first_seconds": round(first_s, 2),
        "seconds": round(statistics.median(later_s), 2),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int((sys.argv[1:] or ["100000"])[0]))) + "\n")
