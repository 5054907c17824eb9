// Small behaviours. Every form works without them.
(() => {
  "use strict";

  const menu = document.querySelector("[data-menu]");
  const side = document.querySelector(".side");
  if (menu && side) {
    menu.addEventListener("click", () => {
      const open = side.classList.toggle("open");
      menu.setAttribute("aria-expanded", String(open));
    });
  }

  document.addEventListener("keydown", (event) => {
    const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
    const search = document.querySelector("[data-search]") ?? document.querySelector("#q");
    if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open]").forEach((details) => details.removeAttribute("open"));
    }
  });

  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((details) => {
      if (!details.contains(event.target)) details.removeAttribute("open");
    });
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.dataset.done = "1"; copy.lastChild.textContent = " Copied"; });
    }
  });

  document.addEventListener("change", (event) => {
    const target = event.target;
    if (target.matches("[data-submit]")) target.form.requestSubmit();
    const table = target.closest("[data-pick]");
    if (!table || target.type !== "checkbox") return;
    const boxes = [...table.querySelectorAll("tbody input[type=checkbox]:not(:disabled)")];
    if (target.matches("[data-all]")) boxes.forEach((box) => { box.checked = target.checked; });
    const picked = boxes.filter((box) => box.checked);
    boxes.forEach((box) => box.closest("tr").classList.toggle("picked", box.checked));
    const all = table.querySelector("[data-all]");
    if (all) {
      all.checked = picked.length === boxes.length && boxes.length > 0;
      all.indeterminate = picked.length > 0 && !all.checked;
    }
    document.querySelectorAll("[data-picked]").forEach((element) => { element.textContent = String(picked.length); });
    const bar = document.querySelector("[data-bulk]");
    if (bar) bar.hidden = picked.length === 0;
  });

  // A part that refreshes itself waits while somebody is working in it, even if they began after it had asked.
  const busy = (part) => part.matches("[hx-trigger~=live], [hx-trigger^=every]")
    && part.querySelector("details[open], input:focus, input:checked, select:focus, textarea:focus, button:focus, a:focus");
  document.addEventListener("htmx:beforeRequest", (event) => { if (busy(event.detail.elt)) event.preventDefault(); });
  document.addEventListener("htmx:beforeSwap", (event) => { if (busy(event.detail.target)) event.detail.shouldSwap = false; });

  // What scrolls can be scrolled with the keyboard too.
  const reachable = () => document.querySelectorAll(".scroll").forEach((area) => {
    const scrolls = area.scrollWidth > area.clientWidth || area.scrollHeight > area.clientHeight;
    if (scrolls) area.tabIndex = 0;
    else area.removeAttribute("tabindex");
  });
  window.addEventListener("resize", reachable);
  document.addEventListener("htmx:afterSettle", reachable);
  reachable();

  document.querySelectorAll("[data-bulk]").forEach((bar) => { bar.hidden = true; });
})();

// The wizard's sums, as units are picked.
(() => {
  "use strict";
  const form = document.querySelector("[data-wizard]");
  if (!form) return;
  const say = (name, text) => { const place = form.querySelector(`[data-sum=${name}]`); if (place) place.textContent = text; };
  const figure = (value, decimals) => value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  const sum = () => {
    const picked = [...form.querySelectorAll("tbody input:checked")];
    const watts = picked.reduce((total, box) => total + Number(box.dataset.w), 0);
    const ths = picked.reduce((total, box) => total + Number(box.dataset.ths), 0);
    const kwh = (watts / 1000) * Number(form.dataset.hours) * Number(form.dataset.uptime);
    say("ths", `${figure(ths, 0)} TH/s`);
    say("kw", `${figure(watts / 1000, 1)} kW`);
    say("kwh", figure(kwh, 0));
    say("bill", figure((kwh * Number(form.dataset.rate)) / 1e6, 2));
    if (form.dataset.cap) say("cap", `· ${figure((watts * 100) / Number(form.dataset.cap), 0)} % used`);
  };
  form.addEventListener("change", sum);
  sum();
})();

// The brand's preview follows the form.
(() => {
  "use strict";
  const form = document.querySelector("[data-brand]");
  const preview = document.querySelector("[data-preview]");
  if (!form || !preview) return;
  const light = (colour) => {
    const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const textOn = (colour) => (1.05 / (light(colour) + 0.05) >= (light(colour) + 0.05) / 0.06 ? "#fff" : "#141b29");
  const follow = () => {
    const colour = form.elements.colour_primary.value;
    preview.style.setProperty("--brand", colour);
    preview.style.setProperty("--on-brand", textOn(colour));
    preview.style.setProperty("--brand-2", form.elements.colour_accent.value);
    const button = preview.querySelector("[data-button]");
    button.style.background = colour;
    button.style.borderColor = colour;
    button.style.color = textOn(colour);
    preview.querySelectorAll("[data-show]").forEach((place) => { place.textContent = form.elements[place.dataset.show].value; });
  };
  form.addEventListener("input", follow);
  follow();
})();
