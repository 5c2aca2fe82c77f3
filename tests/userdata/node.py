"""A node in a folder: the real programs below it, and stand-ins for everything that they start."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from spark_cluster.parameters import PLACEHOLDER
from spark_cluster.settings import MasterSettings, NodeSettings, WorkerSettings

USERDATA = Path(__file__).parents[2] / "userdata"
LIB = "opt/spark-cluster"
SPARK_FILE = "spark-4.3.0-bin-hadoop3.tgz"
CDN = f"dlcdn.apache.org/spark/spark-4.3.0/{SPARK_FILE}"
ARCHIVE = f"archive.apache.org/dist/spark/spark-4.3.0/{SPARK_FILE}"
ORIGIN = f"downloads.apache.org/spark/spark-4.3.0/{SPARK_FILE}"

# What a plain host has, and does no harm outside the folder. Anything else on PATH is a stand-in of ours.
TOOLS = [
    "awk",
    "basename",
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "date",
    "df",
    "dirname",
    "du",
    "env",
    "false",
    "grep",
    "gzip",
    "head",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "readlink",
    "rm",
    "sed",
    "sha256sum",
    "sha512sum",
    "sort",
    "stat",
    "tail",
    "tar",
    "tee",
    "timeout",
    "touch",
    "tr",
    "true",
    "uniq",
    "wc",
]

# `install -d` for the spark user, by a test that is nobody's root.
INSTALL = """
arguments=()
while (($#)); do
  case $1 in -o | -g) shift ;; *) arguments+=("$1") ;; esac
  shift
done
exec {install} "${{arguments[@]}}"
"""

# The bucket is a folder, and so are the hosts of the web.
AWS = """
case $1 in
  fetch) object=$FAKE_BUCKET/${2#s3://*/}; [[ -e $object ]] || exit 4
    if [[ -n ${4:-} && -e $FAKE_BUCKET/has-etags ]]; then
      etag=$(sha256sum "$object")
      [[ ! -e $4 || $(<"$4") != "$etag" ]] || exit 4
      echo "$etag" >"$4"
    fi
    if [[ $3 == - ]]; then cat "$object"; else cp "$object" "$3"; fi ;;
  store-log) mkdir -p "$FAKE_BUCKET/boot-logs"; cp "$2" "$FAKE_BUCKET/boot-logs/i-0abc" ;;
