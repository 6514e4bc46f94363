"""What every result can say, whatever the shape of its values."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinetamine.errors import UnknownName
from kinetamine.results import export, references, show
from kinetamine.results import exposure as _exposure
from kinetamine.results.output import BANDS, Output

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Simulated"]


class Simulated:
    """Base of `Result` (a time grid) and `TableResult` (an event table)."""

    outputs: dict[str, Output]
    status: NDArray[np.integer[Any]] | None
    birth: dict[str, Any]
    citations: list[dict[str, Any]]

    @property
    def n(self) -> int:
        """Number of patients or subjects."""
        assert self.status is not None
        return len(self.status)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which patients or subjects could be computed, array of bool."""
        assert self.status is not None
        return np.asarray(self.status) == 0

    @property
    def regimen(self) -> list[str]:
        """The doses in words."""
        text = self.birth.get("regimen") or []
        return [text] if isinstance(text, str) else list(text)

    def output(self, name: str) -> Output:
        """The output called `name`, or the one whose name is nearest is offered.

        Raises
        ------
        UnknownName
            If there is no such output.
        """
        try:
            return self.outputs[name]
        except KeyError:
            raise UnknownName("output", str(name), self.outputs, "an output of this result") from None

    def __contains__(self, name: object) -> bool:
        return name in self.outputs

    def __iter__(self) -> Any:
        return iter(self.outputs)

    def cite(self, form: str = "text", *, bibtex: bool = False) -> str:
        """The works behind this run: one per line, or as BibTeX, RIS or CSL-JSON.

        Parameters
        ----------
        form : {"text", "bibtex", "ris", "csl"}
        bibtex : bool
            The same as ``form="bibtex"``.

        Examples
        --------
        >>> from kinetamine.results import Result
        >>> paper = {"key": "a_2020", "citation": "A B. J 2020", "doi": "10.1/x"}
        >>> Result(np.array([0.0]), {}, citations=[paper]).cite()
        'A B. J 2020. https://doi.org/10.1/x'
        """
        return references.listed(self.citations, "bibtex" if bibtex else form)

    def plot(self, path: str | os.PathLike[str] | None = None, **options: Any) -> Any:
        """The curves as a figure; Jupyter draws it.

        Parameters
        ----------
        path : path, optional
            Also write it: ``.svg``, ``.png``, ``.pdf``, ``.html`` or ``.json``.
        **options
            As `kinetamine.report.figures.curves` takes them: ``outputs``, ``log``, ``observed``, ``width``, …

        Returns
        -------
        Figure

        Raises
        ------
        InputError
            If `path` cannot be written.
        MissingExtra
            If the extra ``report`` is not installed.

        Examples
        --------
        >>> import kinetamine as kt
        >>> kt.simulate("otto_2021_s_ketamine", "10 mg iv over 30 min", until="2 h").plot(log=True).to_json()[:10]
        '{"$schema"'
        """
        import kinetamine  # figures stand above results; the public face knows both

        return kinetamine.plot(self, path, **options)

    # ---- what each shape of values gives

    def exposure(
        self,
        thresholds: Mapping[str, float] | float | None = None,
        from_h: float = 0.0,
        to_h: float | None = None,
    ) -> pl.DataFrame:
        """Exposure measures of every patient or subject and output."""
        raise NotImplementedError

    # ---- what follows from it

    def exposure_quantiles(
        self,
        q: Sequence[float] = BANDS,
        thresholds: Mapping[str, float] | float | None = None,
        from_h: float = 0.0,
        to_h: float | None = None,
    ) -> pl.DataFrame:
        """Exposure over the people: one row per output and measure, one column per quantile.

        Examples
        --------
        >>> from kinetamine.results import Output, Result
        >>> t = np.arange(0.0, 25.0)
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=100 * np.exp(-0.1 * t)[None, :])
        >>> Result(t, {"C": out}).exposure_quantiles([0.5]).row(0)
        ('C', 'cmax', 'ng/mL', 1, 100.0)
        """
        return _exposure.summarise(self.exposure(thresholds, from_h, to_h), q)

    def summary(self, from_h: float = 0.0, to_h: float | None = None) -> list[dict[str, str]]:
        """Rows for a table on the screen: one per output, texts, median (5-95 %) over the people.

        Examples
        --------
        >>> from kinetamine.results import Output, Result
        >>> t = np.arange(0.0, 25.0)
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=100 * np.exp(-0.1 * t)[None, :])
        >>> Result(t, {"C": out}, typical=True).summary()[0]["half-life, h"]
        '6.93'
        """
        return _exposure.rows(self.outputs, self.exposure(None, from_h, to_h))

    def write(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Write to a file: ``csv`` and ``parquet`` (every value) or ``json`` (as `to_json`).

        The file appears whole or not at all.

        Parameters
        ----------
        path : path
        format : str, optional
            Taken from the suffix when not given.

        Raises
        ------
        InputError
            If the format is unknown or the place cannot be written to.
        """
        export.write(self, path, format)

    # ---- at a glance

    def _models(self) -> str:
        return " + ".join(str(m.get("id")) for m in self.birth.get("models", [])) or "a model"

    def _quantities(self) -> str:
        return ", ".join(f"{o.name} ({show.unit(o.unit)}, {o.grade})" for o in self.outputs.values())

    def _repr_html_(self) -> str:
        """A small table for notebooks, everything escaped."""
        rows = self.summary()
        head = "".join(f"<th>{escape(k)}</th>" for k in (rows[0] if rows else {}))
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row.values()) + "</tr>" for row in rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p><code>{escape(repr(self))}</code></p>{table}"
