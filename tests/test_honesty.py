"""Whether the line can be fooled: what carries nothing scores nothing, and what was copied is told.

Corpora of some hundred clips go through manifests, cache and recipe to scores. Beside each claim that nothing is learnt
stands the same run on what can be learnt. By chance is what a model's own answers score when clips get them at random:
whatever it prefers to say, and however often, is in it.
"""

import dataclasses
import json
import zlib
from pathlib import Path

import fuse_kit
import numpy as np
import pytest
from command_kit import called
from test_experiment import ran

import manifests
from extract.sources import Sources
from features import Key, Windows, Writer, folder_of
from features.__main__ import main as features_command
from fuse import recipe, verdict
from fuse.__main__ import main as fuse_command
from fuse.experiment import prepare
from manifests import Audio, Clip, Manifest, labels
from manifests.__main__ import main as manifests_command

pytestmark = pytest.mark.usefixtures("one_thread")

SHARES = {"neutral": 0.4, "happy": 0.3, "sad": 0.2, "anger": 0.1}
SIZES = {"train": 300, "dev": 60, "test": 200}
STEPS, WIDTH = 4, 8
CENTRES = np.random.default_rng(1).standard_normal((3, len(labels.TASKS["emotion"].classes), WIDTH))
CARRY = {"heard": 0.3, "seen": 0.3, "read": 0.3}
"""By encoder how far apart the classes lie, in deviations within them."""
THREE = "encoders={audio='heard',video='seen',text='read'}"
QUICK = ("tasks=emotion", "train.epochs=14", "train.patience=8", "train.lr=5e-3", "train.batch=100")
SMALL = {"concat": (), "lefsa": ("config.width=16", "train.batch=150", "train.lr=1e-2"), "turns": ("config.width=16",)}
LEFSA = pytest.param("lefsa", marks=pytest.mark.slow)
DRAWS = 499
NEVER = 1 / (1 + DRAWS)
"""How often a score comes by chance that was learnt: none of the draws has it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return where this file's roots are; what one test has laid and trained another finds."""
    folder = tmp_path_factory.mktemp("honesty")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FEATURES_ROOT", "MANIFESTS_ROOT", "RUNS_ROOT"):
            patch.setenv(name, str(folder / name.lower()))
        yield folder


def clips(corpus, order=None):
    """Clips of four classes, some rare, by default in no order; twenty speakers to a part, dialogues of five turns."""
    made, order = [], order or np.random.default_rng(0).permutation
    for split, count in SIZES.items():
        words = np.repeat(list(SHARES), [round(share * count) for share in SHARES.values()])
        for i, word in enumerate(order(words).tolist()):
            told = {"speaker_id": f"{split}_s{i % 20}", "dialogue_id": f"{split}_d{i // 5}", "utt_index": i % 5}
            label = {"emotion": labels.emotion(word)}
            made.append(Clip(f"{split}_{i}", corpus, split, **told, labels=label, label_kind="intended"))
    return made


def drawn(clip, number=0):
    """Return numbers of deviation 1 that follow from the name of a clip and nothing else."""
    return np.random.default_rng([number, *clip.id.encode()]).standard_normal((STEPS, WIDTH))


def carried(clip, encoder):
    """Return numbers that lie about the centre of the clip's class."""
    number = list(CARRY).index(encoder)
    return CARRY[encoder] * CENTRES[number, np.argmax(clip.labels["emotion"])] + drawn(clip, number)


def lay(made, **values_of):
    """Write a manifest, and an entry of what is said of each clip for every encoder that is named."""
    manifests.write(Manifest(made[0].corpus, Path("nowhere"), tuple(made)))
    for encoder, values in values_of.items():

        def windows(clip, values=values):
            of_clip = np.broadcast_to(values(clip), (STEPS, WIDTH)).astype(np.float32)
            return Windows.join([of_clip], [(0.0, 3.0)], [STEPS])

        fuse_kit.entry(made, encoder, windows)


def carrying(shown):
    """Return what makes the three entries that carry a label, where clips show what others may be said to show."""
    return {encoder: lambda clip, e=encoder: carried(shown[clip.id], e) for encoder in CARRY}


