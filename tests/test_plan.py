"""What is left to do: decided from the manifest, the cache and what the encoders really read; nothing is changed."""

import json
import os
import pickle
import shutil
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import media_kit as kit
import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from extract import window
from extract.plan import plan, wants, windows_in
from extract.slices import PART_CLIPS, PART_MEDIA_S, UNKNOWN_LENGTH_S, slice_up
from extract.sources import Sources
from features import CacheError, Failure, Grid, Windows, Writer
from features.entries import create, folder_of
from features.failures import record
from features.index import FILE
from features.roots import root
from manifests import Audio, Series, Video

TOYS = ("toy_audio", "toy_frames", "toy_text")
ALL = {"a", "b", "long0", "long1", "mute", "wav", "flac", "text0", "text1"}
HAS = {
    "toy_audio": ALL - {"mute", "text0", "text1"},
    "toy_frames": {"a", "b", "long0", "long1", "mute"},
    "toy_text": ALL - {"mute", "wav"},
}


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Make the small corpus once."""
    return kit.small_corpus(tmp_path_factory.mktemp("small") / "media")


@pytest.fixture
def corpus(media, roots):
    """Copy the small corpus to where a test may change it."""
    shutil.copytree(media.root, roots / "media")
    return replace(media, root=roots / "media")


def carry_out(left):
    """Write what a plan lacks, as a run would: one part for each share."""
    for part in left.slices:
        for share in part.shares:
            values = np.ones((2, *share.want.spec.width), np.float32)
            with Writer(share.want.folder, share.want.key, {}, "") as writer:
                for clip, source in share.sources.items():
                    writer.add(clip, source, Windows.join([values], [(0, 3)], [2]))


def extracted(corpus, names=TOYS):
    """Plan and carry out; return the plan that is left."""
    carry_out(plan(corpus, wants("toys", names)))
    return plan(corpus, wants("toys", names))


def failed(corpus, clip, encoder, **columns):
    """Record that a clip failed for an encoder; return that entry."""
    (want,) = wants("toys", [encoder])
    (entry,) = plan(corpus, [want]).entries
    create(want.folder, want.key)
    record(want.folder, [Failure(clip, entry.sources[clip], "decode", "broken", **columns)])
    return want


def todo(left):
    """Return what each encoder has to compute, those without anything left out."""
    return {entry.want.encoder: entry.todo for entry in left.entries if entry.todo}


def with_clip(corpus, name, **columns):
    """Return the corpus with one clip changed."""
    return replace(corpus, clips=tuple(replace(clip, **columns) if clip.id == name else clip for clip in corpus.clips))


def test_a_fresh_plan_wants_every_clip_that_has_the_modality(corpus):
    """A clip without sound, picture or words is counted as absent there, and is a normal clip elsewhere."""
    left = plan(corpus, wants("toys", TOYS))
    assert todo(left) == HAS
    assert {entry.want.encoder: entry.absent for entry in left.entries} == {n: 9 - len(HAS[n]) for n in TOYS}
    assert left.clips_todo == 9


def test_planning_changes_nothing(corpus):
    """Neither the cache nor the corpus is touched, and planning twice gives the same plan."""
    before = kit.snapshot(corpus.root)
    assert plan(corpus, wants("toys", TOYS)) == plan(corpus, wants("toys", TOYS))
    assert kit.snapshot(corpus.root) == before
    assert not root().exists()


def test_after_a_run_nothing_is_left(corpus):
    """Plan, run, plan: the second plan is empty, and so is its list of slices."""
    left = extracted(corpus)
    assert not todo(left)
    assert (left.slices, left.clips_todo) == ((), 0)
    assert {entry.want.encoder: entry.done for entry in left.entries} == HAS


def test_only_a_missing_encoder_is_left(corpus):
    """Asking for one more encoder leaves what is there alone."""
    extracted(corpus, TOYS[:2])
    assert todo(plan(corpus, wants("toys", TOYS))) == {"toy_text": HAS["toy_text"]}


def test_only_missing_clips_are_left(corpus):
    """Clips that were left out by a choice are what a later plan without it wants."""
    carry_out(plan(corpus, wants("toys", TOYS), lambda clip: clip.split == "train"))
    late = {"b", "wav", "text1"}
    assert todo(plan(corpus, wants("toys", TOYS))) == {name: HAS[name] & late for name in TOYS}


MOVED = {"path": "long.mp4", "start_s": 0.0, "end_s": 1.4}


@pytest.mark.parametrize(
    ("name", "columns", "stale"),
    [
        ("a", {"text": "It is not so."}, {"toy_text"}),
        ("long0", {"audio": kit.clip(MOVED).audio}, {"toy_audio"}),
        ("long0", {"video": kit.clip(None, MOVED).video}, {"toy_frames"}),
        ("b", {"audio": kit.clip({"path": "b.mp4", "channel": "left"}).audio}, {"toy_audio"}),
        ("b", {"video": kit.clip(None, {"path": "b.mp4", "side": "left"}).video}, {"toy_frames"}),
        ("b", {"split": "test", "labels": {}, "speaker_id": "x"}, set()),
    ],
    ids="words sound picture channel side label".split(),
)
def test_only_what_really_changed_is_stale(corpus, name, columns, stale):
    """A mended transcript makes the text of its clip stale, a moved time its sound or picture, a label nothing."""
    extracted(corpus)
    left = plan(with_clip(corpus, name, **columns), wants("toys", TOYS))
    assert todo(left) == {encoder: {name} for encoder in stale}
    assert {entry.want.encoder for entry in left.entries if entry.stale == {name}} == stale


def test_media_written_anew_make_their_clips_stale_and_no_other(corpus):
    """Both segments of a film that was encoded again are wanted again, and nothing else; their words stay."""
    extracted(corpus)
    kit.write(corpus.root / "long.mp4", [kit.picture(i) for i in range(100)], kit.tone(99, 4))
    both = {"long0", "long1"}
    assert todo(plan(corpus, wants("toys", TOYS))) == {"toy_audio": both, "toy_frames": both}


def test_a_touched_file_is_hashed_again_and_not_computed_again(corpus, roots):
    """Media are known by content: a new time of change costs one look at that file, and nothing is computed again."""
    extracted(corpus)
    (note,) = (roots / "runs" / "media").glob("toys-*.json")
    before = json.loads(note.read_text())
    os.utime(corpus.root / "a.mp4", (1, 1))
    assert not todo(plan(corpus, wants("toys", TOYS)))
    after = json.loads(note.read_text())
    assert {path for path in after if after[path] != before[path]} == {"a.mp4"}
    assert (after["a.mp4"][1], after["a.mp4"][2]) == (10**9, before["a.mp4"][2])


def test_only_a_deep_plan_looks_behind_size_and_time(corpus):
    """A file of other bytes, the same size and the same time is found when every file is hashed, and not otherwise."""
    extracted(corpus)
    path = corpus.root / "s.wav"
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not todo(plan(corpus, wants("toys", TOYS)))
    assert todo(plan(corpus, wants("toys", TOYS), deep=True)) == {"toy_audio": {"wav"}}
    assert todo(plan(corpus, wants("toys", TOYS))) == {"toy_audio": {"wav"}}


TRACKS = [
    (Audio("a.mp4"), "audio", "8dc2c724d8a22340768e12b5a3403890"),
    (Audio("é.wav", 0.5, 2, "left", -0.04), "audio", "1b86eedb38b61e88c107f6cafd4b2ecd"),
    (Audio("gone.wav"), "audio", "f6c8611005cb63d2c343da674fb7da22"),
    (Video("a.mp4"), "video", "3ef4b70b8939f160f032ec148a5af29d"),
    (Video("a.mp4", 1, 1.5, "right", 0.1), "video", "b459908d7e9816a02e524c3a83fbac70"),
    (Series(("a.mp4", "é.wav"), 0.5, time_column=1), "mocap", "a58b038be2fed06d521765942145efb4"),
]


@pytest.mark.parametrize(("track", "medium", "digest"), TRACKS)
def test_a_digest_of_format_1_never_drifts(roots, track, medium, digest):
    """What an encoder read has the digest that caches of the first day hold, so that none of them becomes stale."""
    (roots / "a.mp4").write_bytes(b"not really a film")
    (roots / "é.wav").touch()
    lies = {"series": {medium: track}} if isinstance(track, Series) else {medium: asdict(track)}
    clip = kit.clip(id="c", text=" Ça va?\n", **lies)
    sources = Sources(kit.manifest(roots, [clip]))
    assert sources.of([clip], medium) == {"c": digest}
    assert sources.of([clip], "text") == {"c": "3bedda023549f6566c024710e00ca466"}


def test_what_cannot_be_read_is_wanted_all_the_same(roots):
    """A pipe, a folder and a missing file stop no plan and are waited for by none: the decoder will name them."""
    os.mkfifo(roots / "pipe.mp4")
    (roots / "folder.mp4").mkdir()
    clips = [kit.clip(f"{name}.mp4", id=name) for name in ("pipe", "folder", "gone")]
    left = plan(kit.manifest(roots, clips), wants("toys", ["toy_audio"]))
    assert todo(left) == {"toy_audio": {"pipe", "folder", "gone"}}
    assert not list((roots / "runs").rglob("*.json"))


def test_many_files_are_hashed_each_to_its_own_digest(roots):
    """Threads that hash files side by side mix nothing up."""
    data = {f"{i}.wav": b"%d" % i * (i % 7) * 50_000 for i in range(150)}
    for name, content in data.items():
        (roots / name).write_bytes(content)
    clips = [kit.clip(name, id=name) for name in data]
    plan(kit.manifest(roots, clips), wants("toys", ["toy_audio"]))
    (note,) = (roots / "runs" / "media").glob("toys-*.json")
    noted = {name: entry[2] for name, entry in json.loads(note.read_text()).items()}
    assert noted == {name: xxhash.xxh3_128_hexdigest(content) for name, content in data.items()}


def test_a_failed_clip_is_left_out_until_it_is_retried(corpus):
    """A quarantined clip is not wanted by the entry that failed; others want it, and --retry takes it up again."""
    failed(corpus, "b", "toy_audio", attempts=2)
    left = plan(corpus, wants("toys", TOYS))
    assert todo(left) == HAS | {"toy_audio": HAS["toy_audio"] - {"b"}}
    assert [entry.quarantined for entry in left.entries] == [{"b"}, set(), set()]
    assert todo(plan(corpus, wants("toys", TOYS), retry=True)) == HAS


def test_a_retried_clip_stands_alone(corpus):
    """What failed before is worked on last and in a slice of its own, with the count of its failures."""
    failed(corpus, "b", "toy_audio", attempts=2)
    *others, alone = plan(corpus, wants("toys", TOYS), retry=True).slices
    assert [clip.id for clip in alone.clips] == ["b"]
    assert [share.want.encoder for share in alone.shares] == list(TOYS)
    assert [dict(share.attempts) for share in alone.shares] == [{"b": 2}, {}, {}]
    assert {clip.id for part in others for clip in part.clips} == ALL - {"b"}
    assert not any(share.attempts for part in others for share in part.shares)


def test_a_mended_clip_is_a_clip_like_any_other(corpus):
    """When its source has changed, an old failure neither keeps a clip out nor is counted or set apart."""
    failed(corpus, "b", "toy_text", attempts=2)
    left = plan(with_clip(corpus, "b", text="It is."), wants("toys", ["toy_text"]))
    assert todo(left) == {"toy_text": HAS["toy_text"]}
    assert len(left.slices) == 1
    assert left.slices[0].shares[0].attempts == {}


def test_a_failure_that_was_made_good_is_none(corpus):
    """A clip that failed once and is in the cache is done, whether retried or not."""
    extracted(corpus)
    failed(corpus, "b", "toy_text")
    for retry in (False, True):
        (entry,) = plan(corpus, wants("toys", ["toy_text"]), retry=retry).entries
        assert (entry.done, entry.todo, entry.quarantined) == (HAS["toy_text"], set(), set())


def test_a_slice_says_all_that_its_work_needs(corpus):
    """Each share names the clips that its entry lacks, with their digests, and which of them have an old row."""
    extracted(corpus, ["toy_text"])
    changed = with_clip(corpus, "b", text="It is.")
    (part,) = plan(changed, wants("toys", TOYS)).slices
    assert [clip.id for clip in part.clips] == [clip.id for clip in changed.clips if not clip.id.startswith("text")]
    assert {share.want.encoder: set(share.sources) for share in part.shares} == HAS | {"toy_text": {"b"}}
    assert [set(share.stale) for share in part.shares] == [set(), set(), {"b"}]
    assert part.shares[2].sources["b"] == xxhash.xxh3_128_hexdigest(b"It is.")


def test_a_slice_is_small_enough_to_travel(roots):
    """However large the corpus, what is sent to a worker holds its own clips and no others."""
    tracks = [{"path": f"{i}.mp4", "end_s": 2.5} for i in range(500)]
    clips = [kit.clip(track, track, id=f"dia{i}_utt0", text="x") for i, track in enumerate(tracks)]
    left = plan(kit.manifest(roots, clips), wants("toys", [*TOYS, "face_hog"]))
    assert len(left.slices) == -(-500 // PART_CLIPS)
    for part in left.slices:
        sent = pickle.dumps(part)
        assert len(sent) < 40_000
        assert b"dia499_utt0" not in sent or part is left.slices[-1]
        assert pickle.loads(sent) == part  # noqa: S301 - made two lines above


def test_the_length_of_what_is_to_be_read(corpus):
    """Media count once however many encoders read them, words not at all; what the manifest leaves open is guessed."""
    left = plan(corpus, wants("toys", TOYS))
    lengths = {"long0": 1.5, "long1": 2.0} | dict.fromkeys(("a", "b", "mute", "wav", "flac"), UNKNOWN_LENGTH_S)
    assert left.media_s == sum(lengths.values()) == sum(part.media_s for part in left.slices)
    assert plan(corpus, wants("toys", ["toy_text"])).media_s == 0
    assert plan(corpus, wants("toys", ["toy_frames"]), lambda clip: clip.id == "long1").media_s == 2.0


def test_the_windows_that_are_to_be_computed(corpus):
    """As far as the manifest knows lengths they are counted, and where it does not it says of how many clips."""
    counted = {
        entry.want.encoder: (entry.windows, entry.unknown) for entry in plan(corpus, wants("toys", TOYS)).entries
    }
    assert counted == {"toy_audio": (2, 4), "toy_frames": (2, 3), "toy_text": (7, 0)}
    assert {(entry.windows, entry.unknown) for entry in extracted(corpus).entries} == {(0, 0)}


tenths = st.integers(1, 60).map(lambda number: Fraction(number, 10))


@given(st.integers(0, 30_000), tenths, tenths, st.integers(0, 60))
def test_windows_are_counted_as_they_are_cut(length_ms, window_s, step_s, tail):
    """Counting gives what cutting gives, on every grid and for every length."""
    grid = Grid("windows", window_s, step_s, min(Fraction(tail, 10), window_s))
    length_s = Fraction(length_ms, 1000)
    assert windows_in(float(length_s), grid) == len(window.spans(length_s, grid))
    assert windows_in(float(length_s), Grid("clip")) == len(window.spans(length_s, Grid("clip")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Make a corpus of 2,000 clips and fill its cache; return the manifest, and the folder of all roots."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "media").mkdir()
    for i in range(2000):
        (folder / "media" / f"{i}.mp4").write_bytes(b"%d" % i)
    clips = [kit.clip(f"{i}.mp4", f"{i}.mp4", id=f"c{i}", text=f"{i}") for i in range(2000)]
    made = kit.manifest(folder / "media", clips)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEATURES_ROOT", str(folder / "features"))
        patch.setenv("RUNS_ROOT", str(folder / "runs"))
        carry_out(plan(made, wants("toys", TOYS[1:])))
    return made, folder


@pytest.fixture
def large(finished, tmp_path, monkeypatch):
    """Return that manifest, with a copy of its cache for the roots."""
    made, folder = finished
    for name in ("features", "runs"):
        shutil.copytree(folder / name, tmp_path / name)
        monkeypatch.setenv(f"{name.upper()}_ROOT", str(tmp_path / name))
    return made


def entry_of(corpus, encoder):
    """Plan one entry."""
    return plan(corpus, wants("toys", [encoder])).entries[0]


def test_a_finished_corpus_has_nothing_left(large):
    """Of thousands of clips all are done, whether the index is there or not."""
    for _ in range(2):
        left = plan(large, wants("toys", TOYS[1:]))
        assert (left.slices, left.media_s, [len(entry.done) for entry in left.entries]) == ((), 0, [2000, 2000])
        for entry in left.entries:
            (entry.want.folder / FILE).unlink()


def test_a_part_that_is_gone_is_wanted_again(large):
    """What the index still says of a part that was deleted counts for nothing."""
    entry = entry_of(large, "toy_text")
    min(entry.want.folder.glob("part-*.h5")).unlink()
    again = entry_of(large, "toy_text")
    assert len(again.todo) in {PART_CLIPS, 2000 % PART_CLIPS}
    assert (again.stale, again.done | again.todo) == (set(), entry.done)


def test_a_part_that_was_cut_short_is_refused_by_the_plan(large):
    """A part of another size than the index knows is opened, and its damage is named before any work begins."""
    part = min(entry_of(large, "toy_text").want.folder.glob("part-*.h5"))
    os.truncate(part, part.stat().st_size - 1)
    with pytest.raises(CacheError, match=part.name):
        entry_of(large, "toy_text")


def test_a_side_file_that_cannot_be_written_stops_no_plan(large, tmp_path, monkeypatch):
    """Where digests of media cannot be kept, they are made again, and that is all."""
    (tmp_path / "no folder").touch()
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "no folder"))
    assert len(entry_of(large, "toy_frames").sources) == 2000


@pytest.mark.parametrize("torn", ['{"a.mp4": [1, 2', "", "[]", "7", '{"a.mp4": 7, "b.mp4": [1]}', "[" * 100_000])
def test_the_note_of_digests_is_only_a_note(corpus, roots, torn):
    """Lost or torn, the side file with the digests of media costs hashing and nothing else."""
    extracted(corpus)
    (note,) = (roots / "runs" / "media").glob("toys-*.json")
    note.write_text(torn)
    assert not todo(plan(corpus, wants("toys", TOYS)))


def test_a_corpus_that_was_moved_as_a_whole_is_not_computed_again(corpus, roots):
    """The same media under another root are the same media."""
    extracted(corpus)
    shutil.move(corpus.root, roots / "elsewhere")
    assert not todo(plan(replace(corpus, root=roots / "elsewhere"), wants("toys", TOYS)))


@pytest.mark.parametrize(("precision", "weights"), [("exact", ""), ("fast", ""), ("fast", "random:0")])
def test_a_detector_is_as_exact_as_what_builds_on_it(precision, weights):
    """Precision and weights reach the key of an encoder and of its detector, where they mean something."""
    boxes, faces = wants("toys", ["emoaffectnet+boxes=yolo_face"], precision, weights)
    assert {boxes.key.precision, faces.key.precision} == {precision}
    assert (boxes.key.weights == weights, faces.key.weights == weights) == (bool(weights), bool(weights))
    assert faces.key.builds_on == (boxes.name,)
    assert wants("toys", ["mfcc"], precision, weights) == wants("toys", ["mfcc"])


def test_wants_puts_a_detector_before_what_is_cut_by_it():
    """Crops bring their detector on the grid of their own slots, once, and hold its fingerprint."""
    found = wants("toys", ["face_hog", "mtcnn", "mfcc:clip"])
    assert [want.encoder for want in found] == ["mtcnn", "face_hog", "mfcc"]
    boxes, hog, mfcc = found
    assert (str(boxes.grid), boxes.spec.detects, str(mfcc.grid)) == ("windows(0.1,0.1,0)@fps=10", True, "clip")
    assert hog.leader == boxes
    assert hog.key.builds_on == (boxes.key.name,)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mfc", "unknown encoder 'mfc'. Did you mean 'mfcc'?"),
        ("mfcc:clop", "mfcc: unknown grid 'clop'. Did you mean 'clip'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, reason):
    """A slip of the pen in an encoder or a grid names what was probably meant."""
    with pytest.raises(ValueError, match="Valid: ") as error:
        wants("toys", [name])
    assert str(error.value).startswith(reason)


def test_an_entry_that_is_not_what_its_name_says_is_refused(corpus):
    """A folder whose key is another's stops the plan instead of mixing features."""
    extracted(corpus)
    audio, _, text = wants("toys", TOYS)
    shutil.copy(folder_of("toys", text.key) / "spec.json", folder_of("toys", audio.key) / "spec.json")
    with pytest.raises(CacheError, match="toy_text"):
        plan(corpus, wants("toys", TOYS))


