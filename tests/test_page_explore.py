"""The page's first view, as a person uses it: slide, type, share, download, keyboard, telephone; and how fast."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib

import pytest

EXPLORE = "/#explore"
DRAWN = ".canvas[data-drawn]"


def opened(page, address=EXPLORE):
    page.goto(address)
    page.wait_for_selector(DRAWN, timeout=60_000)  # on a new machine kernels are compiled first
    return page


def settled(page):
    """Nothing is drawn any more."""
    page.wait_for_function(
        """() => new Promise((done) => {
            const count = () => document.querySelector('.canvas')?.dataset.drawn;
            const before = count();
            setTimeout(() => done(count() === before), 400);
        })"""
    )


def question(page, act):
    """The body of the question for a figure that an action leads to."""
    settled(page)
    with page.expect_request(lambda r: r.url.endswith("/api/explore") and '"draw"' in r.post_data) as asked:
        act()
    return json.loads(asked.value.post_data)


def test_a_first_look_says_what_it_is(page, shot, axe):
    opened(page)
    page.get_by_role("heading", name="Effects", exact=True).wait_for()
    assert page.get_by_text("For research and teaching; not for treating a person").is_visible()
    assert page.locator(".grade").first.is_visible()
    settled(page)
    shot(page, "explore-light")
    assert not axe(page)


def test_dark_and_a_press_of_the_switch(page, shot, axe):
    page.emulate_media(color_scheme="dark")
    opened(page)
    settled(page)
    shot(page, "explore-dark")
    assert not axe(page)
    body = question(page, lambda: page.get_by_label("Colours").select_option("light"))
    assert body["draw"]["theme"] == "light"


def test_sliding_moves_the_curve_and_not_the_page(page):
    opened(page)
    settled(page)
    before = page.evaluate("document.querySelector('.canvas canvas')")
    slider = page.get_by_role("slider", name="Dose")
    body = question(page, lambda: slider.fill("84"))
    assert body["doses"] == ["84 mg S-ketamine nasal"] and body["patients"] == 1000
    settled(page)
    assert page.get_by_role("spinbutton", name="Dose, mg").input_value() == "84"
    assert "amount=84" in page.url
    # the figure was moved, not made again
    kept = page.evaluate("document.querySelectorAll('.canvas canvas').length")
    assert before is not None and kept == 1


def test_a_link_is_the_saved_view(page, browser, server):
    opened(page)
    page.get_by_label("Route and drug").select_option("adults|iv|racemate")
    page.get_by_role("spinbutton", name="Dose, mg/kg").fill("0.4")
    page.get_by_label("Weight: the same for all").check()
    page.get_by_label("How many people").select_option("100")
    page.get_by_label("Time shown").select_option("2 h")
    settled(page)
    address = page.url
    other = browser.new_page()
    with other.expect_request("**/api/explore") as asked:
        other.goto(address)
    body = json.loads(asked.value.post_data)
    other.wait_for_selector(DRAWN)
    assert body["doses"] == ["0.4 mg/kg racemic ketamine iv over 40 min"]
    assert (body["patients"], body["set"], body["until"]) == (100, {"weight": 70}, "2 h")
    assert other.get_by_role("spinbutton", name="Dose, mg/kg").input_value() == "0.4"
    other.close()
    page.reload()
    page.wait_for_selector(DRAWN)
    assert page.url == address


def test_words_for_what_sliders_cannot_say(page):
    opened(page)
    page.get_by_role("button", name="Write the doses in words").click()
    box = page.get_by_label("Doses, separated by ;")
    assert box.input_value() == "56 mg S-ketamine nasal"
    body = question(page, lambda: box.fill("28 mg esketamine nasal; 56 mg esketamine nasal at 2 h"))
    assert body["doses"] == ["28 mg esketamine nasal", "56 mg esketamine nasal at 2 h"]


def test_what_cannot_be_read_is_refused_in_words(page):
    opened(page)
    page.get_by_role("button", name="Write the doses in words").click()
    page.get_by_label("Doses, separated by ;").fill("84 mg nasel")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "nasal" in alert.inner_text() and "expected" in alert.inner_text()
    page.get_by_label("Doses, separated by ;").fill("84 mg nasal")
    alert.wait_for(state="detached")
    assert page.locator(DRAWN).is_visible()


def test_the_safety_desk_stands_on_top(page):
    opened(page)
    page.get_by_text("Told to the safety desk").click()
    page.get_by_label("Diseases and history").fill("aneurysm")
    finding = page.locator(".finding").first
    finding.wait_for()
    assert "exclude" in finding.inner_text()
    above = page.evaluate(
        "document.querySelector('.finding').getBoundingClientRect().top"
        " < document.querySelector('.canvas').getBoundingClientRect().top"
    )
    assert above


def test_no_finding_that_excludes_or_adjusts_is_folded_away(page):
    opened(page)
    page.get_by_text("Told to the safety desk").click()
    page.get_by_label("Diseases and history").fill("aneurysm; psychosis")
    page.locator(".finding.exclude").nth(3).wait_for(state="attached", timeout=4000)
    grave = page.locator(".finding.exclude, .finding.adjust")
    assert grave.count() > 3
    assert all(one.is_visible() for one in grave.all())


def test_take_away(page, tmp_path):
    opened(page)
    settled(page)

    def taken(name):
        with page.expect_download() as got:
            page.locator(".buttons").get_by_role("button", name=name, exact=True).click()
        path = tmp_path / got.value.suggested_filename
        got.value.save_as(path)
        return path

    rows = list(csv.DictReader(io.StringIO(taken("CSV").read_text())))
    assert {"time_h", "output", "unit", "site", "grade", "q0.05", "q0.5", "q0.95"} <= set(rows[0])
    assert {r["output"] for r in rows} >= {"S-ketamine"} and max(float(r["q0.5"]) for r in rows) > 10
    assert taken("SVG").read_text().startswith("<svg")
    assert taken("PNG").read_bytes().startswith(b"\x89PNG")
    scenario = tomllib.loads(taken("Scenario").read_text())
    assert "56 mg" in str(scenario["doses"])
    assert "import kinetamine" in taken("Python").read_text()
    assert taken("Command line").read_text().startswith("kinetamine ")
    report = taken("Report").read_text()
    assert report.startswith("<!doctype html>") and "56 mg" in report


def test_zoom_by_hand_and_by_keyboard(page):
    opened(page)
    settled(page)
    canvas = page.locator(".canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    whole = page.get_by_role("button", name="Whole time axis")
    whole.wait_for()
    whole.click()
    whole.wait_for(state="hidden")
    canvas.focus()
    page.keyboard.press("+")
    whole.wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("0")
    whole.wait_for(state="hidden")


def test_numbers_appear_under_the_pointer(page):
    opened(page)
    settled(page)
    box = page.locator(".canvas").bounding_box()
    tip = page.locator("#vg-tooltip-element.visible")
    for share in (0.3, 0.4, 0.25):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 130)
        page.mouse.move(box["x"] + share * box["width"] + 3, box["y"] + 132)
        if tip.count():
            break
    tip.wait_for()
    assert "ng/mL" in tip.inner_text()


def test_by_keyboard_alone(page):
    page.goto(EXPLORE)
    page.wait_for_selector(DRAWN)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    names = []
    for _ in range(25):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.name || document.activeElement.textContent.slice(0, 20)")
        )
    assert {"regimen", "route", "amount-slider", "amount", "plan"} <= set(names)
    page.get_by_role("slider", name="Dose").focus()
    body = question(page, lambda: page.keyboard.press("ArrowRight"))
    assert re.fullmatch(r"57(\.\d+)? mg S-ketamine nasal", body["doses"][0])


def test_on_a_telephone(narrow, shot, axe, sideways):
    opened(narrow)
    settled(narrow)
    assert sideways(narrow) == 0
    shot(narrow, "explore-phone")
    assert not axe(narrow)
    narrow.get_by_role("slider", name="Dose").fill("84")
    settled(narrow)
    assert "amount=84" in narrow.url


def test_a_page_that_is_not_there(page):
    page.goto("/#nowhere")
    assert "nowhere" in page.get_by_role("alert").inner_text()


@pytest.mark.speed
def test_first_paint_and_redraw_are_quick(page, slowness, capsys):
    """First paint under 1.5 s; a moved slider is redrawn in 100 ms (median), 200 ms (95th percentile)."""
    opened(page)
    page.wait_for_timeout(2000)  # kernels compiled, safety desk answered
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    slider = page.get_by_role("slider", name="Dose")
    slider.focus()
    rounds = []
    for _ in range(6):  # others may use this machine: one quiet round of six counts
        page.evaluate("performance.clearMeasures('redraw')")
        for key in ["ArrowRight"] * 25 + ["ArrowLeft"] * 25:
            page.keyboard.press(key)
            page.wait_for_timeout(120)
        settled(page)
        took = sorted(page.evaluate("performance.getEntriesByName('redraw').map((e) => e.duration)"))
        assert len(took) >= 40
        rounds.append((took[len(took) // 2], took[int(0.95 * len(took))]))
        quick = rounds[-1][0] < 100 * slowness and rounds[-1][1] < 200 * slowness
        if quick:
            break
    median, late = rounds[-1]
    with capsys.disabled():
        print(
            f"\nfirst paint {paint:.0f} ms; redraw of 1,000 patients: median {median:.0f} ms, 95 % {late:.0f} ms;"
            f" machine slower than that of the bars {slowness:.2f} times"
        )
    assert paint < 1500 * slowness
    assert quick, rounds
