"""Before any test module is collected: whichever of them imports the provider first, it is lazy."""

from __future__ import annotations

from spark_cluster import lazy_provider

lazy_provider.import_lazily()
