"""The dials of an experiment: how features are handed over, and how is trained; each is a key of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Data:
    """How cached windows become what a model sees."""

    windows: Literal["mean", "vote", "all"] = "mean"
    """Average the windows of a clip element-wise, as paper 000 does; take each as an example and let them vote, as its
    precursor does; or keep them all, for models that look at several."""
    turns: int = 128
    """Longest conversation that a model looks at as one; a longer one is cut evenly."""
    compress: Mapping[str, int] = field(default_factory=dict)
    """Most steps that a window of a modality has; of more the most similar neighbours are merged (1 is their mean)."""
    standardise: bool = False
    """Bring every feature to mean 0 and deviation 1 over the training clips."""
    memory_gb: float = 0.0
    """What features may take in memory before they are streamed from the disk; 0 is what the machine has free."""
    random_weights: bool = False
    """Let features of random weights through, to try a pipeline; the report says that its numbers mean nothing."""


@dataclass(frozen=True)
class Train:
    """The training loop's dials."""

    epochs: int = 75
    batch: int = 64
    accumulate: int = 1
    """Batches whose gradients make one step."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    lr: float = 1e-5
    lr_of: Mapping[str, float] = field(default_factory=dict)
    """Another learning rate for parameters whose name begins so."""
    freeze: tuple[str, ...] = ()
    """Parameters whose name begins so are not trained."""
    betas: tuple[float, ...] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    """Greatest norm of a step's gradients; 0 leaves them as they are."""
    schedule: Literal["cosine", "restarts", "plateau", "exponential", "steps", "constant"] = "cosine"
    min_lr: float = 1e-7
    """Where the cosine ends."""
    factor: float = 0.5
    """What a plateau, an epoch (exponential) or a step multiplies the learning rate by."""
    every: int = 10
    """Epochs of the first restart, which double each time, or between two steps."""
    plateau: int = 1
    """Epochs without a dev score better by a thousandth before the learning rate falls."""
    patience: int = 10
    """Epochs without a better dev score before stopping."""
    select: str = "mf1"
    """What tasks with one class per clip are judged by on dev; multi-label tasks by mmf1, scores by correlation,
    dimensions by concordance."""
    class_weights: Literal["balanced", "share", "none"] = "balanced"
    """N / (K n_k), or n_k / N as paper 000's precursor has it."""
    class_weight_power: float = 1.0
    sampler: Literal["shuffle", "weighted"] = "shuffle"
    """Every clip once an epoch, or as many draws, of rare classes more often."""
    sampler_power: float = 1.0
    """Weighted draws: a clip's weight is (N / (K n_k)) to this power."""
    label_smoothing: float = 0.0
    focus: float = 0.0
    """How much less a clip counts that is right already (focal loss, usually 2); 0 is plain cross-entropy.
    A model with a loss of its own keeps that."""
    score_loss: Literal["distance", "concordance", "ranklist"] = "distance"
    """What scores are trained by: how far each is off; 1 minus the concordance of a batch; or whether a batch is in the
    right order (RankList), beside which the distance counts a tenth, so that a score stays near its scale. Distances
    of a model that was trained by order are still not to be compared with others'; its correlation is."""
    task_weights: Mapping[str, float] = field(default_factory=dict)
    """What each task's loss counts; 1 where nothing is said."""
    part_weight: float = 0.0
    """What the losses of a model's `part/task` outputs count beside that of the task itself."""
    modality_drop: Mapping[str, float] = field(default_factory=dict)
    """How often a training clip loses modalities, by their names joined with `+`."""
    noise: float = 0.0
    """Deviation of noise that is added to training features."""
    time_mask: float = 0.0
    """Share of a training clip's steps that is set to zero, in one run."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What products of matrices are computed in; weights stay float32."""
