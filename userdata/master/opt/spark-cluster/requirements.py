#!/usr/bin/python3
"""Python packages of a job's own, for its driver and its executors.

They are named by a requirements file of pip's, or come packed: a .tar.gz or .tgz with a folder of packages that pip
installed elsewhere, or a virtual environment. What was made of one of them is kept, and found by its content.

As a program: `requirements.py FILE PROGRAM [ARGUMENT...]`, in a driver's unit, as the drivers' user: makes them, or
finds them, and becomes PROGRAM. All of it lies in that user's home: root follows no path in there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import aws
import drivers
import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = f"{drivers.HOME}/python-packages"
KEPT_BYTES = 4 << 30  # of all that is kept, besides what drivers that run use
FOLDER, ARCHIVE = "python-packages", "python-packages.tar.gz"  # for the driver, and for its executors
LINKS = ".packages"  # in a driver's scratch: names of both that are known before they are made
PACKED = (".tar.gz", ".tgz")
PIP_SECONDS = 1800
INSTALL_SECONDS = 300
INSTALL_LOCK = "/run/spark-requirements.lock"
WITHIN = ("timeout", "--kill-after=10")
OUT_OF_TIME = 124
CHUNK_BYTES = 1 << 20


def say(message: str) -> None:
    print(f"requirements: {message}", file=sys.stderr, flush=True)


def is_packed(file: str) -> bool:
    return file.endswith(PACKED)


# Before the driver begins, as root.


def install_pip() -> None:
    """The package manager's pip for the Python of jobs, which no boot installs: few need it."""
    python = settings.load()["python_version"]
    with open(settings.path(INSTALL_LOCK), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        look = "import importlib.util, sys; sys.exit(not importlib.util.find_spec('pip'))"
        # Not in the caller's folder, which Python would look through first.
        if subprocess.run([f"python{python}", "-c", look], cwd="/", check=False).returncode == 0:
            return
        aws.use_proxy()
        if shutil.which("dnf"):
            package, commands = f"python{python}-pip", [["dnf", "install", "-y", "-q"]]
        else:
            os.environ["DEBIAN_FRONTEND"] = "noninteractive"
            install = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60", "install", "--no-install-recommends"]
            package, commands = "python3-pip", [["apt-get", "-qq", "update"], install]
        commands[-1].append(package)
        say(f"{commands[-1][0]} installs {package}, this once")
        for command in commands:
            if subprocess.run([*WITHIN, str(INSTALL_SECONDS), *command], stdout=sys.stderr, check=False).returncode:
                raise SystemExit(f"requirements: {command[0]} cannot install {package}; packed packages need none")


def for_executors(options: list[str], scratch: str) -> list[str]:
    """Options of spark-submit by which executors get the packages, too, beside what the caller gives them.

    Spark unpacks an archive in the folder that an executor runs in
    (https://spark.apache.org/docs/latest/configuration.html: spark.archives), and before a task that needs it.
    """
    archives = asked(options, "spark.archives", "--archives")
    path = asked(options, "spark.executorEnv.PYTHONPATH")
    return [
        *options,
        *("--archives", ",".join(filter(None, [f"{scratch}/{LINKS}/{ARCHIVE}#{FOLDER}", archives]))),
        *("--conf", "spark.executorEnv.PYTHONPATH={}".format(":".join(filter(None, [python_path(FOLDER), path])))),
    ]


def python_path(folder: str) -> str:
    """Where packages are in it: at its top, or where a virtual environment has them."""
    return "{0}:{0}/lib/python{1}/site-packages".format(folder, settings.load()["python_version"])


def asked(options: list[str], key: str, option: str = "") -> str:
    """What these options give a property; an option of its own goes before --conf, and that before spark_defaults."""
    by_conf, by_option = settings.load()["spark_defaults"].get(key, ""), ""
    words = iter(options)
    for word in words:
        name, sign, value = word.partition("=")
        if word not in drivers.FLAGS and not sign:
            value = next(words)
        if name == option:
            by_option = value
        elif name in {"--conf", "-c"} and value.partition("=")[0] == key:
            by_conf = value.partition("=")[2]
    return by_option or by_conf


# In the driver's unit.


def obtain(file: str) -> str:
    """Where the packages of a file are; they stay there as long as this process is, whatever it becomes."""
    kept = settings.path(KEPT)
    os.makedirs(kept, exist_ok=True)
    made = f"{kept}/{digest(file)}"
    if not hold(made):
        with alone(kept):
            if not hold(made):  # which another driver may have made meanwhile
                make(file, made)
                hold(made)
            make_room(kept)
    return made


def digest(file: str) -> str:
    found = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()[:16]


def hold(made: str) -> bool:
    """Keep what was made from being removed, by a lock that is never given back; whether it is there."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(made, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(descriptor), os.stat(made)):  # it may have been removed before the lock was had
            os.utime(made)
            fcntl.fcntl(descriptor, fcntl.F_SETFD, 0)  # the program that this one becomes has it, too
            return True
    return False


@contextlib.contextmanager
def alone(kept: str) -> Iterator[None]:
    """One at a time: pip takes memory and disk, and what is half made is of a driver that has ended."""
    with open(f"{kept}/lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waits until those of another job are made")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(file: str, made: str) -> None:
    for half in os.listdir(os.path.dirname(made)):
        if half.endswith(".new"):
            clear(f"{os.path.dirname(made)}/{half}")
    new = f"{made}.new"
    folder, archive = f"{new}/{FOLDER}", f"{new}/{ARCHIVE}"
    os.makedirs(folder)
    try:
        if is_packed(file):
            run("tar", "--extract", "--gzip", f"--file={file}", f"--directory={folder}", "--no-same-owner")
            shutil.copyfile(file, archive)
        else:
            python = "python{}".format(settings.load()["python_version"])
            say(f"pip installs what {os.path.basename(file)} names, within {PIP_SECONDS} s")
            quietly = ("--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check")
            pip = (python, "-m", "pip", "install", *quietly, f"--target={folder}", f"--requirement={file}")
            run(*WITHIN, str(PIP_SECONDS), *pip)
            run("tar", "--create", "--use-compress-program=gzip -1", f"--file={archive}", f"--directory={folder}", ".")
        os.rename(new, made)
    except BaseException:
        clear(new)
        raise


def run(*command: str) -> None:
    """What it has to say comes before. In the scratch: pip's Python looks first through the folder it runs in."""
    status = subprocess.run(command, cwd=os.environ["TMPDIR"], check=False).returncode
    if status == OUT_OF_TIME:
        raise SystemExit(f"requirements: pip did not end within {PIP_SECONDS} s")
    if status:
        what = "pip" if "pip" in command else command[0]
        raise SystemExit(f"requirements: {what} ended with status {status}: the packages cannot be had")


def make_room(kept: str) -> None:
    """What was not used for the longest time goes, but for what a driver uses."""
    names = [name for name in os.listdir(kept) if name != "lock"]
    names.sort(key=lambda name: os.stat(f"{kept}/{name}").st_mtime, reverse=True)
    total_bytes = 0
    for name in names:
        size = bytes_in(f"{kept}/{name}")
        total_bytes += size
        if total_bytes > KEPT_BYTES and remove(f"{kept}/{name}"):
            total_bytes -= size


def clear(folder: str) -> None:
    """Remove it, with the folders in it that nobody may write to: an archive may have such."""
    subprocess.run(["chmod", "--recursive", "u+rwX", folder], check=True)
    shutil.rmtree(folder)


def bytes_in(folder: str) -> int:
    return sum(os.lstat(f"{at}/{name}").st_blocks * 512 for at, _, files in os.walk(folder) for name in files)


def remove(made: str) -> bool:
    """Whether nobody used it."""
    descriptor = os.open(made, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gone = f"{made}.new"  # like what is half made: if this is cut off, the next one removes it
        os.rename(made, gone)
        clear(gone)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def main(file: str, *program: str) -> None:
    os.umask(0o022)
    environment = dict(os.environ)  # without a proxy, which drivers do not get
    aws.use_proxy()
    made, links = obtain(file), f"{environment['TMPDIR']}/{LINKS}"
    os.mkdir(links)
    for name in (FOLDER, ARCHIVE):
        os.symlink(f"{made}/{name}", f"{links}/{name}")
    environment["PYTHONPATH"] = python_path(f"{links}/{FOLDER}")
    os.execve(program[0], program, environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
