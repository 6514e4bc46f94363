"""Other drugs and diseases: records, factors against observed ratios, refusals, and what they do to models."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinetamine as kt
from kinetamine import scenario
from kinetamine.cli.app import run
from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.evidence import interactions as part
from kinetamine.models import library
from kinetamine.safety import interactions, pd_interactions, perturbations

PEREZ, OTTO = "perez_ruixo_2021_esketamine", "otto_2021_s_ketamine"


@pytest.fixture(scope="module")
def agreement():
    return part.run()


def area(model, doses, output="S-ketamine"):
    table = kt.simulate(model, doses, until=96, step=0.1).exposure()
    return dict(zip(table["output"], table["auc_inf"], strict=True))[output]


# ---- done when


def test_every_fitted_ratio_is_reproduced(agreement):
    fitted = [one for one in agreement.comparisons if one.row.use == "fit"]
    assert len(fitted) > 20
    assert [f"{one.row.id}: {one.fold:.2f}" for one in fitted if not one.within] == []


def test_ratios_kept_out_are_predicted_but_for_one_that_contradicts_another_study(agreement):
    kept = {one.row.id: one for one in agreement.comparisons if one.row.use == "held out"}
    assert len(kept) >= 7
    assert [id for id, one in kept.items() if not one.within] == ["rifampicin_iv_nk_k_auc"]


def test_validation_page_is_fresh(agreement):
    page = Path(__file__).parents[1] / "docs" / "validation_interactions.md"
    cure = "stale: kinetamine validate interactions --out docs/validation_interactions.md"
    assert page.read_text("utf-8") == part.page(agreement), cure


def test_the_simulated_curve_shows_the_observed_ratio():
    ratio = area(kt.perturb(PEREZ, "clarithromycin", route="oral"), "14 mg oral") / area(PEREZ, "14 mg oral")
    assert 2.6 / 1.25 < ratio < 2.6 * 1.25
    ratio = area(kt.perturb(OTTO, "rifampicin"), "7 mg iv") / area(OTTO, "7 mg iv")
    assert 0.86 / 1.25 < ratio < 0.90 * 1.25


# ---- records


def test_every_row_has_a_source_and_how_it_was_seen():
    known, (effects, _) = perturbations.load(), pd_interactions.load()
    for row in (*known.observed, *effects):
        assert row.source in library.sources() and row.seen, row.id
    assert {id for row in known.observed for id in row.ids} <= known.perturbations.keys()


def test_all_nonsense_of_the_records_is_found_at_once():
    known = perturbations.load()
    bad = dict(known.perturbations)
    bad["clarithromycin"] = bad["clarithromycin"].model_copy(update={"fit": ("gutt",)})
    bad["ticlopidine"] = bad["ticlopidine"].model_copy(update={"aliases": ("rifampicin",)})
    with pytest.raises(FaultyFile) as caught:
        perturbations.checked(
            perturbations.Library(
                bad, known.factors, known.observed, known.handles, known.carriers, known.fit
            )
        )
    text = str(caught.value)
    assert "'gutt'" in text and "gut" in text and "rifampicin" in text and len(caught.value.faults) >= 3


def test_factors_are_those_of_the_records():
    known = perturbations.load()
    low, high = known.fit.bounds
    for id, factors in known.factors.items():
        assert set(factors) == set(known.perturbations[id].fit)
        for factor in factors.values():
            assert low <= factor.low <= factor.value <= factor.high <= high


def test_stored_factors_are_the_best_fit():
    """A step away from any of them does not lower the misfit: the file is not older than the rows."""
    known = perturbations.load()
    low, high = known.fit.bounds

    def misfit(id, factors):
        total = 0.0
        for row in known.rows(id):
            if row.use == "fit":
                apart = math.log(interactions.ratio(row, factors) / row.ratio)
                total += (apart / interactions.log_error(row)) ** 2
        return total

    for id in known.factors:
        stored = {handle: factor.value for handle, factor in known.factors[id].items()}
        best = misfit(id, stored)
        for handle, value in stored.items():
            for step in (value * 0.95, value * 1.05):
                if low <= step <= high:
                    assert misfit(id, {**stored, handle: step}) > best - 1e-3, f"{id}, {handle}: fit again"


# ---- names and refusals


@pytest.mark.parametrize(
    "words", ["moderate hepatic impairment", "Child-Pugh B", "HEPATIC impairment, moderate"]
)
def test_a_condition_is_found_by_its_other_names(words):
    assert perturbations.find(words, "condition")[0] == "hepatic_impairment_moderate"


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName, match="clarithromycin"):
        kt.perturb(PEREZ, "claritromicin")
    with pytest.raises(UnknownName, match="renal impairment mild"):
        kt.perturb(PEREZ, condition="renal impairment")
    with pytest.raises(UnknownName, match="midazolam"):
        kt.interactions("midazolan")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"with_": "itraconazole", "route": "nasal"}, "not carried over"),
        ({"with_": "St John's wort", "route": "iv"}, "not carried over"),
        ({"condition": "renal impairment mild", "route": "iv"}, "not carried over"),
        ({"condition": "pregnancy"}, "only binding in vitro"),
        ({"condition": "Child-Pugh C"}, "not studied"),
        ({"condition": "elderly"}, "--set age"),
        ({"with_": "midazolam"}, "no ratio of exposure"),
        ({"with_": ["rifampicin", "ticlopidine"], "route": "oral"}, "both act on"),
        ({"with_": "rifampicin", "condition": "Child-Pugh B", "route": "nasal"}, "both act on"),
    ],
)
def test_what_is_not_known_is_refused_with_the_reason(given, why):
    with pytest.raises(NoData, match=why):
        kt.perturb(PEREZ, **given)


def test_a_drug_is_no_condition_and_a_change_is_made_once():
    with pytest.raises(InputError, match="with 'clarithromycin'"):
        kt.perturb(PEREZ, condition="clarithromycin")
    with pytest.raises(InputError, match="in one call"):
        kt.perturb(kt.perturb(PEREZ, "ticlopidine"), "ticlopidine")
    with pytest.raises(NoData, match="--set rifampicin=1"):
        kt.perturb("noppers_2011_s_ketamine", "rifampicin")


def test_a_model_without_gut_and_liver_refuses_routes_that_pass_them():
    with pytest.raises(NoData, match="no gut wall"):
        kt.perturb("simons_2022_s_ketamine_otf", "rifampicin", route="oral film")
    assert kt.perturb("simons_2022_s_ketamine_otf", "rifampicin").routes == ("iv",)


# ---- what becomes of a model


def test_no_change_is_no_change():
    same = kt.perturb(PEREZ, "itraconazole", route="oral")
    assert area(same, "14 mg oral") == area(PEREZ, "14 mg oral")
    assert any("no change was found" in reason for reason in same.remarks["oral"])


def test_the_published_model_is_left_as_it_is():
    before = library.load(PEREZ).parameters["kmet"].value
    changed = kt.perturb(PEREZ, "ticlopidine", route="oral")
    assert library.load(PEREZ).parameters["kmet"].value == before != changed.parameters["kmet"].value
    assert "published 2.77" in changed.parameters["kmet"].note
    assert changed.digest != library.load(PEREZ).digest and changed.status == "derived"


def test_grades_and_papers_follow_the_change():
    oral = kt.simulate(kt.perturb(PEREZ, "clarithromycin", route="oral"), "14 mg oral", times=[1.0])
    assert oral.output("S-ketamine").grade == "range not stated" and "Hagelberg" in oral.cite()
    iv = kt.simulate(kt.perturb(PEREZ, "clarithromycin", route="iv"), "14 mg iv", times=[1.0])
    assert iv.output("S-ketamine").grade == "extrapolated"
    assert any("from its mechanism" in reason for reason in iv.output("S-ketamine").reasons)


def test_simulated_ratios_carry_the_error_of_what_was_fitted():
    oral, iv = (next(s for s in interactions.by_route("rifampicin") if s.route == r) for r in ("oral", "iv"))
    for middle, low, high in (oral.area, oral.peak, iv.area):
        assert 0 < low < middle < high
    assert oral.area[2] / oral.area[1] < 2, "gut and liver lean on each other; their sum is known well"
    assert interactions.by_route("pregnancy") == []


def test_all_papers_behind_a_change_are_cited():
    both = kt.simulate(kt.perturb(PEREZ, "rifampicin", route="iv"), "7 mg iv", times=[1.0]).cite()
    assert "Noppers" in both and "Peltoniemi" in both
    none = kt.simulate(kt.perturb(PEREZ, "itraconazole", route="oral"), "7 mg oral", times=[1.0]).cite()
    assert "Peltoniemi" in none


def test_a_route_is_not_doubted_because_another_is():
    changed = kt.perturb(PEREZ, "clarithromycin")
    assert changed.routes == ("nasal", "oral", "iv")
    grades = {
        route: kt.simulate(changed, f"14 mg {route}", times=[1.0]).output("S-ketamine").grade
        for route in changed.routes
    }
    assert grades == {"nasal": "extrapolated", "oral": "range not stated", "iv": "extrapolated"}


def test_independent_handles_multiply_and_say_so():
    both = interactions.change("ticlopidine", "hay fever", "nasal")
    assert set(both.factors) == {"liver_norketamine", "nasal"} and both.grade == "extrapolated"
    assert any("multiplied" in reason for reason in both.reasons)


def test_norketamine_follows_its_own_way():
    changed = kt.perturb(OTTO, "ticlopidine")
    assert area(changed, "7 mg iv") > area(OTTO, "7 mg iv")
    assert area(changed, "7 mg iv", "S-norketamine") < area(OTTO, "7 mg iv", "S-norketamine")


def test_a_liver_model_and_a_plain_clearance_agree_after_iv():
    factors = {"liver": 0.4, "liver_flow": 0.8}
    ratios = [area(interactions.scaled(m, factors), "7 mg iv") / area(m, "7 mg iv") for m in (PEREZ, OTTO)]
    assert ratios[0] == pytest.approx(ratios[1], rel=0.01)


handles = sorted(perturbations.mechanism().handles)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from(handles), st.floats(0.02, 50), max_size=4),
    st.sampled_from([(PEREZ, "nasal"), (PEREZ, "oral"), (PEREZ, "iv"), (OTTO, "iv")]),
)
def test_no_factors_give_negative_or_infinite_exposure(factors, where):
    model, route = where
    result = kt.simulate(
        interactions.scaled(model, factors), f"28 mg {route}", times=np.arange(0.25, 24, 0.5)
    )
    for name in result:
        assert np.isfinite(result[name]).all() and (result[name] > 0).all(), name


def test_a_factor_must_be_positive():
    for wrong in (0, -1, math.inf, math.nan):
        with pytest.raises(InputError):
            interactions.scaled(PEREZ, {"gut": wrong})


# ---- effects at the same curve


def test_effects_are_ordered_and_groups_are_named():
    found = kt.interactions("midazolam")
    ranks = [pd_interactions.SEVERITIES.index(f.severity) for f in found]
    assert ranks == sorted(ranks) and found[0].severity == "high" and found[0].via == "benzodiazepine"
    own = [f for f in found if f.via is None]
    assert own and all("midazolam" in f.drug for f in own)


def test_esketamine_counters_opioid_respiratory_depression():
    found = [f for f in kt.interactions("remifentanil") if "respiratory depression" in f.effect]
    assert {f.direction for f in found} >= {"decrease", "increase"}, "the finding and the label, both"


@pytest.mark.parametrize(
    "name",
    [
        "alcohol",
        "opioids",
        "amphetamine",
        "MAO inhibitors",
        "theophylline",
        "lamotrigine",
        "naltrexone",
        "thyroid hormone",
    ],
)
def test_the_classes_of_the_issue_are_known(name):
    assert any(f.kind == "effect" for f in kt.interactions(name))


def test_lorazepam_has_both_kinds():
    assert {f.kind for f in kt.interactions("lorazepam")} == {"effect", "curve"}


# ---- scenario and command line


def test_scenario_keys():
    request = {"model": PEREZ, "doses": "14 mg oral", "times": [1, 2], "with": "clarithromycin"}
    asked = scenario.read(request)
    with pytest.raises(InputError, match="clarithromycin"):
        asked.run()
    usual = scenario.read({k: v for k, v in request.items() if k != "with"}).run()
    assert (interactions.applied(asked).run()["S-ketamine"] > 1.5 * usual["S-ketamine"]).all()
    with pytest.raises(InputError, match="a list or text"):
        scenario.read({**request, "condition": 3})


def test_command_line(capsys):
    words = [
        "simulate",
        "--model",
        PEREZ,
        "--dose",
        "28 mg nasal",
        "--times",
        "1",
        "--format",
        "json",
        "--quiet",
    ]
    assert run([*words, "--condition", "Child-Pugh B"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert any("hepatic impairment moderate" in r for r in answer["outputs"]["S-ketamine"]["reasons"])
    assert answer["birth"]["models"][0]["status"] == "derived"
    assert run([*words, "--with", "claritromicin"]) == 2
    assert "--with" in (error := capsys.readouterr().err) and "clarithromycin" in error
    assert run(["interactions", "midazolan"]) == 2
    assert "midazolam" in capsys.readouterr().err
    assert run(["interactions", "--format", "json"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert len(both["effects"]) == len(pd_interactions.load()[0]) and any(
        one["factors"] for one in both["curve"]
    )
    assert run(["interactions", "rifampin"]) == 0
    assert "gut wall" in capsys.readouterr().out
