"""The jars of S3A: what nodes are told of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from cdktf import TerraformStack, Token

from spark_cluster import SparkArchive, SparkCluster, s3a
from spark_cluster.spark_release import RELEASES, SparkDistribution
from tests.synth.conftest import REQUIRED

if TYPE_CHECKING:
    from tests.synth.conftest import Synthesize
    from tests.synth.synthesized import Synthesized

SHA256 = re.compile("[0-9a-f]{64}")
ARCHIVE = SparkArchive("https://example.org/spark.tgz", "a" * 64)


def told(stack: Synthesized) -> dict[str, Any]:
    """Of both roles alike."""
    keys = ("hadoop_version", "s3a_sdk", "maven_url")
    master, worker = ({key: stack.settings(role)[key] for key in keys} for role in ("master", "worker"))
    assert master == worker
    return master


def warnings(stack: TerraformStack) -> list[str]:
    found = [entry for child in stack.node.find_all() for entry in child.node.metadata]
    return [str(entry.data) for entry in found if entry.type == "@cdktf/warn"]


def test_nodes_get_the_jars_of_the_default_release(default: Synthesized, default_cluster: SparkCluster) -> None:
    assert told(default) == {
        "s3a_sdk": "slim",
        "hadoop_version": "3.5.0",
        "maven_url": "https://repo.maven.apache.org/maven2",
    }
    assert warnings(TerraformStack.of(default_cluster)) == []


def test_the_table_has_every_release_and_the_jars_of_its_hadoop() -> None:
    assert s3a.RELEASES.keys() == RELEASES.keys()
    assert {release["hadoop"] for release in s3a.RELEASES.values()} == s3a.JARS.keys()
    for version, release in s3a.RELEASES.items():
        assert release["scala"] == ("2.12" if version.startswith("3.") else "2.13")
        assert not release["committers_sha256"] or SHA256.fullmatch(release["committers_sha256"])


@pytest.mark.parametrize("hadoop", s3a.JARS)
def test_every_jar_has_its_checksum_and_the_sdk_two(hadoop: str) -> None:
    jars = [row.split(":") for row in s3a.JARS[hadoop]]
    assert jars[0][:3] == ["org.apache.hadoop", "hadoop-aws", hadoop]
    assert jars[1][1] in {"bundle", "aws-java-sdk-bundle"}
    assert [len(row) for row in jars] == [4, 5, 4][: len(jars)]
    assert all(SHA256.fullmatch(digest) for row in jars for digest in row[3:])


def test_the_sdk_may_stay_whole_and_the_repository_be_another(synthesize: Synthesize) -> None:
    found = told(synthesize(s3a=s3a.On(repository_url="https://nexus.company.example:8443/maven", whole_sdk=True)))
    assert found["maven_url"] == "https://nexus.company.example:8443/maven"
    assert found["s3a_sdk"] == "whole"


def test_nodes_get_none_if_none_are_wanted(synthesize: Synthesize, stack: TerraformStack) -> None:
    assert told(synthesize(s3a=s3a.Off())) == {"hadoop_version": "", "s3a_sdk": "", "maven_url": ""}
    assert warnings(stack) == [NO_FALLBACK]


NO_FALLBACK = (
    "without S3A there is no fallback storage: what executors of a worker that leaves hold goes to other workers, or "
    "is computed again if there are none; choose s3a=s3a.On(), or give spark_defaults a "
    "spark.storage.decommission.fallbackStorage.path"
)


def test_who_has_another_fallback_is_told_nothing(synthesize: Synthesize, stack: TerraformStack) -> None:
    synthesize(s3a=s3a.Off(), spark_defaults={"spark.storage.decommission.fallbackStorage.path": "file:/mnt/efs/"})
    assert warnings(stack) == []


def test_of_an_archive_the_nodes_see_which_hadoop_it_has(synthesize: Synthesize) -> None:
    found = told(synthesize(spark_archive=ARCHIVE))
    assert (found["s3a_sdk"], found["hadoop_version"]) == ("slim", "")


def test_a_release_that_is_not_known_gets_none_and_a_warning(synthesize: Synthesize, stack: TerraformStack) -> None:
    assert told(synthesize(spark_version="4.9.0", spark_archive=ARCHIVE))["s3a_sdk"] == ""
    warning, of_fallback = warnings(stack)
    assert of_fallback == NO_FALLBACK
    assert warning.startswith(
        "nodes get no jars for s3a://, since Spark 4.9.0 is not one whose Hadoop is known: choose "
    )


@pytest.mark.parametrize("choice", [s3a.On(), s3a.Off()], ids=["on", "off"])
def test_a_choice_needs_no_warning_but_of_what_it_costs(
    synthesize: Synthesize, stack: TerraformStack, choice: s3a.On | s3a.Off
) -> None:
    found = told(synthesize(spark_version="4.9.0", spark_archive=ARCHIVE, s3a=choice))
    is_on = isinstance(choice, s3a.On)
    assert (found["s3a_sdk"], found["hadoop_version"]) == ("slim" if is_on else "", "")
    assert warnings(stack) == ([] if is_on else [NO_FALLBACK])


@pytest.mark.parametrize(
    "url",
    [
        "http://repo.example.org/maven",
        "https://user:word@repo.example.org",
        "https://repo.example.org/",
        "https://repo.example.org/a?b",
        "https://repo.example.org:0",
        "https://repo.example.org:99999/x",
        "https://-..-",
        "https://a..b/maven",
        "https://999.0.0.1",
        "https://repo.example.org/%zz",
        "s3://bucket/maven",
        "",
        None,
        Token.as_string({"Ref": "x"}),
    ],
)
def test_refuses_what_is_no_repository(url: Any) -> None:
    with pytest.raises(ValueError, match=r"^s3a\.repository_url must be a literal address such as 'https://repo\."):
        s3a.On(repository_url=url)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((5,), "sdk must be one of '', 'slim', 'whole', got 5"),
        (("fat", "3.5.0", s3a.MAVEN_CENTRAL), "sdk must be one of '', 'slim', 'whole', got 'fat'"),
        (("slim", "9.9", s3a.MAVEN_CENTRAL), "hadoop_version must be '' or one of "),
        (("slim", None, s3a.MAVEN_CENTRAL), "hadoop_version must be '' or one of "),
        (("slim", "", "ftp://x"), "repository_url must be a literal address such as "),
        (("slim",), "repository_url must be a literal address such as "),
        (("", "", None), "repository_url must be a literal address such as "),
    ],
)
def test_refuses_jars_that_no_node_knows(values: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        s3a.Jars(*values)
    assert str(error.value).startswith(f"s3a.jars.{message}")


@pytest.mark.parametrize("value", [None, "yes", 1])
def test_refuses_a_whole_sdk_that_is_no_boolean(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^s3a\.whole_sdk must be "):
        s3a.On(whole_sdk=value)


@pytest.mark.parametrize("choice", [True, "on", s3a.On, object()])
def test_refuses_what_is_no_choice(stack: TerraformStack, choice: Any) -> None:
    with pytest.raises(ValueError, match=r"^s3a must be an object such as s3a\.On\(\), got "):
        SparkCluster(stack, "spark", **{**REQUIRED, "s3a": choice})


def test_refuses_a_choice_that_gives_no_jars(stack: TerraformStack) -> None:
    class Odd:
        def jars(self, _: SparkDistribution) -> Any:
            return {}

    with pytest.raises(ValueError, match=r"^s3a\.jars must be an object such as Jars\("):
        SparkCluster(stack, "spark", **{**REQUIRED, "s3a": Odd()})
