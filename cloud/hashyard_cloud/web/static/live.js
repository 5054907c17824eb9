// Keeps [hx-trigger~=live] parts fresh. One stream for a whole browser: the tab that holds the lock listens and tells the others.
// Where there are no locks (plain HTTP to another machine) only the tab that is looked at listens.
(() => {
  "use strict";
  const address = document.body.dataset.live;
  if (!address || !window.EventSource) return;
  const LEAST_MS = 2000;
  const WITHOUT_STREAM_MS = 15000;
  const parts = () => document.querySelectorAll("[hx-trigger~=live]");
  const others = "BroadcastChannel" in window ? new BroadcastChannel(`hashyard-live ${address}`) : null;
  let source = null;
  let last = 0;
  let waiting = null;
  let polling = null;

  const refresh = () => {
    waiting = null;
    if (document.hidden) { last = 0; return; }
    last = Date.now();
    parts().forEach((part) => htmx.trigger(part, "live"));
  };
  const soon = () => {
    if (waiting === null) waiting = setTimeout(refresh, Math.max(0, last + LEAST_MS - Date.now()));
  };
  const told = (kind) => {
    // A beat is for what changed elsewhere, and for ages.
    if (kind === "news" || Date.now() - last > WITHOUT_STREAM_MS - 1000) soon();
  };
  // Not at once: the page may be on its way elsewhere. A part that may no longer be asked for leads to the door.
  const ended = () => setTimeout(refresh, LEAST_MS);
  const close = () => { source?.close(); source = null; };
  const poll = () => { polling ??= setInterval(() => { if (!document.hidden) soon(); }, WITHOUT_STREAM_MS); };

  const open = () => new Promise((finish) => {
    close();
    source = new EventSource(address);
    for (const kind of ["news", "beat"]) {
      source.addEventListener(kind, () => { others?.postMessage(kind); told(kind); });
    }
    source.addEventListener("end", () => { others?.postMessage("end"); close(); finish(); ended(); });
    // While it is only interrupted the browser comes back by itself; when it was refused pages ask now and then.
    source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) { close(); poll(); finish(); } });
  });

  if (others) others.onmessage = (event) => { if (event.data === "end") ended(); else told(event.data); };
  if (navigator.locks && others) {
    navigator.locks.request(`hashyard-live ${address}`, open);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
  } else {
    const look = () => { if (document.hidden) close(); else { soon(); if (!source) open(); } };
    document.addEventListener("visibilitychange", look);
    if (!document.hidden) open();
  }
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
