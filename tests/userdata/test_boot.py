"""`start` and `boot`, whole, each step with what can go wrong in it."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import ARCHIVE, AWS, CDN, CONF, LIB, ORIGIN, SPARK, SPARK_FILE, USERDATA, Node, sha512, tar

if TYPE_CHECKING:
    from subprocess import CompletedProcess

STEPS = [
    "read_settings",
    "use_proxy",
    "install_packages",
    "fetch_programs",
    "watch_for_notices",
    "check_settings",
    "make_users",
    "ask_for_secrets",
    "install_spark",
    "fetch_secrets",
    "configure",
    "run_setup_script",
    "start_spark",
    "wait_until_ready",
    "complete",
]
PLAIN = f"artifacts/spark/{SPARK_FILE}"
"""In the bucket: of a release whose checksum is looked up, or put there by hand."""
IN_BUCKET = f"artifacts/spark/{sha512(SPARK)[:16]}/{SPARK_FILE}"
"""Of a pinned checksum, under which nothing else can be."""
OTHER = tar({"spark-4.3.0/bin/spark-class": b"#!/bin/bash\n# another one\n"}, "w:gz")


def steps(log: str) -> list[str]:
    """The steps that a log names, in its order."""
    return [line.split("spark-cluster: ")[1] for line in log.splitlines() if line.endswith(tuple(STEPS))]


def assert_succeeded(node: Node, done: CompletedProcess[str]) -> None:
    assert done.returncode == 0, node.log
    assert "boot succeeded" in node.last_line


def assert_failed(node: Node, done: CompletedProcess[str], step: str, cause: str) -> None:
    """What every failure must come to, whatever step it was in."""
    assert done.returncode != 0
    assert f"boot failed: {step}: " in node.last_line, node.log
    assert cause in node.last_line
    assert done.stdout.splitlines()[-1] == node.last_line, "the console shows what the log has"
    disable = f"systemctl disable --now spark-{node.settings['role']}.service"
    assert node.calls_of("systemctl")[-2:] == [disable, "systemctl stop spark-daemon-logs.service"]
    assert node.stored_log.splitlines()[-1].endswith(node.last_line.partition("Z ")[2])
    completions = [call for call in node.calls if "complete-hook" in call]
    assert completions == (["aws.py complete-hook ABANDON"] if node.settings["role"] == "worker" else [])
    assert not any("spark-tick.service" in call for call in node.calls)


def assert_started_nothing(node: Node) -> None:
    calls = [call for call in node.calls_of("systemctl") if not call.endswith(" spark-notice.service")]
    assert not any(" restart spark-" in call or " enable " in call for call in calls)


# What is to happen


def test_a_master_boots_step_by_step(master: Node) -> None:
    done = master.boot()
    assert_succeeded(master, done)
    assert steps(master.log) == STEPS
    assert (master.root / "opt/spark").readlink() == master.root / "opt/spark-4.3.0"
    assert (master.root / "opt/spark/bin/spark-class").exists()
    assert master.calls_of("sysctl") == ["sysctl --quiet --load=/etc/sysctl.d/50-spark-cluster.conf"]
    calls = [call for call in master.calls if "systemctl" in call or ".py" in call]
    assert len([call for call in calls if call.startswith("node_secrets.py ")]) == 1
    cached = f"/var/cache/spark-cluster/{SPARK_FILE}"
    assert [call for call in calls if not call.startswith(("node_secrets.py ", "copies.py "))] == [
        "aws.py fetch s3://demo-bucket/artifacts/node/programs.tar /var/cache/spark-cluster/programs.tar",
        f"aws.py fetch s3://demo-bucket/{IN_BUCKET} - /var/cache/spark-cluster/{SPARK_FILE}.etag",
        f"aws.py fetch s3://demo-bucket/{PLAIN} {cached} {cached}.etag",
        f"store_once.py /var/cache/spark-cluster/{SPARK_FILE} s3://demo-bucket/{IN_BUCKET}",
        f"store_once.py /var/cache/spark-cluster/{SPARK_FILE}.sha512 s3://demo-bucket/{IN_BUCKET}.sha512",
        "spark_conf.py",
        "systemctl show --property=NeedDaemonReload --value spark-* spark-master.service",
        "systemctl enable --quiet --no-reload spark-master.service",
        "systemctl restart spark-master.service",
        "systemctl restart systemd-journald.service",
        "spark_state.py master 10.0.0.7",
        "systemctl enable --quiet --now spark-tick.service spark-event-logs.service spark-front.service",
        "systemctl enable --quiet --now spark-history.service",
        "systemctl disable --quiet --no-reload spark-boot.service",
    ]


def test_a_worker_boots_and_tells_auto_scaling_last(worker: Node) -> None:
    assert_succeeded(worker, worker.boot())
    assert steps(worker.log) == STEPS
    assert worker.calls_of("spark_state.py") == ["spark_state.py worker 10.0.0.7"]
    assert worker.calls_of("aws.py")[-1] == "aws.py complete-hook CONTINUE"
    assert not any(call.startswith("store_once.py ") for call in worker.calls), "a worker may not write artifacts/"
    assert not any("spark-tick" in call for call in worker.calls)


def test_the_secret_and_the_fleet_key_get_the_seconds_that_are_left(worker: Node) -> None:
    worker.settings["boot_timeout_seconds"] = 1000
    worker.boot(seconds_gone=100)
    (call,) = [call for call in worker.calls if call.startswith("node_secrets.py ")]
    assert 700 < int(call.split()[-1]) <= 780


def test_what_is_in_a_user_s_home_is_made_with_the_rights_of_that_user(worker: Node) -> None:
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("runuser") == ["runuser -u spark -- install -d -m 700 /home/spark/.ssh"]
    assert (worker.root / "home/spark/.ssh").stat().st_mode & 0o777 == 0o700
    assert [call for call in worker.calls_of("install") if "-o spark" in call and "/home/spark/" in call] == []


@pytest.mark.parametrize("jump", [100_000, -100_000])
def test_a_clock_that_jumps_shortens_no_boot(worker: Node, jump: int) -> None:
    """Bash reads it for its SECONDS: here these jump with each command that a boot's time limits."""
    jumps = worker.write("jumps", f'timeout() {{ SECONDS=$((SECONDS + {jump})); command timeout "$@"; }}\n')
    worker.without("python3.11")
    worker.mock_failing_first("dnf", times=2)
    assert_succeeded(worker, worker.boot(BASH_ENV=str(jumps)))
    assert 0 <= int(worker.last_line.rpartition("after ")[2].split()[0]) < 300


def test_the_spark_user_is_made_once_and_not_locked(master: Node) -> None:
    master.boot()
    (made,) = master.calls_of("useradd")
    assert "--system" in made
    assert master.calls_of("usermod") == ["usermod --password * spark"]
    assert (master.root / "var/lib/spark").stat().st_mode & 0o777 == 0o700
    assert (master.root / "home/spark/.ssh").stat().st_mode & 0o777 == 0o700


def test_a_master_has_a_user_that_reads_what_drivers_log_and_no_more(master: Node) -> None:
    master.mock("id", "exit 1")
    assert_succeeded(master, master.boot())
    made = [call for call in master.calls_of("useradd") if call.endswith(" spark-history")]
    assert made == [
        "useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin spark-history"
    ]
    folder = "install -d -o spark-driver -g spark-history -m 750 /var/lib/spark-events"
    assert folder in master.calls_of("install")
    assert (master.root / "var/lib/spark-events").stat().st_mode & 0o7777 == 0o750


