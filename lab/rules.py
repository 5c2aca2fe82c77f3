"""What AWS refuses beyond the models of its services: each rule of a call that Terraform or a node makes, and its page.

A rule with a `broken` of its own is held here, before moto, in both emulators; one without says who else holds it, or
why nobody does. docs/aws.md is made of them.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.iam.models import iam_backends
from moto.route53.models import route53_backends
from moto.s3.models import s3_backends

from .refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, InstanceState
    from moto.ec2.models import EC2Backend

    from .service_models import Call

_PARTITION = "aws"
_UNIT = "tests/unit/test_emulated_aws.py::"
_AUTO_SCALING = "https://docs.aws.amazon.com/autoscaling/ec2/"
_EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/"
_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/"

MEMBERS_OF_A_PROTECTION = 50
USER_DATA_BYTES = 16_384
ROLE_POLICY_CHARACTERS = 10_240
TRUST_POLICY_CHARACTERS = 2048
BUCKET_POLICY_BYTES = 20 * 1024
PARAMETER_BYTES = 4096
LOWEST_SPOT_PRICE = 0.001
GP3_IOPS = (3_000, 80_000)
GP3_IOPS_PER_GIB = 500
GP3_THROUGHPUT_MIBPS = (125, 2_000)
GP3_MIBPS_PER_IOPS = 0.25
SPOT_STRATEGIES = {"lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}
HEALTH_CHECKS = {"EC2", "EBS", "ELB", "VPC_LATTICE"}
MISSING_DATA = {"breaching", "notBreaching", "ignore", "missing"}
DAY_SECONDS = 86_400
METRICS_OF_A_CALL = 1000
LARGEST_METRIC = 2.0**360
HOUR_SECONDS = 3600
PROCESSES = {
    *("Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck"),
    *("InstanceRefresh", "ReplaceUnhealthy", "ScheduledActions"),
}
SIGNS = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
"""What descriptions of security groups and their rules consist of."""


@dataclass(frozen=True)
class Rule:
    """A rule of AWS's.

    Attributes:
        calls: the operations that it is about, such as `ec2:RunInstances`.
        argument: which of their arguments.
        words: what it says, after "must".
        page: where AWS says so.
        status: the error's HTTP status, if it is held here.
        code: the error's code, if it is held here.
        broken: what is wrong with a call, or None if nothing is.
        holder: who else holds it: moto, or another module of the lab.
        test: the test that shows that it is held.
        unheld: why no emulator holds us to it; empty if one does.
    """

    calls: tuple[str, ...]
    argument: str
    words: str
    page: str
    status: str = "400 Bad Request"
    code: str = ""
    broken: Callable[[Call], str | None] | None = None
    holder: str = ""
    test: str = ""
    unheld: str = ""


def check(call: Call) -> None:
    """Refuse a call that breaks one of the rules.

    Raises:
        RefusedError: by the code and with a message such as AWS's.
    """
    for rule in RULES:
        if rule.broken and f"{call.service}:{call.operation}" in rule.calls and (message := rule.broken(call)):
            raise RefusedError(rule.status, rule.code, message)


# --- Auto Scaling ------------------------------------------------------------------------------------------------


def _sizes(call: Call) -> str | None:
    group = _group(call)
    smallest = call.arguments.get("MinSize", group.min_size if group else None)
    largest = call.arguments.get("MaxSize", group.max_size if group else None)
    desired = call.arguments.get("DesiredCapacity", smallest)
    if smallest is None or largest is None:
        return None
    if smallest > largest:
        return f"Min bound, {smallest}, must be less than or equal to max bound, {largest}"
    if not smallest <= desired <= largest:
        between = f"between the specified min size:{smallest} and max size:{largest}"
        return f"Desired capacity:{desired} must be {between}"
    return None


def _members(call: Call) -> str | None:
    group = _group(call)
    held = group and group.instance_states and not call.arguments.get("ForceDelete")
    return "You cannot delete an AutoScalingGroup while there are instances in it" if held else None


def _group(call: Call) -> FakeAutoScalingGroup | None:
    groups = autoscaling_backends[DEFAULT_ACCOUNT_ID][call.region].autoscaling_groups
    return groups.get(call.arguments["AutoScalingGroupName"])


def managed(backend: AutoScalingBackend, instance_id: str) -> tuple[FakeAutoScalingGroup, InstanceState]:
    """The group that has an instance, and the instance as its member.

    Raises:
        ValidationError: none has it.
    """
    for group in backend.autoscaling_groups.values():
        for member in group.instance_states:
            if member.instance.id == instance_id:
                return group, member
    message = f"Instance Id not found - No managed instance found for instance ID: {instance_id}"
    raise ValidationError(message)


def sizes_forbid(group: FakeAutoScalingGroup, change: int, what: str) -> str | None:
    """Why so many members more or fewer may not be desired; None if they may."""
    least, most, desired = group.min_size or 0, group.max_size or 0, group.desired_capacity or 0
    if least <= desired + change <= most:
        return None
    count = f"{abs(change)} instance{'' if abs(change) == 1 else 's'}"
    return (
        f"AutoScalingGroup {group.name} has min-size={least}, max-size={most}, and desired-size={desired}. "
        f"To {what} {count}, please update the AutoScalingGroup sizes appropriately."
    )


def _member_to_end(call: Call) -> str | None:
    backend = autoscaling_backends[DEFAULT_ACCOUNT_ID][call.region]
    try:
        group, _ = managed(backend, call.arguments.get("InstanceId", ""))
    except ValidationError as missing:
        return str(missing.message)
    if not call.arguments["ShouldDecrementDesiredCapacity"] or (group.desired_capacity or 0) > (group.min_size or 0):
        return None
    return (
        f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement will "
        "violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower "
        "group's min size."
    )


def _into_standby(call: Call) -> str | None:
    group, names = _group(call), call.arguments.get("InstanceIds", [])
    if group is None:
        return "AutoScalingGroup name not found"
    states = {member.instance.id: member.lifecycle_state for member in group.instance_states}
    for name in names:
        if states.get(name) != "InService":
            return f"The instance {name} is not in InService."
    lowered = len(names) if call.arguments["ShouldDecrementDesiredCapacity"] else 0
    return sizes_forbid(group, -lowered, "place into standby")


def protection_forbids(group: FakeAutoScalingGroup, names: Sequence[str]) -> str | None:
    """Why Auto Scaling would change the protection of none of these; `None` if it would.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceProtection.html
    """
    if len(names) > MEMBERS_OF_A_PROTECTION:
        return f"A call may name {MEMBERS_OF_A_PROTECTION} instances, got {len(names)}"
    states = {member.instance.id: member.lifecycle_state for member in group.instance_states}
    for name in names:
        if name not in states:
            return f"The instance {name} is not part of Auto Scaling group {group.name}."
        if states[name] not in {"InService", "EnteringStandby", "Standby"}:
            return f"The instance {name} is not in InService or EnteringStandby or Standby."
    return None


def _protectable(call: Call) -> str | None:
    group = _group(call)
    if group is None:
        return "AutoScalingGroup name not found"
    return protection_forbids(group, call.arguments.get("InstanceIds", []))


def health_forbids(status: object) -> str | None:
    """Why Auto Scaling would not take this for a member's health; `None` if it would."""
    return None if status in {"Healthy", "Unhealthy"} else f"{status} is no health status: Healthy or Unhealthy"


