"""What is told of parts and entries beside their numbers: whose terms hold, whose work it is, how to make it again."""

import shlex
from collections.abc import Iterable, Iterator

from extract import encoders
from extract.encoders import Spec
from extract.wanted import Want
from features.key import Precision
from manifests import Clip, corpus_module, corpus_names
from manifests.licence import PARTS, may_share, name_of


def terms(clips: Iterable[Clip]) -> dict[str, str]:
    """Return the terms of some clips together: every name, and only what all of them let leave the lab."""
    tags = {clip.licence for clip in clips}
    shared = [part for part in PARTS if tags and all(may_share(tag, part) for tag in tags)]
    return {"corpus_licence": "; ".join(sorted(set(map(name_of, tags)))), "corpus_shares": ",".join(shared)}


def about(want: Want, reader: str = "", weights: str = "") -> dict[str, object]:
    """Return what a person should know of an entry: how to make it again, what made it, whose work to cite.

    `reader` is the file in `corpora/` that read the manifest, `weights` nothing or `random:<seed>`.
    """
    spec, chain = want.spec, list(_chain(want))
    precision: Precision = "fast" if any(one.key.precision == "fast" for one in chain) else "exact"
    # Random weights also decide which detector finds the faces.
    random = weights if any(one.key.random or one.faces for one in chain) else ""
    return {
        "origin": "extracted",
        "asked": want.asked,
        "command": command(want.folder.parent.name, want.asked, precision, random),
        "encoder_does": encoders.does(want.encoder),
        "encoder_licence": spec.licence,
        "weights_of": weights_of(spec),
        "parameters": spec.parameters,
        "trained_on": list(spec.trained_on),
        "bibtex": {
            "corpus": corpus_module(reader).BIBTEX if reader in corpus_names() else "",
            "encoder": spec.bibtex,
        },
    }


def weights_of(spec: Spec) -> str:
    """Name the weights of an encoder and their revision, where it has any."""
    return f"{spec.weights.id} {spec.weights.revision}".strip() if spec.weights else ""


def command(corpus: str, asked: str, precision: Precision = "exact", weights: str = "") -> str:
    """Return what to type for an entry; nothing in it means more to a shell, or to make, than it says."""
    fast = "" if precision == "exact" else precision
    said = {"CORPUS": corpus, "ENCODERS": asked, "PRECISION": fast, "WEIGHTS": weights}
    words = [f"{name}={shlex.quote(value.replace('$', '$$'))}" for name, value in said.items() if value]
    return " ".join(["make features", *words])


def _chain(want: Want) -> Iterator[Want]:
    """Yield an entry and those that it builds on."""
    yield want
    if want.leader:
        yield from _chain(want.leader)
