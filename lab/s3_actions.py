"""Which actions of IAM a request to S3 takes, and on what.

Actions have other names than operations, some operations take several, and some take them on another object or key:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import get_service_model
from moto.s3.models import FakeBucket, FakeKey, s3_backends

from .calls import ACTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .service_models import Call
    from .turns import Environ

_PARTITION = "aws"
_NAMES_THE_OPERATION = "x-id"
"""An argument that some SDKs add, and S3 does not look at."""
_OF_VERSIONS = {"s3:GetObject", "s3:DeleteObject"}
"""Actions that have another name if a request says which version."""
_CREATES = {"CompleteMultipartUpload", "CopyObject", "PutObject"}
"""Operations by which an object comes into being, and not by the parts of an upload or its beginning."""
_READS = {"GetObject", "HeadObject"}
_IN_PARTS = {"CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}
_BESIDES = {"Tagging": "s3:PutObjectTagging", "ACL": "s3:PutObjectAcl"}
"""What an argument of a write takes besides."""


@dataclass(frozen=True)
class Needed:
    """What a request asks for: an action, what it is asked of, and what conditions of policies may ask."""

    action: str
    resource: str
    conditions: Mapping[str, str | None] = field(default_factory=dict)


def needed(environ: Environ, call: Call | None) -> list[Needed]:
    """All that a request must be allowed, but a bulk deletion, which is allowed key by key.

    Only a policy for everything allows what S3 does not know.
    """
    if call is None:
        return [Needed("s3:Unknown", "*")]
    if call.operation == "ListBuckets":
        return [Needed("s3:ListAllMyBuckets", "*")]
    here = _arn(call.arguments["Bucket"], call.arguments.get("Key"))
    asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).keys()
    if unknown := asked - _known_arguments(call.operation):
        return [Needed(f"s3:{call.operation}?{'&'.join(sorted(unknown))}", here)]
    conditions = {
        "s3:if-none-match": environ.get("HTTP_IF_NONE_MATCH"),
        "s3:ObjectCreationOperation": str(call.operation in _CREATES).lower(),
    }
    actions = ACTIONS.get(f"s3:{call.operation}", (f"s3:{call.operation}",))
    found = [Needed(_of_version(action, call.arguments.get("VersionId")), here, conditions) for action in actions]
    found += [Needed(action, here) for name, action in _BESIDES.items() if name in call.arguments]
    if call.operation in _READS and _object(call.arguments["Bucket"], call.arguments["Key"]) is None:
        # Who may not list does not hear that an object is not there.
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        found.append(Needed("s3:ListBucket", _arn(call.arguments["Bucket"])))
    if source := call.arguments.get("CopySource"):
        path, _, version = unquote(source).removeprefix("/").partition("?versionId=")
        found.append(Needed(_of_version("s3:GetObject", version), _arn(path)))
        found += _to_decrypt(call.region, *path.split("/", 1))
    return found + _of_keys(call)


def to_delete(bucket: str, named: Mapping[str, str]) -> Needed:
    """What one key of a bulk deletion must be allowed."""
    return Needed(_of_version("s3:DeleteObject", named.get("VersionId")), _arn(bucket, named["Key"]))


def _arn(bucket: str, key: str | None = None) -> str:
    return f"arn:{_PARTITION}:s3:::{bucket}" if key is None else f"arn:{_PARTITION}:s3:::{bucket}/{key}"


def _of_version(action: str, version: str | None) -> str:
    return f"{action}Version" if version and action in _OF_VERSIONS else action


@functools.cache
def _known_arguments(operation: str) -> frozenset[str]:
    """What may stand in a request's query."""
    model = get_service_model("s3").operation_model(operation)
    members = model.input_shape.members.values() if model.input_shape else ()
    named = {one.serialization["name"] for one in members if one.serialization.get("location") == "querystring"}
    fixed = parse_qs(urlsplit(model.http["requestUri"]).query, keep_blank_values=True)
    return frozenset({*named, *fixed, _NAMES_THE_OPERATION})


def _of_keys(call: Call) -> list[Needed]:
    """What is to be allowed on KMS keys.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    bucket, key = call.arguments["Bucket"], call.arguments.get("Key", "")
    if call.operation == "GetObject":
        return _to_decrypt(call.region, bucket, key)
    encrypted_with = _key_of_new_objects(call)
    if encrypted_with is None or call.operation not in _CREATES | _IN_PARTS:
        return []
    actions = ("kms:GenerateDataKey", "kms:Decrypt") if call.operation in _IN_PARTS else ("kms:GenerateDataKey",)
    return [_with_key(call.region, action, encrypted_with) for action in actions]


def _key_of_new_objects(call: Call) -> str | None:
    """The key that a request names, or else that of the bucket; None: S3's own."""
    if "ServerSideEncryption" in call.arguments:
        named: str | None = call.arguments.get("SSEKMSKeyId")
        return named
    bucket = _bucket(call.arguments["Bucket"])
    rule = bucket.encryption["Rule"] if bucket and bucket.encryption else {}
    default: str | None = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
    return default


def _to_decrypt(region: str, bucket_name: str, key: str) -> list[Needed]:
    found = _object(bucket_name, key)
    return [_with_key(region, "kms:Decrypt", found.kms_key_id)] if found and found.kms_key_id else []


def _object(bucket_name: str, key: str) -> FakeKey | None:
    """An object's newest version; None if there is none, or it is deleted."""
    bucket = _bucket(bucket_name)
    found = bucket.keys.get(key) if bucket else None
    return found if isinstance(found, FakeKey) else None


def _bucket(name: str) -> FakeBucket | None:
    found: FakeBucket | None = s3_backends[DEFAULT_ACCOUNT_ID][_PARTITION].buckets.get(name)
    return found


def _with_key(region: str, action: str, key_id: str) -> Needed:
    arn = key_id if key_id.startswith("arn:") else f"arn:{_PARTITION}:kms:{region}:{DEFAULT_ACCOUNT_ID}:key/{key_id}"
    return Needed(action, arn, {"kms:ViaService": f"s3.{region}.amazonaws.com"})