@pytest.fixture(scope="module")
def honest(place):  # noqa: ARG001 - it says where the cache lies
    """The corpus that can be learnt from, and noise as wide and as large as what is seen."""
    made = clips("honest")
    seen = np.stack([carried(clip, "seen") for clip in made])
    lay(made, **carrying({clip.id: clip for clip in made}), noise=lambda c: seen.mean() + seen.std() * drawn(c, 9))
    return made


def trained(model, corpus, *settings, seeds=3):
    """Train and score a model on a corpus, as its recipe says."""
    return ran(prepare(recipe.load(model, [*QUICK, *SMALL[model], *settings], corpora=[corpus], seeds=seeds)))


def by_chance(run):
    """Return macro F1 on test, averaged over seeds, and how often the same answers dealt out at random have as much."""
    judged = run.of_model("emotion", run.corpora[0], "test")

    def score(order):
        return np.mean([dataclasses.replace(one, truth=one.truth[order]).scores()["mf1"] for one in judged])

    draw, everyone = np.random.default_rng(0), np.arange(len(judged[0]))
    found = score(everyone)
    as_good = sum(score(draw.permutation(everyone)) >= found for _ in range(DRAWS))
    return found, (1 + as_good) / (1 + DRAWS)


def lines(run):
    """Return every line of the test table by name."""
    return {line.name: line for line in run.lines if line.split == "test"}


# Labels.


@pytest.mark.parametrize("weights", ["balanced", "none"])
@pytest.mark.parametrize("model", ["concat", LEFSA])
def test_shuffled_labels_score_as_chance_does(honest, model, weights):
    """Labels that were shuffled within each part teach nothing, whether rare ones weigh more or not."""
    draw = np.random.default_rng(2)
    order = np.concatenate([draw.permutation([i for i, c in enumerate(honest) if c.split == part]) for part in SIZES])
    pairs = zip(honest, order.tolist(), strict=True)
    shuffled = [dataclasses.replace(clip, corpus="shuffled", labels=honest[i].labels) for clip, i in pairs]
    lay(shuffled, **carrying({clip.id: clip for clip in honest}))
    asked = (THREE, f"train.class_weights={weights}")
    learnt, luck = by_chance(trained(model, "honest", *asked))
    assert luck == NEVER
    score, luck = by_chance(trained(model, "shuffled", *asked))
    assert luck > NEVER
    assert score < learnt / 2


# Noise in the place of a modality.


def gain(run, without):
    """Return how much more macro F1 one line has than another, and by how much seeds differ."""
    return run.mean("mf1") - without.mean("mf1"), max(run.spread("mf1"), without.spread("mf1"))


@pytest.mark.usefixtures("honest")
def test_noise_beside_two_modalities_gains_nothing():
    """Beside sound and words, noise is worth no more than seeds differ; what is seen is worth more than that."""
    two = lines(trained("concat", "honest", "encoders={audio='heard',text='read'}", seeds=5))["concat"]
    noisy = lines(trained("concat", "honest", THREE.replace("seen", "noise"), seeds=5))["concat"]
    three = lines(trained("concat", "honest", THREE, seeds=5))["concat"]
    more, spread = gain(noisy, two)
    assert more <= spread
    more, spread = gain(three, two)
    assert more > spread


@pytest.mark.usefixtures("honest")
@pytest.mark.parametrize(
    ("model", "carrier", "seeds"),
    [
        ("concat", "audio", 5),
        pytest.param("concat", "video", 5, marks=pytest.mark.slow),
        pytest.param("lefsa", "text", 3, marks=pytest.mark.slow),
    ],
)
def test_noise_is_not_said_to_carry_a_result(model, carrier, seeds):
    """What carries is missed far more than seeds differ and noise hardly is: so the report names the one alone."""
    encoders = dict.fromkeys(("audio", "video", "text"), "noise")
    encoders[carrier] = {"audio": "heard", "video": "seen", "text": "read"}[carrier]
    asked = ",".join(f"{modality}='{encoder}'" for modality, encoder in encoders.items())
    run = trained(model, "honest", f"encoders={{{asked}}}", "ablate=true", seeds=seeds)
    missed = {m: gain(lines(run)[model], lines(run)[f"without {m}"]) for m in encoders}
    most, spread = missed.pop(carrier)
    assert most > 4 * spread
    assert all(abs(less) < most / 4 for less, _ in missed.values())
    assert verdict.carried(run, "emotion", "honest").startswith(f"{carrier.capitalize()} carried it: ")


