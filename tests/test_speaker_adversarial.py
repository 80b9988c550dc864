"""The reversed gradient against numbers worked by hand, and which speakers count."""

import dataclasses

import fuse_kit
import numpy as np
import pytest
import torch

from features import Windows
from fuse import seams
from fuse.strategies.speaker_adversarial import Reversal

pytestmark = pytest.mark.usefixtures("roots", "one_thread")

NAME = "strategies.speaker_adversarial"
PLAIN = ("config.dropout=0.0", "train.clip_norm=0.0")


@pytest.fixture
def joined(roots):  # noqa: ARG001 - it says where the cache lies
    """The clips of the small corpus, with a cache."""
    clips = fuse_kit.clips()
    fuse_kit.store(clips)
    return clips


def heard_of(seed, batch):
    """Return what the heads read of a batch, with its graph, and the outputs."""
    seen = []
    hook = seams.representation(seed.model).register_forward_hook(lambda _m, _given, output: seen.append(output))
    outputs = seed.model.train()(batch)
    hook.remove()
    return seen[0], outputs


def test_a_reversed_gradient_by_hand():
    """Of y = 3 (2 x) at x = 5 with strength 0.5 in between, y is 30, and the slope -0.5 times 6 instead of 6."""
    x = torch.tensor([5.0], requires_grad=True)
    y = 3 * Reversal.apply(2 * x, 0.5)
    assert y.item() == 30.0
    y.backward()
    assert x.grad.item() == -3.0


def test_forward_is_identity():
    """Whatever the strength, what comes out is what goes in, to the bit."""
    x = torch.randn(4, 3)
    for strength in (0.0, 1.0, 7.5):
        assert torch.equal(Reversal.apply(x, strength), x)


