"""Which entries a corpus has, where each lies, and which one is meant.

An entry is a folder named after its encoder and fingerprint; its `spec.json` is the whole key in readable form.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from features.disk import beside, make_folder
from features.key import FORMAT, Key
from features.roots import ENTRY, SPEC, CacheError, copies, corpus_folder, folders, inside


def folder_of(corpus: str, key: Key) -> Path:
    """Return the folder of an entry, whether it exists or not."""
    return corpus_folder(corpus) / key.name


def create(folder: Path, key: Key) -> None:
    """Make the folder of an entry and say in `spec.json` what it holds; a folder of another key is refused."""
    spec = folder / SPEC
    if spec.is_file():
        if key_of(folder) != key:
            raise CacheError(f"{spec} describes another entry than {key.name}; move that folder away")
        return
    make_folder(folder)
    with beside(spec) as temporary:
        temporary.write_text(json.dumps(key.to_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def key_of(folder: Path) -> Key:
    """Read the key of an entry, and check that the folder is named after it."""
    spec = inside(folder / SPEC, folder.parent.parent)
    try:
        text = spec.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CacheError(f"{spec}: expected the key of an entry, got {error}") from None
    return read_key(text, str(spec), folder.name)


def read_key(text: str, where: str, name: str) -> Key:
    """Read the key of the entry of this name out of a text."""
    try:
        key = Key.from_json(json.loads(text))
        described = key.name
    except (ValueError, TypeError, RecursionError) as error:
        raise CacheError(f"{where}: expected the key of an entry, got {error}") from None
    if key.format != FORMAT:
        raise CacheError(f"{where}: expected cache format {FORMAT}, got {key.format}; use a matching version")
    if described != name:
        raise CacheError(f"{where}: describes {described}, but the folder is named {name}")
    return key


def is_random(folder: Path) -> bool:
    """Return whether random weights made an entry, or one that it builds on as far as those are here."""
    return any(key.random for key in lineage(folder))


def lineage(folder: Path) -> Iterator[Key]:
    """Yield the key of an entry, and of those that it builds on as far as they are here."""
    names, met = [folder.name], set[str]()
    while names:
        name = names.pop(0)
        here = [folder] if name == folder.name else copies(folder.parent / name)
        if here and name not in met:
            key = key_of(here[0])
            yield key
            names += filter(ENTRY.fullmatch, key.builds_on)
        met.add(name)


def entries(corpus: str) -> dict[Path, Key]:
    """Return every entry of a corpus, of whatever cache, by the first folder that has it."""
    return {folder: key_of(folder) for folder in _firsts(corpus)}


def find(corpus: str, /, encoder: str, **where: object) -> Path:
    """Return the one entry of `encoder` whose key has these fields; none or several is refused, never guessed.

    Fields are named as in `spec.json`, a setting as `settings.tokens`; values are compared as text, because that is
    what a recipe holds, and an absent field is the empty text.
    """
    there = _firsts(corpus)
    # Only this encoder's keys are read: another's entry of a later format must not stand in the way.
    known = {path: fields(key_of(path)) for path in there if _encoder(path) == encoder}
    wanted = {name: _text(value) for name, value in where.items()}
    matches = {path: key for path, key in known.items() if all(key.get(n, "") == v for n, v in wanted.items())}
    if len(matches) == 1:
        return next(iter(matches))
    if not known:
        have = ", ".join(sorted({_encoder(folder) for folder in there})) or "nothing"
        raise CacheError(
            f"the cache at {corpus_folder(corpus)} has no entry of {encoder!r} (it has: {have}). "
            f"Make it: {_command(corpus, encoder, wanted)}"
        )
    asked = ", ".join(f"{name}={value}" for name, value in wanted.items())
    what = f"{corpus} has {'several entries' if matches else 'no entry'} of {encoder!r}" + (asked and f" with {asked}")
    said = {"encoder": encoder, **(wanted if matches else {})}
    cure = "" if matches else f"Make it: {_command(corpus, encoder, wanted)}\n"
    raise CacheError(f"{what}:\n{_which(matches or known, said, cure)}")


def _command(corpus: str, encoder: str, wanted: Mapping[str, str]) -> str:
    """Return what to type for an entry with these fields, as far as they are what one asks extraction for."""
    fields = {name: value for name, value in wanted.items() if value}
    options = [f"+{name.removeprefix('settings.')}={value}" for name, value in fields.items() if "settings." in name]
    options += [f"+as={fields['variant']}"] if "variant" in fields else []
    grid = f":{fields['grid']}" if "grid" in fields else ""
    asked = f"{encoder}{grid}{''.join(options)}"
    return f"make features CORPUS={corpus} ENCODERS={asked if asked == encoder else json.dumps(asked)}"


def _firsts(corpus: str) -> list[Path]:
    firsts: dict[str, Path] = {}
    for folder in folders(corpus):
        firsts.setdefault(folder.name, folder)
    return list(firsts.values())


def _encoder(folder: Path) -> str:
    return folder.name.rpartition("-")[0]


def fields(key: Key) -> dict[str, str]:
    """Return the fields of a key as text, those of its settings under names of their own."""
    values = key.to_json()
    settings = values.pop("settings")
    values |= {f"settings.{name}": value for name, value in settings.items()}
    return {name: _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _which(keys: Mapping[Path, Mapping[str, str]], said: Mapping[str, str], cure: str) -> str:
    """Lay out what tells entries apart, and the line that chooses one of them."""
    fields = list(dict.fromkeys(name for key in keys.values() for name in key if name not in said))
    fields = [name for name in fields if len({key.get(name, "") for key in keys.values()}) > 1] or fields
    rows = [f"  {path.name}: " + ", ".join(f"{n}={key.get(n, '')}" for n in fields) for path, key in keys.items()]
    values = [(name, key.get(name, "")) for name in fields for key in keys.values()]
    rarest = min(values, key=values.count)
    line = ", ".join(f"{json.dumps(n) if '.' in n else n} = {json.dumps(v)}" for n, v in [*said.items(), rarest])
    return "\n".join(rows) + f"\n{cure}Say which, under [encoders] in the recipe, such as: MODALITY = {{ {line} }}"
