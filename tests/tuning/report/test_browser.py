"""The HTML report in a real browser, Debian's Chromium through Selenium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.patience import PATIENCE
from tests.tuning.fakes import a_study
from tests.tuning.report.test_numbers import outlying
from tests.tuning.report.test_report import HOSTILE, PARTS, RATES, blown, diverging
from tuning import Study, report, sweep
from tuning.run import Limits
from tuning.store import DataDescription

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
pytest.importorskip("plotly", reason="needs the extra report")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update", "--force-prefers-reduced-motion",
    "--window-size=1280,800",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    chrome.set_script_timeout(PATIENCE)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def study() -> Study:
    """A grid with two repeats, some of which diverged or failed, under a name that is a script."""
    return a_study(
        diverging, space={"learning_rate": RATES, "batch_size": "16,32", "hidden_units": "4,8,16x8,32,64,128"},
        data=DataDescription(HOSTILE, fingerprint="f" * 64), repeats=2, epochs=6,
    ).run()  # fmt: skip


@pytest.fixture(scope="module")
def path(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(study, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    """The page, opened anew; at the end, nothing may have gone wrong and nothing have left the machine."""
    yield opened(browser, path)
    check_quiet(browser, path)


def opened(browser: Any, path: Path) -> Any:
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())
    return browser


def check_quiet(browser: Any, path: Path) -> None:
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    requests = [each["request"]["url"] for each in sent if not each["documentURL"].startswith("chrome:")]
    assert path.as_uri() in requests
    assert [url for url in requests if not url.startswith((path.as_uri(), "data:", "blob:"))] == []


def script(browser: Any, text: str, *arguments: Any) -> Any:
    return browser.execute_script(f"return {text}", *arguments)


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def column(browser: Any, title: str) -> list[str]:
    """The cells of one column of the table of settings, as they are seen."""
    return script(
        browser,
        "(all => { const i = all('th').findIndex(head => head.textContent === arguments[0]);"
        " return all('tr.row').map(row => row.cells[i].textContent)"
        " })(selector => [...document.querySelectorAll('#settings ' + selector)])",
        title,
    )


OTHERS: dict[str, Any] = {
    "no trials": lambda: a_study(),
    "one trial": lambda: a_study(space={"batch_size": "16"}).run(),
    "only diverged": lambda: a_study(blown).run(),
    "parts and folds": lambda: a_study(
        space=PARTS, method="random", method_options={}, limits=Limits(n_trials=40), folds=2, repeats=2
    ).run(),
    "halving": lambda: sweep("diabetes", {"learning_rate": RATES}, "halving", points=9, epochs=9),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_kind_of_study_opens_without_an_error_and_without_a_network(
    kind: str, browser: Any, tmp_path: Path
) -> None:
    path = report.write(OTHERS[kind](), tmp_path / "a.html")
    opened(browser, path)
    drawn = script(browser, "document.querySelectorAll('figure .main-svg').length > 0")
    assert drawn == (kind not in ("no trials", "one trial"))
    check_quiet(browser, path)


def test_a_metric_stands_among_the_losses_or_the_scores_as_the_table_of_metrics_has_it(
    browser: Any, tmp_path: Path
) -> None:
    path = report.write(sweep("diabetes", {"learning_rate": [0.01, 0.1]}, metric="mae", epochs=3), tmp_path / "a.html")
    opened(browser, path)
    drawn = "[...document.querySelectorAll('#best-curves .chart')].map(chart => chart.data.map(line => line.name))"
    assert script(browser, drawn) == [
        ["training loss, mean over the epoch", "validation loss", "validation MAE"],
        ["training R2, mean over the epoch", "validation R2"],
    ]
    colours = script(browser, "document.querySelector('#best-curves .chart').data.map(line => line.line.color)")
    assert len(set(colours)) == 3
    check_quiet(browser, path)


def test_a_name_that_is_a_script_does_nothing(page: Any) -> None:
    assert find(page, "h1").text == HOSTILE
    assert script(page, "document.querySelectorAll('script').length") == 3
    assert script(page, "document.querySelectorAll('img').length") == 0
    from selenium.common.exceptions import NoAlertPresentException

    with pytest.raises(NoAlertPresentException):
        page.switch_to.alert.accept()
    for row in script(page, "document.querySelectorAll('tr.row')")[-3:]:  # those that failed with a hostile error
        row.click()
    assert script(page, "document.querySelectorAll('img').length") == 0


def test_the_policy_of_the_page_forbids_scripts_and_requests(browser: Any, path: Path) -> None:
    opened(browser, path)
    tried = browser.execute_async_script(
        "const done = arguments[0]; const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s);"
        "fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done(window.ran ? 'ran' : 'refused'))"
    )
    assert tried == "refused"
    assert all("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_the_table_is_sorted_by_click_and_by_key(page: Any, study: Study) -> None:
    from selenium.webdriver.common.keys import Keys

    heads = {head.text: head for head in page.find_elements("css selector", "#settings th")}
    assert len(column(page, "rank")) == 50
    assert heads["rank"].get_attribute("aria-sort") == "ascending"

    heads["validation loss"].find_element("css selector", "button").click()
    losses = sorted(s.metrics["validation_loss"] for s in study.summaries() if s.rank is not None)
    assert column(page, "validation loss") == [f"{loss:.4f}" for loss in losses] + ["–"] * (50 - len(losses))
    assert [head.get_attribute("aria-sort") for head in heads.values()].count("none") == len(heads) - 1

    heads["hidden units"].find_element("css selector", "button").send_keys(Keys.ENTER)
    assert column(page, "hidden units")[:50:10] == ["4", "8", "16x8", "32", "64"]
    heads["hidden units"].find_element("css selector", "button").send_keys(Keys.SPACE)
    assert heads["hidden units"].get_attribute("aria-sort") == "descending"
    assert column(page, "hidden units")[:50:10] == ["128", "64", "32", "16x8", "8"]
    assert find(page, "#said").text == "60 settings, sorted by hidden units, descending; page 1 of 2"


def test_pages_and_the_filter_show_all_rows(page: Any, study: Study) -> None:
    first = column(page, "rank")
    find(page, "#after").click()
    assert len(first + column(page, "rank")) == len(study.summaries()) == 60
    find(page, "#search").send_keys("16X8")
    assert column(page, "hidden units") == ["16x8"] * 10
    assert find(page, "#said").text.startswith("10 settings")


def test_a_row_opens_the_curves_of_its_trials(page: Any, study: Study) -> None:
    from selenium.webdriver.common.keys import Keys

    second = study.summaries()[1]
    row = script(page, "document.querySelectorAll('tr.row')[1]")
    row.find_elements("css selector", "td")[3].click()
    panel = find(page, "#settings .panel")
    heading = panel.find_element("css selector", "h3")
    rate, size = second.params["learning_rate"], second.params["batch_size"]
    assert heading.text.startswith(f"Rank 2: learning rate {rate:.4g}, batch size {size}, hidden units ")
    assert page.switch_to.active_element == heading
    trials = [trial for trial in study.trials if trial.params == second.params]
    for kind, metrics in enumerate((("train_loss", "validation_loss"), ("validation_accuracy",))):
        lines = script(page, "[...arguments[0].querySelectorAll('.chart')][arguments[1]].data", panel, kind)
        wanted = [trial.curves[name] for name in metrics for trial in trials]
        assert [line["x"] for line in lines] == [[1, 2, 3, 4, 5, 6]] * len(wanted)
        np.testing.assert_allclose([line["y"] for line in lines], wanted, rtol=1e-6)
    numbers = [trial.number for trial in trials]
    said = [verdict for trial, verdict in zip(study.trials, study.verdicts(), strict=True) if trial.number in numbers]
    assert len(said) == 2
    assert all(str(verdict) in panel.text for verdict in said)

    pick = panel.find_elements("css selector", ".pick")[1]
    pick.click()
    assert pick.get_attribute("aria-pressed") == "true"
    widths = script(page, "arguments[0].querySelector('.chart').data.map(line => line.line.width)", panel)
    assert widths == [2, 3.5, 2, 3.5]

    heading.send_keys(Keys.ESCAPE)
    assert page.find_elements("css selector", "#settings .panel") == []
    opener = row.find_element("css selector", ".opener")
    assert page.switch_to.active_element == opener
    assert opener.get_attribute("aria-expanded") == "false"
    opener.send_keys(Keys.ENTER)
    assert opener.get_attribute("aria-expanded") == "true"
    assert find(page, "#settings .panel h3").text == heading_of(page, 1)


def heading_of(page: Any, place: int) -> str:
    """What the opener of a row says to a reader of screens, without what it does."""
    label = script(page, "document.querySelectorAll('.opener')[arguments[0]].getAttribute('aria-label')", place)
    return str(label).removesuffix(": learning curves")


@pytest.mark.parametrize("figure", ["rate", "map", "lines"])
def test_a_click_in_a_figure_opens_the_curves_of_its_setting(page: Any, figure: str) -> None:
    node = find(page, f"#figure-{figure}")
    script(page, "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", node)
    # Plotly hears the mouse on its drag layer; it says itself where a point is on the screen.
    x, y, place = script(page, PLACE_OF_A_POINT, node)
    actions = webdriver.ActionChains(page, duration=0)
    actions.w3c_actions.pointer_action.move_to_location(x, y)
    actions.w3c_actions.pointer_action.click()
    actions.perform()
    from selenium.webdriver.support.ui import WebDriverWait

    panel = WebDriverWait(page, PATIENCE).until(lambda _: find(page, "figure .panel"))
    row = script(page, "JSON.parse(document.getElementById('data').textContent).table.rows[arguments[0]]", place)
    assert panel.find_element("css selector", "h3").text.startswith(f"Rank {row[0]}: ")
    panel.find_element("css selector", ".close").click()
    assert page.find_elements("css selector", "figure .panel") == []


def test_a_double_click_shows_the_scores_that_the_axis_leaves_out(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    path = report.write(a_study(outlying).run(), tmp_path / "a.html")
    opened(browser, path)
    node = find(browser, "#figure-rate")
    low = "arguments[0]._fullLayout.yaxis.range[0]"
    assert script(browser, low, node) > 0.1
    webdriver.ActionChains(browser).double_click(node.find_element("css selector", ".drag")).perform()
    WebDriverWait(browser, PATIENCE).until(lambda _: script(browser, low, node) < 0.1)
    check_quiet(browser, path)


PLACE_OF_A_POINT = """(node => {
  const layout = node._fullLayout, box = node.getBoundingClientRect();
  const trace = node.data.find(each => each.type === 'heatmap' || each.mode === 'lines+markers') ||
    node.data.find(each => each.name === 'best tenth');
  const map = trace.type === 'heatmap';
  const i = map ? trace.z[0].findIndex(z => z !== null) : trace.mode === 'lines' ? trace.x.indexOf(null) - 1 : 2;
  const place = map ? trace.customdata[0][i] : trace.customdata[i];
  const x = trace.x[i], y = map ? trace.y[0] : trace.y[i];
  return [Math.round(box.left + layout.xaxis._offset + layout.xaxis.l2p(x)),
          Math.round(box.top + layout.yaxis._offset + layout.yaxis.l2p(y)), place];
})(arguments[0])"""


def test_nothing_is_wider_than_the_screen_of_a_phone_or_of_a_projector(browser: Any, path: Path) -> None:
    for width, height in ((390, 844), (1280, 800)):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            opened(browser, path)
            script(browser, "document.querySelector('tr.row').click()")
            assert script(browser, "document.documentElement.scrollWidth - innerWidth") <= 0
            assert script(browser, "document.querySelector('#settings .panel').getBoundingClientRect().width") <= width
        finally:
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        check_quiet(browser, path)


def test_figures_have_the_width_of_the_paper_while_they_are_printed(page: Any) -> None:
    widths = "[...document.querySelectorAll('.js-plotly-plot')].map(node => node._fullLayout.width)"
    before = script(page, widths)
    page.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert max(script(page, widths)) <= 680 < max(before)
    page.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert script(page, widths) == before
