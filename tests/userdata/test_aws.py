"""aws.py: every call a node makes to AWS."""

from __future__ import annotations

import functools
import gc
import json
import os
import pwd
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import artifacts
import aws
import copies
import files
import node_secrets
import polling
import pytest
import settings
import store_once
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from spark_cluster.parameters import PLACEHOLDER
from tests.userdata.conftest import client
from tests.userdata.node import LIB, USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

    from tests.userdata.conftest import Clock

SECRET = "/spark-cluster/demo/spark-secret"  # noqa: S105 - a name
TOKEN = "/spark-cluster/demo/connect-token"  # noqa: S105 - a name
PRIVATE = "/spark-cluster/demo/fleet-private-key"
PUBLIC = "/spark-cluster/demo/fleet-public-key"

# botocore's metadata client, and urllib after an error, leave theirs to the garbage collector.
leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


def fault(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "SomeCall")


class Faulty:
    """A call that raises these first, then answers; `None` in place of a list: one fault for ever."""

    def __init__(self, *faults: Exception, for_ever: bool = False) -> None:
        self.faults = list(faults)
        self.for_ever = for_ever
        self.calls = 0

    def __call__(self, **_: object) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults[0] if self.for_ever else self.faults.pop(0)
        return "answer"


@pytest.fixture
def ssm(cloud: None) -> Any:
    """Parameters as Terraform leaves them."""
    ssm = client("ssm")
    for name, kind in ((SECRET, "SecureString"), (PRIVATE, "SecureString"), (PUBLIC, "String")):
        ssm.put_parameter(Name=name, Value=PLACEHOLDER, Type=kind)
    return ssm


@pytest.fixture
def s3(cloud: None) -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="demo-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3


def value(ssm: Any, name: str) -> str:
    return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


def version(ssm: Any, name: str) -> int:
    return int(ssm.get_parameter(Name=name)["Parameter"]["Version"])


