"""Any value for any argument is taken, and then synthesizes, or is a `ValueError` in the caller's words.

A cluster takes a fifth of a second to make, and what its checks refuse a thousandth. So each value is tried beside a
last argument that is always wrong: if that one is named, the value was taken. Some of those are made for real.
"""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import json
import re
import types
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cdktf
import jsii
import pytest
from cdktf import Fn, Lazy, Op, TerraformHclModule, TerraformLocal, TerraformStack, TerraformVariable, Token
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleExpiration,
)
from cdktf_cdktf_provider_aws.vpc import Vpc
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import spark_cluster
from spark_cluster import (
    Allow,
    CallerRole,
    ExistingCluster,
    Master,
    PrivateZone,
    SparkArchive,
    SparkCluster,
    SparkConnect,
    Workers,
    fleet_key,
    s3a,
    scaling,
)
from spark_cluster.commands import Commands
from spark_cluster.identity import NodeRole
from spark_cluster.storage import ClusterStorage
from tests.synth.conftest import REQUIRED, new_stack
from tests.synth.synthesized import Synthesized, expressions, new_app, strings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

EXAMPLES = 10
"""Values that hypothesis makes for each argument, besides those that stand here."""

LAST = "drain_timeout_seconds"
WRONG: dict[str, Any] = {LAST: -1}
"""The argument that is checked last."""

# --- what is called, with what is right --------------------------------------------------------------------------

OBJECTS: Mapping[str, tuple[type, dict[str, Any], str]] = {
    "Master": (Master, {}, "master"),
    "Workers": (Workers, {}, "workers"),
    "SparkArchive": (SparkArchive, {"url": "https://example.org/x.tgz", "checksum": "a" * 64}, "spark_archive"),
    "scaling.Cpu": (scaling.Cpu, {}, "scaling"),
    "scaling.Manual": (scaling.Manual, {}, "scaling"),
    "fleet_key.Generated": (fleet_key.Generated, {}, "fleet_key"),
    "fleet_key.SsmParameter": (fleet_key.SsmParameter, {"name": "/team/key"}, "fleet_key"),
    "fleet_key.PrivateKey": (fleet_key.PrivateKey, {"private_key": "${TfToken[TOKEN.0]}"}, "fleet_key"),
    "fleet_key.NoKey": (fleet_key.NoKey, {}, "fleet_key"),
    "SparkConnect": (SparkConnect, {}, "spark_connect"),
    "PrivateZone": (PrivateZone, {"zone_id": "Z1", "name": "data.internal"}, "private_zone"),
}
"""Each class whose objects are arguments: with what it needs, and as which argument of the cluster."""

COMMANDS = ("shell", "ui", "connect", "connect_token", "submit", "follow", "status", "wait")


def arguments(called: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(called).parameters if name != "self"]


def test_every_class_that_is_exported_is_tried() -> None:
    in_modules = {
        f"{module.__name__.rpartition('.')[2]}.{name}": one
        for module in (scaling, fleet_key)
        for name, one in vars(module).items()
        if dataclasses.is_dataclass(one) and one.__module__ == module.__name__
    }
    # What a strategy and a place of the key are given and give, not what a caller gives.
    of_strategies = {"scaling.Prepared", "scaling.Attached", "fleet_key.FleetKeyPlace"}
    exported = {name for name in spark_cluster.__all__ if inspect.isclass(getattr(spark_cluster, name))}
    others = {"SparkCluster", "CallerRole", "ExistingCluster", "Allow"}
    assert OBJECTS.keys() | others == exported | (in_modules.keys() - of_strategies)


def test_every_command_is_tried() -> None:
    assert set(COMMANDS) == {name for name, _ in inspect.getmembers(Commands, inspect.isfunction) if name[0] != "_"}


RULE = S3BucketLifecycleConfigurationRule(
    id="old", status="Enabled", expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=400)]
)
READ = Allow(["sqs:ReceiveMessage"], ["*"])

