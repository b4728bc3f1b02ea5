'use strict';
// The order of test files: natural, or that of a seed.
const { ordered } = require('./perstack_main.cjs');

class Sequencer {
  sort(tests) {
    const order = ordered(tests.map((test) => test.path), Sequencer.seed);
    return [...tests].sort((a, b) => order.indexOf(a.path) - order.indexOf(b.path));
  }

  shard(tests) {
    return tests;
  }

  allFailedTests(tests) {
    return tests;
  }

  cacheResults() {}
}

Sequencer.seed = '';
module.exports = Sequencer;
