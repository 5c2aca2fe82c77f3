#!/usr/bin/python3
"""Every call a node makes to AWS. As a program: `aws.py COMMAND ...`, see COMMANDS below.

What is eventually consistent (a new role's permissions, a new bucket or parameter) or busy is tried again for five
minutes, with growing pauses and jitter.
"""

import functools
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import settings

EVENTUALLY_SECONDS = 300
METADATA_SECONDS = 60
HOOK_SECONDS = 60  # a pre-baked host may be ready before Auto Scaling has noticed that it runs
ABSENT_STATUS = 4
METADATA_URL = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
TRANSIENT_CODES = {
    *("403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NoSuchBucket", "ParameterNotFound"),
    *("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "AuthFailure"),
    *("UnrecognizedClientException", "RequestTimeout"),
    *("Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "TooManyUpdates"),
    *("500", "502", "503", "InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable"),
}


def log(message):
    print(f"aws: {message}", file=sys.stderr, flush=True)


def pauses(seconds):
    """Growing pauses with jitter, until `seconds` are over."""
    end, pause = time.monotonic() + seconds, 0.5
    while time.monotonic() + pause < end:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 2, 15)


def metadata(item):
    """One item of the instance metadata service, IMDSv2, never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    problem = None
    for pause in pauses(METADATA_SECONDS):
        try:
            ask = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
            request = urllib.request.Request(f"{METADATA_URL}/latest/api/token", method="PUT", headers=ask)
            token = {"X-aws-ec2-metadata-token": opener.open(request, timeout=5).read().decode()}
            request = urllib.request.Request(f"{METADATA_URL}/latest/meta-data/{item}", headers=token)
            return opener.open(request, timeout=5).read().decode()
        except OSError as error:
            problem = error
            time.sleep(pause)
    raise SystemExit(f"aws: no {item} from the metadata service at {METADATA_URL}: {problem}")


@functools.lru_cache(None)
def client(service):
    """A client of the node's region; AWS_ENDPOINT_URL is honoured on boto3 before 1.28 too."""
    import boto3.session  # not there yet when the boot first asks for metadata
    import botocore.config

    session = boto3.session.Session(region_name=settings.load()["region"])
    for pause in pauses(EVENTUALLY_SECONDS):  # a client made before its role's credentials are there never has any
        if session.get_credentials():
            break
        log("the instance's role has no credentials yet")
        time.sleep(pause)

    config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=30)
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return session.client(service, endpoint_url=endpoint, config=config)


def eventually(call, seconds=EVENTUALLY_SECONDS, **arguments):
    """What `call` answers, once transient faults are over."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    for pause in pauses(seconds):
        try:
            return call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in TRANSIENT_CODES:
                raise
            log(f"{error}, trying again")
        except ParamValidationError:
            raise
        except BotoCoreError as error:
            log(f"{error}, trying again")
        time.sleep(pause)
    return call(**arguments)


def get_parameter(name):
    answer = eventually(client("ssm").get_parameter, Name=name, WithDecryption=True)
    return answer["Parameter"]["Value"]


def is_filled(value):
    """Whether the master has filled a parameter: Terraform makes it with a placeholder."""
    return value != settings.load()["parameter_placeholder"]


def put_parameter(name, value, secret):
    key = settings.load()["parameter_kms_key"]
    kind = {"Type": "SecureString", **({"KeyId": key} if key else {})} if secret else {"Type": "String"}
    eventually(client("ssm").put_parameter, Name=name, Value=value, Overwrite=True, **kind)
    log(f"wrote parameter {name}")


def wait_for_parameter(name, seconds):
    """A parameter's value once the master has filled it."""
    for pause in pauses(seconds):
        value = get_parameter(name)
        if is_filled(value):
            return value
        log(f"the master has not filled {name} yet")
        time.sleep(pause)
    raise SystemExit(f"aws: the master did not fill {name} within {seconds} s")


def keep(file, text, mode=0o600, owner=None):
    """Write a file in one step. It is never readable for more than `mode` says, and no link is followed."""
    file = settings.path(file)
    fresh = f"{file}.new"
    if os.path.lexists(fresh):
        os.remove(fresh)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), mode)
        if owner:
            shutil.chown(out.fileno(), owner, owner)
        out.write(text)
    os.replace(fresh, file)


