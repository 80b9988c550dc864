"""Denoisers compute what their authors' code computes, read what was published, and cut sounds where the authors do."""

import contextlib
import hashlib
import json
import subprocess
import sys
import types
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import fill
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from extract import denoisers
from extract.denoisers import _htdemucs, _htdemucs_transformer, _onnx, _spleeter, demucs, spleeter
from extract.weights import WeightsError, using
from features import Grid, Key

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = Path(__file__).parent
EVERY = pytest.mark.parametrize("name", denoisers.names())
RATE_HZ = 44_100


def golden(name):
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(HERE / "golden" / f"{name}.npz") as file:
        arrays = dict(file)
    meta = json.loads(str(arrays.pop("meta")))
    state = {key: torch.zeros(shape) for key, shape in meta["state_dict"].items()}
    return arrays, fill.fill_(state, meta["seed"])


def tone(samples, hz):
    """Return a sine at the separators' rate."""
    return np.sin(2 * np.pi * hz * np.arange(samples) / RATE_HZ)


def noise(samples, seed=0):
    """Return faint noise around a tone."""
    drawn = np.random.default_rng(seed).standard_normal(samples)
    return (0.1 * drawn + 0.2 * tone(samples, 330)).astype(np.float32)


def frozen(network):
    """Make a network ready to be asked."""
    return network.eval().requires_grad_(requires_grad=False)


# The contract


@EVERY
def test_a_denoiser_says_what_it_is(name):
    """Licence, rate, version and weights are declared, and the parameters were counted."""
    module = denoisers.module(name)
    assert module.RATE_HZ == RATE_HZ
    assert module.VERSION >= 1
    assert module.LICENCE
    assert all(len(pinned.sha256) == 64 and pinned.sizes for pinned in module.WEIGHTS)
    assert sum(parameter.numel() for parameter in module.build().parameters()) == module.PARAMETERS


def test_an_unknown_denoiser_is_answered_with_the_nearest():
    """A name that is no file here is refused, with the one that was probably meant."""
    with pytest.raises(ValueError, match="spleeter"):
        denoisers.module("spleter")


def test_importing_a_denoiser_imports_no_heavy_library():
    """Whoever lists denoisers or makes a key waits for no network library."""
    code = "from extract import denoisers; [denoisers.settings(n) for n in denoisers.names()]; import sys; "
    code += "assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=HERE.parent, check=True)


def test_a_key_tells_denoisers_and_weights_apart():
    """Each denoiser, with pinned or with random weights, gives another fingerprint, and so does none at all."""
    grid = str(Grid.parse("windows(3,2,2)"))
    said = [{}] + [denoisers.settings(name, chosen) for name in denoisers.names() for chosen in ("", "random:0")]
    keys = [Key("mfcc", 1, grid, settings=part) for part in said]
    assert len({key.fingerprint for key in keys}) == len(said) == 5
    assert [Key.from_json(json.loads(json.dumps(key.to_json()))) for key in keys] == keys


@EVERY
def test_missing_weights_are_asked_for(name, tmp_path, monkeypatch):
    """Without its weights a denoiser names the file, its size, its place and its licence."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    module = denoisers.module(name)
    file, size = module.WEIGHTS[0].files[0], module.WEIGHTS[0].sizes[0]
    with pytest.raises(WeightsError, match=rf"{file} .*{size / 1e6:.0f} MB, at {tmp_path}.*licence is MIT"):
        module.load("cpu")


# Reading Spleeter's export


def number(value):
    """Write a whole number as protobuf does."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def part(field, value):
    """Write one field: a whole number, or bytes."""
    if isinstance(value, int):
        return number(field << 3) + number(value)
    return number(field << 3 | 2) + number(len(value)) + value


def tensor(name, values, *, packed):
    """Write a tensor as exporters do, its sizes one by one or packed."""
    sizes = [part(1, b"".join(map(number, values.shape)))] if packed else [part(1, size) for size in values.shape]
    kind = {"f": 1, "i": 7}[values.dtype.kind]
    return b"".join([*sizes, part(2, kind), part(8, name.encode()), part(9, values.tobytes())])


