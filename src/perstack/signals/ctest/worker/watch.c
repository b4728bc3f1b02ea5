/* Loaded before everything else into the processes of a test run: says how each of them ended.
 *
 * ctest takes exit code 0 for a pass; code under test that leaves by itself gives that as well. So the return of main,
 * and every call that ends the process, is written down, with a seal that only this library and the verifier can make.
 * Records are lines "SEAL PID MARK KIND VALUE TEXT". A process that says nothing did not finish.
 *
 * It does not hide from code that searches its own memory for it; see docs/threat-model.md. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#define LINE 16384
#define OWN "PERSTACK_WATCH="
#define FIRST "PERSTACK_FIRST="

typedef int (*main_function)(int, char **, char **);
typedef int (*start_function)(main_function, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

static uint8_t key[16];
static char place[1024], build[1024], passed_on[2200];
static uint64_t mark;
static pid_t self;
static main_function real_main;
static int started;

static uint64_t rotated(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

static void rounds(uint64_t v[4], int count) {
    while (count-- > 0) {
        v[0] += v[1], v[1] = rotated(v[1], 13) ^ v[0], v[0] = rotated(v[0], 32);
        v[2] += v[3], v[3] = rotated(v[3], 16) ^ v[2];
        v[0] += v[3], v[3] = rotated(v[3], 21) ^ v[0];
        v[2] += v[1], v[1] = rotated(v[1], 17) ^ v[2], v[2] = rotated(v[2], 32);
    }
}

/* SipHash-2-4 */
static uint64_t sealed(const char *text, size_t length) {
    uint64_t k0, k1, last = (uint64_t)length << 56;
    memcpy(&k0, key, 8);
    memcpy(&k1, key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL, k0 ^ 0x6c7967656e657261ULL,
                     k1 ^ 0x7465646279746573ULL};
    size_t whole = length / 8 * 8;
    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        v[3] ^= word, rounds(v, 2), v[0] ^= word;
    }
    for (size_t at = whole; at < length; at++) last |= (uint64_t)(uint8_t)text[at] << (8 * (at - whole));
    v[3] ^= last, rounds(v, 2), v[0] ^= last;
    v[2] ^= 0xff, rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void tell(const char *kind, long value, const char *text) {
    char body[LINE], line[LINE + 32];
    if (!place[0] || getpid() != self) return; /* a child without a program of its own is not the test */
    int length = snprintf(body, sizeof body, "%d %016llx %s %ld %s", (int)self, (unsigned long long)mark, kind, value,
                          text);
    if (length < 0 || length >= (int)sizeof body) return;
    int all = snprintf(line, sizeof line, "%016llx %s\n", (unsigned long long)sealed(body, (size_t)length), body);
    int file = open(place, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file < 0) return;
    if (write(file, line, (size_t)all) != all) (void)!write(file, "\n", 1);
    close(file);
}

/* An address as "OFFSET OBJECT", as debug information counts it. */
static void tell_place(const char *kind, long value, const void *address, int step_back) {
    char text[4096];
    Dl_info info;
    uintptr_t at = (uintptr_t)address - (uintptr_t)step_back;
    if (!dladdr((const void *)at, &info) || !info.dli_fbase || !info.dli_fname) {
        tell(kind, value, "0 ?");
        return;
    }
    if (((const ElfW(Ehdr) *)info.dli_fbase)->e_type != ET_EXEC) at -= (uintptr_t)info.dli_fbase;
    char full[2048];
    ssize_t length = -1;
    if (!strchr(info.dli_fname, '/')) length = readlink("/proc/self/exe", full, sizeof full - 1);
    if (length > 0) full[length] = 0;
    snprintf(text, sizeof text, "%lx %s", (unsigned long)at, length > 0 ? full : info.dli_fname);
    tell(kind, value, text);
}

static void tell_start(int count, char **words) {
    static const char digits[] = "0123456789abcdef";
    char text[LINE - 256];
    size_t at = (size_t)snprintf(text, sizeof text, "%d ", (int)getppid());
    for (int index = 0; index < count; index++)
        for (const char *c = words[index];; c++) {
            if (at + 3 > sizeof text) return;
            text[at++] = digits[(uint8_t)*c >> 4], text[at++] = digits[(uint8_t)*c & 15];
            if (!*c) break;
        }
    text[at] = 0;
    tell("start", count, text);
}

static int take_key(const char *hex) {
    for (int index = 0; index < 16; index++) {
        unsigned value;
        if (sscanf(hex + 2 * index, "%2x", &value) != 1) return 0;
        key[index] = (uint8_t)value;
    }
    return 1;
}

/* ctest itself: nobody may look into it, and what it starts gets the key. */
static void begin_first(char **entry) {
    char hex[33] = {0};
    prctl(PR_SET_DUMPABLE, 0);
    if (read(0, hex, 32) != 32) return;
    snprintf(passed_on, sizeof passed_on, OWN "%s:%s", hex, *entry + sizeof FIRST - 1);
    *entry = passed_on;
}

static void take_places(char *text) {
    char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof place || strlen(colon + 1) >= sizeof build) return;
    strcpy(build, colon + 1);
    memcpy(place, text, (size_t)(colon - text));
}

/* A program of the tree must not find what we were told by; the environment keeps its size. */
static void forget(char **values) {
    static char nothing[] = "_=";
    for (char **entry = values; *entry; entry++)
        if (!strncmp(*entry, OWN, sizeof OWN - 1) || !strncmp(*entry, "LD_PRELOAD=", 11)) {
            memset(*entry, 0, strlen(*entry));
            *entry = nothing;
        }
}

__attribute__((constructor)) static void begin(int count, char **words, char **values) {
    char program[2048];
    self = getpid();
    if (getrandom(&mark, sizeof mark, 0) != (ssize_t)sizeof mark) mark = (uint64_t)self;
    for (char **entry = values; *entry; entry++) {
        if (!strncmp(*entry, FIRST, sizeof FIRST - 1)) {
            begin_first(entry);
            return;
        }
        if (!strncmp(*entry, OWN, sizeof OWN - 1) && strlen(*entry) > sizeof OWN + 33) {
            if (!take_key(*entry + sizeof OWN - 1)) return;
            take_places(*entry + sizeof OWN - 1 + 33);
        }
    }
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    if (place[0] && !strncmp(program, build, strlen(build))) forget(values);
    tell_start(count, words);
}

static int watched_main(int count, char **words, char **values) {
    int value = real_main(count, words, values);
    tell("returned", value, "");
    return value;
}

int __libc_start_main(main_function main, int count, char **words, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end) {
    start_function next = (start_function)dlsym(RTLD_NEXT, "__libc_start_main");
    uintptr_t from = (uintptr_t)__builtin_return_address(0), entry = getauxval(AT_ENTRY);
    if (started++ || from < entry || from > entry + 128) {
        tell("twice", 0, "");
        return next(main, count, words, init, fini, rtld_fini, stack_end);
    }
    real_main = main;
    tell_place("main", 0, (const void *)main, 0);
    return next(watched_main, count, words, init, fini, rtld_fini, stack_end);
}

#define ENDING(name)                                                       \
    __attribute__((noreturn)) void name(int value) {                       \
        void (*next)(int) = (void (*)(int))dlsym(RTLD_NEXT, #name);        \
        tell_place("exit", value, __builtin_return_address(0), 1);         \
        next(value);                                                       \
        __builtin_unreachable();                                           \
    }

ENDING(exit)
ENDING(_exit)
ENDING(_Exit)
ENDING(quick_exit)
