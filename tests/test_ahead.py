"""Media are read ahead by threads, and come out in the order of the clips, within a bounded queue."""

import threading
import time

import media_kit as kit
import numpy as np
import pytest

from extract import ahead
from extract.ahead import Ahead, Frame, Task
from extract.media import Need
from extract.tally import Meter

NEED = Need(frozenset({16_000}), frozenset({"fps=10"}))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Make eight films of one second, the first ones larger than the last."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(8):
        side = 32 * (9 - number)
        pictures = [kit.picture(number * 25 + i, side, side) for i in range(25)]
        kit.write(folder / f"{number}.mkv", pictures, kit.noise(1, 16_000, number))
    return folder


def visits(*names):
    """Want one clip of each film."""
    return [[Task(kit.clip(f"{name}.mkv", f"{name}.mkv", id=str(name)), NEED, 1.0)] for name in names]


def pieces(films, readers, names=range(8)):
    """Read everything, and say what came."""
    found = []
    for piece in Ahead(films, visits(*names), readers, Meter(30)):
        if isinstance(piece, Frame):
            found.append((piece.clip.id, float(piece.time_s), piece.image.sum()))
        else:
            found.append((piece[0].id, sorted(piece[1].errors), piece[1].sound[16_000].sum()))
    return found


def test_pieces_come_in_order_whoever_reads(films, monkeypatch):
    """One reader or four, room for everything or for a single frame: the same pieces in the same order."""
    alone = pieces(films, 1)
    assert [name for name, *_ in alone] == sorted(name for name, *_ in alone)
    assert len(alone) == 8 * 11
    assert pieces(films, 4) == alone
    monkeypatch.setattr(ahead, "QUEUE_BYTES", 1)
    assert pieces(films, 4) == alone
    assert pieces(films, 1) == alone


def test_the_queue_is_bounded(films, monkeypatch):
    """When nobody takes pieces, readers stop at the limit, the frames on their hands aside."""
    frame_bytes = 288 * 288 * 3
    monkeypatch.setattr(ahead, "QUEUE_BYTES", 3 * frame_bytes)
    queue = Ahead(films, visits(*range(8)), 2, Meter(30))
    taken = iter(queue)
    next(taken)
    time.sleep(0.5)
    assert 0 < queue._held <= (3 + 2) * frame_bytes
    taken.close()


def test_readers_end_when_nobody_listens_any_more(films):
    """A run that breaks off leaves no thread behind."""
    before = threading.active_count()
    taken = iter(Ahead(films, visits(*range(8)), 4, Meter(30)))
    next(taken)
    taken.close()
    assert threading.active_count() == before


def test_what_breaks_a_reader_is_raised_where_pieces_are_taken(films):
    """A fault that is no fault of a file is not swallowed by a thread."""
    with pytest.raises(AttributeError):
        list(Ahead(films, [[Task(None, NEED, 1.0)]], 2, Meter(30)))


def test_words_open_nothing(tmp_path):
    """A clip of which only the words are wanted is handed on without a look at any file."""
    task = Task(kit.clip("gone.mkv", "gone.mkv", id="a"), Need(), 0.0)
    ((clip, media),) = Ahead(tmp_path, [[task]], 1, Meter(30))
    assert (clip.id, media.errors, media.opened) == ("a", {}, 0)


def test_time_spent_waiting_for_room_is_not_decoding(films, monkeypatch):
    """The clock of a decoder stands still while the encoders are slow."""
    monkeypatch.setattr(ahead, "QUEUE_BYTES", 1)
    meter = Meter(30)
    for piece in Ahead(films, visits(7), 1, meter):
        if isinstance(piece, Frame):
            time.sleep(0.05)
    assert meter.tally.busy_s["decode"] < 0.3
    assert meter.tally.staged_s["decode"] == pytest.approx(1, abs=0.1)
    assert np.isfinite(meter.tally.waited_s)
