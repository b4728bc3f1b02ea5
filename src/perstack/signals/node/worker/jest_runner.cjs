'use strict';
// Runs one test file in jest's worker with jest-circus, adds the canaries, and signs what came out.
const fs = require('node:fs');
const { line, text } = require('./perstack_wire.cjs');
const { remember, compare, language, machinery } = require('./perstack_identity.cjs');
const canaries = require('./perstack_canary.cjs');

const GLOBALS = ['test', 'it', 'xit', 'xtest', 'fit', 'describe', 'fdescribe', 'xdescribe', 'expect', 'beforeAll',
  'beforeEach', 'afterAll', 'afterEach'];
const MATCHERS = Symbol.for('$$jest-matchers-object');
const FOCUSED = /\.only\b|\bfit\s*\(|\bfdescribe\s*\(/;
const { apply } = Reflect;
const { create, keys } = Object;
const { stringify } = JSON;
const HANDLERS = Symbol.for('EVENT_HANDLERS');
let sign = null;
let circus = null;
let canary = null;
let machine = null;

/** Called once, by the preload of the worker. */
function prepare(handed) {
  if (sign) return;
  let number = 0;
  sign = (record) => {
    const made = line(handed.key, number, record);
    number += 1;
    return made;
  };
  circus = require(handed.circus);
  canary = handed.canary;
  machine = remember({ ...language(globalThis), ...machinery() });
}

async function run(globalConfig, config, environment, runtime, testPath, sendMessageToJest) {
  const { global } = environment;
  const focused = FOCUSED.test(fs.readFileSync(testPath, 'utf8'));
  const state = { known: remember(language(global, 'test ')), replaced: create(null), broken: null, planted: -1 };
  const witness = new Witness(state, () => global[HANDLERS]);
  const { handleTestEvent } = environment;
  environment.handleTestEvent = (event, circusState) => {
    witness.see(event, circusState);
    return handleTestEvent ? apply(handleTestEvent, environment, [event, circusState]) : undefined;
  };
  const { setGlobalsForRuntime, requireModule, unstable_importModule: importModule } = runtime;
  runtime.setGlobalsForRuntime = (given) => {
    const store = global[MATCHERS];
    state.known.push(...remember({
      '@jest/globals': given, expect: given.expect, test: given.test, it: given.it,
      describe: given.describe, matchers: store ? store.matchers : null,
      'equality testers': store ? store.customEqualityTesters : null,
    }));
    // they are made global only after this
    for (const name of GLOBALS) {
      state.known.push({ object: global, property: name, found: { value: given[name] }, name: 'global' });
    }
    return apply(setGlobalsForRuntime, runtime, [given]);
  };
  const chosen = () => (focused ? global.test.only : global.test);
  const around = (load) => {
    witness.begin();
    canaries.first(chosen(), canary);
    const after = () => {
      const tests = focused ? [global.test.only, global.it.only] : [global.test, global.it];
      canaries.last(tests, [...canaries.expectations(global.expect),
        ...canaries.assertions(require('node:assert'))], canary);
      state.planted = tests.length;
      compare(state.known, state.replaced);
    };
    const failed = (error) => {
      state.broken = message(error);
    };
    return load(after, failed);
  };
  let loaded = false;
  runtime.requireModule = (...words) => {
    if (loaded || words[0] !== testPath) return apply(requireModule, runtime, words);
    loaded = true;
    return around((after, failed) => {
      try {
        return apply(requireModule, runtime, words);
      } catch (error) {
        return failed(error);
      } finally {
        after();
      }
    });
  };
  runtime.unstable_importModule = (...words) => {
    if (loaded || words[0] !== testPath) return apply(importModule, runtime, words);
    loaded = true;
    return around((after, failed) => apply(importModule, runtime, words).catch(failed).finally(after));
  };
  const result = await (circus.default || circus)(
    globalConfig, config, environment, runtime, testPath, sendMessageToJest,
  );
  witness.check();
  result.perstack = signed(result, state, testPath, witness);
  return result;
}

/** Our own note of how the body of each test ended: what jest keeps can be changed by the code it runs. */
class Witness {
  #state;
  #handlers;
  #known = [];
  #bodies = new Map();
  #ends = new Map();

  constructor(state, handlers) {
    this.#state = state;
    this.#handlers = handlers;
  }

  /** From now on who hears of jest's events must stay the same. */
  begin() {
    this.#known = [...(this.#handlers() || [])];
  }

  see(event, circusState) {
    if (event.name === 'add_test') {
      const { children } = circusState.currentDescribeBlock;
      const test = children[children.length - 1];
      if (test && typeof test.fn === 'function') {
        test.fn = this.#witnessed(test, test.fn);
        this.#bodies.set(test, test.fn);
      }
    } else if (event.name === 'test_start' || event.name === 'test_done') {
      this.check();
    }
  }

  check() {
    compare(this.#state.known, this.#state.replaced);
    compare(machine, this.#state.replaced);
    const now = this.#handlers() || [];
    if (now.length !== this.#known.length || this.#known.some((handler, index) => handler !== now[index])) {
      this.#state.replaced['handlers of events'] = true;
    }
  }

  /** Whether every body of this title that ran came to its end. */
  ended(title) {
    return this.#ends.get(stringify(title)) === true;
  }

  #note(test, good) {
    const title = [];
    for (let at = test; at && at.parent; at = at.parent) title.unshift(at.name);
    const key = stringify(title);
    this.#ends.set(key, good && this.#ends.get(key) !== false);
  }

  #witnessed(test, body) {
    const note = (good) => this.#note(test, good);
    if (body.constructor && body.constructor.name === 'GeneratorFunction') {
      return function* witnessed(...given) {
        yield* body.apply(this, given);
        note(true);
      };
    }
    if (body.length > 0) {
      return function witnessed(done, ...given) {
        const told = Object.assign((reason) => {
          note(!reason);
          return done(reason);
        }, { fail: (reason) => done.fail(reason) });
        return apply(body, this, [told, ...given]);
      };
    }
    return function witnessed(...given) {
      let value;
      try {
        value = apply(body, this, given);
      } catch (error) {
        note(false);
        throw error;
      }
      if (value && typeof value === 'object' && typeof value.then === 'function') {
        return value.then((result) => {
          note(true);
          return result;
        }, (error) => {
          note(false);
          throw error;
        });
      }
      note(true);
      return value;
    };
  }
}

function signed(result, state, path, witness) {
  let lines = '';
  for (let index = 0; index < result.testResults.length; index += 1) {
    const one = result.testResults[index];
    const title = [...one.ancestorTitles, one.title];
    const said = outcome(one);
    lines += sign({
      type: 'case', path, title, outcome: said === 'passed' && !witness.ended(title) ? 'said to have passed' : said,
      message: one.status === 'failed' ? text(`${one.failureMessages[0]}`) : '',
      seconds: (one.duration || 0) / 1000,
    });
  }
  if (state.broken !== null) lines += sign({ type: 'broken', path, message: state.broken });
  lines += sign({ type: 'loaded', path, canaries: state.planted });
  return lines + sign({ type: 'end', path, replaced: keys(state.replaced) });
}

function outcome(one) {
  if (one.status === 'passed') {
    if (one.failing) return 'xfailed';
    return one.invocations > 1 ? 'passed after a retry' : 'passed';
  }
  return one.status === 'failed' ? 'failed' : 'skipped';
}

function message(error) {
  try {
    return text(String((error && error.message) || error));
  } catch {
    return 'an error without a message';
  }
}

module.exports = run;
module.exports.prepare = prepare;
