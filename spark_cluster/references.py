"""What a resource refers to, as far as a synthesis can tell: through attributes, locals and `depends_on`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from cdktf import TerraformResource, TerraformStack

_ADDRESS = re.compile(r"\b(?:data\.)?[a-z][a-z0-9_]*\.[A-Za-z_][\w-]*")


def address(resource: TerraformResource) -> str:
    """`aws_instance.name`, as `depends_on` and references in the JSON have it."""
    return f"{resource.terraform_resource_type}.{resource.friendly_unique_id}"


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
    """The JSON of each resource, data source, local and module of a stack, by its address."""
    sections: list[tuple[str, Mapping[str, object]]] = [
        (f"{kind}.", found) for kind, found in document.get("resource", {}).items()
    ]
    sections += [(f"data.{kind}.", found) for kind, found in document.get("data", {}).items()]
    sections += [("local.", document.get("locals", {})), ("module.", document.get("module", {}))]
    return {f"{prefix}{name}": json.dumps(body) for prefix, found in sections for name, body in found.items()}
