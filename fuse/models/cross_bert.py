"""3-Modal Cross-BERT of paper 001: every modality says which tokens belong together, and that mixes BERT's states.

A map per modality, the products of its steps with each other, is weighted and summed; the softmax of the sum, padding
left out, mixes the token states; the first token is classified. So text is needed, and a clip without text is answered
from nothing. Fewer modalities give the other models of the paper's Table I: text and audio CM-BERT, text alone BERT's
first token, audio alone an LSTM, video alone two 3-D convolutions; text and video work alike. Video may be pictures
or vectors, which are averaged to as many steps as there are tokens before the LSTM.

What the authors' code does, as `variant = "authors"`, and what is done here unless that is asked for:

- Audio is one vector a clip: its map is one number, and cancels in the softmax. Here it is averaged to as many steps
  as there are tokens. Give it features that have steps, and `data.standardise`: the map of raw MFCC and functionals is
  so large that the softmax sees nothing else, and nothing is learnt before it.
- Text is divided by the root of the norm of the whole batch, padding too. Here by that of the clip's own tokens.
- Pictures stand in groups of five with five empty slots. Here in groups of ten that begin every five.
- One output is the number of the class, which is rounded: `head = "index"`. Here there is an output per class.

The scalar bias of the map and the padded rows of the mask also cancel; the bias is built, as their parameters count it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models._branches import States, averaged, lengthened, resampled
from fuse.models._single import FirstToken, LastState, TwoConvolutions
from manifests.labels import TASKS

MODALITIES = ("text", "audio", "video")
STEPS = 50
"""Of the LSTM where there is no text that says how many."""


@dataclass(frozen=True)
class Config:
    """The sizes that the authors use, and which of their ways."""

    variant: Literal["authors", "repaired"] = "repaired"
    """The authors' maps, scale and groups of pictures, or those that do what the paper says."""
    head: Literal["classes", "index"] = "classes"
    """An output per class, or one that is the number of the class."""
    width: int = 30
    """What the products of a map go over, and the LSTM's states."""
    hidden: int = 768
    """Width of the layer between the mixed tokens and the outputs."""
    attention_dropout: float = 0.3
    """Share of the fused map that is left out in training."""
    dropout: float = 0.1
    """After the hidden layer, and before the outputs."""


_RENAMING = (
    (r"^classifier", "heads.0"),
    (r"^BertFinetun", "trunk"),
    (r"proj_([at])", r"projections.\1"),
    (r"proj_v_1", "video.sequence.pictures.convolution"),
    (r"bn1", "video.sequence.pictures.norm"),
    (r"lstm", "video.lstm"),
    (r"LayerNorm1", "norm"),
    (r"(\w+)_weight_1", r"weights.\1"),
    *((rf"(?<=projections\.){modality[0]}(?=\.)", modality) for modality in ("text", "audio")),
)


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the authors' parameters to those of a `Model` of three modalities with pictures and one task."""
    renamed = {reduce(lambda n, rule: re.sub(rule[0], rule[1], n), _RENAMING, name): x for name, x in state.items()}
    return {name: x.squeeze(-1) if ".projections." in name else x for name, x in renamed.items()}


