"""LEFS, the label-encoder fusion strategy of paper 000: BFS, told what each modality says of the labels on its own.

A label encoder guesses the labels from the time mean of one modality; the guess, spread over time, is added to the
modality's features. The answer is BFS's; the guesses stand beside it as `modality/task` and are trained only through
the answer, unless the recipe's `train.part_weight` counts them.

What is said of `bfs` holds here. The variant `authors` departs from the paper in two more ways: the label encoding goes
to query and value, as the paper's text has it, not to query and key (its equation 2), and a guess is one linear layer.
In `paper_literal` a guess takes two layers, as in the authors' older code; the encoding goes where the text has it.
The latter has the paper's 7.1 million parameters (7,139,624), the authors' code 7,185,960.
"""

import torch
from torch import Tensor, nn

from fuse.batch import Batch, Shapes, Tasks
from fuse.models import bfs
from fuse.models._crossing import MODALITIES
from fuse.models.bfs import Config

THRESHOLD = bfs.THRESHOLD


class LabelEncoder(nn.Module):
    """The labels guessed from one modality alone, and the guess as a sequence."""

    def __init__(self, shape: tuple[int, ...], tasks: Tasks, config: Config) -> None:
        super().__init__()
        t, d = shape
        literal = config.variant == "paper_literal"

        def head(classes: int) -> nn.Module:
            if not literal:
                return nn.Linear(d, classes)
            return nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(64, classes))

        self.heads = nn.ModuleDict({task: head(classes) for task, classes in tasks.items()})
        self.spread = nn.ConvTranspose1d(sum(tasks.values()), config.width, bfs.LITERAL_STEPS if literal else t)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Turn (b, t, d) into logits of all tasks (b, k) and their encoding (b, t or 30, width)."""
        logits = torch.cat([head(features.mean(dim=1)) for head in self.heads.values()], dim=1)
        return logits, self.spread(logits[:, :, None]).relu().mT


class Model(bfs.Model):
    """BFS with a label encoder for each modality."""

    def __init__(self, config: Config, shapes: Shapes, tasks: Tasks) -> None:
        super().__init__(config, shapes, tasks)
        self.label_encoders = nn.ModuleDict({m: LabelEncoder(shapes[m], self.tasks, config) for m in MODALITIES})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits by task, and by `modality/task` for each modality's guess."""
        guesses, multimodal = self.guess(batch)
        return self.split(multimodal) | self.parts(guesses)

    def guess(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Return each modality's logits of all tasks (b, k), and the multimodal ones."""
        guesses, plain, labelled = {}, {}, {}
        for m in MODALITIES:
            features = self.read(batch, m)
            guesses[m], encoding = self.label_encoders[m](features)
            plain[m] = self.projections[m](features)
            labelled[m] = plain[m] + encoding
        return guesses, self.cross(plain, labelled)

    def parts(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return logits by `part/task`."""
        return {f"{part}/{task}": x for part in logits for task, x in self.split(logits[part]).items()}
