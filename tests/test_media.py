"""Real media decoded: every kind of sound, exact cuts, frames by their times, files that are broken or malicious."""

import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import media_kit as kit
import numpy as np
import pytest
from media_kit import Film, Sound

from extract import encoders, media_file
from extract.media import Files, Need

GRID = ("brbk7n", "id2_vcd_swwp2s", "lbbc2a", "lwbsza")
ENDINGS = {  # container: what goes into it
    "mp4": (Film(gop=250, b_frames=3), Sound("flac", "s16", 48_000)),
    "mkv": (Film(gop=250, b_frames=3), Sound("flac", "s16", 48_000)),
    "mpg": (Film("mpeg1video", gop=100), Sound("mp2", "s16", 48_000)),
    "ts": (Film(gop=250, b_frames=3), Sound("mp2", "s16", 48_000)),
    "avi": (Film("mpeg4", gop=250), Sound("pcm_s16le", "s16", 48_000)),
}


def read(root, audio=None, video=None, rates_hz=(16_000,), fps=(10,)):
    """Decode one clip alone."""
    with Files(root) as files:
        return read_of(files, audio, video, rates_hz, fps)


def read_of(files, audio=None, video=None, rates_hz=(16_000,), fps=(10,)):
    """Decode one clip; `images` and `shown_s` are what its frames were."""
    shown = []
    found = files.read(
        kit.clip(audio, video),
        Need(frozenset(rates_hz), frozenset(f"fps={one}" for one in fps)),
        lambda image, time_s, _: shown.append((image, time_s)),
    )
    found.images, found.shown_s = [image for image, _ in shown], [time_s for _, time_s in shown]
    return found


def sound_of(root, track, rate_hz=16_000):
    """Decode the sound of a clip, which must be there."""
    found = read(root, track, rates_hz=(rate_hz,))
    assert not found.errors
    return found.sound[rate_hz]


def numbers_of(root, track, fps=25):
    """Decode the numbers of the pictures of a clip, which must be there."""
    found = read(root, video=track, fps=(fps,))
    assert not found.errors
    return [kit.number_of(image) for image in found.images]


def pitch_hz(sound, rate_hz=16_000):
    """Return the strongest frequency."""
    return np.fft.rfft(sound * np.hanning(len(sound))).__abs__().argmax() * rate_hz / len(sound)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.wav", "pcm_u8", "u8"),
        ("a.wav", "pcm_s16le", "s16"),
        ("a.wav", "pcm_s32le", "s32"),
        ("a.wav", "pcm_f32le", "flt"),
        ("a.flac", "flac", "s16"),
    ],
)
def test_sound_of_every_kind(tmp_path, name, codec, kind, rate_hz):
    """Any sample format and rate becomes mono float32 at the encoder's rate: length, pitch and loudness are kept."""
    kit.write(tmp_path / name, sound=kit.tone(440, 1.2345, rate_hz), how=Sound(codec, kind, rate_hz))
    sound = sound_of(tmp_path, name)
    assert sound.dtype == np.float32
    assert sound.ndim == 1
    assert abs(len(sound) - 1.2345 * 16_000) <= 1
    assert abs(pitch_hz(sound) - 440) < 1
    assert abs(np.abs(sound[1000:-1000]).max() - 0.4) < 0.01


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.mpg", "mp2"), ("a.mp3", "libmp3lame")]
)
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_lossy_sound(tmp_path, name, codec, layout):
    """Lossy codecs fill up their last frames, at most two of 1,152 samples; pitch and the sound's place are kept."""
    planes = np.stack([kit.tone(440, 2, 48_000)] * (1 + (layout == "stereo")))
    planes[:, :24_000] = 0
    kind = "s16" if codec in ("mp2", "libopus") else "fltp"
    kit.write(tmp_path / name, sound=planes, how=Sound(codec, kind, 48_000, layout))
    sound = sound_of(tmp_path, name)
    assert -1 <= len(sound) - 32_000 <= 2 * 1152 / 3
    assert abs(pitch_hz(sound) - 440) < 1
    assert abs(np.flatnonzero(np.abs(sound) > 0.1)[0] - 8000) < 40 + (1152 if codec in ("mp2", "libmp3lame") else 0)


