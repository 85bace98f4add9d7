// Calls of the Web API that fail though nothing is wrong with them.

import { count } from "./workspace.js";

// failing.share is how many of all calls fail, from 0 to 1.
export const failing = { share: 0 };

// ways are the ways to fail, some more often than others. Of these, a call that
// is "lost" was done, and only its answer is missing.
const ways = ["error", "error", "error", "error", "limit", "limit", "limit", "cut", "lost", "silent"];

// fails says how a call is to fail, or nothing.
export function fails(method) {
  count("calls");
  if (Math.random() >= failing.share) return "";
  const how = ways[Math.floor(Math.random() * ways.length)];
  count("failed");
  count(`failed ${how} ${method}`);
  return how;
}
