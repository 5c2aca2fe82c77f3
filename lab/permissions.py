"""What nodes may do: every call of a role's session is held to the role's policies, resource by resource.

moto checks SSM against no resource and knows no principal of a bucket's policy, so the decision is made here, before a
request reaches it. Not checked: signatures, most conditions, policies of KMS keys, permissions boundaries. Who deploys,
with the lab's one access key, may do everything.
"""

from __future__ import annotations

import json
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.models import IAMBackend, iam_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends

from . import faults
from .bulk_deletion import deleted_but
from .credentials import LIFE_SECONDS, cluster_of, refused_from
from .moto_changes import replaces
from .refusals import RefusedError, refuse
from .s3_actions import Needed, needed, to_delete
from .service_models import read_call
from .turns import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .service_models import Call
    from .turns import App, Environ, Respond

_PARTITION = "aws"
_TAKE_NO_RESOURCE = re.compile(r"(ec2|autoscaling):Describe.*|cloudwatch:PutMetricData")
"""https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""

_SKEWED = {
    "autoscaling": ("403 Forbidden", "RequestExpired"),
    "ec2": ("401 Unauthorized", "AuthFailure"),
    "monitoring": ("403 Forbidden", "RequestExpired"),
    "s3": ("403 Forbidden", "RequestTimeTooSkewed"),
    "ssm": ("400 Bad Request", "InvalidSignatureException"),
}
"""What a host hears whose clock is wrong. Of S3:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; of the others: the common errors of each API."""

_DENIED = {
    "ec2": ("403 Forbidden", "UnauthorizedOperation"),
    "ssm": ("400 Bad Request", "AccessDeniedException"),
}
_DENIED_ELSE = ("403 Forbidden", "AccessDenied")
"""What a host hears that may not do what it asks for."""

_EXPIRED = {
    "ec2": ("400 Bad Request", "RequestExpired"),
    "s3": ("400 Bad Request", "ExpiredToken"),
    "ssm": ("400 Bad Request", "ExpiredTokenException"),
}
_EXPIRED_ELSE = ("403 Forbidden", "ExpiredToken")
"""What a host hears whose credentials have ended."""

_policy_times: dict[tuple[str, str], float] = {}
"""When each inline policy of a role was written."""


@dataclass(frozen=True)
class _Session:
    """A node's credentials: whose they are, and since when."""

    role: str
    instance: str
    given: float

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return cluster_of(self.role)


class Gate:
    """The AWS API with its permissions: a WSGI application around it."""

    def __init__(self, app: App, deployer: str, log: Path) -> None:
        """Put permissions before `app`.

        Args:
            app: who answers what is allowed.
            deployer: the access key that may do everything.
            log: file that gets a line of JSON for each call that was refused.
        """
        self._app = app
        self._deployer = deployer
        self._log = log
        self._first_calls: dict[str, float] = {}  # of each instance

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        """Let a call through if the role of its sender allows it on what it names."""
        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        try:
            refused_keys = self._check(environ, scope)
        except RefusedError as refused:
            return refuse(environ, respond, scope["service"] if scope else "", refused)
        return deleted_but(refused_keys, self._app, environ, respond) if refused_keys else self._app(environ, respond)

    def _check(self, environ: Environ, scope: re.Match[str] | None) -> list[dict[str, str]]:
        """Refuse what is not allowed; return which keys of a bulk deletion are not."""
        if scope is None:
            raise RefusedError("403 Forbidden", "MissingAuthenticationToken", "the request has no credentials")
        if scope["key"] == self._deployer:
            return []
        session = _session(scope["key"])
        if session is None:
            raise RefusedError("403 Forbidden", "InvalidClientTokenId", "the security token is invalid")
        try:
            self._check_faults(session, scope["service"])
            call = read_call(environ, scope)
            if call and call.operation == "DeleteObjects":
                return [one for one in call.arguments["Delete"]["Objects"] if not self._may_delete(session, call, one)]
            forbidden = faults.read().refused.get(session.cluster, [])
            for one in needed(environ, call) if scope["service"] == "s3" else [_needed(call)]:
                if one.action in forbidden or not _allowed(session.role, one):
                    raise _denied(scope["service"], session, one)
        except RefusedError as refused:
            self._note(session, refused)
            raise
        return []

    def _may_delete(self, session: _Session, call: Call, named: dict[str, str]) -> bool:
        wanted = to_delete(call.arguments["Bucket"], named)
        allowed = _allowed(session.role, wanted)
        if not allowed:
            self._note(session, _denied("s3", session, wanted))
        return allowed

    def _note(self, session: _Session, refused: RefusedError) -> None:
        line = {"role": session.role, "instance": session.instance, "code": refused.code, "message": str(refused)}
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{json.dumps(line)}\n")

    def _check_faults(self, session: _Session, service: str) -> None:
        if time.time() >= refused_from(session.role, session.given):
            raise RefusedError(*_EXPIRED.get(service, _EXPIRED_ELSE), "the security token is expired")
        now = faults.read()
        first = self._first_calls.setdefault(session.instance, time.time())
        if time.time() < first + now.skewed.get(session.cluster, 0.0):
            status, code = _SKEWED[service]
            raise RefusedError(status, code, "the time of the request is not that of the service")
        if time.time() < first + now.late_permissions.get(session.cluster, 0.0):
            raise RefusedError(*_DENIED.get(service, _DENIED_ELSE), "permissions are not in force yet")
        if service in {"ssm", "autoscaling"} and random.random() < now.throttled.get(session.cluster, 0.0):  # noqa: S311
            code = "ThrottlingException" if service == "ssm" else "Throttling"
            raise RefusedError("400 Bad Request", code, "Rate exceeded")
        if service in {"ec2", "autoscaling"} and session.cluster in now.unavailable:
            raise RefusedError("503 Service Unavailable", "ServiceUnavailable", "the service is unavailable")


