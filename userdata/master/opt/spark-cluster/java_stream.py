"""Whether a file holds one whole object as Java's ObjectOutputStream writes it, found without Java.

The grammar and its constants: https://docs.oracle.com/en/java/javase/17/docs/specs/serialization/protocol.html
"""

from __future__ import annotations

import struct

HEADER = b"\xac\xed\x00\x05"
FIRST_HANDLE = 0x7E0000
NULL, REFERENCE, CLASS_DESC, OBJECT, STRING, ARRAY, CLASS, BLOCK, END = range(0x70, 0x79)
LONG_BLOCK, LONG_STRING, PROXY_CLASS_DESC, ENUM = 0x7A, 0x7C, 0x7D, 0x7E
HAS_WRITE_METHOD, IS_SERIALIZABLE = 1, 2
SIZES = {"B": 1, "C": 2, "D": 8, "F": 4, "I": 4, "J": 8, "S": 2, "Z": 1}  # of primitive fields


class BrokenError(Exception):
    """A stream that ends too early, or that has something there which Java does not write; the message says which."""


class ClassDescription:
    """What the objects of a class have in the stream."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.flags = 0
        self.fields = ""  # the kind of each
        self.parent: object = None


class JavaStream:
    """Reads over one object that Java's ObjectOutputStream wrote, without making it."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self._handles: list[object] = []
        self._readers = {
            NULL: lambda: None,
            REFERENCE: self._reference,
            CLASS_DESC: self._class_description,
            OBJECT: self._object,
            STRING: lambda: self._handles.append(self._take(self._number("H"))),
            LONG_STRING: lambda: self._handles.append(self._take(self._number("Q"))),
            ARRAY: self._array,
            CLASS: lambda: self._handles.append(self._element()),
            BLOCK: lambda: self._take(self._number("B")),
            LONG_BLOCK: lambda: self._take(self._number("I")),
            PROXY_CLASS_DESC: self._proxy_description,
            ENUM: self._enum,
        }

    def check(self) -> None:
        """Raises `BrokenError` unless it is one whole object."""
        if self._take(len(HEADER)) != HEADER:
            raise BrokenError("it does not begin as Java's streams do")
        self._element()
        if self._at < len(self._content):
            raise BrokenError(f"it goes on after its object, at byte {self._at}")

    def _take(self, size: int) -> bytes:
        taken = self._content[self._at : self._at + size]
        self._at += size
        if len(taken) < size:
            raise BrokenError(f"it ends too early, after {len(self._content)} bytes")
        return taken

    def _number(self, form: str) -> int:
        return int(struct.unpack(f">{form}", self._take(struct.calcsize(f">{form}")))[0])

    def _element(self) -> object:
        kind = self._number("B")
        if kind not in self._readers:
            raise BrokenError(f"there is no Java object at byte {self._at - 1}")
        return self._readers[kind]()

    def _reference(self) -> object:
        number = self._number("I") - FIRST_HANDLE
        if not 0 <= number < len(self._handles):
            raise BrokenError(f"there is no object for the reference before byte {self._at}")
        return self._handles[number]

    def _class_description(self) -> ClassDescription:
        described = ClassDescription(self._take(self._number("H")).decode("utf-8", "replace"))
        self._take(8)  # serialVersionUID
        self._handles.append(described)
        described.flags = self._number("B")
        for _ in range(self._number("H")):
            described.fields += chr(self._number("B"))
            self._take(self._number("H"))
            if described.fields[-1] in "L[":
                self._element()  # the name of its class
        self._annotation()
        described.parent = self._element()
        return described

    def _proxy_description(self) -> ClassDescription:
        described = ClassDescription("a proxy")
        self._handles.append(described)
        described.flags = IS_SERIALIZABLE
        for _ in range(self._number("I")):
            self._take(self._number("H"))
        self._annotation()
        described.parent = self._element()
        return described

    def _annotation(self) -> None:
        while self._content[self._at : self._at + 1] != bytes([END]):
            self._element()
        self._take(1)

    def _described(self) -> ClassDescription:
        found = self._element()
        if not isinstance(found, ClassDescription):
            raise BrokenError(f"there is no class before byte {self._at}")
        return found

    def _object(self) -> None:
        described: object = self._described()
        self._handles.append(None)
        classes = []
        while isinstance(described, ClassDescription):
            classes.append(described)
            described = described.parent
        for one in reversed(classes):  # Java writes the fields of the topmost first
            if one.flags & IS_SERIALIZABLE:
                for kind in one.fields:
                    self._value(kind)
            if not one.flags & IS_SERIALIZABLE or one.flags & HAS_WRITE_METHOD:  # else it is java.io.Externalizable
                self._annotation()

    def _value(self, kind: str) -> None:
        if kind in SIZES:
            self._take(SIZES[kind])
        else:
            self._element()

    def _array(self) -> None:
        described = self._described()
        self._handles.append(None)
        for _ in range(self._number("I")):
            self._value(described.name[1:2])

    def _enum(self) -> None:
        self._described()
        self._handles.append(None)
        self._element()  # the constant's name
