// What a job's forms make of what is typed, taken and drawn: an act that is kept on the device, or a fault that is told.
(() => {
  "use strict";
  const field = (window.field = window.field || {});
  class Fault extends Error {}

  // -- reading ---------------------------------------------------------------------------------------------------------

  const typed = (form, name) => form.elements[name].value.trim();
  const filled = (pairs) => Object.fromEntries(Object.entries(pairs).filter(([, value]) => value !== ""));

  // A reading as people write it: with a comma, or with the long minus sign. Null where there is none.
  field.reading = (text) => {
    const plain = text.replace(",", ".").replace("\u2212", "-").replace(/\s*dBm$/i, "").trim();
    if (plain === "") return null;
    if (!/^[+-]?\d{1,2}(\.\d{1,2})?$/.test(plain)) throw new Fault("The received power is a number of dBm, as -19.4.");
    return Number(plain);
  };

  field.verdictOn = (dbm, [least, most]) => {
    if (dbm < least) return { words: `Too weak: it passes from ${least} to ${most} dBm.`, tone: "bad" };
    if (dbm > most) return { words: `Too strong: it passes from ${least} to ${most} dBm.`, tone: "bad" };
    return { words: `Passes: from ${least} to ${most} dBm.`, tone: "good" };
  };

  const made = (job, kind, content, more = {}) => ({
    owner: field.day.owner,
    visit_id: job.visit.visit_id,
    address: job.visit.address,
    kind,
    content,
    ...more,
  });

  const add = (...act) => field.store.add(made(...act));

  // What stands there by now: the server's sheet, and over it what waits here.
  field.sheetOf = (job, acts) => {
    const waiting = acts.filter((act) => act.kind === "record" && act.state === "waits");
    return Object.assign({}, job.sheet, ...waiting.map((act) => act.content.changes));
  };

  // What its form showed when one began to type there: by the time it is sent, somebody else may have written.
  const shown = (form, name) => JSON.parse(form.elements[name].dataset.shown);

  const write = async (job, form, changes) => {
    const names = Object.keys(changes).filter((name) => changes[name] !== shown(form, name));
    if (!names.length) return false;
    const seen = Object.fromEntries(names.map((name) => [name, shown(form, name)]));
    await add(job, "record", { changes: Object.fromEntries(names.map((name) => [name, changes[name]])), seen });
    return true;
  };

  // -- forms -----------------------------------------------------------------------------------------------------------

  // As it stands on the label. It is looked at here, since what would be refused hours later holds up all after it.
  const serialOf = (form) => {
    const serial = typed(form, "serial");
    if (!serial) throw new Fault("The serial number is missing.");
    if (!field.isSerial(serial)) throw new Fault(`This is no serial number: ${serial}. Type what is printed on the label.`);
    return serial;
  };

  // One that was refused is set right: done, which may wait behind it, comes after the right one.
  const scan = async (job, form) => {
    const content = filled({ serial: serialOf(form), port: typed(form, "port") });
    const isRefused = (act) => act.kind === "scanned" && act.state === "refused";
    const refused = field.actsOf(job.visit.visit_id).find(isRefused);
    if (refused) await field.store.instead(refused.number, made(job, "scanned", content));
    else await add(job, "scanned", content);
    form.reset();
  };

  const back = async (job, form) => {
    await add(job, "returned", filled({ serial: serialOf(form), note: typed(form, "note") }));
    form.reset();
  };

  const record = async (job, form) => {
    const changes = { optical_dbm: field.reading(typed(form, "optical_dbm")) };
    for (const name of ["splitter", "drop_label", "note"]) changes[name] = typed(form, name) || null;
    if (!(await write(job, form, changes))) throw new Fault("Nothing was changed.");
    field.untouch(form);
  };

  const picture = async (file) => {
    try {
      return await field.smaller(file);
    } catch (error) {
      if (error.name === "InvalidStateError") throw new Fault("This is no picture that this device can read.");
      throw error;
    }
  };

  const photo = async (job, form) => {
    const [file] = form.elements.picture.files;
    if (!file) throw new Fault("There is no picture yet.");
    const bytes = await picture(file);
    if (bytes.byteLength > field.day.most_photo_bytes) throw new Fault("The picture is too large.");
    const content = { purpose: "photo", caption: typed(form, "caption") };
    await add(job, "photo", content, { bytes, media_type: "image/jpeg" });
    form.reset();
  };

  const sign = async (job, form) => {
    const pad = form.querySelector(".pad");
    const name = typed(form, "signed_by");
    if (!name) throw new Fault("Whose signature it is, is missing.");
    const isNew = await write(job, form, { signed_by: name });
    if (pad.dataset.drawn) {
      const bytes = await field.bytesOf(pad, "image/png");
      await add(job, "photo", { purpose: "signature", caption: name }, { bytes, media_type: "image/png" });
    } else if (!isNew) throw new Fault("Nothing was changed.");
    clear(pad);
    field.untouch(form);
  };

  // An earlier one that still waits is taken back: it would be done twice, with another reason.
  const done = async (job, form) => {
    for (const act of field.actsOf(job.visit.visit_id)) {
      if (act.kind === "done" && act.state !== "sent") await field.store.remove(act.number);
    }
    await add(job, "done", filled({ reason: typed(form, "reason") }));
    form.reset();
  };

  const end = async (job, form) => {
    const outcome = form.elements.outcome.value;
    const note = typed(form, "note");
    if (outcome === "not_feasible" && !note) throw new Fault("Why it is not feasible, is missing.");
    if (outcome === "no_access" && Date.now() < Date.parse(job.visit.starts_at)) {
      throw new Fault(`The visit begins at ${job.begins}: that nobody is there can't be told before.`);
    }
    await add(job, outcome, filled({ note }));
    form.reset();
  };

  // An earlier one that still waits, or was refused, is taken back: this is the later decision.
  const move = async (job, form) => {
    const [at, reason] = [form.elements.starts_at.value, typed(form, "reason")];
    if (!at || !reason) throw new Fault("The new time, or why, is missing.");
    if (new Date(at) <= new Date()) throw new Fault("The new time is over already.");
    for (const act of field.actsOf(job.visit.visit_id)) {
      if (act.kind === "rescheduled" && act.state !== "sent") await field.store.remove(act.number);
    }
    await add(job, "rescheduled", { starts_at: new Date(at).toISOString(), seen_at: job.visit.starts_at, reason });
    form.reset();
  };

  // What was done is told at the card's head, which a form that stays open would push out of sight. Photos come in rows.
  const fold = (form) => {
    if (form.className === "photo") return;
    const act = form.closest("details");
    act.open = false;
    act.querySelector("summary").focus({ preventScroll: true });
    form.closest("article").scrollIntoView({ block: "start" });
  };

  const TAKES = { scan, record, back, photo, sign, done, end, move };

  const take = async (event, job) => {
    const form = event.target;
    const told = form.querySelector(".fault");
    const button = form.querySelector("[type=submit]");
    event.preventDefault();
    told.hidden = true;
    button.disabled = true;
    try {
      await TAKES[form.className](job(), form);
      await field.moved();
      fold(form);
      field.send();
    } catch (error) {
      told.hidden = false;
      told.textContent = error instanceof Fault ? error.message : `It could not be kept on this device: ${error.message}`;
      if (!(error instanceof Fault)) throw error;
    } finally {
      button.disabled = false;
    }
  };

  // -- the label, and the signature ----------------------------------------------------------------------------------

  const tell = (form, words) => {
    const told = form.querySelector(".fault");
    told.hidden = !words;
    told.textContent = words;
  };

  const wireScan = (form) => {
    const [camera, stop, view] = [".camera", ".stop", ".view"].map((name) => form.querySelector(name));
    let stopping = null;
    const show = (isLooking) => {
      camera.hidden = isLooking || !field.hasCamera();
      stop.hidden = view.hidden = !isLooking;
    };
    show(false);
    camera.addEventListener("click", async () => {
      stopping = new AbortController();
      tell(form, "");
      show(true);
      try {
        const found = await field.readCamera(view, stopping.signal);
        if (found) {
          form.elements.serial.value = found;
          form.querySelector("[type=submit]").focus();
        }
      } catch (error) {
        tell(form, `The camera can't be used (${error.message}); type the number, or take a photo of it.`);
      } finally {
        show(false);
      }
    });
    stop.addEventListener("click", () => stopping.abort());
    form.closest("details").addEventListener("toggle", (event) => event.target.open || stopping?.abort()); // out of sight
    form.elements.label.addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (!file) return;
      tell(form, "");
      try {
        const found = await field.readPhoto(file);
        if (found) form.elements.serial.value = found;
        else tell(form, "No code was found in the photo that is surely the serial number; take it nearer, or type it.");
      } catch (error) {
        tell(form, `The photo can't be read (${error.message}); type the number.`);
      }
    });
  };

  const clear = (pad) => {
    pad.getContext("2d").clearRect(0, 0, pad.width, pad.height);
    delete pad.dataset.drawn;
  };

  const wirePad = (form) => {
    const pad = form.querySelector(".pad");
    const ink = pad.getContext("2d");
    const at = (event) => {
      const box = pad.getBoundingClientRect();
      return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
    };
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      ink.beginPath();
      ink.moveTo(...at(event));
    });
    pad.addEventListener("pointermove", (event) => {
      if (!pad.hasPointerCapture(event.pointerId)) return;
      ink.lineWidth = 3;
      ink.lineTo(...at(event));
      ink.stroke();
      pad.dataset.drawn = "yes";
    });
    form.querySelector(".clear").addEventListener("click", () => clear(pad));
  };

  // A job's forms, once; ``job`` tells how it stands when one of them is sent.
  field.wire = (element, job) => {
    element.addEventListener("submit", (event) => take(event, job));
    element.addEventListener("input", (event) => (event.target.dataset.touched = "yes"));
    wireScan(element.querySelector("form.scan"));
    wirePad(element.querySelector("form.sign"));
  };

  field.untouch = (form) => {
    for (const each of form.elements) delete each.dataset.touched;
  };

})();
