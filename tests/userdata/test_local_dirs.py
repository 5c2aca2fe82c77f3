"""local-dirs: where a worker's shuffle data goes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.userdata.node import LIB, USERDATA, Node

if TYPE_CHECKING:
    from subprocess import CompletedProcess

NAME = "nvme-Amazon_EC2_NVMe_Instance_Storage_"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path, "worker")
    (node.root / "dev/disk/by-id").mkdir(parents=True)
    node.mock("mountpoint", "exit 1")
    node.mock("blkid", "exit 2")
    for name in ("mkfs.ext4", "mount", "udevadm", "umount"):
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


def test_a_formatted_disk_that_cannot_be_mounted_gets_a_new_file_system(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock("blkid")
    node.mock_failing_first("mount", times=1)
    assert run(node).returncode == 0
    assert len(node.calls_of("mkfs.ext4")) == 1
    assert len(node.calls_of("mount")) == 2
    assert environment(node)["SPARK_LOCAL_DIRS"] == "/mnt/spark-nvme1n1/local"


def test_a_mounted_disk_that_became_read_only_gets_a_new_file_system(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock("mountpoint")
    node.mock("touch", "echo 'Read-only file system' >&2; exit 1")
    assert run(node).returncode == 0
    assert [call.split()[0] for call in node.calls if call.startswith(("umount", "mkfs", "mount "))] == [
        "umount",
        "mkfs.ext4",
        "mount",
    ]


def test_a_read_only_disk_that_is_in_use_is_left_out(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock("mountpoint")
    node.mock("touch", "exit 1")
    node.mock("umount", "echo 'target is busy' >&2; exit 32")
    assert run(node).returncode != 0
    assert node.calls_of("mkfs.ext4") == []


@pytest.mark.parametrize("command", ["mkfs.ext4", "mount"])
def test_a_disk_that_cannot_be_used_is_left_out(node: Node, command: str) -> None:
    for number in (1, 2):
        disk(node, f"nvme{number}n1", f"{NAME}AWS{number}")
    node.mock(command, "[[ $* != *nvme1n1* ]] || exit 1")
    done = run(node)
    assert done.returncode == 0
    assert "local-dirs: " in done.stderr
    assert "nvme1n1 cannot be used, and is left out" in done.stderr
    assert environment(node) == {
        "SPARK_LOCAL_DIRS": "/mnt/spark-nvme2n1/local",
        "SPARK_WORKER_DIR": "/mnt/spark-nvme2n1/work",
    }


@pytest.mark.parametrize("command", ["mkfs.ext4", "mount"])
def test_fails_when_no_disk_of_the_instance_can_be_used(node: Node, command: str) -> None:
    """And with it the start of the worker, which systemd tries again: its root volume is not made for shuffle data."""
    disk(node, "nvme1n1", f"{NAME}AWS1")
    node.mock(command, "echo 'I/O error' >&2; exit 1")
    done = run(node)
    assert done.returncode != 0
    assert "I/O error" in done.stderr
    assert done.stderr.splitlines()[-1] == "local-dirs: no disk of this instance can be used"
    assert not (node.root / "run/spark-cluster/local-dirs.env").exists()


def test_disks_are_looked_for_once_udev_has_named_them(node: Node) -> None:
    node.mock(
        "udevadm",
        f'cd "{node.root}/dev" && : >nvme1n1 && ln -s ../../nvme1n1 disk/by-id/{NAME}AWS1',
    )
    assert run(node).returncode == 0
    assert environment(node)["SPARK_LOCAL_DIRS"] == "/mnt/spark-nvme1n1/local"


def test_a_udev_that_does_not_answer_is_not_waited_for_any_longer(node: Node) -> None:
    node.mock("udevadm", "exit 1")
    assert run(node).returncode == 0


def test_programs_of_others_gain_nothing_from_the_disks(node: Node) -> None:
    disk(node, "nvme1n1", f"{NAME}AWS1")
    run(node)
    (call,) = node.calls_of("mount")
    assert {"nosuid", "nodev"} <= set(call.split()[2].split(","))


@pytest.mark.parametrize("name", ["local", "work"])
def test_root_follows_no_link_that_was_left_there(node: Node, name: str) -> None:
    target = node.write("etc/target", mode=0o644).parent
    folder = node.root / "var/lib/spark-local"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(target)
    assert run(node).returncode == 0
    assert not (folder / name).is_symlink()
    assert (folder / name).is_dir()
    calls = [call for call in node.calls_of("install") if call.endswith("/spark-local")]
    assert calls, "the parent is taken first"
    assert all("-o root -g root" in call for call in calls)


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices")
@pytest.mark.parametrize("damage", ["none", "superblock", "everything"])
def test_a_real_file_system_that_is_damaged_is_made_anew(node: Node, damage: str, tmp_path: Path) -> None:
    """On a loop device, in a mount namespace that ends with the test."""
    image = node.root / "dev/nvme1n1"
    disk(node, "nvme1n1", f"{NAME}AWS1")
    image.write_bytes(bytes(64 << 20))
    for tool in ("blkid", "mkfs.ext4", "mountpoint"):
        (node.bin / tool).unlink(missing_ok=True)
        (node.bin / tool).symlink_to(shutil.which(tool) or f"/usr/sbin/{tool}")
    mount = shutil.which("mount")
    node.mock("mount", f'{mount} "$1" "$2,loop" "${{@:3}}" && {mount} >>"{tmp_path}/mounts"')
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    before = uuid(image)
    with image.open("r+b") as file:
        # The first group has the descriptors and the inode of the root folder; 1 KiB in is the superblock itself.
        file.seek({"none": 0, "superblock": 1024 + 0x60, "everything": 4096}[damage])
        file.write({"none": b"", "superblock": b"\xff" * 4, "everything": os.urandom(4 << 20)}[damage])
    done = node.run("/usr/bin/unshare", "-m", "bash", USERDATA / "worker" / LIB / "local-dirs")
    assert done.returncode == 0, done.stderr
    assert "/mnt/spark-nvme1n1 type ext4 (rw,nosuid,nodev,noatime" in (tmp_path / "mounts").read_text()
    assert environment(node)["SPARK_LOCAL_DIRS"] == "/mnt/spark-nvme1n1/local"
    assert (uuid(image) == before) == (damage == "none")


def uuid(image: Path) -> str:
    done = subprocess.run(
        ["blkid", "-p", "-o", "value", "-s", "UUID", image], check=False, capture_output=True, text=True
    )
    return done.stdout


def clean(node: Node, *folders: str) -> CompletedProcess[str]:
    dirs = ",".join(str(node.root / folder) for folder in folders)
    return node.run("bash", USERDATA / "worker" / LIB / "clean-local-dirs", SPARK_LOCAL_DIRS=dirs)


def test_what_a_crash_left_of_shuffle_data_goes_from_all_disks(node: Node) -> None:
    (node.bin / "find").symlink_to(shutil.which("find") or "")
    node.write("mnt/a/local/spark-1/executor-2/blockmgr-3/0c/shuffle_0_0_0.data")
    node.write("mnt/b/local/spark-4/blockmgr-5/00/temp_local_6")
    kept = node.write("mnt/a/work/app-1/0/stderr")
    outside = node.write("home/spark/file")
    (node.root / "mnt/b/local/link").symlink_to(outside.parent)
    assert clean(node, "mnt/a/local", "mnt/b/local").returncode == 0
    assert [list((node.root / f"mnt/{disk}/local").iterdir()) for disk in "ab"] == [[], []]
    assert kept.exists()
    assert outside.exists()


def test_only_the_spark_user_reads_shuffle_data(node: Node) -> None:
    run(node)
    (call,) = [call for call in node.calls_of("install") if call.endswith("/local")]
    assert "-o spark -g spark -m 700" in call
    for name in ("local", "work"):
        assert (node.root / "var/lib/spark-local" / name).stat().st_mode & 0o777 == 0o700
