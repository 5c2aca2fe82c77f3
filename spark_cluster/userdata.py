"""What a node boots with: user data with its settings and the first stage, and the rest of its programs in the bucket.

EC2 takes 16 KiB of user data; a node's programs, as they stand in `userdata/`, need more. Tests run the same files.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdktf import Fn, TerraformLocal, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.s3_object import (
    S3Object,
    S3ObjectOverrideProvider,
    S3ObjectOverrideProviderDefaultTags,
)
from constructs import Construct

from spark_cluster import limits
from spark_cluster.settings import NodeSettings
from spark_cluster.storage import PROGRAMS_PREFIX, ClusterStorage

TOKEN_BYTES = 64
"""What a value that only Terraform knows may add to the compressed document: an ARN's length, hardly compressible."""

SETTINGS_FILE = "/etc/spark-cluster/settings.json"
STATE_FOLDER = "/var/lib/spark-cluster"
BOOT_UNIT = "spark-boot.service"
FIRST_PROGRAM = "/var/lib/cloud/scripts/per-boot/wait-for-spark-boot"

_END_OF_FILE = "END-OF-FILE"
_TOKEN = re.compile(r"\$\{TfToken\[[^]]+\]\}")


def folder() -> Path:
    """Where `userdata/` is: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_userdata"
    return installed if installed.is_dir() else package.parent / "userdata"


def files(*parts: str) -> dict[str, str]:
    """Path on the node and text of each file of some parts of `userdata/`.

    `first_stage/`, `common/`, `master/` and `worker/` are each laid out as the node's own file system.
    """
    found: dict[str, str] = {}
    for part in parts:
        root = folder() / part
        # By parts: Windows would compare paths without their case, and another order is another document.
        for path in sorted(root.rglob("*"), key=lambda path: path.parts):
            if path.is_file() and "__pycache__" not in path.parts:
                # Line ends become the node's own, as Python reads text by default.
                found[f"/{path.relative_to(root).as_posix()}"] = path.read_text(encoding="utf-8")
    return found


def is_program(text: str) -> bool:
    """Whether a file is to be executable: a wheel does not keep modes, so its first line says it."""
    return text.startswith("#!")


def archive(role: str) -> bytes:
    """The programs of a role as a tar: the same bytes from the same files, wherever and whenever it is made."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, text in sorted(files("common", role).items()):
            content = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(content)
            entry.mode = 0o755 if is_program(text) else 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def escape(text: str) -> str:
    """`text` such that Terraform's templates leave it alone; tokens in it stay tokens."""
    escaped = re.sub(r"\$\{(?!TfToken\[)", "$${", text).replace("%{", "%%{")
    # A dollar just before a token would make Terraform read the token's `${` as escaped.
    return re.sub(r"\$+(?=\$\{TfToken\[)", lambda dollars: '${"$"}' * len(dollars[0]), escaped)


def escape_values(value: Any) -> Any:  # noqa: ANN401 - JSON
    """`value`, a JSON document, with every string in it escaped."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {key: escape_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [escape_values(inner) for inner in value]
    return value


def script(role: str, settings_json: str) -> str:
    """The document: writes the files of the first stage, has systemd boot the node, and waits for that.

    What it says is whole once Terraform has filled the tokens. The boot's time runs from here, whatever reboots.
    """
    parts = [
        "#!/bin/bash",
        f"# The user data of a spark-cluster {role}: it writes the files below, and has systemd run the boot.",
        "set -Eeuo pipefail",
        "umask 022",
    ]
    for path, text in {SETTINGS_FILE: settings_json + "\n", **files("first_stage")}.items():
        parts += [f"mkdir -p {path.rpartition('/')[0]}", f"cat >{path} <<'{_END_OF_FILE}'", f"{text}{_END_OF_FILE}"]
        if is_program(text):
            parts.append(f"chmod 755 {path}")
    parts += [
        f"mkdir -p {STATE_FOLDER}",
        f"date +%s >{STATE_FOLDER}/launched",
        f"systemctl enable --quiet --no-reload {BOOT_UNIT}",
        "sync",
    ]
    return "\n".join([*parts, f"exec {FIRST_PROGRAM}", ""])


class UserData(Construct):
    """One role's user data, and the programs in the bucket that it fetches.

    Attributes:
        base64: the compressed document in base64, made by Terraform: Python's gzip gives other bytes on other machines,
            Terraform's only in other releases.
        plain_sha256: of the document as it is: another document has another.
        compressed_bytes: about how many bytes EC2 will count.
        programs: the object with them, whose key is another if they are.
        ready: what must be there before a node boots with it.
    """

    def __init__(self, scope: Construct, id: str, *, settings: NodeSettings, storage: ClusterStorage) -> None:
        """Put the document together.

        Args:
            scope: the construct above.
            id: its id.
            settings: what the node is given, and so which role it has.
            storage: where the programs go, under a name that their checksum makes: a node gets those that its own user
                data was made with, or none.

        Raises:
            ValueError: the document would be larger than EC2 takes.
        """
        super().__init__(scope, id)
        role = settings.role
        programs = archive(role)
        digest = hashlib.sha256(programs).hexdigest()
        key = f"{PROGRAMS_PREFIX}/{role}-{digest}.tar"
        document = replace(settings, programs_key=key, programs_sha256=digest).to_dict()
        self.compressed_bytes = _compressed_bytes(script(role, json.dumps(document)))
        if self.compressed_bytes > limits.USER_DATA_BYTES:
            message = (
                f"user data of the {role} must be at most {limits.USER_DATA_BYTES} bytes compressed, got about "
                f"{self.compressed_bytes}: shorten spark_defaults"
            )
            raise ValueError(message)
        values = TerraformLocal(self, "settings", escape_values(document))
        # The text stands in a local of its own, because Terraform functions refuse quotes in a literal.
        placeholder = "<settings>"
        text = escape(script(role, placeholder)).replace(placeholder, Fn.jsonencode(values.expression))
        plain = TerraformLocal(self, "script", text).as_string
        # The plain text decides whether a node is another. Terraform's releases compress it to other bytes, now and
        # then (https://github.com/golang/go/issues/81024).
        self.base64 = Fn.base64gzip(plain)
        self.plain_sha256 = Fn.sha256(plain)
        content = base64.b64encode(programs).decode()
        self.programs = node_object(self, "programs", storage=storage, key=key, content_base64=content)
        self.ready = [self.programs]


def node_object(scope: Construct, id: str, *, storage: ClusterStorage, key: str, **content: str) -> S3Object:
    """An object that nodes run: only who deploys may write it."""
    return S3Object(
        scope,
        id,
        bucket=storage.bucket_name,
        key=key,
        # An object takes 10 tags; the provider's default ones may be more.
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
        override_provider=S3ObjectOverrideProvider(default_tags=S3ObjectOverrideProviderDefaultTags(tags={})),
        kms_key_id=storage.address.kms_key_arn,
        depends_on=storage.ready_for_objects,
        # Until the new template is there, a worker may still be launched with the old one.
        lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        **content,
    )


def _compressed_bytes(text: str) -> int:
    tokens = len(_TOKEN.findall(text))
    return len(gzip.compress(_TOKEN.sub("", text).encode(), compresslevel=6)) + tokens * TOKEN_BYTES
