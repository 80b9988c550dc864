"""What an entry holds, as one text beside it: for whoever cannot list a folder, or would have to open every part.

A push leaves it at the place that it pushed to. It is derived from the parts and never believed over them: what arrives
is opened and checked whatever a catalogue promised.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from features.index import Rows, rows_from
from features.roots import CacheError

FILE = "catalogue.jsonl"
"""In the folder of an entry: a line for every file."""
CARD = "card.md"
"""In the folder of an entry: what it is, for people."""
ENTRIES = "catalogue.json"
"""At the top of a cache: the entries."""
ENTRY = re.compile(r"(?![._])[^/\\\x00-\x1f\x7f-\x9f]{1,120}/[\w.]{1,80}-[0-9a-f]{8}", re.ASCII)
PART = re.compile(r"part-[0-9a-f]{16}\.h5")
FILES = re.compile(rf"(?:{PART.pattern})|(?![._])[\w-]{{1,60}}\.(?:json|jsonl|safetensors|md)", re.ASCII)
"""What may lie in an entry and travel: parts, and what says or needs more about them. No path, nothing that runs."""


@dataclass(frozen=True)
class Listed:
    """A file of an entry: how large it is, and of a part also which clips it holds."""

    size: int
    rows: Rows | None = None


def render(files: Mapping[str, Listed]) -> str:
    """Write the catalogue of an entry."""
    return "".join(json.dumps(_line(name, listed)) + "\n" for name, listed in sorted(files.items()))


def _line(name: str, listed: Listed) -> dict[str, object]:
    line: dict[str, object] = {"file": name, "size": listed.size}
    if listed.rows:
        line |= {"windows": listed.rows.windows, "clips": listed.rows.clips, "sources": listed.rows.sources}
    return line


def parse(text: str, where: str) -> dict[str, Listed]:
    """Read the catalogue of an entry back; one that is not as it was written is refused, a strange name too."""
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            values = json.loads(line)
            name, size = values["file"], values["size"]
            if not FILES.fullmatch(name) or type(size) is not int or size < 0:
                raise ValueError(f"expected a file of an entry and its size, got {name!r:.80}, {size!r:.20}")
            found[name] = Listed(size, rows_from(values) if "clips" in values else None)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise CacheError(
                f"{where}, line {number}: {error or 'not as written'}; push to that place again, which writes it anew"
            ) from None
    return found


def render_entries(entries: Iterable[str]) -> str:
    """Write the list of entries at the top of a cache."""
    return json.dumps({"entries": sorted(entries)}, indent=1) + "\n"


def parse_entries(text: str, where: str) -> list[str]:
    """Read the list of entries back; law 13: none of them leads anywhere else."""
    try:
        entries = json.loads(text)["entries"]
        if not isinstance(entries, list):
            raise ValueError("expected a list of entries")
        for entry in entries:
            if not (isinstance(entry, str) and ENTRY.fullmatch(entry)):
                raise ValueError(f"expected CORPUS/NAME-FINGERPRINT, got {entry!r:.120}")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CacheError(f"{where}: {error}; push to that place again, which writes it anew") from None
    return sorted(set(entries))
