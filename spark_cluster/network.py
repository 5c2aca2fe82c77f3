"""The nodes' security group and the private zone in which workers find the master."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from cdktf import Fn, Op, Postcondition, TerraformResourceLifecycle, TerraformSelf, Token
from cdktf_cdktf_provider_aws.data_aws_subnet import DataAwsSubnet
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone, Route53ZoneVpc
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from spark_cluster import checks, limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cdktf import TerraformResource

MASTER_RECORD_TTL_SECONDS = 30
"""How long a worker may look for a replaced master at its old address."""

DRIVER_PORTS = (40000, 40079)
"""Where a driver outside the nodes' group listens: `spark.driver.port` 40000 and `spark.driver.blockManager.port`
40040, each with room for 32 more drivers on the host."""

EXECUTOR_PORTS = (40100, 40132)
"""Where executors of such a driver listen: `spark.blockManager.port` 40100, and 32 more executors on the host."""


class ClusterNetwork(Construct):
    """Who may talk to whom, and the master's name.

    Attributes:
        security_group: the `aws_security_group` of every node.
        security_group_id: its id.
        node_security_group_ids: what a node is given: that group and the caller's.
        subnet_ids: the workers' subnets.
        first_subnet_id: the subnet of a master that names none of its own.
        zone: the private `aws_route53_zone`.
        master_host: the name under which workers find the master.
        ready: the resources that must be there before a node starts.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        vpc_id: str,
        subnet_ids: Sequence[str],
        security_group_ids: Sequence[str],
        allow_all_egress: bool,
        tags: Mapping[str, str],
    ) -> None:
        """Make the group with its rules, and the zone.

        Args:
            scope: the construct above.
            id: its id.
            name: the cluster's name: the zone is `<name>-spark`.
            vpc_id: the VPC; both its DNS attributes must be on, which a postcondition checks.
            subnet_ids: the workers' subnets; a postcondition checks that they lie in the VPC (of a list that only
                Terraform knows, the first).
            security_group_ids: the caller's own groups, added to every node.
            allow_all_egress: whether nodes may reach every address. Off, they reach only each other, and the caller's
                groups must allow what they need (docs/private-subnets.md lists it).
            tags: of group, rules and, as far as it takes them, zone.
        """
        super().__init__(scope, id)
        self.subnet_ids = subnet_ids
        self._tags = dict(tags)
        vpc = self._vpc = self._vpc_with_dns(vpc_id)
        known = checks.is_known(subnet_ids)
        self.first_subnet_id = subnet_ids[0] if known else str(Fn.element(list(subnet_ids), 0))
        for index, subnet_id in enumerate(subnet_ids if known else [self.first_subnet_id]):
            self._check_subnet(f"subnet_{index}", subnet_id, "subnet_ids must name subnets")
        named = {**tags, "Name": f"{name}-spark"}
        self.security_group = SecurityGroup(
            self,
            "security_group",
            name_prefix=f"{name}-spark-",
            description=f"Nodes of the Spark cluster {name}",
            vpc_id=vpc.id,
            tags=named,
        )
        self.security_group_id = self.security_group.id
        self.node_security_group_ids = (
            Token.as_list(Fn.concat([[self.security_group_id], security_group_ids]))
            if security_group_ids and not checks.is_known(security_group_ids)
            else [self.security_group_id, *security_group_ids]
        )
        self.ready: list[TerraformResource] = [
            self._ingress("nodes_in", "All traffic between nodes", self.security_group_id),
            VpcSecurityGroupEgressRule(
                self,
                "nodes_out",
                security_group_id=self.security_group_id,
                description="All traffic between nodes",
                ip_protocol="-1",
                referenced_security_group_id=self.security_group_id,
                tags=self._tags,
            ),
        ]
        if allow_all_egress:
            self.ready += [
                self._egress_everywhere("all_ipv4_out", cidr_ipv4="0.0.0.0/0"),
                self._egress_everywhere("all_ipv6_out", cidr_ipv6="::/0"),
            ]
        self.zone = Route53Zone(
            self,
            "zone",
            name=f"{name}-spark",
            comment=f"Nodes of the Spark cluster {name}",
            vpc=[Route53ZoneVpc(vpc_id=vpc.id)],
            tags=dict(islice(tags.items(), limits.TAGS_OF_A_HOSTED_ZONE)),
        )
        self.master_host = f"master.{name}-spark"

    def check_master_subnet(self, subnet_id: str) -> None:
        """Have the plan refuse a master's subnet that is not in the VPC."""
        self._check_subnet("master_subnet", subnet_id, "master.subnet_id must name a subnet")

    def point_master_host_at(self, private_ip: str) -> Route53Record:
        """Make the record of the master's name."""
        return Route53Record(
            self,
            "master_record",
            zone_id=self.zone.zone_id,
            name=self.master_host,
            type="A",
            ttl=MASTER_RECORD_TTL_SECONDS,
            records=[private_ip],
        )

    def allow_submit(self, id: str, *, security_group_id: str, master_ports: Sequence[int]) -> None:
        """Open what a driver outside the nodes' group needs, both ways.

        Args:
            id: distinguishes this driver's rules.
            security_group_id: the group of the driver's host; it gets a rule that lets the nodes connect back to
                `DRIVER_PORTS`.
            master_ports: ports of the master.
        """
        for port in master_ports:
            self._ingress(f"{id}_to_{port}", "Submitters to the master", security_group_id, (port, port))
        self._ingress(f"{id}_to_executors", "Drivers to executors", security_group_id, EXECUTOR_PORTS)
        VpcSecurityGroupEgressRule(
            self,
            f"{id}_out",
            security_group_id=self.security_group_id,
            description="Nodes to drivers",
            ip_protocol="tcp",
            from_port=DRIVER_PORTS[0],
            to_port=DRIVER_PORTS[1],
            referenced_security_group_id=security_group_id,
            tags=self._tags,
        )
        VpcSecurityGroupIngressRule(
            self,
            f"{id}_back",
            security_group_id=security_group_id,
            description="Nodes to drivers",
            ip_protocol="tcp",
            from_port=DRIVER_PORTS[0],
            to_port=DRIVER_PORTS[1],
            referenced_security_group_id=self.security_group_id,
            tags=self._tags,
        )

    def _vpc_with_dns(self, vpc_id: str) -> DataAwsVpc:
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-considerations.html
        both = Postcondition(
            condition="${self.enable_dns_support && self.enable_dns_hostnames}",
            error_message=(
                "vpc_id must name a VPC with enable_dns_support and enable_dns_hostnames both on, "
                "or workers cannot find the master by its name in the private zone"
            ),
        )
        return DataAwsVpc(self, "vpc", id=vpc_id, lifecycle=TerraformResourceLifecycle(postcondition=[both]))

    def _check_subnet(self, id: str, subnet_id: str, rule: str) -> None:
        inside = Postcondition(
            condition=Op.eq(TerraformSelf.get_any("vpc_id"), self._vpc.id),
            error_message=f"{rule} of the VPC that vpc_id names",
        )
        DataAwsSubnet(self, id, id=subnet_id, lifecycle=TerraformResourceLifecycle(postcondition=[inside]))

    def _ingress(
        self, id: str, description: str, source_group_id: str, ports: tuple[int, int] | None = None
    ) -> VpcSecurityGroupIngressRule:
        return VpcSecurityGroupIngressRule(
            self,
            id,
            security_group_id=self.security_group_id,
            description=description,
            ip_protocol="tcp" if ports else "-1",
            from_port=ports[0] if ports else None,
            to_port=ports[1] if ports else None,
            referenced_security_group_id=source_group_id,
            tags=self._tags,
        )

    def _egress_everywhere(self, id: str, **cidr: str) -> VpcSecurityGroupEgressRule:
        return VpcSecurityGroupEgressRule(
            self,
            id,
            security_group_id=self.security_group_id,
            description="All outbound traffic",
            ip_protocol="-1",
            tags=self._tags,
            **cidr,
        )
