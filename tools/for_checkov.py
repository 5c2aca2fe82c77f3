"""Copy what was synthesized to where checkov reads it, without what it cannot read: `for_checkov.py FROM TO`.

checkov 3.3 takes everything in the `terraform` block for a block itself, and reads no JSON that has a
`required_version`; on a resource with a `dynamic` block most of its checks end in an error.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path


def main(synthesized: str, folder: str) -> None:
    """Make the copies anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for file in Path(synthesized).glob("*/cdk.tf.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        del document["terraform"]
        for resources in document["resource"].values():
            for resource in resources.values():
                for name, block in resource.pop("dynamic", {}).items():
                    resource[name] = [block["content"]]
        copy = Path(folder, file.parent.name, file.name)
        copy.parent.mkdir(parents=True)
        copy.write_text(json.dumps(document, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
