"""yolo_face: the cage holds, and what stands around the network does what ultralytics does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from extract import weights
from extract.encoders import _ultralytics, _yolo, yolo_face
from extract.network import fill
from extract.weights import WeightsError

SIZES = [(720, 1280), (288, 360), (360, 288), (1080, 1920), (640, 640), (481, 853), (1, 1), (3, 2000), (33, 31)]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def theirs():
    """Import the parts of ultralytics that ours are compared with, caged."""
    _ultralytics._tasks()
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes

    return LetterBox, non_max_suppression, scale_boxes


def pictures(height, width, many=1, seed=0):
    """Return noise that differs from place to place."""
    coarse = np.random.default_rng(seed).integers(0, 256, (many, height // 9 + 1, width // 9 + 1, 3), np.uint8)
    return coarse.repeat(9, 1).repeat(9, 2)[:, :height, :width].copy()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_frames_are_brought_to_size_as_ultralytics_does(theirs, height, width):
    """Scaled and padded frames are equal to the byte, on every shape, and the way back is where it came from."""
    images = pictures(height, width)
    found, scale, added = _yolo.letterbox(images, 640)
    np.testing.assert_array_equal(found[0], theirs[0](640, auto=True, stride=32)(image=images[0]))
    assert max(found.shape[1:3]) == 640
    assert {side % 32 for side in found.shape[1:3]} == {0}
    boxes = torch.tensor([[10.0, 20, 300, 310, 0.5], [0, 0, 640, 640, 0.1]])
    wanted = theirs[2](found.shape[1:3], boxes[:, :4].clone(), (height, width))
    if min(height, width) > 30:  # where a side is rounded to a pixel or two, ultralytics takes each side's own scale
        np.testing.assert_allclose(_yolo.placed(boxes, scale, added, width, height)[:, :4], wanted, atol=0.5)


@pytest.fixture(scope="module")
def network():
    """Build the network with random weights that see faces everywhere."""
    built = yolo_face.build()
    fill(built, 0)
    return built.eval().requires_grad_(requires_grad=False)


def test_what_the_network_says_is_decoded_as_ultralytics_does(network):
    """Boxes and confidences of a whole picture, before suppression, are those of ultralytics' own head."""
    x = torch.from_numpy(pictures(192, 320, 2)).permute(0, 3, 1, 2) / 255
    network.model[-1].dfl.conv.weight.data[:] = torch.arange(16.0)[None, :, None, None]
    wanted, said = network(x)
    found = _yolo.decoded(said["boxes"], said["scores"], 192, 320)
    middles, sides = wanted[:, :2], wanted[:, 2:4]
    corners = torch.cat([middles - sides / 2, middles + sides / 2, wanted[:, 4:]], 1)
    np.testing.assert_allclose(found, corners.transpose(1, 2), rtol=1e-4, atol=1e-3)


def test_doubles_are_suppressed_as_ultralytics_does(theirs):
    """Of boxes in heaps the same rows stay, in the same order."""
    heaps = torch.rand(20, 1, 4, generator=torch.Generator().manual_seed(0)) * 300
    rows = (heaps + torch.rand(20, 30, 4, generator=torch.Generator().manual_seed(1)) * 40).reshape(-1, 4)
    rows[:, 2:] += rows[:, :2] + 60
    confidences = torch.rand(600, 1, generator=torch.Generator().manual_seed(2)) * 0.05
    found = _yolo.kept(torch.cat([rows, confidences], 1), 0.01, 0.5, 300)
    middles, sides = (rows[:, :2] + rows[:, 2:]) / 2, rows[:, 2:] - rows[:, :2]
    given = torch.cat([middles, sides, confidences], 1).T[None]
    wanted = theirs[1](given, conf_thres=0.01, iou_thres=0.5, max_det=300)[0]
    assert 20 < len(wanted) < 300
    np.testing.assert_allclose(found, wanted[:, :5], rtol=1e-5, atol=1e-3)


