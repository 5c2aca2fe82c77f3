#!/usr/bin/python3
"""Fetch, verify, unpack and share what this node needs. `artifacts.py SECONDS`: all of it, within so many seconds.

Ends with status 0 once everything is in its place; else with status 1, and the cause as the one line on standard
output. Run again, it leaves alone what is there, and goes on where it was cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
import zlib
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import polling
import s3a
import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AWS, COPIES, STORE_ONCE, SLIM_JAR = (
    str(Path(__file__).with_name(name)) for name in ("aws.py", "copies.py", "store_once.py", "slim_jar.py")
)
DOWNLOADS = Path(settings.path("/var/cache/spark-cluster"))
# Before a boot has ended, nothing says that what was unpacked has reached the disk: a power cut may have emptied it.
UNPACKING = Path(settings.path("/var/lib/spark-cluster/unpacking"))

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2, 30  # between two rounds over all sources
TRIES = 4  # of a transfer that breaks off
GIVE_UP_ROUNDS = 2  # in which no source has the right bytes, if one of them has wrong ones
ABSENT_ROUNDS = 4  # in a row in which all hosts of the web say that there is no such file: it may be on its way

CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20  # the most that a user may have; with the usual 64 KiB reader and writer wait for each other
F_SETPIPE_SZ = 1031  # fcntl has the name since Python 3.10
GZIP = 16 + zlib.MAX_WBITS
DIGITS = {"sha1": 40, "sha256": 64, "sha512": 128}  # Maven's repositories always have the first

CURL = [
    *("curl", "--fail", "--location", "--proto", "=https", "--silent", "--show-error", "--connect-timeout", "10"),
    *("--speed-limit", "10240", "--speed-time", "30", "--continue-at", "-", "--write-out", "%{http_code}"),
]
CURL_CANNOT_WRITE, CURL_CANNOT_RESUME, CURL_HTTP_ERROR = 23, 33, 22
OUT_OF_TIME = 124  # of timeout
IS_THERE = 5  # of store_once.py
TAR = ("tar", "-x", "--strip-components=1", "--no-same-owner", "--no-same-permissions")
WITHIN = ("timeout", "--kill-after=10")
ROOM = ("df", "-h", "--output=avail")
ALL_THERE, UNCHANGED, ABSENT, NOBODY = "416", "304", ("404", "410"), "000"  # nobody was reached, or the time is over
PASSING_ERRORS = ("408", "429", "5")  # what such an answer begins with


class Sink(Protocol):
    """Takes an artifact's bytes."""

    children: Sequence[subprocess.Popen[bytes]]

    def write(self, data: bytes) -> None:
        """The next of them."""

    def close(self) -> str:
        """What was wrong with them, or an empty text."""


@dataclass(frozen=True)
class Artifact(ABC):
    """What a node needs, and how that becomes of a file; how the file comes is the same for all."""

    name: str  # as people know it
    file: str
    copy: str  # where the master shares it with the workers
    sources: Sequence[str]
    digest: str  # SHA-256 or SHA-512; empty: what its publisher says
    digest_urls: Sequence[str]  # where its publisher says so
    folder: Path
    slim_digest: str  # of what is made smaller: that is shared, and put into its folder; empty: it stays whole

    @property
    def copy_digest(self) -> str:
        """Of what is shared."""
        return self.slim_digest or self.digest

    @property
    def copies(self) -> Sequence[str]:
        """What a worker needs of what is shared: the file, and its digest if that is not known."""
        return [self.copy] if self.copy_digest else [self.copy, f"{self.copy}.sha512"]

    @property
    @abstractmethod
    def unsure(self) -> Path:
        """Is there from before it is unpacked until that boot has ended."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to do if no source has it."""

    @abstractmethod
    def sink(self, aside: Path) -> Sink:
        """What makes of the file's bytes, in an empty folder, what is then settled."""

    @abstractmethod
    def settle(self, aside: Path) -> None:
        """Move what was unpacked aside to where it belongs; raises `ArtifactError` if that is something else."""


