"""A cluster on this machine: deploy `main.py` into the lab, run a job on it, and take it down again.

    make demo                           ends with `cdktf destroy`
    make demo ARGS=--keep               leaves the cluster running
    make submit DEMO=yes JOB=job.py     your own job on a kept cluster; make shell, ui, status, wait, too
    make demo ARGS='exec HOST COMMAND'  a command, or a shell, on a host of a kept cluster: master, worker-1, ...
    make demo ARGS=down                 takes a kept cluster down

Needs Linux, root, Terraform and this project's Python environment; it installs the Debian packages that are missing.
What is made once is kept in ~/.cache/spark-cluster-lab; logs of the last run are in its folder run/.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import browser
from lab.cluster import Cluster
from lab.deployment import ROOT, Deployment
from lab.hosts import Host, all_hosts
from lab.lab import Lab, missing_packages, none_before, only_one, problems, run
from lab.places import RUN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKERS = 2
EXPECTED = "19999900000"
JOB = """
import socket
from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("demo").getOrCreate()
numbers = spark.range(0, 200_000, numPartitions=16)
total = numbers.groupBy((numbers.id % 100).alias("key")).sum("id").agg({"sum(id)": "sum"}).first()[0]
hosts = spark.sparkContext.parallelize(range(16), 16).map(lambda _: socket.gethostname()).distinct().collect()
print("answer:", total)
print("tasks ran on:", *sorted(hosts))
"""
_STARTED = re.compile(r"(aws_\S+?)\.\S+: Creating\.\.\.")
_STATE = RUN / "demo.json"


def main(args: Sequence[str]) -> int:
    """Run one of the forms."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # So that everything is taken down.
    for_tests = list(args) == ["packages"]
    _install_packages(for_tests=for_tests)
    if for_tests:
        if packages := _missing_packages(for_tests=True):
            raise SystemExit(f"missing Debian packages: {' '.join(packages)}. As root this installs them")
        return 0
    if found := problems():
        raise SystemExit("\n".join(["this machine cannot run the lab:", *(f"- {problem}" for problem in found)]))
    forms = {"exec": _exec, "on-master": _on_master, "down": _down}
    return forms[args[0]](args[1:]) if args and args[0] in forms else _demo(args)


def _missing_packages(*, for_tests: bool) -> list[str]:
    return missing_packages() + (browser.missing_packages() if for_tests else [])


def _install_packages(*, for_tests: bool) -> None:
    packages = _missing_packages(for_tests=for_tests)
    if not packages or os.geteuid() or shutil.which("apt-get") is None:
        return
    _say(f"installing Debian packages {' '.join(packages)} ...")
    apt_get = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y")
    for action in (["update"], ["install", "--no-install-recommends", *packages]):
        if subprocess.run([*apt_get, *action], check=False).returncode:
            raise SystemExit(f"apt-get {action[0]} failed")


def _exec(args: Sequence[str]) -> int:
    lab = Lab.running()
    hosts: dict[str, str] = json.loads(_STATE.read_text(encoding="utf-8")) if _STATE.exists() else {}
    if lab is None or not args or args[0] not in hosts:
        there = ", ".join(hosts) if lab else "none; make demo ARGS=--keep"
        raise SystemExit(f"usage: make demo ARGS='exec HOST [COMMAND ...]', HOST being one of: {there}")
    inside = Host(hosts[args[0]]).command(*(args[1:] or ["bash", "--login"]))
    os.execvp(inside[0], inside)  # noqa: S606 - no shell is wanted


def _on_master(args: Sequence[str]) -> int:
    """Run `tools/on_master.py` for a kept cluster."""
    lab = Lab.running()
    if lab is None:
        raise SystemExit("there is no kept cluster: make demo ARGS=--keep")
    os.chdir(ROOT)
    command = (sys.executable, "tools/on_master.py", *args)
    os.execve(command[0], command, {**os.environ, **outside(_deployment(lab))})  # noqa: S606 - no shell is wanted


def outside(deployment: Deployment) -> dict[str, str]:
    """The environment in which `tools/on_master.py` finds this deployment, and the lab's `aws`."""
    programs = (str(Path(sys.executable).parent), str(ROOT / "lab/bin"), os.environ["PATH"])
    return {"PATH": os.pathsep.join(programs), "STACK": str(deployment.stack_folder)}


def _deployment(lab: Lab) -> Deployment:
    return lab.deployment(ROOT / "main.py", "spark-cluster-demo-us-east-1")


def _down(args: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="demo.py down").parse_args(args)
    with only_one():
        if lab := Lab.find():
            lab.end()
            _say("the lab is down")
        else:
            _say("there is no lab")
    return 0


