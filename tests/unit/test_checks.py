from __future__ import annotations

import enum
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import spark_conf
from cdktf import App, Fn, TerraformStack, Token
from constructs import Construct
from moto.ec2.models.instance_types import INSTANCE_TYPES

from spark_cluster import checks, limits, spark_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STRING = Token.as_string({"Ref": "x"})
NUMBER = Token.as_number({"Ref": "x"})
LIST = Token.as_list({"Ref": "x"})
OBJECT = Token.as_any({"Ref": "x"})
TOKENS = {"string": STRING, "number": NUMBER, "list": LIST, "object": OBJECT}


def refusal(check: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole by the tests
        check("argument", *arguments)
    return str(error.value)


# --- what is known -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "a", 0, -1, 1.5, True, [], ["a"], (), ("a", "b"), {}, {"a": 1}, Path(), b"a", object()]
)
def test_a_value_is_known(value: object) -> None:
    assert checks.is_known(value)


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_not_known(kind: str) -> None:
    assert not checks.is_known(TOKENS[kind])


def test_text_with_a_token_in_it_is_not_known() -> None:
    assert not checks.is_known(f"arn:{STRING}:role")


def test_a_list_of_tokens_is_known_and_its_elements_are_not() -> None:
    assert checks.is_known([STRING])
    assert checks.is_known((STRING,))
    assert not checks.is_known([STRING][0])


def test_a_list_that_only_terraform_knows_is_not_known_as_a_tuple_either() -> None:
    assert not checks.is_known(tuple(LIST))


def test_what_nobody_gave_is_not_known() -> None:
    assert not checks.is_known(None)


def test_an_error_names_argument_rule_and_value() -> None:
    assert str(checks.fail("workers.min_size", "be small", 9)) == "workers.min_size must be small, got 9"


def test_an_error_shows_a_text_with_a_token_in_it() -> None:
    assert str(checks.fail("argument", "be right", f"a-{STRING}")) == "argument must be right, got 'a-<token>'"


# --- each check takes what it should -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["x", " x", STRING, f"{STRING}-x"])
def test_text_takes(value: str) -> None:
    checks.text("argument", value)


def test_prefixed_does_not_compare_a_token() -> None:
    checks.prefixed("argument", STRING, "vpc-")
    checks.prefixed("argument", "vpc-1", "vpc-")


@pytest.mark.parametrize("values", [[], ["sg-1"], ("sg-1", STRING), [STRING, STRING], LIST, Fn.sort(LIST)])
def test_ids_take(values: list[str]) -> None:
    checks.ids("argument", values, "sg-")


@pytest.mark.parametrize("value", [0, 5, NUMBER])
def test_whole_takes(value: float) -> None:
    checks.whole("argument", value, 0, 5)


def test_sizes_in_order_pass_and_tokens_are_not_compared() -> None:
    checks.not_above("a", 1, "b", 1)
    checks.not_above("a", 1, "b", NUMBER)
    checks.not_above("a", NUMBER, "b", 1)


@pytest.mark.parametrize("value", [True, False, None, OBJECT])
def test_flag_takes(value: object) -> None:
    checks.flag("argument", value)


@pytest.mark.parametrize("value", ["m6i.xlarge", "u-6tb1.metal", "p6-b200.48xlarge", "m7g.metal-24xl", STRING])
def test_instance_type_takes(value: str) -> None:
    checks.instance_type("argument", value)


@pytest.mark.parametrize("value", ["0.0095", "1", "0.001", ".5", None, STRING])
def test_price_takes(value: str | None) -> None:
    checks.price("argument", value)


@pytest.mark.parametrize(
    "value",
    [
        *("http://proxy:3128", "https://10.0.0.1:8080/", "http://[2001:db8::1]:3128", "http://squid_1:3128"),
        *("http://" + "a" * 63, "http://" + "a." * 126 + "a", "https://a-1.b2"),
        None,
        STRING,
        f"http://{STRING}:3128",
    ],
)
def test_proxy_takes(value: str | None) -> None:
    checks.proxy("argument", value)


@pytest.mark.parametrize("value", ["111122223333", None, STRING])
def test_account_id_takes(value: str | None) -> None:
    checks.account_id("argument", value)


@pytest.mark.parametrize("value", ["a" * 64, "0" * 128, None, STRING])
def test_checksum_takes(value: str | None) -> None:
    checks.checksum("argument", value)


@pytest.mark.parametrize("value", ["/a", "/team/fleet-key_1.pem", STRING])
def test_parameter_name_takes(value: str) -> None:
    checks.parameter_name("argument", value)


def test_tags_take_the_longest_that_aws_does() -> None:
    checks.tags("argument", {"k" * 128: "v" * 256, "empty": "", "token": STRING})


def test_spark_defaults_take_properties() -> None:
    checks.spark_defaults("argument", {"spark.executor.cores": "4", "spark.hadoop.fs.s3a.endpoint": STRING})


def test_no_proxy_takes_names_and_a_list_that_only_terraform_knows() -> None:
    checks.no_proxy("argument", [".internal", "10.0.0.0/8", STRING])
    checks.no_proxy("argument", ["host", "a_b.internal:8080", "10.0.0.1", "10.0.0.5/8", "::1", "[::1]:80", "fd00::/8"])
    checks.no_proxy("argument", LIST)


# --- and refuses what it should: what tests/synth does not reach through the cluster's own arguments --------------


@pytest.mark.parametrize("kind", ["string", "list", "object"])
def test_whole_refuses_a_token_that_is_no_number(kind: str) -> None:
    """jsii would refuse it too, with a stack of Node's."""
    message = "argument must be a whole number (convert with cdktf's Token.as_number), got a token"
    assert refusal(checks.whole, TOKENS[kind], 0) == message


@pytest.mark.parametrize("kind", ["string", "number", "list"])
def test_flag_refuses_a_token_that_is_no_boolean(kind: str) -> None:
    assert refusal(checks.flag, TOKENS[kind]) == (
        "argument must be True or False (convert with cdktf's Token.as_any), got a token"
    )


@pytest.mark.parametrize("kind", ["number", "list", "object"])
def test_text_refuses_a_token_that_is_no_string(kind: str) -> None:
    assert refusal(checks.text, TOKENS[kind]) == (
        "argument must be a string that is not empty (convert with cdktf's Token.as_string), got a token"
    )


@pytest.mark.parametrize("kind", ["string", "number", "object"])
def test_ids_refuse_a_token_that_is_no_list(kind: str) -> None:
    assert refusal(checks.ids, TOKENS[kind], "sg-") == (
        "argument must be a list of ids such as ['sg-0123'] (convert with cdktf's Token.as_list), got a token"
    )


@pytest.mark.parametrize("kind", ["number", "list", "object"])
def test_price_refuses_a_token_that_is_no_string(kind: str) -> None:
    assert refusal(checks.price, TOKENS[kind]) == (
        "argument must be US dollars an hour as text, such as '0.0950' (convert with cdktf's Token.as_string), "
        "got a token"
    )