def test_a_master_whose_spark_has_a_flaw_gets_no_history_server(master: Node) -> None:
    master.settings["history_server"] = ""
    assert_succeeded(master, master.boot())
    assert any("spark-front.service" in call for call in master.calls_of("systemctl"))
    assert not any("spark-history.service" in call for call in master.calls_of("systemctl"))


def test_a_master_starts_a_connect_server_only_if_it_has_a_token_for_it(master: Node) -> None:
    assert_succeeded(master, master.boot())
    assert not any("spark-connect.service" in call for call in master.calls_of("systemctl"))
    master.settings["connect_parameter"] = "/spark-cluster/demo/connect-token"
    assert_succeeded(master, master.boot())
    assert "systemctl enable --quiet --now spark-connect.service" in master.calls_of("systemctl")


def test_a_worker_has_no_such_user(worker: Node) -> None:
    worker.mock("id", "exit 1")
    assert_succeeded(worker, worker.boot())
    assert not [call for call in worker.calls if "spark-history" in call or "spark-events" in call]


def test_a_spark_user_of_the_ami_is_kept(master: Node) -> None:
    master.mock("id")
    assert_succeeded(master, master.boot())
    assert master.calls_of("useradd") == []


def test_downloads_are_gone_at_the_end(master: Node) -> None:
    master.boot()
    assert not (master.root / "var/cache/spark-cluster").exists()


def test_booting_twice_is_harmless(master: Node) -> None:
    master.boot()
    before = master.calls_file.read_text()
    assert_succeeded(master, master.boot())
    assert master.calls_file.read_text()[len(before) :].count("curl ") == 0
    assert len([line for line in master.log.splitlines() if "boot succeeded" in line]) == 2


def test_nothing_is_left_running_that_setup_script_started(worker: Node) -> None:
    """A process that keeps the boot's output open must not keep the boot from ending."""
    sleeper = worker.root / "sleeper"
    worker.set_up(f'#!/bin/bash\n/bin/sleep 50 &\necho $! >"{sleeper}"\necho "agent installed"')
    began = time.monotonic()
    try:
        assert_succeeded(worker, worker.boot())
        assert time.monotonic() - began < 25
        assert "agent installed" in worker.log
    finally:
        os.kill(int(sleeper.read_text()), signal.SIGKILL)