def export(state, *, packed=False):
    """Write a model that holds tensors beside what else such files hold."""
    others = [part(1, part(1, b"x") + part(4, b"Conv")), part(2, b"main_graph")]
    held = [part(5, tensor(name, values, packed=packed)) for name, values in state.items()]
    graph = b"".join([*others, *held, part(11, b"x")])
    return part(1, 7) + part(2, b"pytorch") + number(3 << 3 | 5) + b"1234" + part(7, graph) + part(8, part(2, 13))


SMALL = {"conv.weight": np.arange(300, dtype=np.float32).reshape(3, 100), "bn.bias": np.ones(1, np.float32)}


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_is_read(tmp_path, packed):
    """Every float32 tensor is found under its name, in its shape; whole numbers and all the rest are left."""
    (tmp_path / "m.onnx").write_bytes(export(SMALL | {"axes": np.arange(3)}, packed=packed))
    found = _onnx.tensors(tmp_path / "m.onnx")
    assert found.keys() == SMALL.keys()
    for name, values in SMALL.items():
        np.testing.assert_array_equal(found[name], values)


def read_or_refuse(path, content):
    """Name the tensors of a file, or none where it is refused for what it is."""
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        return _onnx.tensors(path).keys()
    with pytest.raises(ValueError, match="expected"):
        _onnx.tensors(path)
    return set()


def test_an_export_that_ends_too_early_is_refused(tmp_path):
    """Wherever a file is cut, it is refused, or read whole where only what follows its graph is missing."""
    whole = export(SMALL)
    for length in range(0, len(whole), 7):
        assert read_or_refuse(tmp_path / "m.onnx", whole[:length]) in (set(), SMALL.keys()), length


@pytest.mark.parametrize("shape", [(), (2**40, 2**40), (2**63, 2), (0, 2**63), (2,), (4,)])
def test_a_tensor_that_lies_about_its_size_is_refused(tmp_path, shape):
    """Sizes that do not multiply to the numbers that are there are refused, however large, and nothing is set aside."""
    sizes = b"".join(part(1, size) for size in shape)
    held = sizes + part(2, 1) + part(8, b"liar") + part(9, bytes(12))
    (tmp_path / "m.onnx").write_bytes(part(7, part(5, held)))
    with pytest.raises(ValueError, match="float32 numbers of liar"):
        _onnx.tensors(tmp_path / "m.onnx")


@settings(deadline=None, max_examples=100)
@given(noise=st.binary(max_size=60), at=st.integers(0, 1400))
def test_a_broken_export_is_read_or_refused(tmp_path_factory, noise, at):
    """Whatever bytes stand somewhere in a file, there is an answer or one kind of refusal."""
    whole = export(SMALL)
    broken = whole[:at] + noise + whole[at + len(noise) :]
    assert len(read_or_refuse(tmp_path_factory.getbasetemp() / "broken.onnx", broken)) <= len(SMALL) + 1


# Spleeter's network


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """Load one network from an export of the golden weights under their published names."""
    arrays, state = golden("spleeter_unet")
    path = tmp_path_factory.mktemp("spleeter") / "vocals.onnx"
    path.write_bytes(export({name: x.numpy() for name, x in state.items() if x.is_floating_point()}))
    network = _spleeter.UNet()
    network.load_state_dict(spleeter.read([path]), strict=True)
    return arrays, frozen(network)


def magnitudes():
    """Return the golden magnitudes, (b, channels, frames, bins)."""
    drawn = fill.inputs("spleeter.magnitude", (2, 2, 64, 64), 0)
    return torch.from_numpy(10 * np.abs(drawn)).transpose(0, 1)