tracks = st.tuples(st.integers(0, 40), st.one_of(st.none(), st.floats(0.1, 400)))


@given(st.lists(tracks, max_size=200))
def test_slices_hold_whole_media_files_and_not_too_much(drawn):
    """A slice is at most 64 clips and five minutes, unless one file alone is more, and a file's clips stay together."""
    clips = [
        kit.clip({"path": f"{file}.wav", "end_s": length_s} if file else None, id=str(i), text="x")
        for i, (file, length_s) in enumerate(drawn)
    ]
    found = list(slice_up(clips))
    assert sorted(clip.id for part in found for clip in part) == sorted(clip.id for clip in clips)
    for part in found:
        files = {clip.audio.path for clip in part if clip.audio}
        assert len(part) <= PART_CLIPS
        assert len(files) <= 1 or sum(clip.audio.end_s or 4 for clip in part if clip.audio) <= PART_MEDIA_S
    for file in {clip.audio.path for clip in clips if clip.audio}:
        count = sum(clip.audio is not None and clip.audio.path == file for clip in clips)
        assert sum(any(c.audio and c.audio.path == file for c in part) for part in found) == -(-count // PART_CLIPS)


@given(st.lists(tracks, max_size=150), st.sets(st.integers(0, 149)))
def test_slices_do_not_move_with_the_choice(drawn, chosen):
    """Whatever LIMIT, SPLIT or CLIPS say, a clip computed today lies in the slice where all others would put it."""
    clips = [kit.clip({"path": f"{file}.wav", "end_s": s}, id=str(i)) for i, (file, s) in enumerate(drawn)]
    whole = [{clip.id for clip in part} for part in slice_up(clips)]
    left = plan(
        kit.manifest(Path("/nowhere"), clips), wants("toys", ["toy_audio"]), lambda clip: int(clip.id) in chosen
    )
    for part in left.slices:
        assert any({clip.id for clip in part.clips} <= ids for ids in whole)
    assert len(left.slices) == sum(any(int(name) in chosen for name in ids) for ids in whole)