def described(ssm: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = ssm.describe_parameters(
        ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
    )["Parameters"][0]
    return found


# What passes and what does not


@pytest.mark.parametrize(
    "transient",
    [
        fault("AccessDenied"),
        fault("AccessDeniedException"),
        fault("403"),
        fault("UnauthorizedOperation"),
        fault("ParameterNotFound"),
        fault("NoSuchBucket"),
        fault("ThrottlingException"),
        fault("Throttling"),
        fault("RequestLimitExceeded"),
        fault("SlowDown"),
        fault("ExpiredToken"),
        fault("ExpiredTokenException"),
        fault("RequestTimeout"),
        fault("RequestTimeTooSkewed"),
        fault("RequestExpired"),
        fault("SignatureDoesNotMatch"),
        fault("InvalidSignatureException"),
        fault("AuthFailure"),
        fault("InternalServerError"),
        NoCredentialsError(),
        CredentialRetrievalError(provider="iam-role", error_msg="the service is not there yet"),
        EndpointConnectionError(endpoint_url="https://ssm.eu-west-1.amazonaws.com"),
        ReadTimeoutError(endpoint_url="https://ssm.eu-west-1.amazonaws.com"),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(clock: Clock, transient: Exception) -> None:
    call = Faulty(transient, transient)
    assert aws.eventually(call) == "answer"
    assert call.calls == 3
    assert len(clock.pauses) == 2


@pytest.mark.parametrize(
    "lasting",
    [
        fault("ValidationException"),
        fault("InvalidParameterValue"),
        fault("NoSuchKey"),
        fault("404"),
        ParamValidationError(report="Invalid length for parameter Name"),
    ],
    ids=str,
)
def test_what_lasts_is_raised_at_once(clock: Clock, lasting: Exception) -> None:
    call = Faulty(lasting, for_ever=True)
    with pytest.raises(type(lasting)):
        aws.eventually(call)
    assert call.calls == 1
    assert clock.pauses == []


def test_trying_again_has_growing_pauses_and_ends_after_five_minutes(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling.random, "uniform", lambda low, high: (low + high) / 2)
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.eventually(Faulty(fault("AccessDenied"), for_ever=True))
    assert clock.pauses[:7] == [0.5, 1, 2, 4, 8, 15, 15]
    assert 280 < sum(clock.pauses) <= 300


def test_pauses_differ_from_node_to_node(clock: Clock) -> None:
    for _ in range(2):
        with pytest.raises(ClientError):
            aws.eventually(Faulty(fault("Throttling"), for_ever=True), seconds=60)
    half = clock.pauses.index(min(clock.pauses[3:]))
    assert clock.pauses[:3] != clock.pauses[half : half + 3]
    assert len(set(clock.pauses)) == len(clock.pauses)


def test_each_new_try_says_why(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    aws.eventually(Faulty(fault("ThrottlingException", "Rate exceeded")))
    assert "ThrottlingException" in capsys.readouterr().err


def test_a_throttled_parameter_is_read_in_the_end(
    settle: Callable[..., None], cloud: None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle("worker")
    with Stubber(aws.client("ssm")) as stub:
        for _ in range(3):
            stub.add_client_error("get_parameter", "ThrottlingException", "Rate exceeded", 400)
        stub.add_response("get_parameter", {"Parameter": {"Value": "v"}}, {"Name": SECRET, "WithDecryption": True})
        assert node_secrets.get_parameter(SECRET) == "v"
        stub.assert_no_pending_responses()


# The metadata service and credentials


class Services:
    """The metadata service, and an endpoint that answers every call of an AWS client with one parameter."""

    def __init__(self) -> None:
        self.roleless = 0
        self.failing = 0
        self.seen: list[tuple[str, str, Message]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                code, body = outer.answer(self.command, self.path, self.headers)
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = answer  # noqa: N815 - the names that http.server calls

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, method: str, path: str, headers: Message) -> tuple[int, bytes]:  # noqa: PLR0911 - one each
        self.seen.append((method, path, headers))
        if self.failing:
            self.failing -= 1
            return 503, b""
        if method == "PUT":
            return 200, b"a-session"
        if method == "POST":
            return 200, json.dumps({"Parameter": {"Value": "v"}}).encode()
        if headers["X-aws-ec2-metadata-token"] != "a-session":
            return 401, b""
        if path.endswith("/security-credentials/"):
            if self.roleless:
                self.roleless -= 1
                return 404, b""
            return 200, b"worker-role"
        if path.endswith("/security-credentials/worker-role"):
            keys = {
                "AccessKeyId": "AKIDNODE",
                "SecretAccessKey": "k",
                "Token": "t",
                "Expiration": "2099-01-01T00:00:00Z",
            }
            return 200, json.dumps({**keys, "Code": "Success"}).encode()
        return (200, b"i-0abc") if path == "/latest/meta-data/instance-id" else (404, b"")


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    services = Services()
    monkeypatch.setattr(aws, "METADATA_URL", services.url)
    yield services
    services.close()
    gc.collect()


def test_metadata_is_read_with_a_session_token(services: Services) -> None:
    assert aws.metadata("instance-id") == "i-0abc"
    (first, second) = services.seen
    assert first[:2] == ("PUT", "/latest/api/token")
    assert first[2]["X-aws-ec2-metadata-token-ttl-seconds"]
    assert second[:2] == ("GET", "/latest/meta-data/instance-id")


def test_metadata_is_never_asked_through_a_proxy(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert aws.metadata("instance-id") == "i-0abc"


@leaves_sockets
def test_metadata_that_is_busy_is_asked_again(services: Services, clock: Clock) -> None:
    services.failing = 3
    assert aws.metadata("instance-id") == "i-0abc"
    assert len(clock.pauses) == 3


def test_an_item_that_the_metadata_service_does_not_have_is_none_at_once(services: Services, clock: Clock) -> None:
    assert aws.metadata("spot/instance-action") is None
    assert clock.pauses == []
    assert [method for method, _, _ in services.seen] == ["PUT", "GET"]


def test_metadata_that_is_not_there_is_given_up_after_a_minute(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "METADATA_URL", "http://127.0.0.1:1")
    with pytest.raises(
        SystemExit, match=r"aws: no instance-id from the metadata service at http://127.0.0.1:1: .*refused"
    ):
        aws.metadata("instance-id")
    assert 40 < sum(clock.pauses) < 75


@leaves_sockets
def test_credentials_that_are_not_there_yet_are_waited_for(
    services: Services, settle: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A client that was made without them would never have any."""
    settle("worker")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", services.url)
    services.roleless = 3
    aws.client.cache_clear()
    assert node_secrets.get_parameter(SECRET) == "v"
    aws.client.cache_clear()
    (post,) = [headers for method, _, headers in services.seen if method == "POST"]
    assert "AKIDNODE" in post["Authorization"]
    assert "/eu-west-1/ssm/" in post["Authorization"]
    assert clock.pauses


# The secret of spark.authenticate


def test_the_master_makes_the_secret_where_nobody_has(root: Path, settle: Callable[..., None], ssm: Any) -> None:
    settle("master")
    node_secrets.spark_secret("60")
    secret = value(ssm, SECRET)
    assert len(secret) >= 43
    assert secret != PLACEHOLDER
    file = root / "etc/spark-cluster/spark-secret"
    assert file.read_text() == secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert described(ssm, SECRET)["Type"] == "SecureString"


def test_no_two_clusters_have_the_same_secret(root: Path, settle: Callable[..., None], ssm: Any) -> None:
    settle("master")
    made = set()
    for _ in range(2):
        ssm.put_parameter(Name=SECRET, Value=PLACEHOLDER, Type="SecureString", Overwrite=True)
        node_secrets.spark_secret("60")
        made.add(value(ssm, SECRET))
    assert len(made) == 2


def test_a_replaced_master_keeps_the_secret(root: Path, settle: Callable[..., None], ssm: Any) -> None:
    settle("master")
    ssm.put_parameter(Name=SECRET, Value="of the first master", Type="SecureString", Overwrite=True)
    before = version(ssm, SECRET)
    node_secrets.spark_secret("60")
    assert version(ssm, SECRET) == before
    assert (root / "etc/spark-cluster/spark-secret").read_text() == "of the first master"


def test_the_caller_s_key_encrypts_what_the_master_fills(root: Path, settle: Callable[..., None], ssm: Any) -> None:
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    settle("master", parameter_kms_key=key)
    node_secrets.spark_secret("60")
    assert described(ssm, SECRET)["KeyId"] == key


def test_a_worker_waits_until_the_master_has_filled_the_secret(
    root: Path, settle: Callable[..., None], ssm: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle("worker")
    passing = clock.sleep

    def sleep(seconds: float) -> None:
        passing(seconds)
        if len(clock.pauses) == 4:
            ssm.put_parameter(Name=SECRET, Value="filled", Type="SecureString", Overwrite=True)

    monkeypatch.setattr(clock, "sleep", sleep)
    node_secrets.spark_secret("600")
    assert (root / "etc/spark-cluster/spark-secret").read_text() == "filled"
    assert len(clock.pauses) == 4


def test_a_worker_never_makes_the_secret_and_gives_up_in_time(
    root: Path, settle: Callable[..., None], ssm: Any, clock: Clock
) -> None:
    settle("worker")
    with pytest.raises(SystemExit, match=f"node_secrets: the master did not fill {SECRET} within 100 s"):
        node_secrets.spark_secret("100")
    assert 60 < sum(clock.pauses) < 130
    assert version(ssm, SECRET) == 1
    assert not (root / "etc/spark-cluster/spark-secret").exists()


# The token of the Spark Connect server


def token_of(root: Path) -> str:
    file = root / "etc/spark-cluster/connect.env"
    assert file.stat().st_mode & 0o777 == 0o600
    name, _, token = file.read_text().rstrip("\n").partition("=")
    assert name == "SPARK_CONNECT_AUTHENTICATE_TOKEN"
    return token


def test_the_master_makes_a_token_for_its_server_and_another_master_keeps_it(
    root: Path, settle: Callable[..., None], ssm: Any
) -> None:
    settle("master", connect_parameter=TOKEN, fleet_public_key_parameter="")
    ssm.put_parameter(Name=TOKEN, Value=PLACEHOLDER, Type="SecureString")
    node_secrets.node_secrets("60")
    token = value(ssm, TOKEN)
    assert re.fullmatch(r"[\w-]{43}", token), "nothing in it that an environment file or a shell would read otherwise"
    assert token == token_of(root) != value(ssm, SECRET)
    assert described(ssm, TOKEN)["Type"] == "SecureString"
    (root / "etc/spark-cluster/connect.env").unlink()
    node_secrets.node_secrets("60")
    assert token_of(root) == token == value(ssm, TOKEN)


def test_a_master_without_a_server_makes_no_token(root: Path, settle: Callable[..., None], ssm: Any) -> None:
    settle("master", fleet_public_key_parameter="")
    node_secrets.node_secrets("60")
    assert not (root / "etc/spark-cluster/connect.env").exists()


# The fleet key


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The argument lists of every process that aws.py starts."""
    started: list[list[str]] = []
    run = subprocess.run

    def spy(command: list[str], **arguments: Any) -> Any:
        started.append(command)
        return run(command, **arguments)

    monkeypatch.setattr(node_secrets.subprocess, "run", spy)
    return started


@needs_ssh_keygen
def test_the_master_makes_the_fleet_key_where_nobody_has(
    root: Path, settle: Callable[..., None], ssm: Any, acted_as: list[str]
) -> None:
    settle("master")
    node_secrets.fleet_key("60")
    private, public = value(ssm, PRIVATE), value(ssm, PUBLIC)
    assert private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert public.startswith("ssh-ed25519 ")
    file = root / "home/spark/.ssh/fleet_key"
    assert file.read_text() == private.strip() + "\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert acted_as == ["spark"]
    assert described(ssm, PRIVATE)["Type"] == "SecureString"
    assert described(ssm, PUBLIC)["Type"] == "String"


@needs_ssh_keygen
def test_a_replaced_master_finds_the_key_again_and_writes_nothing(
    root: Path, settle: Callable[..., None], ssm: Any, acted_as: list[str]
) -> None:
    settle("master")
    node_secrets.fleet_key("60")
    before = [version(ssm, name) for name in (PRIVATE, PUBLIC)]
    (root / "home/spark/.ssh/fleet_key").unlink()
    node_secrets.fleet_key("60")
    assert [version(ssm, name) for name in (PRIVATE, PUBLIC)] == before
    assert (root / "home/spark/.ssh/fleet_key").exists()


@needs_ssh_keygen
@pytest.mark.parametrize("form", ["openssh", "pem", "windows", "no newline"])
def test_a_caller_s_own_key_gives_the_public_half(
    root: Path, settle: Callable[..., None], ssm: Any, acted_as: list[str], form: str
) -> None:
    own = root / "own"
    kind = ["-t", "rsa", "-b", "2048", "-m", "PEM"] if form == "pem" else ["-t", "ed25519"]
    subprocess.run(["ssh-keygen", "-q", *kind, "-N", "", "-C", "ours", "-f", own], check=True)
    text = own.read_text()
    text = {"windows": text.replace("\n", "\r\n"), "no newline": text.strip()}.get(form, text)
    ssm.put_parameter(Name=PRIVATE, Value=text, Type="SecureString", Overwrite=True)
    settle("master")
    node_secrets.fleet_key("60")
    assert value(ssm, PUBLIC).split()[:2] == Path(f"{own}.pub").read_text().split()[:2]
    assert value(ssm, PRIVATE) == text


@needs_ssh_keygen
def test_a_changed_key_changes_the_public_half(
    root: Path, settle: Callable[..., None], ssm: Any, acted_as: list[str]
) -> None:
    settle("master")
    node_secrets.fleet_key("60")
    before = value(ssm, PUBLIC)
    ssm.put_parameter(Name=PRIVATE, Value=PLACEHOLDER, Type="SecureString", Overwrite=True)
    node_secrets.fleet_key("60")
    assert value(ssm, PUBLIC) not in {before, PLACEHOLDER}


@needs_ssh_keygen
@pytest.mark.parametrize("key", ["passphrase", "garbage", "public half"])
def test_a_key_that_cannot_be_used_is_refused_by_its_parameter_s_name(
    root: Path, settle: Callable[..., None], ssm: Any, acted_as: list[str], key: str
) -> None:
    own = root / "own"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a passphrase", "-f", own], check=True)
    texts = {"passphrase": own.read_text(), "garbage": "not a key", "public half": Path(f"{own}.pub").read_text()}
    ssm.put_parameter(Name=PRIVATE, Value=texts[key], Type="SecureString", Overwrite=True)
    settle("master")
    with pytest.raises(SystemExit) as refused:
        node_secrets.fleet_key("60")
    assert str(refused.value).startswith(f"node_secrets: {PRIVATE} holds no private key without passphrase: ")
    assert texts[key].strip() not in str(refused.value)
    assert value(ssm, PUBLIC) == PLACEHOLDER


def test_a_worker_authorizes_the_public_half_for_the_spark_user(
    root: Path, settle: Callable[..., None], ssm: Any, clock: Clock, acted_as: list[str]
) -> None:
    settle("worker")
    ssm.put_parameter(Name=PUBLIC, Value="ssh-ed25519 AAAA spark-cluster", Type="String", Overwrite=True)
    node_secrets.fleet_key("60")
    file = root / "home/spark/.ssh/authorized_keys"
    assert file.read_text() == "ssh-ed25519 AAAA spark-cluster\n"
    assert acted_as == ["spark"]
    assert not (root / "home/spark/.ssh/fleet_key").exists()


def test_a_worker_waits_for_the_public_half(
    root: Path, settle: Callable[..., None], ssm: Any, clock: Clock, acted_as: list[str]
) -> None:
    settle("worker")
    with pytest.raises(SystemExit, match=f"the master did not fill {PUBLIC}"):
        node_secrets.fleet_key("30")
    assert not (root / "home/spark/.ssh/authorized_keys").exists()


@needs_ssh_keygen
def test_no_secret_is_printed_or_given_to_a_process(
    root: Path,
    settle: Callable[..., None],
    ssm: Any,
    acted_as: list[str],
    commands: list[list[str]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    settle("master", connect_parameter=TOKEN)
    ssm.put_parameter(Name=TOKEN, Value=PLACEHOLDER, Type="SecureString")
    node_secrets.node_secrets("60")
    said = "".join(capfd.readouterr())
    assert f"wrote parameter {SECRET}" in said
    assert f"wrote parameter {TOKEN}" in said
    shown = said + json.dumps(commands)
    assert len(commands) == 2
    assert value(ssm, SECRET) not in shown
    assert value(ssm, TOKEN) not in shown
    assert not any(line in shown for line in value(ssm, PRIVATE).splitlines())


# Files


def test_a_kept_file_is_private_from_its_first_byte_whatever_the_umask(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    real_open, real_replace = os.open, os.replace

    def look_at_open(*given: Any) -> int:
        seen.append(given[1:])
        return real_open(*given)

    def look_at_replace(fresh: str, file: str) -> None:
        seen.append(Path(fresh).stat().st_mode & 0o777)
        real_replace(fresh, file)

    monkeypatch.setattr(files.os, "open", look_at_open)
    monkeypatch.setattr(files.os, "replace", look_at_replace)
    before = os.umask(0)
    try:
        files.keep("/etc/spark-cluster/secret", "s")
    finally:
        os.umask(before)
    assert seen == [(os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 0o600]
    assert (root / "etc/spark-cluster/secret").read_text() == "s"


def test_a_kept_file_has_its_owner_before_its_text(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(files.shutil, "chown", lambda fd, *_: sizes.append(os.fstat(fd).st_size))
    files.keep("/etc/spark-cluster/secret", "s", owner="spark")
    assert sizes == [0]


def test_a_kept_file_has_the_mode_it_was_given_under_a_strict_umask(root: Path) -> None:
    before = os.umask(0o077)
    try:
        files.keep("/etc/spark-cluster/public", "p", mode=0o644)
    finally:
        os.umask(before)
    assert (root / "etc/spark-cluster/public").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["secret", "secret.new"])
def test_a_kept_file_follows_no_link(root: Path, name: str) -> None:
    victim = root / "victim"
    victim.write_text("untouched")
    (root / "etc/spark-cluster" / name).symlink_to(victim)
    files.keep("/etc/spark-cluster/secret", "s")
    assert victim.read_text() == "untouched"
    file = root / "etc/spark-cluster/secret"
    assert not file.is_symlink()
    assert file.read_text() == "s"
    assert not (root / "etc/spark-cluster/secret.new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_root_writes_nothing_where_a_user_s_link_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what the user could not write: root's own `.ssh`, say."""
    with tempfile.TemporaryDirectory() as folder:  # those of pytest nobody else may enter
        root = Path(folder)
        monkeypatch.setattr(settings, "ROOT", folder)
        root.chmod(0o755)
        for name in ("root", "home"):
            (root / name).mkdir(mode=0o755)
        (root / "home/.ssh").symlink_to(root / "root")
        os.chown(root / "home", pwd.getpwnam("nobody").pw_uid, -1)
        with files.acting_as("nobody"):
            files.keep("/home/own", "text")
            with pytest.raises(PermissionError):
                files.keep("/home/.ssh/authorized_keys", "text")
        assert list((root / "root").iterdir()) == []
        assert (root / "home/own").owner() == "nobody"
        assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_readable_file_becomes_private_when_it_is_kept_again(root: Path) -> None:
    file = root / "etc/spark-cluster/secret"
    file.write_text("old")
    file.chmod(0o644)
    files.keep("/etc/spark-cluster/secret", "new")
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("behind", [True, False])
def test_aws_is_asked_through_the_proxy_that_the_node_has(
    settle: Callable[..., None], root: Path, monkeypatch: pytest.MonkeyPatch, *, behind: bool
) -> None:
    """Whoever asks: neither a unit nor the shell of whoever runs spark-wait knows of it."""
    settle("master")
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    monkeypatch.setattr(os, "environ", dict(keys))
    proxy = {"https_proxy": "http://proxy.example:3128", "no_proxy": "169.254.169.254"}
    if behind:
        (root / aws.PROXY_FILE[1:]).write_text("".join(f"{name}={value}\n" for name, value in proxy.items()))
    aws.client.__wrapped__("s3")
    assert os.environ == keys | (proxy if behind else {})


def test_a_call_that_fails_is_made_three_times_in_all(settle: Callable[..., None], s3: Any) -> None:
    """Botocore's `max_attempts` would be those after the first."""
    settle("master")
    assert aws.client.__wrapped__("s3").meta.config.retries["total_max_attempts"] == 3


# Objects


@pytest.fixture
def beside(tmp_path: Path, settle: Callable[..., None], s3: Any, capfd: pytest.CaptureFixture[str]) -> Beside:
    settle("worker")
    return Beside(tmp_path, s3, capfd)


class Beside:
    """What copies.py makes of a bucket with some copies."""

    def __init__(self, folder: Path, s3: Any, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.s3, self.capfd = folder, s3, capfd

    def put(self, *names: str) -> None:
        for name in names:
            self.s3.put_object(Bucket="demo-bucket", Key=f"artifacts/spark/{name}", Body=f"{name}'s bytes".encode())

    def fetch(self, *others: str) -> str:
        """Spark's copy to standard output, and others beside it; returns what was told once they were there."""
        address = "s3://demo-bucket/artifacts/spark"
        ahead = [part for name in others for part in (f"{address}/{name}", str(self.folder / name))]
        read, write = os.pipe()
        with os.fdopen(read) as arrival:
            try:
                copies.main(str(write), f"{address}/spark", str(self.folder / "etag"), *ahead)
            finally:
                os.close(write)
            return arrival.read()

    @property
    def there(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.glob("*jar*")}


def test_others_come_beside_a_copy_as_far_as_they_are_there(beside: Beside) -> None:
    beside.put("spark", "a.jar", "b.jar")
    assert beside.fetch("a.jar", "no.jar", "b.jar") == "\n"
    assert beside.capfd.readouterr().out == "spark's bytes"
    assert beside.there == {"a.jar": "a.jar's bytes", "b.jar": "b.jar's bytes"}


def test_others_come_if_the_copy_is_not_there_yet(beside: Beside) -> None:
    beside.put("a.jar")
    with pytest.raises(SystemExit) as ended:
        beside.fetch("a.jar")
    assert ended.value.code == aws.ABSENT_STATUS
    assert beside.there == {"a.jar": "a.jar's bytes"}


def test_a_fault_with_one_of_the_others_is_noted_and_the_rest_comes(beside: Beside) -> None:
    beside.put("spark", "a.jar", "b.jar")
    (beside.folder / "a.jar").mkdir()
    assert beside.fetch("a.jar", "b.jar") == "\n", "nobody waits for what does not come"
    said = beside.capfd.readouterr()
    assert said.out == "spark's bytes"
    assert "aws: s3://demo-bucket/artifacts/spark/a.jar: IsADirectoryError: " in said.err
    assert (beside.folder / "b.jar").read_text() == "b.jar's bytes"


def test_all_copies_come_by_one_client(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = aws.client.__wrapped__

    @functools.cache
    def noted(service: str) -> Any:
        made.append(service)
        return real(service)

    monkeypatch.setattr(aws, "client", noted)
    beside.put("spark", "a.jar")
    beside.fetch("a.jar")
    assert made == ["s3"]


def test_an_object_is_fetched(tmp_path: Path, settle: Callable[..., None], s3: Any) -> None:
    settle("worker")
    s3.put_object(Bucket="demo-bucket", Key="artifacts/spark/x.tgz", Body=b"Spark")
    aws.fetch("s3://demo-bucket/artifacts/spark/x.tgz", str(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == b"Spark"


def test_status_4_says_that_there_is_no_such_object(
    tmp_path: Path, settle: Callable[..., None], s3: Any, clock: Clock
) -> None:
    settle("worker")
    with pytest.raises(SystemExit) as ended:
        aws.fetch("s3://demo-bucket/artifacts/spark/x.tgz", str(tmp_path / "x"))
    assert ended.value.code == aws.ABSENT_STATUS == 4
    assert clock.pauses == [], "it is not waited for"
    assert not (tmp_path / "x").exists()


def test_an_object_whose_etag_is_known_counts_as_none_until_it_is_another(
    tmp_path: Path, settle: Callable[..., None], s3: Any, clock: Clock
) -> None:
    settle("worker")
    file, etag = tmp_path / "x", tmp_path / "etag"
    s3.put_object(Bucket="demo-bucket", Key="artifacts/spark/x.tgz", Body=b"Spark")
    aws.fetch("s3://demo-bucket/artifacts/spark/x.tgz", str(file), str(etag))
    file.unlink()
    with pytest.raises(SystemExit) as ended:
        aws.fetch("s3://demo-bucket/artifacts/spark/x.tgz", str(file), str(etag))
    assert (ended.value.code, file.exists(), clock.pauses) == (aws.ABSENT_STATUS, False, [])
    s3.put_object(Bucket="demo-bucket", Key="artifacts/spark/x.tgz", Body=b"another")
    aws.fetch("s3://demo-bucket/artifacts/spark/x.tgz", str(file), str(etag))
    assert file.read_bytes() == b"another"


def test_secrets_are_both_got_and_no_key_where_there_is_none(
    settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[str, str]] = []
    monkeypatch.setattr(node_secrets, "spark_secret", lambda seconds: got.append(("secret", seconds)))
    monkeypatch.setattr(node_secrets, "fleet_key", lambda seconds: got.append(("key", seconds)))
    settle("worker")
    node_secrets.node_secrets("60")
    settle("worker", fleet_public_key_parameter="")
    node_secrets.node_secrets("50")
    assert got == [("secret", "60"), ("key", "60"), ("secret", "50")]


def test_a_file_is_stored(tmp_path: Path, settle: Callable[..., None], s3: Any) -> None:
    settle("master")
    (tmp_path / "file").write_bytes(b"content")
    aws.store(str(tmp_path / "file"), "s3://demo-bucket/artifacts/a/b")
    assert s3.get_object(Bucket="demo-bucket", Key="artifacts/a/b")["Body"].read() == b"content"


def test_a_refused_upload_is_tried_again_from_its_beginning(
    tmp_path: Path, settle: Callable[..., None], cloud: None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 wraps what S3 says of an upload in an error of its own."""
    settle("master")
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(
        clock,
        "sleep",
        lambda _: client("s3").create_bucket(
            Bucket="demo-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        ),
    )
    aws.store(str(tmp_path / "file"), "s3://demo-bucket/artifacts/a/b")
    stored = client("s3").get_object(Bucket="demo-bucket", Key="artifacts/a/b")
    assert stored["Body"].read() == b"content"


@pytest.mark.parametrize("size", [7, 9 << 20], ids=["in one piece", "in parts"])
def test_what_is_there_is_never_written_over(
    tmp_path: Path, settle: Callable[..., None], s3: Any, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    settle("master")
    (tmp_path / "file").write_bytes(b"a" * size)
    url = "s3://demo-bucket/artifacts/spark/x.tgz"
    store_once.store_once(str(tmp_path / "file"), url)
    (tmp_path / "file").write_bytes(b"b" * size)
    with pytest.raises(SystemExit) as ended:
        store_once.store_once(str(tmp_path / "file"), url)
    assert ended.value.code == artifacts.IS_THERE
    assert s3.get_object(Bucket="demo-bucket", Key="artifacts/spark/x.tgz")["Body"].read() == b"a" * size
    assert capsys.readouterr().err == f"aws: {url} is there already\n"


def test_the_log_is_stored_under_the_instance_s_id(
    tmp_path: Path, settle: Callable[..., None], s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle("worker")
    monkeypatch.setattr(aws, "metadata", lambda item: {"instance-id": "i-0abc"}[item])
    (tmp_path / "log").write_text("boot failed")
    aws.store_log(str(tmp_path / "log"))
    assert s3.get_object(Bucket="demo-bucket", Key="boot-logs/i-0abc")["Body"].read() == b"boot failed"


# The launch hook


@pytest.fixture
def hook(settle: Callable[..., None], cloud: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """Auto Scaling's answers to CompleteLifecycleAction, which moto does not have."""
    settle("worker")
    monkeypatch.setattr(aws, "metadata", lambda item: {"instance-id": "i-0abc"}[item])
    with Stubber(aws.client("autoscaling")) as stub:
        yield stub
        stub.assert_no_pending_responses()


def expected(hook: str, result: str) -> dict[str, str]:
    return {
        "AutoScalingGroupName": "demo-spark-workers",
        "LifecycleHookName": hook,
        "InstanceId": "i-0abc",
        "LifecycleActionResult": result,
    }


def test_the_launch_is_completed_for_this_instance(hook: Stubber) -> None:
    hook.add_response("complete_lifecycle_action", {}, expected("demo-spark-ready", "CONTINUE"))
    aws.complete_hook("CONTINUE")


def test_a_launch_that_is_abandoned_passes_the_terminating_hook_once_auto_scaling_waits_there(
    hook: Stubber, clock: Clock
) -> None:
    hook.add_response("complete_lifecycle_action", {}, expected("demo-spark-ready", "ABANDON"))
    hook.add_client_error("complete_lifecycle_action", "ValidationError", NO_ACTION, 400)
    hook.add_response("complete_lifecycle_action", {}, expected("demo-spark-left", "CONTINUE"))
    aws.complete_hook("ABANDON")
    assert len(clock.pauses) == 1


NO_ACTION = "No active Lifecycle Action found with instance ID i-0abc"


def test_a_host_that_is_ready_before_auto_scaling_waits_for_it_completes_its_launch_later(
    hook: Stubber, clock: Clock
) -> None:
    hook.add_client_error("complete_lifecycle_action", "ValidationError", NO_ACTION, 400)
    hook.add_response("complete_lifecycle_action", {})
    aws.complete_hook("CONTINUE")
    assert len(clock.pauses) == 1


def test_a_second_continue_is_harmless(
    hook: Stubber, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_action(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "ValidationError", "Message": NO_ACTION}}, "CompleteLifecycleAction")

    monkeypatch.setattr(aws, "eventually", no_action)
    aws.complete_hook("CONTINUE")
    assert "Auto Scaling does not wait at demo-spark-ready" in capsys.readouterr().err
    assert 20 < sum(clock.pauses) < 2 * aws.HOOK_SECONDS


@pytest.mark.parametrize("waits", [True, False])
def test_it_is_known_whether_auto_scaling_waited(
    hook: Stubber, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    monkeypatch.setattr(aws, "HOOK_SECONDS", 0)
    if waits:
        hook.add_response("complete_lifecycle_action", {}, expected("demo-spark-left", "CONTINUE"))
    else:
        hook.add_client_error("complete_lifecycle_action", "ValidationError", NO_ACTION, 400)
    assert aws.LifecycleHook("demo-spark-left").complete("CONTINUE") is waits
    assert clock.pauses == []


def test_another_validation_error_is_not_harmless(hook: Stubber) -> None:
    hook.add_client_error("complete_lifecycle_action", "ValidationError", "AutoScalingGroup name not found", 400)
    with pytest.raises(ClientError, match="not found"):
        aws.complete_hook("CONTINUE")


def test_a_role_that_is_not_there_yet_may_complete_later(hook: Stubber, clock: Clock) -> None:
    hook.add_client_error("complete_lifecycle_action", "AccessDenied", "not authorized", 403)
    hook.add_response("complete_lifecycle_action", {})
    aws.complete_hook("CONTINUE")
    assert len(clock.pauses) == 1


# As a program


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["aws.py", *arguments])
    runpy.run_path(str(USERDATA / "first_stage" / LIB / "aws.py"), run_name="__main__")


@pytest.mark.parametrize("arguments", [(), ("nothing",)])
def test_usage_names_the_commands(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match=r"usage: aws.py fetch\|.* \.\.\."):
        run(monkeypatch, *arguments)


def test_a_failure_is_one_line_with_its_cause(
    monkeypatch: pytest.MonkeyPatch, settle: Callable[..., None], s3: Any, tmp_path: Path
) -> None:
    settle("worker")
    s3.put_object(Bucket="demo-bucket", Key="a", Body=b"A")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "fetch", "s3://demo-bucket/a", str(tmp_path / "no folder/a"))
    assert str(ended.value).startswith("aws: fetch: FileNotFoundError: ")
    assert "\n" not in str(ended.value)


def test_a_command_takes_its_arguments_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, settle: Callable[..., None], s3: Any, tmp_path: Path
) -> None:
    settle("worker")
    s3.put_object(Bucket="demo-bucket", Key="a", Body=b"A")
    run(monkeypatch, "fetch", "s3://demo-bucket/a", str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == b"A"
