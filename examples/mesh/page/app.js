import { connect } from "/lambdamesh.js";

const LOG_LIMIT = 100;
const at = (id) => document.getElementById(id);
const make = (tag, content) => Object.assign(document.createElement(tag), content);

function log(textContent, className = "") {
  const line = make("li", { className });
  line.append(make("time", { textContent: new Date().toLocaleTimeString() }), make("span", { textContent }));
  at("log").prepend(line);
  while (at("log").children.length > LOG_LIMIT) at("log").lastChild.remove();
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** What the back end heard when it called this window. */
function heard({ node, ms, answer }) {
  if (answer.error) log(`through ${node}: ${answer.error}`, "failed");
  else log(`through ${node} and back: ${ms} ms`);
}

/** A row for each node, made once and then kept up to date. */
function list(states, id) {
  for (const [node, peers] of Object.entries(states)) {
    let row = at(`node-${node}`);
    if (!row) {
      const button = make("button", { type: "button", textContent: `Call through ${node}` });
      button.addEventListener("click", async () => heard(await post("/call", { id, node, text: "hello" })));
      row = make("li", { id: `node-${node}` });
      row.append(make("strong", { textContent: node }), make("span", { className: "sees" }), button);
      at("nodes").append(row);
    }
    row.dataset.state = peers ? "up" : "gone";
    row.querySelector(".sees").textContent = peers
      ? peers.map(({ host, state, me }) => (me ? "" : `${host}: ${state}`)).filter(Boolean).join(", ")
      : "is not there";
  }
}

try {
  const mesh = await connect(document.querySelector("meta[name=node]").content, {
    onstate: (state) => (at("state").textContent = at("state").dataset.state = state),
  });
  const fn = await mesh.expose({
    show({ text, through }) {
      log(`called through ${through}: ${text}`, "came");
      return { shown: text };
    },
  });
  at("id").textContent = fn.id;
  heard(await post("/join", { id: fn.id }));
  const look = async () => list(await (await fetch("/states")).json(), fn.id);
  await look();
  setInterval(() => look().catch(() => {}), 1000);
} catch (error) {
  log(error.message, "failed");
}
