"""Every request is held to AWS's own model of it, which moto's server looks at for its names only.

botocore carries, for each operation of each service, which arguments must be there, how long or large each may be,
which words it may be and which pattern it matches. A client of boto3 checks a part of that before it sends;
Terraform's provider, whose client is another, does not. AWS checks it all.
"""

from __future__ import annotations

import functools
import io
import json
import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

from . import rules
from .refusals import RefusedError, refuse
from .turns import SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from botocore.model import Shape

    from .turns import App, Environ, Respond

    Caller = Callable[[Environ, re.Match[str]], str]

_NAMES = {"monitoring": "cloudwatch"}
"""Services that botocore has by another name than signatures."""

_MISSING = "be there"
_UNITS = {"string": "characters", "blob": "bytes", "list": "elements", "map": "entries"}
_NUMBERS = {"integer", "long", "float", "double"}
_SHOWN_WORDS = 8
_PLAIN = re.compile(r"(\[\]|\{\})+$")
"""What a path has behind a name, for each element of a list, and for each entry of a map."""
_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
"""How the models write, in Java's way, the characters from U+10000 on."""


@dataclass(frozen=True)
class Constraint:
    """What the model says of a value: words that go after "must", and whether a value obeys."""

    words: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class Call:
    """One request: the service as botocore has it, the operation, and its arguments by their names."""

    region: str
    service: str
    operation: str
    input: Shape | None
    arguments: dict[str, Any]


class ServiceModels:
    """A WSGI application before moto's, which refuses what does not fit the model of its operation."""

    def __init__(self, app: App, log: Path, caller: Caller) -> None:
        """Hold what goes to `app` to the models.

        Args:
            app: who answers what fits.
            log: file that gets a line of JSON for each operation and set of arguments that a caller used.
            caller: names who sends a request; what nobody sends is not in the log.
        """
        self._app = app
        self._log = log
        self._caller = caller
        self._logged: set[str] = set()

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """Let a request through that fits; one that is not signed, or of an operation unknown to AWS, is moto's."""
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        call = read_call(environ, scope) if scope else None
        if scope is None or call is None:
            return self._app(environ, respond)
        if caller := self._caller(environ, scope):
            self._note(caller, call)
        try:
            check(call)
            rules.check(call)
        except RefusedError as refused:
            return refuse(environ, respond, scope["service"], refused)
        return self._app(environ, respond)

    def _note(self, caller: str, call: Call) -> None:
        arguments = sorted(set(paths(call.input, call.arguments))) if call.input else []
        line = json.dumps({"by": caller, "service": call.service, "operation": call.operation, "arguments": arguments})
        if line not in self._logged:
            self._logged.add(line)
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")


def caller(deployer: str) -> Caller:
    """Who sends a request: `terraform`; `node` if its access key is another than `deployer`; or nobody, a test."""

    def named(environ: Environ, scope: re.Match[str]) -> str:
        if "Terraform" in environ.get("HTTP_USER_AGENT", ""):
            return "terraform"
        return "" if scope["key"] == deployer else "node"

    return named


def read_call(environ: Environ, scope: re.Match[str]) -> Call | None:
    """What a request asks for; None if it is no operation of the service. An object's bytes are left unread."""
    service = _NAMES.get(scope["service"], scope["service"])
    model = get_service_model(service)
    if service != "s3":
        _rewind(environ)
    request = Request(environ)
    try:
        operation, labels = get_service_router(service).match(request)
    except NotFound:
        return None
    if service == "s3" and not operation.has_streaming_input:
        _rewind(environ)
        request = Request(environ)
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](operation)
    arguments = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": b"" if operation.has_streaming_input else request.data,
            "url_path": request.path,
            "url_params": labels,
        }
    )
    if service != "s3" or not operation.has_streaming_input:
        environ["wsgi.input"].seek(0)
    return Call(scope["region"], service, operation.name, operation.input_shape, arguments)


def _rewind(environ: Environ) -> None:
    """Make the request's body one that can be read twice."""
    environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def check(call: Call) -> None:
    """Refuse a call that does not fit.

    Raises:
        RefusedError: an argument is missing or breaks a rule; it names the first of them, and says how many there are.
    """
    broken = list(violations(call.input, call.arguments)) if call.input else []
    if broken:
        path, value, rule = broken[0]
        errors = "1 validation error" if len(broken) == 1 else f"{len(broken)} validation errors"
        shown = "null" if value is None else repr(value)
        message = f"{errors} detected: Value {shown} at '{path}' failed to satisfy constraint: Member must {rule}"
        raise RefusedError("400 Bad Request", _code(call.service, rule), message)


