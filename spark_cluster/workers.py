"""The workers: a launch template and a spot Auto Scaling group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdktf import DataResource, Fn, Op, TerraformIterator, TerraformResourceLifecycle, Token
from cdktf_cdktf_provider_aws.autoscaling_group import (
    AutoscalingGroup,
    AutoscalingGroupInitialLifecycleHook,
    AutoscalingGroupInstanceRefresh,
    AutoscalingGroupInstanceRefreshPreferences,
    AutoscalingGroupMixedInstancesPolicy,
    AutoscalingGroupMixedInstancesPolicyInstancesDistribution,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplate,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecification,
    AutoscalingGroupMixedInstancesPolicyLaunchTemplateOverride,
    AutoscalingGroupTimeouts,
)
from cdktf_cdktf_provider_aws.autoscaling_lifecycle_hook import AutoscalingLifecycleHook
from cdktf_cdktf_provider_aws.data_aws_default_tags import DataAwsDefaultTags
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateIamInstanceProfile,
    LaunchTemplateMetadataOptions,
    LaunchTemplateMonitoring,
    LaunchTemplateNetworkInterfaces,
    LaunchTemplateTagSpecifications,
)
from constructs import Construct

from spark_cluster import checks, limits, plan_checks, references
from spark_cluster.identity import Allow, NodeRole
from spark_cluster.location import Location
from spark_cluster.master import MasterInstance
from spark_cluster.node import METADATA_OPTIONS, ROOT_VOLUME_TYPE, NodeCommon
from spark_cluster.scaling import Attached, Scaling
from spark_cluster.settings import WorkerSettings
from spark_cluster.userdata import UserData

LAUNCH_HOOK_NAME = "registered-with-master"
TERMINATION_HOOK_NAME = "drained"
BEYOND_DRAIN_SECONDS = 200
"""How much longer Auto Scaling waits than a drain may last: until it is noticed, and while logs go to the bucket."""
WAIT_BEYOND_BOOT_SECONDS = 900
"""How much longer Terraform waits than a boot may last.