def test_a_price_that_is_negative_or_infinite_is_none() -> None:
    assert refusal(checks.price, "-1") == "argument must be at least 0.001, the lowest price EC2 takes, got '-1'"
    assert refusal(checks.price, "Infinity") == (
        "argument must be US dollars an hour as text, such as '0.0950', got 'Infinity'"
    )


@pytest.mark.parametrize("value", [" ", "\n"])
def test_text_refuses_blanks(value: str) -> None:
    assert refusal(checks.text, value) == f"argument must be a string that is not empty, got {value!r}"


@pytest.mark.parametrize("value", ["M6i.large", "m6i", "m6i.large,m5.large", ".large", "m6i."])
def test_instance_type_refuses(value: str) -> None:
    assert refusal(checks.instance_type, value) == (
        f"argument must be an EC2 instance type such as 'm6i.xlarge', got {value!r}"
    )


@pytest.mark.parametrize("value", ["t3.nano", "t2.micro", "t4g.micro", "m1.small", "c1.medium"])
def test_instance_type_refuses_those_without_room_for_spark(value: str) -> None:
    assert refusal(checks.instance_type, value) == (
        f"argument must be an EC2 instance type with 2 GiB of memory or more, which Spark needs, got {value!r}"
    )


@pytest.mark.parametrize("value", ["mac1.metal", "mac2-m2pro.metal", "mac-m4.metal"])
def test_instance_type_refuses_those_of_dedicated_hosts(value: str) -> None:
    assert refusal(checks.instance_type, value) == (
        f"argument must be an EC2 instance type that runs without a Dedicated Host, unlike all Macs, got {value!r}"
    )


def test_instance_type_refuses_the_same_as_ec2_describes() -> None:
    """By what DescribeInstanceTypes said when moto noted it."""
    for name, kind in INSTANCE_TYPES.items():
        is_small = kind["MemoryInfo"]["SizeInMiB"] < 2048
        is_mac = any("mac" in one for one in kind["ProcessorInfo"]["SupportedArchitectures"])
        if is_small or is_mac:
            assert refusal(checks.instance_type, name)
        else:
            checks.instance_type("argument", name)


@pytest.mark.parametrize("value", ["team/key", "/", "/team/", "//a", "/a b", "arn:aws:ssm:us-east-1:1:parameter/a"])
def test_parameter_name_refuses(value: str) -> None:
    assert refusal(checks.parameter_name, value) == (
        f"argument must be a parameter's name that begins with '/', such as '/team/fleet-key', got {value!r}"
    )


@pytest.mark.parametrize("value", ["proxy:3128", "ftp://proxy", "http://", "", 3128])
def test_proxy_refuses(value: object) -> None:
    assert refusal(checks.proxy, value) == (
        f"argument must be an address such as 'http://proxy.internal:3128', got {value!r}"
    )


# --- what AWS refuses by its form ---------------------------------------------------------------------------------

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
KEY_RULE = "be a KMS key's ARN such as 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'"


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        KEY.replace("aws", "aws-us-gov", 1),
        "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        f"arn:aws:kms:us-east-1:{STRING}:key/1",
        STRING,
        None,
    ],
)
def test_key_arn_takes(value: str | None) -> None:
    checks.key_arn("argument", value)


@pytest.mark.parametrize(
    "value",
    [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:key/",
        "arn:aws:kms:us-east-1:1:key/1",
        "arn:aws:kms::111122223333:key/1",
        "arn:aws:kms:us-east-1:111122223333:key/1",
        "arn:aws:kms:us-east-1:111122223333:key/my-key",
        "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd",
        "arn:aws:kms:us-east-1:111122223333:key/1234ABCD-12AB-34CD-56EF-1234567890AB",
        KEY.replace("arn:aws:", "arn:awz:"),
        KEY.replace("arn:aws:", "arn:-:"),
        KEY.replace("us-east-1", "-"),
        KEY.replace("us-east-1", "us-east"),
        "arn:aws:s3:::bucket",
        f"{KEY}\n",
        f"{KEY} ",
    ],
)
def test_key_arn_refuses_what_is_none(value: str) -> None:
    assert refusal(checks.key_arn, value) == f"argument must {KEY_RULE}, got {value!r}"


@pytest.mark.parametrize(
    "value", ["alias/data", "arn:aws:kms:us-east-1:111122223333:alias/data", "arn:aws:kms:us-east-1:1:alias/aws/ebs"]
)
def test_key_arn_refuses_an_alias(value: str) -> None:
    rule = f"{KEY_RULE}, not an alias, which gives nothing in a policy"
    assert refusal(checks.key_arn, value) == f"argument must {rule}, got {value!r}"


def test_key_arn_refuses_an_alias_of_an_account_that_only_terraform_knows() -> None:
    rule = f"{KEY_RULE}, not an alias, which gives nothing in a policy"
    assert refusal(checks.key_arn, f"arn:aws:kms:us-east-1:{STRING}:alias/data") == (
        f"argument must {rule}, got 'arn:aws:kms:us-east-1:<token>:alias/data'"
    )


@pytest.mark.parametrize(
    "place",
    [
        *(
            "aws:kms:eu-central-1",
            "aws:kms:ap-southeast-7",
            "aws-cn:kms:cn-northwest-1",
            "aws-us-gov:kms:us-gov-west-1",
        ),
        *("aws-iso-b:kms:us-isob-east-1", "aws-eusc:kms:eusc-de-east-1"),
    ],
)
def test_key_arn_takes_every_partition_and_region(place: str) -> None:
    checks.key_arn("argument", f"arn:{place}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")


def test_keys_are_of_one_region() -> None:
    elsewhere = KEY.replace("us-east-1", "eu-west-1")
    checks.keys_of_one_region({"a": KEY, "b": None, "c": STRING, "d": KEY}, "us-east-1")
    checks.keys_of_one_region({"a": KEY}, STRING)
    for keys, region, message in (
        ({"a": KEY, "b": None, "c": elsewhere}, None, "c must be a key of the region of a, us-east-1 in aws, got"),
        (
            {"a": KEY, "b": KEY.replace("aws", "aws-cn", 1)},
            None,
            "b must be a key of the region of a, us-east-1 in aws",
        ),
        ({"a": STRING, "b": elsewhere}, "us-east-1", "b must be a key of the provider's region, us-east-1, got "),
    ):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
            checks.keys_of_one_region(keys, region)
        assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:iam::aws:policy/PowerUserAccess",
        "arn:aws:iam::aws:policy/job-function/Billing",
        "arn:aws-cn:iam::111122223333:policy/a/b",
        "arn:aws:iam::111122223333:policy/a//b",
        "arn:aws:iam::111122223333:policy/" + "a" * 128,
    ],
)
def test_boundary_arn_takes(value: str) -> None:
    checks.boundary_arn("argument", value)


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:iam::111122223333:role/boundary",
        "arn:aws:iam::aws:policy/" + "a/" * 1100 + "a",
        "boundary",
        "arn:zzz:iam::111122223333:policy/x",
        "arn:aws:iam::111122223333:policy/a/",
        "arn:aws:iam::111122223333:policy/" + "a" * 129,
        "arn:aws:iam::1111:policy/x",
    ],
)
def test_boundary_arn_refuses(value: str) -> None:
    assert refusal(checks.boundary_arn, value).startswith(
        "argument must be the ARN of a managed policy, 'arn:aws:iam::<account>:policy/<name>', got "
    )


