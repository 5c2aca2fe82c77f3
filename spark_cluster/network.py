"""The nodes' security group and the private zone in which workers find the master."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from cdktf import (
    Fn,
    ITerraformDependable,
    Op,
    Postcondition,
    TerraformDataSource,
    TerraformResource,
    TerraformResourceLifecycle,
    TerraformSelf,
    Token,
)
from cdktf_cdktf_provider_aws.data_aws_subnets import DataAwsSubnets, DataAwsSubnetsFilter
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone, Route53ZoneVpc
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from spark_cluster import checks, limits, plan_checks, references
from spark_cluster.commands import MASTER_UI_PORT

MASTER_PORT = 7077

MASTER_RECORD_TTL_SECONDS = 30
"""How long a worker may look for a replaced master at its old address."""

DRIVER_PORTS = (40000, 40079)
"""Where a driver outside the nodes' group listens: `spark.driver.port` 40000 and `spark.driver.blockManager.port`
40040, each with room for 32 more drivers on the host."""

EXECUTOR_PORTS = (40100, 40132)
"""Where executors of such a driver listen: `spark.blockManager.port` 40100, and 32 more executors on the host."""


SUBMIT_PORTS = (MASTER_PORT, MASTER_UI_PORT)
"""What such a driver needs of the master: Spark, and the page that tells it of the cluster."""


@dataclass(frozen=True)
class PrivateZone:
    """A private zone that the VPC has already, in place of one of the cluster's own.

    In a VPC that another account shares, only that account's owner can let a zone be used
    (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-associate-vpcs-different-accounts.html).

    Attributes:
        zone_id: its id, such as `Z1D633PJN98FT9`.
        name: its name, such as `data.internal`: the master is `master.<cluster>-spark.data.internal`.

    Raises:
        ValueError: one of both is no text, or the name is no domain's.
    """

    zone_id: str
    name: str

    def __post_init__(self) -> None:
        """Hold the id to its form, the name to a domain's."""
        checks.zone_id("private_zone.zone_id", self.zone_id)
        checks.domain("private_zone.name", self.name)


