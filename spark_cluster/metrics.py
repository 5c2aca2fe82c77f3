"""Figures of the cluster in CloudWatch, an option: what the master may send, and a dashboard of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_dashboard import CloudwatchDashboard
from constructs import Construct

from spark_cluster.identity import Allow, NodeRole
from spark_cluster.location import Location

_ROW_HEIGHT, _HALF_WIDTH = 6, 12
"""Of a dashboard's grid, which is 24 wide.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""

_PERIOD_SECONDS = 60
"""As often as the master sends."""

WIDGETS: Sequence[tuple[str, str, Sequence[str]]] = (
    ("Workers", "Maximum", ("WorkersDesired", "WorkersInService", "WorkersProtected", "WorkersSick")),
    ("Cores", "Maximum", ("CoresUsed", "CoresFree")),
    ("Applications that wait for cores", "Maximum", ("ApplicationsWaiting",)),
    ("Workers that leave, and those that EC2 cut off", "Sum", ("Drains", "Interruptions")),
)
"""Title, statistic and metrics of each. The names are those of the master's `metrics.py`; a test compares them."""


class ClusterMetrics(Construct):
    """The right to send metrics, and a dashboard that shows them, if the cluster has them.

    Attributes:
        namespace: where they are in CloudWatch, a namespace of the cluster's own, since IAM can hold a role to that
            and to no dimension; empty if there are none.
    """

    def __init__(
        self, scope: Construct, id: str, *, metrics: bool, name: str, location: Location, master_role: NodeRole
    ) -> None:
        """Make the dashboard, and let the master send what it shows.

        Args:
            scope: the construct above.
            id: its id.
            metrics: the caller's choice.
            name: the cluster's name.
            location: where the metrics are.
            master_role: who sends them.
        """
        super().__init__(scope, id)
        self.namespace = ""
        if not metrics:
            return
        self.namespace = f"SparkCluster/{name}"
        # The action takes no resource:
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
        only = {"StringEquals": {"cloudwatch:namespace": [self.namespace]}}
        master_role.allow("metrics", Allow(("cloudwatch:PutMetricData",), ("*",), only))
        CloudwatchDashboard(
            self,
            "dashboard",
            # Dashboards are the account's, not the region's, and one of the same name would be overwritten:
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
            dashboard_name=f"{name}-spark-{location.region}",
            dashboard_body=json.dumps({"widgets": self._widgets(location.region)}),
        )

    def _widgets(self, region: str) -> list[dict[str, Any]]:
        return [
            {
                "type": "metric",
                "x": _HALF_WIDTH * (index % 2),
                "y": _ROW_HEIGHT * (index // 2),
                "width": _HALF_WIDTH,
                "height": _ROW_HEIGHT,
                "properties": {
                    "title": title,
                    "view": "timeSeries",
                    "stacked": title == "Cores",
                    "region": region,
                    "stat": statistic,
                    "period": _PERIOD_SECONDS,
                    "yAxis": {"left": {"min": 0}},
                    "metrics": [[self.namespace, metric] for metric in metrics],
                },
            }
            for index, (title, statistic, metrics) in enumerate(WIDGETS)
        ]