def test_a_boundary_is_of_the_roles_own_account() -> None:
    boundary = "arn:aws:iam::111122223333:policy/x"
    for account_id in ("111122223333", STRING, None):
        checks.boundary_arn("argument", boundary, account_id)
    checks.boundary_arn("argument", "arn:aws:iam::aws:policy/x", "999999999999")
    assert refusal(checks.boundary_arn, boundary, "999999999999") == (
        f"argument must be a policy of AWS's or of account_id, '999999999999', got '{boundary}'"
    )


@pytest.mark.parametrize(
    ("value", "beginning", "whose"),
    [
        ("sg", "sg-", "EC2 keeps for security groups' ids"),
        ("sg-team", "sg-", "EC2 keeps for security groups' ids"),
        ("sthree", "sthree-", "S3 keeps for itself"),
        ("sthree-configurator", "sthree-", "S3 keeps for itself"),
        ("amzn-s3-demo", "amzn-s3-demo-", "S3 keeps for itself"),
    ],
)
def test_name_refuses_what_aws_keeps(value: str, beginning: str, whose: str) -> None:
    assert refusal(checks.name, value) == (
        f"argument must neither be {beginning[:-1]!r} nor begin with {beginning!r}, which {whose}, got {value!r}"
    )


@pytest.mark.parametrize("value", ["sgs", "sthreed", "amzn-s3", "aws", "lt-x", "i-1", "xn"])
def test_name_takes_what_only_looks_like_it(value: str) -> None:
    checks.name("argument", value)


@pytest.mark.parametrize("value", ["vpc-", "vpc-1\n", "vpc-1 ", "vpc-A", "vpc-1,vpc-2", "vpc-é"])
def test_an_id_is_whole(value: str) -> None:
    assert refusal(checks.prefixed, value, "vpc-") == (
        f"argument must be an id such as 'vpc-0123456789abcdef0', got {value!r}"
    )


@pytest.mark.parametrize("value", ["a", "a b", "~" * 255, STRING])
def test_key_name_takes(value: str) -> None:
    checks.key_name("argument", value)


@pytest.mark.parametrize("value", ["a" * 256, " a", "a ", "é", "a\nb"])
def test_key_name_refuses(value: str) -> None:
    assert refusal(checks.key_name, value).startswith(
        "argument must be 1 to 255 characters of ASCII without a blank at either end, got "
    )


@pytest.mark.parametrize("value", ["a", "A" * 64, "a+=,.@-_b", STRING])
def test_role_name_takes(value: str) -> None:
    checks.role_name("argument", value)


@pytest.mark.parametrize("value", ["a" * 65, "service/job", "a b", "é"])
def test_role_name_refuses(value: str) -> None:
    assert refusal(checks.role_name, value) == (
        f"argument must be at most 64 letters, digits and _+=,.@- (a name without its path), got {value!r}"
    )


@pytest.mark.parametrize("value", ["/aws/reference/secretsmanager/a", "/SSM/a"])
def test_parameter_name_refuses_what_is_awss(value: str) -> None:
    assert refusal(checks.parameter_name, value) == (
        f"argument must not begin with '/aws' or '/ssm', which Systems Manager keeps for AWS's own, got {value!r}"
    )


@pytest.mark.parametrize("value", ["/a" * 16, "/" + "a" * 1011])
def test_parameter_name_refuses_what_is_too_long_or_too_deep(value: str) -> None:
    assert refusal(checks.parameter_name, value).startswith("argument must have at most 1011 characters and 15 levels")


def test_the_most_that_a_group_takes_is_taken_and_no_more() -> None:
    types = [f"m{number}.large" for number in range(limits.INSTANCE_TYPES_OF_A_GROUP + 1)]
    checks.instance_types("argument", types[:-1])
    assert refusal(checks.instance_types, types) == "argument must name at most 40, got 41"
    subnets = [f"subnet-{number:017x}" for number in range(201)]
    checks.subnets("argument", subnets[:200])
    assert refusal(checks.subnets, subnets).startswith("argument must have at most 5000 characters, commas between")


def test_the_most_groups_that_an_interface_takes_beside_the_clusters_own() -> None:
    groups = [f"sg-{number}" for number in range(16)]
    checks.security_groups("argument", groups[:-1])
    assert refusal(checks.security_groups, groups) == (
        "argument must name at most 15, as a node has the cluster's own group besides, got 16"
    )


def test_the_most_tags_that_a_resource_takes_beside_its_name() -> None:
    tags = {f"key {number}": "" for number in range(50)}
    checks.tags("argument", dict(list(tags.items())[:49]))
    assert refusal(checks.tags, tags) == "argument must have at most 49 keys, as AWS takes 50 with 'Name', got 50"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"a": "b\r"}, "argument['a'] must consist of letters"),
        ({"a": "50 %"}, "argument['a'] must consist of letters"),
        ({"a": "${var.team}"}, "argument['a'] must consist of letters"),
        ({"a#": "b"}, "argument must have keys of letters, digits, blanks and _.:/=+-@, got 'a#'"),
        ({"Team": "a", "team": "b"}, "argument must have keys that differ in more than upper and lower case"),
        ({"AWS:a": "b"}, "argument must not use keys that begin with 'aws:'"),
        (
            {"src": "aws:autoscaling"},
            "argument['src'] must not begin with 'aws:', which AWS keeps for itself, got 'aws:",
        ),
        (
            {"__proto__": "a"},
            "argument must not name what every object of JavaScript has, which jsii would take for it",
        ),
        ({"toString": "a"}, "argument must not name what every object of JavaScript has"),
        ({"src": "Aws:x"}, "argument['src'] must not begin with 'aws:'"),
        (
            {"src": f"aws:{STRING}"},
            "argument['src'] must not begin with 'aws:', which AWS keeps for itself, got 'aws:<",
        ),
    ],
)
def test_tags_that_iam_would_refuse(tags: dict[str, str], message: str) -> None:
    assert refusal(checks.tags, tags).startswith(message)


def test_tags_take_what_iam_does() -> None:
    checks.tags("argument", {"Kosten stelle/größe": "a:b=c+d-e@f.g_h ü 1½", "token": f"team-{STRING}"})


@pytest.mark.parametrize("value", ["1e3", "1_0", " 1", "\N{ARABIC-INDIC DIGIT ONE}", "0x1", "1" * 256, "+1", "1,5"])
def test_price_refuses_what_only_python_takes_for_a_number(value: str) -> None:
    assert refusal(checks.price, value).startswith("argument must be US dollars an hour as text, such as '0.0950', got")


