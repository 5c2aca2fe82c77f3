"""requirements.py: Python packages of a job's own. pip is real, its index a folder of this test's."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requirements

from tests.userdata.node import USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = [USERDATA / part / "opt/spark-cluster" for part in ("first_stage", "common", "master")]

# A driver: says what it finds, and stays as long as a file is there.
DRIVER = """
import os, sys, time
import greeting
print("says", greeting.WORD, "from", os.environ["PYTHONPATH"], "with proxy", os.environ.get("https_proxy"), flush=True)
while os.path.exists(sys.argv[1]):
    time.sleep(0.05)
"""


class Master:
    """A master's files, and an index of wheels."""

    def __init__(self, root: Path) -> None:
        self.root, self.wheels = root, root / "wheels"
        self.wheels.mkdir()
        self.bin = root / "bin"
        self.bin.mkdir()
        self.kept = root / "home/spark-driver/python-packages"
        (root / "run").mkdir()
        self.drivers = 0

    def mock(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/bash\n{text}\n")
        (self.bin / name).chmod(0o755)

    def wheel(self, word: str) -> Path:
        """A wheel of the package `greeting`, which has this word."""
        files = {
            "greeting.py": f"WORD = {word!r}\n",
            "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
            "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        lines = []
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{name},sha256={digest},{len(text)}\n")
        files["greeting-1.0.dist-info/RECORD"] = "".join([*lines, "greeting-1.0.dist-info/RECORD,,\n"])
        made = self.wheels / "greeting-1.0-py3-none-any.whl"
        with zipfile.ZipFile(made, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return made

    def file(self, *lines: str) -> Path:
        """A requirements file that takes its packages from that index alone."""
        made = self.root / "requirements.txt"
        made.write_text("".join(f"{line}\n" for line in ("--no-index", f"--find-links {self.wheels}", *lines)))
        return made

    def start(self, file: Path, *arguments: str) -> subprocess.Popen[str]:
        """A driver, with the environment that its unit gives it."""
        self.drivers += 1
        scratch = self.root / f"var/lib/spark-driver/job-{self.drivers}"
        scratch.mkdir(parents=True)
        program = USERDATA / "master/opt/spark-cluster/requirements.py"
        return subprocess.Popen(
            [sys.executable, program, file, sys.executable, "-c", DRIVER, *(arguments or ("/no/such/file",))],
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "PYTHONPATH": os.pathsep.join(map(str, PROGRAMS)),
                "SPARK_CLUSTER_ROOT": str(self.root),
                "TMPDIR": str(scratch),
                "PYTHONDONTWRITEBYTECODE": "yes",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, file: Path) -> tuple[int, str]:
        """A driver's status, and what was said."""
        driver = self.start(file)
        said, _ = driver.communicate(timeout=120)
        return driver.returncode, said

    def made(self) -> list[str]:
        return sorted(path.name for path in self.kept.iterdir() if path.name != "lock")


@pytest.fixture
def master(root: Path, settle: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Master:
    settle("master")
    made = Master(root)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    # Whatever pip is told on the machine that runs the tests.
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    return made


def test_a_driver_finds_what_a_requirements_file_names(master: Master) -> None:
    master.wheel("hello")
    status, said = master.run(master.file("greeting==1.0"))
    assert status == 0, said
    packages = master.root / "var/lib/spark-driver/job-1/.packages"
    assert said.splitlines() == [
        "requirements: pip installs what requirements.txt names, within 1800 s",
        f"says hello from {paths(f'{packages}/python-packages')} with proxy None",
    ]
    with tarfile.open(packages / "python-packages.tar.gz") as archive:
        assert "./greeting.py" in archive.getnames()


def paths(folder: str) -> str:
    return f"{folder}:{folder}/lib/python3.11/site-packages"


def test_it_is_made_once_for_each_content(master: Master) -> None:
    wheel = master.wheel("hello")
    assert master.run(master.file("greeting==1.0"))[0] == 0
    wheel.unlink()
    assert "says hello" in master.run(master.file("greeting==1.0"))[1]
    status, said = master.run(master.file("greeting==1.0", "# another content"))
    assert status == 1
    assert "No matching distribution found for greeting==1.0" in said
    assert said.splitlines()[-1] == "requirements: pip ended with status 1: the packages cannot be had"
    assert len(master.made()) == 1


def test_hashes_are_held_against_what_comes(master: Master) -> None:
    digest = hashlib.sha256(master.wheel("hello").read_bytes()).hexdigest()
    assert "says hello" in master.run(master.file(f"greeting==1.0 --hash=sha256:{digest}"))[1]
    status, said = master.run(master.file(f"greeting==1.0 --hash=sha256:{'0' * 64}"))
    assert status == 1
    assert "DO NOT MATCH THE HASHES" in said


@pytest.mark.parametrize("inside", ["", "lib/python3.11/site-packages"])
def test_packed_packages_need_no_pip_whether_in_a_folder_or_in_an_environment(master: Master, inside: str) -> None:
    (master.root / "deps" / inside).mkdir(parents=True)
    (master.root / "deps" / inside / "greeting.py").write_text("WORD = 'packed'\n")
    packed = master.root / "python-packages.tar.gz"
    subprocess.run(["tar", "-czf", packed, "-C", master.root / "deps", "."], check=True)
    master.mock("python3.11", "exit 9")
    status, said = master.run(packed)
    assert status == 0, said
    assert said.startswith("says packed from ")
    shipped = master.root / "var/lib/spark-driver/job-1/.packages/python-packages.tar.gz"
    assert shipped.read_bytes() == packed.read_bytes()


def test_what_is_no_archive_says_so_and_leaves_nothing(master: Master) -> None:
    (master.root / "x.tgz").write_text("not packed")
    status, said = master.run(master.root / "x.tgz")
    assert status == 1
    assert "not in gzip format" in said
    assert master.made() == []


def test_pip_has_an_end(master: Master) -> None:
    master.mock("timeout", "exit 124")
    status, said = master.run(master.file("greeting==1.0"))
    assert status == 1
    assert said.splitlines()[-1] == "requirements: pip did not end within 1800 s"


def test_pip_gets_the_cluster_s_proxy_and_the_driver_does_not(master: Master) -> None:
    (master.root / "etc/spark-cluster/proxy.env").write_text("https_proxy=http://proxy:3128\n")
    folder = 'for word; do [[ $word != --target=* ]] || folder=${word#*=}; done; echo "WORD = 1" >$folder/greeting.py'
    master.mock("python3.11", f'echo "pip with $https_proxy in $PWD"; {folder}')
    said = master.run(master.file("greeting==1.0"))[1]
    assert f"pip with http://proxy:3128 in {master.root}/var/lib/spark-driver/job-1\n" in said
    assert "with proxy None" in said


def heard(driver: subprocess.Popen[str], word: str) -> str:
    """What a driver says, up to the line that has this word."""
    assert driver.stdout is not None
    said = ""
    while word not in said:
        line = driver.stdout.readline()
        assert line, said
        said += line
    return said


def test_two_drivers_at_once_make_it_once(master: Master) -> None:
    folder = 'for word; do [[ $word != --target=* ]] || folder=${word#*=}; done; echo "WORD = 1" >$folder/greeting.py'
    master.mock("python3.11", f"echo pip; until [[ -e {master.root}/go ]]; do sleep 0.05; done; {folder}")
    file = master.file("greeting==1.0")
    first = master.start(file)
    heard(first, "pip\n")
    second = master.start(file)
    heard(second, "waits until those of another job are made")
    (master.root / "go").touch()
    assert "says 1" in first.communicate(timeout=60)[0]
    said, _ = second.communicate(timeout=60)
    assert said.startswith("says 1"), "without pip"


def test_what_was_half_made_when_its_driver_was_stopped_goes(master: Master) -> None:
    (master.kept / "0123456789abcdef.new/python-packages").mkdir(parents=True)
    master.wheel("hello")
    assert master.run(master.file("greeting==1.0"))[0] == 0
    assert len(master.made()) == 1
    assert not master.made()[0].endswith(".new")


def keep(master: Master, name: str, age_seconds: float) -> Path:
    """A megabyte that was made and last used some time ago."""
    made = master.kept / name
    made.mkdir(parents=True)
    (made / "x").write_bytes(bytes(1 << 20))
    os.utime(made, (time.time() - age_seconds,) * 2)
    return made


def test_of_what_is_kept_that_goes_which_was_not_used_for_the_longest_time(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "KEPT_BYTES", 5 << 19)
    for name, age in {"old": 300, "older": 400, "new": 100, "newer": 50}.items():
        keep(master, name, age)
    assert requirements.hold(str(master.kept / "older"))  # and so it is the one that was used last
    requirements.make_room(str(master.kept))
    assert master.made() == ["newer", "older"]


def test_what_a_driver_uses_stays_as_long_as_it_runs_whatever_its_process_has_become(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    master.wheel("hello")
    stay = master.root / "stay"
    stay.touch()
    driver = master.start(master.file("greeting==1.0"), str(stay))
    heard(driver, "says hello")
    monkeypatch.setattr(requirements, "KEPT_BYTES", 0)
    keep(master, "other", 0)
    requirements.make_room(str(master.kept))
    (used,) = master.made()
    assert used != "other"
    stay.unlink()
    driver.communicate(timeout=60)
    requirements.make_room(str(master.kept))
    assert master.made() == []


SCRATCH = "/var/lib/spark-driver/job-1"
OURS = f"{SCRATCH}/.packages/python-packages.tar.gz#python-packages"
PATH = "spark.executorEnv.PYTHONPATH"


@pytest.mark.parametrize(
    ("options", "defaults", "archives", "path"),
    [
        ([], {}, OURS, "python-packages"),
        (["--archives", "a.zip#a", "--archives=b.zip"], {}, f"{OURS},b.zip", "python-packages"),
        (["--conf", "spark.archives=c.zip"], {"spark.archives": "d.zip"}, f"{OURS},c.zip", "python-packages"),
        (["--archives", "b.zip", "-c", "spark.archives=c.zip"], {}, f"{OURS},b.zip", "python-packages"),
        ([], {"spark.archives": "d.zip", PATH: "d"}, f"{OURS},d.zip", "python-packages:d"),
        ([f"--conf={PATH}=a=b:c"], {PATH: "d"}, OURS, "python-packages:a=b:c"),
        (["--name", "--conf", "--conf", f"{PATH}=e"], {}, OURS, "python-packages:e"),
    ],
)
def test_executors_get_them_beside_what_the_caller_gives_them(
    master: Master, settle: Callable[..., None], options: list[str], defaults: dict[str, str], archives: str, path: str
) -> None:
    settle("master", spark_defaults=defaults)
    added = requirements.for_executors(options, SCRATCH)
    assert added == [
        *options,
        "--archives",
        archives,
        "--conf",
        f"{PATH}={path.replace('python-packages', paths('python-packages'))}",
    ]


# As root, before the driver begins.


def no_pip(master: Master) -> None:
    master.mock("python3.11", f'echo "$PWD" >>{master.root}/looked; exit 1')


def test_pip_is_not_installed_where_it_is(master: Master) -> None:
    for name in ("dnf", "apt-get"):
        master.mock(name, f"touch {master.root}/called")
    requirements.install_pip()
    assert not (master.root / "called").exists()


@pytest.mark.parametrize(
    ("manager", "calls"),
    [
        ("dnf", ["dnf install -y -q python3.11-pip"]),
        (
            "apt-get",
            [
                "apt-get -qq update",
                "apt-get -qq -o DPkg::Lock::Timeout=60 install --no-install-recommends python3-pip",
            ],
        ),
    ],
)
def test_the_package_manager_s_pip_is_installed_with_the_cluster_s_proxy(
    master: Master, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, manager: str, calls: list[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == manager else None)
    for name in ("https_proxy", "DEBIAN_FRONTEND"):
        monkeypatch.setenv(name, "other")
    (master.root / "etc/spark-cluster/proxy.env").write_text("https_proxy=http://proxy:3128\n")
    no_pip(master)
    master.mock(manager, f'echo "{manager} $*" >>{master.root}/called; env | grep ^https_proxy >{master.root}/proxy')
    requirements.install_pip()
    assert (master.root / "called").read_text().splitlines() == calls
    assert (master.root / "proxy").read_text() == "https_proxy=http://proxy:3128\n"
    assert (master.root / "looked").read_text() == "/\n", "Python looks first through the folder that it runs in"
    said = capfd.readouterr().err
    assert said == f"requirements: {manager} installs {calls[-1].split()[-1]}, this once\n"


def test_a_package_manager_that_cannot_says_what_needs_none(
    master: Master, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "dnf" else None)
    no_pip(master)
    master.mock("dnf", "echo no way out >&2; exit 1")
    with pytest.raises(
        SystemExit, match=r"^requirements: dnf cannot install python3\.11-pip; packed packages need none"
    ):
        requirements.install_pip()
    assert "no way out" in capfd.readouterr().err


def test_what_nobody_may_write_to_is_removed_too() -> None:
    """As archives have folders; not as root, whom that would not stop."""
    program = "import os, sys, requirements\nos.makedirs('made/a/b')\nos.chmod('made/a', 0o555)\n"
    program += "requirements.clear('made')\nprint(os.listdir())\n"
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory() as folder:
        programs, here = Path(folder) / "programs", Path(folder) / "here"
        for part in ("first_stage", "common", "master"):
            shutil.copytree(USERDATA / part / "opt/spark-cluster", programs, dirs_exist_ok=True)
        here.mkdir()
        here.chmod(0o777)
        Path(folder).chmod(0o755)
        command = (*as_nobody, "/usr/bin/python3", "-B", "-c", program)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(programs)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here, env=environment)
    assert done.stdout == "[]\n", done.stderr
