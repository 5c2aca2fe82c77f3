"""Roles may do what their policies allow: each request to S3 by the actions that S3 asks for, and nothing else."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from lab import faults
from lab.serving import EmulatedAws, emulated_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Try = Callable[[Any], object]

BUCKET = "demo-bucket"
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
ROLE = "demo-master-role"
MIB = 1 << 20


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAws]:
    """An AWS with one bucket and one role."""
    with emulated_aws(tmp_path_factory.mktemp("aws"), permissions=True) as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        aws.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=document)
        yield aws


@pytest.fixture(scope="module")
def s3(aws: EmulatedAws) -> Any:
    """A client of the deployer."""
    return aws.client("s3")


@pytest.fixture(scope="module")
def credentials(aws: EmulatedAws) -> dict[str, str]:
    """Those of the role."""
    arn = f"arn:aws:iam::123456789012:role/{ROLE}"
    given: dict[str, str] = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-1")["Credentials"]
    return given


@pytest.fixture(scope="module")
def node(aws: EmulatedAws, credentials: dict[str, str]) -> Any:
    """A client of the role."""
    key, secret, token = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    session = boto3.session.Session(key, secret, token, "us-east-1")
    config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    return session.client("s3", endpoint_url=aws.url, config=config)


@pytest.fixture(scope="module")
def signed(credentials: dict[str, str]) -> str:
    """The `Authorization` of a request of the role, with a signature that nobody checks."""
    scope = f"{credentials['AccessKeyId']}/20260101/us-east-1/s3/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"


def allow(aws: EmulatedAws, *statements: tuple[str, str], condition: dict[str, Any] | None = None) -> None:
    """Let the role do this alone: actions, each with its resource."""
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": action,
                "Resource": resource,
                **({"Condition": condition} if condition else {}),
            }
            for action, resource in statements
        ],
    }
    aws.client("iam").put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=json.dumps(document))


def refused_by(aws: EmulatedAws) -> list[str]:
    """What was refused so far, by its message's end."""
    lines = aws.refused.read_text().splitlines() if aws.refused.exists() else []
    return [json.loads(line)["message"].partition("to perform ")[2] for line in lines]


def put_source(s3: Any) -> str:
    return str(s3.put_object(Bucket=BUCKET, Key="source", Body=b"0123456789")["VersionId"])


def upload(s3: Any) -> dict[str, Any]:
    """Begin an upload as the deployer."""
    named = {"Bucket": BUCKET, "Key": "parts"}
    return {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}