METHODS: Mapping[str, tuple[Callable[[Any], Callable[..., Any]], dict[str, Any]]] = {
    "SparkCluster.grant_submit": (
        lambda made: made.cluster.grant_submit,
        {"grantee": "job", "security_group_id": "sg-1"},
    ),
    "SparkCluster.start_after": (lambda made: partial(one_other, made.cluster.start_after), {"others": None}),
    "ClusterStorage.grant_read_data": (lambda made: made.cluster.storage.grant_read_data, {"grantee": "job"}),
    "ClusterStorage.grant_read_write_data": (
        lambda made: made.cluster.storage.grant_read_write_data,
        {"grantee": "job"},
    ),
    "ClusterStorage.add_lifecycle_rule": (lambda made: made.cluster.storage.add_lifecycle_rule, {"rule": RULE}),
    "ClusterStorage.add_policy_statement": (lambda made: made.cluster.storage.add_policy_statement, {"statement": {}}),
    "ExistingCluster.grant_read_data": (lambda made: made.existing.grant_read_data, {"grantee": "job"}),
    "ExistingCluster.grant_read_write_data": (lambda made: made.existing.grant_read_write_data, {"grantee": "job"}),
    "ExistingCluster.grant_submit": (
        lambda made: made.existing.grant_submit,
        {"grantee": "job", "security_group_id": "sg-1"},
    ),
    "NodeRole.allow": (
        lambda made: partial(one_statement, made.cluster.worker_role.allow),
        {"id": "late", "statements": READ},
    ),
    "CallerRole.allow": (
        lambda made: partial(one_statement, made.role.allow),
        {"id": "late", "statements": READ},
    ),
}
"""What a caller calls on what was made, with what is right."""

NOT_FOR_CALLERS = {"NodeRole.precede", "CallerRole.move_former"}


def one_other(start_after: Callable[..., None], others: object) -> None:
    start_after(others)


def one_statement(allow: Callable[..., None], id: str, statements: object) -> None:
    allow(id, statements)


def test_every_method_is_tried() -> None:
    methods = {
        f"{kind.__name__}.{name}"
        for kind in (SparkCluster, ClusterStorage, ExistingCluster, NodeRole, CallerRole)
        for name, one in vars(kind).items()
        if inspect.isfunction(one) and name[0] != "_"
    }
    assert methods - NOT_FOR_CALLERS == METHODS.keys()


# --- junk ---------------------------------------------------------------------------------------------------------


class Odd:
    """What a value may do when it is looked at."""

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ArithmeticError

    def __len__(self) -> int:
        raise ArithmeticError

    def __repr__(self) -> str:
        raise ArithmeticError

    __str__ = __repr__


class Anything:
    """Has every attribute, and each is callable."""

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> Anything:
        return self


class Word(enum.StrEnum):
    ONE = "one"


class Number(enum.IntEnum):
    ONE = 1


