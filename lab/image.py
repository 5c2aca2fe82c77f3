"""The images hosts boot from: stand-ins for AMIs, built once as overlayfs layers and kept in the cache.

Every layer is made by one script in the folder `images/`. Its folder in the cache is named by a hash of that script, of
the files it is given and of the layer below, so a changed recipe makes another image and an unchanged one is found.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from . import authority, maven
from .places import CACHE, SPARK_VERSION
from .spark_archive import SparkArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_IMAGES = CACHE / "images"
_RECIPES = Path(__file__).with_name("images")
_RELEASE = "bookworm"
_REPOSITORY = "usr/share/lab-packages"

_JAVA = "java"
"""The program that stands before the real one on every host."""
_JAVA_RPM = "java-17-amazon-corretto-headless"
_PYTHON_RPM = "python3.11"
_PIP_RPM = "python3.11-pip"
_RPM_PAYLOADS = {
    _JAVA_RPM: "openjdk-17-jre-headless",
    "python3-boto3": "python3-boto3",
    _PIP_RPM: "python3-pip",
    "nginx": "nginx",
}
"""Which Debian package, with all it needs, each RPM of the Amazon Linux stand-in carries."""
_RPM_VERSIONS = {"system-release": "2023", _JAVA_RPM: "17.0", _PYTHON_RPM: "3.11", "python3": "3.9"}


@dataclass(frozen=True)
class Image:
    """Folders that overlayfs puts over each other, uppermost first."""

    layers: tuple[Path, ...]

    @property
    def lower(self) -> str:
        """The layers as overlayfs's `lowerdir` takes them."""
        return ":".join(map(str, self.layers))

    def find(self, path: str) -> Path | None:
        """Return the file that the image has at `path`."""
        return next((layer / path for layer in self.layers if os.path.lexists(layer / path)), None)


def debian12() -> Image:
    """Debian 12: the image of the `apt` family."""
    files = {name: (_RECIPES / name).read_bytes() for name in ("debian12.packages", _JAVA)}
    return _layer("debian12", _common(), "debian12.sh", files, finish=_index_debs)


def al2023() -> Image:
    """A stand-in for Amazon Linux 2023: the image of the `dnf` family."""
    tools = _layer("amazon_tools", _common(), "amazon_tools.sh")
    installed = (_RECIPES / "al2023.installed").read_bytes()
    inputs = [
        tools.lower.encode(),
        installed,
        *_contents("package.spec", "amazon_payload.sh", _JAVA),
        repr(_RPM_PAYLOADS).encode(),
    ]
    rpms = _cached("amazon_rpms", inputs, lambda target: _build_rpms(tools, installed.decode().split(), target))
    return _layer("al2023", tools, "al2023.sh", {"al2023.installed": installed}, {"rpms": rpms})


def al2023_packages() -> Image:
    """The stand-in with the packages that a node installs, and without Spark."""
    return _layer("al2023_packages", al2023(), "al2023_packages.sh")


def al2023_spark() -> Image:
    """The stand-in pre-baked: with the packages, with Spark and the jars of S3A, so that a node downloads none."""
    archive = SparkArchive(SPARK_VERSION)
    archive.ensure()
    folders = {"spark": archive.path.parent, "jars": maven.for_an_image(SPARK_VERSION)}
    return _layer("al2023_spark", al2023_packages(), "al2023_spark.sh", folders=folders)


def _with_classes(below: Callable[[], Image]) -> Callable[[], Image]:
    """The same image of the stand-in, with Spark's classes as Java maps them into memory."""

    def image() -> Image:
        archive = SparkArchive(SPARK_VERSION)
        archive.ensure()
        made = _layer("classes", al2023_packages(), "classes.sh", folders={"spark": archive.path.parent})
        return Image((made.layers[0], *below().layers))

    return image


IMAGES: Mapping[str, Callable[[], Image]] = {
    "al2023": _with_classes(al2023),
    "debian12": debian12,
    "al2023-packages": _with_classes(al2023_packages),
    "al2023-spark": _with_classes(al2023_spark),
}
"""By the name of the AMI that stands for each, after its prefix; `al2023` stands for every other AMI, too."""


def _common() -> Image:
    debian = _cached(
        "debian", [_RELEASE.encode()], lambda target: _run("debootstrap", "--variant=minbase", _RELEASE, str(target))
    )
    return _layer("common", Image((debian,)), "common.sh", {"ca.pem": authority.ensure().read_bytes()})


def _layer(
    name: str,
    below: Image,
    script: str,
    files: Mapping[str, bytes] | None = None,
    folders: Mapping[str, Path] | None = None,
    finish: Callable[[Path], None] = lambda _target: None,
) -> Image:
    """Return `below` with one more layer: what `script` changes, given `files` and `folders`."""
    files, folders = files or {}, folders or {}

    def build(target: Path) -> None:
        _run_over(below, target, script, files, folders)
        finish(target)

    inputs = [below.lower.encode(), *_contents("build_layer.sh", script), repr(sorted(files.items())).encode()]
    inputs += [str(folder).encode() for folder in folders.values()]
    return Image((_cached(name, inputs, build), *below.layers))


