"""What a node boots with: the document as Terraform makes it, the settings in it, and the programs in the bucket."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import TerraformStack, TerraformVariable

from spark_cluster import SparkArchive, SparkCluster, limits, userdata
from tests.synth.conftest import REQUIRED
from tests.synth.synthesized import expressions, unescaped

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

ROLES = ("master", "worker")
USERDATA = userdata.folder()
START = "/opt/spark-cluster/start"
WAIT = "/var/lib/cloud/scripts/per-boot/wait-for-spark-boot"
UNIT = "/etc/systemd/system/spark-boot.service"
BOOT = "/opt/spark-cluster/boot"
TYPICAL_REFERENCE = "demo-spark-20261124123456789000000001"


def construct_of(role: str) -> str:
    return "workers" if role == "worker" else role


def document(stack: Synthesized, role: str) -> str:
    """The document as the node gets it: expressions filled in, escapes undone."""
    text = stack.local(f"spark_{construct_of(role)}_user_data_script")
    settings = json.dumps(filled(stack.settings(role)), separators=(",", ":"))
    [expression] = expressions(text)
    assert expression.startswith("jsonencode(local.")
    before, after = text.split(f"${{{expression}}}")
    return unescaped(before) + settings + unescaped(after)


def filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    if not isinstance(value, str):
        return value
    for expression in set(expressions(value)):
        value = value.replace(f"${{{expression}}}", TYPICAL_REFERENCE)
    return unescaped(value)


def programs(stack: Synthesized, role: str) -> tuple[dict[str, Any], bytes]:
    body = stack.the("aws_s3_object", f"spark_{construct_of(role)}_user_data_programs")
    return body, base64.b64decode(body["content_base64"])


# --- the document ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_half_of_what_ec2_takes_is_left(default: Synthesized, role: str) -> None:
    assert len(gzip.compress(document(default, role).encode(), 6)) <= limits.USER_DATA_BYTES / 2


@pytest.mark.parametrize("role", ROLES)
def test_the_size_that_is_checked_is_that_of_the_document(
    default_cluster: SparkCluster, default: Synthesized, role: str
) -> None:
    part = default_cluster.master if role == "master" else default_cluster.workers
    compressed = len(gzip.compress(document(default, role).encode(), 6))
    assert part.user_data.compressed_bytes - 512 <= compressed <= part.user_data.compressed_bytes


def test_the_objects_of_the_programs_have_none_of_the_providers_default_tags(default: Synthesized) -> None:
    """An object takes 10 tags, and a company's default ones may be more."""
    for body in default.all("aws_s3_object").values():
        assert body["override_provider"] == {"default_tags": {"tags": {}}}


def test_terraform_compresses_it_since_its_gzip_is_the_same_everywhere(default: Synthesized) -> None:
    """Python's gives other bytes with another zlib, and each colleague's deploy would replace the master."""
    kept = default.the("terraform_data", "spark_workers_user_data_compressed")
    assert re.fullmatch(r"\$\{base64gzip\(local\.spark_workers_user_data_script_\w+\)\}", kept["input"]["value"])
    assert re.fullmatch(r"\$\{sha256\(local\.spark_workers_user_data_script_\w+\)\}", kept["triggers_replace"]["until"])
    assert default.the("aws_instance")["user_data_base64"].startswith(
        "${base64gzip(local.spark_master_user_data_script_"
    )


@pytest.mark.parametrize("role", ROLES)
def test_run_by_a_shell_it_writes_the_files_as_they_stand_in_the_source(
    default: Synthesized, role: str, tmp_path: Path
) -> None:
    """The document itself is run, with every path moved below a folder of the test's."""
    text = document(default, role)
    for folder in ("/etc/spark-cluster", "/etc/systemd", "/opt/spark-cluster", "/var/lib"):
        text = re.sub(
            rf"^((?:mkdir -p|cat >|chmod 755|date \+%s >) ?){folder}",
            rf"\1{tmp_path}{folder}",
            text,
            flags=re.MULTILINE,
        )
    text = text.removesuffix(f"exec {WAIT}\n")
    quiet = 'systemctl() { echo systemctl "$@"; }\nsync() { echo sync; }\n'
    began = int(time.time())
    done = subprocess.run(
        ["bash", "-s"], input=quiet + text, text=True, check=True, cwd=tmp_path, stdout=subprocess.PIPE
    )

    assert done.stdout.splitlines() == ["systemctl enable --quiet --no-reload spark-boot.service", "sync"]
    written = {f"/{path.relative_to(tmp_path)}": path for path in tmp_path.rglob("*") if path.is_file()}
    assert began <= int(written.pop("/var/lib/spark-cluster/launched").read_text()) <= time.time()
    settings = json.loads(written.pop(userdata.SETTINGS_FILE).read_text())
    assert settings == filled(default.settings(role))
    assert {name: path.read_text() for name, path in written.items()} == userdata.files("first_stage")
    for name, path in written.items():
        assert os.access(path, os.X_OK) == userdata.is_program(path.read_text()), name


