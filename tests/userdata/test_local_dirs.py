"""local-dirs: where a worker's shuffle data goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import LIB, USERDATA, Node

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

NAME = "nvme-Amazon_EC2_NVMe_Instance_Storage_"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path, "worker")
    (node.root / "dev/disk/by-id").mkdir(parents=True)
    node.mock("mountpoint", "exit 1")
    node.mock("blkid", "exit 2")
    for name in ("mkfs.ext4", "mount"):
        node.mock(name)
    return node


def disk(node: Node, device: str, *names: str) -> None:
    node.write(f"dev/{device}")
    for name in names:
        (node.root / "dev/disk/by-id" / name).symlink_to(f"../../{device}")


def run(node: Node) -> CompletedProcess[str]:
    return node.run("bash", USERDATA / "worker" / LIB / "local-dirs")


def environment(node: Node) -> dict[str, str]:
    lines = node.read("run/spark-cluster/local-dirs.env").replace(str(node.root), "").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_without_disks_of_its_own_a_worker_uses_the_root_volume(node: Node) -> None:
    assert run(node).returncode == 0
    assert environment(node) == {
        "SPARK_LOCAL_DIRS": "/var/lib/spark-local/local",
        "SPARK_WORKER_DIR": "/var/lib/spark-local/work",
    }
    assert node.calls_of("mount") == []
    assert (node.root / "var/lib/spark-local/local").is_dir()
    assert (node.root / "var/lib/spark-local/work").is_dir()


def test_a_host_without_any_disk_by_id_uses_the_root_volume(node: Node) -> None:
    (node.root / "dev/disk/by-id").rmdir()
    assert run(node).returncode == 0
    assert environment(node)["SPARK_LOCAL_DIRS"] == "/var/lib/spark-local/local"


def test_each_disk_is_formatted_and_mounted(node: Node) -> None:
    for number in (1, 2):
        disk(node, f"nvme{number}n1", f"{NAME}AWS{number}")
    assert run(node).returncode == 0
    assert [call.split()[-1] for call in node.calls_of("mkfs.ext4")] == ["/dev/nvme1n1", "/dev/nvme2n1"]
    assert [call.split()[-2:] for call in node.calls_of("mount")] == [
        [f"/dev/nvme{number}n1", f"/mnt/spark-nvme{number}n1"] for number in (1, 2)
    ]
    assert environment(node) == {
        "SPARK_LOCAL_DIRS": "/mnt/spark-nvme1n1/local,/mnt/spark-nvme2n1/local",
        "SPARK_WORKER_DIR": "/mnt/spark-nvme1n1/work",
    }


def test_a_disk_that_udev_gives_two_names_is_used_once(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1", f"{NAME}AWS1_1", f"{NAME}AWS1-ns-1")
    assert run(node).returncode == 0
    assert len(node.calls_of("mount")) == 1


def test_partitions_other_disks_and_dangling_names_are_left_alone(node: Node) -> None:
    disk(node, "nvme1n1p1", f"{NAME}AWS1-part1")
    disk(node, "nvme0n1", "nvme-Amazon_Elastic_Block_Store_vol0abc")
    (node.root / "dev/disk/by-id" / f"{NAME}AWS9").symlink_to("../../nvme9n1")
    assert run(node).returncode == 0
    assert environment(node)["SPARK_LOCAL_DIRS"] == "/var/lib/spark-local/local"
    assert node.calls_of("mkfs.ext4") == []


def test_a_formatted_disk_is_mounted_and_not_formatted_again(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock("blkid")
    assert run(node).returncode == 0
    assert node.calls_of("mkfs.ext4") == []
    assert len(node.calls_of("mount")) == 1


def test_a_mounted_disk_is_left_as_it_is(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock("mountpoint")
    assert run(node).returncode == 0
    assert node.calls_of("mkfs.ext4") == node.calls_of("mount") == []
    assert environment(node)["SPARK_LOCAL_DIRS"] == "/mnt/spark-nvme1n1/local"


@pytest.mark.parametrize("command", ["mkfs.ext4", "mount"])
def test_fails_when_a_disk_cannot_be_used(node: Node, command: str) -> None:
    """The worker requires this unit, so it does not start on a disk that is not there."""
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock(command, "echo 'I/O error' >&2; exit 1")
    done = run(node)
    assert done.returncode != 0
    assert "I/O error" in done.stderr
    assert not (node.root / "run/spark-cluster/local-dirs.env").exists()


def test_only_the_spark_user_reads_shuffle_data(node: Node) -> None:
    run(node)
    (call,) = [call for call in node.calls_of("install") if call.endswith("/local")]
    assert "-o spark -g spark -m 700" in call
    assert (node.root / "var/lib/spark-local").stat().st_mode & 0o777 == 0o700
