"""What a person's levels say: the posterior of his effects under one published model or several."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError, UnknownName
from kinetamine.inference import pareto
from kinetamine.inference.learned import INTERVAL, Learned, affordable, prior_z, resample, summary_of
from kinetamine.observations import Observations
from kinetamine.population import Patient
from kinetamine.population.individuals import Individuals

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DISCLAIMER", "Posterior"]

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
        n = affordable(one.curves, 2000, 400)
        prior = one.target.predict(prior_z(one, self.seed, n)[None])
        mine = one.target.predict(resample(one.draws, n, self.seed)[None])
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
        """Plain values, for JSON: what was observed, what follows, and `n` draws under ``people`` (0: none)."""
        facts = {
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
        }
        return facts | ({"people": self.people(n).to_dict()} if n else {})

    def save(self, path: str | Path, n: int = 1000) -> None:
        """Write `to_dict` as JSON; `Individuals.read` and ``--people`` read it."""
        from kinetamine import files
        from kinetamine.results.export import plain

        text = json.dumps(plain(self.to_dict(n)), allow_nan=False)
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
