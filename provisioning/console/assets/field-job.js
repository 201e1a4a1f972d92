// How one job of the technician's page looks, and what became of each thing that was done there.
(() => {
  "use strict";
  const field = (window.field = window.field || {});
  const OVER = ["no_access", "not_feasible", "cancelled"];
  const WRITTEN = ["splitter", "drop_label", "optical_dbm", "note", "signed_by"];
  const WORDS = { splitter: "splitter", drop_label: "drop label", optical_dbm: "dBm", note: "note", signed_by: "signed by" };

  const SAID_HERE = { "field.visit_unknown": "The visit is somebody else's by now, or there is none any more." };

  // -- small parts -----------------------------------------------------------------------------------------------------

  const line = (words, className = "") => {
    const made = document.createElement("li");
    made.className = className;
    made.append(words);
    return made;
  };

  const link = (address, words) => {
    const made = document.createElement("a");
    Object.assign(made, { href: address, textContent: words, rel: "noopener noreferrer" });
    return made;
  };

  const button = (words, act) => {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", className: "secondary small", textContent: words });
    made.addEventListener("click", act);
    return made;
  };

  const counted = (number, one, many) => `${number} ${number === 1 ? one : many}`;

  // What hasn't changed stays in the page as it is, so that nobody is read the same twice.
  const put = (list, lines) => {
    const looks = lines.map((each) => each.outerHTML ?? each).join("");
    if (list.dataset.looks === looks) return;
    list.dataset.looks = looks;
    list.replaceChildren(...lines);
  };

  // -- acts ------------------------------------------------------------------------------------------------------------

  const said = ({ kind, content }) => {
    if (kind === "record") {
      const told = Object.entries(content.changes).map(([name, value]) => `${WORDS[name]} ${value ?? "(none)"}`);
      return `Written down: ${told.join(", ")}`;
    }
    if (kind === "photo") return content.purpose === "signature" ? "Signature" : `Photo${content.caption ? `: ${content.caption}` : ""}`;
    if (kind === "scanned") return `Scanned ${content.serial}`;
    if (kind === "returned") return `Taken back ${content.serial}${content.note ? `: ${content.note}` : ""}`;
    if (kind === "rescheduled") return `Another time, ${new Date(content.starts_at).toLocaleString()}: ${content.reason}`;
    if (kind === "done") return `Done${content.reason ? `, although: ${content.reason}` : ""}`;
    return `${kind === "no_access" ? "No access" : "Not feasible"}${content.note ? `: ${content.note}` : ""}`;
  };

  // Moments in a sentence of the server's, which tells them in UTC, by the clock of the ISP.
  const inZone = (text) => {
    const local = (day, time) => {
      const format = new Intl.DateTimeFormat("sv-SE", { timeZone: field.day.zone, dateStyle: "short", timeStyle: "short" });
      return format.format(new Date(`${day}T${time}:00Z`));
    };
    const told = /(\d{4}-\d\d-\d\d) (\d\d:\d\d)(?: to (\d{4}-\d\d-\d\d) (\d\d:\d\d))? UTC/g;
    const moments = (_all, day, time, until, end) => local(day, time) + (until ? ` to ${local(until, end)}` : "");
    return field.day ? text.replace(told, moments) : text;
  };

  const heldBy = (act) => field.heldBy(act, field.actsOf(act.visit_id));

  const became = (act) => {
    if (act.state === "sent") return "sent";
    const why = act.problem ? ` ${SAID_HERE[act.problem.code] || inZone(act.problem.detail)}` : "";
    if (act.state === "refused") return `not taken.${why}`;
    if (heldBy(act)) return `waits until what was refused before it is sent again or taken away.${why}`;
    if (field.waitsForTicks(act)) return `kept, and sent when every tick is true.${why}`;
    return act.problem ? `waits to be sent.${why}` : "saved, will be sent";
  };

  const takeAway = async (act) => {
    if (!confirm(`${said(act)}: it never arrived. Take it away for good?`)) return;
    await field.store.remove(act.number);
    await field.moved();
  };

  // The same change again, seen with what stands there now: a new act, since it is another decision.
  const insist = async (act) => {
    const stands = (await field.look(act.visit_id))?.sheet;
    if (!stands) {
      const detail = "What stands there now could not be fetched, so nothing was written.";
      await field.store.change(act.number, { problem: { ...act.problem, detail } });
      return field.moved();
    }
    const seen = Object.fromEntries(Object.keys(act.content.changes).map((name) => [name, stands[name]]));
    const { owner, visit_id, address, kind } = act;
    const content = { changes: act.content.changes, seen };
    await field.store.instead(act.number, { owner, visit_id, address, kind, content });
    await field.moved();
    field.send();
  };

  // Of what else is free only their own times can be taken here: whom else to send, dispatch decides.
  const alternative = (act, offer) => {
    const made = line(`${new Date(offer.starts_at).toLocaleString()}, ${offer.technician_name}: ${offer.why}`);
    if (offer.technician_id !== field.jobOf(act.visit_id)?.visit.technician_id) return made;
    const take = async () => {
      const { owner, visit_id, address, kind, content } = act;
      await field.store.instead(act.number, { owner, visit_id, address, kind, content: { ...content, starts_at: offer.starts_at } });
      await field.moved();
      field.send();
    };
    made.append(" ", button("Take this time", take));
    return made;
  };

  const actLine = (act) => {
    const made = line(`${said(act)}: ${became(act)}`, act.state);
    if (act.state === "refused" || heldBy(act) || field.waitsForTicks(act) || (act.state === "waits" && act.problem)) {
      const row = document.createElement("div");
      row.className = "acts";
      if (act.problem?.code === "field.sheet_changed") row.append(button("Write mine all the same", () => insist(act)));
      if (act.problem) row.append(button("Send it again", () => field.sendAgain(act)));
      row.append(button("Take it away", () => takeAway(act)));
      const others = document.createElement("ul");
      others.className = "plain";
      others.append(...(act.problem?.alternatives || []).map((offer) => alternative(act, offer)));
      made.append(row, ...(others.childElementCount ? [others] : []));
    }
    return made;
  };

  // -- jobs ------------------------------------------------------------------------------------------------------------

  const ways = ({ address, latitude, longitude }) => {
    const known = latitude !== null && longitude !== null;
    const point = known ? `${latitude},${longitude}` : "0,0";
    const asked = encodeURIComponent(known ? point : address);
    const street = known
      ? `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=18/${latitude}/${longitude}`
      : `https://www.openstreetmap.org/search?query=${asked}`;
    return [link(`geo:${point}?q=${asked}`, "Way there"), " ", link(street, "OpenStreetMap")];
  };

  const tickLine = (tick) => {
    const made = line(`${tick.is_true ? "✓" : "·"} ${tick.name}`, tick.is_true ? "good" : "");
    made.title = tick.is_true ? tick.source : tick.why;
    return made;
  };

  const fill = (element, sheet) => {
    for (const name of WRITTEN) {
      const input = element.querySelector(`.record [name=${name}], .sign [name=${name}]`);
      if (input.dataset.touched) continue;
      input.value = sheet[name] ?? "";
      input.dataset.shown = JSON.stringify(sheet[name] ?? null);
    }
  };

  const verdict = (element, job) => {
    const told = element.querySelector(".verdict");
    const text = element.querySelector(".record [name=optical_dbm]").value;
    let dbm = null;
    try {
      dbm = field.reading(text);
    } catch {
      dbm = null; // half a number is told when it is sent
    }
    const found = dbm === null ? { words: "", tone: "" } : field.verdictOn(dbm, job.sheet.optical_limits_dbm);
    if (told.textContent !== found.words) told.textContent = found.words;
    told.className = `verdict ${found.tone}`;
  };

  const make = (id) => {
    const element = document.getElementById("job").content.cloneNode(true).firstElementChild;
    element.id = `visit-${id}`;
    element.querySelector("h2").id = `visit-${id}-title`;
    element.setAttribute("aria-labelledby", `visit-${id}-title`);
    field.wire(element, () => field.jobOf(id));
    element.addEventListener("input", () => verdict(element, field.jobOf(id)));
    return element;
  };

  const update = (element, job) => {
    const { visit, customer, sheet } = job;
    const part = (name) => element.querySelector(name);
    const own = field.actsOf(visit.visit_id);
    const day = job.day && job.day !== field.day.day ? `${job.day} ` : "";
    part(".when").textContent = `${day}${job.begins} to ${job.ends}`;
    part(".arrives").hidden = job.arrives_until === job.begins;
    part(".arrives").textContent = job.arrives_until === job.begins ? "" : `at the door by ${job.arrives_until}`;
    part(".chip").className = `chip ${job.state.tone}`;
    part(".chip").textContent = `${job.state.mark} ${job.state.words}`;
    part(".numbers").textContent = `visit ${visit.visit_id}${visit.job ? ` · ${visit.job}` : ""} · customer ${visit.customer_id}`;
    part(".where").textContent = visit.address + (visit.planned_port ? ` (planned port ${visit.planned_port})` : "");
    put(part(".ways"), ways(visit));
    const phone = customer?.phone ? [" ", link(`tel:${customer.phone}`, customer.phone)] : [];
    put(part(".whom"), customer ? [customer.name, ...phone] : []);
    put(part(".ticks"), job.ticks.ticks.map(tickLine));
    const next = visit.state === "booked" ? null : job.ticks.ticks.find((tick) => !tick.is_true);
    part(".why").textContent = next ? `Not ${next.name} yet: ${next.why}` : "";
    part(".stock").hidden = job.from_van !== false;
    part(".stock").textContent = job.from_van === false ? `${visit.scanned_serial} was not in this van's stock.` : "";
    put(part(".kept"), own.map(actLine));
    put(part(".photos"), sheet.photos.map((photo) => line(`${photo.purpose}${photo.caption ? `: ${photo.caption}` : ""} has arrived`)));
    part(".done-at").hidden = !sheet.done_at;
    if (sheet.done_at) part(".done-at").textContent = `Done${sheet.done_reason ? `, although: ${sheet.done_reason}` : ""}.`;
    part(".acts-here").hidden = OVER.includes(visit.state);
    part("[data-act=done]").hidden = Boolean(sheet.done_at);
    part("[data-act=move]").hidden = visit.state !== "booked";
    for (const act of ["scan", "end"]) part(`[data-act=${act}]`).hidden = visit.state === "completed";
    const noAccess = part("[value=no_access]");
    noAccess.disabled = visit.state !== "booked"; // somebody has let them in
    if (noAccess.disabled && noAccess.selected) part("[name=outcome]").value = "not_feasible"; // a browser leaves it chosen
    fill(element, field.sheetOf(job, own));
    verdict(element, job);
  };

  field.parts = { line, link, put, counted, actLine, make, update };
})();