def _health(call: Call) -> str | None:
    try:
        managed(autoscaling_backends[DEFAULT_ACCOUNT_ID][call.region], call.arguments.get("InstanceId", ""))
    except ValidationError as missing:
        return str(missing.message)
    return health_forbids(call.arguments.get("HealthStatus"))


def _overrides(call: Call) -> str | None:
    mixed = call.arguments.get("MixedInstancesPolicy", {})
    types = {one.get("InstanceType") for one in mixed.get("LaunchTemplate", {}).get("Overrides", [])}
    return f"A group may have 40 instance types, got {len(types)}" if len(types) > 40 else None


def _distribution(call: Call) -> str | None:
    said = call.arguments.get("MixedInstancesPolicy", {}).get("InstancesDistribution", {})
    price, strategy = said.get("SpotMaxPrice", ""), said.get("SpotAllocationStrategy", "lowest-price")
    if price and not (re.fullmatch(r"\d+(\.\d+)?", price) and float(price) >= LOWEST_SPOT_PRICE):
        return f"SpotMaxPrice must be a number of at least {LOWEST_SPOT_PRICE}, got {price}"
    if strategy not in SPOT_STRATEGIES:
        return f"{strategy} is no strategy for spot instances"
    if not 0 <= said.get("OnDemandPercentageAboveBaseCapacity", 100) <= 100:
        return "OnDemandPercentageAboveBaseCapacity must be between 0 and 100"
    return "OnDemandBaseCapacity must not be negative" if said.get("OnDemandBaseCapacity", 0) < 0 else None


def _hook_words(call: Call) -> str | None:
    transition = call.arguments.get("LifecycleTransition", "").removeprefix("autoscaling:EC2_INSTANCE_")
    result = call.arguments.get("DefaultResult", "ABANDON")
    if transition not in {"", "LAUNCHING", "TERMINATING"}:
        return f"{call.arguments['LifecycleTransition']} is not a transition"
    return None if result in {"ABANDON", "CONTINUE"} else f"{result} is not a result of a lifecycle action"


def _heartbeat(call: Call) -> str | None:
    seconds = call.arguments.get("HeartbeatTimeout", HOUR_SECONDS)
    return None if 30 <= seconds <= 7200 else "Heartbeat timeout must be between 30 and 7200 seconds"


def _processes(call: Call) -> str | None:
    unknown = set(call.arguments.get("ScalingProcesses", [])) - PROCESSES
    return f"{', '.join(sorted(unknown))}: unknown scaling process" if unknown else None


def _scaling_adjustment(call: Call) -> str | None:
    simple = call.arguments.get("PolicyType", "SimpleScaling") == "SimpleScaling"
    missing = [name for name in ("AdjustmentType", "ScalingAdjustment") if name not in call.arguments]
    kind = call.arguments.get("AdjustmentType", "ChangeInCapacity")
    if kind not in {"ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"}:
        return f"{kind} is not an AdjustmentType"
    if kind == "ExactCapacity" and call.arguments.get("ScalingAdjustment", 0) < 0:
        return "ScalingAdjustment must not be negative for an exact capacity"
    return f"{missing[0]} must be specified for a simple scaling policy" if simple and missing else None


def _group_words(call: Call) -> str | None:
    kinds = set(filter(None, call.arguments.get("HealthCheckType", "").split(",")))
    tagged = {tag.get("ResourceType", "auto-scaling-group") for tag in call.arguments.get("Tags", [])}
    if ":" in call.arguments["AutoScalingGroupName"]:
        return "The name of a group has no colon"
    if not kinds <= HEALTH_CHECKS:
        return f"{', '.join(sorted(kinds - HEALTH_CHECKS))} is not a HealthCheckType"
    return "ResourceType must be auto-scaling-group" if tagged - {"auto-scaling-group"} else None


def _healthy_percentages(call: Call) -> str | None:
    said = call.arguments.get("Preferences", {})
    if "MaxHealthyPercentage" in said and "MinHealthyPercentage" not in said:
        return "MinHealthyPercentage must be there if MaxHealthyPercentage is"
    most = said.get("MaxHealthyPercentage")
    least = said.get("MinHealthyPercentage", 90)
    if most is None or most - least <= 100:
        return None
    return "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be greater than 100"


# --- EC2 ---------------------------------------------------------------------------------------------------------


