"""What a master has besides its services: own-name, and the commands for people."""

from __future__ import annotations

import datetime as dt
import importlib.machinery
import importlib.util
import json
import os
import pty
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aws
import drivers
import polling
import pytest
import requirements
import settings
import spark_state
import worker_group

from tests.userdata.node import LIB, USERDATA, Node, node_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.userdata.conftest import Clock

BIN = USERDATA / "master/usr/local/bin"

# own-name


def own_name(node: Node, address: str = "10.0.0.7", host: str = "ip-10-0-0-7") -> list[str]:
    program = USERDATA / "master" / LIB / "own-name"
    names = {"MASTER_HOST": "master.demo-spark", "PRIVATE_IP": address, "HOSTNAME": host}
    done = node.run("bash", program, **names)
    assert done.returncode == 0, done.stderr
    return node.read("etc/hosts").splitlines()


def test_the_master_s_name_is_added_to_etc_hosts(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost6\n")
    assert own_name(master) == ["127.0.0.1 localhost", "::1 localhost6", "10.0.0.7 master.demo-spark ip-10-0-0-7"]


def test_the_name_is_there_once_however_often_the_master_starts(master: Node) -> None:
    file = master.write("etc/hosts", "127.0.0.1 localhost\n")
    once = own_name(master)
    before = file.stat().st_mtime_ns
    assert own_name(master) == once
    assert file.stat().st_mtime_ns == before


def test_another_address_replaces_the_old_one(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n10.0.0.9 master.demo-spark\n")
    assert own_name(master) == ["127.0.0.1 localhost", "10.0.0.7 master.demo-spark ip-10-0-0-7"]


def test_an_old_address_goes_even_beside_the_right_one(master: Node) -> None:
    master.write("etc/hosts", "10.0.0.9 old master.demo-spark\n127.0.0.1 localhost\n10.0.0.7 master.demo-spark\n")
    assert own_name(master) == ["127.0.0.1 localhost", "10.0.0.7 master.demo-spark ip-10-0-0-7"]


def test_a_name_that_the_ami_has_written_for_this_host_stays(master: Node) -> None:
    master.write("etc/hosts", "127.0.1.1\tip-10-0-0-7.ec2.internal ip-10-0-0-7\n")
    assert own_name(master) == ["127.0.1.1\tip-10-0-0-7.ec2.internal ip-10-0-0-7", "10.0.0.7 master.demo-spark"]


def test_a_host_that_was_renamed_has_its_new_name(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n")
    own_name(master, host="before")
    assert own_name(master, host="after") == ["127.0.0.1 localhost", "10.0.0.7 master.demo-spark after"]


def test_a_name_that_only_looks_alike_stays(master: Node) -> None:
    alike = ["10.0.0.9 master.demo-spark2", "10.0.0.8 xmaster.demo-spark", "10.0.0.6 masterXdemo-spark"]
    master.write("etc/hosts", "\n".join(alike) + "\n")
    assert own_name(master) == [*alike, "10.0.0.7 master.demo-spark ip-10-0-0-7"]


def test_the_name_comes_back_when_etc_hosts_was_written_anew(master: Node) -> None:
    master.write("etc/hosts", "127.0.0.1 localhost\n")
    own_name(master)
    master.write("etc/hosts", "127.0.0.1 localhost ip-10-0-0-7\n")
    assert own_name(master) == ["127.0.0.1 localhost ip-10-0-0-7", "10.0.0.7 master.demo-spark"]


def test_a_write_that_fails_leaves_the_file_as_it_was(master: Node) -> None:
    """Such as on a full disk: here no file may have a byte."""
    kept = "127.0.0.1 localhost\n10.1.2.3 warehouse\n"
    master.write("etc/hosts", kept)
    program = USERDATA / "master" / LIB / "own-name"
    names = {"MASTER_HOST": "master.demo-spark", "PRIVATE_IP": "10.0.0.7", "HOSTNAME": "ip-10-0-0-7"}
    assert master.run("bash", "-c", f"ulimit -f 0; exec bash {program}", **names).returncode != 0
    assert master.read("etc/hosts") == kept


def test_the_file_is_replaced_in_one_step_once_its_text_is_on_the_disk_and_keeps_its_mode(master: Node) -> None:
    file = master.write("etc/hosts", "127.0.0.1 localhost\n", mode=0o640)
    master.mock("mv", f'grep -q "^sync " "$CALLS" && exec {shutil.which("mv")} "$@"')
    with file.open() as before:
        own_name(master)
        assert before.read() == "127.0.0.1 localhost\n", "whoever reads it has the old one or the new one"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.glob("hosts*")] == ["hosts"]


def test_a_file_that_is_mounted_cannot_be_replaced_and_is_written_in_place(master: Node) -> None:
    """As a container's: `mv: cannot move 'hosts.new' to 'hosts': Device or resource busy`."""
    file = master.write("etc/hosts", "127.0.0.1 localhost\n")
    inode = file.stat().st_ino
    master.mock("mv", "exit 1")
    assert own_name(master) == ["127.0.0.1 localhost", "10.0.0.7 master.demo-spark ip-10-0-0-7"]
    assert file.stat().st_ino == inode
    assert [path.name for path in file.parent.glob("hosts*")] == ["hosts"]


# drivers: Spark's own commands, and spark-job


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command for people as a module: it has no suffix."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(BIN / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


# A file for each unit that there is, with a line for each time it is asked for; the last stays.
SYSTEMCTL = """
case $1 in
  show)
    for unit in ${@: -1}; do
      for state in "$UNITS/"$unit; do
        id=${state##*/}
        [[ -e $state ]] || { [[ $unit != *"*"* ]] || continue; state=$UNITS/unknown; }
        echo "Id=$id"
        head -n 1 "$state" | tr , '\\n'
        echo
        [[ $(wc -l <"$state") == 1 || $unit == *"*"* ]] || sed -i 1d "$state"
      done
    done ;;
esac
"""


# Keeps what it got and what was in the scratch then; the driver says something into its log, if it has one.
SYSTEMD_RUN = """
printf "%s\\0" "$@" >"$ARGUMENTS"
cp -pr "$SCRATCH" "$AT_START"
for option in "$@"; do
  [[ $option != --property=StandardOutput=append:* ]] || printf '%b' "$SAID" >"${option#*append:}"
done
exit ${STARTS:-0}
"""


class Drivers:
    """The master's commands for drivers, with stand-ins for systemd; what was started is kept."""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node = node
        self.units = node.root / "units"
        self.units.mkdir()
        (self.units / "unknown").write_text(UNKNOWN + "\n")
        self.scratch = node.root / "var/lib/spark-driver"
        self.scratch.mkdir(parents=True)
        self.arguments = node.root / "arguments"
        self.job = load("spark-job", monkeypatch)
        node.mock("runuser", "exit ${RUNUSER:-0}")
        node.mock("systemctl", SYSTEMCTL)
        node.mock("systemd-run", SYSTEMD_RUN)
        self.at_start = node.root / "scratch-at-start"
        monkeypatch.setenv("SCRATCH", str(self.scratch))
        monkeypatch.setenv("AT_START", str(self.at_start))
        monkeypatch.setenv("SAID", "what the driver said\\n")
        variables = {"PATH": node.bin, "CALLS": node.calls_file, "UNITS": self.units, "ARGUMENTS": self.arguments}
        for key, value in variables.items():
            monkeypatch.setenv(key, str(value))
        monkeypatch.setattr(settings, "ROOT", str(node.root))
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        self.handed_over: list[str] = []
        monkeypatch.setattr(shutil, "chown", lambda path, *_: self.handed_over.append(path))
        monkeypatch.setattr(secrets, "token_hex", lambda _: "4f2a91")
        monkeypatch.setattr(polling.time, "sleep", lambda _: None)
        monkeypatch.setattr(aws, "fetch", self.fetch)

    def fetch(self, url: str, file: str) -> None:
        found = self.node.bucket / url.removeprefix("s3://demo-bucket/")
        if not found.exists():
            raise SystemExit(aws.ABSENT_STATUS)
        Path(file).write_bytes(found.read_bytes())

    def put(self, name: str, *states: str) -> None:
        """What systemd says of a driver, one time after the other; the last stays."""
        (self.units / f"spark-driver-{name}.service").write_text("".join(f"{state}\n" for state in states))

    def says(self, name: str, said: bytes) -> Path:
        """What a driver has said so far."""
        log = Path(drivers.log(name))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(said)
        return log

    def started(self) -> tuple[list[str], list[str]]:
        """Options of systemd-run, and what it was to start."""
        arguments = self.arguments.read_text().split("\0")[:-1]
        at = arguments.index("--")
        return arguments[:at], arguments[at + 1 :]


def unit_state(sub: str, *, active: str = "active", code: int = 1, status: int = 0, result: str = "success") -> str:
    return (
        f"LoadState=loaded,ActiveState={active},SubState={sub},Result={result},ExecMainCode={code},"
        f"ExecMainStatus={status},ExecMainStartTimestamp=Fri 2026-11-27 22:15:00 UTC"
    )


LOST = "spark-job: {} ended with status 143, stopped, or this host was restarted"
UNKNOWN = unit_state("dead", active="inactive", code=0).replace("loaded", "not-found")
RUNS = unit_state("running", code=0)
ENDED = unit_state("exited")


@pytest.fixture
def people(master: Node, monkeypatch: pytest.MonkeyPatch) -> Drivers:
    return Drivers(master, monkeypatch)


@pytest.fixture
def script(people: Drivers) -> Path:
    return people.node.write("home/someone/job.py", "print('the job')\n", mode=0o600)


def test_a_job_is_a_unit_of_its_own_with_its_arguments_as_they_are(
    people: Drivers, script: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    people.put("job-4f2a91", RUNS, RUNS, RUNS, ENDED)
    options = ["--conf", "spark.driver.extraJavaOptions=-Da=1 -Db='ä'", "--name=a b", "-v", "--py-files", "x.py"]
    arguments = ["two words", "", "*", "-x", "$HOME", "50%"]
    assert people.job.main([*options, str(script), *arguments]) == 0
    unit, program = people.started()
    assert {"--unit=spark-driver-job-4f2a91.service", "--uid=spark-driver", "--remain-after-exit"} <= set(unit)
    log = people.node.root / "var/log/spark-drivers/job-4f2a91.log"
    assert {f"--property=StandardOutput=append:{log}", "--slice=spark-drivers.slice"} <= set(unit)
    assert program == ["/opt/spark/bin/spark-submit", *options, str(script), *arguments[:4], "$$HOME", "50%"]
    said = capfd.readouterr()
    assert said.out == "what the driver said\n"
    assert said.err.splitlines()[-1] == "spark-job: job-4f2a91 ended with status 0"
    assert "spark-job --follow job-4f2a91" in said.err


CONNECTED = b"26/11/29 12:00:00 INFO Backend: Connected to Spark cluster with app ID app-2026-000%d\n"


def executors_logs(people: Drivers, capfd: pytest.CaptureFixture[str], said: bytes) -> list[str]:
    """Where `spark-job` says that the logs are of the executors of a driver that has said so much."""
    people.node.write("etc/spark-cluster/settings.json", json.dumps(people.node.settings))
    people.put("etl-1", ENDED)
    people.says("etl-1", said)
    people.job.main(["--follow", "etl-1"])
    *lines, last = capfd.readouterr().err.splitlines()
    assert last == "spark-job: etl-1 ended with status 0", "make submit reads it"
    return re.findall(r"what its executors said is in (\S+) within", "\n".join(lines))


def test_a_job_s_end_says_where_the_logs_of_its_executors_are(
    people: Drivers, capfd: pytest.CaptureFixture[str]
) -> None:
    places = ["s3://demo-bucket/logs/app-2026-0001/", "s3://demo-bucket/logs/app-2026-0002/"]
    said = CONNECTED % 1 + b"a word\n" + CONNECTED % 2 + CONNECTED % 1
    assert executors_logs(people, capfd, said) == places
    assert executors_logs(people, capfd, b"no job of Spark's\n") == []
    as_json = b'{"msg":"Connected to Spark cluster with app ID app-2026-0001","level":"INFO"}\n'
    assert executors_logs(people, capfd, as_json) == places[:1]


@pytest.mark.parametrize("before", [1 << 16, (1 << 16) - len(CONNECTED), (1 << 16) - 5, 3 << 16])
def test_it_finds_them_wherever_they_stand_in_the_output(
    people: Drivers, capfd: pytest.CaptureFixture[str], before: int
) -> None:
    said = b"x" * before + b"\n" + CONNECTED % 1 + b"y" * (1 << 16)
    assert executors_logs(people, capfd, said) == ["s3://demo-bucket/logs/app-2026-0001/"]


def test_of_very_many_applications_it_names_the_last(people: Drivers, capfd: pytest.CaptureFixture[str]) -> None:
    said = b"".join(CONNECTED % number for number in range(30))
    assert executors_logs(people, capfd, said)[-1] == "s3://demo-bucket/logs/app-2026-00029/"
    assert len(executors_logs(people, capfd, said)) == 10


def test_a_driver_is_followed_from_where_another_session_left_it(
    people: Drivers, capfd: pytest.CaptureFixture[str]
) -> None:
    people.put("etl-1", RUNS, ENDED)
    people.says("etl-1", b"one\n\n<5>three\n" + b"x" * 200_000 + b"\nlast")
    assert people.job.main(["--follow", "etl-1", "2"]) == 0
    assert capfd.readouterr().out == "<5>three\n" + "x" * 200_000 + "\nlast"


def test_what_a_driver_said_last_is_shown_once_it_has_ended(
    people: Drivers, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    people.put("etl-1", RUNS, ENDED)
    people.says("etl-1", b"one\n")

    def look(name: str) -> drivers.Driver:
        seen = state(name)
        people.says(name, b"one\nlast\n")  # right after it was asked for
        return seen

    state = drivers.state
    monkeypatch.setattr(drivers, "state", look)
    assert people.job.main(["--follow", "etl-1"]) == 0
    assert capfd.readouterr().out == "one\nlast\n"


def test_a_driver_from_before_a_restart_of_the_host_has_its_output_and_no_status(
    people: Drivers, capfd: pytest.CaptureFixture[str]
) -> None:
    people.says("etl-1", b"one\n")
    assert people.job.main(["--list"]) == 0
    assert capfd.readouterr().out.splitlines()[1].split() == [
        "etl-1",
        "stopped,",
        "or",
        "this",
        "host",
        "was",
        "restarted",
    ]
    assert people.job.main(["--follow", "etl-1"]) == 143
    said = capfd.readouterr()
    assert said.out == "one\n"
    assert said.err.splitlines()[-1] == LOST.format("etl-1")


def test_of_much_output_the_last_is_kept_where_it_was(
    people: Drivers, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drivers, "LOG_BYTES", 80_000)
    people.put("etl-1", ENDED)
    people.node.mock("fallocate", 'exec /usr/bin/fallocate "$@"')
    log = people.says("etl-1", b"".join(b"line %06d\n" % number for number in range(20_000)))
    size = log.stat().st_size
    drivers.clean()
    assert log.stat().st_size == size
    assert log.stat().st_blocks * 512 < 90_000
    people.job.main(["--follow", "etl-1"])
    said = capfd.readouterr()
    assert said.out.endswith("line 019999\n")
    assert 39_000 < len(said.out) < 90_000
    assert re.search(r"^spark-job: of its output the first \d+ bytes are gone$", said.err, re.MULTILINE)


def test_nobody_may_put_links_where_root_writes(people: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    people.put("job-4f2a91", ENDED)

    def fetch(url: str, file: str) -> None:
        assert people.handed_over == []
        assert Path(file).parent.stat().st_mode & 0o777 == 0o700
        Path(file).write_text("print()\n")

    monkeypatch.setattr(aws, "fetch", fetch)
    assert people.job.main(["s3://demo-bucket/data/job.py"]) == 0
    assert people.handed_over == [str(people.scratch / "job-4f2a91")]


def test_files_in_options_are_copied_if_the_drivers_user_cannot_read_them(
    people: Drivers, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNUSER", "1")
    monkeypatch.chdir(script.parent)
    for name in ("a.zip", "b.zip", "queries.sql", "env.tar"):
        (script.parent / name).write_text(name)
    people.put("job-4f2a91", ENDED)
    options = ["--py-files", "a.zip,s3a://x/y.zip,b.zip", "--archives=env.tar#env", "--name", "a.zip", "--files", "no"]
    assert people.job.main([*options, f"file://{script}"]) == 0
    scratch = people.scratch / "job-4f2a91"
    files = f"{scratch}/a.zip,s3a://x/y.zip,{scratch}/b.zip"
    expected = ["--py-files", files, f"--archives={scratch}/env.tar#env", "--name", "a.zip", "--files", "no"]
    assert people.started()[1][1:] == [*expected, f"{scratch}/job.py"]
    assert (people.at_start / "job-4f2a91/b.zip").read_text() == "b.zip"
    people.at_start.rename(people.at_start.with_suffix(".before"))
    assert drivers.main("spark-sql", "-f", "queries.sql") == 0
    assert people.started()[1][1:] == ["-f", f"{people.scratch}/spark-sql-4f2a91/queries.sql"]
    people.at_start.rename(people.at_start.with_suffix(".again"))
    assert drivers.main("spark-submit", "--name", "x", "job.py", "a.zip") == 0
    assert people.started()[1][1:] == ["--name", "x", f"{people.scratch}/spark-submit-4f2a91/job.py", "a.zip"]


def test_a_script_that_the_drivers_user_cannot_read_is_copied(
    people: Drivers, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNUSER", "1")
    people.put("job-4f2a91", ENDED)
    people.job.main([str(script)])
    assert people.started()[1][1:] == [f"{people.scratch}/job-4f2a91/job.py"]
    copy = people.at_start / "job-4f2a91/job.py"
    assert copy.read_text() == "print('the job')\n"
    assert copy.stat().st_mode & 0o777 == 0o644


def test_a_driver_runs_where_it_was_called_from_if_it_may_be_there(
    people: Drivers, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(script.parent)
    people.put("job-4f2a91", ENDED)
    people.node.mock("runuser", "[[ $5 != -w ]]")
    assert people.job.main(["job.py"]) == 0
    assert f"--working-directory={script.parent}" in people.started()[0]
    people.at_start.rename(people.at_start.with_suffix(".before"))
    drivers.main("spark-sql")  # it writes into its folder
    assert "--working-directory=/home/spark-driver" in people.started()[0]
    people.at_start.rename(people.at_start.with_suffix(".again"))
    monkeypatch.setenv("RUNUSER", "1")
    people.node.mock("runuser", "exit 1")
    people.job.main(["job.py"])
    assert "--working-directory=/home/spark-driver" in people.started()[0]


def test_a_script_may_come_from_the_bucket(people: Drivers) -> None:
    people.node.put_object("data/jobs/etl v2.py", b"print('from the bucket')\n")
    people.put("etl-v2-4f2a91", ENDED)
    assert people.job.main(["s3://demo-bucket/data/jobs/etl v2.py", "1"]) == 0
    copy = "etl-v2-4f2a91/etl v2.py"
    assert people.started()[1] == ["/opt/spark/bin/spark-submit", f"{people.scratch}/{copy}", "1"]
    assert (people.at_start / copy).read_text() == "print('from the bucket')\n"


@pytest.fixture
def pip(master: Node, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gets a word each time that pip was asked for."""
    master.write("etc/spark-cluster/settings.json", json.dumps(node_settings("master")))
    asked: list[str] = []
    monkeypatch.setattr(requirements, "install_pip", lambda: asked.append("pip"))
    return asked


@pytest.mark.parametrize("given", [["--requirements", "needs.txt"], ["--requirements=needs.txt"]])
def test_a_job_s_requirements_are_made_in_its_own_unit_before_spark(
    people: Drivers, script: Path, monkeypatch: pytest.MonkeyPatch, pip: list[str], given: list[str]
) -> None:
    monkeypatch.setenv("RUNUSER", "1")
    monkeypatch.chdir(script.parent)
    (script.parent / "needs.txt").write_text("msgpack==1.1.0\n")
    (script.parent / "a.zip").write_text("a")
    people.put("job-4f2a91", ENDED)
    assert (
        people.job.main(["--archives", "a.zip", *given, "--name=x", str(script), "--requirements", "of the job"]) == 0
    )
    scratch = people.scratch / "job-4f2a91"
    ours = f"{scratch}/.packages/python-packages.tar.gz#python-packages"
    path = "python-packages:python-packages/lib/python3.11/site-packages"
    assert people.started()[1] == [
        *("/opt/spark-cluster/requirements.py", f"{scratch}/needs.txt", "/opt/spark/bin/spark-submit"),
        *("--archives", f"{scratch}/a.zip", "--name=x", "--archives", f"{ours},{scratch}/a.zip"),
        *(
            "--conf",
            f"spark.executorEnv.PYTHONPATH={path}",
            f"{scratch}/job.py",
            "--requirements",
            "of the job",
        ),
    ]
    assert (people.at_start / "job-4f2a91/needs.txt").read_text() == "msgpack==1.1.0\n"
    assert pip == ["pip"]


def test_requirements_may_come_from_the_bucket_and_packed_ones_need_no_pip(
    people: Drivers, script: Path, pip: list[str]
) -> None:
    people.node.put_object("data/jobs/1/deps.tar.gz", b"packed")
    people.put("job-4f2a91", ENDED)
    assert people.job.main(["--requirements", "s3://demo-bucket/data/jobs/1/deps.tar.gz", str(script)]) == 0
    assert people.started()[1][1] == f"{people.scratch}/job-4f2a91/deps.tar.gz"
    assert (people.at_start / "job-4f2a91/deps.tar.gz").read_text() == "packed"
    assert pip == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--requirements", "/no/such.txt"], "there is no file /no/such.txt"),
        (["--requirements", "s3://demo-bucket/data/no.txt"], "there is no s3://demo-bucket/data/no.txt"),
        (["--requirements="], "--requirements takes one FILE, of this host or s3://BUCKET/KEY, got "),
        (["--requirements", "https://example.com/x.txt"], "s3://BUCKET/KEY, got https://example.com/x.txt"),
        (["--requirements", "a.txt", "--requirements=b.txt"], "--requirements takes one FILE, of this host"),
    ],
)
def test_requirements_that_are_not_there_are_named_before_anything_runs(
    people: Drivers,
    script: Path,
    capfd: pytest.CaptureFixture[str],
    pip: list[str],
    options: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        people.job.main([*options, str(script)])
    assert message in capfd.readouterr().err
    assert not people.arguments.exists()
    assert pip == []
    assert list(people.scratch.iterdir()) == []


@pytest.mark.parametrize("source", ["local:/opt/spark/examples/src/main/python/pi.py", "https://example.com/a.jar"])
def test_what_spark_knows_how_to_get_is_left_to_it(people: Drivers, source: str) -> None:
    name = "pi-4f2a91" if source.endswith("pi.py") else "a-4f2a91"
    people.put(name, ENDED)
    assert people.job.main([source]) == 0
    assert people.started()[1][1:] == [source]


@pytest.mark.parametrize(
    ("state", "status", "line"),
    [
        (unit_state("failed", active="failed", status=3, result="exit-code"), 3, "ended with status 3"),
        (
            unit_state("failed", active="failed", code=2, status=9, result="oom-kill"),
            137,
            "ended with status 137, oom-kill",
        ),
        (unit_state("failed", active="failed", status=143, result="exit-code"), 143, "ended with status 143"),
    ],
)
def test_it_ends_with_the_status_of_the_job(
    people: Drivers, script: Path, capfd: pytest.CaptureFixture[str], state: str, status: int, line: str
) -> None:
    people.put("job-4f2a91", RUNS, state)
    assert people.job.main([str(script)]) == status
    assert capfd.readouterr().err.splitlines()[-1] == f"spark-job: job-4f2a91 {line}"


def test_a_driver_that_was_stopped_meanwhile(people: Drivers, script: Path, capfd: pytest.CaptureFixture[str]) -> None:
    people.put("job-4f2a91", RUNS, RUNS, UNKNOWN)
    assert people.job.main([str(script)]) == 143
    assert capfd.readouterr().err.splitlines()[-1] == LOST.format("job-4f2a91")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "x"], "there is no SOURCE after the options"),
        (["/no/such/file.py"], "there is no file /no/such/file.py"),
        (["/"], "there is no file /"),
        (["s3://demo-bucket/data/no-such-job.py"], "there is no s3://demo-bucket/data/no-such-job.py"),
        (["--follow", "etl-1"], "there is no driver etl-1"),
        (["--follow", "*"], "a driver's name has letters"),
        (["--stop", "etl-?"], "a driver's name has letters"),
        (["--stop", "etl-1"], "no driver etl-1 runs"),
        (["--follow"], "usage: spark-job --follow NAME [LINES]"),
    ],
)
def test_says_what_cannot_be_done(
    people: Drivers, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        people.job.main(arguments)
    assert ended.value.code == 2
    assert f"spark-job: {message}" in capsys.readouterr().err
    assert not people.arguments.exists()


def test_without_arguments_it_says_what_it_takes(people: Drivers, capsys: pytest.CaptureFixture[str]) -> None:
    assert people.job.main([]) == 2
    assert people.job.main(["--help"]) == 0
    said = capsys.readouterr()
    assert said.out == said.err
    assert "spark-job --follow NAME [LINES]" in said.out


def test_lists_drivers_and_how_they_ended(people: Drivers, capsys: pytest.CaptureFixture[str]) -> None:
    people.put("etl-000001", unit_state("failed", active="failed", status=3, result="exit-code"))
    people.put("pyspark-000002", RUNS)
    assert people.job.main(["--list"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["NAME", "STARTED", "STATE"]
    assert [(row.split()[0], row.split("UTC")[1].strip()) for row in rows] == [
        ("etl-000001", "ended: 3"),
        ("pyspark-000002", "runs"),
    ]


def test_stops_a_driver(people: Drivers) -> None:
    people.put("etl-000001", RUNS)
    assert people.job.main(["--stop", "etl-000001"]) == 0
    assert people.node.calls_of("systemctl")[-1] == "systemctl stop spark-driver-etl-000001.service"


def test_of_drivers_that_ended_the_scratch_goes_and_the_last_words_stay(
    people: Drivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "KEPT", 2)
    for name, state, ago in (("old-1", ENDED, 300), ("old-2", ENDED, 200), ("runs-3", RUNS, 400), ("lost-4", "", 100)):
        if state:
            people.put(name, state)
        os.utime(people.says(name, b"said\n"), (1e9 - ago, 1e9 - ago))
    for name in ("old-1", "runs-3", "of-an-earlier-boot", "begins-4"):
        (people.scratch / name).mkdir()
        (people.scratch / name / "block").touch()
        if name != "begins-4":
            os.utime(people.scratch / name, (1, 1))
    drivers.clean()
    assert {path.name for path in people.scratch.iterdir()} == {"runs-3", "begins-4"}
    assert {path.name for path in Path(drivers.log("x")).parent.iterdir()} == {"old-2.log", "lost-4.log", "runs-3.log"}
    forgotten = [call.split()[-1] for call in people.node.calls_of("systemctl") if " stop " in call]
    assert forgotten == ["spark-driver-old-1.service"]
    monkeypatch.setattr(drivers, "KEPT_BYTES", 1)
    drivers.clean()
    assert [path.name for path in Path(drivers.log("x")).parent.iterdir()] == ["runs-3.log"]


def test_scratch_of_very_many_folders_in_each_other_goes_too(people: Drivers) -> None:
    (people.scratch / "deep-1").mkdir()
    at = os.open(people.scratch / "deep-1", os.O_RDONLY)
    for _ in range(2 * sys.getrecursionlimit()):
        os.mkdir("x", dir_fd=at)
        below = os.open("x", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    drivers.remove_folder("deep-1")
    assert list(people.scratch.iterdir()) == []


@pytest.mark.parametrize("command", drivers.COMMANDS)
def test_spark_s_own_commands_run_in_the_terminal_as_the_drivers_user(people: Drivers, command: str) -> None:
    assert (BIN / command).read_text().splitlines()[-1] == f'exec /opt/spark-cluster/drivers.py {command} "$@"'
    assert drivers.main(command, "--conf", "spark.a=b c") == 0
    unit, program = people.started()
    assert {"--pty", "--pipe", "--wait", "--collect", "--uid=spark-driver"} <= set(unit)
    assert f"--setenv=SPARK_LOCAL_DIRS={people.scratch}/{command}-4f2a91" in unit
    assert program == [f"/opt/spark/bin/{command}", "--conf", "spark.a=b c"]
    assert list(people.scratch.iterdir()) == []


@pytest.mark.parametrize(("command", "is_kept"), [("spark-submit", False), ("pyspark", True)])
def test_a_job_between_pipes_does_not_get_the_callers_terminal(
    people: Drivers, monkeypatch: pytest.MonkeyPatch, command: str, *, is_kept: bool
) -> None:
    near, terminal = pty.openpty()
    people.node.mock("systemd-run", '[[ -t 0 ]] && echo yes >"$ARGUMENTS" || echo no >"$ARGUMENTS"')
    before = os.dup(0)
    os.dup2(terminal, 0)
    try:
        with open(0, closefd=False) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            drivers.main(command)
    finally:
        os.dup2(before, 0)
        for one in (before, near, terminal):
            os.close(one)
    assert people.arguments.read_text() == ("yes\n" if is_kept else "no\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_driver_between_pipes_ends_before_its_scratch_goes(people: Drivers, number: int) -> None:
    people.node.mock("systemd-run", f"sleep 0.5; kill -{int(number)} $PPID; sleep 5")  # once it is waited for
    people.node.mock("systemctl", f'[[ -d {people.scratch}/spark-submit-4f2a91 ]] && echo "$@" >>"$ARGUMENTS"')
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            drivers.main("spark-submit", "job.py")
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert people.arguments.read_text().splitlines()[0] == "stop spark-driver-spark-submit-4f2a91.service"
    assert list(people.scratch.iterdir()) == []


def test_nohup_is_respected(people: Drivers) -> None:
    people.node.mock("systemd-run", "sleep 0.5; kill -HUP $PPID; sleep 0.1; exit 4")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert drivers.main("spark-submit", "job.py") == 4
    finally:
        signal.signal(signal.SIGHUP, before)


def test_they_end_with_the_status_of_the_driver(people: Drivers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARTS", "3")
    assert drivers.main("pyspark") == 3


def test_another_command_is_refused(people: Drivers) -> None:
    with pytest.raises(SystemExit, match=r"^usage: drivers.py pyspark\|spark-shell"):
        drivers.main("sh")


@pytest.mark.parametrize("command", ["spark-job", "pyspark"])
def test_whoever_is_not_root_becomes_it_by_sudo(people: Drivers, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    called = []

    def replace(_: str, arguments: list[str]) -> None:
        called.append(arguments)
        raise SystemExit

    monkeypatch.setattr(os, "execvp", replace)
    with pytest.raises(SystemExit):
        people.job.main(["job.py", "a b"]) if command == "spark-job" else drivers.main(command, "a b")
    (arguments,) = called
    assert arguments[:2] == ["sudo", "--"]
    assert arguments[2].startswith("/")
    assert arguments[3:] == (["job.py", "a b"] if command == "spark-job" else [command, "a b"])


# spark-wait


@pytest.fixture
def spark_wait(monkeypatch: pytest.MonkeyPatch, clock: Clock, settle: Callable[..., None]) -> Any:
    """The program as a module, on a clock that nobody waits for."""
    settle("master")
    return load("spark-wait", monkeypatch)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What Auto Scaling, EC2 and the master say: two workers wanted, in service and registered."""
    both = ["10.0.0.1", "10.0.0.2"]
    said = SimpleNamespace(wanted=2, in_service=both, alive=both, group=True, failed_launch="")

    def group() -> dict[str, Any] | None:
        state = {"LifecycleState": "InService", "HealthStatus": "Healthy", "ProtectedFromScaleIn": False}
        members = [{"InstanceId": f"i-{address}", **state} for address in said.in_service]
        sizes = {"MinSize": 0, "MaxSize": 9, "DesiredCapacity": said.wanted}
        described = {"AutoScalingGroupName": "g", **sizes, "Instances": members}
        return described if said.group else None

    def instances(_: str) -> dict[str, Any]:
        known = {"LaunchTime": None, "InstanceType": "m6i.xlarge"}
        return {f"i-{address}": {"PrivateIpAddress": address, **known} for address in said.in_service}

    def read(host: str) -> dict[str, Any]:
        assert host == "127.0.0.1"
        if said.alive is None:
            raise ConnectionRefusedError(111, "Connection refused")
        return {"workers": [{"host": address, "state": "ALIVE", "cores": 4, "memory": 13000} for address in said.alive]}

    monkeypatch.setattr(worker_group, "group", group)
    monkeypatch.setattr(worker_group, "instances", instances)
    monkeypatch.setattr(worker_group, "failed_launch", lambda _: said.failed_launch)
    monkeypatch.setattr(spark_state, "read", read)
    return said


def test_a_cluster_with_all_its_workers_is_ready(
    spark_wait: Any, cluster: SimpleNamespace, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spark_wait.main() == 0
    assert capsys.readouterr().out == "spark-wait: ready\n"
    assert clock.pauses == []


def test_a_cluster_that_wants_no_workers_is_ready_when_its_master_answers(
    spark_wait: Any, cluster: SimpleNamespace
) -> None:
    cluster.wanted, cluster.in_service, cluster.alive = 0, [], []
    assert spark_wait.main("60") == 0
    cluster.alive = None
    assert spark_wait.main("60") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alive": ["10.0.0.1"]}, "1 of 2 workers are ready"),
        ({"alive": ["10.0.0.1"], "failed_launch": "at noon"}, "1 of 2 workers are ready"),
        ({"wanted": 3, "failed_launch": "at noon"}, "2 of 3 workers are ready; the last launch failed: at noon"),
        ({"wanted": 3}, "2 of 3 workers are ready"),
        ({"in_service": ["10.0.0.1"]}, "1 of 2 workers are ready"),
        ({"alive": ["10.0.0.1", "10.0.0.9"]}, "1 of 2 workers are ready"),
        ({"in_service": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}, "2 of 2 workers are ready"),
        ({"group": False}, "there is no group of workers yet"),
        ({"alive": None}, "ConnectionRefusedError: [Errno 111] Connection refused"),
    ],
)
def test_gives_up_with_what_is_missing(
    spark_wait: Any,
    cluster: SimpleNamespace,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    message: str,
) -> None:
    vars(cluster).update(change)
    assert spark_wait.main("40") == 1
    said = ["waits at most 40 s", message, "gave up after 40 s"]
    assert capsys.readouterr().err.splitlines() == [f"spark-wait: {line}" for line in said]
    assert 36 < sum(clock.pauses) < 48


@pytest.mark.parametrize(
    ("activities", "said"),
    [
        ([], ""),
        (["Successful"], ""),
        (["InProgress"], ""),
        (["Failed"], "2026-11-27 21:58:00 UTC  Max spot instance count exceeded."),
    ],
)
def test_a_launch_failed_if_the_groups_last_activity_did(
    monkeypatch: pytest.MonkeyPatch, activities: list[str], said: str
) -> None:
    def describe_scaling_activities(*, AutoScalingGroupName: str, MaxRecords: int) -> dict[str, Any]:  # noqa: N803
        assert (AutoScalingGroupName, MaxRecords) == ("g", 1)
        at, message = dt.datetime(2026, 11, 27, 21, 58, tzinfo=dt.UTC), "Max spot instance count exceeded."
        return {"Activities": [{"StatusCode": code, "StartTime": at, "StatusMessage": message} for code in activities]}

    client = SimpleNamespace(describe_scaling_activities=describe_scaling_activities)
    monkeypatch.setattr(aws, "client", lambda _: client)
    assert worker_group.failed_launch("g") == said


def test_what_is_missing_is_said_when_it_changes(
    spark_wait: Any,
    cluster: SimpleNamespace,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages = iter([None, None, [], ["10.0.0.1"], ["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]])
    cluster.alive = None

    def sleep(_: float) -> None:
        cluster.alive = next(stages)

    monkeypatch.setattr(clock, "sleep", sleep)
    assert spark_wait.main() == 0
    said = capsys.readouterr()
    assert [line.split(": ")[1] for line in said.err.splitlines()] == [
        "waits at most 1800 s",
        "ConnectionRefusedError",
        "0 of 2 workers are ready",
        "1 of 2 workers are ready",
    ]
    assert said.out == "spark-wait: ready\n"


def test_something_is_said_each_minute_whatever_does_not_answer(
    spark_wait: Any, cluster: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spark_wait.SILENT_SECONDS < 60
    monkeypatch.setattr(spark_wait, "SILENT_SECONDS", 0.05)
    hangs = iter([0.5, 0.5, 0.0])
    answers = iter(["1 of 2 workers are ready", "1 of 2 workers are ready", ""])

    def look() -> str:
        threading.Event().wait(next(hangs))
        return next(answers)

    monkeypatch.setattr(spark_wait, "look", look)
    assert spark_wait.main() == 0
    said = [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]
    assert said.count("no answer yet") >= 3
    assert said.count("1 of 2 workers are ready") >= 3


@pytest.fixture
def slow_rm(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders of drivers that have ended, and a `rm` first on PATH that takes for ever; the folders' parent."""
    scratch = root / "var/lib/spark-driver"
    for name in ("etl-1", "etl-2", "etl-3"):
        (scratch / name).mkdir(parents=True)
        os.utime(scratch / name, (0, 0))
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/rm").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "slow/rm").chmod(0o755)
    monkeypatch.setattr(drivers, "known", list)
    monkeypatch.setenv("PATH", f"{tmp_path / 'slow'}:{os.environ['PATH']}")
    return scratch


def test_a_folder_that_takes_long_to_remove_is_left_to_the_next_time(
    slow_rm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "REMOVING_SECONDS", 0.1)
    said = []
    for _ in range(2):
        with pytest.raises(TimeoutError, match=f"{slow_rm}/etl-[123] is not removed after 0.1 s") as trouble:
            drivers.clean()
        said.append(str(trouble.value))
    assert said[0] == said[1], "or the journal would have it at each tick"
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[2])
    monkeypatch.setattr(drivers, "REMOVING_SECONDS", 60)
    drivers.clean()
    assert list(slow_rm.iterdir()) == []


def test_all_folders_together_have_the_time_of_one(slow_rm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many may take nearly as long as is given, and end within it."""
    now, given = [0.0], []

    def remove(name: str, seconds: float) -> None:
        given.append(seconds)
        if seconds <= 2:
            raise subprocess.TimeoutExpired("rm", seconds)
        now[0] += 2

    monkeypatch.setattr(drivers, "time", SimpleNamespace(time=time.time, monotonic=lambda: now[0]))
    monkeypatch.setattr(drivers, "REMOVING_SECONDS", 5)
    monkeypatch.setattr(drivers, "remove_folder", remove)
    with pytest.raises(TimeoutError):
        drivers.clean()
    assert given == [5, 3, 1]