def deep(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def recursive() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def odd_values() -> Iterator[object]:
    yield from (None, True, False, 0, 1, -1, 10**400, -(10**5000), 2**31)
    yield from (0.0, 1.5, float("nan"), float("inf"), float("-inf"), -1e308, 1j)
    yield from ("", " ", "a", "\0", "a\0b", "\ud800", "\ufeff", "a\r\nb", "\u2028", "😀", "x" * 100_000)
    yield from ("${HOME}", "%{if}", "'\"`$(id)`", "\N{ARABIC-INDIC DIGIT THREE}", "1e3", "arn:", "alias/a", "mrk-1")
    yield from ("vpc-1\n", "sg-", "/aws/x")
    yield from ("http://[x", "http://a:b@c", "http://a:99999", "https://x/y", "s3://b/*", "#!/bin/bash\recho", "#!sh\n")
    yield from (
        "\ufeff#!/bin/bash\r\n",
        b"",
        b"a",
        bytearray(b"a"),
        memoryview(b"a"),
        array.array("d", [1.0]),
        range(3),
    )
    yield from ([], [None], [1], [""], ["a", "a"], [["a"]], [float("nan")], ["\ud800"], ["a"] * 1000, (), ("a",))
    yield from (deep(500), recursive(), [Odd()], {"a": Odd()}, collections.UserList(["a"]), collections.deque("a"))
    yield from (set(), {"a"}, {}, {"a": "b"}, {1: 2}, {None: None}, {"a": None}, {"a": "\0"}, {"": ""}, {"Name": "a"})
    yield from ({"a": "b", "A": "b"}, {str(number): "" for number in range(60)}, {"spark.a": 1}, {"spark.a:b": "c"})
    yield from ({"$jsii.byref": "x"}, types.MappingProxyType({"a": "b"}), collections.Counter("aab"))
    yield from (
        (each for each in "a"),
        object(),
        object,
        int,
        type,
        Odd(),
        Odd,
        Anything(),
        Anything,
        Word.ONE,
        Number.ONE,
    )
    yield from (len, lambda: None, NotImplemented, ..., ArithmeticError("a"), types, types.SimpleNamespace())
    yield from (dt.date(2026, 1, 1), dt.timedelta(1), decimal.Decimal(1), decimal.Decimal("NaN"), Path())
    yield from (re.compile("a"), Master(), Workers(), scaling.Cpu(), fleet_key.NoKey(), cdktf.Token)


JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=[])),
        st.text("\0\r\n ${}#!:/@a1-", max_size=12),
        st.binary(max_size=4),
        st.decimals(),
        st.dates(),
        st.from_regex(r"\A(vpc|subnet|sg|ami)-.{0,4}\Z"),
        st.from_regex(r"\Aspark\.[a-z=: ]{1,4}\Z"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.just("spark.a")), inner, max_size=3),
        st.sets(st.text(max_size=2), max_size=2),
    ),
    max_leaves=5,
)


def refusal(called: Callable[..., Any], given_arguments: dict[str, Any]) -> str | None:
    """The words in which it is refused; `None`: it is not."""
    try:
        called(**given_arguments)
    except ValueError as error:
        return str(error)
    return None


def in_the_callers_words(message: str, argument: str) -> bool:
    """Argument, rule and what was got, on one line; of two that do not go together either may be the first."""
    name = re.escape(argument)
    form = rf"{name}([.\[][^ ]+|\['.*'\])? must .+|[a-z_.]+ must be at most {name}, got .+"
    return re.fullmatch(form, message) is not None and len(message) < 900


def try_junk(judge: Callable[[object], None]) -> None:
    for value in odd_values():
        judge(value)
    profile = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    profile(given(JUNK)(judge))()


def synthesize(folder: Path, **changed: Any) -> str | None:
    """The words in which a cluster is refused; `None`: it was made, and its JSON is one."""
    stack = new_stack(folder)
    message = refusal(partial(SparkCluster, stack, "spark"), {**REQUIRED, **changed})
    if message is None:
        written = Synthesized(stack)
        assert json.loads(written.text.encode()), "no file of UTF-8"
        assert "TfToken" not in written.text
    return message


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> TerraformStack:
    """A stack with nothing in it, in which nothing is to be made."""
    return TerraformStack(new_app(tmp_path_factory.mktemp("shared")), "shared")


