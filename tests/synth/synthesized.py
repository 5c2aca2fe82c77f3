"""What cdktf made of a stack, as dictionaries."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from cdktf import Testing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cdktf import App, TerraformStack

_HASH = re.compile(r"_[0-9A-F]{8}$")
_REFERENCE = re.compile(r"(?:data\.)?aws_\w+\.[\w-]+|(?:local|var|terraform_data)\.[\w-]+")


def new_app(folder: Path, **context: object) -> App:
    """An app whose ids and files do not depend on where it runs."""
    return Testing.app(outdir=str(folder), context=context)


class Synthesized:
    """The Terraform JSON of a stack.

    A name is the path of ids below the stack, joined by `_`, without the hash that cdktf puts behind it: `spark_master`
    for the construct `master` in `spark`.
    """

    def __init__(self, stack: TerraformStack) -> None:
        self.text: str = Testing.synth(stack, True)  # noqa: FBT003 - run the validations, which has no keyword
        self.json: dict[str, Any] = json.loads(self.text)

    def all(self, kind: str) -> dict[str, Any]:
        """Every resource, or data source (`data.aws_vpc`), of a type by its name."""
        section, kind = ("data", kind.removeprefix("data.")) if kind.startswith("data.") else ("resource", kind)
        return {_name(key): _without_comment(body) for key, body in self.json.get(section, {}).get(kind, {}).items()}

    def the(self, kind: str, name: str | None = None) -> dict[str, Any]:
        """The resource of that type and name; without a name, the only one of its type."""
        found = self.all(kind)
        if name is None:
            [body] = found.values()
            return dict(body)
        return dict(found[name])

    def local(self, name: str) -> Any:
        """A local value."""
        return {_name(key): value for key, value in self.json["locals"].items()}[name]

    def settings(self, role: str) -> dict[str, Any]:
        """What a node of that role is given."""
        return dict(self.local(f"spark_{'workers' if role == 'worker' else role}_user_data_settings"))

    def address(self, kind: str, name: str) -> str:
        """The address of a resource or data source, with its hash."""
        [found] = [
            address
            for address in self.addresses()
            if address.startswith(f"{kind}.") and plain(address) == f"{kind}.{name}"
        ]
        return found

    def addresses(self) -> list[str]:
        """Every resource and data source."""
        resources = [f"{kind}.{key}" for kind, found in self.json["resource"].items() for key in found]
        data = [f"data.{kind}.{key}" for kind, found in self.json.get("data", {}).items() for key in found]
        return sorted(resources + data)

    def graph(self) -> dict[str, set[str]]:
        """What each resource, data source and local refers to, in expressions or by `depends_on`."""
        bodies = {
            **{f"{kind}.{key}": body for kind, found in self.json["resource"].items() for key, body in found.items()},
            **{
                f"data.{kind}.{key}": body
                for kind, found in self.json.get("data", {}).items()
                for key, body in found.items()
            },
            **{f"local.{key}": value for key, value in self.json.get("locals", {}).items()},
        }
        return {address: set(_references(body)) & bodies.keys() for address, body in bodies.items()}

    def policies(self, role: str) -> dict[str, list[dict[str, Any]]]:
        """The statements of every inline policy of a role (`master_role`, `worker_role`), by the policy's name."""
        name = self.address("aws_iam_role", f"spark_{role}_role")
        return {
            body["name"]: json.loads(body["policy"])["Statement"]
            for body in self.all("aws_iam_role_policy").values()
            if body["role"] == f"${{{name}.name}}"
        }


@dataclass(frozen=True)
class Statements:
    """Statements of policies, evaluated as IAM does it: `*` and `?` match, and a Deny wins."""

    statements: list[dict[str, Any]]

    def allow(self, action: str, resource: str) -> bool:
        effects = {each["Effect"] for each in self.statements if _matches(each, action, resource)}
        return effects == {"Allow"}


def _matches(statement: dict[str, Any], action: str, resource: str) -> bool:
    # Conditions only narrow what a statement says, and none here narrows an Allow.
    actions = [each.lower() for each in listed(statement["Action"])]
    if statement["Effect"] == "Deny" and "Condition" in statement:
        return False
    by_action = any(fnmatchcase(action.lower(), pattern) for pattern in actions)
    return by_action and any(fnmatchcase(resource, _literal(pattern)) for pattern in listed(statement["Resource"]))


def _literal(pattern: str) -> str:
    """An ARN's pattern in which `[`, which IAM does not know, matches itself."""
    return pattern.replace("[", "[[]")


def listed(value: str | list[str]) -> list[str]:
    """A policy's one string or list, as a list."""
    return [value] if isinstance(value, str) else value


def plain(address: str) -> str:
    """An address without cdktf's hash."""
    return _HASH.sub("", address)


def reached(graph: dict[str, set[str]], start: str) -> set[str]:
    """All that something refers to, also through others."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for found in graph[ahead.pop()] - seen:
            seen.add(found)
            ahead.append(found)
    return seen


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def expressions(text: str) -> Iterator[str]:
    """What stands in each `${…}` of a string; `$${` is no expression."""
    text = text.replace("$${", "")
    while (start := text.find("${")) >= 0:
        depth, end = 1, start + 2
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield text[start + 2 : end - 1]
        text = text[end:]


def _references(body: object) -> Iterator[str]:
    if isinstance(body, dict):
        yield from body.get("depends_on", [])
    for text in strings(body):
        for expression in expressions(text):
            yield from _REFERENCE.findall(expression)


def _name(key: str) -> str:
    return _HASH.sub("", key)


def _without_comment(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "//"}


def unescaped(text: str) -> str:
    """What Terraform makes of a text without expressions."""
    return text.replace("$${", "${").replace("%%{", "%{")
