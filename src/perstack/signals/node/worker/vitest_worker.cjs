'use strict';
// Loaded first in a process of vitest's that runs a test file: takes the key, remembers what is there, writes records.
const fs = require('node:fs');
const { writer } = require('./perstack_wire.cjs');
const { remember, language, machinery, seal } = require('./perstack_identity.cjs');

const { key, canary, places } = JSON.parse(fs.readFileSync(4, 'utf8'));
fs.closeSync(4);
const write = writer(key, 5);
seal();
const known = remember({ ...language(globalThis), ...machinery() });
let taken = false;

/** What the runner needs; given once, before anything of the repository is loaded. */
module.exports.take = () => {
  if (taken) throw new Error('taken already');
  taken = true;
  return { write, canary, places, known };
};