@pytest.mark.parametrize("argument", arguments(SparkCluster.__init__))
def test_a_cluster_takes_or_refuses_any_value(argument: str, shared: TerraformStack, tmp_path: Path) -> None:
    before = len(shared.node.children)
    taken: list[object] = []

    def judge(value: object) -> None:
        right = {"scope": shared, "id": f"taken_{len(taken)}", **REQUIRED}
        message = refusal(SparkCluster, {**right, **WRONG, argument: value})
        if message is None or (message.startswith(LAST) and argument != LAST):
            taken.append(value)
        else:
            assert in_the_callers_words(message, argument), message

    try_junk(judge)
    assert TerraformStack.is_stack(shared), "jsii answers"
    if argument != LAST:
        assert len(shared.node.children) == before, "something was made before it was refused"
    if taken and argument not in {"scope", "id"}:
        message = synthesize(tmp_path, **{argument: taken[-1]})
        assert message is None or in_the_callers_words(message, argument), message


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, (kind, _, _) in OBJECTS.items() for argument in arguments(kind)]
)
def test_an_object_takes_or_refuses_any_value(name: str, argument: str, shared: TerraformStack, tmp_path: Path) -> None:
    kind, needed, of_cluster = OBJECTS[name]
    taken: list[object] = []

    def judge(value: object) -> None:
        message = refusal(kind, {**needed, argument: value})
        if message is None:
            taken.append(value)
        else:
            assert in_the_callers_words(message, f"{of_cluster}.{argument}"), message

    try_junk(judge)
    assert TerraformStack.is_stack(shared), "jsii answers"
    if taken:
        message = synthesize(tmp_path, **{of_cluster: kind(**{**needed, argument: taken[-1]})})
        assert message is None or in_the_callers_words(message, of_cluster), message


COMMAND_NEEDS: Mapping[str, dict[str, Any]] = {"follow": {"name": "app-1"}}


@pytest.mark.parametrize(
    ("command", "argument"),
    [(command, argument) for command in COMMANDS for argument in arguments(getattr(Commands, command))],
)
def test_a_command_takes_or_refuses_any_value(command: str, argument: str, shared: TerraformStack) -> None:
    commands = Commands("us-east-1", "i-1", "bucket", connect_parameter="/spark-cluster/demo/connect-token")

    def judge(value: object) -> None:
        message = refusal(getattr(commands, command), {**COMMAND_NEEDS.get(command, {}), argument: value})
        assert message is None or in_the_callers_words(message, argument) or "what a session runs" in message, message

    try_junk(judge)


@dataclasses.dataclass(frozen=True)
class Made:
    """What methods are called on."""

    cluster: SparkCluster
    existing: ExistingCluster
    role: CallerRole


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    stack = new_stack(tmp_path_factory.mktemp("made"))
    existing = ExistingCluster(stack, "existing", name="existing")
    return Made(SparkCluster(stack, "spark", **REQUIRED), existing, CallerRole(stack, "role", role_name="job"))


@pytest.mark.parametrize(
    ("kind", "needed", "argument"),
    [
        *((CallerRole, {"role_name": "job"}, argument) for argument in arguments(CallerRole.__init__)),
        *((ExistingCluster, {"name": "other"}, argument) for argument in arguments(ExistingCluster.__init__)),
    ],
)
def test_a_construct_takes_or_refuses_any_value(
    kind: type, needed: dict[str, Any], argument: str, tmp_path: Path
) -> None:
    stack = new_stack(tmp_path)

    def judge(value: object) -> None:
        right = {"scope": stack, "id": f"{argument}_{len(stack.node.children)}", **needed}
        message = refusal(kind, {**right, argument: value})
        assert message is None or in_the_callers_words(message, argument), message

    try_junk(judge)
    assert Synthesized(stack).json


@pytest.mark.parametrize("argument", arguments(Allow))
def test_a_statement_takes_or_refuses_any_value(argument: str) -> None:
    taken: list[Allow] = []

    def judge(value: object) -> None:
        right: dict[str, Any] = {"actions": ["s3:GetObject"], "resources": ["*"], argument: value}
        message = refusal(Allow, right)
        if message is None:
            taken.append(Allow(**right))
        else:
            assert in_the_callers_words(message, argument), message

    try_junk(judge)
    for statement in taken:
        assert json.dumps(statement.to_dict())


@pytest.mark.parametrize(
    ("method", "argument"), [(name, argument) for name, (_, right) in METHODS.items() for argument in right]
)
def test_a_method_takes_or_refuses_any_value(method: str, argument: str, made: Made) -> None:
    find, right = METHODS[method]
    called = find(made)

    def judge(value: object) -> None:
        message = refusal(called, {**right, argument: value})
        assert message is None or in_the_callers_words(message, argument), message

    try_junk(judge)
    assert Synthesized(TerraformStack.of(made.cluster)).json