def _demo(args: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the cluster running until `make demo ARGS=down`")
    options = parser.parse_args(args)
    with none_before():
        lab = None
        done = False
        try:
            with _step("the lab: kept from an earlier run, or made now, which takes minutes"):
                lab = Lab.create(kept=options.keep, images=["al2023"], tell=lambda what: _say(f"  {what}"))
            _show(lab, keep=options.keep)
            done = True
        finally:
            lab = lab or Lab.find()
            if lab and not (done and options.keep):
                with _step("taking the lab down"):
                    lab.end()
        if options.keep:
            _say("the cluster runs on:")
            _say("  make ui DEMO=yes                  the pages of Spark, at http://localhost:8080")
            _say("  make submit DEMO=yes JOB=job.py   your own job; make shell, status and wait work the same way")
            _say("  make demo ARGS='exec worker-1'    a shell on a worker")
            _say("  make demo ARGS=down               takes it down")
    return 0


def _show(lab: Lab, *, keep: bool) -> None:
    deployment = _deployment(lab)
    with _step("cdktf deploy, which ends when the workers are in service"), _progress(lab, deployment):
        done = deployment.deploy()
        if done.returncode:
            raise RuntimeError(f"cdktf deploy failed:\n{done.stdout[-3000:]}\n{_boot_logs(lab)}")
    outputs = deployment.outputs()
    cluster = Cluster(lab, "demo")
    master = cluster.master()
    hosts = {"master": master.instance_id}
    hosts |= {f"worker-{number}": host.instance_id for number, host in enumerate(cluster.workers().values(), 1)}
    _STATE.write_text(json.dumps(hosts), encoding="utf-8")
    for name, instance_id in hosts.items():
        ready = re.search(r"boot succeeded: (.*)", Host(instance_id).console)
        _say(f"  {name}: {ready[1].strip() if ready else 'no end of its boot in its console'}")
    with _step("a PySpark job with a shuffle"):
        answer = _run_job(lab, outputs, master)
    for line in answer:
        _say(f"  {line}")
    if keep:
        return
    with _step("cdktf destroy"):
        done = deployment.destroy()
        if done.returncode:
            raise RuntimeError(f"cdktf destroy failed:\n{done.stdout[-3000:]}")


def _run_job(lab: Lab, outputs: dict[str, Any], master: Host) -> list[str]:
    """Run it, and return its answer and where its tasks ran."""
    _say(f"  {inner_command(outputs['submit_command'])}   (the rest, Session Manager's part, is not tested here)")
    printed = run_job(lab, outputs, master).splitlines()
    lines = [line for line in printed if line.startswith(("answer:", "tasks ran on:"))]
    if f"answer: {EXPECTED}" not in lines or len(lines[-1].split()) != 3 + WORKERS:
        raise RuntimeError(f"the job should give {EXPECTED} from tasks on {WORKERS} workers, it gave {lines}")
    return lines


def run_job(lab: Lab, outputs: dict[str, Any], master: Host) -> str:
    """Run the job as the submit output does, but for the Session Manager around it, which nothing here can play."""
    lab.client("s3").put_object(Bucket=outputs["bucket_name"], Key="data/job.py", Body=JOB.encode())
    done = run(master, "bash", "-c", inner_command(outputs["submit_command"]), timeout=300)
    if done.returncode:
        raise RuntimeError(f"the job ended with {done.returncode}:\n{done.stdout}\n{done.stderr[-3000:]}")
    return done.stdout


def inner_command(output: str) -> str:
    """What a ready command runs on the master: the part that Session Manager is given."""
    words = shlex.split(output)
    (command,) = json.loads(words[words.index("--parameters") + 1])["command"]
    return str(command)


def _boot_logs(lab: Lab) -> str:
    """What nodes that failed left in the bucket."""
    s3 = lab.client("s3")
    texts = []
    for bucket in s3.list_buckets()["Buckets"]:
        for found in s3.list_objects_v2(Bucket=bucket["Name"], Prefix="boot-logs/").get("Contents", []):
            body = s3.get_object(Bucket=bucket["Name"], Key=found["Key"])["Body"].read().decode(errors="replace")
            texts.append(f"s3://{bucket['Name']}/{found['Key']}:\n{body[-2000:]}")
    return "\n".join(texts)


@contextmanager
def _progress(lab: Lab, deployment: Deployment) -> Iterator[None]:
    """Tell, while a deploy lasts, how far Terraform and each host are."""
    over = threading.Event()

    def tell() -> None:
        lab.enclosure.join_network()
        start, seen = time.monotonic(), set[str]()
        while not over.wait(1):
            for news in [*_terraform_news(deployment), *_host_news()]:
                if news not in seen:
                    seen.add(news)
                    _say(f"  {time.monotonic() - start:4.0f} s  {news}")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join(timeout=10)


def _terraform_news(deployment: Deployment) -> list[str]:
    log = deployment.log("deploy")
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return [
        f"Terraform makes {kind}"
        for kind in _STARTED.findall(text)
        if kind in {"aws_instance", "aws_autoscaling_group"}
    ]


def _host_news() -> list[str]:
    news = []
    for host in all_hosts():
        steps = re.findall(r"spark-cluster: (.*)", host.console)
        news.append(f"{host.instance_id} is booting")
        news += [f"{host.instance_id} {step.strip()}" for step in steps]
    return news


@contextmanager
def _step(name: str) -> Iterator[None]:
    _say(f"{name} ...")
    start = time.monotonic()
    yield
    _say(f"  done in {time.monotonic() - start:.0f} s")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except RuntimeError as fault:
        sys.exit(f"demo.py: {fault}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
