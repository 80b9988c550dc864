"""MER-CLIP (paper 004): a query word asks language, picture and sound in turn, and the answer is the nearest label.

The paper has no public code. Label texts and the query word stand behind learned contexts and pass through CLIP's
frozen text network; a decoder of one layer per modality, in the order in which the recipe gives the modalities, turns
the query into what it found; its likeness to each label's embedding is the logit. Tasks do not see each other.

Where the paper leaves a choice, and where this departs from it:

- The paper gives each modality as one vector, and attention to one vector is that vector whatever is asked. Here every
  real step is a key; `pooled` has the paper's form. A clip without a modality passes its cross-attention by.
- The paper trains its encoders. Features are fixed here; `adapters`, one linear layer each, stand in for that.
- Post-norm, ReLU, hidden width 2048, dropout and contexts of their own for the query and for each task are our choice.
- Of several labels the likenesses are standardised over the labels: six shares lie between 0.10 and 0.90, and no clip
  can have all labels or none.
- Without the label encoder a learned vector per task is the query, and a linear layer the end. A score always ends so.
- Without the network of `clip_text` beside the features, texts are fixed orthonormal vectors; a note says so.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fuse.batch import Batch, Shapes, Tasks
from fuse.models import _text_tower
from manifests.labels import TASKS

THRESHOLD = 0.6
"""From which share on the paper takes a label as given."""
LAST_STEP = "text"
"""The modality whose last real step, CLIP's end token, stands for all of it where modalities are pooled."""

# Classes whose word is not their name; seven sentiments are called as in the paper's section 4.1.
WORDS = {
    "anger": "angry",
    "-3": "strongly negative",
    "-2": "negative",
    "-1": "weakly negative",
    "0": "neutral",
    "1": "weakly positive",
    "2": "positive",
    "3": "strongly positive",
}
# Paper 004, table 6.
PHRASES = {
    "positive": "Feelings of satisfaction, approval, or optimism.",
    "negative": "Feelings of dissatisfaction, disapproval, or pessimism.",
}
# Paper 004, table 5.
SENTENCES = {
    "happy": "A state of feeling delighted, content, and fulfilled, often accompanied by a bright expression and a "
    "sense of inner peace.",
    "sad": "A feeling of deep sorrow or unhappiness, often resulting from loss, disappointment, or misfortune.",
    "anger": "A strong feeling of annoyance, displeasure, or hostility that often leads to impulsive reactions or "
    "confrontations.",
    "surprise": "An unexpected event or piece of information that causes a strong emotional reaction, such as "
    "astonishment or wonder.",
    "disgust": "A profound sense of revulsion or profound disapproval elicited by something unpleasant or offensive.",
    "fear": "An intense sensation of dread or apprehension about a potential or imagined danger or threat.",
}
# The paper has no text for these: they are ours, and a note says so.
OUR_PHRASES = {"neutral": "Feelings that are neither favourable nor unfavourable."}
OUR_SENTENCES = {
    "neutral": "An even state of mind without any strong feeling, in which nothing pleases or troubles much.",
    "calm": "A quiet state of mind, free from agitation, hurry, or worry.",
    "excited": "A lively state of eager anticipation, often shown by quick speech and restless movement.",
    "frustrated": "A feeling of being hindered again and again in what one wants to achieve.",
}
_TEXTS = {"phrase": PHRASES | OUR_PHRASES, "sentence": SENTENCES | OUR_SENTENCES}


