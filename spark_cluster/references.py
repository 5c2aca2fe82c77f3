"""What a resource refers to, as far as a synthesis can tell: through attributes, locals and `depends_on`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

import jsii
from cdktf import (
    App,
    Aspects,
    DefaultTokenResolver,
    Fn,
    IAnyProducer,
    IAspect,
    IResolvable,
    IResolveContext,
    Lazy,
    StringConcat,
    TerraformDataSource,
    TerraformLocal,
    TerraformModule,
    TerraformProvider,
    TerraformResource,
    TerraformStack,
    Tokenization,
)
from constructs import Construct, IConstruct

from spark_cluster import checks

_ADDRESS = re.compile(r"\b(?:data\.)?[a-z][a-z0-9_]*\.[A-Za-z_][\w-]*")

_PLAIN_SECTIONS = {"local": "locals", "module": "module", "var": "variable"}


def address(resource: TerraformResource | TerraformDataSource | TerraformModule) -> str:
    """`aws_instance.name`, `data.aws_vpc.name` or `module.name`, as `depends_on` and references in the JSON have it."""
    if isinstance(resource, TerraformModule):
        return f"module.{resource.friendly_unique_id}"
    prefix = "data." if isinstance(resource, TerraformDataSource) else ""
    return f"{prefix}{resource.terraform_resource_type}.{resource.friendly_unique_id}"


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


def operand(value: object) -> object:
    """A value for an operator: cdktf puts no brackets around a conditional that becomes a part of an expression."""
    return value if checks.is_known(value) else Fn.try_([value])


@jsii.implements(IAnyProducer)
class _Late:
    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def produce(self, _context: IResolveContext) -> object:
        return self._make()


def late(make: Callable[[], object]) -> IResolvable:
    """A value that is made at synthesis, after the app's Aspects: they may change what it is made from."""
    return Lazy.any_value(_Late(make))


def is_ambiguous(scope: Construct, expression: str) -> bool:
    """Whether more than one stack of the app has something of an address in a resolved expression."""
    stacks = [one for one in App.of(scope).node.find_all() if isinstance(one, TerraformStack)]
    found = [_bodies(stack.to_terraform()) for stack in stacks]
    return any(sum(address in bodies for bodies in found) > 1 for address in _ADDRESS.findall(expression))


def refers_to(resource: TerraformResource | TerraformDataSource | TerraformModule, other: TerraformResource) -> bool:
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


@jsii.implements(IAspect)
class _Provide:
    def __init__(self, provider: TerraformProvider) -> None:
        self._provider = provider

    def visit(self, node: IConstruct) -> None:
        if not isinstance(node, (TerraformResource, TerraformDataSource)) or node.provider is not None:
            return
        if node.terraform_resource_type.startswith("aws_"):
            node.provider = self._provider


def provide(scope: Construct, provider: TerraformProvider | None) -> None:
    """Have a provider, if there is one, make all of AWS's that is in `scope`, or will be, and names none itself."""
    if provider is not None:
        Aspects.of(scope).add(_Provide(provider))


def alias(provider: TerraformProvider | None) -> str | None:
    """What tells the AWS providers of a stack apart: without one it is the one that makes what names none."""
    return None if provider is None else provider.alias
