"""What both sizes of Whisper do: sound to the most likely words of the language it is told, 30 s at a time.

Tokens below `END` spell words. Behind them lie, in an order that both sizes share, the end, the start, the languages,
two tasks, three marks that are never written, and the wish for no time stamps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel
from transformers.initialization import no_init_weights

from extract.encoders import Encode, Encoded, Spec, minilm
from extract.network import Feed, frozen
from extract.speech import bytes_of, pieces
from extract.weights import Weights, located, random_seed
from features.windows import Array

Sound = NDArray[np.float32]
END, START = 50_257, 50_258
BLANK = 220
NON_SPEECH = [
    int(token)
    for token in (
        "1 2 7 8 9 10 14 25 26 27 28 29 31 58 59 60 61 62 63 90 91 92 93 359 503 522 542 873 893 902 918 922 931 1350 "
        "1853 1982 2460 2627 3246 3253 3268 3536 3846 3961 4183 4667 6585 6647 7273 9061 9383 10428 10929 11938 12033 "
        "12331 12562 13793 14157 14635 15265 15618 16553 16604 18362 18956 20075 21675 22520 26130 26161 26435 28279 "
        "29464 31650 32302 32470 36865 42863 47425 49870 50254"
    ).split()
]
"""Brackets, notes and other signs of what nobody says; both sizes are published with a word not to write them."""
RANDOM_TOKENS = 16
"""What a network of random weights may say of one piece: it never comes to an end by itself."""


def built(options: dict[str, Any]) -> WhisperModel:
    """Return the network, its weights still to be filled; words are weighed by the matrix that they come in by."""
    special: dict[str, Any] = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), END)
    with no_init_weights():
        return WhisperModel(WhisperConfig(**special, **options))


def ready(network: WhisperModel, device: str, spec: Spec, tokenizer: Weights, language: str) -> Encode:
    """Return the transcriber around a filled network."""
    tokens_of, text_of = listener(network, device, spec, language), writer(tokenizer, spec.licence)

    def transcript(sound: Sound) -> str:
        # Asked about silence, the network makes words up.
        texts = [text_of(tokens_of(piece)) for piece in pieces(sound, spec.rate_hz) if piece.any()]
        return " ".join(filter(None, texts))

    def encode(batch: Sound, valid: Array) -> Encoded:
        return Encoded([bytes_of(transcript(sound[:samples])) for sound, samples in zip(batch, valid, strict=True)])

    return encode


def listener(network: WhisperModel, device: str, spec: Spec, language: str) -> Callable[[Sound], list[int]]:
    """Return what turns one piece of sound into the tokens that are likeliest one by one, the end left out.

    One piece at a time, so that no sum, and so no word, depends on another's.
    """
    network, feed = frozen(network, device, "exact"), Feed(device)
    features = WhisperFeatureExtractor(network.config.num_mel_bins)  # type: ignore[no-untyped-call]
    prompt, marks = told(spec.options["language"], language)
    never, not_first = torch.tensor([*NON_SPEECH, *marks], device=device), torch.tensor([BLANK, END], device=device)
    most = network.config.max_target_positions - len(prompt) if random_seed() is None else RANDOM_TOKENS

    @torch.inference_mode()
    def tokens_of(piece: Sound) -> list[int]:
        mel = features(piece, sampling_rate=spec.rate_hz, return_tensors="np").input_features
        heard = network.encoder(feed(mel)).last_hidden_state
        found: list[int] = []
        said, memory = prompt, None
        while len(found) < most:
            ids = torch.tensor([said], device=device)
            out = network.decoder(ids, encoder_hidden_states=heard, past_key_values=memory, use_cache=True)
            weighed = functional.linear(out.last_hidden_state[0, -1], network.decoder.embed_tokens.weight)
            weighed[never] = -torch.inf
            if not found:
                weighed[not_first] = -torch.inf
            token = int(weighed.argmax())
            if token == END:
                break
            found.append(token)
            said, memory = [token], out.past_key_values
        return found

    return tokens_of


def told(languages: Sequence[str], language: str) -> tuple[list[int], list[int]]:
    """Return how every transcript begins, to be one in a language and without time stamps, and what is never in it."""
    tasks = START + 1 + len(languages)
    return [START, START + 1 + languages.index(language), tasks + 1, tasks + 5], [START, *range(tasks, tasks + 5)]


def writer(tokenizer: Weights, licence: str) -> Callable[[list[int]], str]:
    """Return what turns tokens into text; with random weights MiniLM's vocabulary stands in, which is smaller."""
    if random_seed() is None:
        path = located(tokenizer, licence)[0]
    else:
        path = located(minilm.WEIGHTS)[0].with_name("tokenizer.json")
    vocabulary = Tokenizer.from_file(str(path))
    known = vocabulary.get_vocab_size()

    def text_of(tokens: list[int]) -> str:
        text: str = vocabulary.decode([token % known for token in tokens if token < END])
        return text.strip()

    return text_of
