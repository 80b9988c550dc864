"""What training minimises: cross-entropy with soft targets, over the clips that have the label."""

import torch
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor, weights: Tensor | None = None) -> Tensor:
    """Average the cross-entropy of (b, k) logits and shares over the clips in `known` (b).

    With class weights it is still divided by the number of clips, as torch does for targets that are shares; torch
    divides by the sum of the weights where targets are class numbers, which is another scale. No known clip gives zero.
    """
    shares = targets if weights is None else targets * weights
    losses = -(shares * logits.log_softmax(dim=1)).sum(dim=1)
    return torch.where(known, losses, 0).sum() / known.sum().clamp(min=1)


def balanced_weights(label_sums: Tensor) -> Tensor:
    """Return N / (K * n_k) from the sum of labels of each class (k); a class without examples weighs nothing."""
    balanced = label_sums.sum() / (len(label_sums) * label_sums)
    return torch.where(label_sums > 0, balanced, 0)
