"""The *read* ring alone: an environment with h5py, numpy and xxhash, and nothing else, reads a shared cache."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
RING = ("h5py", "numpy", "xxhash")
BEYOND = ("torch", "pandas", "transformers", "fsspec", "pyarrow", "datasets", "av", "dask", "sklearn")


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    """A fresh environment to which nothing is linked but the ring's packages, with shared libraries of their own."""
    place = tmp_path_factory.mktemp("ring") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    for name in RING:
        installed = Path(importlib.util.find_spec(name).origin).parent
        for folder in (installed, installed.with_name(f"{name}.libs")):
            if folder.is_dir():
                (packages / folder.name).symlink_to(folder)
    return place / "bin" / "python"


@pytest.fixture
def alone(ring, fill, tmp_path):
    """Return a function that runs that Python elsewhere on a cache of two clips, with the checkout on its path."""
    fill(a="1", b="1")
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FEATURES_ROOT": os.environ["FEATURES_ROOT"],
    }
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*arguments):
        command = [ring, *arguments]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    return run


def test_there_is_nothing_else(alone):
    """What the ring does not have cannot be imported there, and all that `features` has can."""
    code = f"""
import importlib.util, pkgutil, features
print([name for name in {BEYOND} if importlib.util.find_spec(name)])
print(len([__import__(module.name) for module in pkgutil.walk_packages(features.__path__, "features.")]))
import torch
"""
    done = alone("-c", code)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'torch'"
    assert done.stdout.splitlines() == ["[]", str(len([*HERE.glob("features/*.py")]) - 1)]


def test_clips_are_read(alone):
    """A corpus is opened, listed, and its windows are numpy's; nothing is loaded that shares them."""
    code = """
import features, numpy, sys
open("labels.csv", "w").write("id,split\\na,train\\nb,test\\n")
with features.open("toys") as cache:
    print(cache)
    windows = [cache["toy"][clip] for clip in features.table("labels.csv")]
print(type(windows[0].stack()) is numpy.ndarray, *(one.stack().shape for one in windows))
print([name for name in ("exchange", "imported", "places", "remote", "share") if f"features.{name}" in sys.modules])
"""
    done = alone("-c", code)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "toys: 1 entry",
        "  toy  2 clips  clip  float16  'a': (1, 2, 3)",
        "True (1, 2, 3) (1, 2, 3)",
        "[]",
    ]


@pytest.mark.parametrize(
    ("command", "said"), [("ls", "toy-0cdb92d1"), ("show", "toy-0cdb92d1"), ("verify", "1 parts checked, 0 damaged")]
)
def test_the_cache_is_looked_at(alone, command, said):
    """The commands that list, show and verify a cache need nothing more either."""
    done = alone("-m", "features", command)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


def test_a_dataset_says_what_it_needs(alone):
    """Whoever asks for a torch `Dataset` is told which install has it."""
    done = alone("-c", "import features\nfeatures.open('toys').dataset({'audio': 'toy'})")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: torch is not installed; it comes with: pip install '.[train]' (or make setup)"
    )
