"""A cluster of another program, known by its name: what it says of itself, and grants on it."""

from __future__ import annotations

from collections.abc import Mapping

from cdktf import Fn, TerraformProvider, Token
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from cdktf_cdktf_provider_aws.ssm_parameter import SsmParameter
from constructs import Construct

from spark_cluster import checks, references
from spark_cluster.grants import Grantee, Grants
from spark_cluster.location import Location
from spark_cluster.network import SubmitRules, master_ui_url, master_url
from spark_cluster.parameters import ParameterAddress, parameter_name, spark_secret_parameter_name
from spark_cluster.storage import BucketAddress
from spark_cluster.workers import group_name

_ABOUT = "about"


class About(Construct):
    """A parameter with what a cluster's name does not say.

    Attributes:
        parameter: the `aws_ssm_parameter`, `/spark-cluster/<name>/about`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        bucket_name: str,
        security_group_id: str,
        master_host: str,
        tags: Mapping[str, str],
    ) -> None:
        """Write it.

        Args:
            scope: the construct above.
            id: its id.
            name: the cluster's name.
            bucket_name: its bucket.
            security_group_id: the group of its nodes.
            master_host: the name of its master.
            tags: of the parameter.
        """
        super().__init__(scope, id)
        about = {"bucket_name": bucket_name, "security_group_id": security_group_id, "master_host": master_host}
        self.parameter = SsmParameter(
            self,
            "parameter",
            name=parameter_name(name, _ABOUT),
            description=f"What other stacks need to know of the Spark cluster {name}",
            type="String",
            insecure_value=Token.as_string(Fn.jsonencode(about)),
            tags=dict(tags),
        )


class ExistingCluster(Construct):
    """A cluster that another program deployed, in the same account and region: to be granted something of it.

    Attributes:
        name: its name.
        bucket_name: its bucket.
        bucket_arn: the bucket's ARN.
        security_group_id: the group of its nodes.
        group_name: the workers' Auto Scaling group.
        master_url: what `spark-submit --master` takes, from inside the VPC.
        master_ui_url: the master's web page, from inside the VPC.
        spark_secret_parameter_name: where a submitter with `grant_submit` reads the secret.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        account_id: str | None = None,
        bucket_kms_key_arn: str | None = None,
        parameter_kms_key_arn: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: TerraformProvider | None = None,
    ) -> None:
        """Look it up: a plan fails if there is none of that name, and a destroy unless Terraform has `-refresh=false`.

        Args:
            scope: the stack, or a construct in it.
            id: its id.
            name: the cluster's name.
            account_id: its account. Default: the deployer's.
            bucket_kms_key_arn: what the cluster was given as that. Default: it was given none.
            parameter_kms_key_arn: what the cluster was given as that. Default: it was given none.
            tags: of the rules that `grant_submit` makes. Default: none.
            provider: the AWS provider of all this. Default: the stack's one without an alias.

        Raises:
            ValueError: an argument is wrong; the message names it, the rule and the value.
        """
        checks.place(scope, id)
        checks.name("name", name)
        checks.account_id("account_id", account_id)
        checks.key_arn("bucket_kms_key_arn", bucket_kms_key_arn)
        checks.key_arn("parameter_kms_key_arn", parameter_kms_key_arn)
        tags = {} if tags is None else tags
        checks.tags("tags", tags)
        checks.provider("provider", provider)
        super().__init__(scope, id)
        references.provide(self, provider)
        self.name = name
        self._grants = Grants(self, name=name)
        location = Location(self, "location", account_id=account_id)
        text = DataAwsSsmParameter(self, _ABOUT, name=parameter_name(name, _ABOUT)).insecure_value
        about = Fn.jsondecode(text)

        def said(key: str) -> str:
            return Token.as_string(Fn.lookup(about, key))

        self.bucket_name = said("bucket_name")
        self.security_group_id = said("security_group_id")
        self.group_name = group_name(name)
        host = said("master_host")
        self.master_url = master_url(host)
        self.master_ui_url = master_ui_url(host)
        self.bucket_arn = location.s3_arn(self.bucket_name)
        self._bucket = BucketAddress(self.bucket_name, self.bucket_arn, location, bucket_kms_key_arn)
        self.spark_secret_parameter_name = spark_secret_parameter_name(name)
        self._secret = ParameterAddress(
            self.spark_secret_parameter_name,
            location.arn("ssm", f"parameter{self.spark_secret_parameter_name}"),
            location,
            kms_key_arn=parameter_kms_key_arn,
        )
        self._submit_rules = SubmitRules(self, node_security_group_id=self.security_group_id, tags=tags)

    def grant_read_data(self, grantee: Grantee) -> None:
        """As `ClusterStorage.grant_read_data`."""
        self._bucket.grant_read_data(self._grants, grantee)

    def grant_read_write_data(self, grantee: Grantee) -> None:
        """As `ClusterStorage.grant_read_write_data`."""
        self._bucket.grant_read_write_data(self._grants, grantee)

    def grant_submit(self, grantee: Grantee, *, security_group_id: str) -> None:
        """As `SparkCluster.grant_submit`."""
        checks.prefixed("security_group_id", security_group_id, "sg-")
        self._grants.give_submit(grantee, self._secret, self._submit_rules, security_group_id)
        self._bucket.grant_keep_event_logs(self._grants, grantee)
        self._bucket.grant_clear_fallback(self._grants, grantee)