def test_digits_are_those_of_ascii() -> None:
    assert refusal(checks.account_id, "\N{ARABIC-INDIC DIGIT ONE}" * 12).startswith(
        "argument must be 12 digits in a string, got"
    )


@pytest.mark.parametrize(
    "value",
    [
        "http://[x",
        "http://pro\nxy",
        "http://proxy:abc",
        "http://proxy:0",
        "http://proxy:99999",
        "http://a/b",
        "http://é",
        "http://a..b",
        "http://.a",
        "http://-a",
        "http://a-",
        "http://[1]:3128",
        "http://[:::]:1",
        "http://[::1",
        "http://[10.0.0.1]",
        "http://[fe80::/10]",
        "http://999.999.999.999:3128",
        "http://10.0.0",
        "http://10.0.0.0/8",
        "http://" + "a" * 64,
        "http://" + "a." * 127 + "a",
        "http://a?b",
        "http://a#b",
    ],
)
def test_proxy_refuses_what_python_would_have_mended_or_failed_on(value: str) -> None:
    assert refusal(checks.proxy, value).startswith(
        "argument must be an address such as 'http://proxy.internal:3128', got"
    )


@pytest.mark.parametrize("value", ["http://a:b@c", "ftp://a:b@c", f"http://a:{STRING}@c", "user@proxy"])
def test_proxy_never_repeats_a_password(value: str) -> None:
    assert refusal(checks.proxy, value) == "argument must hold no user or password, because user data is readable"


@pytest.mark.parametrize(
    "value",
    [
        *("http://x", "a/b", "10.0.0.0/33", "999.1.1.1", "fd00::/129", "*", "*.internal", "'a'", '"a"', "$(x)", "a b"),
        *("a..b", "..a", "-a", ":80", "a:0", "a:99999", "a" * 64, "a." * 127 + "a", "é.internal", "a,b", "${x}", "a;b"),
    ],
)
def test_no_proxy_refuses_what_nobody_would_match(value: str) -> None:
    assert refusal(checks.no_proxy, [value]).startswith(
        "argument[0] must be one name or address, such as 'host.internal', '.internal', '10.0.0.1' or '10.0.0.0/8', got"
    )


# --- scripts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["#!/bin/bash\r\necho\r\n", "\ufeff#!/bin/bash\n", "#! /usr/bin/env python3\n", "#!/bin/sh", f"{STRING}\n", None],
)
def test_script_takes(value: str | None) -> None:
    checks.script("argument", value)


@pytest.mark.parametrize("value", ["#!bash\n", "#!/bin/bash\recho\r", "#!\n/bin/sh", "#!/bin/bash\r\r\n"])
def test_script_refuses_an_interpreter_that_no_kernel_finds(value: str) -> None:
    assert refusal(checks.script, value) == (
        "argument must name its interpreter by a whole path in its first line, such as '#!/bin/bash', and end that "
        f"line, got {value!r}"
    )


@pytest.mark.parametrize(
    "line",
    [
        "#!/bin/bash -eu",
        "#! /bin/bash -eu \t",
        "#!/usr/bin/env bash",
        "#!/usr/bin/env -S bash -eu -o pipefail",
        "#!/usr/bin/env -vS bash -eu",
        "#!/usr/bin/env --split-string=bash -eu",
        "#!/usr/bin/perl -w -T",
        f"#!/bin{'/' * 245}bash",
        f"#!/bin/bash -{STRING} {STRING}",
    ],
)
def test_script_takes_what_linux_runs(line: str) -> None:
    checks.script("argument", f"{line}\necho\n")


@pytest.mark.parametrize(
    "line",
    [
        "#!/bin/bash -eu -o pipefail",
        "#!/bin/sh -x # why",
        "#!/bin/bash -o\tpipefail",
        "#!/usr/bin/python3.11 -u -B",
        "#!/usr/bin/env bash -eu",
        "#!/usr/bin/env FOO=1 bash",
    ],
)
def test_script_refuses_two_arguments_which_linux_hands_over_as_one(line: str) -> None:
    """What each of them ended with, on Linux 6.18: bash with `- : invalid option`, env with 127, or never."""
    assert refusal(checks.script, f"{line}\necho\n") == (
        "argument must give the interpreter in its first line one argument at most, since Linux hands over all of them "
        f"as one: put `set -eu -o pipefail` on a line of its own, or begin with '#!/usr/bin/env -S', got {line!r}"
    )


def test_script_refuses_a_first_line_that_linux_cuts_off() -> None:
    assert refusal(checks.script, f"#!/bin{'/' * 246}bash\necho\n").startswith(
        "argument must have at most 255 bytes in its first line, of which Linux reads no more, got "
    )


@pytest.mark.parametrize("line", ["#!/bin/bash\xa0", "#!/bin/bash\x0b", "#!/opt/bäsh"])
def test_script_refuses_an_interpreter_with_a_mark_that_is_no_blank_to_linux(line: str) -> None:
    assert refusal(checks.script, f"{line}\n").startswith("argument must name its interpreter by a whole path in its")


@pytest.mark.parametrize("value", ["#!/bin/sh\n\0", "#!/bin/sh\n\ud800"])
def test_script_refuses_what_no_file_of_text_has(value: str) -> None:
    assert "hold no NUL character and no half of a surrogate pair" in refusal(checks.script, value)


def test_line_ends_of_another_system_are_mended_and_nothing_else() -> None:
    assert checks.unix_lines("\ufeff#!/bin/sh\r\nprintf 'a\r'\r\n") == "#!/bin/sh\nprintf 'a\r'\n"


# --- what every text is held to -----------------------------------------------------------------------------------


class Plain(str):
    __slots__ = ()