@pytest.fixture
def every(monkeypatch):
    """Load the detector so that it returns all its boxes, sure or not; random weights are sure of none."""
    monkeypatch.setattr(_yolo, "kept", lambda found, *_: found)

    def load(precision):
        with weights.using("random:0"):
            return yolo_face.load("cpu", precision)

    return load


@pytest.mark.parametrize(("precision", "tolerance_px"), [("exact", 0.01), ("fast", 8)])
def test_neighbours_and_order_change_nothing(every, precision, tolerance_px):
    """Alone, together and turned round, each frame keeps its boxes."""
    encode, images = every(precision), pictures(144, 180, 3)
    together = np.stack(encode(images, np.ones(3)).values)
    alone = np.concatenate([encode(images[i : i + 1], np.ones(1)).values for i in range(3)])
    np.testing.assert_allclose(alone, together, atol=tolerance_px)
    np.testing.assert_allclose(np.stack(encode(images[::-1].copy(), np.ones(3)).values)[::-1], together, atol=0.01)
    assert together[0].std() > 1


def test_random_weights_find_nobody():
    """The cost is that of the real network, and no crop is cut by chance."""
    with weights.using("random:0"):
        found = yolo_face.load("cpu", "exact")(pictures(90, 160, 2), np.ones(2)).values
    assert [boxes.shape for boxes in found] == [(0, 5)] * 2
    assert {boxes.dtype for boxes in found} == {np.dtype("float32")}


def test_a_checkpoint_is_read_and_one_that_runs_code_is_not(network, tmp_path):
    """A checkpoint holds its network whole: known classes are built, anything else is refused before it runs."""
    torch.save({"model": network, "ema": None, "train_args": {}}, tmp_path / "good.pt")
    found = _ultralytics.read([tmp_path / "good.pt"])
    fresh = yolo_face.build()
    fresh.load_state_dict(found, strict=True)
    assert all(torch.equal(x, network.state_dict()[name]) for name, x in fresh.state_dict().items())
    torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "bad.pt")
    with pytest.raises(WeightsError, match=r"bad.pt is not a checkpoint that is safe to read"):
        _ultralytics.read([tmp_path / "bad.pt"])
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Runs a command when it is read carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_without_ultralytics_the_command_is_named(monkeypatch):
    """Who has not installed it reads what to do."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "ultralytics"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(WeightsError, match=r"yolo_face needs ultralytics .*; install it: make setup"):
        yolo_face.load("cpu", "exact")


CAGED = """
import os, socket, subprocess, warnings
def refuse(*_, **__): raise SystemExit("it wanted out")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
start = subprocess.Popen.__init__
def watched(self, command, *rest, **named):  # python itself asks for the platform and for libraries
    refuse() if "install" in str(command) else start(self, command, *rest, **named)
subprocess.Popen.__init__, os.system = watched, refuse
import cv2, numpy as np, torch, torchvision, extract.encoders._ultralytics
torch.set_num_threads(2)
cv2.setNumThreads(2)
def state():
    threads = torch.get_num_threads(), cv2.getNumThreads()
    return dict(os.environ), threads, np.get_printoptions(), list(warnings.filters), torch.save, torch.load
before = state()
from extract import weights
from extract.encoders import yolo_face

with weights.using("random:0"):
    encode = yolo_face.load("cpu", "exact")
found = encode(np.zeros((1, 36, 64, 3), np.uint8), np.ones(1))
after = state()
print([x == y for x, y in zip(before, after)], found.values[0].shape)
"""


def test_the_cage_holds(tmp_path):
    """No socket, nothing installed or written to the home, and the process is left as it was found."""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CAGED],
        cwd=Path(__file__).parents[1],
        env={"HOME": str(home), "PATH": "", "XDG_CONFIG_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"{[True] * 6} (0, 5)"), done.stderr
    assert list(home.iterdir()) == []