def off(network, arrays):
    """Return the largest difference from the golden stem."""
    found = network(magnitudes()).transpose(0, 1).numpy()
    return max(
        np.abs(found[..., ::2, ::2] - arrays["stem"]).max(), np.abs(found[..., -6:, -6:] - arrays["corner"]).max()
    )


def test_the_unet_is_the_published_one(unet):
    """The stem, its last corner and the maps inside are those of the class that was exported."""
    arrays, network = unet
    maps, hooks = {}, []
    places = {"conv": "down.0", "bn": "down_norm.0", "conv5": "down.5", "up1": "up.0", "up6": "up.5"}
    for published, ours in (places | {"bn10": "up_norm.5"}).items():
        keep = lambda _, __, found, name=published: maps.update({name: found})  # noqa: E731
        hooks.append(network.get_submodule(ours).register_forward_hook(keep))
    assert off(network, arrays) < 1e-3
    for name, found in maps.items():
        for kind, got in {"mean": found.mean((0, 2, 3)), "std": found.std((0, 2, 3), correction=0)}.items():
            np.testing.assert_allclose(got, arrays[f"{name}_{kind}"], rtol=1e-3, atol=1e-4)
    assert len(maps) == 6
    for hook in hooks:
        hook.remove()


def test_a_mistake_in_the_unet_is_noticed(unet, monkeypatch):
    """Padding on the other side, or torch's usual epsilon, moves the stem far beyond the tolerance."""
    arrays, network = unet
    with monkeypatch.context() as patch:
        patch.setattr(_spleeter, "SAME", (2, 1, 2, 1))
        assert off(network, arrays) > 1
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            monkeypatch.setattr(module, "eps", 1e-5)
    assert off(network, arrays) > 0.01


# Spleeter's spectrum


class All(nn.Module):
    """A mask that keeps all it is shown."""

    def forward(self, shown):
        """Keep everything."""
        return torch.ones_like(shown)


class Loud(nn.Module):
    """A mask that depends on everything that is shown at once."""

    def forward(self, shown):
        """Keep what is loud among 512 frames."""
        assert shown.shape == (512, 1024)
        return shown / (shown + shown.mean())


@pytest.mark.parametrize("samples", [1, 1023, 1024, 4097, 520_192, 520_193])
def test_what_the_mask_keeps_comes_back(samples):
    """Through spectrum and back a sound below 11 kHz is itself, to its last sample, and of one above nothing stays."""
    ramp = np.hanning(samples)
    low, high = (tone(samples, 440) * ramp).astype(np.float32), (tone(samples, 15_000) * ramp).astype(np.float32)
    clean = spleeter.ready(All(), "cpu")
    assert clean(low).shape == low.shape
    np.testing.assert_allclose(clean(low), low, atol=1e-5)
    np.testing.assert_allclose(clean(high), 0, atol=1e-5)


