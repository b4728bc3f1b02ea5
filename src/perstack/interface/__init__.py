"""Words in, words out: command line, action entry, rendering. Only here is anything printed or the environment read."""
