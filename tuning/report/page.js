"use strict";
// Draws the figures, fills the table of settings, and shows the learning curves of what is clicked. Everything that is
// put into the page goes through textContent: no text of the study is ever read as HTML.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { table, trials, figures, colours } = data;
  const PAGE = 50;
  const FINGER = matchMedia("(pointer: coarse)").matches; // it scrolls the page, where a mouse zooms
  const DRAG = FINGER ? false : "zoom";
  const config = {
    responsive: true, displaylogo: false, displayModeBar: FINGER ? false : "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };

  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };
  const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const words = (name) => name.replaceAll("_", " ");
  const short = (x) => (Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(4))));
  const score = (x) => {
    if (x === null) return "–";
    if (Math.abs(x) >= 1e5) return x.toExponential(3);
    // Python rounds halves, which with four decimals are odd 32nds, to even digits; toFixed rounds them up.
    const up = Math.abs((x * 32) % 2) === 1 && Math.round(Math.abs(x) * 1e4) % 2 === 1;
    return (up ? x - Math.sign(x) * 1e-9 : x).toFixed(4);
  };
  const value = (x) => (x === null || x === undefined ? "–" : typeof x === "number" ? short(x) : String(x));

  // -- trials and their curves -----------------------------------------------------------------------------------

  const bytes = Uint8Array.from(atob(trials.curves), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(bytes.buffer);
  const ofSetting = new Map();
  let start = 0;
  for (const row of trials.rows) {
    const trial = Object.fromEntries(trials.keys.map((key, i) => [key, row[i]]));
    trial.start = start;
    start += trial.points * trials.metrics.length;
    if (!ofSetting.has(trial.place)) ofSetting.set(trial.place, []);
    ofSetting.get(trial.place).push(trial);
  }

  const epochsOf = (trial) =>
    Array.from({ length: trial.points }, (_, i) => 1 + Math.floor((i * (trial.epochs - 1)) / Math.max(trial.points - 1, 1)));
  const curveOf = (trial, metric) => {
    const from = trial.start + trials.metrics.indexOf(metric) * trial.points;
    return Array.from(numbers.subarray(from, from + trial.points), (x) => (Number.isFinite(x) ? x : null));
  };
  const nameOf = (trial) => `repeat ${trial.repeat + 1}${trial.fold === null ? "" : `, fold ${trial.fold + 1}`}`;

  const column = (key) => table.columns.findIndex((each) => each.key === key);
  const titleOf = (place) => {
    const row = table.rows[place];
    const rank = row[0] === null ? "Not ranked" : `Rank ${row[0]}`;
    const parts = table.columns.flatMap((each, i) =>
      each.kind === "value" && row[i] !== null ? [`${words(each.title)} ${value(row[i])}`] : []);
    return parts.length ? `${rank}: ${parts.join(", ")}` : rank;
  };

  // -- the panel with the learning curves of one setting ---------------------------------------------------------

  const titleIn = (metric) => trials.titles[trials.metrics.indexOf(metric)];
  const kindOf = (metric) => (trials.larger[trials.metrics.indexOf(metric)] ? "score" : "loss");

  // How many times the highest loss is the lowest; 0 where there is none that a logarithm can show.
  const ratio = (members) => {
    const all = trials.metrics.filter((name) => kindOf(name) === "loss")
      .flatMap((name) => members.flatMap((trial) => curveOf(trial, name))).filter((x) => x !== null);
    const least = all.reduce((a, b) => Math.min(a, b), Infinity);
    return least > 0 ? all.reduce((a, b) => Math.max(a, b), 0) / least : 0;
  };

  const chart = (node, kind, members, picked, logarithmic) => {
    const metrics = trials.metrics.filter((name) => kindOf(name) === kind);
    const titles = [...new Set(metrics.map(titleIn))];
    const traces = [];
    for (const metric of metrics) {
      const train = metric.startsWith("train");
      const colour = colours[(2 * titles.indexOf(titleIn(metric)) + (train ? 1 : 0)) % colours.length];
      const course = escaped(trials.courses[trials.metrics.indexOf(metric)]);
      members.forEach((trial, i) => {
        const chosen = picked === null || picked === i;
        traces.push({
          type: "scatter", mode: trial.points > 1 ? "lines" : "markers", x: epochsOf(trial), y: curveOf(trial, metric),
          name: course, legendgroup: metric, showlegend: i === 0,
          opacity: chosen ? (picked === null && members.length > 1 ? 0.6 : 1) : 0.15,
          line: { color: colour, dash: train ? "dash" : "solid", width: picked === i ? 3.5 : 2 },
          marker: { color: colour },
          hovertemplate: `${escaped(nameOf(trial))}, epoch %{x}: %{y:.4g}<extra>${course}</extra>`,
        });
      });
    }
    Plotly.react(node, traces, {
      font: { family: "system-ui, sans-serif", size: 13, color: "#1a1a1a" },
      margin: { l: 58, r: 10, t: 26, b: 42 }, hovermode: "closest", showlegend: true, dragmode: DRAG,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      xaxis: { title: { text: "epoch" }, gridcolor: "#e4e4e4", zeroline: false, rangemode: "tozero", automargin: true },
      yaxis: {
        title: { text: escaped(titles.join(", ")) }, gridcolor: "#e4e4e4", zeroline: false, automargin: true,
        ...(logarithmic ? { type: "log", tickformat: "~g", dtick: ratio(members) > 1000 ? 1 : "D2" } : {}),
      },
    }, config);
  };

  const trialTable = (members, pick) => {
    const head = ["", "verdict and its evidence", "state", "epochs", ...trials.metrics.map(words), "seconds"];
    const rows = members.map((trial, i) => el("tr", {},
      el("td", {}, el("button", { type: "button", class: "button pick", "aria-pressed": "false", onclick: () => pick(i) }, nameOf(trial))),
      el("td", { class: "text long" },
        `${trial.verdict}: ${trial.evidence}${trial.advice && `; ${trial.advice}`}`),
      el("td", { class: trial.state === "completed" ? null : "bad" }, trial.state),
      el("td", {}, String(trial.epochs)),
      ...trial.metrics.map((x) => el("td", {}, score(x))),
      el("td", {}, value(trial.seconds))));
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Trials of this setting" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...head.map((text, i) => el("th", { scope: "col", class: i === 1 ? "text" : null }, text)))),
        el("tbody", {}, ...rows)));
  };

  const panelOf = (place, close) => {
    const members = ofSetting.get(place) || [];
    const charts = el("div", { class: "charts" });
    const kinds = ["loss", "score"].filter((kind) =>
      trials.metrics.some((name) => kindOf(name) === kind) && members.some((trial) => trial.points));
    const nodes = kinds.map((kind) => el("div", {
      class: "chart", role: "img",
      "aria-label": `Curves of the ${kind} in training and validation by epoch; the last values are in the table below.`,
    }));
    charts.append(...nodes);
    const logarithm = el("input", { type: "checkbox", onchange: () => draw() });
    logarithm.checked = ratio(members) > 20;
    let picked = null;
    const pick = (i) => {
      picked = picked === i ? null : i;
      panel.querySelectorAll(".pick").forEach((button, k) => button.setAttribute("aria-pressed", String(k === picked)));
      draw();
    };
    const draw = () => nodes.forEach((node, i) => chart(node, kinds[i], members, picked, kinds[i] === "loss" && logarithm.checked));
    const thinned = members.some((trial) => trial.points < trial.epochs)
      ? [el("p", { class: "soft" }, `Of longer curves, ${trials.most_epochs} epochs at equal distances are drawn, the first and the last among them.`)]
      : [];
    const panel = el("div", { class: close ? "panel" : "panel home" },
      el("div", { class: "head" },
        el("h3", { tabindex: "-1" }, titleOf(place)),
        ...(nodes.length ? [el("label", {}, logarithm, " logarithmic loss")] : []),
        ...(close ? [el("button", { type: "button", class: "button close", onclick: close }, "Close")] : [])),
      nodes.length ? charts : el("p", { class: "soft" }, "There are no curves of this setting."),
      ...thinned,
      trialTable(members, pick));
    return { panel, draw };
  };

  // -- one panel at a time is open, under the figure or the row that was clicked ---------------------------------

  let opened = null;
  const close = (refocus) => {
    if (!opened) return;
    const { panel, holder, origin, done } = opened;
    opened = null;
    panel.querySelectorAll(".chart").forEach((node) => Plotly.purge(node));
    (holder || panel).remove();
    done();
    if (refocus && origin) origin.focus();
  };
  const open = (place, put, origin, done) => {
    close(false);
    const { panel, draw } = panelOf(place, () => close(true));
    const holder = put(panel);
    opened = { panel, holder, origin, done, place };
    draw();
    if (holder) holder.previousElementSibling.scrollIntoView({ block: "start" });
    else panel.scrollIntoView({ block: "nearest" });
    panel.querySelector("h3").focus({ preventScroll: true });
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close(true);
  });

  // -- figures ---------------------------------------------------------------------------------------------------

  for (const [name, figure] of Object.entries(figures)) {
    const node = document.getElementById(name);
    Plotly.newPlot(node, figure.traces, { ...figure.layout, dragmode: DRAG },
      figure.layout.yaxis.fixedrange ? { ...config, displayModeBar: false } : config);
    node.on("plotly_click", (event) => {
      const place = event.points.map((point) => point.customdata).find((each) => each >= 0);
      if (place === undefined) return;
      open(place, (panel) => { node.closest("figure").append(panel); return null; }, null, () => {});
    });
  }

  // -- the table of settings -------------------------------------------------------------------------------------

  const whole = document.getElementById("settings");
  if (whole) {
    const body = whole.querySelector("tbody");
    const said = document.getElementById("said");
    const [before, after] = ["before", "after"].map((id) => document.getElementById(id));
    const search = document.getElementById("search");
    const main = column(`mean_${data.metric}`);
    const shown = (row, place, i) => {
      const { kind } = table.columns[i];
      if (kind === "score") return score(row[i]);
      if (kind === "interval") return row[i] === null ? "–" : `${score(row[i])} to ${score(table.high[place])}`;
      if (kind === "yes") return row[i] === null ? "–" : row[i] ? "yes" : "no";
      return value(row[i]);
    };
    const texts = table.rows.map((row, place) => row.map((_, i) => shown(row, place, i)).join("  ").toLowerCase());
    let order = table.rows.map((_, place) => place);
    let sorted = { at: 0, up: true };
    let page = 0;

    const compare = (a, b) => {
      const [x, y] = [table.rows[a][sorted.at], table.rows[b][sorted.at]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b; // what is unknown stays at the end
      const found = typeof x === "number" && typeof y === "number"
        ? x - y
        : String(x).localeCompare(String(y), "en", { numeric: true });
      return (sorted.up ? found : -found) || a - b;
    };

    const rowOf = (place) => {
      const row = table.rows[place];
      const cells = row.map((_, i) => {
        if (i > 0) return el("td", { class: table.columns[i].kind === "text" ? "text" : null }, shown(row, place, i));
        const label = row[0] === null ? "–" : String(row[0]);
        return el("td", {}, el("button", {
          type: "button", class: "opener", "aria-expanded": "false", "aria-label": `${titleOf(place)}: learning curves`,
        }, label));
      });
      const node = el("tr", { class: "row", "data-place": place }, ...cells);
      node.addEventListener("click", () => toggle(node, place));
      return node;
    };

    const toggle = (node, place) => {
      const button = node.querySelector("button");
      if (opened && opened.origin === button) {
        close(true);
        return;
      }
      open(place, (panel) => {
        const holder = el("tr", {}, el("td", { class: "holder", colspan: table.columns.length }, panel));
        panel.style.width = `${whole.parentElement.clientWidth}px`;
        node.after(holder);
        node.classList.add("open");
        button.setAttribute("aria-expanded", "true");
        return holder;
      }, button, () => {
        node.classList.remove("open");
        button.setAttribute("aria-expanded", "false");
      });
    };

    const fill = () => {
      if (opened && opened.holder) close(false);
      const wanted = search.value.trim().toLowerCase();
      const chosen = wanted ? order.filter((place) => texts[place].includes(wanted)) : order;
      const pages = Math.max(1, Math.ceil(chosen.length / PAGE));
      page = Math.min(page, pages - 1);
      body.replaceChildren(...chosen.slice(page * PAGE, (page + 1) * PAGE).map(rowOf));
      before.disabled = page === 0;
      after.disabled = page === pages - 1;
      before.hidden = after.hidden = pages === 1;
      const { title } = table.columns[sorted.at];
      said.textContent = `${chosen.length.toLocaleString("en")} settings, sorted by ${words(title)}, ${sorted.up ? "ascending" : "descending"}`
        + (pages > 1 ? `; page ${page + 1} of ${pages}` : "");
    };

    const heads = whole.tHead.querySelectorAll("th");
    heads.forEach((cell, i) => {
      cell.querySelector("button").addEventListener("click", () => {
        const upwards = i === main ? !data.larger : true; // the first click brings the best to the top
        sorted = { at: i, up: sorted.at === i ? !sorted.up : upwards };
        heads.forEach((each) => each.setAttribute("aria-sort", "none"));
        cell.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
        order = order.slice().sort(compare);
        page = 0;
        fill();
      });
    });
    before.addEventListener("click", () => { page -= 1; fill(); });
    after.addEventListener("click", () => { page += 1; fill(); });
    search.addEventListener("input", () => { page = 0; fill(); });
    fill();
  }

  const home = document.getElementById("best-curves");
  if (home && table.rows.length) {
    const { panel, draw } = panelOf(0, null);
    home.append(panel);
    draw();
  }

  // Figures have the width of the screen until they are told that of the paper, in pixels.
  const PAPER = 680;
  const fit = (width) => document.querySelectorAll(".js-plotly-plot").forEach((node) => {
    const room = node.classList.contains("chart") ? width / 2 - 24 : width;
    Plotly.relayout(node, width ? { autosize: false, width: room } : { autosize: true, width: null });
  });
  window.addEventListener("beforeprint", () => fit(PAPER));
  window.addEventListener("afterprint", () => fit(0));
})();
