"""Make the AWS provider lazy, in Python and in jsii's Node, so that an app's synthesis starts in a second or two."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType

PACKAGE = "cdktf_cdktf_provider_aws"
"""The generated package of the AWS provider's resources."""

OPT_OUT = "SPARK_CLUSTER_EAGER_PROVIDER"
"""Environment variable that leaves the provider's import as it is, when set to anything but the empty string."""

NODE_OPT_OUT = "SPARK_CLUSTER_EAGER_NODE"
"""Environment variable that leaves Node's part alone as it is, when set to anything but the empty string."""

_ASSEMBLY = "@cdktf/provider-aws"


def import_lazily() -> bool:
    """Load each of the AWS provider's modules when it is first used, not all 2,212 whenever one is.

    The provider's package imports every one of its modules as soon as any is wanted: 8 to 17 seconds and 565 MB, most
    of an app's synthesis. A cluster uses three dozen. Today's jsii generates packages that import lazily (PEP 562); the
    provider's last release is older and will not be rebuilt. So this does for it what the generator does today: the
    package is put into `sys.modules` unexecuted, and its modules are found through it on demand. Nothing else changes:
    `import cdktf_cdktf_provider_aws as aws; aws.vpc.Vpc` and `from cdktf_cdktf_provider_aws.vpc import
    Vpc` give the same class, `dir`, `isinstance` and type checkers see what they saw.

    jsii runs the provider's JavaScript in a Node of its own, which loads all modules, too. This starts that Node (by
    importing `constructs`, as the app is about to do anyway) with a preload that turns what the provider's index
    exports into getters: 185 MB in place of 640. `NODE_OPTIONS`, to which the preload is added, is as it was before
    when this returns.

    It is a choice of the app: call it before anything imports the provider, `constructs` or `cdktf`,
    `spark_cluster.SparkCluster` included.

        from spark_cluster import lazy_provider

        lazy_provider.import_lazily()

        from spark_cluster import SparkCluster

    It may be called again, and at any time: a provider that is already imported, and a Node that already runs, are left
    alone. Both are also left as they are if the environment variable `SPARK_CLUSTER_EAGER_PROVIDER` is set, if the
    provider is not installed, and if jsii does not have the map with which it finds the module of an object that Node
    hands back; Node alone, if `SPARK_CLUSTER_EAGER_NODE` is set. An index of another form is loaded as ever.

    Returns:
        Whether the provider's modules are now imported lazily in Python.
    """
    if PACKAGE in sys.modules:
        return "__getattr__" in vars(sys.modules[PACKAGE])
    if os.environ.get(OPT_OUT):
        return False
    spec = find_spec(PACKAGE)
    modules_of_types = _jsii_modules_of_types()
    if spec is None or modules_of_types is None:
        return False
    package = module_from_spec(spec)
    names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    for name in names:
        modules_of_types[f"{_ASSEMBLY}.{_camel_case(name)}"] = f"{PACKAGE}.{name}"
    _make_lazy(package, names)
    sys.modules[PACKAGE] = package
    if "constructs" not in sys.modules and not os.environ.get(NODE_OPT_OUT):
        with _preloaded(Path(__file__).with_suffix(".js")), contextlib.suppress(ImportError):
            importlib.import_module("constructs")
    return True


def _make_lazy(package: ModuleType, names: Sequence[str]) -> None:
    """Let a package that was not executed import each of the modules named when it is first asked for (PEP 562)."""

    def load(name: str) -> ModuleType:
        if name not in names:
            message = f"module {PACKAGE!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=package)
        return importlib.import_module(f"{PACKAGE}.{name}")

    vars(package).update(__all__=names, __getattr__=load, __dir__=lambda: sorted({*vars(package), *names}))


@contextlib.contextmanager
def _preloaded(program: Path) -> Iterator[None]:
    """While this holds, a Node that is started runs a program first; nothing changes if the file is inside a zip."""
    before = os.environ.get("NODE_OPTIONS")
    if program.is_file():
        # https://nodejs.org/api/cli.html#node_optionsoptions: in quotes a backslash escapes.
        quoted = str(program).replace("\\", "\\\\").replace('"', '\\"')
        os.environ["NODE_OPTIONS"] = f'{before or ""} --require "{quoted}"'
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("NODE_OPTIONS", None)
        else:
            os.environ["NODE_OPTIONS"] = before


def _jsii_modules_of_types() -> MutableMapping[str, str] | None:
    """What jsii asks for the Python module of a type it has not seen. It is private, so it may be gone some day."""
    try:
        from jsii import _reference_map  # noqa: PLC0415 - importing this module shall import nothing heavy
    except ImportError:
        return None
    found = getattr(_reference_map, "_submodule_fqn_map", None)
    return found if isinstance(found, dict) else None


def _camel_case(name: str) -> str:
    """A module's name as jsii has it: `s3_bucket` is `s3Bucket` there."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
