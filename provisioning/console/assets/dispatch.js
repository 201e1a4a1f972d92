// The dispatch board: what is dropped on a lane is asked for by the same form as by its link, filled in.
(() => {
  "use strict";
  const STEP_MINUTES = 15;
  let dragged = null;

  const widen = () => {
    for (const block of document.querySelectorAll(".block")) block.style.flexGrow = block.dataset.minutes;
  };
  widen();
  document.addEventListener("htmx:after:swap", widen); // what is fetched anew has no widths

  // While something is dragged the lanes stand still: what was to move them does so afterwards.
  let late = null;
  const hold = (event) => {
    if (!dragged) return;
    event.stopImmediatePropagation();
    late = event.target;
  };
  document.addEventListener("moved", hold, true);

  // The time under the pointer: the block's own begin, and of its length what lies before the pointer.
  const timeAt = (block, event) => {
    const box = block.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const minutes = Math.floor((share * Number(block.dataset.minutes)) / STEP_MINUTES) * STEP_MINUTES;
    const at = new Date(new Date(block.dataset.begins).getTime() + minutes * 60000);
    const timeZone = block.closest(".lane").dataset.zone; // its clocks may go forward or back within the block
    const local = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" }).format(at);
    return local.replace(" ", "T"); // Swedish writes as ISO 8601 does, but for the T
  };

  const under = (event) => event.target.closest?.(".block");

  document.addEventListener("dragstart", (event) => {
    dragged = under(event)?.dataset.visit || null;
    if (!dragged) return;
    event.dataTransfer.setData("text/plain", `visit ${dragged}`);
    event.dataTransfer.effectAllowed = "move";
  });
  document.addEventListener("dragover", (event) => {
    const block = under(event);
    for (const each of document.querySelectorAll(".block.over")) if (each !== block) each.classList.remove("over");
    if (!dragged || !block) return;
    event.preventDefault();
    block.classList.add("over");
  });
  document.addEventListener("dragend", () => {
    dragged = null;
    for (const each of document.querySelectorAll(".block.over")) each.classList.remove("over");
    if (late) htmx.trigger(late, "moved");
    late = null;
  });
  document.addEventListener("drop", (event) => {
    const block = under(event);
    if (!dragged || !block || block.dataset.visit === dragged) return;
    event.preventDefault();
    const technician = block.closest(".lane").dataset.technician;
    const asked = new URLSearchParams({ technician, at: timeAt(block, event) });
    location.assign(`/dispatch/visits/${dragged}?${asked}`);
  });
})();
