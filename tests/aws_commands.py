"""Commands of the AWS command line, as documents have them, as calls of its API."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.session import Session

_OF_THE_COMMAND_LINE = ("max-items", "output", "query")
"""Options that ask the API for nothing: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html."""


@dataclass(frozen=True)
class AwsCommand:
    """A command.

    Attributes:
        service: whose API it is.
        operation: its name there.
        arguments: what it asks for; a text stands for itself, whatever it is in the API, but for lists and switches.
    """

    service: str
    operation: str
    arguments: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> AwsCommand:
        """Take one as it is typed.

        Raises:
            KeyError: AWS has no such operation, or it takes no such option.
            ValueError: an option that it wants is not there.
        """
        _, service, command, *words = shlex.split(text)
        api = Session().get_service_model(service)
        operation = {xform_name(name, "-"): name for name in api.operation_names}[command]
        shape = api.operation_model(operation).input_shape
        members = {xform_name(name, "-"): (name, member) for name, member in shape.members.items()}
        arguments: dict[str, Any] = {}
        while words:
            option = words.pop(0).removeprefix("--")
            if option in _OF_THE_COMMAND_LINE:
                words.pop(0)
                continue
            name, member = members[option if option in members else option.removeprefix("no-")]
            if member.type_name == "boolean":
                arguments[name] = not option.startswith("no-")
            elif member.type_name == "list":
                arguments[name] = [words.pop(0)]
                while words and not words[0].startswith("--"):
                    arguments[name].append(words.pop(0))
            else:
                arguments[name] = words.pop(0)
        if missing := set(shape.required_members) - arguments.keys():
            message = f"{text} is without {sorted(missing)}"
            raise ValueError(message)
        return cls(service, operation, arguments)

    def run(self, client: Any, **others: Any) -> dict[str, Any]:
        """Call it, with `others` in place of what stands there."""
        answer: dict[str, Any] = getattr(client, xform_name(self.operation))(**{**self.arguments, **others})
        return answer


def commands_in(page: str, services: str = "autoscaling") -> list[str]:
    """The commands of these services (an alternative of a regular expression) in what a page has between fences."""
    fenced = "\n".join(re.findall(r"(?ms)^ *```\w*\n(.*?)^ *```", page)).replace("\\\n", " ")
    return [found.strip() for found in re.findall(rf"\baws (?:{services}) (?:'[^']*'|\"[^\"]*\"|[^\n;|)#])+", fenced)]
