// Runs our scripts as GenieACS does: again and again until nothing changes.
//
// stdin: {"script": text, "args": [text], "cpe": {path: {"value", "writable", "secret", "refuses"}}, "tags": [tag]}
// stdout: {"fault": text | null, "sent": [[[path, value], ...], ...], "read": [path, ...], "cpe": {path: value},
//          "tags": [tag], "runs": number, "asked": [[text, ...], ...]}
//
// Beside these, "identity": {name: text} are the ACS's own DeviceID parameters, "informed": [path, ...] is what the CPE
// has told in its Inform (and GenieACS has of this session), and "answer" is what ext() gives, once a revision.
//
// What is declared becomes true between runs: looking at something not read yet, or commit(), ends the run; then reads
// go to the CPE, after them (at commit or at the end) writes, in one message; then the script starts over.
"use strict";
const vm = require("node:vm");
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

const NOW = 1772442000000;
const cpe = given.cpe;
const tags = new Set(given.tags);
const known = new Map(); // path -> {value, writable} or null, as read in this session
const rows = new Map(); // path with * for whole segments -> the paths that fit it, as read in this session
const read = [];
const sent = [];
const asked = [];
const answered = new Set();
for (const [name, value] of Object.entries(given.identity || {})) known.set("DeviceID." + name, {value, writable: false});
for (const path of given.informed || []) if (cpe[path]) known.set(path, {value: cpe[path].value, writable: true});
let committed = 0;
let runs = 0;

class Yield {}

function session() {
  let reads = [];
  let writes = [];
  let commits = 0;
  const done = () => commits < committed;

  function look(path) {
    if (!known.has(path)) throw new Yield();
    return known.get(path);
  }
  function declare(path, timestamps, values) {
    if (path.includes("*")) return declareRows(path, timestamps, values);
    if (timestamps && path.startsWith("DeviceID.") && !known.has(path)) known.set(path, null);
    if (timestamps && !known.has(path)) {
      const wanted = path.endsWith(".ProvisioningCode") ? timestamps.value : timestamps.value && timestamps.path;
      if (wanted !== NOW) throw new Error("reads an old copy of " + path);
      reads.push(path);
    }
    if (values && !done()) writes.push([path, values.value]);
    return {
      get size() { return look(path) ? 1 : 0; },
      get writable() { return look(path).writable; },
      get value() { return [look(path).value, "xsd:string"]; },
    };
  }
  function declareRows(path, timestamps, values) {
    if (path.split(".").some((segment) => segment.includes("*") && segment !== "*")) {
      throw new Error("Invalid parameter path");
    }
    if (values) throw new Error("writes into every row");
    if (!rows.has(path)) {
      if (timestamps.value !== NOW || timestamps.path !== NOW) throw new Error("reads an old copy of " + path);
      reads.push(path);
    }
    return {
      *[Symbol.iterator]() {
        if (!rows.has(path)) throw new Yield();
        for (const leaf of rows.get(path)) {
          yield {path: leaf, get size() { return 1; }, get value() { return [known.get(leaf).value, "xsd:string"]; }};
        }
      },
    };
  }
  function commit() {
    if (!done()) { flush(); committed += 1; throw new Yield(); }
    commits += 1;
  }
  function fetch() {
    const fetched = [];
    for (const path of reads) {
      if (!path.includes("*")) { fetched.push(path); continue; }
      const fits = new RegExp("^" + path.replace(/[.]/g, "[.]").replace(/[*]/g, "[^.]+") + "$");
      rows.set(path, Object.keys(cpe).filter((leaf) => fits.test(leaf)));
      fetched.push(...rows.get(path));
    }
    for (const path of fetched) {
      const leaf = cpe[path];
      read.push(path);
      known.set(path, leaf ? {value: leaf.secret ? "" : leaf.value, writable: leaf.writable} : null);
    }
    reads = [];
  }
  function flush() {
    fetch();
    const values = [];
    for (const [path, value] of writes) {
      if (path.startsWith("Tags.")) value ? tags.add(path.slice(5)) : tags.delete(path.slice(5));
      else if (known.get(path) && known.get(path).writable && known.get(path).value !== value) values.push([path, value]);
    }
    writes = [];
    if (!values.length) return;
    sent.push(values);
    for (const [path] of values) if (cpe[path].refuses) throw new Error("cwmp.9003 " + path);
    for (const [path, value] of values) { cpe[path].value = value; known.get(path).value = value; }
  }
  // The answer is kept for this revision: asked for the first time, the script starts over with it.
  function ext(...args) {
    const key = commits + JSON.stringify(args);
    if (!answered.has(key)) { answered.add(key); asked.push(args); throw new Yield(); }
    return given.answer;
  }
  return {declare, commit, ext, fetch, flush};
}

let fault = null;
for (let stable = false; !stable && !fault; ) {
  if (++runs > 32) { fault = "too_many_commits"; break; }
  const world = session();
  const sandbox = {declare: world.declare, commit: world.commit, ext: world.ext, args: given.args};
  const context = vm.createContext(sandbox);
  vm.runInContext("Date.now = () => " + NOW, context);
  try {
    vm.runInContext('"use strict";(function(){' + given.script + "\n})()", context);
    world.flush();
    stable = true;
  } catch (error) {
    if (error instanceof Yield) world.fetch();
    else fault = error.message;
  }
}
const values = Object.fromEntries(Object.entries(cpe).map(([path, leaf]) => [path, leaf.value]));
process.stdout.write(JSON.stringify({fault, sent, read, cpe: values, tags: [...tags].sort(), runs, asked}));
