// The technician's page: shows the day as it is known, keeps it, and follows what becomes of what was done.
(() => {
  "use strict";
  const field = (window.field = window.field || {});
  const LOOK_EVERY_MS = 2000;
  const DAY_EVERY_MS = 60000;
  const DAY_KEPT_MS = 16 * 3600 * 1000; // longer than a session lasts, and than anybody works
  const [jobs, others] = [document.getElementById("jobs"), document.getElementById("others")];
  const shown = new Map();
  let acts = [];
  let isSignedOut = false;
  let over = null; // the token of the session that has ended here

  Object.assign(field, { day: null, isFresh: false, stale: false, dayMoved: false });
  field.jobOf = (id) => field.day?.jobs.find((job) => job.visit.visit_id === id);
  const own = () => acts.filter((act) => act.owner === field.day?.owner);
  field.actsOf = (id) => own().filter((act) => act.visit_id === id);
  const { line, link, put, counted, actLine, make, update } = field.parts;

  // -- the page --------------------------------------------------------------------------------------------------------

  const showJobs = () => {
    const wanted = new Set(field.day.jobs.map((job) => job.visit.visit_id));
    for (const [id, element] of shown) {
      if (!wanted.has(id)) {
        element.remove();
        shown.delete(id);
      }
    }
    for (const job of field.day.jobs) {
      const id = job.visit.visit_id;
      if (!shown.has(id)) shown.set(id, make(id));
      update(shown.get(id), job);
    }
    const order = field.day.jobs.map((job) => shown.get(job.visit.visit_id));
    if (order.some((element, at) => jobs.children[at] !== element)) jobs.replaceChildren(...order);
  };

  // Of what somebody else did on this device only how much waits: neither what it is, nor a way to take it away.
  const showOthers = () => {
    const elsewhere = own().filter((act) => !field.jobOf(act.visit_id));
    const waiting = new Map();
    for (const act of acts) {
      if (act.owner !== field.day.owner && act.state !== "sent") waiting.set(act.owner, (waiting.get(act.owner) || 0) + 1);
    }
    others.hidden = !elsewhere.length && !waiting.size;
    const lines = elsewhere.map((act) => {
      const made = actLine(act);
      made.prepend(`visit ${act.visit_id}, ${act.address}. `);
      return made;
    });
    const theirs = [...waiting].map(([owner, number]) => line(`${counted(number, "act waits", "acts wait")} until ${owner} signs in`));
    put(others.querySelector(".kept"), [...lines, ...theirs]);
  };

  const showVan = () => {
    const stock = field.day?.stock || [];
    const van = document.getElementById("van");
    van.hidden = !stock.length;
    put(
      van.querySelector("ul"),
      stock.map(({ serial, state }) => line(`${serial}, ${state === "owned" ? "to be installed" : "taken back"}`)),
    );
    const serials = document.getElementById("van-serials");
    const owned = stock.filter((item) => item.state === "owned");
    put(
      serials,
      owned.map(({ serial }) => Object.assign(document.createElement("option"), { value: serial })),
    );
  };

  const standing = () => {
    const shownActs = field.day ? own() : acts;
    const waiting = shownActs.filter((act) => act.state === "waits").length;
    const refused = shownActs.filter((act) => act.state === "refused").length;
    const parts = [field.isFresh ? "online" : navigator.onLine ? "not reached" : "offline"];
    if (waiting) parts.push(`${counted(waiting, "act waits", "acts wait")} on this device`);
    if (refused) parts.push(`${refused} not taken`);
    if (shownActs.length && !waiting && !refused) parts.push("all sent");
    return parts.join(", ");
  };

  const show = () => {
    const told = document.getElementById("standing");
    const words = standing();
    if (told.textContent !== words) told.textContent = words;
    told.classList.toggle("good", field.isFresh);
    const notice = document.getElementById("told");
    notice.hidden = !isSignedOut;
    if (isSignedOut && !notice.childElementCount) {
      notice.replaceChildren("You are not signed in any more. What waits here is kept: ", link("/sign-in?next=/field", "sign in"), ".");
    }
    const lead = document.getElementById("lead");
    if (!field.day) {
      jobs.replaceChildren();
      others.querySelector(".kept").replaceChildren();
      others.hidden = true;
      shown.clear();
      showVan();
      lead.textContent = field.isFresh ? "" : "There is no day on this device yet; it comes with the first connection.";
      return;
    }
    const { owner, day, total, seen_at } = field.day;
    const more = total > field.day.jobs.length ? `, of which the first ${field.day.jobs.length} are here` : "";
    const since = field.isFresh ? "" : ` As it was at ${new Date(seen_at).toLocaleTimeString()}.`;
    lead.textContent = `${counted(total, "job", "jobs")} on ${day}${more}.${since}`;
    document.getElementById("whose").textContent = owner;
    document.getElementById("sign-out").hidden = !field.isFresh;
    document.querySelector("#sign-out [name=form_token]").value = field.day.form_token;
    showJobs();
    showVan();
    showOthers();
  };

  // What is kept has moved: read it again, and show it.
  field.moved = async () => {
    acts = await field.store.acts();
    show();
  };

  const keep = async () => {
    if (!field.day) return; // nobody's by now
    await field.store.keepDay({ ...field.day, form_token: "" });
    for (const act of await field.store.acts()) {
      if (act.state === "sent" && field.day && !field.jobOf(act.visit_id)) await field.store.remove(act.number);
    }
  };

  const understood = (answer) => {
    isSignedOut = answer?.status === 401;
    field.isFresh = Boolean(answer?.ok && answer.content);
    return field.isFresh ? answer.content : null;
  };

  // What was typed, chosen or drawn on a job and is not kept yet; what its record says already is typed by nobody.
  const isBegun = (id) => {
    const element = shown.get(id);
    if (!element) return false;
    const isTyped = (each) => each.value !== "" && (each.dataset.touched || !each.closest(".record, .sign"));
    return Boolean(element.querySelector("[data-drawn]")) || [...element.querySelectorAll("input, textarea")].some(isTyped);
  };

  // A visit that has ended leaves with its day, but not from under the hands of who is still writing it down.
  const heldOver = (found) => {
    if (found.owner !== field.day?.owner) return [];
    const there = new Set(found.jobs.map((job) => job.visit.visit_id));
    const isOver = ({ day, visit }) => day < found.day && visit.state !== "booked" && !there.has(visit.visit_id);
    return field.day.jobs.filter((job) => isOver(job) && isBegun(job.visit.visit_id));
  };

  field.refresh = async () => {
    const found = understood(navigator.onLine ? await field.get("/field/day") : null);
    if (found && found.form_token !== over) {
      field.day = { ...found, jobs: [...heldOver(found), ...found.jobs], seen_at: new Date().toISOString() };
      await keep();
    }
    if (!field.day) field.isFresh = false;
    await field.moved();
  };

  // One job anew, which shows its ticks, also one of another day; null where it can't be had.
  field.look = async (id) => {
    const found = understood(await field.get(`/field/visits/${id}`));
    const at = field.day ? field.day.jobs.findIndex((job) => job.visit.visit_id === id) : -1;
    if (found && at >= 0) {
      field.day.jobs[at] = found;
      await keep();
    }
    await field.moved();
    return found;
  };

  // What was scanned is followed until every tick is true; what was sent, until the page shows it.
  const isFollowed = (job) => job.visit.state === "scanned" || (field.actsOf(job.visit.visit_id).length > 0 && !job.sheet.done_at);

  const forget = async () => {
    field.day = null;
    await field.store.forgetDay();
  };

  const forgetOld = async () => {
    if (field.day && Date.now() - Date.parse(field.day.seen_at) > DAY_KEPT_MS) await forget();
  };

  let lookedAtDay = 0;
  const turn = async () => {
    await forgetOld();
    if (document.hidden) return;
    if (!field.isFresh || field.stale || field.dayMoved || Date.now() - lookedAtDay > DAY_EVERY_MS) {
      lookedAtDay = Date.now();
      field.dayMoved = false;
      await field.refresh();
    }
    if (!field.isFresh || !field.day) return;
    await field.send();
    for (const job of (field.day?.jobs || []).filter(isFollowed)) await field.look(job.visit.visit_id);
    await field.send();
  };

  let turning = null;
  const soon = () => {
    turning = turning || turn().finally(() => (turning = null));
    return turning;
  };

  const end = async (token) => {
    over = token;
    isSignedOut = true;
    field.isFresh = false;
    await forget();
    await field.moved();
  };

  const start = async () => {
    field.day = (await field.store.day()) || null;
    await forgetOld();
    await field.moved();
    await soon();
    setInterval(soon, LOOK_EVERY_MS);
  };

  window.addEventListener("online", soon);
  window.addEventListener("offline", () => {
    field.isFresh = false;
    show();
  });
  document.addEventListener("visibilitychange", soon);
  window.addEventListener("firstlight-over", (event) => end(event.detail));
  new BroadcastChannel("firstlight-over").addEventListener("message", (event) => end(event.data));
  const noWorker = (why) => {
    const told = document.getElementById("connected-only");
    told.textContent = `Here this page opens with a connection alone: ${why}`;
    told.hidden = false;
  };
  if (!window.isSecureContext) noWorker("it came by plain HTTP, so there is no camera for labels either.");
  else if (!("serviceWorker" in navigator)) noWorker("this browser has no service worker, which would keep it.");
  else {
    navigator.serviceWorker.register("/field/worker.js", { scope: "/field" }).catch((error) => {
      noWorker(`the browser keeps nothing of it (${error.message}); does this device trust the server's certificate?`);
    });
  }
  navigator.storage?.persist?.();
  start();
})();
