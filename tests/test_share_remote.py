"""Sharing over real servers on this machine: what is pushed by ssh or into a store comes back, by the web as well."""

import random
import uuid

import pytest
import server_kit
from test_share import SIGNED, clips, held, lay

from features import catalogue, remote
from features.__main__ import main
from features.places import place
from features.roots import root

CLIPS = {f"c{i}": str(i) for i in range(20)}
PARTS = [dict([*CLIPS.items()][first : first + 4]) for first in range(0, 20, 4)]


@pytest.fixture(autouse=True)
def mine(roots, monkeypatch):  # noqa: ARG001 - it says where the cache lies
    """Return one's own cache; nobody waits between two tries."""
    monkeypatch.setattr(remote, "PAUSES_S", (0.0, 0.0, 0.0))
    return root()


@pytest.fixture
def ssh(tmp_path):
    """Serve a folder by ssh."""
    (tmp_path / "served/cache").mkdir(parents=True)
    with server_kit.ssh_server(tmp_path / "served", tmp_path / "home") as server, server_kit.at_home(server.home):
        yield server


@pytest.fixture(params=["ssh", pytest.param("s3", marks=pytest.mark.slow)])
def there(request):
    """Return the address of an empty cache of each kind that can be pushed to."""
    if request.param == "ssh":
        yield request.getfixturevalue("ssh").address
        return
    with server_kit.s3_server():
        yield f"s3://lab/{uuid.uuid4().hex}"


def elsewhere(monkeypatch, mine, name="colleague"):
    """Be somebody else with an empty cache; return it."""
    monkeypatch.setenv("FEATURES_ROOT", str(mine.parent / name))
    return root()


def test_what_is_pushed_comes_back(there, mine, monkeypatch, capsys):
    """A colleague pulls what was pushed, each part checked; a second push and a second pull move nothing."""
    folder = lay(mine, *PARTS)
    assert main(["push", there, "toys"]) == 0
    assert main(["push", there, "toys"]) == 0
    assert f"0 clips, 0.0 MB to copy, {len(CLIPS)} there already" in capsys.readouterr().out
    theirs = elsewhere(monkeypatch, mine)
    assert main(["pull", there, "toys"]) == 0
    assert held(theirs) == CLIPS
    assert {path.name: path.read_bytes() for path in (theirs / "toys" / folder.name).glob("part-*")} == {
        path.name: path.read_bytes() for path in folder.glob("part-*")
    }
    assert main(["pull", there, "toys"]) == 0
    assert f"0 clips, 0.0 MB to copy, {len(CLIPS)} there already" in capsys.readouterr().out
    assert main(["verify"]) == 0


def test_two_with_other_parts_push_to_one(there, mine, monkeypatch):
    """Of parts that overlap only the rest travels, both ways: there and at whoever pulls each clip stands once."""
    shuffled = list(CLIPS.items())
    random.Random(0).shuffle(shuffled)
    lay(mine, *PARTS[:4])
    assert main(["push", there, "toys"]) == 0
    lay(elsewhere(monkeypatch, mine, "other"), *(dict(shuffled[first : first + 5]) for first in range(0, 20, 5)))
    assert main(["push", there, "toys"]) == 0
    theirs = elsewhere(monkeypatch, mine)
    lay(theirs, clips("c0", source="0"))
    assert main(["pull", there, "toys"]) == 0
    assert held(theirs) == CLIPS
    (entry,) = place(there).entries()
    listed = catalogue.parse(place(there).text(f"{entry}/{catalogue.FILE}"), there)
    assert sorted(clip for one in listed.values() if one.rows for clip in one.rows.clips) == sorted(CLIPS)


def test_a_push_whose_line_breaks_goes_on(ssh, mine, monkeypatch):
    """However often the connection breaks, nothing half is seen there, and in the end all of it is there."""
    lay(mine, *PARTS)
    ssh.cuts += [3_000, 500, 2_000]
    assert main(["push", ssh.address, "toys"]) == 0
    theirs = elsewhere(monkeypatch, mine)
    assert main(["pull", ssh.address, "toys"]) == 0
    assert held(theirs) == CLIPS


def test_the_web_serves_what_was_pushed(mine, tmp_path, monkeypatch, capsys):
    """A folder that was pushed to can be pulled from through any web server, and not pushed to."""
    lay(mine, *PARTS)
    assert main(["push", str(tmp_path / "lab"), "toys"]) == 0
    theirs = elsewhere(monkeypatch, mine)
    with server_kit.http_server(tmp_path / "lab") as server:
        assert main(["pull", server.address, "toys", "--dry"]) == 0
        assert not theirs.exists()
        assert main(["pull", server.address, "toys"]) == 0
        assert main(["push", server.address, "toys"]) == 2
    assert held(theirs) == CLIPS
    assert "can only be read" in capsys.readouterr().err


def test_a_pull_that_broke_goes_on(mine, tmp_path, monkeypatch):
    """A server that goes away leaves whole parts behind; the next pull brings those alone that are missing."""
    lay(mine, *PARTS)
    assert main(["push", str(tmp_path / "lab"), "toys"]) == 0
    theirs = elsewhere(monkeypatch, mine)
    with server_kit.http_server(tmp_path / "lab") as server:
        server.cuts += [None] * 6 + [100] * 200  # what says what is there, a part or two, and then no more
        assert main(["pull", server.address, "toys"]) == 2
        arrived = len(list(theirs.rglob("part-*.h5")))
        assert arrived < len(PARTS)
        assert list(theirs.rglob(".part-*")) == []
        server.cuts.clear()
        asked = len(server.asked)
        assert main(["pull", server.address, "toys"]) == 0
    assert held(theirs) == CLIPS
    assert sum("part-" in path for path, _ in server.asked[asked:]) == len(PARTS) - arrived


def test_a_part_that_is_damaged_over_there(mine, tmp_path, monkeypatch, capsys):
    """What a server sends is believed when its digest is right, and not before."""
    lay(mine, *PARTS)
    assert main(["push", str(tmp_path / "lab"), "toys"]) == 0
    theirs = elsewhere(monkeypatch, mine)
    for part in (tmp_path / "lab").rglob("part-*.h5"):
        data = bytearray(part.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 600] = bytes(600)
        part.write_bytes(data)
    with server_kit.http_server(tmp_path / "lab") as server:
        assert main(["pull", server.address, "toys"]) == 2
    assert list(theirs.rglob("*part-*")) == []
    assert "part-" in capsys.readouterr().err


def test_what_may_not_leave_leaves_by_no_way(there, mine, capsys):
    """Terms count for every kind of place."""
    lay(mine, *PARTS, told=SIGNED)
    assert main(["push", there, "toys"]) == 1
    assert "lets no features leave" in capsys.readouterr().out
    assert place(there).entries() == []