class ClusterNetwork(Construct):
    """Who may talk to whom, and the master's name.

    Attributes:
        security_group: the `aws_security_group` of every node.
        security_group_id: its id.
        node_security_group_ids: what a node is given: that group and the caller's.
        subnet_ids: the workers' subnets.
        first_subnet_id: the subnet of a master that names none of its own.
        zone: the private `aws_route53_zone`; `None` if the caller named one.
        master_host: the name under which workers find the master.
        submit_rules: what lets drivers outside the group in.
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
        private_zone: PrivateZone | None,
        allow_all_egress: bool,
        tags: Mapping[str, str],
    ) -> None:
        """Make the group with its rules, and the zone.

        Args:
            scope: the construct above.
            id: its id.
            name: the cluster's name: the zone is `<name>-spark`.
            vpc_id: the VPC; both its DNS attributes must be on, which a postcondition checks.
            subnet_ids: the workers' subnets; a postcondition checks that they lie in the VPC.
            security_group_ids: the caller's own groups, added to every node.
            private_zone: where the master's name goes. `None`: into a zone of the cluster's own.
            allow_all_egress: whether nodes may reach every address. Off, they reach only each other, and the caller's
                groups must allow what they need (docs/private-subnets.md lists it).
            tags: of group, rules and, as far as it takes them, zone.
        """
        super().__init__(scope, id)
        self.subnet_ids = subnet_ids
        self._tags = dict(tags)
        # Only looked at: what is made names what the caller gave. A data source is read late if what it depends on is
        # to change, and what names it would be made anew.
        self._vpc_id = vpc_id
        self._looked_at: list[TerraformDataSource] = [
            self._vpc_with_dns(vpc_id),
            self._subnets_inside("subnets", subnet_ids, "subnet_ids must name subnets"),
        ]
        # A set, as many a module has it, is a list to cdktf, but not to the functions that want one.
        known = checks.is_known(subnet_ids)
        self.first_subnet_id = subnet_ids[0] if known else str(Fn.element(Fn.tolist(list(subnet_ids)), 0))
        named = {**tags, "Name": f"{name}-spark"}
        self.security_group = SecurityGroup(
            self,
            "security_group",
            name_prefix=f"{name}-spark-",
            description=f"Nodes of the Spark cluster {name}",
            vpc_id=vpc_id,
            tags=named,
        )
        self.security_group_id = self.security_group.id
        self.node_security_group_ids = (
            Token.as_list(Fn.concat([[self.security_group_id], Fn.tolist(list(security_group_ids))]))
            if security_group_ids and not checks.is_known(security_group_ids)
            else [self.security_group_id, *security_group_ids]
        )
        self.ready: list[ITerraformDependable] = [
            *self._looked_at,
            VpcSecurityGroupIngressRule(
                self,
                "nodes_in",
                security_group_id=self.security_group_id,
                description="All traffic between nodes",
                ip_protocol="-1",
                referenced_security_group_id=self.security_group_id,
                tags=self._tags,
            ),
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
        self.submit_rules = SubmitRules(self, node_security_group_id=self.security_group_id, tags=tags)
        self.master_host = f"master.{name}-spark"
        self.zone: Route53Zone | None = None
        if private_zone is not None:
            self._zone_id = private_zone.zone_id
            self.master_host += f".{private_zone.name}"
            return
        self.zone = Route53Zone(
            self,
            "zone",
            name=f"{name}-spark",
            comment=f"Nodes of the Spark cluster {name}",
            vpc=[Route53ZoneVpc(vpc_id=vpc_id)],
            tags=dict(islice(tags.items(), limits.TAGS_OF_A_HOSTED_ZONE)),
            # Somebody else may have more VPCs find the master: without this the next deploy would take them away.
            lifecycle=TerraformResourceLifecycle(ignore_changes=["vpc"]),
        )
        self._zone_id = self.zone.zone_id

    def check_master_subnet(self, subnet_id: str) -> DataAwsSubnets:
        """Have the plan refuse a master's subnet that is not in the VPC."""
        return self._subnets_inside("master_subnet", [subnet_id], "master.subnet_id must name a subnet")

    def check_default_tags(self, defaults: Mapping[str, str]) -> None:
        """Have the plan refuse more tags than a hosted zone takes, those that the provider adds included."""
        zone, most = self.zone, limits.TAGS_OF_A_HOSTED_ZONE
        if zone is None:
            return
        plan_checks.require(
            zone,
            # Without their values: of a text with a token in it cdktf warns within a function of a function.
            references.late(
                lambda: Op.lte(Fn.length_of(Fn.merge([defaults, dict.fromkeys(zone.tags_input or {}, "")])), most)
            ),
            f"tags and the provider's default_tags must be at most {most} keys together on the private zone, as Route "
            "53 takes no more: `cluster.network.zone.tags = {}` leaves out those of tags, a provider with fewer "
            "default_tags the rest",
        )

    def point_master_host_at(self, private_ip: str) -> Route53Record:
        """Make the record of the master's name."""
        return Route53Record(
            self,
            "master_record",
            zone_id=self._zone_id,
            name=self.master_host,
            type="A",
            ttl=MASTER_RECORD_TTL_SECONDS,
            records=[private_ip],
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

    def _subnets_inside(self, id: str, subnet_ids: Sequence[str], rule: str) -> DataAwsSubnets:
        """Look for them all in the VPC: one that is gone is then missing, and no error that ends a destroy, too."""
        missing = Fn.setsubtract(list(subnet_ids), Token.as_list(TerraformSelf.get_any("ids")))
        inside = Postcondition(
            condition=Op.lt(Fn.length_of(missing), 1),
            error_message=(
                f"{rule} of the VPC that vpc_id names; it does not have {Fn.join(', ', Token.as_list(missing))}"
            ),
        )
        return DataAwsSubnets(
            self,
            id,
            filter=[
                DataAwsSubnetsFilter(name="vpc-id", values=[self._vpc_id]),
                DataAwsSubnetsFilter(name="subnet-id", values=list(subnet_ids)),
            ],
            lifecycle=TerraformResourceLifecycle(postcondition=[inside]),
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


class SubmitRules:
    """What a driver outside the nodes' group needs, both ways: once for each security group of such drivers.

    Attributes:
        scope: where the rules are made that the nodes' own stack asks for.
    """

    def __init__(self, scope: Construct, *, node_security_group_id: str, tags: Mapping[str, str]) -> None:
        """Begin with none.

        Args:
            scope: where the rules are made that the nodes' own stack asks for.
            node_security_group_id: the group of the nodes.
            tags: of the rules.
        """
        self.scope = scope
        self._nodes = node_security_group_id
        self._tags = dict(tags)
        self._opened: dict[str, set[str]] = {}
        self._moved: set[str] = set()

    def open_to(self, security_group_id: str, *, scope: Construct, former_id: str | None = None) -> None:
        """Open the master's and the executors' ports to a group, and the drivers' in it to the nodes.

        Args:
            security_group_id: the group of the drivers' hosts.
            scope: where the rules are made: the same for all that one stack asks for.
            former_id: what the ids had in place of the group, before many roles could be behind one.
        """
        group = references.resolved(scope, security_group_id)
        scopes = self._opened.setdefault(group, set())
        # From another stack the same expression is another group only if both stacks have what it refers to.
        if scope.node.path in scopes or (scopes and not references.is_ambiguous(scope, group)):
            return
        scopes.add(scope.node.path)
        words = re.sub(r"[^A-Za-z0-9-]+", "_", group).strip("_")
        rules = self._rules(scope, f"submit_{words}", security_group_id)
        if former_id is not None and former_id not in self._moved:
            self._moved.add(former_id)
            for end, rule in rules.items():
                kind = rule.terraform_resource_type
                rule.move_from_id(references.address_of_child(scope, kind, f"submit_{former_id}_{end}"))

    def _rules(self, scope: Construct, id: str, group: str) -> dict[str, TerraformResource]:
        nodes, masters, executors = self._nodes, "Submitters to the master", "Drivers to executors"
        # Both ends have a rule, whoever's group it is.
        drivers = "Nodes to drivers"
        ingress, egress = VpcSecurityGroupIngressRule, VpcSecurityGroupEgressRule
        return {
            **{
                f"to_{port}": self._rule(ingress, scope, f"{id}_to_{port}", nodes, group, masters, (port, port))
                for port in SUBMIT_PORTS
            },
            "to_executors": self._rule(ingress, scope, f"{id}_to_executors", nodes, group, executors, EXECUTOR_PORTS),
            "out": self._rule(egress, scope, f"{id}_out", nodes, group, drivers, DRIVER_PORTS),
            "back": self._rule(ingress, scope, f"{id}_back", group, nodes, drivers, DRIVER_PORTS),
        }

    def _rule(
        self,
        kind: Callable[..., TerraformResource],
        scope: Construct,
        id: str,
        security_group_id: str,
        other_group_id: str,
        description: str,
        ports: tuple[int, int],
    ) -> TerraformResource:
        return kind(
            scope,
            id,
            security_group_id=security_group_id,
            description=description,
            ip_protocol="tcp",
            from_port=ports[0],
            to_port=ports[1],
            referenced_security_group_id=other_group_id,
            tags=self._tags,
        )


def master_url(host: str) -> str:
    """What `spark-submit --master` takes."""
    return f"spark://{host}:{MASTER_PORT}"


def master_ui_url(host: str) -> str:
    """The master's web page."""
    return f"http://{host}:{MASTER_UI_PORT}"