def test_speech_in_the_front_centre(tmp_path):
    """Of 5.1 sound, "centre" takes the front centre exactly, and "mix" keeps what is said there audible."""
    planes = np.zeros((6, 16_000))
    planes[2] = kit.tone(440, 1)
    kit.write(tmp_path / "a.wav", sound=planes, how=Sound("pcm_f32le", "flt", 16_000, "5.1"))
    tone = planes[2].astype(np.float32)
    np.testing.assert_array_equal(sound_of(tmp_path, {"path": "a.wav", "channel": "centre"}), tone)
    assert np.abs(sound_of(tmp_path, "a.wav")).max() > 0.1
    assert not sound_of(tmp_path, {"path": "a.wav", "channel": "left"}).any()


@pytest.mark.parametrize("container", ["a.wav", "a.flac", "a.mkv"])
@pytest.mark.parametrize(
    ("channel", "pitches_hz"), [("left", [300]), ("right", [1000]), ("mix", [300, 1000]), ("centre", [300, 1000])]
)
def test_channels_of_stereo(tmp_path, container, channel, pitches_hz):
    """Left and right are told apart, even in a wav that only counts its channels; the centre of stereo is its mix."""
    planes = np.stack([kit.tone(300, 1), kit.tone(1000, 1)])
    codec = "pcm_s16le" if container == "a.wav" else "flac"
    kit.write(tmp_path / container, sound=planes, how=Sound(codec, "s16", 16_000, "stereo"))
    power = np.abs(np.fft.rfft(sound_of(tmp_path, {"path": container, "channel": channel})))
    assert [hz for hz in (300, 1000) if power[hz] > 1000] == pitches_hz


def test_mono_is_every_channel(tmp_path):
    """A channel that a mono recording does not have is its only one."""
    kit.write(tmp_path / "a.wav", sound=kit.tone(300, 1), how=Sound("pcm_s16le", "s16"))
    for channel in ("mix", "centre", "left", "right"):
        assert abs(pitch_hz(sound_of(tmp_path, {"path": "a.wav", "channel": channel})) - 300) < 1


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Write twelve seconds of noise and 300 numbered pictures in every container, few of them key frames."""
    root = tmp_path_factory.mktemp("long")
    sound = kit.noise(12, 48_000)
    for ending, (film, how) in ENDINGS.items():
        kit.write(root / f"a.{ending}", [kit.picture(i % 256) for i in range(300)], sound, film, how)
    return root


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("start_s", "end_s"), [(0.5, 2.2), (3.3, 5.7), (9.123, 11.321), (11.0, None)])
def test_a_segment_is_a_cut_of_the_whole(long, ending, start_s, end_s):
    """A seek changes nothing: a segment holds what a full decode has there, with B-frames and key frames 10 s apart."""
    name = f"a.{ending}"
    whole = read(long, name, name, rates_hz=(48_000,), fps=(25,))
    track = {"path": name, "start_s": start_s, "end_s": end_s}
    found = read(long, track, track, rates_hz=(48_000,), fps=(25,))
    assert not found.errors
    wanted = whole.sound[48_000][round(start_s * 48_000) : round(end_s * 48_000) if end_s else None]
    np.testing.assert_allclose(
        found.sound[48_000], wanted, rtol=0, atol=1e-4 if ENDINGS[ending][1].codec == "mp2" else 0
    )
    start, end = Fraction(str(start_s)), Fraction(str(end_s or 99))
    kept = [i for i, time_s in enumerate(whole.pictures.times_s) if start <= time_s < end]
    assert [kit.number_of(whole.images[i]) for i in kept] == [kit.number_of(i) for i in found.images]
    assert found.shown_s == found.pictures.times_s
    assert [whole.pictures.times_s[i] - start for i in kept] == found.pictures.times_s


def test_a_segment_at_another_rate_is_cut_before_it_is_resampled(tmp_path):
    """The cut falls on the file's own samples, so a segment at 16 kHz has the length that its times say."""
    kit.write(tmp_path / "a.flac", sound=kit.noise(3, 44_100), how=Sound("flac", "s16", 44_100))
    sound = sound_of(tmp_path, {"path": "a.flac", "start_s": 0.7, "end_s": 2.1})
    assert abs(len(sound) - 1.4 * 16_000) <= 1


