"""Whether anything was learnt: how often the same answers, dealt out to the clips at random, score as much.

Whatever a model prefers to say, and however often, is in it. A floor that always says one class is lower in macro F1.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fuse.judged import Judged, main_score

DRAWS = 499
LUCK = 0.05
"""What comes by chance more often than this is not said to be learnt."""


def luck(seeds: Sequence[Judged]) -> float:
    """Return how often chance scores as much as what each seed says of the same clips; 1 where no score is defined."""
    draw, everyone = np.random.default_rng(0), np.arange(len(seeds[0]))
    found = main_score(seeds)(everyone)
    if not np.isfinite(found):
        return 1.0
    dealt = (draw.permutation(everyone) for _ in range(DRAWS))
    scores = [main_score([replace(one, truth=one.truth[order]) for one in seeds])(everyone) for order in dealt]
    return float((1 + sum(score >= found for score in scores)) / (1 + DRAWS))


def learnt(seeds: Sequence[Judged]) -> bool:
    """Tell whether a score is beyond chance; of so few clips that no score could be, that is not asked."""
    return luck(seeds) <= LUCK or luck([replace(one, predicted=one.truth) for one in seeds]) > LUCK
