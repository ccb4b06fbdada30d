export type { CallOptions } from "./calling.js";
export type { State, Why } from "./connection.js";
export { CallError, ConnectError, type CallErrorFields, type Delivered } from "./errors.js";
export { connect, type ConnectOptions, type ExposeOptions, type Lambda, type Mesh } from "./mesh.js";
export type { CallContext, Handler } from "./methods.js";
export type { Closing } from "./served.js";
export type { Socket, SocketConstructor } from "./socket.js";
export type { TicketSource } from "./tickets.js";
