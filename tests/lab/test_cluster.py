"""`main.py` deployed by `cdktf deploy`: real hosts that boot from its user data and become a cluster."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING

import pytest

from lab import calls, faults
from lab.cluster import LIB, TICK_SECONDS, Cluster, ask_aws, start, stop, submit, until, write
from lab.demo import EXPECTED, run_job
from lab.lab import requests, run
from lab.places import CALL_LOG

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from concurrent.futures import Future

    from lab.deployment import Deployment, Done
    from lab.hosts import Host
    from lab.lab import Lab

OUTAGE_SECONDS = 2 * TICK_SECONDS

COUNT = """
from pyspark.sql import SparkSession
print("counted", SparkSession.builder.appName("count").getOrCreate().range(10).count())
"""

ASK_FOR_CREDENTIALS = """
import urllib.request
from pyspark.sql import SparkSession
def ask(_):
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    request = urllib.request.Request("http://169.254.169.254/latest/api/token", method="PUT", headers=headers)
    return urllib.request.urlopen(request, timeout=5).status
spark = SparkSession.builder.getOrCreate()
print("asked", ask(0), spark.sparkContext.parallelize([0], 1).map(ask).collect())
"""

IN_UNIT = """
group=$(systemctl show --property=ControlGroup --value "$1")
for base in /sys/fs/cgroup/unified /sys/fs/cgroup; do [ ! -e "$base$group" ] || break; done
echo $$ >"$base$group/cgroup.procs"
exec curl -s --max-time 3 -o /dev/null -w '%{http_code}' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' \\
  http://169.254.169.254/latest/api/token
"""
"""Asks the metadata service from a unit's control group, which is what its filter of addresses goes by."""

WATCH = """
import json, time
last = None
while True:
    with open("/opt/spark/conf/workers") as file:
        text = file.read()
    if text != last:
        print(json.dumps(text), flush=True)
        last = text
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def stranger(demo: Cluster) -> Iterator[subprocess.Popen[str]]:
    """A submitter on a worker's host who has no secret: it takes Spark a minute to give up."""
    worker = next(iter(demo.workers().values()))
    write(worker, "/opt/job.py", COUNT)
    java = run(worker, "sh", "-c", "dirname $(dirname $(readlink -f $(command -v java)))").stdout.strip()
    # No configuration of the cluster's, and so no secret; a home of its own.
    environment = ("SPARK_CONF_DIR=/var/empty", f"JAVA_HOME={java}", "PYSPARK_PYTHON=python3.11")
    submission = ("/opt/spark/bin/spark-submit", "--master", "spark://master.demo-spark:7077", "/opt/job.py")
    process = start(worker, "runuser", "-u", "nobody", "--", "env", *environment, *submission)
    yield process
    if process.poll() is None:
        stop(worker, process, "/opt/job.py")


def test_deploy_ends_when_master_and_two_workers_are_in_service(demo: Cluster) -> None:
    workers = demo.workers()
    assert len(workers) == 2
    assert demo.alive() == set(workers)
    assert demo.state()["url"] == "spark://master.demo-spark:7077"


def test_first_boots_take_spark_from_the_cdn_once_and_then_from_the_bucket(demo: Cluster) -> None:
    fetched = [one for one in requests() if one["url"].endswith(".tgz") and one["bytes"]]
    assert demo.master_address() in {one["client"] for one in fetched}
    assert {one["url"].split("/")[2] for one in fetched} == {"dlcdn.apache.org"}


def test_name_of_the_master_resolves_through_the_zone_on_every_worker(demo: Cluster) -> None:
    address = demo.master_address()
    for worker in demo.workers().values():
        assert run(worker, "getent", "hosts", "master.demo-spark").stdout.split()[0] == address
        assert "master.demo-spark" not in run(worker, "cat", "/etc/hosts").stdout


def test_job_of_the_submit_output_gives_the_right_answer_from_both_workers(
    lab: Lab, demo: Cluster, demo_deployment: Deployment
) -> None:
    printed = run_job(lab, demo_deployment.outputs(), demo.master()).splitlines()
    assert f"answer: {EXPECTED}" in printed
    (hosts,) = [line.split()[3:] for line in printed if line.startswith("tasks ran on:")]
    assert len(hosts) == 2


