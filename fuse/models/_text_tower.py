"""CLIP's text network in plain torch, from the two files that the encoder `clip_text` leaves beside its features.

It is frozen and no part of a model's state: what is trained are contexts before the words of a text, as CoOp learns
them (shared by the texts of a group, class at the end), with the gradient passing through. No token sees what follows
it, so a text ends for the network at its end token: that is exact, and a dozen tokens cost a fifth of all 77.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from features import CacheError
from fuse.models import _tokens

TOWER, TOKENIZER = "text_tower.safetensors", "tokenizer.json"
_MOST_BYTES = 2 << 30  # the largest text network that is published as CLIP has a third of it
_KINDS = (torch.float32, torch.float16, torch.bfloat16)
_CHECKED = {"layers": (1, 64), "heads": (1, 64), "width": (1, 4096), "context": (3, 1024)}
_WORDS, _PLACES = "text_model.embeddings.token_embedding.weight", "text_model.embeddings.position_embedding.weight"
_LAST, _PROJECTION = "text_model.final_layer_norm", "text_projection.weight"
_LAYER = "text_model.encoder.layers"
_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj")
_NORMS, _FEED = ("layer_norm1", "layer_norm2"), ("mlp.fc1", "mlp.fc2")


@dataclass(frozen=True)
class Sizes:
    """What one must know of the network besides its weights."""

    layers: int
    heads: int
    width: int
    context: int
    activation: str
    epsilon: float
    start_id: int
    end_id: int

    def __post_init__(self) -> None:
        for name, (least, most) in {**_CHECKED, "start_id": (0, 1 << 24), "end_id": (0, 1 << 24)}.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {value!r}")
        if self.width % self.heads:
            raise ValueError(f"heads: expected heads that share {self.width} evenly, got {self.heads}")
        if self.activation not in ("quick_gelu", "gelu"):
            raise ValueError(f"activation: expected quick_gelu or gelu, got {self.activation!r}")
        if type(self.epsilon) is not float or not 0 < self.epsilon < 1:
            raise ValueError(f"epsilon: expected a number between 0 and 1, got {self.epsilon!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the sizes as they stand in the file of the weights; what else is told there is not asked for."""
        said = json.loads(text)
        if not isinstance(said, dict):
            raise ValueError(f"expected sizes by name, got {text!r:.40}")
        known: dict[str, Any] = {field.name: said.get(field.name) for field in dataclasses.fields(cls)}
        return cls(**known)

    def names(self) -> list[str]:
        """Name every weight that the network has."""
        parts = [f"{_LAYER}.{i}.{part}" for i in range(self.layers) for part in (*_ATTENTION, *_NORMS, *_FEED)]
        both = [f"{part}.{kind}" for part in (*parts, _LAST) for kind in ("weight", "bias")]
        return [_WORDS, _PLACES, _PROJECTION, *both]


