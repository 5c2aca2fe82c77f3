"""Rows of s3a_jars.json for jars of Maven Central: `pin_jars.py GROUP:ARTIFACT:VERSION...`.

Each is downloaded once and compared with the SHA-1 that is published beside it; of the AWS SDK the row also has the
SHA-256 of what a node makes of it.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from spark_cluster import lazy_provider

lazy_provider.import_lazily()

# ruff: noqa: E402 - the provider comes first
from lab.maven import Jar
from spark_cluster import s3a, userdata

PROGRAMS = userdata.folder() / "common/opt/spark-cluster"
SDK = re.compile(r"software\.amazon\.awssdk:bundle:|com\.amazonaws:aws-java-sdk-bundle:")


def main(*coordinates: str) -> int:
    """Print a row for each; return 1 if one is not what its repository says."""
    if not coordinates:
        sys.stderr.write(f"{__doc__}")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for one in coordinates:
            jar = Path(folder) / "whole.jar"
            url = f"{s3a.MAVEN_CENTRAL}/{Jar(*one.split(':')).path}"
            urllib.request.urlretrieve(url, jar)
            with urllib.request.urlopen(f"{url}.sha1") as answer:
                published = answer.read().decode().split()[0]
            if (got := digest(jar, "sha1")) != published:
                sys.stderr.write(f"{url} has SHA-1 {got}, published is {published}\n")
                return 1
            row = [one, digest(jar, "sha256")]
            if SDK.match(one):
                slim = jar.with_name("slim.jar")
                subprocess.run([sys.executable, PROGRAMS / "slim_jar.py", jar, slim], check=True)
                row.append(digest(slim, "sha256"))
            sys.stdout.write(":".join(row) + "\n")
    return 0


def digest(file: Path, algorithm: str) -> str:
    """Of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
