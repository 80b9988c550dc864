"""Training clips are made harder as the recipe says, and masks stay true."""

import pytest
import torch

from fuse.augment import harder
from fuse.batch import Batch
from fuse.dials import Train

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = {"audio": (2, 10, 3), "video": (3, 4, 2, 2), "text": (1, 5, 4)}
"""Windows, steps and what a step is; video are pictures."""


def batch(b, absent=()):
    """Clips of ones, of which some lack their last window of everything, and some have two steps of padding."""
    windows = {m: torch.ones(b, shape[0], dtype=torch.bool) for m, shape in SHAPES.items()}
    steps = {m: torch.ones(b, *shape[:2], dtype=torch.bool) for m, shape in SHAPES.items()}
    for i in absent:
        for m in SHAPES:
            windows[m][i, -1], steps[m][i, -1] = False, False
            steps[m][i, :, -2:] = False
    values = {
        m: torch.ones(b, *shape) * steps[m].reshape(b, *shape[:2], *[1] * (len(shape) - 2))
        for m, shape in SHAPES.items()
    }
    nobody = torch.full((b,), -1)
    return Batch(tuple(map(str, range(b))), values, windows, steps, nobody, torch.zeros(b), nobody)


def test_without_a_dial_nothing_changes():
    """The recipe's own defaults leave a batch alone, and draw nothing."""
    given = batch(3)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert harder(given, Train()) is given
    assert torch.equal(torch.get_rng_state(), state)


def test_modalities_go_missing_as_often_as_asked():
    """Alone and together, in the shares of the recipe, within three deviations; the rest keeps everything."""
    torch.manual_seed(0)
    b = 4000
    drop = {"audio": 0.3, "audio+text": 0.2, "video": 0.1}
    found = harder(batch(b), Train(modality_drop=drop)).present
    lost = {m: ~there for m, there in found.items()}
    shares = {
        "audio": (lost["audio"] & ~lost["text"] & ~lost["video"]).float().mean().item(),
        "audio+text": (lost["audio"] & lost["text"] & ~lost["video"]).float().mean().item(),
        "video": (lost["video"] & ~lost["audio"] & ~lost["text"]).float().mean().item(),
    }
    for name, share in drop.items():
        assert shares[name] == pytest.approx(share, abs=3 * (share * (1 - share) / b) ** 0.5)
    kept = ~(lost["audio"] | lost["video"] | lost["text"])
    assert kept.float().mean().item() == pytest.approx(1 - sum(shares.values()))


def test_a_lost_modality_is_zeros_and_masks_of_others_stay():
    """Values, windows and steps of what is lost go together; nothing else is touched."""
    torch.manual_seed(0)
    given = batch(40, absent=(3, 7))
    made = harder(given, Train(modality_drop={"audio": 0.5}))
    lost = ~made.present["audio"]
    assert 0 < lost.sum() < 40
    assert not made.values["audio"][lost].any()
    assert not made.steps["audio"][lost].any()
    for field in ("values", "windows", "steps"):
        before, after = getattr(given, field), getattr(made, field)
        assert torch.equal(after["audio"][~lost], before["audio"][~lost])
        assert torch.equal(after["video"], before["video"])
        assert torch.equal(after["text"], before["text"])


def test_a_modality_that_is_always_lost_is_always_lost():
    """A share of 1 takes it from every clip; one of 0 from none."""
    made = harder(batch(50), Train(modality_drop={"audio": 1.0, "text": 0.0}))
    assert not made.present["audio"].any()
    assert made.present["text"].all()


def test_a_modality_that_is_not_used_is_no_mistake():
    """A recipe may name what its `modalities` leave out."""
    given = batch(5)
    assert harder(given, Train(modality_drop={"pulse": 1.0})).present["audio"].all()


@pytest.mark.parametrize(
    "train", [Train(modality_drop={"audio": 0.5, "text+video": 0.3}), Train(noise=0.1), Train(time_mask=0.4)]
)
def test_what_is_random_follows_the_generator(train):
    """The same seed spoils the same clips in the same way, another one does not."""

    def made(seed):
        torch.manual_seed(seed)
        return harder(batch(30), train).values

    first, again, other = made(1), made(1), made(2)
    assert all(torch.equal(first[m], again[m]) for m in SHAPES)
    assert not all(torch.equal(first[m], other[m]) for m in SHAPES)


def test_noise_is_as_strong_as_asked_and_padding_stays_zero():
    """Real steps get noise of that deviation and mean zero; what a mask leaves out gets none."""
    torch.manual_seed(0)
    given = batch(400, absent=range(0, 400, 2))
    made = harder(given, Train(noise=0.2))
    for m, values in made.values.items():
        noise = (values - given.values[m])[given.steps[m]]
        assert noise.std().item() == pytest.approx(0.2, rel=0.05)
        assert abs(noise.mean().item()) < 0.01
        assert not values[~given.steps[m]].any()
    assert made.windows is given.windows
    assert made.steps is given.steps


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_stretch_of_time_is_silent(share):
    """One run of that share of the steps is zero, the same in all windows of a clip; masks do not say so."""
    torch.manual_seed(0)
    given = batch(200)
    made = harder(given, Train(time_mask=share))
    starts = set()
    for m, shape in SHAPES.items():
        t = shape[1]
        silent = (made.values[m] == 0).flatten(3).all(dim=3)
        assert torch.equal(silent, silent[:, :1].expand_as(silent))
        assert silent[:, 0].sum(dim=1).tolist() == [round(share * t)] * 200
        edges = silent[:, 0].float().diff(dim=1).abs().sum(dim=1)
        assert edges.max() <= 2
        starts |= {(m, one) for one in silent[:, 0].float().argmax(dim=1).tolist()}
        assert made.steps[m].all()
    assert len(starts) == sum(t - round(share * t) + 1 for _, t, *_ in SHAPES.values())