class MaskedAttention(nn.Module):
    """The fusion: the first token, mixed as the maps of all modalities say."""

    def __init__(self, config: Config, shapes: Shapes) -> None:
        super().__init__()
        self.tokens, d = shapes["text"]
        self.authors = config.variant == "authors"
        linear = {m: nn.Linear(shapes[m][1], config.width, bias=False) for m in ("text", "audio") if m in shapes}
        self.projections = nn.ModuleDict(linear)
        self.video = None
        if "video" in shapes:
            self.video = States("video", shapes["video"], self.tokens, config.width, overlap=not self.authors)
        self.weights = nn.ParameterDict({m: nn.Parameter(torch.ones(1)) for m in shapes})
        self.bias = nn.Parameter(torch.zeros(1))
        self.attention_dropout = nn.Dropout(config.attention_dropout)
        self.dense = nn.Linear(d, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.hidden, eps=1e-12)

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, hidden)."""
        states, real = averaged(batch, "text")
        if self.authors:  # their scale goes over padding, too
            states = batch.mean_of_windows("text")
        states, real = lengthened(states, self.tokens), lengthened(real, self.tokens)
        attention = self.attention_dropout(self.attention(self.fused(self.maps(batch, states)), real))
        first = (attention[:, :1] @ states + states[:, :1])[:, 0]
        hidden: Tensor = self.norm(self.dropout(self.dense(first)))
        return hidden

    def maps(self, batch: Batch, states: Tensor) -> dict[str, Tensor]:
        """Return by modality how much its steps agree (b, t, t); of the authors' audio it is (b, 1, 1)."""
        sequences = {"text": self.scaled(self.projections["text"](states))}
        if "audio" in self.projections:
            sound = resampled(*batch.sequence("audio"), 1 if self.authors else self.tokens)
            sequences["audio"] = self.projections["audio"](sound)
        if self.video is not None:
            sequences["video"] = self.video(batch)
        return {modality: (x @ x.mT).relu() for modality, x in sequences.items()}

    def scaled(self, text: Tensor) -> Tensor:
        """Divide by the root of the norm of all that is given, or of each clip."""
        norm = torch.linalg.vector_norm(text.detach(), dim=None if self.authors else (1, 2), keepdim=True)
        scale: Tensor = norm.sqrt().clamp(min=1e-6)
        return text / scale

    def fused(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of maps (b, t, t)."""
        total: Tensor = self.bias
        for modality, x in maps.items():
            total = total + self.weights[modality] * x
        return total

    def attention(self, fused: Tensor, real: Tensor) -> Tensor:
        """Return what share of each token goes into each other (b, t, t); padding has none."""
        lowest = torch.finfo(fused.dtype).min  # where no token is real, all are alike, and finite
        return torch.softmax(fused.masked_fill(~real[:, None], lowest), dim=-1)


def _trunk(config: Config, shapes: Shapes) -> tuple[nn.Module, int]:
    """Return the model of these modalities, without outputs, and its width."""
    if len(shapes) > 1:
        return MaskedAttention(config, shapes), config.hidden
    ((modality, shape),) = shapes.items()
    repaired = config.variant == "repaired"
    if modality == "text":
        return FirstToken(), shape[1]
    if len(shape) > 2:
        return TwoConvolutions(shape, overlap=repaired), TwoConvolutions.width
    return LastState(modality, shape, STEPS if repaired or modality == "video" else 1, config.width), config.width


def _check(config: Config, shapes: Shapes, tasks: Tasks) -> None:
    if not set(shapes) <= set(MODALITIES) or not ("text" in shapes or len(shapes) == 1):
        raise ValueError(
            f"cross_bert: expected text, alone or with audio, video or both, or one of these alone, got "
            f"{', '.join(shapes) or 'none'}; or use the model concat, which takes any"
        )
    if flawed := [modality for modality, shape in shapes.items() if len(shape) > 2 and modality != "video"]:
        raise ValueError(f"cross_bert: expected vectors as {' and '.join(flawed)}, got pictures; name another encoder")
    if config.head == "index" and (odd := [task for task in tasks if TASKS[task].kind != "class"]):
        raise ValueError(
            f"cross_bert: expected tasks of which one class is meant, got {', '.join(odd)}; say head = classes"
        )


def _half_squared_errors(task: str, logits: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001 (the hook's arguments)
    return -(targets * logits).sum(dim=1)


class Model(nn.Module):
    """The model that the paper has for the modalities it is given."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        _check(config, shapes, tasks)
        self.config, self.tasks = config, dict(tasks)
        self.trunk, width = _trunk(config, shapes)
        self.dropout = nn.Dropout(config.dropout)
        self.representation = nn.Identity()
        self.heads = nn.ModuleList(nn.Linear(width, 1 if config.head == "index" else k) for k in tasks.values())
        if config.head == "index":  # else the trainer must find no such name, and takes the task's own loss
            self.losses = _half_squared_errors

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task; those of one number are highest at the class nearest to it."""
        features = self.representation(self.dropout(self.trunk(batch)))
        outputs = {task: head(features) for task, head in zip(self.tasks, self.heads, strict=True)}
        if self.config.head == "classes":
            return outputs
        classes = {task: torch.arange(k, device=features.device) for task, k in self.tasks.items()}
        return {task: -(number - classes[task]).square() / 2 for task, number in outputs.items()}

    def notes(self) -> tuple[str, ...]:
        """Say what the authors' ways do to the scores."""
        fusion = self.trunk if isinstance(self.trunk, MaskedAttention) and self.trunk.authors else None
        found = {
            "the scale of a clip's text depends on the other clips of its batch": fusion is not None,
            "audio cannot change any output": fusion is not None and "audio" in fusion.projections,
            "a prediction is the class nearest to one number": self.config.head == "index",
        }
        return tuple(f"As in the authors' code, {what}." for what, holds in found.items() if holds)
