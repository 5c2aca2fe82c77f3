"""The caller's script that each node runs before Spark starts: an object beside the nodes' programs."""

from __future__ import annotations

from cdktf import Fn, TerraformLocal, TerraformResource
from constructs import Construct

from spark_cluster import checks
from spark_cluster.storage import PROGRAMS_PREFIX, ClusterStorage
from spark_cluster.userdata import escape, node_object


class SetupScript(Construct):
    """The script in the bucket, under a name that its checksum makes; user data has both.

    Attributes:
        key: the object; empty if there is no script.
        sha256: its SHA-256; likewise.
        ready: what must be there before a node boots.
    """

    def __init__(self, scope: Construct, id: str, *, script: str | None, storage: ClusterStorage) -> None:
        """Put it there.

        Args:
            scope: the construct above.
            id: its id.
            script: its text, tokens in it included. `None`: there is none.
            storage: where it goes.
        """
        super().__init__(scope, id)
        self.key = self.sha256 = ""
        self.ready: list[TerraformResource] = []
        if script is None:
            return
        text = TerraformLocal(self, "text", escape(checks.unix_lines(script))).as_string
        self.sha256 = Fn.sha256(text)
        self.key = f"{PROGRAMS_PREFIX}/setup-script-{self.sha256}"
        self.ready = [node_object(self, "object", storage=storage, key=self.key, content=text)]
