"""Media to measure on, made once and kept: `python tests/bench/media.py [CORPUS] [CLIPS]` makes them and prints JSON.

`meld` is made up in the shape of MELD's clips: 2 to 8 s of 1280 x 720 at 23.976 pictures a second, H.264 and 5.1 AAC.
`grid` are the four real talking-face clips beside the checkout, 360 x 288, each under several names.
"""

import json
import os
import shutil
import sys
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from skimage.data import astronaut
from skimage.transform import resize

from manifests import Audio, Clip, Manifest, Video

GRID = Path(__file__).parents[3] / "shared" / "data" / "grid-talking-faces"
FPS = Fraction(24_000, 1001)
HEIGHT, WIDTH = 720, 1280
RATE_HZ, LAYOUT = 48_000, "5.1"
# About 3 Mbit/s: decoding then costs what it costs of real films in this size, 0.06 to 0.08 s of one core per second.
X264 = {"preset": "medium", "crf": "23"}
GRAIN_LEVELS = 2.0
NAMES_PER_FOLDER = 1000
LENGTHS = 24
"""So many different lengths, every third of which has the mean of all."""
SENTENCES = (
    "Oh my God, you guys, what am I going to do now?",
    "No.",
    "I was just thinking that we could perhaps go to the coffee house after you are done with all of this.",
    "So how did it go with the interview yesterday?",
)
BOXES = {
    720: ((560, 180, 710, 330), (180, 220, 330, 370), (930, 200, 1080, 350)),
    288: ((135, 100, 225, 190), (30, 90, 120, 180), (240, 90, 330, 180)),
}
"""Where faces are taken to be, by height of the picture: a detector with random weights finds none."""


class AbsentError(Exception):
    """Media that cannot be had here; the message says why."""


def corpus(name: str, clips: int) -> Manifest:
    """Return so many clips of `meld` or `grid`; what is not there yet is made."""
    folder = bench_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    made = {"meld": _meld, "grid": _grid}[name]
    return Manifest("bench", folder.resolve(), tuple(made(folder, i) for i in range(clips)))


def bench_folder() -> Path:
    """Return where everything about benchmarks lies, under `RUNS_ROOT`."""
    return Path(os.environ.get("RUNS_ROOT") or ".runs") / "bench"


def another(source: Path, i: int) -> str:
    """Give a file one more name beside itself, and return that: many small clips need no more than one file."""
    name = f"{i // NAMES_PER_FOLDER}/{i}{source.suffix}"
    path = source.parent / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.hardlink_to(source)
    return name


def write_noise(path: Path, seconds: int, rate_hz: int) -> None:
    """Write mono sound in which every moment is unlike every other."""
    samples = np.random.default_rng(0).integers(-9000, 9000, seconds * rate_hz, np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())


def boxes(name: str, faces: int) -> np.ndarray:
    """Return the boxes of every frame of a corpus, as a detector would: corners in pixels, and a confidence."""
    rows = BOXES[{"meld": 720, "grid": 288}[name]][:faces]
    return np.array([(*row, 0.99) for row in rows], np.float32)


def length_s(i: int) -> float:
    """Return how long the clip of that number is: few long ones, mean 3.6 s."""
    rank = (7 * i % LENGTHS + 0.5) / LENGTHS
    return 2 + 6 * rank**2.75


def _meld(folder: Path, i: int) -> Clip:
    path = folder / f"dia{i // 8}_utt{i % 8}.mp4"
    if not path.exists():
        beside = path.with_name(f".{os.getpid()}-{path.name}")
        _write(beside, i)
        beside.replace(path)
    return _clip(path.name, i)


def _grid(folder: Path, i: int) -> Clip:
    films = sorted(GRID.glob("*.mpg"))
    if not films:
        raise AbsentError("the real talking-face clips are not beside this checkout (shared/data/grid-talking-faces)")
    film = films[i % len(films)]
    path = folder / f"{i}_{film.name}"
    if not path.exists():
        shutil.copyfile(film, path)
    return _clip(path.name, i)


def _clip(path: str, i: int) -> Clip:
    text = SENTENCES[i % len(SENTENCES)]
    return Clip(id=Path(path).stem, corpus="bench", split="train", audio=Audio(path), video=Video(path), text=text)


def _write(path: Path, i: int) -> None:
    rng = np.random.default_rng(i)
    with av.open(str(path), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options=X264)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE_HZ, layout=LAYOUT)
        sound = av.AudioFrame.from_ndarray(_sound(length_s(i), rng), "fltp", LAYOUT)
        sound.sample_rate, sound.pts = RATE_HZ, 0
        container.mux([*audio.encode(sound), *audio.encode(None)])
        for picture in _pictures(round(length_s(i) * FPS), rng):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))


def _pictures(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield somebody who moves before a room that the camera pans over, with the grain of film."""
    room = _texture(HEIGHT + 200, WIDTH + 600, rng)
    person = (255 * resize(astronaut(), (600, 600))).astype(np.int16)
    grain = rng.normal(0, GRAIN_LEVELS, (HEIGHT + 64, WIDTH + 64, 1)).astype(np.int16)
    speed_px, phase = rng.uniform(0.5, 3), rng.uniform(0, 6)
    for k in range(count):
        left, top = round(speed_px * k) % 600, round(100 + 90 * np.sin(phase + k / 40))
        picture = room[top : top + HEIGHT, left : left + WIDTH].copy()
        x, y = round(340 + 120 * np.sin(phase + k / 25)), round(100 + 15 * np.sin(k / 5))
        picture[y : y + 600, x : x + 600] = person
        dx, dy = rng.integers(0, 64, 2)
        picture += grain[dy : dy + HEIGHT, dx : dx + WIDTH]
        yield picture.clip(0, 255).astype(np.uint8)


def _texture(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return a picture with as much detail at every scale as photographs have: amplitude falls as 1 / frequency."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    spectrum = np.fft.rfft2(rng.normal(size=(3, height, width))) / np.maximum(frequency, 1 / width)
    levels = np.fft.irfft2(spectrum, s=(height, width))
    return np.moveaxis(128 + 45 * levels / levels.std(), 0, -1).astype(np.int16)


def _sound(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return six loudspeakers: a voice with syllables in the centre, a room in all."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * 140 * n * times_s) / n for n in range(1, 20))
    room = rng.normal(0, 0.02, (6, len(times_s)))
    room[2] += 0.1 * voice * np.clip(np.sin(2 * np.pi * 4 * times_s), 0, 1)
    return np.ascontiguousarray(room, np.float32)


def main(name: str = "meld", clips: str = str(LENGTHS)) -> dict[str, object]:
    """Make a corpus, and say how much it is."""
    made = corpus(name, int(clips))
    sizes = [(made.root / clip.video.path).stat().st_size for clip in made.clips]
    return {"corpus": name, "clips": len(made.clips), "bytes": sum(sizes)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
