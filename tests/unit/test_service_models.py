"""Requests are held to botocore's models of them, before moto sees them."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.client import Config

from lab.service_models import ServiceModels, caller, in_python, input_rules, prose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botocore.awsrequest import AWSPreparedRequest

    from lab.turns import Environ, Respond

SESSION = botocore.session.Session()


class Moto:
    """Stands for what is behind: takes everything, and keeps the bodies that it read."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, environ: Environ, respond: Respond) -> list[bytes]:
        self.bodies.append(environ["wsgi.input"].read())
        respond("200 OK", [])
        return [b"taken"]


class Aws:
    """The layer with nothing behind it, called by clients of boto3 that check nothing themselves."""

    def __init__(self, folder: Path) -> None:
        self.moto = Moto()
        self.log = folder / "calls.jsonl"
        self._app = ServiceModels(self.moto, self.log, caller("test"))

    def call(self, service: str, operation: str, agent: str = "Terraform", key: str = "test", **arguments: Any) -> str:
        """Make a call as an SDK serializes it; what is answered."""
        config = Config(parameter_validation=False, s3={"addressing_style": "path"}, user_agent=agent)
        credentials = {"aws_access_key_id": key, "aws_secret_access_key": "test"}
        client = SESSION.create_client(
            service, "us-east-1", config=config, endpoint_url="http://10.77.0.1", **credentials
        )
        sent: list[AWSPreparedRequest] = []

        class StopError(Exception):
            """Nothing is sent."""

        def keep(request: AWSPreparedRequest, **_: Any) -> None:
            sent.append(request)
            raise StopError

        client.meta.events.register("before-send", keep)
        with pytest.raises(StopError):
            getattr(client, operation)(**arguments)
        return self.answer(sent[0])

    def answer(self, request: AWSPreparedRequest) -> str:
        """Put a request of the SDK through the layer."""
        body = request.body or b""
        body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
        path, _, query = request.url.removeprefix("http://10.77.0.1").partition("?")
        environ: Environ = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "10.77.0.1",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
        }
        for name, value in request.headers.items():
            text = value.decode() if isinstance(value, bytes) else value
            key = name.upper().replace("-", "_")
            environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = text
        return b"".join(self._app(environ, lambda *_: None)).decode()


@pytest.fixture
def aws(tmp_path: Path) -> Aws:
    return Aws(tmp_path)


def refused() -> Iterator[Any]:
    group = {"AutoScalingGroupName": "g", "MinSize": 0, "MaxSize": 1}
    hook = {"AutoScalingGroupName": "g", "LifecycleHookName": "h"}
    trust = {"AssumeRolePolicyDocument": "{}"}
    yield (
        "autoscaling",
        "create_auto_scaling_group",
        {**group, "AutoScalingGroupName": "g" * 256},
        "1 to 255 char",
    )
    yield "autoscaling", "create_auto_scaling_group", {"AutoScalingGroupName": "g", "MinSize": 0}, "'MaxSize'"
    yield "autoscaling", "create_auto_scaling_group", {**group, "Tags": [{"Value": "a"}]}, "'Tags[].Key'"
    yield "autoscaling", "put_lifecycle_hook", {**hook, "LifecycleHookName": "a b"}, "match"
    yield (
        "autoscaling",
        "start_instance_refresh",
        {"AutoScalingGroupName": "g", "Strategy": "Swift"},
        "be one of Rolling",
    )
    yield (
        "autoscaling",
        "start_instance_refresh",
        {"AutoScalingGroupName": "g", "Preferences": {"MaxHealthyPercentage": 250}},
        "be at most 200",
    )
    yield "iam", "create_role", {**trust, "RoleName": "r" * 65}, "have 1 to 64 characters"
    yield "iam", "create_role", {**trust, "RoleName": "a/b"}, "match"
    yield "iam", "create_role", {**trust, "RoleName": "r", "Tags": [{"Key": "a€", "Value": "b"}]}, "'Tags[].Key'"
    yield "iam", "create_role", {**trust, "RoleName": "r", "Path": "p" * 513}, "1 to 512"
    yield "ssm", "put_parameter", {"Name": "p", "Value": "v", "Type": "Secret"}, "ValidationException"
    yield "ssm", "put_parameter", {"Name": "p", "Value": "v", "Description": "d" * 1025}, "0 to 1024"
    yield "ec2", "run_instances", {"MinCount": 1, "MaxCount": 1, "InstanceType": "m6i.tiny"}, "InvalidParameterValue"
    yield "ec2", "create_security_group", {"GroupName": "g"}, "MissingParameter"
    yield "route53", "create_hosted_zone", {"Name": "z", "CallerReference": "c" * 129}, "InvalidInput"
    yield (
        "s3",
        "put_bucket_lifecycle_configuration",
        {"Bucket": "b", "LifecycleConfiguration": {"Rules": [{"ID": "r", "Status": "on"}]}},
        "MalformedXML",
    )
    yield "kms", "describe_key", {"KeyId": "k" * 2049}, "ValidationException"