def test_on_one_linear_layer_by_hand():
    """Two clips, one feature, two speakers told apart by a layer of weights 1 and -1: every slope can be worked out."""
    w, classifier = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[1.0], [-1.0]], requires_grad=True)
    x, speaker = torch.tensor([[1.0], [-2.0]]), torch.tensor([0, 0])
    z = x @ w.T
    torch.nn.functional.cross_entropy(Reversal.apply(z, 0.25) @ classifier.T, speaker).backward()
    # p is what the first speaker is given: logits are z and -z. d loss / d logits = (p - 1, 1 - p), d loss / d z its
    # product with the classifier's weights, 2 (p - 1).
    p = 1 / (1 + np.exp(-2 * np.array([1.0, -2.0])))
    slope = 2 * (p - 1)
    assert w.grad.item() == pytest.approx(-0.25 * (slope * [1.0, -2.0]).mean(), rel=1e-5)
    expected = ((p - 1) * [1.0, -2.0]).mean()
    assert classifier.grad.flatten().tolist() == pytest.approx([expected, -expected], rel=1e-5)


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_the_model_unlearns_what_the_classifier_learns(joined, tmp_path, strength):
    """Its gradients are -strength times plain ones, those of the classifier plain."""
    seed = fuse_kit.seed_of(joined, tmp_path, *PLAIN, f"{NAME}={{strength={strength},ramp=false}}")
    strategy, batch = fuse_kit.strategy_of(seed), seed.data.batch(torch.tensor(range(24)))
    strategy.order(torch.arange(24), 1)
    heard, outputs = heard_of(seed, batch)
    own, classifier = list(seed.model.projections.parameters()), list(strategy.classifier.parameters())
    told = torch.nn.functional.cross_entropy(strategy.classifier(heard), torch.arange(24) // 4)
    plain = torch.autograd.grad(told, [*own, *classifier], retain_graph=True)
    loss = strategy.loss(outputs, batch)
    assert loss.item() == pytest.approx(told.item(), rel=1e-6)
    found = torch.autograd.grad(loss, [*own, *classifier])
    for number, (one, other) in enumerate(zip(found, plain, strict=True)):
        factor = -strength if number < len(own) else 1.0
        assert other.abs().max() > 0
        torch.testing.assert_close(one, factor * other, rtol=1e-4, atol=1e-8)


def test_the_strength_grows_over_the_epochs(joined, tmp_path):
    """At the middle of each of four epochs: 0.5 (2 / (1 + exp(-10 p)) - 1) with p = 1/8, 3/8, 5/8, 7/8; or constant."""
    examples = torch.arange(3)
    grown = fuse_kit.strategy_of(fuse_kit.seed_of(joined, tmp_path, f"{NAME}={{strength=0.5}}"))
    even = fuse_kit.strategy_of(fuse_kit.seed_of(joined, tmp_path, f"{NAME}={{strength=0.5,ramp=false}}"))
    found = []
    for epoch in range(1, 5):
        assert torch.equal(grown.order(examples, epoch), examples)
        even.order(examples, epoch)
        found.append(grown.strength)
        assert even.strength == 0.5
    assert found == pytest.approx([0.277300, 0.477023, 0.498074, 0.499842], abs=1e-6)


def without_speaker(clips, gone):
    """Return the clips, some of which are of nobody known."""
    return tuple(dataclasses.replace(clip, speaker_id=None) if gone(clip) else clip for clip in clips)


def test_only_known_speakers_of_training_clips_count(roots, tmp_path):  # noqa: ARG001 - it says where the cache lies
    """One output for each of them; clips of nobody known, or of another, change neither loss nor gradients."""
    clips = without_speaker(fuse_kit.clips(), lambda clip: clip.id in ("train_0", "train_9"))
    fuse_kit.store(clips)
    seed = fuse_kit.seed_of(clips, tmp_path, *PLAIN, f"{NAME}={{ramp=false}}")
    strategy = fuse_kit.strategy_of(seed)
    strategy.order(torch.arange(2), 1)
    assert strategy.classifier[-1].out_features == 6
    losses = []
    for rows in ([1, 2, 10], [0, 1, 2, 9, 10, 30], [0, 9, 30]):  # the thirtieth is of test, whose speakers are others
        batch = seed.data.batch(torch.tensor(rows))
        heard, outputs = heard_of(seed, batch)
        losses.append(strategy.loss(outputs, batch))
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    assert losses[2].item() == 0.0
    (slope,) = torch.autograd.grad(losses[2], heard)
    assert not slope.any()


def test_fewer_than_two_speakers_are_refused(roots, tmp_path):  # noqa: ARG001 - it says where the cache lies
    """One voice, or clips of nobody known, cannot be told apart; the message says what to do."""
    for number, gone in enumerate((lambda _: True, lambda clip: clip.speaker_id != "train_s0")):
        clips = without_speaker(fuse_kit.clips(), gone)
        fuse_kit.store(clips)
        with pytest.raises(ValueError, match=rf"^speaker_adversarial: expected two known .* got {number}; .* leave"):
            fuse_kit.seed_of(clips, tmp_path, f"{NAME}={{}}")


@pytest.mark.parametrize("dial", ["strength=-0.1", "width=0"])
def test_dials_that_cannot_be_are_refused(dial):
    """Nothing is turned around twice, and a layer has a width."""
    with pytest.raises(ValueError, match="speaker_adversarial: expected"):
        fuse_kit.load_recipe("concat", f"{NAME}={{{dial}}}")


def loud(clips):
    """Store features that tell the emotion and, beside it, which of two voices speaks; return the clips with these."""
    rng = np.random.default_rng(0)
    voices = rng.integers(2, size=len(clips))

    def make(clip):
        i = clips.index(clip)
        emotion = np.eye(4)[int(np.argmax(clip.labels["emotion"]))]
        values = [*emotion, 2.0 * voices[i] - 1] + 0.1 * rng.standard_normal(5)
        return Windows.join([values[None].astype(np.float32)], [(0.0, 2.0)], [1])

    fuse_kit.entry(clips, "loud", make)
    return tuple(dataclasses.replace(clip, speaker_id=f"s{voice}") for clip, voice in zip(clips, voices, strict=True))


def apart(seed):
    """Return how far two voices lie apart in what the heads read of training clips, by the spread of all."""
    batch = seed.data.batch(torch.tensor(seed.split.train))
    with torch.no_grad():
        heard, _ = heard_of(seed, batch)
    one, other = (heard[batch.speaker == voice].mean(dim=0) for voice in batch.speaker.unique())
    return ((one - other).norm() / heard.std(dim=0).norm()).item()


def test_voices_lie_closer_together_afterwards(roots, tmp_path):  # noqa: ARG001 - it says where the cache lies
    """Where features tell the speaker, the representation of a model so trained tells less of it, and is as right."""
    clips = loud(fuse_kit.clips(train=160))
    fuse_kit.store(clips)
    settings = ("modalities=text", "encoders.text=loud", "config.width=16", "train.epochs=30", "train.patience=30")
    found = {}
    for name, own in {"plain": (), "adversarial": (f"{NAME}={{strength=3.0}}",)}.items():
        seed = fuse_kit.trained(clips, tmp_path / name, *PLAIN, *settings, "train.batch=32", "train.lr=3e-3", *own)
        found[name] = apart(seed)
        assert seed.progress.best_score > 0.9
    assert found["adversarial"] < found["plain"] / 2