def _cached(name: str, inputs: Iterable[bytes], build: Callable[[Path], None]) -> Path:
    """Return the folder that `build` made of these inputs, now or earlier; what other inputs had made is removed."""
    digest = hashlib.sha256()
    for one in inputs:
        digest.update(hashlib.sha256(one).digest())
    path = _IMAGES / f"{name}-{digest.hexdigest()[:12]}"
    if not path.exists():
        _IMAGES.mkdir(parents=True, exist_ok=True)
        for earlier in _IMAGES.glob(f"{name}-*"):
            shutil.rmtree(earlier)
        partial = path.with_name(f"{path.name}.partial")
        build(partial)
        partial.rename(path)
    return path


def _contents(*names: str) -> list[bytes]:
    return [(_RECIPES / name).read_bytes() for name in names]


def _run_over(
    below: Image, target: Path, script: str, files: Mapping[str, bytes], folders: Mapping[str, Path] | None = None
) -> None:
    with TemporaryDirectory() as staged:
        shutil.copy(_RECIPES / script, staged)
        for name, content in files.items():
            (Path(staged) / name).write_bytes(content)
        for name, folder in (folders or {}).items():
            shutil.copytree(folder, Path(staged) / name)
        build_layer = ("bash", str(_RECIPES / "build_layer.sh"), str(target), below.lower, staged, script)
        unshare = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        _run("setpriv", "--pdeathsig", "KILL", *unshare, *build_layer)


def _index_debs(layer: Path) -> None:
    repository = layer / _REPOSITORY
    with (repository / "Packages").open("wb") as index:
        subprocess.run(("dpkg-scanpackages", "."), cwd=repository, check=True, stdout=index, stderr=subprocess.PIPE)


def _build_rpms(tools: Image, installed: Iterable[str], target: Path) -> None:
    """Make the RPM repository: packages that carry files, and bare names of what the image has anyway."""
    with TemporaryDirectory(dir=_IMAGES, prefix="amazon_rpms-") as scratch:
        for name, debian in _RPM_PAYLOADS.items():
            payload = Path(scratch) / name
            _run_over(tools, payload, "amazon_payload.sh", {"payload.packages": debian.encode()})
            if name == _JAVA_RPM:
                _adapt_java(payload)
            if name == _PIP_RPM:
                _keep_pip_alone(payload)
            _build_rpm(name, payload, _added_files(payload, tools), target)
        payload = Path(scratch) / _PYTHON_RPM
        _copy_python(tools, payload)
        _build_rpm(_PYTHON_RPM, payload, _added_files(payload, Image(())), target)
        nothing = Path(scratch) / "nothing"
        nothing.mkdir()
        for name in installed:
            _build_rpm(name, nothing, (), target)
    _run("createrepo_c", str(target))


def _adapt_java(payload: Path) -> None:
    """Give Java the homes that Corretto's packages have, and put the lab's own program before it."""
    home = next((payload / "usr/lib/jvm").glob("java-17-openjdk-*"))
    (home / "bin/java").rename(home / "bin/java.distrib")
    shutil.copy(_RECIPES / _JAVA, home / "bin/java")
    for name in ("java-17-amazon-corretto", "java-17-amazon-corretto.x86_64", "jre-17", "jre"):
        (home.parent / name).symlink_to(home.name)


def _keep_pip_alone(payload: Path) -> None:
    """Give pip the folder that modules for Python 3.11 have there; what came with it the system's Python would see."""
    modules, own = payload / "usr/lib/python3/dist-packages", payload / "usr/lib/python3.11/site-packages"
    own.mkdir(parents=True)
    for pip in modules.glob("pip*"):
        pip.rename(own / pip.name)
    shutil.rmtree(modules)


def _copy_python(tools: Image, payload: Path) -> None:
    python = tools.find("usr/bin/python3.11")
    if python is None:
        message = "the image has no /usr/bin/python3.11"
        raise FileNotFoundError(message)
    (payload / "usr/bin").mkdir(parents=True)
    shutil.copy(python, payload / "usr/bin")


def _added_files(payload: Path, below: Image) -> list[str]:
    """List what a layer adds for good: no state of a package manager, no whiteouts, nothing that was there before."""
    added = []
    for top in ("usr", "etc"):
        for folder, subfolders, files in os.walk(payload / top):
            links = [name for name in subfolders if (Path(folder) / name).is_symlink()]
            for name in files + links:
                path = Path(folder) / name
                inside = str(path.relative_to(payload))
                if not stat.S_ISCHR(path.lstat().st_mode) and below.find(inside) is None:
                    added.append(f"/{inside}")
    return sorted(added)


def _build_rpm(name: str, root: Path, files: Sequence[str], target: Path) -> None:
    with TemporaryDirectory() as build:
        macros = {
            "lab_name": name,
            "lab_version": _RPM_VERSIONS.get(name, "1.0"),
            "lab_root": str(root),
            "_topdir": build,
            "_rpmdir": str(target),
            "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
        }
        if files:  # rpmbuild refuses an empty list.
            listing = Path(build) / "files"
            listing.write_text("".join(f'"{file}"\n' for file in files), encoding="utf-8")
            macros["lab_files"] = str(listing)
        defines = [word for macro, value in macros.items() for word in ("--define", f"{macro} {value}")]
        _run("rpmbuild", "-bb", "--quiet", *defines, str(_RECIPES / "package.spec"))


def _run(*command: str) -> None:
    """Run a build step; all it says is of interest only when it fails."""
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        output = done.stdout.decode(errors="replace")
        message = f"{command[0]} failed with status {done.returncode}:\n{output}"
        raise RuntimeError(message)