def whole_spleeter(sound, mask):
    """Separate a whole sound at once in numpy's own double precision, as Spleeter's authors describe it."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4096) / 4096)
    frames = -(-(4096 + len(sound)) // 1024)
    padded = np.concatenate([np.zeros(4096), sound, np.zeros(4096)])
    spectrum = np.stack([np.fft.rfft(padded[i * 1024 : i * 1024 + 4096] * window) for i in range(frames)])
    pieces = np.zeros((-(-frames // 512) * 512, 2049))
    pieces[:frames] = np.abs(spectrum)
    masks = np.zeros_like(pieces)
    for first in range(0, len(pieces), 512):
        shown = torch.from_numpy(pieces[first : first + 512, :1024])
        masks[first : first + 512, :1024] = mask(shown).numpy()
    out = np.zeros(len(padded) + 4096)
    for i, frame in enumerate(np.fft.irfft(spectrum * masks[:frames])):
        out[i * 1024 : i * 1024 + 4096] += frame * window * 2 / 3
    return out[4096 : 4096 + len(sound)]


@pytest.mark.parametrize("seconds", [0.01, 1.3, 11.9, 30.0])
def test_working_piece_by_piece_changes_nothing(seconds):
    """A sound of one, two or three pieces comes out as if it had been separated whole."""
    sound = noise(int(seconds * RATE_HZ))
    found = spleeter.ready(Loud(), "cpu")(sound)
    np.testing.assert_allclose(found, whole_spleeter(sound, Loud()), atol=2e-6)
    assert np.abs(found - sound).max() > 0.05


@pytest.fixture(scope="module")
def spleeter_clean():
    """Load both networks at full size with random weights."""
    with using("random:0"):
        return spleeter.load("cpu")


def test_spleeter_at_full_size(spleeter_clean):
    """Random networks let part of a sound through: a finite sound as long, the same each time, and silence stays."""
    sound = noise(3 * RATE_HZ)
    found = spleeter_clean(sound)
    assert found.dtype == np.float32
    assert found.shape == sound.shape
    assert 0.1 < np.abs(found).mean() / np.abs(sound).mean() < 0.9
    assert not spleeter_clean(np.zeros(RATE_HZ, np.float32)).any()
    np.testing.assert_array_equal(spleeter_clean(sound), found)


def test_two_equal_stems_share_each_point():
    """Where both networks say the same, a half is kept, also of silence."""
    network = frozen(_spleeter.Spleeter())
    network.vocals = network.accompaniment = nn.Identity()
    shown = torch.rand(512, 1024)
    shown[:, 7] = 0
    torch.testing.assert_close(network(shown), torch.full_like(shown, 0.5))


# Demucs' network


@pytest.fixture(scope="module")
def small():
    """Return Demucs at a reduced size with the golden weights."""
    arrays, state = golden("htdemucs_small")
    for name in state:
        if name.endswith(".scale"):
            state[name] *= 25
    network = _htdemucs.HTDemucs(channels=16, width=64, heads=4)
    network.load_state_dict(state, strict=True)
    return arrays, frozen(network)


SAMPLES = 22_050


def mixes():
    """Return the two golden stereo sounds, (b, 2, samples)."""
    tones = np.stack([tone(SAMPLES, 220), tone(SAMPLES, 3100)])
    mix = (0.1 * fill.inputs("htdemucs.mix", (2, 2, SAMPLES), 0) + 0.3 * tones[:, None]).astype(np.float32)
    mix[1] *= np.float32(0.05)
    return torch.from_numpy(mix)


def change(network, arrays):
    """Return the largest difference from the golden vocals."""
    found = network(mixes()).numpy()
    parts = {"vocals": found[..., ::11], "vocals_first": found[..., :48], "vocals_last": found[..., -48:]}
    return max(np.abs(got - arrays[name]).max() for name, got in parts.items())


def test_demucs_is_the_authors(small):
    """The vocals are those of the authors' code, and so is what each stage of both branches gives."""
    arrays, network = small
    maps, hooks = {}, []
    for name in [f"{branch}coder.{i}" for branch in ("en", "ten", "de", "tde") for i in range(4)]:
        keep = lambda _, __, found, name=name: maps.update({name: found})  # noqa: E731
        hooks.append(network.get_submodule(name).register_forward_hook(keep))
    both = lambda _, __, found: maps.update(crosstransformer=found[0], crosstransformer_t=found[1])  # noqa: E731
    hooks.append(network.crosstransformer.register_forward_hook(both))
    assert change(network, arrays) < 1e-5
    assert len(maps) == 18
    for name, found in maps.items():
        axes = [axis for axis in range(found.dim()) if axis != 1]
        np.testing.assert_allclose(found.mean(axes), arrays[f"{name}_mean"], rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(found.std(axes, correction=0), arrays[f"{name}_std"], rtol=1e-4, atol=1e-5)
    for hook in hooks:
        hook.remove()


def crossed_late(self, x, xt):
    """Let the waveform's branch look at the spectrum's after its layer instead of before it."""
    _, width, rows, columns = x.shape
    x = self.norm_in(x.permute(0, 3, 2, 1).flatten(1, 2)) + _htdemucs_transformer.places_2d(width, rows, columns)
    xt = self.norm_in_t(xt.transpose(1, 2)) + _htdemucs_transformer.places(width, xt.shape[2])
    for layer, layer_t in zip(self.layers, self.layers_t, strict=True):
        x = layer(x, xt)
        xt = layer_t(xt, x)
    return x.unflatten(1, (columns, rows)).permute(0, 3, 2, 1), xt.transpose(1, 2)


MISTAKES = {
    "another source": lambda patch: patch.setattr(_htdemucs, "VOCALS", 2),
    "frequencies told apart less": lambda patch: patch.setattr(_htdemucs, "EMBEDDING_GAIN", 0.2),
    "places of rows as columns": lambda patch: patch.setattr(
        _htdemucs_transformer, "places_2d", lambda width, rows, columns: PLACES(width, columns, rows)
    ),
    "crossing late": lambda patch: patch.setattr(_htdemucs_transformer.CrossTransformer, "forward", crossed_late),
    "every skip at another place": lambda patch: patch.setattr(_htdemucs, "MARGIN", 1),
    "no scale": lambda patch: patch.setattr(_htdemucs_transformer.Scale, "forward", lambda _, x: x),
}
PLACES = _htdemucs_transformer.places_2d


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_demucs_is_noticed(small, monkeypatch, name):
    """Each way of building it wrongly moves the vocals far beyond the tolerance."""
    arrays, network = small
    MISTAKES[name](monkeypatch)
    moved = change(network, arrays)
    assert moved > 1e-3, f"{name} moves the vocals by {moved:.1e}"


@pytest.mark.parametrize("samples", [50_001, 22_050, 16_537, 16_538, 300])
def test_segments_are_those_of_the_authors(small, samples):
    """A sound of one segment, of several or of less than one comes out as the authors' way to apply it gives."""
    arrays, network = small
    wave = 0.1 * fill.inputs("htdemucs.wave", (50_001,), 0) + 0.3 * tone(50_001, 220) + 0.01
    found = demucs.ready(network, "cpu", SAMPLES)(wave.astype(np.float32)[:samples])
    assert found.dtype == np.float32
    assert found.shape == (samples,)
    np.testing.assert_allclose(found[::17], arrays[f"applied_{samples}"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[-32:], arrays[f"applied_{samples}_last"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 2, 16_538])
def test_silence_and_the_shortest_sounds(small, samples):
    """Silence stays silence, and of a constant or of a few samples as many finite ones are made."""
    clean = demucs.ready(small[1], "cpu", SAMPLES)
    silent = clean(np.zeros(samples, np.float32))
    assert silent.shape == (samples,)
    assert np.abs(silent).max(initial=0) < 1e-6
    assert np.isfinite(clean(np.full(samples, 0.3, np.float32))).all()


def test_a_clip_knows_no_other(small):
    """What came before changes no bit of a sound."""
    clean, sound = demucs.ready(small[1], "cpu", SAMPLES), noise(20_000)
    found = clean(sound)
    clean(noise(10_000, seed=1))
    np.testing.assert_array_equal(clean(sound), found)


def test_fading_leaves_what_segments_agree_on():
    """Segments that say the same are joined to just that, whatever the length."""
    for samples in (1, 74, 75, 76, 100, 151, 999):
        sound = noise(samples)
        np.testing.assert_allclose(demucs.joined(lambda piece: 2 * piece, sound, 100), 2 * sound, rtol=1e-6)


# Reading Demucs' checkpoint


@pytest.fixture
def package(monkeypatch):
    """Save a dictionary as the authors do, their class and old numpy's names included."""
    names = {"demucs": {}, "demucs.htdemucs": {"HTDemucs": type("HTDemucs", (), {"__module__": "demucs.htdemucs"})}}
    scalar = types.FunctionType((lambda kind, data: (kind, data)).__code__, {}, "scalar")
    scalar.__module__, scalar.__qualname__ = "numpy.core.multiarray", "scalar"
    names |= {"numpy.core": {}, "numpy.core.multiarray": {"scalar": scalar}}

    class Score:
        """A number as numpy before 2 pickled it."""

        def __reduce__(self):
            return scalar, (np.dtype("float64"), b"12345678")

    def save(path, state, **more):
        with monkeypatch.context() as patch:
            for module, held in names.items():
                made = types.ModuleType(module)
                vars(made).update(held)
                patch.setitem(sys.modules, module, made)
            saved = {"klass": names["demucs.htdemucs"]["HTDemucs"], "args": (), "state": state}
            saved["kwargs"] = {"sources": ["drums", "bass", "other", "vocals"], "segment": Fraction(39, 5)}
            saved |= {"training_args": {"epochs": 1200, "seed": 42}, "metrics": ({"loss": Score()}, None)}
            torch.save(saved | more, path)

    return save


def test_the_checkpoint_is_read_as_weights_alone(package, tmp_path):
    """Of the published form, half precision and all, the weights are read; nothing that it names is ever made."""
    _, state = golden("htdemucs_small")
    package(tmp_path / "good.th", {name: x.half() for name, x in state.items()})
    found = demucs.read([tmp_path / "good.th"])
    assert found.keys() == state.keys()
    network = _htdemucs.HTDemucs(channels=16, width=64, heads=4)
    network.load_state_dict(found, strict=True)
    assert {x.dtype for x in network.state_dict().values()} == {torch.float32}
    assert not any(name.startswith("demucs") for name in sys.modules)


@pytest.mark.parametrize("more", [{"optim": print}, {"best": subprocess.run}])
def test_a_checkpoint_that_names_more_is_refused(package, tmp_path, more):
    """A name that the published checkpoint does not hold is not looked up."""
    package(tmp_path / "bad.th", {}, **more)
    with pytest.raises(Exception, match="Weights only load failed"):
        demucs.read([tmp_path / "bad.th"])


# Both at full size


@pytest.mark.slow
@EVERY
def test_threads_do_not_change_a_sound(name):
    """At full size, with random weights, two cores give what one gives, within a millionth of the loudest sample."""
    with using("random:0"):
        clean = denoisers.module(name).load("cpu")
    sound = noise(3 * RATE_HZ)
    one = clean(sound)
    assert one.shape == sound.shape
    assert np.isfinite(one).all()
    assert one.std() > 1e-3
    torch.set_num_threads(2)
    try:
        np.testing.assert_allclose(clean(sound), one, atol=1e-6)
    finally:
        torch.set_num_threads(1)


@pytest.mark.slow
def test_each_export_is_loaded_into_its_own_network(tmp_path, monkeypatch):
    """From verified files under WEIGHTS_ROOT the voice's network is the first's and the other the second's."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    networks, pinned = _spleeter.Spleeter(), []
    shapes = {name: x.shape for name, x in golden("spleeter_unet")[1].items() if x.is_floating_point()}
    for seed, (its, network) in enumerate(zip(spleeter.WEIGHTS, networks.children(), strict=True)):
        state = fill.fill_({name: torch.zeros(shape) for name, shape in shapes.items()}, seed)
        network.load_state_dict({ours: state[published] for ours, published in spleeter.published().items()})
        its.folder.mkdir(parents=True, exist_ok=True)
        path = its.folder / its.files[0]
        path.write_bytes(export({name: x.numpy() for name, x in state.items()}))
        pinned.append(replace(its, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    sound = noise(RATE_HZ)
    expected = spleeter.ready(networks, "cpu")(sound)
    monkeypatch.setattr(spleeter, "WEIGHTS", tuple(pinned))
    np.testing.assert_array_equal(spleeter.load("cpu")(sound), expected)
    pinned[1].folder.joinpath(pinned[1].files[0]).write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"accompaniment\.onnx: expected sha256"):
        spleeter.load("cpu")
