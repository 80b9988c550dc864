"""Copies between caches: what is missing, checked on arrival, seen only when whole, and nothing that may not leave."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from features import CacheError, Key, Reader, Windows, Writer, about, catalogue, share, transfer
from features.__main__ import main
from features.failures import Failure, record, recorded
from features.places import Folder
from features.roots import root
from features.store import Part

HERE = Path(__file__).parents[1]
TOY = Key("toy", 1, "clip")
FREE = {"corpus_licence": "CC0-1.0", "corpus_shares": "raw,transcript,labels,features", "holds": "features"}
SIGNED = FREE | {"corpus_licence": "on request", "corpus_shares": ""}


def windows_of(clip, source):
    """Return features that follow from a clip and its source, as those of any machine do."""
    value = zlib.crc32(f"{clip} {source}".encode()) % 1000
    return Windows.join([np.full((2, 3), value, np.float32)], [(0, 1)], [2])


def lay(top, *parts, key=TOY, corpus="toys", told=FREE, licence="MIT"):
    """Lay an entry into a cache: one part for each mapping of clips to sources; return its folder."""
    folder = top / corpus / key.name
    for sources in parts:
        with Writer(folder, key, {"numpy": "2", **told}, licence) as writer:
            for clip, source in sources.items():
                writer.add(clip, source, windows_of(clip, source))
    return folder


def clips(*names, source="1"):
    """Name some clips and what they rest on."""
    return dict.fromkeys(names, source)


def moved(source, target, corpus="toys", **options):
    """Copy what is lacking from one folder to another, as pull does; return how many clips and bytes came."""
    places = Folder(source), Folder(target)
    wanted = share.lacks(*places, share.chosen(places[0], corpus), **options)
    came = []
    transfer.pull(*places, wanted, came.append)
    return sum(len(lack.new) for lack in wanted), sum(came)


def held(top, key=TOY, corpus="toys"):
    """Return what a cache holds of an entry: clips and sources, each checked for its values."""
    with Reader(top / corpus / key.name) as reader:
        for clip, windows in reader.items():
            assert np.array_equal(windows.values, windows_of(clip, reader.sources[clip]).values)
        return dict(reader.sources)


def rows_in(folder):
    """Return how many rows all parts of an entry hold: more than clips where some stand twice."""
    with Reader(folder, alone=True) as reader:
        return sum(len(rows.clips) for rows in reader.rows.values())


@pytest.fixture
def mine(roots):  # noqa: ARG001 - it says where the cache lies
    """Return one's own cache."""
    return root()


@pytest.fixture
def lab(roots):
    """Return the folder that a lab shares."""
    (roots / "lab").mkdir()
    return roots / "lab"


@pytest.mark.parametrize(
    ("here", "there", "rows"),
    [
        ([clips("a", "b"), clips("c")], [], 3),
        ([clips("a", "b")], [clips("a", "b")], 2),
        ([clips("a", "b", "c", "d")], [clips("a"), clips("c")], 4),
        ([clips("a"), clips("b"), clips("c", "d")], [clips("a", "b")], 4),
        ([clips("a", "b"), clips("b", "c")], [], 3),
        ([clips("x")], [clips("a")], 2),
    ],
    ids=["nothing there", "all there", "some of a part", "finer parts", "a clip twice", "strangers"],
)
def test_two_caches_merge_to_one(mine, lab, here, there, rows):
    """However clips were put into parts, the other side ends with each of them once, and a second copy is empty."""
    lay(lab, *here)
    if there:
        lay(mine, *there)
    moved(lab, mine)
    assert held(mine) == {clip: "1" for part in (*here, *there) for clip in part}
    assert rows_in(mine / "toys" / TOY.name) == rows
    assert moved(lab, mine) == (0, 0)
    assert main(["verify"]) == 0


def test_what_rests_on_other_media_stays(mine, lab, capsys):
    """Clips that rest on other words there are counted and kept; with --renew they come, and the old rows go."""
    lay(lab, clips("a", "b") | {"c": "new"})
    lay(mine, clips("a", "c"))
    assert main(["pull", str(lab), "toys"]) == 0
    assert "1 clips there rest on other media or words, and stay" in capsys.readouterr().out
    assert held(mine) == {"a": "1", "b": "1", "c": "1"}
    assert main(["pull", str(lab), "toys", "--renew"]) == 0
    assert held(mine) == {"a": "1", "b": "1", "c": "new"}
    assert rows_in(mine / "toys" / TOY.name) == 3