TEXTS: Mapping[str, tuple[Callable[..., object], str, str]] = {
    # check: what stands before and after any part of a right value
    "name": (checks.name, "demo", ""),
    "text": (checks.text, "a", ""),
    "line": (checks.line, "a", ""),
    "domain": (checks.domain, "data", ".internal"),
    "prefixed": (lambda argument, value: checks.prefixed(argument, value, "vpc-"), "vpc-1", ""),
    "ids": (lambda argument, value: checks.ids(argument, [value], "sg-"), "sg-1", ""),
    "zone_id": (checks.zone_id, "Z1", ""),
    "key_arn": (checks.key_arn, "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", ""),
    "boundary_arn": (checks.boundary_arn, "arn:aws:iam::111122223333:policy/a", ""),
    "instance_type": (checks.instance_type, "m6i.large", ""),
    "instance_types": (lambda argument, value: checks.instance_types(argument, [value]), "m6i.large", ""),
    "price": (checks.price, "0.1", ""),
    "tag": (lambda argument, value: checks.tags(argument, {"a": value}), "a", "b"),
    "tag's key": (lambda argument, value: checks.tags(argument, {value: "a"}), "a", "b"),
    "spark_default": (lambda argument, value: checks.spark_defaults(argument, {"spark.a": value}), "a", "b"),
    "spark_default's key": (lambda argument, value: checks.spark_defaults(argument, {value: "a"}), "spark.a", "b"),
    "script": (checks.script, "#!/bin/bash\n", "\n"),
    "proxy": (checks.proxy, "http://proxy", ":3128"),
    "no_proxy": (lambda argument, value: checks.no_proxy(argument, [value]), "a", ".internal"),
    "account_id": (checks.account_id, "111122223333", ""),
    "checksum": (checks.checksum, "a" * 64, ""),
    "key_name": (checks.key_name, "a", "b"),
    "role_name": (checks.role_name, "a", "b"),
    "parameter_name": (checks.parameter_name, "/a", "b"),
    "words": (lambda argument, value: checks.words(argument, [value]), "a", "b"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_is_one_that_is_written_as_what_it_is(kind: str) -> None:
    check, before, after = TEXTS[kind]
    right = before + after
    check("argument", right)
    check("argument", Plain(right))
    check("argument", enum.StrEnum("One", {"ONE": right}).ONE)  # type: ignore[attr-defined]

    named = enum.Enum("Named", {"ONE": right}, type=str).ONE  # type: ignore[attr-defined]
    assert f"{named}" == "Named.ONE"
    assert "must be a text that is formatted as what it is (of an enum's member give the value)" in refusal(
        check, named
    )


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        (str(NUMBER), r"hold a number of Terraform's as text \(convert with cdktf's Token\.as_string\)"),
        (str(Token.as_number_list({"Ref": "x"})), r"hold a number of Terraform's as text"),
        (f"{Token.as_string_map({'Ref': 'x'})}", r"hold no map that only Terraform knows \(make a text of it with"),
        (f"{LIST}", r"not be a part of a list that only Terraform knows \(join lists with cdktf's Fn\.concat\)"),
        (f"{OBJECT}", r"hold a value of Terraform's as text \(convert with cdktf's Token\.as_string\)"),
    ],
    ids=["number", "numbers", "map", "list", "object"],
)
@pytest.mark.parametrize("kind", TEXTS)
def test_a_token_that_is_no_text_is_none_within_one(kind: str, form: str, rule: str) -> None:
    check, before, after = TEXTS[kind]
    if kind in {"name", "tag's key", "spark_default's key"}:
        rule = "literal|letters|blank|mapping|" + rule
    assert re.search(rule, refusal(check, f"{before}{form}{after}"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("domain", "!{}"),
        ("prefixed", "nonsense {}"),
        ("prefixed", "vpc-{}!"),
        ("prefixed", "subnet-{}"),
        ("ids", "sg {}"),
        ("zone_id", "z{}"),
        ("key_arn", "arn:aws:s3:::{}"),
        ("key_arn", "arn:aws:kms:mars:{}:key/1"),
        ("key_arn", "{}!"),
        ("boundary_arn", "arn:aws:iam::1:{}"),
        ("boundary_arn", "role/{}"),
        ("instance_type", "!! {}"),
        ("instance_types", "{},m5.large"),
        ("price", "${}"),
        ("proxy", "ftp://x y\n{}"),
        ("proxy", "http://{}\n"),
        ("no_proxy", "http://{}"),
        ("no_proxy", "$(id){}"),
        ("account_id", "abc{}"),
        ("checksum", "sha256:{}"),
        ("key_name", "é{}"),
        ("role_name", "a b{}"),
        ("role_name", "arn:aws:iam::111122223333:role/{}"),
        ("parameter_name", "team/{}"),
        ("parameter_name", "/aws/{}"),
        ("parameter_name", "/a b/{}"),
    ],
)
def test_what_stands_beside_a_token_is_held_to_what_it_can_be(kind: str, value: str) -> None:
    check, _, _ = TEXTS[kind]
    message = refusal(check, value.format(STRING))
    assert re.match(r"argument(\[0\])? must ", message)
    assert message.endswith(f"got {value.format('<token>')!r}")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("domain", "{}.internal"),
        ("prefixed", "vpc-{}"),
        ("prefixed", "{}-1"),
        ("zone_id", "Z{}"),
        ("key_arn", "arn:{}:kms:us-east-1:{}:key/1234"),
        ("key_arn", "{}/1234"),
        ("boundary_arn", "arn:aws:iam::{}:policy/team/boundary"),
        ("instance_type", "{}.large"),
        ("price", "0.{}"),
        ("proxy", "http://{}:3128"),
        ("proxy", "https://{}"),
        ("proxy", "{}:3128"),
        ("no_proxy", ".{}.internal"),
        ("no_proxy", "10.0.0.0/{}"),
        ("account_id", "1111{}"),
        ("checksum", "{}a"),
        ("key_name", "a b {}"),
        ("role_name", "{}-job"),
        ("parameter_name", "/team/{}"),
        ("parameter_name", "{}/key"),
    ],
)
def test_what_stands_beside_a_token_may_be_a_part_of_what_is_right(kind: str, value: str) -> None:
    check, _, _ = TEXTS[kind]
    check("argument", value.format(STRING, STRING))


EXPRESSION = f'${{{STRING}["a"].id}}'


@pytest.mark.parametrize(
    "kind",
    [
        *("prefixed", "ids", "zone_id", "key_arn", "boundary_arn", "instance_type", "instance_types", "price"),
        *("account_id", "key_name", "role_name", "tag"),
    ],
)
def test_an_expression_around_a_token_is_as_good_as_one(kind: str) -> None:
    check, _, _ = TEXTS[kind]
    check("argument", EXPRESSION)


@pytest.mark.parametrize("kind", ["domain", "proxy", "no_proxy", "checksum", "parameter_name", "told key_arn"])
def test_an_expression_is_none_where_nodes_are_told_of_it_since_it_is_escaped_there(kind: str) -> None:
    told = {"told key_arn": partial(checks.key_arn, told=True)}
    assert refusal(told.get(kind) or TEXTS[kind][0], EXPRESSION).endswith("""got '${<token>["a"].id}'""")


@pytest.mark.parametrize("value", ["my${x}key", "%{x}", f"a${STRING}", f"${{x}}{STRING}"])
def test_key_name_refuses_what_terraform_takes_for_a_template(value: str) -> None:
    assert refusal(checks.key_name, value).startswith(
        "argument must hold neither '${' nor '%{', which Terraform takes for a template, got "
    )


# --- numbers and what is shown ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_before_jsii_dies_of_it(value: float) -> None:
    assert checks.is_known(value)
    assert refusal(checks.whole, value, 0) == f"argument must be a whole number, got {value!r}"
    assert Token.is_unresolved(NUMBER), "jsii answers"


def test_a_number_is_at_most_what_awss_apis_take() -> None:
    checks.whole("argument", 2**31 - 1, 0)
    assert refusal(checks.whole, 2**31, 0) == "argument must be from 0 to 2147483647, got 2147483648"
    assert refusal(checks.whole, 10**5000, 0) == "argument must be from 0 to 2147483647, got a number of 16610 bits"


