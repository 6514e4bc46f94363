"""What a person's levels say: the posterior of his effects under one published model or several."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError, UnknownName
from kinetamine.inference import pareto
from kinetamine.inference.learned import INTERVAL, Learned, learn, learnable, prior_z, resample, summary_of
from kinetamine.observations import Observations
from kinetamine.population import Patient
from kinetamine.population.individuals import Individuals

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DISCLAIMER", "Posterior", "posterior"]

DISCLAIMER = "For research and teaching; no statement about a person's dose, guilt or care."


@dataclass
class Posterior:
    """One person's posterior under one model, or under several weighed by their evidence.

    Made by `kinetamine.posterior`. **A posterior is a population**: `people` goes wherever one goes.

    Parameters
    ----------
    learned : list of Learned
        One for each model.
    observations : Observations
    patient : Patient
    seed : int
    prior_weights : dict of model id to float
    """

    learned: list[Learned]
    observations: Observations
    patient: Patient
    seed: int = 0
    prior_weights: dict[str, float] = field(default_factory=dict)

    # --- what it says ------------------------------------------------------------------------------------

    @property
    def weights(self) -> dict[str, float]:
        """Probability of each model: prior weight times evidence, in the density of the values themselves."""
        log = np.array(
            [
                one.draws.log_evidence + np.log(self.prior_weights.get(one.spec.id, 1.0))
                for one in self.learned
            ]
        )
        return dict(zip((one.spec.id for one in self.learned), pareto.normalised(log).tolist(), strict=True))

    @property
    def grade(self) -> str:
        """The lowest grade of the models that carry weight."""
        order = ("fitted", "assumed", "uncertain")
        carry = [one.grade for one in self.learned if self.weights[one.spec.id] > 0.05]
        return max(carry, key=order.index)

    @property
    def remarks(self) -> list[str]:
        """What a reader must know, of every model."""
        many = len(self.learned) > 1
        found = [f"{one.spec.id}: {text}" if many else text for one in self.learned for text in one.remarks()]
        return [*found, DISCLAIMER]

    def one(self, model: str | None = None) -> Learned:
        """What one model learned; default the one with the highest weight.

        Raises
        ------
        UnknownName
            If there is no such model here.
        """
        if model is None:
            weights = self.weights
            return max(self.learned, key=lambda one: weights[one.spec.id])
        for one in self.learned:
            if one.spec.id == model:
                return one
        raise UnknownName("model", model, [one.spec.id for one in self.learned], "a model of this posterior")

    def summary(self, model: str | None = None) -> pl.DataFrame:
        """Prior and posterior of each individual parameter and effect, a polars frame.

        Columns ``model, parameter, unit, prior_median, prior_low, prior_high, median, low, high, shrinkage``;
        limits are those of 90 %. ``shrinkage`` is 1 minus the ratio of posterior to prior variance (of the
        logarithm where all values are positive): 0, the data say nothing; 1, they say all.
        """
        import polars as pl

        rows = []
        for one in self.learned:
            if model is not None and one.spec.id != model:
                continue
            rows += summary_of(one, self.seed)
        return pl.DataFrame(rows, infer_schema_length=None)

    def diagnostics(self) -> pl.DataFrame:
        """Method, effective draws, Pareto k, log evidence, weight and fit of the data of each model."""
        import polars as pl

        weights = self.weights
        return pl.DataFrame(
            [
                {
                    "model": one.spec.id,
                    "method": one.draws.method,
                    "draws": len(one.draws.z),
                    "effective": one.draws.effective,
                    "pareto_k": one.draws.k,
                    "log_evidence": one.draws.log_evidence,
                    "weight": weights[one.spec.id],
                    "probability_of_data": one.predictive_p,
                    "modes": max(1, len(one.draws.modes)),
                    "grade": one.grade,
                }
                for one in self.learned
            ]
        )

    def fit(self, model: str | None = None) -> pl.DataFrame:
        """Each value with what prior and posterior say of it: medians and 90 % limits of the curve."""
        import polars as pl

        one = self.one(model)
        prior = one.target.predict(prior_z(one, self.seed)[None])
        mine = one.target.predict(resample(one.draws, 2000, self.seed)[None])
        low, middle, high = np.quantile(prior, INTERVAL, axis=0)
        a, b, c = np.quantile(mine, INTERVAL, axis=0)
        units = [one.spec.outputs[name].unit for name in one.matched.output]
        return pl.DataFrame(
            {
                "output": list(one.matched.output),
                "time_h": one.matched.time_h,
                "low": np.maximum(one.matched.low, 0.0),
                "high": np.where(np.isfinite(one.matched.high), one.matched.high, np.nan),
                "unit": units,
                "prior_low": low,
                "prior_median": middle,
                "prior_high": high,
                "posterior_low": a,
                "posterior_median": b,
                "posterior_high": c,
            }
        )

    # --- use of it ---------------------------------------------------------------------------------------

    def people(self, n: int = 2000, seed: int | None = None, model: str | None = None) -> Individuals:
        """The posterior as a population of `n`, equally likely each; see `Individuals`.

        With several models, each of them gets its own draws; the patient is the same.
        """
        if not 1 <= n <= 1_000_000:
            raise InputError("people.n", str(n), "1 to 1,000,000", "2000")
        seed = self.seed if seed is None else seed
        chosen = self.learned if model is None else [self.one(model)]
        given = {one.spec.id: one.curves.layout.given(resample(one.draws, n, seed)) for one in chosen}
        words = f"{len(self.observations)} observed value{'s' * (len(self.observations) != 1)}"
        return Individuals(given, self.patient, n, seed, f"posterior of {words}")

    def forecast(self, doses: Any = None, n: int = 2000, seed: int | None = None, **how: Any) -> Any:
        """Curves after `doses` (default: those that led to the levels), with bands.

        Parameters
        ----------
        doses : str, list or Regimen, optional
            Everything the person gets, past doses too if they still count.
        n : int
            Draws.
        **how
            As `kinetamine.simulate` takes them: ``until``, ``step``, ``times``, ``outputs``.

        Returns
        -------
        Result
            Of one model. With several models a `Mixture`: its quantiles are those of the mixture.
        """
        from kinetamine.inference.mixture import Mixture
        from kinetamine.simulate import simulate

        weights = self.weights
        found = {}
        for one in self.learned:
            chosen = doses if doses is not None else one.doses
            if hasattr(chosen, "is_dose"):
                raise InputError(
                    "doses", "nothing", "the doses to forecast, for the person of a table", "'84 mg nasal'"
                )
            found[one.spec.id] = simulate(one.spec, chosen, self.people(n, seed, one.spec.id), **how)
        return next(iter(found.values())) if len(found) == 1 else Mixture(found, weights)

    def search(self, doses: str, target: str, least: float = 0.8, n: int = 1000, steps: int = 15) -> Any:
        """Doses or intervals with the probability that this person reaches a target; see `search_dose`.

        Examples
        --------
        >>> import kinetamine as kt
        >>> levels = ["S-ketamine 46 ng/mL at 40 min"]
        >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", levels)
        >>> post.search("5 to 20 mg iv over 30 min", "S-ketamine Cmax 40 to 90 ng/mL").table.columns[:2]
        ['value', 'dose']
        """
        from kinetamine.inference.search import search_dose

        one = self.one()
        return search_dose(
            one.spec, doses, target, self.people(n, model=one.spec.id), least=least, steps=steps
        )

    # --- files and words ---------------------------------------------------------------------------------

    def to_dict(self, n: int = 1000) -> dict[str, Any]:
        """Plain values, for JSON: what was observed, what follows, and `n` draws under ``people``."""
        return {
            "observations": self.observations.to_dict(),
            "doses": [_described(one.doses) for one in self.learned],
            "patient": dict(self.patient.given),
            "weights": self.weights,
            "grade": self.grade,
            "summary": self.summary().to_dicts(),
            "diagnostics": self.diagnostics().to_dicts(),
            "fit": {one.spec.id: self.fit(one.spec.id).to_dicts() for one in self.learned},
            "modes": {one.spec.id: [m.tolist() for m in one.draws.modes] for one in self.learned},
            "remarks": self.remarks,
            "people": self.people(n).to_dict(),
        }

    def save(self, path: str | Path, n: int = 1000) -> None:
        """Write `to_dict` as JSON; `Individuals.read` and ``--people`` read it."""
        from kinetamine import files

        text = json.dumps(self.to_dict(n), allow_nan=False, default=str)
        files.write_whole(Path(path), text)

    def to_arviz(self, model: str | None = None, n: int = 2000) -> Any:
        """Draws as arviz InferenceData, one chain of `n` equally weighted draws.

        Raises
        ------
        MissingExtra
            Without arviz.
        """
        try:
            import arviz
        except ImportError:
            from kinetamine.errors import MissingExtra

            raise MissingExtra("arviz", "arviz", "to_arviz") from None
        one = self.one(model)
        z = resample(one.draws, n, self.seed)
        return arviz.from_dict({name: z[None, :, k] for k, name in enumerate(one.curves.layout.names)})

    def cite(self) -> str:
        """The papers behind the models used."""
        return "\n".join(str(self._source(one)) for one in self.learned)

    @staticmethod
    def _source(one: Learned) -> str:
        from kinetamine.models.library import sources

        known = sources()
        return str(known[one.spec.source].citation) if one.spec.source in known else str(one.spec.source)

    def __repr__(self) -> str:
        weights = self.weights
        models = ", ".join(
            f"{one.spec.id} ({weights[one.spec.id]:.0%})" if len(self.learned) > 1 else one.spec.id
            for one in self.learned
        )
        best = self.one()
        return (
            f"<Posterior of {len(self.observations)} values under {models}: {best.draws.method}, "
            f"{best.draws.effective:.0f} effective draws, {self.grade}>"
        )


def _described(doses: Any) -> str:
    if hasattr(doses, "describe"):
        return str(doses.describe())
    return f"{int(doses.is_dose.sum())} dose records of {doses.source}"


def posterior(
    model: Any,
    doses: Any = None,
    observations: Observations | str | Iterable[str] | None = None,
    patient: Patient | None = None,
    *,
    residual: Mapping[str, str] | None = None,
    prior: str = "published",
    prior_weights: Mapping[str, float] | None = None,
    method: str = "auto",
    n: int = 10_000,
    seed: int = 0,
    allow_site_mismatch: bool = False,
    dv_unit: str | None = None,
) -> Any:
    """Learn a person's effects from measured values.

    Parameters
    ----------
    model : str, Path, ModelSpec, or several of them
        Published models with between-subject effects. Several are weighed by their evidence.
    doses : str, list of str or Regimen
        What the person got. A range, as in ``"10 to 1000 mg oral, 0 to 24 h before"``, is estimated with the
        rest: see `kinetamine.inference.trace_back`. An event table (path, frame or `EventTable`) with DV: a
        posterior for each of its people.
    observations : Observations, phrases
        Such as ``["S-ketamine 46 ng/mL at 40 min", "S-norketamine <0.5 ng/mL at 24 h"]``.
    patient : Patient, optional
        Default: the model's typical one.
    residual : mapping of output to text, optional
        A residual error that the user states where none was published (or instead of it), such as
        ``{"S-ketamine": "20 %"}``; the answer is graded *assumed*.
    prior : {"published", "published with parameter error"}
        Whether the published standard errors of the parameters are part of the prior.
    prior_weights : mapping of model id to float, optional
        Before the data; default equal.
    method : {"auto", "importance", "smc", "laplace"}
        ``auto``: importance sampling round the modes, sequential Monte Carlo where its weights cannot be
        trusted. ``laplace``: mode with normal bands, which can be half a standard deviation off.
    n : int
        Draws of importance sampling.
    seed : int
        The same seed gives the same draws, whatever the number of threads.

    dv_unit : str, optional
        Unit of DV in an event table; default that of each output.

    Returns
    -------
    Posterior
        Or a `TracedBack` for an unknown dose, or a dict of subject to Posterior for an event table.

    Raises
    ------
    NoData
        If a model has no between-subject effects, or no residual error for what was observed and none stated.
    InputError
        If a value is of something, a site or a time that the model cannot answer for.

    Examples
    --------
    >>> import kinetamine as kt
    >>> levels = ["S-ketamine 46 ng/mL at 40 min", "S-norketamine 12 ng/mL at 2 h"]
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", levels, kt.Patient(weight=80))
    >>> post.grade, list(post.summary()["parameter"][:2])
    ('fitted', ['CL1_i', 'CLM1_i'])
    """
    from kinetamine.inference import course, table, trace_back

    patient = Patient() if patient is None else patient
    models = list(model) if isinstance(model, Sequence) and not isinstance(model, str) else [model]
    _check_words(prior, method, n, seed)
    if len(models) == 1 and course.is_course(models[0]):
        return course.posterior(models[0], doses, _read(observations), seed=seed, n=n)
    if table.is_table(doses):
        return table.posterior(
            models, doses, residual=residual, prior=prior, method=method, n=n, seed=seed,
            allow_site_mismatch=allow_site_mismatch, patient=patient, dv_unit=dv_unit,
        )  # fmt: skip
    seen = _read(observations)
    if trace_back.is_range(doses):
        return trace_back.posterior(
            models,
            doses,
            seen,
            patient,
            residual=residual,
            seed=seed,
            allow_site_mismatch=allow_site_mismatch,
        )
    specs = [learnable(m) for m in models]
    _refuse_mixed(specs)
    found = [
        learn(spec, doses, seen, patient, residual or {}, prior, method, n, seed, allow_site_mismatch)
        for spec in specs
    ]
    return Posterior(found, seen, patient, seed, dict(prior_weights or {}))


def _read(observations: Any) -> Observations:
    if observations is None:
        raise InputError("observations", "nothing", "measured values", "'S-ketamine 46 ng/mL at 40 min'")
    return observations if isinstance(observations, Observations) else Observations.parse(observations)


def _check_words(prior: str, method: str, n: int, seed: int) -> None:
    if prior not in ("published", "published with parameter error"):
        raise InputError("prior", repr(prior), "'published' or 'published with parameter error'", "published")
    if method not in ("auto", "importance", "smc", "laplace"):
        raise InputError("method", repr(method), "auto, importance, smc or laplace", "auto")
    if not 100 <= n <= 1_000_000:
        raise InputError("n", str(n), "100 to 1,000,000 draws", "10000")
    if not 0 <= seed < 2**63:
        raise InputError("seed", str(seed), "a whole number from 0 on", "0")


def _refuse_mixed(specs: Sequence[Any]) -> None:
    drugs = {spec.drug for spec in specs}
    if len(drugs) > 1:
        raise InputError(
            "model", f"models of {' and '.join(sorted(drugs))}", "models of one drug", "one of them"
        )
    if len({spec.id for spec in specs}) < len(specs):
        raise InputError("model", "the same model twice", "different models", "one of them")
