"""What arguments may be: each check raises `ValueError` in the caller's words, and never compares a Terraform token."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from cdktf import IResolvable, Token

Whole = float
"""How a whole number is typed: a token that stands for one is a float, and an int may be where a float is wanted."""

Flag = bool | IResolvable
"""How a boolean is typed: a token that stands for one is an object."""

MAX_NAME_LENGTH = 24
"""Characters of a cluster's name: with its suffixes and Terraform's 26 random characters a bucket's name has 63."""

MAX_ZONE_NAME_LENGTH = 255 - len("master.-spark.") - MAX_NAME_LENGTH
"""So that the master's name in the zone has at most 255 characters."""

_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SECRET_KEY = re.compile(r"secret|password|token|access[.]?key", re.IGNORECASE)


def is_known(value: object) -> bool:
    """Whether `value` is there at synthesis: neither absent nor a token that Terraform will compute."""
    if value is None or is_resolvable(value):
        return False
    # jsii takes no tuples, and of other types only what JSON has.
    plain = list(value) if isinstance(value, tuple) else value
    return not isinstance(plain, (str, int, float, list)) or not Token.is_unresolved(plain)


def is_resolvable(value: object) -> bool:
    """Whether `value` is a token as an object (cdktf's `IResolvable`), the form that booleans have."""
    return hasattr(value, "creation_stack")


def is_json(value: object) -> bool:
    """Whether `value` is what JSON has, tokens in texts included."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(is_json(inner) for inner in value)
    return isinstance(value, (str, bool, int, float))


def fail(argument: str, rule: str, got: object) -> ValueError:
    """The error for an argument: its name, the rule, and the value got."""
    shown = repr(got) if got is None or is_known(got) else "a token"
    return ValueError(f"{argument} must {rule}, got {shown}")


def _fail_form(argument: str, rule: str, got: object, form: str) -> ValueError:
    """As `fail`; if the value is a token in another form, with what converts it."""
    return fail(argument, rule if got is None or is_known(got) else f"{rule} (convert with cdktf's {form})", got)


def name(argument: str, value: str) -> None:
    """A cluster's name becomes a DNS label, a bucket's prefix and part of IAM names, so it obeys the strictest."""
    if not isinstance(value, str) or Token.is_unresolved(value):
        raise fail(argument, "be a literal string, since addresses and names are built from it", value)
    if not value:
        raise fail(argument, "not be empty", value)
    if len(value) > MAX_NAME_LENGTH:
        raise fail(argument, f"have at most {MAX_NAME_LENGTH} characters", value)
    if not _NAME.fullmatch(value):
        rule = "be lower-case letters, digits and single inner hyphens, beginning with a letter (a DNS and bucket name)"
        raise fail(argument, rule, value)


def text(argument: str, value: object) -> None:
    """A string that is not blank, or a token."""
    if value is None:
        raise fail(argument, "be given", value)
    if not isinstance(value, str) or not value.strip():
        raise _fail_form(argument, "be a string that is not empty", value, "Token.as_string")


def domain(argument: str, value: object) -> None:
    """The name of a domain, without a dot at its end.

    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html
    """
    text(argument, value)
    if is_known(value) and (len(str(value)) > MAX_ZONE_NAME_LENGTH or not _DOMAIN.fullmatch(str(value))):
        raise fail(argument, "be a domain's name in lower case such as 'data.internal'", value)


def prefixed(argument: str, value: object, prefix: str) -> None:
    """An AWS id (`vpc-`, `subnet-`, `ami-` …) or ARN."""
    text(argument, value)
    if is_known(value) and not str(value).startswith(prefix):
        raise fail(argument, f"begin with {prefix!r}", value)


def arn(argument: str, value: object) -> None:
    """Text that begins with `arn:`; `None` is no key and no boundary."""
    if value is not None:
        prefixed(argument, value, "arn:")


def ids(argument: str, values: Sequence[str], prefix: str, *, at_least: int = 0) -> None:
    """A list of AWS ids, as a list of strings or as one list token."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise _fail_form(argument, f"be a list of ids such as [{prefix + '0123'!r}]", values, "Token.as_list")
    if values and not is_known(values):
        return
    if len(values) < at_least:
        raise fail(argument, f"name at least {at_least}", values)
    for index, value in enumerate(values):
        prefixed(f"{argument}[{index}]", value, prefix)
    known = [value for value in values if is_known(value)]
    if len(set(known)) != len(known):
        raise fail(argument, "name each id once", values)


def whole(argument: str, value: object, lowest: int, highest: int | None = None) -> None:
    """A whole number within bounds."""
    if isinstance(value, float) and not is_known(value):
        return
    rule = f"be a whole number of at least {lowest}" if highest is None else f"be from {lowest} to {highest}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise _fail_form(argument, "be a whole number", value, "Token.as_number")
    if value < lowest or (highest is not None and value > highest):
        raise fail(argument, rule, value)


def not_above(lower_argument: str, lower: object, upper_argument: str, upper: object) -> None:
    """Two sizes in order, if both are known."""
    if is_known(lower) and is_known(upper) and lower > upper:  # type: ignore[operator]
        message = f"{lower_argument} must be at most {upper_argument}, got {lower} > {upper}"
        raise ValueError(message)