@dataclass(frozen=True)
class Tarball(Artifact):
    """A gzipped tarball that becomes a folder, without the tarball's own first one."""

    program: str  # in the folder: what makes it the right one

    @property
    def unsure(self) -> Path:
        """By the folder's name."""
        return UNPACKING / self.folder.name

    @property
    def advice(self) -> str:
        """None: the sources are the caller's or Apache's."""
        return ""

    def is_there(self) -> bool:
        """Whether this node has it: put there by a boot, or by whoever made the AMI."""
        return self.is_in(self.folder) and not self.unsure.exists()

    def is_in(self, folder: Path) -> bool:
        """Whether a folder holds what it must."""
        return os.access(folder / self.program, os.X_OK)

    def sink(self, aside: Path) -> Sink:
        """Unpacks it."""
        return Tar(aside)

    def settle(self, aside: Path) -> None:
        """In place of the folder that was there."""
        if not self.is_in(aside):
            raise ArtifactError(f"{self.file} has no {self.program}")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        aside.rename(self.folder)


@dataclass(frozen=True)
class Jar(Artifact):
    """A file that is put into a folder as it is."""

    @property
    def unsure(self) -> Path:
        """By its own name."""
        return UNPACKING / self.file

    @property
    def advice(self) -> str:
        """Who has no way to the repository, or another Spark than it knows, has other ways."""
        return f"; {s3a.WITHOUT_IT}"

    def sink(self, aside: Path) -> Sink:
        """Keeps it as it is."""
        return Plain(aside / self.file)

    def settle(self, aside: Path) -> None:
        """Beside what else is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (aside / self.file).replace(self.folder / self.file)
        aside.rmdir()


def spark(given: dict[str, Any]) -> Tarball:
    return Tarball(
        name="Spark",
        file=given["spark_file"],
        copy=copy_of(given, given["spark_file"], given["spark_checksum"].lower()),
        sources=[*plain(given, given["spark_file"], given["spark_checksum"]), *given["spark_urls"]],
        digest=given["spark_checksum"].lower(),
        digest_urls=given["checksum_urls"],
        folder=Path(settings.path(f"/opt/spark-{given['spark_version']}")),
        slim_digest="",
        program="bin/spark-class",
    )


def jar(given: dict[str, Any], one: s3a.Jar, folder: Path) -> Jar:
    """One of S3A's: the master alone asks the repository, where the SDK is 686 MB."""
    url = f"{given['maven_url']}/{one.path}"
    return Jar(
        name=one.file,
        file=one.file,
        copy=copy_of(given, one.file, one.slim_sha256 or one.sha256),
        sources=[*plain(given, one.file, one.sha256), url] if given["role"] == "master" else [],
        digest=one.sha256,
        digest_urls=[f"{url}.{algorithm}" for algorithm in ("sha512", "sha256", "sha1")],
        folder=folder,
        slim_digest=one.slim_sha256,
    )


def copy_of(given: dict[str, Any], file: str, digest: str) -> str:
    """Where the master shares a file: what is there is written once, so other bytes of the name have another place."""
    folder = f"s3://{given['bucket']}/artifacts/spark"
    return f"{folder}/{digest[:16]}/{file}" if digest else f"{folder}/{file}"


def plain(given: dict[str, Any], file: str, digest: str) -> list[str]:
    """Where people put a file, if that is another place than the master's."""
    return [f"s3://{given['bucket']}/artifacts/spark/{file}"] if digest else []


class SourceError(Exception):
    """Why a source does not give an artifact, for now."""


class WrongBytesError(SourceError):
    """What it gives is something else, and will be until it has another ETag (it may have none)."""

    def __init__(self, message: str, want: str, etag: str) -> None:
        super().__init__(message)
        self.want, self.etag = want, etag