@pytest.mark.parametrize("role", ROLES)
def test_it_ends_by_waiting_for_the_unit_that_boots(default: Synthesized, role: str) -> None:
    text = document(default, role)
    assert text.startswith("#!/bin/bash\n")
    assert text.endswith(f"\nexec {WAIT}\n")
    assert WAIT in userdata.files("first_stage")
    assert f"\nExecStart={START}\n" in userdata.files("first_stage")[UNIT]


def test_the_unit_that_boots_waits_for_nothing_that_waits_for_it() -> None:
    """cloud-init's last stage waits for it; and it must outlast a slow boot, and a reboot."""
    unit = userdata.files("first_stage")[UNIT]
    assert not re.search(r"^(After|Requires|Wants)=.*cloud", unit, re.MULTILINE)
    assert "\nTimeoutStartSec=infinity\n" in unit
    assert "\nWantedBy=multi-user.target\n" in unit


def test_the_first_stage_is_these_files() -> None:
    assert userdata.files("first_stage").keys() == {
        START,
        WAIT,
        UNIT,
        "/opt/spark-cluster/aws.py",
        "/opt/spark-cluster/polling.py",
        "/opt/spark-cluster/settings.py",
    }


def test_no_file_holds_what_ends_a_file_or_stands_for_the_settings() -> None:
    for name, text in userdata.files("first_stage").items():
        assert "END-OF-FILE" not in text, name
        assert "<settings>" not in text, name
        assert "TfToken" not in text, name
        assert text.endswith("\n"), name


@pytest.mark.parametrize("role", ROLES)
def test_nothing_but_the_settings_is_an_expression(default: Synthesized, role: str) -> None:
    [expression] = expressions(default.local(f"spark_{construct_of(role)}_user_data_script"))
    assert re.fullmatch(rf"jsonencode\(local\.spark_{construct_of(role)}_user_data_settings_\w+\)", expression)
    assert not re.search(r"(?<!%)%\{", default.local(f"spark_{construct_of(role)}_user_data_script"))


def test_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    program = f"""
from spark_cluster.lazy_provider import import_lazily
import_lazily()
import json
from cdktf import TerraformStack, Testing
from cdktf_cdktf_provider_aws.provider import AwsProvider
from spark_cluster import SparkCluster
stack = TerraformStack(Testing.app(outdir="out"), "stack")
AwsProvider(stack, "aws", region="us-east-1")
defaults = {{f"spark.{{letter}}": "1" for letter in "zyxabc"}}
SparkCluster(stack, "spark", **{REQUIRED!r}, spark_defaults=defaults, tags={{"b": "1", "a": "2"}}, no_proxy=["b", "a"])
print(json.dumps(json.loads(Testing.synth(stack, True))))
"""
    made = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", program]
        folder = tmp_path / seed
        folder.mkdir()
        environment["PYTHONPATH"] = str(Path(userdata.__file__).parents[1])
        made.add(subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout)
    assert len(made) == 1


# --- settings ----------------------------------------------------------------------------------------------------


