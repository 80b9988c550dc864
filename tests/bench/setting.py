"""What a script of this folder measures, given on its command line as `--clips 24 --corpus grid`."""

import argparse
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from extract.asked import split
from manifests import Clip

T = TypeVar("T")


@dataclass(frozen=True)
class Contest:
    """Which encoders run over which clips, for the plain way and for ours."""

    corpus: str = "meld"
    clips: int = 24
    faces: int = 1
    """How many stand in every frame."""
    encoders: str = "wav2vec2_msp,emoaffectnet+boxes=yolo_face,jina_v3"
    """Their detectors come with them."""
    rounds: int = 3
    weights: str = "random:0"
    device: str = "cpu"
    patient: int = 0
    """Whether the plain way's threads sleep while they wait, as ours do; as torch comes, they spin."""

    @property
    def names(self) -> list[str]:
        """Return the names of the encoders."""
        return split(self.encoders)


def third(clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
    """Return every third clip, whose mean length is that of all: the plain way is too slow to run on all."""
    return clips[1::3]


def read(kind: type[T]) -> T:
    """Read a setting from the command line; every field is an option, its default says the type."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for entry in fields(kind):
        parser.add_argument(f"--{entry.name}", type=type(entry.default), default=entry.default, help=" ")
    return kind(**vars(parser.parse_args()))


def words(setting: Any) -> list[str]:
    """Return a setting as the command line that `read` reads."""
    return [f"--{name}={value}" for name, value in asdict(setting).items()]
