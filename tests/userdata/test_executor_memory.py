"""executor_memory.py: what an executor gets that fills a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import executor_memory
import observation
import pytest
import spark_conf
import tick

from spark_cluster import checks
from tests.userdata.conftest import client
from tests.userdata.moto_group import GROUP, addresses, listed, make_group, mixed

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def executor(root: Path, as_master: None) -> Path:
    return root / "etc/spark-cluster/executor.env"


KERNELS = {
    # Nominal MiB and what kubelet did not find of it (its capacity is MemTotal): Karpenter's own table,
    # pkg/providers/instancetype/zz_generated.memory_overhead.go of aws/karpenter-provider-aws at 33450d8.
    "a1.medium": (2048, 241),
    "c5.large": (4096, 405),
    "c5.xlarge": (8192, 560),
    "c5.4xlarge": (32768, 1710),
    "c5.18xlarge": (147456, 6728),
    "c5n.large": (5376, 457),
    "c6g.medium": (2048, 209),
    "c6i.large": (4096, 273),
    "c7g.medium": (2048, 209),
    "g5.xlarge": (16384, 590),
    "i3en.large": (16384, 699),
    "m5.large": (8192, 559),
    "m5.xlarge": (16384, 868),
    "m5.24xlarge": (393216, 10573),
    "m6a.2xlarge": (32768, 1375),
    "m6g.medium": (4096, 296),
    "m6i.xlarge": (16384, 672),
    "m6i.32xlarge": (524288, 16441),
    "m7a.medium": (4096, 311),
    "r6a.48xlarge": (1572864, 57072),
    "t2.small": (2048, 96),
    "t3.small": (2048, 131),
    "t3.medium": (4096, 253),
    "t4g.small": (2048, 197),
    "vt1.3xlarge": (24576, 2069),
    "x2iezn.2xlarge": (262144, 7119),
}
TOO_SMALL = {"t3.nano": (512, 89), "t3a.nano": (512, 87), "t2.micro": (1024, 79), "t3.micro": (1024, 104)}


def offered(nominal_mib: int, hidden_mib: int) -> int:
    """What a worker gives to executors whose kernel says so in /proc/meminfo."""
    return spark_conf.worker_memory_mib(
        spark_conf.total_memory_mib(f"MemTotal: {(nominal_mib - hidden_mib) * 1024} kB")
    )


@pytest.mark.parametrize("name", KERNELS)
def test_an_executor_fits_a_worker_of_a_type_that_was_not_seen_yet(name: str) -> None:
    nominal, hidden = KERNELS[name]
    memory = executor_memory.executor_memory_mib([executor_memory.expected_offer(name, 4, nominal)], 0)
    assert spark_conf.LEAST_EXECUTOR_MIB <= memory <= offered(nominal, hidden)
    assert memory >= 0.8 * offered(nominal, hidden)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_executors_of_fewer_cores_fit_it_too(name: str, cores: int) -> None:
    nominal, hidden = KERNELS[name]
    worker = offered(nominal, hidden)
    for memory_mib in (executor_memory.expected_offer(name, 4, nominal).memory_mib, worker):
        executor = executor_memory.executor_memory_mib([observation.Offer(name, 4, memory_mib)], cores)
        assert worker // executor >= 1
        assert executor == spark_conf.LEAST_EXECUTOR_MIB or executor * (4 // cores) <= worker


@pytest.mark.parametrize("name", TOO_SMALL)
def test_types_that_are_refused_have_no_room_for_an_executor(name: str) -> None:
    assert offered(*TOO_SMALL[name]) < spark_conf.LEAST_EXECUTOR_MIB
    with pytest.raises(ValueError, match="must be an EC2 instance type with 2 GiB of memory or more"):
        checks.instance_type("workers.instance_types[0]", name)


@pytest.mark.parametrize(("cores", "share"), [(0, 1), (1, 0.25), (2, 0.5), (4, 1), (8, 1)])
def test_an_executor_of_fewer_cores_gets_its_share(cores: int, share: float) -> None:
    assert executor_memory.executor_memory_mib([observation.Offer("a", 4, 13000)], cores) == int(13000 * share)


def test_the_share_is_of_the_worker_that_leaves_least() -> None:
    offers = [observation.Offer("wide", 8, 13000), observation.Offer("narrow", 4, 13001)]
    assert executor_memory.executor_memory_mib(offers, 2) == int(13000 / 4)


def expected(nominal_mib: int, share: float = 1) -> str:
    return f"SPARK_EXECUTOR_MEMORY={int(executor_memory.expected_offer('any', 4, nominal_mib).memory_mib * share)}m\n"


def test_spark_gets_the_memory_that_is_expected_of_the_smallest_type_of_the_group(executor: Path) -> None:
    make_group(1, ("m6i.xlarge", "m5.2xlarge"))
    tick.Journal().tick()
    assert executor.read_text() == expected(16384)
    assert executor.stat().st_mode & 0o777 == 0o644


def test_what_workers_offer_takes_the_place_of_what_is_expected_of_their_type(
    executor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(1, ("m6i.xlarge",))
    listed(monkeypatch, (addresses()[0], 4, 13355))
    tick.Journal().tick()
    assert executor.read_text() == "SPARK_EXECUTOR_MEMORY=13355m\n"
    listed(monkeypatch, (addresses()[0], 4, 11000))
    tick.Journal().tick()
    assert executor.read_text() == "SPARK_EXECUTOR_MEMORY=11000m\n", "even if it is less"


def test_a_type_that_no_worker_has_yet_is_heeded_beside_what_workers_offer(
    executor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(1, ("m6i.xlarge", "c5.xlarge"))
    listed(monkeypatch, (addresses()[0], 4, 13355))
    tick.Journal().tick()
    assert executor.read_text() == expected(8192)


def test_a_stranger_s_worker_shapes_no_executor(executor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_group(1, ("m6i.xlarge",))
    listed(monkeypatch, ("10.9.9.9", 1, 600))
    tick.Journal().tick()
    assert executor.read_text() == expected(16384)


def test_the_caller_s_cores_of_an_executor_are_heeded(executor: Path, settle: Callable[..., None]) -> None:
    settle("master", executor_cores=2)
    make_group(1)
    tick.Journal().tick()
    assert executor.read_text() == expected(16384, 0.5)


def test_other_types_are_asked_for_once(executor: Path, calls: Counter[str]) -> None:
    make_group(1, ("m6i.xlarge",))
    tick.Journal().tick()
    template = client("ec2").describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
    client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=GROUP, MixedInstancesPolicy=mixed(template, ("m6i.2xlarge",))
    )
    calls.clear()
    for _ in range(3):
        tick.Journal().tick()
    assert calls["DescribeInstanceTypes"] == 1
    assert executor.read_text() == expected(32768)


@pytest.mark.parametrize("content", ["", "\0\0\0", '{"m6i.xlarge": [4'])
def test_types_that_a_power_cut_lost_are_asked_for_again(
    root: Path, executor: Path, calls: Counter[str], content: str
) -> None:
    make_group(1)
    (root / executor_memory.TYPES_FILE.lstrip("/")).write_text(content)
    tick.Journal().tick()
    assert calls["DescribeInstanceTypes"] == 1
    assert executor.read_text() == expected(16384)


def test_a_group_that_names_no_types_is_no_reason_to_size_an_executor_for_any(executor: Path) -> None:
    seen = observation.Observation(has_group=True)
    with pytest.raises(ValueError, match="the group names no instance types"):
        list(executor_memory.keep_executor_memory(seen))
    assert not executor.exists()
