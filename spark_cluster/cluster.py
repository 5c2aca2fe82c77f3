"""The cluster as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cdktf import TerraformDataSource, TerraformModule, TerraformProvider, TerraformResource, TerraformStack
from constructs import Construct

from spark_cluster import arguments, checks, plan_checks, references, userdata
from spark_cluster.commands import Commands
from spark_cluster.connect import ClusterConnect, SparkConnect
from spark_cluster.existing import About
from spark_cluster.fleet_key import ClusterFleetKey, FleetKey, Generated
from spark_cluster.grants import Grantee, Grants
from spark_cluster.history import history_server_of
from spark_cluster.identity import Allow, NodeRole
from spark_cluster.image import NodeImage
from spark_cluster.location import Location
from spark_cluster.master import Master, MasterInstance
from spark_cluster.metrics import ClusterMetrics
from spark_cluster.network import ClusterNetwork, PrivateZone, master_ui_url, master_url
from spark_cluster.node import NodeCommon, node_name
from spark_cluster.parameters import PLACEHOLDER, NodeParameter, spark_secret_parameter_name
from spark_cluster.required_version import RequiredVersion
from spark_cluster.s3a import S3a, jars_of, warn_without_fallback
from spark_cluster.scaling import Cpu, Prepared, Scaling
from spark_cluster.settings import MasterSettings, NodeSettings, WorkerSettings, executor_cores
from spark_cluster.setup_script import SetupScript
from spark_cluster.spark_release import DEFAULT_SPARK_VERSION, PYTHON_VERSION, SparkArchive, SparkDistribution
from spark_cluster.storage import LOG_RETENTION_DAYS, ClusterStorage
from spark_cluster.workers import (
    LAUNCH_HOOK_NAME,
    TERMINATION_HOOK_NAME,
    WorkerFleet,
    Workers,
    grant_complete_hooks,
    grant_take_workers_out,
    group_arn,
    group_name,
)


class SparkCluster(Construct):
    """A Spark standalone cluster: an on-demand master, spot workers that scale, a bucket and private DNS.

    Attributes:
        location: region, account and partition.
        master_role: the role of the master.
        worker_role: the role of the workers.
        storage: the bucket, and grants on its data.
        network: the security group and the private zone.
        spark_secret: the parameter with the secret of `spark.authenticate`.
        fleet_key: the parameters with the SSH key of the fleet.
        connect: the parameter with the token of the Spark Connect server, if there is one.
        metrics: the dashboard, if there is one.
        image: the AMI.
        master: the master's instance and record.
        workers: the launch template, the group and its scaling.
        master_url: what `spark-submit --master` takes, from inside the VPC.
        master_ui_url: the master's web page, from inside the VPC; the history is below it, at `/history/`.
        master_instance_id: the master's id, for Session Manager.
        commands: what a person runs on their own machine: a shell on the master, its page, a job, its status, Spark
            Connect.
        name: the cluster's name.
        provider: the AWS provider that makes it; `None`: the stack's one without an alias.
        bucket_name: the bucket.
        bucket_arn: its ARN.
        master_role_arn: the ARN of the master's role.
        worker_role_arn: the ARN of the workers' role.
        about: the parameter by which another program knows the cluster (`ExistingCluster`).
        security_group_id: the group of all nodes.
        group_name: the workers' Auto Scaling group.
        spark_secret_parameter_name: where a submitter with `grant_submit` reads the secret.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        vpc_id: str,
        subnet_ids: Sequence[str],
        master: Master = Master(),  # noqa: B008 - frozen
        workers: Workers = Workers(),  # noqa: B008 - frozen
        scaling: Scaling = Cpu(),  # noqa: B008 - frozen
        fleet_key: FleetKey = Generated(),  # noqa: B008 - frozen
        spark_version: str = DEFAULT_SPARK_VERSION,
        spark_checksum: str | None = None,
        spark_archive: SparkArchive | None = None,
        s3a: S3a | None = None,
        spark_connect: SparkConnect | None = None,
        spark_defaults: Mapping[str, str] | None = None,
        python_version: str = PYTHON_VERSION,
        setup_script: str | None = None,
        http_proxy: str | None = None,
        no_proxy: Sequence[str] = (),
        security_group_ids: Sequence[str] = (),
        private_zone: PrivateZone | None = None,
        allow_all_egress: bool = True,
        associate_public_ip_address: checks.Flag | None = None,
        key_name: str | None = None,
        ebs_optimized: checks.Flag | None = None,
        ami_id: str | None = None,
        account_id: str | None = None,
        permissions_boundary_arn: str | None = None,
        bucket_kms_key_arn: str | None = None,
        parameter_kms_key_arn: str | None = None,
        volume_kms_key_arn: str | None = None,
        force_destroy: checks.Flag = False,
        log_retention_days: checks.Whole = LOG_RETENTION_DAYS,
        boot_timeout_seconds: checks.Whole = 1800,
        drain_timeout_seconds: checks.Whole = 900,
        unlisted_timeout_seconds: checks.Whole = 600,
        metrics: bool = False,
        tags: Mapping[str, str] | None = None,
        provider: TerraformProvider | None = None,
    ) -> None:
        """Make the cluster.

        What Terraform can compute may be a token; `name` and what shapes the graph (the instance types' list, tag keys,
        Spark's version and archive, which optional things there are) is literal.

        Args:
            scope: the stack, or a construct in it.
            id: its id: part of every address, so changing it replaces the cluster.
            name: at most 24 lower-case letters, digits and single inner hyphens. Unique in the region and in the VPC:
                the zone is `<name>-spark`, the group `<name>-spark-workers`, the parameters `/spark-cluster/<name>/…`.
                A second one by the same provider of a stack is refused.
                Changing it: makes another cluster with an empty bucket, and destroys this one; if its bucket has to
                be kept (`force_destroy`), that ends in an error.
            vpc_id: the VPC; its `enable_dns_support` and `enable_dns_hostnames` must be on.
                Changing it: make a second cluster instead; a security group cannot move while nodes use it.
            subnet_ids: the workers' subnets; one zone is cheapest and fastest for shuffles.
                Changing it: in place for new workers; the master stays where it is.
            master: the master's instance type, subnet and volume.
            workers: the workers' instance types, sizes, price and volume.
            scaling: what changes the number of workers. Default: by average CPU, `scaling.Cpu()`.
                Changing it: in place; from one class to the other it also refreshes the workers (detailed monitoring).
            fleet_key: where the SSH key of the fleet lives. Default: the master makes it, `fleet_key.Generated()`.
                Changing it: to or from `NoKey` it replaces the master and refreshes the workers.
            spark_version: a release of Apache Spark.
                Changing it: replaces the master and refreshes the workers.
            spark_checksum: SHA-256 or SHA-512 of `spark-<version>-bin-hadoop3.tgz`. Default: the one known for the
                release, else the SHA-512 that Apache's own hosts publish.
                Changing it: replaces the master and refreshes the workers.
            spark_archive: a distribution of your own. Default: Apache's.
                Changing it: replaces the master and refreshes the workers.
            s3a: whether nodes get the jars for `s3a://`. Default: `s3a.On()` for the releases whose Hadoop is known;
                for others `s3a.Off()`, with a warning. Changing it: replaces the master and refreshes the workers.
            spark_connect: a Spark Connect server on the master, such as `SparkConnect(cores_max=8)` (docs/connect.md).
                Default: none. Changing it: replaces the master.
            spark_defaults: Spark properties that win over the cluster's (docs/spark-defaults.md lists those, and the
                few that would open or break the cluster and are refused).
                Default: none. Changing it: replaces the master and refreshes the workers.
            python_version: the Python of drivers and executors; the AMI's packages must have it. Amazon Linux 2023 has
                3.9, 3.11, 3.12, 3.13 and 3.14, Debian 12 has 3.11.
                Changing it: replaces the master and refreshes the workers.
            setup_script: a script with its `#!` line, run as root on every node, once Spark is installed and configured
                in /opt/spark and before it starts; if it fails the boot fails. It is run again if a reboot cut the boot
                off. Line ends of Windows are mended.
                Default: none. Changing it: replaces the master and refreshes the workers.
            http_proxy: proxy for packages, downloads and AWS, without user or password.
                Default: none. Changing it: replaces the master and refreshes the workers.
            no_proxy: names reached without the proxy, besides the metadata service and the cluster itself.
                Default: none. Changing it: replaces the master and refreshes the workers.
            security_group_ids: your own groups, added to every node; at most 15.
                Default: none. Changing it: in place on the master; refreshes the workers.
            private_zone: a private zone of the VPC that the master's name goes into, as in a VPC that another account
                shares. Default: a zone of the cluster's own, `<name>-spark`.
                Changing it: replaces the master and refreshes the workers.
            allow_all_egress: whether nodes may reach every address. Default: they may. Changing it: in place.
            associate_public_ip_address: whether nodes have a public address. Default: as the subnet says.
                Changing it: replaces the master and refreshes the workers.
            key_name: an EC2 key pair for the AMI's own user. Default: none; Session Manager needs none.
                Changing it: replaces the master and refreshes the workers.
            ebs_optimized: whether instances have dedicated EBS bandwidth. Default: as the instance type has it.
                Changing it: replaces the master and refreshes the workers.
            ami_id: an AMI of the dnf or apt family with cloud-init. Default: the newest Amazon Linux 2023, which
                reaches new workers without a plan, and never replaces the master.
                Changing it: replaces the master and refreshes the workers.
            account_id: the account named in policies. Default: the deployer's. Changing it: in place.
            permissions_boundary_arn: boundary of both roles, a managed policy. Default: none. Changing it: in place.
            bucket_kms_key_arn: key of the bucket, not its alias. Default: S3's own AES-256.
                Changing it: in place, for new objects; docs/keys.md has what to do with the old ones.
            parameter_kms_key_arn: key of the secrets, not its alias. Default: the account's `aws/ssm` key.
                Changing it: choose it at the first deploy, the parameters keep the key they were made with.
            volume_kms_key_arn: key of the root volumes, not its alias; its policy must let Auto Scaling's
                service-linked role use it.
                Default: the account's default key for EBS. Changing it: replaces the master and refreshes the workers.
            force_destroy: whether destroying the cluster deletes the objects in its bucket. Default: a bucket that
                holds objects is kept. Changing it: in place.
            log_retention_days: how long the bucket keeps logs, from each object's own day on: event logs, which the
                history server shows, the logs of executors and daemons, and those of boots that failed. Changing it:
                in place.
            boot_timeout_seconds: how long a worker's boot may last, from 120 to 7200: the launch hook's time-out;
                Terraform waits 15 minutes longer. Changing it: replaces the master and the group with all workers.
            drain_timeout_seconds: how long a worker that leaves may take to bring what its executors have to others,
                from 10 to 7000; after a spot interruption it has what AWS gives it (docs/leaving.md). Auto Scaling
                waits 200 s longer, at once and also for those that the refresh replaces: a shorter time cuts off who of
                them drains by the longer one. Changing it: refreshes the workers.
            unlisted_timeout_seconds: after how long a worker in service that the master does not list as alive is
                replaced, from 60 to 86400 (docs/health.md). Changing it: replaces the master.
            metrics: whether the master sends nine figures a minute to CloudWatch, and there is a dashboard of them. AWS
                charges for both, and private subnets need one more endpoint (docs/metrics.md). Default: neither.
                Changing it: replaces the master.
            tags: of every resource, instance and volume, besides `Name`; at most 49, of what IAM takes: letters,
                digits, blanks and `_.:/=+-@`. A hosted zone takes 10 tags and gets the first ten. Default: none.
                Changing it: in place, and refreshes the workers; the SSM parameters keep those of their creation.
            provider: the AWS provider of this stack that makes all this, if it has more than one. Default: the one
                without an alias. Changing it: makes all anew if it is of another region or account.

        Raises:
            ValueError: an argument is wrong; the message names it, the rule and the value.
        """
        checks.place(scope, id)
        tags = {} if tags is None else tags
        defaults = {} if spark_defaults is None else spark_defaults
        distribution = SparkDistribution(spark_version, spark_checksum, spark_archive, python_version)
        arguments.check(
            scope=scope,
            name=name,
            vpc_id=vpc_id,
            subnet_ids=subnet_ids,
            master=master,
            workers=workers,
            scaling=scaling,
            fleet_key=fleet_key,
            s3a=s3a,
            spark_version=distribution.version,
            python_version=distribution.python_version,
            spark_connect=spark_connect,
            spark_defaults=defaults,
            setup_script=setup_script,
            http_proxy=http_proxy,
            no_proxy=no_proxy,
            security_group_ids=security_group_ids,
            private_zone=private_zone,
            allow_all_egress=allow_all_egress,
            associate_public_ip_address=associate_public_ip_address,
            key_name=key_name,
            ebs_optimized=ebs_optimized,
            ami_id=ami_id,
            account_id=account_id,
            permissions_boundary_arn=permissions_boundary_arn,
            bucket_kms_key_arn=bucket_kms_key_arn,
            parameter_kms_key_arn=parameter_kms_key_arn,
            volume_kms_key_arn=volume_kms_key_arn,
            force_destroy=force_destroy,
            log_retention_days=log_retention_days,
            boot_timeout_seconds=boot_timeout_seconds,
            drain_timeout_seconds=drain_timeout_seconds,
            unlisted_timeout_seconds=unlisted_timeout_seconds,
            metrics=metrics,
            tags=tags,
            provider=provider,
        )
        _refuse_a_second(scope, name, provider)
        super().__init__(scope, id)
        references.provide(self, provider)
        self.provider = provider
        self.name = name

        RequiredVersion(self, "required_version")
        self._grants = Grants(self, name=name)
        self.location = Location(self, "location", account_id=account_id)
        self.master_role = NodeRole(
            self,
            "master_role",
            name_prefix=f"{name}-master-",
            location=self.location,
            permissions_boundary_arn=permissions_boundary_arn,
            tags=tags,
        )
        self.worker_role = NodeRole(
            self,
            "worker_role",
            name_prefix=f"{name}-worker-",
            location=self.location,
            permissions_boundary_arn=permissions_boundary_arn,
            tags=tags,
        )
        for role in (self.master_role, self.worker_role):
            plan_checks.require_given(role.role, {"account_id": account_id, "tags": tags})
        self.storage = ClusterStorage(
            self,
            "storage",
            name=name,
            location=self.location,
            grants=self._grants,
            master_role=self.master_role,
            worker_role=self.worker_role,
            kms_key_arn=bucket_kms_key_arn,
            force_destroy=force_destroy,
            log_retention_days=log_retention_days,
            tags=tags,
        )
        plan_checks.require_given(self.storage.bucket, {"log_retention_days": log_retention_days})
        self.network = ClusterNetwork(
            self,
            "network",
            name=name,
            vpc_id=vpc_id,
            subnet_ids=subnet_ids,
            security_group_ids=security_group_ids,
            private_zone=private_zone,
            allow_all_egress=allow_all_egress,
            tags=tags,
        )
        self.spark_secret = NodeParameter(
            self,
            "spark_secret",
            name=spark_secret_parameter_name(name),
            description=f"Secret of spark.authenticate of the Spark cluster {name}",
            secret=True,
            location=self.location,
            kms_key_arn=parameter_kms_key_arn,
            tags=tags,
        )
        plan_checks.require_given(
            self.spark_secret.parameter,
            {
                "vpc_id": vpc_id,
                "subnet_ids": subnet_ids,
                "security_group_ids": security_group_ids,
                **plan_checks.fields("master", master),
                **plan_checks.fields("workers", workers, apart_from=("desired_size", "spot_max_price")),
                "ami_id": ami_id,
                "spark_checksum": distribution.checksum,
                "spark_defaults": defaults,
                "setup_script": setup_script,
                "http_proxy": http_proxy,
                "no_proxy": no_proxy,
                **plan_checks.fields("private_zone", private_zone),
                **plan_checks.fields("spark_connect", spark_connect),
                "boot_timeout_seconds": boot_timeout_seconds,
                "drain_timeout_seconds": drain_timeout_seconds,
                "unlisted_timeout_seconds": unlisted_timeout_seconds,
            },
        )
        self.fleet_key = ClusterFleetKey(
            self,
            "fleet_key",
            fleet_key=fleet_key,
            name=name,
            kms_key_arn=parameter_kms_key_arn,
            location=self.location,
            master_role=self.master_role,
            worker_role=self.worker_role,
            tags=tags,
        )
        self.connect = ClusterConnect(
            self,
            "connect",
            connect=spark_connect,
            name=name,
            location=self.location,
            master_role=self.master_role,
            kms_key_arn=parameter_kms_key_arn,
            tags=tags,
        )
        self.metrics = ClusterMetrics(
            self, "metrics", metrics=metrics, name=name, location=self.location, master_role=self.master_role
        )
        self._grant(name, distribution)
        self.image = NodeImage(
            self,
            "image",
            ami_id=ami_id,
            master_name=node_name(name, "master"),
            instance_type_names=[master.instance_type, *workers.instance_types],
        )
        self.setup_script = SetupScript(self, "setup_script", script=setup_script, storage=self.storage)
        self.group_name = group_name(name)
        jars = jars_of(self, s3a, distribution)
        warn_without_fallback(self, jars, defaults)
        settings = NodeSettings(
            region=self.location.region,
            bucket=self.storage.bucket_name,
            group=self.group_name,
            master_host=self.network.master_host,
            boot_timeout_seconds=boot_timeout_seconds,
            spark_version=distribution.version,
            spark_file=distribution.file_name,
            spark_checksum=distribution.checksum or "",
            spark_urls=distribution.urls,
            checksum_urls=distribution.checksum_urls,
            hadoop_version=jars.hadoop_version,
            s3a_sdk=jars.sdk,
            maven_url=jars.repository_url,
            s3_endpoint=self.location.endpoint("s3"),
            spark_defaults=defaults,
            executor_cores=0,
            python_version=distribution.python_version,
            secret_parameter=self.spark_secret.address.name,
            fleet_public_key_parameter=self.fleet_key.public_name or "",
            parameter_placeholder=PLACEHOLDER,
            setup_script_key=self.setup_script.key,
            setup_script_sha256=self.setup_script.sha256,
            http_proxy=http_proxy or "",
            # Its order says nothing, and would replace the master.
            no_proxy=sorted(no_proxy) if all(map(checks.is_known, [no_proxy, *no_proxy])) else no_proxy,
        )
        prepared = scaling.prepare(settings, master_role=self.master_role, group_arn=group_arn(name, self.location))
        checks.instance("scaling.prepare", prepared, Prepared, "Prepared(settings)")
        settings = prepared.settings
        settings = replace(settings, executor_cores=executor_cores(settings.spark_defaults))
        common = NodeCommon(
            name=name,
            partition=self.location.partition,
            network=self.network,
            storage=self.storage,
            image=self.image,
            key_name=key_name,
            ebs_optimized=ebs_optimized,
            associate_public_ip_address=associate_public_ip_address,
            volume_kms_key_arn=volume_kms_key_arn,
            tags=tags,
            ready=[
                *self.network.ready,
                *self.storage.ready,
                *self.spark_secret.address.ready,
                *self.fleet_key.ready,
                *self.connect.ready,
                *self.setup_script.ready,
                *self.master_role.policies,
                *self.worker_role.policies,
            ],
        )
        self.master = MasterInstance(
            self,
            "master",
            common=common,
            master=master,
            role=self.master_role,
            settings=MasterSettings(
                **vars(settings),
                fleet_private_key_parameter=self.fleet_key.private_name or "",
                parameter_kms_key=parameter_kms_key_arn or "",
                history_server=history_server_of(self, distribution),
                connect_parameter=self.connect.token_parameter_name,
                connect_cores=self.connect.cores_max,
                unlisted_timeout_seconds=unlisted_timeout_seconds,
                metrics_namespace=self.metrics.namespace,
            ),
        )
        self.workers = WorkerFleet(
            self,
            "workers",
            common=common,
            workers=workers,
            scaling=scaling,
            role=self.worker_role,
            settings=WorkerSettings(
                **vars(settings),
                launch_hook=LAUNCH_HOOK_NAME,
                termination_hook=TERMINATION_HOOK_NAME,
                drain_timeout_seconds=drain_timeout_seconds,
            ),
            detailed_monitoring=prepared.detailed_monitoring,
            master=self.master,
        )

        self.master_url = master_url(self.network.master_host)
        self.master_ui_url = master_ui_url(self.network.master_host)
        self.master_instance_id = self.master.instance_id
        self.commands = Commands(
            self.location.region,
            self.master_instance_id,
            self.storage.bucket_name,
            userdata.escape,
            self.connect.token_parameter_name,
        )
        self.bucket_name = self.storage.bucket_name
        self.bucket_arn = self.storage.bucket_arn
        self.master_role_arn = self.master_role.role.arn
        self.worker_role_arn = self.worker_role.role.arn
        self.security_group_id = self.network.security_group_id
        self.spark_secret_parameter_name = self.spark_secret.address.name
        self.about = About(
            self,
            "about",
            name=name,
            bucket_name=self.bucket_name,
            security_group_id=self.security_group_id,
            master_host=self.network.master_host,
            tags=tags,
        )

    def start_after(self, *others: TerraformResource | TerraformDataSource | TerraformModule) -> None:
        """Have the nodes wait for something that nothing else makes them wait for, such as the VPC's endpoints.

        Raises:
            ValueError: one is no resource or module of the cluster's stack, or waits for a node itself.
        """
        nodes = (self.master.instance, self.workers.group)
        own = TerraformStack.of(self).node.path
        for index, other in enumerate(others):
            known = isinstance(other, (TerraformResource, TerraformDataSource, TerraformModule))
            if not known or TerraformStack.of(other).node.path != own:
                rule = "be a resource of the cluster's stack, such as a VpcEndpoint"
                raise checks.fail(f"others[{index}]", rule, other)
            for node in nodes:
                if references.refers_to(other, node):
                    rule = f"not wait for {references.address(node)}, which would wait for it"
                    raise checks.fail(f"others[{index}]", rule, references.address(other))
        for node in nodes:
            node.depends_on = [*(node.depends_on or []), *map(references.address, others)]

    def grant_submit(self, grantee: Grantee, *, security_group_id: str) -> None:
        """Let a program outside the cluster submit applications in client mode, its driver on its own host.

        The role may read the secret of `spark.authenticate`, write event logs into the bucket, and delete in
        `fallback/` what its applications left there. The ports of the master and the executors open to
        `security_group_id`, and that group gets a rule for the nodes' connections back to the driver, which must be
        pinned: `spark.driver.port=40000`, `spark.driver.blockManager.port=40040`, `spark.blockManager.port=40100`
        (docs/submitting.md, "From a scheduler"). Any number of roles may be behind a group, and a role behind any
        number of groups.

        Args:
            grantee: the program's role: an `IamRole`, a role's name, a `CallerRole`, or another cluster's role.
            security_group_id: the group of the program's host.

        Raises:
            ValueError: `grantee` is no role, or this cluster's own, or `security_group_id` no security group's id.
        """
        checks.prefixed("security_group_id", security_group_id, "sg-")
        self._grants.give_submit(grantee, self.spark_secret.address, self.network.submit_rules, security_group_id)
        self.storage.address.grant_keep_event_logs(self._grants, grantee)
        self.storage.address.grant_clear_fallback(self._grants, grantee)

    def _grant(self, name: str, distribution: SparkDistribution) -> None:
        self.master_role.allow("spark_secret", *self.spark_secret.address.allow_fill())
        self.worker_role.allow("spark_secret", *self.spark_secret.address.allow_read())
        # None of these actions takes a resource.
        watch = (
            *("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities"),
            *("ec2:DescribeInstances", "ec2:DescribeInstanceTypes"),
        )
        self.master_role.allow("watch_workers", Allow(watch, ("*",)))
        grant_complete_hooks(self.worker_role, name=name, location=self.location)
        grant_take_workers_out(self.master_role, name=name, location=self.location)
        if distribution.archive and distribution.archive.s3_object:
            archive = self.location.s3_arn(distribution.archive.s3_object)
            for role in (self.master_role, self.worker_role):
                role.allow("spark_archive", Allow(("s3:GetObject",), (archive,)))


def _refuse_a_second(scope: Construct, name: str, provider: TerraformProvider | None) -> None:
    """Refuse a cluster whose group, parameters and zone are another's: whoever is made later fails or takes them over.

    As far as one stack shows it: another provider may be of another region or account, and so may another stack's.
    """
    own = TerraformStack.of(scope)
    for other in own.node.find_all():
        if not isinstance(other, SparkCluster) or TerraformStack.of(other).node.path != own.node.path:
            continue
        if other.name == name and references.alias(other.provider) == references.alias(provider):
            rule = f"be another than that of the cluster {other.node.path!r}, which the same provider makes"
            raise checks.fail("name", rule, name)
