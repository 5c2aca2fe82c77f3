"""What a resource refers to, as far as a synthesis can tell: through attributes, locals and `depends_on`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from cdktf import App, DefaultTokenResolver, StringConcat, TerraformLocal, TerraformStack, Tokenization

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cdktf import TerraformResource
    from constructs import Construct

_ADDRESS = re.compile(r"\b(?:data\.)?[a-z][a-z0-9_]*\.[A-Za-z_][\w-]*")

_PLAIN_SECTIONS = {"local": "locals", "module": "module", "var": "variable"}


def address(resource: TerraformResource) -> str:
    """`aws_instance.name`, as `depends_on` and references in the JSON have it."""
    return f"{resource.terraform_resource_type}.{resource.friendly_unique_id}"


def resolved(scope: Construct, text: str) -> str:
    """`text` with its tokens as Terraform will read them, except that a resource of another stack has its own address.

    Two tokens for one attribute are two texts; what they resolve to is one.
    """
    # Preparing would make outputs, and a backend, of the stacks that it comes across.
    resolver = DefaultTokenResolver(StringConcat())
    found: str = Tokenization.resolve(text, preparing=False, resolver=resolver, scope=scope)
    return found


def address_of_child(scope: Construct, kind: str, id: str) -> str:
    """The address that a resource of that type and id would have in `scope`."""
    stand_in = TerraformLocal(scope, id, "")
    found = f"{kind}.{stand_in.friendly_unique_id}"
    scope.node.try_remove_child(id)
    return found


def is_ambiguous(scope: Construct, expression: str) -> bool:
    """Whether more than one stack of the app has something of an address in a resolved expression."""
    stacks = [one for one in App.of(scope).node.find_all() if isinstance(one, TerraformStack)]
    found = [_bodies(stack.to_terraform()) for stack in stacks]
    return any(sum(address in bodies for bodies in found) > 1 for address in _ADDRESS.findall(expression))


def refers_to(resource: TerraformResource, other: TerraformResource) -> bool:
    """Whether Terraform makes `other` before `resource`, whatever lies between them in their stack so far."""
    bodies = _bodies(TerraformStack.of(resource).to_terraform())
    left, seen = [address(resource)], {address(resource)}
    while left:
        fresh = {found for found in _ADDRESS.findall(bodies[left.pop()]) if found in bodies} - seen
        seen |= fresh
        left += fresh
    return address(other) in seen


def _bodies(document: Mapping[str, Mapping[str, Mapping[str, object]]]) -> dict[str, str]:
    """The JSON of each resource, data source, local, module and variable of a stack, by its address."""
    sections: list[tuple[str, Mapping[str, object]]] = [
        (f"{kind}.", found) for kind, found in document.get("resource", {}).items()
    ]
    sections += [(f"data.{kind}.", found) for kind, found in document.get("data", {}).items()]
    sections += [(f"{prefix}.", document.get(section, {})) for prefix, section in _PLAIN_SECTIONS.items()]
    return {f"{prefix}{name}": json.dumps(body) for prefix, found in sections for name, body in found.items()}
