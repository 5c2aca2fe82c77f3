"""What jobs find that use S3 from Java: its own names and https, whole uploads, credentials that end, a proxy."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from lab import faults, maven
from lab.cluster import Cluster, submit, until, write
from lab.lab import connects, refused, run
from lab.places import AWS, MAVEN_HOST, REGION, SPARK_VERSION

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from lab.hosts import Host
    from lab.lab import Lab

JARS = "/opt/s3a"
LARGE_MIB = 100
CONNECT = """
from pyspark.java_gateway import launch_gateway
java = launch_gateway().jvm.java
for url in {urls}:
    print(java.net.URL(url).openConnection().getResponseCode())
"""
COPY = """
import time
from pyspark.java_gateway import launch_gateway
jvm = launch_gateway().jvm
hadoop = jvm.org.apache.hadoop
conf = hadoop.conf.Configuration()
conf.set("fs.s3a.endpoint.region", "{region}")
folder = hadoop.fs.Path("s3a://{bucket}/data/lab")
fs, local = folder.getFileSystem(conf), hadoop.fs.FileSystem.getLocal(conf)

def copy(source, target):
    hadoop.io.IOUtils.copyBytes(source, target, conf, True)

for name in ("large", "date=2020-01-01 00%3A00/small"):
    copy(local.open(hadoop.fs.Path("/opt/large")), fs.create(hadoop.fs.Path(folder, name), True))
print("written", flush=True)
time.sleep(max(0, {until} - time.time()))
copy(fs.open(hadoop.fs.Path(folder, "large")), local.create(hadoop.fs.Path("/opt/copy"), True))
part = fs.open(hadoop.fs.Path(folder, "large"))
part.seek(70 << 20)
print("byte", part.read())
print("listed", sorted(one.getPath().getName() for one in fs.listStatus(folder)))
print("deleted", fs.delete(folder, True), fs.exists(folder))
"""


@pytest.fixture(scope="module")
def s3a(lab: Lab, demo: Cluster) -> Iterator[Host]:
    """A master with the jars of its Spark from Maven Central beside it, and a large file."""
    if lab.without_maven:
        pytest.skip(lab.without_maven)
    host = demo.master()
    for jar in maven.JARS[SPARK_VERSION]:
        fetch = ("curl", "-sSf", "--create-dirs", "--output-dir", JARS, "-O", f"https://{MAVEN_HOST}/maven2/{jar.path}")
        done = run(host, *fetch, timeout=300)
        assert done.returncode == 0, done.stderr
    run(host, "dd", "if=/dev/urandom", "of=/opt/large", "bs=1M", f"count={LARGE_MIB}")
    yield host
    run(host, "rm", "-rf", JARS, "/opt/large", "/opt/copy")


def copy(cluster: Cluster, host: Host, *, not_before: float = 0) -> subprocess.CompletedProcess[str]:
    """Write, read in part and as a whole, list and delete with S3A, in a JVM that has nothing of the lab's."""
    write(host, "/opt/use_s3a.py", COPY.format(region=REGION, bucket=cluster.bucket(), until=not_before))
    options = ("--master", "local[1]", "--driver-class-path", f"{JARS}/*")
    return run(host, "/opt/spark/bin/spark-submit", *options, "/opt/use_s3a.py", timeout=300)


def test_a_node_knows_aws_by_its_own_names_alone(demo: Cluster) -> None:
    bucket = demo.bucket()
    names = [f"{bucket}.s3.{REGION}.amazonaws.com", f"{bucket}.s3.amazonaws.com", f"ssm.{REGION}.amazonaws.com"]
    for host in (demo.master(), *demo.workers().values()):
        for name in names:
            assert AWS in run(host, "getent", "ahosts", name).stdout
        told = run(host, "bash", "-c", "systemctl show-environment; cat /proc/1/environ; grep -r AWS_ /etc/environment")
        assert "AWS_" not in told.stdout


def test_java_trusts_the_hosts_that_jobs_need(demo: Cluster) -> None:
    _trusted_by_java(demo)


def test_java_of_other_images_trusts_them_too(debian: Cluster, baked: Cluster) -> None:
    _trusted_by_java(debian)
    _trusted_by_java(baked)


def _trusted_by_java(cluster: Cluster) -> None:
    bucket = cluster.bucket()
    hosts = [f"{bucket}.s3.{REGION}.amazonaws.com", f"{bucket}.s3.amazonaws.com", f"s3.{REGION}.amazonaws.com"]
    urls = [f"https://{host}/" for host in [*hosts, MAVEN_HOST]]
    for host in (cluster.master(), *list(cluster.workers().values())[:1]):
        # S3 refuses who does not sign; the repository has nothing at its top.
        assert submit(host, CONNECT.format(urls=urls)).split() == ["403", "403", "403", "404"]


def test_s3a_writes_reads_lists_and_deletes(demo: Cluster, s3a: Host) -> None:
    before = len(refused())
    done = copy(demo, s3a)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "listed ['date=2020-01-01 00%3A00', 'large']" in done.stdout
    assert "deleted True False" in done.stdout
    byte = run(s3a, "od", "-An", "-tu1", "-j", str(70 << 20), "-N1", "/opt/large").stdout.strip()
    assert f"byte {byte}\n" in done.stdout
    assert run(s3a, "cmp", "/opt/large", "/opt/copy").returncode == 0
    assert [line for line in done.stderr.splitlines() if " WARN " in line and "s3a" in line.lower()] == []
    assert refused()[before:] == []


def test_s3a_outlives_its_first_credentials(demo: Cluster, s3a: Host) -> None:
    before, now = len(refused()), time.time()
    with faults.injected(credentials_end={"demo": (now, now + 60)}):
        first = _credentials(s3a)
        done = copy(demo, s3a, not_before=now + 61)
        assert done.returncode == 0, done.stdout + done.stderr[-3000:]
        assert refused()[before:] == []
        assert _credentials(s3a)["AccessKeyId"] != first["AccessKeyId"]
        assert "ExpiredToken" in _list_with(s3a, first, demo.bucket())
    assert [one["code"] for one in refused()[before:]] == ["ExpiredToken"]


def _credentials(host: Host) -> dict[str, str]:
    """What the metadata service gives a host now."""
    ask = """
    base=http://169.254.169.254/latest
    token=$(curl -sSf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
    roles=$base/meta-data/iam/security-credentials/
    get() { curl -sSf -H "X-aws-ec2-metadata-token: $token" "$1"; }
    get "$roles$(get $roles)"
    """
    given: dict[str, str] = json.loads(run(host, "bash", "-c", ask).stdout)
    return given


def _list_with(host: Host, given: dict[str, str], bucket: str) -> str:
    """What S3 says to who lists a bucket with these credentials."""
    code = f"""
import boto3
session = boto3.session.Session({given["AccessKeyId"]!r}, {given["SecretAccessKey"]!r}, {given["Token"]!r}, {REGION!r})
session.client("s3").list_objects_v2(Bucket={bucket!r})
"""
    return run(host, "/usr/bin/python3", "-c", code).stderr


def test_a_proxy_connects_and_tells_where(lab: Lab, demo: Cluster) -> None:
    (worker, *_) = demo.workers().values()
    url = f"https://{demo.bucket()}.s3.{REGION}.amazonaws.com/"
    answer = run(worker, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--proxy", lab.proxy(), url)
    assert answer.stdout == "403", answer.stderr
    until(lambda: connects() and connects()[-1]["host"] in url, 5, "it is noted")