@pytest.mark.parametrize(("start_s", "offset_s", "same_as_s"), [(1.0, 0.25, 1.25), (3.0, -0.5, 2.5), (0.5, -2.0, 0.0)])
def test_offset(long, start_s, offset_s, same_as_s):
    """A stream that runs late is read so much later, one that runs early never before its beginning."""
    late = {"path": "a.mkv", "start_s": start_s, "end_s": start_s + 3, "offset_s": offset_s}
    plain = {"path": "a.mkv", "start_s": same_as_s, "end_s": start_s + 3 + offset_s}
    np.testing.assert_array_equal(sound_of(long, late), sound_of(long, plain))
    assert numbers_of(long, late) == numbers_of(long, plain)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_starts_later_keeps_its_place(tmp_path, name):
    """Sound that begins 0.5 s after the picture is preceded by half a second of silence."""
    how = Sound("flac", "s16", from_s=0.5)
    kit.write(tmp_path / name, [kit.picture(i) for i in range(50)], kit.tone(440, 1.5) + 0.1, how=how)
    sound = sound_of(tmp_path, name)
    assert np.flatnonzero(sound)[0] == 8000
    np.testing.assert_array_equal(sound_of(tmp_path, {"path": name, "start_s": 0.25}), sound[4000:])


@pytest.mark.parametrize(("gap_s", "reason"), [(1, ""), (4000, "jump by 4000.0 s")])
def test_a_hole_in_the_sound(tmp_path, gap_s, reason):
    """After a hole sound stays in step with the picture; time stamps that jump absurdly are an error."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for from_s in (0, 1 + gap_s):
            samples = av.AudioFrame.from_ndarray((kit.tone(440, 1)[None] * 32_767).astype(np.int16), "s16", "mono")
            samples.sample_rate, samples.pts, samples.time_base = 16_000, from_s * 16_000, Fraction(1, 16_000)
            container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    found = read(tmp_path, "a.mkv")
    if reason:
        assert reason in found.errors["audio"]
        return
    sound = found.sound[16_000]
    assert len(sound) == 48_000
    assert not sound[16_000:32_000].any()
    assert abs(pitch_hz(sound[32_000:]) - 440) < 1


def test_pictures_come_in_order_and_once_a_slot(tmp_path):
    """At 10 a second of 25, slot k keeps the first picture in [k/10, (k+1)/10); the clip lasts as its pictures do."""
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(75)], film=Film(b_frames=2))
    found = read(tmp_path, video="a.mp4", fps=(10,))
    firsts = [min(i for i in range(75) if i * 10 // 25 == k) for k in range(30)]
    assert [kit.number_of(image) for image in found.images] == firsts
    assert found.pictures.times_s == found.shown_s == [Fraction(i, 25) for i in firsts]
    assert (found.pictures.duration_s, found.pictures.decoded) == (3, 75)


def test_two_samplings_share_one_decode(tmp_path):
    """Frames for 10 and for 4 a second come out of one pass and are each kept once."""
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(50)])
    both = read(tmp_path, video="a.mp4", fps=(10, 4)).pictures
    apart = {time_s for fps in (10, 4) for time_s in read(tmp_path, video="a.mp4", fps=(fps,)).pictures.times_s}
    assert both.times_s == sorted(apart)
    assert both.decoded == 50


def test_colours(tmp_path):
    """Red, green, blue and white come back in that order of channels."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    kit.write(tmp_path / "a.mp4", [np.full((64, 64, 3), colour, np.uint8) for colour in colours])
    images = read(tmp_path, video="a.mp4", fps=(25,)).images
    np.testing.assert_allclose([image.mean(axis=(0, 1)) for image in images], colours, atol=12)


