"""Find, read and check model files: the library's own and a user's.

A file is read as TOML, then checked twice: its *schema* (keys, types, allowed words) and its *sense* (names,
units, variances). All faults of both are raised together. Units are derived once per file and remembered in
the user's cache under the file's digest, because reading units costs more than everything else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from kinetamine import units
from kinetamine.errors import Fault, FaultyFile, InputError, NoData, UnknownName, nearest
from kinetamine.files import write_whole
from kinetamine.formulas import dimensions, evaluate, parse, tree
from kinetamine.models import schema, sense
from kinetamine.models.schema import export_schema
from kinetamine.models.spec import ModelSpec
from kinetamine.records import bibliography, parse_toml
from kinetamine.records.bibliography import sources

__all__ = ["Entry", "available", "export_schema", "load", "load_text", "reference", "sources"]

LARGEST = 1_000_000  # bytes; the longest model of the library has 11,000
DEEPEST = 10  # tables inside each other; the format needs 4


@dataclass(frozen=True)
class Entry:
    """One line of the list of models."""

    id: str
    kind: str
    status: str
    drug: str
    title: str
    routes: tuple[str, ...]
    missing: tuple[str, ...]
    path: Path


def _data() -> Path:
    return Path(str(resources.files("kinetamine"))) / "data"


@functools.cache
def _files() -> dict[str, Path]:
    # a course is no system of compartments: kinetamine.course.model reads those files
    files = sorted((_data() / "models").glob("*/*.toml"))
    return {path.stem: path for path in files if path.parent.name != "course"}


# --- finding -----------------------------------------------------------------------------------------


def load(model: str | Path | ModelSpec, *, runnable: bool = False) -> ModelSpec:
    """Read and check a model.

    Parameters
    ----------
    model : str or Path
        The path of a TOML file, or the id of a model of the library. A `ModelSpec` is given back.
    runnable : bool
        Refuse a model that is listed as incomplete.

    Raises
    ------
    FaultyFile
        If the file has faults; all of them are in ``faults``.
    UnknownName
        If there is no such model.
    NoData
        If it must run and numbers are missing from what was published.

    Examples
    --------
    >>> load("otto_2021_s_ketamine").routes
    ('iv',)
    """
    found = model if isinstance(model, ModelSpec) else _find(model)
    if runnable and found.status == "incomplete":
        lacking = "; ".join(found.missing)
        raise NoData(f"model {found.id}", f"an incomplete model ({lacking})", "a model that can run")
    return found


def _find(model: str | Path) -> ModelSpec:
    text = str(model)
    if isinstance(model, str) and "\0" not in text and text in (shipped := _files()):
        return _shipped(shipped[text])
    looks_like_path = isinstance(model, Path) or text.endswith(".toml") or "/" in text or os.sep in text
    if looks_like_path:
        return _read(Path(text))
    text = text[:100]
    part = [name for name in _files() if len(text) > 2 and text.lower() in name]
    raise UnknownName("model", text, part or _files(), "a model of the library or the path of a .toml file")


def _shipped(path: Path) -> ModelSpec:
    """A file of the library; read again only when it has changed."""
    state = path.stat()
    return _kept(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=512)
def _kept(path: Path, changed: int, size: int) -> ModelSpec:
    return _read(path)


def _read(path: Path) -> ModelSpec:
    name = path.name or str(path)
    try:
        if path.is_dir():
            raise InputError(
                str(path), "a folder", "a model file", f"a file in it, such as {path / 'model.toml'}"
            )
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        near = nearest(path.stem, _files())
        cure = f"the library's {near[0]!r}" if near else "kinetamine models, which lists the library"
        raise InputError(str(path), "a file that does not exist", "a model file", cure) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(str(path)[:200], f"a file that cannot be read ({reason})", "a model file") from None
    shipped = _data() / "models" in path.resolve().parents
    return _checked(content, name, path, shipped)


def load_text(text: str | bytes, name: str = "model.toml") -> ModelSpec:
    """Read and check a model given as the text of its file.

    Parameters
    ----------
    text : str or bytes
    name : str
        Named in faults.

    Raises
    ------
    FaultyFile
        If the text has faults.

    Examples
    --------
    >>> load_text("format = 1", "mine.toml")
    Traceback (most recent call last):
    kinetamine.errors.FaultyFile: mine.toml: 3 faults: drug: got nothing; ...
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    return _checked(content, name, None, shipped=False)


