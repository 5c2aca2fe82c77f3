"""Spark's release archive, made of the PyPI package `pyspark`.

The package's source distribution holds the files of the release itself in other folders, and is the copy of Spark that
a machine without a way to Apache's hosts can most likely get. What is not in it, and nodes must not need: the templates
in `conf/`, `sbin/start-master.sh` and its like, the examples' jar, the R and Kubernetes folders.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .places import CACHE

_RELEASE_FOLDERS = {
    "deps/examples": "examples/src/main/python",
    "deps": "",
    "pyspark": "python/pyspark",
    "lib": "python/lib",
}
"""Which folder of a release each folder of the source distribution is; the first that matches counts."""
_RELEASE_FILES = {"LICENSE", "NOTICE", "README.md"}
_GZIP_LEVEL = 1  # Nearly all of it is jars, which are compressed already.


@dataclass(frozen=True)
class SparkArchive:
    """One release's archive in the cache, with its checksum file beside it."""

    version: str

    @property
    def root(self) -> str:
        """The only folder in the archive, and the archive's name without its suffix."""
        return f"spark-{self.version}-bin-hadoop3"

    @property
    def path(self) -> Path:
        """The archive itself, in a folder that is another one for another recipe."""
        recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        return CACHE / "spark" / f"{self.version}-{recipe[:12]}" / f"{self.root}.tgz"

    @property
    def checksum_path(self) -> Path:
        """The checksum in the format of Spark's newer releases, that of `sha512sum`."""
        return self.path.with_name(f"{self.path.name}.sha512")

    @property
    def sha512(self) -> str:
        """The archive's checksum; it is the lab's own, not that of Apache's archive."""
        return self.checksum_path.read_text(encoding="ascii").split()[0]

    def ensure(self) -> None:
        """Make the archive if it is not in the cache."""
        if self.checksum_path.exists():
            return
        for earlier in self.path.parent.parent.glob(f"{self.version}-*"):
            shutil.rmtree(earlier)
        self.path.parent.mkdir(parents=True)
        partial = self.path.with_suffix(".partial")
        with tarfile.open(self._source_distribution()) as source:
            self._write(source, partial)
        with partial.open("rb") as written:
            digest = hashlib.file_digest(written, "sha512").hexdigest()
        partial.rename(self.path)
        self.checksum_path.write_text(f"{digest}  {self.path.name}\n", encoding="ascii")

    def _source_distribution(self) -> Path:
        path = CACHE / "sdist" / f"pyspark-{self.version}.tar.gz"
        if not path.exists():
            _download(self.version, path.parent)
        return path

    def _write(self, source: tarfile.TarFile, target: Path) -> None:
        """Write the release; no time of writing goes into it, so that its checksum says what is in it."""
        with (
            target.open("wb") as file,
            gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as compressed,
            tarfile.open(fileobj=compressed, mode="w") as release,
        ):
            note = f"Spark {self.version} built for Hadoop 3\n".encode()
            marker = tarfile.TarInfo(f"{self.root}/RELEASE")
            marker.size = len(note)
            release.addfile(marker, io.BytesIO(note))
            conf = tarfile.TarInfo(f"{self.root}/conf")
            conf.type, conf.mode = tarfile.DIRTYPE, 0o755
            release.addfile(conf)
            for member in source:
                name = _release_name(member.name.partition("/")[2])
                if name is not None:
                    member.name = f"{self.root}/{name}"
                    member.uname, member.gname, member.uid, member.gid = "root", "root", 0, 0
                    release.addfile(member, source.extractfile(member) if member.isreg() else None)


def _download(version: str, folder: Path) -> None:
    """Get the source distribution with pip, from wherever pip gets its packages here."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "pyspark")
    subprocess.run((*pip, "--dest", str(folder), f"pyspark=={version}"), check=True)


def _release_name(name: str) -> str | None:
    """Return where a release has the source distribution's `name`, or None if a release has no such file."""
    if name in _RELEASE_FILES:
        return name
    for folder, place in _RELEASE_FOLDERS.items():
        if name.startswith(f"{folder}/"):
            return f"{place}{name.removeprefix(folder)}".lstrip("/")
    return None
