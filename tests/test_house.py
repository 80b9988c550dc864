"""The laws of the house, each with a watcher: who imports whom, what is never executed, what is never shipped."""

import ast
import functools
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path, PurePath

import pytest

HERE = Path(__file__).parents[1]
ALLOWED = {
    "extract": {"extract", "features", "manifests"},
    "features": {"features"},
    "fuse": {"features", "fuse", "manifests"},
    "manifests": {"manifests"},
}
ROOMS = {
    "av": ["extract/media*.py", "manifests/corpora/_demo_*.py", "manifests/probe.py"],
    "h5py": ["features/hdf5*.py", "manifests/corpora/_csd.py"],
    "dask": ["extract/scale.py"],
    "distributed": ["extract/scale.py"],
    "ultralytics": ["extract/encoders/*.py"],
    "dlib": ["extract/encoders/*.py"],
    "tensorboardX": ["fuse/board.py"],
    "urllib": ["extract/fetch.py"],  # and with it the network
}
ONE_FILE = {"ultralytics", "dlib"}
TOP = set("extract features fuse manifests tests docs .ci Makefile pyproject.toml requirements.lock .gitignore".split())
TOP |= set("README.md LICENSE CHANGELOG.md CONTRIBUTING.md".split())
DECODERS = "av cv2 dask distributed dlib facenet_pytorch librosa opensmile silero_vad skimage torchvision transformers"
READ_ONLY = f"{DECODERS} ultralytics matplotlib pandas scipy sklearn torch"
TRAIN = f"{DECODERS} ultralytics"


@functools.cache
def files(*endings):
    """List what is or would be committed, relative to the checkout, by how the names end."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return sorted({Path(name) for name in listed if name.endswith(endings or "") and (HERE / name).is_file()})


def modules():
    """List the modules of the four packages."""
    return [path for path in files(".py") if path.parts[0] in ALLOWED]


@functools.cache
def tree(path):
    """Parse one file of the checkout."""
    return ast.parse((HERE / path).read_text(encoding="utf-8"))


def imported(code):
    """Name every module that code imports, also inside functions and by name."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))


def executed(code):
    """Name every place where code could run what came from outside."""
    pickles = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    yield from pickles & {name.partition(".")[0] for name in imported(code)}
    for node in ast.walk(code):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        if name in {"eval", "exec", "compile", "os.system", "torch.hub.load"}:
            yield name
        if name == "torch.load" and options.get("weights_only") != "True":
            yield "torch.load without weights_only=True"
        yield from (
            option
            for option in ("trust_remote_code", "allow_pickle", "shell")
            if options.get(option, "False") != "False"
        )


def ours(path, code):
    """Name the packages of ours that a file imports; a relative import is one of its own package."""
    heads = {path.parts[0] if name.startswith(".") else name.partition(".")[0] for name in imported(code)}
    return heads & ALLOWED.keys()


def test_import_directions():
    """A clip goes left to right: machines never import each other, shelves import nothing of ours."""
    wrong = {str(path): found - ALLOWED[path.parts[0]] for path in modules() if (found := ours(path, tree(path)))}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_has_one_room(library):
    """What decodes, opens HDF5 or schedules is imported where the house says, and nowhere else."""
    users = [path for path in modules() if library in {name.partition(".")[0] for name in imported(tree(path))}]
    assert [path for path in users if not any(PurePath(path).match(room) for room in ROOMS[library])] == []
    assert len(users) <= 1 or library not in ONE_FILE


def test_nothing_from_outside_is_executed():
    """Law 13: no pickle, no remote code, no eval, and weights are only ever read as weights."""
    assert {str(path): found for path in modules() if (found := [*executed(tree(path))])} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "def f():\n    import_module('dill.session')",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "numpy.load(path, allow_pickle=allowed)",
        "subprocess.run(line, shell=True)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_the_watcher_sees(code):
    """Each forbidden thing is recognised, so that the test above can fail."""
    assert [*executed(ast.parse(code))]


@pytest.mark.parametrize("code", ["model.eval()", "torch.load(path, weights_only=True)", "re.compile(text)"])
def test_the_watcher_is_fair(code):
    """What only looks alike is not forbidden."""
    assert not [*executed(ast.parse(code))]


