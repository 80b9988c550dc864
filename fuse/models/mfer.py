"""MFER of paper 002: a GRU reads each modality's steps, and a linear layer classifies its last state or both.

With one modality it is that modality's arm alone, which is how the authors' earlier stages train it. `begin` hands arms
on from stage to stage and sets the classifiers of both arms side by side, their biases averaged. A clip that lacks a
modality has zeros in the place of its state.

What the authors' code does, as `variant = "authors"`, and what is done here unless that is asked for:

- The padding of a batch is read like steps: behind the steps of video, before those of audio. So what a clip is given
  depends on the clips beside it. Here the state after a clip's last real step is taken. (They pad the sound before it
  is encoded, so that audio begins with features of silence; from a cache it begins with zeros.)
- The last stage trains the classifier alone and does not load the trained GRU of video: one that was drawn at random
  is used. Here both are loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks

MODALITIES = ("audio", "video")
SIDE_BY_SIDE = ("video", "audio")
"""The order of the states in what the classifier reads."""
TASK_OF = {4: "emotion4", 8: "emotion8"}
"""What the authors' classifiers of so many classes are for."""


@dataclass(frozen=True)
class Config:
    """The sizes that the authors use, and which of their ways."""

    width: int = 384
    """Width of each GRU's state."""
    layers: int = 2
    """Layers of each GRU."""
    variant: Literal["authors", "repaired"] = "repaired"
    """Read padding and forget the trained GRU of video as the authors' code does, or neither."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.layers < 1:
            raise ValueError(f"mfer: expected a width and layers of 1 or more, got {self.width} and {self.layers}")


def from_reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the authors' parameters to those of `Model`; the encoders that their checkpoint also holds are left out.

    The classes keep their order, which is the alphabet's where their code shows it, and not this project's.
    """
    classes = len(state.get("classifier.bias", ()))
    if classes not in TASK_OF:
        raise ValueError(f"mfer: expected a classifier of {' or '.join(map(str, TASK_OF))} classes, got {classes}")
    names = {"v_rnn": "arms.video", "a_rnn": "arms.audio", "classifier": f"heads.{TASK_OF[classes]}"}
    parted = [(*name.partition("."), x) for name, x in state.items()]
    return {f"{names[first]}.{rest}": x for first, _, rest, x in parted if first in names}


def begin(model: "Model", states: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Take each arm from the last stage that has it, and each head whose classes all of these stages know."""
    found = {m: of for m in model.arms for of in states.values() if m in _arms(of)}
    if not found:
        raise ValueError(f"mfer: none of the stages {', '.join(states)} has an arm of {' or '.join(model.arms)}")
    for modality, state in found.items():
        prefix = f"arms.{modality}."
        if modality not in model.left_as_drawn:
            arm = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
            model.arms[modality].load_state_dict(arm)
    for task, classes in model.tasks.items():
        known = [(m, of) for m, of in found.items() if len(of.get(f"heads.{task}.bias", ())) == classes]
        if len(known) == len(model.arms):
            weight = torch.cat([_columns(of, m, f"heads.{task}.weight") for m, of in known], dim=1)
            bias = torch.stack([of[f"heads.{task}.bias"] for _, of in known]).mean(dim=0)
            model.heads[task].load_state_dict({"weight": weight, "bias": bias})


def _arms(state: Mapping[str, Tensor]) -> list[str]:
    return [m for m in SIDE_BY_SIDE if f"arms.{m}.weight_ih_l0" in state]


def _columns(state: Mapping[str, Tensor], modality: str, name: str) -> Tensor:
    """Return what a head has for the state of one arm."""
    arms = _arms(state)
    return state[name].chunk(len(arms), dim=1)[arms.index(modality)]


class Model(nn.Module):
    """The authors' `AuViLSTMModel` behind its encoders, for any tasks."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        if not shapes or not set(shapes) <= set(MODALITIES) or any(len(shape) > 2 for shape in shapes.values()):
            named = ", ".join(f"{m} of {'pictures' if len(shape) > 2 else 'vectors'}" for m, shape in shapes.items())
            raise ValueError(
                f"mfer: expected vectors of audio, video or both, got {named or 'nothing'}; "
                'say SET="modalities=audio,video", or use the model concat, which takes any'
            )
        self.tasks = dict(tasks)
        self.authors = config.variant == "authors"
        self.left_as_drawn = {"video"} if self.authors and len(shapes) > 1 else set()
        given = [m for m in SIDE_BY_SIDE if m in shapes]
        grus = {m: nn.GRU(shapes[m][1], config.width, config.layers, batch_first=True) for m in given}
        self.arms = nn.ModuleDict(grus)
        width = len(shapes) * config.width
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(width, classes) for task, classes in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        states = self.representation(torch.cat([self.state(batch, m) for m in self.arms], dim=1))
        return {task: head(states) for task, head in self.heads.items()}

    def state(self, batch: Batch, modality: str) -> Tensor:
        """Return the state of one arm (b, width) after its last step; zero where the modality is absent."""
        values, real = batch.sequence(modality)
        last = real.sum(dim=1).clamp(min=1) - 1
        if not self.authors:
            values = _ordered(values, ~real)
        else:
            last = torch.full_like(last, real.shape[1] - 1)
            values = _ordered(values, real) if modality == "audio" else values
        # Reading on and picking a state is several times faster than a packed sequence, and the same.
        states, _ = self.arms[modality](values)
        picked: Tensor = states[torch.arange(len(last), device=last.device), last]
        return picked * batch.present[modality][:, None]

    def notes(self) -> tuple[str, ...]:
        """Say what the authors' ways do to the scores."""
        notes = []
        if self.authors:
            notes.append(
                "What a clip is given depends on the lengths of the others in its batch, as in the authors' code."
            )
        if self.left_as_drawn:
            notes.append("What an earlier stage taught the GRU of video is not used, as in the authors' code.")
        return tuple(notes)


def _ordered(values: Tensor, later: Tensor) -> Tensor:
    """Put the steps (b, t, d) that come later (b, t) behind the others, each kind in its order."""
    order = later.to(torch.uint8).argsort(dim=1, stable=True)
    return values.gather(1, order[:, :, None].expand_as(values))
