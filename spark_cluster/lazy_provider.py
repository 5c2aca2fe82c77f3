"""Make the import of the AWS provider lazy, for an app that wants its synthesis to start in seconds."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

PACKAGE = "cdktf_cdktf_provider_aws"
"""The generated package of the AWS provider's resources."""

OPT_OUT = "SPARK_CLUSTER_EAGER_PROVIDER"
"""Environment variable that leaves the provider's import as it is, when set to anything but the empty string."""

_ASSEMBLY = "@cdktf/provider-aws"


def import_lazily() -> bool:
    """Import each of the AWS provider's modules when it is first used, not all 2,212 whenever one is.

    The provider's package imports every one of its modules as soon as any is wanted: 8 to 17 seconds and 565 MB, most
    of an app's synthesis, of which a cluster uses two dozen. Today's jsii generates packages that import lazily (PEP
    562); this provider's last release is older and will not be rebuilt. So this does for it what the generator does
    today: the package is put into `sys.modules` unexecuted, and its modules are found through it on demand. Nothing
    else changes: `import cdktf_cdktf_provider_aws as aws; aws.vpc.Vpc` and `from cdktf_cdktf_provider_aws.vpc import
    Vpc` give the same class, `dir`, `isinstance` and type checkers see what they saw.

    It is a choice of the app: call it before anything imports the provider, `spark_cluster.SparkCluster` included.

        from spark_cluster import lazy_provider

        lazy_provider.import_lazily()

        from spark_cluster import SparkCluster

    It may be called again, and at any time: a provider that is already imported is left alone. Import is also left as
    it is where the environment variable `SPARK_CLUSTER_EAGER_PROVIDER` is set, where the provider is not installed,
    and where jsii does not have the map with which it finds the module of an object that Node hands back.

    Returns:
        Whether the provider's modules are now imported lazily.
    """
    if PACKAGE in sys.modules:
        return isinstance(sys.modules[PACKAGE], _LazyPackage)
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
    package.__dict__["__all__"] = names
    package.__class__ = _LazyPackage
    sys.modules[PACKAGE] = package
    return True


class _LazyPackage(ModuleType):
    """A package that was not executed: each module in its `__all__` is imported when it is first asked for."""

    __all__: list[str]

    def __getattr__(self, name: str) -> ModuleType:
        if name not in self.__all__:
            message = f"module {self.__name__!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=self)
        return importlib.import_module(f"{self.__name__}.{name}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__})


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