@pytest.mark.parametrize(("service", "operation", "arguments", "words"), list(refused()))
def test_what_breaks_a_rule_of_the_model_is_refused(
    aws: Aws, service: str, operation: str, arguments: dict[str, Any], words: str
) -> None:
    answer = aws.call(service, operation, **arguments)
    assert "validation error" in answer
    assert words in answer
    assert aws.moto.bodies == []


def test_what_fits_goes_on_with_its_body(aws: Aws) -> None:
    tags = [{"Key": "Größe", "Value": "drei & vier \U0001f600"}]
    sizes: dict[str, Any] = {"MinSize": 0, "MaxSize": 1}
    assert aws.call("autoscaling", "create_auto_scaling_group", AutoScalingGroupName="g", Tags=tags, **sizes) == "taken"
    assert b"AutoScalingGroupName=g" in aws.moto.bodies[0]


def test_an_object_goes_on_unread(aws: Aws) -> None:
    assert aws.call("s3", "put_object", Bucket="b", Key="data/a", Body=b"0" * 100) == "taken"
    assert b"0" * 100 in aws.moto.bodies[0]


def test_a_secret_value_is_not_told(aws: Aws) -> None:
    answer = aws.call("iam", "create_login_profile", UserName="u", Password="geheim" * 30)
    assert "1 to 128" in answer
    assert "geheim" not in answer


def test_calls_of_terraform_and_of_nodes_are_noted_once(aws: Aws) -> None:
    for _ in range(2):
        aws.call("ssm", "get_parameter", Name="a")
        aws.call("ssm", "get_parameter", Name="b", agent="Boto3", key="AKIA")
        aws.call("ssm", "get_parameter", Name="c", agent="Boto3")
    noted = [json.loads(line) for line in aws.log.read_text().splitlines()]
    call = {"service": "ssm", "operation": "GetParameter", "arguments": ["Name"]}
    assert noted == [{"by": "terraform", **call}, {"by": "node", **call}]


def test_what_a_caller_names_itself_is_no_argument_of_its_own(aws: Aws) -> None:
    """Metadata of objects, filters of a session's parameters: keys of a map."""
    aws.call("s3", "put_object", Bucket="b", Key="data/a", Body=b"0", Metadata={"fs.s3a": "x", "other": "y"})
    aws.call("ssm", "start_session", Target="i-1", Parameters={"portNumber": ["22", "80"]})
    put, start = (json.loads(line)["arguments"] for line in aws.log.read_text().splitlines())
    assert "Metadata{}" in put
    assert not [path for path in put if "fs" in path or "other" in path]
    assert start == ["Parameters{}[]", "Target"]


def test_the_model_is_read_below_keys_that_a_caller_names() -> None:
    arguments = ["Parameters{}[]", "Target"]
    assert input_rules("ssm:StartSession", arguments)["Parameters{}[]"] == ["have 1 to 65535 characters"]
    assert prose("s3:PutObject", "Metadata{}") == "A map of metadata to store with the object in S3."
    assert prose("ssm:StartSession", "Parameters{}[]").startswith("The values you want to specify for the parameters")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a \U0001f600\n", "\x00"),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 3", "a€"),
    ],
)
def test_patterns_of_java_are_read(pattern: str, good: str, bad: str) -> None:
    assert re.fullmatch(in_python(pattern), good)
    assert not re.fullmatch(in_python(pattern), bad)
