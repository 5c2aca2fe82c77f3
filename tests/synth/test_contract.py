"""What stands on both sides, in the constructs and in the nodes' programs, is the same there."""

from __future__ import annotations

import re

from spark_cluster import storage, userdata
from spark_cluster.commands import MASTER_UI_PORT
from spark_cluster.network import MASTER_PORT
from spark_cluster.spark_properties import KEPT

FILES = userdata.files("first_stage", "common", "master", "worker")
TEXT = "\n".join(FILES.values())


def found(pattern: str) -> set[str]:
    return set(re.findall(pattern, TEXT, re.MULTILINE))


def test_the_master_listens_where_its_security_group_and_its_urls_say() -> None:
    assert found(r"deploy\.master\.Master .*--port (\d+)") == {str(MASTER_PORT)}
    assert found(r"^    listen (\d+);") == {str(MASTER_UI_PORT)}, "the front of all pages"


def test_workers_and_drivers_look_for_the_master_there() -> None:
    assert found(r"spark://\$\{MASTER_HOST\}:(\d+)") == {str(MASTER_PORT)}
    assert found(r"^MASTER_PORT = (\d+)") == {str(MASTER_PORT)}


def test_the_front_and_the_nodes_programs_look_for_the_master_s_own_page_and_the_history_server_where_they_listen() -> (
    None
):
    own, _ = KEPT["spark.master.ui.port"]
    history, _ = KEPT["spark.history.ui.port"]
    assert found(r"deploy\.master\.Master .*--webui-port (\d+)") == found(r"^UI_PORT = (\d+)") == {own}
    assert found(r"^HISTORY_PORT = (\d+)") == {history}
    assert found(r"proxy_pass http://127\.0\.0\.1:(\d+)/?;") == {own, history}


def test_the_page_of_a_worker_is_asked_for_where_it_listens() -> None:
    assert found(r"deploy\.worker\.Worker .*--webui-port (\d+)") == found(r"^WORKER_UI_PORT = (\d+)") != set()


def test_nodes_write_only_below_the_bucket_s_prefixes() -> None:
    known = {storage.ARTIFACTS_PREFIX, storage.DATA_PREFIX, storage.BOOT_LOGS_PREFIX, storage.LOGS_PREFIX}
    assert found(r"s3://(?:\$BUCKET|\{[^}]*\})/([\w-]+)/?") == known - {storage.DATA_PREFIX}


def test_event_logs_are_copied_to_where_the_master_s_role_may_write() -> None:
    assert found(r'^PREFIX = "(spark-[\w-]+)/"') == {storage.EVENT_LOGS_PREFIX}


def test_logs_are_put_where_the_nodes_roles_may_write() -> None:
    assert found(r'^PREFIX = "(logs[\w/-]*)/"') == {
        *(storage.LOGS_PREFIX, storage.DAEMON_LOGS_PREFIX, storage.DRAINS_PREFIX),
    }
    assert found(r"^    \S+ ([\w/]+)/(?:\$arg_appId/\$arg_executorId/)?;$") == {
        *(storage.LOGS_PREFIX, storage.DAEMON_LOGS_PREFIX),
    }, "where the front leads to"


def test_event_logs_lie_where_the_boot_makes_their_folder_and_the_unit_may_write() -> None:
    assert (
        found(r'^EVENT_LOGS = "(.*)"')
        == found(r'-m 750 "\$ROOT(/var/lib/spark-ev.*)"')
        == found(r"^ReadWritePaths=(/var/lib/\S+)$")
    )


def test_programs_read_the_settings_where_user_data_writes_them() -> None:
    assert found(r'^FILE = "(.*settings\.json)"') == {userdata.SETTINGS_FILE}
    assert userdata.FIRST_PROGRAM in FILES
