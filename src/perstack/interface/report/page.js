"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

  const list = byId("list"), all = byId("all"), shown = byId("event"), search = byId("search"), count = byId("count");
  if (list) {
    const ROW = 26;
    const lines = JSON.parse(byId("events").textContent);
    const texts = lines.map((line) => line.toLowerCase());
    let found = lines.map((_, index) => index), chosen = -1;
    const draw = () => {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
      const last = Math.min(found.length, first + Math.ceil(list.clientHeight / ROW) + 10);
      const rows = document.createDocumentFragment();
      for (let place = first; place < last; place += 1) {
        const row = document.createElement("div");
        row.className = place === chosen ? "row on" : "row";
        row.style.top = `${place * ROW}px`;
        row.textContent = lines[found[place]].slice(0, 400);
        row.dataset.place = place;
        rows.append(row);
      }
      all.replaceChildren(rows);
    };
    const choose = (place) => {
      if (place < 0 || place >= found.length) return;
      chosen = place;
      if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
      if ((place + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (place + 1) * ROW - list.clientHeight;
      const text = lines[found[place]];
      try { shown.textContent = JSON.stringify(JSON.parse(text), null, 2); } catch { shown.textContent = text; }
      shown.hidden = false;
      draw();
    };
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      found = [];
      texts.forEach((text, index) => { if (words.every((word) => text.includes(word))) found.push(index); });
      all.style.height = `${found.length * ROW}px`;
      count.textContent = `${found.length.toLocaleString("en")} of ${lines.length.toLocaleString("en")}`;
      chosen = -1;
      list.scrollTop = 0;
      draw();
    };
    let waiting = 0;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
    list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
    list.addEventListener("click", (event) => { if (event.target.dataset.place) choose(Number(event.target.dataset.place)); });
    list.addEventListener("keydown", (event) => {
      const page = Math.floor(list.clientHeight / ROW);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -found.length, End: found.length };
      if (!(event.key in steps)) return;
      event.preventDefault();
      choose(Math.min(found.length - 1, Math.max(0, chosen + steps[event.key])));
    });
    filter();
  }

  // A comparison is one picture: before, after, difference, side by side. Two windows onto it make the slider.
  document.querySelectorAll(".compare").forEach((place) => {
    const source = place.querySelector("figure img"), gap = 8;
    const build = () => {
      const width = (source.naturalWidth - 2 * gap) / 3, height = source.naturalHeight;
      if (!Number.isInteger(width) || width < 1) return;
      const frame = document.createElement("div"), over = document.createElement("div");
      frame.className = "slider";
      over.className = "over";
      const scale = Math.min(1, place.clientWidth / width);
      frame.style.width = `${width * scale}px`;
      frame.style.height = `${height * scale}px`;
      const view = (shift) => {
        const image = document.createElement("img");
        image.src = source.src;
        image.alt = "";
        image.style.width = `${source.naturalWidth * scale}px`;
        image.style.left = `${-shift * scale}px`;
        return image;
      };
      frame.append(view(width + gap), over);
      over.append(view(0));
      const range = document.createElement("input");
      range.type = "range";
      range.value = 50;
      range.setAttribute("aria-label", "How much of the picture is shown as it was before");
      const slide = () => { over.style.width = `${range.value}%`; };
      range.addEventListener("input", slide);
      slide();
      place.prepend(frame, range);
    };
    if (source.complete) build(); else source.addEventListener("load", build);
  });
})();
