"""The instance metadata service: version 2 only, each host known by its address.

Run as a program inside the enclosure. What it tells is what the AWS API holds of the instance at that moment; it has no
state of its own but the tokens and credentials it gave out. What hosts ask for again and again is on the notice board.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3

from . import faults, noticeboard
from .credentials import Credentials
from .places import METADATA

_TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name
_TTL_HEADER = f"{_TOKEN_HEADER}-ttl-seconds"
_LONGEST_TTL_SECONDS = 21600
_TREE_SECONDS = 1.0
_ROOT = re.compile(r"/(?:latest|\d{4}-\d{2}-\d{2})/(.*)")

_Leaf = str | bytes | Callable[[], str]
_Tree = dict[str, "_Leaf | _Tree"]


class _Instances:
    """What the AWS API holds, in the form that an instance sees."""

    def __init__(self) -> None:
        self._ec2 = boto3.client("ec2")
        self._iam = boto3.client("iam")
        self._given = Credentials(boto3.client("sts"))
        self._launched_with: dict[str, tuple[bytes | None, _Tree | None]] = {}
        self._trees: dict[str, tuple[float, _Tree | None]] = {}

    def tree(self, address: str) -> _Tree | None:
        """Return everything for the host at an address, as it was a second ago at most; None if no instance has it.

        A booting host reads dozens of paths at once.
        """
        made, tree = self._trees.get(address, (0.0, None))
        if time.monotonic() > made + _TREE_SECONDS:
            tree = self._read(address)
            self._trees[address] = (time.monotonic(), tree)
        return tree

    def _read(self, address: str) -> _Tree | None:
        addressed = [{"Name": "private-ip-address", "Values": [address]}]
        reservations = self._ec2.describe_instances(Filters=addressed)["Reservations"]
        found = [
            (one["OwnerId"], instance)
            for one in reservations
            for instance in one["Instances"]
            if instance["State"]["Name"] != "terminated"
        ]
        if not found:
            return None
        (account, instance) = found[0]
        tree: _Tree = {
            "meta-data": self._meta_data(instance),
            "dynamic": {"instance-identity": {"document": _identity(account, instance)}},
        }
        user_data, _ = self._launch(instance["InstanceId"])
        if user_data is not None:
            tree["user-data"] = user_data
        return tree

    def _launch(self, instance_id: str) -> tuple[bytes | None, _Tree | None]:
        """What an instance is launched with, and keeps: asked for once, since EC2 answers within a millisecond."""
        if instance_id not in self._launched_with:
            self._launched_with[instance_id] = (self._user_data(instance_id), self._role(instance_id))
        return self._launched_with[instance_id]

    def _meta_data(self, instance: dict[str, Any]) -> _Tree:
        """Name what EC2 names, without `public-keys`: no key pair is given to any instance."""
        zone = instance["Placement"]["AvailabilityZone"]
        tree: _Tree = {
            "ami-id": instance["ImageId"],
            "hostname": instance["PrivateDnsName"],
            "instance-id": instance["InstanceId"],
            "instance-life-cycle": instance.get("InstanceLifecycle", "on-demand"),
            "instance-type": instance["InstanceType"],
            "local-hostname": instance["PrivateDnsName"],
            "local-ipv4": instance["PrivateIpAddress"],
            "placement": {"availability-zone": zone, "region": _region(instance)},
            "security-groups": "\n".join(group["GroupName"] for group in instance["SecurityGroups"]),
            "services": {"domain": "amazonaws.com", "partition": "aws"},
        }
        if instance["MetadataOptions"].get("InstanceMetadataTags") == "enabled":
            tree["tags"] = {"instance": {tag["Key"]: tag["Value"] for tag in instance["Tags"]}}
        _, iam = self._launch(instance["InstanceId"])
        if iam is not None:
            tree["iam"] = iam
        return tree

    def _role(self, instance_id: str) -> _Tree | None:
        associated = self._ec2.describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [instance_id]}]
        )["IamInstanceProfileAssociations"]
        if not associated:
            return None
        profile = associated[0]["IamInstanceProfile"]
        found = self._iam.get_instance_profile(InstanceProfileName=profile["Arn"].rpartition("/")[2])
        roles: _Tree = {
            role["RoleName"]: partial(self._credentials, instance_id, role["Arn"])
            for role in found["InstanceProfile"]["Roles"]
        }
        info = {"InstanceProfileArn": profile["Arn"], "InstanceProfileId": profile["Id"]}
        return {"info": _answer(info), "security-credentials": roles}

    def _user_data(self, instance_id: str) -> bytes | None:
        attribute = self._ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        encoded = attribute["UserData"].get("Value")
        return None if encoded is None else base64.b64decode(encoded)

    def _credentials(self, instance_id: str, role_arn: str) -> str:
        return _answer(self._given.of(instance_id, role_arn))


class _Tokens:
    """The session tokens given out, each good for the host it was given to."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def give(self, address: str, ttl_seconds: int) -> str:
        token = secrets.token_urlsafe(42)
        with self._lock:
            self._given[token] = (address, time.monotonic() + ttl_seconds)
        return token

    def accept(self, address: str, token: str) -> bool:
        owner, ends = self._given.get(token, ("", 0.0))
        return owner == address and time.monotonic() < ends


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_PUT(self) -> None:
        ttl = self.headers[_TTL_HEADER] or ""
        if self.path != "/latest/api/token":
            self._reply(HTTPStatus.NOT_FOUND)
        elif "X-Forwarded-For" in self.headers:
            self._reply(HTTPStatus.FORBIDDEN)
        elif not ttl.isdecimal() or not 1 <= int(ttl) <= _LONGEST_TTL_SECONDS:
            self._reply(HTTPStatus.BAD_REQUEST)
        else:
            token = self.server.tokens.give(self.client_address[0], int(ttl))
            self._reply(HTTPStatus.OK, token.encode(), {_TTL_HEADER: ttl})

    def do_GET(self) -> None:
        if not self.server.tokens.accept(self.client_address[0], self.headers[_TOKEN_HEADER] or ""):
            self._reply(HTTPStatus.UNAUTHORIZED)
            return
        content = self.server.read(self.client_address[0], self.path)
        if content is None:
            self._reply(HTTPStatus.NOT_FOUND)
        else:
            self._reply(HTTPStatus.OK, content)

    def _reply(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """The service, at an address and port."""

    daemon_threads = True

    def __init__(self, at: tuple[str, int]) -> None:
        """Listen there."""
        super().__init__(at, _Handler)
        self.tokens = _Tokens()
        self._instances = _Instances()

    def read(self, address: str, path: str) -> bytes | None:
        """Return what a host reads at a path: a value, or the names below it."""
        root = _ROOT.fullmatch(path)
        names = list(filter(None, root[1].split("/"))) if root else []
        node: _Leaf | _Tree | None = self._tree(address, names) if root else None
        for name in names:
            node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            return "\n".join(f"{name}/" if isinstance(below, dict) else name for name, below in node.items()).encode()
        if callable(node):
            node = node()
        return node.encode() if isinstance(node, str) else node

    def _tree(self, address: str, names: list[str]) -> _Tree | None:
        """Everything for a host; of what is on the notice board that alone, without a question to the AWS API."""
        posted = noticeboard.read(address)
        board: _Tree = {}
        for path, answer in noticeboard.notices(posted, faults.read()).items() if posted else ():
            *folders, name = path.split("/")
            below: Any = board
            for folder in folders:
                below = below.setdefault(folder, {})
            below[name] = answer
        if names[:1] == ["meta-data"] and names[1:2] and names[1] in noticeboard.POSTED:
            return {"meta-data": board}
        tree = self._instances.tree(address)
        return tree and {**tree, "meta-data": {**tree["meta-data"], **board}}  # type: ignore[dict-item]


def _identity(account: str, instance: dict[str, Any]) -> str:
    document = {
        "accountId": account,
        "architecture": instance["Architecture"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
        "imageId": instance["ImageId"],
        "instanceId": instance["InstanceId"],
        "instanceType": instance["InstanceType"],
        "pendingTime": _timestamp(instance["LaunchTime"]),
        "privateIp": instance["PrivateIpAddress"],
        "region": _region(instance),
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def _region(instance: dict[str, Any]) -> str:
    zone: str = instance["Placement"]["AvailabilityZone"]
    return zone[:-1]


def _answer(values: dict[str, str]) -> str:
    """Write one of the answers about IAM, which all begin alike."""
    return json.dumps({"Code": "Success", "LastUpdated": _timestamp(datetime.now(UTC)), **values}, indent=2)


def _timestamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


if __name__ == "__main__":
    Server((METADATA, 80)).serve_forever()