def test_nothing_is_said_to_carry_noise(place):  # noqa: ARG001 - it says where the cache lies
    """More varied answers score more macro F1, and noise makes them so; a score as chance has it rests on nothing."""
    lay(clips("noise"), **{f"noise{k}": lambda clip, k=k: drawn(clip, 140 + k) for k in range(3)})
    encoders = "encoders={audio='noise0',video='noise1',text='noise2'}"
    run = trained("concat", "noise", encoders, "ablate=true", seeds=5)
    missed, spread = gain(lines(run)["concat"], lines(run)["without text"])
    assert missed > spread
    assert verdict.carried(run, "emotion", "noise").startswith("No modality carried it: ")


# Names and places.


@pytest.mark.parametrize("model", ["concat", LEFSA])
def test_who_knows_only_the_name_of_a_clip_knows_nothing(place, model):  # noqa: ARG001 - where the cache lies
    """Features that follow from the id alone score as chance does."""
    lay(clips("names"), named=drawn, called=lambda c: drawn(c, 1), known=lambda c: drawn(c, 2))
    run = trained(model, "names", "encoders={audio='named',video='called',text='known'}")
    assert by_chance(run)[1] > NEVER


@pytest.mark.parametrize(("order", "tells"), [(np.sort, True), (None, False)])
def test_a_feature_that_counts_clips_tells_the_class_only_of_sorted_ones(place, order, tells):  # noqa: ARG001
    """Whose files lie sorted by class has the label in their number: no check can know, so no number is ever given."""
    made = clips("sorted" if tells else "mixed", order)
    lay(made, counted=lambda clip: int(clip.id.rpartition("_")[2]) / SIZES[clip.split])
    _, luck = by_chance(trained("concat", made[0].corpus, "encoders={audio='counted'}"))
    assert (luck == NEVER) == tells


@pytest.mark.parametrize("model", ["concat", LEFSA, "turns"])
def test_names_and_order_of_clips_change_no_prediction(honest, model):
    """Other ids in another order give each clip the same answer, sums in another order aside."""
    # All of training is one batch and nothing is dropped: what is drawn by place would differ.
    whole = (THREE, "train.batch=300", "train.epochs=8", "config.dropout=0")
    name = {clip.id: f"{zlib.crc32(clip.id.encode()):08x}" for clip in honest}
    order = np.random.default_rng(4).permutation(len(honest)).tolist()
    renamed = [dataclasses.replace(honest[i], corpus="renamed", id=name[honest[i].id]) for i in order]
    lay(renamed, **carrying({name[clip.id]: clip for clip in honest}))
    said = {corpus: shares(trained(model, corpus, *whole, seeds=1)) for corpus in ("honest", "renamed")}
    assert said["honest"].keys() == {clip.id for clip in honest if clip.split == "test"}
    before = np.stack(list(said["honest"].values()))
    after = np.stack([said["renamed"][name[clip]] for clip in said["honest"]])
    assert before.max(axis=1).std() > 0.01
    np.testing.assert_allclose(after, before, atol=1e-3)


def shares(run):
    """Return what is said of each test clip, by id."""
    (judged,) = run.of_model("emotion", run.corpora[0], "test")
    return dict(zip(judged.ids, judged.shares, strict=True))


# Copies.


COPIED = 6
NOBODY = dict.fromkeys(("speaker_id", "dialogue_id", "utt_index", "text"))
"""What a clip says of itself when it says nothing."""


def copies(made, **changes):
    """Return some test clips a second time, in training and under other names."""
    chosen = [clip for clip in made if clip.split == "test"][:COPIED]
    return [dataclasses.replace(clip, id=f"x{i}", split="train", **changes) for i, clip in enumerate(chosen)]


def with_media(folder):
    """Return small clips, each with a file of its own and words of its own."""
    made = []
    for clip in fuse_kit.clips(corpus="copied"):
        (folder / f"{clip.id}.wav").write_bytes(clip.id.encode())
        said = f"nobody else says what {clip.id} says"
        made.append(dataclasses.replace(clip, audio=Audio(f"{clip.id}.wav"), text=said))
    return made


