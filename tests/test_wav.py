"""The length of a wav by its head alone, against Python's own reader, and with heads that lie."""

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.wav import MAX_CHUNKS, seconds

FORMATS = st.tuples(st.integers(1, 8), st.integers(1, 4), st.integers(1, 192_000), st.integers(0, 300))
"""Channels, bytes of a sample, rate, frames."""


def written(channels, sample_bytes, rate_hz, frames):
    """Return the bytes of a wav as Python writes it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as stream:
        stream.setparams((channels, sample_bytes, rate_hz, 0, "NONE", ""))
        stream.writeframes(bytes(channels * sample_bytes * frames))
    return file.getvalue()


def chunk(name, content, size_bytes=None):
    """Return a chunk, padded to an even length, whose head may lie about its size."""
    size_bytes = len(content) if size_bytes is None else size_bytes
    return struct.pack("<4sI", name, size_bytes) + content + b"\0" * (len(content) % 2)


def riff(*chunks):
    """Return a wav of these chunks."""
    return b"RIFF\0\0\0\0WAVE" + b"".join(chunks)


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))
SOUND = chunk(b"data", bytes(8000))


@pytest.fixture
def length(tmp_path):
    """Return a function that gives the length of a file of these bytes."""

    def of(content):
        (tmp_path / "a.wav").write_bytes(content)
        return seconds(tmp_path / "a.wav")

    return of


@given(FORMATS)
def test_against_the_standard_library(tmp_path_factory, form):
    """Whatever the channels, the samples and the rate, the length is frames by rate; without frames there is none."""
    file = tmp_path_factory.mktemp("wav") / "a.wav"
    file.write_bytes(written(*form))
    with wave.open(str(file)) as stream:
        expected = stream.getnframes() / stream.getframerate()
    assert seconds(file) == (pytest.approx(expected) if expected else None)


@given(FORMATS, st.data())
def test_truncated_at_every_byte(tmp_path_factory, form, data):
    """A file that is cut off lasts as long as what is there of its sound, and is never taken for longer."""
    content = written(*form)
    file = tmp_path_factory.mktemp("wav") / "a.wav"
    kept = data.draw(st.integers(0, len(content)))
    file.write_bytes(content[:kept])
    channels, sample_bytes, rate_hz, frames = form
    there_bytes = min(max(0, kept - 44), channels * sample_bytes * frames)
    expected = there_bytes / (channels * sample_bytes * rate_hz)
    assert seconds(file) == (pytest.approx(expected) if expected else None)


@given(
    st.lists(
        st.tuples(st.sampled_from([b"fmt ", b"data", b"LIST", b"\0\0\0\0"]), st.integers(0, 2**32 - 1), st.binary())
    )
)
def test_chunks_that_lie(tmp_path_factory, chunks):
    """Whatever sizes the chunks claim, the answer comes, and is nothing or a length above 0."""
    file = tmp_path_factory.mktemp("wav") / "a.wav"
    file.write_bytes(riff(*(chunk(name, content, claimed) for name, claimed, content in chunks)))
    assert (found := seconds(file)) is None or 0 < found < float("inf")


@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory, content):
    """What is no wav has no length, and does no harm."""
    file = tmp_path_factory.mktemp("wav") / "a.wav"
    file.write_bytes(content)
    assert seconds(file) is None


@pytest.mark.parametrize(
    "chunks",
    [
        (FMT, SOUND),
        (FMT, chunk(b"LIST", b"odd"), SOUND),
        (chunk(b"JUNK", bytes(28)), FMT, chunk(b"fact", bytes(4)), SOUND, chunk(b"LIST", bytes(900))),
        (chunk(b"fmt ", FMT[8:] + bytes(1)), SOUND),
        (chunk(b"fmt ", FMT[8:] + bytes(2)), SOUND),
        (chunk(b"fmt ", FMT[8:] + bytes(24)), SOUND),
        (FMT, chunk(b"data", bytes(8000), 2**32 - 1)),
    ],
    ids=["plain", "odd list", "chunks around", "17 bytes of format", "18 bytes of format", "extensible", "streamed"],
)
def test_as_recorders_write(length, chunks):
    """Chunks before, between and behind, longer formats, and the size that a stream leaves, are half a second alike."""
    assert length(riff(*chunks)) == 0.5


@pytest.mark.parametrize(
    "content",
    [
        riff(SOUND),
        riff(SOUND, FMT),
        riff(FMT),
        riff(FMT, chunk(b"data", b"")),
        riff(chunk(b"fmt ", FMT[8:], 4), SOUND),
        riff(chunk(b"fmt ", b""), chunk(b"data", b"sound and no format")),
        riff(chunk(b"fmt ", FMT[8:16] + bytes(8)), SOUND),
        riff(*[chunk(b"LIST", b"")] * MAX_CHUNKS, FMT, SOUND),
        b"RIFX" + riff(FMT, SOUND)[4:],
        riff(FMT, SOUND).replace(b"WAVE", b"AVI "),
    ],
    ids=[
        "no format",
        "format behind",
        "no sound",
        "empty",
        "short format",
        "empty format",
        "rate 0",
        "no end",
        "big end",
        "avi",
    ],
)
def test_no_length(length, content):
    """A head that does not say how fast its sound runs, or no sound, gives no length."""
    assert length(content) is None


def test_no_file(tmp_path):
    """A folder and a file that is not there have no length."""
    assert seconds(tmp_path) is None
    assert seconds(tmp_path / "gone.wav") is None


def test_only_the_head_is_read(length):
    """The length of a long recording does not take reading it."""
    hour = riff(FMT, chunk(b"data", b"", 16000 * 3600))
    assert length(hour + bytes(1 << 24)) == pytest.approx((1 << 24) / 16000)
