"""Commands that a person runs on their own machine, through Session Manager: no SSH, no open port, no key."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from spark_cluster import checks, limits

MASTER_UI_PORT = 8080
CONNECT_PORT = 15002
PROGRAMS = "/usr/local/bin"  # which is not always on the path that sudo sets


@dataclass(frozen=True)
class Commands:
    """Each a line for a shell with the AWS command line and its Session Manager plugin.

    They are quoted for a POSIX shell, and what a job is given arrives as it is. A `profile` is one of the caller's AWS
    configuration; without it the environment's credentials are used. Values that only Terraform knows are tokens, as in
    every attribute of a construct: `TerraformOutput` makes text of them. A wrong value is a `ValueError`.

    Attributes:
        region: the cluster's region.
        master_instance_id: the instance to open a session on.
        bucket_name: the cluster's bucket.
        escape: what is done to what a caller gives; in `SparkCluster.commands` what Terraform would take for a template
            becomes text.
        connect_parameter: the parameter with the token of the Spark Connect server; empty if there is no such server.
    """

    region: str
    master_instance_id: str
    bucket_name: str
    escape: Callable[[str], str] = str
    connect_parameter: str = ""

    def shell(self, profile: str | None = None) -> str:
        """Open a shell on the master: `pyspark`, `spark-job`, `spark-status` and the others are on its path."""
        return self._session(profile)

    def ui(self, profile: str | None = None, *, local_port: int = MASTER_UI_PORT) -> str:
        """Forward the one port of all pages to one of this machine: http://localhost:8080, and there /history/."""
        return self._forward(MASTER_UI_PORT, local_port, profile)

    def connect(self, profile: str | None = None, *, local_port: int = CONNECT_PORT) -> str:
        """Forward the Spark Connect server's port to one of this machine: `sc://localhost:15002`."""
        self._require_connect()
        return self._forward(CONNECT_PORT, local_port, profile)

    def connect_token(self, profile: str | None = None) -> str:
        """Print the token that the Spark Connect server wants, which the caller must have the right to read."""
        self._require_connect()
        get = f"aws ssm get-parameter --region {self.region} --name {self.connect_parameter} --with-decryption"
        return self._with_profile(f"{get} --query Parameter.Value --output text", profile)

    def submit(
        self,
        source: str | None = None,
        arguments: Sequence[str] = (),
        *,
        options: Sequence[str] = (),
        requirements: str | None = None,
        profile: str | None = None,
    ) -> str:
        """Run an application on the cluster and show its output.

        Its last line, `spark-job: NAME ended with status 0`, is the one place that tells the status: Session Manager
        does not hand it on (https://github.com/aws/session-manager-plugin/issues/59).

        Args:
            source: what spark-job takes: `s3://BUCKET/KEY`, or a path on the master. By default `data/job.py` of the
                cluster's bucket.
            arguments: of the application.
            options: of spark-submit, such as `("--conf", "spark.cores.max=8")`.
            requirements: a requirements file of pip's for its Python packages, or such packages, packed; an `s3://`
                URL or a path, as `source` is. By default it gets none.
            profile: of the AWS configuration.
        """
        checks.optional_text("source", source)
        checks.words("arguments", arguments)
        checks.words("options", options)
        checks.optional_text("requirements", requirements)
        if requirements is not None:
            options = ("--requirements", requirements, *options)
        job = f"s3://{self.bucket_name}/data/job.py" if source is None else self._quote(source)
        return self._on_the_master(
            ["spark-job", *map(self._quote, options), job, *map(self._quote, arguments)], profile
        )

    def follow(self, name: str, after_lines: int = 0, *, profile: str | None = None) -> str:
        """Show the output of a job that goes on after its session, and how it ended.

        Args:
            name: the driver's, as `submit` shows it.
            after_lines: how many lines at the start of the output to leave out.
            profile: of the AWS configuration.
        """
        checks.text("name", name)
        checks.literal_whole("after_lines", after_lines, 0)
        return self._on_the_master(["spark-job", "--follow", self._quote(name), str(after_lines)], profile)

    def status(self, profile: str | None = None) -> str:
        """Show on one screen how the cluster is."""
        return self._on_the_master(["spark-status"], profile)

    def wait(self, profile: str | None = None, *, seconds: int | None = None) -> str:
        """Wait until the master has every worker that its group wants.

        Args:
            profile: of the AWS configuration.
            seconds: at most so many; by default as long as a boot may last.
        """
        if seconds is not None:
            checks.literal_whole("seconds", seconds, 1)
        return self._on_the_master(["spark-wait", *([] if seconds is None else [str(seconds)])], profile)

    def _require_connect(self) -> None:
        if not self.connect_parameter:
            raise checks.fail("spark_connect", "be an object such as SparkConnect() to have this command", None)

    def _forward(self, port: int, local_port: int, profile: str | None) -> str:
        checks.literal_whole("local_port", local_port, 1, limits.HIGHEST_PORT)
        ports = {"portNumber": [str(port)], "localPortNumber": [str(local_port)]}
        return self._document("AWS-StartPortForwardingSession", ports, profile)

    def _session(self, profile: str | None) -> str:
        session = f"aws ssm start-session --region {self.region} --target {self.master_instance_id}"
        return self._with_profile(session, profile)

    def _with_profile(self, command: str, profile: str | None) -> str:
        checks.optional_text("profile", profile)
        return command if profile is None else f"{command} --profile {self._quote(profile)}"

    def _document(self, name: str, parameters: dict[str, list[str]], profile: str | None) -> str:
        quoted = shlex.quote(json.dumps(parameters, ensure_ascii=False))
        return f"{self._session(profile)} --document-name {name} --parameters {quoted}"

    def _on_the_master(self, command: list[str], profile: str | None) -> str:
        line = " ".join(["sudo", f"{PROGRAMS}/{command[0]}", *command[1:]])
        if len(line) > limits.SESSION_PARAMETER_CHARACTERS:
            rule = f"be at most {limits.SESSION_PARAMETER_CHARACTERS} characters long, quotes included"
            raise checks.fail("what a session runs", rule, len(line))
        return self._document("AWS-StartInteractiveCommand", {"command": [line]}, profile)

    def _quote(self, text: str) -> str:
        return shlex.quote(self.escape(text))