Making the group, so that the launch of a replacement is still seen; deleting it, so that the instances end. A worker
that boots meanwhile may stay in `Pending:Wait` until its hook's time is over: AWS says of no end of that state but a
completed action and the time-out (https://docs.aws.amazon.com/autoscaling/ec2/userguide/lifecycle-hooks-overview.html).
"""


@dataclass(frozen=True)
class Workers:
    """The workers' own arguments.

    Attributes:
        instance_types: EC2 instance types that Auto Scaling chooses from, at most 40. Of one architecture, and of one
            shape, since an executor is made to fill the smallest of them. Several types make spot capacity likelier.
            Changing it: refreshes the workers; with `ami_id`, those that already match are kept.
        min_size: smallest number of workers. Changing it: in place.
        max_size: largest number of workers. Changing it: in place.
        desired_size: how many are started at first; afterwards scaling or an operator decides. Default: `min_size`.
            Changing it: no effect after the first deploy.
        spot_max_price: most to pay for an hour of one spot worker, in US dollars, as text. Default: the on-demand
            price, which AWS recommends
            (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-best-practices.html).
            Changing it: refreshes the workers; with `ami_id`, those that already match are kept.
        on_demand_base_capacity: how many workers are on-demand instances before the rest is spot.
            Changing it: refreshes the workers; with `ami_id`, those that already match are kept.
        root_volume_gib: size of a worker's root volume in GiB, where shuffle data goes on types without instance store.
            Changing it: refreshes the workers.
        root_volume_throughput_mibps: how many MiB that volume reads or writes a second, from 125, which gp3 has by
            itself, to 2,000 (above 1,000 with the AWS provider 6.x only), and a quarter of its IOPS. A worker that
            leaves reads its shuffle data from it once more (docs/leaving.md). Changing it: refreshes the workers.
        root_volume_iops: how many reads or writes it does a second, from 3,000, which gp3 has by itself, to 80,000, and
            500 for each GiB. Changing it: refreshes the workers.

    Raises:
        ValueError: a value is wrong, the sizes are out of order, or the volume's figures do not go together; the
            message names them and the rule.
    """

    instance_types: Sequence[str] = ("m6i.xlarge", "m6a.xlarge", "m5.xlarge", "m5a.xlarge")
    min_size: checks.Whole = 1
    max_size: checks.Whole = 4
    desired_size: checks.Whole | None = None
    spot_max_price: str | None = None
    on_demand_base_capacity: checks.Whole = 0
    root_volume_gib: checks.Whole = 100
    root_volume_throughput_mibps: checks.Whole = limits.SMALLEST_GP3_THROUGHPUT_MIBPS
    root_volume_iops: checks.Whole = limits.SMALLEST_GP3_IOPS

    def __post_init__(self) -> None:
        """Hold the fields to their forms, and the sizes to their order."""
        checks.instance_types("workers.instance_types", self.instance_types)
        checks.whole("workers.min_size", self.min_size, 0)
        checks.whole("workers.max_size", self.max_size, 0)
        checks.whole("workers.on_demand_base_capacity", self.on_demand_base_capacity, 0)
        checks.not_above("workers.min_size", self.min_size, "workers.max_size", self.max_size)
        if self.desired_size is not None:
            checks.whole("workers.desired_size", self.desired_size, 0)
            checks.not_above("workers.min_size", self.min_size, "workers.desired_size", self.desired_size)
            checks.not_above("workers.desired_size", self.desired_size, "workers.max_size", self.max_size)
        checks.price("workers.spot_max_price", self.spot_max_price)
        self._check_volume()

    def _check_volume(self) -> None:
        smallest, largest = limits.SMALLEST_ROOT_VOLUME_GIB, limits.LARGEST_GP3_VOLUME_GIB
        checks.whole("workers.root_volume_gib", self.root_volume_gib, smallest, largest)
        iops, throughput = self.root_volume_iops, self.root_volume_throughput_mibps
        checks.whole("workers.root_volume_iops", iops, limits.SMALLEST_GP3_IOPS, limits.LARGEST_GP3_IOPS)
        slowest, fastest = limits.SMALLEST_GP3_THROUGHPUT_MIBPS, limits.LARGEST_GP3_THROUGHPUT_MIBPS
        checks.whole("workers.root_volume_throughput_mibps", throughput, slowest, fastest)
        if checks.is_known(iops) and checks.is_known(self.root_volume_gib):
            most = limits.GP3_IOPS_PER_GIB * self.root_volume_gib
            if iops > most:
                rule = f"be at most {most}, {limits.GP3_IOPS_PER_GIB} for each GiB of workers.root_volume_gib"
                raise checks.fail("workers.root_volume_iops", rule, iops)
        if checks.is_known(throughput) and checks.is_known(iops):
            most = iops // limits.GP3_IOPS_PER_MIBPS
            if throughput > most:
                rule = f"be at most {most}, a quarter of workers.root_volume_iops"
                raise checks.fail("workers.root_volume_throughput_mibps", rule, throughput)


class WorkerFleet(Construct):
    """The launch template, the group, and what scales it.

    Attributes:
        launch_template: the `aws_launch_template`.
        group: the `aws_autoscaling_group`.
        group_name: the group's name: a literal, so that nothing a node needs waits for the group.
        scaling_policies: with `scaling.Cpu` those called `scale_out` and `scale_in`.
        scaling_alarms: what starts them, under the same names.
        termination_hook: the `aws_autoscaling_lifecycle_hook` at which a worker that leaves is waited for.
        user_data: what a worker boots with.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        common: NodeCommon,
        workers: Workers,
        scaling: Scaling,
        role: NodeRole,
        settings: WorkerSettings,
        detailed_monitoring: bool,
        master: MasterInstance,
    ) -> None:
        """Make the template and the group.

        Args:
            scope: the construct above.
            id: its id.
            common: what they share with the master.
            workers: their own arguments.
            scaling: what changes the group's size.
            role: their role.
            settings: what their user data says.
            detailed_monitoring: whether CloudWatch gets their figures each minute.
            master: a worker never asks for its name before that is in the zone, and has its AMI.
        """
        super().__init__(scope, id)
        self.group_name = settings.group
        self.user_data = UserData(self, "user_data", settings=settings, storage=common.storage)
        # The provider's own default tags reach what it makes itself, and nothing that the group makes.
        # https://registry.terraform.io/providers/hashicorp/aws/latest/docs/data-sources/default_tags
        defaults = DataAwsDefaultTags(self, "default_tags").tags
        # The template's own, as an Aspect of the app's may have left them: none sees what is within an argument.
        # https://developer.hashicorp.com/terraform/cdktf/concepts/aspects
        tags = Token.as_string_map(references.late(lambda: Fn.merge([defaults, self.launch_template.tags_input])))
        self.launch_template = self._launch_template(
            common,
            workers,
            role,
            launched_tags=tags,
            detailed_monitoring=detailed_monitoring,
            root_device_name=common.image.root_device_name or self._kept_root_device_name(common, master),
        )
        hook = AutoscalingGroupInitialLifecycleHook(
            name=settings.launch_hook,
            lifecycle_transition="autoscaling:EC2_INSTANCE_LAUNCHING",
            default_result="ABANDON",
            heartbeat_timeout=settings.boot_timeout_seconds,
        )
        # Auto Scaling refuses to skip matching workers, and the refresh with it, if the template names a parameter.
        # https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
        preferences = AutoscalingGroupInstanceRefreshPreferences(
            # A new worker works before the old one that it replaces goes.
            # https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
            min_healthy_percentage=100,
            max_healthy_percentage=110,
            # By default one that is protected from scale-in keeps the old template.
            scale_in_protected_instances="Refresh",
            skip_matching=True if common.image.pinned else None,
        )
        refresh = AutoscalingGroupInstanceRefresh(strategy="Rolling", preferences=preferences)
        each = TerraformIterator.from_map(tags)
        wait = f"{_plus(settings.boot_timeout_seconds, WAIT_BEYOND_BOOT_SECONDS)}s"
        self.group = AutoscalingGroup(
            self,
            "group",
            name=self.group_name,
            min_size=workers.min_size,
            max_size=workers.max_size,
            desired_capacity=workers.min_size if workers.desired_size is None else workers.desired_size,
            vpc_zone_identifier=list(common.network.subnet_ids),
            mixed_instances_policy=self._mixed_instances(workers),
            capacity_rebalance=True,
            # Rebalancing zones ends workers that compute, and spot capacity is uneven by nature.
            suspended_processes=["AZRebalance"],
            health_check_type="EC2",
            initial_lifecycle_hook=[hook],
            instance_refresh=refresh,
            # A launch that fails (a quota, no capacity, a type that the account may not use) ends it within seconds, by
            # the message of the group's activity: see docs/adr/0006.
            wait_for_capacity_timeout=wait,
            tag=each.dynamic({"key": each.key, "value": each.value, "propagate_at_launch": False}),
            # No force_delete: it does not wait until the instances have ended, and what they use would be destroyed.
            # So a member on standby, which no size ends, holds a destroy for this long: docs/leaving.md, "By hand".
            # https://github.com/hashicorp/terraform-provider-aws/issues/34113
            timeouts=AutoscalingGroupTimeouts(delete=wait),
            lifecycle=TerraformResourceLifecycle(ignore_changes=["desired_capacity"]),
            depends_on=[*common.ready, master.record, *self.user_data.ready],
        )
        role.precede(self.group)
        _check_default_tags(role, defaults, common.tags)
        common.network.check_default_tags(defaults)
        # A resource of its own: a change of it leaves the group as it is, and a destroy takes it away first, so that no
        # worker is waited for. Its group's name stays if that is replaced, and AWS deletes a group's hooks with it.
        self.termination_hook = AutoscalingLifecycleHook(
            self,
            "termination_hook",
            name=settings.termination_hook,
            autoscaling_group_name=self.group.name,
            lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
            default_result="CONTINUE",
            heartbeat_timeout=_sum(settings.drain_timeout_seconds, BEYOND_DRAIN_SECONDS),
            lifecycle=TerraformResourceLifecycle(replace_triggered_by=[f"{references.address(self.group)}.id"]),
        )
        scope = Construct(self, "scaling")
        attached = scaling.attach(scope, group=self.group, name=self.group_name, tags=common.tags)
        if attached is None:
            attached = Attached()
        checks.instance("scaling.attach", attached, Attached, "Attached({'scale_out': policy}), or None")
        self.scaling_policies, self.scaling_alarms = attached.policies, attached.alarms

    def _launch_template(
        self,
        common: NodeCommon,
        workers: Workers,
        role: NodeRole,
        *,
        launched_tags: Mapping[str, str],
        detailed_monitoring: bool,
        root_device_name: str,
    ) -> LaunchTemplate:
        network, image = common.network, common.image
        public_ip = common.associate_public_ip_address
        interface = LaunchTemplateNetworkInterfaces(
            device_index=0,
            associate_public_ip_address=_text(public_ip),
            security_groups=network.node_security_group_ids,
            delete_on_termination="true",
        )
        root = LaunchTemplateBlockDeviceMappings(
            device_name=root_device_name,
            ebs=LaunchTemplateBlockDeviceMappingsEbs(
                volume_type=ROOT_VOLUME_TYPE,
                volume_size=workers.root_volume_gib,
                throughput=workers.root_volume_throughput_mibps,
                iops=workers.root_volume_iops,
                encrypted="true",
                kms_key_id=common.volume_kms_key_arn,
                delete_on_termination="true",
            ),
        )
        return LaunchTemplate(
            self,
            "launch_template",
            name_prefix=f"{common.name}-spark-worker-",
            image_id=image.template_image_id,
            user_data=self._kept_user_data(),
            key_name=common.key_name,
            ebs_optimized=_text(common.ebs_optimized),
            iam_instance_profile=LaunchTemplateIamInstanceProfile(arn=role.instance_profile.arn),
            vpc_security_group_ids=network.node_security_group_ids if public_ip is None else None,
            network_interfaces=None if public_ip is None else [interface],
            metadata_options=LaunchTemplateMetadataOptions(**METADATA_OPTIONS),
            block_device_mappings=[root],
            monitoring=LaunchTemplateMonitoring(enabled=detailed_monitoring),
            tag_specifications=[
                LaunchTemplateTagSpecifications(resource_type=kind, tags=launched_tags) for kind in _launched(workers)
            ],
            tags=common.tags_of("worker"),
        )

    def _kept_root_device_name(self, common: NodeCommon, master: MasterInstance) -> str:
        """The name of the master's root device, which has the same AMI, as it was when that was last another.

        While a master is replaced nothing is known of it, and the template would be planned anew with all that follows.
        The provider 5.100 then fails, since the group has not changed after all ("inconsistent final plan").
        """
        name = master.instance.root_block_device.device_name
        return _as_it_was(self, "root_device", name, until=common.image.template_image_id)

    def _kept_user_data(self) -> str:
        """The compressed document as it was when its text was last another.

        So that no plan shows a change of bytes that another release of Terraform makes of the same text.
        """
        return _as_it_was(self.user_data, "compressed", self.user_data.base64, until=self.user_data.plain_sha256)

    def _mixed_instances(self, workers: Workers) -> AutoscalingGroupMixedInstancesPolicy:
        # The number, not "$Latest": only a number that changes starts a refresh.
        version = Token.as_string(self.launch_template.latest_version)
        specification = AutoscalingGroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecification(
            launch_template_id=self.launch_template.id, version=version
        )
        return AutoscalingGroupMixedInstancesPolicy(
            launch_template=AutoscalingGroupMixedInstancesPolicyLaunchTemplate(
                launch_template_specification=specification,
                override=[
                    AutoscalingGroupMixedInstancesPolicyLaunchTemplateOverride(instance_type=instance_type)
                    for instance_type in workers.instance_types
                ],
            ),
            instances_distribution=AutoscalingGroupMixedInstancesPolicyInstancesDistribution(
                on_demand_base_capacity=workers.on_demand_base_capacity,
                on_demand_percentage_above_base_capacity=0,
                spot_allocation_strategy="price-capacity-optimized",
                spot_max_price=workers.spot_max_price,
            ),
        )


