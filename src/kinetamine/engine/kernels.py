"""Generated code: written whole into the user's cache folder, imported, compiled once, then read back.

Numba's disk cache finds a function again only when its module can be imported under the same name, so a module
is registered in ``sys.modules`` before it is executed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from kinetamine.files import write_whole

__all__ = ["folder", "load"]

#: a module is in ``sys.modules`` before it is whole: another thread must not take it from there
_LOADING = threading.RLock()


@functools.cache
def folder() -> Path:
    """Where generated modules are kept; a temporary folder when the user's cache cannot be written."""
    from platformdirs import user_cache_dir

    for candidate in (os.environ.get("KINETAMINE_CACHE"), user_cache_dir("kinetamine")):
        if not candidate:
            continue
        path = Path(candidate) / "kernels"
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                return path
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="kinetamine-"))


def load(kind: str, source: str, notify: Callable[[str], None] | None = None) -> ModuleType:
    """Import generated `source`, compiled functions cached on disk.

    Parameters
    ----------
    kind : str
        Goes into the module's name, for people who look into the folder.
    source : str
        Python text; every ``@njit(nogil=True`` in it gets ``cache=True``.
    notify : callable, optional
        Called with a sentence when the module is new here and has to be compiled first.
    """
    source = source.replace("@njit(nogil=True", "@njit(cache=True, nogil=True")
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    with _LOADING:
        return _load(f"kinetamine_{kind}_{digest}", source, notify)


def _load(name: str, source: str, notify: Callable[[str], None] | None) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    path = folder() / f"{name}.py"
    if not path.exists():
        if notify is not None:
            notify("compiling the equations of this model (once on this machine, some seconds)")
        write_whole(path, source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
