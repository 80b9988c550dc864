"""What the models that cross audio, video and text share: one attention block, and how a clip is read."""

from collections.abc import Mapping

from torch import Tensor, nn

MODALITIES = ("audio", "video", "text")


def check_shapes(model: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse other modalities than the three."""
    if set(shapes) != set(MODALITIES):
        raise ValueError(
            f"{model}: expected the modalities {', '.join(MODALITIES)}, got {', '.join(shapes) or 'none'}; "
            "name one encoder for each in the recipe, or use the model concat, which takes any"
        )


def check_heads(model: str, width: int, heads: int) -> None:
    """Refuse a width that attention heads cannot share evenly."""
    if heads < 1 or width < 1 or width % heads:
        raise ValueError(f"{model}: expected a width that its heads share evenly, got {width} and {heads}")


def lengthened(values: Tensor, t: int) -> Tensor:
    """Bring (..., t, d) to t steps with zeros: a batch of short clips may be shorter than the longest clip."""
    missing = t - values.shape[-2]
    return nn.functional.pad(values, (0, 0, 0, missing)) if missing > 0 else values


class CrossBlock(nn.Module):
    """One post-norm transformer layer whose query comes from another sequence than its key and value."""

    def __init__(self, attention: nn.MultiheadAttention, dropout: float) -> None:
        super().__init__()
        width = attention.embed_dim
        self.attention = attention
        self.norm_attention = nn.LayerNorm(width)
        self.ff = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout), nn.ReLU(), nn.Linear(width, width))
        self.norm_ff = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return (b, t of the query, width)."""
        attended, _ = self.attention(query, key, value, need_weights=False)
        attended = self.norm_attention(self.dropout(attended) + query)
        mixed: Tensor = self.norm_ff(self.dropout(self.ff(attended)) + attended)
        return mixed


class Looking(nn.Module):
    """Attention to what is real, added to what asks, and normed; where nothing is real nothing is added."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, asking: Tensor, asked: Tensor, real: Tensor) -> Tensor:
        """Turn (b, t, width) into the same, having looked at (b, s, width) of which (b, s) is real."""
        something = real.any(dim=1, keepdim=True)
        unreal = something & ~real  # all may be looked at where nothing is real: a softmax over nothing is no number
        found = self.attention(asking, asked, asked, key_padding_mask=unreal, need_weights=False)[0]
        looked: Tensor = self.norm(asking + found * something[:, :, None])
        return looked
