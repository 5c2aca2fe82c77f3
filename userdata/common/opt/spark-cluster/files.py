"""Files of a node, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
from typing import TYPE_CHECKING

import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO


@contextlib.contextmanager
def acting_as(user: str) -> Iterator[None]:
    """What root does to files meanwhile, it does with the rights of a user: in folders where that may put links."""
    account, groups = pwd.getpwnam(user), os.getgroups()
    os.setgroups([])
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def open_untrusted(file: str) -> BinaryIO:
    """Open for reading what a job may have put there: through no link, and nobody waits for what became a pipe."""
    return open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def keep(file: str, text: str, mode: int = 0o600, owner: str | None = None, group: str | None = None) -> None:
    """Write a file in one step. It is never readable for more than `mode` says, and no link is followed."""
    file = settings.path(file)
    fresh = f"{file}.new"
    if os.path.lexists(fresh):
        os.remove(fresh)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), mode)
        if owner:
            shutil.chown(out.fileno(), owner, group or owner)
        out.write(text)
    os.replace(fresh, file)


def known(file: str) -> dict[str, Any]:
    """What a file of JSON says; nothing if there is none, or a power cut has emptied it."""
    with contextlib.suppress(FileNotFoundError, ValueError), open(settings.path(file), encoding="utf-8") as opened:
        said = json.load(opened)
        return said if isinstance(said, dict) else {}
    return {}


def holds(file: str, text: str) -> bool:
    """Whether there is a file of just that text."""
    try:
        with open(settings.path(file), encoding="utf-8") as known:
            return known.read() == text
    except FileNotFoundError:
        return False
