"use strict";
const at = (id) => document.getElementById(id);

function line(name, times, values, low, high) {
  const known = values.filter((v) => v !== null);
  const from = low ?? Math.min(...known), to = high ?? Math.max(...known), span = to - from || 1;
  const first = times[0], long = times[times.length - 1] - first || 1;
  const title = document.createElement("p");
  title.textContent = `${name}, ${first.toFixed(1)} to ${(first + long).toFixed(1)} s: ${from.toPrecision(3)} to ${to.toPrecision(3)}`;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", name);
  let points = [];
  const close = () => {
    if (points.length) {
      const drawn = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
      drawn.setAttribute("points", points.join(" "));
      svg.append(drawn);
    }
    points = [];
  };
  values.forEach((v, k) => {
    if (v === null) close();
    else points.push(`${(1000 * (times[k] - first) / long).toFixed(1)},${(98 - 96 * (v - from) / span).toFixed(1)}`);
  });
  close();
  at("lines").append(title, svg);
}

function show(found) {
  at("result").hidden = false;
  for (const id of ["faces", "lines", "reasons", "called"]) at(id).replaceChildren();
  at("p").textContent = found.p_pain === null ? "no estimate" : found.p_pain.toFixed(3);
  at("called").textContent = found.p_pain === null ? "" : `called: ${found.called} (above ${found.threshold} a class of pain is called)`;
  for (const face of found.faces) {
    const figure = document.createElement("figure"), picture = document.createElement("img"), text = document.createElement("figcaption");
    picture.src = face.picture;
    picture.alt = "the face as it is cut out";
    text.textContent = `${face.time_s.toFixed(2)} s`;
    figure.append(picture, text);
    at("faces").append(figure);
  }
  for (const drawn of found.lines) line(drawn.name, drawn.time_s, drawn.values, drawn.low, drawn.high);
  at("reasons").textContent = found.reasons.join("\n");
}

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
