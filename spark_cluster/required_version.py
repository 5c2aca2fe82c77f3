"""Which Terraform a stack needs."""

from __future__ import annotations

from typing import Any

from cdktf import TerraformElement

REQUIRED_VERSION = ">= 1.11"
"""Secrets go through write-only arguments, which are since 1.11.

https://developer.hashicorp.com/terraform/language/resources/ephemeral/write-only
"""


class RequiredVersion(TerraformElement):
    """`required_version` in the stack's `terraform` block; the stack's own `add_override` wins, whenever it is called.

    cdktf merges what elements say, and then the stack's overrides over it; it cannot show whether there are any.
    """

    def to_terraform(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"terraform": {"required_version": REQUIRED_VERSION}}