def _ec2(call: Call) -> EC2Backend:
    return ec2_backends[DEFAULT_ACCOUNT_ID][call.region]


def _user_data(call: Call) -> str | None:
    data = call.arguments.get("LaunchTemplateData", call.arguments).get("UserData", "")
    too_long = len(base64.b64decode(data)) > USER_DATA_BYTES
    return f"User data is limited to {USER_DATA_BYTES} bytes" if too_long else None


def _hop_limit(call: Call) -> str | None:
    options = call.arguments.get("LaunchTemplateData", call.arguments).get("MetadataOptions", {})
    hops = options.get("HttpPutResponseHopLimit", 1)
    return None if 1 <= hops <= 64 else f"HttpPutResponseHopLimit must be between 1 and 64, got {hops}"


def _gp3(call: Call) -> str | None:
    """The messages are EC2's own."""
    for mapping in call.arguments.get("LaunchTemplateData", call.arguments).get("BlockDeviceMappings", []):
        volume = mapping.get("Ebs", {})
        if volume.get("VolumeType") != "gp3":
            continue
        iops, throughput = volume.get("Iops", GP3_IOPS[0]), volume.get("Throughput", GP3_THROUGHPUT_MIBPS[0])
        if not GP3_IOPS[0] <= iops <= GP3_IOPS[1]:
            return f"Volume iops of {iops} is not between {GP3_IOPS[0]} and {GP3_IOPS[1]}, as gp3 has it"
        if not GP3_THROUGHPUT_MIBPS[0] <= throughput <= GP3_THROUGHPUT_MIBPS[1]:
            least, most = GP3_THROUGHPUT_MIBPS
            return f"Throughput of {throughput} MiBps is not between {least} and {most}, as gp3 has it"
        if iops > GP3_IOPS[0] and iops > volume.get("VolumeSize", iops) * GP3_IOPS_PER_GIB:
            ratio = iops / volume["VolumeSize"]
            return f"Iops to volume size ratio of {ratio:f} is too high; maximum is {GP3_IOPS_PER_GIB} IOPS per GiB"
        if throughput > iops * GP3_MIBPS_PER_IOPS:
            ratio = throughput / iops
            return f"Throughput (MiBps) to iops ratio of {ratio:f} is too high; maximum is {GP3_MIBPS_PER_IOPS:f}"
    return None


def _page_size(call: Call) -> str | None:
    size = call.arguments.get("MaxResults", 5)
    return None if 5 <= size <= 1000 else f"Value ( {size} ) for parameter maxResults is invalid: expected 5 to 1000"


def _records(call: Call) -> str | None:
    return "MaxRecords must be 1 to 100" if not 1 <= call.arguments.get("MaxRecords", 1) <= 100 else None


def _key_pair(call: Call) -> str | None:
    name = call.arguments.get("KeyName")
    return None if name is None or name in _ec2(call).key_pairs else f"The key pair '{name}' does not exist"


def _interfaces(call: Call) -> str | None:
    apart = {"SecurityGroupIds", "SecurityGroups", "SubnetId"} & call.arguments.keys()
    if not (apart and call.arguments.get("NetworkInterfaces")):
        return None
    return "Network interfaces and an instance-level subnet ID or security groups may not be specified on one request"


def _offered(call: Call) -> str | None:
    subnet = _subnet(call)
    if subnet is None:
        return None
    kind, zone = call.arguments.get("InstanceType", "m1.small"), subnet.availability_zone
    offers = INSTANCE_TYPE_OFFERINGS["availability-zone"][call.region]
    if any(one["InstanceType"] == kind and one["Location"] == zone for one in offers):
        return None
    return f"Your requested instance type ({kind}) is not supported in your requested Availability Zone ({zone})"


def _subnet(call: Call) -> Any:
    interfaces = call.arguments.get("NetworkInterfaces", [{}])
    wanted = call.arguments.get("SubnetId", interfaces[0].get("SubnetId"))
    return next((zone[wanted] for zone in _ec2(call).subnets.values() if wanted in zone), None)


def _tags(call: Call) -> str | None:
    specified = [*call.arguments.get("TagSpecifications", [])]
    specified += call.arguments.get("LaunchTemplateData", {}).get("TagSpecifications", [])
    for tags in [call.arguments.get("Tags", []), *(one.get("Tags", []) for one in specified)]:
        for tag in tags:
            key, value = tag.get("Key", ""), tag.get("Value", "")
            if not 1 <= len(key) <= 128:
                return f"Tag key exceeds the maximum length of 128 characters: {key}"
            if len(value) > 256:
                return f"Tag value exceeds the maximum length of 256 characters: {value}"
            if key.lower().startswith("aws:"):
                return f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
    return None


def _descriptions(call: Call) -> str | None:
    bad = [text for text in _described(call.arguments) if not SIGNS.fullmatch(text)]
    return f"Invalid description '{bad[0]}': it has signs other than {SIGNS.pattern}" if bad else None


def _described(arguments: dict[str, Any]) -> Iterator[str]:
    if "Description" in arguments:
        yield arguments["Description"]
    for rule in arguments.get("IpPermissions", []):
        for kind in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"):
            yield from (source["Description"] for source in rule.get(kind, []) if "Description" in source)


# --- IAM ---------------------------------------------------------------------------------------------------------


def _size(document: str) -> int:
    """IAM counts no white space."""
    return len(re.sub(r"\s", "", document))


def _role_policies(call: Call) -> str | None:
    asked = call.arguments
    roles = iam_backends[DEFAULT_ACCOUNT_ID][_PARTITION].roles.values()
    role = next((role for role in roles if role.name == asked["RoleName"]), None)
    others = [text for name, text in role.policies.items() if name != asked["PolicyName"]] if role else []
    if sum(map(_size, [*others, asked["PolicyDocument"]])) <= ROLE_POLICY_CHARACTERS:
        return None
    return f"Maximum policy size of {ROLE_POLICY_CHARACTERS} bytes exceeded for role {asked['RoleName']}"


