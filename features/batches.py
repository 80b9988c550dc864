"""Clips of several entries as torch trains on them: values, and masks that say what of them is real.

Axes: b clips, n windows, t steps, d width. What a mask leaves out is zero. torch is imported when a dataset is made:
whoever reads a cache in numpy needs none.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.reader import Reader
from features.roots import CacheError
from features.windows import Array, Windows

if TYPE_CHECKING:
    from torch import Tensor

INSTALL = "torch is not installed; it comes with: pip install '.[train]' (or make setup)"
MOST_BYTES = 2**32
"""What one clip may take when its windows are padded to the longest; a real one is far from it."""


class Clips:
    """One dict for each clip: its `id`, its `label`, and by modality `values` (n, t, d) and what of them is real.

    `windows` (n) says which windows exist, `steps` (n, t) which steps rest on real input. Where a clip has nothing of a
    modality, there are no windows.
    """

    def __init__(
        self, readers: Mapping[str, Reader], clips: Sequence[str], labels: Sequence[Array] | None, dtype: str
    ) -> None:
        self.readers, self.clips, self.labels, self.dtype = dict(readers), clips, labels, dtype
        self.axes = {modality: step_shape(reader) for modality, reader in self.readers.items()}

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import torch

        clip = self.clips[index]
        found = {modality: self._padded(modality, clip) for modality in self.readers}
        item = {
            "id": clip,
            "values": {modality: torch.from_numpy(values) for modality, (values, _) in found.items()},
            "windows": {modality: torch.ones(len(real), dtype=torch.bool) for modality, (_, real) in found.items()},
            "steps": {modality: torch.from_numpy(real) for modality, (_, real) in found.items()},
        }
        return item if self.labels is None else {**item, "label": torch.tensor(self.labels[index])}

    def _padded(self, modality: str, clip: str) -> tuple[Array, Array]:
        reader, axes = self.readers[modality], self.axes[modality]
        if clip not in reader:
            return np.zeros((0, 0, *axes), self.dtype), np.zeros((0, 0), bool)
        values, real = padded(reader[clip], self.dtype)
        if values.shape[2:] != axes:
            raise CacheError(f"{reader.folder}: expected steps of {axes}, got {values.shape[2:]} of {clip!r}")
        if not np.isfinite(values).all():
            raise CacheError(f"{reader.folder}: {clip!r} has values that are no finite numbers as {self.dtype}")
        return values, real

    @staticmethod
    def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Lay the dicts of some clips into one, each modality (b, n, t, d) as long as the longest of them."""
        import torch

        batch: dict[str, Any] = {"id": [item["id"] for item in items]}
        for kind in ("values", "windows", "steps"):
            batch[kind] = {modality: _stacked([item[kind][modality] for item in items]) for modality in items[0][kind]}
        return {**batch, "label": torch.stack([item["label"] for item in items])} if "label" in items[0] else batch

    def __repr__(self) -> str:
        counts = {modality: sum(clip in reader for clip in self.clips) for modality, reader in self.readers.items()}
        lines = [
            f"  {modality}: {count} of them in {self.readers[modality].folder.name}, steps of {self.axes[modality]}"
            for modality, count in counts.items()
        ]
        return "\n".join([f"{len(self)} clips with{'out' if self.labels is None else ''} labels", *lines])

    def __reduce__(self) -> tuple[Any, ...]:
        folders = {modality: reader.folder for modality, reader in self.readers.items()}
        return _again, (folders, self.clips, self.labels, self.dtype)


def dataset(
    readers: Mapping[str, Reader],
    clips: Iterable[str] | None = None,
    labels: Mapping[str, Any] | None = None,
    dtype: str = "float32",
) -> Clips:
    """Return clips as a torch `Dataset`; without a choice, all that any entry has and of which a label is known."""
    if not readers:
        raise ValueError("expected an entry for at least one modality, as in {'audio': 'mfcc'}, got none")
    kind = _kind()
    chosen = _chosen(readers, clips, labels)
    return kind(readers, chosen, None if labels is None else _labels(chosen, labels), dtype)


