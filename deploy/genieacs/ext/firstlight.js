// The extension by which GenieACS asks Firstlight, in a CPE's first session, what it is to have. It goes into the folder
// of extensions (GENIEACS_EXT_DIR, config/ext by default). docs/acs.md says how it is set up.
//
// Two variables in the environment of genieacs-cwmp:
//   FIRSTLIGHT_URL         where Firstlight answers, https://firstlight.isp.example, with the path before /api/v1 if a
//                          proxy has one (http only on this very machine)
//   FIRSTLIGHT_TOKEN_FILE  a file with an API token that may do nothing but devices.hand_out
// NODE_EXTRA_CA_CERTS, Node's own, names the authority that signed Firstlight's certificate, if it is one of yours.
//
// It never fails, since a failure here would be a fault of the CPE's session: without an answer it answers null, and the
// CPE gets its settings later, as without all this. It does so after 2 s, since GenieACS waits 3 s (EXT_TIMEOUT) and
// then calls it a fault; and at once for a while after Firstlight did not answer, so that a crowd of new CPEs is not
// held up by it. Of what it is told and answered, nothing is written anywhere but codes and names of fields.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");

const ANSWER_MS = 2000;
const LEFT_IN_PEACE_MS = 15000;
const MOST_AT_ONCE = 8;
const MOST_BYTES = 65536;

let underWay = 0;
let leftInPeaceUntil = 0;

// args: name of the ACS, serial number, data model, provisioning code, manufacturer, product class
function settings(args, callback) {
  if (underWay >= MOST_AT_ONCE || Date.now() < leftInPeaceUntil) return callback(null, null);
  let request = null;
  let timer = null;
  let over = false;
  const end = (answer, trouble) => {
    if (over) return;
    over = true;
    underWay -= 1;
    clearTimeout(timer);
    if (request) request.destroy();
    if (trouble) {
      leftInPeaceUntil = Date.now() + LEFT_IN_PEACE_MS;
      console.error("firstlight: no settings in first sessions for " + LEFT_IN_PEACE_MS / 1000 + " s: " + trouble);
    }
    callback(null, answer);
  };
  underWay += 1;
  timer = setTimeout(() => end(null, "no answer within " + ANSWER_MS / 1000 + " s"), ANSWER_MS);
  try {
    request = asking(args, end);
  } catch (error) {
    end(null, error.code || error.message);
  }
}

function asking(args, end) {
  const [acs, serial, dataModel, code, manufacturer, productClass] = args;
  const url = new URL(process.env.FIRSTLIGHT_URL);
  url.pathname = url.pathname.replace(/\/+$/, "") + "/api/v1/acs/" + encodeURIComponent(acs) + "/first-sessions";
  const own = ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
  if (url.protocol !== "https:" && !own) throw new Error("FIRSTLIGHT_URL is not https");
  const body = JSON.stringify({
    serial: serial,
    data_model: dataModel,
    provisioning_code: code,
    manufacturer: manufacturer || null,
    product_class: productClass || null,
  });
  const headers = {
    "Authorization": "Bearer " + fs.readFileSync(process.env.FIRSTLIGHT_TOKEN_FILE, "utf8").trim(),
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  };
  const request = (url.protocol === "https:" ? https : http).request(url, {method: "POST", headers: headers, agent: false});
  request.on("error", (error) => end(null, error.code || "it cannot be asked"));
  request.on("response", (response) => {
    const chunks = [];
    let length = 0;
    response.on("error", (error) => end(null, error.code || "its answer broke off"));
    response.on("aborted", () => end(null, "its answer broke off"));
    response.on("data", (chunk) => {
      length += chunk.length;
      if (length > MOST_BYTES) end(null, "its answer is too long");
      else chunks.push(chunk);
    });
    response.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      if (response.statusCode !== 200) return end(null, refusal(response.statusCode, text));
      try {
        const said = JSON.parse(text).settings;
        JSON.parse(said);
        end(said, null);
      } catch (error) { // whose message would repeat a part of the answer
        end(null, "its answer cannot be read");
      }
    });
  });
  request.end(body);
  return request;
}

// What is wrong, if anything is: null when Firstlight itself says that it has nothing for this CPE. A 404 of somebody
// else, or one because this ACS is not to ask, would else be nothing for every CPE, for ever.
function refusal(status, text) {
  let said = null;
  try {
    said = JSON.parse(text);
  } catch (error) { // no answer of Firstlight's
  }
  const code = said ? said.code : null;
  if (status === 404 && code === "acs.first_session_refused") return null;
  if (status === 422) { // this CPE's trouble, and no reason to leave Firstlight in peace
    const faults = said && Array.isArray(said.errors) ? said.errors : [];
    const fields = faults.map((fault) => fault && (fault.field || String(fault.pointer).slice(2))).filter(isName);
    console.error("firstlight: nothing for a CPE that says of itself what cannot be: " + (fields.join(", ") || "422"));
    return null;
  }
  const known = isName(code);
  return "it answers " + status + (known ? ", " + code : "");
}

function isName(word) {
  return typeof word === "string" && /^[a-z_.]{1,60}$/.test(word);
}

exports.settings = settings;