@dataclass(frozen=True)
class Config:
    """The paper's sizes, and what its tables leave out or exchange."""

    layers: int = 0
    """Layers of the decoder: one per modality, which 0 says too; the paper knows no other number."""
    width: int = 512
    """Width of decoder, labels and query: what CLIP projects to."""
    heads: int = 8
    """Attention heads of each decoder layer."""
    ff: int = 2048
    """Hidden width of each decoder layer's feed-forward part."""
    contexts: int = 8
    """Vectors that are learned before a label or a query."""
    labels: Literal["word", "phrase", "sentence"] = "word"
    """What stands for a class; the paper has phrases for sentiment and sentences for emotions."""
    query: str = "task"
    """The word asked for: `task` is Emotion or Sentiment, as the task is; nothing leaves the contexts alone."""
    decoder: bool = True
    """Whether there is a decoder (CMD); else pooled modalities, side by side, pass one linear layer."""
    label_encoder: bool = True
    """Whether labels are texts (LE); else logits come from a linear layer."""
    adapters: bool = True
    """Whether each modality passes a linear layer, which begins as no change where widths agree."""
    prompts: Literal["learned", "frozen"] = "learned"
    """Whether contexts are learned; else there are none, and texts are embedded once."""
    pooled: bool = False
    """Whether a modality is one vector, as in the paper: the last step of text, the mean of others."""
    dropout: float = 0.1
    """In attention and after each sub-layer of the decoder, or before the linear layer in its place."""

    def __post_init__(self) -> None:
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(
                f"mer_clip: expected a width that its heads share evenly, got {self.width} and {self.heads}"
            )
        if self.contexts < 1 or self.layers < 0:
            raise ValueError(f"mer_clip: expected contexts >= 1 and layers >= 0, got {self.contexts} and {self.layers}")
        if not self.query and self.prompts == "frozen":
            raise ValueError('mer_clip: expected a query, got none; with prompts = "frozen" nothing would be asked')


