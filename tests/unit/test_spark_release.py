from __future__ import annotations

import re
from typing import Any

import pytest

from spark_cluster.spark_release import DEFAULT_SPARK_VERSION, RELEASES, SparkArchive, SparkDistribution

SHA256, SHA512 = "a" * 64, "b" * 128


def refusal(**arguments: Any) -> str:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole by the tests
        SparkDistribution(**arguments)
    return str(error.value)


def test_the_default_is_4_3_0_from_apaches_cdn_then_its_archive() -> None:
    spark = SparkDistribution()
    assert spark.version == "4.3.0"
    assert spark.python_version == "3.11"
    assert spark.file_name == "spark-4.3.0-bin-hadoop3.tgz"
    assert spark.urls == [
        "https://dlcdn.apache.org/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz",
        "https://archive.apache.org/dist/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz",
    ]


def test_a_release_without_a_known_checksum_is_checked_by_what_the_foundations_own_hosts_publish() -> None:
    spark = SparkDistribution()
    assert spark.checksum == ""
    assert spark.checksum_urls == [
        "https://downloads.apache.org/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz.sha512",
        "https://archive.apache.org/dist/spark/spark-4.3.0/spark-4.3.0-bin-hadoop3.tgz.sha512",
    ]


def test_a_cdn_is_never_a_source_of_checksums() -> None:
    assert not [url for url in SparkDistribution().checksum_urls if "dlcdn" in url]


def test_a_known_checksum_is_pinned() -> None:
    assert SparkDistribution("4.2.0").checksum == "cc1232a4a23858300ba9c887b7ac5a9128b4a1819cea2fa8ee2bc6ce98ced72b"


def test_the_callers_checksum_wins() -> None:
    assert SparkDistribution("4.2.0", SHA512).checksum == SHA512


def test_the_default_is_in_the_table() -> None:
    assert DEFAULT_SPARK_VERSION in RELEASES


@pytest.mark.parametrize("version", RELEASES)
def test_each_release_of_the_table_goes_with_the_python_that_nodes_get(version: str) -> None:
    assert SparkDistribution(version).version == version


@pytest.mark.parametrize("version", RELEASES)
def test_a_checksum_of_the_table_is_a_sha256_or_none(version: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}|", RELEASES[version].checksum)


def test_no_two_releases_have_one_checksum() -> None:
    known = [release.checksum for release in RELEASES.values() if release.checksum]
    assert known
    assert len(set(known)) == len(known)


def test_any_other_release_comes_with_its_checksum() -> None:
    spark = SparkDistribution("4.9.9", SHA512)
    assert spark.checksum == SHA512
    assert spark.urls[0] == "https://dlcdn.apache.org/spark/spark-4.9.9/spark-4.9.9-bin-hadoop3.tgz"


def test_a_preview_is_a_release_too() -> None:
    assert SparkDistribution("4.4.0-preview1", SHA256).file_name == "spark-4.4.0-preview1-bin-hadoop3.tgz"


def test_an_archive_of_the_callers_is_the_only_source() -> None:
    spark = SparkDistribution(archive=SparkArchive("https://example.org/spark.tgz", SHA256))
    assert spark.urls == ["https://example.org/spark.tgz"]
    assert spark.checksum == SHA256


def test_an_archive_may_be_of_a_release_that_is_in_no_table() -> None:
    archive = SparkArchive("s3://company/spark/5.0.0.tgz", SHA256)
    assert SparkDistribution("5.0.0", archive=archive).version == "5.0.0"
    assert archive.s3_object == "company/spark/5.0.0.tgz"


def test_an_archive_elsewhere_is_no_object() -> None:
    assert SparkArchive("https://example.org/spark.tgz", SHA256).s3_object is None


def test_refuses_an_unknown_release_without_a_checksum() -> None:
    assert refusal(version="4.9.9") == (
        f"spark_version must be one of {', '.join(RELEASES)}, or come with its spark_checksum or spark_archive, "
        "got '4.9.9'"
    )


@pytest.mark.parametrize("version", ["4.3", "v4.3.0", "4.3.0/../..", "latest", "", None, 4.3, "4.3.0 ", "04.03.00"])
def test_refuses_what_is_no_release(version: object) -> None:
    assert refusal(version=version) == f"spark_version must be a release such as '4.3.0', and literal, got {version!r}"


