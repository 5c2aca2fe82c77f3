from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import main
from tests.synth.synthesized import Synthesized, new_app
from tools import on_master

if TYPE_CHECKING:
    from cdktf import TerraformStack


@pytest.fixture(scope="session")
def default_app(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    return synthesize(tmp_path_factory.mktemp("main"))


def synthesize(folder: Path, **context: Any) -> Synthesized:
    return Synthesized(main.build(new_app(folder, **context)))


def instance_types(stack: Synthesized) -> list[str]:
    policy = stack.the("aws_autoscaling_group")["mixed_instances_policy"]
    return [override["instance_type"] for override in policy["launch_template"]["override"]]


def test_one_small_master_and_two_workers_of_one_shape(default_app: Synthesized) -> None:
    group = default_app.the("aws_autoscaling_group")
    assert default_app.the("aws_instance")["instance_type"] == "m6i.large"
    assert (group["min_size"], group["desired_capacity"], group["max_size"]) == (2, 2, 4)
    assert instance_types(default_app) == ["m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge"]


def test_nothing_has_to_be_set_for_a_first_deploy(default_app: Synthesized) -> None:
    assert default_app.json["provider"] == {"aws": [{"region": "us-east-1"}]}
    assert "local" in default_app.json["terraform"].get("backend", {"local": {}})
    assert "variable" not in default_app.json
    assert default_app.the("aws_autoscaling_group")["name"] == "demo-spark-workers"


def test_destroy_works_without_emptying_the_bucket_by_hand(default_app: Synthesized) -> None:
    assert default_app.the("aws_s3_bucket")["force_destroy"] is True


def test_the_subnet_is_a_default_one_in_a_zone_that_offers_every_type(default_app: Synthesized) -> None:
    """Not every zone has every type, nor a default subnet: a Local Zone has none."""
    offers = default_app.all("data.aws_ec2_instance_type_offerings")
    assert [body["filter"][0]["values"] for body in offers.values()] == [
        ["m6i.large"],
        ["m6i.xlarge"],
        ["m6a.xlarge"],
        ["m5.xlarge"],
        ["m5a.xlarge"],
    ]
    assert {body["location_type"] for body in offers.values()} == {"availability-zone"}
    listed = ", ".join(f"data.aws_ec2_instance_type_offerings.offers_{index}.locations" for index in range(5))
    zones, types = f"setintersection({listed})", "m6i.large, m6i.xlarge, m6a.xlarge, m5.xlarge, m5a.xlarge"
    subnets = default_app.the("data.aws_subnets", "subnets")
    assert subnets["filter"] == [
        {"name": "vpc-id", "values": ["${element(data.aws_vpcs.default_vpc.ids, 0)}"]},
        {"name": "default-for-az", "values": ["true"]},
        {"name": "availability-zone", "values": f"${{{zones}}}"},
    ]
    assert subnets["lifecycle"] == {
        "precondition": [
            {
                "condition": f"${{(length({zones}) >= 1)}}",
                "error_message": f"no zone of the region offers all of {types}: set worker_instance_types in "
                "cdktf.json",
            }
        ],
        "postcondition": [
            {
                "condition": "${length(self.ids) >= 1}",
                "error_message": f'the default VPC has no default subnet in ${{join(", ", {zones})}}, which offer all '
                f"of {types}: `aws ec2 create-default-subnet --availability-zone ZONE` makes one",
            }
        ],
    }


def test_the_subnet_is_chosen_once(default_app: Synthesized) -> None:
    """A zone that offers more types since, or a new default subnet, would else replace the master."""
    chosen = default_app.the("terraform_data", "subnet")
    assert chosen["input"] == {"id": "${element(sort(data.aws_subnets.subnets.ids), 0)}"}
    assert chosen["lifecycle"]["ignore_changes"] == ["input"]
    assert chosen["lifecycle"]["postcondition"][0]["condition"] == (
        "${contains(data.aws_subnets.subnets.ids, self.output.id)}"
    )
    assert default_app.the("aws_instance")["subnet_id"] == "${terraform_data.subnet.output.id}"
    assert default_app.the("aws_autoscaling_group")["vpc_zone_identifier"] == ["${terraform_data.subnet.output.id}"]


def test_a_region_without_a_default_vpc_is_named_as_such(default_app: Synthesized) -> None:
    assert default_app.the("data.aws_vpcs") == {
        "filter": [{"name": "is-default", "values": ["true"]}],
        "lifecycle": {
            "postcondition": [
                {
                    "condition": "${length(self.ids) == 1}",
                    "error_message": "the region has no default VPC: `aws ec2 create-default-vpc` makes one",
                }
            ]
        },
    }


def test_nodes_keep_the_public_addresses_that_a_default_vpc_gives(default_app: Synthesized) -> None:
    """Its subnets have no NAT: without an address there is no way out."""
    assert "associate_public_ip_address" not in default_app.the("aws_instance")
    assert "network_interfaces" not in default_app.the("aws_launch_template")


def test_outputs_are_addresses_and_commands_that_can_be_pasted(default_app: Synthesized) -> None:
    outputs = {name: body["value"] for name, body in default_app.json["output"].items()}
    master = f"${{{default_app.address('aws_instance', 'spark_master_instance')}.id}}"
    bucket = f"${{{default_app.address('aws_s3_bucket', 'spark_storage_bucket')}.bucket}}"
    region = outputs["region"]
    assert re.fullmatch(r"\$\{data\.aws_region\.spark_location_region_\w+\.id\}", region)
    session = f"aws ssm start-session --region {region} --target {master}"

    def on_the_master(command: str) -> str:
        return f"""{session} --document-name AWS-StartInteractiveCommand --parameters '{{"command": ["{command}"]}}'"""

    page = '{"portNumber": ["8080"], "localPortNumber": ["8080"]}'
    assert outputs == {
        "region": region,
        "master_instance_id": master,
        "master_url": "spark://master.demo-spark:7077",
        "master_ui_url": "http://master.demo-spark:8080",
        "bucket_name": bucket,
        "group_name": "demo-spark-workers",
        "security_group_id": f"${{{default_app.address('aws_security_group', 'spark_network_security_group')}.id}}",
        "shell_command": session,
        "ui_command": f"{session} --document-name AWS-StartPortForwardingSession --parameters '{page}'",
        "submit_command": on_the_master(f"sudo /usr/local/bin/spark-job s3://{bucket}/data/job.py"),
        "status_command": on_the_master("sudo /usr/local/bin/spark-status"),
        "wait_command": on_the_master("sudo /usr/local/bin/spark-wait"),
    }


def test_spark_connect_adds_its_commands(default_app: Synthesized, tmp_path: Path) -> None:
    stack = synthesize(tmp_path, spark_connect=True)
    outputs = {name: body["value"] for name, body in stack.json["output"].items()}
    parameter = f"${{{stack.address('aws_ssm_parameter', 'spark_connect_token_parameter')}.name}}"
    page = '{"portNumber": ["15002"], "localPortNumber": ["15002"]}'
    get = f"aws ssm get-parameter --region {outputs['region']} --name {parameter} --with-decryption"
    assert {name: value for name, value in outputs.items() if name not in default_app.json["output"]} == {
        "connect_parameter": parameter,
        "connect_command": f"{outputs['shell_command']} --document-name AWS-StartPortForwardingSession "
        f"--parameters '{page}'",
        "connect_token_command": f"{get} --query Parameter.Value --output text",
    }


def test_context_sets_what_a_deploy_wants_otherwise(tmp_path: Path) -> None:
    stack = synthesize(
        tmp_path,
        name="big",
        region="eu-central-1",
        profile="work",
        spark_version="4.2.1",
        s3a=False,
        master_instance_type="m7g.large",
        worker_instance_types=["r7g.2xlarge"],
        min_size=3,
        max_size=30,
        desired_size=5,
        force_destroy=False,
    )
    group = stack.the("aws_autoscaling_group")
    assert stack.json["provider"] == {"aws": [{"region": "eu-central-1", "profile": "work"}]}
    assert (group["name"], group["min_size"], group["desired_capacity"], group["max_size"]) == (
        "big-spark-workers",
        3,
        5,
        30,
    )
    assert stack.the("aws_instance")["instance_type"] == "m7g.large"
    assert instance_types(stack) == ["r7g.2xlarge"]
    assert stack.the("aws_s3_bucket")["force_destroy"] is False
    assert stack.settings("master")["spark_version"] == "4.2.1"
    assert stack.settings("master")["s3a_sdk"] == ""
    assert stack.json["output"]["shell_command"]["value"].endswith("--profile work")


def test_state_may_be_kept_in_a_bucket(tmp_path: Path) -> None:
    stack = synthesize(tmp_path, state_bucket="company-state", profile="work", name="big")
    assert stack.json["terraform"]["backend"] == {
        "s3": {
            "bucket": "company-state",
            "key": "spark-cluster/big.tfstate",
            "region": "us-east-1",
            "profile": "work",
            "encrypt": True,
            "use_lockfile": True,
        }
    }


# What is wrong in the context is named, with what was probably meant.

IN_CONTEXT = "cdktf.json's context: "
BUCKET_RULE = (
    "state_bucket must be the name of a bucket, 3 to 63 lower-case letters, digits, hyphens and single dots, with a "
    "letter or digit at either end, but no IP address and nothing that S3 keeps for itself"
)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"max_sise": 10}, "max_sise is unknown, did you mean max_size?"),
    "camel case": ({"minSize": 1}, "minSize is unknown, did you mean min_size?"),
    "plural": ({"regions": "us-east-1"}, "regions is unknown, did you mean region?"),
    "like none": (
        {"vpc": "vpc-1"},
        (
            "vpc is unknown, it may have name, region, profile, spark_version, s3a, spark_connect, metrics, "
            "state_bucket, master_instance_type, worker_instance_types, min_size, max_size, desired_size, force_destroy"
        ),
    ),
    "no name": ({"name": ""}, "name must not be empty, got ''"),
    "name with a blank": (
        {"name": "my cluster"},
        (
            "name must be lower-case letters, digits and single inner hyphens, beginning with a letter (a DNS and "
            "bucket name), got 'my cluster'"
        ),
    ),
    "no region": ({"region": ""}, "region must be a string that is not empty, got ''"),
    "numeric region": ({"region": 5}, "region must be a string that is not empty, got 5"),
    "region of nowhere": ({"region": "mars-1"}, "region must be a region such as us-east-1, got 'mars-1'"),
    "mistyped region": (
        {"region": "eu-centrl-1"},
        "region must be a region such as us-east-1, got 'eu-centrl-1', did you mean eu-central-1?",
    ),
    "zone": (
        {"region": "us-west-2b"},
        "region must be a region such as us-east-1, got 'us-west-2b', did you mean us-west-2?",
    ),
    "capital region": (
        {"region": "AP-South-1"},
        "region must be a region such as us-east-1, got 'AP-South-1', did you mean ap-south-1?",
    ),
    "no profile": ({"profile": ""}, "profile must be a string that is not empty, got ''"),
    "variable of a shell": (
        {"profile": "${AWS_PROFILE}"},
        "profile must hold no ${ or %{, since nothing takes their place, got '${AWS_PROFILE}'",
    ),
    "directive": ({"profile": "a%{x}"}, "profile must hold no ${ or %{, since nothing takes their place, got 'a%{x}'"),
    "token": (
        {"master_instance_type": "m6i.${TfToken[TOKEN.0]}"},
        "master_instance_type must hold no ${ or %{, since nothing takes their place, got 'm6i.<token>'",
    ),
    "token in a list": (
        {"worker_instance_types": ["${TfToken[TOKEN.0]}"]},
        "worker_instance_types[0] must hold no ${ or %{, since nothing takes their place, got a token",
    ),
    "blank before": ({"profile": " work"}, "profile must have no blank at either end, got ' work'"),
    "blank behind": ({"spark_version": "4.3.0 "}, "spark_version must have no blank at either end, got '4.3.0 '"),
    "two lines": (
        {"profile": "work\nplay"},
        "profile must hold no line's end and no other control character, got 'work\\nplay'",
    ),
    "numeric version": ({"spark_version": 4.3}, "spark_version must be a string that is not empty, got 4.3"),
    "word for a switch": ({"s3a": "off"}, "s3a must be a literal True or False, got 'off'"),
    "address of a bucket": ({"state_bucket": "s3://company-state"}, f"{BUCKET_RULE}, got 's3://company-state'"),
    "bucket with two dots": ({"state_bucket": "my..bucket"}, f"{BUCKET_RULE}, got 'my..bucket'"),
    "short bucket": ({"state_bucket": "ab"}, f"{BUCKET_RULE}, got 'ab'"),
    "IP address": ({"state_bucket": "192.168.1.1"}, f"{BUCKET_RULE}, got '192.168.1.1'"),
    "start that S3 keeps": ({"state_bucket": "xn--state"}, f"{BUCKET_RULE}, got 'xn--state'"),
    "end that S3 keeps": ({"state_bucket": "state--use1-az4--x-s3"}, f"{BUCKET_RULE}, got 'state--use1-az4--x-s3'"),
    "master's types": (
        {"master_instance_type": ["m6i.large"]},
        "master_instance_type must be a string that is not empty, got ['m6i.large']",
    ),
    "one worker type": (
        {"worker_instance_types": "m6i.xlarge"},
        "worker_instance_types must be a list such as ['m6i.xlarge'], got 'm6i.xlarge'",
    ),
    "types in one text": (
        {"worker_instance_types": ["m6i.xlarge", "m5.xlarge,m5a.xlarge"]},
        "worker_instance_types[1] must be an EC2 instance type such as 'm6i.xlarge', got 'm5.xlarge,m5a.xlarge'",
    ),
    "size as text": ({"min_size": "2"}, "min_size must be a whole number, got '2'"),
    "half a worker": ({"max_size": 2.5}, "max_size must be a whole number, got 2.5"),
    "size as truth": ({"desired_size": True}, "desired_size must be a whole number, got True"),
    "negative size": ({"min_size": -1}, "min_size must be a whole number of at least 0, got -1"),
    "truth as text": ({"force_destroy": "false"}, "force_destroy must be True or False, got 'false'"),
    "truth as number": ({"force_destroy": 0}, "force_destroy must be True or False, got 0"),
}


