"""The master: one on-demand instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.instance import Instance, InstanceMetadataOptions, InstanceRootBlockDevice
from constructs import Construct

from spark_cluster import checks, limits, plan_checks
from spark_cluster.node import METADATA_OPTIONS, ROOT_VOLUME_TYPE
from spark_cluster.userdata import UserData

if TYPE_CHECKING:
    from spark_cluster.identity import NodeRole
    from spark_cluster.node import NodeCommon
    from spark_cluster.settings import MasterSettings

MASTER_PORT = 7077


@dataclass(frozen=True)
class Master:
    """The master's own arguments.

    Attributes:
        instance_type: its EC2 instance type, of the workers' architecture.
            Changing it: stops and starts the master; another architecture (Graviton or not) needs a new cluster.
        subnet_id: its subnet. Default: the first of the cluster's `subnet_ids`. Changing it: replaces the master.
        root_volume_gib: size of its root volume in GiB.
            Changing it: larger in place, its file system grows at the next reboot; EC2 refuses a smaller one.

    Raises:
        ValueError: a value is wrong; the message names it and the rule.
    """

    instance_type: str = "m6i.large"
    subnet_id: str | None = None
    root_volume_gib: checks.Whole = 32

    def __post_init__(self) -> None:
        """Hold the fields to their forms, the volume to 16 GiB or more."""
        checks.instance_type("master.instance_type", self.instance_type)
        if self.subnet_id is not None:
            checks.prefixed("master.subnet_id", self.subnet_id, "subnet-")
        smallest, largest = limits.SMALLEST_ROOT_VOLUME_GIB, limits.LARGEST_GP3_VOLUME_GIB
        checks.whole("master.root_volume_gib", self.root_volume_gib, smallest, largest)


class MasterInstance(Construct):
    """The master's instance and its name in the private zone.

    Attributes:
        instance: the `aws_instance`.
        instance_id: its id.
        record: the `aws_route53_record` of its name; workers must not start before it.
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
        if master.subnet_id is not None:
            network.check_master_subnet(master.subnet_id)
        self.user_data = UserData(self, "user_data", settings=settings, storage=common.storage)
        tags = common.tags_of("master")
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
                tags=tags,
            ),
            tags=tags,
            # The AMI behind the public parameter changes every few weeks, and each would replace a working master.
            lifecycle=None if image.pinned else TerraformResourceLifecycle(ignore_changes=["ami"]),
            depends_on=[*common.ready, *self.user_data.ready],
        )
        plan_checks.require_key(self.instance, "volume_kms_key_arn", common.volume_kms_key_arn, optional=True)
        role.precede(self.instance)
        self.instance_id = self.instance.id
        self.record = network.point_master_host_at(self.instance.private_ip)