def test_variable_frame_rate(tmp_path):
    """Pictures without a rate keep their own times, exactly."""
    times_s = tuple(Fraction(t) for t in ("0", "1/30", "7/10", "71/100", "3/2", "299/100"))
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(6)], film=Film(times_s=times_s))
    found = read(tmp_path, video="a.mp4", fps=(10,))
    assert [kit.number_of(image) for image in found.images] == [0, 2, 4, 5]
    assert found.pictures.times_s == [times_s[i] for i in (0, 2, 4, 5)]


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_film_on_its_side_comes_upright(tmp_path, clockwise):
    """What a telephone wrote lying on its side is turned as its display matrix says."""
    upright = np.zeros((96, 64, 3), np.uint8)
    upright[:48, :32], upright[:48, 32:], upright[48:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    lying = np.ascontiguousarray(np.rot90(upright, clockwise // 90))  # counter-clockwise: the player turns it back
    kit.write(tmp_path / "a.mp4", [lying] * 3)
    kit.lay_on_its_side(tmp_path / "a.mp4", clockwise)
    image = read(tmp_path, video="a.mp4").images[0]
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright)[8:40, 8:24].max() < 12
    assert np.abs(image.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(
    ("side", "columns"), [("full", slice(0, 63)), ("left", slice(0, 31)), ("right", slice(31, 63))]
)
def test_sides_and_odd_sizes(tmp_path, side, columns):
    """A picture of odd size comes whole, and each side is one half of it."""
    image = np.random.default_rng(0).integers(0, 255, (49, 63, 3), np.uint8)
    kit.write(tmp_path / "a.mkv", [image] * 2, film=Film("ffv1", pixels="bgr0"))
    found = read(tmp_path, video={"path": "a.mkv", "side": side}).images[0]
    np.testing.assert_array_equal(found, image[:, columns])


def test_a_missing_stream_is_named_and_the_other_one_works(tmp_path):
    """A film without sound still gives its pictures, and a recording without pictures its sound."""
    kit.write(tmp_path / "silent.mp4", [kit.picture(i) for i in range(25)])
    kit.write(tmp_path / "blind.m4a", sound=kit.tone(440, 1))
    silent = read(tmp_path, "silent.mp4", "silent.mp4")
    assert (silent.errors, len(silent.images)) == ({"audio": "silent.mp4: has no audio stream"}, 10)
    blind = read(tmp_path, "blind.m4a", "blind.m4a")
    assert blind.errors == {"video": "blind.m4a: has no video stream"}
    assert abs(pitch_hz(blind.sound[16_000]) - 440) < 1


def test_samples_that_are_no_numbers(tmp_path):
    """A float wav with NaN in it is refused and says how many, and the picture beside it stays."""
    sound = kit.tone(440, 1)
    sound[[7, 8000]] = np.nan
    kit.write(tmp_path / "a.mkv", [kit.picture(0)] * 25, sound, how=Sound("pcm_f32le", "flt"))
    found = read(tmp_path, "a.mkv", "a.mkv")
    assert found.errors == {"audio": "a.mkv: 2 samples are not finite"}
    assert found.pictures is not None


def test_a_segment_beyond_the_end(tmp_path):
    """A clip that begins after the media end says so, for sound and picture."""
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(25)], kit.tone(440, 1))
    track = {"path": "a.mp4", "start_s": 5.0, "end_s": 6.0}
    errors = read(tmp_path, track, track).errors
    assert "its sound ends before 5.0 s" in errors["audio"]
    assert "no frame from 5.0 s on" in errors["video"]


def hostile(path, other):
    """Make the file that its name asks for."""
    match path.name:
        case "directory.mp4":
            path.mkdir()
        case "pipe.mp4":
            os.mkfifo(path)
        case "text.mp4":
            path.write_text("this is no film\n" * 100)
        case "empty.mp4":
            path.touch()
        case "list.m3u8":
            path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other.name}\n#EXT-X-ENDLIST\n")
        case "concat.mp4":
            path.write_text(f"ffconcat version 1.0\nfile {other.name}\n")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.mp4", "No such file"),
        ("directory.mp4", "expected a regular file"),
        ("pipe.mp4", "expected a regular file"),
        ("text.mp4", "expected a whole film or sound file"),
        ("empty.mp4", "expected a whole film or sound file"),
        ("list.m3u8", "expected a whole film or sound file"),
        ("concat.mp4", "expected a whole film or sound file"),
    ],
)
@pytest.mark.timeout(20)
def test_what_is_no_film(tmp_path, name, reason):
    """What cannot be a film is refused by name, at once; a play list opens nothing, not even a pipe that would hang."""
    os.mkfifo(tmp_path / "other.mpg")
    hostile(tmp_path / name, tmp_path / "other.mpg")
    found = read(tmp_path, name, name)
    assert set(found.errors) == {"audio", "video"}
    for error in found.errors.values():
        assert error.startswith(name)
        assert reason in error


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.mp4", "aac", "fltp"),
        ("head_first.mp4", "aac", "fltp"),
        ("a.mkv", "aac", "fltp"),
        ("a.wav", "pcm_s16le", "s16"),
        ("a.flac", "flac", "s16"),
    ],
)
def test_a_file_that_was_cut_short(tmp_path, name, codec, kind, kept):
    """Whatever a broken download lacks at its end, no stream of it passes for a whole one."""
    pictures = [kit.picture(i) for i in range(100)] if name.endswith(("mp4", "mkv")) else ()
    options = {"movflags": "faststart"} if name == "head_first.mp4" else {}
    kit.write(tmp_path / name, pictures, kit.noise(4, 16_000), how=Sound(codec, kind), **options)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    found = read(tmp_path, name, name if pictures else None)
    assert found.errors.keys() == ({"audio", "video"} if pictures else {"audio"})
    assert not found.sound
    assert found.pictures is None