def test_what_the_master_is_given(default: Synthesized) -> None:
    settings = filled(default.settings("master"))
    del settings["programs_key"], settings["programs_sha256"]
    host = "https://archive.apache.org/dist/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz"
    assert settings == {
        "role": "master",
        "region": TYPICAL_REFERENCE,
        "bucket": TYPICAL_REFERENCE,
        "group": "demo-spark-workers",
        "master_host": "master.demo-spark",
        "boot_timeout_seconds": 1800,
        "spark_version": "4.3.0",
        "spark_file": "spark-4.3.0-bin-hadoop3.tgz",
        "spark_checksum": "",
        "spark_urls": ["https://dlcdn.apache.org/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz", host],
        "checksum_urls": [
            "https://downloads.apache.org/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz.sha512",
            f"{host}.sha512",
        ],
        "hadoop_version": "3.5.0",
        "s3a_sdk": "slim",
        "maven_url": "https://repo.maven.apache.org/maven2",
        "s3_endpoint": f"s3.{TYPICAL_REFERENCE}.{TYPICAL_REFERENCE}",
        "spark_defaults": {},
        "executor_cores": 0,
        "python_version": "3.11",
        "secret_parameter": TYPICAL_REFERENCE,
        "fleet_public_key_parameter": TYPICAL_REFERENCE,
        "fleet_private_key_parameter": TYPICAL_REFERENCE,
        "parameter_placeholder": "unset",
        "parameter_kms_key": "",
        "history_server": "yes",
        "connect_parameter": "",
        "connect_cores": 0,
        "unlisted_timeout_seconds": 600,
        "metrics_namespace": "",
        "setup_script_key": "",
        "setup_script_sha256": "",
        "http_proxy": "",
        "no_proxy": [],
    }


def test_a_worker_is_given_its_hooks_and_nothing_of_the_private_key(default: Synthesized) -> None:
    master, worker = default.settings("master"), default.settings("worker")
    assert worker.keys() - master.keys() == {"launch_hook", "termination_hook", "drain_timeout_seconds"}
    of_master = {"fleet_private_key_parameter", "parameter_kms_key", "history_server", "unlisted_timeout_seconds"}
    assert master.keys() - worker.keys() == {*of_master, "connect_parameter", "connect_cores", "metrics_namespace"}
    differ = {key for key in worker.keys() & master.keys() if worker[key] != master[key]}
    assert differ == {"role", "programs_key", "programs_sha256"}


def used_by_programs() -> set[str]:
    """Settings that the nodes' programs read: `given["key"]` in Python, an upper-case variable in the bootstrap."""
    files = userdata.files("first_stage", "common", "master", "worker")
    quoted = {
        key
        for name, text in files.items()
        if name.endswith(".py") or text.startswith("#!/usr/bin/python3")
        for key in re.findall(r"""(?:given|settings\.load\(\))\[["'](\w+)["']\]""", text)
    }
    return quoted | {name.lower() for name in variables_from_settings(files[START] + files[BOOT])}


def variables_from_settings(script: str) -> set[str]:
    """Upper-case variables that the bootstrap reads and nobody in it sets."""
    code = "\n".join(line for line in script.splitlines() if not line.lstrip().startswith("#"))
    expanded = set(re.findall(r"\$\{?[#!]?([A-Z][A-Z0-9_]*)", code))
    in_arithmetic = {
        name for part in re.findall(r"\(\((.*?)\)\)", code) for name in re.findall(r"\b[A-Z][A-Z0-9_]+\b", part)
    }
    assigned = set(re.findall(r"(?:^|[\s;])([A-Z][A-Z0-9_]*)=", code, re.MULTILINE))
    assigned |= set(re.findall(r"\bfor ([A-Z_]+)\b", code))
    of_bash = {
        "SECONDS",
        "RANDOM",
        "LINENO",
        "EPOCHREALTIME",
        "EPOCHSECONDS",
        "BASH_COMMAND",
        "BASH_REMATCH",
        "PIPESTATUS",
    }
    of_the_environment = {"SPARK_CLUSTER_ROOT", "SPARK_CLUSTER_LIB"}
    return (expanded | in_arithmetic) - assigned - of_bash - of_the_environment


def test_programs_are_given_all_that_they_read_and_read_all_that_they_are_given(default: Synthesized) -> None:
    assert used_by_programs() == default.settings("master").keys() | default.settings("worker").keys()


