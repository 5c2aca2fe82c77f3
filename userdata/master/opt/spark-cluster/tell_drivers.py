"""Tell drivers that their application was removed: `spark-submit tell_drivers.py HOST:PORT ...`, for orphans.py.

What a master sends to the endpoint `AppClient` of a driver; Spark has no other way to end one from outside.
"""

from __future__ import annotations

import sys
import time

from pyspark.java_gateway import launch_gateway

MESSAGE = "its master was replaced and Spark's recovery state with it; submit it again"


def main(drivers: list[str]) -> None:
    jvm = launch_gateway().jvm
    apache = jvm.org.apache.spark
    conf = apache.SparkConf(True)  # noqa: FBT003 - of Java
    secret_file = getattr(getattr(apache.internal.config, "package$"), "MODULE$").AUTH_SECRET_FILE()
    security = apache.SecurityManager(conf, getattr(getattr(jvm.scala, "None$"), "MODULE$"), secret_file)
    rpc = apache.rpc.RpcEnv.create("orphans", conf.get("spark.driver.host"), 0, conf, security, True)  # noqa: FBT003
    for driver in drivers:
        host, _, port = driver.rpartition(":")
        try:
            client = rpc.setupEndpointRef(apache.rpc.RpcAddress(host, int(port)), "AppClient")
            client.send(getattr(apache.deploy, "DeployMessages$ApplicationRemoved")(MESSAGE))
            print(f"orphans: spoke to the driver at {driver}", file=sys.stderr)
        except Exception as error:  # noqa: BLE001 - of Java's kind: most have ended by themselves, and the next one follows
            print(f"orphans: no driver at {driver}: {str(error).splitlines()[0]}", file=sys.stderr)
    time.sleep(1)  # what was sent is on its way before this JVM ends
    rpc.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
