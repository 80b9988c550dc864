"""The zoo of broken media through the whole engine: each file ends as features or as a named failure."""

import fault_kit as faults
import zoo_kit

import manifests
from features import Reader
from features.failures import recorded


def test_the_zoo_ends_as_features_or_as_named_failures(roots):
    """Hundreds of broken files, a few of them whole: the run neither dies nor hangs, and tells of every single one."""
    zoo_kit.make(roots / "zoo")
    made = zoo_kit.manifest(roots / "zoo")
    manifests.write(made)
    options = {"corpus": made.corpus, "encoders": "toy_audio,toy_frames", "PYTHONWARNINGS": "ignore"}
    ended = faults.run(roots / "cache", "--max-failed", "1", **options, seconds=250)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(made.clips) >= 200
    assert "0 failed" not in ended.stdout
    for encoder in ("toy_audio", "toy_frames"):
        with Reader(next((roots / "cache").glob(f"{made.corpus}/{encoder}-*"))) as reader:
            failed = recorded(reader.folder)
            assert reader.keys() | failed.keys() == {clip.id for clip in made.clips}
            assert not reader.keys() & failed.keys()
            assert len(reader) >= 20
            assert all(failure.reason for failure in failed.values())
            assert {failure.stage for failure in failed.values()} <= {"decode", "write"}
    again = faults.run(roots / "cache", **options)
    assert "nothing to do" in again.stdout
