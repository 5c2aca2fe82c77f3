"""An `aws` for people on a lab: what the commands of a cluster ask of the AWS command line.

In place of Session Manager it runs on the host what that would run there, as root, in a terminal. Like Session Manager
it hands no status on (https://github.com/aws/session-manager-plugin/issues/59), needs a terminal for its input
(https://github.com/aws/amazon-ssm-agent/issues/354) and adds lines of its own. If LAB_SESSION_SECONDS is set, it ends a
session after that time, whatever goes on in it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

from lab.hosts import Host
from lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(args: Sequence[str]) -> int:
    """Run `aws ssm start-session` or `get-parameter`, or `s3 cp`, with the options that people's commands have."""
    parser = argparse.ArgumentParser(prog="aws", description=__doc__)
    services = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--region")
    common.add_argument("--profile")

    ssm = services.add_parser("ssm").add_subparsers(required=True)
    session = ssm.add_parser("start-session", parents=[common])
    session.set_defaults(run=_start_session)
    session.add_argument("--target", required=True)
    session.add_argument("--document-name")
    session.add_argument("--parameters", type=json.loads)

    parameter = ssm.add_parser("get-parameter", parents=[common])
    parameter.set_defaults(run=_get_parameter)
    parameter.add_argument("--name", required=True)
    parameter.add_argument("--with-decryption", action="store_true")
    parameter.add_argument("--query", choices=["Parameter.Value"], required=True)
    parameter.add_argument("--output", choices=["text"], required=True)

    copy = services.add_parser("s3").add_subparsers(required=True).add_parser("cp", parents=[common])
    copy.set_defaults(run=_copy)
    copy.add_argument("--only-show-errors", action="store_true")
    copy.add_argument("file")
    copy.add_argument("url")

    options = parser.parse_args(args)
    lab = Lab.running()
    if lab is None:
        raise SystemExit("there is no lab: make demo ARGS=--keep")
    options.run(lab, options)
    return 0


def _start_session(lab: Lab, options: argparse.Namespace) -> None:
    if options.document_name == "AWS-StartPortForwardingSession":
        (port,), (local_port,) = options.parameters["portNumber"], options.parameters["localPortNumber"]
        _forward(Host(options.target), int(port), int(local_port))
        return
    if options.document_name is None:
        pty.spawn(Host(options.target).command("bash", "--login"), _read_in_the_same_size)
        return
    sys.stdout.write("\nStarting session with SessionId: lab-0123456789abcdef0\n")
    sys.stdout.flush()
    if os.isatty(0):
        _run_in_a_terminal(Host(options.target).command("sh", "-c", *options.parameters["command"]))
    else:
        sys.stdout.write("\nCannot perform start session: EOF\n")
    sys.stdout.write("\n\nExiting session with sessionId: lab-0123456789abcdef0.\n\n")


def _read_in_the_same_size(near: int) -> bytes:
    """What the host's terminal has to say; it is made as large as the one here."""
    with suppress(OSError):  # there is none here
        size = os.get_terminal_size()
        fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", size.lines, size.columns, 0, 0))
    return os.read(near, 65536)


def _run_in_a_terminal(command: Sequence[str]) -> None:
    near, terminal = pty.openpty()
    seconds = os.environ.get("LAB_SESSION_SECONDS")
    end = time.monotonic() + float(seconds) if seconds else None
    with subprocess.Popen(command, preexec_fn=lambda: os.login_tty(terminal)):  # noqa: PLW1509 - no other thread
        os.close(terminal)
        with suppress(OSError):  # the terminal's end
            while select.select([near], [], [], None if end is None else max(0.0, end - time.monotonic()))[0]:
                sys.stdout.buffer.write(os.read(near, 65536))
                sys.stdout.flush()
        os.close(near)  # who is still there gets SIGHUP


def _copy(lab: Lab, options: argparse.Namespace) -> None:
    lab.enclosure.join_network()
    bucket, _, key = options.url.removeprefix("s3://").partition("/")
    lab.client("s3").upload_file(options.file, bucket, key)


def _get_parameter(lab: Lab, options: argparse.Namespace) -> None:
    lab.enclosure.join_network()
    found = lab.client("ssm").get_parameter(Name=options.name, WithDecryption=options.with_decryption)
    sys.stdout.write(f"{found['Parameter']['Value']}\n")


def _forward(host: Host, port: int, local_port: int) -> None:
    """To the host's loopback, as the agent there does.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
    """

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            host.join_network()  # of this thread alone
            with socket.create_connection(("127.0.0.1", port)) as there:
                back = threading.Thread(target=_pump, args=(there, self.request))
                back.start()
                _pump(self.request, there)
                back.join()

    ThreadingTCPServer.allow_reuse_address = True
    with ThreadingTCPServer(("127.0.0.1", local_port), Connection) as server:
        server.daemon_threads = True
        sys.stdout.write(f"Port {local_port} opened for {host.instance_id}. Waiting for connections...\n")
        sys.stdout.flush()
        server.serve_forever()


def _pump(source: socket.socket, destination: socket.socket) -> None:
    while data := source.recv(65536):
        destination.sendall(data)
    destination.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
