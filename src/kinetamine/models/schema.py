"""The schema of a model file: its JSON Schema for editors, and its faults in plain words.

pydantic finds what is wrong; here the finding is put as *where, given, expected, try*. What the schema
refused is then left out, so that the sense of all the rest can be checked in the same go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kinetamine.errors import Fault, nearest
from kinetamine.files import write_whole
from kinetamine.models import spec
from kinetamine.models.sense import MOST_FAULTS
from kinetamine.models.spec import ModelSpec

__all__ = ["export_schema", "json_schema", "read"]

#: table → record of one of its entries, and how many keys or positions lead to that record's keys
_RECORDS: dict[str, tuple[type[BaseModel], int]] = {
    "sources": (spec.Source, 2),
    "applies": (spec.Applies, 1),
    "covariates": (spec.Covariate, 2),
    "parameters": (spec.Parameter, 2),
    "variability": (spec.Variability, 2),
    "compartments": (spec.Compartment, 2),
    "drives": (spec.Drive, 2),
    "effect_sites": (spec.EffectSite, 2),
    "flows": (spec.Flow, 2),
    "dose_fields": (spec.DoseField, 2),
    "entries": (spec.Part, 3),
    "outputs": (spec.Output, 2),
    "residual": (spec.Residual, 2),
    "checks": (spec.Check, 2),
    "limits": (spec.Limit, 2),
}


def read(data: dict[str, Any], file: str) -> tuple[ModelSpec | None, list[Fault], set[str]]:
    """Make records of a TOML file.

    Parameters
    ----------
    data : dict
        The file as read by tomllib.
    file : str
        Name of the file, for the faults.

    Returns
    -------
    record : ModelSpec or None
        Without what was refused; None if nothing sensible is left.
    faults : list of Fault
    broken : set of str
        Names and tables that fell away; their use elsewhere is no fault of its own.

    Examples
    --------
    >>> record, faults, broken = read({"format": 1, "drug": "S-ketamine", "kind": "pkpd"}, "mine.toml")
    >>> print(faults[0])
    mine.toml: kind: got 'pkpd'; expected pk or effect; try kind = "pk"
    """
    data, faults = _meant_tables(data, file)
    try:
        return ModelSpec.model_validate(data), faults, set()
    except ValidationError as error:
        items = error.errors(include_url=False)
        places = {item["loc"][:2] for item in items}
        faults += _faults(items, file)
    except RecursionError:
        return None, [Fault(file, "tables nested too deeply", "a model file")], set()
    rest, broken = _without(data, places)
    try:
        return ModelSpec.model_validate(rest), faults, broken
    except (ValidationError, RecursionError):
        return None, faults, broken


def _meant_tables(data: Mapping[str, Any], file: str) -> tuple[dict[str, Any], list[Fault]]:
    """A misspelt table is one fault; what stands in it is read as if it were spelt right."""
    known = _keys(ModelSpec)
    meant: dict[str, Any] = {}
    faults = []
    for key, value in data.items():
        table = _close_keys(key, known)[:1] if key not in known and isinstance(value, dict) else []
        if table and table[0] not in data and table[0] not in meant:
            faults.append(_unknown_key(f"{file}: {_place((key,))}", key, known))
            meant[table[0]] = value
        else:
            meant[key] = value
    return meant, faults


def _without(data: Mapping[str, Any], places: set[tuple[str | int, ...]]) -> tuple[dict[str, Any], set[str]]:
    """The file without some of its entries, and the names lost with them."""
    rest = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    broken: set[str] = set()
    for table, *below in places:
        entries = data.get(str(table))
        if not below or not isinstance(entries, dict):
            broken.add(str(table))
            rest.pop(str(table), None)
            continue
        name = str(below[0])
        broken |= {name, f"table {table}"}
        if isinstance(rest.get(str(table)), dict):
            rest[str(table)].pop(name, None)
        if table == "variability" and isinstance(entries.get(name), dict):
            etas = entries[name].get("etas")
            etas = etas if isinstance(etas, list) else []
            broken |= {f"{prefix}.{eta}" for eta in etas for prefix in ("eta", "occ")}
    return {"format": 1, "drug": "racemate", **rest}, broken


# --- faults ------------------------------------------------------------------------------------------


def _record(loc: tuple[str | int, ...]) -> tuple[type[BaseModel], int]:
    """The record that a place lies in, and where in `loc` its key stands."""
    record, depth = _RECORDS.get(str(loc[0]), (ModelSpec, 0)) if loc else (ModelSpec, 0)
    return (record, depth) if len(loc) > depth else (ModelSpec, 0)


def _place(loc: tuple[str | int, ...]) -> str:
    """``entries.iv[0].to``; the names of types that pydantic puts behind the key are left out."""
    _, depth = _record(loc)
    text = ""
    for i, part in enumerate(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        elif i <= max(depth, 1) and part != "[key]":
            word = part if part.isprintable() and len(part) <= 80 else _shown(part)
            text += f".{word}" if text else word
    return text


def _keys(record: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in record.model_fields.items()}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _example(key: str, field: Any) -> str:
    return f"{key} = {_toml(field.examples[0])}" if field is not None and field.examples else ""


_NUMBER = re.compile(r"\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*")


def _faults(items: list[Any], file: str) -> list[Fault]:
    """One fault per slip: a misspelt key is not also a missing one."""
    first = {_place(item["loc"]): item for item in reversed(items)}
    chosen = list(reversed(first.values()))[:MOST_FAULTS]
    meant = set()
    for item in chosen:
        if item["type"] == "extra_forbidden":
            record, _ = _record(item["loc"])
            close = _close_keys(str(item["loc"][-1]), _keys(record))[:1]
            meant |= {(*item["loc"][:-1], key) for key in close}
    return [_fault(i, file) for i in chosen if i["type"] != "missing" or i["loc"] not in meant]


def _fault(item: Any, file: str) -> Fault:
    """One finding of pydantic in plain words."""
    loc, kind, given = item["loc"], item["type"], item["input"]
    record, depth = _record(loc)
    key = str(loc[depth]) if len(loc) > depth else ""
    known = _keys(record)
    field = known.get(key)
    shown, example = _shown(given), _example(key, field)
    where = f"{file}: {_place(loc)}" if loc else file

    if kind == "extra_forbidden":
        return _unknown_key(where, key, known)
    if kind == "missing":
        return Fault(where, "nothing", field.description if field is not None else "a value", example)
    if kind == "literal_error":
        options = re.findall(r"[^', ]+(?: [^', ]+)*", item["ctx"]["expected"].replace("' or '", "', '"))
        close = nearest(str(given), options, 1)
        return Fault(where, shown, " or ".join(options), f"{key} = {_toml(close[0])}" if close else example)
    if kind.startswith(("float", "int")):
        quoted = isinstance(given, str) and _NUMBER.fullmatch(given)
        return Fault(where, shown, "a number", f"{given.strip()} without quotes" if quoted else example)
    if kind == "string_pattern_mismatch":
        return Fault(where, shown, _pattern_in_words(item["ctx"]["pattern"]), example)
    if kind.startswith(("model", "dict")):
        return Fault(where, shown, "a table", _table_example(loc, depth))
    if loc[0] == "entries" and kind.startswith("tuple") and len(loc) == 2:
        return Fault(where, shown, "a list of parts", f'{loc[1]} = [{{ to = "central" }}]')
    for start, expected in _EXPECTED.items():
        if kind.startswith(start):
            return Fault(where, shown, expected, example)
    return Fault(where, shown, item["msg"][:150], example)


def _close_keys(key: str, known: Mapping[str, Any]) -> list[str]:
    other = _OTHER_WORDS.get(key.lower().rstrip("0123456789"), "")
    return [other] if other in known else nearest(key, known, 2)


def _unknown_key(where: str, key: str, known: Mapping[str, Any]) -> Fault:
    close = _close_keys(key, known)
    expected = "a known key" if close else "one of " + ", ".join(known)
    return Fault(where, f"the unknown key {_shown(key)}", expected, " or ".join(close))


#: what other programs call a key
_OTHER_WORDS = {
    "f": "fraction",
    "bioavailability": "fraction",
    "alag": "lag",
    "tlag": "lag",
    "d": "duration",
    "r": "rate",
    "theta": "parameters",
    "thetas": "parameters",
    "omega": "variability",
    "iiv": "variability",
    "random_effects": "variability",
    "error": "residual",
    "sigma": "residual",
    "ode": "flows",
    "equations": "flows",
    "routes": "entries",
    "doses": "entries",
    "expression": "value",
    "formula": "value",
    "default": "reference",
    "typical": "reference",
    "std": "sd",
}

_EXPECTED = {
    "finite_number": "a finite number",
    "bool": "true or false",
    "greater_than_equal": "0 or more",
    "string_too_long": "a shorter text",
    "string": "text in quotes",
    "tuple": "a list in square brackets",
    "list": "a list in square brackets",
    "too_short": "at least one",
    "too_long": "fewer",
}


def _pattern_in_words(pattern: str) -> str:
    if "A-Z" not in pattern:
        return "small letters, digits and _"
    if pattern.startswith("^[A-Za-z]["):
        return "a letter, then letters, digits and _ (60 at most)"
    return "a name without quotes or line breaks (80 characters at most)"


def _table_example(loc: tuple[str | int, ...], depth: int) -> str:
    """What a whole entry could look like, from the examples of its required keys."""
    record, _ = _RECORDS.get(str(loc[0]), (ModelSpec, 0))
    if depth == 0 and len(loc) < 2:
        return f"[{loc[0]}]" if loc else ""
    needed = {key: field.examples[0] for key, field in _keys(record).items() if field.is_required()}
    return f"{loc[-1]} = {_toml(needed)}" if isinstance(loc[-1], str) else _toml(needed)


# --- JSON Schema -------------------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a model file, for editors.

    Examples
    --------
    >>> json_schema()["required"]
    ['format', 'drug']
    """
    made = ModelSpec.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": made["title"]}
    return {**head, **_slim(made)}


def _slim(part: Any) -> Any:
    """Without null, which TOML does not have, and without titles made from keys."""
    if isinstance(part, list):
        return [_slim(p) for p in part]
    if not isinstance(part, dict):
        return part
    kept = {k: v for k, v in part.items() if not (k == "default" and v is None)}
    if "type" in part or "anyOf" in part or "$ref" in part:
        kept.pop("title", None)
    options = [o for o in kept.get("anyOf", ()) if o != {"type": "null"}]
    if len(options) == 1:
        del kept["anyOf"]
        kept = {**options[0], **kept}
    return {k: _slim(v) for k, v in kept.items()}


def export_schema(path: Path | None = None) -> Path:
    """Write the JSON Schema, by default to its place in the package.

    Returns
    -------
    Path
        The file written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_schema(Path(folder) / "model.schema.json").name
    'model.schema.json'
    """
    target = path or Path(spec.__file__).parents[1] / "data" / "schema" / "model.schema.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return target
