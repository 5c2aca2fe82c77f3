"""The AMI of the nodes."""

from __future__ import annotations

from collections.abc import Sequence

from cdktf import Fn, Op, Postcondition, TerraformLocal, TerraformResourceLifecycle, TerraformSelf, Token
from cdktf_cdktf_provider_aws.data_aws_ami import DataAwsAmi, DataAwsAmiFilter
from cdktf_cdktf_provider_aws.data_aws_ec2_instance_type import DataAwsEc2InstanceType
from cdktf_cdktf_provider_aws.data_aws_instances import DataAwsInstances, DataAwsInstancesFilter
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from constructs import Construct

from spark_cluster import checks, instance_types, references

PUBLIC_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"
"""Amazon Linux 2023, by architecture. https://docs.aws.amazon.com/linux/al2023/ug/ec2.html"""

AMAZON_LINUX_ROOT_DEVICE = "/dev/xvda"


class NodeImage(Construct):
    """The AMI of master and workers: the caller's, or the newest Amazon Linux 2023 for their architecture.

    Attributes:
        instance_ami: for an instance: an AMI's id.
        template_image_id: for a launch template: an AMI's id, or a reference to the public parameter, which EC2
            resolves at each launch, so that a new public AMI reaches new workers without a plan.
        root_device_name: where the root volume is attached; `None`: as the master's is.
        pinned: whether the caller chose the AMI, so that another choice is to replace the master.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        ami_id: str | None,
        master_name: str,
        instance_type_names: Sequence[str],
    ) -> None:
        """Find the AMI.

        Args:
            scope: the construct above.
            id: its id.
            ami_id: the caller's AMI. `None`: Amazon Linux 2023.
            master_name: the `Name` of the master's instance.
            instance_type_names: of all nodes; those that are known have one architecture.
        """
        super().__init__(scope, id)
        architecture = self._architecture(instance_type_names)
        self.pinned = ami_id is not None
        name = f"{PUBLIC_PARAMETER}{architecture}"
        public = DataAwsSsmParameter(self, "amazon_linux", name=name)
        if ami_id is None:
            self.instance_ami = public.insecure_value
            self.template_image_id = f"resolve:ssm:{name}"
            self.root_device_name: str | None = AMAZON_LINUX_ROOT_DEVICE
            return
        # The caller's id, not what a data source says: that may be read late, and the master would be made anew.
        self.instance_ami = self.template_image_id = ami_id
        self.root_device_name = None
        self._look_at(ami_id, public, architecture, master_name)

    def _look_at(self, ami_id: str, public: DataAwsSsmParameter, architecture: str, master_name: str) -> None:
        """Have the plan refuse the caller's AMI if it is not there or does not fit; not if the master has it.

        By then it may be gone, and nothing be wrong; and a data source that finds nothing ends every plan and destroy.
        """
        launched = DataAwsInstances(
            self,
            "masters_with_ami",
            filter=[
                DataAwsInstancesFilter(name="image-id", values=[ami_id]),
                DataAwsInstancesFilter(name="tag:Name", values=[master_name]),
            ],
            instance_state_names=["pending", "running", "shutting-down", "stopping", "stopped"],
        )
        wanted = Fn.conditional(Op.lt(Fn.length_of(launched.ids), 1), ami_id, public.insecure_value)
        fits = Postcondition(
            condition=Op.or_(
                Op.neq(TerraformSelf.get_string("id"), references.operand(ami_id)),
                Op.eq(TerraformSelf.get_string("architecture"), architecture),
            ),
            error_message=f"ami_id must name an AMI of the architecture of the instance types, {architecture}",
        )
        DataAwsAmi(
            self,
            "ami_id",
            filter=[DataAwsAmiFilter(name="image-id", values=[Token.as_string(wanted)])],
            # The id names one image: this only tells the provider that a choice between owners is not left to chance.
            most_recent=True,
            include_deprecated=True,
            lifecycle=TerraformResourceLifecycle(postcondition=[fits]),
        )

    def _architecture(self, instance_type_names: Sequence[str]) -> str:
        known = next(filter(checks.is_known, instance_type_names), None)
        if known is not None:
            return instance_types.architecture(known)
        supported = DataAwsEc2InstanceType(
            self, "instance_type", instance_type=instance_type_names[0]
        ).supported_architectures
        # A local, because cdktf puts no brackets around a conditional that becomes part of another expression.
        found = Fn.conditional(Fn.contains(supported, "arm64"), "arm64", "x86_64")
        return TerraformLocal(self, "architecture", found).as_string
