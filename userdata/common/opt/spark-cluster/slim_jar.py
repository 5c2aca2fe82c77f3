#!/usr/bin/python3
"""Copy a jar of the AWS SDK without the services that S3A has no use for: `slim_jar.py FROM TO`.

The SDK's one jar with all services is 686 MB, which every worker would fetch. What is kept is copied as it stands,
compressed, so the same jar always gives the same bytes: those whose SHA-256 spark_cluster/s3a.py has. (Python's zipfile
would compress anew, to bytes that depend on the host's zlib.)
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import mmap
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What gives credentials, too; of the first SDK what Hadoop 3.3's S3A refers to.
KEPT = {
    *(b"s3", b"s3control", b"sts", b"kms", b"sso", b"ssooidc"),
    *(b"securitytoken", b"dynamodbv2"),
}
SERVICES = b"software/amazon/awssdk/services/", b"com/amazonaws/services/"
MODELS = b"models/"  # of all services of the first SDK, for its code generator

ENTRY, END, END_64 = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
ENTRY_MARK, END_MARK, LOCATOR_MARK = b"PK\1\2", b"PK\5\6", b"PK\6\7"
LOCATOR_BYTES, OFFSET_AT = 20, 42
MANY = 0xFFFF  # that the longer form of the end has the true figures


class FormError(Exception):
    """A jar that is not laid out as this program knows it."""


def is_kept(name: bytes) -> bool:
    """Whether S3A may need an entry."""
    for services in SERVICES:
        if name.startswith(services):
            service, is_folder, _ = name[len(services) :].partition(b"/")
            return not is_folder or service in KEPT
    return not name.startswith(MODELS)


def entries(jar: mmap.mmap) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, place and record of each entry, and at last the place of the records, without a name."""
    at = len(jar) - END.size
    mark, _, _, _, count, _, start, _ = END.unpack_from(jar, at)
    if mark != END_MARK:
        raise FormError("it does not end as a jar does")
    if count == MANY:
        if jar[at - LOCATOR_BYTES : at - LOCATOR_BYTES + 4] != LOCATOR_MARK:
            raise FormError("it does not say where its end is")
        (end,) = struct.unpack_from("<Q", jar, at - LOCATOR_BYTES + 8)
        *_, count, _, start = END_64.unpack_from(jar, end)
    at = start
    for _ in range(count):
        mark, *_, name, extra, comment, _, _, _, place = ENTRY.unpack_from(jar, at)
        if mark != ENTRY_MARK:
            raise FormError("its list of entries is cut off")
        size = ENTRY.size + name + extra + comment
        yield jar[at + ENTRY.size : at + ENTRY.size + name], place, jar[at : at + size]
        at += size
    yield b"", start, b""


def slim(source: str, target: str) -> None:
    """Copy what is kept, in its order."""
    with open(source, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as jar:
        found = entries(jar)
        records, at = [], 0
        with open(target, "wb") as out:
            name, place, record = next(found)
            for next_name, next_place, next_record in found:
                if next_place <= place:
                    raise FormError("its entries are not in the order of its list")
                if is_kept(name):
                    out.write(jar[place:next_place])
                    records.append(record[:OFFSET_AT] + struct.pack("<L", at) + record[OFFSET_AT + 4 :])
                    at += next_place - place
                name, place, record = next_name, next_place, next_record
            listed = b"".join(records)
            out.write(listed + END.pack(END_MARK, 0, 0, len(records), len(records), len(listed), at, 0))


if __name__ == "__main__":
    try:
        slim(*sys.argv[1:])
    except (FormError, struct.error, OSError) as error:
        raise SystemExit(f"slim_jar: {sys.argv[1]}: {error}") from None
