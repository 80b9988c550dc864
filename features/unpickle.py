"""Pickles read as data, and written as such: plain values and arrays of numpy, and nothing that could be executed.

A pickle is a program for a small machine with a stack. This is that machine without what makes it dangerous: it builds
None, numbers, texts, bytes, lists, tuples, dictionaries, sets and arrays, and no more. What a file asks for by its name
is looked up in the one table of `unpickle_names`. Python's own `pickle` has no part in it: nothing is found by name in
any module, no object is told its state, and nothing is there that could be called but for that table's functions.

Protocols 0 to 5, as Python 2 (its texts are taken as latin-1) and 3 write them with numpy 1 and 2. Dictionaries of
all kinds come as `dict`, numbers of numpy as Python's, arrays of objects as lists. The bytes of an array go from the
file straight to their place, so that reading takes about as much memory as the file is long; twice as much before
protocol 3, which had no bytes.
"""

import codecs
import itertools
import pickletools
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from features.disk import beside
from features.roots import CacheError
from features.unpickle_names import OURS, Named, Unbuilt, filled, keys, named, plain, shown, tupled
from features.windows import Array

MOST_MADE = 1 << 22
"""Containers, and values that are remembered, of one file: a byte can ask for a set, which takes 216."""
NEWEST = 5
LONGEST_NUMBER = 40
LARGE = 1 << 16
_CURE = "fetch it again, or, where you trust it, load it with what made it and save it as dict, list and numpy arrays"


def load(path: Path) -> object:
    """Return the value that a pickle holds; one that asks for anything but plain values is refused."""
    try:
        with path.open("rb") as file:
            return _checked(path, file)
    except OSError as error:
        raise CacheError(f"{path}: expected a file that can be read, got: {error.strerror}") from None


def _checked(path: Path, file: BinaryIO) -> object:
    try:
        return _Machine(file, path.stat().st_size).run()
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # which one depends on which byte is wrong
        why = error if type(error) is ValueError else f"it is cut short or damaged ({error})"
        where = f"{path}, byte {file.tell()}"
        raise CacheError(f"{where}: expected a pickle of plain values and arrays, but {why}; {_CURE}") from None


