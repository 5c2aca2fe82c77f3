"""What only the plan can say of an argument: that what a token stands for is there, and of the right form.

A variable that nobody set is `null`. In a policy that is an error of Terraform's that names no argument; in a filter it
finds what nobody meant; in user data it fails on the node. A precondition stands before all of these: Terraform looks
at it before the resource's own values, and at nothing that waits for the resource if it fails.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cdktf import Fn, Op, Precondition, TerraformResource, TerraformResourceLifecycle, Token

from spark_cluster import checks
from spark_cluster.references import operand


def require_given(resource: TerraformResource, given: Mapping[str, object]) -> None:
    """Have the plan refuse `null` for tokens, and for those in lists and mappings.

    `resource` is one that all that has a value in it waits for, but for look-ups. It is never a look-up itself: one
    that has a condition is read late whenever anything that the condition refers to changes.

    Args:
        resource: where Terraform looks.
        given: values by their arguments' names.
    """
    for argument, value in given.items():
        if isinstance(value, Mapping):
            require_given(resource, {f"{argument}['{key}']": one for key, one in value.items()})
        elif is_asked(value):
            message = f"{argument} must not be null, which is not the same as leaving it out"
            require(resource, Op.neq(operand(value), Token.null_value()), message)
        elif checks.is_known(value) and isinstance(value, Sequence) and not isinstance(value, str):
            require_given(resource, {f"{argument}[{index}]": one for index, one in enumerate(value)})


def fields(argument: str, value: object, *, apart_from: Collection[str] = ()) -> dict[str, object]:
    """What an object of an argument's holds, by the names that its fields have in messages; nothing if it is `None`.

    Args:
        argument: the argument.
        value: its object.
        apart_from: the fields in which `null` does what leaving them out does.
    """
    own = {} if value is None else vars(value)
    return {f"{argument}.{name}": one for name, one in own.items() if name not in apart_from}


def require_key(resource: TerraformResource, argument: str, value: str | None, *, optional: bool = False) -> None:
    """Have the plan refuse a token that is no key's ARN: `null`, unless it is `optional`, or the ARN of an alias."""
    if value is None or not is_asked(value):
        return
    is_key = Fn.can(Fn.regex(":key/", value))
    instead = (
        "not of an alias" if optional else "not of an alias, and not null, which is not the same as leaving it out"
    )
    require(
        resource,
        Op.or_(Op.eq(operand(value), Token.null_value()), is_key) if optional else is_key,
        f"{argument} must be the ARN of a KMS key, {instead}",
    )


def is_asked(value: object) -> bool:
    """Whether the plan is asked about a value: it is a token alone that Terraform, not Python, will fill."""
    return checks.is_token_alone(value) and not checks.is_lazy(value)


def require(resource: TerraformResource, condition: object, message: str) -> None:
    """Have the plan end with `message` unless `condition` holds."""
    before = resource.lifecycle or TerraformResourceLifecycle()
    resource.lifecycle = TerraformResourceLifecycle(
        create_before_destroy=before.create_before_destroy,
        ignore_changes=before.ignore_changes,
        prevent_destroy=before.prevent_destroy,
        replace_triggered_by=before.replace_triggered_by,
        postcondition=before.postcondition,
        precondition=[*(before.precondition or []), Precondition(condition=condition, error_message=message)],
    )