def test_the_bootstraps_headers_list_the_settings_that_it_reads() -> None:
    for path in (START, BOOT):
        text = userdata.files("first_stage", "common")[path]
        header = text[: text.index("\n\n")]
        listed = {word for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", header) if word.lower() in used_by_programs()}
        body = text[len(header) :]
        missing = {name for name in variables_from_settings(body) if name.lower() in used_by_programs()} - listed
        if path == BOOT:
            start = userdata.files("first_stage")[START]
            missing -= set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", start[: start.index("\n\n")]))
        assert missing == set(), path


def test_each_argument_reaches_the_nodes(synthesize: Synthesize) -> None:
    stack = synthesize(
        spark_version="4.2.0",
        spark_defaults={"spark.executor.cores": "4"},
        python_version="3.12",
        http_proxy="http://proxy:3128",
        no_proxy=["intern.example", "10.0.0.0/8"],
    )
    for role in ROLES:
        settings = stack.settings(role)
        assert settings["spark_version"] == "4.2.0"
        assert settings["spark_checksum"] == "cc1232a4a23858300ba9c887b7ac5a9128b4a1819cea2fa8ee2bc6ce98ced72b"
        assert settings["spark_defaults"] == {"spark.executor.cores": "4"}
        assert settings["python_version"] == "3.12"
        assert settings["http_proxy"] == "http://proxy:3128"
        assert settings["no_proxy"] == ["10.0.0.0/8", "intern.example"]


def test_an_archive_of_the_callers_is_the_only_source(synthesize: Synthesize) -> None:
    settings = synthesize(spark_archive=SparkArchive("s3://company/spark.tgz", "b" * 128)).settings("worker")
    assert settings["spark_urls"] == ["s3://company/spark.tgz"]
    assert settings["spark_checksum"] == "b" * 128


def test_each_setting_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    def variable(name: str) -> str:
        return TerraformVariable(stack, name, type="string").string_value

    found = synthesize(
        spark_checksum=variable("checksum"),
        spark_defaults={"spark.x": variable("property")},
        http_proxy=variable("proxy"),
        no_proxy=[variable("direct")],
        boot_timeout_seconds=TerraformVariable(stack, "seconds", type="number").number_value,
    )
    settings = found.settings("worker")
    assert settings["spark_checksum"] == "${var.checksum}"
    assert settings["spark_defaults"] == {"spark.x": "${var.property}"}
    assert settings["http_proxy"] == "${var.proxy}"
    assert settings["no_proxy"] == ["${var.direct}"]
    assert settings["boot_timeout_seconds"] == "${var.seconds}"


def test_a_list_without_proxy_may_be_what_only_terraform_knows(synthesize: Synthesize, stack: TerraformStack) -> None:
    direct = TerraformVariable(stack, "direct", type="list(string)").list_value
    assert synthesize(no_proxy=direct).settings("master")["no_proxy"] == "${var.direct}"


# --- templates ---------------------------------------------------------------------------------------------------


def test_braces_in_a_spark_property_reach_the_node_and_not_terraform(synthesize: Synthesize) -> None:
    stack = synthesize(spark_defaults={"spark.x": "${env:HOME} %{y}"})
    assert stack.settings("master")["spark_defaults"] == {"spark.x": "$${env:HOME} %%{y}"}


def test_a_token_within_text_stays_one(synthesize: Synthesize, stack: TerraformStack) -> None:
    token = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(spark_defaults={"spark.x": f"${{HOME}} {token}"})
    assert found.settings("worker")["spark_defaults"] == {"spark.x": "$${HOME} ${var.given}"}


@pytest.mark.parametrize("dollars", ["$", "$$"])
def test_a_dollar_before_a_token_does_not_make_the_token_text(
    synthesize: Synthesize, stack: TerraformStack, dollars: str
) -> None:
    """Terraform would read `$${` as an escaped `${`."""
    token = TerraformVariable(stack, "given", type="string").string_value
    found = synthesize(spark_defaults={"spark.x": f"costs {dollars}{token}"})
    quoted = '${"$"}' * len(dollars)
    assert found.settings("worker")["spark_defaults"] == {"spark.x": f"costs {quoted}${{var.given}}"}


@pytest.mark.parametrize("text", ["${a}", "%{a}", "$${a}", "a$b", "100%", "${", "$$", 'q"uo\\te', "", "{}", "$ {a}"])
def test_escaped_text_is_what_terraform_unescapes(text: str) -> None:
    """Terraform reads `$${` as `${`, wherever it stands."""
    assert unescaped(userdata.escape(text)) == text
    assert not list(expressions(userdata.escape(text)))


def test_values_are_escaped_and_keys_and_other_types_are_kept() -> None:
    value = {"a": ["${x}", 1, None, True, {"b": "%{y}"}], "c": ["${z}"]}
    assert userdata.escape_values(value) == {"a": ["$${x}", 1, None, True, {"b": "%%{y}"}], "c": ["$${z}"]}


# --- the programs in the bucket ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_the_programs_are_named_by_their_checksum_which_the_node_knows(default: Synthesized, role: str) -> None:
    body, content = programs(default, role)
    digest = hashlib.sha256(content).hexdigest()
    settings = default.settings(role)
    assert body["key"] == settings["programs_key"] == f"artifacts/node/{role}-{digest}.tar"
    assert settings["programs_sha256"] == digest
    assert body["bucket"] == f"${{{default.address('aws_s3_bucket', 'spark_storage_bucket')}.bucket}}"


@pytest.mark.parametrize("role", ROLES)
def test_the_programs_are_the_files_as_they_stand_in_the_source(default: Synthesized, role: str) -> None:
    _, content = programs(default, role)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        entries = tar.getmembers()
        texts = {f"/{entry.name}": tar.extractfile(entry).read().decode() for entry in entries}  # type: ignore[union-attr]
    assert texts == userdata.files("common", role)
    for entry in entries:
        assert entry.mode == (0o755 if texts[f"/{entry.name}"].startswith("#!") else 0o644)
        assert (entry.uid, entry.gid, entry.mtime) == (0, 0, 0)
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)


