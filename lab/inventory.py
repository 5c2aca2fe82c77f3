"""What a cluster is in an AWS, read through boto3."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass
from typing import Any, Protocol


class Aws(Protocol):
    """An emulated AWS, whichever server plays it."""

    def client(self, service: str, region: str = ...) -> Any:
        """A boto3 client for a service, of whoever deploys."""


NODE_FILLS = {"SecureString": "a secret that a node filled in", "String": "a public key that a node filled in"}


@dataclass
class ClusterInAws:
    """What an emulated AWS has of one cluster, found by the names and tags that the cluster gives."""

    aws: Aws
    name: str
    region: str = "us-east-1"

    def client(self, service: str) -> Any:
        """A boto3 client for a service, in the cluster's region."""
        return self.aws.client(service, self.region)

    def group(self) -> dict[str, Any]:
        """The workers' Auto Scaling group, as DescribeAutoScalingGroups has it."""
        name = f"{self.name}-spark-workers"
        groups: list[dict[str, Any]] = self.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[name]
        )["AutoScalingGroups"]
        return groups[0]

    def instances(self, role: str) -> list[dict[str, Any]]:
        """Instances tagged as `master` or `worker` that are pending or running."""
        named = [
            {"Name": "tag:Name", "Values": [f"{self.name}-spark-{role}"]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        reservations = self.client("ec2").describe_instances(Filters=named)["Reservations"]
        return [instance for reservation in reservations for instance in reservation["Instances"]]

    def launched(self) -> set[str]:
        """The ids of all instances of the cluster, of those that have ended, too."""
        named = [{"Name": "tag:Name", "Values": [f"{self.name}-spark-master", f"{self.name}-spark-worker"]}]
        reservations = self.client("ec2").describe_instances(Filters=named)["Reservations"]
        return {instance["InstanceId"] for reservation in reservations for instance in reservation["Instances"]}

    def master(self) -> dict[str, Any]:
        """The instance of the master; fails if there is not exactly one."""
        (instance,) = self.instances("master")
        return instance

    def template(self) -> dict[str, Any]:
        """The launch template's version that the group uses."""
        used = self.group()["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
        versions = self.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=used["LaunchTemplateId"], Versions=[used["Version"]]
        )
        data: dict[str, Any] = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return data

    def user_data(self, role: str) -> bytes:
        """A role's user data, as EC2 counts its bytes."""
        if role == "worker":
            return base64.b64decode(self.template()["UserData"])
        attribute = self.client("ec2").describe_instance_attribute(
            InstanceId=self.master()["InstanceId"], Attribute="userData"
        )
        return base64.b64decode(attribute["UserData"]["Value"])

    def settings(self, role: str) -> dict[str, Any]:
        """The settings in a role's user data."""
        text = gzip.decompress(self.user_data(role)).decode()
        found = re.search(r"cat >\S+/settings\.json <<'END-OF-FILE'\n(.*)\nEND-OF-FILE", text)
        assert found is not None
        settings: dict[str, Any] = json.loads(found[1])
        return settings

    def record(self) -> list[str]:
        """The addresses that the master's name stands for."""
        route53 = self.client("route53")
        (zone,) = [zone for zone in route53.list_hosted_zones()["HostedZones"] if zone["Name"] == f"{self.name}-spark."]
        records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        (record,) = [record for record in records if record["Name"] == f"master.{self.name}-spark."]
        return [value["Value"] for value in record["ResourceRecords"]]

    def parameters(self) -> dict[str, dict[str, Any]]:
        """The cluster's parameters by the last part of their names, decrypted."""
        path = f"/spark-cluster/{self.name}"
        found = self.client("ssm").get_parameters_by_path(Path=path, WithDecryption=True)["Parameters"]
        return {parameter["Name"].rpartition("/")[2]: parameter for parameter in found}

    def policies(self, role: str) -> dict[str, list[dict[str, Any]]]:
        """The inline policies of a node's role, statement by statement."""
        iam = self.client("iam")
        (name,) = [
            found["RoleName"]
            for found in iam.list_roles(MaxItems=1000)["Roles"]
            if found["RoleName"].startswith(f"{self.name}-{role}-")
        ]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        return {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }

    def filled_parameters(self) -> dict[str, dict[str, Any]]:
        """Those that nodes fill: all but the one in which the cluster says what it is."""
        return {name: item for name, item in self.parameters().items() if name != "about"}

    def run_for_a_while(self, bucket: str) -> None:
        """Leave what a running cluster leaves: an object with an old version, and the parameters filled."""
        s3 = self.client("s3")
        for body in (b"old", b"new"):
            s3.put_object(Bucket=bucket, Key="data/result", Body=body)
        for parameter in self.filled_parameters().values():
            self.client("ssm").put_parameter(
                Name=parameter["Name"], Value=NODE_FILLS[parameter["Type"]], Type=parameter["Type"], Overwrite=True
            )

    def left(self) -> dict[str, list[str]]:
        """What bears the cluster's name, by kind; all empty when nothing is left."""
        ec2, iam = self.client("ec2"), self.client("iam")
        groups = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        templates = ec2.describe_launch_templates()["LaunchTemplates"]
        security_groups = ec2.describe_security_groups()["SecurityGroups"]
        alarms = self.client("cloudwatch").describe_alarms()["MetricAlarms"]
        dashboards = self.client("cloudwatch").list_dashboards()["DashboardEntries"]
        zones = self.client("route53").list_hosted_zones()["HostedZones"]
        names = {
            "instances": [item["InstanceId"] for role in ("master", "worker") for item in self.instances(role)],
            "groups": [item["AutoScalingGroupName"] for item in groups],
            "templates": [item["LaunchTemplateName"] for item in templates],
            "security_groups": [item["GroupName"] for item in security_groups],
            "alarms": [item["AlarmName"] for item in alarms],
            "dashboards": [item["DashboardName"] for item in dashboards],
            "zones": [item["Name"] for item in zones],
            "roles": [item["RoleName"] for item in iam.list_roles(MaxItems=1000)["Roles"]],
            "profiles": [
                item["InstanceProfileName"] for item in iam.list_instance_profiles(MaxItems=1000)["InstanceProfiles"]
            ],
            "parameters": [item["Name"] for item in self.parameters().values()],
            "buckets": [item["Name"] for item in self.client("s3").list_buckets()["Buckets"]],
        }
        ours = re.compile(rf"(^|/){re.escape(self.name)}(-|$)|^i-|^/spark-cluster/{re.escape(self.name)}/")
        return {kind: [name for name in found if ours.search(name)] for kind, found in names.items()}