def test_others_begin_meanwhile(
    background: dict[str, tuple[Deployment, Future[Done]]], stranger: subprocess.Popen[str]
) -> None:
    assert not any(future.done() for _, future in background.values())
    assert stranger.poll() is None


def test_ssh_from_the_master_to_every_listed_host_needs_no_prompt_and_starts_no_second_worker(demo: Cluster) -> None:
    listed = set(demo.workers())
    demo.wait_until_listed(listed)
    for address in listed:
        done = demo.ssh(address, "hostname -I")
        assert address in done.stdout, done.stderr
    for worker in demo.workers().values():
        assert run(worker, "pgrep", "-fc", "deploy.worker.Worker").stdout.strip() == "1"
    assert len(demo.alive()) == 2


def test_worker_reads_no_private_key_and_writes_no_artifacts(demo: Cluster) -> None:
    worker = next(iter(demo.workers().values()))
    private = "aws.client('ssm').get_parameter(Name='/spark-cluster/demo/fleet-private-key', WithDecryption=True)"
    public = "aws.client('ssm').get_parameter(Name='/spark-cluster/demo/fleet-public-key')['Parameter']['Value']"
    bucket = demo.bucket()
    write = f"aws.client('s3').put_object(Bucket={bucket!r}, Key='artifacts/spark/x', Body=b'')"
    assert "AccessDenied" in ask_aws(worker, private)
    assert ask_aws(worker, public).startswith("ssh-ed25519 ")
    assert "AccessDenied" in ask_aws(worker, write)
    assert "ETag" in ask_aws(worker, write.replace("artifacts/spark/x", "data/x"))


def test_master_adds_to_the_artifacts_and_changes_and_deletes_none(demo: Cluster) -> None:
    """Not even an object of its own, in one piece or in parts."""
    bucket, master = demo.bucket(), demo.master()
    at = f"Bucket={bucket!r}, Key='artifacts/spark/x'"
    assert "AccessDenied" in ask_aws(master, f"aws.client('s3').put_object({at}, Body=b'')")
    assert "AccessDenied" in ask_aws(master, f"aws.client('s3').delete_object({at})")
    programs = at.replace("artifacts/spark/x", "artifacts/node/x")
    assert "AccessDenied" in ask_aws(master, f"aws.client('s3').put_object({programs}, Body=b'')")
    once = (
        f"(open('/tmp/x', 'w').close(), "
        f"__import__('store_once').store_once('/tmp/x', 's3://{bucket}/artifacts/spark/x'))"
    )
    assert "AccessDenied" not in ask_aws(master, once)
    assert demo.in_aws.client("s3").head_object(Bucket=bucket, Key="artifacts/spark/x")["ContentLength"] == 0
    demo.in_aws.client("s3").delete_object(Bucket=bucket, Key="artifacts/spark/x")


def test_secrets_are_in_no_user_data_no_state_no_log_and_no_process_list(
    demo: Cluster, demo_deployment: Deployment
) -> None:
    parameters = demo.in_aws.parameters()
    key_lines = parameters["fleet-private-key"]["Value"].splitlines()[1:-1]
    secrets = [parameters["spark-secret"]["Value"], *key_lines]
    assert len(secrets[0]) >= 32
    assert len(key_lines) > 2
    places = {
        "state": demo_deployment.state(),
        "deploy": demo_deployment.log("deploy").read_text(),
        "JSON": json.dumps(demo_deployment.synthesized()),
        **{
            f"user data of the {role}": gzip.decompress(demo.in_aws.user_data(role)).decode()
            for role in ("master", "worker")
        },
    }
    for name, host in {"master": demo.master(), **demo.workers()}.items():
        places[f"journal of {name}"] = run(host, "journalctl", "--no-pager", "-o", "cat").stdout
        places[f"processes of {name}"] = run(host, "ps", "-eww", "-o", "args").stdout
        places[f"logs of {name}"] = run(host, "sh", "-c", "cat /var/log/*.log /var/log/*/*.log 2>/dev/null").stdout
        places[f"console of {name}"] = host.console
    assert all(places.values()), [place for place, text in places.items() if not text]
    assert [place for place, text in places.items() if any(secret in text for secret in secrets)] == []


