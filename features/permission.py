"""What of a cache may leave, by what every part says of its corpus' terms; not legal advice.

Sound, pictures, face pixels and transcripts go nowhere unless the corpus lets them. Features go where the corpus lets
them, and otherwise only to a cache that is marked as licensed: its `licensed.txt` has a line for the corpus that says
who answers for everybody who can read there.
"""

import re
from collections.abc import Mapping

MARK = "licensed.txt"
_RESTRICTED = re.compile(r"\bNC\b|non-?commercial|no commercial|research|scientific|academic|AGPL", re.IGNORECASE)
_WORDS = {"raw": "pictures of faces or other raw media", "transcript": "transcripts", "features": "features"}


def licensed(text: str | None) -> dict[str, str]:
    """Read a mark: `CORPUS WHO ANSWERS FOR IT`, a line for each corpus; one without a name is none."""
    lines = (line.split(maxsplit=1) for line in (text or "").splitlines() if not line.startswith("#"))
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def refusal(corpus: str, said: Mapping[str, str], marks: Mapping[str, str], place: str) -> str:
    """Return why a part may not go to a place, by what its provenance says; nothing where it may."""
    holds = said.get("holds", "")
    terms = said.get("corpus_licence") or "terms that nobody noted"
    if holds not in _WORDS:
        return "nobody noted what is in it: if neither words nor pictures can be read from it, say --holds features"
    if holds in said.get("corpus_shares", "").split(","):
        return ""
    if holds != "features":
        return f"{corpus} ({terms}) lets no {_WORDS[holds]} leave, wherever they go"
    if corpus in marks:
        return ""
    return (
        f"{corpus} ({terms}) lets no features leave but to those who signed its terms: where everybody who can read "
        f"{place} has, add to {place.rstrip('/')}/{MARK} the line: {corpus} WHO ANSWERS FOR IT, AND SINCE WHEN"
    )


def restricted(licence: str) -> bool:
    """Tell whether terms of an encoder forbid some uses, commercial ones most often."""
    return bool(_RESTRICTED.search(licence))