def _trust_policy(call: Call) -> str | None:
    too_long = _size(call.arguments["AssumeRolePolicyDocument"]) > TRUST_POLICY_CHARACTERS
    return f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARACTERS}" if too_long else None


# --- S3 ----------------------------------------------------------------------------------------------------------


def _statements(call: Call) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call.arguments["Policy"])["Statement"]
    return found


def _bucket_resources(call: Call) -> str | None:
    own = f"arn:{_PARTITION}:s3:::{call.arguments['Bucket']}"
    for statement in _statements(call):
        named = statement.get("Resource", statement.get("NotResource", []))
        for arn in [named] if isinstance(named, str) else named:
            if arn != own and not arn.startswith(f"{own}/"):
                return "Policy has invalid resource"
    return None


def _bucket_principals(call: Call) -> str | None:
    roles = {role.arn for role in iam_backends[DEFAULT_ACCOUNT_ID][_PARTITION].roles.values()}
    for statement in _statements(call):
        principal = statement.get("Principal", {})
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        for arn in [named] if isinstance(named, str) else named:
            if ":role/" in arn and arn not in roles:
                return "Invalid principal in policy"
    return None


def _bucket_policy(call: Call) -> str | None:
    too_long = len(call.arguments["Policy"].encode()) > BUCKET_POLICY_BYTES
    return "The policy is larger than the maximum size of 20 KB" if too_long else None


def _empty_range(call: Call) -> str | None:
    bucket = s3_backends[DEFAULT_ACCOUNT_ID][_PARTITION].buckets.get(call.arguments["Bucket"])
    key = bucket.keys.get(call.arguments["Key"]) if bucket and "Range" in call.arguments else None
    return "The requested range is not satisfiable" if key is not None and key.size == 0 else None


def _lifecycle(call: Call) -> str | None:
    configured = call.arguments["LifecycleConfiguration"]["Rules"]
    ids = [one["ID"] for one in configured if "ID" in one]
    if len(set(ids)) < len(ids):
        return "Rule ID must be unique. Found same ID for more than one rule"
    if any(len(one) > 255 for one in ids):
        return "ID length should not exceed allowed limit of 255"
    days = [one.get("Expiration", {}).get("Days", 1) for one in configured]
    days += [one.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 1) for one in configured]
    return "'Days' must be a positive integer" if min(days) < 1 else None


# --- Systems Manager, CloudWatch, Route 53 -----------------------------------------------------------------------


def _parameter_size(call: Call) -> str | None:
    standard = call.arguments.get("Tier", "Standard") == "Standard"
    too_long = len(call.arguments.get("Value", "").encode()) > PARAMETER_BYTES
    message = f"Standard tier parameters support a maximum parameter value of {PARAMETER_BYTES} characters"
    if "{{" in call.arguments.get("Value", ""):
        return "Parameter value cannot contain {{ or }}"
    return message if standard and too_long else None


def _parameter_name(call: Call) -> str | None:
    name = call.arguments["Name"]
    levels = name.strip("/").split("/")
    if "//" in name or len(levels) > 15:
        return f"Parameter name {name} has empty levels, or more than fifteen"
    if not re.fullmatch(r"[a-zA-Z0-9_.\-/]+", name) or ("/" in name and not name.startswith("/")):
        return f"Parameter name {name} has other signs than a-zA-Z0-9_.-, or levels and no / at its beginning"
    own = f"arn:{_PARTITION}:ssm:{call.region}:{DEFAULT_ACCOUNT_ID}:parameter/{name.strip('/')}"
    return "Parameter name is longer than 1011 characters, its ARN included" if len(own) > 1011 else None


def _alarm_time(call: Call) -> str | None:
    period, periods = call.arguments.get("Period"), call.arguments.get("EvaluationPeriods", 1)
    treated = call.arguments.get("TreatMissingData", "missing")
    if treated not in MISSING_DATA:
        return f"{treated} is not a way to treat missing data in a period"
    if period is None:
        return None
    if period not in {10, 20, 30} and period % 60:
        return "Period must be 10, 20, 30 or a multiple of 60"
    most = DAY_SECONDS if period < HOUR_SECONDS else 7 * DAY_SECONDS
    return f"Period times EvaluationPeriods must be at most {most} seconds" if period * periods > most else None


def _metrics(call: Call) -> str | None:
    if call.arguments["Namespace"].startswith("AWS/"):
        return "The value AWS/ for parameter Namespace is invalid"
    if len(call.arguments.get("MetricData", [])) > METRICS_OF_A_CALL:
        return f"The collection MetricData must not have a size greater than {METRICS_OF_A_CALL}"
    values = [one["Value"] for one in call.arguments.get("MetricData", []) if "Value" in one]
    # Of one that is no number neither holds.
    return None if all(abs(value) <= LARGEST_METRIC for value in values) else "The value of a metric is out of range"


def _dashboard(call: Call) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", call.arguments["DashboardName"]):
        return "The value for field DashboardName contains invalid characters"
    try:
        body = json.loads(call.arguments["DashboardBody"])
    except ValueError:
        return "The field DashboardBody must be a valid JSON object"
    has_widgets = isinstance(body, dict) and isinstance(body.get("widgets"), list)
    return None if has_widgets else "The dashboard body is invalid: it should have the property widgets"


def _private_zone(call: Call) -> str | None:
    vpc, name = call.arguments.get("VPC", {}).get("VPCId"), call.arguments["Name"].rstrip(".")
    zones = route53_backends[DEFAULT_ACCOUNT_ID][_PARTITION].zones.values()
    same = [zone for zone in zones if zone.name.rstrip(".") == name and vpc in {one["VPCId"] for one in zone.vpcs}]
    return f"The VPC {vpc} has a hosted zone {name} already" if vpc and same else None


