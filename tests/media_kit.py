"""Real media for tests: tones and numbered pictures, written with PyAV."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from skimage.data import astronaut

from manifests import Audio, Clip, Manifest, Video

BITS = 8
"""A picture carries its number in so many stripes, black or white: it survives every codec."""
SCALE = {"u8": 127, "s16": 2**15 - 1, "s16p": 2**15 - 1, "s32": 2**31 - 1, "flt": 1, "fltp": 1, "dbl": 1}
DTYPE = {
    "u8": np.uint8,
    "s16": np.int16,
    "s16p": np.int16,
    "s32": np.int32,
    "flt": np.float32,
    "fltp": np.float32,
    "dbl": np.float64,
}


@dataclass(frozen=True)
class Sound:
    """How sound is written: its codec, sample format, rate, loudspeakers and when it begins in the file."""

    codec: str = "aac"
    kind: str = "fltp"
    rate_hz: int = 16_000
    layout: str = "mono"
    from_s: float = 0.0


@dataclass(frozen=True)
class Film:
    """How pictures are written."""

    codec: str = "libx264"
    fps: Fraction = Fraction(25)
    gop: int = 12
    b_frames: int = 0
    pixels: str = "yuv420p"
    times_s: tuple[Fraction, ...] = ()
    """The time of each picture, where they do not come at a rate."""


def tone(hz, seconds, rate_hz=16_000, amplitude=0.4):
    """Return one channel of a sine."""
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def noise(seconds, rate_hz, seed=0):
    """Return one channel in which every moment is unlike every other."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate_hz))


def picture(number, height=64, width=64):
    """Return a picture whose stripes spell a number."""
    stripe = np.arange(width) * BITS // width
    bright = (number >> stripe & 1).astype(np.uint8) * 255
    return np.broadcast_to(bright[None, :, None], (height, width, 3)).copy()


def number_of(image):
    """Read the number of a picture back."""
    stripes = np.array_split(image.mean(axis=(0, 2)), BITS)
    return sum(1 << bit for bit, stripe in enumerate(stripes) if np.median(stripe) > SCALE["u8"])


def write(path, pictures=(), sound=None, film=None, how=None, **options):
    """Write a film, sound, or both; `sound` is (samples,) or (channels, samples)."""
    film, how = film or Film(), how or Sound()
    with av.open(str(path), "w", options=options) as container:
        video = _add_video(container, pictures, film) if len(pictures) else None
        audio = None if sound is None else container.add_stream(how.codec, rate=how.rate_hz, layout=how.layout)
        if audio is not None:
            mux_sound(container, audio, sound, how)
        for i, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.time_base = video.codec_context.time_base
            frame.pts = round(film.times_s[i] / frame.time_base) if film.times_s else i
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
    return path


def mux_sound(container, stream, sound, how):
    """Encode one run of sound, beginning at `how.from_s`."""
    container.mux(stream.encode(_frame(sound, how, how.from_s)))
    container.mux(stream.encode(None))


def _frame(sound, how, from_s):
    planes = np.atleast_2d(sound) * SCALE[how.kind] + (128 if how.kind == "u8" else 0)
    samples = planes if how.kind.endswith("p") else planes.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, DTYPE[how.kind]), how.kind, how.layout)
    frame.sample_rate, frame.time_base, frame.pts = (
        how.rate_hz,
        Fraction(1, how.rate_hz),
        round(from_s * how.rate_hz),
    )
    return frame


def write_in_step(path, pictures, sound, film, how, **options):
    """Write a film as cameras do: sound and picture advance together, so that each lies near the other in the file."""
    with av.open(str(path), "w", options=options) as container:
        video = _add_video(container, pictures, film) if len(pictures) else None
        audio = container.add_stream(how.codec, rate=how.rate_hz, layout=how.layout)
        for second in range(-(-len(sound) // how.rate_hz)):
            first = round(second * (film.fps if video else 1))
            for i, image in enumerate(pictures[first : round((second + 1) * film.fps)] if video else (), first):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = i, video.codec_context.time_base
                container.mux(video.encode(frame))
            container.mux(audio.encode(_frame(sound[second * how.rate_hz : (second + 1) * how.rate_hz], how, second)))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def _add_video(container, pictures, film):
    stream = container.add_stream(film.codec, rate=film.fps)
    stream.height, stream.width = pictures[0].shape[:2]
    stream.pix_fmt = film.pixels
    context = stream.codec_context
    context.time_base = Fraction(1, 90_000) if film.times_s else 1 / film.fps
    context.gop_size, context.max_b_frames, context.thread_count = film.gop, film.b_frames, 1
    if film.codec == "libx264":
        context.options = {"preset": "ultrafast", "crf": "12", "sc_threshold": "0", "bf": str(film.b_frames)}
    return stream


def lay_on_its_side(path, clockwise):
    """Let the display matrix in the first track of an mp4 say that players turn the picture."""
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    data = path.read_bytes()
    upright = _matrix(1, 0)
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + _matrix(cos, sin) + data[at + len(upright) :])


def _matrix(cos, sin):
    """QuickTime: x' = cos x - sin y and y' = sin x + cos y with y downwards, as 16.16 numbers in rows of three."""
    rows = (cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30)
    return b"".join(value.to_bytes(4, "big", signed=True) for value in rows)


def clip(audio=None, video=None, **columns):
    """Return a clip; sound and picture are file names, or dicts of `path` and more columns."""
    for name, kind, given in (("audio", Audio, audio), ("video", Video, video)):
        if given:
            columns[name] = kind(**(given if isinstance(given, dict) else {"path": given}))
    return Clip(**({"id": "c", "corpus": "toys", "split": "train"} | columns))


def manifest(root, clips):
    """Return the manifest of clips that lie under a root."""
    return Manifest("toys", root, tuple(clips))


def small_corpus(root):
    """Write nine clips of every kind under a root: faces that speak, segments of one film, one modality alone, text."""
    root.mkdir(parents=True)
    face = astronaut()[20:212:2, 130:322:2]
    for name, seconds in (("a.mp4", 1.2), ("b.mp4", 3.4), ("long.mp4", 4.0)):
        frames = [np.roll(face, i % 5, axis=1) for i in range(round(10 * seconds))]
        write(root / name, frames, tone(len(name) * 50, seconds), Film(fps=Fraction(10)))
    write(root / "mute.mp4", [face] * 8, film=Film(fps=Fraction(10)))
    write(root / "s.wav", sound=noise(3.1, 8_000), how=Sound("pcm_s16le", "s16", 8_000))
    write(root / "s.flac", sound=tone(300, 0.7, 44_100), how=Sound("flac", "s16", 44_100))
    first, second = ({"path": "long.mp4", "start_s": s, "end_s": e} for s, e in ((0.0, 1.5), (1.5, 3.5)))
    return manifest(
        root,
        [
            clip("a.mp4", "a.mp4", id="a", text="It is so."),
            clip("b.mp4", "b.mp4", id="b", text="Is it?", split="dev"),
            clip(first, first, id="long0", text="One."),
            clip(second, second, id="long1", text="Two, and no more."),
            clip(None, "mute.mp4", id="mute", text=" "),
            clip("s.wav", id="wav", split="dev"),
            clip("s.flac", id="flac", text="Heard."),
            clip(id="text0", text="Only words."),
            clip(id="text1", text="And again.", split="test"),
        ],
    )


def snapshot(folder):
    """Return every file under a folder with what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
