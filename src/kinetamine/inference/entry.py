"""The way in: from a model, doses and values to the posterior that fits them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

from kinetamine.dosing.table_options import Options
from kinetamine.errors import InputError
from kinetamine.inference.learned import learn, learnable
from kinetamine.inference.person import Posterior
from kinetamine.observations import Observations
from kinetamine.population import Patient

__all__ = ["posterior"]


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
    n: int | None = None,
    seed: int = 0,
    allow_site_mismatch: bool = False,
    dv_unit: str | None = None,
    setting: Any = None,
    relapse: str | None = None,
    **options: Unpack[Options],
) -> Any:
    """Learn a person's effects from measured values.

    Parameters
    ----------
    model : str, Path, ModelSpec, or several of them
        Published models with between-subject effects, or a course model (``"hierarchical"``), to which scores
        are told: ``["MADRS 34 on day 0", "MADRS 21 on day 7"]``. Several are weighed by their evidence.
    doses : str, list of str or Regimen
        What the person got. A range, as in ``"10 to 1000 mg oral, 0 to 24 h before"``, is estimated with the
        rest: see `kinetamine.inference.trace_back`. An event table (path, frame, `EventTable`, or bytes: what
        a file holds) with DV: a posterior for each of its people.
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
    n : int, optional
        Draws of importance sampling; default 10,000, of a model that is solved step by step 2,000.
    seed : int
        The same seed gives the same draws, whatever the number of threads.
    dv_unit : str, optional
        Unit of DV in an event table; default that of each output.
    setting : str or list of str, optional
        What surrounds a course, as `kinetamine.course` takes it; of course models alone.
    relapse : str, optional
        What counts as a relapse there.
    **options
        How the table is read, as `EventTable.read` takes them.

    Returns
    -------
    Posterior
        Or a `TracedBack` for an unknown dose, a `CoursePosterior` for scores, or a dict of subject to Posterior for
        an event table.

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
    ('fitted', ['V1_i', 'CL_i'])
    """
    from kinetamine.inference import course, table, trace_back

    patient = Patient() if patient is None else patient
    models = list(model) if isinstance(model, Sequence) and not isinstance(model, str) else [model]
    _check_words(prior, method, n, seed)
    if course.is_course(models):
        taken = {
            "residual": residual, "prior_weights": prior_weights, "n": n, "dv_unit": dv_unit, **options,
            "prior": prior != "published", "method": method != "auto", "allow_site_mismatch": allow_site_mismatch,
        }  # fmt: skip
        for name, value in taken.items():
            if value:
                raise InputError(name, "something", "nothing, of a course model", "leaving it out")
        return course.posterior(
            models, doses, _read(observations), patient, seed=seed, setting=setting, relapse=relapse
        )
    for name, value in (("setting", setting), ("relapse", relapse)):
        if value:
            raise InputError(name, repr(value), "a course model with it", "hierarchical")
    is_table = table.is_table(doses)
    if is_table and observations is not None:
        raise InputError(
            "observations", "values and a table", "the values in the table's DV", "leaving them out"
        )
    if dv_unit is not None and not is_table:
        raise InputError("dv_unit", repr(dv_unit), "an event table with it", "a unit in each phrase")
    if options and not is_table:
        raise InputError(
            next(iter(options)), "an option of tables", "an event table with it", "leaving it out"
        )
    if prior_weights and (is_table or len(models) == 1):
        raise InputError("prior_weights", repr(prior_weights), "several models of one person with it", "")
    if is_table:
        return table.posterior(
            models, doses, residual=residual, prior=prior, method=method, n=n, seed=seed,
            allow_site_mismatch=allow_site_mismatch, patient=patient, dv_unit=dv_unit, **options,
        )  # fmt: skip
    seen = _read(observations)
    if trace_back.is_range(doses):
        if prior != "published" or method != "auto":
            raise InputError(
                "method", f"{method}, prior {prior}", "auto and published for an unknown dose", "auto"
            )
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


def _check_words(prior: str, method: str, n: int | None, seed: int) -> None:
    if prior not in ("published", "published with parameter error"):
        raise InputError("prior", repr(prior), "'published' or 'published with parameter error'", "published")
    if method not in ("auto", "importance", "smc", "laplace"):
        raise InputError("method", repr(method), "auto, importance, smc or laplace", "auto")
    if n is not None and not 100 <= n <= 1_000_000:
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
