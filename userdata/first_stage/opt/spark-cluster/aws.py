#!/usr/bin/python3
"""Every call a node makes to AWS. As a program: `aws.py COMMAND ...`, of COMMANDS.

What is eventually consistent or busy is tried again for five minutes.
"""

import contextlib
import functools
import os
import shutil
import sys
import urllib.request

import settings
from polling import rounds

PAUSES = 0.5, 15  # the first and the longest, in seconds
EVENTUALLY_SECONDS = 300
METADATA_SECONDS = 60
HOOK_SECONDS = 60  # a host may be ready before Auto Scaling knows it
ABSENT_STATUS, ABSENT_CODES = 4, ("NoSuchKey", "304")
ABSENT_ITEM = 404  # of the metadata service
PROXY_FILE = "/etc/spark-cluster/proxy.env"
METADATA_URL = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
TRANSIENT_CODES = {
    *("403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NoSuchBucket", "ParameterNotFound"),
    *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "AuthFailure"),
    *("UnrecognizedClientException", "RequestTimeout"),
    # A clock that is wrong at first.
    *("RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"),
    *("Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "TooManyUpdates"),
    "ConditionalRequestConflict",
    *("500", "502", "503", "InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable"),
}


def log(message):
    print(f"aws: {message}", file=sys.stderr, flush=True)


def ask_metadata(path, headers, method="GET"):
    """An answer of the instance metadata service, never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(f"{METADATA_URL}/latest/{path}", None, headers, method=method), timeout=5)


def metadata_token():
    """What IMDSv2 wants to see, for five minutes."""
    answer = ask_metadata("api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT")
    return {"X-aws-ec2-metadata-token": answer.read().decode()}


def metadata(item):
    """One item of it; `None` if there is none."""
    problem = None
    for _ in rounds(METADATA_SECONDS, *PAUSES):
        try:
            return ask_metadata(f"meta-data/{item}", metadata_token()).read().decode()
        except OSError as error:
            if getattr(error, "code", 0) == ABSENT_ITEM:
                return None
            problem = error
    raise SystemExit(f"aws: no {item} from the metadata service at {METADATA_URL}: {problem}")


def use_proxy():
    """What `start` wrote of it."""
    with contextlib.suppress(FileNotFoundError), open(settings.path(PROXY_FILE), encoding="utf-8") as file:
        os.environ.update(line.rstrip("\n").partition("=")[::2] for line in file)


@functools.lru_cache(None)
def client(service, connect_timeout=5, read_timeout=30):
    """A client of the node's region, through its proxy; for AWS_ENDPOINT_URL boto3 before 1.28 needs the argument."""
    import boto3.session  # not there yet when the boot first asks for metadata
    import botocore.config

    use_proxy()
    session = boto3.session.Session(region_name=settings.load()["region"])
    for _ in rounds(EVENTUALLY_SECONDS, *PAUSES):  # one made before never has any
        if session.get_credentials():
            break
        log("the instance's role has no credentials yet")
    else:
        raise TimeoutError("the instance's role has no credentials")

    retries = {"mode": "standard", "total_max_attempts": 3}
    config = botocore.config.Config(retries=retries, connect_timeout=connect_timeout, read_timeout=read_timeout)
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return session.client(service, endpoint_url=endpoint, config=config)


def eventually(call, seconds=EVENTUALLY_SECONDS, **arguments):
    """What `call` answers, once transient faults are over."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    problem = None
    for _ in rounds(seconds, *PAUSES):
        try:
            return call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in TRANSIENT_CODES:
                raise
            problem = error
        except ParamValidationError:
            raise
        except BotoCoreError as error:
            problem = error
        log(f"{problem}, trying again")
    raise problem  # type: ignore[misc]  # there was a round


def bucket_and_key(url):
    bucket, _, key = url[len("s3://") :].partition("/")
    return {"Bucket": bucket, "Key": key}


def fetch(url, file, etag_file=""):
    """Download an object, to standard output if the file is `-`; status 4 if there is none.

    Its ETag is left in its file; an object whose ETag that has already counts as none.
    """
    from botocore.exceptions import ClientError

    asked = bucket_and_key(url)
    if os.path.exists(etag_file):
        with open(etag_file, encoding="ascii") as known:
            asked["IfNoneMatch"] = known.read()
    try:
        answer = eventually(client("s3").get_object, **asked)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ABSENT_CODES:
            raise
        raise SystemExit(ABSENT_STATUS) from None
    if etag_file:
        with open(etag_file, "w", encoding="ascii") as known:
            known.write(answer["ETag"])
    # Not tried again: what was written may be read already.
    with open("/dev/stdout" if file == "-" else file, "wb") as out:
        shutil.copyfileobj(answer["Body"], out, 1 << 20)


def store(file, url):
    """Upload a file."""
    s3 = client("s3")

    def upload():  # upload_file would wrap the faults that `eventually` knows
        with open(file, "rb") as body:
            s3.upload_fileobj(body, **bucket_and_key(url))

    eventually(upload)


def store_log(file):
    """Keep a log for when this host is gone."""
    store(file, "s3://{}/boot-logs/{}".format(settings.load()["bucket"], metadata("instance-id")))


class LifecycleHook:
    """Where Auto Scaling waits for this worker."""

    def __init__(self, name):
        self.name = name

    def complete(self, result):
        """Tell Auto Scaling how it ended, CONTINUE or ABANDON; false if it does not wait here, or no more."""
        from botocore.exceptions import ClientError

        answer = {
            "AutoScalingGroupName": settings.load()["group"],
            "LifecycleHookName": self.name,
            "InstanceId": metadata("instance-id"),
            "LifecycleActionResult": result,
        }
        for _ in rounds(HOOK_SECONDS, *PAUSES):
            try:
                eventually(client("autoscaling").complete_lifecycle_action, **answer)
            except ClientError as error:
                if "No active Lifecycle Action" not in str(error):
                    raise
            else:
                return True
            log(f"Auto Scaling does not wait at {self.name}")
        return False


def complete_hook(result):
    """Tell Auto Scaling how the launch ended; if abandoned it enters the other hook."""
    given = settings.load()
    LifecycleHook(given["launch_hook"]).complete(result)
    if result == "ABANDON":
        LifecycleHook(given["termination_hook"]).complete("CONTINUE")


COMMANDS = {
    "fetch": fetch,
    "store-log": store_log,
    "complete-hook": complete_hook,
}


def main(command="", *arguments):
    if command not in COMMANDS:
        raise SystemExit(f"usage: aws.py {'|'.join(COMMANDS)} ...")
    try:
        COMMANDS[command](*arguments)  # type: ignore[operator]  # of several shapes
    except Exception as error:  # noqa: BLE001 - one line that names the cause, in place of a stack
        raise SystemExit(f"aws: {command}: {type(error).__name__}: {error}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
