"""The AWS API on this machine: moto's server, with the few things added that a deployed cluster needs and moto has not.

Run as a program: `python -m lab.emulated_aws --host 127.0.0.1 --port 5555 --log FILE --calls FILE`.
"""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import argparse
import copy
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, LifecycleHook
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.route53.models import FakeZone
from moto.route53.responses import Route53
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend
from moto.s3.responses import S3Response
from moto.ssm.models import ssm_backends
from werkzeug.serving import run_simple

from lab.activities import let_launches_fail
from lab.bucket_hosts import BucketHosts
from lab.deployment import CREDENTIALS
from lab.moto_changes import replaces
from lab.objects import Objects
from lab.permissions import Gate
from lab.service_models import ServiceModels, caller
from lab.turns import Turns

if TYPE_CHECKING:
    from lab.turns import App

_RESOLVE_SSM = "resolve:ssm:"
_S3_DEFAULT = {"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}}


class RequestHandler(MotoRequestHandler):
    """Moto's fault: give one go-ahead, as S3 does, to a client that waits for it before it sends a body.

    Python's server and the one that moto builds on give one each, and the SDK for Java, where it uses Netty, takes the
    second for the answer: the uploads by which S3A copies a local file, Spark's to its fallback storage among them,
    would be repeated for ever.
    """

    def handle_expect_100(self) -> bool:
        """Leave it to the one that comes later."""
        return True


class _GroupActions:
    """`CompleteLifecycleAction`, `RecordLifecycleActionHeartbeat` and `StartInstanceRefresh`.

    moto keeps hooks and has no actions. Here every instance has each action of its group open, as often as it likes:
    a call is checked for a group, a hook and an instance that belong together, and kept in a log for the tests. An
    instance refresh is logged, and replaces nothing.
    """

    def __init__(self, log: Path) -> None:
        self._log = log

    def install(self) -> None:
        """Add to moto what it has not."""
        actions = self

        @replaces(AutoScalingResponse, "complete_lifecycle_action")
        def complete(_: None, response: AutoScalingResponse) -> ActionResult:
            result = response._get_param("LifecycleActionResult")
            if result not in {"CONTINUE", "ABANDON"}:
                message = "The lifecycle action result must be CONTINUE or ABANDON"
                raise ValidationError(message)
            actions._record(response, "CompleteLifecycleAction", LifecycleActionResult=result)
            return EmptyResult()

        @replaces(AutoScalingResponse, "record_lifecycle_action_heartbeat")
        def beat(_: None, response: AutoScalingResponse) -> ActionResult:
            actions._record(response, "RecordLifecycleActionHeartbeat")
            return EmptyResult()

        @replaces(AutoScalingResponse, "start_instance_refresh")
        def refresh(_: None, response: AutoScalingResponse) -> ActionResult:
            refuse_refresh(response)
            preferences = response._get_param("Preferences")
            actions._log_call(
                "StartInstanceRefresh", response._get_param("AutoScalingGroupName"), preferences=preferences
            )
            return ActionResult({"InstanceRefreshId": "08b91cf7-8fa6-48af-b6a6-d227f40f1b9b"})

        @replaces(AutoScalingBackend, "set_instance_protection")
        def protect(
            set_protection: Any, backend: AutoScalingBackend, group_name: str, *args: Any, **kwargs: Any
        ) -> None:
            """A group that is too large only for its protected members becomes smaller once they are not.

            https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-protection.html
            """
            set_protection(backend, group_name, *args, **kwargs)
            group = backend.autoscaling_groups[group_name]
            if len(group.active_instances()) > (group.desired_capacity or 0):
                group.set_desired_capacity(group.desired_capacity)

    def _record(self, response: AutoScalingResponse, action: str, **values: str) -> None:
        group = response._get_param("AutoScalingGroupName")
        hook = response._get_param("LifecycleHookName")
        instance = response._get_param("InstanceId")
        backend = response.autoscaling_backend
        if not backend.describe_lifecycle_hooks(group, [hook]):
            message = f"No lifecycle hook found with name {hook}"
            raise ValidationError(message)
        if instance not in {state.instance.id for state in backend.autoscaling_groups[group].instance_states}:
            message = f"No active Lifecycle Action found with instance ID {instance}"
            raise ValidationError(message)
        self._log_call(action, group, hook=hook, instance=instance, **values)

    def _log_call(self, action: str, group: str, **values: Any) -> None:
        call = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "action": action, "group": group, **values}
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{json.dumps(call)}\n")


