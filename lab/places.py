"""Where things are: folders on this machine, addresses inside the lab."""

from __future__ import annotations

import os
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spark-cluster-lab"
"""What is made once and kept: images, Spark's archive, the lab's certificate authority."""

RUN = CACHE / "run"
"""What the present or the last run made: logs, the deployed stack and its state, the hosts' own files."""

REFUSED_LOG = RUN / "refused.jsonl"
"""A line of JSON for each call of a node that was refused: not allowed, throttled, or no service."""

CALL_LOG = RUN / "calls.jsonl"
"""A line of JSON for each operation and set of arguments that Terraform or a node used."""

REQUEST_LOG = RUN / "requests.jsonl"
"""A line of JSON for each request to a download host."""

CONNECT_LOG = RUN / "connects.jsonl"
"""A line of JSON for each connection through the proxy."""

SERVICES = "10.77.0.1"
"""Where the name server and the download hosts answer; no VPC of a test may contain it."""

AWS = "10.77.0.2"
"""Where the AWS API answers nodes, by https; no VPC of a test may contain it."""

METADATA = "169.254.169.254"

AWS_PORT = 5555
AWS_ENDPOINT = f"http://{SERVICES}:{AWS_PORT}"
"""Where it answers the deployer, and the lab's own services."""

PROXY_PORT = 3128

DEPLOYER = "lab"
"""The access key of the deployer, and its secret: the only one that is no node's."""

REGION = "us-east-1"

AWS_DOMAIN = "amazonaws.com"
"""What the names of all of AWS's endpoints end with."""

S3_DOMAINS = (f"s3.{REGION}.{AWS_DOMAIN}", f"s3.{AWS_DOMAIN}")
"""What stands after a bucket's name: the second, of us-east-1 alone, is what SDKs for Java ask there by themselves.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-s3-regional-endpoint.html
"""

SPARK_VERSION = "4.3.0"
"""The release that the download hosts have, and the pre-baked image."""

IMAGE_NAME_PREFIX = "spark-cluster-lab-"
"""What the names of AMIs begin with that stand for another image than that of Amazon Linux 2023."""

ARCHIVE_HOST = "archive.apache.org"
"""Of the Apache Software Foundation's hosts, the one that keeps everything below `/dist`."""

MAVEN_HOST = "repo.maven.apache.org"
"""Maven Central."""

PYPI_HOST = "pypi.org"
PYPI_FILES_HOST = "files.pythonhosted.org"
"""PyPI's index, and where that says its files are."""

DOWNLOAD_HOSTS = ("dlcdn.apache.org", "downloads.apache.org", ARCHIVE_HOST, MAVEN_HOST, PYPI_HOST, PYPI_FILES_HOST)
"""The hosts that nodes fetch Spark, its jars and packages of jobs from, all of them played by the lab."""