def test_a_role_does_not_get_the_others_programs(default: Synthesized) -> None:
    master, worker = userdata.files("common", "master"), userdata.files("common", "worker")
    assert "/usr/local/bin/spark-job" in master.keys() - worker.keys()
    assert "/etc/systemd/system/spark-worker.service" in worker.keys() - master.keys()
    assert programs(default, "master")[1] != programs(default, "worker")[1]


def test_the_two_stages_do_not_overwrite_each_other() -> None:
    start = userdata.files("first_stage")
    for role in ROLES:
        assert not start.keys() & userdata.files("common", role).keys()
        assert not userdata.files("common").keys() & userdata.files(role).keys()


def test_folders_that_python_leaves_behind_are_no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first_stage/a", "first_stage/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    monkeypatch.setattr(userdata, "folder", lambda: tmp_path)
    assert userdata.files("first_stage") == {"/a": "x\n"}


# --- too large ---------------------------------------------------------------------------------------------------


def noise(length: int) -> str:
    return secrets.token_hex(length // 2)


def test_refuses_user_data_that_ec2_would_not_take(synthesize: Synthesize) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - its number is not known to the byte
        synthesize(spark_defaults={f"spark.x{number}": noise(1_000) for number in range(30)})
    words = r"user data of the master must be at most 16384 bytes compressed, got about \d{5}: shorten spark_defaults"
    assert re.fullmatch(words, str(error.value))


def test_takes_text_that_is_long_and_compresses_well(synthesize: Synthesize) -> None:
    assert synthesize(spark_defaults={"spark.x": "again and again" * 2_000})


def test_allows_for_what_only_terraform_knows(stack: TerraformStack) -> None:
    def size(name: str, value: str) -> int:
        cluster = SparkCluster(stack, name, **{**REQUIRED, "name": name}, spark_defaults={"spark.x": value})
        return cluster.workers.user_data.compressed_bytes

    token = TerraformVariable(stack, "given", type="string").string_value
    assert size("with", f"a{token}") >= size("not", "a") + 50


class OnWindows(PureWindowsPath):
    """A folder as Windows names it, with the line ends that git gives its files there; they lie in `userdata/`."""

    @property
    def real(self) -> Path:
        return USERDATA.joinpath(*self.parts[1:])

    def rglob(self, pattern: str) -> list[OnWindows]:
        return [self.joinpath(*path.relative_to(self.real).parts) for path in self.real.rglob(pattern)]

    def is_file(self) -> bool:
        return self.real.is_file()

    def read_text(self, encoding: str) -> str:
        with_returns = self.real.read_bytes().replace(b"\n", b"\r\n")
        return io.TextIOWrapper(io.BytesIO(with_returns), encoding=encoding).read()


@pytest.mark.parametrize("role", ROLES)
def test_a_node_made_from_windows_is_the_same_to_the_byte(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    here = userdata.script(role, "{}"), userdata.archive(role)
    monkeypatch.setattr(userdata, "folder", lambda: OnWindows("C:\\"))
    assert (userdata.script(role, "{}"), userdata.archive(role)) == here


def test_git_keeps_the_line_ends_of_what_runs_on_a_node(tmp_path: Path) -> None:
    """A `setup_script` or a lab image that is read from a checkout is run as it is."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(USERDATA.parent / ".gitattributes", checkout)
    (checkout / "script.sh").write_bytes(b"#!/bin/sh\n")
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["rm", "-q", "script.sh"]):
        subprocess.run([*git, *arguments], cwd=checkout, check=True)
    subprocess.run([*git, "checkout", "-q", "HEAD", "--", "script.sh"], cwd=checkout, check=True)
    assert (checkout / "script.sh").read_bytes() == b"#!/bin/sh\n"
