"""Write the tables that docs/ has from the code; with `--check` only say which are stale."""

from __future__ import annotations

import inspect
import json
import re
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from griffe import Docstring

from lab import calls, rules, service_models
from spark_cluster import lazy_provider, settings

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[1] / "docs"
TYPES = {"checks.Whole": "int", "checks.Flag": "bool", " | None": ""}
CONSTRUCT = {"self", "scope", "id"}
"""Arguments that every construct has."""

_PAGE = re.compile(r"docs/([\w-]+)\.md")
_DEFAULT = re.compile(r" ?Default: (.*?)\.(?= |$)")
_CHANGE = re.compile(r" ?Changing it: (.*)\.$")


def main(*arguments: str) -> int:
    """Write or check; with `--check` write nothing, and return 1 if a page is stale."""
    lazy_provider.import_lazily()
    stale, written = [], set()
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = text
        for name, table in TABLES.items():
            place = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)
            if place.search(fresh):
                written.add(name)
                fresh = place.sub(f"{table()}\n".replace("\\", r"\\"), fresh)
        if fresh != text:
            stale.append(page.name)
            if "--check" not in arguments:
                page.write_text(fresh, encoding="utf-8")
    if missing := TABLES.keys() - written:
        sys.stderr.write(f"no page has a place for the tables {', '.join(sorted(missing))}\n")
        return 1
    if stale and "--check" in arguments:
        sys.stderr.write(f"tables are stale in {', '.join(stale)}: run `make docs`\n")
        return 1
    return 0


def of_cluster() -> str:
    """The arguments of SparkCluster."""
    from spark_cluster import SparkCluster  # noqa: PLC0415 - once the provider is lazy

    return _arguments(SparkCluster.__init__)


def of_values() -> str:
    """The arguments of each class whose objects are arguments of SparkCluster."""
    from spark_cluster import Master, SparkArchive, SparkConnect, Workers, fleet_key, s3a, scaling  # noqa: PLC0415

    classes = {
        "Master": Master,
        "Workers": Workers,
        "scaling.Cpu": scaling.Cpu,
        "scaling.Manual": scaling.Manual,
        "fleet_key.Generated": fleet_key.Generated,
        "fleet_key.SsmParameter": fleet_key.SsmParameter,
        "fleet_key.PrivateKey": fleet_key.PrivateKey,
        "fleet_key.NoKey": fleet_key.NoKey,
        "SparkArchive": SparkArchive,
        "s3a.On": s3a.On,
        "s3a.Off": s3a.Off,
        "SparkConnect": SparkConnect,
    }
    return "\n\n".join(f"## `{name}`\n\n{_about(one)}{_arguments(one)}".rstrip() for name, one in classes.items())


def of_s3a() -> str:
    """The jars of S3A by the release of Spark."""
    from spark_cluster import s3a  # noqa: PLC0415

    rows = ["| Spark | Jars, besides `spark-hadoop-cloud` of the same release | its SHA-256 is |", "|---|---|---|"]
    for version, release in s3a.RELEASES.items():
        jars = "<br>".join(f"`{':'.join(jar.split(':')[:3])}`" for jar in s3a.JARS[release["hadoop"]])
        rows.append(f"| {version} | {jars} | {'pinned' if release['committers_sha256'] else 'looked up'} |")
    return "\n".join(rows)


def of_rules() -> str:
    """What AWS refuses beyond the models of its services."""
    rows = ["| Call | Argument | must | Held by | Page |", "|---|---|---|---|---|"]
    for rule in rules.RULES:
        file, _, name = rule.test.partition("::")
        held = rule.unheld and f"nobody: {rule.unheld}"
        held = held or ("[`lab/rules.py`](../lab/rules.py)" if rule.broken else _link(rule.holder))
        proof = f"[`{name}`](../{file})" if name else ""
        cells = [", ".join(f"`{call}`" for call in rule.calls), rule.argument, rule.words]
        rows.append(f"| {' | '.join([*cells, '<br>'.join(filter(None, [held, proof])), f'[page]({rule.page})'])} |")
    return "\n".join(rows)


def _link(holder: str) -> str:
    return f"[`{holder}`](../{holder})" if "/" in holder else holder


def of_models() -> str:
    """What the models say of the arguments that Terraform and the nodes use."""
    rows = ["| Call | By | Rules |", "|---|---|---|"]
    for operation, call in calls.read().items():
        said = service_models.input_rules(operation, call["arguments"])
        texts = [f"`{path}` {', '.join(words)}".replace("|", r"\|") for path, words in said.items()]
        rows.append(f"| `{operation}` | {', '.join(call['by'])} | {'<br>'.join(texts)} |")
    return "\n".join(rows)


def of_deployer() -> str:
    """The policy of IAM that whoever deploys needs."""
    conditions = {
        "iam:PassRole": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]},
        # CloudWatch's, with which an alarm reboots an instance, is that of the service Events.
        "iam:CreateServiceLinkedRole": {"iam:AWSServiceName": ["autoscaling.amazonaws.com", "events.amazonaws.com"]},
    }
    free = [action for action in calls.deployers_actions() if action not in conditions]
    statements: list[dict[str, Any]] = [{"Effect": "Allow", "Action": free, "Resource": "*"}]
    statements += [
        {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": {"StringEquals": values}}
        for action, values in conditions.items()
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)
    return f"```json\n{policy}\n```"


def _about(described: type) -> str:
    return f"{_one_line(_sections(described)['text'])}\n\n"


def _arguments(described: Callable[..., Any]) -> str:
    taken = {name: one for name, one in inspect.signature(described).parameters.items() if name not in CONSTRUCT}
    sections = _sections(described)
    texts = {one.name: _one_line(one.description) for one in sections.get("parameters", sections.get("attributes", []))}
    if undocumented := taken.keys() - texts.keys():
        message = f"{described.__qualname__} has no text for {', '.join(sorted(undocumented))}"
        raise ValueError(message)
    if not taken:
        return ""
    rows = [["Argument", "Type", "Default", "Meaning", "Changing it"]]
    rows += [_row(one, texts[name]) for name, one in taken.items()]
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    lines = [f"| {' | '.join(row)} |" for row in zip(*columns, strict=True)]
    return "\n".join([lines[0], f"|{'---|' * len(columns)}", *lines[1:]])


def _row(argument: inspect.Parameter, text: str) -> list[str]:
    kind = str(argument.annotation)
    for name, plain in TYPES.items():
        kind = kind.replace(name, plain)
    default = "required" if argument.default is inspect.Parameter.empty else _literal(argument.default)
    if said := _DEFAULT.search(text):
        default = said[1]
    change = _CHANGE.search(text)
    meaning = _DEFAULT.sub("", _CHANGE.sub("", text))
    return [f"`{argument.name}`", f"`{kind}`", default, meaning, change[1] if change else ""]


def _literal(value: object) -> str:
    if is_dataclass(value):
        name = type(value).__name__
        return f"[`{name}()`](#{name.lower()})"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "none"
    return f"`{value}`"


def _sections(described: Callable[..., Any]) -> dict[str, Any]:
    parsed = Docstring(inspect.getdoc(described) or "", lineno=1).parse("google", warnings=False)
    return {section.kind.value: section.value for section in reversed(parsed)}


def _one_line(text: str) -> str:
    return _PAGE.sub(r"[\1](\1.md)", " ".join(text.split()))


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings.table,
    "arguments": of_cluster,
    "values": of_values,
    "rules": of_rules,
    "models": of_models,
    "deployer": of_deployer,
    "s3a": of_s3a,
}

if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