def test_rest_port_is_closed(demo: Cluster) -> None:
    worker = next(iter(demo.workers().values()))
    connect = "exec 3<>/dev/tcp/master.demo-spark/"
    assert run(worker, "bash", "-c", f"{connect}7077").returncode == 0
    refused = run(worker, "bash", "-c", f"{connect}6066")
    assert refused.returncode != 0
    assert "refused" in refused.stderr


def test_master_s_daemon_has_no_way_to_the_instance_s_role_and_jobs_have(demo: Cluster) -> None:
    master, worker = demo.master(), next(iter(demo.workers().values()))
    assert run(master, "sh", "-c", IN_UNIT, "sh", "spark-master.service").stdout == "000"
    assert run(worker, "sh", "-c", IN_UNIT, "sh", "spark-worker.service").stdout == "200"
    write(master, "/opt/ask.py", ASK_FOR_CREDENTIALS)
    done = run(master, "/usr/local/bin/spark-job", "/opt/ask.py", timeout=180)
    assert "asked 200 [200]" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


def test_submitter_without_the_secret_is_refused_and_one_with_it_runs(
    demo: Cluster, stranger: subprocess.Popen[str]
) -> None:
    worker = next(iter(demo.workers().values()))
    assert "counted 10" in submit(worker, COUNT)
    said, _ = stranger.communicate(timeout=240)
    assert stranger.returncode != 0
    assert "All masters are unresponsive! Giving up." in said, said[-3000:]
    state = demo.state()
    assert [app["name"] for app in state["activeapps"] + state["completedapps"]].count("count") == 1


def test_status_says_why_a_worker_is_not_even_launched(demo: Cluster) -> None:
    master = demo.master()
    with faults.injected(failed_launches={"demo": "capacity"}):
        demo.set_size(3)
        until(lambda: "failed launch" in run(master, "spark-status").stdout, 60, "spark-status has the failed launch")
        assert "There is no capacity available that matches your request" in run(master, "spark-status").stdout
        waited = run(master, "spark-wait", "1")
        demo.set_size(2)
    assert "2 of 3 workers are ready; the last launch failed: " in waited.stderr
    assert "failed launch" not in run(master, "spark-status").stdout


def test_list_of_workers_follows_the_group_and_an_outage_of_the_api_changes_nothing(demo: Cluster) -> None:
    master = demo.master()
    watcher = start(master, "python3", "-c", WATCH)
    before = set(demo.workers())
    try:
        demo.set_size(3)
        until(lambda: len(demo.workers()) == 3, 240, "a third worker in service")
        three = demo.workers()
        demo.wait_until_listed(set(three))
        with faults.injected(unavailable=["demo"]):
            demo.set_size(1)
            time.sleep(OUTAGE_SECONDS)
            assert len(demo.workers()) == 1
            assert demo.listed() == set(three)
        one = set(demo.workers())
        demo.wait_until_listed(one)
    finally:
        printed = stop(master, watcher, "conf/workers")
    seen = [set(json.loads(line).split()) for line in printed.splitlines()]
    assert seen[0] == before
    assert seen[-2:] == [set(three), one]
    assert all(hosts in (before, set(three), one) for hosts in seen)


def test_third_worker_took_spark_from_the_bucket(demo: Cluster) -> None:
    clients = {one["client"] for one in requests()}
    late = [host for host in all_workers(demo) if host not in clients]
    assert late, "some worker should have asked no download host at all"


def test_killed_worker_process_is_restarted_and_registers_again(demo: Cluster) -> None:
    (worker,) = demo.workers().values()
    left = "/var/lib/spark-local/local/spark-1/executor-2/blockmgr-3"
    run(worker, "runuser", "-u", "spark", "--", "mkdir", "-p", left)
    kill_and_wait(worker, "spark-worker", demo)
    assert run(worker, "test", "-e", left).returncode != 0, "shuffle data of a crash"


def test_killed_master_process_is_restarted_and_has_its_workers_again(demo: Cluster) -> None:
    kill_and_wait(demo.master(), "spark-master", demo)