# --- reading and the schema --------------------------------------------------------------------------


def _checked(content: bytes, name: str, path: Path | None, shipped: bool) -> ModelSpec:
    text, data = _toml(content, name)
    if not data.get("id"):
        # a user's quick file needs no name of its own
        data["id"] = re.sub(r"[^a-z0-9_]+", "_", name.removesuffix(".toml").lower())[:80] or "model"
    base = _base(data, name)
    record, faults, broken = schema.read(_on(base, data) if base else data, name)
    if record is None:
        raise FaultyFile(name, faults)

    found = sense.examine(record, name, bibliography.keys() if shipped else (), shipped, broken)
    digest = hashlib.sha256(content + (base.digest.encode() if base else b"")).hexdigest()[:16]
    derived = None if faults or found.faults else _remembered(digest, record)
    if derived is None:
        derived = sense.derive(found)
        if not faults and not found.faults:
            _remember(digest, derived)
    if not faults and not found.faults:
        sense.try_typical(found, derived.factors)
    faults += found.faults
    if faults:
        many = len(faults) - sense.MOST_FAULTS
        more = [Fault(name, f"{many} more faults", "a model file")] if many > 0 else []
        raise FaultyFile(name, faults[: sense.MOST_FAULTS] + more)

    if any(covariate.categories for covariate in record.covariates.values()):
        record = sense.numbered(found)
    record._digest, record._path, record._text, record._shipped = digest, path, text, shipped
    record._warnings = tuple(found.warnings)
    record._inherited = tuple(r for r in base.entries if r not in data.get("entries", {})) if base else ()
    record._factors = derived.factors
    record._output_factor = derived.output_factor
    record._derived_units = derived.derived_units
    return record


#: what a model takes over from the one it stands on; who it was made for, its notes and checks are its own
_TAKEN = (
    "sources", "covariates", "parameters", "variability", "individual", "compartments", "effect_sites", "flows",
    "dose_fields", "entries", "outputs", "residual",
)  # fmt: skip


def _base(data: dict[str, Any], name: str) -> ModelSpec | None:
    """The model that another one stands on."""
    on = data.get("stands_on")
    if on is None:
        return None
    if not isinstance(on, str) or on not in (shipped := _files()):
        raise FaultyFile(
            name,
            [
                Fault(
                    f"{name}: stands_on",
                    repr(on)[:80],
                    "the id of a model of the library",
                    "'otto_2021_s_ketamine'",
                )
            ],
        )
    spec = _shipped(shipped[on])
    if spec.stands_on:
        raise FaultyFile(
            name,
            [Fault(f"{name}: stands_on", repr(on), "a model that stands on none itself", spec.stands_on)],
        )
    return spec


def _on(base: ModelSpec, data: dict[str, Any]) -> dict[str, Any]:
    """The tables of a file added to those of the model it stands on; numbers keep the source they came with."""
    found = tomllib.loads(base.text)
    for table in ("parameters", "variability", "residual"):
        for record in found.get(table, {}).values():
            record.setdefault("source", base.source)
    for table in _TAKEN:
        own = data.get(table, {})
        if isinstance(own, dict) and table in found:
            data = {**data, table: {**found[table], **own}}
    return data