def test_push_then_pull(mine, lab, capsys, monkeypatch):
    """A colleague gets exactly what was pushed, with what is known of it; a dry run says so and copies nothing."""
    folder = lay(mine, clips("a", "b"))
    about.write(folder, {"command": "make features CORPUS=toys ENCODERS=toy", "encoder_licence": "MIT"})
    record(folder, [Failure("z", "1", "decode", "broken")])
    assert main(["push", str(lab), "toys", "--dry"]) == 0
    assert list(lab.iterdir()) == []
    assert main(["push", str(lab), "toys"]) == 0
    monkeypatch.setenv("FEATURES_ROOT", str(mine.parent / "colleague"))
    assert main(["pull", str(lab), "toys", "--encoders", "toy"]) == 0
    assert held(root()) == {"a": "1", "b": "1"}
    assert recorded(root() / "toys" / TOY.name)["z"].reason == "broken"
    assert about.read(root() / "toys" / TOY.name)["command"] == "make features CORPUS=toys ENCODERS=toy"
    assert main(["pull", str(lab), "toys"]) == 0
    assert "0 clips, 0.0 MB to copy, 2 there already" in capsys.readouterr().out


def test_a_pushed_cache_says_what_it_is(mine, lab):
    """A card for people and catalogues for machines tell corpus, encoder, terms, grid, clips and whose work to cite."""
    folder = lay(mine, clips("a", "b"), licence="CC BY-NC 4.0")
    about.write(folder, {"command": "make features X=1", "bibtex": {"corpus": "@misc{toys}", "encoder": "@misc{toy}"}})
    assert main(["push", str(lab)]) == 0
    there = lab / "toys" / TOY.name
    card = (there / "card.md").read_text()
    for words in ("CC0-1.0", "CC BY-NC 4.0 (not for every use)", "| clips | 2 |", "`clip`", "@misc{toys}", "X=1"):
        assert words in card
    assert catalogue.parse_entries((lab / "catalogue.json").read_text(), "") == [f"toys/{TOY.name}"]
    listed = catalogue.parse((there / "catalogue.jsonl").read_text(), "")
    assert {name: one.size for name, one in listed.items()} == {
        path.name: path.stat().st_size for path in there.iterdir() if path.name in listed
    }
    assert [one.rows.clips for one in listed.values() if one.rows] == [("a", "b")]