def test_only_commands_print():
    """Print stands in `__main__.py` and nowhere else; the rest returns or raises."""
    calls = {
        f"{path}:{node.lineno}"
        for path in modules()
        if path.name != "__main__.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert calls == set()


def test_nothing_is_left_to_do_in_code():
    """What is left to do stands in an issue, not in a comment."""
    words = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b")  # which does not hold what it looks for
    assert [str(path) for path in files(".py") if words.search((HERE / path).read_text(encoding="utf-8"))] == []


def test_everything_lies_in_its_room():
    """The top level is fixed, `features` has no sub-packages, and no module is called utils."""
    listed = files()
    assert {path.parts[0] for path in listed} <= TOP
    assert [path for path in listed if path.parts[0] == "features" and len(path.parts) > 2] == []
    assert [path for path in listed if path.stem in {"utils", "util", "helpers", "common"}] == []


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_is_the_checkouts_own(package):
    """Neither a foreign package of the same name nor a link to a shared disk stands in for ours."""
    assert Path(import_module(package).__file__).resolve().relative_to(HERE).parts[0] == package


EVERY_MODULE = """
import pkgutil, {0}
[__import__(module.name) for module in pkgutil.walk_packages({0}.__path__, '{0}.')]
"""
LIGHT = {
    "features": ("import features", READ_ONLY),
    "features --help": (
        "import contextlib\nfrom features.__main__ import main\nwith contextlib.suppress(SystemExit): main(['--help'])",
        READ_ONLY,
    ),
    "all of features": (EVERY_MODULE.format("features"), READ_ONLY),
    "listing encoders": (
        "from extract import encoders\n[encoders.spec(name) for name in encoders.names()]",
        READ_ONLY,
    ),
    "planning": ("import extract.plan, extract.__main__", READ_ONLY),
    "manifests": ("import manifests.__main__", READ_ONLY),
    "all of fuse": (EVERY_MODULE.format("fuse"), TRAIN),
}


@pytest.mark.parametrize("what", LIGHT)
def test_imports_are_light(what):
    """Whoever only reads a cache needs no torch, and whoever only trains needs no decoder and no encoder."""
    code, heavy = LIGHT[what]
    code += f"\nimport sys\nprint('loaded:', *sorted(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def make(*arguments):
    """Run make outside of whatever make runs the tests."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=HERE, env=env, capture_output=True, text=True, check=True).stdout


MAKEFILE = (HERE / "Makefile").read_text(encoding="utf-8")
TARGETS = [name for name in re.findall(r"^([\w.-]+):(?!=)", MAKEFILE, re.MULTILINE) if name != ".PHONY"]


def test_every_target_is_phony():
    """`features` is a folder too: make must never take a target for a file."""
    phony = re.findall(r"^\.PHONY:(.*)", MAKEFILE, re.MULTILINE)
    assert sorted(" ".join(phony).split()) == sorted(TARGETS)


@pytest.mark.parametrize("target", sorted({"features", "fuse", "manifest", "demo", "test", "check"}))
def test_a_target_is_never_up_to_date(target):
    """Each target has commands to run, although a folder of its name may exist."""
    assert ".venv/bin/python -m" in make("-n", target)


def test_help_comes_first_and_is_complete():
    """Plain `make` is help, and help names every target."""
    assert TARGETS[0] == "help"
    assert [target for target in TARGETS if not re.search(rf"^ +make {target} ", make(), re.MULTILINE)] == []


def test_the_lock_pins_everything_by_hash():
    """Every requirement is one version with its hashes, every declared package is among them, and no host is named."""
    text = (HERE / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.findall(r"^(?! |#).+(?:\n(?= ).*)*", text, re.MULTILINE)
    pinned = re.compile(r"([a-z0-9-]+)==[\w.+!-]+( ; [^\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+(?:\n    #.*)*")
    matches = [pinned.fullmatch(block) for block in blocks]
    assert [block for block, match in zip(blocks, matches, strict=True) if not match] == []
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[^\w-]", line)[0].lower().replace("_", "-") for line in declared} - {project["name"]}
    assert names - {match[1] for match in matches if match} == set()
    assert re.findall(r"\w+://\S+", text) == []


# Said so that this file does not hold what it forbids.
HOSTS = "py~pi.org python~hosted.org download.py~torch.org ana~conda.org".replace("~", "").split()
PATHS = re.compile(rb"(?<![\w.~-])/(?:wo[r]k|ro[o]t|hom[e]/\w+|User[s]/\w+)/")


@pytest.mark.parametrize("path", files(), ids=str)
def test_a_file_is_small_and_names_no_machine(path):
    """No file is larger than 1 MB, names a package registry, or holds a path of a developer's machine."""
    data = (HERE / path).read_bytes()
    assert len(data) <= 1_000_000
    assert [host for host in HOSTS if host.encode() in data] == []
    assert PATHS.findall(data) == []


def test_the_wheel_holds_code_and_recipes_alone(tmp_path):
    """Caches and manifests lie inside the packages' folders, and neither is ever packed, with or without git."""
    tree_copy = tmp_path / "copy"
    for path in files():
        if path.name != ".gitignore":
            (tree_copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HERE / path, tree_copy / path)
    data = ["features/demo/toy-0cdb92d1/part-0.h5", "features/demo/toy-0cdb92d1/spec.json", "features/x.h5"]
    data += ["features/demo/toy-0cdb92d1/failures.jsonl", "manifests/demo.jsonl", "fuse/run.json", ".runs/a/report.md"]
    for name in data:
        (tree_copy / name).parent.mkdir(parents=True, exist_ok=True)
        (tree_copy / name).touch()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=tree_copy, capture_output=True, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {Path(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == {*modules(), *(path for path in files(".toml") if path.parts[:2] == ("fuse", "recipes"))}


@pytest.mark.parametrize("path", files(".py"), ids=str)
def test_everything_says_what_it_is(path):
    """Every module has a docstring, and every test one sentence that says what it proves."""
    code = tree(path)
    assert ast.get_docstring(code)
    tests = [node for node in ast.walk(code) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    sentence = re.compile(r"(?:(?![.!?]\s+[A-Z]|\n\n).)+[.!?]", re.DOTALL)
    assert [test.name for test in tests if not sentence.fullmatch(ast.get_docstring(test) or "")] == []


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_the_network_is_refused(method):
    """A test that wants the network fails at once, and one that talks to itself does not."""
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match="wanted the network"):
        getattr(client, method)(("192.0.2.1", 80))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        assert not getattr(client, method)(server.getsockname())


def test_settings_reach_fuse_whole():
    """A setting with parentheses, as every grid has, is not taken apart by the shell."""
    shown = make("-n", "fuse", "SET=encoders.audio.grid=windows(3,2,2) train.lr=1")
    assert "--set 'encoders.audio.grid=windows(3,2,2)' 'train.lr=1'" in " ".join(shown.split())