class NotThereError(SourceError):
    """It has no such file, and says so."""


class TimeIsOverError(SourceError):
    """The boot's time; no source's fault."""


class ArtifactError(Exception):
    """Why an artifact cannot come to its place, whichever source gives it."""


class Inflater:
    """A gzip file's content, piece by piece; it may have several members, and zeros after the last."""

    def __init__(self) -> None:
        self.member, self.broken, self.whole = zlib.decompressobj(GZIP), False, False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next piece of the file adds."""
        while not self.broken and (data := data.lstrip(b"\0") if self.whole else data):
            self.whole = False
            try:
                yield self.member.decompress(data)
            except zlib.error:
                self.broken = True
            data = self.member.unused_data
            if self.member.eof:
                self.member, self.whole = zlib.decompressobj(GZIP), True


class Tar:
    """Unpacks a gzipped tarball, piece by piece."""

    def __init__(self, folder: Path) -> None:
        self.inflater = Inflater()
        self.said = open(os.memfd_create("tar"), "w+b")  # noqa: SIM115 - `close` does; a full disk has no room for it
        self.tar = subprocess.Popen((*TAR, "-C", folder), stdin=subprocess.PIPE, stderr=self.said)
        self.children: Sequence[subprocess.Popen[bytes]] = [self.tar]
        self.content = cast("IO[bytes]", self.tar.stdin)
        widen(self.content)

    def write(self, data: bytes) -> None:
        """Unzip the next piece; raises `BrokenPipeError` once tar has ended."""
        self.content.writelines(self.inflater.feed(data))

    def close(self) -> str:
        """Wait for tar, and return what it says, or that the file was cut off."""
        went_away = False
        try:
            self.content.close()
        except BrokenPipeError:
            went_away = True
        status = self.tar.wait()
        with self.said:
            self.said.seek(0)
            reason = self.said.readline().decode(errors="replace").strip()
        if went_away or status:
            return reason or f"tar ended with status {status}"
        return "" if self.inflater.whole else "it is not a complete gzip file"


class Plain:
    """Keeps a file as it is."""

    def __init__(self, file: Path) -> None:
        self.children: Sequence[subprocess.Popen[bytes]] = ()
        self.out = file.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Raises `OSError` if there is no room."""
        while data:
            data = data[self.out.write(data) :]

    def close(self) -> str:
        """Nothing is wrong with what could be written."""
        self.out.close()
        return ""


def widen(end: IO[bytes]) -> None:
    """Let a pipe hold more."""
    with contextlib.suppress(OSError):  # no pipe
        fcntl.fcntl(end, F_SETPIPE_SZ, PIPE_BYTES)


def log(message: str) -> None:
    print(f"artifacts: {message}", file=sys.stderr, flush=True)


def is_master() -> bool:
    """A master shares what it has, and nobody fetches it for the master."""
    role: str = settings.load()["role"]
    return role == "master"


def chunks(file: int) -> Iterator[bytes]:
    while chunk := os.read(file, CHUNK_BYTES):
        yield chunk


def algorithm(digest: str) -> str:
    """That of a digest, by its length; of an empty one, the usual."""
    return next((name for name, digits in DIGITS.items() if digits == len(digest)), "sha512")


def digest_of(file: Path, name: str) -> str:
    digest = hashlib.new(name)
    with file.open("rb") as content:
        for chunk in chunks(content.fileno()):
            digest.update(chunk)
    return digest.hexdigest()


def digest_in(file: Path, name: str = "sha512") -> str:
    """The digest that a file names; empty if there is none."""
    if not file.exists():
        return ""
    # Either "<digest>  <file>", or gpg's "<file>: <digest in groups over several lines>".
    text = "".join(file.read_text(encoding="utf-8", errors="replace").split()).rpartition(":")[2]
    found = re.search(rf"[0-9a-f]{{{DIGITS[name]}}}", text.lower())
    return found.group() if found else ""