def _chosen(readers: Mapping[str, Reader], clips: Iterable[str] | None, labels: Mapping[str, Any] | None) -> list[str]:
    cached = dict.fromkeys(chain.from_iterable(readers.values()))
    chosen = [clip for clip in cached if labels is None or clip in labels] if clips is None else list(clips)
    if cached and not any(clip in cached for clip in chosen):
        what = "clips" if labels is None else "labelled clips"
        names = ", ".join(reader.folder.name for reader in readers.values())
        got = f"{len(chosen)} others, such as {chosen[0]!r}" if chosen else "none"
        raise CacheError(f"expected {what} of {names}, such as {next(iter(cached))!r}, got {got}")
    return chosen


def padded(windows: Windows, dtype: str) -> tuple[Array, Array]:
    """Return values (n, t, d), zero where they are not real, and which steps (n, t) are."""
    lengths = np.diff(windows.start)
    steps = np.arange(lengths.max(initial=0))
    shape = (len(windows), len(steps), *windows.values.shape[1:])
    if math.prod(shape) * np.dtype(dtype).itemsize > MOST_BYTES:
        raise CacheError(f"expected windows that can be padded to one length, got {shape}; read them one by one")
    values = np.zeros(shape, dtype)
    real = steps < windows.valid[:, None]
    with np.errstate(over="ignore"):  # whoever asks looks whether all are finite
        values[steps < lengths[:, None]] = windows.values
    values[~real] = 0
    return values, real


def step_shape(reader: Reader) -> tuple[int, ...]:
    """Return what a step of an entry is, which its parts share."""
    if not reader.parts:
        raise CacheError(f"{reader.folder} holds no clips yet; make features fills it")
    return reader.part(reader.parts[0]).stored["frames"].shape[1:]


def _labels(clips: Sequence[str], labels: Mapping[str, Any]) -> list[Array]:
    unknown = [clip for clip in clips if clip not in labels]
    if unknown:
        raise ValueError(f"expected a label of every clip, got none of {len(unknown)}, such as {unknown[0]!r}")
    return [_number(clip, labels[clip]) for clip in clips]


def _number(clip: str, label: Any) -> Array:
    number = np.asarray(label)
    if number.dtype.kind not in "biuf":
        raise ValueError(
            f"expected a number as the label of {clip!r}, got {label!r:.80}; "
            "number the classes: {clip: CLASSES.index(row['emotion']) for clip, row in rows.items()}"
        )
    return number.astype(np.float32) if number.dtype.kind == "f" else number


def _stacked(tensors: Sequence["Tensor"]) -> "Tensor":
    """Pad to the largest size along every axis; at least 1, for nothing can be taken the largest of none."""
    sizes = [max(1, *lengths) for lengths in zip(*(tensor.shape for tensor in tensors), strict=True)]
    stacked = tensors[0].new_zeros(len(tensors), *sizes)
    for row, tensor in zip(stacked, tensors, strict=True):
        row[tuple(map(slice, tensor.shape))] = tensor
    return stacked


@functools.cache
def _kind() -> type[Clips]:
    """Make a torch `Dataset` of the class: only here is torch needed."""
    try:
        from torch.utils.data import Dataset
    except ModuleNotFoundError as error:
        if error.name != "torch":  # torch itself says best what it lacks
            raise
        raise ModuleNotFoundError(INSTALL, name="torch") from None

    class TorchClips(Clips, Dataset[dict[str, Any]]):
        __doc__ = Clips.__doc__

    return TorchClips


def _again(folders: Mapping[str, Path], clips: Sequence[str], labels: Sequence[Array] | None, dtype: str) -> Clips:
    """Open the same clips in another process."""
    return _kind()({modality: Reader(folder) for modality, folder in folders.items()}, clips, labels, dtype)
