// What the console's pages do beside showing: follow what they show, tell how old it is, close menus, and take "/" to the
// search.
(() => {
  "use strict";
  const AGES_EVERY_MS = 10000;
  const FIRST_PAUSE_MS = 1000;
  const LONGEST_PAUSE_MS = 30000;
  const LATER = [408, 429]; // of what is refused, what may be taken another time

  // -- ages --------------------------------------------------------------------------------------------------------

  const length = (seconds) => {
    if (seconds < 100) return `${Math.max(Math.round(seconds), 0)} s`;
    if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86400)} days`;
  };

  const age = () => {
    for (const each of document.querySelectorAll("time[data-age]")) {
      each.textContent = length((Date.now() - Date.parse(each.dateTime)) / 1000);
    }
  };
  setInterval(age, AGES_EVERY_MS);

  // -- menus -------------------------------------------------------------------------------------------------------

  // A menu opens and closes without a script; it also closes behind whoever leaves it, or takes Escape.
  for (const menu of document.querySelectorAll("details[name=places]")) {
    menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  // -- live --------------------------------------------------------------------------------------------------------

  const topics = (document.body.dataset.topics || "").split(" ").filter(Boolean);
  const told = document.getElementById("live");
  let stream = null;
  let lost = null;
  let again = 0;
  let asked = null;
  let pause = FIRST_PAUSE_MS;
  const address = `/live?${topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&")}`;

  const tell = (words, isLive) => {
    told.hidden = false;
    told.textContent = words;
    told.classList.toggle("good", isLive);
  };

  // A browser asks again by itself when nobody answers, and gives up when it is answered otherwise, as by a proxy that
  // finds nobody behind it. Then we ask: a stream doesn't say how it was answered.
  const lose = () => {
    lost ??= new Date().toISOString().slice(11, 19);
    tell(`not live since ${lost} UTC`, false);
    if (stream.readyState === EventSource.CLOSED) wait();
  };

  // Longer each time, and not all browsers at once.
  const wait = () => {
    again = setTimeout(ask, pause * (0.75 + Math.random() / 4));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };

  const ask = async () => {
    const mine = (asked = new AbortController());
    // No answer is none to stop for: it is asked for again.
    const status = await fetch(address, { signal: mine.signal }).then((answer) => answer.status, () => 0);
    if (mine.signal.aborted) return;
    if (status === 200) {
      mine.abort(); // how it begins was all that was asked for
      follow();
    } else if (status >= 400 && status < 500 && !LATER.includes(status)) {
      tell("not live: load this page anew", false);
    } else {
      wait();
    }
  };

  const follow = () => {
    stream = new EventSource(address);
    stream.addEventListener("open", () => {
      lost = null;
      pause = FIRST_PAUSE_MS;
      tell("live", true);
    });
    stream.addEventListener("error", lose);
    stream.addEventListener("moved", (event) => {
      for (const part of document.querySelectorAll("[data-topic]")) {
        if (part.dataset.topic === event.data) htmx.trigger(part, "moved");
      }
    });
    stream.addEventListener("over", () => {
      stream.close();
      location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    });
  };

  // A browser keeps few connections to one address open: what nobody looks at gives its own back.
  const leave = () => {
    clearTimeout(again);
    asked?.abort();
    stream?.close();
    stream = null;
  };

  const look = () => {
    if (document.hidden) {
      leave();
    } else if (!stream) {
      follow();
    }
  };

  if (topics.length && told) {
    document.addEventListener("visibilitychange", look);
    look();
  }
  window.addEventListener("pagehide", leave);

  // -- keyboard ----------------------------------------------------------------------------------------------------

  // Down leads from the search box to the first hit, then up and down from one to the next; also from a page of hits
  // that has just opened, where nothing has the focus yet.
  const step = (event, search) => {
    const hits = [...document.querySelectorAll("[data-hit]")];
    const before = event.target === search || (event.target === document.body && event.key === "ArrowDown");
    const at = before ? -1 : hits.indexOf(event.target);
    if (!hits.length || (at < 0 && !before)) return;
    const next = event.key === "ArrowDown" ? at + 1 : at - 1;
    if (next >= hits.length || next < -1) return;
    event.preventDefault();
    (next < 0 ? search : hits[next]).focus();
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    const search = document.querySelector("[data-search]");
    if (search && (event.key === "ArrowDown" || event.key === "ArrowUp")) step(event, search);
    if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });
})();
