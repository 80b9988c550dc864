"""What every test can rely on: no network, roots of its own, and the data beside the checkout or a skip saying why."""

import ipaddress
import os
import socket
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from browser_kit import Browser
from hypothesis import settings

from features import Key, Windows, Writer, folder_of

ROOTS = ("FEATURES_ROOT", "MANIFESTS_ROOT", "RUNS_ROOT", "DEMO_ROOT", "WEIGHTS_ROOT")
TOY = Key("toy", 1, "clip")
DATA = Path(__file__).parents[2] / "shared" / "data"

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_configure():
    """Say offline before any library is imported; subprocesses inherit it."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")


def pytest_collection_modifyitems(items):
    """Let the tests of one encoder follow each other: the large ones are loaded once, and never two at a time."""
    places = [place for place, item in enumerate(items) if item.path.name == "test_encoders.py"]
    named = sorted(
        (items[place] for place in places),
        key=lambda item: item.callspec.params.get("name", "") if hasattr(item, "callspec") else "",
    )
    for place, item in zip(places, named, strict=True):
        items[place] = item


@pytest.fixture(scope="session", autouse=True)
def _alone():
    """Refuse the network to every test, and leave torch no more threads than a small machine has."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(2)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _local_only(getattr(socket.socket, name)))
        yield


def _local_only(connect):
    def checked(self, address):
        # Connecting a datagram socket sends nothing; dask asks so for its own address.
        if self.family in (socket.AF_INET, socket.AF_INET6) and self.type != socket.SOCK_DGRAM:
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                pytest.fail(f"a test wanted the network: {address}")
        return connect(self, address)

    return checked


@pytest.fixture(scope="module")
def one_thread():
    """Leave torch one thread: several wait for each other while other tests run."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """Point every root into a folder of the test's own; return that folder."""
    for name in ROOTS:
        monkeypatch.setenv(name, str(tmp_path / name.removesuffix("_ROOT").lower()))
    return tmp_path


@pytest.fixture
def shared(request):
    """Return the data that lie beside the checkout, or one folder of them where the test names it as parameter."""
    path = DATA / getattr(request, "param", "")
    if not path.is_dir():
        pytest.skip(f"{path} is not there: this test compares with real data, which are not part of the repository")
    return path


@pytest.fixture(scope="module")
def browser():
    """Start one browser for all tests of a file."""
    with Browser() as one:
        yield one


@pytest.fixture
def fill(roots):  # noqa: ARG001 - it says where the cache lies
    """Return a function that writes one part: clips with their sources, whose values follow from both."""

    def write(key=TOY, corpus="toys", licence="MIT", **sources):
        with Writer(folder_of(corpus, key), key, {"numpy": "2"}, licence) as writer:
            for clip, source in sources.items():
                value = zlib.crc32(f"{clip} {source}".encode()) % 1000
                writer.add(clip, source, Windows.join([np.full((2, 3), value, np.float32)], [(0, 1)], [2]))
        return writer.path

    return write
