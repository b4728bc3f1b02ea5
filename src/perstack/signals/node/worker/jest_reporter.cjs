'use strict';
// What jest's own process tells us about files: checked here, sent on by `jest_main.cjs`.
const { createHmac } = require('node:crypto');

const state = { key: '', number: 0, start: () => {}, send: () => {} };

class Reporter {
  onRunStart() {
    state.start();
  }

  onTestFileResult(test, result) {
    for (const record of genuine(result, test.path)) state.send({ ...record, path: test.path });
  }

  onTestResult(test, result) {
    this.onTestFileResult(test, result);
  }

  getLastError() {}
}

function genuine(result, path) {
  if (result.perstack === undefined) {
    const error = result.testExecError;
    if (!error && !result.failureMessage) return [{ forged: true }];
    return [{ type: 'broken', message: String((error && error.message) || result.failureMessage).slice(0, 2000) }];
  }
  const records = [];
  for (const one of String(result.perstack).split('\n').filter(Boolean)) {
    const space = one.indexOf(' ');
    const body = one.slice(space + 1);
    if (createHmac('sha256', state.key).update(body).digest('hex') !== one.slice(0, space)) return [{ forged: true }];
    const [number, record] = JSON.parse(body);
    if (number !== state.number || record.path !== path) return [{ forged: true }];
    state.number += 1;
    records.push(record);
  }
  return records;
}

module.exports = Reporter;
module.exports.state = state;
