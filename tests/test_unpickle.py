"""Pickles as data: what Python and numpy write comes in as it is, what would run is refused, what we write is read."""

import builtins
import collections
import contextlib
import copyreg
import ctypes
import functools
import importlib
import io
import operator
import os
import pickle
import pickletools
import struct
import subprocess
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import CacheError, unpickle, unpickle_names

SOME = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
KEYS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.booleans(), st.none(), st.binary(max_size=3))
SCALARS = st.one_of(KEYS, st.floats(allow_nan=False), st.complex_numbers(allow_nan=False))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    ),
    max_leaves=12,
)


def theirs(raw, **options):
    """Return what Python's own pickle makes of bytes; here they are always our own."""
    return pickle.loads(raw, **options)  # noqa: S301 - with it ours is compared


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that reads bytes as a pickle, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def read(raw):
        path = tmp_path / "some.pkl"
        path.write_bytes(raw)
        return unpickle.load(path)

    return read


@SOME
@given(value=VALUES, protocol=st.sampled_from(PROTOCOLS))
def test_plain_values_are_what_pickle_makes_of_them(load, value, protocol):
    """Values of any nesting come in equal, and of the same kinds, in every protocol."""
    found = load(pickle.dumps(value, protocol))
    assert repr(found) == repr(theirs(pickle.dumps(value, protocol)))
    assert found == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_values_that_stand_in_several_places_are_one(load, protocol):
    """What is remembered and put down again is the same object, and a list may hold itself."""
    one = [1]
    own = [one, one, (one,)]
    own.append(own)
    found = load(pickle.dumps(own, protocol))
    assert found[0] is found[1] is found[2][0]
    assert found[3] is found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dictionaries_of_all_kinds_are_plain(load, protocol):
    """An OrderedDict and a defaultdict come as `dict`, and bytearrays and empty bytes as they are."""
    value = [collections.OrderedDict(b=1, a=2), collections.defaultdict(list, {"c": [3]}), b"", bytearray(b"x\xff")]
    found = load(pickle.dumps(value, protocol))
    assert found == value
    assert [type(each) for each in found] == [dict, dict, bytes, bytearray]