def test_master_comes_up_over_broken_recovery_files(demo: Cluster) -> None:
    """Of a Spark that renames them itself; test_changes.py has one that would not come up."""
    assert restart_over_broken_recovery_files(demo) == {"corrupted_app_app-1", "corrupted_app_app-2"}


@pytest.mark.long
def test_master_comes_up_while_dns_is_down(demo: Cluster) -> None:
    master = demo.master()
    run(master, "sh", "-c", "cp /etc/resolv.conf /root; echo nameserver 10.255.255.1 >/etc/resolv.conf")
    try:
        assert run(master, "getent", "hosts", "dlcdn.apache.org").stdout == ""
        kill_and_wait(master, "spark-master", demo)
        until(lambda: demo.state().get("status") == "ALIVE", 60, "the master answers")
    finally:
        run(master, "cp", "/root/resolv.conf", "/etc/resolv.conf")


def test_cluster_comes_back_after_a_reboot_of_master_and_worker(lab: Lab, demo: Cluster) -> None:
    worker = next(iter(demo.workers().values()))
    hosts = [demo.master(), worker]
    boots = [boot_id(host) for host in hosts]
    lab.client("ec2").reboot_instances(InstanceIds=[host.instance_id for host in hosts])
    until(lambda: all(boot_id(host) not in (*boots, "") for host in hosts), 240, "both hosts rebooted")
    demo.wait_ready(300)
    assert "counted 10" in submit(worker, COUNT)


@pytest.mark.long
def test_worker_that_its_master_mistakes_for_the_one_it_remembers_is_started_again(demo: Cluster) -> None:
    (worker,), master = demo.workers().values(), demo.master()
    run(master, "systemctl", "stop", "spark-master")
    run(worker, "systemctl", "restart", "spark-worker")
    until(lambda: ":7078 " in run(worker, "ss", "-ltn").stdout, 60, "the worker's next process listens")
    run(master, "systemctl", "start", "spark-master")
    demo.wait_ready(180)


def test_every_call_of_a_node_is_one_whose_rules_are_listed(demo: Cluster) -> None:
    """Otherwise `python -m lab.calls` adds it, and `make docs` shows its rules."""
    assert calls.missing(CALL_LOG) == [], f"python -m lab.calls {CALL_LOG}"


def all_workers(demo: Cluster) -> list[str]:
    """Addresses of all workers there are or were."""
    state = demo.state()
    return [worker["host"] for worker in state["workers"]]


def restart_over_broken_recovery_files(cluster: Cluster) -> set[str]:
    """Kill the master when its recovery folder has an empty and a cut-off file; return where these are afterwards."""
    master, folder = cluster.master(), "/var/lib/spark/recovery"
    whole = run(master, "sh", "-c", f"ls {folder}/worker_*").stdout.split()
    assert whole
    run(master, "sh", "-c", f": >{folder}/app_app-1; head -c 1000 {whole[0]} >{folder}/app_app-2")
    run(master, "sh", "-c", f"chown spark:spark {folder}/*")
    kill_and_wait(master, "spark-master", cluster)
    until(lambda: cluster.state()["status"] == "ALIVE", 120, "the master has recovered")
    left = run(master, "sh", "-c", f"ls -d {folder}/* {folder}-broken/*").stdout.split()
    assert set(whole) <= set(left)
    return {name.rpartition("/")[2] for name in set(left) - set(whole) if "app_app-" in name}


def kill_and_wait(host: Host, unit: str, demo: Cluster) -> None:
    """Kill a unit's main process at once, and wait until systemd has another and the cluster is whole."""
    pid = run(host, "systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
    assert run(host, "kill", "-9", pid).returncode == 0

    def restarted() -> bool:
        now = run(host, "systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
        return now not in {"0", pid}

    until(restarted, 60, f"{unit} restarted")
    until(lambda: demo.alive() == set(demo.workers()), 120, "all workers registered")
    assert run(host, "test", "-x", f"{LIB}/start").returncode == 0


def boot_id(host: Host) -> str:
    """Which boot of a host this is; empty while it is between two."""
    if host.first_process is None:
        return ""
    return str(host.first_process) if run(host, "systemctl", "is-system-running").stdout else ""
