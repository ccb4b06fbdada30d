import { connect } from "/lambdamesh.js";

const LOG_LIMIT = 100;
const at = (id) => document.getElementById(id);
let name = "";

function log(text, kind = "") {
  const time = Object.assign(document.createElement("time"), { textContent: new Date().toLocaleTimeString() });
  const what = Object.assign(document.createElement("span"), { textContent: text, className: kind });
  const line = document.createElement("li");
  line.append(time, what);
  at("log").prepend(line);
  while (at("log").children.length > LOG_LIMIT) at("log").lastChild.remove();
}

function badge(element, name) {
  const hue = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0) * 37, 0) % 360;
  element.style.setProperty("--tint", `hsl(${hue} 55% 45%)`);
  element.textContent = name
    .split(" ")
    .map(([initial]) => initial)
    .join("");
  element.className = "badge";
  return element;
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.startsWith("{") ? JSON.parse(text).error : text);
  return JSON.parse(text);
}

async function push(to) {
  const began = performance.now();
  try {
    const { visible } = await post(`/windows/${encodeURIComponent(to)}/push`, { from: name, text: at("text").value });
    log(
      `${to} has it${visible ? " on its screen" : ", behind another window"}: ${Math.round(performance.now() - began)} ms`,
    );
  } catch (error) {
    log(`${to} did not get it: ${error.message}`, "failed");
  }
}

function list(names) {
  const lines = names
    .filter((other) => other !== name)
    .map((other) => {
      const button = Object.assign(document.createElement("button"), {
        type: "button",
        className: "push",
        textContent: "Push",
      });
      button.setAttribute("aria-label", `Push to ${other}`);
      button.addEventListener("click", () => push(other));
      const line = document.createElement("li");
      line.append(badge(document.createElement("span"), other), other, button);
      return line;
    });
  at("windows").replaceChildren(...lines);
}

function showState(state) {
  at("state").textContent = at("state").dataset.state = state;
}

at("another").addEventListener("click", () => window.open(location.href, "_blank", "popup,width=760,height=640"));

try {
  const mesh = await connect(document.querySelector("meta[name=node]").content, {
    persist: true,
    grace: 3000,
    onstate: showState,
  });
  let names = [];
  const fn = await mesh.expose({
    /** What the back end pushes. The answer is its acknowledgement. */
    show({ from, text }) {
      log(`${from}: ${text}`, "came");
      return { visible: document.visibilityState === "visible" };
    },
    windows(all) {
      list((names = all));
    },
  });
  ({ name } = await post("/windows", { id: fn.id }));
  at("name").textContent = document.title = name;
  at("id").textContent = fn.id;
  badge(at("badge"), name);
  list(names);
} catch (error) {
  log(error.message, "failed");
}
