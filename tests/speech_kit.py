"""Sounds, weights and numbers that the tests of speech networks share."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import media_kit
import numpy as np
import torch
from golden import fill

from extract.media import Files, Need
from extract.weights import Weights

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    """Read what the authors' code gave for weights and inputs that are made from names."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = dict(file)
    return arrays | json.loads(str(arrays.pop("meta")))


def weights(golden):
    """Fill the same weights under the authors' names."""
    return fill.fill_({name: torch.zeros(shape) for name, shape in golden["state_dict"].items()}, golden["seed"])


def offered(save, name, root, monkeypatch):
    """Save a checkpoint where weights are looked for, and return its pin."""
    monkeypatch.setenv("WEIGHTS_ROOT", str(root))
    pin = Weights("a/b", (name,), sha256="", revision="r")
    pin.folder.mkdir(parents=True)
    save(pin.folder / name)
    return replace(pin, sha256=hashlib.sha256((pin.folder / name).read_bytes()).hexdigest())


def recorded(folder, name):
    """Decode 3 s of real speech as encoders hear them."""
    with Files(folder) as files:
        return files.read(media_kit.clip(name), Need(frozenset({16_000})), lambda *_: None).sound[16_000][:48_000]


def sound(key, samples):
    """Make one golden sound of the wav2vec 2.0 family."""
    t, noise = _base(key, samples)
    kinds = [0.3 * noise, _tone(t), _tones(t), _sweep(t)]
    return (0.3 * _in_turn(kinds) + 0.01 * noise + 0.02).astype(np.float32)


def livelier(key, samples):
    """Make one golden sound of emotion2vec."""
    t, noise = _base(key, samples)
    clicks = np.where(np.arange(samples) % 160 == 0, 1.0, 0.0)
    kinds = [0.3 * noise, _tone(t), np.zeros(samples), _tones(t), clicks, _sweep(t)]
    return (_in_turn(kinds) + 0.02 * noise + 0.05).astype(np.float32)


def windows(make, key, lengths):
    """Cut or pad golden sounds to 3 s; return them and how much of each is real."""
    sounds = [make(f"{key}.{j}", samples)[:48_000] for j, samples in enumerate(lengths)]
    padded = np.stack([np.pad(one, (0, 48_000 - len(one))) for one in sounds])
    return padded, np.array([len(one) for one in sounds])


def _base(key, samples):
    return np.arange(samples) / 16_000, fill.inputs(key, (samples,), 0).astype(np.float64)


def _tone(t):
    return 0.5 * np.sin(2 * np.pi * 220 * t)


def _tones(t):
    return 0.3 * np.sin(2 * np.pi * 1000 * t) + 0.3 * np.sin(2 * np.pi * 3100 * t)


def _sweep(t):
    return 0.4 * np.sin(2 * np.pi * (100 + 2000 * t) * t)


def _in_turn(kinds):
    return np.choose((np.arange(len(kinds[0])) // 1200) % len(kinds), kinds)
