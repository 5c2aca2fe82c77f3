"""What statements of IAM policies are expected to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.synth.synthesized import Synthesized

LIST = ["s3:ListBucket", "s3:GetBucketLocation"]
LIST_UPLOADS = [*LIST, "s3:ListBucketMultipartUploads"]
READ_WRITE = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
]


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    """A statement that allows those actions on those ARNs."""
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


def arn(stack: Synthesized, kind: str, name: str) -> str:
    """A reference to the ARN of a resource of the stack."""
    return f"${{{stack.address(kind, name)}.arn}}"


def bucket_arn(stack: Synthesized) -> str:
    """A reference to the ARN of the cluster's own bucket."""
    return arn(stack, "aws_s3_bucket", "spark_storage_bucket")


def event_logs(bucket: str) -> list[dict[str, Any]]:
    """What who keeps event logs in a bucket may do; S3A asks for the folder as for an object."""
    return [
        allow(LIST, bucket),
        allow(READ_WRITE, f"{bucket}/spark-events/*"),
        allow(["s3:GetObject"], f"{bucket}/spark-events"),
    ]


def fallback(bucket: str) -> list[dict[str, Any]]:
    """What who clears the fallback storage of its applications may do; S3A leaves the mark of an empty folder."""
    return [
        allow(LIST, bucket),
        allow(READ_WRITE, f"{bucket}/fallback/*"),
        allow(["s3:GetObject"], f"{bucket}/fallback"),
    ]


def read_data(bucket: str) -> list[dict[str, object]]:
    """Statements by which a role may list a bucket, and read its data."""
    read = ["s3:GetObject"]
    return [allow(LIST, bucket), allow(read, f"{bucket}/data/*"), allow(read, f"{bucket}/data")]


def read_write_data(bucket: str) -> list[dict[str, object]]:
    """Statements by which a role may list a bucket and its uploads, and read and write its data."""
    look = allow(["s3:GetObject"], f"{bucket}/data")
    return [allow(LIST_UPLOADS, bucket), allow(READ_WRITE, f"{bucket}/data/*"), look]
