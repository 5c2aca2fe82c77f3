"""Python packages of a job's own, as docs/submitting.md has them: pip is the distribution's, its index PyPI's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab import faults, pypi
from lab.cluster import Cluster, write
from lab.lab import connects, requests, run
from lab.places import PYPI_FILES_HOST, PYPI_HOST
from tests.lab.documents import Clone, blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.deployment import Deployment
    from lab.hosts import Host
    from lab.lab import Lab

KEPT = "/home/spark-driver/python-packages"

TABLES = """
import os
import tabulate
from pyspark.sql import SparkSession
spark = SparkSession.builder.appName("tables").getOrCreate()
tables = spark.sparkContext.parallelize(range(4), 2).map(lambda n: tabulate.tabulate([[n]], tablefmt="plain"))
print("tables", tables.collect(), "with proxy", os.environ.get("https_proxy"))
"""


@pytest.fixture(scope="module", autouse=True)
def with_pypi(lab: Lab) -> None:
    if lab.without_pypi:
        pytest.skip(lab.without_pypi)


def asked_of_pypi() -> list[dict[str, Any]]:
    return [
        one for one in requests() if one["url"].startswith((f"https://{PYPI_HOST}/", f"https://{PYPI_FILES_HOST}/"))
    ]


def knows_msgpack(host: Host) -> bool:
    return run(host, "python3.11", "-c", "import msgpack").returncode == 0


@pytest.mark.long
def test_a_requirements_file_is_enough_and_where_no_index_is_reached_packed_packages_are(
    demo: Cluster, demo_deployment: Deployment, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    demo.wait_ready()
    clone, master = Clone.of(tmp_path, demo_deployment), demo.master()
    by_name, packed = blocks("submitting.md", "## Python packages")
    before = len(demo.refused())

    done = clone.run(by_name)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "numbers: 4950" in done.stdout
    assert run(master, "rpm", "--query", "python3.11-pip").returncode == 0
    assert not any(map(knows_msgpack, [master, *demo.workers().values()])), "no host has it for itself"
    assert run(master, "find", KEPT, "-name", "*.so").stdout, "it has a compiled module"
    assert run(master, "find", KEPT, "!", "-user", "spark-driver").stdout == "", "root has made nothing of it"

    asked = len(asked_of_pypi())
    assert asked >= 2
    with faults.injected(downloads={f"https://{PYPI_HOST}": "refuse", f"https://{PYPI_FILES_HOST}": "refuse"}):
        again = clone.run(by_name)
        assert "numbers: 4950" in again.stdout, again.stdout[-3000:]
        made = clone.run(packed, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(pypi.REPOSITORY))
        assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
        assert "numbers: 4950" in made.stdout
    assert len(asked_of_pypi()) == asked
    assert demo.refused()[before:] == []
    size = run(master, "du", "--summarize", "--human-readable", KEPT).stdout.split()[0]
    record_property("kept on the master:", size)


def test_what_is_wrong_with_a_package_is_in_the_job_s_output_and_its_status(demo: Cluster) -> None:
    master = demo.master()
    write(master, "/opt/tables.py", TABLES)
    write(master, "/opt/wrong.txt", f"tabulate==0.9.0 --hash=sha256:{'0' * 64}\n")
    done = run(master, "/usr/local/bin/spark-job", "--requirements", "/opt/wrong.txt", "/opt/tables.py", timeout=300)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stdout
    assert done.stdout.splitlines()[-1] == "requirements: pip ended with status 1: the packages cannot be had"
    assert "SparkContext" not in done.stdout, "Spark has not begun"


@pytest.mark.long
def test_packages_come_through_the_cluster_s_proxy_which_the_driver_does_not_get(debian: Cluster) -> None:
    master = debian.master()
    debian.wait_ready()
    write(master, "/opt/tables.py", TABLES)
    write(master, "/opt/needs.txt", "tabulate==0.9.0\n")
    before = len(connects())
    done = run(master, "/usr/local/bin/spark-job", "--requirements=/opt/needs.txt", "/opt/tables.py", timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "requirements: apt-get installs python3-pip, this once" in done.stderr
    assert "tables ['0', '1', '2', '3'] with proxy None" in done.stdout
    through = {one["host"] for one in connects()[before:] if one["client"] == debian.master_address()}
    assert {PYPI_HOST, PYPI_FILES_HOST} <= through
