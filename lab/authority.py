"""The lab's certificate authority: images trust it, the download hosts show a certificate of it.

It makes `https://` on a node what it is in production: same URLs, same verification, another root.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from .places import CACHE, DOWNLOAD_HOSTS

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = CACHE / "authority"
CERTIFICATE = _FOLDER / "ca.pem"
_KEY = _FOLDER / "ca.key"


def ensure() -> Path:
    """Make the authority if there is none yet, and return its certificate.

    It lives as long as the cache: images carry it, so another one would mean other images.
    """
    if not CERTIFICATE.exists():
        _FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
        _openssl(
            *("-keyout", str(_KEY), "-out", str(CERTIFICATE), "-days", "3650", "-subj", "/CN=spark-cluster lab"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
    return CERTIFICATE


def issue(folder: Path) -> tuple[Path, Path]:
    """Issue one certificate for all download hosts; return its file and its key's file in `folder`."""
    certificate, key = folder / "downloads.pem", folder / "downloads.key"
    names = ",".join(f"DNS:{host}" for host in DOWNLOAD_HOSTS)
    _openssl(
        *("-CA", str(CERTIFICATE), "-CAkey", str(_KEY)),
        *("-keyout", str(key), "-out", str(certificate), "-days", "30", "-subj", f"/CN={DOWNLOAD_HOSTS[0]}"),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName={names}"),
    )
    return certificate, key


def _openssl(*args: str) -> None:
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", *args)
    subprocess.run(command, check=True, capture_output=True)
