"""A standalone cluster of Spark's own processes on addresses of loopback, with the settings that a node would have.

No host and no AWS: what is Spark's alone can be tried and measured here in seconds. A worker's "power" is cut by ending
its process group by SIGKILL, its executors with it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cluster import until
from .deployment import ROOT
from .places import CACHE, SPARK_VERSION
from .spark_archive import SparkArchive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PROGRAMS = ("first_stage", "common")
_MASTER = "127.0.0.1"
_WAIT_SECONDS = 180.0
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_NOT_HERE = {
    "spark.deploy.recoveryDirectory",
    "spark.deploy.recoveryMode",
    "spark.ui.reverseProxy",
    "spark.ui.reverseProxyUrl",
}
"""Settings of a node that are of its own folders, and of its pages."""


def spark_home(version: str = SPARK_VERSION) -> Path:
    """Where the release lies unpacked; it is unpacked if it does not."""
    archive = SparkArchive(version)
    archive.ensure()
    folder = CACHE / "unpacked" / archive.path.parent.name
    if not folder.exists():
        partial = folder.with_suffix(f".{os.getpid()}")
        with tarfile.open(archive.path) as release:
            release.extractall(partial, filter="data")
        with suppress(OSError):  # another process was faster
            partial.rename(folder)
    return folder / archive.root


def defaults(version: str = SPARK_VERSION) -> dict[str, str]:
    """What `spark_conf.py` gives every node."""
    folders = os.pathsep.join(str(ROOT / f"userdata/{part}/opt/spark-cluster") for part in _PROGRAMS)
    program = f"import json, spark_conf; print(json.dumps(spark_conf.defaults({_MASTER!r}, {version!r})))"
    asked = subprocess.run(
        (sys.executable, "-c", program),
        env={**os.environ, "PYTHONPATH": folders},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(asked.stdout)
    return {key: value for key, value in found.items() if key not in _NOT_HERE}


def _free_port() -> int:
    """A port of the master's address that nobody listens at."""
    with socket.create_server((_MASTER, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass
class Worker:
    """One worker's process, on an address and in a folder of its own."""

    address: str
    ui_port: int
    folder: Path
    process: subprocess.Popen[bytes]

    def decommission(self) -> None:
        """Ask it to leave, as the drain of a node does."""
        self.process.send_signal(signal.SIGPWR)

    def cut_power(self) -> None:
        """End it and all that it has started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def number_of_executors(self) -> int | None:
        """How many executors it has, as its own page tells; None while that does not answer."""
        executors = _json(f"http://{self.address}:{self.ui_port}/json/").get("executors")
        return None if executors is None else len(executors)

    def executors_said(self) -> str:
        """The errors of all executors that it had."""
        return "".join(one.read_text(errors="replace") for one in sorted(self.folder.glob("work/*/*/stderr")))


@dataclass
class Loopback:
    """A running cluster.

    Attributes:
        folder: its configuration, its event logs, the folders and logs of its processes.
        cores: of each worker.
        workers: in the order in which they were added.
        ui_port: of the pages of its master and of its workers.
    """

    folder: Path
    cores: int
    workers: list[Worker] = field(default_factory=list)
    _port: int = field(default_factory=_free_port)
    ui_port: int = field(default_factory=_free_port)
    _others: list[subprocess.Popen[Any]] = field(default_factory=list)

    @property
    def event_logs(self) -> Path:
        """Where its drivers log."""
        return self.folder / "events"

    def add_worker(self) -> Worker:
        """Start one more worker, and wait until the master has it."""
        number = len(self.workers) + 2
        address = f"127.0.0.{number}"
        own = self.folder / f"worker-{number}"
        arguments = (
            *("--host", address, "--webui-port", str(self.ui_port), "--cores", str(self.cores), "--memory", "2g"),
            *("--work-dir", str(own / "work"), f"spark://{_MASTER}:{self._port}"),
        )
        worker = Worker(address, self.ui_port, own, self._daemon("worker.Worker", address, own, arguments))
        self.workers.append(worker)
        until(lambda: address in self._alive(), _WAIT_SECONDS, f"the worker at {address}")
        return worker

    def submit(self, *arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a driver; what it prints is to be read from its `stdout`, Spark's own words lie in `driver.log`."""
        options = [word for key, value in (settings or {}).items() for word in ("--conf", f"{key}={value}")]
        with (self.folder / "driver.log").open("ab") as log:
            driver = subprocess.Popen(
                (*_ENDS_WITH_US, spark_home() / "bin/spark-submit", *options, *arguments),
                env=self._environment(_MASTER, self.folder / "driver"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._others.append(driver)
        return driver

    def said(self, driver: subprocess.Popen[str], pattern: str) -> str:
        """The next line of a driver whose beginning matches, without its end; those before it are passed over."""
        assert driver.stdout, "it is a pipe"
        for line in driver.stdout:
            if re.match(pattern, line):
                return line.strip()
        message = f"the driver ended without {pattern!r}:\n{(self.folder / 'driver.log').read_text()[-3000:]}"
        raise RuntimeError(message)

    def start(self, properties: Mapping[str, str]) -> None:
        """Write the configuration, and start the master."""
        lines = {
            **defaults(),
            "spark.master": f"spark://{_MASTER}:{self._port}",
            "spark.authenticate.secret": "of-loopback",
            "spark.driver.host": _MASTER,
            "spark.executor.memory": "1g",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self.event_logs.as_uri(),
            "spark.eventLog.rolling.enabled": "true",
            "spark.eventLog.compress": "false",
            "spark.ui.showConsoleProgress": "false",
            **properties,
        }
        self.event_logs.mkdir(parents=True)
        conf = self.folder / "conf"
        conf.mkdir()
        text = "".join(f"{key} {value}\n" for key, value in lines.items())
        (conf / "spark-defaults.conf").write_text(text, encoding="utf-8")
        arguments = ("--host", _MASTER, "--port", str(self._port), "--webui-port", str(self.ui_port))
        self._others.append(self._daemon("master.Master", _MASTER, self.folder / "master", arguments))
        until(lambda: self._state().get("status") == "ALIVE", _WAIT_SECONDS, "the master")

    def end(self) -> None:
        """End all that it has started."""
        for process in (*self._others, *(worker.process for worker in self.workers)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _state(self) -> dict[str, Any]:
        return _json(f"http://{_MASTER}:{self.ui_port}/json/")

    def _alive(self) -> set[str]:
        return {worker["host"] for worker in self._state().get("workers", []) if worker["state"] == "ALIVE"}

    def _daemon(self, name: str, address: str, own: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        own.mkdir()
        with (own / "log").open("wb") as log:
            return subprocess.Popen(
                (*_ENDS_WITH_US, spark_home() / "bin/spark-class", f"org.apache.spark.deploy.{name}", *arguments),
                env=self._environment(address, own),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self, address: str, own: Path) -> dict[str, str]:
        """The pages of Spark listen where SPARK_LOCAL_IP says, and everywhere without it."""
        return {
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_LOCAL_IP": address,
            "SPARK_LOCAL_DIRS": str(own / "local"),
            "SPARK_DAEMON_MEMORY": "512m",
            # Better no daemon than one on the next port, beside one of another cluster.
            "SPARK_DAEMON_JAVA_OPTS": "-Dspark.port.maxRetries=0",
        }


@contextmanager
def cluster(
    folder: Path, *, workers: int, cores: int = 1, properties: Mapping[str, str] | None = None
) -> Iterator[Loopback]:
    """A cluster in an empty folder, with `properties` over a node's settings; it ends with the context."""
    started = Loopback(folder, cores)
    try:
        started.start(properties or {})
        for _ in range(workers):
            started.add_worker()
        yield started
    finally:
        started.end()


def _json(url: str) -> dict[str, Any]:
    """What a page answers; empty if it does not."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (OSError, ValueError):
        return {}
