'use strict';
// The main module of a test file's process: hands over to what was loaded first.
require('./node_test_child.cjs').begin();