class Fetch:
    """How one artifact comes to its place."""

    def __init__(self, artifact: Artifact, deadline: float, others: Sequence[Fetch] = ()) -> None:
        self.artifact, self.deadline, self.others = artifact, deadline, others
        self.tarball = DOWNLOADS / artifact.file
        self.beside = DOWNLOADS / f"{artifact.file}.sha512"
        self.etag = DOWNLOADS / f"{artifact.file}.etag"
        self.aside = artifact.folder.with_name(f"{artifact.unsure.name}.unpacking")
        self.wrong: dict[str, WrongBytesError] = {}
        self.children: list[subprocess.Popen[bytes]] = []
        self.background = ThreadPoolExecutor(2)

    def run(self) -> None:
        """Rounds over all sources until one gives the right bytes: a worker without internet waits for the copy."""
        sources, problem = [self.artifact.copy, *self.artifact.sources], ""
        on_the_web = {source for source in sources if not source.startswith("s3://")}
        seconds, rounds_absent = self.deadline - time.monotonic(), 0
        for ended, _ in enumerate(polling.rounds(seconds, PAUSE_SECONDS, LONGEST_PAUSE_SECONDS), start=1):
            absent = set()
            for source in sources:
                try:
                    return self.take(source)
                except TimeIsOverError:
                    raise self.no_source(problem) from None
                except SourceError as error:
                    shutil.rmtree(self.aside, ignore_errors=True)
                    problem = str(error)
                    log(problem)
                    if isinstance(error, WrongBytesError):
                        self.wrong[source] = error
                    elif isinstance(error, NotThereError):
                        absent.add(source)
            if self.wrong and (ended >= GIVE_UP_ROUNDS or self.wrong.keys() >= set(sources)):
                raise ArtifactError(f"checksum of {self.artifact.file} is wrong, {list(self.wrong.values())[-1]}")
            rounds_absent = rounds_absent + 1 if is_master() and absent and absent == on_the_web else 0
            if rounds_absent == ABSENT_ROUNDS:
                break
            log(f"no source has {self.artifact.name} yet")
        raise self.no_source(problem)

    def no_source(self, problem: str) -> ArtifactError:
        """With what to do, where that is known."""
        return ArtifactError(f"no source had {self.artifact.file}, last: {problem}{self.artifact.advice}")

    def take_what_came(self) -> None:
        """Put what came with another into its place if it is right; if not it is fetched by itself."""
        want = self.artifact.copy_digest or digest_in(self.beside)
        if not self.tarball.exists() or digest_of(self.tarball, algorithm(want)) != want:
            return
        self.begin_unpacking()
        shutil.move(self.tarball, self.aside / self.artifact.file)
        self.artifact.settle(self.aside)

    def take(self, source: str) -> None:
        """All of it from one source."""
        self.etag.unlink(missing_ok=True)
        known = self.wrong.get(source)
        if known and self.wanted(source) in (known.want, ""):
            if not known.etag:
                raise known
            self.etag.write_text(known.etag, encoding="ascii")
        log(f"trying {source}")
        if source == self.artifact.copy:
            self.stream(source)
            return
        fresh = not self.tarball.exists()
        at_once = self.download(source, self.tarball, self.etag)
        want = self.wanted(source)
        got = digest_of(self.tarball, algorithm(want))
        if want and got != want:
            self.tarball.unlink()
        self.verify(source, got, want, alone=fresh and at_once)
        if self.artifact.slim_digest:
            want = self.slim()
        shared = self.background.submit(self.share, want) if is_master() else None
        self.begin_unpacking()
        with self.tarball.open("rb") as tarball:
            problem = self.unpack(tarball)
        self.put_in_place(problem)
        if shared:
            shared.result()

    def slim(self) -> str:
        """Make the jar smaller, and return its digest then."""
        whole, want = self.tarball.with_suffix(".whole"), self.artifact.slim_digest
        self.tarball.rename(whole)
        status = self.start(SLIM_JAR, str(whole), str(self.tarball)).wait()
        whole.unlink()
        if status:
            raise ArtifactError(f"cannot make {self.artifact.file} smaller: slim_jar.py ended with status {status}")
        if (got := digest_of(self.tarball, algorithm(want))) != want:
            raise ArtifactError(f"checksum of {self.artifact.file} made smaller is wrong, got {got}, expected {want}")
        return want

    def stream(self, source: str) -> None:
        """What the master verified is unpacked while it comes, aside until its checksum is right here, too."""
        digest = hashlib.new(algorithm(self.artifact.copy_digest))
        self.beside.unlink(missing_ok=True)
        self.begin_unpacking()
        others = [*self.artifact.copies[1:], *(copy for other in self.others for copy in other.artifact.copies)]
        came, tells = os.pipe()
        arrival = open(came, "rb", buffering=0)  # noqa: SIM115 - `take_others` closes it
        try:
            command = (COPIES, str(tells), source, str(self.etag), *lacking(others))
            fetching = self.start(*command, stdout=subprocess.PIPE, pass_fds=[tells])
        finally:
            os.close(tells)
        wanted = self.background.submit(self.take_others, arrival)
        with cast("IO[bytes]", fetching.stdout) as tarball:
            problem = self.unpack(tarball, digest)
        want = wanted.result()
        if fetching.wait():
            raise SourceError(f"{source} could not be fetched")
        self.verify(source, digest.hexdigest(), want)
        self.put_in_place(problem)

    def take_others(self, arrival: IO[bytes]) -> str:
        """What came beside the copy, once it is there; returns the copy's digest."""
        with arrival:
            arrival.read(1)
        for other in self.others:
            other.take_what_came()
        return self.artifact.copy_digest or self.confirmed(digest_in(self.beside))

    def verify(self, source: str, got: str, want: str, *, alone: bool = True) -> None:
        """Compare digests. Only what came from a source alone, and in one piece, is that source's fault."""
        if not want:
            raise SourceError(f"no checksum for {self.artifact.file} was found")
        if got == want:
            log(f"have it from {source}, checksum right")
            return
        message = f"{source} gave {got}, expected {want}"
        if not alone:
            raise SourceError(message)
        raise WrongBytesError(message, want, self.etag.read_text(encoding="ascii") if self.etag.exists() else "")

    def wanted(self, source: str) -> str:
        """The digest that is pinned, else that beside the copy, or else its publisher's; empty if there is none."""
        is_copy = source == self.artifact.copy
        if pinned := self.artifact.copy_digest if is_copy else self.artifact.digest:
            return pinned
        if is_copy:
            return self.confirmed(self.said_by([f"{source}.sha512"]))
        return self.said_by(self.artifact.digest_urls)

    def confirmed(self, digest: str) -> str:
        """The copy's is the master's, who holds it against the publisher's own, as far as it reaches that."""
        asks = digest and is_master()
        return (self.said_by(self.artifact.digest_urls) if asks else "") or digest

    def said_by(self, urls: Sequence[str]) -> str:
        """The digest that the first of some files has, by its suffix; empty if there is none."""
        file = DOWNLOADS / f"{self.artifact.file}.published"
        for url in urls:
            file.unlink(missing_ok=True)
            with contextlib.suppress(SourceError):
                self.download(url, file)
                if digest := digest_in(file, url.rpartition(".")[2]):
                    return digest
        return ""

    def download(self, source: str, file: Path, etag: Path | None = None) -> bool:
        """Go on where an earlier transfer stopped, whichever source that was from; nothing, if the ETag is the same.

        Returns:
            Whether it came in one piece.
        """
        if source.startswith("s3://"):
            self.download_object(source, file, etag)
            return True
        compare = ["--etag-compare", str(etag)] if etag and etag.exists() else []
        save = ["--etag-save", str(etag)] if etag else []
        for number in range(1, TRIES + 1):
            curl = self.start(*CURL, *compare, *save, "--output", str(file), source, stdout=subprocess.PIPE)
            code, status = curl.communicate()[0].decode() or NOBODY, curl.returncode
            if code == UNCHANGED:
                raise SourceError(f"{source} still gives the same")
            if status == 0 or (status == CURL_HTTP_ERROR and code == ALL_THERE):
                return number == 1
            if status == CURL_CANNOT_WRITE:
                raise cannot_write(file)
            if status == OUT_OF_TIME:
                raise SourceError(f"{source} did not give it within the boot's time")
            if code == NOBODY or (status == CURL_HTTP_ERROR and not code.startswith(PASSING_ERRORS)):
                break
            if status == CURL_CANNOT_RESUME:
                file.unlink(missing_ok=True)
            log(f"curl ended with {status} (HTTP {code})")
            pause = number**2 * random.uniform(1, 1.5)
            if number == TRIES or time.monotonic() + pause > self.deadline:
                break
            time.sleep(pause)
        raise (NotThereError if code in ABSENT else SourceError)(f"{source} gave HTTP {code} (curl {status})")

    def download_object(self, source: str, file: Path, etag: Path | None) -> None:
        """From S3, all of it or nothing."""
        if self.start(AWS, "fetch", source, str(file), *([str(etag)] if etag else [])).wait():
            if shutil.disk_usage(DOWNLOADS).free < CHUNK_BYTES:
                raise cannot_write(file)
            raise SourceError(f"{source} could not be fetched")

    def begin_unpacking(self) -> None:
        """From here on a power cut may leave half of it."""
        note_unsure([self.artifact])
        shutil.rmtree(self.aside, ignore_errors=True)
        self.aside.mkdir(parents=True)

    def unpack(self, file: IO[bytes], digest: hashlib._Hash | None = None) -> str:
        """Unpack it aside, and return what is wrong with it, or an empty text; `digest` gets all bytes."""
        widen(file)
        sink = self.artifact.sink(self.aside)
        self.children += sink.children
        try:
            for chunk in chunks(file.fileno()):
                if digest:
                    digest.update(chunk)
                sink.write(chunk)
        except OSError as error:  # nobody knows the digest of what was not read
            raise self.cannot_unpack(sink.close() or str(error)) from None
        return sink.close()

    def put_in_place(self, problem: str) -> None:
        """Move what was unpacked aside to where it belongs, or raise what is wrong with it."""
        if problem:
            raise self.cannot_unpack(problem)
        self.artifact.settle(self.aside)

    def cannot_unpack(self, reason: str) -> ArtifactError:
        """What was unpacked goes: the log needs the room."""
        shutil.rmtree(self.aside)
        return ArtifactError(f"cannot unpack: {reason}")

    def share(self, digest: str) -> None:
        """The checksum last: a worker that finds it finds the tarball it belongs to."""
        if len(digest) != DIGITS["sha512"]:
            digest = digest_of(self.tarball, "sha512")
        self.beside.write_text(f"{digest}  {self.artifact.file}\n", encoding="ascii")
        both = ((self.tarball, self.artifact.copy), (self.beside, f"{self.artifact.copy}.sha512"))
        try:
            for file, url in both:
                status = self.start(STORE_ONCE, str(file), url).wait()
                if status == IS_THERE:
                    self.compare(file, url)
                elif status:
                    raise ArtifactError(f"cannot share {self.artifact.name} with the workers")
        except TimeIsOverError:
            raise ArtifactError(f"cannot share {self.artifact.name} with the workers in the boot's time") from None

    def compare(self, file: Path, url: str) -> None:
        """What was there before is what workers take: whoever runs jobs on a master may have put it there."""
        there = file.with_name(f"{file.name}.there")
        with contextlib.suppress(SourceError):
            self.download_object(url, there, None)
        # Of a digest its words do not matter.
        what = digest_in if file == self.beside else functools.partial(digest_of, name="sha256")
        if not there.exists() or what(there) != what(file):
            raise ArtifactError(f"{url} has other bytes than {self.artifact.file} must have: delete it")
        there.unlink()

    def end(self) -> None:
        """End all children, and start no more."""
        self.deadline = 0
        for child in self.children:
            child.terminate()

    def start(self, *command: str, stdout: int | None = None, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """A program that ends with the boot's time."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeIsOverError
        child = subprocess.Popen((*WITHIN, f"{max(seconds, 0.1):.1f}", *command), stdout=stdout, pass_fds=pass_fds)
        self.children.append(child)
        return child


def cannot_write(file: Path) -> ArtifactError:
    """How much room there was; what was written goes, since the log needs some."""
    shown = subprocess.run((*ROOM, DOWNLOADS), capture_output=True, text=True, check=False)
    file.unlink(missing_ok=True)
    return ArtifactError(f"cannot write {file}: {shown.stdout.split()[-1] if shown.stdout else '?'} free")


def lacking(copies: Sequence[str]) -> list[str]:
    """Those that have not come yet, each with the file for it."""
    files = [(url, DOWNLOADS / Path(url).name) for url in copies]
    return [part for url, file in files if not file.exists() for part in (url, str(file))]


def note_unsure(artifacts: Sequence[Artifact]) -> None:
    """Before they are unpacked, and all at once: the disk is waited for."""
    fresh = [one.unsure for one in artifacts if not one.unsure.exists()]
    for unsure in fresh:
        unsure.touch()
    if fresh:
        keep_on_disk(UNPACKING)


def keep_on_disk(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def fetch(fetches: Sequence[Fetch]) -> None:
    """Fetch some side by side; if one fails nobody waits for the others."""
    pool = ThreadPoolExecutor(max(len(fetches), 1))
    try:
        for done in as_completed([pool.submit(one.run) for one in fetches]):
            done.result()
    finally:
        for one in fetches:
            one.end()
        pool.shutdown(wait=False)


def fetch_all(deadline: float) -> None:
    for folder in (DOWNLOADS, UNPACKING):
        folder.mkdir(parents=True, exist_ok=True)
    given = settings.load()
    release = spark(given)
    jars, beside = release.folder / "jars", release.folder.with_name(f"{release.folder.name}.jars")
    for unsure in UNPACKING.glob("*.jar"):
        for folder in (jars, beside):
            (folder / unsure.name).unlink(missing_ok=True)
        unsure.unlink()
    if not release.is_there():
        early = jars_lacking(given, s3a.expected(given), beside)
        note_unsure([release, *early])
        if is_master():
            fetch([Fetch(one, deadline) for one in (release, *early)])
        else:
            # Beside Spark, by one program: to start one for each would take longer than they do.
            fetch([Fetch(release, deadline, [Fetch(one, deadline) for one in early])])
    wanted = s3a.lacking(given, jars)
    fetch([Fetch(one, deadline) for one in jars_lacking(given, wanted, beside)])
    for one in wanted:
        (beside / one.file).replace(jars / one.file)
    shutil.rmtree(beside, ignore_errors=True)


def jars_lacking(given: dict[str, Any], wanted: Sequence[s3a.Jar], folder: Path) -> list[Jar]:
    """Those that a folder has not."""
    return [jar(given, one, folder) for one in wanted if not (folder / one.file).is_file()]


def main(seconds: str) -> int:
    try:
        fetch_all(time.monotonic() + int(seconds))
    except (ArtifactError, s3a.UnknownHadoopError, OSError) as failure:
        print(failure, flush=True)
        os._exit(1)  # Python would wait for threads that pause between two rounds
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