def refuse_refresh(response: AutoScalingResponse) -> None:
    """Refuse what Auto Scaling refuses.

    A maximum goes with a minimum, 100 apart at most:
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html. If the group's template names
    a parameter for the AMI, nothing is skipped:
    https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html, Limitations.
    """
    preferences = response._get_param("Preferences") or {}
    least, most = preferences.get("MinHealthyPercentage"), preferences.get("MaxHealthyPercentage")
    if most is not None and (least is None or not 100 <= int(most) <= min(200, int(least) + 100)):
        message = "MaxHealthyPercentage needs a MinHealthyPercentage, which it exceeds by 100 at the most"
        raise ValidationError(message)
    group = response.autoscaling_backend.autoscaling_groups[response._get_param("AutoScalingGroupName")]
    template = group.ec2_launch_template
    image_id = template.get_version(group.launch_template_version).data.get("ImageId", "") if template else ""
    skips = str(preferences.get("SkipMatching", "false")).lower() == "true"
    if image_id.startswith(_RESOLVE_SSM) and (skips or response._get_param("DesiredConfiguration")):
        message = (
            "You cannot start an instance refresh with a desired configuration or skip matching when the launch "
            "template specifies a Systems Manager parameter"
        )
        raise ValidationError(message)


def _resolve_images_by_parameter() -> None:
    """Resolve `resolve:ssm:NAME` at each launch.

    EC2 does, so that a launch template may name a public parameter; moto takes the words for an image's id.
    """

    @replaces(InstanceBackend, "run_instances")
    def run_resolved(run_instances: Any, backend: Any, image_id: str, *args: Any, **kwargs: Any) -> Any:
        if image_id.startswith(_RESOLVE_SSM):
            name = image_id.removeprefix(_RESOLVE_SSM)
            parameter = ssm_backends[backend.account_id][backend.region_name].get_parameter(name)
            if parameter is None:
                message = f"The parameter {name} of an image does not exist"
                raise ValidationError(message)
            image_id = parameter.value
        return run_instances(backend, image_id, *args, **kwargs)


def _give_groups_instances_their_profile() -> None:
    """Moto's fault: associate the launch template's instance profile with the instances of a group, which moto forgets.

    Without it they would have no credentials.
    """

    @replaces(FakeAutoScalingGroup, "replace_autoscaling_group_instances")
    def add_instances_with_profile(add_instances: Any, group: FakeAutoScalingGroup, *args: Any, **kwargs: Any) -> None:
        add_instances(group, *args, **kwargs)
        template = group.ec2_launch_template
        profile = template and template.get_version(group.launch_template_version).data.get("IamInstanceProfile")
        if not profile:
            return
        ec2 = group.autoscaling_backend.ec2_backend
        for state in group.instance_states:
            if state.instance.id not in ec2.iam_instance_profile_associations:
                ec2.associate_iam_instance_profile(state.instance.id, profile.get("Name"), profile.get("Arn"))