def known_by(made, folder, capsys, names=("audio", "text")):
    """Lay clips with the digests that extraction gives them; return what the audit and a run say."""
    manifest = Manifest("copied", folder, tuple(made))
    manifests.write(manifest)
    sources = Sources(manifest)
    for name in names:
        key = Key(name, 1, "clip")
        with Writer(folder_of("copied", key), key, {}, "MIT") as writer:
            for clip, digest in sources.of(made, name).items():
                values = np.random.default_rng(zlib.crc32(digest.encode())).standard_normal((STEPS, WIDTH))
                writer.add(clip, digest, Windows.join([values.astype(np.float32)], [(0.0, 3.0)], [STEPS]))
    return told(capsys, *names)


def told(capsys, *names):
    """Return what the audit says of the corpus, and the notes that a run on it begins with."""
    code, audited, _ = called(manifests_command, capsys, ["audit", "copied"])
    assert code == ("LEAK" in audited)
    encoders = ",".join(f"{name}='{name}'" for name in names)
    asked = ["tasks=emotion", "train.epochs=1", f"encoders={{{encoders}}}"]
    code, out, err = called(fuse_command, capsys, ["concat", "--corpus", "copied", "--seeds", 1, "--set", *asked])
    assert code == 0, out + err
    report = Path(out.strip().splitlines()[-1].removeprefix("report: ")).with_name("report.json")
    notes = json.loads(report.read_text())["warnings"]
    assert [line.removeprefix("note: ") for line in out.splitlines() if line.startswith("note: ")] == notes
    return audited, " ".join(notes)


def test_nothing_is_said_of_clips_that_are_apart(roots, capsys):
    """Without copies the audit finds nothing and a run begins without a note."""
    audited, notes = known_by(with_media(roots), roots, capsys)
    assert "nothing leaks" in audited
    assert not notes


def test_test_clips_that_are_also_trained_on_are_told_twice(roots, capsys):
    """Under other names, with the same media and words: the audit counts them, and so does every run."""
    made = with_media(roots)
    audited, notes = known_by([*made, *copies(made)], roots, capsys)
    for kind in ("speakers", "dialogues", "same media", "same words"):
        assert f"LEAK, {kind}: " in audited
    assert f"train-test: {COPIED}\n" in audited
    assert f"LEAK: of 8 test clips, training or dev has the same under another name: audio of {COPIED}; " in notes
    assert "test_0 of copied is x0 of copied" in notes
    assert f"Of 8 test clips, {COPIED} say word for word" in notes


def test_copied_files_of_nobody_known_are_told_by_a_run(roots, capsys):
    """Files under other names, without speaker, dialogue and words: no manifest tells, but the digests do."""
    made = with_media(roots)
    hidden = []
    for clip in copies(made, **NOBODY):
        (roots / f"{clip.id}.wav").write_bytes((roots / clip.audio.path).read_bytes())
        hidden.append(dataclasses.replace(clip, audio=Audio(f"{clip.id}.wav")))
    audited, notes = known_by([*made, *hidden], roots, capsys)
    assert "nothing leaks" in audited
    assert f"LEAK: of 8 test clips, training or dev has the same under another name: audio of {COPIED}; " in notes
    assert "word for word" not in notes


def test_copied_features_are_told_by_a_run(roots, capsys):
    """Rows of an imported table that are the same rows again are found; one that differs in a number is not."""
    made = [dataclasses.replace(clip, **NOBODY) for clip in fuse_kit.clips(corpus="copied")]
    made += copies(made)
    values = {clip.id: np.random.default_rng([*clip.id.encode()]).random((1, WIDTH)) for clip in made}
    values |= {f"x{i}": values[f"test_{i}"] + (i == 0) for i in range(COPIED)}
    np.savez(roots / "table.npz", id=np.array(list(values)), audio=np.stack(list(values.values())))
    asked = ["import", "arrays", roots / "table.npz", "--corpus", "copied", "--set", "ids=id"]
    code, out, err = called(features_command, capsys, asked)
    assert code == 0, out + err
    manifests.write(Manifest("copied", Path("nowhere"), tuple(made)))
    audited, notes = told(capsys, "audio")
    assert "no clip tells anything that they could share" in " ".join(audited.split())
    assert f"audio of {COPIED - 1}; test_1 of copied is x1 of copied" in notes