ARRAYS = {
    **{code: np.arange(6).reshape(2, 3).astype(code) for code in "b1 i1 u2 >i4 <i8 f2 <f4 >f8 c8 c16".split()},
    "texts": np.array([["a", "\u00e9\U0001f600"], ["", "bc"]]),
    "old texts": np.array([b"a", b"bc"]),
    "big-endian texts": np.array(["ab", "c"], ">U3"),
    "by column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "axes changed": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    "strided": np.arange(10)[::3],
    "empty": np.zeros((0, 4), np.float32),
    "without axes": np.array(2.5),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("what", ARRAYS)
def test_arrays_are_equal_to_the_bit(load, what, protocol):
    """Numbers and texts of numpy come in with their dtype, byte order and shape."""
    array = ARRAYS[what]
    found = load(pickle.dumps({"one": array, "again": array}, protocol))
    assert found["one"] is found["again"]
    assert (found["one"].dtype, found["one"].shape) == (array.dtype, array.shape)
    assert found["one"].tobytes() == array.tobytes()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numbers_of_numpy_are_those_of_python(load, protocol):
    """A scalar of numpy is a plain number or text, which costs nothing to trust."""
    found = load(pickle.dumps([np.float32(0.5), np.int64(-3), np.bool_(1), np.str_("a")], protocol))
    assert found == [0.5, -3, True, "a"]
    assert {*map(type, found)} == {float, int, bool, str}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_of_objects_are_lists(load, protocol):
    """Texts and ragged arrays within an array of objects come as lists within lists."""
    ragged = np.empty(2, object)
    ragged[:] = [[{"word": "a"}], [np.arange(2), None]]
    texts = np.array([["a", "b", "c"], ["d", "e", "f"]], object)
    found = load(pickle.dumps([ragged, texts, np.array({"a": 1}, object), np.array([], object)], protocol))
    assert found[0][0] == [{"word": "a"}]
    assert found[0][1][0].tolist() == [0, 1]
    assert found[1:] == [texts.tolist(), {"a": 1}, []]


def test_numpy_1_has_other_names_for_the_same(load):
    """What numpy 1 wrote, whose modules had no underscore, is read as well."""
    new = pickle.dumps([np.arange(3.0), np.float64(2)], 2)
    old = new.replace(b"numpy._core", b"numpy.core")
    assert old != new
    assert [np.asarray(each).tolist() for each in load(old)] == [[0, 1, 2], 2]


PYTHON_2 = {
    0: (
        b"(dp1\nS'a\\xe9'\np2\n(lp3\nI01\naI5\naL7L\naF0.5\naVu\\u00e9\np4\nasS'x'\np5\ncnumpy.core.multiarray\n_reconstruct\n"
        b"p6\n(cnumpy\nndarray\np7\n(I0\ntp8\nS'b'\np9\ntp10\nRp11\n(I1\n(I2\ntp12\ncnumpy\ndtype\np13\n(S'f4'\np14\nI0\nI1\n"
        b"tp15\nRp16\n(I3\nS'<'\np17\nNNNI-1\nI-1\nI0\ntp18\nbI00\nS'\\x00\\x00\\x80?\\x00\\x00\\x00@'\np19\ntp20\nbs."
    ),
    2: (
        b"\x80\x02}q\x01(U\x02a\xe9q\x02]q\x03(\x88K\x05\x8a\x01\x07G?\xe0\0\0\0\0\0\0X\x03\0\0\0u\xc3\xa9q\x04eU\x01xq\x05"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\0\x85q\x08U\x01bq\t\x87q\nRq\x0b(K\x01K\x02"
        b"\x85q\x0ccnumpy\ndtype\nq\rU\x02f4q\x0eK\0K\x01\x87q\x0fRq\x10(K\x03U\x01<q\x11NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
        b"\xffK\0tq\x12b\x89U\x08\0\0\x80?\0\0\0@q\x13tq\x14bu."
    ),
}


@pytest.mark.parametrize("protocol", PYTHON_2)
def test_python_2_is_read_as_latin_1(load, protocol):
    """Texts and arrays of Python 2, whose texts are bytes, come in as pickle reads them with that encoding."""
    found = load(PYTHON_2[protocol])
    assert found["a\u00e9"] == [True, 5, 7, 0.5, "u\u00e9"]
    assert (found["x"].dtype, found["x"].tolist()) == (np.float32, [1, 2])
    assert found["x"].tolist() == theirs(PYTHON_2[protocol], encoding="latin1")["x"].tolist()


def test_halves_of_characters_are_joined(load):
    """A narrow Python 2 wrote an emoji as two halves; one half alone is no text, and refused."""
    assert load(b"V\\ud83d\\ude00\n.") == "\U0001f600"
    with pytest.raises(CacheError, match="cut short or damaged"):
        load(b"V\\ud83d\n.")


def test_sets_of_python_2(load):
    """A set was made by its name there, as those of the training dialogues of IEMOCAP are."""
    assert load(b"\x80\x02c__builtin__\nset\nq\x01]q\x02(U\x01aU\x01be\x85q\x03Rq\x04.") == {"a", "b"}


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Own:
    """An object of a class."""


class Kind(np.ndarray):
    """An array of a class of its own."""


class Fresh:
    """An object that is made by its class, with arguments by name."""

    def __getnewargs_ex__(self):
        return (), {"a": 1}


CODE = {step.name: step.code.encode("latin1") for step in pickletools.opcodes}
STATE = np.arange(2.0).__reduce__()[2]
CANARY = "canary"
SING = f"open({CANARY!r}, 'w')"


def steps(*parts):
    """Put a program together: names of steps, and bytes that follow them."""
    return b"\x80\x04" + b"".join(CODE[part] if isinstance(part, str) else part for part in parts) + b"."


def named(module, name):
    """Return the step that asks for something by its name."""
    return b"c" + f"{module}\n{name}\n".encode()


def short(*values):
    """Return steps that put values on the stack, without a beginning and an end."""
    return b"".join(pickle.dumps(value, 3)[2:-1] for value in values)


def array(state):
    """Return an array of any state whatever."""
    begin = named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray") + short((0,), b"b") + b"\x87R"
    return steps(begin, b"(", *state, b"tb")


def dtype(code, *state):
    """Return the steps that make a dtype of any state whatever."""
    return named("numpy", "dtype") + short((code, False, True)) + b"R" + short(tuple(state)) + b"b"


F8 = dtype("f8", 3, "<", None, None, None, -1, -1, 0)
OBJECTS = dtype("O8", 3, "|", None, None, None, -1, -1, 63)
PLAIN = (short(1), short((2,)), F8, b"\x89")
CALLS = {
    "os.system": Call(os.system, f"touch {CANARY}"),
    "subprocess": Call(subprocess.Popen, ["touch", CANARY]),
    "eval": Call(eval, SING),
    "exec": Call(exec, SING),
    "open": Call(open, CANARY, "w"),
    "getattr": Call(getattr, "a", "upper"),
    "setattr": Call(setattr, "a", "b", "c"),
    "__import__": Call(builtins.__import__, "antigravity"),
    "import_module": Call(importlib.import_module, "antigravity"),
    "map": Call(map, os.system, [f"touch {CANARY}"]),
    "partial": Call(functools.partial, os.system, f"touch {CANARY}"),
    "attrgetter": Call(operator.attrgetter, "system"),
    "methodcaller": Call(operator.methodcaller, "system"),
    "reconstructor": Call(copyreg._reconstructor, Own, object, None),
    "a library": Call(ctypes.CDLL, "libc.so.6"),
    "memory": Call(ctypes.c_char_p, 0),
    "a namespace": Call(types.SimpleNamespace),
    "a path": Path("a"),
    "pickle": Call(pickle.loads, b"N."),
    "a stream": Call(io.FileIO, CANARY, "w"),
    "remove": Call(os.remove, CANARY),
    "numpy.load": Call(np.load, CANARY),
    "numpy.fromfile": Call(np.fromfile, CANARY),
    "numpy.save": Call(np.save, CANARY, 1),
    "numpy.memmap": Call(np.memmap, CANARY, "u1", "w+", 0, (8,)),
    "numpy.zeros": Call(np.zeros, 1 << 50),
    "numpy.frombuffer": Call(np.frombuffer, b"abcd", "O"),
    "numpy.ndarray": Call(np.ndarray, (1 << 50,), "f8"),
    "a kind of array": np.zeros(2).view(Kind),
    "records": np.rec.array([(1, 2.0)], names="a,b"),
    "fields": np.zeros(1, [("a", "O"), ("b", "f4")]),
    "notes": np.dtype("f8", metadata={"a": 1}),
    "times": np.array(["2000-01-01"], "M8[s]"),
    "voids": np.zeros(2, "V4"),
    "parts": np.zeros(1, np.dtype([("a", "f4", (2,))])),
    "an object": Own(),
    "an object with arguments": Fresh(),
    "a class": Own,
    "a function": os.system,
    "a module's own": np.linalg.norm,
    "a defaultdict that calls": collections.defaultdict(functools.partial(os.system, "true")),
    "a counter": collections.Counter("ab"),
    "a tuple as a key": {(1, 2): 3},
    "a set of tuples": {(1, 2)},
    "a number of 100 bytes": 1 << 800,
    "so many bytes": Call(bytes, 1 << 50),
    "so many changing bytes": Call(bytearray, 1 << 50),
    "a list made by a call": Call(list, "ab"),
    "a set of a text": Call(set, "ab"),
    "a complex number of a text": Call(complex, "1j"),
    "no pairs": Call(collections.OrderedDict, ["abc"]),
    "a range": range(3),
    "an ellipsis": ...,
}
PROGRAMS = {
    "INST": b"(S'true'\nios\nsystem\n.",
    "OBJ": steps(b"(", named("os", "system"), short("true"), "OBJ"),
    "OBJ of what is admitted": steps(b"(", named("builtins", "set"), "OBJ"),
    "NEWOBJ": steps(named("builtins", "set"), "EMPTY_TUPLE", "NEWOBJ"),
    "NEWOBJ_EX": steps(named("builtins", "set"), "EMPTY_TUPLE", "EMPTY_DICT", "NEWOBJ_EX"),
    "PERSID": b"Pabc\n.",
    "BINPERSID": steps(short("abc"), "BINPERSID"),
    "EXT1": steps("EXT1", b"\x01"),
    "EXT2": steps("EXT2", b"\x01\x01"),
    "EXT4": steps("EXT4", b"\x01\x01\x01\x01"),
    "NEXT_BUFFER": steps("NEXT_BUFFER"),
    "READONLY_BUFFER": steps(short(b"a"), "READONLY_BUFFER"),
    "a name with a dot": steps(short("os", "path.join"), "STACK_GLOBAL"),
    "a method of what is admitted": steps(short("numpy", "ndarray.tofile"), "STACK_GLOBAL"),
    "a name that is no text": steps(short("os", 1), "STACK_GLOBAL"),
    "torch": steps(named("torch._utils", "_rebuild_tensor_v2")),
    "pandas": steps(named("pandas.core.frame", "DataFrame")),
    "runstring": steps(named("numpy.testing._private.utils", "runstring"), short((SING, {})), "REDUCE"),
    "a call of a number": steps(short(1, ()), "REDUCE"),
    "a call without arguments": steps(named("builtins", "set"), "NONE", "REDUCE"),
    "a function as a value": steps(named("builtins", "set")),
    "a function in a list": steps("EMPTY_LIST", named("builtins", "set"), "APPEND"),
    "a function in a tuple in a list": steps("EMPTY_LIST", named("builtins", "set"), "TUPLE1", "APPEND"),
    "a function in a dictionary": steps("EMPTY_DICT", short(1), named("builtins", "set"), "SETITEM"),
    "a function in a set": steps("EMPTY_SET", "MARK", named("builtins", "set"), "ADDITEMS"),
    "state of a function": steps(named("builtins", "set"), "NONE", "EMPTY_DICT", "TUPLE2", "BUILD"),
    "state of a dictionary": steps("EMPTY_DICT", short({"__class__": 1}), "BUILD"),
    "state of a list": steps("EMPTY_LIST", short({"append": 1}), "BUILD"),
    "state of a text": steps(short("a", {"b": 1}), "BUILD"),
    "state of an array that has one": array((*PLAIN, short(bytes(16))))[:-1] + b"(" + b"".join(PLAIN) + b"Ntb.",
    "a list that is no list": steps("EMPTY_DICT", short(1), "APPEND"),
    "a dictionary that is none": steps("EMPTY_LIST", short(1, 2), "SETITEM"),
    "a set that is none": steps("EMPTY_LIST", "MARK", short(1), "ADDITEMS"),
    "a key without a value": steps("EMPTY_DICT", "MARK", short(1), "SETITEMS"),
    "a list as a key": steps("EMPTY_DICT", "EMPTY_LIST", short(1), "SETITEM"),
    "an array for more than there is": array((short(1), short((1 << 40,)), F8, b"\x89", short(bytes(16)))),
    "an array for less than there is": array((short(1), short((1,)), F8, b"\x89", short(bytes(16)))),
    "an array of less than nothing": array((short(1), short((-2, -1)), F8, b"\x89", short(bytes(16)))),
    "an array of half": array((short(1), short((0.5,)), F8, b"\x89", short(bytes(4)))),
    "an array of truths": array((short(1), short((True,)), F8, b"\x89", short(bytes(8)))),
    "an array of 40 axes": array((short(1), short((1,) * 40), F8, b"\x89", short(bytes(8)))),
    "an array of a number": array((*PLAIN, short(16))),
    "an array of old times": array((short(9), *PLAIN[1:], short(bytes(16)))),
    "an array whose dtype is a text": array((short(1), short((2,)), short("f8"), b"\x89", short(bytes(16)))),
    "pointers": array((short(1), short((2,)), OBJECTS, b"\x89", short(bytes(16)))),
    "fewer objects": array((short(1), short((2,)), OBJECTS, b"\x89", short([1]))),
    "objects that nobody can index": array((short(1), short((2, 0)), OBJECTS, b"\x89", short([]))),
    "an array in itself": array((short(1), short((1,)), OBJECTS, b"\x89]h\x4da")).replace(b"\x87R", b"\x87Rq\x4d", 1),
    "an array with a size at first": steps(
        named("numpy.core.multiarray", "_reconstruct"), named("numpy", "ndarray"), short((1 << 50,), b"b"), b"\x87R"
    ),
    "an array of another kind": steps(
        named("numpy.core.multiarray", "_reconstruct"), named("builtins", "list"), short((0,), b"b"), b"\x87R"
    ),
    "an array without a state": array(())[: -len(b"(tb.")] + b".",
    "an array without a state in a list": steps("EMPTY_LIST", array(())[2 : -len(b"(tb.")], "APPEND"),
    "a dtype without a state": steps(named("numpy", "dtype"), short(("f8", False, True)), "REDUCE"),
    "a dtype of another size": steps(dtype("U2", 3, "<", None, None, None, 400, 4, 8)),
    "a dtype with fields": steps(dtype("f8", 3, "<", None, ("a",), {"a": 1}, -1, -1, 0)),
    "a dtype with notes": steps(dtype("f8", 4, "<", None, None, None, -1, -1, 0, {"a": 1})),
    "a dtype of no order": steps(dtype("f8", 3, "?", None, None, None, -1, -1, 0)),
    "a dtype of nothing": steps(dtype("S0", 3, "|", None, None, None, 0, 1, 0)),
    "a dtype that is a program": steps(dtype("f8,O", 3, "|", None, None, None, -1, -1, 0)),
    "a long double": steps(dtype("f16", 3, "<", None, None, None, -1, -1, 0)),
    "no character": array(
        (short(1), short((1,)), dtype("U1", 3, "<", None, None, None, 4, 4, 8), b"\x89", short(b"\xff" * 4))
    ),
    "no truth": array((short(1), short((1,)), dtype("b1", 3, "|", None, None, None, -1, -1, 0), b"\x89", short(b"\2"))),
    "a scalar that is an object": steps(named("numpy.core.multiarray", "scalar"), OBJECTS, short(b"a"), b"\x86R"),
    "a scalar of too many bytes": steps(named("numpy.core.multiarray", "scalar"), F8, short(bytes(9)), b"\x86R"),
    "a buffer for more than there is": steps(
        named("numpy._core.numeric", "_frombuffer"), b"(", short(bytes(8)), F8, short((1 << 40,), "C"), b"tR"
    ),
    "axes that are none": steps(
        named("numpy._core.numeric", "_frombuffer"), b"(", short(bytes(8)), F8, short((1,), "K", (7,)), b"tR"
    ),
    "another encoding": steps(named("_codecs", "encode"), short(("a", "rot13")), "REDUCE"),
    "bytes of 1 EiB": steps("BINBYTES8", struct.pack("<Q", 1 << 60)),
    "changing bytes of 1 EiB": steps("BYTEARRAY8", struct.pack("<Q", 1 << 60)),
    "a text of 4 GB": steps("BINUNICODE", struct.pack("<I", (1 << 32) - 1)),
    "an old text of 4 GB": steps("BINSTRING", struct.pack("<I", (1 << 32) - 1)),
    "half a character": steps("SHORT_BINUNICODE", b"\x01\xc3"),
    "a number of many digits": b"I" + b"9" * 100_000 + b"\n.",
    "a long number of many digits": b"L" + b"9" * 30 + b"L\n.",
    "a number that is none": b"Ione\n.",
    "a text without quotes": b"Sabc\n.",
    "a text whose quote stays open": b"S'abc\n.",
    "a broken escape": b"S'\\x0'\n.",
    "nothing was remembered": steps("BINGET", b"\x07"),
    "nothing to remember": steps("MEMOIZE"),
    "nothing to take": steps("TUPLE3"),
    "nothing to add to": steps("MARK", "APPENDS"),
    "no mark": steps("TUPLE"),
    "an open mark": steps("NONE", "MARK"),
    "two values": steps("NONE", "NONE"),
    "no value": steps(),
    "a value and more": steps("NONE") + steps("NONE"),
    "a protocol of the future": b"\x80\x09N.",
    "no step": steps(b"\xff"),
    "an empty file": b"",
    "a table": b"id,split\na,train\n",
    "an archive, as torch.save writes": b"PK\x03\x04" + bytes(50),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("what", CALLS)
def test_what_would_run_is_refused(load, tmp_path, what, protocol):
    """No function, class or object is ever looked up, whatever it is and however it is asked for."""
    with pytest.raises(CacheError, match=r"some\.pkl, byte \d+: expected a pickle of plain values"):
        load(pickle.dumps(CALLS[what], protocol))
    assert [path.name for path in tmp_path.iterdir()] == ["some.pkl"]


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_program_that_is_none_of_ours_is_refused(load, tmp_path, what):
    """Steps that no honest file has end with a word, and neither take memory nor time nor leave anything behind."""
    with pytest.raises(CacheError, match=r"some\.pkl, byte \d+: expected a pickle of plain values"):
        load(PROGRAMS[what])
    assert [path.name for path in tmp_path.iterdir()] == ["some.pkl"]


def test_the_canary_can_sing(load, tmp_path):
    """Python's own pickle does run such a file, so that the tests above could fail."""
    raw = pickle.dumps(CALLS["os.system"])
    theirs(raw)
    assert (tmp_path / CANARY).exists()
    (tmp_path / CANARY).unlink()
    with pytest.raises(CacheError, match="system"):
        load(raw)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (CALLS["os.system"], "'posix', 'system'"),
        (np.zeros(1, "M8[s]"), "'M8'"),
        (Own(), "plain values"),
        ({(1, 2): 3}, "neither a text nor a number"),
    ],
)
def test_a_refusal_says_what_and_what_to_do(load, what, words):
    """It names what the file asks for, and how to make one that is read."""
    with pytest.raises(CacheError, match=words) as refused:
        load(pickle.dumps(what))
    assert "load it with what made it and save it as dict, list and numpy arrays" in str(refused.value)


def test_tensors_are_to_be_converted(load):
    """A tensor of torch is refused with the word that helps."""
    with pytest.raises(CacheError, match=r"a tensor of torch; save it as tensor\.numpy\(\)"):
        load(PROGRAMS["torch"])


def test_state_cannot_change_our_functions(load):
    """A file that sets the attributes of what it is given leaves the table of names as it was."""
    before = dict(unpickle_names._ADMITTED)
    with pytest.raises(CacheError, match="sets the state"):
        load(steps(named("_codecs", "encode"), short((None, {"make": 1})), "BUILD"))
    assert before == unpickle_names._ADMITTED


SMALL = {"a": [1, -2.5, "b", None, True, (3,)], "c": np.arange(3, dtype="f4"), "s": {1}, "n": np.float64(1)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_that_is_cut_short_anywhere_is_refused(load, protocol):
    """Of a whole file every byte is needed."""
    whole = pickle.dumps(SMALL, protocol)
    assert load(whole)["a"] == SMALL["a"]
    for length in range(len(whole)):
        with pytest.raises(CacheError, match=r"some\.pkl"):
            load(whole[:length])


def test_wrong_bytes_never_do_more_than_fail(load, tmp_path):
    """Whichever byte is another, a value comes out or a refusal, and nothing else happens."""
    rng = np.random.default_rng(0)
    for protocol in PROTOCOLS:
        whole = pickle.dumps(SMALL, protocol)
        for place in range(len(whole)):
            for value in rng.integers(0, 256, 4).tolist():
                try:
                    load(whole[:place] + bytes([value]) + whole[place + 1 :])
                except CacheError:
                    continue
    assert [path.name for path in tmp_path.iterdir()] == ["some.pkl"]


@SOME
@given(parts=st.lists(st.one_of(st.sampled_from([*CODE.values()]), st.binary(max_size=4), st.just(F8)), max_size=30))
def test_any_steps_in_any_order_are_a_value_or_a_refusal(load, parts):
    """No program raises anything but the one error that a caller expects."""
    with contextlib.suppress(CacheError):
        load(b"".join(parts) + b".")


@pytest.mark.parametrize(
    "raw",
    [b"\x8f" * 1001, b"(" * 1001, b"N" + b"\x94" * 1001, b"N" + b"\x85" * 1001],
    ids=["sets", "marks", "memory", "tuples"],
)
def test_a_small_file_cannot_ask_for_much_memory(load, monkeypatch, raw):
    """Containers that cost more than their bytes are counted."""
    monkeypatch.setattr(unpickle, "MOST_MADE", 1000)
    with pytest.raises(CacheError, match="holds more than 1000 values"):
        load(raw + b".")


def test_a_nest_of_references_costs_nothing(load):
    """Sixty tuples of two times the one before would be 2**60 values, and are sixty objects."""
    found = load(steps(short(0), "MEMOIZE", *(b"h" + bytes([i]) + b"\x86\x94" for i in range(60))))
    assert found[0] is found[1]


def test_a_deep_nest_ends_neither_the_process_nor_the_test(load):
    """Lists in lists in lists are made without recursion, and gone again without one."""
    assert len(load(b"]" * 100_000 + b"a" * 99_999 + b".")) == 1


@pytest.mark.parametrize("name", [".", "not-there.pkl"])
def test_what_is_no_file_is_refused(tmp_path, name):
    """A folder, or nothing, is told by its name."""
    with pytest.raises(CacheError, match="expected a file that can be read"):
        unpickle.load(tmp_path / name)


PLAIN_VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.booleans(), st.none(), st.floats(allow_nan=False)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers(0, 9)), inner, max_size=4),
    ),
    max_leaves=12,
)


