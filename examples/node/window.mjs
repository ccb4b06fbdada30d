// Stands for a window of a browser, where this is the code of its page.
import { connect } from "../../clients/js/dist/index.js"; // in a page: from "/lambdamesh.js"

const mesh = await connect(undefined, { persist: true }); // in a page, a reload keeps the id
const fn = await mesh.expose({
  show({ text }) {
    console.log("shown:", text);
    return { shown: true };
  },
});
console.log("id", fn.id); // a page tells its back end: fetch("/windows", { method: "POST", body: fn.id })
