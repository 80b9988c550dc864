"""COGMEN (Joshi et al. 2022): a transformer over the turns, then a graph of who spoke before and after whom.

Modalities lie side by side and pass a transformer over the whole conversation. Then every turn hears those around it
over edges of four relations, same or another speaker x past or future, within a window of turns. A relational layer
(RGCN) adds what each relation's mean says to what the turn itself says; a graph transformer attends over the same edges
and the turn itself. Distances are counted in turns of the whole conversation, those missing included.

After the authors' code, without its library of graphs. Departs from it:

- Relations are of same or other speakers, so that any number may talk, and a voice nobody knows is another's. The
  authors number each ordered pair of two speakers. A turn's edge to itself is the relational layer's root weight, which
  the authors have beside it.
- A window is what a turn hears: `past` turns before it. Edges of the authors' code run the other way, which is the same
  wherever both windows are as wide.
- Layer norm in the place of batch norm, in which turns of others and to come would be heard; padding is masked.
- Modalities are projected to one width each, and turns know their place; theirs pass as they are and do not.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context, Conversations
from fuse.models._crossing import check_heads
from fuse.models._turns import Attention, Vectors

RELATIONS = ("same/past", "same/future", "other/past", "other/future")


@dataclass(frozen=True)
class Config:
    """The dials of COGMEN; windows, width, layers and graph heads as in the authors' code."""

    context: Context = "both"
    """Which other turns an answer may rest on: both those before and after it, the past alone, or none."""
    width: int = 100
    """Width that every modality is projected to, and of the graph's states."""
    heads: int = 10
    """Attention heads of the transformer over turns."""
    layers: int = 2
    """Its layers."""
    past: int = 5
    """Turns back that an edge may reach."""
    future: int = 5
    """Turns ahead that an edge may reach."""
    graph_heads: int = 1
    """Attention heads of the graph transformer, each as wide as its input."""
    keep_context: bool = True
    """Whether the classifier also reads what the graph was given; the authors have it off, and learning begins late."""
    dropout: float = 0.2
    """Share of each averaged feature vector, in the transformer and before the heads, that is left out in training; the
    authors have 0.5, with which a small corpus is learnt late."""


def edges(conversations: Conversations, past: int, future: int) -> Tensor:
    """Return (c, relations, u, u) bool: over which relation the turn of a row hears that of a column, itself never."""
    ahead = conversations.turn[:, None, :] - conversations.turn[:, :, None]
    itself = torch.eye(ahead.shape[1], dtype=torch.bool, device=ahead.device)
    others, same, later = conversations.heard & ~itself, conversations.same_speaker, conversations.later
    before, after = others & ~later & (-ahead <= past), others & later & (ahead <= future)
    return torch.stack([same & before, same & after, ~same & before, ~same & after], dim=1)


class Relational(nn.Module):
    """One layer of an RGCN: a matrix for the turn itself, and one for the mean over each relation."""

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear((1 + len(RELATIONS)) * d, width)

    def forward(self, turns: Tensor, over: Tensor) -> Tensor:
        """Turn (c, u, d) and the edges (c, relations, u, u) into (c, u, width)."""
        shares = over / over.sum(dim=3, keepdim=True).clamp(min=1)
        means = shares @ turns[:, None]
        mixed: Tensor = self.linear(torch.cat([turns, *means.unbind(dim=1)], dim=2))
        return mixed


class GraphTransformer(nn.Module):
    """Attention over edges and the turn itself, to which the turn is added through a matrix of its own."""

    def __init__(self, d: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, heads * width
        self.attended = nn.Linear(d, 3 * self.width)
        self.skip = nn.Linear(d, self.width)

    def forward(self, turns: Tensor, over: Tensor) -> Tensor:
        """Turn (c, u, d) and the edges (c, relations, u, u) into (c, u, heads * width)."""
        heard = over.any(dim=1) | torch.eye(turns.shape[1], dtype=torch.bool, device=turns.device)
        query, key, value = self.attended(turns).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=heard[:, None])
        mixed: Tensor = found.transpose(1, 2).flatten(2) + self.skip(turns)
        return mixed


class Model(nn.Module):
    """Average, join, go over the turns, over the graph, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        check_heads("cogmen", config.width, config.heads)
        self.config = config
        width, joined = config.width, len(shapes) * config.width
        self.vectors = Vectors(shapes, width, config.dropout)
        self.turns = Attention(joined, config.heads, config.layers, config.dropout)
        self.narrowed = nn.Linear(joined, width)
        self.relational = Relational(width, width)
        self.graph = GraphTransformer(width, width, config.graph_heads)
        self.norm = nn.LayerNorm(self.graph.width)
        read = self.graph.width + (width if config.keep_context else 0)
        self.hidden = nn.Sequential(nn.Linear(read, width), nn.ReLU(), nn.Dropout(config.dropout))
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(width, k) for task, k in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        conversations = Conversations.of(batch, self.config.context)
        own = conversations.lay(torch.cat(list(self.vectors(batch).values()), dim=1))
        around = self.narrowed(self.turns(own, conversations))
        over = edges(conversations, self.config.past, self.config.future)
        heard = functional.leaky_relu(self.norm(self.graph(self.relational(around, over), over)))
        read = torch.cat([heard, around], dim=2) if self.config.keep_context else heard
        features = self.representation(self.hidden(conversations.back(read)))
        return {task: head(features) for task, head in self.heads.items()}
