"""The other views of the page, as a person uses them: compare, course, detect, claims, models."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise

import pytest

#: address → what stands there when it is ready
READY = {
    "compare": ".result:not(.busy) .canvas[data-drawn]",
    "course": ".result:not(.busy) .canvas[data-drawn]",
    "detect": ".result:not(.busy) .canvas[data-drawn]",
    "claims": ".statements > li:not([hidden])",
    "claims?id=C05": "#C05[open] table",
    "models": ".cards > li:not([hidden])",
    "models?id=otto_2021_s_ketamine": ".canvas[data-drawn]",
}
COMPUTING = ("compare", "course", "detect")


def opened(page, address, ready=None):
    page.goto(f"/#{address}")
    # on a new machine kernels are compiled first
    page.wait_for_selector(ready or READY[address.partition("?verdict")[0]], timeout=30_000)
    return page


def settled(page):
    """Nothing is asked and nothing is drawn any more."""
    page.wait_for_selector(".result:not(.busy)")


def question(page, path, act):
    """The body of the question to the server that an action leads to."""
    with page.expect_request(f"**/api/{path}") as asked:
        act()
    return json.loads(asked.value.post_data)


def name(address):
    return address.replace("?id=", "-").partition("&")[0]


@pytest.mark.parametrize("address", READY)
def test_light_dark_and_narrow(page, shot, axe, address, sideways):
    opened(page, address)
    assert page.locator("h1").count() == 1
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))")
    assert all(b <= a + 1 for a, b in pairwise(levels)), levels
    assert not axe(page)
    shot(page, f"{name(address)}-light")
    page.get_by_label("Colours").select_option("dark")
    if address in COMPUTING:
        settled(page)
    assert not axe(page)
    shot(page, f"{name(address)}-dark")
    page.set_viewport_size({"width": 360, "height": 740})
    if address in COMPUTING:
        settled(page)
    assert sideways(page) == 0
    shot(page, f"{name(address)}-phone")


def test_on_a_telephone(narrow, axe, sideways):
    opened(narrow, "course")
    assert not axe(narrow)
    narrow.get_by_label("Sessions, one phrase a line").fill("84 mg nassal")
    alert = narrow.get_by_role("alert")
    alert.wait_for()
    box = alert.bounding_box()
    assert box["y"] + box["height"] <= 740  # in sight of who types
    assert sideways(narrow) == 0


@pytest.mark.parametrize("address", ["claims", "models", *COMPUTING])
def test_every_control_is_reached_by_keyboard_and_has_a_name(page, address):
    opened(page, address)
    page.evaluate("for (const d of document.querySelectorAll('form details')) d.open = true")
    wanted = set(
        page.evaluate(
            "[...document.querySelectorAll('form :is(input, select, textarea)')].map((e) => e.name)"
        )
    )
    assert "" not in wanted
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name ?? ''"))
        if wanted <= reached:
            break
    assert wanted <= reached
    if address in COMPUTING:  # where a choice makes a new form, who chose stays where they were
        page.locator("form select").first.focus()
        page.keyboard.press("ArrowDown")
        settled(page)
        assert page.evaluate("document.activeElement.tagName") == "SELECT"


def taken(page, tmp_path, button):
    with page.expect_download() as got:
        page.locator(".buttons").get_by_role("button", name=button, exact=True).click()
    path = tmp_path / got.value.suggested_filename
    got.value.save_as(path)
    return path


# --- claims ------------------------------------------------------------------------------------------


def test_claims_are_found_by_words_and_verdict(page):
    opened(page, "claims")
    shown = page.locator(".statements > li:visible")
    whole = shown.count()
    page.get_by_label("Words in a statement").fill("snorted")
    page.locator(".statements > li[hidden]").first.wait_for(state="attached")
    assert "snort" in shown.first.inner_text().lower() + page.locator("main").inner_text().lower()
    page.get_by_label("Words in a statement").fill("")
    page.get_by_label("Verdict").select_option("contradicted")
    assert 0 < shown.count() < whole
    assert all("contradicted" in text for text in shown.locator(".verdict").all_inner_texts())
    page.get_by_label("Words in a statement").fill("no such words at all")
    assert "No statement fits" in page.get_by_role("status").first.inner_text()


def test_a_claim_is_a_link_and_is_computed_when_asked(page):
    opened(page, "claims?verdict=supported")
    first = page.locator(".statements > li:visible summary").first
    first.focus()
    page.keyboard.press("Enter")
    page.locator("details[open] table").wait_for()
    page.wait_for_url("**id=C*")
    page.reload()
    opened_claim = page.locator("details[open]")
    opened_claim.wait_for()
    assert page.get_by_label("Verdict").input_value() == "supported"
    assert {"for", "how it was read"} & set(opened_claim.locator("th, td").all_inner_texts())
    opened_claim.get_by_role("button", name="Compute it").click()
    opened_claim.get_by_text("The same on the command line").wait_for(timeout=30_000)
    assert "kinetamine " in opened_claim.locator(".own code").inner_text()


# --- models ------------------------------------------------------------------------------------------


def test_models_are_found_and_tell_what_is_missing(page):
    opened(page, "models")
    shown = page.locator(".cards > li:visible")
    page.get_by_label("Words in a name or title").fill("otto")
    page.locator(".cards > li[hidden]").first.wait_for(state="attached")
    shown.first.get_by_role("link").click()
    page.get_by_role("heading", name="Parameters").wait_for()
    page.get_by_role("link", name="All models").click()
    page.wait_for_selector(READY["models"])
    assert page.get_by_label("Words in a name or title").input_value() == "otto"
    page.get_by_label("Words in a name or title").fill("")
    page.get_by_label("Status").select_option("incomplete")
    assert shown.count() and all("missing" in text for text in shown.all_inner_texts())


def test_one_model_shows_its_numbers_and_opens_in_explore(page):
    opened(page, "models?id=perez_ruixo_2021_esketamine", ".canvas[data-drawn]")
    said = page.locator("main").inner_text()
    assert "Table" in said and "doi.org" in said and "read there" in said
    page.get_by_role("heading", name="Against what was measured").wait_for()
    page.get_by_role("cell", name="predicted", exact=True).first.wait_for(timeout=30_000)
    body = question(page, "explore", lambda: page.get_by_role("link", name="Open in Explore").click())
    assert body["model"] == ["perez_ruixo_2021_esketamine"]


def test_an_effect_model_opens_in_explore(page):
    opened(page, "models?id=fitted_cadss_esketamine", "h1")
    body = question(page, "explore", lambda: page.get_by_role("link", name="Open in Explore").click())
    assert body["effect"] == ["fitted_cadss_esketamine"]
    page.wait_for_selector(".canvas[data-drawn]")


def test_a_model_nobody_knows_is_refused_with_the_nearest(page):
    page.goto("/#models?id=otto_2021")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "otto_2021_s_ketamine" in alert.inner_text()


# --- detect ------------------------------------------------------------------------------------------


def test_detect_slides_types_and_shares(page, tmp_path):
    opened(page, "detect")
    body = question(page, "detect", lambda: page.get_by_role("slider", name="Dose").fill("84"))
    assert body["doses"] == ["84 mg S-ketamine nasal"] and body["matrix"] == "urine"
    settled(page)
    body = question(page, "detect", lambda: page.get_by_label("A cut-off of your own").fill("50 ng/mL"))
    assert body["cutoff"] == "50 ng/mL"
    settled(page)
    page.wait_for_url("**cutoff=**")
    address, said = page.url, page.locator(".result table").first.inner_text()
    assert "amount=84" in address and "50 ng/mL" in said and "extrapolated" in said
    page.reload()
    page.wait_for_selector(READY["detect"])
    assert page.url == address and page.locator(".result table").first.inner_text() == said
    rows = list(csv.DictReader(io.StringIO(taken(page, tmp_path, "CSV").read_text())))
    assert {"analyte", "after_last_dose_h", "probability_positive", "grade"} <= set(rows[0])
    assert taken(page, tmp_path, "Command line").read_text().startswith("kinetamine detect")


def test_detect_refuses_and_says_what_cannot_be_computed(page, shot):
    opened(page, "detect")
    page.get_by_label("A cut-off of your own").fill("fifty")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "fifty" in alert.inner_text() and not page.locator(".canvas").first.is_visible()
    shot(page, "detect-refused")
    page.get_by_label("A cut-off of your own").fill("")
    alert.wait_for(state="detached")
    page.get_by_label("Test or panel").select_option("five_panel")
    page.get_by_text("not tested for").wait_for()
    page.get_by_label("What is tested").select_option("hair")
    page.get_by_text("no published model from dose to hair").first.wait_for()
    assert page.get_by_role("heading", name="Observed in people, not computed").is_visible()


# --- course ------------------------------------------------------------------------------------------


def test_course_rules_switches_and_the_other_arm(page, tmp_path):
    opened(page, "course")
    assert page.get_by_text("not for a person").first.is_visible()
    page.get_by_label("Start from").select_option("ketamine_six_infusions")
    settled(page)
    page.get_by_text("Add a rule").click()
    body = question(
        page, "course", lambda: page.get_by_role("button", name="booster when MADRS >= 20 at a").first.click()
    )
    assert body["rule"] == ["booster when MADRS >= 20 at a weekly visit"]
    body = question(page, "course", lambda: page.get_by_role("slider", name="Followed for").fill("20"))
    assert body["weeks"] == 20
    body = question(page, "course", lambda: page.get_by_label("With a new oral antidepressant").check())
    assert body["setting"] == ["new oral drug"]
    page.get_by_label("Compare with the same sessions").check()
    page.get_by_role("columnheader", name="without the drug").wait_for()
    settled(page)
    page.wait_for_url("**without=1**")
    said = page.locator(".result table").first.inner_text()
    page.reload()
    page.get_by_role("columnheader", name="without the drug").wait_for()
    assert page.locator(".result table").first.inner_text() == said
    rows = list(csv.DictReader(io.StringIO(taken(page, tmp_path, "CSV").read_text())))
    assert {r["arm"] for r in rows} == {"with the drug", "without the drug"}
    assert taken(page, tmp_path, "PNG").read_bytes().startswith(b"\x89PNG")


def test_course_refuses_a_rule_it_cannot_read(page):
    opened(page, "course")
    page.get_by_label("Rules of the visits").fill("boster every 4 weeks")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "booster every 4 weeks" in alert.inner_text()
    assert page.get_by_text("not for a person").first.is_visible()
    page.get_by_label("Rules of the visits").fill("booster every 4 weeks")
    alert.wait_for(state="detached")


# --- compare -----------------------------------------------------------------------------------------


def test_compare_says_how_far_models_are_apart(page, tmp_path):
    opened(page, "compare")
    said = page.locator(".result").inner_text()
    assert (
        "ketamine in arterial plasma" in said
        and "ketamine in venous plasma" in said
        and "times the lowest" in said
    )
    assert page.get_by_role("heading", name="Models that cannot answer").is_visible()
    page.get_by_label("Route and drug").select_option("adults|iv|S-ketamine")
    settled(page)
    page.get_by_text("Substances").click()
    body = question(page, "compare", lambda: page.get_by_label("S-norketamine", exact=True).check())
    assert body["analyte"] == ["S-norketamine"] and "patients" not in body
    settled(page)
    body = question(page, "compare", lambda: page.get_by_label("How many people").select_option("200"))
    assert body["patients"] == 200
    settled(page)
    page.wait_for_url("**n=200**")
    address, said = page.url, page.locator(".result table").first.inner_text()
    page.reload()
    page.wait_for_selector(READY["compare"])
    assert page.url == address and page.locator(".result table").first.inner_text() == said
    rows = list(csv.DictReader(io.StringIO(taken(page, tmp_path, "CSV").read_text())))
    assert {"model", "analyte", "site", "time_h", "middle", "grade"} <= set(rows[0])
    assert {r["analyte"] for r in rows} == {"S-norketamine"}
    assert taken(page, tmp_path, "SVG").read_text().startswith("<svg")


def test_compare_slides_and_refuses(page):
    opened(page, "compare?drug=S-ketamine&route=nasal", READY["compare"])
    body = question(page, "compare", lambda: page.get_by_role("slider", name="Dose").fill("84"))
    assert body["doses"] == ["84 mg S-ketamine nasal"]
    settled(page)
    page.get_by_role("button", name="Write the doses in words").click()
    page.get_by_label("Doses, separated by ;").fill("84 mg nassal")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "nasal" in alert.inner_text()