@SOME
@given(value=PLAIN_VALUES)
def test_what_we_write_python_reads(tmp_path, value):
    """Plain values are written so that Python's own pickle, and ours, make the same of them."""
    path = tmp_path / "ours.pkl"
    path.unlink(missing_ok=True)
    unpickle.dump(value, path)
    assert repr(theirs(path.read_bytes())) == repr(unpickle.load(path)) == repr(value)


@pytest.mark.parametrize("what", [name for name in ARRAYS if "texts" not in name])
def test_arrays_that_we_write_numpy_reads(tmp_path, what):
    """Every array of numbers is written so that numpy reads it without a warning, under names that numpy 1 has, too."""
    array, path = ARRAYS[what], tmp_path / "ours.pkl"
    unpickle.dump([array], path)
    assert b"numpy._core" not in path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = theirs(path.read_bytes())[0]
    assert found.dtype == array.dtype.newbyteorder("=")  # numpy turns the bytes when it reads them
    assert (found.shape, found.tobytes()) == (array.shape, array.astype(found.dtype).tobytes())
    assert unpickle.load(path)[0].tobytes() == array.tobytes()


@pytest.mark.parametrize("value", [Own(), {"a": {1}}, [np.array(["a"])], np.array([Own()]), 1 << 70])
def test_nothing_else_is_written(tmp_path, value):
    """What is not plain is our own mistake, and leaves no file behind."""
    with pytest.raises((TypeError, OverflowError)):
        unpickle.dump(value, tmp_path / "ours.pkl")
    assert [*tmp_path.iterdir()] == []


def test_no_file_is_written_over(tmp_path):
    """Whatever is there stays."""
    path = tmp_path / "theirs.pkl"
    path.write_bytes(b"theirs")
    with pytest.raises(CacheError, match="none is overwritten"):
        unpickle.dump({}, path)
    assert path.read_bytes() == b"theirs"
