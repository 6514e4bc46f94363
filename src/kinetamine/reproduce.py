"""The same question in other words: a command line, Python code, a scenario file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from kinetamine.questions import people as who

__all__ = ["Code", "call", "command", "line", "listed", "people", "published", "python", "toml"]


class Code(str):
    """Python that stands for itself, not for a text."""

    def __repr__(self) -> str:
        return str(self)


def _option(value: Any) -> str:
    if hasattr(value, "text"):  # the text of a model file
        return "model.toml"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def command(*words: str, **options: Any) -> str:
    """A command line; a list repeats its option, a mapping gives NAME=VALUE, what says nothing is left out.

    Examples
    --------
    >>> command("simulate", dose=["84 mg nasal"], patients=10, set={"weight": 95.0}, uncertainty=True)
    "kinetamine simulate --dose '84 mg nasal' --patients 10 --set weight=95 --uncertainty"
    """
    line = ["kinetamine", *words]
    for name, value in options.items():
        option = "--" + name.rstrip("_").replace("_", "-")
        if isinstance(value, Mapping):
            value = [f"{key}={_option(one)}" for key, one in value.items()]
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                line.append(option)
            elif one is not None and one is not False and one != "":
                line += [option, _option(one)]
    return shlex.join(line)


def line(name: str, asked: Any, *words: str, **instead: Any) -> str:
    """The command line of a question.

    Parameters
    ----------
    name : str
        Of the command.
    asked : Question
    *words : str
        Arguments without a name.
    **instead
        Values by field that take the place of the question's; None leaves one out.

    Examples
    --------
    >>> from kinetamine import questions
    >>> line("compare", questions.Compare(doses="84 mg nasal", patients=10, analyte=["ketamine"]), seed=1)
    "kinetamine compare --dose '84 mg nasal' --patients 10 --analyte ketamine --seed 1"
    """
    told = {said.name: (said, value) for said, value in asked.told()}
    told |= {said.name: (said, instead[said.name]) for said in asked.said() if said.name in instead}
    found = ["kinetamine", name, *words]
    for said, value in told.values():
        if said.words.argument:
            found.insert(2, _option(value))
            continue
        yes, _, no = said.option.partition("/")
        if isinstance(value, bool):
            found += [yes] if value else [no] if no else []
        elif value is not None:
            if isinstance(value, Mapping):
                value = [f"{key}={_option(one)}" for key, one in value.items()]
            elif said.words.commas:
                value = listed(value)
            for one in value if isinstance(value, list | tuple) else [value]:
                found += [yes, _option(one)]
    return shlex.join(found)


def people(asked: Any, **more: Any) -> Code:
    """The people of a question in Python.

    Examples
    --------
    >>> from kinetamine import questions
    >>> people(questions.Compare(doses="84 mg nasal", patients=10, set={"weight": 80}))
    kt.Population(10, seed=0, weight=80.0)
    """
    fixed = who.fixed(asked)
    found = who.options(asked)
    if not found:
        return call("kt.Patient", **fixed)
    if "age" in found:
        found["age"] = who.ages(found["age"])
    if "n" not in found:
        return call("kt.Population", **{**found, **more, **fixed})
    return call("kt.Population", found.pop("n"), **{**found, **more, **fixed})


def published(record: Any) -> str | None:
    """The command that simulates a published regimen (`kinetamine.regimens`), if a model can.

    Examples
    --------
    >>> import kinetamine as kt
    >>> published(kt.regimens()["depression_nasal_label"])[:46]
    'kinetamine simulate --model perez_ruixo_2021_e'
    """
    if not record.models:
        return None
    return command("simulate", model=record.models[0], dose=record.doses, set=record.patient)


def listed(values: Any) -> Any:
    """Several values of one option, with commas between.

    Examples
    --------
    >>> listed([0.5, 1.0]), listed("0.5,1 h"), listed(None)
    ('0.5,1', '0.5,1 h', None)
    """
    return ",".join(map(_option, values)) if isinstance(values, list) else values


def call(name: str, *arguments: Any, **options: Any) -> Code:
    """A call in Python; options that are None or empty are left out.

    Examples
    --------
    >>> call("kt.Population", 10, seed=1, age=None)
    kt.Population(10, seed=1)
    """
    words = [repr(a) for a in arguments if a is not None]
    words += [f"{key}={value!r}" for key, value in options.items() if value is not None and value != []]
    return Code(f"{name}({', '.join(words)})")


def python(*imports: str, **lines: Code) -> str:
    """A program: after its imports each name gets what its line computes.

    Examples
    --------
    >>> print(python(people=call("kt.Population", 10)))
    import kinetamine as kt
    <BLANKLINE>
    people = kt.Population(10)
    <BLANKLINE>
    """
    body = "".join(f"{name} = {line}\n" for name, line in lines.items())
    return "\n".join(["import kinetamine as kt", *imports]) + f"\n\n{body}"


def toml(mapping: Mapping[str, Any]) -> str:
    """A mapping as TOML, tables last.

    Examples
    --------
    >>> print(toml({"population": {"n": 10}, "doses": "84 mg nasal"}))
    doses = "84 mg nasal"
    <BLANKLINE>
    [population]
    n = 10
    <BLANKLINE>
    """
    plain = [f"{_key(k)} = {_value(v)}\n" for k, v in mapping.items() if not isinstance(v, Mapping)]
    tables = [
        f"\n[{_key(name)}]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in table.items())
        for name, table in mapping.items()
        if isinstance(table, Mapping)
    ]
    return "".join(plain + tables)


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