def _check_default_tags(role: NodeRole, defaults: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Have the plan refuse tags whose keys differ in case alone, which IAM takes for one key."""
    # Without their values: of a text with a token in it cdktf warns within a function of a function.
    keys = Fn.keys(Fn.merge([defaults, dict.fromkeys(tags, "")]))
    folded = Fn.distinct(Fn.split("\n", Fn.lower(Fn.join("\n", Token.as_list(keys)))))
    rule = "have keys that differ from those of the provider's default_tags in more than upper and lower case"
    condition = Op.lte(Fn.length_of(keys), Fn.length_of(folded))
    plan_checks.require(role.role, condition, f"tags must {rule}, since IAM's do")


def _as_it_was(scope: Construct, id: str, value: str, *, until: str) -> str:
    """A value as it was when `until` was last another, whatever has become of it since."""
    kept = DataResource(
        scope,
        id,
        input={"value": value},
        triggers_replace={"until": until},
        lifecycle=TerraformResourceLifecycle(ignore_changes=["input"]),
    )
    return Token.as_string(kept.interpolation_for_attribute("output.value"))


def _launched(workers: Workers) -> Sequence[str]:
    """What a worker is made of, as far as it can be tagged.

    A launch fails if its template tags what it does not have, and an on-demand instance has no request for spot.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-ec2-launchtemplate-tagspecification.html
    """
    always = ("instance", "volume", "network-interface")
    base = workers.on_demand_base_capacity
    return (*always, "spot-instances-request") if checks.is_known(base) and base == 0 else always


def group_name(name: str) -> str:
    """The name of the workers' Auto Scaling group of a cluster."""
    return f"{name}-spark-workers"


def group_arn(name: str, location: Location) -> str:
    """The ARN of that group, which need not exist yet."""
    return location.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group_name(name)}")


