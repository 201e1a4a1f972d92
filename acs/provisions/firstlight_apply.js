// Gives one CPE its settings, all or none, in one session. Installed and named by Firstlight; edits are overwritten.
//
// args[0] is JSON: {"rev": hex, "params": [[path, value, xsd type, is secret], ...], "stale_tags": ["cfg_<old>", ...],
//   "select": [[name, row, where, "has" | "is" | "only", [value, ...]], ...],
//   "guard": {"signs": [[path, "has" | "is" | "host_of", [value, ...]], ...], "restarting": [path, ...]} | null,
//   "proof": one more tag that it sets beside cfg_<rev>, for this very answer (firstlight_first_session),
//   "read": whether it is to read and write nothing}
//
// GenieACS believes its own copy of a parameter: it sends nothing for a path it does not know, for one it holds to be
// read-only, or for a value it holds to be set already. So everything is read from the CPE first, and a path that is
// missing or read-only ends the session in a fault before anything is written. A secret reads back blank or masked,
// which differs from the wish, and so it is written in every run.
//
// A path may leave the number of a row open, {wan}. Each selector finds the one row that the CPE itself reports to be
// meant; none or several end the session in a fault, with nothing written. So does a change of what restarts the WAN
// when the CPE reports that this very WAN carries the connection to the ACS.
//
// The script is run again until nothing changes: all reads are declared before the first one is looked at, and what
// follows commit() is reached only when the CPE has taken the values. Hence the tag is proof of that.
const now = Date.now();
const want = JSON.parse(args[0]);
const select = want.select || [];
const guard = want.guard || {signs: [], restarting: []};
const open = /\{([a-z_]+)\}/g;
const read = (path) => declare(path, {path: now, value: now, writable: now});
const text = (leaf) => (leaf.size && leaf.value ? String(leaf.value[0]) : "");
const answers = (value, test, values) =>
  (test === "has" ? value.split(",").map((token) => token.trim()) : [value]).some((each) => values.includes(each));

const rows = select.map(([, row, where]) => read(row.replace(open, "*") + "." + where));
const numbers = {};
const chosen = select.map(([name, row, where, test, values], i) => {
  const seen = Array.from(rows[i]).map((leaf) => [leaf.path.slice(0, -where.length - 1), text(leaf)]);
  const fitting = seen.filter(([, value]) => test === "only" || answers(value, test, values));
  if (fitting.length !== 1) {
    const among = (fitting.length ? fitting : seen).map(([at, value]) => at + "=" + value).join(";");
    throw new Error((fitting.length ? "ambiguous " : "no instance ") + name + ": " + among);
  }
  const at = fitting[0][0].split(".");
  const found = [];
  row.split(".").forEach((segment, depth) => {
    if (segment[0] === "{") found.push((numbers[segment.slice(1, -1)] = at[depth]));
  });
  return "row_" + name + "_" + found.join("_");
});
const placed = (path) => path.replace(open, (_, name) => numbers[name]);

const params = want.params.map(([path, value, , secret]) => [placed(path), value, secret]);
const found = params.map(([path]) => read(path));
const signs = guard.signs.map(([path, test, values]) => [
  read(placed(path)), test, values, test === "host_of" ? read(placed(values[0])) : null,
]);
const pathsWhere = (holds) => params.filter((_, i) => holds(found[i])).map(([path]) => path).join(",");

if (!want.read) {
  const missing = pathsWhere((parameter) => !parameter.size);
  if (missing) throw new Error("missing " + missing);
  const readOnly = pathsWhere((parameter) => !parameter.writable);
  if (readOnly) throw new Error("read-only " + readOnly);

  const host = (url) => (url.split("://")[1] || "").split("/")[0].replace(/:\d+$/, "");
  const carriesManagement = signs.some(([leaf, test, values, url]) =>
    url ? text(leaf) !== "" && text(leaf) === host(text(url)) : answers(text(leaf), test, values));
  const restarting = guard.restarting.map(placed);
  const cutting = params.filter(([path, value], i) =>
    restarting.includes(path) && text(found[i]).toLowerCase() !== String(value).toLowerCase());
  if (carriesManagement && cutting.length) throw new Error("cuts management " + cutting.map(([path]) => path).join(","));

  for (const [path, value] of params) declare(path, null, {value: value});
  commit();
}

for (const tag of want.stale_tags) if (!chosen.includes(tag)) declare("Tags." + tag, null, {value: false});
for (const tag of chosen) declare("Tags." + tag, null, {value: true});
if (!want.read) declare("Tags.cfg_" + want.rev, null, {value: true});
if (!want.read && want.proof) declare("Tags." + want.proof, null, {value: true});