def test_two_who_push_at_once(mine, lab):
    """Both end with the union, clips that both have standing once for every reader, and the catalogue names all."""
    theirs = mine.parent / "theirs"
    lay(mine, *(clips(f"m{i}", "both") for i in range(20)))
    lay(theirs, *(clips(f"t{i}", "both") for i in range(20)))
    failed = []

    def push(top):
        try:
            source, target = Folder(top), Folder(lab)
            wanted = share.lacks(source, target, share.chosen(source), share.permitted(source, target))
            transfer.push(source, target, wanted)
        except Exception as error:  # noqa: BLE001 - a thread's error is seen by nobody else
            failed.append(error)

    threads = [threading.Thread(target=push, args=(top,)) for top in (mine, theirs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(held(lab)) == {"both", *(f"{who}{i}" for who in "mt" for i in range(20))}
    parts = {path.name for path in (lab / "toys" / TOY.name).glob("part-*")}
    listed = catalogue.parse((lab / "toys" / TOY.name / "catalogue.jsonl").read_text(), "")
    assert {name for name in listed if name.startswith("part-")} == parts


KILLED = """
import sys
from pathlib import Path
from features import places, share, transfer
class Slow(places.Folder):
    def fetch(self, path, to, size):
        to.write_bytes((self.top / path).read_bytes()[: size // 2])
        if "{last}" in path:
            print("half", flush=True)
            sys.stdin.read()
        super().fetch(path, to, size)
source, target = Slow(Path(sys.argv[1])), places.Folder(Path(sys.argv[2]))
transfer.pull(source, target, share.lacks(source, target, share.chosen(source)))
"""


def test_a_killed_copy_goes_on(mine, lab):
    """Killed in the middle of a file, the copy leaves whole parts alone, and the next brings only what is missing."""
    folder = lay(lab, *(clips(f"c{i}") for i in range(6)))
    last = max(path.name for path in folder.glob("part-*"))
    command = [sys.executable, "-c", KILLED.replace("{last}", last), str(lab), str(mine)]
    with subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"half\n"
        while len(list((mine / "toys" / TOY.name).glob("part-*"))) < 5:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert (len(held(mine)), main(["verify"])) == (5, 0)
    assert moved(lab, mine)[0] == 1
    assert len(held(mine)) == 6


@pytest.mark.parametrize("harm", ["cut", "flip", "renamed", "another entry's", "talkative"])
def test_what_does_not_arrive_whole_is_not_there(mine, lab, harm):
    """A part that is damaged, misnamed or of another entry is refused by name, and nothing of it is ever seen."""
    folder = lay(lab, clips("a", "b"))
    (part,) = folder.glob("part-*")
    data = bytearray(part.read_bytes())
    if harm == "cut":
        part.write_bytes(data[:-100])
    elif harm == "flip":
        with Part(part, TOY).path.open("r+b") as file:
            file.seek(Part(part, TOY).stored["frames"].begin)
            file.write(b"\xff\x3c")
    elif harm == "renamed":
        part.rename(part.with_name("part-0123456789abcdef.h5"))
    elif harm == "talkative":
        with h5py.File(part, "r+") as file:
            text = json.dumps({"x": "y" * 20_000}).encode()
            file.attrs.create("provenance", text, dtype=h5py.string_dtype("utf-8", len(text)))
    else:
        (other,) = lay(lab / "x", clips("a", "b"), key=Key("toy", 2, "clip")).glob("part-*")
        part.write_bytes(other.read_bytes())
    for index in lab.rglob("index.jsonl"):
        index.unlink()
    with pytest.raises(CacheError) as error:
        moved(lab, mine)
    assert "part-" in str(error.value)
    assert list(mine.rglob("*part-*")) == []


def test_features_of_a_corpus_that_was_signed_for(mine, lab, capsys):
    """They leave only for a cache that says who answers for its readers, and the refusal says what to write there."""
    lay(mine, clips("a"), told=SIGNED, corpus="iemocap")
    assert main(["push", str(lab), "iemocap"]) == 1
    assert "lets no features leave but to those who signed" in (out := capsys.readouterr().out)
    assert f"{lab}/licensed.txt the line: iemocap WHO" in out
    assert list(lab.rglob("*.h5")) == []
    (lab / "licensed.txt").write_text("# who signed\nramas Lab A, 2024\n")
    assert main(["push", str(lab), "iemocap"]) == 1
    (lab / "licensed.txt").write_text("iemocap Lab A, since March 2024\n")
    assert main(["push", str(lab), "iemocap"]) == 0
    assert held(lab, corpus="iemocap") == {"a": "1"}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (SIGNED | {"holds": "transcript"}, "lets no transcripts leave, wherever they go"),
        (SIGNED | {"holds": "raw"}, "lets no pictures of faces or other raw media leave"),
        ({"corpus_shares": "features"}, "nobody noted what is in it"),
        ({"holds": "features"}, "terms that nobody noted"),
    ],
)
def test_what_never_leaves(mine, lab, capsys, told, reason):
    """Transcripts and face pixels stay even where features may go, and so does what nobody knows anything about."""
    lay(mine, clips("a"), told=told)
    (lab / "licensed.txt").write_text("" if told.get("holds") == "features" else "toys Lab A\n")
    assert main(["push", str(lab), "toys"]) == 1
    assert reason in capsys.readouterr().out
    assert list(lab.rglob("*.h5")) == []


def test_parts_that_do_not_say_what_they_hold(mine, lab):
    """Whoever made them before parts said so can say it for them; terms that nobody noted still hold."""
    lay(mine, clips("a"), told={})
    assert main(["push", str(lab), "toys", "--holds", "features"]) == 1
    (lab / "licensed.txt").write_text("toys Lab A\n")
    assert main(["push", str(lab), "toys"]) == 1
    assert main(["push", str(lab), "toys", "--holds", "features"]) == 0
    assert held(lab) == {"a": "1"}


