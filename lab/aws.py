"""The AWS API of the lab: that of the deploy tests, as unkind as the real one, and with hosts that boot.

Run as a program inside the enclosure. Instances wait for their hosts (`hosts`), members of groups for their lifecycle
hooks (`groups`), nodes may do what their roles allow (`permissions`), and a changed record is pending for a while.
Nodes ask it by https and by AWS's own names; the deployer, and the lab's other services, by an address.
"""

# ruff: noqa: SLF001 - it changes moto from the inside

from __future__ import annotations

import threading
import time
import traceback
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.route53.responses import Route53
from werkzeug.serving import make_server

from . import authority, faults, noticeboard
from .bucket_hosts import BucketHosts
from .emulated_aws import RequestHandler, correct_moto
from .groups import Groups
from .hosts import Hosts, instances_of
from .image import IMAGES
from .moto_changes import replaces
from .noticeboard import Posted
from .objects import Objects
from .permissions import Gate, remember_when_policies_are_written
from .places import AWS, AWS_PORT, CALL_LOG, DEPLOYER, IMAGE_NAME_PREFIX, REFUSED_LOG, REGION, SERVICES
from .service_models import ServiceModels, caller
from .turns import Turns

_ROUND_SECONDS = 0.25


def main() -> None:
    """Serve until killed."""
    lock = threading.RLock()
    hosts, groups = Hosts(), Groups()
    correct_moto()
    remember_when_policies_are_written()
    _keep_changes_of_zones_pending()
    hosts.install()
    groups.install()
    _register_images()
    threading.Thread(target=_reconcile, args=(lock, hosts, groups), daemon=True).start()
    moto = Objects(DomainDispatcherApplication(create_backend_app))
    app = Gate(Turns(ServiceModels(moto, CALL_LOG, caller(DEPLOYER)), lock), DEPLOYER, REFUSED_LOG)
    plain, secure = (
        make_server(address, port, BucketHosts(app), threaded=True, request_handler=RequestHandler)
        for address, port in ((SERVICES, AWS_PORT), (AWS, 443))
    )
    authority.secure(secure)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    plain.serve_forever()


def _reconcile(lock: threading.RLock, hosts: Hosts, groups: Groups) -> None:
    while True:
        with lock:
            try:
                ec2 = list(ec2_backends[DEFAULT_ACCOUNT_ID].values())
                autoscaling = list(autoscaling_backends[DEFAULT_ACCOUNT_ID].values())
                hosts.reconcile(ec2, faults.read().interruptions)
                groups.reconcile(autoscaling)
                posted = {
                    instance.private_ip: Posted(instance.id, groups.target(instance.id, autoscaling))
                    for backend in ec2
                    for instance in instances_of(backend)
                    if instance.private_ip and instance.state != "terminated"
                }
            except Exception:  # noqa: BLE001 - what one round stumbles over is in the log, and the next goes on
                traceback.print_exc()
            else:
                noticeboard.post(posted)
        time.sleep(_ROUND_SECONDS)


def _register_images() -> None:
    """Give each image of the lab an AMI of its name."""
    for name in IMAGES:
        ami = ec2_backends[DEFAULT_ACCOUNT_ID][REGION].register_image(f"{IMAGE_NAME_PREFIX}{name}")
        ami.architecture, ami.root_device_name = "x86_64", "/dev/xvda"


def _keep_changes_of_zones_pending() -> None:
    """Answer that a change is `PENDING` for as long as the name server does not know it; to moto all is in force."""
    in_sync: dict[str, float] = {}

    @replaces(Route53, "change_resource_record_sets")
    def change_and_note(change_records: Any, response: Route53) -> Any:
        result: Any = change_records(response)
        zone = response.backend.get_hosted_zone(response._get_param("HostedZoneId"))
        change_id = uuid.uuid4().hex
        in_sync[change_id] = time.time() + faults.read().record_delay_seconds(zone.name) + 3.0
        result.result["ChangeInfo"].update(Id=f"/change/{change_id}", Status="PENDING")
        return result

    @replaces(Route53, "get_change")
    def get_change(_: Any, response: Route53) -> ActionResult:
        pending = time.time() < in_sync.get(response._get_param("Id").rpartition("/")[2], 0.0)
        status = {"Status": "PENDING" if pending else "INSYNC", "SubmittedAt": datetime.now(UTC)}
        return ActionResult({"ChangeInfo": {"Id": response._get_param("Id"), **status}})


if __name__ == "__main__":
    main()
