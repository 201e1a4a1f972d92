// Calls deploy/genieacs/ext/firstlight.js as GenieACS does, against a server that answers as it is told.
//
// stdin: {"extension": path, "url": text | null, "path": text, "token_file": path, "args": [text],
//         "steps": [{"says": {"status", "body"} | "nothing" | "reset" | "half", "later_ms": number, "times": number}]}
// stdout: {"answers": [[text or null per call] per step], "errors": [...], "asked": [{method, url, headers, body}],
//          "written": [text]}
//
// It waits 50 ms for an answer that never comes and as long as it takes for any other; its clock moves only as told.
"use strict";
const http = require("node:http");
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

let now = 1772442000000;
Date.now = () => now;
const realTimeout = setTimeout;
global.setTimeout = (act, ms) => realTimeout(act, says === "nothing" ? 50 : 10 * ms);
const written = [];
console.error = (...words) => written.push(words.join(" "));

const asked = [];
const errors = [];
let says = null;
const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    asked.push({method: request.method, url: request.url, headers: request.headers, body: JSON.parse(body)});
    if (says === "nothing") return;
    if (says === "reset") return request.socket.destroy();
    if (says === "half") {
      response.writeHead(200, {"Content-Length": 1000});
      response.write('{"settings": "');
      return realTimeout(() => request.socket.destroy(), 20);
    }
    response.writeHead(says.status);
    response.end(says.body);
  });
});

server.listen(0, "127.0.0.1", async () => {
  process.env.FIRSTLIGHT_URL = given.url || "http://127.0.0.1:" + server.address().port + given.path;
  process.env.FIRSTLIGHT_TOKEN_FILE = given.token_file;
  const extension = require(given.extension);
  const call = () => new Promise((resolve) => extension.settings(given.args, (error, answer) => {
    if (error) errors.push(String(error));
    resolve(answer === undefined ? "undefined" : answer);
  }));
  const answers = [];
  for (const step of given.steps) {
    now += step.later_ms || 0;
    says = step.says;
    answers.push(await Promise.all(Array.from({length: step.times || 1}, call)));
  }
  process.stdout.write(JSON.stringify({answers, errors, asked, written}), () => process.exit(0));
});
