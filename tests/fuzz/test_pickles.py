"""A pickle of somebody else's is read; nothing that it says is imported, called or set."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clues import pickles
from tests.fuzz.examples import examples
from tests.fuzz.watching import watched

"".encode("raw_unicode_escape")  # the codec of old protocols' texts is imported at its first use


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def called(function: bytes, *args: bytes) -> bytes:
    return function + b"(" + b"".join(args) + b"tR"


ROOT = name("collections", "_sys.modules.__class__.__base__.__getattribute__")
OS = called(name("collections", "_sys.modules.get"), text("os"))
ESCAPES = {
    "a dotted name": called(called(ROOT, OS, text("system")), text("touch pwned")),
    "os.system": called(name("os", "system"), text("touch pwned")),
    "posix, by GLOBAL": b"cposix\nsystem\n(Vtouch pwned\ntR",
    "INST": b"(Vtouch pwned\nios\nsystem\n",
    "OBJ": b"(" + name("os", "system") + text("touch pwned") + b"o",
    "eval": called(name("builtins", "eval"), text("open('pwned', 'w')")),
    "type": called(name("builtins", "type"), text("X"), b")", b"}"),
    "getattr": called(called(name("builtins", "getattr"), name("builtins", "object"), text("__subclasses__"))),
    "a codec": called(name("_codecs", "encode"), text("x"), text("hex")),
    "a copy's class": called(
        name("copyreg", "_reconstructor"), name("subprocess", "Popen"), name("builtins", "object"), b"N"
    ),
    "state on a function": name("builtins", "set") + b"}" + text("__defaults__") + b"Ns" + b"N\x86b",
    "an extension": b"\x82\x01",
    "a persistent id": text("x") + b"Q",
}


@pytest.mark.parametrize("payload", ESCAPES.values(), ids=ESCAPES)
def test_no_opcode_gets_out(payload: bytes) -> None:
    with watched() as seen:
        try:
            found: Any = pickles.read(b"\x80\x04" + payload + b".")
        except Exception as error:
            found = error
    assert not seen, found
    assert pickles._READ["builtins", "set"].__defaults__ == ((),), "what stands in our table was changed"


PIECES = [
    *ESCAPES.values(), ROOT, OS,
    *(name(*known) for known in pickles._READ), name("shop", "Order"),
    *(bytes([code]) for code in range(256)),
    *(bytes([code]) for code in b"()]}\x8f02N\x85\x86tRbsu\x81\x92\x90\x91\x94" * 3),
    b"K\x01", b"q\x00", b"h\x00", b"r\xff\xff\xff\x0f", b"\x8b\xff\xff\xff\x7f", b"\x95\xff\xff\xff\xff\0\0\0\0",
    b"\x96" + b"\xff" * 5 + b"\0\0\0", b"\x8e" + b"\xff" * 5 + b"\0\0\0",
    text("__class__"), text("1e999999999"), text("latin1"),
]  # fmt: skip


@examples(150)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join) | st.binary(max_size=200))
@example(b"}(" + b")" + b"2\x86" * 60 + b"K\x01u")  # the hash of a tuple of tuples
@example(b"\x8f(" + b")" + b"2\x86" * 60 + b"\x90")
@example(called(name("builtins", "set"), called(name("builtins", "range"), b"J\xff\xff\xff\x7f")))
@example(called(name("fractions", "Fraction"), text("1e999999999")))
@example(b"]" * 50_000 + b"a" * 49_999)
def test_any_opcodes_are_read_or_refused(body: bytes) -> None:
    with watched() as seen:
        try:
            pickles.read(b"\x80\x04" + body + b".")
        except Exception as error:
            del error
    assert not seen


def test_sizes_that_are_only_said_take_no_memory() -> None:
    tracemalloc.start()
    try:
        for body in (b"Nr\xff\xff\xff\x7f", b"\x96" + b"\xff" * 6 + b"\0\0", b"\x8e" + b"\xff" * 6 + b"\0\0"):
            try:
                pickles.read(b"\x80\x05" + body + b".")
            except Exception as error:
                del error
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
