"""The caller's script in the bucket: no limit but S3's, and Terraform takes nothing of it for a template."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cdktf import TerraformVariable

from tests.synth.synthesized import Synthesized, unescaped

if TYPE_CHECKING:
    from cdktf import TerraformStack

    from tests.synth.conftest import Synthesize

SHELL = '#!/bin/bash\necho "${HOME}" %{if} "$HOME" $(id) 100%\n'


def text(stack: Synthesized) -> str:
    """As Terraform will write it, but for its references."""
    return str(stack.local("spark_setup_script_text"))


def test_it_is_an_object_that_user_data_names_by_its_checksum(synthesize: Synthesize) -> None:
    stack = synthesize(setup_script="#!/bin/sh\ntrue\n")
    assert text(stack) == "#!/bin/sh\ntrue\n"
    [local] = [key for key in stack.json["locals"] if key.startswith("spark_setup_script_text")]
    found = stack.the("aws_s3_object", "spark_setup_script_object")
    assert found["content"] == f"${{local.{local}}}"
    assert found["key"] == f"artifacts/node/setup-script-${{sha256(local.{local})}}"
    for role in ("master", "worker"):
        settings = stack.settings(role)
        assert settings["setup_script_key"] == found["key"]
        assert settings["setup_script_sha256"] == f"${{sha256(local.{local})}}"


def test_there_is_none_by_default(default: Synthesized) -> None:
    assert "spark_setup_script_object" not in default.all("aws_s3_object")
    assert default.settings("worker")["setup_script_key"] == ""


def test_nodes_wait_for_it(synthesize: Synthesize) -> None:
    stack = synthesize(setup_script="#!/bin/sh\ntrue\n")
    address = stack.address("aws_s3_object", "spark_setup_script_object")
    for node in ("aws_instance", "aws_autoscaling_group"):
        assert address in stack.the(node)["depends_on"]


def test_it_may_be_longer_than_user_data(synthesize: Synthesize) -> None:
    script = "#!/bin/sh\n" + "".join(f"echo {number}\n" for number in range(100_000))
    assert text(synthesize(setup_script=script)) == script


def test_line_ends_of_another_system_are_mended(synthesize: Synthesize) -> None:
    """With them every node would end with status 127: no interpreter has a name that ends in a carriage return."""
    assert text(synthesize(setup_script="\ufeff#!/bin/bash\r\necho \r\n")) == "#!/bin/bash\necho \n"


def test_braces_in_it_reach_the_node_and_not_terraform(synthesize: Synthesize) -> None:
    written = text(synthesize(setup_script=SHELL))
    assert written == SHELL.replace("${", "$${").replace("%{", "%%{")
    assert unescaped(written) == SHELL


@pytest.mark.parametrize("around", ["", "#!/bin/sh\necho ${HOME} "])
def test_tokens_in_it_stay_tokens(synthesize: Synthesize, stack: TerraformStack, around: str) -> None:
    token = TerraformVariable(stack, "given", type="string").string_value
    assert text(synthesize(setup_script=around + token)) == around.replace("${", "$${") + "${var.given}"