def flag(argument: str, value: object) -> None:
    """True or False, a token of one, or `None` for AWS's own default."""
    if value is not None and not isinstance(value, bool) and not is_resolvable(value):
        raise _fail_form(argument, "be True or False", value, "Token.as_any")


def literal_flag(argument: str, value: object) -> None:
    """True or False of a choice that shapes the graph."""
    if not isinstance(value, bool):
        raise fail(argument, "be a literal True or False", value)


def instance_type(argument: str, value: object) -> None:
    """An EC2 instance type with room for Spark, such as `m6i.xlarge`.

    A worker leaves 1 GiB to the system, and an executor needs half of one. Those that are smaller are the sizes `nano`
    and `micro` of every family: https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html.
    """
    text(argument, value)
    if not is_known(value):
        return
    if not _INSTANCE_TYPE.fullmatch(str(value)):
        raise fail(argument, "be an EC2 instance type such as 'm6i.xlarge'", value)
    if str(value).endswith((".nano", ".micro")):
        raise fail(argument, "be an EC2 instance type with 2 GiB of memory or more, which Spark needs", value)


def price(argument: str, value: object) -> None:
    """A price in US dollars an hour as text: a float would reach AWS as 0.009499999."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    lowest = Decimal("0.001")
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite():
        raise _fail_form(argument, "be US dollars an hour as text, such as '0.0950'", value, "Token.as_string")
    if amount < lowest:
        raise fail(argument, f"be at least {lowest}, the lowest price EC2 takes", value)


def tags(argument: str, values: Mapping[str, str]) -> None:
    """AWS tags: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions."""
    if not isinstance(values, Mapping):
        raise fail(argument, "be a mapping whose keys are literal", values)
    for key, value in values.items():
        if not isinstance(key, str) or Token.is_unresolved(key) or not key or len(key) > 128:  # noqa: PLR2004
            raise fail(argument, "have literal keys of 1 to 128 characters", key)
        if key.lower().startswith("aws:"):
            raise fail(argument, "not use keys that begin with 'aws:', which AWS keeps for itself", key)
        if key == "Name":
            raise fail(argument, "not set 'Name', which each resource gets from the cluster's name", key)
        if value is None or (is_known(value) and (not isinstance(value, str) or len(value) > 256)):  # noqa: PLR2004
            raise fail(f"{argument}[{key!r}]", "be a string of at most 256 characters", value)


def spark_defaults(argument: str, values: Mapping[str, str]) -> None:
    """Spark properties: literal keys, and no secret, since they stand in user data and in Terraform's state."""
    if not isinstance(values, Mapping):
        raise fail(argument, "be a mapping of Spark properties", values)
    for key, value in values.items():
        if not isinstance(key, str) or not re.fullmatch(r"spark\.[^\s=]+", key):
            raise fail(argument, "have keys that begin with 'spark.' and hold no blank", key)
        if _SECRET_KEY.search(key):
            rule = "hold no secret, because user data and Terraform's state are readable; let a setup_script fetch it"
            raise fail(argument, rule, key)
        if value is None or (is_known(value) and (not isinstance(value, str) or "\n" in value)):
            raise fail(f"{argument}[{key!r}]", "be a string on one line", value)


def script(argument: str, value: object) -> None:
    """A script that names its interpreter, or `None`."""
    if value is None:
        return
    text(argument, value)
    if is_known(value) and not str(value).startswith("#!"):
        raise fail(argument, "begin with a `#!` line such as '#!/bin/bash'", str(value)[:40])


def proxy(argument: str, value: object) -> None:
    """The address of an HTTP proxy; a password in it would be readable in user data."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    parts = urlsplit(str(value))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise fail(argument, "be an address such as 'http://proxy.internal:3128'", value)
    if parts.username or parts.password:
        message = f"{argument} must hold no user or password, because user data is readable"
        raise ValueError(message)


def no_proxy(argument: str, values: Sequence[str]) -> None:
    """Names and addresses that are reached without the proxy."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise _fail_form(argument, "be a list of host names, domains or addresses", values, "Token.as_list")
    for index, value in enumerate(values):
        text(f"{argument}[{index}]", value)
        if is_known(value) and ("," in value or " " in value):
            raise fail(f"{argument}[{index}]", "be one name or address", value)


def account_id(argument: str, value: object) -> None:
    """12 digits as text, a token, or `None` for the deployer's account."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    if not isinstance(value, str) or not re.fullmatch(r"\d{12}", value):
        raise fail(argument, "be 12 digits in a string", value)


def checksum(argument: str, value: object) -> None:
    """64 or 128 hexadecimal digits, a token, or `None`: the node looks the checksum up."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{128}", value):
        raise fail(argument, "be a SHA-256 or SHA-512 as 64 or 128 lower-case hexadecimal digits", value)


def parameter_name(argument: str, value: object) -> None:
    """The full name of an SSM parameter, with its leading slash."""
    text(argument, value)
    if is_known(value) and not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", str(value)):
        raise fail(argument, "be a parameter's name that begins with '/', such as '/team/fleet-key'", value)


def answer(argument: str, value: object, method: str, example: str) -> None:
    """An object of one of the small classes that answer an open choice: known by its method."""
    if isinstance(value, type) or not hasattr(value, method):
        raise fail(argument, f"be an object such as {example}", value)