# --- templates and names ------------------------------------------------------------------------------------------

KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

LITERALS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "name": lambda x: {"name": f"a{x}"},
    "vpc_id": lambda x: {"vpc_id": f"vpc-1{x}"},
    "subnet_ids[0]": lambda x: {"subnet_ids": [f"subnet-1{x}"]},
    "security_group_ids[0]": lambda x: {"security_group_ids": [f"sg-1{x}"]},
    "key_name": lambda x: {"key_name": f"my{x}key"},
    "ami_id": lambda x: {"ami_id": f"ami-1{x}"},
    "account_id": lambda x: {"account_id": f"1111{x}"},
    "permissions_boundary_arn": lambda x: {"permissions_boundary_arn": f"arn:aws:iam::111122223333:policy/{x}"},
    "bucket_kms_key_arn": lambda x: {"bucket_kms_key_arn": KEY + x},
    "parameter_kms_key_arn": lambda x: {"parameter_kms_key_arn": KEY + x},
    "volume_kms_key_arn": lambda x: {"volume_kms_key_arn": KEY + x},
    "spark_version": lambda x: {"spark_version": f"4.3.0-{x}"},
    "spark_checksum": lambda x: {"spark_checksum": f"{'a' * 64}{x}"},
    "spark_archive.url": lambda x: {"spark_archive": SparkArchive(f"https://example.org/{x}", "a" * 64)},
    "spark_archive.checksum": lambda x: {"spark_archive": SparkArchive("https://example.org/x", f"{'a' * 64}{x}")},
    "s3a.repository_url": lambda x: {"s3a": s3a.On(f"https://example.org/{x}")},
    "spark_defaults": lambda x: {"spark_defaults": {f"spark.a{x}": "b"}},
    "spark_defaults['spark.a']": lambda x: {"spark_defaults": {"spark.a": f"b{x}"}},
    "python_version": lambda x: {"python_version": f"3.1{x}"},
    "setup_script": lambda x: {"setup_script": f"#!/bin/bash\necho {x}\n"},
    "http_proxy": lambda x: {"http_proxy": f"http://proxy{x}"},
    "no_proxy[0]": lambda x: {"no_proxy": [f"a{x}"]},
    "private_zone.zone_id": lambda x: {"private_zone": PrivateZone(f"Z1{x}", "data.internal")},
    "private_zone.name": lambda x: {"private_zone": PrivateZone("Z1", f"data{x}.internal")},
    "master.instance_type": lambda x: {"master": Master(instance_type=f"m6i.large{x}")},
    "master.subnet_id": lambda x: {"master": Master(subnet_id=f"subnet-1{x}")},
    "workers.instance_types[0]": lambda x: {"workers": Workers(instance_types=[f"m6i.large{x}"])},
    "workers.spot_max_price": lambda x: {"workers": Workers(spot_max_price=f"0.1{x}")},
    "fleet_key.name": lambda x: {"fleet_key": fleet_key.SsmParameter(f"/team/key{x}")},
    "fleet_key.kms_key_arn": lambda x: {"fleet_key": fleet_key.SsmParameter("/team/key", KEY + x)},
    "tags": lambda x: {"tags": {f"a{x}": "b"}},
    "tags['a']": lambda x: {"tags": {"a": f"b{x}"}},
}
"""Every text that a cluster is given, with something in it."""

WRITTEN = {"setup_script", "spark_defaults['spark.a']"}
"""What may hold anything."""

