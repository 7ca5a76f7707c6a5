"use strict";
const at = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

function element(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

function short(value) {
  return Number(value.toPrecision(3)).toString();
}

function line(name, times, values, low, high, threshold) {
  const known = values.filter((v) => v !== null);
  const from = low ?? Math.min(...known), to = high ?? Math.max(...known), span = to - from || 1;
  const first = times[0], long = times[times.length - 1] - first || 1;
  const height = (v) => (98 - 96 * (v - from) / span).toFixed(1);
  const figure = element("figure", "", at("lines"));
  element("figcaption", name, figure);
  const scale = element("div", "", figure);
  scale.className = "scale";
  if (known.length) for (const end of [to, from]) element("span", short(end), scale);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", name);
  if (threshold !== undefined) {
    const drawn = document.createElementNS(SVG, "line");
    for (const [key, value] of [["x1", 0], ["x2", 1000], ["y1", height(threshold)], ["y2", height(threshold)]]) drawn.setAttribute(key, value);
    svg.append(drawn);
  }
  let points = [];
  const close = () => {
    if (points.length) {
      const drawn = document.createElementNS(SVG, "polyline");
      drawn.setAttribute("points", points.join(" "));
      svg.append(drawn);
    }
    points = [];
  };
  values.forEach((v, k) => {
    if (v === null) close();
    else points.push(`${(1000 * (times[k] - first) / long).toFixed(1)},${height(v)}`);
  });
  close();
  figure.append(svg);
  const clock = element("div", "", figure);
  clock.className = "clock";
  for (const part of [0, 0.25, 0.5, 0.75, 1]) element("span", `${(first + part * long).toFixed(1)} s`, clock);
}

function show(found) {
  at("result").hidden = false;
  for (const id of ["faces", "lines", "reasons", "called"]) at(id).replaceChildren();
  at("p").textContent = found.value === null ? "no estimate" : found.value.toFixed(3);
  at("called").textContent = found.called ?? "";
  for (const face of found.faces) {
    const figure = document.createElement("figure"), picture = document.createElement("img"), text = document.createElement("figcaption");
    picture.src = face.picture;
    picture.alt = "the face as it is cut out";
    text.textContent = `${face.time_s.toFixed(2)} s`;
    figure.append(picture, text);
    at("faces").append(figure);
  }
  for (const drawn of found.lines) line(drawn.name, drawn.time_s, drawn.values, drawn.low, drawn.high, drawn.threshold ?? undefined);
  at("reasons").textContent = found.reasons.join("\n");
}

// A result beside the name of another file would be taken for that file's.
at("form").addEventListener("change", () => { at("result").hidden = true; at("state").textContent = ""; });

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const inputs = ["video", "signals"].map(at).filter((input) => input && input.files.length);
  const parts = inputs.map((input) => [input.id, encodeURIComponent(input.files[0].name), input.files[0].size]);
  at("result").hidden = true;
  at("judge").disabled = true;
  at("state").textContent = "reading …";
  try {
    const answer = await fetch("/judge", {
      method: "POST", headers: { "X-Parts": JSON.stringify(parts) }, body: new Blob(inputs.map((input) => input.files[0])),
    });
    const found = await answer.json();
    at("state").textContent = found.error ?? "";
    if (!found.error) show(found);
  } catch (error) {
    at("state").textContent = `the program does not answer: ${error.message}`;
  } finally {
    at("judge").disabled = false;
  }
});
