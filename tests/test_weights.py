"""Weights: pinned ones are verified before they are read, random ones are the same everywhere, and keys say which."""

import hashlib
import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from extract import encoders, listing, weights
from extract.encoders import silero
from extract.network import fill
from extract.weights import Pin, Weights, WeightsError, digest_of, located, present, sized
from features import Grid

CLIP = Grid.parse("clip")
EXPECTED = {
    "linear.weight": [-0.13296915590763092, 0.016372505575418472, -0.13012757897377014],
    "convolution.weight": [0.2682291865348816, -0.11297607421875, 0.2090250700712204],
    "norm.running_var": [1.0841710567474365, 1.1084752082824707, 1.1704670190811157],
}


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Put two files where WEIGHTS_ROOT says, and return their pin."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    pin = Weights(
        "lab/net",
        ("one.bin", "two.bin"),
        hashlib.sha256(b"ot").hexdigest(),
        user="extract.encoders.net",
        revision="abc",
        sizes=(9_000_000,),
    )
    pin.folder.mkdir(parents=True)
    for name in pin.files:
        (pin.folder / name).write_bytes(name[:1].encode())
    return pin


def test_files_lie_by_id_and_revision(pinned, tmp_path):
    """The folder is `<id with -- for />/<revision>`; it may be read-only."""
    pinned.folder.chmod(0o500)
    assert located(pinned) == [tmp_path / "lab--net" / "abc" / name for name in ("one.bin", "two.bin")]


def test_a_home_of_its_own(monkeypatch):
    """Without WEIGHTS_ROOT, or where it is empty, weights lie in the user's cache."""
    for value in (None, ""):
        monkeypatch.setenv("WEIGHTS_ROOT", value or "")
        if value is None:
            monkeypatch.delenv("WEIGHTS_ROOT")
        assert weights.root().parts[-3:] == (".cache", "affectline", "weights")
        assert weights.root().is_absolute()


def test_other_bytes_are_refused(pinned):
    """One byte is another: the message says what was expected, what was got and what to do."""
    (pinned.folder / "two.bin").write_bytes(b"T")
    got = hashlib.sha256(b"oT").hexdigest()
    again = "fetch it again: make weights ENCODERS=net"
    with pytest.raises(WeightsError, match=f"expected sha256 {pinned.sha256}, got {got}; {again}"):
        located(pinned)


@pytest.mark.parametrize(("name", "size"), [("one.bin", ", 9 MB"), ("two.bin", "")])
def test_a_missing_file_is_asked_for(pinned, name, size):
    """The message names the file, its size where known, the folder, the licence, and the way to try without."""
    (pinned.folder / name).unlink()
    with pytest.raises(WeightsError) as caught:
        located(pinned, "CC BY 4.0")
    assert str(caught.value) == (
        f"expected {name} of lab/net, revision abc{size}, at {pinned.folder / name}; its licence is CC BY 4.0; "
        "fetch it: make weights ENCODERS=net; "
        "or say WEIGHTS_ROOT=<where it lies>, or WEIGHTS=random:0 to try without"
    )