TEMPLATES = {"expression": "${nosuch.x}", "directive": "%{if nosuch.x}"}
READ_AS_TEMPLATE = re.compile(r"(?<!\$)(\$\$)*\$\{nosuch|(?<!%)(%%)*%\{if nosuch")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("argument", LITERALS)
def test_what_terraform_takes_for_a_template_is_refused_or_written_as_text(
    argument: str, template: str, tmp_path: Path
) -> None:
    make = LITERALS[argument]
    stack = new_stack(tmp_path)
    message = refusal(lambda: SparkCluster(stack, "spark", **{**REQUIRED, **make(TEMPLATES[template])}), {})
    if argument in WRITTEN:
        assert message is None
        text = Synthesized(stack).text
        assert "nosuch" in text
        assert not READ_AS_TEMPLATE.search(text)
    else:
        assert message is not None
        assert in_the_callers_words(message, argument), message


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_what_terraform_takes_for_a_template_is_text_in_a_command(made: Made, template: str) -> None:
    commands = made.cluster.commands
    for line in (
        commands.submit(template, [template], options=["--conf", template], requirements=template, profile=template),
        commands.follow(template),
    ):
        assert "nosuch" in line
        assert not READ_AS_TEMPLATE.search(line)


@pytest.mark.parametrize("name", ["constructor", "toString", "valueOf"])
def test_what_every_object_of_javascript_has_is_no_id(made: Made, name: str) -> None:
    """jsii found a function there, and died of it."""
    for called, argument in (
        (partial(made.cluster.worker_role.allow, name, READ), "id"),
        (partial(made.role.allow, name, READ), "id"),
        (partial(made.cluster.storage.grant_read_data, name), "grantee"),
        (partial(CallerRole, TerraformStack.of(made.cluster), name, role_name="job"), "id"),
    ):
        message = refusal(called, {})
        assert message == (
            f"{argument} must not name what every object of JavaScript has, which jsii would take for it, got {name!r}"
        )


# --- tokens -------------------------------------------------------------------------------------------------------


@jsii.implements(cdktf.IStringProducer)
class Text:
    def produce(self, _context: object) -> str:
        return "a"


@jsii.implements(cdktf.IListProducer)
class Texts:
    def produce(self, _context: object) -> list[str]:
        return ["a"]


@jsii.implements(cdktf.INumberProducer)
class Size:
    def produce(self, _context: object) -> int:
        return 3


@jsii.implements(cdktf.IAnyProducer)
class Value:
    def produce(self, _context: object) -> bool:
        return True


class Things:
    """What tokens are made of."""

    def __init__(self, stack: TerraformStack) -> None:
        self.stack = stack
        self.variable = TerraformVariable(stack, "v", type="any")
        self.module = TerraformHclModule(stack, "m", source="terraform-aws-modules/vpc/aws")
        self.local = TerraformLocal(stack, "l", "x")
        self.vpc = Vpc(stack, "vpc", cidr_block="10.0.0.0/16")


STRINGS: Mapping[str, Callable[[Things], object]] = {
    "a variable": lambda things: things.variable.string_value,
    "an output of a module": lambda things: things.module.get_string("x"),
    "a local": lambda things: things.local.as_string,
    "an attribute": lambda things: things.vpc.id,
    "Fn": lambda things: Fn.join("-", things.variable.list_value),
    "Fn.raw_string": lambda _: Fn.raw_string("a"),
    "Token": lambda _: Token.as_string({"a": 1}),
    "Lazy": lambda _: Lazy.string_value(Text()),
}
LISTS: Mapping[str, Callable[[Things], object]] = {
    "a variable": lambda things: things.variable.list_value,
    "an output of a module": lambda things: things.module.get_list("x"),
    "a local": lambda things: things.local.as_list,
    "Fn": lambda things: Fn.tolist(things.variable.list_value),
    "Token": lambda _: Token.as_list({"a": 1}),
}
LISTS_OF_NUMBERS: Mapping[str, Callable[[Things], object]] = {"Token": lambda _: Token.as_number_list({"a": 1})}
NUMBERS: Mapping[str, Callable[[Things], object]] = {
    "a variable": lambda things: things.variable.number_value,
    "an output of a module": lambda things: things.module.get_number("x"),
    "a local": lambda things: things.local.as_number,
    "Fn": lambda things: Fn.length_of(things.variable.list_value),
    "Op": lambda _: Op.add(1, 2),
    "Token": lambda _: Token.as_number({"a": 1}),
    "Lazy": lambda _: Lazy.number_value(Size()),
}
VALUES: Mapping[str, Callable[[Things], object]] = {
    "a variable": lambda things: things.variable.value,
    "a boolean variable": lambda things: things.variable.boolean_value,
    "an output of a module": lambda things: things.module.get("x"),
    "a boolean output of a module": lambda things: things.module.get_boolean("x"),
    "a local": lambda things: things.local.expression,
    "an attribute": lambda things: things.vpc.enable_dns_support,
    "Fn": lambda _: Fn.conditional(True, True, False),  # noqa: FBT003 - Terraform's
    "Token": lambda _: Token.as_any({"a": 1}),
    "null": lambda _: Token.null_value(),
    "Lazy": lambda _: Lazy.any_value(Value()),
}
MAPS: Mapping[str, Callable[[Things], object]] = {
    "a local": lambda things: things.local.as_string_map,
    "an attribute": lambda things: things.vpc.tags_all,
    "Token": lambda _: Token.as_string_map({"a": 1}),
    "of numbers": lambda _: Token.as_number_map({"a": 1}),
    "with more in it": lambda _: {**Token.as_string_map({"a": 1}), "b": "c"},
}
KINDS = {
    "string": STRINGS,
    "list": LISTS,
    "list of numbers": LISTS_OF_NUMBERS,
    "number": NUMBERS,
    "value": VALUES,
    "map": MAPS,
}

