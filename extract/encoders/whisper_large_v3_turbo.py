"""What is said, as Whisper's large turbo size hears it: a clip's transcript, one byte of UTF-8 a step.

It hears and writes as `whisper_base` does, with finer features and Cantonese as one more language.
"""

from typing import TYPE_CHECKING, Any

from extract.encoders import Encode, Spec
from extract.encoders.whisper_base import BIBTEX, LANGUAGES, read
from extract.speech import PIECE_S, SEARCHED_S
from extract.weights import Weights

if TYPE_CHECKING:
    from transformers import WhisperModel

ID, REVISION = "openai/whisper-large-v3-turbo", "41f01f3fe87f28c78e2fbf8b568835947dd65ed9"

WEIGHTS = Weights(
    id=ID,
    user=__name__,
    files=("model.safetensors",),
    sha256="542566a422ae4f3fd23f1ba11add198fca01bbf82e66e6a2857b3f608b1eb9d1",
    revision=REVISION,
    sizes=(1_617_824_864,),
)
TOKENIZER = Weights(
    id=ID, user=__name__, files=("tokenizer.json",), sha256="", revision=REVISION
)  # no project states its digest

SPEC = Spec(
    reads="audio",
    width=(1,),
    grids=("clip",),
    rate_hz=16_000,
    vad="cut",
    options={"language": (*LANGUAGES, "yue")},
    dtype="uint8",
    batch=1,  # pieces are heard one by one, and a step of many would seem to hang
    holds="transcript",
    licence="MIT",
    weights=WEIGHTS,
    tokenizer=TOKENIZER,
    parameters=808_878_080,
    settings={"piece_s": PIECE_S, "searched_s": SEARCHED_S},
    bibtex=BIBTEX,
)

PUBLISHED = {
    "vocab_size": 51_866,
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "decoder_layers": 4,
    "decoder_attention_heads": 20,
    "decoder_ffn_dim": 5120,
}


def build(options: dict[str, Any] = PUBLISHED) -> "WhisperModel":
    """Return the network, its weights still to be filled."""
    from extract.encoders._whisper import built

    return built(options)


def ready(network: "WhisperModel", device: str, precision: str, language: str = "en") -> Encode:
    """Return the transcriber around a filled network; a transcript that rounding may change has no fast way."""
    from extract.encoders import _whisper

    return _whisper.ready(network, device, SPEC, TOKENIZER, language)


def load(device: str, precision: str, language: str = "en") -> Encode:
    """Return the transcriber."""
    from extract.network import filled

    return ready(filled(build(), WEIGHTS, SPEC.licence, read), device, precision, language)