def _code(service: str, rule: str) -> str:
    """The error's code, as each service has it."""
    if service == "ec2":
        return "MissingParameter" if rule == _MISSING else "InvalidParameterValue"
    codes = {
        "ssm": "ValidationException",
        "kms": "ValidationException",
        "s3": "MalformedXML",
        "route53": "InvalidInput",
    }
    return codes.get(service, "ValidationError")


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Where a value breaks which rule of its shape: path, value and rule."""
    for one in constraints(shape):
        if not one.holds(value):
            yield path, "(sensitive)" if shape.metadata.get("sensitive") else value, one.words
    for member, inner, place in _members(shape, value, path):
        if inner is None:
            yield place, None, _MISSING
        else:
            yield from violations(member, inner, place)


def _members(shape: Shape, value: Any, path: str) -> Iterator[tuple[Shape, Any, str]]:
    """What is in a value: shape, value and path of each; None is the value of what must be there and is not."""
    if shape.type_name == "structure":
        names = [*value, *(name for name in shape.required_members if name not in value)]
        yield from ((shape.members[name], value.get(name), _below(path, name)) for name in names)
    elif shape.type_name == "list":
        yield from ((shape.member, member, f"{path}[]") for member in value)
    elif shape.type_name == "map":
        yield from ((shape.key, key, f"{path}{{}}") for key in value)
        yield from ((shape.value, member, f"{path}{{}}") for member in value.values())


def paths(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """The path of each argument that holds a value, such as `Filters[].Name`, or `Metadata{}` whatever the key."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from paths(shape.members[name], member, _below(path, name))
    elif shape.type_name == "list":
        for member in value:
            yield from paths(shape.member, member, f"{path}[]")
    elif shape.type_name == "map":
        for member in value.values():
            yield from paths(shape.value, member, f"{path}{{}}")
    else:
        yield path


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def input_rules(operation: str, arguments: list[str]) -> dict[str, list[str]]:
    """The words of all rules that the model has for these arguments of an operation such as `ec2:RunInstances`."""
    service, name = operation.split(":")
    shape = get_service_model(service).operation_model(name).input_shape
    found = {path: [one.words for one in constraints(_at(shape, path))] for path in arguments} if shape else {}
    for path in shape.required_members if shape else []:
        found.setdefault(path, []).insert(0, _MISSING)
    return {path: words for path, words in found.items() if words}


def prose(operation: str, argument: str) -> str:
    """What the model's own documentation says of an argument."""
    service, name = operation.split(":")
    shape, said = get_service_model(service).operation_model(name).input_shape, ""
    for name in argument.split(".") if shape else []:
        shape = shape.members[_PLAIN.sub("", name)]
        said = shape.documentation or said
        shape = _in(shape)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", said)).strip()


def _at(shape: Shape, path: str) -> Shape:
    """The shape of what is at a path, such as that of `Filters[].Name`."""
    for name in path.split("."):
        shape = _in(shape.members[_PLAIN.sub("", name)])
    return shape


def _in(shape: Shape) -> Shape:
    """The shape of what lists and maps have in them in the end."""
    while shape.type_name in {"list", "map"}:
        shape = shape.member if shape.type_name == "list" else shape.value
    return shape


@functools.cache
def constraints(shape: Shape) -> tuple[Constraint, ...]:
    """The rules of the model for a value itself, not for what is in it."""
    kind, said = shape.type_name, shape.metadata
    found = []
    if kind in _NUMBERS:
        if "min" in said:
            found.append(Constraint(f"be at least {said['min']}", lambda value: bool(value >= said["min"])))
        if "max" in said:
            found.append(Constraint(f"be at most {said['max']}", lambda value: bool(value <= said["max"])))
    elif kind in _UNITS:
        found += _length(said.get("min", 0), said.get("max"), _UNITS[kind])
    if said.get("enum"):
        words = frozenset(said["enum"])
        shown = ", ".join(said["enum"][:_SHOWN_WORDS])
        more = f" and {len(words) - _SHOWN_WORDS} more" if len(words) > _SHOWN_WORDS else ""
        found.append(Constraint(f"be one of {shown}{more}", lambda value: value in words))
    if kind == "string" and (pattern := said.get("pattern")):
        compiled = re.compile(in_python(pattern))
        found.append(Constraint(f"match {pattern}", lambda value: compiled.fullmatch(value) is not None))
    return tuple(found)


def _length(least: int, most: int | None, unit: str) -> list[Constraint]:
    if most is None:
        return [Constraint(f"have at least {least} {unit}", lambda value: len(value) >= least)] if least else []
    return [Constraint(f"have {least} to {most} {unit}", lambda value: least <= len(value) <= most)]


def in_python(pattern: str) -> str:
    """A pattern of Java's as one of Python's: characters from U+10000 on, and Unicode's classes such as `\\p{L}`."""
    pattern = pattern.replace(_SURROGATES, "\U00010000-\U0010ffff")
    return re.sub(r"\\p\{(\w)\}", lambda found: _class(found[1]), pattern)


@functools.cache
def _class(letter: str) -> str:
    """All characters of the categories that begin with a letter, for the inside of brackets."""
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] == letter:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
