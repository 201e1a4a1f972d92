// Sends what waits on the device: of each visit one act after the other, the oldest first, then the photos.
(() => {
  "use strict";
  const field = (window.field = window.field || {});
  const base = (act) => `/field/visits/${act.visit_id}`;
  const PATIENCE_MS = 20000;
  const SLOWEST_BYTES_PER_MS = 10;
  const REST_MS = 30000;
  const SAID_OF = { 413: "The proxy before Firstlight takes nothing of this size; whoever runs it has to let 8 MiB through." };
  const STRANGE = { code: "http.strange", detail: "Something else than Firstlight has answered." };
  const rests = new Map(); // until when what the server couldn't take isn't sent again
  let sending = null;
  let again = false;

  // An answer, whole, or null where nobody has answered in time: then it isn't known whether the act arrived, and it goes
  // again. Who leads elsewhere (a page to sign in of somebody else's) is nobody.
  const ask = async (address, options, patienceMs = PATIENCE_MS) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), patienceMs);
    try {
      const answer = await fetch(address, {
        credentials: "same-origin",
        redirect: "error",
        signal: patience.signal,
        ...options,
      });
      const body = await answer.text();
      return { ok: answer.ok, status: answer.status, content: read(answer, body) };
    } catch (error) {
      // What fetch throws when the network has failed, and when it was given up.
      if (error instanceof TypeError || error.name === "AbortError") return null;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };

  // What a JSON answer says; null for any other, which is none of ours.
  const read = (answer, body) => {
    if (!(answer.headers.get("content-type") || "").includes("json")) return null;
    try {
      return JSON.parse(body);
    } catch {
      return null;
    }
  };

  const post = (address, body, headers = {}) =>
    ask(
      address,
      { method: "POST", body, headers: { "X-Form-Token": field.day?.form_token || "", ...headers } },
      PATIENCE_MS + (body.byteLength || 0) / SLOWEST_BYTES_PER_MS,
    );

  const sendOne = (act) => {
    if (act.kind === "photo") {
      const asked = new URLSearchParams({ purpose: act.content.purpose });
      if (act.content.caption) asked.set("caption", act.content.caption);
      return post(`${base(act)}/photos?${asked}`, act.bytes, { "Content-Type": act.media_type });
    }
    const { key, kind, made_at, content } = act;
    return post(`${base(act)}/acts`, JSON.stringify({ key, kind, made_at, content }), {
      "Content-Type": "application/json",
    });
  };

  // Who refuses without a code of ours is a proxy or a wireless network's page, and knows nothing of the act.
  const isStrange = ({ status, content }) => !content?.code && !SAID_OF[status];

  const problemOf = ({ status, content }) => {
    if (content?.code) return content;
    const detail = status < 500 ? `${STRANGE.detail.slice(0, -1)} (${status}).` : `The server answered ${status}.`;
    return { code: `http.${status}`, detail: SAID_OF[status] || detail };
  };

  // An answer that names what was sent: any other one is of somebody between here and the server.
  const isTaken = (act, { ok, content }) =>
    ok && (act.kind === "photo" ? Boolean(content?.sha256) : content?.visit?.visit_id === act.visit_id);

  // What follows: "on" to the next one, "held" is what comes after it at its visit, "stop" if nothing can be sent now.
  // What was refused holds as well: a visit that is done takes no scan any more, so what was wrong is set right first.
  const settle = async (act, answer) => {
    if (answer === null) {
      field.isFresh = false;
      return "stop";
    }
    if (isTaken(act, answer)) {
      await field.store.change(act.number, { state: "sent", problem: null, bytes: null });
      if (["scanned", "returned", "rescheduled"].includes(act.kind)) field.dayMoved = true;
      if (act.kind === "record") Object.assign(field.jobOf(act.visit_id)?.sheet || {}, act.content.changes); // until it is looked at
      return "on";
    }
    if (answer.ok) {
      field.isFresh = false;
      await field.store.change(act.number, { problem: STRANGE });
      return "stop";
    }
    const problem = problemOf(answer);
    if (answer.status === 401 || problem.code === "access.request_forged") {
      field.stale = true; // the session has ended, or is another one by now: the day tells
      return "stop";
    }
    if (answer.status < 500 && answer.status !== 429 && !problem.transient && !isStrange(answer)) {
      await field.store.change(act.number, { state: "refused", problem });
      return "held";
    }
    await field.store.change(act.number, { problem });
    if (answer.status === 429 || problem.transient) return "stop";
    rests.set(act.number, Date.now() + REST_MS);
    return problem.code.startsWith("http.") ? "stop" : "held"; // what isn't ours says that nobody is behind it
  };

  // Done without a reason is not asked for as long as it would be refused: a run is at work on the ticks.
  field.waitsForTicks = (act) => {
    const ticks = field.jobOf(act.visit_id)?.ticks;
    const isAtWork = Boolean(ticks) && ticks.run_id !== null && !ticks.all_true;
    return act.kind === "done" && act.state === "waits" && !act.content.reason && isAtWork;
  };

  const isPhoto = (act) => act.kind === "photo";

  // Which one was refused before it at its visit, and is neither sent again nor taken away.
  field.heldBy = (act, acts) =>
    isPhoto(act) || act.state !== "waits"
      ? null
      : acts.find(
          (each) =>
            each.state === "refused" &&
            !isPhoto(each) &&
            each.owner === act.owner &&
            each.visit_id === act.visit_id &&
            each.number < act.number,
        ) || null;

  // What was refused waits for a person; what somebody else did here, for them.
  const isDue = (act) => act.state === "waits" && act.owner === field.day?.owner && !field.waitsForTicks(act);

  // What isn't taken holds up only what comes after it at its visit; photos have no order.
  const sendAll = async () => {
    const [held, acts] = [new Set(), await field.store.acts()];
    for (const { number } of [...acts.filter((act) => !isPhoto(act)), ...acts.filter(isPhoto)]) {
      const act = await field.store.act(number); // it may have been taken away, or be done by another one, meanwhile
      if (act?.state === "refused" && act.owner === field.day?.owner && !isPhoto(act)) held.add(act.visit_id);
      if (!act || !isDue(act) || (held.has(act.visit_id) && !isPhoto(act))) continue;
      const next = rests.get(number) > Date.now() ? "held" : await settle(act, await sendOne(act));
      await field.moved();
      if (next === "stop") return;
      if (next === "held" && !isPhoto(act)) held.add(act.visit_id);
    }
  };

  // At once, and as if it had never been tried.
  field.sendAgain = async (act) => {
    rests.delete(act.number);
    await field.store.change(act.number, { state: "waits", problem: null });
    await field.moved();
    return field.send();
  };

  // Never two at once, so that acts arrive in their order; who asks meanwhile is heard afterwards.
  field.send = () => {
    if (sending) {
      again = true;
      return sending;
    }
    const run = async () => {
      do {
        again = false;
        field.stale = false;
        if (navigator.onLine && field.day && field.isFresh) await sendAll();
      } while (again);
    };
    // Another window of this browser has the same acts: one of them sends.
    const alone = () => (navigator.locks ? navigator.locks.request("firstlight-field-send", run) : run());
    sending = alone().finally(() => {
      sending = null;
    });
    return sending;
  };

  field.get = (address) => ask(address, { headers: { Accept: "application/json" } });
  field.post = post;
  field.problemOf = problemOf;
})();
