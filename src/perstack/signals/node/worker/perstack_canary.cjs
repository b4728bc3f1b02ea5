'use strict';
// Tests of the verifier's own, put into every test file: before its content is loaded, and after it. No product code.

/** The first canaries: one that must pass, one that must fail. Registered before anything of the file is loaded. */
function first(test, canary) {
  test(`${canary.token} first green`, () => {});
  test(`${canary.token} first red`, () => {
    throw new Error(canary.secret);
  });
}

/** The last canaries: what the file's own tests would use must still be able to be red. */
function last(tests, checks, canary) {
  tests.forEach((test, index) => {
    test(`${canary.token} last ${index}`, () => {
      const blind = [];
      for (const [name, check] of checks) {
        let noticed = false;
        try {
          check();
        } catch {
          noticed = true;
        }
        if (!noticed) blind.push(name);
      }
      if (blind.length === 0) throw new Error(canary.secret);
    });
  });
}

/** Assertions of node:assert that must throw. */
function assertions(assert) {
  return [
    ['assert', () => assert(false)],
    ['ok', () => assert.ok(0)],
    ['equal', () => assert.equal(1, 2)],
    ['notEqual', () => assert.notEqual(1, 1)],
    ['strictEqual', () => assert.strictEqual(1, 2)],
    ['notStrictEqual', () => assert.notStrictEqual(1, 1)],
    ['deepEqual', () => assert.deepEqual({ a: [1] }, { a: [2] })],
    ['deepStrictEqual', () => assert.deepStrictEqual({ a: [1] }, { a: [2] })],
    ['throws', () => assert.throws(() => {})],
    ['match', () => assert.match('a', /b/)],
    ['fail', () => assert.fail('x')],
  ];
}

/** Matchers of `expect` that must throw. */
function expectations(expect) {
  return [
    ['toBe', () => expect(1).toBe(2)],
    ['not.toBe', () => expect(1).not.toBe(1)],
    ['toEqual', () => expect({ a: [1] }).toEqual({ a: [2] })],
    ['toStrictEqual', () => expect({ a: [1] }).toStrictEqual({ a: [2] })],
    ['toBeCloseTo', () => expect(1).toBeCloseTo(2)],
    ['toBeTruthy', () => expect(0).toBeTruthy()],
    ['toBeFalsy', () => expect(1).toBeFalsy()],
    ['toBeNull', () => expect(1).toBeNull()],
    ['toBeUndefined', () => expect(1).toBeUndefined()],
    ['toBeDefined', () => expect(undefined).toBeDefined()],
    ['toContain', () => expect([1]).toContain(2)],
    ['toHaveLength', () => expect([1]).toHaveLength(2)],
    ['toMatch', () => expect('a').toMatch(/b/)],
    ['toMatchObject', () => expect({ a: 1 }).toMatchObject({ a: 2 })],
    ['toHaveProperty', () => expect({ a: 1 }).toHaveProperty('b')],
    ['toThrow', () => expect(() => {}).toThrow()],
    ['toBeGreaterThan', () => expect(1).toBeGreaterThan(2)],
    ['toBeInstanceOf', () => expect({}).toBeInstanceOf(Map)],
  ];
}

module.exports = { first, last, assertions, expectations };
