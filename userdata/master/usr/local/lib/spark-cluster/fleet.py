#!/usr/bin/python3
"""Keep what the master knows of its group of workers; a timer runs it.

- `conf/workers` (and `conf/slaves`, its old name): the address of each member in service, one a line.
- `executor.env`: the memory of an executor that fills a worker, for applications that do not say.
- known hosts: the host key of a member that left, or whose address went to a newer one, is forgotten.

An API error changes nothing and fails this run of the unit; the next is half a minute away.
"""

import contextlib
import os
import sys

import files
import settings
import worker_group

WORKERS_FILE = "/opt/spark/conf/workers"
EXECUTOR_FILE = "/etc/spark-cluster/executor.env"
KNOWN_HOSTS = "/var/lib/spark-known-hosts"
EXECUTOR_MEMORY_SHARE = 0.78
"""Of an instance type's nominal memory. A worker offers 85 % of what its kernel sees: at least 92 % of that."""


def write_if_changed(file, text):
    """Write a file in one step, and only where its text is another; says whether it did."""
    try:
        with open(settings.path(file), encoding="utf-8") as old:
            if old.read() == text:
                return False
    except FileNotFoundError:
        pass
    files.keep(file, text, mode=0o644)
    return True


def in_service(group, instances):
    """Address and launch time of each member in service."""
    ids = [member["InstanceId"] for member in group["Instances"] if member["LifecycleState"] == "InService"]
    members = [instances[name] for name in ids if instances.get(name, {}).get("PrivateIpAddress")]
    return {member["PrivateIpAddress"]: member["LaunchTime"] for member in members}


def by_address(address):
    return [int(part) for part in address.split(".")]


def forget_hosts(members):
    """Drop the host keys of addresses that no longer are, or no longer are the same host."""
    folder = settings.path(KNOWN_HOSTS)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        file = os.path.join(folder, name)
        if name not in members or os.lstat(file).st_mtime < members[name].timestamp():
            with contextlib.suppress(OSError):  # the folder is the spark user's: there may be anything
                os.remove(file)
            print(f"fleet: forgot the host key of {name}", file=sys.stderr)


def type_names(group):
    """The instance types that the group may launch."""
    policy = group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    return sorted(override["InstanceType"] for override in policy)


def executor_memory_mib(types, cores):
    """Memory of an executor of so many cores (0: all of a worker's) that fits on the smallest of the types."""

    def fitting(kind):
        all_cores = kind["VCpuInfo"]["DefaultVCpus"]
        share = min(1.0, cores / all_cores) if cores else 1.0
        return int(kind["MemoryInfo"]["SizeInMiB"] * EXECUTOR_MEMORY_SHARE * share)

    return min(fitting(kind) for kind in types)


def keep_executor_memory(group):
    """Asks EC2 only where the group's types are others than those the file was made for."""
    names = type_names(group)
    comment = "# {}\n".format(" ".join(names))
    try:
        with open(settings.path(EXECUTOR_FILE), encoding="utf-8") as old:
            if old.readline() == comment:
                return
    except FileNotFoundError:
        pass
    cores = int(settings.load()["executor_cores"])
    memory = executor_memory_mib(worker_group.instance_types(names), cores)
    write_if_changed(EXECUTOR_FILE, f"{comment}SPARK_EXECUTOR_MEMORY={memory}m\n")


def main():
    group = worker_group.group()
    members = in_service(group, worker_group.instances(group["AutoScalingGroupName"])) if group else {}
    addresses = sorted(members, key=by_address)
    if write_if_changed(WORKERS_FILE, "".join(f"{address}\n" for address in addresses)):
        print(f"fleet: {len(addresses)} workers in service", file=sys.stderr)
    slaves = settings.path(os.path.join(os.path.dirname(WORKERS_FILE), "slaves"))
    if not os.path.islink(slaves):
        os.symlink("workers", slaves)
    forget_hosts(members)
    if group:
        keep_executor_memory(group)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - one line that names the cause, in place of a stack
        raise SystemExit(f"fleet: {type(error).__name__}: {error}, the files stay as they are") from None