@pytest.fixture
def opened(monkeypatch):
    """Note every file that the decoder opens."""
    names = []
    spy = SimpleNamespace(**vars(av))
    spy.open = lambda name, *rest, **more: names.append(name) or av.open(name, *rest, **more)
    monkeypatch.setattr(media_file, "av", spy)
    return names


def test_a_file_is_opened_once(tmp_path, opened):
    """Sound and picture of one file open it once, of two files each once, and what nobody wants is not opened."""
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(25)], kit.tone(440, 1))
    kit.write(tmp_path / "b.wav", sound=kit.tone(440, 1), how=Sound("pcm_s16le", "s16"))
    assert read(tmp_path, "a.mp4", "a.mp4", rates_hz=(16_000, 44_100), fps=(5, 10)).opened == len(opened) == 1
    assert read(tmp_path, "b.wav", "a.mp4").opened == 2
    assert read(tmp_path, "b.wav", "a.mp4", rates_hz=()).opened == 1
    assert read(tmp_path, "b.wav", "a.mp4", rates_hz=(), fps=()).opened == 0
    assert [Path(name).name for name in opened] == ["a.mp4", "b.wav", "a.mp4", "a.mp4"]


def digest(found):
    """Return all that a clip gave, without what it cost."""
    pictures = found.pictures and (found.pictures.times_s, found.pictures.duration_s)
    sound = {rate_hz: samples.tobytes() for rate_hz, samples in found.sound.items()}
    return sound, pictures, found.shown_s, [image.tobytes() for image in found.images], found.errors