def grant_complete_hooks(role: NodeRole, *, name: str, location: Location) -> None:
    """Let a worker say that its launch succeeded or failed, and that it has left; the group need not exist yet."""
    # The policy was there for the launch alone, and its id is part of its address.
    role.allow("complete_launch", Allow(("autoscaling:CompleteLifecycleAction",), (group_arn(name, location),)))


def grant_take_workers_out(role: NodeRole, *, name: str, location: Location) -> None:
    """Let a role say which workers Auto Scaling takes out, and which it spares; the group need not exist yet."""
    actions = (
        *("autoscaling:TerminateInstanceInAutoScalingGroup", "autoscaling:EnterStandby"),
        *("autoscaling:SetInstanceHealth", "autoscaling:SetInstanceProtection"),
    )
    role.allow("take_workers_out", Allow(actions, (group_arn(name, location),)))


def _plus(seconds: checks.Whole, more: int) -> str:
    """The sum as text; if `seconds` is a token, Terraform adds."""
    return str(_sum(seconds, more)) if checks.is_known(seconds) else Token.as_string(_sum(seconds, more))


def _sum(seconds: checks.Whole, more: int) -> checks.Whole:
    """The sum; if `seconds` is a token, Terraform adds."""
    return seconds + more if checks.is_known(seconds) else Token.as_number(Op.add(references.operand(seconds), more))


def _text(flag: checks.Flag | None) -> str | None:
    """A boolean as launch templates want it: as text."""
    if checks.is_known(flag):
        return "true" if flag else "false"
    return None if flag is None else Token.as_string(flag)
