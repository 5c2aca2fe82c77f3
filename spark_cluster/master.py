"""The master: one on-demand instance."""

from __future__ import annotations

from dataclasses import dataclass

from cdktf import DataResource, TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_aws.cloudwatch_metric_alarm import CloudwatchMetricAlarm
from cdktf_cdktf_provider_aws.instance import Instance, InstanceMetadataOptions, InstanceRootBlockDevice
from constructs import Construct

from spark_cluster import checks, limits, plan_checks, references
from spark_cluster.identity import NodeRole
from spark_cluster.node import METADATA_OPTIONS, ROOT_VOLUME_TYPE, NodeCommon, node_name
from spark_cluster.settings import MasterSettings
from spark_cluster.userdata import UserData


@dataclass(frozen=True)
class Master:
    """The master's own arguments.

    Attributes:
        instance_type: its EC2 instance type, of the workers' architecture.
            Changing it: stops and starts the master; another architecture (Graviton or not) needs a new cluster.
        subnet_id: its subnet. Default: what is the first of the cluster's `subnet_ids` when it is made; then it stays.
            Changing it: replaces the master.
        root_volume_gib: size of its root volume in GiB.
            Changing it: larger in place, its file system grows at the next reboot; EC2 refuses a smaller one.
        reboot_if_impaired: whether an alarm reboots it after its instance status check has failed for three minutes:
            a host that hangs, or has no memory left, comes back with Spark's recovery state. EC2 repairs a failed
            *system* by itself, but not on types with instance store
            (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-configuration-recovery.html).
            Changing it: in place.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    instance_type: str = "m6i.large"
    subnet_id: str | None = None
    root_volume_gib: checks.Whole = 32
    reboot_if_impaired: bool = True

    def __post_init__(self) -> None:
        """Hold the fields to their forms, the volume to 16 GiB or more."""
        checks.instance_type("master.instance_type", self.instance_type)
        if self.subnet_id is not None:
            checks.prefixed("master.subnet_id", self.subnet_id, "subnet-")
        smallest, largest = limits.SMALLEST_ROOT_VOLUME_GIB, limits.LARGEST_GP3_VOLUME_GIB
        checks.whole("master.root_volume_gib", self.root_volume_gib, smallest, largest)
        checks.literal_flag("master.reboot_if_impaired", self.reboot_if_impaired)


class MasterInstance(Construct):
    """The master's instance and its name in the private zone.

    Attributes:
        instance: the `aws_instance`.
        instance_id: its id.
        record: the `aws_route53_record` of its name; workers must not start before it.
        impaired_alarm: the `aws_cloudwatch_metric_alarm` that reboots it; `None` with
            `reboot_if_impaired=False`.
        user_data: what it boots with.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        common: NodeCommon,
        master: Master,
        role: NodeRole,
        settings: MasterSettings,
    ) -> None:
        """Make the instance and point the master's name at it.

        Args:
            scope: the construct above.
            id: its id.
            common: what it shares with the workers.
            master: its own arguments.
            role: its role.
            settings: what its user data says.
        """
        super().__init__(scope, id)
        network, image = common.network, common.image
        looked_at = [] if master.subnet_id is None else [network.check_master_subnet(master.subnet_id)]
        self.user_data = UserData(self, "user_data", settings=settings, storage=common.storage)
        self.instance = Instance(
            self,
            "instance",
            ami=image.instance_ami,
            instance_type=master.instance_type,
            subnet_id=master.subnet_id or network.first_subnet_id,
            vpc_security_group_ids=network.node_security_group_ids,
            associate_public_ip_address=common.associate_public_ip_address,
            iam_instance_profile=role.instance_profile.name,
            key_name=common.key_name,
            ebs_optimized=common.ebs_optimized,
            user_data_base64=self.user_data.base64,
            # Without it a change of the settings would stop and start the instance, and cloud-init not run again.
            user_data_replace_on_change=True,
            metadata_options=InstanceMetadataOptions(**METADATA_OPTIONS),
            root_block_device=InstanceRootBlockDevice(
                volume_type=ROOT_VOLUME_TYPE,
                volume_size=master.root_volume_gib,
                encrypted=True,
                kms_key_id=common.volume_kms_key_arn,
                # The instance's own, as an Aspect of the app's may have left them.
                tags=Token.as_string_map(references.late(lambda: self.instance.tags_input)),
            ),
            tags=common.tags_of("master"),
            lifecycle=self._lifecycle(common, master),
            depends_on=[*common.ready, *looked_at, *self.user_data.ready],
        )
        plan_checks.require_key(self.instance, "volume_kms_key_arn", common.volume_kms_key_arn, optional=True)
        role.precede(self.instance)
        self.instance_id = self.instance.id
        self.record = network.point_master_host_at(self.instance.private_ip)
        self.impaired_alarm = self._impaired_alarm(common, settings.region) if master.reboot_if_impaired else None

    def _impaired_alarm(self, common: NodeCommon, region: str) -> CloudwatchMetricAlarm:
        # Three minutes: longer than EC2's own recovery of a system takes to begin, so that the two do not race.
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/UsingAlarmActions.html
        return CloudwatchMetricAlarm(
            self,
            "impaired",
            alarm_name=f"{node_name(common.name, 'master')}-impaired",
            alarm_description=f"The instance status check of the Spark master {common.name} fails: EC2 reboots it",
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed_Instance",
            dimensions={"InstanceId": self.instance_id},
            statistic="Maximum",
            period=60,
            evaluation_periods=3,
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            alarm_actions=[f"arn:{common.partition}:automate:{region}:ec2:reboot"],
            tags=dict(common.tags),
        )

    def _lifecycle(self, common: NodeCommon, master: Master) -> TerraformResourceLifecycle:
        """What is no reason to make a working master anew, though it differs from what was asked for."""
        # The bytes of the user data are not compared: its text is, and the programs that an earlier state knows.
        # Were they kept as a template's are, they would not be known in the plan, and the provider, asked then whether
        # the instance is to be another, says no and later yes.
        text = DataResource(self, "user_data_text", input={"sha256": self.user_data.plain_sha256})
        ignored = ["user_data_base64"]
        triggers = [f"{references.address(self.user_data.programs)}.key", references.address(text)]
        if not common.image.pinned:
            ignored.append("ami")  # the one behind the public parameter changes every few weeks
        if master.subnet_id is None:
            ignored.append("subnet_id")  # the first of a list is another if only the order changes
        # EC2 tells of an address while there is one: of none while the instance is stopped, and of an elastic one. So
        # what was asked for decides; there before it is asked for, since only a change of it makes another master.
        public = common.associate_public_ip_address
        asked_for = {"associate_public_ip_address": "as the subnet has it" if public is None else public}
        ignored.append("associate_public_ip_address")
        triggers.append(references.address(DataResource(self, "public_ip_address", input=asked_for)))
        return TerraformResourceLifecycle(ignore_changes=ignored, replace_triggered_by=triggers)