KEY = {"Bucket": BUCKET, "Key": "key"}
SOURCE = {"Bucket": BUCKET, "Key": "source"}
CALLS: dict[str, tuple[str, str, Try]] = {
    "list_objects": ("s3:ListBucket", "", lambda node: node.list_objects(Bucket=BUCKET)),
    "list_objects_v2": ("s3:ListBucket", "", lambda node: node.list_objects_v2(Bucket=BUCKET)),
    "head_bucket": ("s3:ListBucket", "", lambda node: node.head_bucket(Bucket=BUCKET)),
    "list_multipart_uploads": (
        "s3:ListBucketMultipartUploads",
        "",
        lambda node: node.list_multipart_uploads(Bucket=BUCKET),
    ),
    "list_object_versions": ("s3:ListBucketVersions", "", lambda node: node.list_object_versions(Bucket=BUCKET)),
    "get_bucket_location": ("s3:GetBucketLocation", "", lambda node: node.get_bucket_location(Bucket=BUCKET)),
    "get_bucket_acl": ("s3:GetBucketAcl", "", lambda node: node.get_bucket_acl(Bucket=BUCKET)),
    "get_bucket_versioning": ("s3:GetBucketVersioning", "", lambda node: node.get_bucket_versioning(Bucket=BUCKET)),
    "get_bucket_encryption": (
        "s3:GetEncryptionConfiguration",
        "",
        lambda node: node.get_bucket_encryption(Bucket=BUCKET),
    ),
    "list_buckets": ("s3:ListAllMyBuckets", "*", lambda node: node.list_buckets()),
    "get_object": ("s3:GetObject", "/source", lambda node: node.get_object(**SOURCE)),
    "get_range": ("s3:GetObject", "/source", lambda node: node.get_object(**SOURCE, Range="bytes=2-3")),
    "head_object": ("s3:GetObject", "/source", lambda node: node.head_object(**SOURCE)),
    "put_object": ("s3:PutObject", "/key", lambda node: node.put_object(**KEY, Body=b"")),
    "delete_object": ("s3:DeleteObject", "/key", lambda node: node.delete_object(**KEY)),
    "create_multipart_upload": ("s3:PutObject", "/key", lambda node: node.create_multipart_upload(**KEY)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_its_own_action(aws: EmulatedAws, s3: Any, node: Any, name: str) -> None:
    action, below, call = CALLS[name]
    resource = below if below == "*" else f"{BUCKET_ARN}{below}"
    put_source(s3)
    allow(aws, (action, resource))
    call(node)
    others = sorted({other for other, _, _ in CALLS.values()} - {action})
    allow(aws, *((other, "*") for other in others))
    with pytest.raises(ClientError, match=r"AccessDenied|403"):
        call(node)
    assert refused_by(aws)[-1] == f"{action} on {resource}"


@pytest.mark.parametrize("name", CALLS)
def test_a_call_takes_its_own_resource(aws: EmulatedAws, s3: Any, node: Any, name: str) -> None:
    action, below, call = CALLS[name]
    put_source(s3)
    allow(aws, (action, f"arn:aws:s3:::other{'' if below == '*' else below}"))
    with pytest.raises(ClientError, match=r"AccessDenied|403"):
        call(node)


@pytest.mark.parametrize("query", ["inventoryTable", "torrents", "list-type=2&versions2"])
def test_what_s3_does_not_know_is_not_taken_for_a_list(aws: EmulatedAws, signed: str, query: str) -> None:
    allow(aws, ("s3:ListBucket", BUCKET_ARN), ("s3:GetObject", f"{BUCKET_ARN}/*"))
    assert ask(aws, signed, "GET", f"/{BUCKET}?{query}").status == 403
    assert ask(aws, signed, "GET", f"/{BUCKET}/source?{query}").status == 403
    assert ask(aws, signed, "PATCH", f"/{BUCKET}/source").status == 403


def test_who_may_not_list_does_not_hear_that_an_object_is_not_there(aws: EmulatedAws, s3: Any, node: Any) -> None:
    absent = {"Bucket": BUCKET, "Key": "absent"}
    s3.put_object(**absent)
    s3.delete_object(**absent)
    for resource, status in ((f"{BUCKET_ARN}-other", "403|AccessDenied"), (BUCKET_ARN, "404|NoSuchKey")):
        allow(aws, ("s3:GetObject", f"{BUCKET_ARN}/*"), ("s3:ListBucket", resource))
        for call in (node.get_object, node.head_object):
            with pytest.raises(ClientError, match=status):
                call(**absent)


def test_an_older_version_takes_an_action_of_its_own(aws: EmulatedAws, s3: Any, node: Any) -> None:
    version = {**SOURCE, "VersionId": put_source(s3)}
    allow(aws, ("s3:GetObject", f"{BUCKET_ARN}/*"), ("s3:DeleteObject", f"{BUCKET_ARN}/*"))
    for call in (node.get_object, node.head_object, node.delete_object):
        with pytest.raises(ClientError, match=r"AccessDenied|403"):
            call(**version)
    allow(aws, ("s3:GetObjectVersion", f"{BUCKET_ARN}/*"), ("s3:DeleteObjectVersion", f"{BUCKET_ARN}/*"))
    for call in (node.get_object, node.head_object, node.delete_object):
        call(**version)


def test_tags_and_acls_of_a_new_object_take_actions_besides(aws: EmulatedAws, node: Any) -> None:
    allow(aws, ("s3:PutObject", f"{BUCKET_ARN}/*"))
    for argument in ({"Tagging": "a=b"}, {"ACL": "private"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            node.put_object(**KEY, **argument)
    allow(aws, *((f"s3:PutObject{besides}", f"{BUCKET_ARN}/*") for besides in ("", "Tagging", "Acl")))
    for argument in ({"Tagging": "a=b"}, {"ACL": "private"}):
        node.put_object(**KEY, **argument)


@pytest.mark.parametrize("source", ["source", "besøk/%41 b"])
def test_a_copy_reads_its_source(aws: EmulatedAws, s3: Any, node: Any, source: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=source, Body=b"x")
    begun = upload(s3)
    for call, arguments in (
        (node.copy_object, KEY),
        (node.upload_part_copy, {**begun, "PartNumber": 1}),
    ):
        copy = {**arguments, "CopySource": {"Bucket": BUCKET, "Key": source}}
        allow(aws, ("s3:PutObject", f"{BUCKET_ARN}/*"))
        with pytest.raises(ClientError, match="AccessDenied"):
            call(**copy)
        assert refused_by(aws)[-1] == f"s3:GetObject on {BUCKET_ARN}/{source}"
        allow(aws, ("s3:GetObject", f"{BUCKET_ARN}/{source}"), ("s3:PutObject", f"{BUCKET_ARN}/*"))
        call(**copy)
        allow(aws, ("s3:GetObject", f"{BUCKET_ARN}/*"))
        with pytest.raises(ClientError, match="AccessDenied"):
            call(**copy)


def test_an_upload_is_written_by_put_listed_and_aborted_by_actions_of_their_own(
    aws: EmulatedAws, s3: Any, node: Any
) -> None:
    parts = f"{BUCKET_ARN}/parts"
    allow(aws, ("s3:PutObject", parts))
    named = {"Bucket": BUCKET, "Key": "parts"}
    begun = {**named, "UploadId": node.create_multipart_upload(**named)["UploadId"]}
    tag = node.upload_part(**begun, PartNumber=1, Body=b"x")["ETag"]
    for call in (node.list_parts, node.abort_multipart_upload):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(**begun)
    done = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}
    node.complete_multipart_upload(**begun, **done)
    allow(aws, ("s3:ListMultipartUploadParts", parts), ("s3:AbortMultipartUpload", parts))
    other = upload(s3)
    for call, arguments in (
        (node.create_multipart_upload, named),
        (node.upload_part, {**other, "PartNumber": 1}),
        (node.complete_multipart_upload, {**other, **done}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(**arguments)
    node.list_parts(**other)
    node.abort_multipart_upload(**other)


@pytest.mark.parametrize("quiet", [True, False])
def test_a_bulk_deletion_is_held_to_each_key(aws: EmulatedAws, s3: Any, node: Any, quiet: bool) -> None:  # noqa: FBT001
    keys = ["data/a", "data/<b> & c", "artifacts/node/x"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    allow(aws, ("s3:ListBucket", BUCKET_ARN), ("s3:DeleteObject", f"{BUCKET_ARN}/data/*"))
    answer = node.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": quiet})
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("artifacts/node/x", "AccessDenied")]
    if not quiet:
        assert {one["Key"] for one in answer["Deleted"]} == {"data/a", "data/<b> & c"}
    s3.head_object(Bucket=BUCKET, Key="artifacts/node/x")
    for key in keys[:2]:
        with pytest.raises(ClientError, match="404"):
            s3.head_object(Bucket=BUCKET, Key=key)
    assert refused_by(aws)[-1] == f"s3:DeleteObject on {BUCKET_ARN}/artifacts/node/x"


def test_a_bulk_deletion_of_nothing_that_is_allowed_deletes_nothing(aws: EmulatedAws, s3: Any, node: Any) -> None:
    version = put_source(s3)
    allow(aws, ("s3:ListBucket", BUCKET_ARN), ("s3:DeleteObject", f"{BUCKET_ARN}/*"))
    answer = node.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "source", "VersionId": version}]})
    assert [(one["Key"], one["VersionId"]) for one in answer["Errors"]] == [("source", version)]
    assert "Deleted" not in answer
    s3.head_object(**SOURCE, VersionId=version)


def test_a_bulk_deletion_is_held_to_the_buckets_policy(aws: EmulatedAws, s3: Any, node: Any) -> None:
    for key in ("artifacts/x", "data/x"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    allow(aws, ("s3:*", "*"))
    denial = {
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::123456789012:role/{ROLE}"},
        "Action": "s3:DeleteObject*",
        "Resource": f"{BUCKET_ARN}/artifacts/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    try:
        keys = [{"Key": "artifacts/x"}, {"Key": "data/x"}]
        answer = node.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
    finally:
        s3.delete_bucket_policy(Bucket=BUCKET)
    assert [one["Key"] for one in answer["Errors"]] == ["artifacts/x"]
    assert [one["Key"] for one in answer["Deleted"]] == ["data/x"]


def test_a_buckets_key_takes_actions_of_kms(aws: EmulatedAws, s3: Any, node: Any) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    bucket = "encrypted-bucket"
    s3.create_bucket(Bucket=bucket)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    named = {"Bucket": bucket, "Key": "data/x"}
    via_s3 = {"StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]}}
    objects = (("s3:PutObject", "*"), ("s3:GetObject", "*"))

    allow(aws, *objects, ("kms:Decrypt", key))
    with pytest.raises(ClientError, match="AccessDenied"):
        node.put_object(**named)
    assert refused_by(aws)[-1] == f"kms:GenerateDataKey on {key}"
    allow(aws, *objects, ("kms:GenerateDataKey", key))
    node.put_object(**named)
    with pytest.raises(ClientError, match="AccessDenied"):
        node.create_multipart_upload(**named)
    with pytest.raises(ClientError, match="AccessDenied"):
        node.get_object(**named)
    with pytest.raises(ClientError, match="AccessDenied"):
        node.copy_object(**KEY, CopySource=named)
    assert refused_by(aws)[-1] == f"kms:Decrypt on {key}"
    allow(aws, *objects, ("kms:Decrypt", key), ("kms:GenerateDataKey", key), condition=via_s3)
    node.create_multipart_upload(**named)
    node.get_object(**named)
    node.copy_object(**KEY, CopySource=named)
    allow(aws, *objects, ("kms:Decrypt", f"{key}-other"))
    with pytest.raises(ClientError, match="AccessDenied"):
        node.get_object(**named)


# --- Objects -----------------------------------------------------------------------------------------------------


def ask(aws: EmulatedAws, signed: str, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    """Send a request as it stands."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(aws.url).netloc, timeout=30)
    connection.request(method, path, headers={"Authorization": signed, **headers})
    return connection.getresponse()


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ({}, 200, b"0123456789"),
        ({"Range": "bytes=2-4"}, 206, b"234"),
        ({"Range": "bytes=7-"}, 206, b"789"),
        ({"Range": "bytes=-2"}, 206, b"89"),
        ({"Range": "bytes=8-99"}, 206, b"89"),
        ({"Range": "bytes=10-"}, 416, None),
        ({"If-Match": "TAG"}, 200, b"0123456789"),
        ({"If-Match": "TAG", "Range": "bytes=0-0"}, 206, b"0"),
        ({"If-Match": '"other"'}, 412, None),
        ({"If-None-Match": "TAG"}, 304, b""),
        ({"If-None-Match": '"other"'}, 200, b"0123456789"),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304, b""),
        ({"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}, 412, None),
    ],
)
def test_a_get_is_conditional_and_of_a_range(
    aws: EmulatedAws, s3: Any, signed: str, asked: dict[str, str], status: int, body: bytes | None
) -> None:
    allow(aws, ("s3:*", "*"))
    tag = s3.put_object(**SOURCE, Body=b"0123456789", Metadata={"marker": "5"})["ETag"]
    headers = {name: value.replace("TAG", tag) for name, value in asked.items()}
    answer = ask(aws, signed, "GET", f"/{BUCKET}/source", **headers)
    assert answer.status == status
    got = answer.read()
    assert body is None or got == body
    if status in {200, 206}:
        assert (answer.headers["ETag"], answer.headers["x-amz-meta-marker"]) == (tag, "5")
        assert int(answer.headers["Content-Length"]) == len(got)
    head = ask(aws, signed, "HEAD", f"/{BUCKET}/source", **headers)
    assert (head.status, head.read()) == (status, b"")


@pytest.mark.parametrize("host", [f"{BUCKET}.s3.us-east-1.amazonaws.com", f"{BUCKET}.s3.amazonaws.com"])
def test_a_bucket_may_stand_in_the_hosts_name(aws: EmulatedAws, s3: Any, signed: str, host: str) -> None:
    key = "date=2020-01-01 00%3A00/é+b"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"named")
    allow(aws, ("s3:GetObject", f"{BUCKET_ARN}/date=*00%3A00/é*"), ("s3:ListBucket", BUCKET_ARN))
    assert ask(aws, signed, "GET", f"/{urllib.parse.quote(key)}", Host=host).read() == b"named"
    listed = ask(aws, signed, "GET", "/?list-type=2&prefix=date%3D", Host=host)
    assert (listed.status, listed.read().count(b"<Key>")) == (200, 1)
    allow(aws, ("s3:GetObject", f"{BUCKET_ARN}/data/*"))
    assert ask(aws, signed, "GET", f"/{urllib.parse.quote(key)}", Host=host).status == 403


def test_a_large_upload_in_chunks_has_its_checksum_and_its_bytes(aws: EmulatedAws, node: Any, signed: str) -> None:
    allow(aws, ("s3:*", "*"))
    named = {"Bucket": BUCKET, "Key": "large"}
    begun = {**named, "UploadId": node.create_multipart_upload(**named, ChecksumAlgorithm="CRC32")["UploadId"]}
    parts = []
    began = time.monotonic()
    for number in (1, 2):
        body = bytes([number]) * (50 * MIB)
        part = chunked(aws, signed, f"/{BUCKET}/large?partNumber={number}&uploadId={begun['UploadId']}", body)
        parts.append({"PartNumber": number, "ETag": part.headers["ETag"]})
        assert part.headers["x-amz-checksum-crc32"] == f"sum{number}="
    assert time.monotonic() - began < 20
    node.complete_multipart_upload(**begun, MultipartUpload={"Parts": parts})
    assert node.head_object(**named)["ContentLength"] == 100 * MIB
    middle = node.get_object(**named, Range=f"bytes={50 * MIB - 1}-{50 * MIB}")["Body"].read()
    assert middle == b"\x01\x02"


def test_a_client_that_waits_for_a_go_ahead_gets_one_and_then_the_answer(aws: EmulatedAws, signed: str) -> None:
    """The SDK for Java takes a second one for the answer, where it uses Netty: S3A's copies of local files."""
    allow(aws, ("s3:PutObject", f"{BUCKET_ARN}/waiting"))
    host, _, port = urllib.parse.urlsplit(aws.url).netloc.partition(":")
    said = {"Host": host, "Authorization": signed, "Content-Length": "4", "Expect": "100-continue"}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"PUT /{BUCKET}/waiting HTTP/1.1\r\n{head}\r\n".encode())
        answers = connection.recv(16)
        connection.sendall(b"body")
        while b"200 OK" not in answers:
            answers += connection.recv(1024)
    assert answers.count(b"HTTP/1.1 ") == 2
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def chunked(aws: EmulatedAws, signed: str, path: str, body: bytes) -> http.client.HTTPResponse:
    """Put a body as SDKs for Java do: it waits for a go-ahead, has small chunks, and a checksum behind them."""
    size = 128 * 1024
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    coded += b"0\r\nx-amz-checksum-crc32:sum%d=\r\n\r\n" % body[0]
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(aws.url).netloc, timeout=60)
    connection.putrequest("PUT", path)
    headers = {
        "Authorization": signed,
        "Expect": "100-continue",
        "Content-Encoding": "aws-chunked",
        "Content-Length": str(len(coded)),
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-sdk-checksum-algorithm": "CRC32",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.sock.settimeout(10)
    go_ahead = connection.sock.recv(64)
    assert go_ahead.startswith(b"HTTP/1.1 100 ")
    connection.send(coded)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return answer


def test_a_call_that_names_a_member_alone_takes_its_groups_resource(
    aws: EmulatedAws, credentials: dict[str, str]
) -> None:
    scaling, ec2 = aws.client("autoscaling"), aws.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    ec2.create_launch_template(
        LaunchTemplateName="workers", LaunchTemplateData={"ImageId": image, "InstanceType": "m6i.large"}
    )
    for name in ("ours", "theirs"):
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
            LaunchTemplate={"LaunchTemplateName": "workers", "Version": "1"},
        )
    members = {one["AutoScalingGroupName"]: one["InstanceId"] for one in _members(scaling)}
    key, secret, token = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    node = boto3.session.Session(key, secret, token, "us-east-1").client("autoscaling", endpoint_url=aws.url)
    action = "autoscaling:TerminateInstanceInAutoScalingGroup"
    allow(aws, (action, "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/ours"))
    with pytest.raises(ClientError, match="AccessDenied"):
        node.terminate_instance_in_auto_scaling_group(
            InstanceId=members["theirs"], ShouldDecrementDesiredCapacity=False
        )
    assert refused_by(aws)[-1].endswith("autoScalingGroupName/theirs")
    node.terminate_instance_in_auto_scaling_group(InstanceId=members["ours"], ShouldDecrementDesiredCapacity=False)
    assert members["ours"] not in {one["InstanceId"] for one in _members(scaling)}


def _members(scaling: Any) -> list[dict[str, Any]]:
    members: list[dict[str, Any]] = scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
    return members


def put_metric(aws: EmulatedAws, credentials: dict[str, str], namespace: str) -> None:
    """As the role does."""
    key, secret, token = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    config = Config(retries={"max_attempts": 0})
    session = boto3.session.Session(key, secret, token, "us-east-1")
    node = session.client("cloudwatch", endpoint_url=aws.url, config=config)
    node.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "workers", "Value": 3.0}])


