"""What a pickle may ask for by name: plain containers, and arrays of numpy; each name means a function of ours.

The functions take what the file says for what it is, hostile: they look at it first, raise `ValueError` where it is not
what numpy and Python write, and ask for no more memory than the bytes that they are given.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

import numpy as np

_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,8}|O[48]?", re.ASCII)
_KEYS = frozenset({str, int, float, bool, bytes, type(None)})
"""What may be a key or stand in a set: what takes one step to compare."""


@dataclass(frozen=True)
class Named:
    """What a file asked for by name: inert, but for `make`, which is ours."""

    name: str
    make: Callable[..., object] | None = None


@dataclass
class Unbuilt:
    """An array or a dtype whose state is still to come, and where it is remembered meanwhile."""

    build: Callable[[object], object]
    places: list[int] = field(default_factory=list)


class Arguments(tuple[Any, ...]):
    """A tuple that holds what is no value: it may be handed over, and never be kept."""

    __slots__ = ()


OURS = frozenset({Named, Unbuilt, Arguments})


def named(module: object, name: object) -> Named:
    """Return what a name stands for here; whatever else is asked for is refused."""
    found = _ADMITTED.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if found is None:
        tensor = isinstance(module, str) and module.partition(".")[0] == "torch"
        why = "a tensor of torch; save it as tensor.numpy()" if tensor else "which is none of numpy's arrays"
        raise ValueError(f"it asks for {shown(module)}, {shown(name)}, {why}")
    return found


def shown(value: object) -> str:
    """Name a value of the file in a message; only texts and numbers are short for certain."""
    if isinstance(value, str | bytes):
        return repr(value[:80])
    return str(value) if isinstance(value, int | np.dtype) else f"a {type(value).__name__}"


def plain(values: list[Any]) -> list[Any]:
    """Return values that may be kept."""
    if not OURS.isdisjoint(map(type, values)):
        raise ValueError("it keeps a function or an unfinished array as a value")
    return values


def keys(values: Sequence[Any]) -> Sequence[Any]:
    """Return values that may be keys or stand in a set."""
    if not _KEYS.issuperset(map(type, values)):
        raise ValueError("a key is neither a text nor a number")
    return values


def filled(target: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    """Put keys and values, which stand in turn, into a dictionary."""
    if len(values) % 2:
        raise ValueError("a key has no value")
    target.update(zip(keys(values[::2]), plain(values[1::2]), strict=True))
    return target


def tupled(values: list[Any]) -> tuple[Any, ...]:
    """Return values as a tuple, which remembers whether they may be kept."""
    return tuple(values) if OURS.isdisjoint(map(type, values)) else Arguments(values)


def _no_array(kind: object, shape: object, code: object) -> Unbuilt:
    """Begin an array as numpy does, with nothing in it; memory is asked for when its bytes are there."""
    if not (isinstance(kind, Named) and kind.name == "numpy.ndarray" and shape == (0,) and code in (b"b", "b")):
        raise ValueError("it asks for an array before it says what is in it")
    return Unbuilt(_array_of)


def _array_of(state: object) -> object:
    if not isinstance(state, tuple) or len(state) != 5 or state[0] != 1 or type(state[3]) not in (bool, int):
        raise ValueError("the state of an array is none that numpy writes")
    _, shape, dtype, by_column, values = state
    return _array(values, dtype, shape, "F" if by_column else "C")


def _array(values: object, dtype: object, shape: object, order: Literal["C", "F"] = "C") -> Any:
    if not isinstance(dtype, np.dtype) or not _is_shape(shape):
        raise ValueError(f"the dtype or the shape of an array is none: {shown(dtype)}, {shown(shape)}")
    if dtype.kind == "O":
        return _nested(values, shape, order)
    raw = values.encode("latin1") if isinstance(values, str) else values  # Python 2 has no other bytes
    size = math.prod(shape) * dtype.itemsize
    if not isinstance(raw, bytes | bytearray) or len(raw) != size:
        got = f"{len(raw)} bytes" if isinstance(raw, bytes | bytearray) else f"a {type(raw).__name__}"
        raise ValueError(f"an array of {dtype} {shape} takes {size} bytes, got {got}")
    if raw and dtype.kind in "Ub":
        _check_codes(raw, dtype)
    return np.ndarray(shape, dtype, raw, order=order)


def _is_shape(shape: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(shape, tuple) and len(shape) <= 32 and all(type(n) is int and 0 <= n < 1 << 48 for n in shape)


def _check_codes(raw: bytes | bytearray, dtype: np.dtype[Any]) -> None:
    """Refuse bytes that are no character and no truth: numpy believes them."""
    kind = np.dtype("u4").newbyteorder(dtype.byteorder) if dtype.kind == "U" else np.dtype("u1")
    if np.frombuffer(raw, kind).max() > (0x10FFFF if dtype.kind == "U" else 1):
        raise ValueError(f"an array of {dtype} holds bytes that are none of {dtype}")


def _nested(values: Any, shape: tuple[int, ...], order: str) -> Any:
    """Return an array of objects as lists within lists, and one without axes as what it holds."""
    if type(values) is not list or len(shape) > 4 or 0 in shape[1:] or order != "C":
        raise ValueError("an array of objects is none that can be read as lists")
    if len(values) != math.prod(shape):
        raise ValueError(f"an array of objects {shape} holds {len(values)}")
    for length in shape[:0:-1]:
        values = [values[i : i + length] for i in range(0, len(values), length)]
    return values if shape else values[0]


def _dtype(code: object, *flags: object) -> Unbuilt:
    if not isinstance(code, str) or not _DTYPE.fullmatch(code) or len(flags) > 2:
        raise ValueError(f"an array holds {shown(code)}, neither numbers nor texts")

    def build(state: object) -> np.dtype[Any]:
        found = np.dtype("O" if code.startswith("O") else code)
        if not isinstance(state, tuple) or len(state) != 8 or state[0] not in (3, 4) or state[2:5] != (None,) * 3:
            raise ValueError(f"an array of {code} has fields, parts or notes")
        if state[1] not in ("<", ">", "|", "=") or state[5] not in (-1, found.itemsize):
            raise ValueError(f"an array of {code} says that it is another: {shown(state[1])}, {shown(state[5])}")
        return found.newbyteorder(state[1]) if state[1] in "<>" else found

    return Unbuilt(build)


def _scalar(dtype: object, raw: object) -> object:
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        raise ValueError("a number of numpy is an object")
    return _array(raw, dtype, ()).item()


def _from_buffer(raw: object, dtype: object, shape: object, order: object, axes: object = None) -> object:
    if order in ("C", "F"):
        return _array(raw, dtype, shape, "F" if order == "F" else "C")
    if order != "K" or type(axes) is not tuple or {*map(type, axes)} - {int} or sorted(axes) != [*range(len(axes))]:
        raise ValueError(f"an array lies in an order that numpy does not write, {shown(order)}")
    return _array(raw, dtype, shape).transpose(axes)


def _encode(text: object, encoding: object = "") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError(f"it asks for bytes in {shown(encoding)}, not latin-1")
    return text.encode("latin1")


def _bytes(kind: type[bytes | bytearray]) -> Callable[..., bytes | bytearray]:
    def make(raw: object = b"", encoding: object = "") -> bytes | bytearray:
        if isinstance(raw, str):
            return kind(_encode(raw, encoding))
        if not isinstance(raw, bytes) or encoding:  # a number would ask for so many
            raise ValueError(f"it asks for bytes made of {shown(raw)}")
        return kind(raw)

    return make


def _set(kind: type[set[Any] | frozenset[Any]]) -> Callable[..., set[Any] | frozenset[Any]]:
    def make(values: Any = ()) -> set[Any] | frozenset[Any]:
        if type(values) not in (list, tuple):
            raise ValueError(f"it asks for a set made of {shown(values)}")
        return kind(keys(values))

    return make


def _complex(real: object, imaginary: object) -> complex:
    if not isinstance(real, float) or not isinstance(imaginary, float):
        raise ValueError("it asks for a complex number made of what is none")
    return complex(real, imaginary)


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise ValueError("it asks for a dictionary made of what are no pairs")
    return filled({}, [value for pair in pairs for value in pair])


def _default(factory: object = None) -> dict[Any, Any]:
    if factory is not None and not (isinstance(factory, Named) and factory.name in _FACTORIES):
        raise ValueError("it asks for a dictionary that makes what is missing by calling something else")
    return {}


_BUILTINS = {
    "set": _set(set),
    "frozenset": _set(frozenset),
    "bytes": _bytes(bytes),
    "bytearray": _bytes(bytearray),
    "complex": _complex,
    **dict.fromkeys("list dict int float str bool".split()),
}
_FACTORIES = {f"builtins.{name}" for name in "list dict int float str bool set".split()}
_ROOMS: dict[tuple[str, ...], dict[str, Callable[..., object] | None]] = {
    ("builtins", "__builtin__"): _BUILTINS,
    ("collections",): {"OrderedDict": _ordered, "defaultdict": _default},
    ("_codecs",): {"encode": _encode},
    ("numpy",): {"ndarray": None, "dtype": _dtype},
    ("numpy.core.multiarray", "numpy._core.multiarray"): {"_reconstruct": _no_array, "scalar": _scalar},
    ("numpy.core.numeric", "numpy._core.numeric"): {"_frombuffer": _from_buffer},
}
"""Modules, as each generation calls them, and what may be asked of them; what has no function is only handed over."""
_ADMITTED = {
    (module, name): Named(f"{modules[0]}.{name}", make)
    for modules, names in _ROOMS.items()
    for module in modules
    for name, make in names.items()
}
