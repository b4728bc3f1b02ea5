"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  // What people do not see could make a text look like another one.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;
  const visible = (text) => text.replace(HIDDEN, (sign) => `<U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
  const piece = (className, text) => {
    const span = document.createElement("span");
    span.className = className;
    span.textContent = text;
    return span;
  };

  const list = byId("list"), all = byId("all"), browse = byId("browse"), shown = byId("event");
  const search = byId("search"), kind = byId("kind"), count = byId("count");
  const ROW = 28, HIGHEST = 8000000; // pixels; browsers draw nothing that lies much deeper
  const started = Number(list.dataset.started);
  const lines = JSON.parse(byId("events").textContent);
  const types = lines.map((line) => /^\{"type":"([^"]*)"/.exec(line)?.[1] ?? "");
  let texts = null, found = lines.map((_, index) => index), chosen = -1, words = [];

  const tally = new Map();
  types.forEach((type) => tally.set(type, (tally.get(type) ?? 0) + 1));
  [...tally.keys()].sort().forEach((type) => {
    kind.add(new Option(visible(`${type} (${tally.get(type).toLocaleString("en")})`), type));
  });

  // The place of a row is its number times a height, as long as a page may be that high; beyond that, a share.
  const height = () => Math.min(found.length * ROW, HIGHEST);
  const room = () => Math.max(1, height() - list.clientHeight);
  const most = () => Math.max(0, found.length - list.clientHeight / ROW);
  const top = () => found.length * ROW <= HIGHEST ? list.scrollTop / ROW : Math.min(1, list.scrollTop / room()) * most();
  const goTo = (place) => { list.scrollTop = found.length * ROW <= HIGHEST ? place * ROW : place / Math.max(1, most()) * room(); };

  const clock = (at) => {
    const seconds = (at - started) / 1000;
    return seconds < 600 ? `+${seconds.toFixed(1)} s` : `+${Math.floor(seconds / 60)} min`;
  };
  const row = (place, first) => {
    const line = document.createElement("div"), text = lines[found[place]];
    line.className = `row${place % 2 ? " odd" : ""}${place === chosen ? " on" : ""}`;
    line.style.top = `${list.scrollTop + (place - first) * ROW}px`;
    line.id = `event-${place}`;
    line.dataset.place = place;
    line.setAttribute("role", "option");
    line.setAttribute("aria-selected", place === chosen);
    line.setAttribute("aria-posinset", place + 1);
    line.setAttribute("aria-setsize", found.length);
    try {
      const { type, id, timestamp, jobId, runId, expertKey, stepNumber, ...rest } = JSON.parse(text);
      line.append(piece("at", clock(timestamp)), piece("type", visible(String(type))), " ");
      if (expertKey) line.append(piece("who", visible(String(expertKey))), " ");
      if (Object.keys(rest).length) line.append(piece("more", visible(JSON.stringify(rest).slice(0, 300))));
    } catch { line.textContent = visible(text.slice(0, 300)); }
    return line;
  };
  const draw = () => {
    const first = top(), from = Math.max(0, Math.floor(first) - 5);
    const to = Math.min(found.length, Math.ceil(first + list.clientHeight / ROW) + 5);
    const rows = document.createDocumentFragment();
    for (let place = from; place < to; place += 1) rows.append(row(place, first));
    all.replaceChildren(rows);
    if (chosen >= from && chosen < to) list.setAttribute("aria-activedescendant", `event-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  };
  const marked = (text) => {
    const part = document.createDocumentFragment();
    if (!words.length) { part.append(text); return part; }
    const safe = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    text.split(new RegExp(`(${safe.join("|")})`, "gi")).forEach((bit, number) => {
      if (number % 2 === 0) { part.append(bit); return; }
      const mark = document.createElement("mark");
      mark.textContent = bit;
      part.append(mark);
    });
    return part;
  };
  const choose = (place) => {
    if (place < 0 || place >= found.length) return;
    chosen = place;
    shown.hidden = false;
    browse.classList.add("open");
    const first = top(), whole = Math.floor(list.clientHeight / ROW);
    if (place < first) goTo(place);
    else if (place + 1 > first + whole) goTo(place - whole + 1);
    let text = lines[found[place]];
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
    byId("event-title").textContent = `Event ${(found[place] + 1).toLocaleString("en")} of ${lines.length.toLocaleString("en")}`;
    byId("event-text").replaceChildren(marked(visible(text)));
    shown.scrollTop = 0;
    draw();
  };
  const filter = () => {
    words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) texts ??= lines.map((line) => line.toLowerCase());
    found = [];
    for (let index = 0; index < lines.length; index += 1) {
      if ((!kind.value || types[index] === kind.value) && words.every((word) => texts[index].includes(word))) found.push(index);
    }
    all.style.height = `${height()}px`;
    count.textContent = `${found.length.toLocaleString("en")} of ${lines.length.toLocaleString("en")}`;
    chosen = -1;
    list.scrollTop = 0;
    draw();
  };
  let waiting = 0, drawing = 0;
  const soon = () => { cancelAnimationFrame(drawing); drawing = requestAnimationFrame(draw); };
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
  search.addEventListener("keydown", (event) => { if (event.key === "ArrowDown" && found.length) { event.preventDefault(); list.focus(); choose(0); } });
  kind.addEventListener("change", filter);
  list.addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(list);
  list.addEventListener("click", (event) => {
    const line = event.target.closest(".row");
    if (line) choose(Number(line.dataset.place));
  });
  list.addEventListener("keydown", (event) => {
    const page = Math.floor(list.clientHeight / ROW);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -found.length, End: found.length };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(Math.min(found.length - 1, Math.max(0, chosen + steps[event.key])));
  });
  filter();

  // A comparison is one picture: before, after, difference, side by side. Two windows onto it make the slider.
  document.querySelectorAll(".compare").forEach((place) => {
    const source = place.querySelector("figure img"), gap = 8;
    const build = () => {
      const width = (source.naturalWidth - 2 * gap) / 3, tall = source.naturalHeight;
      if (!Number.isInteger(width) || width < 1) return;
      const frame = document.createElement("div"), over = document.createElement("div");
      frame.className = "slider";
      over.className = "over";
      const view = (shift) => {
        const image = document.createElement("img");
        image.src = source.src;
        image.alt = "";
        image.dataset.shift = shift;
        return image;
      };
      over.append(view(0), piece("side", "before"));
      frame.append(view(width + gap), piece("side", "after"), over);
      const range = document.createElement("input");
      range.type = "range";
      range.value = 50;
      range.setAttribute("aria-label", `${source.alt}: how much is shown as it was before`);
      const slide = () => { over.style.width = `${range.value}%`; };
      const fit = () => {
        const scale = Math.min(1, place.clientWidth / width);
        frame.style.width = range.style.width = `${width * scale}px`;
        frame.style.height = `${tall * scale}px`;
        frame.querySelectorAll("img").forEach((image) => {
          image.style.width = `${source.naturalWidth * scale}px`;
          image.style.left = `${-image.dataset.shift * scale}px`;
        });
      };
      const drag = (event) => {
        if (!(event.buttons & 1)) return;
        const box = frame.getBoundingClientRect();
        range.value = 100 * (event.clientX - box.left) / box.width;
        slide();
      };
      frame.addEventListener("pointerdown", (event) => { frame.setPointerCapture(event.pointerId); drag(event); });
      frame.addEventListener("pointermove", drag);
      range.addEventListener("input", slide);
      slide();
      fit();
      place.prepend(frame, range);
      new ResizeObserver(fit).observe(place);
    };
    if (source.complete) build(); else source.addEventListener("load", build);
  });

  // On paper nothing can be unfolded.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
})();