SHARED = {  # a file of many clips: what is in it, and how many files a later clip opens where that is certain
    "aac.mp4": (Film(gop=100, b_frames=3), Sound("aac", "fltp", 48_000), 0),
    "mp3.mp4": (Film(gop=100, b_frames=3), Sound("libmp3lame", "fltp", 48_000), 0),
    "parts.mp4": (Film(gop=100), Sound("aac", "fltp", 48_000), 0),
    "a.mkv": (Film(gop=100, b_frames=3), Sound("ac3", "fltp", 48_000), 0),
    "a.webm": (Film("libvpx", gop=100), Sound("libopus", "s16", 48_000), 0),
    "a.mpg": (Film("mpeg1video", gop=50), Sound("mp2", "s16", 48_000), 0),
    "a.ts": (Film("mpeg2video", gop=50, b_frames=2), Sound("aac", "fltp", 48_000), None),
    "a.avi": (Film("mpeg4", gop=100), Sound("pcm_s16le", "s16", 48_000), 0),
    "a.wav": (None, Sound("pcm_s16le", "s16", 48_000), 0),
    "a.flac": (None, Sound("flac", "s16", 48_000), 0),
    "a.mp3": (None, Sound("libmp3lame", "fltp", 48_000), 0),
    "wavpack.mkv": (None, Sound("wavpack", "s16p", 48_000), 1),
    "adpcm.wav": (None, Sound("adpcm_ima_wav", "s16p", 48_000), None),
}


@pytest.fixture(scope="module")
def shared_files(tmp_path_factory):
    """Write films and recordings of sixteen seconds in which several clips lie."""
    root = tmp_path_factory.mktemp("shared")
    for name, (film, how, _) in SHARED.items():
        options = {"movflags": "frag_keyframe+empty_moov"} if name == "parts.mp4" else {}
        pictures = [kit.picture(i % 256) for i in range(400)] if film else ()
        kit.write_in_step(root / name, pictures, kit.noise(16, 48_000) / 2, film, how, **options)
    return root


@pytest.mark.parametrize("name", SHARED)
def test_a_clip_is_the_same_alone_and_after_others(shared_files, name):
    """Whatever was read of a file before, a clip gives the same bits; going back opens nothing where it is exact."""
    film, _, opened = SHARED[name]
    spans_s = [(0.5, 2.2), (3.3, 5.7), (9.123, 11.321), (5.0, 5.5), (14.2, None), (20.0, 21.0)]
    tracks = [{"path": name, "start_s": start_s, "end_s": end_s} for start_s, end_s in spans_s]
    alone = [digest(read(shared_files, track, track if film else None, (16_000, 48_000), (25,))) for track in tracks]
    assert [bool(clip[-1]) for clip in alone] == [False] * 5 + [True]
    for seed in range(2):
        order = list(np.random.default_rng(seed).permutation(len(tracks)))
        with Files(shared_files) as files:
            found = {i: read_of(files, tracks[i], tracks[i] if film else None, (16_000, 48_000), (25,)) for i in order}
        for i, clip in found.items():
            assert digest(clip) == alone[i]
            if i in (1, 2, 3, 4) and i != order[0]:
                assert opened in (None, clip.opened)


def test_many_segments_of_one_long_film(tmp_path):
    """Forty segments of a film of ten minutes open it once and decode what they need, not all that lies before."""
    film, how = Film(fps=Fraction(10), gop=20, b_frames=2), Sound("aac", "fltp", 16_000)
    kit.write_in_step(
        tmp_path / "a.mp4", [kit.picture(i % 256, 32, 32) for i in range(6000)], kit.noise(600, 16_000), film, how
    )
    opened = decoded = 0
    with Files(tmp_path) as files:
        for start_s in range(5, 605 - 15, 15):
            track = {"path": "a.mp4", "start_s": start_s + 0.3, "end_s": start_s + 3.3}
            found = read_of(files, track, track)
            assert [kit.number_of(image) for image in found.images] == [(10 * start_s + 3 + i) % 256 for i in range(30)]
            assert len(found.sound[16_000]) == 48_000
            opened += found.opened
            decoded += found.pictures.decoded
    assert opened == 1
    assert decoded <= 40 * 10 * (3 + 1.5 + 2 + 0.5)  # the segment, the run-up, up to a key frame, a few in flight