def test_the_message_names_a_command_that_fetches_them(tmp_path, monkeypatch):
    """Weights of encoders and denoisers, and tokenizers, name somebody who needs exactly them."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    for need in listing.needs(listing.everything(), best=True):
        if not need.weights.package:
            with pytest.raises(WeightsError, match="fetch it: make weights ENCODERS=") as caught:
                located(need.weights)
            name = str(caught.value).partition("ENCODERS=")[2].partition(";")[0]
            assert need.weights in [other.weights for other in listing.needs([name], best=True)]


def test_a_digest_is_known_without_reading_the_files(pinned):
    """It is the declared one, or the pinned one, or a message; files that are there without one are named."""
    assert digest_of(pinned) == pinned.sha256
    unknown = replace(pinned, sha256="")
    with pytest.raises(
        WeightsError, match=r"no digest is known of one.bin, two.bin of lab/net in .*/abc; .*: make weigh"
    ):
        digest_of(unknown)
    write_pin(unknown, sha256="f" * 64)
    for name in pinned.files:
        (pinned.folder / name).unlink()
    assert digest_of(unknown) == "f" * 64
    with pytest.raises(WeightsError, match=r"expected one.bin of lab/net, revision abc, 8 kB, at .*/abc/one.bin;"):
        located(replace(unknown, sizes=()))


def test_a_pinned_file_that_was_changed_is_refused(pinned):
    """What the first fetch found holds as if it were declared; a declared digest holds more."""
    unknown = replace(pinned, sha256="", sizes=())
    write_pin(unknown, sha256=pinned.sha256)
    assert located(unknown) == list(unknown.paths)
    (pinned.folder / "two.bin").write_bytes(b"T")
    with pytest.raises(WeightsError, match=f"expected sha256 {pinned.sha256}, got "):
        located(unknown)
    write_pin(unknown, sha256=hashlib.sha256(b"oT").hexdigest())
    assert located(unknown)
    with pytest.raises(WeightsError, match="expected sha256"):
        located(pinned)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": "f"}', '{"sizes": 3}', "\xff"])
def test_a_pin_that_cannot_be_read(pinned, text):
    """It is named, with what to do; whether weights are there is a plain no."""
    unknown = replace(pinned, sha256="", sizes=())
    unknown.pin.write_text(text, encoding="latin-1")
    with pytest.raises(
        WeightsError, match=r"pin.json: expected what the first fetch found, got .*; delete it, then make"
    ):
        digest_of(unknown)
    assert not present(unknown)


def test_present_is_cheap(pinned):
    """All files of the right size are there, whatever they hold; a package is there when its files are."""
    weights_of_two = replace(pinned, sizes=(1, 1), sha256="0" * 64)
    assert present(weights_of_two)
    assert not present(replace(pinned, sizes=(1, 2)))
    assert not present(replace(pinned, files=("one.bin", "three.bin")))
    assert present(silero.WEIGHTS)
    assert not present(replace(silero.WEIGHTS, files=("data/none.jit",)))
    assert not present(replace(silero.WEIGHTS, package="no_such_package"))
    write_pin(replace(pinned, sha256="", sizes=()), sha256="f", sizes=(1, 2))
    assert not present(replace(pinned, sha256="", sizes=()))


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 kB"), (12_000, "12 kB"), (6_000_000, "6 MB"), (999e6, "999 MB"), (1_117_000_000, "1.1 GB")],
)
def test_sizes_as_a_person_says_them(count, said):
    """Whole kilobytes and megabytes, and gigabytes with one digit after the point."""
    assert sized(count) == said


def write_pin(wanted, **fields):
    """Write down what a first fetch would have found."""
    pin = Pin(**{"sha256": "", "sizes": (8000, 9), "source": "https://hub.lab/x", **fields})
    wanted.pin.write_text(json.dumps(asdict(pin)))


def test_random_weights_are_chosen_for_a_while():
    """`using` holds within its block, blocks lie in each other, and nothing else is random."""
    assert weights.random_seed() is None
    with weights.using("random:7"):
        assert weights.random_seed() == 7
        with weights.using(""):
            assert weights.random_seed() is None
        with pytest.raises(WeightsError), weights.using("anything"):
            pass
        assert weights.random_seed() == 7
    assert weights.random_seed() is None


@pytest.mark.parametrize("chosen", ["random", "random:", "random:x", "random:-1", "seed:0", " random:0"])
def test_what_is_neither_random_nor_nothing_is_refused(chosen):
    """The message says what would be understood."""
    with pytest.raises(WeightsError, match="expected WEIGHTS=random:<whole number> or nothing, got"):
        weights.seed_of(chosen)


def test_keys_say_which_weights_and_precision():
    """Random weights and fast stand in the key of whoever can have them, and change nothing for the others."""

    def key(name, **chosen):
        return encoders.spec(name).key(name, CLIP, **chosen)

    jina, minilm, mfcc = (encoders.spec(name) for name in ("jina_v3", "minilm", "mfcc"))
    assert (jina.fast, mfcc.fast) == (True, False)
    assert key("jina_v3").weights == jina.weights.sha256
    assert key("jina_v3", weights="random:0").weights == "random:0"
    assert key("minilm", weights="random:0").weights == minilm.weights.sha256
    assert key("mfcc", weights="random:0", precision="fast") == key("mfcc")
    assert key("jina_v3", precision="fast").precision == "fast"
    names = {
        key("jina_v3", weights=w, precision=p).name for w in ("", "random:0", "random:1") for p in ("exact", "fast")
    }
    assert len(names) == 6


class Net(nn.Module):
    """A network with a tensor of each kind."""

    def __init__(self):
        super().__init__()
        self.linear, self.convolution = nn.Linear(40, 30), nn.Conv2d(3, 50, 3)
        self.norm, self.table = nn.BatchNorm2d(50), nn.Embedding(5, 20)


def test_random_weights_are_the_same_on_every_machine():
    """Values follow from seed and name through whole numbers alone; these were written down on one machine."""
    net = Net()
    fill(net, 0)
    assert net.linear.weight[0, :3].tolist() == pytest.approx(EXPECTED["linear.weight"], abs=1e-9)
    assert net.convolution.weight[0, 0, 0].tolist() == pytest.approx(EXPECTED["convolution.weight"], abs=1e-9)
    assert net.norm.running_var[:3].tolist() == pytest.approx(EXPECTED["norm.running_var"], abs=1e-7)


def test_random_weights_are_lively_and_sane():
    """Each tensor varies within its bounds, another seed or name gives another, and what is counted stays a number."""
    net, again, other = Net(), Net(), Net()
    for seed, one in ((0, net), (0, again), (1, other)):
        fill(one, seed)
    state = net.state_dict()
    for name, tensor in state.items():
        assert torch.equal(tensor, again.state_dict()[name])
        if tensor.is_floating_point():
            assert not torch.equal(tensor, other.state_dict()[name])
            assert tensor.isfinite().all()
            assert tensor.std() > 0.005
    assert state["norm.num_batches_tracked"] == 0
    for name, fan_in, gain in (("linear.weight", 40, 0.5), ("convolution.weight", 27, 1), ("table.weight", 20, 0.5)):
        assert state[name].std().item() == pytest.approx(gain / math.sqrt(fan_in), rel=0.1)
        assert abs(state[name].mean().item()) < 0.2 * gain / math.sqrt(fan_in)
    assert 0.8 < state["norm.running_var"].min() < state["norm.running_var"].max() < 1.2
    assert state["linear.bias"].abs().max() < 0.04