class _Machine:
    """The stack, its marks, and what is remembered."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.made = self.unbuilt = 0

    def run(self) -> object:
        """Carry out one step after another until the end."""
        while (code := self.file.read(1)) != _STOP:
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"it asks for {_REFUSED[code]}" if code in _REFUSED else _broken(code))
            step(self)
        if self.unbuilt or self.marks or len(self.stack) != 1 or type(self.stack[0]) in OURS:
            raise ValueError("it ends before its value is whole")
        if self.file.read(1):
            raise ValueError("its value is whole and more follows, where one file holds one value")
        return self.stack[0]

    def take(self, size: int) -> bytes:
        """Return the next bytes; what a file only promises takes no memory."""
        rest = self.size - self.file.tell() if size > LARGE else size
        got = self.file.read(size) if size <= rest else b""
        if len(got) != size:
            raise ValueError(f"it promises {size} bytes that are not there")
        return got

    def line(self, longest: int = -1) -> bytes:
        """Return the rest of the line."""
        got = self.file.readline(longest)
        if not got.endswith(b"\n"):
            raise ValueError("a line does not end")
        return got[:-1]

    def counted(self) -> None:
        """Look that a small file does not ask for much memory."""
        self.made += 1
        if self.made > MOST_MADE:
            raise ValueError(f"it holds more than {MOST_MADE} values in containers, as no file of features does")

    def push(self, value: object) -> None:
        """Put on the stack what is new."""
        self.counted()
        self.stack.append(value)

    def mark(self) -> None:
        """Begin a new stack upon the old one."""
        self.counted()
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        """Go back to the old stack; return what stood upon it."""
        below = self.marks.pop()
        values, self.stack = self.stack, below
        return values

    def top(self, size: int) -> list[Any]:
        """Take so many values away."""
        if size > len(self.stack):
            raise ValueError("values are missing")
        values = self.stack[-size:]
        del self.stack[-size:]
        return values

    def extend(self, values: list[Any]) -> None:
        """Lengthen the list on top."""
        self._container(list).extend(plain(values))

    def fill(self, values: list[Any]) -> None:
        """Put keys and values, which stand in turn, into the dictionary on top."""
        filled(self._container(dict), values)

    def add(self, values: list[Any]) -> None:
        """Put values into the set on top."""
        self._container(set).update(keys(values))

    def _container(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"it puts something into {shown(self.stack[-1])} as if that were a {kind.__name__}")
        return self.stack[-1]

    def remember(self, place: int) -> None:
        """Keep what is on top under a number."""
        self.counted()
        value = self.memo[place] = self.stack[-1]
        if type(value) is Unbuilt:
            value.places.append(place)

    def again(self, value: object) -> None:
        """Put something on top that is there already."""
        if type(value) is Unbuilt:
            raise ValueError("an array would be a part of itself")
        self.stack.append(value)

    def recall(self, place: int) -> None:
        """Put on top what was kept under a number."""
        self.again(self.memo[place])

    def reduce(self) -> None:
        """Let one of our functions make a value out of what is on top."""
        function, arguments = self.top(2)
        if type(function) is not Named or function.make is None or not isinstance(arguments, tuple):
            raise ValueError(f"it calls {function.name if type(function) is Named else shown(function)}")
        self.push(function.make(*arguments))
        self.unbuilt += type(self.stack[-1]) is Unbuilt

    def build(self) -> None:
        """Give an array or a dtype its state, here and where it is remembered."""
        unbuilt, state = self.top(2)
        if type(unbuilt) is not Unbuilt:
            raise ValueError(f"it sets the state of {shown(unbuilt)}")
        value = unbuilt.build(state)
        self.unbuilt -= 1
        self.stack.append(value)
        self.memo.update((place, value) for place in unbuilt.places if self.memo[place] is unbuilt)


_Step = Callable[[_Machine], object]


def _broken(code: bytes) -> str:
    return f"it holds the step {code!r}, which no pickle has" if code else "it ends too early"


def _counted(width: int, convert: Callable[[bytes], object]) -> _Step:
    return lambda machine: machine.stack.append(
        convert(machine.take(int.from_bytes(machine.take(width), "little"))),
    )


def _lined(convert: Callable[[bytes], object], longest: int = LONGEST_NUMBER) -> _Step:
    return lambda machine: machine.stack.append(convert(machine.line(longest)))


def _packed(form: str) -> _Step:
    packed = struct.Struct(form)
    return lambda machine: machine.stack.append(packed.unpack(machine.take(packed.size))[0])


def _constant(value: object) -> _Step:
    return lambda machine: machine.stack.append(value)


def _at_line(use: Callable[[_Machine, int], None]) -> _Step:
    return lambda machine: use(machine, int(machine.line(LONGEST_NUMBER)))


def _at(width: int, use: Callable[[_Machine, int], None]) -> _Step:
    return lambda machine: use(machine, int.from_bytes(machine.take(width), "little"))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8")


def _old_text(raw: bytes) -> str:
    return raw.decode("latin1")


def _quoted(raw: bytes) -> str:
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
        raise ValueError("a text has no quotes")
    return codecs.escape_decode(raw[1:-1])[0].decode("latin1")


def _escaped(raw: bytes) -> str:
    """Read a text of protocol 0; Python 2 could write a character as a pair of halves."""
    return raw.decode("raw-unicode-escape").encode("utf-16", "surrogatepass").decode("utf-16")


def _long(raw: bytes) -> int:
    if len(raw) > 8:
        raise ValueError(f"a number has {len(raw)} bytes; 8 are enough for features")
    return int.from_bytes(raw, "little", signed=True)


def _decimal(raw: bytes) -> int | bool:
    truth = {b"00": False, b"01": True}.get(raw)
    number = int(raw.rstrip(b"L")) if truth is None else truth
    if number.bit_length() > 64:
        raise ValueError("a number has more than 8 bytes; 8 are enough for features")
    return number


def _protocol(machine: _Machine) -> None:
    number = machine.take(1)[0]
    if number > NEWEST:
        raise ValueError(f"it is written in protocol {number}, and {NEWEST} is the newest that is known here")


_CODES = {step.name: step.code.encode("latin1") for step in pickletools.opcodes}
_STOP = _CODES["STOP"]
_STEPS: dict[bytes, _Step] = {
    _CODES[name]: step
    for name, step in {
        "PROTO": _protocol,
        "FRAME": lambda machine: machine.take(8),
        "NONE": _constant(None),
        "NEWTRUE": _constant(value=True),
        "NEWFALSE": _constant(value=False),
        "INT": _lined(_decimal),
        "LONG": _lined(_decimal),
        "FLOAT": _lined(float),
        "BININT1": _packed("<B"),
        "BININT2": _packed("<H"),
        "BININT": _packed("<i"),
        "BINFLOAT": _packed(">d"),
        "LONG1": _counted(1, _long),
        "LONG4": _counted(4, _long),
        "STRING": _lined(_quoted, -1),
        "SHORT_BINSTRING": _counted(1, _old_text),
        "BINSTRING": _counted(4, _old_text),
        "UNICODE": _lined(_escaped, -1),
        "SHORT_BINUNICODE": _counted(1, _text),
        "BINUNICODE": _counted(4, _text),
        "BINUNICODE8": _counted(8, _text),
        "SHORT_BINBYTES": _counted(1, bytes),
        "BINBYTES": _counted(4, bytes),
        "BINBYTES8": _counted(8, bytes),
        "BYTEARRAY8": _counted(8, bytearray),
        "MARK": _Machine.mark,
        "POP": lambda machine: machine.top(1),
        "POP_MARK": _Machine.since_mark,
        "DUP": lambda machine: machine.again(machine.stack[-1]),
        "EMPTY_LIST": lambda machine: machine.push([]),
        "LIST": lambda machine: machine.push(plain(machine.since_mark())),
        "APPEND": lambda machine: machine.extend(machine.top(1)),
        "APPENDS": lambda machine: machine.extend(machine.since_mark()),
        "EMPTY_TUPLE": _constant(()),
        "TUPLE": lambda machine: machine.push(tupled(machine.since_mark())),
        "TUPLE1": lambda machine: machine.push(tupled(machine.top(1))),
        "TUPLE2": lambda machine: machine.push(tupled(machine.top(2))),
        "TUPLE3": lambda machine: machine.push(tupled(machine.top(3))),
        "EMPTY_DICT": lambda machine: machine.push({}),
        "DICT": lambda machine: machine.push(filled({}, machine.since_mark())),
        "SETITEM": lambda machine: machine.fill(machine.top(2)),
        "SETITEMS": lambda machine: machine.fill(machine.since_mark()),
        "EMPTY_SET": lambda machine: machine.push(set()),
        "FROZENSET": lambda machine: machine.push(frozenset(keys(machine.since_mark()))),
        "ADDITEMS": lambda machine: machine.add(machine.since_mark()),
        "PUT": _at_line(_Machine.remember),
        "BINPUT": _at(1, _Machine.remember),
        "LONG_BINPUT": _at(4, _Machine.remember),
        "MEMOIZE": lambda machine: machine.remember(len(machine.memo)),
        "GET": _at_line(_Machine.recall),
        "BINGET": _at(1, _Machine.recall),
        "LONG_BINGET": _at(4, _Machine.recall),
        "GLOBAL": lambda machine: machine.stack.append(named(_text(machine.line()), _text(machine.line()))),
        "STACK_GLOBAL": lambda machine: machine.stack.append(named(*machine.top(2))),
        "REDUCE": _Machine.reduce,
        "BUILD": _Machine.build,
    }.items()
}
_REFUSED = {
    _CODES[name]: what
    for what, names in {
        "an object of a class": "INST OBJ NEWOBJ NEWOBJ_EX",
        "an object that lies elsewhere, as files of torch.save do": "PERSID BINPERSID",
        "an object by a number that only its maker knows": "EXT1 EXT2 EXT4",
        "bytes that are not in the file": "NEXT_BUFFER READONLY_BUFFER",
    }.items()
    for name in names.split()
}


def dump(value: object, path: Path) -> None:
    """Write plain values and arrays as a pickle that Python from 3.4 and numpy from 1 on read; never over another."""
    expect_none(path)
    with beside(path) as temporary, temporary.open("wb") as file:
        file.write(_CODES["PROTO"] + b"\x04")
        for some in _written(value):
            file.write(some)
        file.write(_STOP)


def expect_none(path: Path) -> None:
    """Refuse a target that is there already."""
    if path.exists() or path.is_symlink():
        raise CacheError(f"{path}: expected no file there, since none is overwritten; name another, or move it away")


def _written(value: object) -> Iterator[bytes | memoryview]:
    if isinstance(value, np.ndarray):
        yield from _written_array(value)
    elif isinstance(value, list | tuple | dict):
        yield _CODES["MARK"]
        for item in itertools.chain(*value.items()) if isinstance(value, dict) else value:
            yield from _written(item)
        yield _CODES["DICT" if isinstance(value, dict) else "LIST" if isinstance(value, list) else "TUPLE"]
    else:
        yield _written_scalar(value)


def _written_scalar(value: object) -> bytes:
    if value is None or isinstance(value, bool):
        return _CODES[{None: "NONE", True: "NEWTRUE", False: "NEWFALSE"}[value]]
    if isinstance(value, int):
        return _CODES["LONG1"] + b"\x08" + value.to_bytes(8, "little", signed=True)
    if isinstance(value, float):
        return _CODES["BINFLOAT"] + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode()
        return _CODES["BINUNICODE8"] + len(raw).to_bytes(8, "little") + raw
    raise TypeError(f"expected plain values and arrays, got a {type(value).__name__}")


def _written_array(array: Array) -> Iterator[bytes | memoryview]:
    """Write an array under the names that numpy 1 has and numpy 2 keeps for the pickles of old."""
    if array.dtype.kind not in "biufc":
        raise TypeError(f"expected an array of numbers, got {array.dtype}")
    reduce, build, no = _CODES["REDUCE"], _CODES["BUILD"], _CODES["NEWFALSE"]
    yield _global("numpy.core.multiarray", "_reconstruct") + _global("numpy", "ndarray")
    yield b"".join(_written((0,))) + _CODES["SHORT_BINBYTES"] + b"\x01b" + _CODES["TUPLE3"] + reduce
    yield _CODES["MARK"] + b"".join((*_written(1), *_written(array.shape)))
    yield _global("numpy", "dtype") + b"".join(_written((array.dtype.str[1:], False, True))) + reduce
    order = array.dtype.str[0]
    yield b"".join(_written((3, order, None, None, None, -1, -1, 0))) + build + no
    yield _CODES["BINBYTES8"] + array.nbytes.to_bytes(8, "little")
    if array.size:
        yield np.ascontiguousarray(array).data.cast("B")
    yield _CODES["TUPLE"] + build


def _global(module: str, name: str) -> bytes:
    return _CODES["GLOBAL"] + f"{module}\n{name}\n".encode()
