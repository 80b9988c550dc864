"""What is known of an entry's making beside its key, in words: `about.json` in its folder.

Whoever fills an entry leaves it there: the command that makes it again, what the encoder does, whose work to cite. It
changes no number, so that an entry without it is read as well as any.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.disk import beside
from features.roots import copies

FILE = "about.json"
MOST_BYTES = 1 << 20


def write(folder: Path, about: Mapping[str, object]) -> None:
    """Leave what is known beside an entry's key; where it says so already, nothing is written."""
    text = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    path = folder / FILE
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
        with beside(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def known(folder: Path) -> dict[str, Any]:
    """Return what is known of an entry, from whichever of its copies knows it."""
    return next((told for each in copies(folder) or [folder] if (told := read(each))), {})


def read(folder: Path) -> dict[str, Any]:
    """Return what is known of an entry; nothing where nobody left it, or something else stands there."""
    try:
        with (folder / FILE).open("rb") as file:
            about = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}