def _toml(content: bytes, name: str) -> tuple[str, dict[str, Any]]:
    def fault(where: str, given: str, expected: str, cure: str = "") -> FaultyFile:
        return FaultyFile(name, [Fault(f"{name}{where}", given, expected, cure)])

    if len(content) > LARGEST:
        raise fault("", f"more than {LARGEST:,} bytes", "a model file of a few kilobytes")
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        raise fault("", "an empty file", "a model file", "format = 1 as the first line")
    data = parse_toml(content, name)
    if _too_deep(data):
        raise fault("", "tables nested without end", f"at most {DEEPEST} levels")
    return content.decode("utf-8-sig"), data


def _too_deep(data: dict[str, Any]) -> bool:
    level: list[Any] = [data]
    for _ in range(DEEPEST):
        level = [
            v for c in level for v in (c.values() if isinstance(c, dict) else c) if isinstance(v, dict | list)
        ]
        if not level:
            return False
    return True


# --- remembering units -------------------------------------------------------------------------------


@functools.cache
def _rules() -> str:
    """Changes with the code that derives units, so that nothing old is believed."""
    parts = [Path(str(m.__file__)).read_bytes() for m in (units, tree, parse, evaluate, dimensions, sense)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _cache_folder() -> Path:
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("kinetamine")) / "units"


def _cache_file(digest: str) -> Path:
    return _cache_folder() / f"{digest}-{_rules()}.json"


def _remembered(digest: str, record: ModelSpec) -> sense.Derived | None:
    try:
        stored = json.loads(_cache_file(digest).read_text(encoding="utf-8"))
        derived = sense.Derived(stored["factors"], stored["output_factor"], stored["derived_units"])
        numbers = [*derived.factors.values(), *derived.output_factor.values()]
        whole = (
            derived.factors.keys() == record.parameters.keys()
            and derived.output_factor.keys() == record.outputs.keys()
            and all(isinstance(n, float) and math.isfinite(n) for n in numbers)
            and all(isinstance(u, str) for u in derived.derived_units.values())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None
    return derived if whole else None


def _remember(digest: str, derived: sense.Derived) -> None:
    # without a cache every start reads the units again, nothing else
    with contextlib.suppress(OSError, RuntimeError, InputError):
        target = _cache_file(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, json.dumps(derived.__dict__))


# --- lists -------------------------------------------------------------------------------------------


def available() -> list[Entry]:
    """The models of the library, by id.

    Reads only the head of each file and its routes, so that the list comes at once.

    Examples
    --------
    >>> [m.drug for m in available() if m.id == "otto_2021_s_ketamine"]
    ['S-ketamine']
    """
    return [_listed(path, path.stat().st_mtime_ns) for path in _files().values()]


@functools.lru_cache(maxsize=512)
def _listed(path: Path, changed: int) -> Entry:
    return _entry(path)


_TABLE = re.compile(r"^\[", re.MULTILINE)
_ENTRIES = re.compile(r"^\[entries\][^\n]*\n(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL)


def _entry(path: Path) -> Entry:
    text = path.read_text(encoding="utf-8")
    first = _TABLE.search(text)
    head = text[: first.start()] if first else text
    part = _ENTRIES.search(text)
    try:
        data = tomllib.loads(head)
        routes = tuple(tomllib.loads(part[1])) if part else ()
        if not part and "entries" in text:
            raise tomllib.TOMLDecodeError
    except tomllib.TOMLDecodeError:  # a list that begins in the first column, or another way to write it
        data = tomllib.loads(text)
        routes = tuple(data.get("entries", {}))
    return Entry(
        id=data.get("id", path.stem),
        kind=data.get("kind", "pk"),
        status=data.get("status", "published"),
        drug=data.get("drug", ""),
        title=data.get("title", ""),
        routes=routes,
        missing=tuple(data.get("missing", ())),
        path=path,
    )


def reference(key: str, spec: ModelSpec | None = None) -> dict[str, Any]:
    """The source behind a key, of the model's own file or the library, as plain values with the key.

    A key nobody knows is its own citation.

    Examples
    --------
    >>> reference("otto_2021")["doi"]
    '10.1007/s00228-021-03104-1'
    """
    return bibliography.reference(key, spec.sources if spec is not None else None)
