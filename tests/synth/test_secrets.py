"""No secret is in what Terraform is given, so none is in user data or in its state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from cdktf import TerraformStack, TerraformVariable

from spark_cluster import fleet_key
from tests.synth.synthesized import strings

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

LOOKS_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bAQC[A-Za-z0-9/+]{30,}"  # a key's blob
    r"|(?i:password|passwd|secret_key|access_key|api_key)\s*[=:]\s*['\"]?[A-Za-z0-9/+]{8,}"
)
SECRET_ARGUMENT = re.compile(r"password|secret|private_key|access_key|token$|^value|insecure_value")
KNOWN = {"value_wo": {"unset"}, "value_wo_version": {1}, "insecure_value": {"unset", "what the cluster is called"}}
"""What arguments that could hold a secret do hold."""


def test_nothing_looks_like_a_secret(default: Synthesized) -> None:
    assert not [found.group() for text in strings(default.json) if (found := LOOKS_SECRET.search(text))]


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk",
        "-----BEGIN RSA PRIVATE KEY-----",
        "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "secret_key = 'wJalrXUtnFEMI/K7MDENG'",
    ],
)
def test_a_secret_would_be_seen(text: str) -> None:
    assert LOOKS_SECRET.search(text)


def test_arguments_that_could_hold_a_secret_hold_placeholders(default: Synthesized) -> None:
    found: dict[str, set[object]] = {}
    for kind in default.json["resource"].values():
        for body in kind.values():
            for argument, value in body.items():
                if SECRET_ARGUMENT.search(argument):
                    names = str(value).startswith('${jsonencode({"bucket_name"')
                    found.setdefault(argument, set()).add("what the cluster is called" if names else value)
    assert found == KNOWN


def test_settings_name_parameters_and_hold_none_of_their_values(default: Synthesized) -> None:
    for role in ("master", "worker"):
        settings = default.settings(role)
        named = {key for key in settings if "secret" in key or "private" in key or "public" in key}
        assert named <= {"secret_parameter", "fleet_private_key_parameter", "fleet_public_key_parameter"}
        for key in named:
            assert re.fullmatch(r"\$\{aws_ssm_parameter\.\w+\.name\}", settings[key])


def test_a_private_key_of_the_callers_is_in_one_write_only_argument(
    synthesize: Synthesize, stack: TerraformStack
) -> None:
    key = TerraformVariable(stack, "key", type="string", sensitive=True).string_value
    found = synthesize(fleet_key=fleet_key.PrivateKey(key))
    holders = [
        f"{kind}.{argument}"
        for kind, bodies in found.json["resource"].items()
        for body in bodies.values()
        for argument, value in body.items()
        if any("var.key" in text for text in strings(value))
    ]
    assert holders == ["aws_ssm_parameter.value_wo"]
    assert not [text for text in strings(found.json["locals"]) if "var.key" in text]


DEFAULTS_RULE = (
    "spark_defaults must hold no secret, because user data and Terraform's state are readable; "
    "let a setup_script fetch it"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"http_proxy": "http://user:word@proxy:3128"},
            "http_proxy must hold no user or password, because user data is readable",
        ),
        (
            {"spark_defaults": {"spark.hadoop.fs.s3a.secret.key": "x"}},
            f"{DEFAULTS_RULE}, got 'spark.hadoop.fs.s3a.secret.key'",
        ),
        (
            {"spark_defaults": {"spark.ssl.keyPassword": "x"}},
            f"{DEFAULTS_RULE}, got 'spark.ssl.keyPassword'",
        ),
    ],
)
def test_refuses_a_secret_where_it_could_be_read(
    synthesize: Synthesize, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        synthesize(**arguments)
    assert str(error.value) == message
    assert "word@" not in str(error.value)
