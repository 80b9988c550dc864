"""Clips joined with their cached windows: padding, masks and labels are made here and nowhere else."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from features import CacheError, Reader
from fuse import compress, conversation, decide, entries
from fuse.batch import Batch, Shapes
from fuse.recipe import Recipe
from fuse.source import Source
from fuse.stored import Stored
from manifests import Clip
from manifests.labels import TASKS
from manifests.labels import of as label_of

GB = 10**9
CPU = torch.device("cpu")
SPARED = 0.7
"""Share of the free memory that features may take before they are streamed."""


@dataclass(frozen=True)
class Dataset:
    """All clips of an experiment, in the manifests' order, and their features, in memory or on the disk.

    What is trained on and scored are examples: clips, or single windows of clips where windows vote.
    """

    clips: tuple[Clip, ...]
    sources: Mapping[str, Source]
    stored: Mapping[str, Stored] | None
    """Modality to its windows in memory; nothing where they are streamed."""
    labels: Mapping[str, Tensor]
    known: Mapping[str, Tensor]
    dialogue: Tensor
    turn: Tensor
    speaker: Tensor
    entries: Mapping[str, tuple[Path, ...]]
    """Modality to the folders of the cache entries."""
    notes: tuple[str, ...]
    """What a reader must know about the features."""
    digest: str
    """What was read: the sources of all windows, the labels, and who says what in which conversation."""
    clip_of: Tensor
    """(examples) the clip of each example."""
    window_of: Tensor | None
    """(examples) the window of each example; nothing where an example is a whole clip."""
    block_bytes: int
    """What is read at once when features are streamed."""
    conversations: bool
    """Whether a batch holds conversations, none of them in part, or any clips."""
    most_steps: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Modality to how many steps its windows are brought to at most."""
    scaling: Mapping[str, tuple[Tensor, Tensor]] = dataclasses.field(default_factory=dict)
    device: torch.device = CPU

    @property
    def shapes(self) -> Shapes:
        """Return (t, d) by modality."""
        return compress.shortened(_shapes(self.sources), self.most_steps)

    @cached_property
    def covered(self) -> dict[str, Tensor]:
        """Return which clips have at least one window, by modality."""
        return {modality: torch.from_numpy(source.counts > 0) for modality, source in self.sources.items()}

    @cached_property
    def voted(self) -> frozenset[str]:
        """Return the corpora whose soft labels are votes for one class; raters who disagree saw no two emotions."""
        kinds: dict[str, set[str | None]] = {}
        for clip in self.clips:
            if clip.labels:
                kinds.setdefault(clip.corpus, set()).add(clip.label_kind)
        return frozenset(corpus for corpus, found in kinds.items() if found <= {"majority", "vote series"})

    @cached_property
    def _several(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {task: set() for task in self.labels}
        corpora = np.array([clip.corpus for clip in self.clips])
        for task, labels in self.labels.items():
            for corpus in dict.fromkeys(corpora):
                rows = labels[torch.from_numpy(corpora == corpus) & self.known[task]].double().numpy()
                if len(rows) and decide.several(task, rows, votes=corpus in self.voted):
                    found[task].add(str(corpus))
        return {task: frozenset(corpora) for task, corpora in found.items()}

    def several(self, task: str) -> frozenset[str]:
        """Return the corpora whose clips may have several classes of a task at once."""
        return self._several[task]

    def examples(self, clips: Sequence[int]) -> Tensor:
        """Return the examples of some clips, in the order of the clips."""
        wanted = torch.as_tensor(clips, dtype=torch.long)
        if self.window_of is None:
            return wanted
        first = torch.searchsorted(self.clip_of, wanted)
        counts = torch.searchsorted(self.clip_of, wanted, right=True) - first
        within = torch.arange(int(counts.sum())) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        return first.repeat_interleave(counts) + within

    def batch(self, examples: Tensor) -> Batch:
        """Return some examples as a batch on the device."""
        (found,) = self.batches(examples, max(1, len(examples)), whole=True)
        return found[1]

    def batches(self, examples: Tensor, size: int, *, whole: bool = False) -> Iterator[tuple[Tensor, Batch]]:
        """Yield batches of examples in the order given; streamed, in that order within each block of the disk.

        A block is visited when its first example would be, and read while the one before is used; no batch crosses it,
        unless all is asked for at once. Whole conversations come in the order of their first examples, as many at a
        time as there are examples for; one alone may be longer.
        """
        if self.stored is not None or whole:
            place = None if self.stored else self._clips_of(examples)
            stored = self.stored or self._load(self._clips_of(examples))
            for chosen in self._together(examples, size):
                yield chosen, self._batch(chosen, stored, place)
            return
        blocks = self._blocks_of(examples)
        with ThreadPoolExecutor(1) as ahead:
            coming = [ahead.submit(self._load, block.clips) for block in blocks[:1]]
            for number, block in enumerate(blocks):
                stored = coming.pop().result()
                coming = [ahead.submit(self._load, after.clips) for after in blocks[number + 1 : number + 2]]
                for chosen in self._together(block.examples, size):
                    yield chosen, self._batch(chosen, stored, block.clips)

    def _together(self, examples: Tensor, size: int) -> Iterator[Tensor]:
        """Cut examples into those of one batch."""
        if not self.conversations:
            yield from torch.split(examples, size)
            return
        numbers = self._conversation[self.clip_of[examples]]
        by_conversation: dict[int, list[int]] = {}
        for example, number in zip(examples.tolist(), numbers.tolist(), strict=True):
            by_conversation.setdefault(number, []).append(example)
        chosen: list[int] = []
        for some in by_conversation.values():
            if chosen and len(chosen) + len(some) > size:
                yield torch.tensor(chosen)
                chosen = []
            chosen += some
        if chosen:
            yield torch.tensor(chosen)

    @cached_property
    def _conversation(self) -> Tensor:
        """(clips) a number that clips of one conversation share and nobody else has."""
        return torch.where(self.dialogue >= 0, self.dialogue, -1 - torch.arange(len(self.dialogue)))

    def _batch(self, examples: Tensor, stored: Mapping[str, Stored], place: Sequence[int] | None) -> Batch:
        clips = self.clip_of[examples]
        rows = clips if place is None else torch.searchsorted(torch.tensor(place), clips)
        window = None if self.window_of is None else self.window_of[examples]
        taken = {modality: one.take(rows, window) for modality, one in stored.items()}
        return Batch(
            ids=tuple(self.clips[i].id for i in clips.tolist()),
            values={modality: values for modality, (values, _, _) in taken.items()},
            windows={modality: windows for modality, (_, windows, _) in taken.items()},
            steps={modality: steps for modality, (_, _, steps) in taken.items()},
            dialogue=self.dialogue[clips],
            turn=self.turn[clips],
            speaker=self.speaker[clips],
            labels={task: labels[clips] for task, labels in self.labels.items()},
            known={task: known[clips] for task, known in self.known.items()},
        ).to(self.device)

    def _load(self, clips: Sequence[int]) -> dict[str, Stored]:
        read = _read(self.sources, clips, self.most_steps)
        loaded = {modality: one.to(self.device) for modality, one in read.items()}
        return {m: one.standardised(*self.scaling[m]) if m in self.scaling else one for m, one in loaded.items()}

    def _clips_of(self, examples: Tensor) -> list[int]:
        return sorted(set(self.clip_of[examples].tolist()))

    def _blocks_of(self, examples: Tensor) -> list["_Block"]:
        block = self._block_of[self.clip_of[examples]]
        order = list(dict.fromkeys(block.tolist()))
        chosen = [examples[block == number] for number in order]
        return [_Block(self._clips_of(some), some) for some in chosen]

    @cached_property
    def _block_of(self) -> Tensor:
        """(clips) which block each clip is in: as many as fit, side by side on the disk; a conversation is in one."""
        largest = max(self.sources.values(), key=lambda source: source.bytes)
        sizes = sum(source.steps * source.step_bytes for source in self.sources.values())
        ends = np.cumsum(np.asarray(sizes)[largest.order])
        blocks = torch.zeros(len(self.clips), dtype=torch.long)
        blocks[largest.order] = torch.from_numpy((ends - 1).clip(min=0) // self.block_bytes)
        if not self.conversations:
            return blocks
        _, first, place = np.unique(self._conversation.numpy(), return_index=True, return_inverse=True)
        return blocks[torch.from_numpy(first)][torch.from_numpy(place)]

    def standardised(self, train: Sequence[int]) -> "Dataset":
        """Return the dataset with every feature at mean 0 and deviation 1 over some clips.

        Features that do not vary there become zero, never infinite; padding stays zero.
        """
        sums = {modality: torch.zeros(3, *shape[1:], dtype=torch.float64) for modality, shape in self.shapes.items()}
        plain = self.stored and {m: dataclasses.replace(one, scaling=None) for m, one in self.stored.items()}
        for _, batch in dataclasses.replace(self, scaling={}, stored=plain).batches(self.examples(train), 256):
            for modality, total in sums.items():
                values, real = batch.sequence(modality)
                chosen = values[real].double()  # beside a mean far from zero, float32 has no digits for a deviation
                count = torch.full_like(chosen.sum(dim=0), len(chosen))
                total.add_(torch.stack([count, chosen.sum(dim=0), chosen.square().sum(dim=0)]).cpu())
        scaling = {modality: _scaling(*total) for modality, total in sums.items() if total[0].any()}
        stored = self.stored and {
            m: one.standardised(*scaling[m]) if m in scaling else one for m, one in self.stored.items()
        }
        return dataclasses.replace(self, scaling=scaling, stored=stored)

    def to(self, device: torch.device) -> "Dataset":
        """Return the dataset for a device; what does not fit there is streamed."""
        size = sum(source.bytes for source in self.sources.values())
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
        stored = self.stored
        if stored is not None and (free is None or size < SPARED * free):
            stored = {modality: one.to(device) for modality, one in stored.items()}
        elif free is not None:
            stored = None
        return dataclasses.replace(self, stored=stored, device=device)


@dataclass(frozen=True)
class _Block:
    """Clips that lie together on the disk, and the examples that are wanted of them."""

    clips: list[int]
    examples: Tensor


def _scaling(count: Tensor, total: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), 0.0).float()


def load(clips: Sequence[Clip], recipe: Recipe) -> Dataset:
    """Join clips with the entries that a recipe names; what does not fit into memory is streamed from the disk."""
    found, lacking = entries.found(recipe)
    folders = {modality: tuple(dict.fromkeys(sum(by.values(), ()))) for modality, by in found.items()}
    folders |= entries.unused(recipe)
    entries.refuse_random(folders, allowed=recipe.data.random_weights)
    notes = [
        f"The recipe asks for {lacks} of {modality}; these features were made without, which was allowed."
        for modality, lacks in lacking.items()
    ]
    notes += [note for modality, by in found.items() for note in entries.seen(modality, by)]
    sources = {
        modality: Source(
            modality,
            {corpus: [Reader(folder) for folder in each] for corpus, each in by.items()},
            clips,
            mean=recipe.data.windows == "mean",
        )
        for modality, by in found.items()
    }
    labels, known = _labels(clips, recipe.tasks)
    dialogue, turn = conversation.places(clips, recipe.data.turns)
    clip_of, window_of = _examples(sources, len(clips), vote=recipe.data.windows == "vote")
    limit = int(recipe.data.memory_gb * GB) or int(SPARED * _free_bytes())
    fits = sum(source.bytes for source in sources.values()) <= limit
    notes += compress.notes(_shapes(sources), recipe.data.compress)
    stored = _read(sources, range(len(clips)), recipe.data.compress) if fits else None
    return Dataset(
        tuple(clips),
        sources,
        stored,
        labels,
        known,
        dialogue,
        turn,
        conversation.speakers(clips),
        folders,
        tuple(notes),
        _digest(clips, sources, folders, recipe.tasks),
        clip_of,
        window_of,
        block_bytes=max(1, limit // 3),
        conversations=recipe.context != "none",
        most_steps=recipe.data.compress,
    )


def _shapes(sources: Mapping[str, Source]) -> Shapes:
    """Return (t, d) by modality, as the cache has them."""
    return {modality: source.shape for modality, source in sources.items()}


def _read(sources: Mapping[str, Source], clips: Sequence[int], most: Mapping[str, int]) -> dict[str, Stored]:
    """Read some clips of every modality, and bring the windows of some to so many steps."""
    read = {}
    for modality, source in sources.items():
        stored = source.load(clips)
        read[modality] = compress.compressed(stored, most[modality]) if modality in most else stored
    return read


def _examples(sources: Mapping[str, Source], clips: int, *, vote: bool) -> tuple[Tensor, Tensor | None]:
    """Return the clip and the window of each example; windows that vote must be of the same seconds everywhere."""
    if not vote:
        return torch.arange(clips), None
    counts = np.ones(clips, np.int64)
    spans: dict[int, np.ndarray] = {}
    for modality, source in sources.items():
        for i, outline in enumerate(source.outlines):
            if outline is None or len(outline[0]) == 1:
                continue
            if i in spans and (spans[i].shape != outline[1].shape or not np.allclose(spans[i], outline[1], atol=0.05)):
                raise CacheError(
                    f"encoders.{modality}: its windows of {source.clips[i].id} are of other seconds than another "
                    "modality's, so that they cannot vote together; give both the same grid"
                )
            spans[i], counts[i] = outline[1], len(outline[0])
    clip_of = torch.arange(clips).repeat_interleave(torch.from_numpy(counts))
    return clip_of, torch.from_numpy(np.concatenate([np.arange(count) for count in counts]))


def _labels(clips: Sequence[Clip], tasks: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    labels, known = {}, {}
    for task in tasks:
        found = [label_of(task, clip.labels) for clip in clips]
        absent = (0.0,) * len(TASKS[task].classes)
        labels[task] = torch.tensor([absent if label is None else label for label in found], dtype=torch.float32)
        known[task] = torch.tensor([label is not None for label in found])
    return labels, known


def _digest(
    clips: Sequence[Clip], sources: Mapping[str, Source], folders: Mapping[str, Sequence[Path]], tasks: Sequence[str]
) -> str:
    digest = hashlib.sha256()
    for modality, each in folders.items():
        digest.update(f"{modality} {[folder.name for folder in each]}\n".encode())
    for modality, source in sources.items():
        digest.update(f"{modality} {list(source.sources())}\n".encode())
    for clip in clips:
        placed = (clip.id, clip.corpus, clip.split, clip.dialogue_id, clip.utt_index, clip.speaker_id)
        digest.update(repr((*placed, *(label_of(task, clip.labels) for task in tasks))).encode())
    return digest.hexdigest()


def _free_bytes() -> int:
    """Return how much memory could be used without taking it from anybody."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii")
        return int(re.search(r"MemAvailable:\s+(\d+) kB", told).group(1)) * 1024  # type: ignore[union-attr]
    except (OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
