"""What only the plan can say of an argument: that what a token stands for is there, and of the right form.

A variable that nobody set is `null`. In a policy that is an error of Terraform's that names no argument; in a filter it
finds what nobody meant; in user data it fails on the node. A precondition stands before all of these: Terraform looks
at it before the resource's own values, and at nothing that waits for the resource if it fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdktf import Fn, Op, Precondition, TerraformResourceLifecycle, Token

from spark_cluster import checks

if TYPE_CHECKING:
    from cdktf import TerraformDataSource, TerraformResource

    from spark_cluster.settings import NodeSettings


def require_given(resource: TerraformResource | TerraformDataSource, argument: str, value: object) -> None:
    """Have the plan refuse `null` for a token; `resource` is one that all that has the value in it waits for."""
    if checks.is_token_alone(value):
        message = f"{argument} must not be null, which is not the same as leaving it out"
        _require(resource, Op.neq(value, Token.null_value()), message)


def require_key(resource: TerraformResource, argument: str, value: str | None, *, optional: bool = False) -> None:
    """Have the plan refuse a token that is no key's ARN: `null`, unless it is `optional`, or the ARN of an alias."""
    if value is None or not checks.is_token_alone(value):
        return
    is_key = Fn.can(Fn.regex(":key/", value))
    instead = (
        "not of an alias" if optional else "not of an alias, and not null, which is not the same as leaving it out"
    )
    _require(
        resource,
        Op.or_(Op.eq(value, Token.null_value()), is_key) if optional else is_key,
        f"{argument} must be the ARN of a KMS key, {instead}",
    )


def require_settings(resource: TerraformResource, settings: NodeSettings) -> None:
    """Have the plan refuse `null` for what nodes are given as text."""
    for argument in ("spark_checksum", "setup_script", "http_proxy"):
        require_given(resource, argument, getattr(settings, argument))
    for key, value in settings.spark_defaults.items():
        require_given(resource, f"spark_defaults['{key}']", value)
    for index, value in enumerate(settings.no_proxy):
        require_given(resource, f"no_proxy[{index}]", value)


def _require(resource: TerraformResource | TerraformDataSource, condition: object, message: str) -> None:
    before = resource.lifecycle or TerraformResourceLifecycle()
    resource.lifecycle = TerraformResourceLifecycle(
        create_before_destroy=before.create_before_destroy,
        ignore_changes=before.ignore_changes,
        prevent_destroy=before.prevent_destroy,
        replace_triggered_by=before.replace_triggered_by,
        postcondition=before.postcondition,
        precondition=[*(before.precondition or []), Precondition(condition=condition, error_message=message)],
    )
