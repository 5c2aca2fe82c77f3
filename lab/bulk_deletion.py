"""A bulk deletion of which some keys are not allowed: the others are deleted, these are errors in the answer.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .turns import App, Environ, Respond

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_ARGUMENTS = ("Key", "VersionId")
"""By which an object of a request, or of its answer, is told."""


def deleted_but(refused: Sequence[Mapping[str, str]], app: App, environ: Environ, respond: Respond) -> Iterable[bytes]:
    """Have `app` delete what a request names but the `refused`; answer for all."""
    names = [{name: one[name] for name in _ARGUMENTS if name in one} for one in refused]
    asked = _parsed(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    for one in asked.findall("Object"):
        if {name: text for name in _ARGUMENTS if (text := one.findtext(name))} in names:
            asked.remove(one)
    answer = ET.Element("DeleteResult")
    if asked.find("Object") is not None:
        answer = _parsed(_answer(app, environ, ET.tostring(asked)))
    answer.set("xmlns", _NAMESPACE)
    for named in names:
        error = ET.SubElement(answer, "Error")
        for name, value in {**named, "Code": "AccessDenied", "Message": "Access Denied"}.items():
            ET.SubElement(error, name).text = value
    body = ET.tostring(answer, encoding="utf-8", xml_declaration=True)
    respond("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _parsed(document: bytes) -> ET.Element:
    """Read a document, with names that are free of their namespace."""
    root = ET.fromstring(document)  # noqa: S314 - from a node of ours, or from moto
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _answer(app: App, environ: Environ, body: bytes) -> bytes:
    statuses: list[str] = []
    answer = b"".join(
        app(
            {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))},
            lambda status, *_: statuses.append(status),
        )
    )
    if not statuses[0].startswith("200"):
        raise RuntimeError(answer.decode())
    return answer
