"""Which calls to AWS the product makes: recorded by the emulators, kept in calls.json, and compared with it by tests.

`python -m lab.calls FILE...` adds what logs of `service_models` hold to calls.json, of which docs/aws.md is made, and
shows what the documentation says of new arguments that sounds like a rule: `rules` is to have what the models have not.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from . import service_models

FILE = Path(__file__).with_name("calls.json")

Calls = dict[str, dict[str, list[str]]]
"""By operation, such as `ec2:RunInstances`: who makes it, and with which arguments."""

_SENTENCE = re.compile(r"(?<=[.:]) ")
_LIKE_A_RULE = re.compile(
    r"(?!.*([Dd]irectory bucket|[Aa]ccess point|Outposts|x-s3))"
    r".*(\bmust\b|maximum|minimum|up to|limit|[Vv]alid|[Cc]onstraint|can't|cannot|between|\bonly\b)"
)

EXAMPLES_OWN = {
    *("ec2:AllocateAddress", "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:CreateInternetGateway"),
    *("ec2:CreateNatGateway", "ec2:CreateRoute", "ec2:CreateRouteTable", "ec2:CreateSubnet", "ec2:CreateVpc"),
    *("ec2:DeleteInternetGateway", "ec2:DeleteNatGateway", "ec2:DeleteRoute", "ec2:DeleteRouteTable"),
    *("ec2:DeleteSubnet", "ec2:DeleteVpc", "ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute"),
    *("ec2:CopyImage", "ec2:DeleteSnapshot", "ec2:DeregisterImage"),
    *("ec2:DescribeInternetGateways", "ec2:DescribeNatGateways", "ec2:DetachInternetGateway"),
    *("ec2:DisassociateAddress", "ec2:DisassociateRouteTable", "ec2:ModifyVpcAttribute", "ec2:ReleaseAddress"),
    *("iam:CreatePolicy", "iam:DeletePolicy", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions"),
    *("kms:CreateKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus"),
    *("kms:ListResourceTags", "kms:ScheduleKeyDeletion"),
}
"""What the examples and the tests' apps make beside the cluster: a network, a key, a policy, an AMI of one's own."""

ACTIONS = {
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:CopyObject": ("s3:PutObject",),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:GetBucketAccelerateConfiguration": ("s3:GetAccelerateConfiguration",),
    "s3:GetBucketCors": ("s3:GetBucketCORS",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "s3:GetObjectAttributes": ("s3:GetObject", "s3:GetObjectAttributes"),
    "s3:GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListParts": ("s3:ListMultipartUploadParts",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:UploadPartCopy": ("s3:PutObject",),
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3:DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "sts:GetCallerIdentity": (),
}
"""Actions of IAM that a call needs if they are not called as it is; none if it needs no permission.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

BESIDES = {
    "autoscaling:CreateAutoScalingGroup": (
        *("ec2:RunInstances", "ec2:CreateTags", "iam:PassRole", "iam:CreateServiceLinkedRole", "ssm:GetParameters"),
    ),
    "ec2:AuthorizeSecurityGroupIngress": ("ec2:CreateTags",),
    "ec2:CreateLaunchTemplate": ("ec2:CreateTags",),
    "ec2:RunInstances": ("ec2:CreateTags", "iam:PassRole"),
    "iam:CreateInstanceProfile": ("iam:TagInstanceProfile",),
    "iam:CreateRole": ("iam:TagRole",),
    "route53:CreateHostedZone": ("ec2:DescribeVpcs",),
    "ssm:PutParameter": ("ssm:AddTagsToResource",),
    # With an action of EC2's: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    "cloudwatch:PutMetricAlarm": ("cloudwatch:TagResource", "iam:CreateServiceLinkedRole"),
    "autoscaling:PutScalingPolicy": (),
}
"""Actions that AWS asks for besides a call's own; for launch templates with a parameter for the AMI see
https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html.
"""


CHANGES = {
    *("autoscaling:CancelInstanceRefresh", "autoscaling:DeleteTags", "autoscaling:DescribeInstanceRefreshes"),
    *("autoscaling:ResumeProcesses", "cloudwatch:UntagResource", "ec2:DeleteTags", "ec2:ModifyInstanceMetadataOptions"),
    *("iam:DeleteRolePermissionsBoundary", "iam:UntagInstanceProfile", "iam:UntagRole"),
    *("s3:DeleteObjectTagging", "s3:PutObjectTagging", "ssm:RemoveTagsFromResource"),
}
"""What changes of a cluster that runs need, too, most where something is taken away: no test does it."""

NEWER_PROVIDER = {"s3:ListTagsForResource", "s3:TagResource", "s3:UntagResource"}
"""What the provider asks for from 6.23 on, and does without if it may not: calls.json was made with 5.100.

https://github.com/hashicorp/terraform-provider-aws/pull/45251
"""


@dataclass(frozen=True)
class Missing:
    """What a log holds and calls.json does not."""

    operation: str
    by: str
    arguments: tuple[str, ...]


def read() -> Calls:
    """The calls that are known."""
    known: Calls = json.loads(FILE.read_text(encoding="utf-8"))
    return known


def missing(log: Path) -> list[Missing]:
    """What of a log is not known, operation by operation."""
    known, found = read(), []
    for operation, call in _logged([log]).items():
        there = known.get(operation, {"by": [], "arguments": []})
        for by in call["by"]:
            arguments = tuple(sorted(set(call["arguments"]) - set(there["arguments"])))
            if arguments or by not in there["by"]:
                found.append(Missing(operation, by, arguments))
    return found


def deployers_actions() -> list[str]:
    """The actions of IAM that whoever deploys a cluster needs."""
    wanted = {*CHANGES, *NEWER_PROVIDER}
    for operation, call in read().items():
        if "terraform" in call["by"] and operation not in EXAMPLES_OWN:
            wanted |= {*ACTIONS.get(operation, (operation,)), *BESIDES.get(operation, ())}
    return sorted(wanted)


def _logged(logs: list[Path]) -> Calls:
    calls: dict[str, dict[str, set[str]]] = {}
    for log in logs:
        for line in log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            call = calls.setdefault(f"{entry['service']}:{entry['operation']}", {"by": set(), "arguments": set()})
            call["by"].add(entry["by"])
            call["arguments"].update(entry["arguments"])
    return {name: {key: sorted(values) for key, values in call.items()} for name, call in sorted(calls.items())}


def main(*logs: str) -> None:
    """Add to calls.json what logs hold."""
    known = read()
    for operation, call in _logged([Path(log) for log in logs]).items():
        there = known.setdefault(operation, {"by": [], "arguments": []})
        for argument in sorted(set(call["arguments"]) - set(there["arguments"])):
            for sentence in filter(_LIKE_A_RULE.match, _SENTENCE.split(service_models.prose(operation, argument))):
                sys.stdout.write(f"{operation} {argument}: {sentence}\n")
        known[operation] = {key: sorted({*there[key], *call[key]}) for key in ("by", "arguments")}
    FILE.write_text(f"{json.dumps(dict(sorted(known.items())), indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