def test_frames_are_shown_while_they_are_decoded(tmp_path):
    """Each frame is handed over before the next ones are decoded, so nobody must hold a whole film."""
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(100)])
    alive = []

    def show(image, *_):
        alive[:] = [reference for reference in alive if reference() is not None]
        alive.append(weakref.ref(image))
        assert len(alive) <= 3

    with Files(tmp_path) as files:
        found = files.read(kit.clip(video="a.mp4"), Need(samplings=frozenset({"fps=25"})), show)
    assert len(found.pictures.times_s) == 100


def test_what_fails_in_show_is_not_blamed_on_the_file(tmp_path):
    """An error of whoever takes the frames comes out as it is, and the next clip of the file is read as ever."""
    kit.write(tmp_path / "a.mp4", [kit.picture(i) for i in range(25)])

    def refuse(*_):
        raise ValueError("no room")

    with Files(tmp_path) as files:
        with pytest.raises(ValueError, match="no room"):
            files.read(kit.clip(video="a.mp4"), Need(samplings=frozenset({"fps=25"})), refuse)
        assert len(read_of(files, video="a.mp4", fps=(25,)).images) == 25


def test_readers_in_threads(long):
    """Two threads that read the same film, each through its own files, get what one alone gets."""
    tracks = [{"path": "a.mp4", "start_s": s, "end_s": s + 2.0} for s in (0.0, 7.0, 3.0, 9.0)]

    def clips(_):
        with Files(long, threads=2) as files:
            return [digest(read_of(files, track, track)) for track in tracks]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(clips, range(2))
    assert first == second == [digest(read(long, track, track)) for track in tracks]


def test_the_picture_on_a_sleeve_is_no_film(tmp_path):
    """Music that carries a picture of its sleeve has sound and no video."""
    kit.write(
        tmp_path / "a.mp3",
        [kit.picture(5)],
        kit.tone(440, 1),
        Film("mjpeg", pixels="yuvj420p"),
        Sound("libmp3lame", "fltp"),
    )
    found = read(tmp_path, "a.mp3", "a.mp3")
    assert found.errors == {"video": "a.mp3: has no video stream"}
    assert abs(pitch_hz(found.sound[16_000]) - 440) < 1


@pytest.mark.parametrize("shared", ["grid-talking-faces"], indirect=True)
@pytest.mark.parametrize("name", GRID)
def test_real_talking_faces(shared, name):
    """A real MPEG film has 75 pictures at 25 a second and 2.98 s of sound."""
    found = read(shared, f"{name}.mpg", f"{name}.mpg", rates_hz=(44_100,), fps=(25,))
    assert not found.errors
    assert found.pictures.times_s == [Fraction(i, 25) for i in range(75)]
    assert {image.shape for image in found.images} == {(288, 360, 3)}
    assert abs(len(found.sound[44_100]) / 44_100 - 2.98) < 0.005


@pytest.mark.parametrize("shared", ["grid-talking-faces"], indirect=True)
@pytest.mark.parametrize(
    ("name", "fps"), [("id2_vcd_swwp2s", 10), *(pytest.param(name, 25, marks=pytest.mark.slow) for name in GRID)]
)
def test_one_face_in_every_real_picture(shared, name, fps):
    """MTCNN finds exactly one face in each sampled picture of a person who speaks into the camera."""
    images = read(shared, video=f"{name}.mpg", fps=(fps,)).images
    found = encoders.module("mtcnn").load("cpu", "exact")(np.stack(images), np.ones(len(images), int))
    assert [len(boxes) for boxes in found.values] == [1] * (3 * fps)
