"""What AWS and Spark take at most, or at least: each figure once, with its unit in its name and the page that has it.

Quotas that AWS raises on request are not here, unless they have an end that no request moves.
"""

from __future__ import annotations

CLUSTER_NAME_CHARACTERS = 24
"""Our own: `<name>-spark-` and the 26 characters that Terraform puts behind a prefix are then within a bucket's 63.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

API_INTEGER = 2_147_483_647
"""The largest number of AWS's APIs where they say `Integer` and no other limit, and of Spark's where it says `Int`.
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html"""

ARN_CHARACTERS = 2_048
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html (PermissionsBoundary)"""

# --- nodes -------------------------------------------------------------------------------------------------------

USER_DATA_BYTES = 16_384
"""EC2's limit, before base64: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""

INTERPRETER_LINE_BYTES = 255
"""https://man7.org/linux/man-pages/man2/execve.2.html (Interpreter scripts)"""

SMALLEST_ROOT_VOLUME_GIB = 16
"""Our own: the AMI, Java, Spark, the logs and what is unpacked meanwhile have room in it."""

LARGEST_GP3_VOLUME_GIB = 65_536
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html (VolumeSize; 16,384 until 2025)"""

SMALLEST_GP3_IOPS = 3_000
LARGEST_GP3_IOPS = 80_000
GP3_IOPS_PER_GIB = 500
"""What gp3 has at any size, and what it takes at most (16,000 until 2025).
https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-performance"""

SMALLEST_GP3_THROUGHPUT_MIBPS = 125
LARGEST_GP3_THROUGHPUT_MIBPS = 2_000
GP3_IOPS_PER_MIBPS = 4
"""What gp3 has at any size, what it takes at most (1,000 until 2025), and how many IOPS each MiB/s of it wants.
https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-performance"""

KEY_PAIR_NAME_CHARACTERS = 255
"""ASCII. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html"""

HOST_NAME_CHARACTERS = 255
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html"""

ZONE_ID_CHARACTERS = 32
"""https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html (Id)"""

SECURITY_GROUPS_OF_AN_INTERFACE = 16
"""5 at first, and as many on request. https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"""

# --- the group of workers ----------------------------------------------------------------------------------------

INSTANCE_TYPES_OF_A_GROUP = 40
"""https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateOverrides.html"""

SUBNETS_OF_A_GROUP_CHARACTERS = 5_000
"""The ids, with a comma between each two.
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html (VPCZoneIdentifier)"""

LOWEST_SPOT_PRICE_DOLLARS = "0.001"
"""Auto Scaling takes less, and EC2 then launches nothing: https://github.com/aws/aws-cli/issues/9133"""

SPOT_PRICE_CHARACTERS = 255
"""https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html (SpotMaxPrice)"""

SHORTEST_BOOT_SECONDS = 120
"""Our own: no node boots in less."""

LONGEST_BOOT_SECONDS = 7_200
"""The longest time-out of a lifecycle hook: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html"""

SHORTEST_DRAIN_SECONDS = 10
"""Our own: two rounds of a drain."""

LONGEST_DRAIN_SECONDS = 7_000
"""Our own: what is left of the longest time-out of a lifecycle hook is for logs, and for noticing."""

SHORTEST_UNLISTED_SECONDS = 60
"""Our own: a worker that registers again, after a restart of its own or of the master's, has done so by then."""

LONGEST_UNLISTED_SECONDS = 86_400
"""Our own: after a day a worker that nobody lists has cost what a new one would have."""

SHORT_ALARM_SECONDS = 86_400
"""What an alarm whose period is shorter than an hour looks back at most.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html"""

# --- tags --------------------------------------------------------------------------------------------------------

TAGS_OF_A_RESOURCE = 50
"""https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html"""

TAGS_OF_A_HOSTED_ZONE = 10
"""https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeTagsForResource.html (AddTags)"""

TAG_KEY_CHARACTERS = 128
TAG_VALUE_CHARACTERS = 256
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html"""

TAG_MARKS = "_.:/=+-@"
"""What a tag may hold besides letters, digits and blanks, in IAM and Systems Manager; EC2 takes more.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html"""

# --- names and parameters ----------------------------------------------------------------------------------------

ROLE_NAME_CHARACTERS = 64
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html (RoleName)"""

OBJECT_KEY_BYTES = 1_024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

LIFECYCLE_RULES_OF_A_BUCKET = 1_000
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html"""

LIFECYCLE_RULE_ID_CHARACTERS = 255
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html (ID)"""

POLICY_NAME_CHARACTERS = 128
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html (PolicyName)"""

RESERVED_SECURITY_GROUP_BEGINNINGS = ("sg-",)
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html (GroupName)"""

RESERVED_BUCKET_BEGINNINGS = ("sthree-", "amzn-s3-demo-")
RESERVED_BUCKET_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
"""S3 keeps `xn--` as well, which no cluster's name has. No cluster's bucket has one of the ends: Terraform's digits are
behind its name.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

ROLE_POLICY_CHARACTERS = 10_240
"""Of the inline policies of a role together; white space does not count.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

BUCKET_POLICY_BYTES = 20_480
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""

PARAMETER_NAME_CHARACTERS = 1_011
PARAMETER_LEVELS = 15
"""https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html"""

SESSION_PARAMETER_CHARACTERS = 65_535
"""What one parameter of a session's document holds: the command that it runs.
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html"""

URL_HOST_CHARACTERS = 253
"""Of the 255 octets of a name two are not written: https://www.rfc-editor.org/rfc/rfc1035#section-3.1"""

HIGHEST_PORT = 65_535
"""https://www.rfc-editor.org/rfc/rfc9293 (16 bits)"""

# --- Spark -------------------------------------------------------------------------------------------------------

LOWEST_SPARK_PORT = 1_024
"""Spark takes 0, for any free one, or a port from here on: `startServiceOnPort` in
https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/util/Utils.scala"""

SMALLEST_HEAP_MIB = 450
"""Half as much again as the 300 MiB that Spark reserves; with less no driver and no executor starts.
https://github.com/apache/spark/blob/v4.0.0/core/src/main/scala/org/apache/spark/memory/UnifiedMemoryManager.scala"""
