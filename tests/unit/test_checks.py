from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cdktf import Fn, Token

from spark_cluster import checks

if TYPE_CHECKING:
    from collections.abc import Callable

STRING = Token.as_string({"Ref": "x"})
NUMBER = Token.as_number({"Ref": "x"})
LIST = Token.as_list({"Ref": "x"})
OBJECT = Token.as_any({"Ref": "x"})
TOKENS = {"string": STRING, "number": NUMBER, "list": LIST, "object": OBJECT}


def refusal(check: Callable[..., None], *arguments: object) -> str:
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
    "value", ["http://proxy:3128", "https://10.0.0.1:8080/", None, STRING, f"http://{STRING}:3128"]
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


@pytest.mark.parametrize("value", ["t3.nano", "t2.micro", "t4g.micro"])
def test_instance_type_refuses_those_without_room_for_spark(value: str) -> None:
    assert refusal(checks.instance_type, value) == (
        f"argument must be an EC2 instance type with 2 GiB of memory or more, which Spark needs, got {value!r}"
    )


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
