/* Allocations that fail on demand: LD_PRELOAD, glibc.  Only what the named library asks for fails: what NumPy or Python
 * make of a failure of their own is not on trial. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static long countdown = -1; /* below 0 nothing fails */
static size_t smallest;
static const char *culprit;

/* Allocation n, counted from 0, of at least `least` bytes by a library with this in its path fails, once. */
void arm(long n, size_t least, const char *library)
{
    smallest = least, culprit = library;
    __atomic_store_n(&countdown, n, __ATOMIC_SEQ_CST);
}

int fired(void) { return __atomic_load_n(&countdown, __ATOMIC_SEQ_CST) < 0; }

static int fails(size_t size, void *caller)
{
    Dl_info from;
    if (fired() || size < smallest || !dladdr(caller, &from) || !strstr(from.dli_fname, culprit)) return 0;
    if (__atomic_fetch_sub(&countdown, 1, __ATOMIC_SEQ_CST) != 0) return 0;
    errno = ENOMEM;
    return 1;
}

#define FAILS(size) fails(size, __builtin_return_address(0))

void *malloc(size_t size) { return FAILS(size) ? NULL : __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return FAILS(n * size) ? NULL : __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { return FAILS(size) ? NULL : __libc_realloc(old, size); }
void *aligned_alloc(size_t line, size_t size) { return FAILS(size) ? NULL : __libc_memalign(line, size); }
