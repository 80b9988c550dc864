"""What has changed since entries were made: named field by field and clip by clip, with the line that refreshes it."""

import json
import os
import shlex
from dataclasses import replace

import media_kit as kit
import numpy as np
import pytest

import manifests
from extract import __main__ as cli
from extract import wanted
from extract.encoders import silero, toy_audio, toy_text, xlmr
from extract.plan import plan, wants
from extract.recalled import request, today
from extract.slices import Job
from extract.tally import Meter
from extract.weights import Weights
from extract.work import Worker
from features import Key, Windows, Writer, about
from features.entries import create
from features.roots import root

IMPORTED = Key("openface", 1, "clip", settings={"origin": "imported", "format": "csd", "feature": "au"})
WAV = kit.Sound("pcm_s16le", "s16", 8_000)
XLMR = replace(
    xlmr.SPEC.key("xlmr", wanted.Grid.parse("clip"), weights="random:0"),
    weights=xlmr.WEIGHTS.sha256,
    settings={**xlmr.SPEC.settings, "tokenizer": "ab" * 32},
)
"""What a machine makes that has the tokenizer; here nobody knows its digest."""


@pytest.fixture
def corpus(roots):
    """Make a corpus of two sounds with words and of words alone."""
    media = roots / "media"
    media.mkdir()
    for number, name in enumerate("ab"):
        kit.write(media / f"{name}.wav", sound=kit.tone(200 + 100 * number, 0.5, 8_000), how=WAV)
    clips = [kit.clip(f"{name}.wav", id=name, text=f"It is {name}.", language="en") for name in "ab"]
    made = kit.manifest(media, [*clips, kit.clip(id="c", text="Words alone.", language="en")])
    manifests.write(made)
    return made


def extract(corpus, *names):
    """Fill entries in this process."""
    todo = plan(corpus, wants(corpus.corpus, names))
    worker = Worker(Job(corpus.root, tuple(entry.want for entry in todo.entries)))
    for part in todo.slices:
        worker.work(part, Meter(time_limit=30))


def made(name, precision="exact", weights="", language="en", corpus="toys"):
    """Leave entries of one clip each as if they had been extracted, those that one builds on included."""
    chain = wants(corpus, [name], precision, weights, language)
    for want in chain:
        with Writer(want.folder, want.key, {}, "") as writer:
            shape = want.spec.width
            writer.add("a", "of a", Windows.join([np.ones((1, *shape), want.key.dtype)], [(0, 1)], [1]))
    return chain


def stale(capsys, *arguments):
    """Run the command; return its exit code, and what it says of each entry."""
    code = cli.main(["stale", *arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    said, entry = {}, ""
    for row in out.splitlines()[1:]:
        if row.startswith("  "):
            said[entry] += f"\n{row.strip()}"
        else:
            entry = row.split()[1] if row.startswith("toys  ") else ""
            said[entry] = said.get(entry, "") + row
    return code, said


def of(said, encoder):
    """Return what is said of the one entry of an encoder."""
    (found,) = (text for entry, text in said.items() if entry.startswith(f"{encoder}-"))
    return found


def with_clip(corpus, name, **columns):
    """Write the manifest with one clip changed."""
    clips = tuple(replace(clip, **columns) if clip.id == name else clip for clip in corpus.clips)
    manifests.write(replace(corpus, clips=clips))
    return replace(corpus, clips=clips)


def test_what_was_just_made_is_fresh(capsys, corpus):
    """Right after a run nothing is stale, whoever asks, and no line to refresh anything is given."""
    extract(corpus, "toy_audio:clip", "toy_text")
    for arguments in ((), ("toys",), ("toys", "--deep")):
        code, said = stale(capsys, *arguments)
        assert (code, len(said)) == (0, 2)
        assert of(said, "toy_audio").endswith("  2  fresh")
        assert of(said, "toy_text").endswith("  3  fresh")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "version 1 then, 2 now"),
        ({"grids": ("clip", "windows(3,2,2)")}, "grid windows(3,2,2) then, clip now"),
        ({"dtype": "float32"}, "dtype float16 then, float32 now"),
        ({"settings": {"hop_ms": 10}}, "settings.hop_ms nothing then, 10 now"),
        ({"weights": Weights("x/y", ("f",), "12" * 32)}, "weights nothing then, 121212121212… now"),
    ],
)
def test_a_changed_encoder_is_named_field_by_field(capsys, monkeypatch, corpus, changes, says):
    """Version, default grid, type, settings and weights are told then and now, and other encoders stay fresh."""
    extract(corpus, "toy_audio", "toy_text")
    monkeypatch.setattr(toy_audio, "SPEC", replace(toy_audio.SPEC, **changes))
    code, said = stale(capsys, "toys")
    assert code == 1
    assert of(said, "toy_audio").splitlines()[1:] == [says, "refresh: make features CORPUS=toys ENCODERS=toy_audio"]
    assert of(said, "toy_text").endswith("fresh")


