"""Cut the words of labels into the numbers of a published `tokenizer.json`, without the library that wrote it.

CLIP's byte pairs are what is meant. Beside a tower of random weights MiniLM's word pieces lie in their place. Both are
done for plain ASCII alone, where a byte is its own letter: more than that no label needs.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

Cut = Callable[[str], list[int]]
"""Turns a text into the numbers of its pieces, without start and end."""

_MOST_BYTES, _MOST_WORDS = 64 << 20, 1 << 24
_END_OF_WORD = "</w>"
_CLIP_WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[a-z]+|[0-9]|[^\sa-z0-9]+")
_BERT_WORDS = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


def read(path: Path) -> Cut:
    """Return what cuts texts as the file says; a file that says it otherwise than expected is a `ValueError`."""
    if (size := path.stat().st_size) > _MOST_BYTES:
        raise ValueError(f"expected at most {_MOST_BYTES:,} bytes, got {size:,}")
    found = json.loads(path.read_text(encoding="utf-8"))
    model = found.get("model") if isinstance(found, dict) else None
    if not isinstance(model, dict):
        raise ValueError("expected a tokenizer with a model, got none")
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not all(map(_is_number, vocabulary.values())):
        raise ValueError(f"expected a vocabulary of pieces and numbers below {_MOST_WORDS:,}, got another")
    kind = model.get("type"), model.get("end_of_word_suffix"), model.get("continuing_subword_prefix")
    if kind == ("BPE", _END_OF_WORD, ""):
        return _cutter(_CLIP_WORDS, _byte_pairs(_ranks(model.get("merges"))), vocabulary)
    if kind == ("WordPiece", None, "##"):
        return _cutter(_BERT_WORDS, _word_pieces(vocabulary), vocabulary)
    raise ValueError(f"expected byte pairs of CLIP or word pieces of BERT, got {kind}")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_WORDS


def _cutter(words: re.Pattern[str], pieces: Callable[[str], Sequence[str]], vocabulary: Mapping[str, int]) -> Cut:
    def cut(text: str) -> list[int]:
        if not (text.isascii() and text.isprintable()):
            raise ValueError(f"expected a text of plain letters, got {text!r}")
        found = [piece for word in words.findall(text.lower()) for piece in pieces(word)]
        for piece in found:
            if piece not in vocabulary:
                raise ValueError(f"expected a vocabulary with all of {text!r}, got one without {piece!r}")
        return [vocabulary[piece] for piece in found]

    return cut


def _ranks(merges: Any) -> dict[tuple[str, str], int]:
    """Return which two pieces are joined before which others; they are written as pairs, or with a blank between."""
    pairs = [line.split(" ") if isinstance(line, str) else line for line in merges] if isinstance(merges, list) else []
    if not all(isinstance(pair, list) and list(map(type, pair)) == [str, str] for pair in pairs):
        raise ValueError("expected merges of two pieces each, got others")
    return {(left, right): rank for rank, (left, right) in enumerate(pairs)}


def _byte_pairs(ranks: Mapping[tuple[str, str], int]) -> Callable[[str], list[str]]:
    def pieces(word: str) -> list[str]:
        found = [*word[:-1], word[-1] + _END_OF_WORD]
        while ranked := [(ranks[pair], place) for place, pair in enumerate(pairwise(found)) if pair in ranks]:
            _, place = min(ranked)
            found[place : place + 2] = [found[place] + found[place + 1]]
        return found

    return pieces


def _word_pieces(vocabulary: Mapping[str, int]) -> Callable[[str], list[str]]:
    def pieces(word: str) -> list[str]:
        found: list[str] = []
        while word:
            mark = "##" if found else ""
            ends = (end for end in range(len(word), 0, -1) if mark + word[:end] in vocabulary)
            end = next(ends, len(word))  # what no piece begins is looked up in vain, and so refused
            found.append(mark + word[:end])
            word = word[end:]
        return found

    return pieces