@pytest.mark.parametrize(("context", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_the_context_is_named(tmp_path: Path, context: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(IN_CONTEXT + message)}$"):
        main.build(new_app(tmp_path, **context))


@pytest.mark.parametrize(
    "context",
    [
        {"cdktfStaticModuleAssetHash": "1", "cdktfRelativeModules": []},
        {"@cdktf/disable_stack_trace_in_metadata": True},
        {"excludeStackIdFromLogicalIds": "true", "allowSepCharsInLogicalIds": "true"},
        {"profile": None, "desired_size": None},
        {"region": "eu-north-9"},
        {"min_size": 1.0},
        {"state_bucket": "1.2.3"},
    ],
    ids=["cdktf's own", "with an at sign", "of an older init", "null", "a region to come", "whole", "dots"],
)
def test_what_is_right_in_the_context_is_taken(tmp_path: Path, context: dict[str, Any]) -> None:
    assert main.build(new_app(tmp_path, **context))


def test_every_region_that_boto3_knows_is_taken() -> None:
    session = boto3.session.Session()
    known = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
    }
    assert known >= set(main.REGIONS)
    assert {main.settings_of({"region": region})["region"] for region in known} == known


def warnings(stack: TerraformStack) -> list[str]:
    return [entry.data for entry in stack.node.metadata if entry.type == "@cdktf/warn"]


def test_a_region_of_the_right_form_that_is_not_known_is_taken_with_a_warning(tmp_path: Path) -> None:
    """It may be new; if there is none such, Terraform's plan says so."""
    says = f"{IN_CONTEXT}region us-west-3 is none that this app knows, did you mean us-west-2?"
    assert warnings(main.build(new_app(tmp_path, region="us-west-3"))) == [says]
    assert warnings(main.build(new_app(tmp_path, region="us-west-2"))) == []


def test_every_setting_of_cdktf_json_is_one_that_the_app_reads() -> None:
    context = json.loads((Path(main.__file__).parent / "cdktf.json").read_text())["context"]
    assert main.settings_of(context).keys() == main.DEFAULTS.keys()


def test_make_looks_for_the_stack_where_the_app_puts_it(tmp_path: Path) -> None:
    for context in ({}, {"name": "big"}, {"name": "big", "region": "eu-central-1"}):
        stack = main.build(new_app(tmp_path, **context))
        assert on_master.stack_folder(context) == f"cdktf.out/stacks/{stack.node.id}"


# The program.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a `cdktf.json` is."""
    monkeypatch.delenv("CDKTF_CONTEXT_JSON", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cdktf.json").write_text(json.dumps({"context": {"max_size": 7, "name": "nightly"}}))
    return tmp_path


def program(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, main.__file__],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def last_words() -> str:
    """Of the program, as of one that Python runs: what `sys.exit` is given goes to stderr, with status 1."""
    with pytest.raises(SystemExit) as end:
        main.main()
    return str(end.value.code)


def max_size(folder: Path) -> int:
    (file,) = folder.glob("cdktf.out/stacks/*/cdk.tf.json")
    return int(json.loads(file.read_text())["resource"]["aws_autoscaling_group"].popitem()[1]["max_size"])


def test_the_program_alone_reads_cdktf_json_as_the_command_line_does(folder: Path) -> None:
    assert program(folder).returncode == 0
    assert max_size(folder) == 7
    assert [path.name for path in (folder / "cdktf.out/stacks").iterdir()] == ["spark-cluster-nightly-us-east-1"]


def test_what_the_command_line_hands_on_is_all_of_the_context(folder: Path) -> None:
    """It may have been told of another one."""
    assert program(folder, CDKTF_CONTEXT_JSON='{"max_size": 9}').returncode == 0
    assert max_size(folder) == 9
    assert [path.name for path in (folder / "cdktf.out/stacks").iterdir()] == ["spark-cluster-demo-us-east-1"]


def test_a_context_of_no_words_is_as_good_as_none_handed_on(folder: Path) -> None:
    """cdktf's App reads it so, too."""
    assert program(folder, CDKTF_CONTEXT_JSON="").returncode == 0
    assert max_size(folder) == 7


OBJECT = 'cdktf.json must be an object such as {"context": {"name": "nightly"}}'
CONTEXT = 'cdktf.json\'s context must be an object such as {"name": "nightly"}'
WRONG_FILES: dict[str, tuple[str | bytes, str]] = {
    "unknown key": ('{"context": {"max_sise": 7}}', f"{IN_CONTEXT}max_sise is unknown, did you mean max_size?"),
    "beside the context": (
        '{"region": "eu-west-1", "max_size": 7}',
        "cdktf.json: max_size, region must stand in its context",
    ),
    "mistyped beside the context": ('{"max_sise": 7}', "cdktf.json: max_sise is unknown, did you mean max_size?"),
    "mistyped context": ('{"contxt": {"name": "b"}}', "cdktf.json: contxt is unknown, did you mean context?"),
    "context and Context": (
        '{"context": {}, "Context": {"name": "b"}}',
        "cdktf.json: Context is unknown, did you mean context?",
    ),
    "mistyped key of cdktf's": (
        '{"context": {}, "terraformModule": []}',
        "cdktf.json: terraformModule is unknown, did you mean terraformModules?",
    ),
    "list for the context": ('{"context": ["max_size"]}', f"{CONTEXT}, got ['max_size']"),
    "empty list for the context": ('{"context": []}', f"{CONTEXT}, got []"),
    "empty text for the context": ('{"context": ""}', f"{CONTEXT}, got ''"),
    "list": ("[]", f"{OBJECT}, got []"),
    "null": ("null", f"{OBJECT}, got None"),
    "empty": ("", f"{OBJECT}, got None"),
    "no comma": (
        '{"context": {} "app": ""}',
        "cdktf.json must be JSON in UTF-8: Expecting ',' delimiter: line 1 column 16 (char 15)",
    ),
    "key twice": ('{"context": {"name": "a", "name": "b"}}', "cdktf.json must be JSON in UTF-8: name is in it twice"),
    "context twice": (
        '{"context": {"name": "a"}, "context": {}}',
        "cdktf.json must be JSON in UTF-8: context is in it twice",
    ),
    "no number": ('{"context": {"max_size": NaN}}', "cdktf.json must be JSON in UTF-8: NaN is no number of JSON's"),
    "endless number": (
        '{"context": {"max_size": 1e400}}',
        "cdktf.json must be JSON in UTF-8: 1e400 is no number of JSON's",
    ),
    "byte order mark": (
        "\ufeff{}",
        "cdktf.json must be JSON in UTF-8: Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)",
    ),
    "UTF-16": (
        "{}".encode("utf-16"),
        "cdktf.json must be JSON in UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "what the construct refuses": (
        '{"context": {"min_size": 9}}',
        "workers.min_size must be at most workers.max_size, got 9 > 4",
    ),
}


@pytest.mark.parametrize(("content", "says"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_the_program_says_in_one_line_what_is_wrong(folder: Path, content: str | bytes, says: str) -> None:
    (folder / "cdktf.json").write_bytes(content.encode() if isinstance(content, str) else content)
    assert last_words() == f"main.py: {says}"


OF_CDKTF: dict[str, Any] = {
    "language": "python",
    "app": "python main.py",
    "codeMakerOutput": "imports",
    "output": "cdktf.out",
    "projectId": "1",
    "sendCrashReports": "false",
    "terraformProviders": [],
    "terraformModules": [],
    "watchPattern": ["main.py"],
    "context": None,
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OF_CDKTF),
        '{"owner": "team", "$schema": "https://example.com", "//context": {"name": "other"}}',
        '{\r\n  "context": {}\r\n}\r\n',
    ],
    ids=["cdktf's own", "others", "lines of Windows"],
)
def test_the_program_takes_what_else_may_be_in_cdktf_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "cdktf.json").write_bytes(text.encode())
    assert main.context_of(tmp_path / "cdktf.json") == {}


def test_the_program_says_why_cdktf_json_cannot_be_read(folder: Path) -> None:
    (folder / "cdktf.json").unlink()
    (folder / "cdktf.json").mkdir()
    assert last_words() == "main.py: cdktf.json cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("handed", "says"),
    [
        ("{", "must be JSON in UTF-8: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("null", 'must be an object such as {"name": "nightly"}, got None'),
        ('["name"]', 'must be an object such as {"name": "nightly"}, got [\'name\']'),
    ],
    ids=["broken", "null", "list"],
)
@pytest.mark.usefixtures("folder")
def test_the_program_says_what_is_wrong_with_what_was_handed_on(
    monkeypatch: pytest.MonkeyPatch, handed: str, says: str
) -> None:
    monkeypatch.setenv("CDKTF_CONTEXT_JSON", handed)
    assert last_words() == f"main.py: CDKTF_CONTEXT_JSON {says}"


def test_the_program_wants_the_folder_of_cdktf_json(folder: Path) -> None:
    (folder / "cdktf.json").unlink()
    done = program(folder)
    assert (done.returncode, done.stderr) == (
        1,
        f"main.py: there is no cdktf.json in {folder}: call main.py where it is\n",
    )


# The state.


def state_id(folder: Path, **context: Any) -> str:
    return str(main.build(new_app(folder, **context)).node.id)


def test_another_name_or_region_has_another_state(tmp_path: Path) -> None:
    """cdktf names the file of the local state after the stack's id: one file would be one cluster, replaced."""
    ids = {state_id(tmp_path, name=name, region=region) for name in ("a", "b") for region in ("us-east-1", "us-east-2")}
    assert len(ids) == 4
    assert state_id(tmp_path) == "spark-cluster-demo-us-east-1"


def former_state(folder: Path, outputs: dict[str, str], resources: list[dict[str, Any]]) -> None:
    state = {"version": 4, "outputs": {name: {"value": value} for name, value in outputs.items()}}
    (folder / "terraform.spark-cluster.tfstate").write_text(json.dumps(state | {"resources": resources}))


@pytest.mark.parametrize(
    ("outputs", "now"),
    [
        ({"group_name": "old-spark-workers", "region": "eu-west-1"}, "terraform.spark-cluster-old-eu-west-1.tfstate"),
        ({}, "terraform.spark-cluster-NAME-REGION.tfstate"),
    ],
    ids=["deployed", "half deployed"],
)
def test_a_cluster_in_the_former_state_file_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: dict[str, str], now: str
) -> None:
    monkeypatch.chdir(tmp_path)
    former_state(tmp_path, outputs, [{"type": "aws_instance"}])
    says = f"terraform.spark-cluster.tfstate keeps the cluster of an earlier version: it must be renamed to {now}"
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        main.build(new_app(tmp_path))