def test_the_line_refreshes(capsys, monkeypatch, corpus):
    """What the line asks for is what is missing: carried out, an entry of today's making stands beside the old one."""
    extract(corpus, "toy_audio:clip")
    monkeypatch.setattr(toy_audio, "SPEC", replace(toy_audio.SPEC, version=2))
    line = of(stale(capsys)[1], "toy_audio").splitlines()[-1]
    said = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
    assert cli.main(["run", said["CORPUS"], "--encoders", said["ENCODERS"]]) == 0
    capsys.readouterr()
    code, said = stale(capsys)
    assert sorted(text.splitlines()[0].split()[-1] for text in said.values()) == ["fresh", "stale"]
    assert code == 1


def test_a_mended_text_makes_its_encoders_stale(capsys, corpus):
    """A changed text is named with its clip; sound stays fresh, and once extracted again, so is the text."""
    extract(corpus, "toy_audio", "toy_text")
    mended = with_clip(corpus, "a", text="Mended.")
    code, said = stale(capsys, "toys")
    assert code == 1
    assert "\ntext has changed: 1 clip (a)\n" in of(said, "toy_text")
    assert of(said, "toy_audio").endswith("fresh")
    extract(mended, "toy_text")
    assert stale(capsys, "toys")[0] == 0


def test_changed_media_make_their_encoders_stale(capsys, corpus):
    """A file of another content is found by its size or time, and, where both are as before, by looking deeper."""
    extract(corpus, "toy_audio", "toy_text")
    sound = corpus.root / "a.wav"
    before = sound.stat()
    sound.write_bytes(sound.read_bytes()[:-2] + b"!!")
    os.utime(sound, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stale(capsys, "toys")[0] == 0
    code, said = stale(capsys, "toys", "--deep")
    assert code == 1
    assert "\naudio has changed: 1 clip (a)\n" in of(said, "toy_audio")
    assert of(said, "toy_text").endswith("fresh")


def test_what_changes_no_feature_is_no_fault(capsys, corpus):
    """Clips that went, that lost their words or that are still to come are counted, and nothing is stale for them."""
    extract(corpus, "toy_audio", "toy_text")
    a, b, c = corpus.clips
    manifests.write(replace(corpus, clips=(replace(b, text=None), c, replace(a, id="new"))))
    code, said = stale(capsys, "toys")
    assert code == 0
    assert of(said, "toy_text").splitlines()[1:] == [
        "no text in the manifest any more: 1 clip (b)",
        "not extracted yet: 1 clip (new)",
        "not in the manifest any more: 1 clip (a)",
    ]


def test_media_that_are_not_here_are_no_change(capsys, corpus):
    """One lost file is told of its clip, a lost disk of the corpus, whose texts are compared all the same."""
    extract(corpus, "toy_audio", "toy_text")
    (corpus.root / "a.wav").unlink()
    code, said = stale(capsys, "toys")
    assert (code, "cannot tell\ncannot tell: audio is not there: 1 clip (a)" in of(said, "toy_audio")) == (0, True)
    with_clip(corpus, "c", text="Others.")
    corpus.root.rename(corpus.root.with_name("elsewhere"))
    code, said = stale(capsys, "toys")
    assert code == 1
    assert "text has changed: 1 clip (c)" in of(said, "toy_text")
    assert said[""] == f"toys: only texts could be compared: the media are not at {corpus.root}"


@pytest.mark.parametrize("damage", [None, "broken"])
def test_without_a_manifest_keys_alone_are_compared(capsys, monkeypatch, corpus, damage):
    """No manifest, or none that can be read, is said, and a changed encoder is found all the same."""
    extract(corpus, "toy_audio", "toy_text")
    path = manifests.path_of("toys")
    path.unlink() if damage is None else path.write_text(damage)
    monkeypatch.setattr(toy_text, "SPEC", replace(toy_text.SPEC, version=2))
    code, said = stale(capsys, "toys")
    assert code == 1
    assert said[""].startswith("toys: media and texts could not be compared")
    assert of(said, "toy_audio").endswith("fresh")
    assert "version 1 then, 2 now" in of(said, "toy_text")


def test_an_imported_entry_is_never_stale_by_its_encoder(capsys, corpus, fill):
    """What another tool made is no encoder's of ours; that a clip of it left the manifest is told."""
    assert corpus
    fill(IMPORTED, a="1", gone="2")
    code, said = stale(capsys, "toys")
    assert code == 0
    assert of(said, "openface").endswith("imported\nnot in the manifest any more: 1 clip (gone)")


def test_an_encoder_that_is_gone(capsys, corpus, fill):
    """Without its file nothing can make an entry again, which is said instead of a line."""
    assert corpus
    fill(Key("gone", 1, "clip"), a="1")
    code, said = stale(capsys, "toys")
    assert code == 1
    assert of(said, "gone").endswith("stale\nthere is no encoder 'gone' any more, so nothing can make it again")


def test_what_nobody_can_ask_for_any_more(capsys, corpus, monkeypatch):
    """A grid that an encoder no longer has is told with what it has now, and no line pretends otherwise."""
    extract(corpus, "toy_audio:clip")
    monkeypatch.setattr(toy_audio, "SPEC", replace(toy_audio.SPEC, grids=("windows(3,2,2)",)))
    code, said = stale(capsys, "toys")
    assert code == 1
    assert "asked for as 'toy_audio:clip', which nobody can any more: toy_audio: unknown grid" in of(said, "toy_audio")
    assert "refresh" not in of(said, "toy_audio")


@pytest.mark.usefixtures("roots")
def test_what_builds_on_a_stale_entry_is_stale(capsys, monkeypatch):
    """A changed detector of speech makes stale what hears speech alone; one that is not here is only said."""
    leader, _ = made("mfcc:clip+vad=cut+speech=lefsa")
    assert stale(capsys)[0] == 0
    monkeypatch.setattr(silero, "SPEC", replace(silero.SPEC, version=7))
    code, said = stale(capsys)
    assert code == 1
    assert f"\n{leader.name}, which it builds on, is stale\n" in of(said, "mfcc")
    assert f"builds_on {leader.name} then, silero-" in of(said, "mfcc")
    monkeypatch.undo()
    monkeypatch.setenv("FEATURES_ROOT", str(leader.folder.parents[1]))
    leader.folder.rename(leader.folder.parents[2] / "away")
    code, said = stale(capsys)
    assert (code, of(said, "mfcc").splitlines()[1:]) == (0, [f"{leader.name}, which it builds on, is not here"])


@pytest.mark.usefixtures("roots")
def test_weights_that_are_not_here(capsys, monkeypatch, fill):
    """Where nobody knows today's digest the rest of the key is compared, and weights are not said to have changed."""
    fill(XLMR, a="1")
    code, said = stale(capsys)
    assert code == 0
    told = of(said, "xlmr").splitlines()
    assert told[0].endswith("cannot tell")
    assert told[1].startswith("cannot tell: weights not here: expected tokenizer.json")
    assert len(told) == 2
    monkeypatch.setattr(xlmr, "SPEC", replace(xlmr.SPEC, version=2))
    code, said = stale(capsys)
    assert (code, "stale\nversion 1 then, 2 now\ncannot tell: " in of(said, "xlmr")) == (1, True)


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize(
    ("name", "precision", "weights", "line"),
    [
        ("xlmr", "exact", "random:3", "ENCODERS=xlmr:clip WEIGHTS=random:3"),
        ("xlmr", "fast", "random:3", "ENCODERS=xlmr:clip PRECISION=fast WEIGHTS=random:3"),
    ],
)
def test_the_line_says_what_else_was_chosen(capsys, monkeypatch, name, precision, weights, line):
    """Random weights and the fast mode of an entry are no change, and stand in the line that refreshes it."""
    made(name, precision, weights)
    assert stale(capsys)[0] == 0
    monkeypatch.setattr(xlmr, "SPEC", replace(xlmr.SPEC, version=2))
    code, said = stale(capsys)
    assert (code, of(said, "xlmr").endswith(f"refresh: make features CORPUS=toys {line}")) == (1, True)


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize(
    "name",
    [
        "toy_audio:clip",
        "silero+preset=lefsa",
        "silero+denoise=spleeter",
        "mfcc+denoise=demucs",
        "mfcc:clip+vad=cut+speech=lefsa",
        "mtcnn:windows(0.2,0.2,0)@fps=5+faces=mfer",
        "face_hog+faces=lefsa+boxes=dlib",
        "face_hog+faces=mfer+as=authors",
        "emoaffectnet",
        "whisper_base+language=ru",
        "toy_text+words=whisper_base+language=ru",
    ],
)
@pytest.mark.parametrize("left", [True, False])
def test_how_an_entry_was_asked_for_is_recalled(name, left):
    """With what was left beside it, and without, by its key alone, an entry is asked for so that its key comes out."""
    chain = wants("toys", [name], weights="random:0")
    for want in chain:
        create(want.folder, want.key)
    about.write(chain[-1].folder, {"asked": name} if left else {})
    found = request(chain[-1].folder, chain[-1].key)
    assert today("toys", chain[-1].key, found).key == chain[-1].key
    assert found.asked == name or not left


@pytest.mark.usefixtures("roots")
def test_a_detector_that_was_set_up_since_is_no_change(monkeypatch):
    """Where a preset took the detector that was there, a better one that has come makes nothing stale."""
    monkeypatch.setattr(wanted, "find_spec", lambda _: None)
    before = wants("toys", ["emoaffectnet"])[-1]
    monkeypatch.undo()
    monkeypatch.setattr(wanted, "find_spec", lambda _: object())
    after = wants("toys", ["emoaffectnet"])[-1]
    assert before.key != after.key
    for want in (before, after):
        found = replace(request(want.folder, want.key), asked="emoaffectnet")
        assert today("toys", want.key, found).key == want.key


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize("asked", ["toy_text", "toy_audio:clip", "toy_audio+no", 7, ["toy_audio"], None])
def test_a_word_about_another_entry_is_not_believed(capsys, corpus, asked):
    """Whatever stands in `about.json`, an entry that nothing changed is fresh."""
    extract(corpus, "toy_audio")
    (want,) = wants("toys", ["toy_audio"])
    (want.folder / "about.json").write_text(json.dumps({"asked": asked}))
    code, said = stale(capsys, "toys")
    assert (code, of(said, "toy_audio").endswith("fresh")) == (0, True)


def test_a_hostile_cache_makes_no_command(capsys, fill, roots):
    """A folder named like a command is part of none, a key moves no terminal, and what lies outside is not asked."""
    fill(replace(wants("toys", ["toy_text"])[-1].key, version=9), corpus="x;touch y", a="1")
    outside = Key("toy_text", 1, "clip", weights="random:5")
    create(roots / "elsewhere" / outside.name, outside)
    led = (f"../../elsewhere/{outside.name}",)
    fill(Key("toy_text", 1, "clip", settings={"\x1b[2J": "\x1b[1m"}, builds_on=led), a="1")
    assert cli.main(["stale"]) == 1
    out = capsys.readouterr().out
    assert "version 9 then, 1 now" in out
    assert [line for line in out.splitlines() if "make" in line and "CORPUS=toys" not in line] == []
    assert "settings.?[2J ?[1m then, nothing now" in out
    assert "\x1b" not in out
    assert "random:5" not in out


@pytest.mark.usefixtures("corpus")
def test_a_damaged_part_is_told_and_stops_no_other(capsys, corpus):
    """An entry that cannot be read is named with the cure, the others are compared, and the exit code is 2."""
    extract(corpus, "toy_audio", "toy_text")
    (want,) = wants("toys", ["toy_text"])
    for path in want.folder.glob("part-*.h5"):
        path.write_bytes(b"broken")
    code, said = stale(capsys, "toys")
    assert code == 2
    assert "cannot be read\n" in of(said, "toy_text")
    assert "run the same make features again" in of(said, "toy_text")
    assert of(said, "toy_audio").endswith("fresh")


@pytest.mark.usefixtures("roots")
@pytest.mark.parametrize(("arguments", "says"), [((), "nothing cached there yet"), (("toyz",), "Did you mean 'toys'?")])
def test_nothing_to_compare(capsys, fill, arguments, says):
    """No cache, or no such corpus in it, is a word and exit code 2."""
    if arguments:
        fill(a="1")
    code = cli.main(["stale", *arguments])
    assert (code, says in capsys.readouterr().err) == (2, True)
    assert arguments or not root().exists()
