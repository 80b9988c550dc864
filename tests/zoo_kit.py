"""A zoo of broken, odd and hostile media: more than two hundred small files of more than twenty kinds, always the same.

Each lies at KIND/NAME under a folder. Run as a program, it reads them all and writes down a line about each.
"""

import itertools
import json
import os
import re
import resource
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import media_kit as kit
import numpy as np
from media_kit import Film, Sound

from extract.media import Files, Need

HERE = Path(__file__).parents[1]
SECONDS = 2
HOURS = 3
PLACES = 20
"""At how many places a file is cut off."""
SPECIMENS = {  # healthy films and recordings, of which most others are made
    "a.mp4": (Film(b_frames=2), Sound("aac", "fltp"), {}),
    "head.mp4": (Film(), Sound("aac", "fltp"), {"movflags": "faststart"}),
    "a.mkv": (Film(), Sound("flac", "s16"), {}),
    "a.webm": (Film("libvpx"), Sound("libopus", "s16", 48_000), {}),
    "a.avi": (Film("mpeg4"), Sound("libmp3lame", "fltp"), {}),
    "a.mpg": (Film("mpeg1video"), Sound("mp2", "s16", 48_000), {}),
    "a.ts": (Film(), Sound("aac", "fltp"), {}),
    "a.wav": (None, Sound("pcm_s16le", "s16"), {}),
    "a.flac": (None, Sound("flac", "s16"), {}),
    "a.mp3": (None, Sound("libmp3lame", "fltp"), {}),
}
CUT = ("a.mp4", "head.mp4", "a.mkv", "a.avi", "a.flac")
PIXELS = {  # how odd pictures are stored: the code that takes them, and the container
    "yuv444p10le": ("ffv1", "mkv"),
    "yuv420p10le": ("libx264", "mp4"),
    "yuv422p": ("libx264", "mp4"),
    "yuvj420p": ("mjpeg", "avi"),
    "yuvj444p": ("mjpeg", "mkv"),
    "gray": ("ffv1", "mkv"),
    "gray16be": ("png", "mov"),
    "ya8": ("png", "avi"),
    "rgba": ("png", "mov"),
    "rgb48be": ("png", "mov"),
    "monob": ("png", "mov"),
    "rgb24": ("rawvideo", "avi"),
    "bgr0": ("ffv1", "avi"),
}


def make(folder):
    """Fill a folder with the zoo."""
    (folder / "healthy").mkdir(parents=True)
    for name, (film, how, options) in SPECIMENS.items():
        write(folder / "healthy" / name, film, how, **options)
    healthy = {path.name: path.read_bytes() for path in sorted((folder / "healthy").iterdir())}
    for kind, keeper in KINDS.items():
        (folder / kind).mkdir()
        keeper(folder / kind, healthy)
    return folder


def write(path, film=None, how=None, seconds=SECONDS, **options):
    """Write numbered pictures and noise."""
    fps = film.fps if film else 1
    pictures = [kit.picture(i % 256) for i in range(max(1, round(seconds * fps)))] if film else []
    sound = kit.noise(seconds, how.rate_hz) / 2 if how else None
    return film_of(path, pictures, sound, film, how, **options)


def film_of(path, pictures=(), sound=None, film=None, how=None, **options):
    """Write what is given, without the random numbers by which some containers name themselves."""
    return kit.write(path, pictures, sound, film, how, fflags="+bitexact", **options)


