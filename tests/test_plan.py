"""What is left to do: decided from the manifest, the cache and what the encoders really read; nothing is changed."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import media_kit as kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract import sources
from extract.plan import PART_CLIPS, PART_MEDIA_S, plan, slice_up, wants
from extract.work import run
from features import CacheError
from features.entries import folder_of, root

TOYS = ("toy_audio", "toy_frames", "toy_text")
ALL = {"a", "b", "long0", "long1", "mute", "wav", "flac", "text0", "text1"}
HAS = {
    "toy_audio": ALL - {"mute", "text0", "text1"},
    "toy_frames": {"a", "b", "long0", "long1", "mute"},
    "toy_text": ALL - {"mute", "wav"},
}


@pytest.fixture
def corpus(roots):
    """Make the small corpus."""
    return kit.small_corpus(roots / "media")


def extracted(corpus, names=TOYS):
    """Plan and run; return the plan that is left."""
    run(plan(corpus, wants("toys", names)), "cpu")
    return plan(corpus, wants("toys", names))


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
    run(plan(corpus, wants("toys", TOYS), lambda clip: clip.split == "train"), "cpu")
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


def test_a_touched_file_is_hashed_again_and_not_computed_again(corpus, monkeypatch):
    """Media are known by content: a new time of change costs one look at that file, no look costs nothing."""
    extracted(corpus)
    hashed, digest = [], sources._digest
    monkeypatch.setattr(sources, "_digest", lambda path: hashed.append(path.name) or digest(path))
    assert not todo(plan(corpus, wants("toys", TOYS)))
    assert not hashed
    os.utime(corpus.root / "a.mp4", (1, 1))
    assert not todo(plan(corpus, wants("toys", TOYS)))
    assert hashed == ["a.mp4"]


def test_the_note_of_digests_is_only_a_note(corpus, roots):
    """Lost or torn, the side file with the digests of media costs hashing and nothing else."""
    extracted(corpus)
    (note,) = (roots / "runs" / "media").glob("toys-*.json")
    note.write_text('{"a.mp4": [1, 2')
    assert not todo(plan(corpus, wants("toys", TOYS)))


def test_a_corpus_that_was_moved_as_a_whole_is_not_computed_again(corpus, roots):
    """The same media under another root are the same media."""
    extracted(corpus)
    shutil.move(corpus.root, roots / "elsewhere")
    assert not todo(plan(replace(corpus, root=roots / "elsewhere"), wants("toys", TOYS)))


def test_wants_puts_a_detector_before_what_is_cut_by_it():
    """Crops bring their detector on the grid of their own slots, once, and hold its fingerprint."""
    found = wants("toys", ["face_hog", "mtcnn", "mfcc:clip"])
    assert [want.encoder for want in found] == ["mtcnn", "face_hog", "mfcc"]
    boxes, hog, mfcc = found
    assert (str(boxes.grid), boxes.detects, str(mfcc.grid)) == ("windows(0.1,0.1,0)@fps=10", True, "clip")
    assert hog.boxes == boxes
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
