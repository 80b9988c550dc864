"""What a run has done so far: for its progress, its summary and its exit code."""

from collections import defaultdict
from dataclasses import dataclass, field

from features import Failure


@dataclass
class Tally:
    """What a run did, for its summary."""

    clips: int = 0
    files: int = 0
    media_s: float = 0.0
    windows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    repeated: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Entry to the slots that had no frame of their own."""
    failures: dict[str, list[Failure]] = field(default_factory=lambda: defaultdict(list))

    @property
    def failed(self) -> set[str]:
        """Return the clips that failed for at least one entry."""
        return {failure.clip for failures in self.failures.values() for failure in failures}
