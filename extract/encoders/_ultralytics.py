"""The cage of ultralytics, which would look at the network, install packages and run what a checkpoint says.

All of that is off before it is imported, here and nowhere else, and what it changes in the process is put back.
"""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from extract.weights import WeightsError

CAGE = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0", "ULTRALYTICS_SAFE_LOAD": "1"}
NEVER = -12.0
"""A bias that no random network outweighs."""


@contextmanager
def _caged() -> Iterator[None]:
    environment, shown, save = dict(os.environ), np.get_printoptions(), torch.save
    threads = torch.get_num_threads(), cv2.getNumThreads()
    with tempfile.TemporaryDirectory() as settings, warnings.catch_warnings():
        os.environ.update(CAGE, YOLO_CONFIG_DIR=settings)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(environment)
            torch.save = save
            torch.set_num_threads(threads[0])
            cv2.setNumThreads(threads[1])
            np.set_printoptions(**shown)
            torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]


def _tasks() -> Any:
    with _caged():
        try:
            from ultralytics.nn import tasks
        except ImportError as error:
            raise WeightsError(f"yolo_face needs ultralytics ({error}); install it: make setup") from None
    return tasks


def detection_network() -> nn.Module:
    """Return YOLOv8n for one class, its weights still to be filled."""
    network: nn.Module = _tasks().DetectionModel("yolov8n.yaml", ch=3, nc=1, verbose=False)
    return network


def read(paths: list[Path]) -> dict[str, Tensor]:
    """Read a checkpoint, which holds a network and not its weights alone; only known classes are built."""
    try:
        checkpoint, _ = _tasks().torch_safe_load(str(paths[0]), safe_only=True)
    except TypeError as error:
        raise WeightsError(f"{paths[0]} is not a checkpoint that is safe to read: {error}") from None
    state: dict[str, Tensor] = (checkpoint.get("ema") or checkpoint["model"]).float().state_dict()
    return state


def fused(network: Any) -> Any:
    """Put each norm into the convolution before it: half the time in bfloat16."""
    network.eval().fuse(verbose=False)
    return network


def joined(network: Any) -> Any:
    """Make one pass over memory of each convolution and the activation behind it: an eighth faster on a CPU.

    The operator is the one that torch's own compiler calls; where it is missing, nothing changes.
    """
    operator = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    for layer in network.modules() if operator else ():
        if hasattr(layer, "conv") and isinstance(getattr(layer, "act", None), nn.SiLU):
            layer.forward = partial(_activated, operator, layer.conv)
    return network


def _activated(operator: Any, layer: nn.Conv2d, x: Tensor) -> Tensor:
    shape = list(layer.padding), list(layer.stride), list(layer.dilation), layer.groups
    found: Tensor = operator(x, layer.weight, layer.bias, *shape, "swish", [], "")
    return found


def raw(network: Any) -> Any:
    """Make a frozen network return what its head says, boxes and scores, before it is decoded."""
    network.model[-1].training = True  # the head alone, which holds no norm of its own: it decodes nothing then
    return network


def silence(network: Any) -> None:
    """Make a network of random weights see no face anywhere."""
    for branch in network.model[-1].cv3:
        branch[-1].bias.data.fill_(NEVER)
