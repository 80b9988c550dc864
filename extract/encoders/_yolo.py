"""Around a network of the YOLOv8 family: frames to its size, what it says to boxes in float32, and doubles out."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import nms

STRIDES = (8, 16, 32)
BINS = 16
"""The network says how far each side lies as a distribution over 0 to 15 strides."""
GREY = 114


def letterbox(images: NDArray[np.uint8], size_px: int) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """Bring the longer side of frames of one shape to `size_px`, both to whole strides.

    Returns the frames, how much they grew, and what was added on the left and above.
    """
    height, width = images.shape[1:3]
    scale = size_px / max(height, width)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    missing = [-side % STRIDES[-1] for side in new]
    left, top = (round(side / 2 - 0.1) for side in missing)
    out = np.full((len(images), new[1] + missing[1], new[0] + missing[0], 3), GREY, np.uint8)
    for image, place in zip(images, out[:, top : top + new[1], left : left + new[0]], strict=True):
        place[:] = image if new == (width, height) else cv2.resize(image, new, interpolation=cv2.INTER_LINEAR)
    return out, scale, (left, top)


def decoded(boxes: Tensor, scores: Tensor, height: int, width: int) -> Tensor:
    """Turn what the network says, (b, 4 bins, n) and (b, 1, n), into corners and confidences (b, n, 5)."""
    centres, strides = _grid(height, width, boxes.device)
    bins = torch.arange(BINS, dtype=torch.float32, device=boxes.device)
    shares = boxes.float().reshape(len(boxes), 4, BINS, -1).softmax(2)
    sides = (shares.transpose(2, 3) @ bins).transpose(1, 2)  # (b, n, 4): left, top, right, bottom
    corners = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1) * strides
    return torch.cat([corners, scores.float().sigmoid().transpose(1, 2)], -1)


def kept(found: Tensor, confidence: float, iou: float, most: int) -> Tensor:
    """Return the rows (n, 5) that are confident enough and nobody's double, the most confident first."""
    found = found[found[:, 4] > confidence]
    return found[nms(found[:, :4], found[:, 4], iou)[:most]]


def placed(found: Tensor, scale: float, added: tuple[int, int], width: int, height: int) -> Tensor:
    """Bring boxes back to the frame they were found in."""
    corners = (found[:, :4] - found.new_tensor(added * 2)) / scale
    corners = corners.clamp(min=0).minimum(found.new_tensor([width, height] * 2))
    return torch.cat([corners, found[:, 4:]], -1)


def _grid(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the middle of each cell, in strides, and the cell's stride in pixels."""
    middles, strides = [], []
    for stride in STRIDES:
        rows, columns = torch.arange(height // stride), torch.arange(width // stride)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        middles.append(torch.stack([x, y], -1).reshape(-1, 2) + 0.5)
        strides.append(torch.full((len(middles[-1]), 1), float(stride)))
    return torch.cat(middles).to(device), torch.cat(strides).to(device)
