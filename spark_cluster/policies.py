"""Policies as IAM and S3 read them: their JSON, and what their statements may say."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from spark_cluster import checks

VERSION = "2012-10-17"

_NEEDED = (
    ("Sid",),
    ("Effect",),
    ("Principal", "NotPrincipal"),
    ("Action", "NotAction"),
    ("Resource", "NotResource"),
)
"""What a statement of a resource's policy has, one of each. IAM can do without `Sid`; it tells ours from a caller's.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html"""

NEEDED = ", ".join(" or ".join(names) for names in _NEEDED)

_PRINCIPALS = ("AWS", "Service", "Federated", "CanonicalUser")

_TYPES = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike"),
    *("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals"),
    *("NumericGreaterThan", "NumericGreaterThanEquals"),
    *("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals"),
    *("DateGreaterThan", "DateGreaterThanEquals"),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress"),
    *("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
)
_OPERATORS = tuple(
    f"{for_each}{operator}"
    for operator in (*_TYPES, *(f"{one}IfExists" for one in _TYPES), "Null")
    for for_each in ("", "ForAllValues:", "ForAnyValue:")
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html.
No page says whether IAM minds their case, so all are taken."""

_ACTION = re.compile(r"\*|(\*|[A-Za-z0-9-]+):[A-Za-z0-9*?]+")
"""In any case: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html"""

_ARN = re.compile(r"arn:[^:\s]+:[^:\s]+:[^:\s]*:[^:\s]*:\S(.*\S)?")