@pytest.mark.parametrize("version", ["3.2.4", "2.4.8", "0.0.0", "3.2.99-preview"])
def test_refuses_a_release_that_knows_no_java_17(version: str) -> None:
    """Whatever its checksum or archive: nodes have that Java or a later one."""
    for more in ({"checksum": SHA512}, {"archive": SparkArchive("https://example.org/spark.tgz", SHA256)}, {}):
        assert refusal(version=version, **more) == (
            f"spark_version must be at least 3.3, the first that runs on the nodes' Java 17, got {version!r}"
        )


def test_takes_the_first_release_on_java_17() -> None:
    assert SparkDistribution("3.3.0", SHA512).file_name == "spark-3.3.0-bin-hadoop3.tgz"


def test_refuses_a_python_that_spark_does_not_run_on() -> None:
    assert refusal(python_version="3.10") == "python_version must be at least 3.11 for Spark 4.3.0, got '3.10'"


def test_refuses_a_python_that_is_too_old_though_its_digits_are_larger() -> None:
    assert refusal(python_version="3.9") == "python_version must be at least 3.11 for Spark 4.3.0, got '3.9'"


def test_takes_an_older_python_with_an_older_spark() -> None:
    assert SparkDistribution("4.0.5", python_version="3.9").python_version == "3.9"


@pytest.mark.parametrize("version", ["3", "2.7", "3.11.4", "python3.11", "3.08", None, 3.11])
def test_refuses_what_is_no_python(version: object) -> None:
    assert refusal(python_version=version) == (
        f"python_version must be a version such as '3.11', and literal, got {version!r}"
    )


def test_refuses_two_checksums() -> None:
    assert refusal(checksum=SHA256, archive=SparkArchive("https://example.org/spark.tgz", SHA256)) == (
        "spark_checksum must be left out beside spark_archive, which has its own checksum"
    )


CHECKSUM_RULE = "be a SHA-256 or SHA-512 as 64 or 128 lower-case hexadecimal digits"


@pytest.mark.parametrize("checksum", ["", "abc", "A" * 64, "a" * 65, 1])
def test_refuses_what_is_no_checksum(checksum: object) -> None:
    assert refusal(checksum=checksum) == f"spark_checksum must {CHECKSUM_RULE}, got {checksum!r}"


@pytest.mark.parametrize(
    "url",
    [
        *("https://example.org/spark.tgz", "https://example.org:65535//a//b/", "https://10.0.0.1/x", "https://[::1]/x"),
        *("https://example.org/a%20b.tgz", "s3://company/a%zz.tgz", "s3://my.company-1/x/", "s3://company//x"),
        f"s3://company/{'a' * 1024}",
    ],
)
def test_an_archive_is_where_a_node_can_ask(url: str) -> None:
    assert SparkArchive(url, SHA256).url == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/spark.tgz", "ftp://example.org/x", "s3://bucket", "s3://bucket/", "/local", "", None),
        *("https://example.org:0/x", "https://example.org:99999/x", "https://a..b/x", "https://-a/x", "https://[1]/x"),
        *("https://999.0.0.1/x", f"https://{'a' * 64}/x", "https://example.org/%zz", "https://example.org/a%2"),
        *("https://example.org", "https://example.org/", "https://example.org//", "s3://bucket//", "s3://ab/k"),
        *("s3://192.168.1.1/k", "s3://a..b/k", "s3://Bucket/k", "s3://-bucket/k"),
    ],
)
def test_refuses_an_archive_that_no_node_could_fetch_safely(url: Any) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        SparkArchive(url, SHA256)
    assert (
        str(error.value) == f"spark_archive.url must be a literal 'https://…' or 's3://bucket/key' address, got {url!r}"
    )


def test_refuses_a_key_that_is_longer_than_s3_takes() -> None:
    with pytest.raises(
        ValueError, match=r"^spark_archive\.url must be a literal 'https://…' or 's3://bucket/key' address"
    ):
        SparkArchive(f"s3://company/{'a' * 1025}", SHA256)


@pytest.mark.parametrize("url", ["https://user:word@example.org/x.tgz", "https://example.org/x.tgz?X-Amz-Signature=1"])
def test_refuses_a_secret_in_an_archives_address_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        SparkArchive(url, SHA256)
    assert str(error.value) == "spark_archive.url must hold no user, password or query, because user data is readable"


@pytest.mark.parametrize(
    ("checksum", "message"),
    [
        ("", "spark_archive.checksum must be a string that is not empty, got ''"),
        (None, "spark_archive.checksum must be given, got None"),
        ("abc", f"spark_archive.checksum must {CHECKSUM_RULE}, got 'abc'"),
    ],
)
def test_refuses_an_archive_that_nothing_verifies(checksum: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared whole below
        SparkArchive("https://example.org/spark.tgz", checksum)
    assert str(error.value) == message
