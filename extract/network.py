"""How a frozen torch network is filled, made ready and fed, whatever encoder it belongs to.

`exact` is float32 everywhere. `fast` is bfloat16 where the processor multiplies it in hardware, else float32.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from extract.weights import Weights, WeightsError, located, random_seed

Network = TypeVar("Network", bound=nn.Module)
State = Mapping[str, Tensor]


def dtype_of(device: str, precision: str) -> torch.dtype:
    """Return the type in which a network computes."""
    if precision != "fast":
        return torch.float32
    if torch.device(device).type == "cpu":
        able = torch.cpu.get_capabilities()
        quick = able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    else:
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if quick else torch.float32


def filled(network: Network, weights: Weights, licence: str, read: Callable[[list[Path]], State]) -> Network:
    """Give a network its pinned weights, every name in its place, or the random ones that were chosen."""
    seed = random_seed()
    if seed is not None:
        fill(network, seed)
        return network
    try:
        network.load_state_dict(read(located(weights, licence)), strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{weights.id} does not fit its network: {error}") from None
    return network


def frozen(network: Network, device: str, precision: str) -> Network:
    """Make a network ready to be asked and never trained; its buffers stay float32, for angles need their digits."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    dtype = dtype_of(device, precision)
    network.eval().requires_grad_(requires_grad=False)
    for parameter in network.parameters():
        parameter.data = parameter.data.to(dtype)
    return network.to(device).to(memory_format=torch.channels_last)


class Feed:
    """Brings arrays to a device; to a GPU through pinned memory and beside whatever it is computing."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        cuda = self.device.type == "cuda"
        self.stream = torch.cuda.Stream(self.device) if cuda else None  # type: ignore[no-untyped-call]

    def __call__(self, array: NDArray[np.generic]) -> Tensor:
        """Return the array on the device, safe to use at once."""
        tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
        if self.stream is None:
            return tensor
        with torch.cuda.stream(self.stream):
            arrived = tensor.pin_memory().to(self.device, non_blocking=True)
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self.stream)
        arrived.record_stream(current)
        return arrived


def fill(network: nn.Module, seed: int) -> None:
    """Fill a network with values that follow from seed and names alone, the same on every machine."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                offset, scale = _law(name, tensor.shape)
                tensor.copy_(_drawn(name, tensor.shape, seed)).mul_(scale * math.sqrt(3) / 2**14).add_(offset)


def _law(name: str, shape: torch.Size) -> tuple[float, float]:
    """Return the mean and the spread that keep what passes through a network lively and finite."""
    if len(shape) < 2:
        scales = name.endswith(("weight", "running_var"))
        return (1, 0.1) if scales else (0, 0.02)
    # Many residual layers of full gain would make all tokens alike, and so would what is added to all of them.
    gain = 1 if len(shape) > 2 else 0.5 if shape[0] > 1 else 0.05
    return 0, gain / math.sqrt(math.prod(shape[1:]))


def _drawn(name: str, shape: torch.Size, seed: int) -> Tensor:
    """Draw even whole numbers below 2 ** 14; four from each of 64 bits, for the drawing is what takes the time."""
    key = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:7], "little"))
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    drawn = bits.view(torch.int16)[:count].reshape(shape) >> 1
    if len(shape) == 4:  # filters that sum to 0 do not see what all features share, which would drown the rest
        rows = drawn.flatten(1)
        rows -= (rows.sum(1, keepdim=True) // rows.shape[1]).to(torch.int16)
    return drawn