def test_a_literal_number_is_no_token() -> None:
    assert refusal(checks.literal_whole, NUMBER, 0) == "argument must be a literal whole number, got a token"


class Rude:
    def __repr__(self) -> str:
        raise ArithmeticError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (object(), "a object"),
        ("a" * 10_000, f"'{'a' * 70}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        (Rude(), "<Rude instance at"),
        ({"a": {"b": Token}}, "{'a': {'b': <class 'cdktf.Token'>}}"),
        (Token, "<class 'cdktf.Token'>"),
    ],
)
def test_an_error_shows_any_value_shortly(value: object, shown: str) -> None:
    message = str(checks.fail("argument", "be right", value))
    assert message.startswith(f"argument must be right, got {shown}")
    assert len(message) < 300


# --- a construct's place -------------------------------------------------------------------------------------------


def test_a_place_in_a_stack(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    stack = TerraformStack(app, "stack")
    checks.place(stack, "spark")
    below = Construct(stack, "below")
    Construct(stack, "a/b")
    checks.place(below, "1")
    for scope, id, message in (
        (None, "spark", "scope must be a stack or a construct in one, got None"),
        (app, "spark", "scope must be a stack or a construct in one, got a App"),
        (stack, "", "id must have letters, digits, '_' or '-', which are what an address keeps of it, got ''"),
        (stack, "é", "id must have letters, digits, '_' or '-', which are what an address keeps of it, got 'é'"),
        (stack, STRING, "id must be a literal string, since addresses are built from it, got a token"),
        (stack, "a/b", "id must be one that no other construct there has, by what an address keeps of it, got 'a/b'"),
        (
            stack,
            "a\ud800",
            "id must hold no NUL character and no half of a surrogate pair, which no file of text has, got",
        ),
        (
            stack,
            "constructor",
            "id must not name what every object of JavaScript has, which jsii would take for it, got",
        ),
        (below, "__proto__", "id must not name what every object of JavaScript has, which jsii would take for it, got"),
        (below, "toString", "id must not name what every object of JavaScript has, which jsii would take for it, got"),
        (stack, 5, "id must be a literal string, since addresses are built from it, got 5"),
        (stack, "1", "id must begin with a letter or '_' right below a stack, as Terraform's names do, got '1'"),
        (
            stack,
            "be low",
            "id must be one that no other construct there has, by what an address keeps of it, got 'be low'",
        ),
    ):
        with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
            checks.place(scope, id)
        assert str(error.value) in {message, f"{message} {id!r}"}


# --- Spark properties ---------------------------------------------------------------------------------------------


def of_property(key: str, value: str) -> str:
    return refusal(checks.spark_defaults, {key: value}).removeprefix(f"argument[{key!r}] ")


@pytest.mark.parametrize("cores", ["two", "0", "-1", "1.5", "", "\N{ARABIC-INDIC DIGIT TWO}", "9" * 20])
def test_cores_of_an_executor_that_are_no_number_are_refused(cores: str) -> None:
    assert of_property("spark.executor.cores", cores) == (
        f"must be a whole number of at least 1, as text, got {cores!r}"
    )


@pytest.mark.parametrize(
    ("key", "right", "wrong"),
    [
        ("spark.executor.memory", ["4g", "450m", "460800k", "1T"], ["4", "4gb", "1.5g", "449m", "four", "-1g", "4 g"]),
        ("spark.driver.memory", ["1g"], ["1024", "1gb", ""]),
        ("spark.cores.max", ["8"], ["8.0", "all", "0"]),
        ("spark.deploy.defaultCores", ["8"], ["0"]),
        ("spark.deploy.maxExecutorRetries", ["-1", "0", "10"], ["-2", "infinite"]),
        ("spark.port.maxRetries", ["0", "16"], ["-1", "many"]),
        ("spark.blockManager.port", ["0", "1024", "40100"], ["80", "65536", "any"]),
        ("spark.worker.timeout", ["30"], ["30s", "0"]),
        ("spark.worker.cleanup.appDataTtl", ["86400", "604800000"], ["7d"]),
        ("spark.network.timeout", ["60", "60s", "1min", "2h"], ["1.5m", "soon", "60 s"]),
        ("spark.executor.memoryOverhead", ["512", "512m", "1gb"], ["10%", "a"]),
        ("spark.storage.cachedPeersTtl", ["10000", "1"], ["10s", "10000ms", "10 s", "0", "-1", "2147483648", ""]),
        ("spark.scheduler.maxRetainedRemovedDecommissionExecutors", ["0", "1000"], ["-1", "1e3", "true", "1000s"]),
        ("spark.scheduler.maxRetainedUnknownDecommissionExecutors", ["0", "1000"], ["-1", "all"]),
        ("spark.stage.ignoreDecommissionFetchFailure", ["true", "false"], ["yes", "1", ""]),
        ("spark.storage.decommission.fallbackStorage.path", ["s3a://b/f/", "file:/efs/"], ["s3a://b/f", "", "/efs"]),
        ("spark.storage.decommission.fallbackStorage.cleanUp", ["true", "FALSE"], ["on", "0"]),
        ("spark.storage.decommission.shuffleBlocks.maxThreads", ["1", "8"], ["0", "8m"]),
        ("spark.storage.decommission.shuffleBlocks.maxDiskSize", ["10g", "1000"], ["10%", "-1"]),
        ("spark.storage.decommission.maxReplicationFailuresPerBlock", ["0", "3"], ["-1", "3s"]),
        ("spark.executor.decommission.killInterval", ["110s", "2m"], ["soon", "-1"]),
        ("spark.stage.maxConsecutiveAttempts", ["4"], ["0", "4s"]),
        ("spark.executor.logs.rolling.maxSize", ["67108864", "5000000000"], ["64m"]),
        ("spark.executor.logs.rolling.strategy", ["", "size", "time"], ["daily"]),
        ("spark.dynamicAllocation.enabled", ["true", "FALSE"], ["yes", "1"]),
        ("spark.executor.extraJavaOptions", ["-XX:+UseZGC"], ["-Xmx4g", "-Dspark.a=b"]),
        ("spark.driver.extraJavaOptions", ["-Dspark.a=b"], ["-Xmx4g"]),
        ("spark.executor.defaultJavaOptions", ["-XX:+UseZGC"], ["-Xmx4g", "-Dspark.a=b"]),
        ("spark.driver.defaultJavaOptions", ["-Dspark.a=b"], ["-Xmx4g"]),
        ("spark.executor.heartbeatInterval", ["1ms", "10s", "5000"], ["0", "0s", "500us", "soon"]),
        ("spark.network.timeoutInterval", ["30s", "1"], ["0", "0s", "999us"]),
        ("spark.rpc.askTimeout", ["1s", "120"], ["0", "500ms"]),
        ("spark.rpc.lookupTimeout", ["1s", "120"], ["0", "500ms"]),
        ("spark.rpc.message.maxSize", ["1", "2047"], ["0", "2048", "1g"]),
        ("spark.rpc.io.connectionCreationTimeout", ["10s", "0"], ["ten"]),
        ("spark.dynamicAllocation.schedulerBacklogTimeout", ["1s", "1", "1500ms"], ["0s", "500ms"]),
        ("spark.dynamicAllocation.sustainedSchedulerBacklogTimeout", ["1s"], ["0", "500ms"]),
        ("spark.dynamicAllocation.cachedExecutorIdleTimeout", ["30min"], ["-1", "infinity"]),
        ("spark.dynamicAllocation.executorAllocationRatio", ["1", "0.5"], ["0", "1.5", "half"]),
        ("spark.storage.decommission.replicationReattemptInterval", ["5s", "1"], ["0"]),
        ("spark.memory.fraction", ["1", "0.6", ".5"], ["0", "2", "-1", "60%"]),
        ("spark.task.cpus", ["1", "0.5", "2"], ["0", "all"]),
        ("spark.sql.broadcastTimeout", ["300", "5min", "-1"], ["x", "--1"]),
        ("spark.sql.adaptive.advisoryPartitionSizeInBytes", ["64m", "1"], ["0", "x"]),
        ("spark.memory.storageFraction", ["0", "0.5"], ["1", "1.5", "-0.1"]),
        ("spark.kryoserializer.buffer", ["64", "64k", "2047m"], ["2048m", "x"]),
        ("spark.kryoserializer.buffer.max", ["64", "64m", "2047m", "1g"], ["2048m", "4096m", "2g", "2048", "500k"]),
        ("spark.eventLog.rolling.maxFileSize", ["2m", "2097152"], ["1m", "16", "x"]),
        ("spark.worker.initialRegistrationRetries", ["60"], ["x", "0"]),
        ("spark.worker.maxRegistrationRetries", ["60"], ["x", "0"]),
        ("spark.master.ui.decommission.allow.mode", ["DENY", "local"], ["maybe"]),
        ("spark.network.crypto.cipher", ["AES/CTR/NoPadding"], ["foo", "AES/CBC/PKCS5Padding"]),
        ("spark.network.crypto.authEngineVersion", ["1", "2"], ["3", "x"]),
        ("spark.ui.reverseProxyUrl", ["/", "https://a.b/c"], ["/proxy", "https://a.b/history/c"]),
        ("spark.history.fs.update.interval", ["60s"], ["x"]),
        ("spark.history.retainedApplications", ["1"], ["0"]),
        ("spark.hadoop.fs.s3a.committer.name", ["magic", "directory"], ["fast"]),
        ("spark.hadoop.fs.s3a.input.stream.type", ["classic", "analytics"], ["new"]),
        ("spark.hadoop.fs.s3a.proxy.port", ["443"], ["0", "https"]),
        ("spark.hadoop.fs.s3a.proxy.ssl.enabled", ["true"], ["yes"]),
        ("spark.serializer", ["org.apache.spark.serializer.KryoSerializer"], ["kryo"]),
        ("spark.io.compression.codec", ["zstd", "LZ4", "com.example.Codec"], ["lz5"]),
        ("spark.log.level", ["WARN", "debug"], ["verbose"]),
        ("spark.scheduler.mode", ["FAIR", "fifo"], ["fairr", "NONE"]),
        ("spark.sql.autoBroadcastJoinThreshold", ["-1", "10m", "10485760"], ["off", "-2"]),
        ("spark.sql.adaptive.enabled", ["true", "False"], ["on", "1"]),
        ("spark.eventLog.rolling.enabled", ["true"], ["yes"]),
        ("spark.sql.operatorPipeSyntaxEnabled", ["true"], ["yes"]),
        ("spark.acls.enable", ["true"], ["yes"]),
        ("spark.shuffle.compress", ["true"], ["yes"]),
    ],
)
def test_a_property_is_of_the_form_that_spark_reads(key: str, right: list[str], wrong: list[str]) -> None:
    for value in right:
        checks.spark_defaults("argument", {key: value})
    for value in wrong:
        assert of_property(key, value).startswith("must "), value
    checks.spark_defaults("argument", {key: STRING})


@pytest.mark.parametrize(
    "key",
    ["spark.databricks.delta.autoCompact.enabled", "spark.sql.catalog.lake.x.enabled", "spark.hadoop.fs.a.enabled"],
)
def test_a_switch_of_others_may_have_further_words(key: str) -> None:
    checks.spark_defaults("argument", {key: "auto"})


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("spark.authenticate", "false", "true"),
        ("spark.network.crypto.enabled", "false", "true"),
        ("spark.network.crypto.saslFallback", "true", "false"),
        ("spark.master.rest.enabled", "true", "false"),
        ("spark.deploy.recoveryMode", "NONE", "FILESYSTEM"),
        ("spark.deploy.recoveryDirectory", "/tmp", "/var/lib/spark/recovery"),  # noqa: S108 - a wrong value
        ("spark.submit.deployMode", "cluster", "client"),
        ("spark.master.ui.port", "8080", "8082"),
        ("spark.history.ui.port", "80", "18080"),
        ("spark.worker.ui.port", "80", "8081"),
        ("spark.connect.grpc.binding.address", "0.0.0.0", "127.0.0.1"),  # noqa: S104 - a wrong value
        ("spark.connect.grpc.binding.port", "15003", "15002"),
    ],
)
def test_a_property_that_would_open_or_break_the_cluster_is_refused(key: str, value: str, kept: str) -> None:
    assert re.fullmatch(rf"must be '{kept}' or left out, .+, got '{value}'", of_property(key, value))
    checks.spark_defaults("argument", {key: kept})


