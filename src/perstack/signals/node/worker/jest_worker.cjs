'use strict';
// Loaded first in jest's worker: takes the key and puts our runner where jest finds it, before repository code is there.
const fs = require('node:fs');

if (process.env.JEST_WORKER_ID && process.env.PERSTACK_HANDOVER) {
  const place = process.env.PERSTACK_HANDOVER;
  delete process.env.PERSTACK_HANDOVER;
  let handed;
  try {
    handed = JSON.parse(fs.readFileSync(place, 'utf8'));
    fs.unlinkSync(place);
  } catch {
    process.exit(70); // somebody was here before, or this worker replaces one that died: nothing it says would count
  }
  require('./perstack_identity.cjs').seal();
  require('./jest_runner.cjs').prepare(handed);
}