def spark_secret(seconds):
    """Keep the secret of spark.authenticate for spark_conf.py; the master makes it where nobody has."""
    told = settings.load()
    name = told["secret_parameter"]
    if told["role"] == "worker":
        value = wait_for_parameter(name, int(seconds))
    else:
        value = get_parameter(name)
        if not is_filled(value):
            value = secrets.token_urlsafe(32)
            put_parameter(name, value, secret=True)
    keep("/etc/spark-cluster/spark-secret", value)


def fleet_key(seconds):
    """Give the master the private half (made here where nobody has made one), and every worker the public half."""
    told = settings.load()
    public_name = told["fleet_public_key_parameter"]
    if told["role"] == "worker":
        keep("/home/spark/.ssh/authorized_keys", wait_for_parameter(public_name, int(seconds)) + "\n", owner="spark")
        return
    private_name = told["fleet_private_key_parameter"]
    private = get_parameter(private_name)
    if not is_filled(private):
        private = new_private_key()
        put_parameter(private_name, private, secret=True)
    file = "/home/spark/.ssh/fleet_key"
    keep(file, private.replace("\r", "").strip() + "\n", owner="spark")
    derive = ["ssh-keygen", "-y", "-P", "", "-f", settings.path(file)]
    derived = subprocess.run(derive, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if derived.returncode:
        raise SystemExit(f"aws: {private_name} holds no private key without passphrase: {derived.stderr.strip()}")
    public = derived.stdout.strip()
    if get_parameter(public_name) != public:
        put_parameter(public_name, public, secret=False)


def node_secrets(seconds):
    """What the master gives to the workers, and makes where nobody has; a worker waits for it, at most so long."""
    spark_secret(seconds)
    if settings.load()["fleet_public_key_parameter"]:
        fleet_key(seconds)


def new_private_key():
    with tempfile.TemporaryDirectory() as folder:
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "spark-cluster", "-f", f"{folder}/key"]
        subprocess.run(make, stdin=subprocess.DEVNULL, check=True)
        with open(f"{folder}/key", encoding="utf-8") as file:
            return file.read()


def bucket_and_key(url):
    bucket, _, key = url[len("s3://") :].partition("/")
    return {"Bucket": bucket, "Key": key}


def fetch(url, file):
    """Download an object, to standard output where the file is `-`; status 4 where there is none."""
    from botocore.exceptions import ClientError

    try:
        body = eventually(client("s3").get_object, **bucket_and_key(url))["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        raise SystemExit(ABSENT_STATUS) from None
    # Not tried again once it has begun: what was written may be read already.
    with open("/dev/stdout" if file == "-" else file, "wb") as out:
        shutil.copyfileobj(body, out, 1 << 20)


def store(file, url):
    """Upload a file."""
    s3 = client("s3")

    def upload():  # upload_file would wrap the faults that `eventually` knows
        with open(file, "rb") as body:
            s3.upload_fileobj(body, **bucket_and_key(url))

    eventually(upload)


def store_log(file):
    """Copy a log to where it can be read after this host is gone."""
    store(file, "s3://{}/boot-logs/{}".format(settings.load()["bucket"], metadata("instance-id")))


def complete_hook(result):
    """Tell Auto Scaling how this worker's launch ended: CONTINUE or ABANDON."""
    from botocore.exceptions import ClientError

    told = settings.load()
    answer = {
        "AutoScalingGroupName": told["group"],
        "LifecycleHookName": told["launch_hook"],
        "InstanceId": metadata("instance-id"),
        "LifecycleActionResult": result,
    }
    for pause in pauses(HOOK_SECONDS):
        try:
            return eventually(client("autoscaling").complete_lifecycle_action, **answer)
        except ClientError as error:
            if "No active Lifecycle Action" not in str(error):
                raise
        log("Auto Scaling does not wait for this launch yet, or no longer")
        time.sleep(pause)
    return log("the launch was completed before")


def group():
    """The group as Auto Scaling has it; `None` before Terraform has made it. One call, however many members."""
    name = settings.load()["group"]
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return groups[0] if groups else None


def instances(group_name):
    """The group's instances by id: one call for each thousand."""
    ours = [{"Name": "tag:aws:autoscaling:groupName", "Values": [group_name]}]
    paging = {"PageSize": 1000}
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=ours, PaginationConfig=paging)
    return {
        instance["InstanceId"]: instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    }


def instance_types(names):
    """Cores and memory of instance types: one call for each hundred."""
    pages = client("ec2").get_paginator("describe_instance_types").paginate(InstanceTypes=names)
    return [kind for page in pages for kind in page["InstanceTypes"]]


COMMANDS = {
    "secrets": node_secrets,
    "fetch": fetch,
    "store": store,
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