def remember_when_policies_are_written() -> None:
    """Have moto note the time of each inline policy, which is in force a little later."""

    @replaces(IAMBackend, "put_role_policy")
    def put_and_note(
        put_role_policy: Any, backend: IAMBackend, role_name: str, policy_name: str, policy_json: str
    ) -> None:
        put_role_policy(backend, role_name, policy_name, policy_json)
        _policy_times[role_name, policy_name] = time.time()


def _session(key: str) -> _Session | None:
    assumed = sts_backends[DEFAULT_ACCOUNT_ID][_PARTITION].assumed_roles
    found = next((one for one in reversed(assumed) if one.access_key_id == key), None)
    if found is None:
        return None
    given = found.expiration.replace(tzinfo=UTC).timestamp() - LIFE_SECONDS
    return _Session(found.role_arn.rpartition("/")[2], found.session_name, given)


def _needed(call: Call | None) -> Needed:
    """What a call of another service than S3 must be allowed. Only a policy for everything allows what is unknown."""
    if call is None:
        return Needed("unknown:Unknown", "*")
    action, arguments = f"{call.service}:{call.operation}", call.arguments
    here = f"{call.region}:{DEFAULT_ACCOUNT_ID}"
    if call.service == "ssm" and "Name" in arguments:
        resource = f"arn:aws:ssm:{here}:parameter/{arguments['Name'].lstrip('/')}"
    elif call.service == "autoscaling" and "AutoScalingGroupName" in arguments:
        resource = _arn(here, arguments["AutoScalingGroupName"])
    elif call.service == "autoscaling" and (group := _group_of(call.region, arguments.get("InstanceId"))):
        resource = _arn(here, group)
    elif _TAKE_NO_RESOURCE.fullmatch(action):
        resource = "*"
    else:
        resource = f"arn:aws:{call.service}:{here}:unknown"
    conditions = {"cloudwatch:namespace": arguments.get("Namespace")} if action == "cloudwatch:PutMetricData" else {}
    return Needed(action, resource, conditions)


def _arn(here: str, group: str) -> str:
    return f"arn:aws:autoscaling:{here}:autoScalingGroup:{group}-id:autoScalingGroupName/{group}"


def _group_of(region: str, instance_id: str | None) -> str | None:
    """The group that a call is about which names a member alone."""
    members = autoscaling_backends[DEFAULT_ACCOUNT_ID][region].describe_auto_scaling_instances([instance_id or ""])
    return next((member.auto_scaling_group_name for member in members), None)


def _allowed(role_name: str, wanted: Needed) -> bool:
    policies = iam_backends[DEFAULT_ACCOUNT_ID][_PARTITION].get_role(role_name).policies
    ripe = time.time() - faults.PERMISSION_DELAY_SECONDS
    values = {name: value for name, value in wanted.conditions.items() if value is not None}
    verdicts = [
        IAMPolicy(text).is_action_permitted(wanted.action, wanted.resource, incoming_condition_values=values)
        for name, text in policies.items()
        if _policy_times.get((role_name, name), 0.0) <= ripe
    ]
    if wanted.action.startswith("s3:") and _bucket_denies(role_name, wanted):
        return False
    return PermissionResult.PERMITTED in verdicts and PermissionResult.DENIED not in verdicts


def _bucket_denies(role_name: str, wanted: Needed) -> bool:
    """Whether the bucket's policy denies it to this very role: of conditions, those on creating an object are known."""
    name = wanted.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    bucket = s3_backends[DEFAULT_ACCOUNT_ID][_PARTITION].buckets.get(name)
    if bucket is None or not bucket.policy:
        return False
    denials = [
        {name: statement[name] for name in ("Effect", "Action", "Resource")}
        for statement in json.loads(bucket.policy)["Statement"]
        if statement["Effect"] == "Deny"
        and role_name in str(statement["Principal"])
        and _holds(statement.get("Condition", {}), wanted)
    ]
    policy = IAMPolicy(json.dumps({"Statement": denials}))
    return policy.is_action_permitted(wanted.action, wanted.resource) == PermissionResult.DENIED


def _holds(condition: dict[str, dict[str, str]], wanted: Needed) -> bool:
    """Whether a statement's condition is known here, and true of a call."""
    absent: dict[str, str | None] = {key: str(value is None).lower() for key, value in wanted.conditions.items()}
    told = {"Null": absent, "Bool": wanted.conditions}
    asked = [(operator, key, value) for operator, keys in condition.items() for key, value in keys.items()]
    return all(told.get(operator, {}).get(key) == value for operator, key, value in asked)


def _denied(service: str, session: _Session, wanted: Needed) -> RefusedError:
    message = f"{session.role} is not authorized to perform {wanted.action} on {wanted.resource}"
    return RefusedError(*_DENIED.get(service, _DENIED_ELSE), message)