esac
"""

COPIES = """
tells=$1 url=$2 etag_file=$3
shift 3
while (($#)); do
  ! cp "$FAKE_BUCKET/${1#s3://*/}" "$2" 2>/dev/null
  shift 2
done
echo >&"$tells"
exec "${0%/*}/aws.py" fetch "$url" - "$etag_file"
"""

STORE_ONCE = """
object=$FAKE_BUCKET/${2#s3://*/}; mkdir -p "${object%/*}"; [[ ! -e $object ]] || exit 5; cp "$1" "$object"
"""

# Of the node's Python: it sleeps by the stand-in, as bash does, and believes it; no jitter is added to its pauses.
SITE = """
import random, subprocess, time
slept, monotonic = [], time.monotonic
def sleep(seconds):
    slept.append(seconds)
    subprocess.run(["sleep", str(seconds)])
time.sleep, time.monotonic = sleep, lambda: monotonic() + sum(slept)
random.uniform = lambda low, high: (low + high) / 2
"""

CONF = 'echo "PRIVATE_IP=10.0.0.7" >"$SPARK_CLUSTER_ROOT/etc/spark-cluster/node.env"'

# A file FILE.answers beside a file of the web has "CURL-STATUS HTTP-CODE" for each request to come before it answers.
CURL = """
while (($#)); do
  case $1 in --output) out=$2 ;; https://*) place=$FAKE_WEB/${1#https://} ;; esac
  shift
done
if [[ -s $place.answers ]]; then
  read -r status code <"$place.answers"
  sed -i 1d "$place.answers"
  printf %s "$code"
  exit "$status"
fi
[[ -e $place ]] || { printf 404; exit 22; }
cp "$place" "$out"
printf 200
"""


def sha512(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest()


def tar(entries: dict[str, bytes], mode: str) -> bytes:
    """An archive of these files, all of them executable."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def program(path: Path) -> bytes:
    """A program as it stands in userdata/, for the Python that runs the tests."""
    return path.read_bytes().replace(b"#!/usr/bin/python3\n", f"#!{sys.executable}\n".encode())


SPARK = tar({"spark-4.3.0/bin/spark-class": b"#!/bin/bash\n", "spark-4.3.0/conf/workers.template": b""}, "w:gz")


def node_settings(role: str, **more: Any) -> dict[str, Any]:
    """What a node of the cluster `demo` is given."""
    both = NodeSettings(
        programs_key="artifacts/node/programs.tar",
        region="eu-west-1",
        bucket="demo-bucket",
        group="demo-spark-workers",
        master_host="master.demo-spark",
        boot_timeout_seconds=1800,
        spark_version="4.3.0",
        spark_file=SPARK_FILE,
        spark_checksum=sha512(SPARK),
        spark_urls=[f"https://{CDN}", f"https://{ARCHIVE}"],
        checksum_urls=[f"https://{ORIGIN}.sha512", f"https://{ARCHIVE}.sha512"],
        hadoop_version="",
        s3a_sdk="",
        maven_url="",
        s3_endpoint="s3.eu-west-1.amazonaws.com",
        spark_defaults={},
        executor_cores=0,
        python_version="3.11",
        secret_parameter="/spark-cluster/demo/spark-secret",  # noqa: S106 - its name
        fleet_public_key_parameter="/spark-cluster/demo/fleet-public-key",
        parameter_placeholder=PLACEHOLDER,
        setup_script_key="",
        setup_script_sha256="",
        http_proxy="",
        no_proxy=[],
    )
    private = "/spark-cluster/demo/fleet-private-key"
    roles: dict[str, NodeSettings] = {
        "master": MasterSettings(
            **vars(both),
            fleet_private_key_parameter=private,
            parameter_kms_key="",
            history_server="yes",
            connect_parameter="",
            connect_cores=0,
            unlisted_timeout_seconds=600,
            metrics_namespace="",
        ),
        "worker": WorkerSettings(
            **vars(both), launch_hook="demo-spark-ready", termination_hook="demo-spark-left", drain_timeout_seconds=900
        ),
    }
    return replace(roles[role], **more).to_dict()


class Node:
    """What is below `root` is the node's; what is in `bin` is all of its PATH."""

    def __init__(self, folder: Path, role: str) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.bucket = folder / "bucket"
        self.web = folder / "web"
        self.site = folder / "site"
        self.calls_file = folder / "calls"
        for made in (self.root / LIB, self.root / "etc/spark-cluster", self.root / "usr/bin"):
            made.mkdir(parents=True)
        for made in (self.bin, self.bucket, self.web, self.site):
            made.mkdir()
        (self.site / "sitecustomize.py").write_text(SITE)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, f"these tests need {tool}"
            (self.bin / tool).symlink_to(found)
        self.stand_ins()
        for path in (USERDATA / f"first_stage/{LIB}").glob("[!_]*"):
            if path.name != "aws.py":
                self.write(f"{LIB}/{path.name}", program(path), mode=0o755)
        self.settings = node_settings(role)
        self.put_programs(role)

    def stand_ins(self) -> None:
        """By default everything is there already and everything succeeds."""
        self.mock("install", INSTALL.format(install=shutil.which("install")))
        self.mock("java", "echo 'openjdk version \"17.0.19\" 2026-10-20' >&2")
        self.mock("systemctl", '[[ $1 != show ]] || echo "${NRESTARTS:-0}"')
        self.mock("journalctl", "echo 'Exception in thread main: the cause of it'")
        self.mock("id", "[[ $1 != spark ]] || exit 1")
        self.mock("curl", CURL)
        self.mock("runuser", 'shift 3 && exec "$@"')
        for name in ("dnf", "python3.11", "sleep", "sync", "sysctl", "useradd", "usermod"):
            self.mock(name)
        self.mock(f"{self.root}/usr/bin/python3")
        self.write("/usr/sbin/nginx", mode=0o755)
        self.mock(f"{self.root}/{LIB}/aws.py", AWS)

    def put_programs(self, role: str) -> None:
        """The second stage's archive in the bucket: the real one, but for the programs that other tests are about."""
        entries = {
            str(path.relative_to(USERDATA / part)): program(path)
            for part in ("common", role)
            for path in sorted((USERDATA / part).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
        bodies = {"node_secrets.py": "", "spark_conf.py": CONF, "spark_state.py": ""}
        bodies |= {"copies.py": COPIES, "store_once.py": STORE_ONCE}
        for name, body in bodies.items():
            entries[f"{LIB}/{name}"] = self.stand_in(name, body)
        archive = tar(entries, "w")
        self.put_object("artifacts/node/programs.tar", archive)
        self.settings["programs_sha256"] = hashlib.sha256(archive).hexdigest()

    def set_up(self, script: str) -> None:
        """The caller's script in the bucket; an empty one is none."""
        self.settings["setup_script_key"] = self.settings["setup_script_sha256"] = ""
        if script:
            self.put_object("artifacts/node/setup-script", script.encode())
            self.settings["setup_script_key"] = "artifacts/node/setup-script"
            self.settings["setup_script_sha256"] = hashlib.sha256(script.encode()).hexdigest()

    def put_object(self, key: str, content: bytes) -> None:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def serve(self, url: str, content: bytes = SPARK) -> None:
        """A file of the web, by its address without the scheme."""
        path = self.web / url
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def answer_first(self, url: str, *answers: str) -> None:
        """What curl gives for the first requests of an address: each its status and the HTTP code."""
        path = self.web / f"{url}.answers"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{answer}\n" for answer in answers))

    @staticmethod
    def stand_in(name: str, body: str = "") -> bytes:
        return f'#!/bin/bash\necho {shlex.quote(Path(name).name)} "$@" >>"$CALLS"\n{body}\n'.encode()

    def mock(self, name: str, body: str = "") -> None:
        """A command that notes that it was called, and how."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_bytes(self.stand_in(name, body))
        path.chmod(0o755)

    def mock_failing_first(self, name: str, times: int, status: int = 1) -> None:
        """A command that fails so many times, then succeeds."""
        self.mock(name, f'(($(grep -c "^{name} " "$CALLS") > {times})) || exit {status}')

    def mock_program(self, name: str, body: str) -> None:
        """A program of the second stage, in the archive that the bucket has."""
        self.mock_file(name, self.stand_in(name, body))

    def mock_file(self, name: str, content: bytes) -> None:
        """A file beside the programs of the second stage."""
        archive = self.bucket / "artifacts/node/programs.tar"
        with tarfile.open(archive) as old:
            entries = {entry.name: old.extractfile(entry).read() for entry in old}  # type: ignore[union-attr]
        programs = tar({**entries, f"{LIB}/{name}": content}, "w")
        archive.write_bytes(programs)
        self.settings["programs_sha256"] = hashlib.sha256(programs).hexdigest()

    def without(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink()

    def write(self, path: str, content: bytes | str = b"", mode: int = 0o644) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        return file

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program as this node would."""
        self.calls_file.touch()
        return subprocess.run(
            command,
            env={
                "PATH": str(self.bin),
                "SPARK_CLUSTER_ROOT": str(self.root),
                "CALLS": str(self.calls_file),
                "FAKE_BUCKET": str(self.bucket),
                "FAKE_WEB": str(self.web),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def boot(self, *, seconds_gone: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the first stage, which runs all else; so many seconds after the host was launched."""
        self.write("/etc/spark-cluster/settings.json", json.dumps(self.settings))
        self.write("/var/lib/spark-cluster/launched", f"{int(time.time()) - seconds_gone}\n")
        return self.run(self.root / LIB / "start", PYTHONPATH=str(self.site), **environment)

    @property
    def releases(self) -> list[str]:
        """What is in /opt besides the node's programs."""
        return sorted(path.name for path in (self.root / "opt").iterdir() if path.name != Path(LIB).name)

    @property
    def calls(self) -> list[str]:
        """What was started so far, each with its arguments; the folder of the root left out."""
        return self.calls_file.read_text().replace(str(self.root), "").splitlines()

    def calls_of(self, name: str) -> list[str]:
        return [call for call in self.calls if call.split()[0] == name]

    @property
    def pauses(self) -> list[str]:
        """How long it paused each time; but for the whole second in which its log may be behind."""
        return [call.split()[1] for call in self.calls_of("sleep") if call != "sleep 1"]

    @property
    def log(self) -> str:
        return self.read("/var/log/spark-cluster-boot.log")

    @property
    def last_line(self) -> str:
        return self.log.splitlines()[-1]

    @property
    def stored_log(self) -> str:
        return (self.bucket / "boot-logs/i-0abc").read_text()
