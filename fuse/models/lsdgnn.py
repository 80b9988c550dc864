"""LSDGNN (Li et al. 2025): two directed graphs over the turns, of short and long memory, exchange what they hear.

A turn hears those before it, back to and with the last by its own speaker (short) or the fifth (long), as they have
already become. In each layer earlier turns are weighed, and what the same speaker and what others said pass a matrix
each, as in DAG-ERC; one recurrent cell takes the turn as input and what is heard as its state, another the other way
round, and their sum is the turn's new state. The BiAffine exchange gives every turn of one graph the other's turns that
answer to it. All layers beside the vectors themselves are classified. The differential regulariser is one over how far
the graphs' states point apart. The paper's curriculum is a strategy, not a model.

After the authors' code. Departs from it:

- Their exchange hears the whole conversation, padding and turns to come included, though the graphs do not: that is
  `both`, without the padding. Here the default hides what is to come from it, too, so that the model is causal.
- They measure states from their mean at the same place of other conversations, which leaves nothing of one that is
  alone in its batch. Here it is the mean over all turns, and padding does not count.
- Modalities pass a layer each and are then joined; theirs are joined as they are.

What the turn that asks adds to a score cancels in the softmax, and is not built.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from fuse.batch import Batch, Shapes, Tasks
from fuse.conversation import Context, Conversations
from fuse.models._turns import Vectors


@dataclass(frozen=True)
class Config:
    """The dials of LSDGNN; layers, reach and weight of the regulariser are those of the authors for MELD."""

    context: Context = "past"
    """Which other turns an answer may rest on: the past alone; in the exchange those after it, too; or none."""
    width: int = 128
    """Width that every modality is projected to, and of all states; the authors have 300."""
    layers: int = 2
    """Layers of each graph."""
    short: int = 1
    """How many earlier turns of the same speaker the short graph goes back."""
    long: int = 5
    """How many earlier turns of the same speaker the long graph goes back."""
    difference: float = 0.2
    """What the regulariser counts beside the tasks' losses."""
    dropout: float = 0.3
    """Share of each averaged feature vector, what is exchanged and the last layer that is left out in training."""


def edges(same: Tensor, real: Tensor, reach: int) -> Tensor:
    """Return (c, 2, u, u) bool: the turn of a row hears that of a column, said by its own speaker or by another."""
    before = (real[:, :, None] & real[:, None]).tril(-1)
    own = same & before
    nearer = own.flip(2).cumsum(dim=2).flip(2) - own.long()
    heard = before & (nearer < reach)
    return torch.stack([heard & same, heard & ~same], dim=1)


def difference(short: Tensor, long: Tensor, real: Tensor) -> Tensor:
    """Return one over how far two graphs' states (c, u, d) are apart, those of a conversation being at length one."""
    if real.sum() < 2:
        return short.new_zeros(())  # what is alone has no direction
    centred = [(states - states[real].mean(dim=0)) * real[:, :, None] for states in (short.float(), long.float())]
    one, other = (functional.normalize(states.flatten(1), eps=1e-6) for states in centred)
    distances: Tensor = torch.linalg.vector_norm(one - other, dim=1)
    return (distances.mean() + 1e-6).reciprocal()


class Layer(nn.Module):
    """One layer over one graph, turn after turn, all conversations at once."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.said = nn.Linear(2 * width, width, bias=False)
        self.turn = nn.GRUCell(width, width)
        self.around = nn.GRUCell(width, width)

    def forward(self, turns: Tensor, over: Tensor) -> Tensor:
        """Turn (c, u, width) and the edges (c, 2, u, u) into (c, u, width)."""
        heard, states, scores = torch.zeros_like(turns[:, 0]), list[Tensor](), list[Tensor]()
        for i, turn in enumerate(turns.unbind(dim=1)):
            if i:
                by_whom = over[:, :, i, :i]
                lowest = torch.finfo(scores[0].dtype).min
                shares = torch.cat(scores, dim=1).masked_fill(~by_whom.any(dim=1), lowest).softmax(dim=1)
                heard = self.said(((shares[:, None] * by_whom) @ torch.stack(states, dim=1)).flatten(1))
            states.append(self.turn(turn, heard) + self.around(heard, turn))
            scores.append(self.score(states[-1]))
        return torch.stack(states, dim=1)


class Exchange(nn.Module):
    """BiAffine: the turns of each graph as the other's turns that answer to them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.short, self.long = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        for linear in (self.short, self.long):
            nn.init.xavier_uniform_(linear.weight, gain=2**0.5)

    def forward(self, short: Tensor, long: Tensor, heard: Tensor) -> Tensor:
        """Turn the states of both (c, u, width), and which turns may be heard, into (c, u, 2 * width)."""
        attended = functional.scaled_dot_product_attention
        from_long = attended(self.short(short), long, long, attn_mask=heard, scale=1.0)
        return torch.cat([from_long, attended(self.long(long), short, short, attn_mask=heard, scale=1.0)], dim=2)


class Model(nn.Module):
    """Average, join, go over both graphs, exchange, classify."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__()
        self.config = config
        width, joined = config.width, len(shapes) * config.width
        self.vectors = Vectors(shapes, width, config.dropout)
        self.first = nn.Sequential(nn.Linear(joined, width), nn.ReLU())
        self.short, self.long = (nn.ModuleList(Layer(width) for _ in range(config.layers)) for _ in range(2))
        self.exchange = Exchange(width)
        self.dropout = nn.Dropout(config.dropout)
        read = joined + (1 + 2 * config.layers) * width
        hidden = (nn.Linear(read, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), self.dropout)
        self.hidden = nn.Sequential(*hidden)
        self.representation = nn.Identity()
        self.heads = nn.ModuleDict({task: nn.Linear(width, k) for task, k in tasks.items()})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task."""
        conversations = Conversations.of(batch, self.config.context)
        own = torch.cat(list(self.vectors(batch).values()), dim=1)
        first = self.first(own)
        short = long = conversations.lay(first)
        same, real = conversations.same_speaker, conversations.real
        near, far = (edges(same, real, reach) for reach in (self.config.short, self.config.long))
        read, apart = [own, first], []
        for place, layers in enumerate(zip(self.short, self.long, strict=True), start=1):
            short, long = layers[0](short, near), layers[1](long, far)
            apart.append(difference(short, long, real))
            found = conversations.back(self.exchange(short, long, conversations.heard))
            read.append(self.dropout(found) if place < self.config.layers else found)
        self._apart = torch.stack(apart).sum()
        features = self.representation(self.hidden(torch.cat(read, dim=1)))
        return {task: head(features) for task, head in self.heads.items()}

    def regulariser(self) -> Tensor:
        """Return what the last forward adds to the training loss."""
        return self.config.difference * self._apart
