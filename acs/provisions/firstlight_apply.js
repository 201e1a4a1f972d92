// Gives one CPE its settings, all or none, in one session. Installed and named by Firstlight; edits are overwritten.
//
// args[0] is JSON: {"rev": hex, "params": [[path, value, xsd type, is secret], ...], "stale_tags": ["cfg_<old>", ...]}
//
// GenieACS believes its own copy of a parameter: it sends nothing for a path it does not know, for one it holds to be
// read-only, or for a value it holds to be set already. So everything is read from the CPE first, and a path that is
// missing or read-only ends the session in a fault before anything is written. A secret reads back blank or masked,
// which differs from the wish, and so it is written in every run.
//
// The script is run again until nothing changes: all reads are declared before the first one is looked at, and what
// follows commit() is reached only when the CPE has taken the values. Hence the tag is proof of that.
const now = Date.now();
const want = JSON.parse(args[0]);
const found = want.params.map(([path]) => declare(path, {path: now, value: now, writable: now}));
const pathsWhere = (holds) => want.params.filter((_, i) => holds(found[i])).map(([path]) => path).join(",");

const missing = pathsWhere((parameter) => !parameter.size);
if (missing) throw new Error("missing " + missing);
const readOnly = pathsWhere((parameter) => !parameter.writable);
if (readOnly) throw new Error("read-only " + readOnly);

for (const [path, value] of want.params) declare(path, null, {value: value});
commit();

for (const tag of want.stale_tags) declare("Tags." + tag, null, {value: false});
declare("Tags.cfg_" + want.rev, null, {value: true});
