#!/usr/bin/python3
"""What the master gives to the workers, the secret of Spark and the fleet key: `node_secrets.py SECONDS`.

The master makes what nobody has made; a worker waits for it, SECONDS at most. To its own Spark Connect server, if it
has one, the master gives a token.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile

import aws
import files
import polling
import settings


def get_parameter(name: str) -> str:
    answer = aws.eventually(aws.client("ssm").get_parameter, Name=name, WithDecryption=True)
    return str(answer["Parameter"]["Value"])


def is_filled(value: str) -> bool:
    """Whether the master has filled a parameter: Terraform makes it with a placeholder."""
    return bool(value != settings.load()["parameter_placeholder"])


def put_parameter(name: str, value: str, *, secret: bool) -> None:
    key = settings.load()["parameter_kms_key"]
    kind = {"Type": "SecureString", **({"KeyId": key} if key else {})} if secret else {"Type": "String"}
    aws.eventually(aws.client("ssm").put_parameter, Name=name, Value=value, Overwrite=True, **kind)
    aws.log(f"wrote parameter {name}")


def wait_for_parameter(name: str, seconds: int) -> str:
    """A parameter's value once the master has filled it."""
    for _ in polling.rounds(seconds, *aws.PAUSES):
        value = get_parameter(name)
        if is_filled(value):
            return value
        aws.log(f"the master has not filled {name} yet")
    raise SystemExit(f"node_secrets: the master did not fill {name} within {seconds} s")


def random_secret(name: str) -> str:
    """The random text that a parameter of the master's holds; made if nobody has."""
    value = get_parameter(name)
    if not is_filled(value):
        value = secrets.token_urlsafe(32)
        put_parameter(name, value, secret=True)
    return value


def spark_secret(seconds: str) -> None:
    """Keep the secret of spark.authenticate for spark_conf.py; the master makes it if nobody has."""
    given = settings.load()
    name = given["secret_parameter"]
    value = wait_for_parameter(name, int(seconds)) if given["role"] == "worker" else random_secret(name)
    files.keep("/etc/spark-cluster/spark-secret", value)


def connect_token() -> None:
    """Keep the token as the environment of the server's unit, which systemd reads as root."""
    token = random_secret(settings.load()["connect_parameter"])
    files.keep("/etc/spark-cluster/connect.env", f"SPARK_CONNECT_AUTHENTICATE_TOKEN={token}\n")


def fleet_key(seconds: str) -> None:
    """Give the master the private half (made here if nobody has made one), and every worker the public half."""
    given = settings.load()
    public_name = given["fleet_public_key_parameter"]
    if given["role"] == "worker":
        public = wait_for_parameter(public_name, int(seconds))
        with files.acting_as("spark"):
            files.keep("/home/spark/.ssh/authorized_keys", public + "\n")
        return
    private_name = given["fleet_private_key_parameter"]
    private = get_parameter(private_name)
    if not is_filled(private):
        private = new_private_key()
        put_parameter(private_name, private, secret=True)
    file = "/home/spark/.ssh/fleet_key"
    with files.acting_as("spark"):
        files.keep(file, private.replace("\r", "").strip() + "\n")
        derive = ["ssh-keygen", "-y", "-P", "", "-f", settings.path(file)]
        derived = subprocess.run(derive, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if derived.returncode:
        raise SystemExit(
            f"node_secrets: {private_name} holds no private key without passphrase: {derived.stderr.strip()}"
        )
    public = derived.stdout.strip()
    if get_parameter(public_name) != public:
        put_parameter(public_name, public, secret=False)


def node_secrets(seconds: str) -> None:
    """All that this node needs; what the master has not made yet a worker waits for, `seconds` at most."""
    given = settings.load()
    spark_secret(seconds)
    if given["fleet_public_key_parameter"]:
        fleet_key(seconds)
    if given["role"] == "master" and given["connect_parameter"]:
        connect_token()


def new_private_key() -> str:
    with tempfile.TemporaryDirectory() as folder:
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "spark-cluster", "-f", f"{folder}/key"]
        subprocess.run(make, stdin=subprocess.DEVNULL, check=True)
        with open(f"{folder}/key", encoding="utf-8") as file:
            return file.read()


if __name__ == "__main__":
    try:
        node_secrets(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - one line that names the cause, in place of a stack
        raise SystemExit(f"node_secrets: {type(error).__name__}: {error}") from None