_GROUP_CALLS = ("autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup")
_TEMPLATE_CALLS = ("ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion")
_RULE_CALLS = ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress")

RULES: tuple[Rule, ...] = (
    Rule(
        calls=_GROUP_CALLS,
        argument="MinSize, DesiredCapacity, MaxSize",
        words="be in this order",
        page=f"{_AUTO_SCALING}APIReference/API_CreateAutoScalingGroup.html",
        code="ValidationError",
        broken=_sizes,
        test=f"{_UNIT}test_sizes_out_of_order_are_refused",
    ),
    Rule(
        calls=_GROUP_CALLS,
        argument="MixedInstancesPolicy.LaunchTemplate.Overrides",
        words="have at most 40 instance types",
        page="https://docs.aws.amazon.com/cdk/api/v1/python/aws_cdk.aws_autoscaling/MixedInstancesPolicy.html",
        code="ValidationError",
        broken=_overrides,
        test=f"{_UNIT}test_more_than_forty_instance_types_are_refused",
    ),
    Rule(
        calls=_GROUP_CALLS,
        argument="AutoScalingGroupName, HealthCheckType, Tags[].ResourceType",
        words=f"have no colon; be among {', '.join(sorted(HEALTH_CHECKS))}; be `auto-scaling-group`",
        page=f"{_AUTO_SCALING}APIReference/API_CreateAutoScalingGroup.html",
        code="ValidationError",
        broken=_group_words,
        test=f"{_UNIT}test_words_that_a_group_has_not_are_refused",
    ),
    Rule(
        calls=_GROUP_CALLS,
        argument="MixedInstancesPolicy.InstancesDistribution",
        words=(
            "have a `SpotMaxPrice` of 0.001 or more, `OnDemandPercentageAboveBaseCapacity` of 0 to 100, no negative "
            f"`OnDemandBaseCapacity`, and a `SpotAllocationStrategy` among {', '.join(sorted(SPOT_STRATEGIES))}"
        ),
        page=f"{_AUTO_SCALING}APIReference/API_InstancesDistribution.html",
        code="ValidationError",
        broken=_distribution,
        test=f"{_UNIT}test_a_distribution_that_auto_scaling_has_not_is_refused",
    ),
    Rule(
        calls=_GROUP_CALLS,
        argument="MixedInstancesPolicy",
        words="name instance types and no `InstanceRequirements` if the template names a parameter for the AMI",
        page="https://github.com/hashicorp/terraform-provider-aws/issues/38767",
        unheld="the construct has no instance requirements",
    ),
    Rule(
        calls=_GROUP_CALLS,
        argument="VPCZoneIdentifier",
        words="name subnets of one VPC",
        page=f"{_AUTO_SCALING}userguide/asg-in-vpc.html",
        test="tests/deploy/test_mistakes.py::test_subnet_of_another_vpc_is_refused_before_anything_is_made",
        unheld="the plan refuses them before AWS is asked",
    ),
    Rule(
        calls=("autoscaling:CreateAutoScalingGroup",),
        argument="the launches that follow",
        words="fit quota, capacity and plan: one that does not is a `Failed` activity, whose message ends the deploy",
        page=f"{_AUTO_SCALING}userguide/CHAP_Troubleshooting.html",
        holder="lab/activities.py",
        test=(
            "tests/deploy/test_mistakes.py::"
            "test_a_first_deploy_that_cannot_get_workers_says_why_and_the_next_one_goes_on"
        ),
    ),
    Rule(
        calls=("autoscaling:PutLifecycleHook",),
        argument="HeartbeatTimeout",
        words="be 30 to 7200",
        page=f"{_AUTO_SCALING}APIReference/API_PutLifecycleHook.html",
        code="ValidationError",
        broken=_heartbeat,
        test=f"{_UNIT}test_a_hooks_time_out_of_bounds_is_refused",
    ),
    Rule(
        calls=("autoscaling:PutLifecycleHook",),
        argument="LifecycleTransition, DefaultResult",
        words="be `autoscaling:EC2_INSTANCE_LAUNCHING` or `…_TERMINATING`, and `ABANDON` or `CONTINUE`",
        page=f"{_AUTO_SCALING}APIReference/API_PutLifecycleHook.html",
        code="ValidationError",
        broken=_hook_words,
        test=f"{_UNIT}test_words_that_a_hook_has_not_are_refused",
    ),
    Rule(
        calls=("autoscaling:CompleteLifecycleAction",),
        argument="LifecycleHookName, InstanceId",
        words="name a hook that holds this instance now",
        page=f"{_AUTO_SCALING}APIReference/API_CompleteLifecycleAction.html",
        holder="lab/lifecycle_hooks.py",
        test="tests/unit/test_groups.py::test_a_hook_whose_time_is_over_ends_by_its_default",
    ),
    Rule(
        calls=("autoscaling:TerminateInstanceInAutoScalingGroup",),
        argument="InstanceId, ShouldDecrementDesiredCapacity",
        words="name a member; the desired size is not lowered below the minimum",
        page=f"{_AUTO_SCALING}APIReference/API_TerminateInstanceInAutoScalingGroup.html",
        code="ValidationError",
        broken=_member_to_end,
        test=f"{_UNIT}test_only_a_member_is_ended_and_not_below_the_minimum",
    ),
    Rule(
        calls=("autoscaling:EnterStandby",),
        argument="InstanceIds, ShouldDecrementDesiredCapacity",
        words="name members in service; the desired size is not lowered below the minimum",
        page=f"{_AUTO_SCALING}APIReference/API_EnterStandby.html",
        code="ValidationError",
        broken=_into_standby,
        test=f"{_UNIT}test_only_members_in_service_go_into_standby_and_not_below_the_minimum",
    ),
    Rule(
        calls=("autoscaling:SetInstanceProtection",),
        argument="InstanceIds",
        words="name at most 50 members, each in service or standby; if one of them is not, none is changed",
        page=f"{_AUTO_SCALING}APIReference/API_SetInstanceProtection.html",
        code="ValidationError",
        broken=_protectable,
        test=f"{_UNIT}test_fifty_members_at_most_are_protected_and_only_those_in_service",
    ),
    Rule(
        calls=("autoscaling:SetInstanceHealth",),
        argument="InstanceId, HealthStatus",
        words="name a member, and be `Healthy` or `Unhealthy`",
        page=f"{_AUTO_SCALING}APIReference/API_SetInstanceHealth.html",
        code="ValidationError",
        broken=_health,
        test=f"{_UNIT}test_only_a_member_has_a_health_and_it_is_one_of_two_words",
    ),
    Rule(
        calls=("autoscaling:StartInstanceRefresh",),
        argument="Preferences.SkipMatching, DesiredConfiguration",
        words="not be there if the template names a parameter for the AMI",
        page=f"{_AUTO_SCALING}userguide/using-systems-manager-parameters.html",
        holder="lab/emulated_aws.py",
        test="tests/deploy/test_main.py::test_refresh_that_aws_refuses_for_a_template_with_a_parameter_is_refused",
    ),
    Rule(
        calls=("autoscaling:StartInstanceRefresh",),
        argument="Preferences.MinHealthyPercentage, MaxHealthyPercentage",
        words="come together, and differ by at most 100",
        page=f"{_AUTO_SCALING}APIReference/API_RefreshPreferences.html",
        code="ValidationError",
        broken=_healthy_percentages,
        test=f"{_UNIT}test_healthy_percentages_differ_by_at_most_100",
    ),
    Rule(
        calls=("autoscaling:SuspendProcesses",),
        argument="ScalingProcesses",
        words=f"be among {', '.join(sorted(PROCESSES))}",
        page=f"{_AUTO_SCALING}APIReference/API_SuspendProcesses.html",
        code="ValidationError",
        broken=_processes,
        test=f"{_UNIT}test_an_unknown_process_is_not_suspended",
    ),
    Rule(
        calls=("autoscaling:PutScalingPolicy",),
        argument="AdjustmentType, ScalingAdjustment",
        words="be there for a simple policy; `ChangeInCapacity`, `ExactCapacity` or `PercentChangeInCapacity`",
        page=f"{_AUTO_SCALING}APIReference/API_PutScalingPolicy.html",
        code="ValidationError",
        broken=_scaling_adjustment,
        test=f"{_UNIT}test_a_step_of_a_policy_needs_its_size",
    ),
    Rule(
        calls=("autoscaling:DeleteAutoScalingGroup",),
        argument="AutoScalingGroupName",
        words="name a group without instances and activities, unless `ForceDelete` is set",
        page=f"{_AUTO_SCALING}APIReference/API_DeleteAutoScalingGroup.html",
        code="ResourceInUse",
        broken=_members,
        test=f"{_UNIT}test_a_group_with_members_is_not_deleted",
    ),
    Rule(
        calls=("ec2:RunInstances", *_TEMPLATE_CALLS),
        argument="UserData",
        words=f"have at most {USER_DATA_BYTES} bytes before it is encoded",
        page=f"{_EC2}UserGuide/user-data.html",
        code="InvalidParameterValue",
        broken=_user_data,
        test=f"{_UNIT}test_user_data_over_16_kib_is_refused",
    ),
    Rule(
        calls=("ec2:RunInstances", *_TEMPLATE_CALLS),
        argument="MetadataOptions.HttpPutResponseHopLimit",
        words="be 1 to 64",
        page=f"{_EC2}APIReference/API_InstanceMetadataOptionsRequest.html",
        code="InvalidParameterValue",
        broken=_hop_limit,
        test=f"{_UNIT}test_more_hops_than_64_are_refused",
    ),
    Rule(
        calls=("ec2:RunInstances", *_TEMPLATE_CALLS),
        argument="BlockDeviceMappings[].Ebs",
        words=(
            f"have {GP3_IOPS[0]} to {GP3_IOPS[1]} `Iops` and no more than {GP3_IOPS_PER_GIB} for each GiB, "
            f"{GP3_THROUGHPUT_MIBPS[0]} to {GP3_THROUGHPUT_MIBPS[1]} `Throughput` and no more than a quarter of "
            "`Iops`, if it is gp3 (of a template EC2 says so when it launches)"
        ),
        page="https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html",
        code="InvalidParameterValue",
        broken=_gp3,
        test=f"{_UNIT}test_a_volume_that_gp3_is_not_is_refused",
    ),
    Rule(
        calls=("autoscaling:DescribeScalingActivities", "autoscaling:DescribeAutoScalingGroups"),
        argument="MaxRecords",
        words="be 1 to 100",
        page=f"{_AUTO_SCALING}APIReference/API_DescribeScalingActivities.html",
        code="ValidationError",
        broken=_records,
        test=f"{_UNIT}test_more_than_a_hundred_activities_are_refused",
    ),
    Rule(
        calls=("s3:UploadPart", "s3:CompleteMultipartUpload"),
        argument="Body, PartNumber",
        words="be 5 MiB or more but for the last part; be 1 to 10,000",
        page=f"{_S3}userguide/qfacts.html",
        holder="moto",
        test=f"{_UNIT}test_small_parts_and_high_numbers_are_refused",
    ),
    Rule(
        calls=("s3:GetObject",),
        argument="Range",
        words="have something in it: an empty object has no range",
        page=f"{_S3}API/API_GetObject.html",
        status="416 Requested Range Not Satisfiable",
        code="InvalidRange",
        broken=_empty_range,
        test=f"{_UNIT}test_an_empty_object_has_no_range",
    ),
    Rule(
        calls=("s3:GetObject",),
        argument="IfMatch",
        words="be the ETag that the object has now",
        page=f"{_S3}API/API_GetObject.html",
        holder="moto",
        test="tests/unit/test_permissions.py::test_a_get_is_conditional_and_of_a_range",
    ),
    Rule(
        calls=("ec2:DescribeInstances",),
        argument="MaxResults",
        words="be 5 to 1000",
        page=f"{_EC2}APIReference/API_DescribeInstances.html",
        code="InvalidParameterValue",
        broken=_page_size,
        test=f"{_UNIT}test_pages_of_more_than_a_thousand_instances_are_refused",
    ),
    Rule(
        calls=("ec2:RunInstances",),
        argument="KeyName",
        words="name a key pair of the region",
        page=f"{_EC2}APIReference/errors-overview.html",
        code="InvalidKeyPair.NotFound",
        broken=_key_pair,
        test=f"{_UNIT}test_a_key_pair_that_is_not_there_is_refused",
    ),
    Rule(
        calls=("ec2:RunInstances",),
        argument="NetworkInterfaces, SubnetId, SecurityGroupIds",
        words="not stand side by side: with an interface, subnet and groups are its own",
        page=f"{_EC2}APIReference/API_RunInstances.html",
        code="InvalidParameterCombination",
        broken=_interfaces,
        test=f"{_UNIT}test_security_groups_stand_with_the_interface_or_with_the_instance",
    ),
    Rule(
        calls=("ec2:RunInstances",),
        argument="InstanceType, SubnetId",
        words="go together: not every zone has every type",
        page=f"{_EC2}UserGuide/instance-discovery.html",
        code="Unsupported",
        broken=_offered,
        test=f"{_UNIT}test_a_type_that_the_zone_has_not_is_refused",
    ),
    Rule(
        calls=("ec2:RunInstances",),
        argument="IamInstanceProfile",
        words="name a profile that EC2 knows already; a new one takes some seconds",
        page=f"{_IAM}troubleshoot.html",
        unheld="the provider tries again for two minutes, as it does for a group's template",
    ),
    Rule(
        calls=("ec2:RunInstances", *_TEMPLATE_CALLS),
        argument="BlockDeviceMappings.Ebs.VolumeSize",
        words="be at least the AMI's snapshot, and at most 65,536 GiB for gp3",
        page="https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html",
        unheld="the construct takes 16 to 65,536 GiB; public AMIs have 8",
    ),
    Rule(
        calls=("ec2:CreateTags", "ec2:RunInstances", "ec2:CreateSecurityGroup", *_RULE_CALLS, *_TEMPLATE_CALLS),
        argument="Tags",
        words="have keys of 1 to 128 characters that do not begin with `aws:`, and values of at most 256",
        page=f"{_EC2}UserGuide/Using_Tags.html",
        code="InvalidParameterValue",
        broken=_tags,
        test=f"{_UNIT}test_tags_that_ec2_has_not_are_refused",
    ),
    Rule(
        calls=("ec2:CreateSecurityGroup", *_RULE_CALLS),
        argument="Description",
        words="have at most 255 of these: a-z, A-Z, 0-9, space and `._-:/()#,@[]+=&;{}!$*`",
        page=f"{_EC2}APIReference/API_CreateSecurityGroup.html",
        code="InvalidParameterValue",
        broken=_descriptions,
        test=f"{_UNIT}test_descriptions_of_security_groups_and_rules_have_few_signs",
    ),
    Rule(
        calls=_RULE_CALLS,
        argument="IpPermissions",
        words="not be there already",
        page=f"{_EC2}APIReference/errors-overview.html",
        holder="moto",
        test=f"{_UNIT}test_the_same_rule_twice_is_refused",
    ),
    Rule(
        calls=("iam:PutRolePolicy", "iam:CreatePolicy"),
        argument="PolicyDocument",
        words="have statements with actions and resources that IAM reads",
        page=f"{_IAM}reference_policies_grammar.html",
        holder="moto",
        test=f"{_UNIT}test_a_policy_that_iam_does_not_read_is_refused",
    ),
    Rule(
        calls=("iam:PutRolePolicy",),
        argument="PolicyDocument",
        words=f"have, together with the role's other inline policies, at most {ROLE_POLICY_CHARACTERS} characters",
        page=f"{_IAM}reference_iam-quotas.html",
        code="LimitExceeded",
        broken=_role_policies,
        test=f"{_UNIT}test_a_roles_policies_together_have_10240_characters",
    ),
    Rule(
        calls=("iam:CreateRole",),
        argument="AssumeRolePolicyDocument",
        words=f"have at most {TRUST_POLICY_CHARACTERS} characters",
        page=f"{_IAM}reference_iam-quotas.html",
        code="LimitExceeded",
        broken=_trust_policy,
        test=f"{_UNIT}test_a_trust_policy_has_2048_characters",
    ),
    Rule(
        calls=("iam:CreateRole", "iam:CreateInstanceProfile"),
        argument="Tags",
        words="differ in their keys by more than case",
        page=f"{_IAM}id_tags.html",
        holder="moto",
        test=f"{_UNIT}test_tags_that_differ_by_case_are_one_to_iam",
    ),
    Rule(
        calls=("s3:PutBucketPolicy",),
        argument="Policy",
        words="speak of this bucket and what is in it",
        page=f"{_S3}userguide/bucket-policies.html",
        code="MalformedPolicy",
        broken=_bucket_resources,
        test=f"{_UNIT}test_a_buckets_policy_speaks_of_that_bucket",
    ),
    Rule(
        calls=("s3:PutBucketPolicy",),
        argument="Policy",
        words="name roles that are there",
        page=f"{_S3}userguide/s3-bucket-user-policy-specifying-principal-intro.html",
        code="MalformedPolicy",
        broken=_bucket_principals,
        test=f"{_UNIT}test_a_buckets_policy_names_roles_that_are_there",
    ),
    Rule(
        calls=("s3:PutBucketPolicy",),
        argument="Policy",
        words="have at most 20 KB",
        page=f"{_S3}userguide/bucket-policies.html",
        code="MalformedPolicy",
        broken=_bucket_policy,
        test=f"{_UNIT}test_a_buckets_policy_over_20_kb_is_refused",
    ),
    Rule(
        calls=("s3:PutBucketLifecycleConfiguration",),
        argument="LifecycleConfiguration.Rules[]",
        words="have an ID of its own of at most 255 characters, and no days below 1",
        page=f"{_S3}API/API_PutBucketLifecycleConfiguration.html",
        code="InvalidArgument",
        broken=_lifecycle,
        test=f"{_UNIT}test_lifecycle_rules_that_s3_has_not_are_refused",
    ),
    Rule(
        calls=("s3:PutBucketEncryption", "s3:GetBucketEncryption"),
        argument="BlockedEncryptionTypes",
        words="be told as SSE-C for a new bucket; a plan that does not say so is never clean",
        page=f"{_S3}userguide/blocking-unblocking-s3-c-encryption-gpbucket.html",
        holder="lab/emulated_aws.py",
        test="tests/deploy/test_main.py::test_bucket_is_private_encrypted_versioned_and_tls_only",
    ),
    Rule(
        calls=("s3:PutObject",),
        argument="Tagging",
        words="have at most 10 tags",
        page=f"{_S3}userguide/object-tagging.html",
        holder="moto",
        test=f"{_UNIT}test_an_object_has_ten_tags",
    ),
    Rule(
        calls=("s3:DeleteBucket",),
        argument="Bucket",
        words="be empty, old versions included",
        page=f"{_S3}API/API_DeleteBucket.html",
        holder="moto",
        test="tests/deploy/test_removal.py::test_destroy_keeps_a_bucket_that_holds_something_and_names_it",
    ),
    Rule(
        calls=("ssm:PutParameter",),
        argument="Value",
        words=f"not be empty, have no `{{{{`, and at most {PARAMETER_BYTES} bytes in the standard tier",
        page="https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html",
        code="ValidationException",
        broken=_parameter_size,
        test=f"{_UNIT}test_parameters_that_ssm_has_not_are_refused",
    ),
    Rule(
        calls=("ssm:PutParameter",),
        argument="Name",
        words=(
            "consist of a-z, A-Z, 0-9 and `_.-/`, begin with `/` if it has levels, have at most 15 and none empty, "
            "have at most 1011 characters with its ARN, and not begin with `aws` or `ssm`"
        ),
        page="https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html",
        code="ValidationException",
        broken=_parameter_name,
        test=f"{_UNIT}test_parameters_that_ssm_has_not_are_refused",
    ),
    Rule(
        calls=("ssm:PutParameter",),
        argument="Tags",
        words="not come with `Overwrite`",
        page="https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html",
        holder="moto",
        test=f"{_UNIT}test_parameters_that_ssm_has_not_are_refused",
    ),
    Rule(
        calls=("cloudwatch:PutMetricAlarm",),
        argument="Period, EvaluationPeriods, TreatMissingData",
        words="be 10, 20, 30 or a multiple of 60 s, together at most a day (7 if the period is an hour); a known word",
        page="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
        code="ValidationError",
        broken=_alarm_time,
        test=f"{_UNIT}test_an_alarms_time_is_in_bounds",
    ),
    Rule(
        calls=("cloudwatch:PutMetricData",),
        argument="Namespace, MetricData",
        words=(
            "not begin with `AWS/`; have at most 1000 metrics, whose values are numbers from -2^360 to 2^360: no NaN "
            "and nothing infinite"
        ),
        page="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html",
        code="InvalidParameterValue",
        broken=_metrics,
        test=f"{_UNIT}test_metrics_that_cloudwatch_does_not_take_are_refused",
    ),
    Rule(
        calls=("cloudwatch:PutDashboard",),
        argument="DashboardName, DashboardBody",
        words="consist of 1 to 255 of A-Z, a-z, 0-9, `-` and `_`; be an object with `widgets`",
        page="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html",
        code="InvalidParameterInput",
        broken=_dashboard,
        test=f"{_UNIT}test_a_dashboard_has_a_plain_name_and_widgets",
    ),
    Rule(
        calls=("cloudwatch:PutDashboard",),
        argument="DashboardName",
        words="be no other dashboard's of the account, whatever its region: that one would be overwritten",
        page="https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html",
        test="tests/synth/test_metrics.py::test_the_dashboard_s_name_says_its_region",
        unheld="AWS overwrites it; the construct's name has the region in it",
    ),
    Rule(
        calls=("route53:CreateHostedZone",),
        argument="Name, VPC",
        words="not be those of another zone: a VPC has one private zone of a name",
        page="https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html",
        code="ConflictingDomainExists",
        broken=_private_zone,
        test=f"{_UNIT}test_a_vpc_has_one_private_zone_of_a_name",
    ),
    Rule(
        calls=("route53:CreateHostedZone",),
        argument="VPC",
        words="have both its DNS attributes on, or the zone answers nobody",
        page="https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-considerations.html",
        test="tests/synth/test_network.py::test_a_vpc_without_both_dns_attributes_is_refused_in_the_plan",
        unheld="AWS does not refuse it; the plan does",
    ),
    Rule(
        calls=("route53:ChangeResourceRecordSets",),
        argument="ChangeBatch",
        words="make records that are not there yet, and of this zone",
        page="https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html",
        holder="moto",
        test=f"{_UNIT}test_a_record_is_made_once_and_in_its_zone",
    ),
    Rule(
        calls=("route53:DeleteHostedZone",),
        argument="Id",
        words="name a zone without records of its own",
        page="https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHostedZone.html",
        holder="moto",
        test=f"{_UNIT}test_a_zone_with_records_is_not_deleted",
    ),
)