def test_metrics_go_into_the_namespace_that_the_policy_names(aws: EmulatedAws, credentials: dict[str, str]) -> None:
    allow(aws, ("cloudwatch:PutMetricData", "*"), condition={"StringEquals": {"cloudwatch:namespace": "ours"}})
    put_metric(aws, credentials, "ours")
    with pytest.raises(ClientError, match="AccessDenied"):
        put_metric(aws, credentials, "theirs")
    allow(aws, ("cloudwatch:PutMetricData", "arn:aws:cloudwatch:us-east-1:123456789012:metric/ours"))
    with pytest.raises(ClientError, match="AccessDenied"):
        put_metric(aws, credentials, "ours")


def test_what_a_role_may_do_is_refused_by_a_fault(aws: EmulatedAws, credentials: dict[str, str]) -> None:
    allow(aws, ("cloudwatch:PutMetricData", "*"))
    with faults.injected(refused={"demo": ["cloudwatch:PutMetricData"]}):
        with pytest.raises(ClientError, match="AccessDenied"):
            put_metric(aws, credentials, "ours")
        assert refused_by(aws)[-1] == "cloudwatch:PutMetricData on *"
    with faults.injected(refused={"other": ["cloudwatch:PutMetricData"]}):
        put_metric(aws, credentials, "ours")