HINT = re.compile(
    r"convert with cdktf's Token\.as_|literal|an object such as|the list may not|mapping of|begin with 'spark"
)
"""What helps who gave a token where there may be none."""


@pytest.fixture
def things(tmp_path: Path) -> Things:
    return Things(new_stack(tmp_path))


TAKES = {
    "string": {
        "cluster": "vpc_id spark_checksum setup_script http_proxy key_name ami_id account_id permissions_boundary_arn "
        "bucket_kms_key_arn parameter_kms_key_arn volume_kms_key_arn",
        "Master": "instance_type subnet_id",
        "Workers": "spot_max_price",
        "scaling.Cpu": "",
        "fleet_key.SsmParameter": "name kms_key_arn",
        "PrivateZone": "zone_id name",
    },
    "list": {"cluster": "subnet_ids no_proxy security_group_ids"},
    "number": {
        "cluster": "boot_timeout_seconds drain_timeout_seconds log_retention_days unlisted_timeout_seconds",
        "Master": "root_volume_gib",
        "Workers": "min_size max_size desired_size on_demand_base_capacity root_volume_gib "
        "root_volume_throughput_mibps root_volume_iops",
        "SparkConnect": "cores_max",
        "scaling.Cpu": "scale_out_above_percent scale_out_workers scale_in_below_percent scale_in_workers "
        "evaluation_periods cooldown_seconds",
    },
    "value": {"cluster": "associate_public_ip_address ebs_optimized force_destroy"},
    "list of numbers": {"cluster": ""},
    "map": {"cluster": ""},
}
"""Where a token of each kind may stand as it is."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_taken_where_it_may_stand_and_refused_elsewhere_with_what_helps(
    kind: str, things: Things, shared: TerraformStack
) -> None:
    takes = TAKES[kind]
    for form, make in KINDS[kind].items():
        token = make(things)
        for argument in arguments(SparkCluster.__init__)[2:]:
            right = {"scope": shared, "id": "spark", **REQUIRED, **WRONG}
            message = refusal(SparkCluster, {**right, argument: token}) if argument != LAST else None
            if argument in takes["cluster"].split():
                assert message is None or message.startswith(f"{LAST} must be from"), (form, argument, message)
            elif argument != LAST:
                assert message is not None
                assert message.startswith(argument), (form, argument, message)
                assert HINT.search(message), (form, argument, message)
        for name, (called, needed, of_cluster) in OBJECTS.items():
            for argument in arguments(called):
                message = refusal(called, {**needed, argument: token})
                if argument in takes.get(name, "").split() or (argument, kind) in SAME_KIND:
                    assert message is None, (form, argument, message)
                else:
                    assert message is not None, (form, name, argument)
                    assert message.startswith(f"{of_cluster}.{argument}"), message
                    assert HINT.search(message), (form, name, argument, message)


SAME_KIND = {("private_key", "string"), ("version", "number"), ("checksum", "string")}
"""Fields of classes that need something besides."""


@pytest.mark.parametrize("form", range(8))
def test_tokens_of_every_form_synthesize_wherever_they_are_taken(form: int, things: Things) -> None:
    def token(kind: str) -> Any:
        made = list(KINDS[kind].values())
        return made[form % len(made)](things)

    def of(part: str) -> dict[str, Any]:
        return {name: token(kind) for kind in KINDS for name in TAKES[kind].get(part, "").split()}

    types = [token("string"), *(["m6i.large"] if form % 2 else [])]
    SparkCluster(
        things.stack,
        "spark",
        **{
            **REQUIRED,
            **of("cluster"),
            "tags": {"team": token("string")},
            "spark_defaults": {"spark.executor.cores": token("string"), "spark.x": f"a-{token('string')}"},
            "master": Master(**of("Master")),
            "workers": Workers(instance_types=types, **of("Workers")),
            "scaling": scaling.Cpu(**of("scaling.Cpu")),
            "fleet_key": fleet_key.SsmParameter(**of("fleet_key.SsmParameter")),
            "private_zone": PrivateZone(**of("PrivateZone")),
        },
    )
    assert "TfToken" not in Synthesized(things.stack).text


def test_a_part_of_a_list_is_refused_with_how_lists_are_joined(things: Things) -> None:
    subnets = [*things.variable.list_value, "subnet-1"]
    message = refusal(partial(SparkCluster, things.stack, "spark"), {**REQUIRED, "subnet_ids": subnets})
    assert message is not None
    assert "join lists with cdktf's Fn.concat" in message


def test_a_lazy_list_is_taken_where_cdktf_can_use_it(things: Things) -> None:
    lazy = Lazy.list_value(Texts())
    for argument in ("subnet_ids", "security_group_ids"):
        message = refusal(partial(SparkCluster, things.stack, "spark"), {**REQUIRED, argument: lazy})
        assert message == (
            f"{argument} must not be a Lazy list, which cdktf puts into no function (give a TerraformLocal's as_list), "
            "got a token"
        )
    local = TerraformLocal(things.stack, "given", lazy).as_list
    SparkCluster(things.stack, "spark", **{**REQUIRED, "subnet_ids": local, "no_proxy": lazy})
    assert Synthesized(things.stack).settings("master")["no_proxy"] == ["a"]


def test_a_conditional_is_one_operand_wherever_it_stands(things: Things) -> None:
    """cdktf puts no brackets around one, and what stands beside it would be taken for a part of its last answer."""

    def either(first: Any, second: Any) -> Any:
        return Fn.conditional(things.variable.boolean_value, first, second)

    SparkCluster(
        things.stack,
        "spark",
        name="demo",
        vpc_id=Token.as_string(either("vpc-1", "vpc-2")),
        subnet_ids=Token.as_list(either(["subnet-1"], ["subnet-2"])),
        ami_id=Token.as_string(either("ami-1", "ami-2")),
        bucket_kms_key_arn=Token.as_string(either("arn:a", "arn:b")),
        volume_kms_key_arn=Token.as_string(either("arn:a", "arn:b")),
        boot_timeout_seconds=Token.as_number(either(600, 900)),
        drain_timeout_seconds=Token.as_number(either(60, 90)),
        unlisted_timeout_seconds=Token.as_number(either(60, 90)),
        scaling=scaling.Cpu(scale_in_workers=Token.as_number(either(1, 2))),
    )
    operator = r"(==|!=|\|\||&&|[-+<>])"
    beside = re.compile(rf'{operator} *var\.v \?|var\.v \? [\w"-]+ : [\w"-]+ {operator}')
    for text in strings(Synthesized(things.stack).json):
        for expression in expressions(text):
            assert not beside.search(expression), expression