_AWS_PRINCIPAL = re.compile(r"\*|[0-9]{12}|A[A-Z0-9]{15,127}|arn:[^:\s*?]+:(iam|sts)::[^*?]+")
"""Everybody, an account, the id of a role that is gone, or an ARN, of which no part is a wildcard.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""

_VARIABLE = re.compile(r"""(?<!\$)\$\{(?=[^\s:?$'"(){}\[\]]+:(?!:)|[*?$]\})""")
"""How one of IAM's own variables begins, as in `${aws:username}` or `${oidc.example.com/id/1:sub}`: a key's prefix and
a colon. No expression of Terraform's has a colon so early but after `?`, a bracket or a quotation mark; with two colons
it is a function. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif"""

_UNCOUNTED = re.compile(r"\s|(?<!\$)\$\{[^{}]*\}")
_ESCAPED = re.compile(r"\\u[0-9a-f]{4}")


def document(statements: Sequence[Mapping[str, Any]]) -> str:
    """A policy as JSON; Terraform leaves IAM's own variables in it alone."""
    return _VARIABLE.sub("$${", json.dumps({"Version": VERSION, "Statement": statements}))


def known_length(document: str) -> int:
    """How many characters a policy has at least: white space does not count, nor what only Terraform knows."""
    known = _UNCOUNTED.sub("", document).replace("$${", "${")
    return len(_ESCAPED.sub("?", known))


def actions(argument: str, values: object) -> None:
    """A list of actions, each with the prefix of its service, or tokens."""
    for where, value in _listed(argument, values, "actions such as ['s3:GetObject']"):
        if not isinstance(value, str) or (checks.is_known(value) and not _ACTION.fullmatch(value)):
            raise checks.fail(where, "be an action such as 's3:GetObject'", value)


def resources(argument: str, values: object) -> None:
    """A list of ARNs, which may be tokens or hold some, or of `*`."""
    for where, value in _listed(argument, values, "ARNs, or ['*']"):
        known = checks.is_known(value)
        if not isinstance(value, str) or (known and value != "*" and not _ARN.fullmatch(value)):
            raise checks.fail(where, "be an ARN such as 'arn:aws:s3:::bucket/key', or '*'", value)


def conditions(argument: str, values: object) -> None:
    """Values by condition key, by operator. Values are lists of texts."""
    for where, of_key in _condition_keys(argument, values):
        for place, value in _listed(where, of_key, "texts"):
            if not isinstance(value, str):
                raise checks.fail(place, "be a text", value)


def statement(argument: str, value: object) -> dict[str, Any]:
    """A statement of a bucket's policy as IAM has it; what it returns is the same in plain dictionaries and lists."""
    if not isinstance(value, Mapping):
        raise checks.fail(argument, f"be a mapping with {NEEDED}", value)
    if not checks.is_json(value):
        raise checks.fail(argument, "hold texts, numbers, booleans, lists and mappings only", dict(value))
    found = {key: _plain(inner) for key, inner in value.items()}
    for key in found:
        if key not in _ELEMENTS:
            raise checks.fail(argument, f"have keys that IAM knows{_such_as(key, tuple(_ELEMENTS))}", key)
    for names in _NEEDED:
        there = [name for name in names if name in found]
        if not there:
            raise checks.fail(argument, f"have {' or '.join(names)}", found)
        if len(there) > 1:
            raise checks.fail(argument, f"have either {' or '.join(names)}", there)
    for key, inner in found.items():
        _ELEMENTS[key](f"{argument}[{key!r}]", inner)
    _not_public(argument, found)
    return found


def _sid(argument: str, value: object) -> None:
    # S3 takes blanks and more, which IAM does not, and says nowhere what it does not take.
    if not isinstance(value, str) or not value:
        raise checks.fail(argument, "be a text that is not empty", value)


def _effect(argument: str, value: object) -> None:
    if not isinstance(value, str) or (checks.is_known(value) and value not in ("Allow", "Deny")):
        raise checks.fail(argument, "be 'Allow' or 'Deny'", value)


def _principal(argument: str, value: object) -> None:
    if isinstance(value, str) and (value == "*" or not checks.is_known(value)):
        return
    if not isinstance(value, Mapping) or not value:
        raise checks.fail(argument, "be '*', or a mapping such as {'AWS': 'arn:aws:iam::111122223333:root'}", value)
    for kind, names in value.items():
        if kind not in _PRINCIPALS:
            raise checks.fail(argument, f"have keys that IAM knows{_such_as(kind, _PRINCIPALS)}", kind)
        for where, name in _listed(f"{argument}[{kind!r}]", _in_a_list(names), "principals"):
            if not isinstance(name, str) or not name:
                raise checks.fail(where, "be a text that is not empty", name)
            if kind == "AWS" and checks.is_known(name) and not _AWS_PRINCIPAL.fullmatch(name):
                rule = (
                    "be an account's 12 digits, or an ARN without wildcards such as 'arn:aws:iam::111122223333:role/x'"
                )
                raise checks.fail(where, rule, name)


def _condition(argument: str, values: object) -> None:
    for where, of_key in _condition_keys(argument, values):
        for place, value in _listed(where, _in_a_list(of_key), "texts, numbers or booleans"):
            if isinstance(value, (Mapping, list)):
                raise checks.fail(place, "be a text, a number or a boolean", value)


def _not_public(argument: str, found: Mapping[str, Any]) -> None:
    if found["Effect"] != "Allow":
        return
    if "NotPrincipal" in found:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        raise checks.fail(argument, "have Principal if it allows, since IAM takes NotPrincipal in a Deny only", found)
    principal = found["Principal"]
    everybody = principal == "*" or (isinstance(principal, dict) and "*" in _in_a_list(principal.get("AWS", [])))
    if everybody and not found.get("Condition"):
        # With a condition it depends on the key, and on the other statements:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
        rule = (
            "not allow everybody something without a Condition, since S3 refuses a public policy for this bucket "
            "(name principals, or a Condition such as {'StringEquals': {'aws:SourceVpc': 'vpc-0123'}})"
        )
        raise checks.fail(argument, rule, found)


def _condition_keys(argument: str, values: object) -> Iterable[tuple[str, Any]]:
    for operator, keys in _mapped(argument, values, "operators such as 'StringEquals'"):
        if operator.lower() not in map(str.lower, _OPERATORS):
            raise checks.fail(argument, f"have operators that IAM knows{_such_as(operator, _OPERATORS)}", operator)
        where = f"{argument}[{operator!r}]"
        what = "condition keys such as 'aws:SourceVpc'"
        if not isinstance(keys, Mapping) or not keys or not all(isinstance(key, str) for key in keys):
            raise checks.fail(where, f"be a mapping of {what}, of one at least", keys)
        for key, of_key in keys.items():
            checks.written(where, key)
            if ":" not in key and checks.is_known(key):
                raise checks.fail(where, f"have {what}, with a prefix", key)
            yield f"{where}[{key!r}]", of_key


_ELEMENTS: dict[str, Callable[[str, object], None]] = {
    "Sid": _sid,
    "Effect": _effect,
    "Principal": _principal,
    "NotPrincipal": _principal,
    "Action": lambda argument, value: actions(argument, _in_a_list(value)),
    "NotAction": lambda argument, value: actions(argument, _in_a_list(value)),
    "Resource": lambda argument, value: resources(argument, _in_a_list(value)),
    "NotResource": lambda argument, value: resources(argument, _in_a_list(value)),
    "Condition": _condition,
}
"""What a statement may have, and the rule of each."""


def _such_as(given: str, known: Sequence[str]) -> str:
    lower = {one.lower(): one for one in known}
    [nearest] = difflib.get_close_matches(given.lower(), lower, n=1, cutoff=0)
    return f", such as {lower[nearest]!r}"


def _mapped(argument: str, values: object, keys: str) -> Sequence[tuple[str, Any]]:
    if (
        not isinstance(values, Mapping)
        or not checks.is_known(dict(values))
        or not all(isinstance(key, str) and checks.is_known(key) for key in values)
    ):
        raise checks.fail(argument, f"be a mapping of {keys}", values)
    return list(values.items())


def _listed(argument: str, values: object, what: str) -> Iterable[tuple[str, Any]]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values or not checks.is_known(values):
        raise checks.fail(argument, f"be a list of {what}", values)
    return [(f"{argument}[{index}]", value) for index, value in enumerate(values)]


def _in_a_list(value: object) -> list[Any]:
    """IAM takes one value without brackets."""
    return value if isinstance(value, list) else [value]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