def test_some_parts_may_leave(mine, lab):
    """The terms are those of each part, so that one corpus may be shared as far as its clips allow."""
    lay(mine, clips("a"))
    lay(mine, clips("b"), told=SIGNED)
    assert main(["push", str(lab), "toys"]) == 1
    assert held(lab) == {"a": "1"}


def test_a_card_tells_the_terms_of_all_that_is_there(mine, lab):
    """Where clips stand under several terms, a card names each, and says that only what all let leave may."""
    lay(mine, clips("a"))
    lay(mine, clips("b"), told=FREE | {"corpus_licence": "other", "corpus_shares": "features,labels"})
    lay(mine, clips("c"), told=SIGNED | {"corpus_licence": "that of what stays here"})
    assert main(["push", str(lab), "toys"]) == 1
    card = next(lab.rglob("card.md")).read_text()
    assert "| terms of the corpus | CC0-1.0; other |" in card
    assert "| may leave under them | features, labels |" in card


def test_random_weights_are_not_shared(mine, lab, capsys):
    """Features that mean nothing are nobody else's business."""
    lay(mine, clips("a"), key=Key("toy", 1, "clip", weights="random:0"))
    assert main(["push", str(lab)]) == 1
    assert "for trying out" in capsys.readouterr().out


def test_encoders_that_are_not_for_every_use_are_named(mine, lab, capsys):
    """Whoever pushes or pulls is told whose terms forbid something."""
    lay(mine, clips("a"), licence="CC BY-NC-SA 4.0, no commercial use")
    assert main(["push", str(lab)]) == 0
    assert "not for every use: toy (CC BY-NC-SA 4.0, no commercial use)" in capsys.readouterr().out


def test_what_an_entry_builds_on_comes_along(mine, lab):
    """Asking for features brings the boxes that they were cut by, and what else lies beside them."""
    lay(lab, clips("a"))
    lay(lab, clips("a"), key=Key("stranger", 1, "clip"))
    after = lay(lab, clips("a"), key=Key("faces", 1, "clip", builds_on=(TOY.name,)))
    (after / "text_tower.safetensors").write_bytes(b"weights")
    (after / "notes.exe").write_bytes(b"no")
    assert main(["pull", str(lab), "toys", "--encoders", "faces"]) == 0
    assert sorted(path.name.partition("-")[0] for path in (mine / "toys").iterdir()) == ["faces", "toy"]
    assert (mine / "toys" / after.name / "text_tower.safetensors").read_bytes() == b"weights"
    assert not (mine / "toys" / after.name / "notes.exe").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "{lab}", "meld"], "has nothing of meld; it has: toys"),
        (["pull", "{lab}", "toys", "--encoders", "mfcc"], "has no mfcc of toys; it has: toy"),
        (["pull", "{lab}"], "say which corpus to pull"),
        (["pull", "{lab}/nowhere", "toys"], "has nothing of toys; it has: nothing"),
        (["push", "{lab}", "meld"], "features has nothing of meld; it has: nothing"),
        (["push", "s3://lab/x", "toys", "--renew"], "--renew replaces what is there, and s3://lab/x is no folder"),
        (["push", "ftp://host/x"], "ftp"),
        (["pull", "", "toys"], "expected a folder, or an address"),
    ],
)
@pytest.mark.usefixtures("mine")
def test_a_wrong_question_is_answered(lab, capsys, arguments, message):
    """What is not there, or nowhere, is a message on stderr that says what there is."""
    lay(lab, clips("a"))
    assert main([each.replace("{lab}", str(lab)) for each in arguments]) == 2
    assert message in capsys.readouterr().err


def test_every_root_is_pushed_but_the_target_itself(mine, lab, monkeypatch):
    """Of a search path, all caches are pushed, and the shared one is not pushed onto itself."""
    other = mine.parent / "other"
    lay(mine, clips("a"))
    lay(mine, clips("z"), corpus="mine alone")
    lay(other, clips("b"))
    monkeypatch.setenv("FEATURES_ROOT", os.pathsep.join(map(str, (mine, other, lab))))
    assert main(["push", str(lab), "toys"]) == 0
    monkeypatch.setenv("FEATURES_ROOT", str(lab))
    assert held(lab) == {"a": "1", "b": "1"}