def test_the_master_is_the_clusters_own() -> None:
    assert of_property("spark.master", "local[*]") == (
        "must be left out, since it is the cluster's own; give a job for another one its --master, got 'local[*]'"
    )


@pytest.mark.parametrize(
    "key",
    [
        "spark.authenticate.secretBitLength",
        "spark.hadoop.fs.s3a.access.token.enable",
        "spark.hadoop.fs.s3a.delegation.token.binding",
        "spark.kafka.clusters.a.sasl.token.mechanism",
        "spark.hadoop.fs.s3a.aws.credentials.provider",
    ],
)
def test_a_property_about_a_secret_is_none(key: str) -> None:
    checks.spark_defaults("argument", {key: "256"})


@pytest.mark.parametrize(
    "key",
    [
        "spark.authenticate.secret",
        "spark.authenticate.secret.file",
        "spark.hadoop.fs.s3a.session.token",
        "spark.hadoop.fs.s3a.bucket.a.secret.key",
        "spark.ssl.keyStorePassword",
        "spark.hadoop.fs.azure.account.key.name.blob.core.windows.net",
        "spark.hadoop.fs.azure.sas.container.name.blob.core.windows.net",
        "spark.my.apiKey",
    ],
)
def test_a_property_that_is_a_secret_is_refused(key: str) -> None:
    assert refusal(checks.spark_defaults, {key: "a"}).startswith("argument must hold no secret, because user data")


