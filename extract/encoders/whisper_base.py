"""What is said, as Whisper's base size hears it: a clip's transcript, one byte of UTF-8 a step.

The likeliest token is taken one by one, without sampling or second attempts, in a language that is told and never
guessed. Longer sounds are heard in pieces of at most 30 s, cut where it is quiet; silence has no transcript.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.encoders import Encode, Spec
from extract.speech import PIECE_S, SEARCHED_S
from extract.weights import Weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import WhisperModel

LANGUAGES = tuple(
    (
        "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la "
        "mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be "
        "tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
    ).split()
)
"""In the order of their tokens."""
ID, REVISION = "openai/whisper-base", "e37978b90ca9030d5170a5c07aadb050351a65bb"

WEIGHTS = Weights(
    id=ID,
    user=__name__,
    files=("model.safetensors",),
    sha256="07cadb9f25677c8d50df603e66a98fbd842cce45047139baeb16e6219a1e807b",
    revision=REVISION,
    sizes=(290_403_936,),
)
TOKENIZER = Weights(
    id=ID, user=__name__, files=("tokenizer.json",), sha256="", revision=REVISION
)  # no project states its digest

BIBTEX = """\
@inproceedings{radford2023robust, year = {2023}, booktitle = {ICML}, pages = {28492--28518},
  title = {Robust Speech Recognition via Large-Scale Weak Supervision},
  author = {Radford, Alec and Kim, Jong Wook and Xu, Tao and Brockman, Greg and McLeavey, Christine and
            Sutskever, Ilya}}"""

SPEC = Spec(
    reads="audio",
    width=(1,),
    grids=("clip",),
    rate_hz=16_000,
    vad="cut",
    options={"language": LANGUAGES},
    dtype="uint8",
    batch=1,  # pieces are heard one by one, and a step of many would seem to hang
    holds="transcript",
    licence="Apache-2.0",
    weights=WEIGHTS,
    tokenizer=TOKENIZER,
    parameters=72_593_920,
    settings={"piece_s": PIECE_S, "searched_s": SEARCHED_S},
    bibtex=BIBTEX,
)

PUBLISHED = {
    "vocab_size": 51_865,
    "num_mel_bins": 80,
    "d_model": 512,
    "encoder_layers": 6,
    "encoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_layers": 6,
    "decoder_attention_heads": 8,
    "decoder_ffn_dim": 2048,
}


def build(options: dict[str, Any] = PUBLISHED) -> "WhisperModel":
    """Return the network, its weights still to be filled."""
    from extract.encoders._whisper import built

    return built(options)


def read(paths: list[Path]) -> "dict[str, Tensor]":
    """Read what the published checkpoint holds of the network, whether or not its words are saved twice."""
    from safetensors.torch import load_file

    state = {name.removeprefix("model."): x for name, x in load_file(paths[0]).items()}
    state.pop("proj_out.weight", None)
    return state


def ready(network: "WhisperModel", device: str, precision: str, language: str = "en") -> Encode:
    """Return the transcriber around a filled network; a transcript that rounding may change has no fast way."""
    from extract.encoders import _whisper

    return _whisper.ready(network, device, SPEC, TOKENIZER, language)


def load(device: str, precision: str, language: str = "en") -> Encode:
    """Return the transcriber."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision, language)
