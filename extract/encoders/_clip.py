"""What the CLIP encoders share: the checkpoint of ViT-B/32, and how its image tower is shown pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

from extract.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor

ID = "openai/clip-vit-base-patch32"
REVISION = "b33cedfd0df4e43b8238760678fcc89e1a0d38b3"  # a conversion by its hub: main holds a pickle only
WEIGHTS = Weights(
    id=ID,
    user="clip_vision",  # as good as any of the three: they share the file
    files=("model.safetensors",),
    sha256="99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d",
    revision=REVISION,
    sizes=(605_157_884,),
)
LICENCE = "MIT for the code, none stated for the weights"
BIBTEX = """\
@inproceedings{radford2021learning, year = {2021}, booktitle = {ICML}, pages = {8748--8763},
  title = {Learning Transferable Visual Models From Natural Language Supervision},
  author = {Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and Goh, Gabriel and
            Agarwal, Sandhini and Sastry, Girish and Askell, Amanda and Mishkin, Pamela and Clark, Jack and
            Krueger, Gretchen and Sutskever, Ilya}}"""

IMAGE, TEXT = ("vision_model.", "visual_projection."), ("text_model.", "text_projection.", "logit_scale")
SIZE_PX = 224
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def without(other: tuple[str, ...], paths: list[Path]) -> "dict[str, Tensor]":
    """Read all of the checkpoint but the other tower and the counted positions, which no network asks for."""
    from safetensors import safe_open

    with safe_open(paths[0], "pt") as file:
        names = [name for name in file.keys() if not name.startswith(other)]  # noqa: SIM118 (it is no dictionary)
        return {name: file.get_tensor(name) for name in names if not name.endswith(".position_ids")}


def normalised(pictures: "Tensor") -> "Tensor":
    """Turn RGB from 0 to 1, (b, 3, h, w), into what the image tower was trained on."""
    mean, std = (pictures.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (pictures - mean) / std