class DecoderLayer(nn.Module):
    """One post-norm layer: what was found so far sees itself, then one modality."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.self_attention = nn.MultiheadAttention(width, config.heads, config.dropout, batch_first=True)
        self.norm_self = nn.LayerNorm(width)
        self.cross_attention = nn.MultiheadAttention(width, config.heads, config.dropout, batch_first=True)
        self.norm_cross = nn.LayerNorm(width)
        hidden, back = nn.Linear(width, config.ff), nn.Linear(config.ff, width)
        self.ff = nn.Sequential(hidden, nn.ReLU(), nn.Dropout(config.dropout), back)
        self.norm_ff = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, z: Tensor, values: Tensor, real: Tensor) -> Tensor:
        """Turn one query per task (b, k, width) into the next, from the real ones of some steps (b, t, width)."""
        alone = z.flatten(0, 1)[:, None]  # a sequence per task: no query sees another's
        attended, _ = self.self_attention(alone, alone, alone, need_weights=False)
        z = self.norm_self(z + self.dropout(attended.reshape(z.shape)))
        present = real.any(dim=1, keepdim=True)
        # Of no step at all there is no softmax, so an absent modality is looked at, and what was seen is not taken.
        attended, _ = self.cross_attention(z, values, values, key_padding_mask=~(real | ~present), need_weights=False)
        z = torch.where(present[:, :, None], self.norm_cross(z + self.dropout(attended)), z)
        mixed: Tensor = self.norm_ff(z + self.dropout(self.ff(z)))
        return mixed


class Fixed(nn.Module):
    """Groups of texts whose embeddings are neither trained nor stored."""

    def __init__(self, embeddings: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, embedding in embeddings.items():
            self.register_buffer(name, embedding, persistent=False)

    def forward(self) -> dict[str, Tensor]:
        """Return by group what its texts mean (k, width)."""
        return dict(self.named_buffers())


class Model(nn.Module):
    """Adapters, decoder and label texts, for any vectors of any modalities and all tasks that have label texts."""

    def __init__(
        self, config: Config, shapes: Shapes, tasks: Tasks, tower: _text_tower.TextTower | None = None
    ) -> None:
        super().__init__()
        _check(config, shapes, tasks)
        self.config, self.tasks = config, tuple(tasks)
        self.adapters = nn.ModuleDict({m: _adapter(config, shape[1]) for m, shape in shapes.items()})
        self.texts = _texts(config, tasks, tower)
        self.made_up = tower is None and bool(_groups(config, tasks))
        width, decoded = config.width, config.decoder
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in shapes] if decoded else [])
        self.joined = nn.Identity() if decoded else nn.Linear(len(shapes) * width, width)
        self.dropout = nn.Dropout(config.dropout)
        self.representation = nn.Identity()
        asked = tasks if decoded and not config.label_encoder else ()
        self.queries = nn.ParameterDict({task: nn.Parameter(0.02 * torch.randn(1, width)) for task in asked})
        linear = {task: k for task, k in tasks.items() if not config.label_encoder or TASKS[task].kind == "score"}
        self.heads = nn.ModuleDict({task: _head(config, k) for task, k in linear.items()})
        scaled = [task for task in tasks if task not in linear and TASKS[task].kind == "class"]
        self.log_scales = nn.ParameterDict({task: nn.Parameter(torch.tensor(-math.log(0.07))) for task in scaled})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        meant = self.texts()
        sources = [self.source(modality, batch) for modality in self.adapters]
        found = self.representation(self.decode(meant, sources) if self.config.decoder else self.join(sources))
        return {task: self.answer(task, z, meant) for task, z in zip(self.tasks, found.unbind(dim=1), strict=True)}

    def source(self, modality: str, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what a modality gives (b, t, width) and which of it is real (b, t)."""
        pooled = self.config.pooled or not self.config.decoder
        values, real = _pooled(modality, batch) if pooled else batch.sequence(modality)
        return self.adapters[modality](torch.where(real[:, :, None], values, 0)), real

    def decode(self, meant: Mapping[str, Tensor], sources: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Ask one modality after the other; return what each task found (b, tasks, width)."""
        asked = [self.queries[task] if task in self.queries else meant[f"{task}_query"] for task in self.tasks]
        z = torch.cat(asked).expand(len(sources[0][0]), -1, -1)
        for layer, (values, real) in zip(self.layers, sources, strict=True):
            z = layer(z, values, real)
        return z

    def join(self, sources: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Return what stands in the decoder's place, the same for every task (b, tasks, width)."""
        side_by_side = torch.cat([(values * real[:, :, None])[:, 0] for values, real in sources], dim=1)
        mixed: Tensor = self.joined(self.dropout(side_by_side))
        return mixed[:, None].expand(-1, len(self.tasks), -1)

    def answer(self, task: str, z: Tensor, meant: Mapping[str, Tensor]) -> Tensor:
        """Turn what a task found (b, width) into its logits (b, k)."""
        logits: Tensor
        if task in self.heads:
            logits = self.heads[task](z)
            return logits
        # Labels are much alike, so their differences need all digits, which a product of matrices may not keep.
        likeness = functional.cosine_similarity(z.float()[:, None], meant[f"{task}_labels"].float()[None], dim=2)
        if task in self.log_scales:
            logits = likeness * self.log_scales[task].exp()
            return logits
        # Over the labels, mean 0 and deviation 1; so small an `eps` matters only where all are equal.
        return functional.layer_norm(likeness, likeness.shape[1:], eps=1e-10)

    def notes(self) -> tuple[str, ...]:
        """Say what is not the paper's: fixed texts, texts of ours, scores."""
        notes: list[str] = []
        if self.made_up:
            notes.append(
                "frozen prompts: no text tower beside the text features, so labels and queries are fixed orthonormal "
                "vectors; extract clip_text to have it"
            )
        if self.config.label_encoder and self.config.labels != "word":
            ours = OUR_PHRASES if self.config.labels == "phrase" else OUR_SENTENCES
            classes = dict.fromkeys(name for task in self.tasks for name in TASKS[task].classes if name in ours)
            notes += [f"the paper has no {self.config.labels} for {', '.join(classes)}: ours is used"] * bool(classes)
        if self.config.label_encoder and self.heads:
            notes.append(f"{', '.join(self.heads)}: a score is no label, so a linear layer gives it")
        return tuple(notes)


def build(config: Config, shapes: Shapes, tasks: Tasks, entries: Mapping[str, Sequence[Path]]) -> Model:
    """Return the model with the text network that lies beside some features, where one does."""
    folders = (folder for several in entries.values() for folder in several)
    return Model(config, shapes, tasks, _text_tower.found(folders) if config.label_encoder else None)


def _check(config: Config, shapes: Shapes, tasks: Tasks) -> None:
    if config.layers not in (0, len(shapes)):
        raise ValueError(f"mer_clip: expected one layer for each of {len(shapes)} modalities, got {config.layers}")
    for modality, shape in shapes.items():
        if len(shape) != 2:
            raise ValueError(f"mer_clip: expected vectors of {modality}, got the shape {shape}; name another encoder")
        if not config.adapters and shape[1] != config.width:
            raise ValueError(
                f"mer_clip: expected {modality} of width {config.width}, got {shape[1]}; set adapters = true"
            )
    for task, count in tasks.items():
        if task not in TASKS or len(TASKS[task].classes) != count:
            raise ValueError(f"mer_clip: expected a task whose labels have texts, got {task} with {count} classes")
        if count < 2 and TASKS[task].kind == "multi":
            raise ValueError(f"mer_clip: expected at least 2 labels to standardise over, got {count} of {task}")


def _adapter(config: Config, d: int) -> nn.Module:
    if not config.adapters:
        return nn.Identity()
    adapter = nn.Linear(d, config.width)
    if d == config.width:
        nn.init.eye_(adapter.weight)
        nn.init.zeros_(adapter.bias)
    return adapter


def _head(config: Config, classes: int) -> nn.Module:
    head = nn.Linear(config.width, classes)
    return head if config.decoder else nn.Sequential(nn.ReLU(), head)


def _pooled(modality: str, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the one vector that stands for a modality (b, 1, d), and whether the clip has it (b, 1)."""
    values, real = batch.sequence(modality)
    if modality != LAST_STEP:
        return batch.mean_of_steps(modality)[:, None], real.any(dim=1, keepdim=True)
    places = torch.arange(1, real.shape[1] + 1, device=real.device)
    last = (real * places).argmax(dim=1)
    return values[torch.arange(len(last), device=last.device), last][:, None], real.any(dim=1, keepdim=True)


def _groups(config: Config, tasks: Tasks) -> dict[str, list[str]]:
    """Return the texts that share contexts: each task's labels, and its query where one is asked."""
    groups: dict[str, list[str]] = {}
    for task in tasks if config.label_encoder else ():
        if config.decoder:
            named = "Sentiment" if task.startswith("sentiment") else "Emotion"
            groups[f"{task}_query"] = [named if config.query == "task" else config.query]
        if TASKS[task].kind != "score":
            groups[f"{task}_labels"] = [_text(config, name, task) for name in TASKS[task].classes]
    return groups


def _text(config: Config, name: str, task: str) -> str:
    if config.labels == "word":
        return WORDS.get(name, name)
    if name not in _TEXTS[config.labels]:
        raise ValueError(
            f"mer_clip: expected labels that have a {config.labels}, got {name} of {task}; "
            "the paper has phrases for sentiment and sentences for emotions"
        )
    return _TEXTS[config.labels][name]


def _texts(config: Config, tasks: Tasks, tower: _text_tower.TextTower | None) -> nn.Module:
    """Return what gives the embeddings of all texts: learned, embedded once, or made up."""
    groups = _groups(config, tasks)
    if tower is None or not groups:
        return Fixed({name: _orthonormal(texts, config.width) for name, texts in groups.items()})
    if tower.projected != config.width:
        raise ValueError(
            f"mer_clip: expected config.width={tower.projected}, which the text tower gives, got {config.width}"
        )
    if config.prompts == "learned":
        return _text_tower.Prompts(tower, groups, config.contexts)
    with torch.no_grad():
        return Fixed(_text_tower.Prompts(tower, groups, 0)())


def _orthonormal(texts: Sequence[str], width: int) -> Tensor:
    """Return a vector of length 1 for each text (k, width), each at right angles to those before."""
    if len(texts) > width:
        raise ValueError(f"mer_clip: expected a width of at least {len(texts)}, one for each label, got {width}")
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") for text in texts]
    drawn = np.stack([np.random.default_rng(seed).standard_normal(width) for seed in seeds], axis=1)
    q, r = np.linalg.qr(drawn)
    return torch.from_numpy((q * np.sign(np.diag(r))).T.astype(np.float32))
