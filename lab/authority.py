"""The lab's certificate authority: images trust it, the download hosts and the AWS API show a certificate of it.

It makes `https://` on a node what it is in production: same URLs, same verification, another root.
"""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

from .places import AWS_DOMAIN, CACHE, DOWNLOAD_HOSTS, REGION, RUN, S3_DOMAINS

if TYPE_CHECKING:
    from pathlib import Path
    from socketserver import TCPServer

_FOLDER = CACHE / "authority"
CERTIFICATE = _FOLDER / "ca.pem"
_KEY = _FOLDER / "ca.key"
_ISSUED, _ISSUED_KEY = RUN / "hosts.pem", RUN / "hosts.key"

_AWS_NAMES = (f"*.{AWS_DOMAIN}", f"*.{REGION}.{AWS_DOMAIN}", *(f"*.{domain}" for domain in S3_DOMAINS))


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


def issue() -> None:
    """Issue this run's one certificate, for all names that the lab answers to by https."""
    names = (*DOWNLOAD_HOSTS, *_AWS_NAMES)
    _openssl(
        *("-CA", str(CERTIFICATE), "-CAkey", str(_KEY)),
        *("-keyout", str(_ISSUED_KEY), "-out", str(_ISSUED), "-days", "30", "-subj", "/CN=spark-cluster lab's hosts"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", f"subjectAltName={','.join(f'DNS:{name}' for name in names)}"),
    )


def secure(server: TCPServer) -> None:
    """Have a server speak TLS, with this run's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_ISSUED, _ISSUED_KEY)
    # The handshake is left to the connection's own thread: a client that stalls there stops nobody else.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)


def _openssl(*args: str) -> None:
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", *args)
    subprocess.run(command, check=True, capture_output=True)
