"""What other roles are granted, from wherever in the app and however often."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import App, TerraformIterator, TerraformProvider, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.data_aws_iam_role import DataAwsIamRole
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from constructs import Construct

from spark_cluster import Allow, CallerRole, ExistingCluster, SparkCluster, limits
from tests.synth import policies
from tests.synth.conftest import REQUIRED
from tests.synth.policies import allow, bucket_arn, read_data, read_write_data
from tests.synth.synthesized import Synthesized, plain, reached

if TYPE_CHECKING:
    from collections.abc import Callable

INGRESS, EGRESS = "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"
POLICY = "aws_iam_role_policy"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


def policies_of(stack: Synthesized, role: str) -> list[dict[str, Any]]:
    return [body for body in stack.all(POLICY).values() if body["role"] == role]


def statements(policy: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy["policy"])["Statement"]
    return found


@pytest.fixture
def cluster(stack: TerraformStack) -> SparkCluster:
    return SparkCluster(stack, "spark", **REQUIRED)


# --- to whom -----------------------------------------------------------------------------------------------------

ROLES: dict[str, tuple[Callable[[Construct], Any], str]] = {
    "a role of the app": (
        lambda stack: IamRole(stack, "job", assume_role_policy=TRUST),
        "${aws_iam_role.job.name}",
    ),
    "a role that is looked up": (
        lambda stack: DataAwsIamRole(stack, "job", name="job-role"),
        "${data.aws_iam_role.job.name}",
    ),
    "a role by its name": (lambda _: "job-role", "job-role"),
    "a caller's role": (lambda stack: CallerRole(stack, "job", role_name="job-role"), "job-role"),
    "a caller's role whose name only Terraform knows": (
        lambda stack: CallerRole(stack, "job", role_name=TerraformVariable(stack, "name", type="string").string_value),
        "${var.name}",
    ),
}


@pytest.mark.parametrize("kind", ROLES)
def test_any_role_may_be_let_to_read_data(stack: TerraformStack, cluster: SparkCluster, kind: str) -> None:
    make, name = ROLES[kind]
    cluster.storage.grant_read_data(make(stack))
    found = Synthesized(stack)
    [policy] = policies_of(found, name)
    bucket = bucket_arn(found)
    assert statements(policy) == read_data(bucket)


@pytest.mark.parametrize("kind", ROLES)
def test_any_role_may_be_let_to_write_data_and_to_submit(
    stack: TerraformStack, cluster: SparkCluster, kind: str
) -> None:
    make, name = ROLES[kind]
    role = make(stack)
    cluster.storage.grant_read_write_data(role)
    cluster.grant_submit(role, security_group_id="sg-9")
    found = Synthesized(stack)
    data, event_logs, fallback, secret = policies_of(found, name)
    bucket = bucket_arn(found)
    parameter = f"${{{found.address('aws_ssm_parameter', 'spark_spark_secret_parameter')}.arn}}"
    assert statements(data) == read_write_data(bucket)
    assert statements(secret) == [allow(["ssm:GetParameter"], parameter)]
    assert statements(event_logs) == policies.event_logs(bucket)
    assert statements(fallback) == policies.fallback(bucket)


def test_a_node_of_another_cluster_waits_for_what_its_role_is_granted(
    stack: TerraformStack, cluster: SparkCluster
) -> None:
    other = SparkCluster(stack, "other", **{**REQUIRED, "name": "other"})
    cluster.storage.grant_read_write_data(other.worker_role)
    cluster.storage.grant_read_write_data(other.worker_role)
    other.storage.grant_read_data(cluster.worker_role)
    found = Synthesized(stack)
    of_other = f"${{{found.address('aws_iam_role', 'other_worker_role')}.name}}"
    data = {body["name"]: statements(body) for body in policies_of(found, of_other) if "data" in body["name"]}
    assert len(data) == 2
    own, granted = data.pop("data"), data.popitem()[1]
    bucket = bucket_arn(found)
    assert granted == read_write_data(bucket)
    assert own != granted
    graph = {plain(node): {plain(one) for one in needed} for node, needed in found.graph().items()}
    for name in ("spark", "other"):
        group = f"aws_autoscaling_group.{name}_workers_group"
        granted_to_workers = f"{POLICY}.{name}_worker_role_{'other_read_data' if name == 'spark' else 'demo_data'}_"
        assert [one for one in graph[group] if one.startswith(granted_to_workers)]
        assert group not in reached(graph, group)


def test_grants_do_not_hold_up_the_clusters_own_nodes(stack: TerraformStack, cluster: SparkCluster) -> None:
    cluster.storage.grant_read_data("job-role")
    found = Synthesized(stack)
    [policy] = [address for address in found.addresses() if plain(address).startswith(f"{POLICY}.spark_grantees")]
    assert not [address for address, behind in found.graph().items() if policy in behind]


@pytest.mark.parametrize("role", [None, 5, object(), ["job-role"], SparkCluster])
def test_refuses_what_is_no_role(cluster: SparkCluster, role: Any) -> None:
    rule = "be a role: an IamRole, a role's name, a CallerRole, or a cluster's master_role or worker_role"
    grants: list[Callable[[Any], None]] = [
        cluster.storage.grant_read_data,
        cluster.storage.grant_read_write_data,
        lambda role: cluster.grant_submit(role, security_group_id="sg-9"),
    ]
    for grant in grants:
        with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
            grant(role)
        assert str(error.value).startswith(f"grantee must {rule}, got ")


def test_refuses_the_bare_name_that_only_terraform_knows(stack: TerraformStack, cluster: SparkCluster) -> None:
    name = TerraformVariable(stack, "name", type="string").string_value
    with pytest.raises(ValueError, match=r"goes into CallerRole\(scope, id, role_name=…\)\), got a token$"):
        cluster.storage.grant_read_data(name)


ARN = "arn:aws:iam::111122223333:role/service-role/job"


def test_refuses_an_arn_in_place_of_a_name_and_says_the_name(stack: TerraformStack, cluster: SparkCluster) -> None:
    rule = f"be a role's name, not its ARN (the name is 'job'), got {ARN!r}"
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        cluster.storage.grant_read_data(ARN)
    assert str(error.value) == f"grantee must {rule}"
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        CallerRole(stack, "job", role_name=ARN)
    assert str(error.value) == f"role_name must {rule}"


@pytest.mark.parametrize(
    ("role_name", "message"),
    [
        ("", "role_name must be a string that is not empty, got ''"),
        (None, "role_name must be given, got None"),
    ],
)
def test_refuses_what_is_no_roles_name(stack: TerraformStack, role_name: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        CallerRole(stack, "job", role_name=role_name)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("names", "addresses"),
    [
        (["svc.reader", "svcreader"], 2),
        (["svcreader", "svc.reader", "svc@reader"], 3),
        (["+"], 1),
        (["a+", "+a", "+", "@"], 4),
    ],
)
def test_names_of_roles_may_differ_in_any_character(
    stack: TerraformStack, cluster: SparkCluster, names: list[str], addresses: int
) -> None:
    for name in [*names, *names]:
        cluster.storage.grant_read_data(name)
    found = Synthesized(stack)
    assert len([one for one in found.addresses() if one.startswith(f"{POLICY}.spark_grantees_")]) == addresses
    assert {body["role"] for body in found.json["resource"][POLICY].values()} >= set(names)


def test_the_policies_of_a_name_have_the_addresses_that_they_always_had(
    stack: TerraformStack, cluster: SparkCluster
) -> None:
    cluster.storage.grant_read_data("svc.reader")
    [found] = [name for name in Synthesized(stack).json["resource"][POLICY] if "_grantees_" in name]
    assert found == "spark_grantees_svcreader_demo_read_data_51025e68_4F2ACA7C"


@pytest.mark.parametrize("kind", [IamRole, DataAwsIamRole])
@pytest.mark.parametrize("how", ["count", "for_each"])
def test_refuses_a_role_that_stands_for_several_and_says_how_one_is_named(
    stack: TerraformStack, cluster: SparkCluster, kind: type, how: str
) -> None:
    several: Any = {"count": 2} if how == "count" else {"for_each": TerraformIterator.from_list(["a", "b"])}
    required = {"assume_role_policy": TRUST} if kind is IamRole else {"name": "job-role"}
    role = kind(stack, "job", **required, **several)
    message = r"^grantee must be one role, without count and for_each \(name one: CallerRole\(scope, id, role_name=f'"
    with pytest.raises(ValueError, match=message):
        cluster.storage.grant_read_data(role)


def test_one_of_several_roles_is_named(stack: TerraformStack, cluster: SparkCluster) -> None:
    role = IamRole(stack, "job", assume_role_policy=TRUST, count=2)
    cluster.storage.grant_read_data(CallerRole(stack, "first", role_name=f"${{{role.fqn}[0].name}}"))
    assert policies_of(Synthesized(stack), "${aws_iam_role.job[0].name}")


@pytest.mark.parametrize("kind", ["master", "worker"])
def test_refuses_to_let_the_clusters_own_nodes_submit_before_anything_is_made(
    stack: TerraformStack, cluster: SparkCluster, kind: str
) -> None:
    before = Synthesized(stack).addresses()
    with pytest.raises(ValueError, match=r"^grantee must be a role outside the cluster, whose "):
        cluster.grant_submit(getattr(cluster, f"{kind}_role"), security_group_id="sg-9")
    assert Synthesized(stack).addresses() == before


@pytest.mark.parametrize("kind", ["master", "worker"])
def test_the_clusters_own_nodes_may_be_granted_the_data_that_they_use_already(
    stack: TerraformStack, cluster: SparkCluster, kind: str
) -> None:
    before = Synthesized(stack).addresses()
    cluster.storage.grant_read_write_data(getattr(cluster, f"{kind}_role"))
    assert Synthesized(stack).addresses() == before


# --- how often, and under which names ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ROLES)
def test_a_grant_may_be_repeated(stack: TerraformStack, cluster: SparkCluster, kind: str) -> None:
    make, name = ROLES[kind]
    role = make(stack)
    for _ in range(2):
        cluster.storage.grant_read_data(role)
        cluster.storage.grant_read_write_data(role)
        cluster.grant_submit(role, security_group_id="sg-9")
    assert len(policies_of(Synthesized(stack), name)) == 5


def new_stack(app: App, id: str) -> TerraformStack:
    stack = TerraformStack(app, id)
    AwsProvider(stack, "aws", region="us-east-1")
    return stack


def test_no_two_policies_of_a_role_have_one_name_whatever_makes_them(tmp_path: Path) -> None:
    """Of clusters of any name, in any stack and program: `PutRolePolicy` overwrites without a word."""
    app = App(outdir=str(tmp_path))
    for id in ("virginia", "ireland"):
        stack = new_stack(app, id)
        cluster = SparkCluster(stack, "spark", **REQUIRED)
        caller = CallerRole(stack, "scheduler", role_name="airflow-worker")
        cluster.storage.grant_read_data(caller)
        cluster.storage.grant_read_data("airflow-worker")
        caller.allow("queue", Allow(["sqs:SendMessage"], ["arn:aws:sqs:us-east-1:111122223333:jobs"]))
        found = policies_of(Synthesized(stack), "airflow-worker")
        assert len(found) == 3
        # To a prefix Terraform adds what no other name has.
        assert not [body for body in found if "name" in body]
        assert {body["name_prefix"] for body in found} == {"demo-spark-read_data-", "queue-"}


def test_one_callers_role_may_use_any_number_of_clusters(stack: TerraformStack) -> None:
    caller = CallerRole(stack, "job", role_name="job-role")
    for name in ("one", "two", "three"):
        cluster = SparkCluster(stack, name, **{**REQUIRED, "name": name})
        cluster.storage.grant_read_data(caller)
        cluster.grant_submit(caller, security_group_id="sg-9")
    found = Synthesized(stack)
    assert {body["name_prefix"] for body in policies_of(found, "job-role")} == {
        f"{name}-spark-{grant}-"
        for name in ("one", "two", "three")
        for grant in ("read_data", "spark_secret", "event_logs", "fallback")
    }
    assert len(found.all(INGRESS)) == 3 * (1 + 4)


def test_a_policy_of_ones_own_is_not_called_as_one_that_is_moved(stack: TerraformStack, cluster: SparkCluster) -> None:
    caller = CallerRole(stack, "job", role_name="job-role")
    cluster.storage.grant_read_data(caller)
    with pytest.raises(ValueError, match=r"^id must be another than that of a grant of a cluster's, which it was once"):
        caller.allow("read_data", Allow(["sqs:SendMessage"], ["*"]))


def test_the_policies_of_an_earlier_state_are_moved(stack: TerraformStack, cluster: SparkCluster) -> None:
    caller = CallerRole(stack, "job", role_name="job-role")
    cluster.storage.grant_read_data(caller)
    other = SparkCluster(stack, "other", **{**REQUIRED, "name": "other"})
    other.storage.grant_read_data(caller)
    found = Synthesized(stack)
    [move] = found.json["moved"]
    # As `CallerRole(stack, "job").allow("read_data")` had it.
    assert move["from"] == "aws_iam_role_policy.job_read_data_3C471261"
    assert plain(move["to"]).startswith("aws_iam_role_policy.job_demo_read_data_")


def test_only_a_policy_that_gets_another_name_is_made_before_it_goes(
    stack: TerraformStack, cluster: SparkCluster
) -> None:
    """Terraform does the same with what it refers to: a role of a fixed name, or a parameter, is not there twice."""
    role = IamRole(stack, "fixed", name="fixed", assume_role_policy=TRUST)
    for grantee in (CallerRole(stack, "job", role_name="job-role"), role, "other-role"):
        cluster.storage.grant_read_data(grantee)
        cluster.grant_submit(grantee, security_group_id="sg-9")
    found = Synthesized(stack)
    first = [body for body in found.all(POLICY).values() if body.get("lifecycle") == {"create_before_destroy": True}]
    moved = [one["to"] for one in found.json["moved"] if one["to"].startswith(POLICY)]
    assert {(body["role"], body["name_prefix"]) for body in first} == {
        ("job-role", "demo-spark-read_data-"),
        ("job-role", "demo-spark-spark_secret-"),
    }
    assert len(moved) == len(first)


# --- drivers outside the cluster ---------------------------------------------------------------------------------


def group_id(stack: Synthesized) -> str:
    return f"${{{stack.address('aws_security_group', 'spark_network_security_group')}.id}}"


def ports(rule: dict[str, Any]) -> tuple[str, int, int]:
    return rule["ip_protocol"], rule["from_port"], rule["to_port"]


@pytest.fixture
def with_submitter(stack: TerraformStack, cluster: SparkCluster) -> Synthesized:
    cluster.grant_submit("job-role", security_group_id="sg-9")
    return Synthesized(stack)


def test_a_submitter_reaches_master_and_executors_and_nothing_else(with_submitter: Synthesized) -> None:
    nodes = group_id(with_submitter)
    inward = {
        name: ports(body)
        for name, body in with_submitter.all(INGRESS).items()
        if body["security_group_id"] == nodes and body["referenced_security_group_id"] == "sg-9"
    }
    assert inward == {
        "spark_network_submit_sg-9_to_7077": ("tcp", 7077, 7077),
        "spark_network_submit_sg-9_to_8080": ("tcp", 8080, 8080),
        "spark_network_submit_sg-9_to_executors": ("tcp", 40100, 40132),
    }


def test_nodes_reach_the_submitters_driver_at_its_pinned_ports(with_submitter: Synthesized) -> None:
    back = with_submitter.the(INGRESS, "spark_network_submit_sg-9_back")
    out = with_submitter.the(EGRESS, "spark_network_submit_sg-9_out")
    assert ports(back) == ports(out) == ("tcp", 40000, 40079)
    nodes = group_id(with_submitter)
    assert (back["security_group_id"], back["referenced_security_group_id"]) == ("sg-9", nodes)
    assert (out["security_group_id"], out["referenced_security_group_id"]) == (nodes, "sg-9")


def test_a_submitter_may_use_the_parameters_key_for_the_secret_alone(stack: TerraformStack) -> None:
    cluster = SparkCluster(stack, "spark", **REQUIRED, parameter_kms_key_arn=KEY)
    cluster.grant_submit("job-role", security_group_id="sg-9")
    found = Synthesized(stack)
    *_, policy = policies_of(found, "job-role")
    parameter = f"${{{found.address('aws_ssm_parameter', 'spark_spark_secret_parameter')}.arn}}"
    read, use_key = statements(policy)
    assert read == allow(["ssm:GetParameter"], parameter)
    assert (use_key["Action"], use_key["Resource"]) == (["kms:Decrypt"], [KEY])
    assert use_key["Condition"]["StringEquals"]["kms:EncryptionContext:PARAMETER_ARN"] == [parameter]


def rules(stack: Synthesized) -> list[tuple[Any, ...]]:
    """What each rule for submitters says; EC2 refuses a second one that says the same."""
    return [
        (kind, body["security_group_id"], body["referenced_security_group_id"], ports(body))
        for kind in (INGRESS, EGRESS)
        for body in stack.all(kind).values()
        if body["ip_protocol"] == "tcp"
    ]


@pytest.mark.parametrize("kind", ["a literal", "one of Terraform's", "a variable"])
def test_any_number_of_roles_may_be_behind_any_number_of_groups(
    stack: TerraformStack, cluster: SparkCluster, kind: str
) -> None:
    made = [SecurityGroup(stack, f"group_{index}") for index in range(2)]
    variables = [TerraformVariable(stack, f"given_{index}", type="string") for index in range(2)]
    group_ids: dict[str, Callable[[int], str]] = {
        "a literal": lambda index: f"sg-{index}",
        # Each time it is asked for, an attribute is another token.
        "one of Terraform's": lambda index: made[index].id,
        "a variable": lambda index: variables[index].string_value,
    }
    for role in ("one", "two", CallerRole(stack, "three", role_name="three"), "one"):
        for index in range(2):
            cluster.grant_submit(role, security_group_id=group_ids[kind](index))
    found = rules(Synthesized(stack))
    assert len(found) == len(set(found)) == 2 * 5


def test_the_rules_of_a_group_have_the_same_addresses_whichever_role_is_behind_it(tmp_path: Path) -> None:
    addresses = []
    for roles in (["one", "two"], ["two"], ["two", "one"]):
        stack = new_stack(App(outdir=str(tmp_path)), "stack")
        cluster = SparkCluster(stack, "spark", **REQUIRED)
        group = SecurityGroup(stack, "group")
        for role in roles:
            cluster.grant_submit(role, security_group_id=group.id)
        addresses.append([one for one in Synthesized(stack).addresses() if "_security_group_" in one])
    assert addresses[0] == addresses[1] == addresses[2]


def test_the_rules_of_an_earlier_state_are_moved(stack: TerraformStack, cluster: SparkCluster) -> None:
    caller = CallerRole(stack, "job", role_name="job-role")
    for group in ("sg-9", "sg-10"):
        cluster.grant_submit(caller, security_group_id=group)
    moves = {plain(one["from"]): plain(one["to"]) for one in Synthesized(stack).json["moved"] if "_sg-" in one["to"]}
    assert moves == {
        f"{kind}.spark_network_submit_job_{end}": f"{kind}.spark_network_submit_sg-9_{end}"
        for kind, ends in {INGRESS: ("to_7077", "to_8080", "to_executors", "back"), EGRESS: ("out",)}.items()
        for end in ends
    }


def test_refuses_a_submitter_without_a_security_group(cluster: SparkCluster) -> None:
    with pytest.raises(ValueError, match=r"^security_group_id must begin with 'sg-', got 'job'$"):
        cluster.grant_submit("job-role", security_group_id="job")


def test_roles_of_one_name_in_two_accounts_have_room_each(stack: TerraformStack) -> None:
    other = AwsProvider(stack, "other", alias="other", region="us-east-1")
    large = Allow(["s3:GetObject"], [f"arn:aws:s3:::{number:060}" for number in range(80)])
    CallerRole(stack, "first", role_name="app").allow("large", large)
    CallerRole(stack, "second", role_name="app", provider=other).allow("large", large)
    with pytest.raises(ValueError, match="10240 characters"):
        CallerRole(stack, "third", role_name="app").allow("larger", large)


# --- in a later stack --------------------------------------------------------------------------------------------


def synth(app: App, folder: Path) -> dict[str, dict[str, Any]]:
    app.synth()
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("stacks/*/cdk.tf.json")}


def test_roles_and_groups_of_later_stacks_have_policies_and_rules_in_their_own(tmp_path: Path) -> None:
    """Even where they have the same addresses, as those of one class of stack have."""
    app = App(outdir=str(tmp_path))
    cluster = SparkCluster(new_stack(app, "platform"), "spark", **REQUIRED)
    for team in ("red", "blue"):
        stack = new_stack(app, team)
        group = SecurityGroup(stack, "jobs")
        for name in ("driver", "scheduler"):
            role = IamRole(stack, name, assume_role_policy=TRUST)
            cluster.grant_submit(role, security_group_id=group.id)
            cluster.storage.grant_read_write_data(role)
    found = synth(app, tmp_path)
    assert "moved" not in found["platform"]
    assert len(found["platform"]["resource"][INGRESS]) == 1
    for team in ("red", "blue"):
        resources = found[team]["resource"]
        assert len(resources[POLICY]) == 8
        assert len(resources[INGRESS]) == 4
        assert len(resources[EGRESS]) == 1
        text = json.dumps(resources)
        assert "cross-stack-reference-input-platform" in text
        assert "TfToken" not in text


def test_in_a_later_stack_the_roles_provider_makes_the_rules_too(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    cluster = SparkCluster(new_stack(app, "platform"), "spark", **REQUIRED)
    later = TerraformStack(app, "later")
    elsewhere = AwsProvider(later, "elsewhere", alias="elsewhere", region="us-east-1")
    role = IamRole(later, "job", assume_role_policy=TRUST, provider=elsewhere)
    cluster.grant_submit(role, security_group_id=SecurityGroup(later, "jobs", provider=elsewhere).id)
    resources = synth(app, tmp_path)["later"]["resource"]
    for kind in (POLICY, INGRESS, EGRESS):
        assert {body["provider"] for body in resources[kind].values()} == {"aws.elsewhere"}


@pytest.mark.parametrize("first", ["named", "later", "latest"])
def test_the_rules_of_a_group_that_is_there_are_in_the_clusters_stack(tmp_path: Path, first: str) -> None:
    """Whichever role is the first behind it: a rule that changed its stack would be made while it is there."""
    app = App(outdir=str(tmp_path))
    cluster = SparkCluster(new_stack(app, "platform"), "spark", **REQUIRED)
    roles: dict[str, CallerRole | str] = {"named": "named"}
    for name in ("later", "latest"):
        roles[name] = CallerRole(new_stack(app, name), "job", role_name=name)
    for name in sorted(roles, key=lambda name: name != first):
        cluster.grant_submit(roles[name], security_group_id="sg-9")
    found = synth(app, tmp_path)
    assert len(found["platform"]["resource"][INGRESS]) == 5
    assert not {INGRESS, EGRESS} & (found["later"]["resource"].keys() | found["latest"]["resource"].keys())


def test_a_provider_makes_all_of_a_callers_role_and_of_an_existing_cluster(stack: TerraformStack) -> None:
    elsewhere = AwsProvider(stack, "elsewhere", alias="elsewhere", region="us-east-1")
    existing = ExistingCluster(stack, "analytics", name="analytics", provider=elsewhere)
    existing.grant_submit(CallerRole(stack, "job", role_name="job", provider=elsewhere), security_group_id="sg-9")
    found = Synthesized(stack)
    for section in ("resource", "data"):
        for bodies in found.json[section].values():
            assert {body["provider"] for body in bodies.values()} == {"aws.elsewhere"}


WITH_A_PROVIDER: dict[str, Callable[..., Construct]] = {
    "SparkCluster": lambda scope, provider: SparkCluster(scope, "made", **REQUIRED, provider=provider),
    "ExistingCluster": lambda scope, provider: ExistingCluster(scope, "made", name="analytics", provider=provider),
    "CallerRole": lambda scope, provider: CallerRole(scope, "made", role_name="job", provider=provider),
}


@pytest.mark.parametrize("kind", WITH_A_PROVIDER)
def test_refuses_a_provider_of_another_stack_which_terraform_would_miss_for_each_resource(
    stack: TerraformStack, kind: str
) -> None:
    app = App.of(stack)
    elsewhere = AwsProvider(TerraformStack(app, "network"), "aws", alias="elsewhere", region="eu-west-1")
    with pytest.raises(ValueError, match=r"^provider must") as error:
        WITH_A_PROVIDER[kind](Construct(stack, "part"), elsewhere)
    assert str(error.value) == (
        "provider must be one of the stack of what it makes, 'stack', since Terraform shares none between stacks, "
        "got 'network/aws'"
    )
    inside = AwsProvider(Construct(stack, "providers"), "aws", alias="inside", region="eu-west-1")
    WITH_A_PROVIDER[kind](Construct(stack, "other_part"), inside)


@pytest.mark.parametrize("kind", WITH_A_PROVIDER)
def test_refuses_a_provider_that_makes_nothing_of_aws_s(stack: TerraformStack, kind: str) -> None:
    other = TerraformProvider(stack, "google", terraform_resource_type="google")
    with pytest.raises(ValueError, match=r"^provider must") as error:
        WITH_A_PROVIDER[kind](stack, other)
    assert str(error.value) == (
        "provider must be one of AWS's, such as AwsProvider(stack, 'aws', alias='ireland'), got 'google'"
    )


def test_a_policy_is_made_by_the_provider_that_makes_its_role(stack: TerraformStack, cluster: SparkCluster) -> None:
    elsewhere = AwsProvider(stack, "elsewhere", alias="elsewhere", region="us-east-1")
    role = IamRole(stack, "job", assume_role_policy=TRUST, provider=elsewhere)
    cluster.storage.grant_read_data(role)
    [policy] = policies_of(Synthesized(stack), "${aws_iam_role.job.name}")
    assert policy["provider"] == "aws.elsewhere"


# --- on a cluster of another program -----------------------------------------------------------------------------


def test_a_cluster_says_in_a_parameter_what_its_name_does_not(default: Synthesized) -> None:
    about = default.the("aws_ssm_parameter", "spark_about_parameter")
    assert about["name"] == "/spark-cluster/demo/about"
    bucket = default.address("aws_s3_bucket", "spark_storage_bucket")
    group = default.address("aws_security_group", "spark_network_security_group")
    assert about["insecure_value"] == (
        f'${{jsonencode({{"bucket_name" = {bucket}.bucket, "security_group_id" = {group}.id, '
        '"master_host" = "master.demo-spark"})}'
    )


def test_grants_on_a_cluster_of_another_program(stack: TerraformStack) -> None:
    existing = ExistingCluster(stack, "analytics", name="analytics", bucket_kms_key_arn=KEY, parameter_kms_key_arn=KEY)
    role = IamRole(stack, "job", assume_role_policy=TRUST)
    for _ in range(2):
        existing.grant_read_data(role)
        existing.grant_read_write_data(role)
        existing.grant_submit(role, security_group_id="sg-9")
    assert existing.name == "analytics"
    assert existing.group_name == "analytics-spark-workers"
    assert existing.spark_secret_parameter_name == "/spark-cluster/analytics/spark-secret"  # noqa: S105 - a name
    found = Synthesized(stack)
    assert found.the("data.aws_ssm_parameter")["name"] == "/spark-cluster/analytics/about"
    parameter = found.address("data.aws_ssm_parameter", "analytics_about")
    about = f"jsondecode({parameter}.insecure_value)"
    granted = {body["name_prefix"]: statements(body) for body in policies_of(found, "${aws_iam_role.job.name}")}
    assert granted.keys() == {
        f"analytics-spark-{grant}-" for grant in ("read_data", "data", "spark_secret", "event_logs", "fallback")
    }
    partition = found.address("data.aws_partition", "analytics_location_partition")
    bucket = f"arn:${{{partition}.partition}}:s3:::${{{about}.bucket_name}}"
    listing, read, use_key, look = granted["analytics-spark-read_data-"]
    assert [listing, read, look] == read_data(bucket)
    assert use_key["Resource"] == [KEY]
    assert {rule[1] for rule in rules(found)} == {"sg-9", f"${{{about}.security_group_id}}"}
    assert len(rules(found)) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "Analytics"}, "name must be lower-case letters"),
        ({"name": "a", "account_id": "1"}, "account_id must be 12 digits in a string, got '1'"),
        ({"name": "a", "bucket_kms_key_arn": "1"}, "bucket_kms_key_arn must be a KMS key's ARN such as 'arn:aws:kms:"),
        (
            {"name": "a", "parameter_kms_key_arn": "1"},
            "parameter_kms_key_arn must be a KMS key's ARN such as 'arn:aws:kms:",
        ),
        ({"name": "a", "tags": {"Name": "x"}}, "tags must not set 'Name'"),
    ],
)
def test_refuses_an_existing_cluster_of_wrong_words(
    stack: TerraformStack, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        ExistingCluster(stack, "analytics", **arguments)
    assert str(error.value).startswith(message)


# --- statements --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("s3:GetObject", ["*"]), "actions must be a list of actions such as ['s3:GetObject'], got 's3:GetObject'"),
        ((["s3:GetObject"], "*"), "resources must be a list of ARNs, or ['*'], got '*'"),
        (([], ["*"]), "actions must be a list of actions such as ['s3:GetObject'], got []"),
        ((["s3:GetObject"], []), "resources must be a list of ARNs, or ['*'], got []"),
        ((["GetObject"], ["*"]), "actions[0] must be an action such as 's3:GetObject', got 'GetObject'"),
        ((["s3:Get Object"], ["*"]), "actions[0] must be an action such as 's3:GetObject', got 's3:Get Object'"),
        (([5], ["*"]), "actions[0] must be an action such as 's3:GetObject', got 5"),
        (
            (["s3:GetObject"], ["my-bucket"]),
            "resources[0] must be an ARN such as 'arn:aws:s3:::bucket/key', or '*', got 'my-bucket'",
        ),
        ((["s3:GetObject"], [None]), "resources[0] must be an ARN such as 'arn:aws:s3:::bucket/key', or '*', got None"),
        (
            (["s3:GetObject"], ["*"], {"StringEquals": {"aws:SourceVpc": "vpc-1"}}),
            "conditions['StringEquals']['aws:SourceVpc'] must be a list of texts, got 'vpc-1'",
        ),
        (
            (["s3:GetObject"], ["*"], ["StringEquals"]),
            "conditions must be a mapping of operators such as 'StringEquals', got ['StringEquals']",
        ),
        (
            (["s3:GetObject"], ["*"], {"StringEqual": {"aws:SourceVpc": ["vpc-1"]}}),
            "conditions must have operators that IAM knows, such as 'StringEquals', got 'StringEqual'",
        ),
        (
            (["s3:GetObject"], ["*"], {"ForAllValue:bool": {"aws:TagKeys": ["true"]}}),
            "conditions must have operators that IAM knows, such as 'ForAllValues:Bool', got 'ForAllValue:bool'",
        ),
        (
            (["s3:GetObject"], ["*"], {"NullIfExists": {"aws:TokenIssueTime": ["true"]}}),
            "conditions must have operators that IAM knows, such as 'ArnEqualsIfExists', got 'NullIfExists'",
        ),
        (
            (["s3:GetObject"], ["*"], {"Bool": {}}),
            "conditions['Bool'] must be a mapping of condition keys such as 'aws:SourceVpc', of one at least, got {}",
        ),
        (
            (["s3:GetObject"], ["*"], {"Bool": {"SourceVpc": ["vpc-1"]}}),
            "conditions['Bool'] must have condition keys such as 'aws:SourceVpc', with a prefix, got 'SourceVpc'",
        ),
    ],
)
def test_refuses_a_statement_that_iam_would_not_take(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        Allow(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "action", ["*", "*:*", "s3:*", "s3:Get*", "ssm:GetParameter?", "execute-api:Invoke", "S3:GetObject", "IAM:getrole"]
)
def test_takes_the_actions_that_iam_takes(action: str) -> None:
    assert Allow([action], ["arn:aws-cn:s3:::bucket"]).to_dict()["Action"] == [action]


@pytest.mark.parametrize(
    "operator",
    [
        *("StringEquals", "StringLikeIfExists", "ForAnyValue:StringLike", "ForAllValues:ArnNotLikeIfExists", "Null"),
        *("Bool", "BinaryEquals", "NotIpAddress", "NumericLessThanEquals", "DateGreaterThan", "stringequals"),
    ],
)
def test_takes_the_operators_that_iam_takes(operator: str) -> None:
    conditions = {operator: {"aws:SourceVpc": ["vpc-1"]}}
    assert Allow(["s3:GetObject"], ["*"], conditions).to_dict()["Condition"] == conditions


def test_takes_resources_that_only_terraform_knows(stack: TerraformStack, cluster: SparkCluster) -> None:
    arn = TerraformVariable(stack, "arn", type="string").string_value
    cluster.worker_role.allow("late", Allow(["s3:GetObject"], [arn, f"{arn}/*"]))
    policy = Synthesized(stack).the(POLICY, "spark_worker_role_late")
    assert statements(policy) == [allow(["s3:GetObject"], "${var.arn}", "${var.arn}/*")]


@pytest.mark.parametrize(
    ("written", "reaches_iam"),
    [
        ("${aws:username}", "$${aws:username}"),
        ("${aws:PrincipalTag/team, 'all'}", "$${aws:PrincipalTag/team, 'all'}"),
        ("$${aws:username}", "$${aws:username}"),
        ("${aws:PrincipalTag/cost center:1}", "$${aws:PrincipalTag/cost center:1}"),
        ("${cognito-identity.amazonaws.com:sub}", "$${cognito-identity.amazonaws.com:sub}"),
        ("${www.amazon.com:user_id}", "$${www.amazon.com:user_id}"),
        ("${graph.facebook.com:id}", "$${graph.facebook.com:id}"),
        ("${accounts.google.com:sub, 'none'}", "$${accounts.google.com:sub, 'none'}"),
        ("${oidc.eks.eu-west-1.amazonaws.com/id/1_A:sub}", "$${oidc.eks.eu-west-1.amazonaws.com/id/1_A:sub}"),
        ("a${*}b${?}c${$}", "a$${*}b$${?}c$${$}"),
        ("${var.home}", "${var.home}"),
        ("${var.other?var.home:var.name}", "${var.other?var.home:var.name}"),
        ("${var.other == 'x' ? var.home : var.name}", "${var.other == 'x' ? var.home : var.name}"),
        ("${data.aws_x.y['a:b']}", "${data.aws_x.y['a:b']}"),
        ("${join(':', var.names)}", "${join(':', var.names)}"),
        ("${{a:1}.a}", "${{a:1}.a}"),
        ("${[for k,v in var.x:v][0]}", "${[for k,v in var.x:v][0]}"),
        ("${provider::aws::trim_iam_role_path(var.home)}", "${provider::aws::trim_iam_role_path(var.home)}"),
    ],
)
def test_variables_of_iam_are_none_of_terraforms(
    stack: TerraformStack, cluster: SparkCluster, written: str, reaches_iam: str
) -> None:
    arn = f"arn:aws:s3:::homes/{written}"
    cluster.worker_role.allow("homes", Allow(["s3:GetObject"], [arn], {"StringLike": {"s3:prefix": [written]}}))
    (statement,) = statements(Synthesized(stack).the(POLICY, "spark_worker_role_homes"))
    assert statement["Resource"] == [f"arn:aws:s3:::homes/{reaches_iam}"]
    assert statement["Condition"] == {"StringLike": {"s3:prefix": [reaches_iam]}}


@pytest.mark.parametrize("whose", ["a node's role", "a caller's role"])
def test_a_policy_of_ones_own_may_be_repeated_but_not_be_another(
    stack: TerraformStack, cluster: SparkCluster, whose: str
) -> None:
    role = cluster.worker_role if whose == "a node's role" else CallerRole(stack, "job", role_name="job-role")
    group = SecurityGroup(stack, "group")
    for _ in range(2):
        role.allow("late", Allow(["ec2:DescribeInstances"], ["*"]), Allow(["ec2:StopInstances"], [group.arn]))
    assert len([name for name in Synthesized(stack).all(POLICY) if name.endswith("_late")]) == 1
    with pytest.raises(ValueError, match=r"^id must be new: the role has another policy of that id, got 'late'$"):
        role.allow("late", Allow(["ec2:DescribeInstances"], ["*"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("late",), "statements must be one or more such as Allow(['sqs:ReceiveMessage'], [queue.arn]), got []"),
        (("late", {"Effect": "Allow"}), "statements must be one or more such as Allow("),
        (("", Allow(["s3:*"], ["*"])), "id must be 1 to 100 letters, digits or any of +=,.@_-, got ''"),
        (
            ("my policy", Allow(["s3:*"], ["*"])),
            "id must be 1 to 100 letters, digits or any of +=,.@_-, got 'my policy'",
        ),
    ],
)
def test_refuses_a_policy_that_iam_would_not_take(
    cluster: SparkCluster, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        cluster.master_role.allow(*arguments)
    assert str(error.value).startswith(message)


# --- room in a role ----------------------------------------------------------------------------------------------

QUOTA = (
    "keep the role's inline policies within IAM's 10240 characters in all (use wildcards, make some managed policies, "
)


def big(count: int) -> Allow:
    return Allow(["s3:GetObject"], [f"arn:aws:s3:::bucket-of-somebody-{index:04}/*" for index in range(count)])


@pytest.mark.parametrize("whose", ["a node's role", "a caller's role"])
def test_refuses_policies_for_which_a_role_has_no_room(
    stack: TerraformStack, cluster: SparkCluster, whose: str
) -> None:
    role = cluster.worker_role if whose == "a node's role" else CallerRole(stack, "job", role_name="job-role")
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        role.allow("big", big(300))
    assert str(error.value).startswith(f"statements must {QUOTA}")
    for id in ("one", "again", "one"):
        role.allow(id, big(60))
    with pytest.raises(ValueError, match=r"^statements must keep the role's inline policies within IAM's 10240 "):
        role.allow("more", big(150))


def test_refuses_a_grant_for_which_a_role_has_no_room_whoever_took_it(stack: TerraformStack) -> None:
    """Whether the role is given by its name, or as a construct of one."""
    one, other = (SparkCluster(stack, name, **{**REQUIRED, "name": name}) for name in ("one", "other"))
    caller = CallerRole(stack, "job", role_name="job-role")
    one.storage.grant_read_data("job-role")
    caller.allow("big", big(238))
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        other.storage.grant_read_data("job-role")
    assert str(error.value).startswith(f"grantee must {QUOTA}")
    other.storage.grant_read_data("another-role")


def test_what_only_terraform_knows_is_not_counted(stack: TerraformStack, cluster: SparkCluster) -> None:
    arns = [TerraformVariable(stack, f"arn_{index}", type="string").string_value for index in range(200)]
    cluster.worker_role.allow("many", Allow(["s3:GetObject"], arns))
    written = [f"arn:aws:s3:::${{var.name_of_the_bucket_of_a_team_{index}}}/*" for index in range(250)]
    cluster.worker_role.allow("written", Allow(["s3:GetObject"], written))


REALISTIC = {
    r"aws_s3_bucket\.\w+\.arn": "arn:aws:s3:::{name}-spark-20260131123456789000000001",
    r"aws_ssm_parameter\.\w+\.arn": "arn:aws:ssm:eu-central-1:111122223333:parameter/spark-cluster/{name}/spark-secret",
    r"data\.aws_region\.\w+\.(region|name|id)": "eu-central-1",
    r"data\.aws_partition\.\w+\.dns_suffix": "amazonaws.com",
}
LONG_KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def length(policy: str, name: str) -> int:
    for expression, value in REALISTIC.items():
        policy = re.sub(rf"\$\{{{expression}\}}", value.format(name=name), policy)
    assert "${" not in policy
    return len(re.sub(r"\s", "", policy))


@pytest.mark.parametrize("keys", [{}, {"bucket_kms_key_arn": LONG_KEY, "parameter_kms_key_arn": LONG_KEY}])
def test_the_docs_say_how_many_clusters_a_role_has_room_for(stack: TerraformStack, keys: dict[str, str]) -> None:
    name = "analytics"
    cluster = SparkCluster(stack, "spark", **{**REQUIRED, "name": name, **keys})
    cluster.storage.grant_read_write_data("job-role")
    cluster.grant_submit("job-role", security_group_id="sg-9")
    found = Synthesized(stack)
    taken = sum(length(body["policy"], name) for body in policies_of(found, "job-role"))
    said = " ".join(Path("docs/stacks.md").read_text(encoding="utf-8").split())
    room = limits.ROLE_POLICY_CHARACTERS // taken
    assert f"{taken:,} characters{' with' if keys else ''}" in said
    assert f"for {room} {'with keys' if keys else 'clusters'}" in said