STATE = "terraform.spark-cluster.tfstate"
WRONG_STATES: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty"),
    "cut off": ('{"version": 4, "resources": [', "must be JSON in UTF-8: Expecting value: line 1 column 30 (char 29)"),
    "not UTF-8": (
        b"\xff",
        "must be JSON in UTF-8: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ),
    "without resources": ('{"version": 4}', "must be a state of version 4, with its resources"),
    "of version 3": ('{"version": 3, "modules": []}', "must be a state of version 4, with its resources"),
    "list": ("[]", "must be a state of version 4, with its resources"),
    "encrypted": (
        '{"serial": 1, "lineage": "x", "meta": {}, "encrypted_data": "x", "encryption_version": "v0"}',
        "is encrypted",
    ),
}
REMEDY = (
    f"if it keeps a cluster of an earlier version, it, or a good copy such as {STATE}.backup, must be renamed to "
    "terraform.spark-cluster-NAME-REGION.tfstate, else it must be moved away"
)


def refusal_of_the_former_state(folder: Path) -> str:
    with pytest.raises(ValueError, match=f"^{re.escape(STATE)} ") as error:
        main.build(new_app(folder))
    return str(error.value)


@pytest.mark.parametrize(("content", "wrong"), WRONG_STATES.values(), ids=WRONG_STATES)
def test_a_former_state_file_that_does_not_tell_whether_it_keeps_a_cluster_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes, wrong: str
) -> None:
    monkeypatch.chdir(tmp_path)
    data = content.encode() if isinstance(content, str) else content
    Path(STATE).write_bytes(data)
    assert refusal_of_the_former_state(tmp_path) == f"{STATE} {wrong}: {REMEDY}"
    assert Path(STATE).read_bytes() == data


def test_a_former_state_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(STATE).mkdir()
    assert refusal_of_the_former_state(tmp_path) == f"{STATE} cannot be read: Is a directory: {REMEDY}"


def test_the_former_state_file_does_not_matter_where_nothing_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    former_state(tmp_path, {}, [])
    assert main.build(new_app(tmp_path / "destroyed"))
    former_state(tmp_path, {}, [{"type": "aws_instance"}])
    assert main.build(new_app(tmp_path / "remote", state_bucket="company-state"))
