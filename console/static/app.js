// The pages work without this. It keeps them new while something happens, and finds the filter by a key.
"use strict";
(() => {
  const app = document.body.dataset.liveApp;
  const live = document.getElementById("live");
  const say = (text, state) => { live.textContent = text; live.dataset.state = state; };

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    const filter = document.getElementById("filter");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
    filter.select();
  });

  const filter = document.getElementById("filter");
  const sift = () => {
    if (!filter) return;
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of document.querySelectorAll("[data-row]")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  };
  if (filter) filter.addEventListener("input", sift);

  if (!app || !window.EventSource) return;

  // Only parts that show news are replaced, so that a form that somebody fills in stays as it is.
  let asked = false, running = false, last = 0;
  const refresh = async () => {
    if (running) { asked = true; return; }
    running = true;
    try {
      do {
        asked = false;
        await new Promise((resolve) => setTimeout(resolve, Math.max(200, last + 1000 - Date.now())));
        last = Date.now();
        const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
        if (answer.type === "opaqueredirect") { location.reload(); return; }
        if (!answer.ok) return;
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live]")) {
          const part = next.getElementById(old.id);
          if (!part || old.innerHTML === part.innerHTML) continue;
          const focus = old.contains(document.activeElement) ? document.activeElement : null;
          const href = focus && focus.getAttribute("href");
          old.replaceChildren(...part.childNodes);
          if (href) { const again = old.querySelector(`[href="${CSS.escape(href)}"]`); if (again) again.focus(); }
        }
        sift();
      } while (asked);
    } catch { /* the next notice tries again */ } finally { running = false; }
  };

  const url = "/v1/events" + (app === "*" ? "" : "?app=" + encodeURIComponent(app));
  let source = null, lost = false;
  const close = () => { if (source) source.close(); source = null; };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(url);
    source.addEventListener("open", () => { say("Live", "on"); if (lost) refresh(); lost = false; });
    source.addEventListener("error", () => {
      lost = true;
      say("Not connected", "off");
      if (source && source.readyState === EventSource.CLOSED) { close(); setTimeout(open, 5000); }
    });
    for (const kind of ["status", "progress", "ticket", "ended"]) source.addEventListener(kind, refresh);
  };
  open();
  // A browser has six connections for one host, and pages in the background must not take them all.
  document.addEventListener("visibilitychange", () => { if (document.hidden) { close(); lost = true; } else open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) { lost = true; open(); } });
  setInterval(() => { if (!document.hidden) refresh(); }, 30000); // ages grow while nothing happens
})();