def test_the_log_has_times_in_utc_wherever_the_host_is(worker: Node) -> None:
    worker.boot(TZ="XXX-11")
    logged = datetime.strptime(worker.last_line.split(" ")[0], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert abs(logged - datetime.now(UTC)) < timedelta(minutes=5)


# Settings and proxies


@pytest.mark.parametrize(
    ("change", "cause"),
    [({"colour": "blue"}, "colour is unknown to this node's programs"), ({"group": 7}, "group must be")],
)
def test_what_a_node_was_given_is_checked_first(worker: Node, change: dict[str, object], cause: str) -> None:
    worker.settings |= change
    assert worker.boot().returncode != 0
    assert f"boot failed: check_settings: {worker.root}/etc/spark-cluster/settings.json: {cause}" in worker.last_line


def test_fails_without_settings(worker: Node) -> None:
    done = worker.run(worker.root / LIB / "start")
    assert done.returncode != 0
    assert "boot failed: read_settings: cannot read" in worker.last_line
    assert worker.calls_of("dnf") == []


def test_a_setup_script_reaches_the_node_as_it_is(worker: Node) -> None:
    script = "#!/bin/bash\necho 'quoted \"twice\"' $((1 + 1)) \\\\ ${UNSET:-%F}\n\n# éß"
    worker.set_up(script)
    assert_succeeded(worker, worker.boot())
    assert 'quoted "twice" 2 \\ %F' in worker.log
    assert worker.read("/etc/spark-cluster/setup-script") == script


def test_no_proxy_changes_nothing(worker: Node) -> None:
    worker.mock("dnf", 'echo "proxy: ${https_proxy:-none}"')
    worker.without("python3.11")
    worker.boot()
    assert "proxy: none" in worker.log
    assert not (worker.root / "etc/spark-cluster/proxy.env").exists()


@pytest.mark.parametrize("callers", [[], ["internal.example", "10.0.0.0/8"]])
def test_a_proxy_is_used_but_never_for_the_metadata_service_and_the_cluster(worker: Node, callers: list[str]) -> None:
    worker.settings.update(http_proxy="http://proxy.example:3128", no_proxy=callers)
    worker.without("python3.11")
    worker.mock("dnf", 'echo "proxy: $http_proxy $https_proxy, not: $no_proxy"')
    assert_succeeded(worker, worker.boot())
    direct = ",".join(["169.254.169.254", "localhost", "127.0.0.1", "master.demo-spark", ".demo-spark", *callers])
    assert f"proxy: http://proxy.example:3128 http://proxy.example:3128, not: {direct}" in worker.log
    assert worker.read("/etc/spark-cluster/proxy.env").splitlines() == [
        "http_proxy=http://proxy.example:3128",
        "https_proxy=http://proxy.example:3128",
        f"no_proxy={direct}",
    ]


# Packages


def test_what_the_ami_has_is_not_installed(worker: Node) -> None:
    worker.boot()
    assert worker.calls_of("dnf") == []


def test_dnf_installs_what_is_missing(worker: Node) -> None:
    worker.without("java", "python3.11")
    worker.mock(f"{worker.root}/usr/bin/python3", "exit 1")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("dnf") == ["dnf install -y -q java-17-amazon-corretto-headless python3-boto3 python3.11"]


@pytest.mark.parametrize("manager", ["dnf", "apt-get"])
def test_a_master_gets_nginx_whose_own_unit_never_runs(master: Node, manager: str) -> None:
    """Debian's package starts it, with its site on port 80."""
    master.without("dnf")
    master.mock(manager)
    (master.root / "usr/sbin/nginx").unlink()
    assert_succeeded(master, master.boot())
    [install] = [call for call in master.calls_of(manager) if " install " in call]
    assert install.endswith(" nginx")
    assert master.calls.index("systemctl mask --quiet nginx.service") < master.calls.index(install)


def test_an_nginx_of_the_ami_is_left_as_it_is(master: Node) -> None:
    assert_succeeded(master, master.boot())
    assert not any("nginx" in call for call in master.calls)


def test_a_worker_needs_no_nginx(worker: Node) -> None:
    (worker.root / "usr/sbin/nginx").unlink()
    assert_succeeded(worker, worker.boot())
    assert not any("nginx" in call for call in worker.calls)


def test_apt_installs_what_is_missing_and_asks_nothing(worker: Node) -> None:
    worker.without("java", "python3.11", "dnf")
    worker.mock("apt-get", 'echo "frontend ${DEBIAN_FRONTEND:-}"')
    assert_succeeded(worker, worker.boot())
    update, install = worker.calls_of("apt-get")
    assert update.endswith(" update")
    assert install.endswith("install --no-install-recommends openjdk-17-jre-headless python3.11")
    assert "DPkg::Lock::Timeout" in install
    assert "frontend noninteractive" in worker.log


def test_curl_is_installed_where_the_ami_has_none(worker: Node) -> None:
    (worker.bin / "curl").rename(worker.bin / "curl.later")
    worker.mock("dnf", f"mv {worker.bin}/curl.later {worker.bin}/curl")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("dnf") == ["dnf install -y -q curl"]


@pytest.mark.parametrize("version", ["17", "21.0.2", "25-ea"])
def test_a_newer_java_is_kept(worker: Node, version: str) -> None:
    worker.mock("java", f"echo 'openjdk version \"{version}\" 2026-01-20' >&2")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("dnf") == []


@pytest.mark.parametrize("answer", ['openjdk version "11.0.2"', 'java version "1.8.0_392"', "Error: no JVM"])
def test_an_older_or_broken_java_is_not_enough(worker: Node, answer: str) -> None:
    worker.mock("java", f"echo '{answer}' >&2")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("dnf") == ["dnf install -y -q java-17-amazon-corretto-headless"]


def test_a_busy_package_manager_is_waited_for_with_growing_pauses(worker: Node) -> None:
    worker.without("java")
    worker.mock_failing_first("dnf", 3)
    assert_succeeded(worker, worker.boot())
    assert len(worker.calls_of("dnf")) == 4
    assert [int(float(pause)) for pause in worker.pauses] == [1, 2, 4, 1]


def test_apt_fetches_its_lists_again_each_time(worker: Node) -> None:
    worker.without("java", "dnf")
    worker.mock_failing_first("apt-get", 2, status=100)
    assert_succeeded(worker, worker.boot())
    assert [call.split()[-1] for call in worker.calls_of("apt-get")] == ["update"] * 3 + ["openjdk-17-jre-headless"]


def test_fails_when_no_package_can_be_had(worker: Node) -> None:
    worker.without("java")
    worker.mock("dnf", "exit 1")
    worker.settings["boot_timeout_seconds"] = 120
    done = worker.boot(seconds_gone=80)
    assert_failed(worker, done, "install_packages", "dnf cannot install java-17-amazon-corretto-headless")
    assert_started_nothing(worker)


def test_fails_when_the_ami_has_neither_dnf_nor_apt(worker: Node) -> None:
    worker.without("dnf")
    assert_failed(worker, worker.boot(), "install_packages", "this AMI has neither dnf nor apt-get")
    assert_started_nothing(worker)


def test_a_package_manager_that_hangs_ends_with_the_boots_time(worker: Node) -> None:
    worker.without("java")
    worker.mock("dnf", "exec /bin/sleep 50")
    began = time.monotonic()
    done = worker.boot(seconds_gone=1597)
    assert_failed(worker, done, "install_packages", "dnf cannot install")
    assert time.monotonic() - began < 20


# The node's programs


def test_fails_when_the_programs_are_not_those_of_the_user_data(worker: Node) -> None:
    worker.settings["programs_sha256"] = "0" * 64
    done = worker.boot()
    assert_failed(worker, done, "fetch_programs", "the checksum of the node's programs is not the one in user data")
    assert not (worker.root / LIB / "boot").exists()


def test_programs_that_are_not_there_yet_are_waited_for(worker: Node) -> None:
    """A bucket is eventually consistent, and S3 says the same 404 of it as of an object."""
    late = worker.bucket / "artifacts/node/programs.tar"
    late.rename(f"{late}.late")
    worker.mock("sleep", f'[[ ! -e "{late}.late" ]] || mv "{late}.late" "{late}"')
    assert_succeeded(worker, worker.boot())


def test_fails_when_the_programs_never_come(worker: Node) -> None:
    (worker.bucket / "artifacts/node/programs.tar").unlink()
    done = worker.boot(seconds_gone=1592)
    assert_failed(worker, done, "fetch_programs", "cannot fetch the node's programs from the bucket")
    assert_started_nothing(worker)


def test_programs_are_executable_and_files_are_not(worker: Node) -> None:
    worker.boot()
    assert os.access(worker.root / LIB / "local-dirs", os.X_OK)
    assert (worker.root / "etc/systemd/system/spark-worker.service").exists()


# Setup script


def test_setup_script_finds_spark_configured_and_not_running(worker: Node) -> None:
    spark = worker.root / "opt/spark/bin/spark-class"
    worker.set_up(f'#!/bin/bash\necho "setting up $0"\n[[ -x "{spark}" ]]')
    assert_succeeded(worker, worker.boot())
    assert "setting up" in worker.log
    assert (worker.root / "etc/spark-cluster/setup-script").stat().st_mode & 0o777 == 0o700


def test_fails_when_setup_script_fails_and_shows_what_it_said(worker: Node) -> None:
    worker.set_up("#!/bin/bash\necho 'no such mirror' >&2\nexit 7")
    done = worker.boot()
    assert_failed(worker, done, "run_setup_script", "setup_script ended with status 7")
    assert "no such mirror" in worker.log
    assert_started_nothing(worker)


def test_fails_when_the_setup_script_is_not_that_of_the_user_data(worker: Node) -> None:
    worker.set_up("#!/bin/bash\n")
    worker.put_object("artifacts/node/setup-script", b"#!/bin/bash\necho mine\n")
    done = worker.boot()
    assert_failed(worker, done, "run_setup_script", "the checksum of setup_script is not the one in user data")
    assert "mine" not in worker.log


def test_a_setup_script_that_hangs_ends_with_the_boots_time(worker: Node) -> None:
    worker.set_up("#!/bin/bash\necho waiting for ever\nexec /bin/sleep 50")
    done = worker.boot(seconds_gone=1596)
    assert_failed(worker, done, "run_setup_script", "setup_script ended with status 124")
    assert "waiting for ever" in worker.log


# Where Spark comes from


def test_a_spark_of_the_ami_is_not_fetched(master: Node) -> None:
    master.write("/opt/spark-4.3.0/bin/spark-class", "#!/bin/bash\n", mode=0o755)
    assert_succeeded(master, master.boot())
    assert master.calls_of("curl") == []
    assert not any(IN_BUCKET in call for call in master.calls), "nor has it a tarball to share"


def test_another_spark_of_the_ami_does_not_count(master: Node) -> None:
    master.write("/opt/spark-3.5.9/bin/spark-class", "#!/bin/bash\n", mode=0o755)
    (master.root / "opt/spark").symlink_to(master.root / "opt/spark-3.5.9")
    assert_succeeded(master, master.boot())
    assert (master.root / "opt/spark").readlink().name == "spark-4.3.0"


def test_the_cluster_s_bucket_comes_before_the_internet(worker: Node) -> None:
    worker.put_object(IN_BUCKET, SPARK)
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("curl") == []


def test_the_cdn_comes_before_the_archive(worker: Node) -> None:
    worker.boot()
    (call,) = worker.calls_of("curl")
    assert call.endswith(f"https://{CDN}")
    assert "--proto =https" in call


def test_a_release_that_left_the_cdn_comes_from_the_archive(worker: Node) -> None:
    (worker.web / CDN).unlink()
    assert_succeeded(worker, worker.boot())
    assert [call.split()[-1] for call in worker.calls_of("curl")] == [f"https://{CDN}", f"https://{ARCHIVE}"]
    assert len(worker.pauses) == 1, "a 404 is not tried again before the next source is"


@pytest.mark.parametrize("answer", ["22 503", "22 429", "56 200", "18 200", "28 200"])
def test_a_transfer_that_stops_is_taken_up_again_at_the_same_source(worker: Node, answer: str) -> None:
    worker.answer_first(CDN, answer, answer)
    assert_succeeded(worker, worker.boot())
    assert [call.split()[-1] for call in worker.calls_of("curl")] == [f"https://{CDN}"] * 3
    assert all("--continue-at -" in call for call in worker.calls_of("curl"))


@pytest.mark.parametrize("answer", ["6 000", "7 000", "28 000", "35 000"])
def test_a_host_that_cannot_be_reached_is_left_for_the_next_source_at_once(worker: Node, answer: str) -> None:
    worker.answer_first(CDN, answer)
    assert_succeeded(worker, worker.boot())
    assert [call.split()[-1] for call in worker.calls_of("curl")] == [f"https://{CDN}", f"https://{ARCHIVE}"]


def test_a_server_that_cannot_resume_gives_all_of_it_again(worker: Node) -> None:
    worker.write(f"/var/cache/spark-cluster/{SPARK_FILE}", b"half of it")
    worker.answer_first(CDN, "33 200")
    assert_succeeded(worker, worker.boot())


def test_a_whole_file_of_an_earlier_boot_is_used_where_its_checksum_is_right(worker: Node) -> None:
    worker.write(f"/var/cache/spark-cluster/{SPARK_FILE}", SPARK)
    worker.answer_first(CDN, "22 416")
    assert_succeeded(worker, worker.boot())


def test_a_worker_without_internet_waits_for_the_master_s_copy(worker: Node) -> None:
    for url in (CDN, ARCHIVE):
        worker.answer_first(url, *["7 000"] * 20)
    copy = worker.bucket / IN_BUCKET
    copy.parent.mkdir(parents=True)
    (worker.root / "late").write_bytes(SPARK)
    worker.mock("sleep", f'(($(grep -c ^sleep "$CALLS") < 3)) || cp "{worker.root}/late" "{copy}"')
    assert_succeeded(worker, worker.boot())
    pauses = [int(float(pause)) for pause in worker.pauses]
    assert pauses == [2, 4, 8, 1], "rounds come with growing pauses, and else only the service is waited for"


def test_fails_when_all_mirrors_are_down(worker: Node) -> None:
    for url in (CDN, ARCHIVE):
        worker.answer_first(url, *["22 503"] * 40)
    done = worker.boot(seconds_gone=1592)
    assert_failed(worker, done, "install_spark", f"no source had {SPARK_FILE}")
    assert "HTTP 503" in worker.last_line
    assert_started_nothing(worker)


def test_a_transfer_that_hangs_ends_with_the_boots_time_and_is_not_waited_for_after_it(worker: Node) -> None:
    worker.mock("curl", "exec /bin/sleep 50")
    done = worker.boot(seconds_gone=1597)
    assert_failed(worker, done, "install_spark", f"no source had {SPARK_FILE}")
    assert worker.pauses == []


def test_fails_when_no_source_has_it(worker: Node) -> None:
    for url in (CDN, ARCHIVE):
        (worker.web / url).unlink()
    done = worker.boot(seconds_gone=1592)
    assert_failed(worker, done, "install_spark", f"https://{ARCHIVE} gave HTTP 404 (curl 22)")


def test_fails_at_once_when_the_disk_is_full(worker: Node) -> None:
    worker.answer_first(CDN, "23 200")
    worker.mock("df", "printf 'Avail\\n   0\\n'")
    partial = worker.write(f"/var/cache/spark-cluster/{SPARK_FILE}", b"half of it")
    done = worker.boot()
    assert_failed(worker, done, "install_spark", f"/var/cache/spark-cluster/{SPARK_FILE}: 0 free")
    assert not partial.exists(), "the log needs the room"
    assert worker.pauses == []


@pytest.mark.parametrize("place", ["web", "bucket"])
def test_fails_with_tar_s_own_reason_when_the_disk_fills_while_unpacking(worker: Node, place: str) -> None:
    if place == "bucket":
        worker.put_object(IN_BUCKET, SPARK)
    worker.mock(
        "tar",
        '[[ $* == *--strip-components* ]] || exec /bin/tar "$@"\n'
        'head -c 1 >/dev/null || true\n[[ $(wc -c) != 0 ]] || { echo "tar: Unexpected EOF" >&2; exit 2; }\n'
        "echo 'tar: jars/x.jar: Cannot write: No space left on device' >&2\n"
        "echo 'tar: Exiting with failure status due to previous errors' >&2\nexit 2",
    )
    done = worker.boot()
    assert_failed(
        worker, done, "install_spark", "cannot unpack: tar: jars/x.jar: Cannot write: No space left on device"
    )
    assert not (worker.root / "opt/spark").exists()
    assert worker.releases == [], "the log needs the room"


def test_what_tar_has_not_read_to_its_end_is_never_taken(worker: Node) -> None:
    """Nobody knows its digest."""
    worker.put_object(IN_BUCKET, tar({"spark-4.3.0/jars/x.jar": os.urandom(4_000_000)}, "w:gz"))
    worker.mock(
        "tar",
        '[[ $* == *--strip-components* ]] || exec /bin/tar "$@"\n'
        'mkdir -p "${@: -1}/bin"\ntouch "${@: -1}/bin/spark-class"\nchmod 755 "${@: -1}/bin/spark-class"',
    )
    assert_failed(worker, worker.boot(), "install_spark", "cannot unpack")
    assert worker.releases == []


def test_what_an_interrupted_unpacking_left_does_not_count_as_spark(worker: Node) -> None:
    worker.write("/opt/spark-4.3.0.unpacking/bin/spark-class", "", mode=0o755)
    assert_succeeded(worker, worker.boot())
    assert worker.releases == ["spark", "spark-4.3.0"]


def test_what_a_power_cut_may_have_emptied_does_not_count_as_spark(worker: Node) -> None:
    """It was unpacked and had its name, but that boot never came to its end."""
    worker.write("/var/lib/spark-cluster/unpacking/spark-4.3.0")
    worker.write("/opt/spark-4.3.0/bin/spark-class", "", mode=0o755)
    worker.write("/opt/spark-4.3.0/jars/emptied.jar")
    assert_succeeded(worker, worker.boot())
    assert (worker.root / "opt/spark/bin/spark-class").read_text() == "#!/bin/bash\n"
    assert not (worker.root / "opt/spark/jars").exists()
    assert not (worker.root / "var/lib/spark-cluster/unpacking").exists()


def test_no_service_runs_from_what_is_unpacked_anew(worker: Node) -> None:
    """A boot that was cut off while it waited for its service has enabled that."""
    worker.write("/var/lib/spark-cluster/unpacking/spark-4.3.0")
    assert_succeeded(worker, worker.boot())
    of_spark = ("spark-worker.service", "artifacts/spark")
    calls = [call for call in worker.calls if any(one in call for one in of_spark)]
    assert calls[0] == "systemctl disable --quiet --now spark-worker.service"


def test_what_came_with_the_ami_is_kept_whatever_else_was_cut_off(worker: Node) -> None:
    worker.write("/var/lib/spark-cluster/unpacking/another")
    worker.write("/opt/spark-4.3.0/bin/spark-class", "#!/bin/bash\n", mode=0o755)
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("curl") == []


def test_fails_with_the_system_s_own_words_where_nothing_can_be_written(worker: Node) -> None:
    worker.write("/var/lib/spark-cluster/unpacking", "no folder")
    assert_failed(worker, worker.boot(), "install_spark", "File exists")


def test_until_the_boot_has_ended_what_is_unpacked_counts_as_unsure(worker: Node) -> None:
    worker.set_up("#!/bin/bash\nexit 3\n")
    worker.boot()
    assert (worker.root / "opt/spark/bin/spark-class").exists()
    assert (worker.root / "var/lib/spark-cluster/unpacking").exists()


def test_fails_when_the_archive_is_no_spark(worker: Node) -> None:
    other = tar({"something/README": b""}, "w:gz")
    worker.settings["spark_checksum"] = sha512(other)
    worker.serve(CDN, other)
    assert_failed(worker, worker.boot(), "install_spark", f"{SPARK_FILE} has no bin/spark-class")


def test_a_caller_s_archive_in_s3_is_fetched_from_there(worker: Node) -> None:
    worker.settings["spark_urls"] = ["s3://their-bucket/dist/spark.tgz"]
    worker.put_object("dist/spark.tgz", SPARK)
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("curl") == []


# Checksums


def test_fails_with_both_digests_when_every_source_gives_other_bytes(worker: Node) -> None:
    for url in (CDN, ARCHIVE):
        worker.serve(url, OTHER)
    done = worker.boot()
    assert_failed(worker, done, "install_spark", f"checksum of {SPARK_FILE} is wrong")
    assert sha512(OTHER) in worker.last_line
    assert sha512(SPARK) in worker.last_line
    assert_started_nothing(worker)
    assert worker.releases == []


def test_fails_with_both_digests_when_the_only_source_gives_other_bytes_twice(worker: Node) -> None:
    worker.settings["spark_urls"] = ["https://mirror.example/spark.tgz", "https://gone.example/spark.tgz"]
    worker.serve("mirror.example/spark.tgz", OTHER)
    done = worker.boot()
    assert_failed(worker, done, "install_spark", "is wrong")
    assert sha512(OTHER) in worker.last_line
    assert sha512(SPARK) in worker.last_line


def no_internet(node: Node) -> None:
    for url in (CDN, ARCHIVE, f"{ORIGIN}.sha512", f"{ARCHIVE}.sha512"):
        node.answer_first(url, *["7 000"] * 40)


def copies_asked_for(node: Node, key: str = IN_BUCKET) -> int:
    return len([call for call in node.calls if call.startswith(f"aws.py fetch s3://demo-bucket/{key} ")])


def test_fails_at_once_where_the_copy_is_another_file_and_nobody_else_can_be_reached(worker: Node) -> None:
    worker.put_object(IN_BUCKET, OTHER)
    no_internet(worker)
    done = worker.boot()
    assert_failed(worker, done, "install_spark", f"s3://demo-bucket/{IN_BUCKET} gave {sha512(OTHER)}")
    assert copies_asked_for(worker) == 1, "it would give the same"
    assert len(worker.pauses) == 1
    assert worker.releases == []


@pytest.mark.parametrize(("checksum", "key"), [(sha512(SPARK), IN_BUCKET), ("", PLAIN)], ids=["pinned", "published"])
def test_a_copy_of_another_file_is_taken_once_somebody_has_replaced_it(worker: Node, checksum: str, key: str) -> None:
    worker.put_object(key, OTHER)
    worker.put_object(f"{key}.sha512", sha512(SPARK).encode())
    worker.settings["spark_checksum"] = checksum
    worker.put_object("has-etags", b"")
    worker.put_object("new", SPARK)
    no_internet(worker)
    worker.mock("sleep", f'cp "{worker.bucket}/new" "{worker.bucket}/{key}"')
    assert_succeeded(worker, worker.boot())
    assert copies_asked_for(worker, key) == 2


def test_a_copy_of_another_file_is_not_fetched_again_while_no_checksum_is_to_be_had(worker: Node) -> None:
    worker.settings["spark_checksum"] = ""
    worker.put_object(PLAIN, OTHER)
    worker.put_object(f"{PLAIN}.sha512", sha512(SPARK).encode())
    no_internet(worker)
    worker.mock("sleep", f'rm -f "{worker.bucket}/{PLAIN}.sha512"')
    done = worker.boot()
    assert_failed(worker, done, "install_spark", f"s3://demo-bucket/{PLAIN} gave {sha512(OTHER)}")
    assert copies_asked_for(worker, PLAIN) == 1


def test_a_copy_that_came_before_its_checksum_is_taken_with_it(worker: Node) -> None:
    worker.settings["spark_checksum"] = ""
    worker.put_object(PLAIN, SPARK)
    worker.put_object(f"{PLAIN}.sha512", sha512(OTHER).encode())
    worker.put_object("new", sha512(SPARK).encode())
    no_internet(worker)
    worker.mock("sleep", f'cp "{worker.bucket}/new" "{worker.bucket}/{PLAIN}.sha512"')
    assert_succeeded(worker, worker.boot())


def test_one_source_with_other_bytes_is_passed_over(worker: Node) -> None:
    worker.serve(CDN, OTHER)
    assert_succeeded(worker, worker.boot())
    assert sha512(OTHER) in worker.log


def test_a_copy_in_the_bucket_of_another_archive_is_passed_over(worker: Node) -> None:
    """After spark_archive changed and before the new master shared its own."""
    worker.put_object(IN_BUCKET, OTHER)
    assert_succeeded(worker, worker.boot())
    assert (worker.root / "opt/spark/bin/spark-class").read_text() == "#!/bin/bash\n"


def test_a_pinned_sha256_is_enough(worker: Node) -> None:
    worker.settings["spark_checksum"] = hashlib.sha256(SPARK).hexdigest()
    assert_succeeded(worker, worker.boot())
    assert not any("sha512" in call for call in worker.calls_of("curl"))


def test_a_pinned_checksum_may_be_in_upper_case(worker: Node) -> None:
    """If Terraform computed it, nobody could refuse it at synth."""
    worker.settings["spark_checksum"] = sha512(SPARK).upper()
    assert_succeeded(worker, worker.boot())


GPG_STYLE = "\n".join(
    [f"{SPARK_FILE}: "]
    + [
        " ".join(sha512(SPARK).upper()[at : at + 8] for at in range(line, min(line + 32, 128), 8))
        for line in range(0, 128, 32)
    ]
)


@pytest.mark.parametrize(
    "published",
    [f"{sha512(SPARK)}  {SPARK_FILE}\n", sha512(SPARK), f"{GPG_STYLE}\n"],
    ids=["sha512sum", "bare", "gpg"],
)
def test_without_a_pinned_checksum_the_foundation_s_own_is_used(worker: Node, published: str) -> None:
    worker.settings["spark_checksum"] = ""
    worker.serve(f"{ORIGIN}.sha512", published.encode())
    assert_succeeded(worker, worker.boot())
    asked = [call.split()[-1] for call in worker.calls_of("curl") if call.endswith(".sha512")]
    assert asked == [f"https://{ORIGIN}.sha512"], "and never a CDN's or a mirror's"


def test_the_archive_publishes_the_checksum_where_the_origin_no_longer_does(worker: Node) -> None:
    worker.settings["spark_checksum"] = ""
    worker.serve(f"{ARCHIVE}.sha512", f"{sha512(SPARK)}  {SPARK_FILE}\n".encode())
    assert_succeeded(worker, worker.boot())


def test_fails_when_the_published_checksum_says_otherwise(worker: Node) -> None:
    worker.settings["spark_checksum"] = ""
    worker.serve(f"{ORIGIN}.sha512", f"{sha512(OTHER)}  {SPARK_FILE}\n".encode())
    done = worker.boot()
    assert_failed(worker, done, "install_spark", sha512(OTHER))
    assert sha512(SPARK) in worker.last_line


@pytest.mark.parametrize("published", [None, b"", b"<html>Not a checksum</html>\n", b"0123456789abcdef\n"])
def test_fails_when_no_checksum_is_published(worker: Node, published: bytes | None) -> None:
    worker.settings["spark_checksum"] = ""
    if published is not None:
        worker.serve(f"{ORIGIN}.sha512", published)
    done = worker.boot(seconds_gone=1592)
    assert_failed(worker, done, "install_spark", f"no checksum for {SPARK_FILE} was found")
    assert_started_nothing(worker)


def test_a_worker_trusts_the_checksum_that_the_master_put_beside_its_copy(worker: Node) -> None:
    worker.settings["spark_checksum"] = ""
    worker.put_object(PLAIN, SPARK)
    worker.put_object(f"{PLAIN}.sha512", f"{sha512(SPARK)}  {SPARK_FILE}\n".encode())
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("curl") == [], "it needs no internet"


def test_a_copy_whose_checksum_is_not_there_yet_is_not_used_unchecked(worker: Node) -> None:
    worker.settings["spark_checksum"] = ""
    worker.put_object(PLAIN, SPARK)
    for url in (CDN, ARCHIVE, f"{ORIGIN}.sha512", f"{ARCHIVE}.sha512"):
        worker.answer_first(url, *["7 000"] * 9)
    done = worker.boot(seconds_gone=1592)
    assert_failed(worker, done, "install_spark", f"no source had {SPARK_FILE}")


def test_the_master_shares_the_tarball_with_its_checksum_last(master: Node) -> None:
    sha256 = hashlib.sha256(SPARK).hexdigest()
    key = f"artifacts/spark/{sha256[:16]}/{SPARK_FILE}"
    master.settings["spark_checksum"] = sha256
    assert_succeeded(master, master.boot())
    assert (master.bucket / key).read_bytes() == SPARK
    assert (master.bucket / f"{key}.sha512").read_text() == f"{sha512(SPARK)}  {SPARK_FILE}\n"
    stored = [call.split()[-1] for call in master.calls if call.startswith("store_once.py ")]
    assert stored == [f"s3://demo-bucket/{key}", f"s3://demo-bucket/{key}.sha512"]


def test_another_archive_of_the_same_name_has_a_place_of_its_own(master: Node) -> None:
    """What lies in the bucket is written once, so that a worker that wants the new one would never get it."""
    master.put_object(IN_BUCKET, SPARK)
    master.put_object(f"{IN_BUCKET}.sha512", sha512(SPARK).encode())
    master.settings["spark_checksum"] = sha512(OTHER)
    master.serve(CDN, OTHER)
    assert_succeeded(master, master.boot())
    assert (master.bucket / IN_BUCKET).read_bytes() == SPARK
    assert (master.bucket / f"artifacts/spark/{sha512(OTHER)[:16]}/{SPARK_FILE}").read_bytes() == OTHER


def test_what_somebody_put_there_by_hand_is_found_though_its_checksum_is_pinned(worker: Node) -> None:
    worker.put_object(PLAIN, SPARK)
    no_internet(worker)
    assert_succeeded(worker, worker.boot())


def test_a_master_holds_a_copy_against_its_publisher(master: Node) -> None:
    """Who may write into the bucket may have written both, and workers would take them."""
    master.settings["spark_checksum"] = ""
    master.put_object(PLAIN, OTHER)
    master.put_object(f"{PLAIN}.sha512", sha512(OTHER).encode())
    master.serve(f"{ORIGIN}.sha512", f"{sha512(SPARK)}  {SPARK_FILE}\n".encode())
    cause = f"s3://demo-bucket/{PLAIN} has other bytes than {SPARK_FILE} must have: delete it"
    assert_failed(master, master.boot(), "install_spark", cause)
    assert f"s3://demo-bucket/{PLAIN} gave {sha512(OTHER)}, expected {sha512(SPARK)}" in master.log


def test_a_master_without_a_way_to_the_publisher_takes_the_copy(master: Node) -> None:
    master.settings["spark_checksum"] = ""
    master.put_object(PLAIN, SPARK)
    master.put_object(f"{PLAIN}.sha512", sha512(SPARK).encode())
    no_internet(master)
    assert_succeeded(master, master.boot())


def test_fails_when_the_master_cannot_share_spark(master: Node) -> None:
    master.mock_program("store_once.py", "exit 1")
    assert_failed(master, master.boot(), "install_spark", "cannot share Spark with the workers")


def test_a_master_does_not_share_again_what_it_took_from_the_bucket(master: Node) -> None:
    master.put_object(IN_BUCKET, SPARK)
    master.put_object(f"{IN_BUCKET}.sha512", f"{sha512(SPARK)}  {SPARK_FILE}\n".encode())
    assert_succeeded(master, master.boot())
    assert not any(call.startswith("store_once.py ") for call in master.calls)


# Secrets, configuration, services


NO_SECRETS = "cannot get the spark.authenticate secret, the fleet key or the Spark Connect token"


def test_fails_without_its_secrets(worker: Node) -> None:
    refused = "echo 'node_secrets: ThrottlingException: Rate exceeded' >&2; exit 1"
    worker.mock_program("node_secrets.py", refused)
    done = worker.boot()
    assert_failed(worker, done, "fetch_secrets", NO_SECRETS)
    assert "ThrottlingException" in worker.stored_log, "the log has what AWS said"
    assert_started_nothing(worker)


def test_an_aws_call_that_hangs_ends_with_the_boots_time(worker: Node) -> None:
    worker.mock_program("node_secrets.py", "exec /bin/sleep 50")
    began = time.monotonic()
    done = worker.boot(seconds_gone=1596)
    assert_failed(worker, done, "fetch_secrets", NO_SECRETS)
    assert time.monotonic() - began < 20


def test_a_step_that_says_nothing_of_its_own_is_named_with_its_command_and_status(worker: Node) -> None:
    worker.mock_program("spark_conf.py", "exit 3")
    assert_failed(worker, worker.boot(), "configure", '"$LIB/spark_conf.py": status 3')
    assert_started_nothing(worker)


def test_fails_when_the_service_cannot_be_started(worker: Node) -> None:
    worker.mock("systemctl", '[[ $* != "restart spark-worker.service" ]]')
    assert_failed(worker, worker.boot(), "start_spark", 'systemctl restart "$SERVICE": status 1')


def test_systemd_is_reloaded_where_it_knows_other_units(worker: Node) -> None:
    worker.mock(
        "systemctl", "[[ $* != *NeedDaemonReload* ]] || printf 'no\\n\\nyes\\n'; [[ $* != *NRestarts* ]] || echo 0"
    )
    assert_succeeded(worker, worker.boot())
    calls = worker.calls_of("systemctl")
    assert calls.index("systemctl daemon-reload") < calls.index("systemctl restart spark-worker.service")


def test_a_service_that_takes_its_time_is_waited_for(worker: Node) -> None:
    worker.mock_program("spark_state.py", '(($(grep -c ^spark_state.py "$CALLS") > 6))')
    assert_succeeded(worker, worker.boot())
    assert len(worker.pauses) == 7


def test_fails_with_its_last_words_when_the_service_keeps_crashing(worker: Node) -> None:
    worker.mock_program("spark_state.py", "exit 1")
    done = worker.boot(NRESTARTS="5")
    cause = "spark-worker.service failed 5 times, last: Exception in thread main: the cause of it"
    assert_failed(worker, done, "wait_until_ready", cause)


def test_fails_when_the_master_never_lists_the_worker(worker: Node) -> None:
    worker.mock_program("spark_state.py", "exit 1")
    worker.mock("sleep", "exec /bin/sleep 0.1")
    done = worker.boot(seconds_gone=1596)
    assert_failed(worker, done, "wait_until_ready", "master.demo-spark does not list it as alive")


def test_fails_when_auto_scaling_does_not_answer(worker: Node) -> None:
    worker.mock(f"{worker.root}/{LIB}/aws.py", "[[ $* != *CONTINUE ]] || exit 1\n" + AWS)
    done = worker.boot()
    assert done.returncode != 0
    assert "boot failed: complete: cannot tell Auto Scaling that this worker is ready" in worker.last_line
    assert "systemctl disable --now spark-worker.service" in worker.calls_of("systemctl")


# How a failure is reported


def test_a_failure_is_reported_if_neither_the_bucket_nor_auto_scaling_answers(worker: Node) -> None:
    worker.without("dnf")
    worker.mock(f"{worker.root}/{LIB}/aws.py", "exit 1")
    done = worker.boot()
    assert done.returncode != 0
    assert "boot failed: install_packages: this AMI has neither" in worker.last_line
    assert "aws.py complete-hook ABANDON" in worker.calls


def test_a_log_that_cannot_be_stored_does_not_keep_the_launch_from_being_abandoned(worker: Node) -> None:
    worker.without("dnf")
    worker.mock(f"{worker.root}/{LIB}/aws.py", "[[ $1 != store-log ]] || exec /bin/sleep 50\n" + AWS)
    (worker.bin / "timeout").unlink()
    worker.mock("timeout", '[[ $1 != --kill-after=* ]] || shift\nexec /usr/bin/timeout 1 "${@:2}"')
    began = time.monotonic()
    worker.boot()
    assert time.monotonic() - began < 20
    assert worker.calls_of("aws.py")[-1] == "aws.py complete-hook ABANDON"


def test_a_failed_boot_may_be_run_again(worker: Node) -> None:
    worker.set_up("#!/bin/bash\nexit 7")
    worker.boot()
    worker.set_up("")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("aws.py")[-1] == "aws.py complete-hook CONTINUE"


def test_a_second_boot_that_fails_early_leaves_no_service_of_the_first(worker: Node) -> None:
    worker.boot()
    worker.without("dnf")
    assert_failed_again = worker.boot()
    assert assert_failed_again.returncode != 0
    assert "systemctl disable --now spark-worker.service" in worker.calls_of("systemctl")


def test_no_step_prints_the_settings(worker: Node) -> None:
    """They are no secret, but a log that shows its own variables will show the next one too."""
    worker.boot()
    assert "demo-spark-workers" not in worker.log


# A boot that was cut off


def reboot(node: Node) -> CompletedProcess[str]:
    node.calls_file.write_text("")
    return node.boot()


def test_the_boots_time_runs_from_the_launch_across_reboots(worker: Node) -> None:
    done = worker.boot(seconds_gone=1700)
    assert_failed(worker, done, "fetch_programs", "the boot's time is over")


def test_a_clock_that_was_set_back_gives_no_more_than_the_whole_time(worker: Node) -> None:
    assert_succeeded(worker, worker.boot(seconds_gone=-500))
    assert "ready after" in worker.last_line


def test_a_boot_that_failed_may_be_tried_again_by_hand_however_late(worker: Node) -> None:
    assert worker.boot(seconds_gone=1700).returncode != 0
    assert worker.run(worker.root / LIB / "start").returncode == 0


@pytest.mark.parametrize("launched", [None, ""])
def test_where_it_is_not_known_when_the_host_was_launched_the_boot_has_all_its_time(
    worker: Node, launched: str | None
) -> None:
    """A boot that has succeeded leaves no such time, and a power cut may leave an empty file."""
    assert_succeeded(worker, worker.boot())
    file = worker.root / "var/lib/spark-cluster/launched"
    assert not file.exists()
    if launched is not None:
        file.write_text(launched)
    assert worker.run(worker.root / LIB / "start").returncode == 0


NEW_MASTER = "var/lib/spark-cluster/new-master"


def test_a_master_is_new_from_its_first_start_on_and_not_once_more_if_the_boot_is_run_again(master: Node) -> None:
    """That its predecessor's drivers are ended depends on it (orphans.py)."""
    noted = f'[[ "$*" != *"restart spark-master"* ]] || ls "$SPARK_CLUSTER_ROOT/{NEW_MASTER}" >>"$CALLS"'
    master.mock("systemctl", f"[[ $1 != show ]] || echo 0; {noted}")
    assert_succeeded(master, master.boot())
    assert master.calls.count(f"/{NEW_MASTER}") == 1, "before Spark starts"
    os.utime(master.root / NEW_MASTER, (1000, 1000))
    assert master.run(master.root / LIB / "start").returncode == 0
    assert (master.root / NEW_MASTER).stat().st_mtime == 1000


def test_a_master_whose_boot_failed_first_is_new_when_it_starts(master: Node) -> None:
    master.mock_program("spark_conf.py", "exit 3")
    assert master.boot().returncode != 0
    assert not (master.root / NEW_MASTER).exists()
    master.mock_program("spark_conf.py", CONF)
    assert_succeeded(master, reboot(master))
    assert (master.root / NEW_MASTER).exists()


def test_a_host_of_an_image_that_was_a_master_is_a_new_one(master: Node) -> None:
    os.utime(master.write(NEW_MASTER), (1000, 1000))
    assert_succeeded(master, master.boot())
    assert (master.root / NEW_MASTER).stat().st_mtime > 1000


def test_a_worker_is_no_new_master(worker: Node) -> None:
    assert_succeeded(worker, worker.boot())
    assert not (worker.root / NEW_MASTER).exists()


def test_the_unit_stays_enabled_until_the_boot_has_succeeded(worker: Node) -> None:
    worker.mock_program("spark_conf.py", "exit 3")
    assert worker.boot().returncode != 0
    disable = "systemctl disable --quiet --no-reload spark-boot.service"
    assert disable not in worker.calls
    worker.mock_program("spark_conf.py", CONF)
    assert_succeeded(worker, reboot(worker))
    assert worker.calls[-1] == disable
    assert worker.calls.index("sync") < worker.calls.index(disable)


@pytest.mark.parametrize("state", ["stopping", "running"])
def test_a_signal_is_a_failure_unless_the_system_goes_down(worker: Node, state: str) -> None:
    """Then the boot goes on afterwards: nothing is reported, and the launch is not given up."""
    worker.mock("systemctl", f"[[ $1 != is-system-running ]] || echo {state}")
    worker.mock_program("spark_conf.py", 'kill -TERM "$PPID"')
    done = worker.boot()
    assert done.returncode == 143
    reported = [call for call in worker.calls if call.startswith(("aws.py store-log", "aws.py complete-hook"))]
    if state == "stopping":
        assert worker.last_line.endswith("the system goes down in configure: the boot goes on afterwards")
        assert reported == []
    else:
        assert worker.last_line.endswith("boot failed: configure: ended by a signal")
        assert reported[-1] == "aws.py complete-hook ABANDON"


NOTICE = '{"kind": "spot", "noticed_at": 1.5, "why": "spot interruption: terminate at 12:02", "deadline": 2.5}\n'


def leaving(node: Node) -> None:
    node.write("/run/spark-cluster/notices/spot.json", NOTICE)


def test_a_worker_watches_for_notices_as_soon_as_it_has_the_programs(worker: Node) -> None:
    """At each later start of the host, too."""
    assert_succeeded(worker, worker.boot())
    enabled, restarted = (call for call in worker.calls if "spark-notice.service" in call)
    assert enabled == "systemctl enable --quiet --no-reload spark-notice.service"
    assert restarted == "systemctl restart spark-notice.service"
    fetched = worker.calls.index(
        "aws.py fetch s3://demo-bucket/artifacts/node/programs.tar /var/cache/spark-cluster/programs.tar"
    )
    assert worker.calls.index(enabled) == fetched + 1


def test_a_master_watches_for_none(master: Node) -> None:
    assert_succeeded(master, master.boot())
    assert not any("spark-notice" in call for call in master.calls)


@pytest.mark.parametrize("step", STEPS[STEPS.index("check_settings") :])
def test_a_notice_ends_the_boot_at_each_step_and_is_its_last_word(worker: Node, step: str) -> None:
    """The drain stops the unit, whose processes get SIGTERM. Spark is left to the drain, which lets executors go."""
    leaving(worker)
    signal_once = f"[[ ${{STEP:-}} != {step} ]] || {{ trap - DEBUG; kill -TERM $$; }}"
    stop = worker.write("stop", f"set -T\ntrap '{signal_once}' DEBUG\n")
    done = worker.boot(BASH_ENV=str(stop))
    assert done.returncode == 143, worker.log
    cause = "this instance leaves: spot interruption: terminate at 12:02"
    assert worker.last_line.endswith(f"boot failed: {step}: {cause}")
    assert cause in worker.stored_log
    assert worker.calls_of("aws.py")[-1] == "aws.py complete-hook ABANDON"
    assert not any("disable --now" in call or "daemon-logs" in call for call in worker.calls_of("systemctl"))


def test_whatever_a_boot_that_is_to_end_stumbles_over_the_notice_is_its_cause(worker: Node) -> None:
    leaving(worker)
    worker.mock_program("artifacts.py", "echo 'Terminated'; exit 143")
    worker.boot()
    assert worker.last_line.endswith(
        "boot failed: install_spark: this instance leaves: spot interruption: terminate at 12:02"
    )


def test_a_boot_that_a_notice_ends_has_little_time_for_aws(worker: Node) -> None:
    """Less than the 30 s after which systemd kills it, and it still says why."""
    leaving(worker)
    worker.mock("timeout", 'while [[ $1 == -* ]]; do shift; done; echo "within $1 s: $3" >>"$CALLS"; shift; "$@"')
    worker.mock_program("spark_conf.py", "exit 1")
    worker.boot()
    limits = [int(call.split()[1]) for call in worker.calls if call.endswith((": store-log", ": complete-hook"))]
    assert len(limits) == 2
    assert sum(limits) + 5 < 30


def test_a_boot_succeeds_that_was_faster_than_its_end(worker: Node) -> None:
    leaving(worker)
    assert_succeeded(worker, worker.boot())


def test_what_fails_while_the_system_goes_down_is_no_failure(worker: Node) -> None:
    worker.mock("systemctl", "[[ $1 != is-system-running ]] || echo stopping")
    worker.mock_program("spark_conf.py", "exit 3")
    assert worker.boot().returncode == 3
    assert not any("complete-hook" in call for call in worker.calls)


def test_packages_that_were_cut_off_are_installed_again_though_they_look_whole(worker: Node) -> None:
    worker.write("/var/lib/spark-cluster/installing", "java-17-amazon-corretto-headless\npython3.11\n")
    began = int((worker.root / "var/lib/spark-cluster/installing").stat().st_mtime)
    installed = {"glibc": began - 9, "alsa-lib": began + 1, "gpg-pubkey": began + 1, "python3.11": began + 2}
    worker.mock("rpm", "".join(f"echo {at} {name}\n" for name, at in installed.items()))
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("rpm") == [r"rpm -qa --qf %{INSTALLTIME} %{NAME}\n"]
    assert worker.calls_of("dnf") == [
        "dnf install -y -q java-17-amazon-corretto-headless python3.11",
        "dnf reinstall -y -q alsa-lib python3.11",
    ]
    assert not (worker.root / "var/lib/spark-cluster/installing").exists()


def test_what_was_cut_off_before_it_began_is_only_installed(worker: Node) -> None:
    worker.write("/var/lib/spark-cluster/installing", "python3.11\n")
    worker.mock("rpm", "echo 1 glibc")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("dnf") == ["dnf install -y -q python3.11"]


def test_dpkg_is_mended_where_it_was_cut_off(worker: Node) -> None:
    worker.without("dnf")
    worker.mock("apt-get")
    worker.mock("dpkg")
    worker.write("/var/lib/spark-cluster/installing", "openjdk-17-jre-headless\n")
    assert_succeeded(worker, worker.boot())
    assert worker.calls_of("dpkg") == ["dpkg --configure -a"]
    assert "--fix-broken --reinstall openjdk-17-jre-headless" in worker.calls_of("apt-get")[-1]


def test_packages_are_noted_before_they_are_installed(worker: Node) -> None:
    worker.without("java")
    worker.mock("dnf", 'cat "$SPARK_CLUSTER_ROOT/var/lib/spark-cluster/installing" >>"$CALLS"')
    worker.boot(seconds_gone=1590)
    assert "java-17-amazon-corretto-headless" in worker.calls


WAIT = USERDATA / "first_stage/var/lib/cloud/scripts/per-boot/wait-for-spark-boot"


def wait_for_boot(node: Node, *, enabled: bool = True, failed: bool = False, status: int = 0) -> CompletedProcess[str]:
    node.write("/var/log/spark-cluster-boot.log", "of an earlier boot\n")
    node.mock(
        "systemctl",
        f"""case $1 in
          is-enabled) exit {0 if enabled else 1} ;;
          is-failed) exit {0 if failed else 1} ;;
          start) echo "of this boot" >>"$SPARK_CLUSTER_ROOT/var/log/spark-cluster-boot.log"; exit {status} ;;
        esac""",
    )
    return node.run("bash", WAIT)


@pytest.mark.parametrize("status", [0, 1])
def test_waiting_ends_with_the_boots_status_and_last_line(worker: Node, status: int) -> None:
    done = wait_for_boot(worker, status=status)
    assert (done.returncode, done.stdout) == (status, "of this boot\n")


def test_a_host_that_has_booted_is_not_booted_again(worker: Node) -> None:
    assert wait_for_boot(worker, enabled=False).returncode == 0
    assert not any(" start " in call for call in worker.calls)


def test_a_boot_that_has_failed_already_is_reported_and_not_tried_again(worker: Node) -> None:
    done = wait_for_boot(worker, failed=True)
    assert (done.returncode, done.stdout) == (1, "of an earlier boot\n")
    assert not any(" start " in call for call in worker.calls)
