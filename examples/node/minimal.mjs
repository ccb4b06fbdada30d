import { WebSocket } from "ws";

const methods = {
  __proto__: null, // what is not listed here cannot be called
  open: (id) => (console.log("id", id), "ok"),
  test: (body) => ({ echo: body }),
};

const socket = new WebSocket(process.argv[2] ?? "ws://localhost:7630/lambda/new");
socket.on("message", async (message) => {
  const { id, method, params } = JSON.parse(message);
  try {
    socket.send(JSON.stringify({ id, result: await methods[method](...params) }));
  } catch (error) {
    socket.send(JSON.stringify({ id, error: String(error) }));
  }
});
