"""The cluster's own arguments, checked together before there is anything: neither jsii nor a stack sees a wrong one.

What belongs to one part (`Master`, `Workers`, a strategy of scaling, a place of the fleet key, a Spark distribution) is
checked where its object is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdktf import TerraformProvider
from constructs import Construct

from spark_cluster import checks, connect, instance_types, limits
from spark_cluster.connect import SparkConnect
from spark_cluster.fleet_key import FleetKey
from spark_cluster.master import Master
from spark_cluster.network import PrivateZone
from spark_cluster.s3a import S3a
from spark_cluster.scaling import Scaling
from spark_cluster.spark_release import check_amazon_linux_has
from spark_cluster.workers import Workers


def check(
    *,
    scope: Construct,
    name: str,
    vpc_id: str,
    subnet_ids: Sequence[str],
    master: Master,
    workers: Workers,
    scaling: Scaling,
    fleet_key: FleetKey,
    s3a: S3a | None,
    spark_version: str,
    python_version: str,
    spark_connect: SparkConnect | None,
    spark_defaults: Mapping[str, str],
    setup_script: str | None,
    http_proxy: str | None,
    no_proxy: Sequence[str],
    security_group_ids: Sequence[str],
    private_zone: PrivateZone | None,
    allow_all_egress: bool,
    associate_public_ip_address: checks.Flag | None,
    key_name: str | None,
    ebs_optimized: checks.Flag | None,
    ami_id: str | None,
    account_id: str | None,
    permissions_boundary_arn: str | None,
    bucket_kms_key_arn: str | None,
    parameter_kms_key_arn: str | None,
    volume_kms_key_arn: str | None,
    force_destroy: checks.Flag,
    log_retention_days: checks.Whole,
    boot_timeout_seconds: checks.Whole,
    drain_timeout_seconds: checks.Whole,
    unlisted_timeout_seconds: checks.Whole,
    metrics: bool,
    tags: Mapping[str, str],
    provider: TerraformProvider | None,
) -> None:
    """Check what SparkCluster was given, but for what its SparkDistribution has checked.

    Raises:
        ValueError: an argument is wrong; the message names it, the rule and the value.
    """
    checks.name("name", name)
    checks.tags("tags", tags)
    checks.instance("master", master, Master, "Master(instance_type='m6i.large')")
    checks.instance("workers", workers, Workers, "Workers(min_size=1, max_size=4)")
    instance_types.check(master.instance_type, workers.instance_types, ebs_optimized=ebs_optimized)
    checks.answer("scaling", scaling, ("attach",), "scaling.Cpu()")
    for part in ("prepare", "leaves_zero"):
        if not hasattr(scaling, part):
            raise checks.fail("scaling", f"have `{part}`, as scaling.Cpu() has", scaling)
    checks.literal_flag("scaling.leaves_zero", scaling.leaves_zero)
    if checks.is_known(workers.min_size) and workers.min_size == 0 and not scaling.leaves_zero:
        strategy = f"scaling.{type(scaling).__name__}"
        rule = f"be at least 1 with {strategy}, which cannot scale a group without workers"
        raise checks.fail("workers.min_size", rule, workers.min_size)
    checks.answer("fleet_key", fleet_key, ("private_parameter",), "fleet_key.Generated()")
    if s3a is not None:
        checks.answer("s3a", s3a, ("jars",), "s3a.On()")
    checks.prefixed("vpc_id", vpc_id, "vpc-")
    checks.subnets("subnet_ids", subnet_ids)
    checks.security_groups("security_group_ids", security_group_ids)
    if private_zone is not None:
        checks.instance("private_zone", private_zone, PrivateZone, "PrivateZone('Z1D633PJN98FT9', 'data.internal')")
    checks.literal_flag("allow_all_egress", allow_all_egress)
    checks.flag("associate_public_ip_address", associate_public_ip_address)
    checks.flag("ebs_optimized", ebs_optimized)
    checks.flag("force_destroy", force_destroy)
    checks.whole("log_retention_days", log_retention_days, 1)
    checks.spark_defaults("spark_defaults", spark_defaults)
    if spark_connect is not None:
        connect.check(spark_connect, spark_version, spark_defaults)
    checks.script("setup_script", setup_script)
    checks.proxy("http_proxy", http_proxy)
    checks.no_proxy("no_proxy", no_proxy)
    checks.key_name("key_name", key_name)
    if ami_id is not None:
        checks.prefixed("ami_id", ami_id, "ami-")
    else:
        check_amazon_linux_has(python_version)
    checks.account_id("account_id", account_id)
    checks.boundary_arn("permissions_boundary_arn", permissions_boundary_arn, account_id)
    checks.literal_flag("metrics", metrics)
    checks.provider("provider", provider, scope=scope)
    keys = {
        "bucket_kms_key_arn": bucket_kms_key_arn,
        "parameter_kms_key_arn": parameter_kms_key_arn,
        "volume_kms_key_arn": volume_kms_key_arn,
    }
    for argument, key_arn in keys.items():
        checks.key_arn(argument, key_arn, told=argument == "parameter_kms_key_arn")
    checks.keys_of_one_region(keys, getattr(provider, "region", None))
    shortest, longest = limits.SHORTEST_BOOT_SECONDS, limits.LONGEST_BOOT_SECONDS
    checks.whole("boot_timeout_seconds", boot_timeout_seconds, shortest, longest)
    shortest, longest = limits.SHORTEST_UNLISTED_SECONDS, limits.LONGEST_UNLISTED_SECONDS
    checks.whole("unlisted_timeout_seconds", unlisted_timeout_seconds, shortest, longest)
    checks.whole(
        "drain_timeout_seconds", drain_timeout_seconds, limits.SHORTEST_DRAIN_SECONDS, limits.LONGEST_DRAIN_SECONDS
    )