@pytest.mark.parametrize(
    "value", ["https://me:word@nexus/maven", "-Djavax.net.ssl.trustStorePassword=word", "--conf x.token=word"]
)
def test_a_secret_in_a_value_is_refused_and_not_repeated(value: str) -> None:
    assert of_property("spark.jars.repositories", value) == (
        "must hold no password, because user data and Terraform's state are readable"
    )


@pytest.mark.parametrize("key", ["spark.a:b", "spark.a\\b", "spark.${a}", "spark.é", "spark.%{a}", "spark.a'b"])
def test_a_key_that_spark_or_terraform_would_read_as_another_is_refused(key: str) -> None:
    assert refusal(checks.spark_defaults, {key: "a"}).startswith("argument must have keys of ASCII without any of")


@pytest.mark.parametrize("value", ["=a", ":8080", " a", "a ", "\ta"])
def test_a_value_that_spark_would_read_as_another_is_refused(value: str) -> None:
    assert of_property("spark.a", value) == (
        f"must neither begin nor end with a blank, nor begin with '=' or ':', got {value!r}"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"spark.cores.max": "2", "spark.executor.cores": "4"}, "must be at least spark.executor.cores, 4"),
        ({"spark.executor.cores": "1", "spark.task.cpus": "2"}, "must be at least spark.task.cpus, 2"),
        ({"spark.executor.heartbeatInterval": "60s"}, "must be less than spark.network.timeout, 60s, or"),
        ({"spark.network.timeout": "20s"}, "must be at least spark.network.timeoutInterval, 30s"),
        ({"spark.network.timeoutInterval": "90s"}, "must be at most spark.network.timeout, 60s"),
        (
            {"spark.network.timeout": "10", "spark.network.timeoutInterval": "1s"},
            "must be more than spark.executor.heartbeatInterval, 10s",
        ),
        (
            {"spark.dynamicAllocation.maxExecutors": "2", "spark.dynamicAllocation.minExecutors": "10"},
            "must be at least spark.dynamicAllocation.minExecutors, 10",
        ),
        ({"spark.memory.offHeap.enabled": "true"}, "must come with a spark.memory.offHeap.size of 1m or more"),
        (
            {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1000k"},
            "must come with a spark.memory.offHeap.size of 1m or more",
        ),
        (
            {
                "spark.dynamicAllocation.enabled": "true",
                "spark.dynamicAllocation.shuffleTracking.enabled": "false",
                "spark.decommission.enabled": "false",
            },
            "must come with spark.dynamicAllocation.shuffleTracking.enabled or spark.decommission.enabled and",
        ),
    ],
)
def test_properties_that_do_not_go_together_are_refused(values: dict[str, str], message: str) -> None:
    key = next(iter(values))
    assert refusal(checks.spark_defaults, values).startswith(f"argument[{key!r}] {message}")


def test_properties_that_go_together_are_taken() -> None:
    together: dict[str, Any] = {"spark.executor.heartbeatInterval": "60s", "spark.network.timeout": "120"}
    checks.spark_defaults("argument", together)
    checks.spark_defaults("argument", {"spark.cores.max": STRING, "spark.executor.cores": "4"})
    checks.spark_defaults("argument", {"spark.network.timeout": "30s"})
    # Spark takes the smaller one.
    executors = {"spark.dynamicAllocation.initialExecutors": "9", "spark.dynamicAllocation.maxExecutors": "2"}
    checks.spark_defaults("argument", executors)
    # Without tracking, blocks of a worker that leaves move to others.
    of_others = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.shuffleTracking.enabled": "false"}
    checks.spark_defaults("argument", of_others)
    checks.spark_defaults(
        "argument", {**of_others, "spark.decommission.enabled": "false", "spark.shuffle.service.enabled": "true"}
    )
    checks.spark_defaults("argument", {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": "1m"})


def test_what_only_terraform_knows_goes_together_with_anything() -> None:
    """Not even with the cluster's own value, which it replaces, is anything compared."""
    checks.spark_defaults("argument", {"spark.executor.heartbeatInterval": "60s", "spark.network.timeout": STRING})
    checks.spark_defaults("argument", {"spark.network.timeout": "20s", "spark.network.timeoutInterval": STRING})
    checks.spark_defaults("argument", {"spark.memory.offHeap.enabled": "true", "spark.memory.offHeap.size": STRING})


ANY_TEXT = {
    *("spark.driver.host", "spark.hadoop.fs.s3a.proxy.host", "spark.hadoop.fs.s3a.endpoint"),
    *("spark.hadoop.fs.s3a.endpoint.region", "spark.master.ui.historyServerUrl"),
    *("spark.eventLog.dir", "spark.hadoop.fs.s3a.buffer.dir", "spark.history.fs.logDirectory"),
    *("spark.sql.warehouse.dir", "spark.hadoop.fs.s3a.aws.credentials.provider"),
}
"""Names, addresses, paths and lists: what is wrong with one, no form says."""


def test_each_property_of_the_page_and_of_the_nodes_has_a_form(own: dict[str, str]) -> None:
    """docs/spark-defaults.md promises it."""
    page = (Path(__file__).parents[2] / "docs/spark-defaults.md").read_text()
    columns = [line.split("|")[1] if line.startswith("|") else line for line in page.splitlines()]
    keys = set(re.findall(r"(?m)(?:`|^)(spark\.[\w.]+)", "\n".join(columns))) - {"spark.excludeOnFailure"}
    assert "spark.eventLog.rolling.maxFileSize" in keys
    open_ones = (keys | set(own)) - {"spark.master", "spark.authenticate.secret"} - set(spark_properties.KEPT)
    assert {key for key in open_ones if spark_properties.form(key) is None} == ANY_TEXT


@pytest.fixture
def own() -> dict[str, str]:
    """What the nodes' own program sets, wherever it sets it."""
    given = {
        "master_host": "master.demo-spark",
        "spark_version": "4.3.0",
        "history_server": "yes",
        "bucket": "demo",
        "region": "eu-central-1",
        "s3_endpoint": "s3.eu-central-1.amazonaws.com",
        "s3a_sdk": "slim",
        "http_proxy": "http://proxy.internal:3128",
        "no_proxy": [],
        "spark_defaults": {},
        "connect_cores": 8,
    }
    of_master = {**spark_conf.of_master(given), **spark_conf.history(given), **spark_conf.connect(given)}
    return {**spark_conf.defaults("master.demo-spark", "4.3.0"), **spark_conf.s3a(given), **of_master}


def test_the_clusters_own_properties_are_right_by_the_same_rules(own: dict[str, str]) -> None:
    assert own.items() >= spark_properties.OWN.items()
    kept = {key: value for key, (value, _) in spark_properties.KEPT.items() if key in own}
    assert {key: own[key] for key in kept} == kept
    checks.spark_defaults("argument", {key: value for key, value in own.items() if key != "spark.master"})