class TextTower(nn.Module):
    """The network; its weights move with it, and are neither trained nor stored."""

    def __init__(self, sizes: Sizes, state: Mapping[str, Tensor], cut: _tokens.Cut) -> None:
        super().__init__()
        _check(sizes, state)
        self.sizes, self.cut = sizes, cut
        self.projected = len(state[_PROJECTION])
        # Each text is looked up once, where it was read: no device needs all words.
        self._words = state[_WORDS].float()
        for name, weight in (("places", state[_PLACES]), ("projection", state[_PROJECTION])):
            self.register_buffer(name, weight.float(), persistent=False)
        for kind in ("weight", "bias"):
            self.register_buffer(f"last_{kind}", state[f"{_LAST}.{kind}"].float(), persistent=False)
            for part in (*_ATTENTION, *_NORMS, *_FEED):
                every = [state[f"{_LAYER}.{i}.{part}.{kind}"].float() for i in range(sizes.layers)]
                self.register_buffer(f"{_short(part)}_{kind}", torch.stack(every), persistent=False)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the embedding of each token, without its place."""
        if ids.max() >= len(self._words):
            raise ValueError(f"expected tokens below {len(self._words)}, got {int(ids.max())}")
        return self._words[ids]

    def forward(self, embedded: Tensor, ends: Tensor) -> Tensor:
        """Turn embedded tokens (k, t, w) and where each text ends (k) into what the texts mean (k, d)."""
        x = embedded + self.get_buffer("places")[: embedded.shape[1]]
        for i in range(self.sizes.layers):
            x = x + self._attend(self._norm(x, "layer_norm1", i), i)
            y = self._dense(self._norm(x, "layer_norm2", i), "fc1", i)
            y = functional.gelu(y) if self.sizes.activation == "gelu" else y * torch.sigmoid(1.702 * y)
            x = x + self._dense(y, "fc2", i)
        last = x[torch.arange(len(ends), device=ends.device), ends]
        weight, bias = self.get_buffer("last_weight"), self.get_buffer("last_bias")
        normed = functional.layer_norm(last, last.shape[-1:], weight, bias, self.sizes.epsilon)
        return functional.linear(normed, self.get_buffer("projection"))

    def _attend(self, x: Tensor, i: int) -> Tensor:
        heads = (*x.shape[:2], self.sizes.heads, -1)
        q, k, v = (self._dense(x, f"{name}_proj", i).reshape(heads).transpose(1, 2) for name in "qkv")
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self._dense(seen.transpose(1, 2).flatten(2), "out_proj", i)

    def _dense(self, x: Tensor, part: str, i: int) -> Tensor:
        return functional.linear(x, self.get_buffer(f"{part}_weight")[i], self.get_buffer(f"{part}_bias")[i])

    def _norm(self, x: Tensor, part: str, i: int) -> Tensor:
        weight, bias = self.get_buffer(f"{part}_weight")[i], self.get_buffer(f"{part}_bias")[i]
        return functional.layer_norm(x, x.shape[-1:], weight, bias, self.sizes.epsilon)


def _short(part: str) -> str:
    return part.rpartition(".")[2]


def _check(sizes: Sizes, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those of the sizes, or not finite numbers."""
    w, ff = sizes.width, state[f"{_LAYER}.0.mlp.fc1.bias"].numel()
    vectors: dict[str, tuple[int, ...]] = dict.fromkeys(_NORMS, (w,))
    shapes = {**dict.fromkeys(_ATTENTION, (w, w)), **vectors, "mlp.fc1": (ff, w), "mlp.fc2": (w, ff)}
    ends = {
        _WORDS: (state[_WORDS].numel() // w, w),
        _PLACES: (sizes.context, w),
        _PROJECTION: (state[_PROJECTION].numel() // w, w),
        f"{_LAST}.weight": (w,),
        f"{_LAST}.bias": (w,),
    }
    for name in sizes.names():
        layer, _, kind = name.rpartition(".")
        expected = ends.get(name) or shapes[layer.split(".", 4)[4]][: 1 if kind == "bias" else None]
        tensor = state[name]
        if tuple(tensor.shape) != expected or not tensor.numel():
            raise ValueError(f"{name}: expected the shape {expected}, got {tuple(tensor.shape)}")
        if tensor.dtype not in _KINDS or not tensor.isfinite().all():
            raise ValueError(f"{name}: expected finite numbers, got others")


def read(folder: Path) -> TextTower:
    """Read network and tokenizer from the folder of an entry; nothing in them is believed before it is checked."""
    path = folder / TOKENIZER
    try:
        cut = _tokens.read(path)
        path = folder / TOWER
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise ValueError(f"expected at most {_MOST_BYTES:,} bytes, got {size:,}")
        with safe_open(path, "pt") as file:
            sizes = Sizes.parse((file.metadata() or {}).get("config", ""))
            return TextTower(sizes, {name: file.get_tensor(name) for name in sizes.names()}, cut)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        advice = "delete it, and extract clip_text again"
        raise CacheError(f"{path} is not what clip_text leaves for training: {error}; {advice}") from None


def found(folders: Iterable[Path]) -> TextTower | None:
    """Read the first network that lies in one of these folders."""
    return next((read(folder) for folder in folders if (folder / TOWER).is_file()), None)


class Prompts(nn.Module):
    """Groups of texts, each text behind contexts that its group learns."""

    def __init__(self, tower: TextTower, groups: Mapping[str, Sequence[str]], contexts: int) -> None:
        super().__init__()
        self.tower = tower
        self.counts = {name: len(texts) for name, texts in groups.items()}
        texts = [text for group in groups.values() for text in group]
        numbers = [tower.cut(f"{text.removesuffix('.')}.") for text in texts]
        ends = torch.tensor([1 + contexts + len(one) for one in numbers])
        if (longest := int(ends.max())) >= tower.sizes.context:
            text = texts[int(ends.argmax())]
            raise ValueError(
                f"expected at most {tower.sizes.context} tokens with start, {contexts} contexts and end, "
                f"got {longest + 1} of {text!r}; use fewer contexts or a shorter text"
            )
        ids = torch.full((len(texts), longest - contexts + 1), tower.sizes.end_id)
        ids[:, 0] = tower.sizes.start_id
        for row, one in zip(ids, numbers, strict=True):
            row[1 : 1 + len(one)] = torch.tensor(one)
        self.register_buffer("words", tower.embed(ids), persistent=False)
        self.register_buffer("ends", ends, persistent=False)
        drawn = {name: 0.02 * torch.randn(contexts, tower.sizes.width) for name in groups}
        self.contexts = nn.ParameterDict({name: nn.Parameter(x) for name, x in drawn.items()})

    def embedded(self) -> Tensor:
        """Return start, contexts, words, stop and end of every text, up to the greatest end (k, t, w)."""
        words = self.get_buffer("words")
        learned = [self.contexts[name].expand(count, -1, -1) for name, count in self.counts.items()]
        return torch.cat([words[:, :1], torch.cat(learned), words[:, 1:]], dim=1)

    def forward(self) -> dict[str, Tensor]:
        """Return by group what its texts mean (k, d); all of them pass through the network at once."""
        meant: Tensor = self.tower(self.embedded(), self.get_buffer("ends"))
        return dict(zip(self.counts, torch.split(meant, list(self.counts.values())), strict=True))
