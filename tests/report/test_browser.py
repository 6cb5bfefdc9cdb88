"""Pages in headless Chromium: every chart draws, the console is empty, buttons and keys do what they say."""

import shutil

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from sunhwan.report.page import charts
from sunhwan.report.page.page import Chart, Facts, Page, Section, Table, Text
from sunhwan.report.pages import audit as audit_page
from sunhwan.report.pages import pages

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here")

SERIOUS = ("serious", "critical")

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}", "--window-size=1200,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page():
    """A page with a chart of each kind."""
    import numpy as np

    time = np.datetime64("2024-01-01", "s") + np.arange(50) * np.timedelta64(1, "h")
    value = np.sin(np.arange(50) / 4)
    lines = [
        charts.band("interval", "model", time, value - 1, value + 1),
        charts.line("what came", "truth", time, value),
        charts.line("forecast", "model", time, value + 0.1, "dash"),
    ]
    names = ["a", "b </script>", "c"]
    bars = [
        charts.bars("held", "model", names, np.arange(3.0)),
        charts.line("asked", "truth", names, value[:3]),
    ]
    heat = [charts.heat(names, names, np.arange(9.0).reshape(3, 3), [list("xyz")] * 3)]
    table = Table("numbers", ["name", "value"], [[name, "1"] for name in names], strong=0)
    views = {"first": charts.view(lines, "", "T (°C)"), "second": charts.view(lines[1:2], "", "T (°C)")}
    return Page(
        "A title",
        "The answer.",
        ["a fact"],
        [
            Section(
                "Lines",
                [Chart("lines", "Lines of 50 values.", views, table), Text("A long word: " + "x" * 300)],
            ),
            Section(
                "Others",
                [
                    Chart("bars", "Bars of 3.", {"all": charts.view(bars, "x", "y")}, half=True),
                    Chart("heat", "Heat of 9.", {"all": charts.view(heat, "", "")}, half=True),
                    Facts(["one"]),
                    table,
                ],
            ),
        ],
    )


def shown(browser, page, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page.html(), encoding="utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(
        lambda b: b.execute_script("return document.documentElement.dataset.drawn")
    )


def lines(browser, number):
    return browser.execute_script(
        f"return [...document.querySelectorAll('#chart-{number} .scatterlayer .trace')].length"
    )


def span(browser):
    low, high = browser.execute_script(
        "const axis = document.getElementById('chart-0')._fullLayout.xaxis; return axis.range.map(axis.r2l)"
    )
    return low, high - low


def test_every_chart_draws_and_nothing_is_amiss(browser, page, tmp_path):
    shown(browser, page, tmp_path)
    assert browser.get_log("browser") == []
    assert lines(browser, 0) == 3
    count = "return document.querySelectorAll('#chart-{} {}').length"
    assert browser.execute_script(count.format(1, ".bars .point")) == 3
    assert browser.execute_script(count.format(2, ".heatmaplayer image, .heatmaplayer path")) >= 1
    assert browser.find_element(By.CSS_SELECTOR, ".answer").text == "The answer."


@pytest.mark.parametrize("kind", ["forecast_run", "classify_run", "audited", "forecast", "text", "adding"])
def test_the_page_of_a_run_draws_whole_and_is_accessible(browser, kind, request, tmp_path):
    if kind == "audited":
        page = audit_page.page(request.getfixturevalue(kind))
    elif kind.endswith("_run"):
        page = pages.of([request.getfixturevalue(kind)])
    else:
        page = pages.of([request.getfixturevalue("write_case")(kind)])
    shown(browser, page, tmp_path)
    assert browser.get_log("browser") == []
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.chart')].filter(c => c.querySelector('.trace, image')).length"
    )
    assert drawn == sum(block.kind == "chart" for section in page.sections for block in section.blocks)
    found = Axe().run(browser)
    serious = [(v["id"], v["nodes"][0]["html"]) for v in found["violations"] if v["impact"] in SERIOUS]
    assert not serious
    assert len(found["passes"]) > 20


def test_the_legend_hides_and_shows(browser, page, tmp_path):
    shown(browser, page, tmp_path)
    buttons = browser.find_elements(By.CSS_SELECTOR, ".legend[data-chart='0'] button")
    assert [button.text for button in buttons] == ["interval", "what came", "forecast"]
    buttons[0].send_keys(Keys.ENTER)
    assert buttons[0].get_attribute("aria-pressed") == "false" and lines(browser, 0) == 2
    buttons[0].click()
    assert buttons[0].get_attribute("aria-pressed") == "true" and lines(browser, 0) == 3


def test_views_are_chosen(browser, page, tmp_path):
    shown(browser, page, tmp_path)
    browser.find_element(By.CSS_SELECTOR, "select option[value='1']").click()
    assert lines(browser, 0) == 1
    assert browser.find_elements(By.CSS_SELECTOR, ".legend[data-chart='0'] button") == []


def test_keys_move_zoom_and_show_all(browser, page, tmp_path):
    shown(browser, page, tmp_path)
    chart = browser.find_element(By.ID, "chart-0")
    low, wide = span(browser)
    chart.send_keys("+")
    assert span(browser)[1] == pytest.approx(wide * 2 / 3)
    chart.send_keys(Keys.ARROW_RIGHT)
    assert span(browser)[0] == pytest.approx(low + wide / 6 + 0.2 * wide * 2 / 3)
    chart.send_keys("0")
    assert span(browser) == (low, wide)


def test_the_theme_follows_the_reader_and_the_button(browser, page, tmp_path):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        shown(browser, page, tmp_path)
        ink = "return document.querySelector('#chart-0 .xtick text').style.fill"
        paper = "return getComputedStyle(document.body).backgroundColor"
        assert browser.execute_script(paper) == "rgb(20, 23, 26)"
        assert browser.execute_script(ink) == "rgb(242, 242, 242)"
        button = browser.find_element(By.ID, "theme")
        assert button.text == "Light"
        button.click()
        assert browser.execute_script(paper) == "rgb(255, 255, 255)"
        assert browser.execute_script(ink) == "rgb(26, 26, 26)"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_scrolls_in_one_direction(browser, page, tmp_path):
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        shown(browser, page, tmp_path)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
        chart = "return document.querySelector('#chart-0 .main-svg').getBoundingClientRect().width"
        assert 250 < browser.execute_script(chart) <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_paper_is_white_also_for_who_reads_in_the_dark(browser, page, tmp_path):
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    try:
        shown(browser, page, tmp_path)
        browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
        ink = browser.execute_script("return document.querySelector('#chart-0 .xtick text').style.fill")
        assert ink == "rgb(26, 26, 26)"
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
