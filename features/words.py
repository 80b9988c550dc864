"""How an entry was made, in words: for a methods section, for the card of a shared cache, for whoever asks what it is.

What is said comes from the key, from what its parts say of their making, and from `about.json`; other people's texts
among it lose whatever a terminal might obey.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from features.key import Grid, Key
from features.permission import restricted

_HIDDEN = ("origin", "format", "feature", "content")
"""Settings that a sentence of their own tells."""
_OURS = frozenset(("python", "processor", "device", "weights_of", "parameters", "trained_on"))
_OURS |= {"corpus_licence", "corpus_shares", "holds"}


def plain(text: object, most: int = 2_000) -> str:
    """Return a text without control characters, cut where it goes on for ever."""
    kept = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in str(text))
    return kept if len(kept) <= most else f"{kept[:most]}…"


def methods(key: Key, about: Mapping[str, Any], provenance: Mapping[str, str]) -> str:
    """Return a few sentences that a methods section can quote."""
    said = [_what(key, about, provenance), _cut(key), _stored(key)]
    if key.builds_on:
        said.append(f"They build on what {', '.join(key.builds_on)} found.")
    settings = {name: value for name, value in sorted(key.settings.items()) if name not in _HIDDEN}
    if settings:
        said.append(f"Settings: {', '.join(f'{name} = {_value(value)}' for name, value in settings.items())}.")
    versions = [f"{name} {version}" for name, version in sorted(provenance.items()) if name not in _OURS]
    if versions:
        said.append(f"Computed with {', '.join(versions)} on {provenance.get('device', 'a device nobody noted')}.")
    return plain(" ".join(said))


def _what(key: Key, about: Mapping[str, Any], provenance: Mapping[str, str]) -> str:
    if key.settings.get("origin") == "imported":
        return (
            f"Features {key.encoder} were imported from {key.settings.get('feature')} of "
            f"{about.get('file', 'a file')} ({key.settings.get('format')}, content {key.settings.get('content')}); "
            "how they were made is known as far as that file says."
        )
    weights = provenance.get("weights_of") or about.get("weights_of")
    of = f", weights {weights}" * bool(weights) + f", SHA-256 {key.weights[:16]}…" * bool(key.weights)
    variant = {"authors": ", as its authors do it", "repaired": ", repaired"}.get(key.variant, "")
    does = str(about.get("encoder_does", "")).rstrip(".")
    return f"Features were computed with {key.encoder} (version {key.version}{of}{variant}){f': {does}' * bool(does)}."


def _cut(key: Key) -> str:
    try:
        grid = Grid.parse(key.grid)
    except ValueError:  # of a later version, or somebody's joke
        return f"Clips were cut by {key.grid!r}."
    frames = {
        "fps": lambda value: f", {value} frames a second",
        "every": lambda value: f", every {value.partition(',')[0]}th frame and at most {value.rpartition('=')[2]}",
        "even": lambda value: f", {value} frames spread evenly",
    }
    name, _, value = grid.sampling.partition("=")
    sampled = frames[name](value) if name else ""
    if grid.form == "windows":
        length, step, tail = (f"{float(each):g} s" for each in (grid.length_s, grid.step_s, grid.min_tail_s))
        return f"Clips were cut into windows of {length} with a step of {step}, a tail kept from {tail} on{sampled}."
    return f"Each clip was taken {'as a whole' if grid.form == 'clip' else 'frame by frame'}{sampled}."


def _stored(key: Key) -> str:
    precision = "" if key.precision == "exact" else f" computed in the mode {key.precision!r} and"
    return f"Values were{precision} stored as {key.dtype}."


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def cited(about: Mapping[str, Any]) -> str:
    """Return the BibTeX of a corpus and an encoder, one after the other."""
    bibtex = about.get("bibtex")
    found = bibtex.values() if isinstance(bibtex, Mapping) else ()
    return plain("\n".join(dict.fromkeys(str(entry).strip() for entry in found if entry)), 20_000)


def command(key: Key, about: Mapping[str, Any]) -> str:
    """Return what to type to make the entry again; nothing where nobody noted it."""
    return plain(about.get("command", "")) if key.settings.get("origin") != "imported" else ""


def card(
    entry: str, key: Key, about: Mapping[str, Any], provenance: Mapping[str, str], licence: str, clips: int
) -> str:
    """Return what somebody who finds a shared entry should know, as Markdown."""
    return "\n".join(_card(entry, key, about, provenance, licence, clips)) + "\n"


def _card(
    entry: str, key: Key, about: Mapping[str, Any], provenance: Mapping[str, str], licence: str, clips: int
) -> Iterator[str]:
    corpus, _, name = entry.partition("/")
    leave = provenance.get("corpus_shares", "").replace(",", ", ") or "nothing"
    yield f"# {corpus}: {name}\n"
    yield methods(key, about, provenance) + "\n"
    yield "| what | |\n|---|---|"
    yield f"| corpus | {corpus} |"
    yield f"| terms of the corpus | {plain(provenance.get('corpus_licence', '')) or 'nobody noted them'} |"
    yield f"| may leave under them | {plain(leave)} |"
    yield f"| encoder | {key.encoder}, version {key.version} |"
    uses = " (not for every use)" if restricted(licence) else ""
    yield f"| terms of the encoder | {plain(licence)}{uses} |"
    yield f"| grid | `{key.grid}` |"
    yield f"| clips | {clips} |"
    if trained_on := provenance.get("trained_on"):
        yield f"| the encoder was trained on | {plain(trained_on)} |"
    if line := command(key, about):
        yield f"\nMade again by:\n\n```sh\n{line}\n```"
    if cite := cited(about):
        yield f"\nTo cite:\n\n```bibtex\n{cite}\n```"
