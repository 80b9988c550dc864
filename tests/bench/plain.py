"""The plain way, as the authors' scripts work: each encoder opens the file itself, and is given one thing at a time.

In fp32, with torch as it comes and all cores. Frames come through OpenCV, every int(fps / 10)-th of them; the detector
sees each; every window encodes its first 30 again, whether or not the window before has done so.
`python tests/bench/plain.py` measures one round for each line on its input, and prints it as a line of JSON.
"""

import contextlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import media
import numpy as np
import published
import setting
from PIL import Image

from extract import cut, encoders, weights
from extract.asked import parsed
from extract.window import spans
from features import Grid
from manifests import Clip

FPS, STEPS = 10, 30
ONE = np.ones(1, int)


class Plain:
    """The loaded encoders, the seconds that each stage has taken, and how many frames and crops there were."""

    def __init__(self, contest: setting.Contest) -> None:
        self.root = media.corpus(contest.corpus, contest.clips).root
        asked = [parsed(name) for name in contest.names]
        self.specs = {name: encoders.spec(name) for name, *_ in asked}
        self.detector = next((options["boxes"] for *_, options in asked if "boxes" in options), "")
        self.boxes = media.boxes(contest.corpus, contest.faces)
        with weights.using(contest.weights):
            self.encode = {name: published.load(name, contest.device) for name in {*self.specs, self.detector} - {""}}
        self.spent: dict[str, float] = defaultdict(float)

    def round(self, clips: Sequence[Clip]) -> dict[str, float]:
        """Run every encoder over the clips, one after the other; return the seconds of each stage, and the counts."""
        self.spent.clear()
        with self.timed("wall"):
            for name, spec in self.specs.items():
                for clip in clips:
                    getattr(self, spec.reads)(name, clip)
        return dict(self.spent)

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time of a stage."""
        began_s = time.perf_counter()
        yield
        self.spent[stage] += time.perf_counter() - began_s

    def text(self, name: str, clip: Clip) -> None:
        """Encode one sentence."""
        with self.timed(name):
            self.encode[name]([clip.text], ONE)

    def audio(self, name: str, clip: Clip) -> None:
        """Decode the sound of a clip, and encode window by window."""
        spec = self.specs[name]
        with self.timed("decode"):
            samples = _sound(self.root / clip.audio.path, spec.rate_hz)
        for window, real in cut.sound(samples, spec, Grid.parse(spec.grids[0]))[0]:
            with self.timed(name):
                self.encode[name](window[None], np.array([real]))

    def faces(self, name: str, clip: Clip) -> None:
        """Detect in one frame after another, then encode one crop after another, window by window."""
        spec = self.specs[name]
        film = cv2.VideoCapture(str(self.root / clip.video.path))
        fps = int(film.get(cv2.CAP_PROP_FPS))
        kept, count = {}, 0
        while (image := self._next(film)) is not None:
            if count % max(1, fps // FPS) == 0:
                with self.timed(self.detector):
                    self.encode[self.detector](image[None], ONE)
                self.spent["frames"] += 1
                with self.timed("faces"):
                    kept[count] = [_crop(image, box, spec.size_px) for box in self.boxes]
            count += 1
        for start_s, end_s in spans(count / Fraction(fps), Grid.parse(spec.grids[0])):
            inside = [crops for index, crops in kept.items() if start_s * fps <= index < end_s * fps]
            for crop in (crop for crops in inside[:STEPS] for crop in crops):
                self.spent["crops"] += 1
                with self.timed(name):
                    self.encode[name](crop[None], ONE)

    def _next(self, film: cv2.VideoCapture) -> np.ndarray | None:
        with self.timed("decode"):
            found, image = film.read()
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if found else None


def _sound(path: Path, rate_hz: int) -> np.ndarray:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono", rate_hz)
        pieces = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
        return np.concatenate([piece.to_ndarray()[0] for piece in [*pieces, *resampler.resample(None)]])


def _crop(image: np.ndarray, box: np.ndarray, size_px: int) -> np.ndarray:
    x0, y0, x1, y1 = box[:4].astype(int)
    return np.array(Image.fromarray(image[y0:y1, x0:x1]).resize((size_px, size_px), Image.Resampling.NEAREST))


def main() -> None:
    """Load, warm up, and measure whenever a line comes."""
    contest, voice = setting.read(setting.Contest), sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        plain = Plain(contest)
        clips = setting.third(media.corpus(contest.corpus, contest.clips).clips)
        plain.round(clips[:1])
        for _ in sys.stdin:
            voice.write(json.dumps(plain.round(clips)) + "\n")
            voice.flush()


if __name__ == "__main__":
    main()
