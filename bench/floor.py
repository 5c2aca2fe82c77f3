"""What any app pays that imports these modules of the provider lazily: `floor.py MODULE ...`."""

from __future__ import annotations

import importlib
import sys

from spark_cluster import lazy_provider

lazy_provider.import_lazily()

from cdktf import App  # noqa: E402 - the provider comes first

app = App()
for module in sys.argv[1:]:
    importlib.import_module(f"{lazy_provider.PACKAGE}.{module}")
app.synth()
