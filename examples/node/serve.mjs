import { connect } from "../../clients/js/dist/index.js"; // in your own project: from "lambdamesh"

const mesh = await connect();
const fn = await mesh.expose({
  hello: (name) => `hello, ${name ?? "world"}`,
  async *count(to) {
    for (let number = 1; number <= to; number++) yield number;
  },
});
console.log("id", fn.id);