def _keep_mixed_instances_policy() -> None:
    """Moto's fault: leave a group's mixed instances policy as it is if an update does not name it, as AWS does."""

    @replaces(FakeAutoScalingGroup, "update")
    def update_named(update: Any, group: FakeAutoScalingGroup, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("mixed_instances_policy"):
            kept = copy.deepcopy(group.mixed_instances_policy)
            if kept:
                # It answers with both, and takes only one.
                del kept["LaunchTemplate"]["LaunchTemplateSpecification"]["LaunchTemplateName"]
            kwargs["mixed_instances_policy"] = kept
        update(group, *args, **kwargs)


def _apply_bucket_policies_to_whom_they_name() -> None:
    """Moto's fault: hold a caller only to what a bucket's policy says to every caller over every connection.

    moto looks at neither principal nor condition: a denial to one role, or to plain http, would be one to all.
    """

    @replaces(FakeBucket, "get_permission")
    def permission_for_everyone(get_permission: Any, bucket: FakeBucket, action: str, resource: str) -> Any:
        policy = bucket.policy
        document = json.loads(policy or '{"Statement": []}')
        document["Statement"] = [
            statement
            for statement in document["Statement"]
            if statement["Principal"] == "*" and "Condition" not in statement
        ]
        bucket.policy = json.dumps(document).encode() if document["Statement"] else None
        try:
            return get_permission(bucket, action, resource)
        finally:
            bucket.policy = policy


def _block_customer_provided_keys() -> None:
    """Encrypt every bucket, and tell of its block of SSE-C, which S3 sets if nobody chose.

    moto tells of no encryption until some is set, and forgets the block.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpbucket.html
    """

    @replaces(S3Response, "get_bucket_encryption")
    def tell_encryption(_: Any, response: S3Response) -> Any:
        response.data["Action"] = "GetBucketEncryption"
        kept = (response.backend.get_bucket_encryption(response.bucket_name) or _S3_DEFAULT)["Rule"]
        rule = {
            "ApplyServerSideEncryptionByDefault": kept["ApplyServerSideEncryptionByDefault"],
            "BucketKeyEnabled": str(kept.get("BucketKeyEnabled")).lower() == "true",
            "BlockedEncryptionTypes": kept.get("BlockedEncryptionTypes") or {"EncryptionType": ["SSE-C"]},
        }
        return response.serialized(ActionResult({"ServerSideEncryptionConfiguration": {"Rules": [rule]}}))


def _answer_with_what_was_set() -> None:
    """Moto's fault: answer with a private zone's VPCs and with the description of a rule between groups.

    moto keeps both to itself, and takes a zone made for a VPC as a public one. The next deploy would set them again.
    """

    @replaces(Route53, "create_hosted_zone")
    def create_private_for_a_vpc(create_hosted_zone: Any, response: Route53) -> Any:
        if response._get_param("VPC.VPCId"):
            response.params.setdefault("HostedZoneConfig", {})["PrivateZone"] = True
        return create_hosted_zone(response)

    @replaces(FakeZone, "add_vpc")
    def add_vpc_by_its_names(
        add_vpc: Any, zone: FakeZone, vpc_id: str | None, vpc_region: str | None
    ) -> dict[str, Any]:
        vpc: dict[str, Any] = add_vpc(zone, vpc_id, vpc_region)
        vpc.update(VPCId=vpc_id, VPCRegion=vpc_region)
        return vpc

    @replaces(SecurityGroupRule, "description")
    def description(_: property, rule: SecurityGroupRule) -> str | None:
        found: str | None = rule.ip_range.get("Description") or (rule.source_group or {}).get("Description")
        return found


def _keep_templates_as_they_were_given() -> None:
    """Moto's fault: keep a launch template's user data in one form, and its own tags out of its data.

    Otherwise moto launches nothing from any version but the first, and the next deploy would make another version.
    """

    @replaces(LaunchTemplateVersion, "__init__")
    def init_with_data_as_given(
        init: Any, version: LaunchTemplateVersion, template: Any, number: int, data: dict[str, Any], description: str
    ) -> None:
        data = dict(data)
        if isinstance(data.get("UserData"), str):
            data["UserData"] = Base64EncodedString(data["UserData"])
        if "TagSpecifications" in data:
            tags = [one for one in data["TagSpecifications"] if one["ResourceType"] != "launch-template"]
            data["TagSpecifications"] = tags
        init(version, template, number, data, description)


def _let_delete_markers_be_deleted() -> None:
    """Moto's fault: let a key be deleted for good whose versions have delete markers among them."""

    @replaces(FakeDeleteMarker, "dispose")
    def keep(_: Any, marker: FakeDeleteMarker) -> None:
        """It holds no file that would have to be closed."""


class _OfAnother:
    """The content of an object's copy: whoever is done with the copy leaves it open."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def close(self) -> None:
        """It is another's to close."""


def _list_versions_without_their_content() -> None:
    """Moto's fault: name the versions of a bucket's objects without a copy of the content of each.

    Terraform asks again and again while it empties a bucket: releases of Spark filled a disk.
    """

    @replaces(FakeKey, "__deepcopy__")
    def share(_: None, key: FakeKey, __: object) -> FakeKey:
        copied: FakeKey = object.__new__(FakeKey)
        copied.__dict__.update(key.__dict__, _value_buffer=_OfAnother(key._value_buffer), multipart=None, disposed=True)
        return copied


def _leave_deleted_objects_out_of_lists() -> None:
    """Moto's fault: have no folder of objects of which the newest versions are delete markers.

    moto leaves such objects out of a list and has their common prefix in it: a folder would never be gone.
    """

    @replaces(S3Backend, "list_objects")
    def list_what_is_there(list_objects: Any, backend: S3Backend, bucket: FakeBucket, *args: Any, **kwargs: Any) -> Any:
        there = {name: key for name, key in bucket.keys.items() if not isinstance(key, FakeDeleteMarker)}
        return list_objects(backend, SimpleNamespace(keys=there), *args, **kwargs)


def _name_the_rule_that_is_gone() -> None:
    """Moto's fault: refuse to revoke a rule that is not there by the code that EC2 has for it.

    Terraform takes that one as done, such as when it asks again after its connection broke; moto has another code.
    """

    def revoke_known(
        revoke: Any, backend: Any, *args: Any, security_rule_ids: list[str] | None = None, **kwargs: Any
    ) -> None:
        if security_rule_ids:
            backend.describe_security_group_rules(security_rule_ids, {})  # fails by that code
        revoke(backend, *args, security_rule_ids=security_rule_ids, **kwargs)

    for direction in ("ingress", "egress"):
        replaces(SecurityGroupBackend, f"revoke_security_group_{direction}")(revoke_known)


def _tell_of_hooks_nobody_but_their_group() -> None:
    """Moto names a queue and a role that nobody gave, which Terraform would take away again and again."""

    @replaces(LifecycleHook, "__init__")
    def make(make_hook: Any, hook: LifecycleHook, *args: Any, **kwargs: Any) -> None:
        make_hook(hook, *args, **kwargs)
        hook.role_arn = hook.notification_target_arn = ""


def correct_moto() -> None:
    """Make all corrections but the actions of groups."""
    _resolve_images_by_parameter()
    _give_groups_instances_their_profile()
    let_launches_fail()
    _tell_of_hooks_nobody_but_their_group()
    _keep_mixed_instances_policy()
    _apply_bucket_policies_to_whom_they_name()
    _block_customer_provided_keys()
    _answer_with_what_was_set()
    _keep_templates_as_they_were_given()
    _let_delete_markers_be_deleted()
    _list_versions_without_their_content()

    _leave_deleted_objects_out_of_lists()
    _name_the_rule_that_is_gone()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True, help="file that gets a line for each action of a group")
    parser.add_argument("--calls", type=Path, required=True, help="file that gets a line for each kind of call")
    parser.add_argument("--refused", type=Path, help="hold roles to their policies; file for a line for each refusal")
    options = parser.parse_args()
    correct_moto()
    _GroupActions(options.log).install()
    known = caller(CREDENTIALS["AWS_ACCESS_KEY_ID"])
    moto = Objects(DomainDispatcherApplication(create_backend_app))
    app: App = Turns(ServiceModels(moto, options.calls, known), threading.RLock())
    if options.refused:
        app = BucketHosts(Gate(app, CREDENTIALS["AWS_ACCESS_KEY_ID"], options.refused))
    run_simple(options.host, options.port, app, threaded=True, request_handler=RequestHandler)


if __name__ == "__main__":
    main()