def cut_off(den, healthy):
    """Cut files off at twenty places, from the first bytes to the last."""
    for name, place in itertools.product(CUT, range(PLACES)):
        data = healthy[name]
        (den / f"{place:02}-{name}").write_bytes(data[: 1 + (len(data) - 2) * place // (PLACES - 1)])


def flip_bits(den, healthy):
    """Flip bits anywhere, and in the first kilobyte alone, where headers lie."""
    for (name, data), seed in itertools.product(healthy.items(), range(8)):
        random = np.random.default_rng(seed)
        broken = np.frombuffer(data, np.uint8).copy()
        reach = len(broken) if seed % 2 else min(1024, len(broken))
        at = random.integers(4, reach, 1 + 4 * seed)
        broken[at] ^= (1 << random.integers(0, 8, len(at))).astype(np.uint8)
        (den / f"{seed}-{name}").write_bytes(broken.tobytes())


def blank(den, healthy):
    """Overwrite a tenth of each file with zeros, as a disk does that lost a block."""
    for name, data in healthy.items():
        at, gone = len(data) // 2, len(data) // 10
        (den / name).write_bytes(data[:at] + bytes(gone) + data[at + gone :])


def not_media(den, healthy):
    """Write nothing, zeros, text and an error page under the names of films."""
    for name in healthy:
        (den / f"empty-{name}").touch()
    for name, data in {
        "zeros.mp4": bytes(10_000),
        "text.mp4": b"this is no film\n" * 100,
        "page.mkv": b"<!doctype html><title>404 Not Found</title>" * 10,
        "list.wav": json.dumps([1] * 1000).encode(),
        "head.wav": b"RIFF\x24\x00\x00\x00WAVE",
        "head.mp4": healthy["a.mp4"][:32],
    }.items():
        (den / name).write_bytes(data)


def lack(den, _):
    """Leave one modality out, or give it nothing."""
    write(den / "no_sound.mp4", Film())
    write(den / "no_sound.mkv", Film("ffv1", pixels="bgr0"))
    write(den / "no_picture.m4a", None, Sound())
    write(den / "no_picture.mkv", None, Sound("flac", "s16"))
    pictures = [kit.picture(i) for i in range(50)]
    film_of(den / "silent.mp4", pictures, np.zeros(32_000))
    film_of(den / "silent.wav", (), np.zeros(32_000), how=Sound("pcm_s16le", "s16"))
    film_of(den / "black.mp4", [np.zeros_like(pictures[0])] * 50, kit.noise(2, 16_000))


def short(den, _):
    """Write one frame, one sample, and a twentieth of a second."""
    for name in ("a.mp4", "a.mkv", "a.avi"):
        film, how, _ = SPECIMENS[name]
        film_of(den / f"frame-{name}", [kit.picture(1)], None, film)
        write(den / f"blink-{name}", film, how, 0.05)
    for name in ("a.wav", "a.flac", "a.mp3"):
        how = SPECIMENS[name][1]
        film_of(den / f"sample-{name}", (), np.zeros(1), None, how)
        write(den / f"blink-{name}", None, how, 0.05)


def claim_hours(den, healthy):
    """Let headers claim three hours."""
    film = bytearray(healthy["a.mp4"])
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        one = bytearray(healthy["a.mp4"])
        for at in (found.start() for found in re.finditer(box, healthy["a.mp4"])):
            scale = struct.unpack_from(">I", film, film.index(b"mvhd") + 16 if box == b"tkhd" else at + 16)[0]
            for data in (film, one):
                struct.pack_into(">I", data, at + (24 if box == b"tkhd" else 20), HOURS * 3600 * scale)
        (den / f"{box.decode()}.mp4").write_bytes(one)
    (den / "all.mp4").write_bytes(film)
    matroska = bytearray(healthy["a.mkv"])
    struct.pack_into(">d", matroska, matroska.index(b"\x44\x89\x88") + 3, HOURS * 3_600_000.0)
    (den / "a.mkv").write_bytes(matroska)
    wav = bytearray(healthy["a.wav"])
    struct.pack_into("<I", wav, wav.index(b"data") + 4, HOURS * 3600 * 32_000)
    (den / "a.wav").write_bytes(wav)
    flac = bytearray(healthy["a.flac"])
    struct.pack_into(">I", flac, 22, HOURS * 3600 * 16_000)
    (den / "a.flac").write_bytes(flac)
    avi = bytearray(healthy["a.avi"])
    struct.pack_into("<I", avi, avi.index(b"avih") + 24, HOURS * 3600 * 25)
    struct.pack_into("<I", avi, avi.index(b"strh") + 40, HOURS * 3600 * 25)
    (den / "a.avi").write_bytes(avi)


def claim_size(den, healthy):
    """Let pictures claim to be as large as a house, and tables to be as long as a street."""
    huge = struct.pack(">II", 60_000, 60_000)
    write(den / "png.mov", Film("png", pixels="rgb24"), Sound("pcm_s16le", "s16"))
    write(den / "jpeg.avi", Film("mjpeg", pixels="yuvj420p"))
    write(den / "pcm.mov", None, Sound("pcm_s16le", "s16"))
    replace = {
        "png.mov": (den / "png.mov", rb"(IHDR).{8}", huge),
        "jpeg.avi": (den / "jpeg.avi", rb"(\xff\xc0\x00\x11\x08).{4}", struct.pack(">HH", 65_000, 65_000)),
        "vp8.webm": (healthy["a.webm"], rb"(\x9d\x01\x2a).{4}", struct.pack("<HH", 16_383, 16_383)),
        "mpeg.mpg": (healthy["a.mpg"], rb"(\x00\x00\x01\xb3).{3}", b"\xff\xff\xff"),
        "entry.mp4": (healthy["a.mp4"], rb"(avc1.{24}).{4}", b"\xff\xff\xff\xff"),
        "track.mkv": (healthy["a.mkv"], rb"(\xb0)\x81\x40", b"\x82\xff\xff"),
        "samples.mov": (den / "pcm.mov", rb"(stsz.{8}).{4}", b"\x7f\xff\xff\xff"),
        "chunks.mov": (den / "pcm.mov", rb"(stsc.{12}).{4}(?=.{4})", b"\x7f\xff\xff\xff"),
        "times.mp4": (healthy["a.mp4"], rb"(stts.{8}).{4}", b"\x7f\xff\xff\xff"),
        "table.mp4": (healthy["a.mp4"], rb"(stsz.{8}).{4}", b"\x7f\xff\xff\xff"),
    }
    for name, (source, where, claim) in replace.items():
        data = source if isinstance(source, bytes) else source.read_bytes()
        broken, times = re.subn(where, lambda found, claim=claim: found[1] + claim, data, flags=re.DOTALL)
        assert times, name
        (den / name).write_bytes(broken)
    (den / "pcm.mov").unlink()


def odd_sound(den, _):
    """Write sixteen channels, eight kilohertz, and samples that are no numbers."""
    many = np.stack([kit.tone(100 * (i + 1), SECONDS) for i in range(16)]) / 4
    for name, codec, kind in (("16.wav", "pcm_f32le", "flt"), ("16.mkv", "pcm_s16le", "s16")):
        film_of(den / name, (), many, None, Sound(codec, kind, layout="hexadecagonal"))
    film_of(den / "8.flac", (), many[:8], None, Sound("flac", "s16", layout="7.1"))
    for rate_hz in (8_000, 11_025, 96_000, 192_000):
        write(den / f"{rate_hz}.wav", None, Sound("pcm_s32le", "s32", rate_hz))
    write(den / "8000.mp4", Film(), Sound("aac", "fltp", 8_000))
    for name, value in (("nan", np.nan), ("inf", np.inf), ("minus_inf", -np.inf), ("loud", 1e30)):
        sound = kit.tone(440, SECONDS)
        sound[5000:5010] = value
        film_of(den / f"{name}.wav", (), sound, None, Sound("pcm_f32le", "flt"))
    against = np.stack([np.full(32_000, np.inf), np.full(32_000, -np.inf)])
    film_of(den / "against.wav", (), against, None, Sound("pcm_f32le", "flt", layout="stereo"))
    film_of(den / "all_nan.wav", (), np.full(32_000, np.nan), None, Sound("pcm_f32le", "flt"))
    film_of(den / "double.wav", (), kit.tone(440, SECONDS) * 1e300, None, Sound("pcm_f64le", "dbl"))


def odd_pictures(den, _):
    """Write rare pixel formats and sizes."""
    for pixels, (codec, ending) in PIXELS.items():
        write(den / f"{pixels}.{ending}", Film(codec, pixels=pixels), None, 0.4)
    with av.open(str(den / "pal8.mov"), "w") as container:
        stream = container.add_stream("png", rate=25, width=64, height=64, pix_fmt="pal8")
        palette = np.random.default_rng(0).integers(0, 255, (256, 4), np.uint8)
        for _ in range(10):
            pixels = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
            container.mux(stream.encode(av.VideoFrame.from_ndarray((pixels, palette), "pal8")))
        container.mux(stream.encode(None))
    for height, width in ((1, 1), (2, 1000), (1000, 2), (63, 49)):
        film_of(den / f"{height}x{width}.mkv", [kit.picture(3, height, width)] * 5, None, Film("ffv1", pixels="bgr0"))


def odd_times(den, healthy):
    """Turn films on their sides and let pictures and sound come when they like."""
    for clockwise in (90, 180, 270):
        (den / f"{clockwise}.mp4").write_bytes(healthy["a.mp4"])
        kit.lay_on_its_side(den / f"{clockwise}.mp4", clockwise)
    upright, at = kit._matrix(1, 0), healthy["a.mp4"].index(b"tkhd")
    for name, matrix in (("flat", bytes(36)), ("askew", kit._matrix(1, 1)), ("full", b"\x7f\xff\xff\xff" * 9)):
        data = healthy["a.mp4"]
        (den / f"{name}.mp4").write_bytes(data[:at] + data[at:].replace(upright, matrix, 1))
    times_s = {
        "rate": [0, 0.033, 0.7, 0.71, 1.5, 2.99],
        "late": [5, 5.04, 5.08, 5.12],
        "pause": [0, 0.04, 300, 300.04],
        "gap": [0, 0.04, 7000, 7000.04],
    }
    for (name, moments), ending in itertools.product(times_s.items(), ("mp4", "mkv")):
        film = Film(times_s=tuple(Fraction(str(moment)) for moment in moments))
        film_of(den / f"{name}.{ending}", [kit.picture(i) for i in range(len(moments))], None, film)
    for name, from_s in (("late", 1.0), ("gone", 4000.0)):
        film_of(
            den / f"sound_{name}.mkv",
            [kit.picture(1)] * 50,
            kit.noise(1, 16_000),
            how=Sound("flac", "s16", from_s=from_s),
        )


def glue(den, healthy):
    """Put files one after the other, and under each other's names."""
    for name in ("a.mp4", "a.mkv", "a.wav", "a.flac", "a.mp3", "a.ts", "a.mpg"):
        (den / f"twice-{name}").write_bytes(healthy[name] * 2)
        (den / f"tail-{name}").write_bytes(healthy[name] + bytes(5000))
    (den / "a.wav").write_bytes(healthy["a.mp4"])
    (den / "a.mp4").write_bytes(healthy["a.wav"])
    for name, rate_hz in (("rates.mp3", 44_100), ("rates.ts", 8_000)):
        codec = "libmp3lame" if name == "rates.mp3" else "aac"
        other = write(den / f"other-{name}", None, Sound(codec, "fltp", rate_hz))
        (den / name).write_bytes(healthy["a" + other.suffix] + other.read_bytes())
        other.unlink()
    for name in ("a.ts", "a.mpg"):
        film = SPECIMENS[name][0]
        other = film_of(den / f"other-{name}", [kit.picture(7, 96, 128)] * 50, None, film)
        (den / f"sizes-{name}").write_bytes(healthy[name] + other.read_bytes())
        other.unlink()


def lists(den, healthy):
    """Write play lists that name other files: an open one would reach outside, or hang on a pipe."""
    os.mkfifo(den / "pipe.mpg")
    (den / "film.mp4").write_bytes(healthy["a.mp4"])
    for name, text in {
        "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\npipe.mpg\n#EXT-X-ENDLIST\n",
        "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfilm.mp4\n#EXT-X-ENDLIST\n",
        "concat.mp4": "ffconcat version 1.0\nfile pipe.mpg\n",
        "concat.ffconcat": "ffconcat version 1.0\nfile film.mp4\n",
        "address.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://localhost:9/a.ts\n#EXT-X-ENDLIST\n",
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>film.mp4</BaseURL></MPD>',
    }.items():
        (den / name).write_text(text)


def no_files(den, healthy):
    """Put what is no regular file where a film is expected, or nothing at all."""
    os.mkfifo(den / "pipe.mp4")
    (den / "directory.mp4").mkdir()
    (den / "dangling.mp4").symlink_to("nowhere.mp4")
    (den / "circle.mp4").symlink_to("circle.mp4")
    (den / "link.mp4").symlink_to("../healthy/a.mp4")
    (den / "device.wav").symlink_to(os.devnull)
    (den / "zero.wav").symlink_to("/dev/zero")
    if os.geteuid():  # root reads everything
        (den / "secret.mp4").write_bytes(healthy["a.mp4"])
        (den / "secret.mp4").chmod(0)


def bombs(den, _):
    """Hide many hours of silence in a small file, with and without saying so in its header."""
    for name, hours, told in (("told.flac", 5, True), ("untold.flac", 5, False)):
        (den / name).write_bytes(silence(hours * 3600, 16_000, told=told))


KINDS: dict[str, Callable[[Path, dict[str, bytes]], None]] = {
    keeper.__name__: keeper
    for keeper in (
        cut_off,
        flip_bits,
        blank,
        not_media,
        lack,
        short,
        claim_hours,
        claim_size,
        odd_sound,
        odd_pictures,
        odd_times,
        glue,
        lists,
        no_files,
        bombs,
    )
}


def silence(seconds, rate_hz, *, told):
    """Return a FLAC file of silence, block by block in as few bytes as the format allows."""
    block = 65_535
    total = seconds * rate_hz if told else 0
    info = struct.pack(">HH6xQ16x", block, block, rate_hz << 44 | 15 << 36 | total)
    frames = [_silent_block(number, block) for number in range(seconds * rate_hz // block)]
    return b"fLaC" + struct.pack(">I", 0x80 << 24 | len(info)) + info + b"".join(frames)


def _silent_block(number, block):
    """Spell one block: 16 kHz is told in the header, one channel, 16 bits, every sample the same zero."""
    coded = chr(number).encode("utf-8", "surrogatepass")
    head = b"\xff\xf8" + bytes((0x7 << 4 | 0x5, 0x4 << 1)) + coded + struct.pack(">H", block - 1)
    head += bytes((_remainder(head, 8, 0x07),))
    body = head + b"\x00\x00\x00"
    return body + struct.pack(">H", _remainder(body, 16, 0x8005))


def _remainder(data, width, polynomial):
    left = 0
    for byte in data:
        left ^= byte << (width - 8)
        for _ in range(8):
            left = (left << 1) ^ (polynomial if left >> (width - 1) else 0)
            left &= (1 << width) - 1
    return left


def clips(folder):
    """Return one clip for each file, its sound and its picture both from there."""
    for kind in ("healthy", *KINDS):
        for path in sorted((folder / kind).iterdir()):
            name = f"{kind}/{path.name}"
            yield kit.clip(name, name, id=f"{kind}.{path.name}")


def manifest(folder):
    """Return the manifest of the zoo."""
    return kit.manifest(folder, clips(folder))


@dataclass(frozen=True)
class Visit:
    """What reading one file came to."""

    clip: str
    samples: int
    frames: int
    errors: dict[str, str]
    seconds: float
    most_mb: int
    """The most memory that the whole process held until then."""


def visit(files, clip):
    """Read one file in full, and then a piece of it, for which the reader goes back in it."""
    began = time.monotonic()
    media = _read(files, clip)
    piece = {"start_s": 1.7, "end_s": 1.9}
    _read(files, replace(clip, audio=replace(clip.audio, **piece), video=replace(clip.video, **piece)))
    samples = len(media.sound.get(16_000, ()))
    frames = len(media.pictures.times_s) if media.pictures else 0
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Visit(clip.id, samples, frames, media.errors, time.monotonic() - began, most_mb)


def _read(files, clip):
    shown = []
    need = Need(frozenset({16_000}), frozenset({"fps=10"}))
    media = files.read(clip, need, lambda _, time_s, __: shown.append(time_s))
    assert shown == sorted(set(shown))
    assert all(samples.dtype == np.float32 and np.isfinite(samples).all() for samples in media.sound.values())
    assert media.pictures is None or media.pictures.times_s == shown
    assert bool(media.sound) != ("audio" in media.errors)
    assert bool(media.pictures) != ("video" in media.errors)
    return media


if __name__ == "__main__":
    av.logging.set_level(av.logging.PANIC)
    with Files(Path(sys.argv[1])) as files:
        for clip in clips(Path(sys.argv[1])):
            sys.stdout.write(json.dumps({"begins": clip.id}) + "\n")
            sys.stdout.flush()
            sys.stdout.write(json.dumps(asdict(visit(files, clip))) + "\n")
            sys.stdout.flush()