NAMES = [
    "../x",
    "a/../../x",
    "/etc/x",
    "toys/../x-00000000",
    "",
    "toys",
    ".x/toy-00000000",
    "toys/toy",
    "toys/toy-0000000g",
]
FILES = [
    "../part-0123456789abcdef.h5",
    "/etc/passwd",
    "part-0.h5",
    ".x.json",
    "x.pkl",
    "x.py",
    "a/b.json",
    "x.json\n",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_entry_is_refused(name):
    """A list of entries from elsewhere never names a folder outside of the cache."""
    with pytest.raises(CacheError, match="push to that place again"):
        catalogue.parse_entries(json.dumps({"entries": [name]}), "there")


@pytest.mark.parametrize("name", FILES)
def test_a_strange_file_is_refused(name):
    """A catalogue from elsewhere never names a file outside of its entry, nor one that could be run."""
    with pytest.raises(CacheError, match="line 1"):
        catalogue.parse(json.dumps({"file": name, "size": 1}), "there")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"file": "card.md"}',
        '{"file": "card.md", "size": -1}',
        '{"file": "card.md", "size": true}',
        '{"file": "card.md", "size": "1"}',
        '{"file": 1, "size": 1}',
        '{"file": "part-0123456789abcdef.h5", "size": 1, "clips": 1, "sources": 1, "windows": 1}',
        '{"file": "part-0123456789abcdef.h5", "size": 1, "clips": ["a"], "sources": [], "windows": 1}',
        '{"file": "part-0123456789abcdef.h5", "size": 1, "clips": [["a"]], "sources": ["a"], "windows": 1}',
        "[" * 100_000,
    ],
)
def test_a_catalogue_that_is_none(text):
    """Whatever stands in the place of a catalogue is refused with its line."""
    with pytest.raises(CacheError, match="line 1"):
        catalogue.parse(text, "there")
    with pytest.raises(CacheError, match="there"):
        catalogue.parse_entries(text, "there")


def harmed(data, chance):
    """Do one harm to some bytes: another bit, a piece less, a piece twice, junk in between, or an end too early."""
    at, length = chance.randrange(len(data)), chance.randrange(1, 9)
    kinds = (
        lambda: data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :],
        lambda: data[:at] + data[at + length :],
        lambda: data[: at + length] + data[at:],
        lambda: data[:at] + chance.randbytes(length) + data[at:],
        lambda: data[:at],
        lambda: data[:at] + b"\xff" * length + data[at + length :],
    )
    return chance.choice(kinds)()


@pytest.mark.parametrize("seed", range(120))
def test_a_cache_that_was_tampered_with(mine, lab, seed, capsys):
    """Whatever is done to a file of a shared cache, a pull ends with a word or with exactly what was shared."""
    chance = random.Random(seed)
    folder = lay(lab, clips("a", "b"), clips("c"))
    about.write(folder, {"encoder_licence": "MIT", "command": "make features"})
    record(folder, [Failure("z", "1", "decode", "broken")])
    path = chance.choice(sorted(folder.iterdir()))
    path.write_bytes(harmed(path.read_bytes(), chance))
    code = main(["pull", str(lab), "toys"])
    assert code in (0, 2)
    assert "Traceback" not in "".join(capsys.readouterr())
    if code == 0 or (mine / "toys").is_dir():
        assert held(mine).items() <= {"a": "1", "b": "1", "c": "1"}.items()
        assert main(["verify"]) == 0
        assert main(["show"]) == 0
    if code == 0 and path.name != "index.jsonl":
        assert len(held(mine)) == 3


def test_a_catalogue_that_promises_too_much(mine, lab):
    """Clips that a catalogue promises and a part does not hold are not there, and nothing else is harmed by it."""
    folder = lay(lab, clips("a", "b"))
    lay(mine, clips("x"))
    (part,) = folder.glob("part-*")
    lack = share.Lack(f"toys/{TOY.name}", TOY, (share.Item(part.name, part.stat().st_size, frozenset("q")),), 1, {}, {})
    transfer.pull(Folder(lab), Folder(mine), [lack])
    assert held(mine) == {"x": "1"}
